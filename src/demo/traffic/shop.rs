//! The shop of the demo: its routes, what they log, how they fail, and the services behind them.

use crate::demo::text::Part;
use crate::demo::text::Part::{Id, Number, Text};

/// A route of the released service.
pub(super) struct Route {
    pub(super) path: &'static str,
    pub(super) method: &'static str,
    pub(super) share: f64,
    pub(super) latency_factor: f64,
    pub(super) message: &'static [Part],
    pub(super) note: &'static [Part],
}

/// The routes. Shares of requests sum to one, and the median of the latency factor with all its noise is one.
pub(super) const ROUTES: [Route; 6] = [
    Route {
        path: "/api/products",
        method: "GET",
        share: 0.32,
        latency_factor: 0.55,
        message: &[Text("listed "), Number(48), Text(" products on page "), Number(9)],
        note: &[Text("product list taken from cache, age "), Number(300), Text(" s")],
    },
    Route {
        path: "/api/search",
        method: "GET",
        share: 0.16,
        latency_factor: 1.65,
        message: &[Text("search found "), Number(400), Text(" products")],
        note: &[Text("search index generation "), Number(90_000), Text(" used")],
    },
    Route {
        path: "/api/cart",
        method: "GET",
        share: 0.15,
        latency_factor: 0.65,
        message: &[Text("cart c-"), Id, Text(" loaded with "), Number(12), Text(" items")],
        note: &[Text("cart c-"), Id, Text(" restored from session store")],
    },
    Route {
        path: "/api/cart",
        method: "POST",
        share: 0.13,
        latency_factor: 1.1,
        message: &[Text("item "), Number(90_000), Text(" added to cart c-"), Id],
        note: &[Text("cart c-"), Id, Text(" repriced in "), Number(9), Text(" steps")],
    },
    Route {
        path: "/api/checkout",
        method: "POST",
        share: 0.12,
        latency_factor: 3.8,
        message: &[Text("order o-"), Id, Text(" placed, "), Number(12), Text(" items")],
        note: &[Text("payment p-"), Id, Text(" authorised for order o-"), Id],
    },
    Route {
        path: "/api/orders",
        method: "GET",
        share: 0.12,
        latency_factor: 1.3,
        message: &[Text("order history shown, "), Number(40), Text(" orders")],
        note: &[Text("order history read from replica, "), Number(900), Text(" ms behind")],
    },
];
/// Index of the route that the bug and the retry storms hit.
pub(super) const CHECKOUT: usize = 4;

/// A way to fail.
pub(super) struct Failure {
    pub(super) status: u64,
    /// Downstream service that is to blame, if one is.
    pub(super) cause: Option<&'static str>,
    /// Message of the request line.
    pub(super) message: &'static [Part],
    /// Message of the error log of the same trace.
    pub(super) log: &'static [Part],
}

/// How requests fail on both arms.
pub(super) const FAILURES: [Failure; 3] = [
    Failure {
        status: 500,
        cause: None,
        message: &[Text("request failed: deadlock found in order store, transaction t-"), Id, Text(" rolled back")],
        log: &[Text("transaction t-"), Id, Text(" gave up after "), Number(5), Text(" deadlocks")],
    },
    Failure {
        status: 503,
        cause: Some("payments"),
        message: &[Text("request failed: payments unavailable after "), Number(3), Text(" attempts")],
        log: &[Text("connection to payments refused, attempt "), Number(3)],
    },
    Failure {
        status: 504,
        cause: Some("inventory"),
        message: &[Text("request failed: deadline exceeded waiting for inventory")],
        log: &[Text("call to inventory cancelled, "), Number(900), Text(" ms over budget")],
    },
];
/// What a retry storm runs into: index in [`FAILURES`].
pub(super) const STORM_FAILURE: usize = 1;
/// The bug of [`Effect::BreaksUsers`].
pub(super) const BUG: Failure = Failure {
    status: 500,
    cause: None,
    message: &[Text("request failed: voucher v-"), Id, Text(" has no price list")],
    log: &[Text("no price list for voucher v-"), Id, Text(" in catalogue "), Number(60)],
};
/// Message of a warning.
pub(super) const SLOW: &[Part] =
    &[Text("slow request: waited "), Number(200), Text(" ms for a connection from the pool")];

/// A downstream service, its version, and the work it does for a request.
pub(super) const CALLS: [(&str, &str, &str); 6] = [
    ("accounts", "5.2.1", "load session"),
    ("cart", "1.19.0", "load cart"),
    ("catalog", "8.0.3", "read products"),
    ("pricing", "3.4.0", "price items"),
    ("inventory", "2.7.5", "reserve stock"),
    ("payments", "6.1.2", "authorise"),
];
