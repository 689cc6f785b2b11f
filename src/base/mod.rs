//! Layer 0: what every other layer may use and which uses nothing of ours.
//!
//! Order, lowest first (a file may use the ones above it): `bytes`, `text`, `error`, `secret`, `size`, `sys`, `time`,
//! `digest`, `shown`, `rand`, `leftover`, `json`, `kinds`, `log_file`, `out`, `progress`, `ui`, `tmp`, `opt`, `fault`, `transfer`.

pub(crate) mod bytes;
pub(crate) mod digest;
pub(crate) mod error;
pub(crate) mod fault;
pub(crate) mod json;
pub(crate) mod kinds;
pub(crate) mod leftover;
mod log_file;
pub(crate) mod opt;
mod out;
pub(crate) mod place;
pub(crate) mod program;
mod progress;
pub(crate) mod rand;
pub(crate) mod read_at;
pub(crate) mod secret;
pub(crate) mod shown;
pub(crate) mod size;
pub(crate) mod sys;
pub(crate) mod text;
pub(crate) mod time;
pub(crate) mod tmp;
pub(crate) mod transfer;
pub(crate) mod ui;
