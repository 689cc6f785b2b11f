//! Layer 6, keeping backups well: checking what is stored, which versions stay and what is worth rewriting.

pub(crate) mod retention;
pub(crate) mod verify;
#[cfg_attr(
    not(test),
    expect(dead_code, reason = "compaction, which comes next, stands on it")
)]
pub(crate) mod waste;
