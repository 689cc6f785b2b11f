//! Layer 6, questions: what is in which versions, how two differ, and what a volume that is lost costs. Reads only, and
//! changes nothing anywhere.

pub(crate) mod compare;
pub(crate) mod find;
pub(crate) mod losses;
