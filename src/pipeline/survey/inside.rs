//! Which lines of an application's own log are work inside its requests, told as a request is: a call to another service with its status, a
//! query with the path of the request that it is part of, the line of an error handler beside the one that says how the request ended.
//!
//! Lines are told apart by their form: the names of their fields, their logger and their message. A form is inside where nearly all its lines
//! have an id of a request (or, where they do not say all of one, of a trace), and another line of that id stands for the request at the same
//! time: one that says more of it, or that took longer. Where lines have no ids, a form of which every line failed is inside if nearly all have a failed request of the same user
//! beside them. And where requests have a status, lines with a path and a duration that succeeded without one are work.
//!
//! What has been found in the first lines is told in all others by the marks of a form: fields and values that all its lines have and no
//! request. A line that has all of them is work.

use std::collections::{BTreeMap, BTreeSet};

use crate::event::{self, Event, NO_LATENCY, NO_NAME, ServiceKey};
use crate::pipeline::decode::without_mark;
use crate::pipeline::json::{self, Value};
use crate::pipeline::plan::{Mark, Plan, RequestSource, WorkForm};
use crate::pipeline::roles::Role;
use crate::pipeline::survey::arms::scalar_text;
use crate::time::Micros;

/// Forms of one service that are told apart.
const FORMS_MAX: usize = 256;
/// Fields of one form that are counted.
const FIELDS_MAX: usize = 512;
/// Values of one field of a form: one that has more may have any.
const VALUES_MAX: usize = 32;
/// Bytes of a value that may be a mark.
const VALUE_MAX: usize = 64;
/// Forms are told apart by all names of fields, and once more by messages and loggers alone: where some fields are in this line and not in
/// that there are as many forms as ways to choose them.
const GRAINS: usize = 2;
/// Fields that name the piece of work that a line is of.
const SPANS: [&str; 7] = ["span_id", "spanId", "span.id", "SpanId", "spanID", "dd.span_id", "@sp"];
/// Lines of one service that are compared with each other.
const LINES_MAX: usize = 20_000;
/// Fewest lines of a form that is found inside, by ids and by users.
const BY_ID_MIN: u64 = 3;
const BY_USER_MIN: u64 = 5;
/// Of the lines of a form so many parts in a hundred must be inside requests.
const PERCENT: u64 = 90;
/// One in so many lines of a form is work.
const SHARE: u64 = 10;
/// Values of one form that are kept as marks, and fields; and forms of a plan, with how many of one service are named.
const OF_FORM: usize = 2;
pub(super) const KEPT_MAX: usize = 256;
pub(super) const NAMED_MAX: usize = 12;
/// Fewest lines of a form whose marks may be values that are neither messages nor names of what wrote them: of few lines any value
/// is the same.
const ANY_VALUE_MIN: u64 = 30;
/// How far the end of a line lies behind that of the request which it is inside, and its begin before: lines are written one after the other.
const SLACK: Micros = 2_000;
/// Other lines that one is compared with.
const OTHERS_MAX: usize = 64;
/// Lines of one failure are so far apart.
const BESIDE: Micros = 2_000_000;
/// How names begin of fields that tell how something ended.
const OUTCOMES: [&str; 6] = ["err", "exc", "exception", "stack", "fail", "reason"];
/// Last steps of the names of fields whose values tell forms apart, beside loggers and messages.
const TELLING: [&str; 13] = [
    "type",
    "kind",
    "component",
    "direction",
    "event",
    "category",
    "target",
    "module",
    "logger",
    "logger_name",
    "name",
    "operation",
    "system",
];

/// What the lines of services say of work inside requests.
#[derive(Default)]
pub(super) struct Inside {
    of: BTreeMap<ServiceKey, [OfService; GRAINS]>,
    /// First steps of paths of fields that vary with how a request ended.
    of_outcome: BTreeSet<String>,
    statuses: BTreeSet<String>,
    /// Paths of fields that play a role whose values differ from request to request.
    of_roles: BTreeSet<String>,
    messages: BTreeSet<String>,
    users: Vec<String>,
    requests: Vec<String>,
    traces: Vec<String>,
    spans: Vec<String>,
}

/// What one service's lines say.
#[derive(Default)]
struct OfService {
    forms: Vec<Form>,
    of_form: BTreeMap<u64, usize>,
    /// Forms of lines with a status, and of lines without with how many there are.
    with: BTreeSet<u64>,
    without: BTreeMap<u64, u64>,
    lines: Vec<Seen>,
    /// Some lines have a status that is no failure, and some one that is a failure of the service.
    succeeds: bool,
    fails: bool,
    /// There are more forms, or fields of one, than are told apart: nothing is known of what else requests have.
    is_full: bool,
}

/// Lines of one form.
#[derive(Default)]
struct Form {
    lines: u64,
    /// Those that succeeded without a status, and all that have none.
    work: u64,
    without: u64,
    /// Those that did not do what was asked, whoever was to blame.
    failed: u64,
    fields: BTreeMap<String, FieldOf>,
}

/// A field of the lines of one form.
#[derive(Default)]
struct FieldOf {
    lines: u64,
    /// Short texts, with how many lines have each.
    values: BTreeMap<String, u64>,
    /// There are more of them than are counted.
    varies: bool,
}

/// What is compared of a line.
#[derive(Clone, Copy)]
struct Seen {
    form: usize,
    request: u64,
    trace: u64,
    user: u64,
    route: u64,
    class: u8,
    error: bool,
    end: Micros,
    took: Micros,
    failed: bool,
    /// It has a status, a route, and a latency: what says more of a request stands for it.
    says: u8,
}

/// Of the lines of a form.
#[derive(Clone, Copy, Default)]
struct Found {
    /// Those that could be asked, those of them that have others beside them, and those that are inside one.
    all: u64,
    with_others: u64,
    inside: u64,
}

impl Found {
    fn is_nearly_all(self, fewest: u64) -> bool {
        self.all >= fewest && self.inside * 100 >= self.all * PERCENT
    }
}

impl Seen {
    /// How far it stands for the request that it is of; `lines`: of its form.
    fn rank(&self, forms: &[Form]) -> (u8, Micros, u64) {
        (self.says, self.took, forms.get(self.form).map_or(0, |form| form.lines))
    }

    /// It lies within the time of another, but for so much.
    fn is_within(&self, other: &Seen, slack: Micros) -> bool {
        self.end <= other.end + slack && self.end - self.took >= other.end - other.took - slack
    }
}

impl Inside {
    pub(super) fn new(plan: &Plan) -> Inside {
        let paths = |role: Role| plan.fields(role).iter().map(|field| field.path.clone());
        let first = |path: String| path.split('.').next().unwrap_or_default().to_owned();
        let of_outcome = [Role::Error, Role::Level, Role::Stack];
        let shared = |role: &Role| !matches!(role, Role::Status | Role::Kind | Role::Message | Role::Service);
        Inside {
            of: BTreeMap::new(),
            of_outcome: of_outcome
                .into_iter()
                .flat_map(paths)
                .chain([crate::pipeline::shape::STACK_PATH.to_owned()])
                .collect(),
            statuses: paths(Role::Status).map(first).collect(),
            of_roles: Role::ALL.into_iter().filter(shared).flat_map(paths).collect(),
            messages: paths(Role::Message).collect(),
            users: [Role::User, Role::Session, Role::Client].into_iter().flat_map(paths).collect(),
            requests: paths(Role::Request).collect(),
            traces: paths(Role::Trace).collect(),
            spans: SPANS.map(str::to_owned).to_vec(),
        }
    }

    /// A line that looks like a request of its service; `route`: its name.
    pub(super) fn note(
        &mut self,
        line: &str,
        (service, source): (&ServiceKey, RequestSource),
        (event, route): (&Event, Option<&str>),
    ) {
        if !matches!(source, RequestSource::Application | RequestSource::Timed) {
            return;
        }
        let line = without_mark(line);
        let mut marks = Vec::new();
        let read = json::scan_object(line, &mut |key: json::Str<'_>, value: Value<'_>| {
            let key = key.get();
            if !matches!(value, Value::Null) {
                add_marks(&mut marks, &key, &value, true);
            }
        });
        if read.is_err() {
            return;
        }
        // Whatever tells how it ended tells nothing else.
        marks.retain(|mark| {
            let first = mark.path.split('.').next().unwrap_or_default();
            let is_told =
                OUTCOMES.iter().any(|word| first.get(..word.len()).is_some_and(|of| of.eq_ignore_ascii_case(word)));
            !is_told && !self.of_outcome.contains(&mark.path) && !self.of_outcome.contains(first)
        });
        let form_of = |is_coarse: bool| {
            let told = marks.iter().filter(|mark| self.tells_form(mark) && !(is_coarse && mark.value.is_none()));
            told.fold(0u64, |sum, mark| sum.wrapping_add(hash(mark)))
        };
        let forms = [form_of(false), form_of(true)];
        marks.retain(|mark| mark.value.is_none() || !self.of_roles.contains(&mark.path));

        let id = |paths: &[String]| {
            let values = paths.iter().filter_map(|path| json::lookup(line, path).and_then(scalar_text));
            let told =
                values.into_iter().find(|text| text.bytes().any(|byte| byte.is_ascii_alphanumeric() && byte != b'0'));
            told.map_or(0, |text| event::identity_hash(text.as_bytes()).max(1))
        };
        let has_status = event.status_class != 0;
        let took = if event.latency_us == NO_LATENCY { 0 } else { event.latency_us.min(i64::MAX as u64) as Micros };
        let (request, trace, span) = (id(&self.requests), id(&self.traces), id(&self.spans));
        let seen = Seen {
            form: 0,
            // One piece of work of a trace is one request.
            request: if request == 0 && trace != 0 && span != 0 { event::mix(trace, span).max(1) } else { request },
            trace,
            user: id(&self.users),
            route: route.map_or(0, |route| event::identity_hash(route.as_bytes()).max(1)),
            class: event.status_class,
            error: event.error,
            end: event.time.0,
            took,
            failed: event.error || event.status_class >= 4,
            says: u8::from(has_status) + u8::from(event.route != NO_NAME) + u8::from(took > 0),
        };
        let grains = self.of.entry(service.clone()).or_default();
        for (of, form) in grains.iter_mut().zip(forms) {
            of.note(seen, form, &marks, has_status);
        }
    }

    /// What is known of a service: by its finest forms, where they could be told apart.
    fn of_service(&self, service: &ServiceKey) -> Option<&OfService> {
        let [fine, coarse] = self.of.get(service)?;
        Some(if fine.is_full { coarse } else { fine })
    }

    /// A field, or a value, by which forms of lines are told apart.
    fn tells_form(&self, mark: &Mark) -> bool {
        let last = mark.path.rsplit(['.', '_', '-']).next().unwrap_or_default();
        match &mark.value {
            None => !self.statuses.contains(mark.path.split('.').next().unwrap_or_default()),
            Some(text) if self.messages.contains(&mark.path) => {
                !text.bytes().any(|byte| byte.is_ascii_digit() || byte == b'/')
            }
            Some(_) => {
                !self.of_roles.contains(&mark.path)
                    && TELLING.iter().any(|telling| last.eq_ignore_ascii_case(telling) || mark.path == *telling)
            }
        }
    }

    /// The lines without a status of a service are those of its requests, but for the status: they have the same form.
    pub(super) fn is_like_requests(&self, service: &ServiceKey) -> bool {
        let Some(of) = self.of_service(service) else { return true };
        // Where only failures have a status, those without have succeeded.
        if !of.succeeds {
            return true;
        }
        let all: u64 = of.without.values().sum();
        let alike: u64 = of.without.iter().filter(|(set, _)| of.with.contains(*set)).map(|(_, lines)| lines).sum();
        alike * 2 >= all && all > 0
    }

    /// Each form that is inside the requests of a service, and how many of its lines look like requests with a status and are inside them.
    pub(super) fn found(&self, service: &ServiceKey) -> (BTreeSet<WorkForm>, u64) {
        let Some(of) = self.of_service(service).filter(|of| of.succeeds && !of.is_full) else {
            return Default::default();
        };
        let inside = of.inside();
        let is_work = |form: &Form| form.work > 0 && form.work * SHARE >= form.lines && !self.is_like_requests(service);
        let is_request = |at: usize, form: &Form| !inside.contains(&at) && !is_work(form);
        let requests = || of.forms.iter().enumerate().filter(|(at, form)| is_request(*at, form)).map(|(_, form)| form);
        let mut kept = BTreeSet::new();
        let mut told = 0;
        for (at, form) in of.forms.iter().enumerate() {
            let by_place = inside.contains(&at);
            if !by_place && !is_work(form) {
                continue;
            }
            // A crash of a request may have the message or the logger of its work, where no request has a status that says so.
            let may_tell = |mark: &Mark| mark.value.is_none() || by_place || of.fails;
            let alone = form.marks().filter(|(mark, lines)| {
                *lines == form.lines && may_tell(mark) && requests().all(|of| !of.may_have(mark))
            });
            let (mut values, fields): (Vec<Mark>, Vec<Mark>) =
                alone.map(|(mark, _)| mark).partition(|mark| mark.value.is_some());
            values.retain(|mark| form.lines >= ANY_VALUE_MIN || self.tells_form(mark));
            // What wrote a line says more than what it was about.
            values.sort_by_key(|mark| (!self.messages.contains(&mark.path), !self.tells_form(mark)));
            // One field that requests did not have so far may come to them with the next version.
            if by_place && values.is_empty() && fields.len() < 2 || values.is_empty() && fields.is_empty() {
                continue;
            }
            if by_place {
                told += form.lines - form.without;
            }
            let marks = values.into_iter().take(OF_FORM).chain(fields.into_iter().take(OF_FORM)).collect();
            kept.insert(WorkForm { marks, lacks_status: form.without == form.lines });
        }
        (kept, told)
    }
}

impl Form {
    /// A line with these fields and values; whether all of them could be counted.
    fn add(&mut self, marks: &[Mark], has_status: bool, failed: bool) -> bool {
        self.lines += 1;
        self.without += u64::from(!has_status);
        self.work += u64::from(!has_status && !failed);
        self.failed += u64::from(failed);
        let mut is_whole = true;
        for Mark { path, value } in marks {
            if self.fields.len() >= FIELDS_MAX && !self.fields.contains_key(path) {
                is_whole = false;
                continue;
            }
            let field = self.fields.entry(path.clone()).or_default();
            match value {
                None => field.lines += 1,
                Some(value) if field.values.len() < VALUES_MAX || field.values.contains_key(value) => {
                    *field.values.entry(value.clone()).or_default() += 1;
                }
                Some(_) => field.varies = true,
            }
        }
        is_whole
    }

    /// Fields and values, with how many lines have each.
    fn marks(&self) -> impl Iterator<Item = (Mark, u64)> + '_ {
        self.fields.iter().flat_map(|(path, field)| {
            let here = |value: Option<&String>| Mark { path: path.clone(), value: value.cloned() };
            let values = field.values.iter().map(move |(value, lines)| (here(Some(value)), *lines));
            std::iter::once((here(None), field.lines)).chain(values)
        })
    }

    /// Its lines say that something is tried again.
    fn says_it_tries(&self) -> bool {
        self.fields.iter().any(|(path, field)| tries_again(path) || field.values.keys().any(|value| tries_again(value)))
    }

    /// A line of the form may have this.
    fn may_have(&self, mark: &Mark) -> bool {
        let field = self.fields.get(&mark.path);
        field.is_some_and(|field| match &mark.value {
            None => true,
            Some(value) => field.varies || field.values.contains_key(value),
        })
    }
}

impl OfService {
    /// A line of a form.
    fn note(&mut self, seen: Seen, form: u64, marks: &[Mark], has_status: bool) {
        self.succeeds |= matches!(seen.class, 2 | 3);
        self.fails |= seen.class >= 5;
        if has_status && self.with.len() < FORMS_MAX {
            self.with.insert(form);
        } else if !has_status && self.without.len() < FORMS_MAX {
            *self.without.entry(form).or_default() += 1;
        }
        let at = match self.of_form.get(&form) {
            Some(at) => *at,
            None if self.forms.len() >= FORMS_MAX => {
                self.is_full = true;
                return;
            }
            None => {
                self.forms.push(Form::default());
                self.of_form.insert(form, self.forms.len() - 1);
                self.forms.len() - 1
            }
        };
        if let Some(form) = self.forms.get_mut(at) {
            self.is_full |= !form.add(marks, has_status, seen.failed);
        }
        if self.lines.len() < LINES_MAX {
            self.lines.push(Seen { form: at, ..seen });
        }
    }

    /// Forms whose lines are inside requests that other lines stand for.
    fn inside(&self) -> BTreeSet<usize> {
        if self.forms.len() < 2 {
            return BTreeSet::new();
        }
        let first = self.inside_of_others(&BTreeSet::new());
        // What is inside stands for nothing itself.
        if first.is_empty() { first } else { self.inside_of_others(&first) }
    }

    /// The same, where lines of some forms stand for nothing.
    fn inside_of_others(&self, no_requests: &BTreeSet<usize>) -> BTreeSet<usize> {
        // Of whole seconds nobody can say what lay within what.
        let is_fine = self.lines.iter().any(|line| line.end % 1_000_000 != 0);
        let mut by_request: BTreeMap<u64, Vec<usize>> = BTreeMap::new();
        let mut by_trace: BTreeMap<u64, Vec<usize>> = BTreeMap::new();
        let mut by_user: BTreeMap<u64, Vec<usize>> = BTreeMap::new();
        for (at, line) in self.lines.iter().enumerate() {
            let lists = [(&mut by_request, line.request), (&mut by_trace, line.trace), (&mut by_user, line.user)];
            lists
                .into_iter()
                .filter(|(_, key)| *key != 0)
                .for_each(|(list, key)| list.entry(key).or_default().push(at));
        }
        by_user.values_mut().for_each(|list| list.sort_by_key(|at| self.lines.get(*at).map(|line| line.end)));
        let mut placed = vec![Found::default(); self.forms.len()];
        let mut beside = vec![Found::default(); self.forms.len()];
        // Two requests of one user may run at the same time: what was tried again says so.
        let tries: Vec<bool> = self.forms.iter().map(Form::says_it_tries).collect();
        for line in &self.lines {
            let rank = line.rank(&self.forms);
            // A connection that was taken over for something else stays open, and its messages are requests.
            let stands = |other: &&Seen| {
                other.class != 1 && other.rank(&self.forms) > rank && !no_requests.contains(&other.form)
            };
            let others = |list: &BTreeMap<u64, Vec<usize>>, key: u64| -> Vec<Seen> {
                let all = list.get(&key).into_iter().flatten().filter_map(|at| self.lines.get(*at)).copied();
                all.filter(|other| other.form != line.form).take(OTHERS_MAX).collect()
            };
            let of_id =
                if line.request != 0 { others(&by_request, line.request) } else { others(&by_trace, line.trace) };
            if let Some(found) =
                placed.get_mut(line.form).filter(|_| is_fine && (line.request != 0 || line.trace != 0 && line.says < 3))
            {
                found.all += 1;
                found.with_others += u64::from(!of_id.is_empty());
                // Attempts share the id of what is attempted, one after the other.
                found.inside += u64::from(of_id.iter().any(|other| stands(&other) && line.is_within(other, SLACK)));
            }
            if let Some(found) = beside.get_mut(line.form).filter(|_| line.failed && line.user != 0) {
                let list = by_user.get(&line.user).map_or(&[][..], Vec::as_slice);
                let end_of = |at: &usize| self.lines.get(*at).map_or(0, |line| line.end);
                let from = list.partition_point(|at| end_of(at) < line.end - BESIDE);
                let near = list.iter().skip(from).take_while(|at| end_of(at) <= line.end + BESIDE);
                let mut near =
                    near.filter_map(|at| self.lines.get(*at)).filter(|other| other.form != line.form).take(OTHERS_MAX);
                // It ended the same way, as far as both say how and of what; or it was the same once more, an attempt that it got over.
                let tries = tries.get(line.form).copied().unwrap_or_default();
                let is_same = |other: &Seen| {
                    let ended_alike = if line.class == 0 { other.error } else { other.class == line.class };
                    let may_be = line.route == 0 || other.route == 0 || other.route == line.route;
                    (other.failed && ended_alike && may_be)
                        || (is_fine
                            && tries
                            && line.route != 0
                            && other.route == line.route
                            && line.is_within(other, 0))
                };
                found.all += 1;
                found.inside += u64::from(near.any(|other| stands(&other) && is_same(other)));
            }
        }
        let is_inside = |at: &usize| {
            let of = |list: &[Found]| list.get(*at).copied().unwrap_or_default();
            let (Some(form), of_ids, of_users) = (self.forms.get(*at), of(&placed), of(&beside)) else { return false };
            // Ids that the others do not have tell nothing.
            match of_ids.with_others * 2 >= form.lines {
                true => of_ids.is_nearly_all(BY_ID_MIN),
                false => {
                    form.failed == form.lines && of_users.all * 2 >= form.lines && of_users.is_nearly_all(BY_USER_MIN)
                }
            }
        };
        (0..self.forms.len()).filter(is_inside).collect()
    }
}

/// One of the words of a text, or of a name in pieces or with capitals, says that something is tried again. `retrieve` and `against` do not.
fn tries_again(text: &str) -> bool {
    const WORDS: [&str; 10] =
        ["retry", "retries", "retrying", "retried", "attempt", "attempts", "attempting", "tries", "retriable", "again"];
    let mut word = String::new();
    let mut before = ' ';
    for c in text.chars().chain([' ']) {
        let ends = !c.is_ascii_alphabetic() || c.is_ascii_uppercase() && before.is_ascii_lowercase();
        if ends && WORDS.contains(&std::mem::take(&mut word).as_str()) {
            return true;
        }
        if c.is_ascii_alphabetic() {
            word.push(c.to_ascii_lowercase());
        }
        before = c;
    }
    false
}

fn hash(mark: &Mark) -> u64 {
    let value = mark.value.as_deref().map_or(1, |value| event::identity_hash(value.as_bytes()));
    event::mix(event::identity_hash(mark.path.as_bytes()), value)
}

/// A field and its value, and the fields of an object one step in.
fn add_marks(marks: &mut Vec<Mark>, path: &str, value: &Value<'_>, goes_in: bool) {
    let here = |value: Option<String>| Mark { path: path.to_owned(), value };
    match value {
        Value::Null | Value::Array(_) => {}
        Value::Object(inner) if goes_in => {
            // What is damaged further in has been read as far as it goes.
            let _damaged = json::scan_object(inner, &mut |key: json::Str<'_>, value: Value<'_>| {
                add_marks(marks, &format!("{path}.{}", key.get()), &value, false);
            });
        }
        Value::Object(_) | Value::Bool(_) | Value::Number(_) => marks.push(here(None)),
        Value::String(text) => {
            let text = text.get();
            marks.push(here(None));
            if text.len() <= VALUE_MAX {
                marks.push(here(Some(text.into_owned())));
            }
        }
    }
}
