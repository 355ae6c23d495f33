//! What clients of Elasticsearch and OpenSearch ask: `_bulk`, and before it whether this is one, its licence, its health, and the
//! templates and policies that they would otherwise set up.
//!
//! Nothing is stored but log lines, so nothing has to be set up: what a client looks for is there, and what it sends is acknowledged.
//! Searches are answered elsewhere (`searching::elastic`), where the program was built with them.

use std::net::SocketAddr;
use std::time::Instant;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use crate::cli::run::door::{Door, Refused, Taken};
use crate::source::dialect::bulk::Bulk;
use crate::source::wal::Appended;

/// Version of Elasticsearch whose answers these are.
const VERSION: [u32; 3] = [8, 17, 0];
/// Names in `User-Agent` of clients that refuse a server that is older than they are.
const STRICT_CLIENTS: [&str; 5] = ["beat", "logstash", "elastic-agent", "elastic-otel", "elastic-"];

/// The door, and where it stands.
#[derive(Clone)]
pub(super) struct Elastic {
    pub door: Door,
    pub address: SocketAddr,
    /// What is searched.
    #[cfg(feature = "index")]
    pub shared: std::sync::Arc<crate::cli::run::http::Shared>,
    /// What happened to rollouts.
    #[cfg(feature = "index")]
    pub desk: crate::cli::run::desk::Desk,
}

/// Paths by which lines come in, with what they are asked with; what clients ask before stands in [`any`].
#[cfg(test)]
pub(super) const PATHS: [(&str, &str); 5] = [
    ("/_bulk", "post"),
    ("/{index}/_bulk", "post"),
    ("/{index}/_doc", "post"),
    ("/{index}/_doc/{id}", "post put"),
    ("/{index}/_create/{id}", "post put"),
];

/// What a path asks for: the index, and the words from the first that begins with `_`. What stands before is a prefix that the user
/// has configured.
fn asked(path: &str) -> (Option<&str>, Vec<&str>) {
    let words: Vec<&str> = path.split('/').filter(|word| !word.is_empty()).collect();
    match words.iter().position(|word| word.starts_with('_') && *word != "_all") {
        Some(first) => (first.checked_sub(1).and_then(|at| words.get(at).copied()), words[first..].to_vec()),
        None => (None, words),
    }
}

/// A path asks for what is there, and stores nothing.
pub(super) fn is_search(path: &str) -> bool {
    let (_, words) = asked(path);
    matches!(words.as_slice(), ["_search" | "_msearch" | "_count" | "_field_caps" | "_mapping" | "_mappings"])
}

/// Answers whatever no other route does.
pub(super) async fn any(State(elastic): State<Elastic>, request: Request) -> Response {
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let kind = kind(request.headers());
    let (index, words) = asked(&path);
    let reads = matches!(method, Method::GET | Method::HEAD);
    #[cfg(feature = "index")]
    if let Some(question) = crate::cli::run::searching::elastic::Question::of(&words, &method) {
        let (status, body) =
            crate::cli::run::searching::elastic::answer((&elastic.shared, &elastic.desk), index, question, request)
                .await;
        return answer(status, kind, body.to_string());
    }
    let body = match words.as_slice() {
        ["_bulk"] => return bulk(&elastic.door, index, None, kind, request).await,
        ["_doc"] if method == Method::POST => return bulk(&elastic.door, index, Some(None), kind, request).await,
        ["_doc" | "_create", id] if matches!(method, Method::POST | Method::PUT) => {
            return bulk(&elastic.door, index, Some(Some(id)), kind, request).await;
        }
        ["_license"] | ["_xpack", "license"] => json!({ "license": license() }),
        ["_xpack"] => json!({ "build": { "hash": "serin" }, "license": license(), "features": {} }),
        ["_cluster", "health", ..] => health(),
        ["_cat", "health", ..] if wants_json(&request) => json!([health()]),
        ["_cat", "health", ..] => {
            let text = "serin green 1 1 0 0 0 0 0 0 - 100.0%\n";
            return answer(StatusCode::OK, HeaderValue::from_static("text/plain; charset=UTF-8"), text.to_owned());
        }
        ["_nodes"] | ["_nodes", "http"] | ["_nodes", _, "http"] => nodes(request.headers(), elastic.address),
        // What is looked for is there, so that nobody has to set it up; what is sent all the same is acknowledged.
        ["_index_template" | "_template" | "_component_template", _]
        | ["_ilm", "policy", _]
        | ["_ingest", "pipeline", _] => {
            if reads {
                json!({})
            } else {
                json!({ "acknowledged": true })
            }
        }
        ["_data_stream", name] if reads => json!({ "data_streams": [{ "name": name }] }),
        ["_alias", ..] if reads => json!({}),
        // Whether an index or an alias is there.
        [_] if method == Method::HEAD && !words[0].starts_with('_') => json!({}),
        ["_search" | "_msearch" | "_count" | "_mget" | "_doc" | "_source" | "_update", ..] => {
            let words = "of searches there are _search, _msearch, _count, _field_caps and _mapping, in programs that were built with \
                         search; lines are sent with _bulk, create or index";
            return error(StatusCode::NOT_IMPLEMENTED, "illegal_argument_exception", words, kind);
        }
        _ => {
            let words = format!(
                "no handler found for uri [{path}] and method [{method}]; log lines come by POST to /ingest (JSON or access log), \
                 /_bulk, /v1/logs (OTLP) or /loki/api/v1/push"
            );
            return error(StatusCode::NOT_FOUND, "illegal_argument_exception", &words, kind);
        }
    };
    answer(StatusCode::OK, kind, body.to_string())
}

/// The answer to `GET /` for clients that are no browsers.
pub(super) fn root(headers: &HeaderMap) -> Response {
    let [major, minor, patch] = version(headers);
    let body = json!({
        "name": "serin",
        "cluster_name": "serin",
        "cluster_uuid": "c2VyaW4tbG9nLWxpbmVzLQ",
        "version": {
            "number": format!("{major}.{minor}.{patch}"),
            "distribution": "serin",
            "build_flavor": "default",
            "build_type": "tar",
            "build_hash": "serin",
            "build_date": "2025-01-01T00:00:00.000Z",
            "build_snapshot": false,
            "lucene_version": "9.12.0",
            "minimum_wire_compatibility_version": "7.17.0",
            "minimum_index_compatibility_version": "7.0.0",
        },
        "tagline": "You Know, for Search",
    });
    answer(StatusCode::OK, kind(headers), body.to_string())
}

/// The version that is told: that of a client which would refuse an older one.
fn version(headers: &HeaderMap) -> [u32; 3] {
    let agent = headers.get(header::USER_AGENT).and_then(|agent| agent.to_str().ok()).unwrap_or_default();
    let of_client = agent.split(' ').find_map(|word| {
        let (name, version) = word.split_once('/')?;
        let name = name.to_ascii_lowercase();
        STRICT_CLIENTS.iter().any(|client| name.contains(client)).then_some(())?;
        let mut numbers = version.split(['.', '-', '+']).map(|number| number.parse::<u32>().ok());
        Some([numbers.next()??, numbers.next()??, numbers.next()??])
    });
    of_client.filter(|version| version[0] < 100).map_or(VERSION, |version| version.max(VERSION))
}

fn license() -> Value {
    json!({
        "uid": "serin",
        "type": "basic",
        "mode": "basic",
        "status": "active",
        "issue_date": "2025-01-01T00:00:00.000Z",
        "issue_date_in_millis": 1_735_689_600_000_u64,
        "max_nodes": 1000,
        "issued_to": "serin",
        "issuer": "serin",
        "start_date_in_millis": -1,
    })
}

fn health() -> Value {
    json!({
        "cluster_name": "serin",
        "cluster": "serin",
        "status": "green",
        "timed_out": false,
        "number_of_nodes": 1,
        "number_of_data_nodes": 1,
        "active_primary_shards": 0,
        "active_shards": 0,
        "relocating_shards": 0,
        "initializing_shards": 0,
        "unassigned_shards": 0,
        "number_of_pending_tasks": 0,
        "active_shards_percent_as_number": 100.0,
    })
}

/// One node: the name by which the client has come here.
fn nodes(headers: &HeaderMap, address: SocketAddr) -> Value {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let publish = host.map_or_else(|| address.to_string(), str::to_owned);
    let [major, minor, patch] = version(headers);
    json!({
        "_nodes": { "total": 1, "successful": 1, "failed": 0 },
        "cluster_name": "serin",
        "nodes": {
            "serin": {
                "name": "serin",
                "version": format!("{major}.{minor}.{patch}"),
                "build_flavor": "default",
                "roles": ["data", "data_content", "data_hot", "ingest", "master"],
                "http": { "bound_address": [address.to_string()], "publish_address": publish },
            },
        },
    })
}

/// The answer's type: what the client accepts, where that is a JSON of Elastic's.
fn kind(headers: &HeaderMap) -> HeaderValue {
    let accept = headers.get(header::ACCEPT);
    let is_theirs = accept.and_then(|accept| accept.to_str().ok()).is_some_and(|accept| {
        accept.starts_with("application/vnd.elasticsearch+json") && !accept.contains(',') && accept.len() < 100
    });
    match accept {
        Some(accept) if is_theirs => accept.clone(),
        Some(_) | None => HeaderValue::from_static("application/json"),
    }
}

fn wants_json(request: &Request) -> bool {
    let by_query = request.uri().query().is_some_and(|query| query.split('&').any(|part| part == "format=json"));
    let accept = request.headers().get(header::ACCEPT).and_then(|accept| accept.to_str().ok());
    by_query || accept.is_some_and(|accept| accept.contains("json"))
}

fn answer(status: StatusCode, kind: HeaderValue, body: String) -> Response {
    let mut response = (status, body).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, kind);
    headers.insert(HeaderName::from_static("x-elastic-product"), HeaderValue::from_static("Elasticsearch"));
    response
}

fn error(status: StatusCode, kind_of_error: &str, words: &str, kind: HeaderValue) -> Response {
    let cause = json!({ "type": kind_of_error, "reason": words });
    let body = json!({
        "error": { "root_cause": [cause], "type": kind_of_error, "reason": words },
        "status": status.as_u16(),
    });
    answer(status, kind, body.to_string())
}

/// Takes items, or one document, with its id where it has one.
async fn bulk(
    door: &Door,
    index: Option<&str>,
    document: Option<Option<&str>>,
    kind: HeaderValue,
    request: Request,
) -> Response {
    let began = Instant::now();
    if !matches!(*request.method(), Method::POST | Method::PUT) {
        return error(StatusCode::METHOD_NOT_ALLOWED, "illegal_argument_exception", "_bulk takes POST or PUT", kind);
    }
    let (index, document) = (index.map(str::to_owned), document.map(|id| id.map(str::to_owned)));
    let is_document = document.is_some();
    let taken = door.take(request, move |sent| {
        let mut bulk = match document {
            None => Bulk::read(&sent.bytes, index.as_deref())?,
            Some(id) => Bulk::document(&sent.bytes, index.as_deref(), id.as_deref())?,
        };
        Ok((std::mem::take(&mut bulk.lines), bulk))
    });
    let (at, bulk) = match taken.await {
        Ok(Taken::Looked(looked)) => return answer(StatusCode::OK, kind, looked.to_string()),
        Ok(Taken::Nothing(bulk)) => (0, bulk),
        Ok(Taken::Stored(Appended::Record(at) | Appended::Repeated(at), bulk)) => (at, bulk),
        Err(refused) => {
            let Refused(status, words) = &refused;
            let kind_of_error = match *status {
                StatusCode::TOO_MANY_REQUESTS => "es_rejected_execution_exception",
                StatusCode::SERVICE_UNAVAILABLE => "unavailable_shards_exception",
                _ => "illegal_argument_exception",
            };
            return refused.mark(error(*status, kind_of_error, words, kind));
        }
    };
    if is_document {
        return answer(StatusCode::CREATED, kind, bulk.answer_document(at));
    }
    answer(StatusCode::OK, kind, bulk.answer(at, began.elapsed().as_millis()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_with_index_and_prefix_are_understood() {
        assert_eq!(asked("/_bulk"), (None, vec!["_bulk"]));
        assert_eq!(asked("/logs-web/_bulk/"), (Some("logs-web"), vec!["_bulk"]));
        assert_eq!(asked("/prefix/logs//_bulk"), (Some("logs"), vec!["_bulk"]));
        assert_eq!(asked("/_cluster/health"), (None, vec!["_cluster", "health"]));
        assert_eq!(asked("/alias"), (None, vec!["alias"]));
    }

    #[test]
    fn a_client_that_refuses_older_servers_is_told_its_own_version() {
        let told = |agent: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::USER_AGENT, HeaderValue::from_static(agent));
            version(&headers)
        };
        assert_eq!(told("Elastic-filebeat/9.1.2 (linux; amd64; x; y)"), [9, 1, 2]);
        assert_eq!(told("Filebeat/8.13.0"), VERSION, "an older one takes a newer server");
        assert_eq!(told("logstash/9.0.0-SNAPSHOT (OS=Linux)"), [9, 0, 0]);
        for agent in ["elasticsearch-py/9.5.1 (Python/3.11)", "curl/8.0.1", "filebeat/x", "filebeat/999.0.0"] {
            assert_eq!(told(agent), VERSION, "{agent}");
        }
        assert_eq!(version(&HeaderMap::new()), VERSION);
    }

    /// A full house is said in the words of Elasticsearch, with the time to come again.
    #[tokio::test]
    async fn without_room_a_bulk_request_is_told_to_come_again() {
        let folder = tempfile::tempdir().unwrap();
        let door = Door::full(crate::source::wal::Wal::open(folder.path()).unwrap().wal);
        let request = Request::post("/_bulk").body("{\"create\":{}}\n{}\n".into()).unwrap();
        let response = bulk(&door, None, None, HeaderValue::from_static("application/json"), request).await;
        assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(response.headers()[header::RETRY_AFTER], "1");
        let body = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
        let said: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(said["error"]["type"], "es_rejected_execution_exception");
    }
}
