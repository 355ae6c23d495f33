//! Access logs of servers and proxies.

use serde_json::json;

use crate::model::Has::{AccessLog, Latency, Path, Service, Status, User, WholeSeconds};
use crate::model::{Shape, shape};

pub(crate) const SHAPES: &[Shape] = &[
    shape(
        "Apache combined",
        "https://httpd.apache.org/docs/2.4/logs.html",
        &[Status, User, Path, WholeSeconds, AccessLog],
        |l| l.combined(),
    ),
    shape(
        "Apache vhost_combined",
        "https://httpd.apache.org/docs/2.4/mod/mod_log_config.html",
        &[Status, User, Path, WholeSeconds, AccessLog],
        |l| format!("shop.example.com:443 {}", l.combined()),
    ),
    shape(
        "nginx with its times",
        "https://nginx.org/en/docs/http/ngx_http_log_module.html",
        &[Status, User, Latency, Path, WholeSeconds, AccessLog],
        |l| format!("{} rt={} uct=\"0.000\" uht=\"0.001\" urt=\"0.001\"", l.combined(), l.seconds()),
    ),
    shape(
        "ingress-nginx",
        "https://kubernetes.github.io/ingress-nginx/user-guide/nginx-configuration/log-format/",
        &[Status, User, Latency, Path, WholeSeconds, AccessLog],
        |l| {
            format!(
                "{} 462 {} [default-shop-80] [] 10.1.0.4:8080 512 {} {} 4f5e8c",
                l.combined(),
                l.seconds(),
                l.seconds(),
                l.status
            )
        },
    ),
    shape(
        "Envoy",
        "https://www.envoyproxy.io/docs/envoy/latest/configuration/observability/access_log/usage#default-format-string",
        &[Status, Latency, Path, AccessLog],
        |l| {
            format!(
                r#"[{}] "{}" {} - 0 154 {} 3 "{}" "curl/8.5.0" "4f5e-8c" "shop.example.com" "10.1.0.4:8080""#,
                l.begun().utc(),
                l.request(),
                l.status,
                l.millis,
                l.client
            )
        },
    ),
    shape(
        "Istio",
        "https://istio.io/latest/docs/tasks/observability/logs/access-log/",
        &[Status, Latency, Path, Service, AccessLog],
        |l| {
            format!(
                r#"[{}] "{}" {} - via_upstream - "-" 0 135 {} 3 "-" "curl/8.5.0" "4f5e-8c" "shop:8000" "10.44.1.27:80" outbound|8000||shop 10.44.1.23:37652 10.0.45.184:8000 {}:46520 - default"#,
                l.begun().utc(),
                l.request(),
                l.status,
                l.millis,
                l.client
            )
        },
    ),
    shape(
        "Istio JSON",
        "https://istio.io/latest/docs/tasks/observability/logs/access-log/",
        &[Status, Latency, Path, Service, AccessLog],
        |l| {
            json!({"start_time": l.begun().utc(), "method": "GET", "path": l.path, "protocol": "HTTP/1.1", "response_code": l.status,
            "response_flags": "-", "bytes_received": 0, "bytes_sent": 135, "duration": l.millis, "upstream_service_time": "3",
            "x_forwarded_for": null, "user_agent": "curl/8.5.0", "request_id": "4f5e-8c", "authority": "shop:8000",
            "upstream_host": "10.44.1.27:80", "upstream_cluster": "outbound|8000||shop", "downstream_remote_address": format!("{}:46520", l.client)})
        .to_string()
        },
    ),
    shape(
        "AWS application load balancer",
        "https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-access-logs.html",
        &[Status, Latency, Path, AccessLog],
        |l| {
            format!(
                r#"https {} app/my-lb/50dc6c495c0c9188 {}:2817 10.0.0.1:80 0.001 0.{:03} 0.001 {} {} 34 366 "GET https://shop.example.com:443{} HTTP/1.1" "curl/7.46.0" ECDHE-RSA-AES128-GCM-SHA256 TLSv1.2 arn:aws:x "Root=1-58337262-36d228ad5d99923122bbe354" "shop.example.com" "arn:aws:y" 1 2018-07-02T22:22:48.364000Z "authenticate,forward" "-" "-" "10.0.0.1:80" "200" "-" "-""#,
                l.utc(),
                l.client,
                l.millis - 2,
                l.status,
                l.status,
                l.path
            )
        },
    ),
    shape(
        "AWS classic load balancer",
        "https://docs.aws.amazon.com/elasticloadbalancing/latest/classic/access-log-collection.html",
        &[Status, Latency, Path, AccessLog],
        |l| {
            format!(
                r#"{} my-loadbalancer {}:2817 10.0.0.1:80 0.001000 0.{:03}000 0.001000 {} {} 0 29 "GET http://shop.example.com:80{} HTTP/1.1" "curl/7.38.0" - -"#,
                // When it received the request.
                l.begun().utc(),
                l.client,
                l.millis - 2,
                l.status,
                l.status,
                l.path
            )
        },
    ),
    shape(
        "HAProxy",
        "https://docs.haproxy.org/3.0/configuration.html#8.2.3",
        &[Status, Latency, Path, AccessLog],
        |l| {
            let begun = l.begun();
            format!(
                r#"{}:33317 [01/Jun/2026:{}] http-in static/srv1 1/0/1/3/{} {} 2750 - - ---- 1/1/1/1/0 0/0 {{1wt.eu}} {{}} "{}""#,
                l.client,
                &begun.stamp("T", ".")[11..],
                l.millis,
                l.status,
                l.request()
            )
        },
    ),
    shape(
        "HAProxy over syslog",
        "https://docs.haproxy.org/3.0/configuration.html#8.2.3",
        &[Status, Latency, Path, WholeSeconds, AccessLog],
        |l| {
            let begun = l.begun();
            format!(
                r#"Jun  1 {} lb-1 haproxy[77]: {}:33317 [01/Jun/2026:{}] http-in~ static/srv1 1/0/1/3/{} {} 2750 - - ---- 1/1/1/1/0 0/0 "{}""#,
                l.clock(),
                l.client,
                &begun.stamp("T", ".")[11..],
                l.millis,
                l.status,
                l.request()
            )
        },
    ),
    shape(
        "Traefik common",
        "https://doc.traefik.io/traefik/observability/access-logs/",
        &[Status, User, Latency, Path, WholeSeconds, AccessLog],
        |l| format!(r#"{} 17 "shop@docker" "http://10.1.0.4:8080" {}ms"#, l.combined(), l.millis),
    ),
    shape(
        "Traefik JSON",
        "https://doc.traefik.io/traefik/observability/access-logs/",
        &[Status, Latency, Path, WholeSeconds, AccessLog],
        |l| {
            json!({"ClientAddr": format!("{}:5123", l.client), "ClientHost": l.client, "DownstreamStatus": l.status, "Duration": l.millis * 1_000_000,
            "OriginStatus": l.status, "RequestMethod": "GET", "RequestPath": l.path, "RouterName": "shop@docker", "level": "info", "msg": "",
            "time": format!("{}Z", l.second())})
        .to_string()
        },
    ),
    shape("Caddy", "https://caddyserver.com/docs/caddyfile/directives/log", &[Status, Latency, Path, AccessLog], |l| {
        json!({"level": "info", "ts": l.time as f64 / 1e6, "logger": "http.log.access", "msg": "handled request",
            "request": {"remote_ip": l.client, "remote_port": "41342", "client_ip": l.client, "proto": "HTTP/2.0", "method": "GET",
                "host": "localhost", "uri": l.path, "headers": {"User-Agent": ["curl/7.82.0"]}},
            "bytes_read": 0, "user_id": "", "duration": l.millis as f64 / 1e3, "size": 10_900, "status": l.status, "resp_headers": {}})
        .to_string()
    }),
    Shape {
        head: Some(
            "#Fields: date time s-ip cs-method cs-uri-stem cs-uri-query s-port cs-username c-ip cs(User-Agent) sc-status time-taken",
        ),
        ..shape(
            "IIS",
            "https://learn.microsoft.com/en-us/windows/win32/http/w3c-logging",
            &[Status, Latency, User, Path, WholeSeconds, AccessLog],
            |l| {
                format!(
                    "{} 10.1.0.4 GET {} - 80 {} {} curl/8.5.0 {} {}",
                    l.second().replace('T', " "),
                    l.path,
                    l.user,
                    l.client,
                    l.status,
                    l.millis
                )
            },
        )
    },
    Shape {
        head: Some(
            "#Fields: date time x-edge-location sc-bytes c-ip cs-method cs(Host) cs-uri-stem sc-status cs(Referer) cs(User-Agent) cs-uri-query time-taken",
        ),
        ..shape(
            "CloudFront",
            "https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/standard-logs-reference.html",
            &[Status, Latency, Path, WholeSeconds, AccessLog],
            |l| {
                format!(
                    "{}\tLAX1\t392\t{}\tGET\td111.cloudfront.net\t{}\t{}\t-\tMozilla/5.0%20(X11)\t-\t{}",
                    l.second().replace('T', "\t"),
                    l.client,
                    l.path,
                    l.status,
                    l.seconds()
                )
            },
        )
    },
    shape(
        "Heroku's router",
        "https://devcenter.heroku.com/articles/http-routing#heroku-router-log-format",
        &[Status, Latency, Path, AccessLog],
        |l| {
            format!(
                r#"{} heroku[router]: at=info method=GET path="{}" host=shop.herokuapp.com request_id=8601b555 fwd="{}" dyno=web.1 connect=0ms service={}ms status={} bytes=512 protocol=https"#,
                l.utc(),
                l.path,
                l.client,
                l.millis,
                l.status
            )
        },
    ),
];
