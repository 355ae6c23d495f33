//! Files as streams: which files there are, what is in them, and reading them side by side.

pub mod files;
pub mod fold_chunk;
pub mod head;
pub mod lines;
pub mod run;
