//! What loggers of programs write.

use serde_json::json;

use crate::model::Has::{AccessLog, Latency, Level, Log, NoTime, Path, Service, Status, User, Version, WholeSeconds};
use crate::model::{Shape, shape};

pub(crate) const SHAPES: &[Shape] = &[
    shape("pino-http", "https://github.com/pinojs/pino-http", &[Status, Latency, Level, Path], |l| {
        json!({"level": if l.is_error() { 50 } else { 30 }, "time": l.time / 1_000, "pid": 7, "hostname": "web-1",
            "req": {"id": 1, "method": "GET", "url": l.path, "remoteAddress": l.client}, "res": {"statusCode": l.status},
            "responseTime": l.millis, "msg": "request completed"})
        .to_string()
    }),
    shape("pino", "https://getpino.io/#/docs/api", &[Log, Level], |l| {
        json!({"level": if l.is_error() { 50 } else { 30 }, "time": l.time / 1_000, "pid": 7, "hostname": "web-1", "msg": "it is up"})
            .to_string()
    }),
    shape("bunyan", "https://github.com/trentm/node-bunyan", &[Status, Level, Service, Path], |l| {
        json!({"name": "shop", "hostname": "web-1", "pid": 7, "level": if l.is_error() { 50 } else { 30 },
            "req": {"method": "GET", "url": l.path, "remoteAddress": l.client}, "res": {"statusCode": l.status},
            "msg": "done", "time": l.utc(), "v": 0})
        .to_string()
    }),
    shape("winston", "https://github.com/winstonjs/winston", &[Log, Level, Service], |l| {
        json!({"level": l.level("info", "error"), "message": "it is up", "service": "shop", "timestamp": l.utc()})
            .to_string()
    }),
    shape("zap", "https://pkg.go.dev/go.uber.org/zap", &[Status, Latency, Level, Path], |l| {
        json!({"level": l.level("info", "error"), "ts": l.time as f64 / 1e6, "caller": "shop/main.go:12", "msg": "done",
            "method": "GET", "path": l.path, "status": l.status, "duration": l.millis as f64 / 1e3})
        .to_string()
    }),
    shape("zerolog", "https://github.com/rs/zerolog", &[Status, Latency, Level, WholeSeconds], |l| {
        json!({"level": l.level("info", "error"), "method": "GET", "url": l.path, "status": l.status, "duration_ms": l.millis,
            "time": format!("{}Z", l.second()), "message": "done"})
        .to_string()
    }),
    shape("logrus JSON", "https://github.com/sirupsen/logrus", &[Status, Level, WholeSeconds, User], |l| {
        json!({"level": l.level("info", "error"), "msg": "done", "status": l.status, "user_id": l.user,
            "time": format!("{}+02:00", l.second().replace("T10:", "T12:"))})
        .to_string()
    }),
    shape("logrus text", "https://github.com/sirupsen/logrus", &[Status, Level, WholeSeconds], |l| {
        format!(r#"time="{}Z" level={} msg="it is done" status={}"#, l.second(), l.level("info", "error"), l.status)
    }),
    shape("slog JSON", "https://pkg.go.dev/log/slog", &[Status, Latency, Level, User, Version], |l| {
        json!({"time": l.utc(), "level": l.level("INFO", "ERROR"), "msg": "request", "status": l.status,
            "duration_ms": l.millis, "user": l.user, "version": l.version})
        .to_string()
    }),
    shape("slog text", "https://pkg.go.dev/log/slog", &[Status, Latency, Level, User, Version], |l| {
        format!(
            r#"time={} level={} msg="it is done" status={} duration_ms={} user={} version={}"#,
            l.utc(),
            l.level("INFO", "ERROR"),
            l.status,
            l.millis,
            l.user,
            l.version
        )
    }),
    shape("structlog", "https://www.structlog.org/en/stable/", &[Status, Latency, Level], |l| {
        json!({"event": "request", "level": l.level("info", "error"), "timestamp": l.utc(), "status": l.status, "duration_ms": l.millis})
            .to_string()
    }),
    shape("python-json-logger", "https://nhairs.github.io/python-json-logger/latest/", &[Log, Level], |l| {
        json!({"asctime": l.stamp(" ", ","), "levelname": l.level("INFO", "ERROR"), "name": "shop.cart", "message": "it is up"}).to_string()
    }),
    shape(
        "log4j2 JsonLayout",
        "https://logging.apache.org/log4j/2.x/manual/json-layout.html",
        &[Log, Level, WholeSeconds],
        |l| {
            json!({"instant": {"epochSecond": l.time / 1_000_000, "nanoOfSecond": l.time % 1_000_000 * 1_000}, "thread": "main",
            "level": l.level("INFO", "ERROR"), "loggerName": "shop.Cart", "message": "it is up", "endOfBatch": false,
            "loggerFqcn": "org.apache.logging.log4j.spi.AbstractLogger", "contextMap": {"user": l.user}, "threadId": 1,
            "threadPriority": 5})
        .to_string()
        },
    ),
    shape(
        "log4j2 JSON template (ECS)",
        "https://logging.apache.org/log4j/2.x/manual/json-template-layout.html",
        &[Log, Level, Service],
        |l| {
            json!({"@timestamp": l.utc(), "ecs.version": "1.2.0", "log.level": l.level("INFO", "ERROR"), "message": "it is up",
            "process.thread.name": "main", "log.logger": "shop.Cart", "service.name": "shop"})
        .to_string()
        },
    ),
    shape("logstash-logback-encoder", "https://github.com/logfellow/logstash-logback-encoder", &[Log, Level], |l| {
        json!({"@timestamp": l.utc(), "@version": "1", "message": "it is up", "logger_name": "shop.Cart", "thread_name": "main",
            "level": l.level("INFO", "ERROR"), "level_value": 20_000})
        .to_string()
    }),
    shape(
        "Spring Boot, ecs",
        "https://docs.spring.io/spring-boot/reference/features/logging.html",
        &[Log, Level, Service, Version],
        |l| {
            json!({"@timestamp": l.utc(), "log": {"level": l.level("INFO", "ERROR"), "logger": "shop.Cart"},
            "process": {"pid": 7, "thread": {"name": "main"}}, "service": {"name": "shop", "version": l.version},
            "message": "it is up", "ecs": {"version": "8.11"}})
            .to_string()
        },
    ),
    shape(
        "Spring Boot, gelf",
        "https://docs.spring.io/spring-boot/reference/features/logging.html",
        &[Log, Level, Version],
        |l| {
            json!({"version": "1.1", "short_message": "it is up", "timestamp": l.time as f64 / 1e6, "level": if l.is_error() { 3 } else { 6 },
            "_level_name": l.level("INFO", "ERROR"), "_process_pid": 7, "_process_thread_name": "main", "host": "shop",
            "_log_logger": "shop.Cart", "_service_version": l.version})
        .to_string()
        },
    ),
    shape(
        "Spring Boot, logstash",
        "https://docs.spring.io/spring-boot/reference/features/logging.html",
        &[Log, Level],
        |l| {
            json!({"@timestamp": format!("{}+02:00", l.stamp("T", ".").replace("T10:", "T12:")), "@version": "1", "message": "it is up", "logger_name": "shop.Cart",
            "thread_name": "main", "level": l.level("INFO", "ERROR"), "level_value": 20_000})
        .to_string()
        },
    ),
    shape(
        "Elastic Common Schema",
        "https://www.elastic.co/docs/reference/ecs",
        &[Status, Latency, Level, Service, Version, User, Path],
        |l| {
            json!({"@timestamp": l.utc(), "log": {"level": l.level("info", "error")}, "message": "done", "service": {"name": "shop", "version": l.version},
            "http": {"request": {"method": "GET"}, "response": {"status_code": l.status}}, "url": {"path": l.path},
            "event": {"duration": l.millis * 1_000_000}, "user": {"id": l.user}})
        .to_string()
        },
    ),
    shape("Serilog compact", "https://github.com/serilog/serilog-formatting-compact", &[Status, Latency, Path], |l| {
        json!({"@t": l.utc(), "@mt": "HTTP {RequestMethod} {RequestPath} responded {StatusCode} in {Elapsed:0.0000} ms",
            "@l": l.level("Information", "Error"), "RequestMethod": "GET", "RequestPath": l.path, "StatusCode": l.status,
            "Elapsed": l.millis as f64, "Application": "shop"})
        .to_string()
    }),
    shape(
        ".NET JSON console",
        "https://learn.microsoft.com/en-us/dotnet/core/extensions/console-log-formatter",
        &[Log, Level],
        |l| {
            json!({"Timestamp": l.utc(), "EventId": 0, "LogLevel": l.level("Information", "Error"), "Category": "Shop.Cart",
            "Message": "Cart of u7 is up", "State": {"Message": "Cart of u7 is up", "user": l.user, "{OriginalFormat}": "Cart of {user} is up"}})
        .to_string()
        },
    ),
    shape(
        "tracing JSON",
        "https://docs.rs/tracing-subscriber/latest/tracing_subscriber/fmt/format/struct.Json.html",
        &[Status, Latency, Level, User],
        |l| {
            json!({"timestamp": l.utc(), "level": l.level("INFO", "ERROR"),
            "fields": {"message": "done", "status": l.status, "latency_ms": l.millis, "user": l.user}, "target": "shop::http"})
        .to_string()
        },
    ),
    shape("tracing", "https://docs.rs/tracing-subscriber/latest/tracing_subscriber/fmt/", &[Status, Level], |l| {
        format!("{} {:>5} shop::http: done status={}", l.utc(), l.level("INFO", "ERROR"), l.status)
    }),
    shape(
        "tracing in colours",
        "https://docs.rs/tracing-subscriber/latest/tracing_subscriber/fmt/",
        &[Status, Level],
        |l| {
            let colour = l.level("32", "31");
            let level = l.level(" INFO", "ERROR");
            format!(
                "\u{1b}[2m{}\u{1b}[0m \u{1b}[{colour}m{level}\u{1b}[0m \u{1b}[2mshop::http\u{1b}[0m\u{1b}[2m:\u{1b}[0m done \u{1b}[3mstatus\u{1b}[0m\u{1b}[2m=\u{1b}[0m{}",
                l.utc(),
                l.status
            )
        },
    ),
    shape(
        "monolog JSON",
        "https://github.com/Seldaek/monolog/blob/main/doc/message-structure.md",
        &[Log, Level],
        |l| {
            json!({"message": "it is up", "context": {}, "level": if l.is_error() { 400 } else { 200 }, "level_name": l.level("INFO", "ERROR"),
            "channel": "shop", "datetime": l.utc(), "extra": {}})
        .to_string()
        },
    ),
    shape("lograge, logstash", "https://github.com/roidrage/lograge", &[Status, Latency, Path], |l| {
        json!({"method": "GET", "path": l.path, "format": "html", "controller": "CartController", "action": "show", "status": l.status,
            "duration": l.millis as f64 + 0.0, "view": 1.5, "db": 0.5, "@timestamp": l.utc(), "@version": "1",
            "message": format!("[{}] GET {} (CartController#show)", l.status, l.path)})
        .to_string()
    }),
    shape("lograge behind Rails' logger", "https://github.com/roidrage/lograge", &[Status, Path, Latency], |l| {
        format!(
            "I, [{} #77]  INFO -- : method=GET path={} format=html controller=CartController action=show status={} duration={}.00 view=1.50 db=0.50",
            l.stamp("T", "."),
            l.path,
            l.status,
            l.millis
        )
    }),
    shape("Rails", "https://guides.rubyonrails.org/debugging_rails_applications.html", &[Status, Latency], |l| {
        format!(
            "I, [{} #77]  INFO -- : [4b8f] Completed {} OK in {}ms (Views: 5.1ms | ActiveRecord: 1.0ms | Allocations: 100)",
            l.stamp("T", "."),
            l.status,
            l.millis
        )
    }),
    shape("Rails, the beginning", "https://guides.rubyonrails.org/debugging_rails_applications.html", &[Log], |l| {
        format!(
            r#"I, [{} #77]  INFO -- : Started GET "{}" for {} at {} +0000"#,
            l.stamp("T", "."),
            l.path,
            l.client,
            l.second().replace('T', " ")
        )
    }),
    shape(
        "Django's server",
        "https://docs.djangoproject.com/en/stable/ref/django-admin/#runserver",
        &[Status, Path, WholeSeconds, AccessLog],
        |l| {
            format!(
                r#"[{}] "{}" {} 512"#,
                l.common().replacen(':', " ", 1).replace(" +0000", ""),
                l.request(),
                l.status
            )
        },
    ),
    shape(
        "gunicorn",
        "https://docs.gunicorn.org/en/stable/settings.html#access-log-format",
        &[Status, Path, User, WholeSeconds, AccessLog],
        |l| l.combined(),
    ),
    shape("uvicorn in a container", "https://www.uvicorn.org/settings/#logging", &[Status, Path, AccessLog], |l| {
        let level = "INFO";
        format!(r#"{} stdout F {level}:     {}:5123 - "{}" {} OK"#, l.utc(), l.client, l.request(), l.status)
    }),
    shape("Gin", "https://gin-gonic.com/en/docs/logging/", &[Status, Latency, Path, WholeSeconds, AccessLog], |l| {
        format!(
            r#"[GIN] {} | {} | {:>13} | {:>15} | GET      "{}""#,
            l.second().replace('-', "/").replace('T', " - "),
            l.status,
            format!("{}.000000ms", l.millis),
            l.client,
            l.path
        )
    }),
    shape(
        "morgan dev",
        "https://expressjs.com/en/resources/middleware/morgan.html",
        &[Status, Latency, Path, AccessLog],
        |l| {
            format!(
                "{} stdout F \u{1b}[0mGET {} \u{1b}[32m{}\u{1b}[0m {}.000 ms - 512\u{1b}[0m",
                l.utc(),
                l.path,
                l.status,
                l.millis
            )
        },
    ),
    shape(
        "morgan tiny",
        "https://expressjs.com/en/resources/middleware/morgan.html",
        &[Status, Latency, Path, AccessLog],
        |l| format!("{} GET {} {} 512 - {}.000 ms", l.utc(), l.path, l.status, l.millis),
    ),
    shape("klog", "https://github.com/kubernetes/klog", &[Log, Level], |l| {
        format!(
            "{}0601 {}.{:06}       1 controller.go:116] \"Pod is up\" pod=\"kube-system/dns\" uid=\"3\"",
            l.level("I", "E"),
            l.clock(),
            l.time % 1_000_000
        )
    }),
    shape("Python", "https://docs.python.org/3/howto/logging.html", &[Log, Level], |l| {
        format!("{} - shop.cart - {} - it is up", l.stamp(" ", ","), l.level("INFO", "ERROR"))
    }),
    shape("Spring Boot", "https://docs.spring.io/spring-boot/reference/features/logging.html", &[Log, Level], |l| {
        format!("{}  {} 7 --- [shop] [nio-8080-exec-1] c.e.shop.Cart : it is up", l.utc(), l.level("INFO", "ERROR"))
    }),
    shape("log4j", "https://logging.apache.org/log4j/2.x/manual/pattern-layout.html", &[Log, Level], |l| {
        format!("{} {} [main] com.example.Cart - it is up", l.stamp(" ", ","), l.level("INFO", "ERROR"))
    }),
    shape("PostgreSQL", "https://www.postgresql.org/docs/current/runtime-config-logging.html", &[Log, Level], |l| {
        format!("{} UTC [77] {}:  statement is done", l.stamp(" ", "."), l.level("LOG", "ERROR"))
    }),
    shape("Go's log", "https://pkg.go.dev/log", &[Log, WholeSeconds], |l| {
        format!("{} it is up", l.second().replace('-', "/").replace('T', " "))
    }),
    shape(
        "gunicorn's own",
        "https://docs.gunicorn.org/en/stable/settings.html#logging",
        &[Log, Level, WholeSeconds],
        |l| format!("[{} +0200] [7] [{}] Booting worker", l.second().replace("T10:", " 12:"), l.level("INFO", "ERROR")),
    ),
    shape("no time of their own, in a container", "https://www.uvicorn.org/settings/#logging", &[Log, NoTime], |l| {
        format!("{} stderr F INFO:     Application startup complete.", l.utc())
    }),
];
