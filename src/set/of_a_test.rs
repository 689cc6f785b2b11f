//! What tests need to open a destination.

use crate::set::{Begin, Cache, Said, SetOptions};

impl SetOptions {
    /// Of a call without any option, with neither a cache nor a lock.
    pub(crate) fn of_a_test(writing: bool) -> SetOptions {
        SetOptions {
            prefix: None,
            writing,
            versions_first: false,
            case_insensitive: false,
            gpg_program: "gpg".to_owned(),
            cache: Cache::Off("a test".to_owned()),
            lock: None,
            said: Said::default(),
            begin: Begin::default(),
        }
    }
}
