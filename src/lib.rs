//! duplet: backups in Duplicati's remote format from one small static binary.
//!
//! Layers, each using only those below (`tests/layers.rs` checks it): `cli` over the engines `backup`, `restore`, `upkeep`,
//! over `writer`, over `set`, over `remote`, over `dest`, over `format` `net` `select` `spill`, over `base`.

mod backup;
mod base;
mod dest;
mod format;
mod net;
mod remote;
mod select;
mod set;
mod spill;
mod upkeep;
mod writer;
