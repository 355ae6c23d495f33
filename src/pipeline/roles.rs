//! Roles that fields play, and the names by which fields of known loggers are recognised.

use std::sync::LazyLock;

use hashbrown::HashMap;

/// What a field means.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Role {
    /// Time of the line; of a request its completion.
    Time,
    /// Start of the work, where only that is logged: completion is start plus latency.
    Start,
    /// Environment: two environments are never compared.
    Environment,
    /// Cell: what splits a service within its environment, as cities do. Never found by name.
    Cell,
    /// Service.
    Service,
    /// Cohort: which arm of a rollout the line belongs to.
    Cohort,
    /// Variant of a feature flag.
    Variant,
    /// Version of the service.
    Version,
    /// User: the unit of assignment that is preferred.
    User,
    /// Session.
    Session,
    /// Address of the client.
    Client,
    /// Request id, shared by attempts of one request.
    Request,
    /// Trace id.
    Trace,
    /// Id of the parent span: the line is work inside a request.
    Parent,
    /// True on the line that is the user's request.
    Root,
    /// Kind of the line: request, span, log, exposure, event.
    Kind,
    /// How long the work took.
    Latency,
    /// Status of the answer.
    Status,
    /// The work failed (boolean), or what failed (text).
    Error,
    /// Severity.
    Level,
    /// Route or path.
    Route,
    /// Method; with a status or latency it marks a request.
    Method,
    /// Text of the line.
    Message,
    /// Instance: pod, host.
    Instance,
    /// How many events the line stands for.
    SampleRate,
    /// What the producer calls the template of the text, or the event.
    Template,
    /// Stack trace.
    Stack,
}

impl Role {
    /// Every role, in the order in which a report names them.
    pub const ALL: [Role; 27] = [
        Role::Time,
        Role::Start,
        Role::Environment,
        Role::Cell,
        Role::Service,
        Role::Cohort,
        Role::Variant,
        Role::Version,
        Role::User,
        Role::Session,
        Role::Client,
        Role::Request,
        Role::Trace,
        Role::Parent,
        Role::Root,
        Role::Kind,
        Role::Latency,
        Role::Status,
        Role::Error,
        Role::Level,
        Role::Route,
        Role::Method,
        Role::Message,
        Role::Instance,
        Role::SampleRate,
        Role::Template,
        Role::Stack,
    ];

    /// The word by which the command line and reports call the role.
    pub fn name(self) -> &'static str {
        match self {
            Role::Time => "time",
            Role::Start => "start",
            Role::Environment => "environment",
            Role::Cell => "cell",
            Role::Service => "service",
            Role::Cohort => "cohort",
            Role::Variant => "variant",
            Role::Version => "version",
            Role::User => "user",
            Role::Session => "session",
            Role::Client => "client",
            Role::Request => "request_id",
            Role::Trace => "trace",
            Role::Parent => "parent",
            Role::Root => "root",
            Role::Kind => "kind",
            Role::Latency => "latency",
            Role::Status => "status",
            Role::Error => "error",
            Role::Level => "level",
            Role::Route => "route",
            Role::Method => "method",
            Role::Message => "message",
            Role::Instance => "instance",
            Role::SampleRate => "sample_rate",
            Role::Template => "template",
            Role::Stack => "stack",
        }
    }

    /// The role of a word.
    pub fn from_name(name: &str) -> Option<Role> {
        Role::ALL.into_iter().find(|role| role.name() == name)
    }

    /// Field names by which the role is recognised, the most telling first. A dot is a step into an object or part of
    /// the name.
    ///
    /// Sources: OpenTelemetry semantic conventions and log data model; Elastic Common Schema; the default keys of pino,
    /// zap, logrus, structlog and bunyan; Envoy's and Istio's JSON access logs; nginx's variables; common spellings.
    pub fn known_names(self) -> &'static [&'static str] {
        match self {
            Role::Time => &[
                "@timestamp",
                "timestamp",
                "ts",
                "time",
                "TimeGenerated",
                "Timestamp",
                "timeUnixNano",
                "time_unix_nano",
                "ObservedTimestamp",
                "observedTimeUnixNano",
                "datetime",
                "date",
                "event_time",
                "eventTime",
                "logged_at",
                "end_time",
                "endTime",
                "endTimeUnixNano",
                "end_time_unix_nano",
                "event.end",
                "asctime",
                "msec",
                "time_iso8601",
                "time_local",
                "@t",
                "timeMillis",
                "instant.epochSecond",
                "StartUTC",
                "_time",
                "timeStamp",
                "EdgeEndTimestamp",
                "record.time.timestamp",
                "t.$date",
                "Time",
            ],
            Role::Start => &[
                "start_time",
                "startTime",
                "startTimeUnixNano",
                "start_time_unix_nano",
                "start_timestamp",
                "event.start",
                "StartTime",
                "started_at",
                "EdgeStartTimestamp",
            ],
            Role::Environment => &[
                "environment",
                "env",
                "deployment.environment.name",
                "deployment.environment",
                "service.environment",
                "Resource.deployment.environment.name",
                "Resource.deployment.environment",
                "resource.deployment.environment.name",
                "resource.attributes.deployment.environment.name",
                "stage",
            ],
            // Which field splits a service into what is rolled out by itself, nobody knows but who rolls it out.
            Role::Cell => &[],
            Role::Service => &[
                "service.name",
                "service_name",
                "serviceName",
                "service",
                "Resource.service.name",
                "resource.service.name",
                "resource.attributes.service.name",
                "canonical_service",
                "destination_service_name",
                "AppRoleName",
                "cloud_RoleName",
                "kubernetes.labels.app",
                "kubernetes.container_name",
                "app",
                "application",
                "upstream_cluster",
                "component",
                "ServiceName",
                "kubernetes.container.name",
                "k8s.container.name",
                "resource.labels.service_name",
                "resource.labels.container_name",
                "Application",
            ],
            Role::Cohort => {
                &["cohort", "arm", "track", "deployment_track", "canary_track", "labels.cohort", "labels.track"]
            }
            Role::Variant => &[
                "feature_flag.result.variant",
                "feature_flag.variant",
                "Attributes.feature_flag.result.variant",
                "variant",
                "experiment.variant",
                "variation",
            ],
            Role::Version => &[
                "service.version",
                "version",
                "app_version",
                "release",
                "service_version",
                "serviceVersion",
                "Resource.service.version",
                "resource.service.version",
                "resource.attributes.service.version",
                "canonical_revision",
                "destination_version",
                "kubernetes.labels.version",
                "labels.version",
                "build",
                "revision",
                "kubernetes.labels.pod-template-hash",
                "kubernetes.labels.rollouts-pod-template-hash",
                "dd.version",
                "Version",
                "Release",
                "AppVersion",
                "appVersion",
                "x_app_version",
                "upstream_http_x_version",
                "upstream_http_x_app_version",
                "application_Version",
                "named_tags.version",
                "extra.version",
                "context.version",
                "image_tag",
                "git_sha",
                "commit",
                "kubernetes.labels.app.kubernetes.io/version",
                "kubernetes.labels.app_kubernetes_io/version",
                "kubernetes.pod_labels.app.kubernetes.io/version",
                "resource.labels.revision_name",
            ],
            Role::User => &[
                "user",
                "user.id",
                "user_id",
                "userId",
                "enduser.id",
                "Attributes.user.id",
                "attributes.user.id",
                "Attributes.enduser.id",
                "uid",
                "account_id",
                "accountId",
                "customer_id",
                "customerId",
                "user.name",
                "username",
                "usr.id",
                "UserId",
                "userID",
                "UserID",
                "UserAuthenticatedId",
                "user_AuthenticatedId",
                "named_tags.user_id",
                "extra.user_id",
                "context.user_id",
                "ctx.user_id",
                "metadata.user_id",
            ],
            Role::Session => &[
                "session.id",
                "session_id",
                "sessionId",
                "session",
                "Attributes.session.id",
                "attributes.session.id",
                "sid",
            ],
            Role::Client => &[
                "client.address",
                "client_ip",
                "clientIp",
                "client.ip",
                "source.ip",
                // Behind a gateway every address is its own, but for the one that it passes on.
                "x_forwarded_for",
                "x-forwarded-for",
                "http_x_forwarded_for",
                "true_client_ip",
                "cf_connecting_ip",
                "real_ip",
                "remote_addr",
                "remoteAddress",
                "req.remoteAddress",
                "downstream_remote_address",
                "client",
                "ip",
                "Attributes.client.address",
                "httpRequest.remoteIp",
                "request.client_ip",
                "request.remote_ip",
                "remote_ip",
                "network.client.ip",
                "ClientHost",
                "CIp",
                "clientIP",
                "ClientIP",
                "remote_host",
            ],
            Role::Request => &[
                "request_id",
                "requestId",
                "x_request_id",
                "x-request-id",
                "http.request.id",
                "reqId",
                "req.id",
                "request.id",
                "req_id",
                "correlation_id",
                "correlationId",
                "RequestId",
                "aws_request_id",
            ],
            Role::Trace => &[
                "trace_id",
                "traceId",
                "trace.id",
                "TraceId",
                "traceID",
                "dd.trace_id",
                "x_b3_traceid",
                "x-b3-traceid",
                "logging.googleapis.com/trace",
                "@tr",
            ],
            Role::Parent => &["parent_id", "parentSpanId", "parent_span_id", "parent.id", "ParentSpanId", "parentId"],
            Role::Root => &["root", "is_root", "isRoot"],
            Role::Kind => &["kind", "record_kind", "event.kind"],
            Role::Latency => &[
                "latency_ms",
                "duration_ms",
                "latency_us",
                "duration_us",
                "latency_ns",
                "duration_ns",
                "latency_s",
                "duration_s",
                "latencyMs",
                "durationMs",
                "event.duration",
                "responseTime",
                "response_time_ms",
                "response_time",
                "request_time",
                "request_duration_ms",
                "http.server.request.duration",
                "Attributes.http.server.request.duration",
                "elapsed_ms",
                "elapsed",
                "took_ms",
                "took",
                "latency",
                "duration",
                "durationNano",
                "grpc.time_ms",
                "httpRequest.latency",
                "Elapsed",
                "ElapsedMilliseconds",
                "Duration",
                "@duration",
                "TimeTaken",
                "latencies.request",
                "EdgeTimeToFirstByteMs",
                "OriginResponseDurationMs",
                "responseLatency",
                "duration_in_ms",
                "TotalMilliseconds",
                "x_runtime",
                "dur",
                "ms",
                "DurationMs",
                "httpResponse.elapsed",
                "transaction.duration.us",
                "elapsed_time",
                "total_ms",
                "cost_ms",
            ],
            Role::Status => &[
                "status",
                "http.response.status_code",
                "http.status_code",
                "status_code",
                "statusCode",
                "response_code",
                "http_status",
                "http_status_code",
                "res.statusCode",
                "response.status",
                "http.response.status",
                "Attributes.http.response.status_code",
                "attributes.http.response.status_code",
                "Attributes.http.status_code",
                "attributes.http.status_code",
                "grpc.code",
                "grpc.status_code",
                "grpc_status",
                "grpc_code",
                "grpc-status",
                "rpc.grpc.status_code",
                "Attributes.rpc.grpc.status_code",
                "attributes.rpc.grpc.status_code",
                "code",
                "httpRequest.status",
                "StatusCode",
                "DownstreamStatus",
                "ScStatus",
                "EdgeResponseStatus",
                "httpStatus",
                "httpStatusCode",
                "http.status",
                "response_status",
                "ResultCode",
                "resultCode",
                "httpResponse.status",
                "elb_status_code",
                "status.code",
                "otel.status_code",
            ],
            Role::Error => &[
                "error",
                "is_error",
                "failed",
                "err",
                "error.message",
                "error.type",
                "exception.type",
                "event.outcome",
                "success",
                "Success",
                "isSuccess",
                "is_success",
                "ok",
                "outcome",
                // Of GraphQL, whose answers have the status 200.
                "errors",
            ],
            Role::Level => &[
                "level",
                "log.level",
                "severity",
                "severity_text",
                "SeverityText",
                "severityText",
                "lvl",
                "levelname",
                "SeverityNumber",
                "severityNumber",
                "severity_number",
                "priority",
                "@l",
                "Level",
                "LogLevel",
                "level_name",
                "loglevel",
                "record.level.name",
                "error_severity",
            ],
            Role::Route => &[
                "http.route",
                "route",
                "Attributes.http.route",
                "attributes.http.route",
                "url.path",
                "Attributes.url.path",
                "attributes.url.path",
                "path",
                "req.url",
                "request_path",
                "uri",
                "request_uri",
                "http.target",
                "url",
                "url.original",
                "endpoint",
                "operation",
                "rpc.method",
                "grpc.method",
                "httpRequest.requestUrl",
                "request.uri",
                "RequestPath",
                "CsUriStem",
                "requestUri",
                "requested_uri",
                "request.path",
                "Path",
                "ClientRequestPath",
                "ClientRequestURI",
                "http.url_details.path",
            ],
            Role::Method => &[
                "method",
                "http.request.method",
                "http.method",
                "req.method",
                "Attributes.http.request.method",
                "attributes.http.request.method",
                "request_method",
                "verb",
                "httpRequest.requestMethod",
                "request.method",
                "RequestMethod",
                "CsMethod",
                "httpMethod",
                "Method",
                "ClientRequestMethod",
            ],
            Role::Message => &[
                "message",
                "msg",
                "Body",
                "body",
                "log",
                "event",
                "text",
                "event.original",
                "@m",
                "Message",
                "RenderedMessage",
                "textPayload",
                "@message",
                "_raw",
                "Line",
            ],
            Role::Instance => &[
                "pod",
                "pod_name",
                "kubernetes.pod_name",
                "kubernetes.pod.name",
                "k8s.pod.name",
                "Resource.k8s.pod.name",
                "service.instance.id",
                "Resource.service.instance.id",
                "instance",
                "hostname",
                "host.name",
                "host",
                "resource.labels.pod_name",
                "MachineName",
                "podName",
            ],
            // What a line says of itself comes before what its trace says.
            Role::SampleRate => &[
                "sample_rate",
                "sampleRate",
                "SampleRate",
                "samplerate",
                "sampling_rate",
                "_sample_rate",
                "metrics._sample_rate",
                "sampling.threshold",
                "Attributes.sampling.threshold",
                "attributes.sampling.threshold",
                "tracestate",
                "trace_state",
                "traceState",
                "TraceState",
            ],
            Role::Template => &[
                "log.record.template",
                "attributes.log.record.template",
                "Attributes.log.record.template",
                "@mt",
                "message_template",
                "MessageTemplate",
                "State.{OriginalFormat}",
                "event.name",
                "attributes.event.name",
                "Attributes.event.name",
            ],
            Role::Stack => &[
                "exception.stacktrace",
                "attributes.exception.stacktrace",
                "Attributes.exception.stacktrace",
                "error.stack_trace",
                "error.stack",
                "err.stack",
                "stack_trace",
                "stacktrace",
                "stack",
                "exc_info",
                "exception",
                "@x",
                "Exception",
                "thrown.extendedStackTrace",
            ],
        }
    }
}

/// Objects in which loggers and clouds put the fields of a line: Google Cloud, Rust's tracing, Azure, Serilog, log4j2, logback,
/// OpenTelemetry, .NET, Filebeat, Monolog, winston, semantic_logger, loguru. A known name in them plays its role where no field of the line
/// itself does.
pub const WRAPPERS: [&str; 14] = [
    "jsonPayload",
    "fields",
    "properties",
    "Properties",
    "contextMap",
    "mdc",
    "attributes",
    "State",
    "json",
    "context",
    "meta",
    "payload",
    "span",
    "record.extra",
];

impl Role {
    /// The role is looked for in [`WRAPPERS`]. What says which kind of line it is, and how often it counts, stands on the line itself.
    pub fn may_be_wrapped(self) -> bool {
        !matches!(
            self,
            Role::Cell
                | Role::Start
                | Role::Variant
                | Role::Parent
                | Role::Root
                | Role::Kind
                | Role::SampleRate
                | Role::Template
        )
    }
}

/// Unit of a latency field.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum LatencyUnit {
    /// Nanoseconds.
    Nanos,
    /// Microseconds.
    Micros,
    /// Milliseconds.
    Millis,
    /// Seconds.
    Seconds,
}

impl LatencyUnit {
    /// All units, the longest first.
    pub const ALL: [LatencyUnit; 4] =
        [LatencyUnit::Seconds, LatencyUnit::Millis, LatencyUnit::Micros, LatencyUnit::Nanos];

    /// The suffix by which the command line and reports call the unit.
    pub fn name(self) -> &'static str {
        match self {
            LatencyUnit::Nanos => "ns",
            LatencyUnit::Micros => "us",
            LatencyUnit::Millis => "ms",
            LatencyUnit::Seconds => "s",
        }
    }

    /// Microseconds of one.
    pub fn micros(self) -> f64 {
        match self {
            LatencyUnit::Nanos => 1e-3,
            LatencyUnit::Micros => 1.0,
            LatencyUnit::Millis => 1e3,
            LatencyUnit::Seconds => 1e6,
        }
    }

    /// The unit of a suffix.
    pub fn from_name(name: &str) -> Option<LatencyUnit> {
        LatencyUnit::ALL.into_iter().find(|unit| unit.name() == name)
    }

    /// The endings of names that say a unit.
    fn endings(self) -> &'static [&'static str] {
        match self {
            LatencyUnit::Nanos => &["ns", "nano", "nanos", "nanosecond", "nanoseconds", "nsec"],
            LatencyUnit::Micros => &["us", "micro", "micros", "microsecond", "microseconds", "usec"],
            LatencyUnit::Millis => &["ms", "milli", "millis", "millisecond", "milliseconds", "msec"],
            LatencyUnit::Seconds => &["s", "sec", "secs", "second", "seconds"],
        }
    }

    /// The unit that a known field name implies, when it does.
    pub fn of_field(path: &str) -> Option<LatencyUnit> {
        let last = path.rsplit('.').next().unwrap_or(path);
        let lower = last.to_ascii_lowercase();
        let ends = |suffixes: &[&str]| suffixes.iter().any(|suffix| lower.ends_with(suffix));
        if path == "latencies.request" {
            // Kong.
            return Some(LatencyUnit::Millis);
        }
        if ends(&["_ms", "-ms", "_msec", "millis", "milliseconds"])
            || last.ends_with("Ms")
            || last == "responseTime"
            || lower == "durationms"
        {
            Some(LatencyUnit::Millis)
        } else if ends(&["_us", "-us", "_usec", "micros", "microseconds"]) || last.ends_with("Us") {
            Some(LatencyUnit::Micros)
        } else if ends(&["_ns", "-ns", "_nsec", "nanos", "nanoseconds"])
            || last.ends_with("Ns")
            || last == "durationNano"
            || path == "event.duration"
        {
            Some(LatencyUnit::Nanos)
        } else if ends(&["_s", "-s", "_sec", "_secs", "seconds"])
            || last == "request_time"
            || path.ends_with("http.server.request.duration")
        {
            Some(LatencyUnit::Seconds)
        } else {
            None
        }
    }
}

/// How a field writes statuses; its name says so.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum StatusNotation {
    /// HTTP statuses, and the words for them.
    #[default]
    Http,
    /// gRPC codes: numbers from 0 (OK) to 16, or their names.
    Grpc,
    /// Status of an OpenTelemetry span: 0 (unset), 1 (ok), 2 (error), or their names.
    Span,
}

impl StatusNotation {
    /// The notation of a field, by its path.
    pub fn of_field(path: &str) -> StatusNotation {
        let mut letters: String = path.chars().filter(|c| !matches!(c, '.' | '_' | '-')).collect();
        letters.make_ascii_lowercase();
        let is_grpc = ["grpccode", "grpcstatus", "grpcstatuscode"].iter().any(|name| letters.ends_with(name));
        match path {
            _ if is_grpc => StatusNotation::Grpc,
            "status.code" | "otel.status_code" => StatusNotation::Span,
            _ => StatusNotation::Http,
        }
    }
}

/// What people call how long a request took, without separators, and with a unit behind it or without.
const DURATIONS: [&str; 22] = [
    "latency",
    "duration",
    "elapsed",
    "elapsedtime",
    "timeelapsed",
    "took",
    "tooktime",
    "timetaken",
    "responsetime",
    "responseduration",
    "responselatency",
    "requesttime",
    "requestduration",
    "requestlatency",
    "httpduration",
    "httplatency",
    "processingtime",
    "executiontime",
    "servicetime",
    "totaltime",
    "totalduration",
    "roundtriptime",
];
/// Objects in which a field of such a name is that of the whole request, beside [`WRAPPERS`].
const WHOLES: [&str; 8] = ["http", "request", "req", "response", "res", "event", "metrics", "data"];

/// A field is called as people call how long a request took, with a unit: `duration_seconds`, `elapsedTimeMillis`, `request-time-us`. What
/// a part of the work took (`db.duration_ms`, `render_ms`) is not.
pub fn is_latency(path: &str) -> bool {
    let (parent, last) = match path.rsplit_once('.') {
        Some((parent, last)) => (parent, last),
        None => ("", path),
    };
    let is_whole = parent.is_empty() || WHOLES.contains(&parent) || WRAPPERS.contains(&parent);
    let letters: String = last.chars().filter(|c| !matches!(c, '_' | '-')).map(|c| c.to_ascii_lowercase()).collect();
    let of_unit = |unit: &str| letters.strip_suffix(unit).is_some_and(|name| DURATIONS.contains(&name));
    // `durations` is a list of them; `duration_s` is a number of seconds.
    let is_apart = last.len() < 2 || !last.ends_with('s') || last[..last.len() - 1].ends_with(['_', '-']);
    is_whole
        && (DURATIONS.contains(&letters.as_str())
            || LatencyUnit::ALL
                .iter()
                .flat_map(|unit| unit.endings())
                .any(|unit| of_unit(unit) && (*unit != "s" || is_apart)))
}

/// The first role that a field is known to play by its name.
pub fn role_of_known(path: &str) -> Option<Role> {
    role_named(path).or_else(|| is_latency(path).then_some(Role::Latency))
}

/// The first role whose known names have this one.
pub fn role_named(path: &str) -> Option<Role> {
    static KNOWN: LazyLock<HashMap<&'static str, Role, foldhash::fast::FixedState>> = LazyLock::new(|| {
        let names = |role: Role| role.known_names().iter().map(move |name| (*name, role));
        // Of two roles the first one stays.
        Role::ALL.into_iter().rev().flat_map(names).collect()
    });
    KNOWN.get(path).copied()
}

/// A field of [`Role::Time`] that says when work ended, by its path: from the start to there is its latency.
pub fn is_end_time(path: &str) -> bool {
    ["endTimeUnixNano", "end_time_unix_nano", "end_time", "endTime", "event.end", "EdgeEndTimestamp"].contains(&path)
}

/// How a field writes a sampling rate; its name says so. See [`super::sampling`].
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum RateNotation {
    /// "One in so many"; below 1, and in per cent, a probability.
    #[default]
    OneInMany,
    /// A probability.
    Probability,
    /// OpenTelemetry's rejection threshold, of a log record.
    Threshold,
    /// The trace state of W3C, in which OpenTelemetry has an entry.
    TraceState,
}

impl RateNotation {
    /// The notation of a field, by its path.
    pub fn of_field(path: &str) -> RateNotation {
        let last = path.rsplit('.').next().unwrap_or(path);
        let is_state = || last.replace('_', "").eq_ignore_ascii_case("tracestate");
        match last {
            "_sample_rate" => RateNotation::Probability,
            "threshold" if path.ends_with("sampling.threshold") => RateNotation::Threshold,
            _ if is_state() => RateNotation::TraceState,
            _ => RateNotation::OneInMany,
        }
    }
}

/// What a field about failures holds; its name says so.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum ErrorNotation {
    /// That the work failed, or what failed.
    #[default]
    Failed,
    /// That it succeeded.
    Success,
    /// `success`, `failure` or `unknown`.
    Outcome,
}

impl ErrorNotation {
    /// The notation of a field, by the last part of its path.
    pub fn of_field(path: &str) -> ErrorNotation {
        match path.rsplit('.').next() {
            Some("success" | "Success" | "succeeded" | "isSuccess" | "is_success" | "ok") => ErrorNotation::Success,
            Some("outcome") => ErrorNotation::Outcome,
            _ => ErrorNotation::Failed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn status_fields_that_hold_grpc_codes() {
        for (path, notation) in [
            ("grpc.code", StatusNotation::Grpc),
            ("grpc_status", StatusNotation::Grpc),
            ("grpc-status", StatusNotation::Grpc),
            ("grpcStatus", StatusNotation::Grpc),
            ("Attributes.rpc.grpc.status_code", StatusNotation::Grpc),
            ("status", StatusNotation::Http),
            ("http.response.status_code", StatusNotation::Http),
            ("response_code", StatusNotation::Http),
            ("code", StatusNotation::Http),
            ("status.code", StatusNotation::Span),
        ] {
            assert_eq!(StatusNotation::of_field(path), notation, "{path}");
        }
    }

    #[test]
    fn sampling_fields_by_what_they_hold() {
        for (path, notation) in [
            ("sample_rate", RateNotation::OneInMany),
            ("SampleRate", RateNotation::OneInMany),
            ("metrics._sample_rate", RateNotation::Probability),
            ("Attributes.sampling.threshold", RateNotation::Threshold),
            ("alert.threshold", RateNotation::OneInMany),
            ("tracestate", RateNotation::TraceState),
            ("span.trace_state", RateNotation::TraceState),
            ("TraceState", RateNotation::TraceState),
        ] {
            assert_eq!(RateNotation::of_field(path), notation, "{path}");
        }
    }

    #[test]
    fn words_round_trip_and_no_field_name_is_listed_twice_in_a_role() {
        for role in Role::ALL {
            assert_eq!(Role::from_name(role.name()), Some(role));
            let mut names = role.known_names().to_vec();
            names.sort_unstable();
            let before = names.len();
            names.dedup();
            assert_eq!(names.len(), before, "{role:?}");
        }
    }

    #[test]
    fn units_follow_from_names() {
        for (path, unit) in [
            ("latency_ms", Some(LatencyUnit::Millis)),
            ("durationMs", Some(LatencyUnit::Millis)),
            ("event.duration", Some(LatencyUnit::Nanos)),
            ("durationNs", Some(LatencyUnit::Nanos)),
            ("elapsedNanos", Some(LatencyUnit::Nanos)),
            ("elapsedMicros", Some(LatencyUnit::Micros)),
            ("durationUs", Some(LatencyUnit::Micros)),
            ("tookMillis", Some(LatencyUnit::Millis)),
            ("elapsedMilliseconds", Some(LatencyUnit::Millis)),
            ("elapsedSeconds", Some(LatencyUnit::Seconds)),
            ("status", None),
            ("request_time", Some(LatencyUnit::Seconds)),
            ("duration_us", Some(LatencyUnit::Micros)),
            ("duration", None),
            ("took", None),
            ("duration-ms", Some(LatencyUnit::Millis)),
            ("elapsed_usec", Some(LatencyUnit::Micros)),
        ] {
            assert_eq!(LatencyUnit::of_field(path), unit, "{path}");
        }
    }

    #[test]
    fn names_of_latencies() {
        for path in [
            "duration_seconds",
            "durationNanos",
            "request_time_micros",
            "elapsedTimeMillis",
            "response-time-ms",
            "http.latency_us",
            "fields.requestDuration",
            "Properties.ElapsedTime",
            "latency_s",
        ] {
            assert!(is_latency(path) && role_of_known(path) == Some(Role::Latency), "{path}");
        }
        for path in
            ["durations", "db.duration_ms", "render_ms", "uptime_seconds", "time", "requests", "took_from", "s", ""]
        {
            assert!(!is_latency(path), "{path}");
        }
    }
}
