//! What a line says of a piece of work: whether it is a request, how it ended, how bad that was, how many it stands for.

use crate::event::{self, FieldForm, Intern, Kind, Level, METRICS_MAX, NameId, ServiceKey, WEIGHT_ONE};
use crate::pipeline::decode::slots::{Form, Slot};
use crate::pipeline::decode::{Decoder, FIELDS_MAX, OUTWARD};
use crate::pipeline::metric::{GAUGE_PARTS, MetricKind};
use crate::pipeline::number;
use crate::pipeline::plan::{Mark, RequestSource, UnitKind};
use crate::pipeline::roles::{ErrorNotation, Role, StatusNotation};
use crate::pipeline::sampling::{self, Rate};
use crate::pipeline::values;
use crate::sketch::latency::bin_of;

/// What a library does for the service that logs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Library {
    /// It asks a database.
    Database,
    /// It asks another service.
    Client,
}

/// How the names of loggers of libraries begin.
const LIBRARIES: [(&str, Library); 7] = [
    ("Microsoft.EntityFrameworkCore", Library::Database),
    ("Npgsql", Library::Database),
    ("MySqlConnector", Library::Database),
    ("org.hibernate", Library::Database),
    ("sqlalchemy", Library::Database),
    ("System.Net.Http.HttpClient", Library::Client),
    ("httpx", Library::Client),
];

/// Last steps of routes that are asked to see whether a service is there, and nothing else.
const ONLY_PROBES: [&str; 12] = [
    "hc",
    "_health",
    "_healthz",
    "health",
    "healthz",
    "healthcheck",
    "health-check",
    "ready",
    "readyz",
    "readiness",
    "livez",
    "liveness",
];
/// The same, which may also be what users ask for.
const MAY_BE_PROBES: [&str; 5] = ["ping", "up", "live", "startupz", "metrics"];
/// Steps under which programs say how they are; any other before the last is of what users ask for.
const OF_PROGRAMS: [&str; 11] =
    ["api", "internal", "_internal", "-", "_", "management", "system", "q", "health", "healthz", "_health"];
/// The step under which a program of Spring says how it is, at most one other before it.
const ACTUATOR: &str = "actuator";
/// What is asked of it under that step.
const OF_ACTUATOR: [&str; 7] = ["health", "info", "metrics", "prometheus", "env", "loggers", "startup"];
/// How programs that ask nothing else name themselves.
const PROBERS: [&str; 6] = [
    "kube-probe/",
    "ELB-HealthChecker/",
    "GoogleHC/",
    "Prometheus/",
    "Consul Health Check",
    "Amazon-Route53-Health-Check",
];

/// The last step of a route is one that is asked to see whether a service is there.
pub(crate) fn is_probe_route(route: &str) -> bool {
    let last = route.trim_end_matches('/').rsplit(['/', ' ']).next().unwrap_or_default();
    is_one_of(&ONLY_PROBES, last) || is_one_of(&MAY_BE_PROBES, last)
}

/// A step of a route is the version of an interface: `v1`.
fn is_version(step: &str) -> bool {
    step.strip_prefix('v').is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_digit()))
}

fn is_one_of(known: &[&str], step: &str) -> bool {
    known.iter().any(|of| step.eq_ignore_ascii_case(of))
}

/// What a line's fields about failures say.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Failed {
    /// Nothing failed.
    No,
    /// Something failed, and is named; a status says whether the request did.
    Named,
    /// There was no success; a status that blames the client says that the service is not to blame.
    Unsuccessful,
    /// The work failed.
    Said,
}

impl Decoder<'_> {
    /// What fields about failures say; `None` when there is none.
    #[inline]
    pub(super) fn failed(&self, line: &str) -> Option<Failed> {
        let list = &self.roles[Role::Error as usize];
        let mut most = None;
        for at in 0..usize::from(list.len).min(FIELDS_MAX) {
            let Some(slot) = self.slots.get(usize::from(list.slots[at])) else { continue };
            let notation = self.error_notations[at];
            let says = match (slot.form, notation) {
                (Form::Absent, _) => continue,
                (Form::True, ErrorNotation::Failed) => Failed::Said,
                (Form::Nested, _) if values::is_empty_json(slot.raw(line)) => Failed::No,
                (Form::Nested, _) => Failed::Named,
                _ if !values::failed(&slot.text(line), notation) => Failed::No,
                (_, ErrorNotation::Failed) => Failed::Named,
                (_, ErrorNotation::Success | ErrorNotation::Outcome) => Failed::Unsuccessful,
            };
            most = most.max(Some(says));
        }
        most
    }

    /// Status of the line; `first`: the field that is looked at first.
    #[inline]
    pub(super) fn status(&self, line: &str, first: Option<(Slot, usize)>) -> Option<values::Status> {
        let status = first.and_then(|(slot, at)| values::status_in(&slot.text(line), self.notations[at]));
        // No answer, since the client went away, is no failure of the service.
        let status = status.map(|status| match status.class {
            0 if self.is_clients_doing(line) => values::Status { class: 4, error: false },
            _ => status,
        });
        let Some(grpc) = self.grpc_status else { return status };
        // A gRPC call fails inside an HTTP answer that is 200.
        let slot = self.slots.get(usize::from(grpc)).filter(|slot| slot.is_scalar());
        let grpc = slot.and_then(|slot| values::status_in(&slot.text(line), StatusNotation::Grpc));
        match (status, grpc) {
            (Some(status), Some(grpc)) if !status.error && status.class < 4 && grpc.class >= 4 => Some(grpc),
            _ => status.or(grpc),
        }
    }

    #[inline]
    pub(super) fn level(&self, line: &str) -> Level {
        match self.first(Role::Level) {
            Some((slot, at)) if self.otel_levels[at] => values::level_of_severity_number(&slot.text(line)),
            Some((slot, _)) => values::level(&slot.text(line)),
            None => Level::Unknown,
        }
    }

    /// Kind of a line and the source that it belongs to; `chosen`: the source of its service's requests, once known.
    #[inline]
    pub(super) fn kind(
        &self,
        line: &str,
        (has_status, has_latency): (bool, bool),
        access_line: bool,
        (service, chosen): (NameId, Option<RequestSource>),
    ) -> (Kind, RequestSource) {
        let named = if access_line { Some(RequestSource::AccessLog) } else { self.named_source(line) };
        if named == Some(RequestSource::AccessLog) {
            return (Kind::Request, RequestSource::AccessLog);
        }
        if self.slots.get(usize::from(self.trouble_slot)).is_some_and(|slot| slot.form != Form::Absent) {
            return (Kind::Log, RequestSource::Application);
        }
        if let Some(told) = self.azure_record(line) {
            return told;
        }
        let root = match self.first(Role::Root) {
            Some((Slot { form: Form::True, .. }, _)) => Some(true),
            Some((slot, _)) => values::truth(&slot.text(line)),
            None => None,
        };
        let has_parent = self.text(Role::Parent, line).is_some_and(|text| {
            // Some loggers write zeros for "no parent".
            !text.is_empty() && !text.bytes().all(|b| b == b'0')
        });
        let said = self.text(Role::Kind, line);
        let mut is_timed = false;
        let kind = match said.as_deref() {
            Some("request") => Kind::Request,
            Some("span") if root == Some(true) => Kind::Request,
            Some("span") => Kind::Span,
            Some("log") => Kind::Log,
            Some("exposure") => Kind::Exposure,
            Some("event") if !has_status => Kind::Business,
            // OpenTelemetry: a service is asked by others, or by nobody it knows of.
            Some("SPAN_KIND_SERVER" | "SPAN_KIND_CONSUMER") if !has_parent => {
                return (Kind::Request, RequestSource::RootSpan);
            }
            Some(kind) if kind.starts_with("SPAN_KIND_") => Kind::Span,
            _ => {
                let has_route = self.first(Role::Route).is_some() || self.first(Role::Method).is_some();
                is_timed = root != Some(true) && !has_status;
                if root == Some(true) || has_status || (has_latency && has_route) { Kind::Request } else { Kind::Log }
            }
        };
        if kind != Kind::Request {
            return (kind, RequestSource::Application);
        }
        if let Some(named) = named {
            return (Kind::Request, named);
        }
        if root == Some(true) {
            return (Kind::Request, RequestSource::RootSpan);
        }
        if self.is_proxy_line() {
            return (Kind::Request, RequestSource::AccessLog);
        }
        // Where a service marks its roots, what it does not mark is work inside them.
        if has_parent || root == Some(false) || chosen == Some(RequestSource::RootSpan) {
            return (Kind::Span, RequestSource::RootSpan);
        }
        match self.library(line) {
            Some(Library::Database) => (Kind::Log, RequestSource::Application),
            Some(Library::Client) => (Kind::Request, RequestSource::Outgoing),
            None if self.is_outgoing(line) => (Kind::Request, RequestSource::Outgoing),
            None if chosen == Some(RequestSource::Answered) && self.is_inside(line, service, has_status) => {
                (Kind::Request, RequestSource::Timed)
            }
            // A request that failed before it had a status is one.
            None if is_timed && self.failed(line).is_none_or(|failed| failed == Failed::No) => {
                (Kind::Request, RequestSource::Timed)
            }
            None => (Kind::Request, RequestSource::Application),
        }
    }

    /// The line has what only the work inside requests has: all marks of one of its forms.
    fn is_inside(&self, line: &str, service: NameId, has_status: bool) -> bool {
        let name = |service: NameId| self.names.names().services.get(usize::from(service));
        // How lines are written is the same in every cell.
        let of_key = |key: &ServiceKey| match key.cell.is_empty() {
            true => self.inside.get(key),
            false => self.inside.get(&key.without_cell()),
        };
        let Some(forms) = (!self.inside.is_empty()).then(|| name(service)).flatten().and_then(of_key) else {
            return false;
        };
        let has = |(mark, slot): (&Mark, &u8)| {
            let slot = self.slots.get(usize::from(*slot)).filter(|slot| slot.form != Form::Absent);
            slot.is_some_and(|slot| {
                mark.value.as_deref().is_none_or(|value| slot.is_scalar() && slot.text(line) == value)
            })
        };
        let mut forms = forms.iter().filter(|(form, _)| !(has_status && form.lacks_status));
        forms.any(|(form, slots)| form.marks.iter().zip(slots).all(has))
    }

    /// The library whose own logger wrote the line: what it says beside the fields of the request that it is part of is its own.
    fn library(&self, line: &str) -> Option<Library> {
        let slots = self.logger_slots.iter().filter_map(|at| self.slots.get(usize::from(*at)));
        let names = slots.filter(|slot| slot.form == Form::Plain).map(|slot| slot.raw(line));
        names.into_iter().find_map(|name| {
            let (_, library) = LIBRARIES.iter().find(|(prefix, _)| name.starts_with(prefix))?;
            Some(*library)
        })
    }

    /// What a record of Azure's Application Insights is, which says so itself.
    fn azure_record(&self, line: &str) -> Option<(Kind, RequestSource)> {
        let [table, item] =
            self.type_slots.map(|at| self.slots.get(usize::from(at)).filter(|slot| slot.form == Form::Plain));
        if let Some(slot) = table {
            return match slot.raw(line) {
                "AppRequests" => Some((Kind::Request, RequestSource::RootSpan)),
                "AppDependencies" => Some((Kind::Span, RequestSource::RootSpan)),
                "AppTraces"
                | "AppExceptions"
                | "AppEvents"
                | "AppPageViews"
                | "AppPerformanceCounters"
                | "AppMetrics"
                | "AppAvailabilityResults"
                | "AppBrowserTimings" => Some((Kind::Log, RequestSource::Application)),
                _ => None,
            };
        }
        match item?.raw(line) {
            "request" => Some((Kind::Request, RequestSource::RootSpan)),
            "dependency" => Some((Kind::Span, RequestSource::RootSpan)),
            "trace" | "exception" | "customEvent" | "pageView" | "performanceCounter" | "customMetric"
            | "availabilityResult" | "browserTiming" => Some((Kind::Log, RequestSource::Application)),
            _ => None,
        }
    }

    /// The first field with a status in figures; where none is, the first with anything.
    #[inline]
    pub(super) fn first_status(&self, line: &str) -> Option<(Slot, usize)> {
        let first = self.first(Role::Status)?;
        let is_figure = |slot: &Slot| slot.form == Form::Number || slot.text(line).bytes().all(|b| b.is_ascii_digit());
        let says_failed = |slot: &Slot, at: usize| {
            values::status_in(&slot.text(line), self.notations[at]).is_some_and(|status| status.error)
        };
        if is_figure(&first.0) {
            return Some(first);
        }
        // `status` may say how the work went, beside the code of the answer.
        let list = &self.roles[Role::Status as usize];
        let others = (first.1 + 1..usize::from(list.len).min(FIELDS_MAX)).filter_map(|at| {
            let slot = self.slots.get(usize::from(list.slots[at])).filter(|slot| slot.is_scalar())?;
            let notation = self.notations[at];
            let is_code = match notation {
                StatusNotation::Http => is_figure(slot),
                StatusNotation::Grpc => true,
                StatusNotation::Span => false,
            };
            (is_code && values::status_in(&slot.text(line), notation).is_some()).then_some((*slot, at))
        });
        let code = others.into_iter().next();
        // A word that says that it failed is no less than a code, but for whose fault it was: `fail` beside 404 (JSend).
        let blames_client = |(slot, at): &(Slot, usize)| {
            values::status_in(&slot.text(line), self.notations[*at]).is_some_and(|status| status.class == 4)
        };
        code.filter(|code| !says_failed(&first.0, first.1) || blames_client(code)).or(Some(first))
    }

    /// A request that asks only whether the service is there: its path says so, and it is nobody's, or its program says so.
    #[inline]
    pub(super) fn asks_for_health(&self, line: &str, unit: u64) -> bool {
        let is_users = matches!(self.plan.unit, UnitKind::User | UnitKind::Session);
        if is_users && unit != 0 {
            return false;
        }
        let Some((slot, _)) = self.first(Role::Route) else { return false };
        let agent = self.agent_slots.iter().find_map(|at| {
            let slot = self.slots.get(usize::from(*at)).filter(|slot| slot.is_scalar())?;
            Some(slot.text(line))
        });
        // Whatever they ask for.
        if agent.is_some_and(|agent| PROBERS.iter().any(|name| agent.starts_with(name))) {
            return true;
        }
        let text = slot.text(line);
        let path = text.split(['?', '#', ' ']).find(|part| part.contains('/')).unwrap_or_default().trim_matches('/');
        let (before, last) = path.rsplit_once('/').unwrap_or(("", path));
        let steps = || path.split('/').take(3);
        let under = steps().zip(steps().skip(1)).find(|(step, _)| step.eq_ignore_ascii_case(ACTUATOR));
        if under.is_some_and(|(_, of)| is_one_of(&OF_ACTUATOR, of)) {
            return true;
        }
        // `/insurance/health` is a page, and so is `/api/orders/ready`.
        let is_programs = |step: &str| is_one_of(&OF_PROGRAMS, step) || is_version(step);
        let is_programs = before.is_empty() || before.split('/').count() < 3 && before.split('/').all(is_programs);
        is_programs && (is_one_of(&ONLY_PROBES, last) || is_users && is_one_of(&MAY_BE_PROBES, last))
    }

    /// The line looks like a call to somebody else: whole URLs are those of clients (OpenTelemetry: `url.full`), as peers are.
    fn is_outgoing(&self, line: &str) -> bool {
        let is_whole = |text: &str| text.contains("://");
        let mut urls = self.url_slots.iter().filter_map(|at| self.slots.get(usize::from(*at)));
        self.first(Role::Route).is_some_and(|(slot, _)| is_whole(&slot.text(line)))
            || urls.any(|slot| slot.is_scalar() && is_whole(&slot.text(line)))
            || self.peer_slots.iter().any(|at| self.slots.get(usize::from(*at)).is_some_and(Slot::is_scalar))
            || self.direction_slots.iter().any(|at| {
                let slot = self.slots.get(usize::from(*at)).filter(|slot| slot.form == Form::Plain);
                slot.is_some_and(|slot| OUTWARD.iter().any(|word| slot.raw(line).eq_ignore_ascii_case(word)))
            })
    }

    #[inline(never)]
    fn is_clients_doing(&self, line: &str) -> bool {
        let slot = self.slots.get(usize::from(self.flags_slot)).filter(|slot| slot.is_scalar());
        slot.is_some_and(|slot| slot.text(line).split(',').any(|flag| flag == "DC"))
    }

    /// The source that the line itself names.
    #[inline]
    pub(super) fn named_source(&self, line: &str) -> Option<RequestSource> {
        let slot = self.slots.get(usize::from(self.source_slot)).filter(|slot| slot.is_scalar())?;
        RequestSource::from_name(&slot.text(line))
    }

    /// Kind of a line, and the number of the business event that it is, plus one; 0 for none that the plan names. A line that
    /// says of itself no more than a name that the plan knows is that event.
    #[inline]
    pub(super) fn conversion(&self, line: &str, kind: Kind) -> (Kind, u8) {
        if self.event_names.is_empty() {
            return (kind, 0);
        }
        match kind {
            Kind::Span | Kind::Exposure => (kind, 0),
            // A request is one where a pipeline says so.
            Kind::Request => (kind, self.named_event(line, 1).map_or(0, |at| at + 1)),
            Kind::Log | Kind::Business => match self.named_event(line, usize::MAX) {
                Some(at) => (Kind::Business, at + 1),
                None => (kind, 0),
            },
        }
    }

    /// What the line says of each metric of the plan.
    #[inline]
    pub(super) fn metrics(&self, line: &str) -> [u16; METRICS_MAX] {
        let mut said = event::NO_METRICS;
        for ((said, slot), metric) in said.iter_mut().zip(&self.metric_slots).zip(&self.plan.metrics) {
            let Some(slot) = self.slots.get(usize::from(*slot)) else { continue };
            let text = slot.text(line);
            *said = match (metric.kind, text.trim()) {
                // JSON has no NaN: loggers write null for it.
                (MetricKind::Gauge, _) if slot.is_there_without_value() => event::METRIC_UNREAD,
                (MetricKind::Gauge, _) if !slot.is_scalar() => continue,
                (MetricKind::Gauge, text) => {
                    let parts = number::micros_from_decimal(text, GAUGE_PARTS, 1);
                    parts.map_or(event::METRIC_UNREAD, |parts| bin_of(parts) + 1)
                }
                (MetricKind::Ratio | MetricKind::Count, "0") => 1,
                (MetricKind::Ratio | MetricKind::Count, "1") => 2,
                (MetricKind::Ratio | MetricKind::Count, _) => 0,
            };
        }
        said
    }

    /// Number of the first event of the plan that one of the first `most` fields names.
    fn named_event(&self, line: &str, most: usize) -> Option<u8> {
        self.event_names.iter().take(most).find_map(|slot| {
            let slot = self.slots.get(usize::from(*slot)).filter(|slot| slot.is_scalar())?;
            let text = slot.text(line);
            let at = self.plan.conversions.names.iter().position(|name| *name == text)?;
            u8::try_from(at).ok()
        })
    }

    /// The line is a proxy's or mesh's access log in JSON: no application calls its status `response_code`.
    fn is_proxy_line(&self) -> bool {
        let slot = |at: u8| self.slots.get(usize::from(at));
        self.proxy_status.is_some_and(|at| slot(at).is_some_and(Slot::is_scalar))
            || self.proxy_slots.iter().any(|at| slot(*at).is_some_and(|slot| slot.form != Form::Absent))
    }

    /// How many events the line stands for: the first of its sampling fields that tells does. And whether one is there,
    /// but none tells.
    #[inline]
    pub(super) fn weight(&self, line: &str) -> (u32, bool) {
        let list = &self.roles[Role::SampleRate as usize];
        let mut unread = false;
        for at in 0..usize::from(list.len).min(FIELDS_MAX) {
            let Some(slot) = self.slots.get(usize::from(list.slots[at])).filter(|slot| slot.form != Form::Absent)
            else {
                continue;
            };
            if slot.form == Form::Nested {
                unread |= !values::is_empty_json(slot.raw(line));
                continue;
            }
            match sampling::rate(&slot.text(line), slot.form == Form::Number, self.rate_notations[at]) {
                Rate::Silent => {}
                Rate::Weight(weight) => return (weight, false),
                Rate::Unreadable => unread = true,
            }
        }
        (WEIGHT_ONE, unread)
    }

    /// How the value of a role stands in the line; `first`: its first field with a value; `read`: it could be read.
    #[inline]
    pub(super) fn form(
        &self,
        role: Role,
        first: Option<(Slot, usize)>,
        line: &str,
        access_line: bool,
        read: bool,
    ) -> FieldForm {
        match first {
            Some((slot, _)) if read && (access_line || slot.form == Form::Number) => FieldForm::Number,
            Some(_) if read => FieldForm::Text,
            Some((slot, _)) if matches!(slot.text(line).trim_ascii(), "" | "-") => FieldForm::Absent,
            Some(_) => FieldForm::Unreadable,
            None => self.nested_form(role),
        }
    }

    /// An object or a list stands where a role's value is looked for.
    fn nested_form(&self, role: Role) -> FieldForm {
        let list = &self.roles[role as usize];
        let slots = list.slots.iter().take(usize::from(list.len));
        let is_nested = |slot: &u8| self.slots.get(usize::from(*slot)).is_some_and(|slot| slot.form == Form::Nested);
        if slots.into_iter().any(is_nested) { FieldForm::Unreadable } else { FieldForm::Absent }
    }
}
