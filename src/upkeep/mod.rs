//! Layer 6, keeping backups well: looking into versions and checking what is stored.

pub(crate) mod find;
pub(crate) mod verify;
