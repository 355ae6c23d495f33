//! Streams: which files there are, what is in them, and reading them side by side; topics of Kafka, and the write-ahead log of what comes over HTTP.

#[cfg(feature = "serve")]
pub mod batch;
#[cfg(feature = "serve")]
pub mod dialect;
pub mod files;
pub mod fold_chunk;
pub mod head;
#[cfg(feature = "kafka")]
pub mod kafka;
#[cfg(feature = "serve")]
pub mod keys;
pub mod lines;
pub mod run;
#[cfg(feature = "serve")]
pub mod stop;
#[cfg(all(feature = "serve", unix))]
pub mod tail;
#[cfg(feature = "serve")]
pub mod wal;
