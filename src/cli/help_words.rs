//! Which words may follow `help`; for the help itself, the completions and the manual page.

use crate::cli::topics::{TOPICS, Topic};
use crate::cli::{COMMANDS, lookup};

/// What may follow `help` beside the names of commands, pages, destinations and options.
pub(super) static SPECIAL_WORDS: &[&str] = &[
    "topics",
    "destinations",
    "options",
    "all",
    "man",
    "bash",
    "zsh",
    "fish",
];

/// What may follow `help`, apart from the names of options.
pub(super) fn words() -> Vec<&'static str> {
    let pages = TOPICS.iter().filter(|t| own_page(t));
    let pages = pages.flat_map(|t| std::iter::once(t.name).chain(t.aliases.iter().copied()));
    let pages = pages.filter(|name| lookup(name).is_none_or(|c| c.name != *name));
    let commands = COMMANDS.iter().map(|c| c.name);
    commands
        .chain(pages)
        .chain(SPECIAL_WORDS.iter().copied())
        .collect()
}

/// The topic is not part of a command's help.
pub(super) fn own_page(topic: &Topic) -> bool {
    lookup(topic.name).is_none_or(|c| c.name != topic.name)
}
