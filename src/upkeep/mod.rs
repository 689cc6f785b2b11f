//! Layer 6, keeping backups well: checking what is stored, which versions stay, what is worth rewriting, what lost volumes
//! cost, and what is taken out of versions.

pub(crate) mod broken;
pub(crate) mod compact;
pub(crate) mod copy;
pub(crate) mod losses;
pub(crate) mod purge;
pub(crate) mod repair;
pub(crate) mod retention;
mod rewrite;
pub(crate) mod unread;
pub(crate) mod verify;
pub(crate) mod waste;
pub(crate) mod whole;
