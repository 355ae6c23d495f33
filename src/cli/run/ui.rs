//! The web UI: files that are built from `ui/`, committed in `ui/dist/` and embedded, so that serving them needs neither Node nor a
//! folder, and building the program none either.
//!
//! They hold no data: whoever may reach this address may load them, and what they then ask needs what every question needs.

use std::borrow::Cow;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{LazyLock, OnceLock};

use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use flate2::Compression;
use flate2::write::GzEncoder;
use xxhash_rust::xxh3::xxh3_64;

/// What a page of ours may load: what comes from here. Log text is put into it as text alone, and this is the second lock on that
/// door: no script that stands in the page itself, and no style, is run.
pub(super) const POLICY: &str =
    "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'";
/// First words of paths that are screens. Others that nobody answers are those of clients of Elasticsearch.
const SCREENS: [&str; 8] = ["rollouts", "search", "compare", "templates", "d", "dashboards", "hooks", "status"];

/// A file of the UI.
struct Asset {
    path: &'static str,
    kind: &'static str,
    bytes: Cow<'static, [u8]>,
    /// The same, packed with gzip.
    packed: Vec<u8>,
    /// By which a browser knows that it has it.
    tag: HeaderValue,
}

impl Asset {
    fn new(path: &'static str, kind: &'static str, bytes: impl Into<Cow<'static, [u8]>>) -> Asset {
        let bytes = bytes.into();
        let mut packed = GzEncoder::new(Vec::new(), Compression::best());
        // A vector takes everything.
        let packed = packed.write_all(&bytes).and_then(|()| packed.finish()).unwrap_or_default();
        let tag = HeaderValue::from_str(&format!("\"{:016x}\"", xxh3_64(&bytes)));
        Asset { path, kind, bytes, packed, tag: tag.unwrap_or(HeaderValue::from_static("\"\"")) }
    }

    fn answer(&self, headers: &HeaderMap) -> Response {
        let has = |name: header::HeaderName, word: &str| {
            let values = headers.get_all(name);
            values
                .iter()
                .filter_map(|value| value.to_str().ok())
                .any(|value| value.split(',').any(|of| of.trim() == word))
        };
        let is_known = self.tag.to_str().is_ok_and(|tag| has(header::IF_NONE_MATCH, tag));
        let mut response = match (is_known, has(header::ACCEPT_ENCODING, "gzip")) {
            (true, _) => StatusCode::NOT_MODIFIED.into_response(),
            (false, true) => ([(header::CONTENT_ENCODING, "gzip")], Body::from(self.packed.clone())).into_response(),
            (false, false) => Body::from(self.bytes.to_vec()).into_response(),
        };
        let fields = response.headers_mut();
        fields.insert(header::CONTENT_TYPE, HeaderValue::from_static(self.kind));
        fields.insert(header::ETAG, self.tag.clone());
        // Names are fixed, so a browser asks each time whether it has the right one.
        fields.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        fields.insert(header::VARY, HeaderValue::from_static("accept, accept-encoding"));
        fields.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
        response
    }
}

static ASSETS: LazyLock<[Asset; 4]> = LazyLock::new(|| {
    [
        Asset::new("/", "text/html; charset=utf-8", &include_bytes!("../../../ui/dist/index.html")[..]),
        Asset::new("/app.js", "text/javascript; charset=utf-8", &include_bytes!("../../../ui/dist/app.js")[..]),
        Asset::new("/app.css", "text/css; charset=utf-8", &include_bytes!("../../../ui/dist/app.css")[..]),
        Asset::new("/favicon.svg", "image/svg+xml", &include_bytes!("../../../ui/dist/favicon.svg")[..]),
    ]
});

/// The path of the file that a request is for: one of its own, or the page for a browser that asks for a screen.
fn path_of(method: &Method, path: &str, headers: &HeaderMap) -> Option<&'static str> {
    if !matches!(*method, Method::GET | Method::HEAD) {
        return None;
    }
    let accept = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok());
    let is_browser = accept.is_some_and(|accept| accept.contains("text/html"));
    let first = path.trim_start_matches('/').split('/').next().unwrap_or_default();
    let last = path.rsplit('/').next().unwrap_or_default();
    match path {
        "/app.js" => Some("/app.js"),
        "/app.css" => Some("/app.css"),
        "/favicon.svg" => Some("/favicon.svg"),
        "/" if is_browser => Some("/"),
        // What has a dot is the name of a file that is not there; names of rollouts and templates may have one.
        _ if is_browser && SCREENS.contains(&first) && (!last.contains('.') || first == "rollouts") => Some("/"),
        _ => None,
    }
}

/// A request is for a file of the UI.
pub(super) fn is_asked(request: &Request) -> bool {
    path_of(request.method(), request.uri().path(), request.headers()).is_some()
}

/// The folder that files are read from, where they are not those that are built in.
static FOLDER: OnceLock<PathBuf> = OnceLock::new();

/// From now on files are those of a folder, as they are at that time.
pub(super) fn serve_from(folder: &Path) {
    // There is one program, and it is told once.
    let _first = FOLDER.set(folder.to_owned());
}

/// The file that a request is for, where it is for one.
pub(super) fn answer(request: &Request) -> Option<Response> {
    file(path_of(request.method(), request.uri().path(), request.headers())?, request.headers())
}

/// Somebody with a browser follows an address that nobody answers: the page says so, and leads back. What begins with `_` or `v1`, or
/// is called like a file, is asked by programs.
pub(super) fn is_lost(request: &Request) -> bool {
    let path = request.uri().path().trim_start_matches('/');
    let accept = request.headers().get(header::ACCEPT).and_then(|accept| accept.to_str().ok());
    let is_browser = request.method() == Method::GET && accept.is_some_and(|accept| accept.contains("text/html"));
    is_browser
        && !path.starts_with(['_', '.'])
        && !path.contains("/_")
        && !path.starts_with("v1/")
        && !path.contains('.')
}

/// The page for an address that nobody answers.
pub(super) fn nothing_here() -> Option<Response> {
    let mut page = file("/", &HeaderMap::new())?;
    *page.status_mut() = StatusCode::NOT_FOUND;
    Some(page)
}

fn file(path: &'static str, headers: &HeaderMap) -> Option<Response> {
    if let Some(folder) = FOLDER.get() {
        let asset = ASSETS.iter().find(|asset| asset.path == path)?;
        let name = if path == "/" { "index.html" } else { path.trim_start_matches('/') };
        return Some(match std::fs::read(folder.join(name)) {
            Ok(bytes) => Asset::new(asset.path, asset.kind, bytes).answer(headers),
            Err(error) => (StatusCode::NOT_FOUND, format!("{name}: {error}\n")).into_response(),
        });
    }
    let asset = ASSETS.iter().find(|asset| asset.path == path)?;
    Some(asset.answer(headers))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(path: &str, accept: &str) -> Option<&'static str> {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, HeaderValue::from_str(accept).unwrap());
        path_of(&Method::GET, path, &headers)
    }

    #[test]
    fn browsers_get_screens_and_nobody_else_does() {
        let html = "text/html,application/xhtml+xml,*/*;q=0.8";
        for path in [
            "/",
            "/rollouts/shop@prod",
            "/rollouts/api-2.5.0",
            "/rollouts/x/timeline",
            "/search",
            "/dashboards",
            "/hooks",
            "/status",
        ] {
            assert_eq!(asked(path, html), Some("/"), "{path}");
            assert_eq!(asked(path, "application/json"), None, "{path}");
        }
        for path in ["/logs", "/_search", "/search.php", "/v1/report", "/ingest", "/.env", "/index.html"] {
            assert_eq!(asked(path, html), None, "{path}");
        }
        assert_eq!(asked("/app.js", "*/*"), Some("/app.js"));
        assert_eq!(path_of(&Method::POST, "/", &HeaderMap::new()), None);
    }

    #[test]
    fn a_browser_that_is_lost_gets_the_page_and_programs_an_error() {
        let lost = |path: &str, accept: &str| {
            is_lost(&Request::builder().uri(path).header(header::ACCEPT, accept).body(Body::empty()).unwrap())
        };
        let html = "text/html,*/*;q=0.8";
        assert!(lost("/nosuch", html) && lost("/nosuch/page", html));
        assert!(!lost("/nosuch", "application/json"));
        for path in ["/_search", "/logs/_search", "/v1/nosuch", "/robots.txt", "/.env"] {
            assert!(!lost(path, html), "{path}");
        }
        assert_eq!(nothing_here().unwrap().status(), StatusCode::NOT_FOUND);
    }

    #[test]
    fn what_a_browser_has_is_not_sent_again() {
        let asset = &ASSETS[1];
        let mut headers = HeaderMap::new();
        assert_eq!(asset.answer(&headers).status(), StatusCode::OK);
        headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("br, gzip"));
        assert_eq!(asset.answer(&headers).headers()[header::CONTENT_ENCODING], "gzip");
        headers.insert(
            header::IF_NONE_MATCH,
            HeaderValue::from_str(&format!("\"x\", {}", asset.tag.to_str().unwrap())).unwrap(),
        );
        assert_eq!(asset.answer(&headers).status(), StatusCode::NOT_MODIFIED);
    }

    #[test]
    fn the_files_stay_small() {
        let packed = |at: usize| ASSETS[at].packed.len();
        assert!((1..=120_000).contains(&packed(1)), "script: {} bytes", packed(1));
        assert!((1..=15_000).contains(&packed(2)), "styles: {} bytes", packed(2));
    }

    /// The policy forbids what stands in the page, so nothing that is needed may stand there.
    #[test]
    fn the_page_has_no_script_and_no_style_of_its_own() {
        let page = std::str::from_utf8(&ASSETS[0].bytes).unwrap();
        assert!(page.contains("src=\"/app.js\"") && page.contains("href=\"/app.css\""), "{page}");
        let scripts = page.matches("<script").count();
        assert_eq!((scripts, page.matches("<style").count(), page.matches(" style=").count()), (1, 0, 0), "{page}");
        assert!(
            !page.contains("//") && !page.to_lowercase().contains("onload="),
            "nothing comes from elsewhere: {page}"
        );
    }
}
