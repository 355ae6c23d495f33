//! Pipelines that are part of the program.

macro_rules! shipped {
    ($($name:literal),* $(,)?) => {
        const SHIPPED: &[(&str, &str)] =
            &[$(($name, include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/pipelines/", $name, ".yaml")))),*];
    };
}

shipped![
    "apache",
    "ecs",
    "envoy-istio",
    "feature-flag",
    "gelf",
    "json",
    "kubernetes",
    "logfmt",
    "nginx",
    "otel",
    "serilog",
    "syslog",
];

/// The text of one.
pub(super) fn text(name: &str) -> Option<&'static str> {
    SHIPPED.iter().find(|(known, _)| *known == name).map(|(_, text)| *text)
}

/// Their names.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    SHIPPED.iter().map(|(name, _)| *name)
}
