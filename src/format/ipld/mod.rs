//! The data of IPFS as pure functions over bytes: identifiers, blocks of files and folders, archives of blocks, name records.
//!
//! Everything here reads what strangers wrote: no panic, no allocation by an unchecked length, no unbounded loop. Knows no
//! network; the caller fetches blocks and checks each against its [`cid::Cid`].

pub(crate) mod multibase;
pub(crate) mod proto;

pub(crate) mod car;
pub(crate) mod cbor;
pub(crate) mod cid;
pub(crate) mod file_cid;
pub(crate) mod ipns;
pub(crate) mod unixfs;

/// Largest block that is accepted, as everywhere on the network.
pub(crate) const BLOCK_MAX_BYTES: usize = 2 << 20;

#[cfg(any(test, feature = "fuzz"))]
pub(crate) mod fuzz;
#[cfg(test)]
mod fuzz_tests;
