//! The description of what is answered over HTTP, for programs: `docs/openapi.json`, as it stands.

use axum::http::header;
use axum::response::{IntoResponse, Response};

/// The document.
const DOCUMENT: &str = include_str!("../../../docs/openapi.json");

/// Answers `GET /v1/openapi.json`.
pub(super) async fn document() -> Response {
    ([(header::CONTENT_TYPE, "application/json")], DOCUMENT).into_response()
}

#[cfg(all(test, feature = "index"))]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::cli::run::{api, elastic, http, searching};

    /// Every route stands in the document, and nothing else does. That their answers are as it says is tested with the program
    /// itself (`tests/run/openapi.rs`).
    #[test]
    fn the_document_has_the_routes_that_there_are() {
        let document: serde_json::Value = serde_json::from_str(DOCUMENT).unwrap();
        let written: BTreeSet<(String, String)> = document["paths"]
            .as_object()
            .unwrap()
            .iter()
            .flat_map(|(path, of)| of.as_object().unwrap().keys().map(move |method| (path.clone(), method.clone())))
            .filter(|(_, method)| method != "parameters")
            .collect();
        let routes = api::paths()
            .into_iter()
            .chain(http::paths())
            .chain(elastic::PATHS)
            .chain(searching::paths())
            .chain(searching::elastic::PATHS);
        let routes: BTreeSet<(String, String)> = routes
            .flat_map(|(path, methods)| methods.split(' ').map(move |method| (path.to_owned(), method.to_owned())))
            .collect();
        assert_eq!(written, routes);
        assert_eq!(document["info"]["version"], env!("CARGO_PKG_VERSION"));
    }
}
