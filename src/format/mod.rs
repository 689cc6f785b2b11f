//! Layer 1, the format side: bytes of Duplicati's remote format, in and out, and of IPFS's
//! addresses and trees (`ipld`). Knows no file system and no network.
//!
//! Order, lowest first (a file may use the ones above it): `json`, `raw_json`, `names`, `manifest`, `crc32`, `deflate`, `zip_write`,
//! `zip_raw`, `zip_read`, `aes_key`, `aes_write`, `aes_read`, `index`, `meta`, `filelist`, `locator`; `tar` stands by itself.

// Bytes from outside pass through here: no index may panic.
#![cfg_attr(not(test), deny(clippy::indexing_slicing))]

pub(crate) mod aes_key;
pub(crate) mod aes_read;
pub(crate) mod aes_slice;
pub(crate) mod aes_write;
pub(crate) mod crc32;
pub(crate) mod deflate;
pub(crate) mod filelist;
pub(crate) mod index;
#[cfg(feature = "ipld")]
pub(crate) mod ipld;
mod json;
pub(crate) mod locator;
pub(crate) mod manifest;
pub(crate) mod meta;
pub(crate) mod names;
pub(crate) mod raw_json;
pub(crate) mod tar;
pub(crate) mod vectors;
pub(crate) mod zip_raw;
pub(crate) mod zip_read;
pub(crate) mod zip_write;

/// Byte order mark of UTF-8, at the start of most JSON of the format; readers do without.
pub(crate) const BOM: &[u8] = b"\xef\xbb\xbf";
