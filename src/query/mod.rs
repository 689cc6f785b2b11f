//! Layer 6, questions: what is in which versions, and how two differ. Reads only, and changes nothing anywhere.

pub(crate) mod compare;
pub(crate) mod find;
pub(crate) mod folder;
pub(crate) mod long;
