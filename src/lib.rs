//! duplet: backups in Duplicati's remote format from one small static binary.
//!
//! Layers, each using only those below (`tests/layers.rs` checks it): `cli` over the engines `backup`, `restore`, `upkeep`,
//! `query`, `mount`, over `writer`, over `set`, over `remote`, over `dest`, over `format` `net` `select` `spill`, over `base`.
//!
//! # Words
//!
//! What is stored:
//! - **block**: a piece of a file, or of what is known of a file beside its content (**metadata**), named by the hash of its
//!   bytes and by its length (its **key**). All blocks of a destination but the last of a file have one length.
//! - **blocklist**: the hashes of a file's blocks, one after the other, stored as a block itself. A file of one block has none; a
//!   long one has several.
//! - **volume**: a file at a destination, a zip archive, mostly encrypted. A **dblock** holds blocks; a **dindex** names the
//!   blocks of a dblock and has copies of the blocklists in it; a **dlist** is the list of one version.
//! - **version**: all that was backed up at one time: an **entry** for each file, folder and link, which names its blocks.
//!   Number 0 is the newest.
//! - **manifest**: the file in each volume that states the **parameters**: length of blocks, hash algorithms, format.
//! - **destination**: where volumes are: a folder, a bucket, a server. **Prefix**: how the names of all volumes of one
//!   backup begin, so that several can share a destination.
//!
//! What the program makes of it:
//! - **set**: the volumes of one prefix at one destination, as this run found them.
//! - **place**: that a block is in a volume. The **block index** is all places, as the dindexes tell them, sorted by key.
//! - **shelf**: an opened dblock that gives its blocks by key, each compared with its hash; of a damaged one those that are
//!   whole.
//! - **spilled**: kept in a temporary file, so that memory does not grow; a **run** is a sorted one.
//! - **cache**: what a run remembers for the next: the block index and the entries of the newest version. It may be gone or
//!   wrong at any time.
//! - **retention**: which versions are kept. **Waste**: blocks that no version needs any more. **Compaction**: the needed blocks
//!   of dblocks with much waste go into new ones.
//! - **salvage**: what is whole in a volume that as a whole is not. **Adopting**: making the dindex that an interrupted run
//!   did not get to write.
//! - **fault**: what a destination did not do, and whether it is worth trying again; an **error** is what the person is told.

// A build without some of the destinations does not use all that they share.
#![cfg_attr(
    not(all(
        feature = "dest-azure",
        feature = "dest-b2",
        feature = "dest-file",
        feature = "dest-ftp",
        feature = "dest-gcs",
        feature = "dest-ipfs",
        feature = "dest-onedrive",
        feature = "dest-rclone",
        feature = "dest-s3",
        feature = "dest-ssh",
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
#[cfg(feature = "mount")]
mod mount;
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
