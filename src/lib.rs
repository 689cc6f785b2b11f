//! duplet: backups in Duplicati's remote format from one small static binary.
//!
//! Layers, each using only those below (`tests/layers.rs` checks it): `cli` over the engines `backup`, `restore`, `upkeep`,
//! `query`, over `writer`, over `set`, over `remote`, over `dest`, over `format` `net` `select` `spill`, over `base`.

// A build without some of the destinations does not use all that they share.
#![cfg_attr(
    not(all(
        feature = "dest-b2",
        feature = "dest-file",
        feature = "dest-ipfs",
        feature = "dest-s3",
        feature = "dest-webdav"
    )),
    allow(dead_code, unused_imports)
)]

mod backup;
mod base;
mod cli;
mod dest;
mod format;
#[cfg(feature = "fuzz")]
pub mod fuzz;
mod net;
mod query;
mod remote;
mod restore;
mod select;
mod set;
mod spill;
mod upkeep;
mod writer;

/// Runs the program with its arguments (the first is its own name) and returns the exit code.
pub fn run(args: Vec<std::ffi::OsString>) -> u8 {
    cli::run(&args)
}
