//! How brokers are spoken to: options of the client, what it tells by itself, and tokens.

use std::collections::{BTreeMap, VecDeque};
use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rdkafka::ClientContext;
use rdkafka::client::OAuthToken;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::KafkaError;
use rdkafka::statistics::Statistics;
use rdkafka::topic_partition_list::TopicPartitionList;
use rdkafka::types::RDKafkaRespErr;

use crate::source::kafka::KafkaSourceError;

/// Our own key: a file with the token of OAUTHBEARER. It is read again whenever the token is about to end.
const TOKEN_FILE: &str = "sasl.oauthbearer.token.file";
/// Keys of which what is read depends, and which nobody else may set.
const OWN: [&str; 13] = [
    "group.id",
    "group.instance.id",
    "group.protocol",
    "partition.assignment.strategy",
    "enable.auto.commit",
    "enable.auto.offset.store",
    "enable.partition.eof",
    "auto.offset.reset",
    "isolation.level",
    "check.crcs",
    "statistics.interval.ms",
    "allow.auto.create.topics",
    "plugin.library.paths",
];
/// Bytes of a file of properties or of a token.
const FILE_BYTES: u64 = 1 << 20;
/// How often the client tells how far partitions go, in milliseconds.
const STATISTICS: &str = "2000";
/// How often a client asks what there is of its topic, in milliseconds: a topic that was made anew is seen so.
const METADATA: &str = "5000";
/// How long a member of a group may be silent before another takes over, in milliseconds: short, and longer than the pauses that a busy
/// machine or a coordinator that moves to another broker makes. Brokers allow 6,000 and more.
const SESSION: &str = "10000";
/// Most between two attempts of a member to reach a broker, in milliseconds: well below [`SESSION`], so that a broker that was away for a
/// moment finds its members there.
const RECONNECT: &str = "1000";
/// How long a token is taken to be good that does not say so.
const TOKEN_LIFE: Duration = Duration::from_secs(60);

/// Why brokers cannot be spoken to as asked.
#[derive(Debug, thiserror::Error)]
pub enum ConnectionError {
    /// A file cannot be read.
    #[error("{0}: cannot be read: {1}")]
    File(String, std::io::Error),
    /// A line is no property.
    #[error("{0}:{1}: {2}")]
    Line(String, usize, String),
}

/// How brokers are spoken to. It is never shown: it may hold a password.
#[derive(Clone, Default)]
pub struct Connection {
    brokers: String,
    properties: Vec<(String, String)>,
    token_file: Option<PathBuf>,
}

impl Connection {
    /// Brokers without TLS and without a password.
    pub fn plain(brokers: &str) -> Connection {
        Connection { brokers: brokers.to_owned(), ..Connection::default() }
    }

    /// The same with the properties of a file: `key=value` lines with the names of librdkafka, `#` before a comment, `${NAME}` for what
    /// an environment variable holds.
    ///
    /// # Errors
    /// A file that cannot be read, or a line that is none; what a property says is checked by the client.
    pub fn with_file(brokers: &str, path: &Path) -> Result<Connection, ConnectionError> {
        let shown = path.display().to_string();
        let text = read(path).map_err(|error| ConnectionError::File(shown.clone(), error))?;
        let environment = |name: &str| std::env::var(name).ok();
        let mut connection = Connection::plain(brokers);
        let properties = properties(&text, &environment)
            .map_err(|(line, words)| ConnectionError::Line(shown.clone(), line, words))?;
        for (key, value) in properties {
            if key == TOKEN_FILE {
                connection.token_file = Some(value.into())
            } else {
                connection.properties.push((key, value))
            }
        }
        Ok(connection)
    }

    /// A client that reads by hand: no group is joined, and nothing is committed.
    pub(super) fn consumer(&self) -> Result<Client, KafkaSourceError> {
        // The client wants a name even where no group is joined.
        let config = self.config(&[("group.id", "serin"), ("statistics.interval.ms", STATISTICS)], &[]);
        self.client(&config)
    }

    /// A client that is a member of a group and reads nothing; and how long it may be silent.
    pub(super) fn member(&self, group: &str, instance: &str) -> Result<(Client, Duration), KafkaSourceError> {
        let own = [
            ("group.id", group),
            ("group.instance.id", instance),
            // Others are asked who they are, which brokers tell of this protocol alone.
            ("group.protocol", "classic"),
            ("partition.assignment.strategy", "range"),
        ];
        let config = self.config(&own, &[("session.timeout.ms", SESSION), ("reconnect.backoff.max.ms", RECONNECT)]);
        let session = config.get("session.timeout.ms").and_then(|text| text.parse().ok()).unwrap_or(10_000);
        Ok((self.client(&config)?, Duration::from_millis(session)))
    }

    /// What every client is told. `defaults` give way to what the user has said, `own` does not.
    fn config(&self, own: &[(&str, &str)], defaults: &[(&str, &str)]) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.brokers).set("client.id", "serin");
        for (key, value) in defaults {
            config.set(*key, *value);
        }
        for (key, value) in &self.properties {
            config.set(key, value);
        }
        for (key, value) in own {
            config.set(*key, *value);
        }
        config
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("enable.partition.eof", "true")
            // Records that were deleted before they were read are an error, and looked into: never a gap without a word.
            .set("auto.offset.reset", "error")
            .set("check.crcs", "true")
            .set("topic.metadata.refresh.interval.ms", METADATA)
            .set_log_level(RDKafkaLogLevel::Emerg);
        config
    }

    fn client(&self, config: &ClientConfig) -> Result<Client, KafkaSourceError> {
        config
            .create_with_context(Told { token_file: self.token_file.clone(), ..Told::default() })
            .map_err(|error| KafkaSourceError::Client(with_hint(error)))
    }
}

/// Says what is missing where this build has no TLS.
fn with_hint(error: KafkaError) -> String {
    let words = error.to_string();
    if words.contains("OpenSSL not available")
        || words.contains("not built with")
        || words.contains("No provider for SASL")
    {
        return format!("{words}: this needs a build with the feature kafka-tls");
    }
    words
}

fn read(path: &Path) -> std::io::Result<String> {
    use std::io::Read;
    let mut text = String::new();
    std::fs::File::open(path)?.take(FILE_BYTES).read_to_string(&mut text)?;
    Ok(text)
}

/// Reads a file of properties. The error: the line, from 1, and what is wrong there.
fn properties(
    text: &str,
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<Vec<(String, String)>, (usize, String)> {
    let mut list = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let wrong = |words: String| (number + 1, words);
        let (key, value) = line.split_once('=').ok_or_else(|| wrong("write KEY=VALUE".to_owned()))?;
        let (key, value) = (key.trim(), value.trim());
        if OWN.contains(&key) || key == "bootstrap.servers" {
            return Err(wrong(format!("{key} is not for anybody to set")));
        }
        list.push((key.to_owned(), filled(value, environment).map_err(wrong)?));
    }
    Ok(list)
}

/// A value with what environment variables hold.
fn filled(value: &str, environment: &dyn Fn(&str) -> Option<String>) -> Result<String, String> {
    let mut out = String::new();
    let mut rest = value;
    while let Some((before, after)) = rest.split_once("${") {
        let (name, behind) = after.split_once('}').ok_or("`${` without `}`")?;
        out.push_str(before);
        out.push_str(&environment(name).ok_or_else(|| format!("the environment has no {name}"))?);
        rest = behind;
    }
    out.push_str(rest);
    Ok(out)
}

/// What a client tells by itself.
#[derive(Debug, Default)]
pub(super) struct Told {
    /// The broker's end of each partition, as it was told last.
    pub ends: Mutex<BTreeMap<i32, i64>>,
    /// What came of the group that it is a member of, and was not taken.
    rebalanced: Mutex<VecDeque<Rebalanced>>,
    token_file: Option<PathBuf>,
}

/// What comes of a group.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Rebalanced {
    /// It has a new round, and this client is in it.
    In,
    /// Its round is over; `lost`: this client was not in it any more.
    Out { lost: bool },
}

impl Told {
    /// The broker's end of a partition.
    pub(super) fn end(&self, partition: i32) -> Option<i64> {
        self.ends.lock().unwrap_or_else(PoisonError::into_inner).get(&partition).copied()
    }

    /// What came of the group next.
    pub(super) fn rebalanced(&self) -> Option<Rebalanced> {
        self.rebalanced.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }
}

impl ClientContext for Told {
    const ENABLE_REFRESH_OAUTH_TOKEN: bool = true;

    fn log(&self, _: RDKafkaLogLevel, _: &str, _: &str) {}

    fn stats(&self, statistics: Statistics) {
        let partitions = statistics.topics.into_values().flat_map(|topic| topic.partitions);
        let ends = partitions.filter(|(_, of)| of.hi_offset >= 0).map(|(partition, of)| (partition, of.hi_offset));
        self.ends.lock().unwrap_or_else(PoisonError::into_inner).extend(ends);
    }

    fn error(&self, _: KafkaError, _: &str) {}

    fn generate_oauth_token(&self, _: Option<&str>) -> Result<OAuthToken, Box<dyn Error>> {
        let path = self.token_file.as_deref().ok_or_else(|| format!("no {TOKEN_FILE}"))?;
        let token = read(path).map_err(|error| format!("{}: {error}", path.display()))?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Ok(oauth_token(token.trim(), now))
    }
}

impl ConsumerContext for Told {
    /// Whatever partitions the group gives are not read: each topic has a client of its own that reads.
    fn rebalance(&self, client: &BaseConsumer<Self>, what: RDKafkaRespErr, _: &mut TopicPartitionList) {
        let (came, done) = if what == RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS {
            (Rebalanced::In, client.assign(&TopicPartitionList::new()))
        } else {
            // Afterwards it is not known any more.
            let lost = client.assignment_lost();
            (Rebalanced::Out { lost }, client.unassign())
        };
        // A client that is being closed takes no assignment.
        let _closing = done;
        self.rebalanced.lock().unwrap_or_else(PoisonError::into_inner).push_back(came);
    }
}

/// What a token says of itself (RFC 7519: `sub`, `exp`).
fn oauth_token(token: &str, now: Duration) -> OAuthToken {
    let claims = token.split('.').nth(1).and_then(|part| URL_SAFE_NO_PAD.decode(part.trim_end_matches('=')).ok());
    let claims: serde_json::Value = claims.and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default();
    let until = claims.get("exp").and_then(serde_json::Value::as_f64).map(Duration::try_from_secs_f64);
    let until = until.and_then(Result::ok).unwrap_or(now + TOKEN_LIFE);
    OAuthToken {
        token: token.to_owned(),
        principal_name: claims.get("sub").and_then(serde_json::Value::as_str).unwrap_or("serin").to_owned(),
        lifetime_ms: i64::try_from(until.as_millis()).unwrap_or(i64::MAX),
    }
}

/// A client that reads by hand.
pub(super) type Client = BaseConsumer<Told>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn properties_are_read_with_what_the_environment_holds() {
        let environment = |name: &str| (name == "SECRET").then(|| "a=b".to_owned());
        let text = "# how\nsecurity.protocol = SASL_SSL\n\nsasl.password=x${SECRET}y\n";
        let read = properties(text, &environment).unwrap();
        let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        assert_eq!(read, [pair("security.protocol", "SASL_SSL"), pair("sasl.password", "xa=by")]);
        for (text, line) in
            [("a=1\nb", 2), ("a=${NONE}", 1), ("a=${", 1), ("group.instance.id=x", 1), ("bootstrap.servers=x", 1)]
        {
            assert_eq!(properties(text, &environment).unwrap_err().0, line, "{text}");
        }
    }

    #[test]
    fn a_token_says_whose_it_is_and_until_when() {
        let claims = URL_SAFE_NO_PAD.encode(r#"{"sub":"alice","exp":1700000000.5}"#);
        let token = oauth_token(&format!("x.{claims}."), Duration::from_secs(5));
        assert_eq!((token.principal_name.as_str(), token.lifetime_ms), ("alice", 1_700_000_000_500));
        let token = oauth_token("opaque", Duration::from_secs(5));
        assert_eq!((token.principal_name.as_str(), token.lifetime_ms), ("serin", 65_000));
    }
}
