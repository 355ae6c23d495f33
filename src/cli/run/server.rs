//! Connections: how many there may be, and how long one may take to say what it wants.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

/// How long a listener rests that cannot accept (no descriptors left).
const REST: Duration = Duration::from_millis(200);
/// Priority of threads that compute, as `nice` counts: about a third of the time where others want the processor too.
#[cfg(target_os = "linux")]
const COMPUTING: i32 = 5;
/// What a connection past the bound is told.
const TOO_MANY: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";

/// Bounds of connections.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// Connections at a time.
    pub connections: usize,
    /// How long a head may take to come, and how long a connection may say nothing between two requests.
    pub head_time: Duration,
    /// Bytes of a head.
    pub head_bytes: usize,
}

impl Default for Bounds {
    fn default() -> Bounds {
        Bounds { connections: 1_024, head_time: Duration::from_secs(30), head_bytes: 64 << 10 }
    }
}

/// Serves connections until the listener breaks. `refused` counts those past the bound. `open` knows those that are open: to
/// shut it down is to wait until what was asked is answered, to the last byte.
pub(super) async fn serve(
    listener: TcpListener,
    router: Router,
    bounds: Bounds,
    refused: &AtomicU64,
    open: &GracefulShutdown,
) -> io::Result<()> {
    let places = Arc::new(Semaphore::new(bounds.connections));
    loop {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) if is_of_one_connection(&error) => continue,
            Err(_) => {
                // Most likely there are too many files open: some will be closed.
                tokio::time::sleep(REST).await;
                continue;
            }
        };
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
            refused.fetch_add(1, Ordering::Relaxed);
            refuse(&stream);
            continue;
        };
        // Answers are small, and asked for by somebody who waits.
        let _as_it_is = stream.set_nodelay(true);
        let service = TowerToHyperService::new(router.clone());
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new()).header_read_timeout(bounds.head_time).max_buf_size(bounds.head_bytes);
        let connection = open.watch(http.serve_connection(TokioIo::new(stream), service));
        tokio::spawn(async move {
            let _place = place;
            // A client that goes away is no business of ours.
            let _gone = connection.await;
        });
    }
}

/// Lets the calling thread, which computes, step back behind those that answer. Where the system gives whole processes alone a
/// priority, nothing happens.
pub(super) fn step_back() {
    #[cfg(target_os = "linux")]
    {
        // Without it answers are slower under load, and nothing else.
        let _best_effort = rustix::process::setpriority_process(None, COMPUTING);
    }
}

/// Tells a client to come again, if its connection takes that at once.
fn refuse(stream: &TcpStream) {
    let _best_effort = stream.try_write(TOO_MANY);
}

fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::{SocketAddr, TcpStream};

    use tokio::runtime::Runtime;

    use super::*;

    /// A server, until the runtime is dropped.
    fn started(bounds: Bounds) -> (Runtime, SocketAddr, Arc<AtomicU64>) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let refused = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&refused);
        let router = Router::new().fallback(|| async { "here" });
        runtime.spawn(async move { serve(listener, router, bounds, &counted, &GracefulShutdown::new()).await });
        (runtime, address, refused)
    }

    fn begun(address: SocketAddr, head: &str) -> TcpStream {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.write_all(head.as_bytes()).unwrap();
        stream
    }

    /// All that comes, up to the end of the connection.
    fn all(mut stream: TcpStream) -> String {
        let mut text = Vec::new();
        // A connection that was cut has said all it will.
        let _cut = stream.read_to_end(&mut text);
        String::from_utf8(text).unwrap()
    }

    /// Who says nothing, or says it too slowly, loses the connection; who asks is answered.
    #[test]
    fn slow_heads_do_not_hold_connections() {
        let (_runtime, address, _) = started(Bounds { head_time: Duration::from_millis(300), ..Bounds::default() });
        let silent = begun(address, "");
        let slow = begun(address, "GET / HTTP/1.1\r\nHost: x\r\nX-Slow: ");
        let idle = begun(address, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
        // All three end, though no client closes.
        assert!(!all(silent).contains("here") && !all(slow).contains("here"));
        assert!(all(idle).ends_with("here"));
    }

    /// What was asked before the end is answered whole, however slowly it is read; a connection that asks for nothing ends.
    #[test]
    fn the_end_waits_for_answers_to_their_last_byte() {
        const LONG: usize = 32 << 20;
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let open = GracefulShutdown::new();
        let (silent, mut asking) = (begun(address, ""), begun(address, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"));
        runtime.block_on(async {
            let router = Router::new().fallback(|| async { vec![b'x'; LONG] });
            let refused = AtomicU64::new(0);
            let served = serve(listener, router, Bounds::default(), &refused, &open);
            // Its answer has begun once there is something to read.
            let begun = async {
                asking.set_nonblocking(true).unwrap();
                while asking.peek(&mut [0; 4]).is_err() {
                    tokio::task::yield_now().await;
                }
                asking.set_nonblocking(false).unwrap();
            };
            tokio::select! { _ = served => {}, () = begun => {} }
        });
        let ended = runtime.spawn(open.shutdown());
        assert!(all(silent).is_empty());
        assert!(!ended.is_finished(), "more than the system holds is unread");
        let mut answer = Vec::new();
        asking.read_to_end(&mut answer).unwrap();
        assert!(answer.len() > LONG);
        runtime.block_on(ended).unwrap();
    }

    #[test]
    fn connections_past_the_bound_are_told_to_come_again() {
        let (_runtime, address, refused) = started(Bounds { connections: 1, ..Bounds::default() });
        let mut first = begun(address, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
        first.read_exact(&mut [0; 4]).unwrap();
        let said = all(TcpStream::connect(address).unwrap());
        assert!(said.starts_with("HTTP/1.1 503") && said.contains("Retry-After: 1"), "{said}");
        assert_eq!(refused.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn a_long_head_is_refused() {
        let (_runtime, address, _) = started(Bounds { head_bytes: 8 << 10, ..Bounds::default() });
        let mut stream = TcpStream::connect(address).unwrap();
        let head = format!("GET / HTTP/1.1\r\nHost: x\r\nX: {}\r\n\r\n", "x".repeat(20 << 10));
        // It may be cut off in the middle.
        let _cut = stream.write_all(head.as_bytes());
        assert!(!all(stream).contains("here"));
    }
}
