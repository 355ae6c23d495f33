//! What tools and collectors put around a line, and forms that programs share.

use serde_json::{Value, json};

use crate::model::Has::{Latency, Level, Log, Path, Service, Status, User, Version, WholeSeconds};
use crate::model::{Has, Line, Shape, shape};

const ALL: &[Has] = &[Status, Latency, Level, User, Version, Path];

/// What an application writes, without a time.
fn said(l: &Line) -> String {
    json!({"status": l.status, "latency_ms": l.millis, "user": l.user, "version": l.version, "level": l.level("info", "error"), "path": l.path}).to_string()
}

/// The same with its time.
fn told(l: &Line) -> String {
    said(l).replacen('{', &format!("{{\"ts\":\"{}\",", l.utc()), 1)
}

fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

pub(crate) const SHAPES: &[Shape] = &[
    shape("kubectl logs --prefix", "https://kubernetes.io/docs/reference/kubectl/generated/kubectl_logs/", ALL, |l| {
        format!("[pod/shop-6d9f7c5b8-x2x4z/shop] {}", told(l))
    }),
    shape(
        "kubectl logs --timestamps",
        "https://kubernetes.io/docs/reference/kubectl/generated/kubectl_logs/",
        ALL,
        |l| format!("{} {}", l.utc(), said(l)),
    ),
    shape(
        "kubectl logs --prefix of an access log",
        "https://kubernetes.io/docs/reference/kubectl/generated/kubectl_logs/",
        &[Status, User, Path, WholeSeconds, Has::AccessLog],
        |l| format!("[pod/shop-6d9f7c5b8-x2x4z/nginx] {}", l.combined()),
    ),
    shape(
        "container runtimes (CRI)",
        "https://github.com/kubernetes/design-proposals-archive/blob/main/node/kubelet-cri-logging.md",
        ALL,
        |l| format!("{} stdout F {}", l.utc(), said(l)),
    ),
    shape(
        "CRI of an access log",
        "https://github.com/kubernetes/design-proposals-archive/blob/main/node/kubelet-cri-logging.md",
        &[Status, User, Path, WholeSeconds, Has::AccessLog],
        |l| format!("{} stdout F {}", l.utc(), l.combined()),
    ),
    shape("docker json-file", "https://docs.docker.com/engine/logging/drivers/json-file/", ALL, |l| {
        format!("{{\"log\":{},\"stream\":\"stdout\",\"time\":{}}}", quoted(&(said(l) + "\n")), quoted(&l.utc()))
    }),
    shape(
        "docker compose logs",
        "https://docs.docker.com/reference/cli/docker/compose/logs/",
        &[Status, Latency, Level, User, Version, Path, Service],
        |l| format!("shop-1  | {}", told(l)),
    ),
    shape("logcli", "https://grafana.com/docs/loki/latest/query/logcli/", ALL, |l| {
        format!("{{\"labels\":{{\"job\":\"shop\"}},\"line\":{},\"timestamp\":{}}}", quoted(&said(l)), quoted(&l.utc()))
    }),
    shape("kcat", "https://github.com/edenhill/kcat", ALL, |l| {
        format!(
            "{{\"topic\":\"t\",\"partition\":0,\"offset\":1,\"tstype\":\"create\",\"ts\":1,\"broker\":0,\"key\":null,\"payload\":{}}}",
            quoted(&told(l))
        )
    }),
    shape(
        "hits of Elasticsearch",
        "https://www.elastic.co/docs/api/doc/elasticsearch/operation/operation-search",
        ALL,
        |l| format!("{{\"_index\":\"logs\",\"_id\":\"1\",\"_score\":1.0,\"_source\":{}}}", told(l)),
    ),
    shape(
        "journalctl",
        "https://www.freedesktop.org/software/systemd/man/latest/systemd.journal-fields.html",
        &[Status, Latency, Level, User, Version, Path, Service],
        |l| {
            format!(
                "{{\"_HOSTNAME\":\"web-1\",\"__REALTIME_TIMESTAMP\":\"{}\",\"PRIORITY\":\"6\",\"SYSLOG_IDENTIFIER\":\"shop\",\"MESSAGE\":{}}}",
                l.time,
                quoted(&said(l))
            )
        },
    ),
    shape(
        "syslog (RFC 5424)",
        "https://www.rfc-editor.org/rfc/rfc5424",
        &[Status, Latency, Level, User, Version, Path, Service],
        |l| format!("<14>1 {} web-1 shop 77 - - {}", l.utc(), said(l)),
    ),
    shape(
        "syslog (RFC 3164)",
        "https://www.rfc-editor.org/rfc/rfc3164",
        &[Status, Latency, Level, User, Version, Path, Service, WholeSeconds],
        |l| format!("<14>Jun  1 {} web-1 shop[77]: {}", l.clock(), said(l)),
    ),
    shape(
        "syslog-ng's format-json",
        "https://syslog-ng.github.io/admin-guide/110_Template_and_rewrite/000_Customize_message_format/005_Template_functions/format-json",
        &[Status, Latency, Level, User, Version, Path, Service],
        |l| {
            format!(
                "{{\"PROGRAM\":\"shop\",\"PRIORITY\":\"notice\",\"MESSAGE\":{},\"ISODATE\":{},\"HOST\":\"web-1\",\"FACILITY\":\"user\"}}",
                quoted(&said(l)),
                quoted(&l.utc())
            )
        },
    ),
    shape(
        "rsyslog with a template of JSON",
        "https://www.rsyslog.com/doc/configuration/templates.html",
        &[Status, Latency, Level, User, Version, Path],
        |l| {
            format!(
                "{{\"@timestamp\":{}, \"host\":\"web-1\", \"severity\":\"notice\", \"facility\":\"user\", \"tag\":\"shop:\", \"message\":{}}}",
                quoted(&l.utc()),
                quoted(&said(l))
            )
        },
    ),
    shape(
        "/var/log/syslog",
        "https://www.rsyslog.com/doc/configuration/templates.html",
        &[Log, Service, WholeSeconds],
        |l| format!("Jun  1 {} web-1 shop[77]: it is up", l.clock()),
    ),
    shape(
        "rsyslog with times in full",
        "https://www.rsyslog.com/doc/configuration/templates.html",
        &[Log, Service],
        |l| format!("{} web-1 shop[77]: it is up", l.utc()),
    ),
    Shape {
        head: Some("Timestamp,Level,Status,duration_ms,User,Version,Path,Message"),
        ..shape("CSV with a header", "https://www.rfc-editor.org/rfc/rfc4180", ALL, |l| {
            format!(
                "{},{},{},{},{},{},{},\"it, \"\"it\"\" is done\"",
                l.utc(),
                l.level("info", "error"),
                l.status,
                l.millis,
                l.user,
                l.version,
                l.path
            )
        })
    },
    Shape {
        head: Some("time\tstatus\tlatency_ms\tpath"),
        ..shape(
            "TSV with a header",
            "https://www.iana.org/assignments/media-types/text/tab-separated-values",
            &[Status, Latency, Path],
            |l| format!("{}\t{}\t{}\t{}", l.stamp(" ", "."), l.status, l.millis, l.path),
        )
    },
    shape("logfmt", "https://brandur.org/logfmt", ALL, |l| {
        format!(
            "ts={} level={} status={} latency_ms={} user={} version={} path={}",
            l.utc(),
            l.level("info", "error"),
            l.status,
            l.millis,
            l.user,
            l.version,
            l.path
        )
    }),
];
