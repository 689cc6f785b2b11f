//! Layer 1, choosing: the filter language of `commands.md` 6.
