//! Layer 6, keeping backups well: looking into versions, checking what is stored, which versions stay and what is worth
//! rewriting.

pub(crate) mod find;
#[cfg_attr(not(test), expect(dead_code, reason = "what deletes stands on it"))]
pub(crate) mod retention;
pub(crate) mod verify;
#[cfg_attr(not(test), expect(dead_code, reason = "compaction stands on it"))]
pub(crate) mod waste;
