module serin/expressions

go 1.21

require (
	github.com/expr-lang/expr v1.17.7
	gopkg.in/yaml.v3 v3.0.1
)
