//! What clouds and services hand out.

use serde_json::json;

use crate::model::Has::{AccessLog, Latency, Level, Log, Path, Service, Status, User, Version};
use crate::model::{Line, Shape, shape};

/// What an application writes, without a time.
fn said(l: &Line) -> String {
    json!({"status": l.status, "latency_ms": l.millis, "user": l.user, "version": l.version, "level": l.level("info", "error"), "path": l.path}).to_string()
}

pub(crate) const SHAPES: &[Shape] = &[
    shape(
        "Google Cloud, jsonPayload",
        "https://docs.cloud.google.com/logging/docs/reference/v2/rest/v2/LogEntry",
        &[Status, Latency, Level, User, Version, Service, Path],
        |l| {
            json!({"insertId": "42rbi3f3", "jsonPayload": {"status": l.status, "latency_ms": l.millis, "user": l.user, "version": l.version,
                "path": l.path, "message": "done"},
            "resource": {"type": "k8s_container", "labels": {"container_name": "shop", "pod_name": "shop-6d9f7c5b8-x2x4z", "namespace_name": "prod"}},
            "timestamp": l.utc(), "severity": l.level("INFO", "ERROR"), "logName": "projects/p/logs/stdout",
            "receiveTimestamp": "2026-06-01T11:00:00Z"})
        .to_string()
        },
    ),
    shape(
        "Google Cloud, textPayload",
        "https://docs.cloud.google.com/logging/docs/reference/v2/rest/v2/LogEntry",
        &[Log, Level],
        |l| {
            json!({"insertId": "42rbi3f3", "textPayload": "it is up", "resource": {"type": "k8s_container", "labels": {"container_name": "shop"}},
            "timestamp": l.utc(), "severity": l.level("DEFAULT", "ERROR").replace("DEFAULT", "INFO"), "logName": "projects/p/logs/stderr"})
        .to_string()
        },
    ),
    shape(
        "Google Cloud, textPayload with a line",
        "https://docs.cloud.google.com/logging/docs/reference/v2/rest/v2/LogEntry",
        &[Status, Latency, Level, User, Version, Path],
        |l| {
            json!({"insertId": "42rbi3f3", "textPayload": said(l), "resource": {"type": "k8s_container", "labels": {"container_name": "shop"}},
            "timestamp": l.utc(), "severity": "INFO", "logName": "projects/p/logs/stderr"})
        .to_string()
        },
    ),
    shape(
        "Google Cloud, httpRequest",
        "https://docs.cloud.google.com/logging/docs/reference/v2/rest/v2/LogEntry#HttpRequest",
        &[Status, Latency, Service, Version],
        |l| {
            json!({"httpRequest": {"requestMethod": "GET", "requestUrl": format!("https://shop.example.com{}", l.path), "status": l.status,
                "responseSize": "512", "remoteIp": l.client, "latency": format!("{}s", l.seconds()), "protocol": "HTTP/1.1"},
            "insertId": "42rbi3f3", "logName": "projects/p/logs/run.googleapis.com%2Frequests",
            "resource": {"type": "cloud_run_revision", "labels": {"service_name": "shop", "revision_name": l.version}},
            "severity": "INFO", "timestamp": l.utc(), "trace": "projects/p/traces/a1"})
        .to_string()
        },
    ),
    shape(
        "aws logs tail",
        "https://docs.aws.amazon.com/cli/latest/reference/logs/tail.html",
        &[Status, Latency, Level, User, Version, Path],
        |l| format!("{}000+00:00 ecs/shop/7f3e {}", l.stamp("T", "."), said(l)),
    ),
    shape(
        "aws logs tail --format short",
        "https://docs.aws.amazon.com/cli/latest/reference/logs/tail.html",
        &[Status, Latency, Level, User, Version, Path],
        |l| format!("{} {}", l.stamp("T", "."), said(l)),
    ),
    shape(
        "CloudWatch, filter-log-events",
        "https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_FilterLogEvents.html",
        &[Status, Latency, Level, User, Version, Path],
        |l| {
            json!({"logStreamName": "ecs/shop/7f3e", "timestamp": l.time / 1_000, "message": said(l), "ingestionTime": l.time / 1_000 + 900, "eventId": "3"})
            .to_string()
        },
    ),
    shape(
        "CloudWatch Insights",
        "https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/CWL_QuerySyntax.html",
        &[Status, Latency, Level, User, Version, Path],
        |l| {
            json!({"@timestamp": l.stamp(" ", "."), "@message": said(l), "@logStream": "ecs/shop/7f3e", "@ptr": "Cl4KJQ"}).to_string()
        },
    ),
    shape("Lambda's report", "https://docs.aws.amazon.com/lambda/latest/dg/python-logging.html", &[Latency], |l| {
        format!(
            "{}000+00:00 2026/06/01/[$LATEST]7f3e REPORT RequestId: 3604209a-e9a3-11e6-939a-754dd98c7be3\tDuration: {}.00 ms\tBilled Duration: 80 ms\tMemory Size: 128 MB\tMax Memory Used: 73 MB",
            l.stamp("T", "."),
            l.millis
        )
    }),
    shape("Lambda, Node", "https://docs.aws.amazon.com/lambda/latest/dg/nodejs-logging.html", &[Log, Level], |l| {
        format!("{}\t3604209a-e9a3-11e6-939a-754dd98c7be3\t{}\tit is up", l.utc(), l.level("INFO", "ERROR"))
    }),
    shape("Lambda, Python", "https://docs.aws.amazon.com/lambda/latest/dg/python-logging.html", &[Log, Level], |l| {
        format!("[{}]\t{}\t3604209a-e9a3-11e6-939a-754dd98c7be3\tit is up", l.level("INFO", "ERROR"), l.utc())
    }),
    shape(
        "Azure Monitor",
        "https://learn.microsoft.com/en-us/azure/azure-monitor/platform/resource-logs-schema",
        &[Status, Latency, Level, User, Version, Path],
        |l| {
            json!({"time": l.utc(), "resourceId": "/SUBSCRIPTIONS/1/X", "category": "AppLogs", "level": l.level("Informational", "Error"),
            "properties": {"status": l.status, "latency_ms": l.millis, "user": l.user, "version": l.version, "path": l.path}})
        .to_string()
        },
    ),
    shape(
        "Azure App Service",
        "https://learn.microsoft.com/en-us/azure/app-service/monitor-app-service-reference",
        &[Status, Latency, Path],
        |l| {
            json!({"time": l.utc(), "category": "AppServiceHTTPLogs", "resourceId": "/SUBSCRIPTIONS/1/X",
            "properties": {"CsHost": "shop", "CIp": l.client, "CsMethod": "GET", "CsUriStem": l.path, "ScStatus": l.status, "TimeTaken": l.millis,
                "UserAgent": "curl"}})
        .to_string()
        },
    ),
    shape(
        "heroku logs",
        "https://devcenter.heroku.com/articles/logging#log-format",
        &[Status, Latency, Level, User, Version, Path],
        |l| format!("{}+00:00 app[web.1]: {}", l.stamp("T", "."), said(l)),
    ),
    shape(
        "a drain of Heroku",
        "https://devcenter.heroku.com/articles/log-drains",
        &[Status, Latency, Level, User, Version, Path],
        |l| format!("83 <40>1 {}+00:00 host app web.1 - {}", l.stamp("T", "."), said(l)),
    ),
    shape(
        "an archive of Datadog",
        "https://docs.datadoghq.com/logs/log_configuration/archives/#format-of-the-archives",
        &[Status, Latency, Level, Service, User, Version, Path],
        |l| {
            json!({"_id": "AWmnePTgxAAAAABBBB", "date": l.utc(), "host": "web-1", "service": "shop", "source": "go", "status": l.level("info", "error"),
            "message": "done", "tags": ["env:prod", format!("version:{}", l.version)],
            "attributes": {"http": {"status_code": l.status, "method": "GET"}, "path": l.path, "duration_ms": l.millis, "usr": {"id": l.user}}})
        .to_string()
        },
    ),
    shape(
        "Datadog's API",
        "https://docs.datadoghq.com/api/latest/logs/#search-logs-post",
        &[Status, Latency, Level, Service, User, Version, Path],
        |l| {
            let attributes = json!({"timestamp": l.utc(), "service": "shop", "host": "web-1",
            "status": l.level("info", "error"), "message": "done", "tags": [format!("version:{}", l.version)],
            "attributes": {"status": l.status, "path": l.path, "duration_ms": l.millis, "user": l.user}});
            format!(r#"{{"id":"AAAAAWgN8Xwgr1vK","type":"log","attributes":{attributes}}}"#)
        },
    ),
    shape(
        "GELF",
        "https://go2docs.graylog.org/current/getting_in_log_data/gelf.html",
        &[Status, Latency, Level, User, Path],
        |l| {
            json!({"version": "1.1", "host": "web-1", "short_message": "done", "timestamp": l.time as f64 / 1e6, "level": if l.is_error() { 3 } else { 6 },
            "_status": l.status, "_duration_ms": l.millis, "_user": l.user, "_path": l.path})
        .to_string()
        },
    ),
    shape(
        "Fluent Bit",
        "https://docs.fluentbit.io/manual/data-pipeline/filters/kubernetes",
        &[Status, Latency, Level, Service, User, Version, Path],
        |l| {
            json!({"date": l.time as f64 / 1e6, "log": said(l), "stream": "stdout",
            "kubernetes": {"pod_name": "shop-6d9f7c5b8-x2x4z", "container_name": "shop", "labels": {"app": "shop"}}})
            .to_string()
        },
    ),
    shape(
        "Fluent Bit, an access log",
        "https://docs.fluentbit.io/manual/data-pipeline/filters/kubernetes",
        &[Status, User, Path, crate::model::Has::WholeSeconds, AccessLog],
        |l| {
            json!({"date": l.time as f64 / 1e6, "log": l.combined(), "stream": "stdout", "kubernetes": {"container_name": "nginx"}}).to_string()
        },
    ),
    shape(
        "Filebeat",
        "https://www.elastic.co/docs/reference/beats/filebeat/exported-fields",
        &[Status, Latency, Level, User, Version, Path],
        |l| {
            json!({"@timestamp": l.utc(), "@metadata": {"beat": "filebeat", "type": "_doc", "version": "8.13.0"}, "message": said(l),
            "log": {"offset": 77, "file": {"path": "/var/log/shop.log"}}, "input": {"type": "filestream"}, "ecs": {"version": "8.0.0"},
            "host": {"name": "web-1"}, "agent": {"type": "filebeat", "version": "8.13.0"}})
        .to_string()
        },
    ),
    shape(
        "Vector, kubernetes_logs",
        "https://vector.dev/docs/reference/configuration/sources/kubernetes_logs/",
        &[Status, Latency, Level, Service, User, Version, Path],
        |l| {
            json!({"file": "/var/log/pods/x/0.log", "kubernetes": {"container_name": "shop", "pod_name": "shop-6d9f7c5b8-x2x4z"}, "message": said(l),
            "source_type": "kubernetes_logs", "stream": "stdout", "timestamp": l.utc()})
        .to_string()
        },
    ),
    shape("Vector, file", "https://vector.dev/docs/reference/configuration/sources/file/", &[Log, Level], |l| {
        json!({"file": "/var/log/shop.log", "host": "web-1", "message": format!("{} {} it is up", l.utc(), l.level("INFO", "ERROR")),
            "source_type": "file", "timestamp": "2026-06-01T12:00:00Z"})
        .to_string()
    }),
];
