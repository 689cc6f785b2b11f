//! Layer 1, larger than memory: sorting, look-up and membership with a stated cap in bytes; the rest goes to unnamed
//! temporary files.
