//! Parts of an access-log line under the names that roles and queries use.

use crate::pipeline::access;
use crate::pipeline::roles::Role;

/// Parts of an access-log line under the names that roles and queries use.
pub(super) fn access_field<'a>(line: &access::Access<'a>, path: &str) -> AccessField<'a> {
    let text = match path {
        "status" => return AccessField::Number(u64::from(line.status)),
        "bytes" => return line.bytes.map_or(AccessField::Absent, AccessField::Number),
        "time" => Some(line.time),
        "client" => Some(line.client),
        FORWARDED_FOR => line.forwarded_for,
        "user" => line.user,
        "method" => line.method,
        "path" => line.path,
        "protocol" => line.protocol,
        "referer" => line.referer,
        "agent" => line.agent,
        "request_time" => line.request_time,
        ACCESS_DURATION => line.duration,
        "host" => line.vhost,
        _ => None,
    };
    text.map_or(AccessField::Absent, AccessField::Text)
}

/// A part of an access-log line.
pub(super) enum AccessField<'a> {
    Text(&'a str),
    Number(u64),
    Absent,
}

/// What a whole number behind the combined format is called: Apache's `%D`, `%{ms}T` or `%T`. Where it is the latency of a
/// line, the time of the line is when the request was received.
pub const ACCESS_DURATION: &str = "access_duration";

/// What the addresses in a quoted field behind the combined format are called (nginx's `$http_x_forwarded_for`).
pub(super) const FORWARDED_FOR: &str = "forwarded_for";

/// Roles of access-log lines. Behind a gateway every address is its own, but for the one that it passes on.
pub const ACCESS_ROLES: [(Role, &str); 8] = [
    (Role::Time, "time"),
    (Role::Client, FORWARDED_FOR),
    (Role::Client, "client"),
    (Role::User, "user"),
    (Role::Status, "status"),
    (Role::Route, "path"),
    (Role::Method, "method"),
    (Role::Latency, "request_time"),
];
