//! Kafka with TLS: a password (SCRAM), a token (OAUTHBEARER) and a client's certificate (mTLS), against a real node.
//!
//! `cargo test --features kafka-tls --test kafka tls::`; it needs `openssl` to make certificates.

use crate::common::node::{Node, is_ready, send};
use crate::common::running::{PATIENCE, Running, until};
use crate::common::{Line, Traffic, command, folder_with};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rdkafka::producer::Producer;
use serin::time::MINUTE;

#[test]
fn passwords_tokens_and_certificates_open_the_door_and_others_are_said() {
    if !is_ready() {
        return;
    }
    let folder = folder_with(&[]);
    let node = Node::start_tls(folder.path());
    node.create("t", 1, &[]);
    let producer = node.producer("t");
    let errors = vec![0.01, 0.25];
    let traffic = Traffic { seed: 61, requests: 6_000, users: 1_500, minutes: 20, errors, ..Traffic::default() };
    let mut lines = traffic.lines();
    lines.push(Line { at: lines.last().unwrap().at + 4 * MINUTE, ..lines[0].clone() });
    lines.iter().for_each(|line| send(&producer, "t", 0, Some(&line.text())));
    producer.flush(PATIENCE).unwrap();

    let ca = node.folder.join("ca.pem").display().to_string();
    let scram = format!(
        "security.protocol=SASL_SSL\nssl.ca.location={ca}\nsasl.mechanism=SCRAM-SHA-512\nsasl.username=serin\nsasl.password=${{SERIN_TEST_PASSWORD}}\n"
    );
    let part = |text: &str| URL_SAFE_NO_PAD.encode(text);
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let claims = format!("{{\"sub\":\"serin\",\"iat\":{now},\"exp\":{}}}", now + 3_600);
    std::fs::write(folder.path().join("token"), format!("{}.{}.\n", part("{\"alg\":\"none\"}"), part(&claims)))
        .unwrap();
    let oauth = format!(
        "security.protocol=SASL_SSL\nssl.ca.location={ca}\nsasl.mechanism=OAUTHBEARER\nsasl.oauthbearer.token.file={}\n",
        folder.path().join("token").display()
    );
    let mutual = format!(
        "security.protocol=SSL\nssl.ca.location={ca}\nssl.certificate.location={0}/client.pem\nssl.key.location={0}/client.key\n",
        node.folder.display()
    );
    let start = |name: &str, text: &str, brokers: &str, password: &str| {
        let path = folder.path().join(format!("{name}.properties"));
        std::fs::write(&path, text).unwrap();
        let path = path.display().to_string();
        let mut program = command();
        program.env("SERIN_TEST_PASSWORD", password);
        // Each owns the topic in its own eyes: the group is joined by the same way as topics are read.
        let arguments = ["--brokers", brokers, "--topic", "t", "--idle", "2s", "--kafka-properties", &path];
        let arguments = [&arguments[..], &["--group", name]].concat();
        Running::start_by(program, &arguments, &folder.path().join(format!("state-{name}")))
    };
    let (sasl, ssl) = (format!("localhost:{}", node.sasl), format!("localhost:{}", node.ssl));
    for (name, text, brokers) in [("scram", &scram, &sasl), ("oauth", &oauth, &sasl), ("mutual", &mutual, &ssl)] {
        let running = start(name, text, brokers, "serin-secret");
        let report = running.settled(|report| report["records"]["read"].as_u64() >= Some(lines.len() as u64));
        assert_eq!((&report["records"]["read"], &report["verdict"]), (&lines.len().into(), &"fail".into()), "{name}");
    }
    // A wrong password, and no certificate.
    let bare = format!("security.protocol=SSL\nssl.ca.location={ca}\n");
    for (name, text, brokers) in [("wrong", &scram, &sasl), ("bare", &bare, &ssl)] {
        let running = start(name, text, brokers, "another");
        until("it says that it waits", || {
            let (_, body) = running.ask("/healthz", &running.address)?;
            (body.contains("no broker answers yet") || body.contains("refuse the login")).then_some(())
        });
        let said = running.said.lock().unwrap().join("\n");
        assert!(!said.contains("another") && !said.contains("serin-secret"), "{said}");
    }
}
