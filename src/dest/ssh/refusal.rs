//! What a server's refusal means: a class, a sentence, and what to do.

use super::wire::{CONNECTION_LOST, DENIED, FAILURE, NO_CONNECTION, NO_FILE, Status, UNSUPPORTED};
use crate::base::fault::{Class, Fault};
use crate::dest::folders::{self, Verb};

/// What a refusal means. `folder` is for messages.
pub(super) fn refusal(verb: Verb, status: &Status, folder: &str) -> Fault {
    let words = folders::words(&status.message);
    match status.code {
        NO_FILE if verb == Verb::Get || verb == Verb::Look => folders::no_file(folder),
        NO_FILE => folders::no_folder(folder),
        _ if folders::says_full(&status.message) => folders::full(&words),
        DENIED => folders::denied(verb, folder, &words),
        NO_CONNECTION | CONNECTION_LOST => Fault::new(
            Class::Transient,
            format!("the server has lost its connection{words}"),
        ),
        UNSUPPORTED => folders::not_offered(verb, &words),
        FAILURE if verb == Verb::Put => Fault::new(
            Class::Protocol,
            format!("the server could not store it in {folder}{words}"),
        )
        .hint("look at its free space, at the quota of this user and at the rights"),
        code => Fault::new(
            Class::Protocol,
            format!(
                "{} in {folder} failed on the server{words}, code {code}",
                verb.doing()
            ),
        ),
    }
}
