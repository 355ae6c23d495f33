//! Hooks: who is told, where, and by which secret the receiver knows us.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::cli::compare;
use crate::cli::yaml::{Fields, Node, Place, Problems};
use crate::outbox::Topic;
use crate::time::{MINUTE, Micros, SECOND};

/// Hooks of a configuration: each has a thread of its own.
pub(super) const HOOKS_MAX: usize = 16;
/// Secrets of a hook: the latest, and those before it while they are replaced.
const SECRETS_MAX: usize = 4;
/// How long a rollback means something, when nothing is said.
const EXPIRES: Micros = 15 * MINUTE;
/// How long an attempt may take, when nothing is said.
const TIMEOUT: Micros = 15 * SECOND;

/// Secrets by which messages are signed. They are shown nowhere.
#[derive(Clone, PartialEq, Eq)]
pub(in crate::cli) struct Secrets(pub Vec<Vec<u8>>);

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} secrets", self.0.len())
    }
}

/// Who is told.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(in crate::cli) struct Hook {
    pub name: String,
    /// Where: https, or http on this machine.
    pub url: String,
    pub secrets: Secrets,
    /// What is told.
    pub topics: Vec<Topic>,
    /// How long a rollback means something.
    pub expires: Micros,
    /// How long an attempt may take.
    pub timeout: Micros,
    /// Further certificates, in PEM, that a server of https may be known by.
    pub ca: Option<Vec<u8>>,
}

pub(super) fn hooks(list: &[Node], look: bool, problems: &mut Problems) -> Vec<Hook> {
    let mut hooks: Vec<Hook> = Vec::new();
    for (number, node) in list.iter().enumerate() {
        let mut fields = Fields::of(node, &format!("hooks[{number}]"), problems);
        let hook = hook(&mut fields, look, problems);
        if let Some(twin) = hooks.iter().find(|known| !known.name.is_empty() && known.name == hook.name) {
            problems.add(node.at, format!("{}: `{}` is named twice", fields.name("name"), twin.name));
        }
        fields.finish(problems);
        hooks.push(hook);
    }
    if let Some(node) = list.get(HOOKS_MAX) {
        problems.add(node.at, format!("hooks: at most {HOOKS_MAX}, got {}", list.len()));
    }
    hooks
}

fn hook(fields: &mut Fields<'_>, look: bool, problems: &mut Problems) -> Hook {
    let name = name_of(fields, problems, |_| None);
    let url = match fields.text("url", problems) {
        Some((url, at)) => {
            if let Err(words) = target(&url) {
                problems.add(at, format!("{}: {words}", fields.name("url")));
            }
            url
        }
        None => {
            problems.add(fields.at, format!("{} is missing", fields.name("url")));
            String::new()
        }
    };
    let secrets = secrets(fields, look, problems);
    let mut topics = Topic::ALL.to_vec();
    if let Some((words, at)) = fields.texts("events", problems) {
        topics.clear();
        for (word, at) in &words {
            match Topic::from_name(word) {
                Some(topic) => topics.push(topic),
                None => {
                    let known: Vec<&str> = Topic::ALL.into_iter().map(Topic::name).collect();
                    let said =
                        format!("{}: `{word}` is unknown; there are {}", fields.name("events"), known.join(", "));
                    problems.add(*at, said);
                }
            }
        }
        if words.is_empty() {
            problems.add(at, format!("{}: none; leave the key out for all", fields.name("events")));
        }
    }
    let mut duration = |key: &'static str, usual, (least, most), words| {
        let Some((text, at)) = fields.text(key, problems) else { return usual };
        match compare::duration(&text) {
            Ok(time) if (least..=most).contains(&time) => return time,
            Ok(_) => problems.add(at, format!("{}: {words}, got {text}", fields.name(key))),
            Err(error) => problems.add(at, format!("{}: {error}", fields.name(key))),
        }
        usual
    };
    let expires = duration("expires", EXPIRES, (10 * SECOND, 24 * 60 * MINUTE), "from 10s to 24h");
    let timeout = duration("timeout", TIMEOUT, (SECOND, 30 * SECOND), "from 1s to 30s");
    let ca = fields.text("ca_file", problems).and_then(|(path, at)| {
        let name = fields.name("ca_file");
        read(&path, &name, at, look, problems)
    });
    Hook { name, url, secrets, topics, expires, timeout, ca }
}

/// The name of a hook or a rollout; empty where it is missing. `refused`: what else is wrong with one that can stand in a path.
pub(super) fn name_of(
    fields: &mut Fields<'_>,
    problems: &mut Problems,
    refused: impl Fn(&str) -> Option<&'static str>,
) -> String {
    let Some((name, at)) = fields.text("name", problems) else {
        problems.add(fields.at, format!("{} is missing", fields.name("name")));
        return String::new();
    };
    if !is_name(&name) {
        let words = format!("{}: 1 to 60 letters, digits, - and _ are needed, got `{name}`", fields.name("name"));
        problems.add(at, words);
    } else if let Some(words) = refused(&name) {
        problems.add(at, format!("{}: {words}", fields.name("name")));
    }
    name
}

/// A name that can stand in a path.
fn is_name(name: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    (1..=60).contains(&name.len()) && name.bytes().all(is_part)
}

fn read(path: &str, name: &str, at: Place, look: bool, problems: &mut Problems) -> Option<Vec<u8>> {
    if !look {
        return None;
    }
    match std::fs::read(Path::new(path)) {
        Ok(bytes) => Some(bytes),
        Err(error) => {
            problems.add(at, format!("{name}: {path} cannot be read: {error}"));
            None
        }
    }
}

/// The secret's text never gets into a message.
fn secrets(fields: &mut Fields<'_>, look: bool, problems: &mut Problems) -> Secrets {
    let (file, variable) = (fields.text("secret_file", problems), fields.text("secret_env", problems));
    if let Some(node) = fields.get("secret") {
        let words = format!(
            "{}: a secret does not belong into this file; write it into another and name that: secret_file",
            fields.name("secret")
        );
        problems.add(node.at, words);
    }
    let (text, name, at) = match (file, variable) {
        (Some((path, at)), None) => {
            let name = fields.name("secret_file");
            let text = read(&path, &name, at, look, problems).map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
            (text, name, at)
        }
        (None, Some((variable, at))) => {
            let name = fields.name("secret_env");
            let text = look.then(|| std::env::var(&variable).ok()).flatten();
            if look && text.is_none() {
                problems.add(at, format!("{name}: the environment has no {variable}"));
            }
            (text, name, at)
        }
        (Some(_), Some((_, at))) => {
            problems.add(at, format!("{}: either this or secret_file", fields.name("secret_env")));
            return Secrets(Vec::new());
        }
        (None, None) => {
            let name = fields.name("secret_file");
            problems.add(
                fields.at,
                format!("{name} or secret_env is missing: receivers know us by it (openssl rand -base64 32)"),
            );
            return Secrets(Vec::new());
        }
    };
    let Some(text) = text else { return Secrets(Vec::new()) };
    match parse_secrets(&text) {
        Ok(secrets) => secrets,
        Err(words) => {
            problems.add(at, format!("{name}: {words}"));
            Secrets(Vec::new())
        }
    }
}

/// Secrets as Standard Webhooks writes them, one a line.
pub(in crate::cli) fn parse_secrets(text: &str) -> Result<Secrets, &'static str> {
    let mut secrets = Vec::new();
    for word in text.split_whitespace() {
        let coded = word.strip_prefix("whsec_").ok_or("a secret begins with whsec_, and base64 follows")?;
        let bytes = STANDARD.decode(coded).map_err(|_| "what follows whsec_ is no base64")?;
        if !(24..=64).contains(&bytes.len()) {
            return Err("a secret has 24 to 64 bytes (openssl rand -base64 32)");
        }
        secrets.push(bytes);
    }
    match secrets.len() {
        0 => Err("no secret is there"),
        1..=SECRETS_MAX => Ok(Secrets(secrets)),
        _ => Err("at most 4 secrets"),
    }
}

/// Where a hook may lead: https anywhere, http to this machine.
fn target(url: &str) -> Result<(), String> {
    let uri: ureq::http::Uri = url.parse().map_err(|_| format!("`{url}` is no address; write https://HOST/PATH"))?;
    let host = uri.host().unwrap_or_default();
    if host.is_empty() {
        return Err(format!("`{url}` names no host; write https://HOST/PATH"));
    }
    if uri.authority().is_some_and(|authority| authority.as_str().contains('@')) {
        return Err("a password in an address would be shown in logs; the message is signed instead".to_owned());
    }
    match uri.scheme_str() {
        Some("https") => Ok(()),
        Some("http") if is_loopback(host) => Ok(()),
        Some("http") => Err("http leads to this machine alone (127.0.0.1, ::1, localhost); use https".to_owned()),
        _ => Err("https is needed, or http to this machine".to_owned()),
    }
}

fn is_loopback(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost")
        || host.parse::<Ipv4Addr>().is_ok_and(|address| address.is_loopback())
        || host.trim_matches(['[', ']']).parse::<Ipv6Addr>().is_ok_and(|address| address.is_loopback())
}
