//! Which lines are kept for search: rules of pipelines, and what holds for all other lines.
//!
//! They decide nothing else: no verdict rests on what is kept, so they are no part of a plan and may change at any start.

use crate::query::{Node, Query, Record};

/// How much of some lines is kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Keep {
    /// Each line.
    All,
    /// What is wrong or new, and of the rest the lines of one unit of so many.
    Sampled(u32),
    /// None.
    Off,
}

/// A rule.
#[derive(Clone, Debug)]
pub struct KeepRule {
    /// Names of streams that it is for, with `*` for any text; all where there are none.
    pub streams: Vec<String>,
    /// Lines that it is for; `None`: all.
    pub when: Option<Query>,
    /// What is kept of them.
    pub keep: Keep,
}

/// Rules, of which the first that fits a line counts.
#[derive(Clone, Debug)]
pub struct Keeping {
    rules: Vec<(Vec<String>, Option<Node>, Keep)>,
    rest: Keep,
}

impl Keeping {
    /// Rules in their order, and what holds where none fits.
    pub fn new(rules: Vec<KeepRule>, rest: Keep) -> Keeping {
        let of = |rule: KeepRule| (rule.streams, rule.when.map(|when| when.tree().clone()), rule.keep);
        Keeping { rules: rules.into_iter().map(of).collect(), rest }
    }

    /// The same with names of roles as fields, as searches have them: a name stands for the field of that path, and for those that play the
    /// role. `fields`: those of a role, nothing for other names.
    pub fn by_roles(&self, fields: &dyn Fn(&str) -> Vec<String>) -> Keeping {
        let rule = |(streams, when, keep): &(Vec<String>, Option<Node>, Keep)| {
            (streams.clone(), when.as_ref().map(|when| by_roles(when, fields)), *keep)
        };
        Keeping { rules: self.rules.iter().map(rule).collect(), rest: self.rest }
    }

    /// No line is kept.
    pub fn is_off(&self) -> bool {
        self.rest == Keep::Off && self.rules.iter().all(|(_, _, keep)| *keep == Keep::Off)
    }

    /// Each line is kept.
    pub fn is_all(&self) -> bool {
        self.rest == Keep::All && self.rules.iter().all(|(_, _, keep)| *keep == Keep::All)
    }

    /// Some rule asks what a line holds.
    pub fn asks(&self) -> bool {
        self.rules.iter().any(|(_, when, _)| when.is_some())
    }

    /// What is kept of lines like this one; `line`: where nothing is known of it, only rules without a query fit.
    pub fn of(&self, stream: &str, line: Option<&dyn Record>) -> Keep {
        let fits = |(streams, when, _): &&(Vec<String>, Option<Node>, Keep)| {
            super::prepare::is_for(streams, stream)
                && when.as_ref().is_none_or(|when| line.is_some_and(|line| when.matches(line)))
        };
        self.rules.iter().find(fits).map_or(self.rest, |(_, _, keep)| *keep)
    }
}

fn by_roles(node: &Node, fields: &dyn Fn(&str) -> Vec<String>) -> Node {
    let all = |nodes: &[Node]| nodes.iter().map(|node| by_roles(node, fields)).collect();
    match node {
        Node::All => Node::All,
        Node::And(nodes) => Node::And(all(nodes)),
        Node::Or(nodes) => Node::Or(all(nodes)),
        Node::Not(node) => Node::Not(Box::new(by_roles(node, fields))),
        Node::Is(path, condition) => {
            let mut paths = fields(path);
            paths.retain(|other| other != path);
            paths.insert(0, path.clone());
            let mut nodes: Vec<Node> = paths.into_iter().map(|path| Node::Is(path, condition.clone())).collect();
            if nodes.len() == 1 { nodes.remove(0) } else { Node::Or(nodes) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query::Value;

    struct Line(&'static str);

    impl Record for Line {
        fn field(&self, path: &str) -> Option<Value<'_>> {
            (path == "service").then(|| Value::Str(self.0.into()))
        }
    }

    #[test]
    fn the_first_rule_that_fits_counts() {
        let rule = |streams: &[&str], when: Option<&str>, keep| KeepRule {
            streams: streams.iter().map(|name| (*name).to_owned()).collect(),
            when: when.map(|text| Query::parse(text).unwrap()),
            keep,
        };
        let keeping = Keeping::new(
            vec![
                rule(&["audit/*"], None, Keep::All),
                rule(&[], Some("service:chatty"), Keep::Sampled(100)),
                rule(&[], Some("service:*"), Keep::Off),
            ],
            Keep::Sampled(10),
        );
        let of = |stream: &str, line: Option<&Line>| keeping.of(stream, line.map(|line| line as &dyn Record));
        assert_eq!(of("audit/0", Some(&Line("chatty"))), Keep::All);
        assert_eq!(of("http", Some(&Line("chatty"))), Keep::Sampled(100));
        assert_eq!(of("http", Some(&Line("web"))), Keep::Off);
        assert_eq!(of("http", None), Keep::Sampled(10));
        assert!(keeping.asks() && !keeping.is_off() && !keeping.is_all());
        // A name of a role is its fields.
        let by_role = Keeping::new(vec![rule(&[], Some("NOT app:web"), Keep::Off)], Keep::All);
        assert_eq!(by_role.of("http", Some(&Line("web"))), Keep::Off);
        let by_role = by_role.by_roles(&|name| if name == "app" { vec!["service".to_owned()] } else { Vec::new() });
        assert_eq!(by_role.of("http", Some(&Line("web"))), Keep::All);
        assert!(Keeping::new(vec![rule(&[], None, Keep::Off)], Keep::Off).is_off());
        assert!(!Keeping::new(vec![rule(&["a"], None, Keep::All)], Keep::Off).is_off());
        assert!(Keeping::new(Vec::new(), Keep::All).is_all());
    }
}
