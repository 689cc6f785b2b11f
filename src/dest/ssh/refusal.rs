//! What a server's refusal means: a class, a sentence, and what to do.

use super::wire::{CONNECTION_LOST, DENIED, FAILURE, NO_CONNECTION, NO_FILE, Status, UNSUPPORTED};
use crate::base::fault::{Class, Fault};
use crate::base::text;

/// What a request was for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Verb {
    List,
    Look,
    Get,
    Put,
    Delete,
    MakeFolder,
}

/// What a refusal means. `folder` is for messages.
pub(super) fn refusal(verb: Verb, status: &Status, folder: &str) -> Fault {
    let words = match status.message.trim() {
        "" => String::new(),
        words => format!(" ({})", text::safe_cut(words.as_bytes(), 200)),
    };
    let lower = status.message.to_ascii_lowercase();
    let is_full = ["no space", "quota", "disk full"]
        .iter()
        .any(|w| lower.contains(w));
    let doing = match verb {
        Verb::List => "listing",
        Verb::Look | Verb::Get => "reading",
        Verb::Put => "writing",
        Verb::Delete => "deleting",
        Verb::MakeFolder => "making the folder",
    };
    match status.code {
        NO_FILE if verb == Verb::Get || verb == Verb::Look => {
            Fault::new(Class::NotFound, format!("no such file in {folder}"))
        }
        NO_FILE => Fault::new(
            Class::FolderMissing,
            format!("folder {folder} does not exist"),
        ),
        _ if is_full => Fault::new(Class::Full, format!("no space left on the server{words}")),
        DENIED => Fault::new(
            Class::Auth,
            format!("the server does not allow {doing} in {folder}{words}"),
        )
        .hint("check the rights of this user there"),
        NO_CONNECTION | CONNECTION_LOST => Fault::new(
            Class::Transient,
            format!("the server has lost its connection{words}"),
        ),
        UNSUPPORTED => Fault::new(
            Class::Unsupported,
            format!("the server does not offer {doing}{words}"),
        ),
        FAILURE if verb == Verb::Put => Fault::new(
            Class::Protocol,
            format!("the server could not store it in {folder}{words}"),
        )
        .hint("look at its free space, at the quota of this user and at the rights"),
        code => Fault::new(
            Class::Protocol,
            format!("{doing} in {folder} failed on the server{words}, code {code}"),
        ),
    }
}
