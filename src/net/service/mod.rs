//! What services over HTTP have in common, so that a destination is its addresses, its fields and a table of what its codes
//! mean: one meaning of every status, refusals as faults ([`refusal`]), bodies that are sent once ([`send`]), listings that end ([`pages`]), rows of
//! JSON, a whole service as one object ([`call`]).
//!
//! Repeats nothing and waits for nothing: `remote` does.

#[cfg(feature = "json")]
pub(crate) mod authid;
pub(crate) mod call;
pub(crate) mod clock;
pub(crate) mod fill;
pub(crate) mod html;
#[cfg(feature = "dest-jottacloud")]
mod java;
#[cfg(feature = "json")]
pub(crate) mod jwt;
#[cfg(feature = "dest-tahoe")]
mod lafs;
pub(crate) mod pages;
pub(crate) mod refusal;
#[cfg(feature = "json")]
pub(crate) mod rows;
pub(crate) mod send;
#[cfg(feature = "dest-azure")]
pub(crate) mod shared_key;
pub(crate) mod tables;
#[cfg(feature = "json")]
pub(crate) mod tokens;

use crate::base::fault::Class;

pub(crate) use pages::Pages;
#[allow(
    unused_imports,
    reason = "some selections of destinations have no use for it"
)]
pub(crate) use refusal::Word;
pub(crate) use refusal::{Dialect, Form, Refusal, Rule};
pub(crate) use send::Content;
pub(crate) use tables::rules;
#[allow(
    unused_imports,
    reason = "some selections of destinations have no use for it"
)]
pub(crate) use tables::words;

/// What was asked for, as far as it decides what a status means.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Verb {
    /// The log-in, or something else that is about no folder and no file.
    Login,
    /// The files of the folder.
    List,
    /// One file's length.
    Look,
    Get,
    Put,
    /// The rest of an upload, or how far it is. 308 without a place to go to is an answer.
    Resume,
    Delete,
    MakeFolder,
    Move,
}

impl Verb {
    /// A file that is there already is meant.
    pub(crate) fn is_of_file(self) -> bool {
        matches!(self, Verb::Look | Verb::Get | Verb::Delete)
    }
}

/// What a status means, whoever says it. A provider's own table goes before, for what its documentation says otherwise.
pub(crate) fn class_of_status(status: u16, verb: Verb) -> Class {
    match status {
        401..=403 | 407 => Class::Auth,
        404 | 410 if verb.is_of_file() => Class::NotFound,
        404 if verb != Verb::Login => Class::FolderMissing,
        410 if verb == Verb::List => Class::FolderMissing,
        405 | 414 | 415 | 422 | 501 | 505 => Class::Unsupported,
        413 => Class::TooBig,
        429 | 503 => Class::Throttled(None),
        507 => Class::Full,
        408 | 423 | 425 | 500..=599 => Class::Transient,
        _ => Class::Protocol,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_means_the_same_everywhere() {
        use Class as C;
        for (statuses, verb, class) in [
            (
                &[200u16, 302, 400, 406, 409, 412, 416, 418, 451][..],
                Verb::Get,
                C::Protocol,
            ),
            (&[401, 402, 403, 407], Verb::Put, C::Auth),
            (&[404, 410], Verb::Get, C::NotFound),
            (&[404, 410], Verb::Look, C::NotFound),
            (&[404, 410], Verb::Delete, C::NotFound),
            (&[404, 410], Verb::List, C::FolderMissing),
            (&[404], Verb::Put, C::FolderMissing),
            (&[404], Verb::MakeFolder, C::FolderMissing),
            (&[410], Verb::Put, C::Protocol),
            (&[404, 410], Verb::Login, C::Protocol),
            (&[405, 414, 415, 422, 501, 505], Verb::List, C::Unsupported),
            (&[413], Verb::Put, C::TooBig),
            (&[429, 503], Verb::List, C::Throttled(None)),
            (&[507], Verb::Put, C::Full),
            (
                &[408, 423, 425, 500, 502, 504, 508, 509, 522, 599],
                Verb::Put,
                C::Transient,
            ),
        ] {
            for &status in statuses {
                assert_eq!(class_of_status(status, verb), class, "{status} {verb:?}");
            }
        }
    }
}
