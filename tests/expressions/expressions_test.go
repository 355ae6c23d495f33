// The conditions of deploy/argo, evaluated by the module that Argo Rollouts evaluates them with, and counted as its analysis
// counts (docs/gate.md says what Argo does with which measurement).
package expressions

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/expr-lang/expr"
	"gopkg.in/yaml.v3"
)

type metric struct {
	Count                   int    `yaml:"count"`
	FailureLimit            int    `yaml:"failureLimit"`
	InconclusiveLimit       int    `yaml:"inconclusiveLimit"`
	ConsecutiveSuccessLimit int    `yaml:"consecutiveSuccessLimit"`
	ConsecutiveErrorLimit   int    `yaml:"consecutiveErrorLimit"`
	SuccessCondition        string `yaml:"successCondition"`
	FailureCondition        string `yaml:"failureCondition"`
	Provider                struct {
		Web struct {
			Method         string         `yaml:"method"`
			URL            string         `yaml:"url"`
			JSONPath       string         `yaml:"jsonPath"`
			TimeoutSeconds int            `yaml:"timeoutSeconds"`
			JSONBody       map[string]any `yaml:"jsonBody"`
		} `yaml:"web"`
	} `yaml:"provider"`
}

type template struct {
	Spec struct {
		Metrics []metric `yaml:"metrics"`
	} `yaml:"spec"`
}

func templates(t *testing.T) map[string]metric {
	t.Helper()
	files, err := filepath.Glob("../../deploy/argo/*.yaml")
	if err != nil || len(files) < 2 {
		t.Fatalf("templates: %v %v", files, err)
	}
	list := map[string]metric{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var one template
		if err := yaml.Unmarshal(text, &one); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		if len(one.Spec.Metrics) != 1 {
			t.Fatalf("%s: %d metrics", file, len(one.Spec.Metrics))
		}
		list[filepath.Base(file)] = one.Spec.Metrics[0]
	}
	return list
}

// evaluate is what Argo does with one answer (utils/evaluate): a failure is one whatever else holds; with both conditions, what is
// neither is Inconclusive.
func evaluate(t *testing.T, of metric, answer string) string {
	t.Helper()
	var whole map[string]any
	if err := json.Unmarshal([]byte(answer), &whole); err != nil {
		t.Fatal(err)
	}
	if of.Provider.Web.JSONPath != "{$.data}" {
		t.Fatalf("jsonPath %s", of.Provider.Web.JSONPath)
	}
	result := whole["data"]
	holds := func(condition string) bool {
		env := map[string]any{"result": result}
		program, err := expr.Compile(condition, expr.Env(env), expr.AsBool())
		if err != nil {
			t.Fatalf("%s: %v", condition, err)
		}
		value, err := expr.Run(program, env)
		if err != nil {
			t.Fatalf("%s: %v", condition, err)
		}
		truth, is := value.(bool)
		if !is {
			t.Fatalf("%s is no truth value: %v", condition, value)
		}
		return truth
	}
	success, failure := holds(of.SuccessCondition), holds(of.FailureCondition)
	switch {
	case failure:
		return "Failed"
	case success:
		return "Successful"
	default:
		return "Inconclusive"
	}
}

// assess is how Argo's analysis ends a metric: limits first, then the count, then, where a run of successes is asked for, that.
func assess(of metric, measured []string) string {
	var successful, failed, inconclusive, consecutive int
	for _, one := range measured {
		switch one {
		case "Successful":
			successful++
			consecutive++
		case "Failed":
			failed++
			consecutive = 0
		case "Inconclusive":
			inconclusive++
			consecutive = 0
		}
		if failed > of.FailureLimit {
			return "Failed"
		}
		if inconclusive > of.InconclusiveLimit {
			return "Inconclusive"
		}
		if of.ConsecutiveSuccessLimit > 0 && consecutive >= of.ConsecutiveSuccessLimit {
			return "Successful"
		}
	}
	if of.Count > 0 && len(measured) >= of.Count {
		if of.ConsecutiveSuccessLimit > 0 {
			return "Inconclusive"
		}
		return "Successful"
	}
	return "Running"
}

func said(verdict string) string {
	return `{"data":{"verdict":"` + verdict + `","score":50,"reason":"x","log10_e":4.3,"units_needed":null}}`
}

func TestVerdictsAreMeasuredAsTheyShould(t *testing.T) {
	for name, of := range templates(t) {
		for verdict, phase := range map[string]string{
			"pass": "Successful", "fail": "Failed", "inconclusive": "Inconclusive", "invalid": "Inconclusive",
		} {
			if got := evaluate(t, of, said(verdict)); got != phase {
				t.Errorf("%s: %s is %s, not %s", name, verdict, got, phase)
			}
		}
	}
}

func TestAllInconclusiveIsNoSuccess(t *testing.T) {
	for name, of := range templates(t) {
		all := make([]string, of.Count)
		for at := range all {
			all[at] = evaluate(t, of, said("inconclusive"))
		}
		if got := assess(of, all); got != "Inconclusive" {
			t.Errorf("%s: all inconclusive is %s", name, got)
		}
		// That is what this setting is for.
		without := of
		without.ConsecutiveSuccessLimit = 0
		if got := assess(without, all); got != "Successful" {
			t.Errorf("%s: without consecutiveSuccessLimit %s", name, got)
		}
	}
}

func TestOneFailAbortsAndOnePassEnds(t *testing.T) {
	for name, of := range templates(t) {
		measure := func(verdicts ...string) (list []string) {
			for _, verdict := range verdicts {
				list = append(list, evaluate(t, of, said(verdict)))
			}
			return list
		}
		for _, one := range []struct {
			verdicts []string
			phase    string
		}{
			{[]string{"inconclusive", "fail"}, "Failed"},
			{[]string{"inconclusive", "invalid", "pass"}, "Successful"},
			{[]string{"inconclusive", "inconclusive"}, "Running"},
		} {
			if got := assess(of, measure(one.verdicts...)); got != one.phase {
				t.Errorf("%s: %v is %s, not %s", name, one.verdicts, got, one.phase)
			}
		}
		web := of.Provider.Web
		if web.TimeoutSeconds > 10 || !strings.Contains(web.URL, "/v1/") || of.ConsecutiveErrorLimit < 4 {
			t.Errorf("%s: %+v", name, of)
		}
	}
}
