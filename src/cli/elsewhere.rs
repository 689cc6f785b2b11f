//! Commands that people type because another program, or Duplicati, has them: what does the same here.

use crate::base::error::{Error, Result};
use crate::base::text;
use crate::cli::topics::TOPICS;
use crate::cli::{COMMANDS, Command, lookup, parse};

/// Commands of Duplicati that do not exist here, and why.
static NEVER: &[(&str, &str)] = &[
    ("create-report", "there is no database to report on"),
    ("sync", "duplet makes backups, not mirrors"),
    ("send-mail", "duplet sends no mail"),
];

const DELETES: &str =
    "'duplet delete URL --keep-versions=N' deletes old versions; 'duplet help retention' explains";

const PASSPHRASE: &str =
    "the passphrase of a copy is changed by 'duplet copy URL URL2 --change-passphrase'";

/// Commands that this version does not have, and what can be done instead.
static LATER: &[(&str, &str)] = &[
    ("set-locks", "set them with the tools of the server"),
    ("read-lock-info", "ask the tools of the server"),
];

/// Commands of other programs, and what is meant.
static OTHERS: &[(&str, &str)] = &[
    ("snapshots", "'duplet list URL' lists the versions"),
    ("snapshot", "'duplet backup URL FOLDER' adds a version"),
    ("versions", "'duplet list URL' lists the versions"),
    ("create", "'duplet backup URL FOLDER' adds a version"),
    ("save", "'duplet backup URL FOLDER' adds a version"),
    ("init", "not needed: the first backup makes what it needs"),
    (
        "extract",
        "'duplet restore URL PATH --restore-path=FOLDER' brings files back",
    ),
    (
        "recover",
        "'duplet restore URL PATH --restore-path=FOLDER' brings files back",
    ),
    (
        "get",
        "'duplet restore URL PATH', or 'duplet remote get URL NAME' for a volume",
    ),
    ("forget", DELETES),
    ("prune", DELETES),
    ("key", PASSPHRASE),
    ("passwd", PASSPHRASE),
    (
        "stats",
        "'duplet list URL --full-result' counts, 'duplet remote list URL' shows volumes",
    ),
    (
        "info",
        "'duplet list URL --full-result' counts, 'duplet remote list URL' shows volumes",
    ),
    (
        "du",
        "'duplet list URL --full-result' counts, 'duplet remote list URL' shows volumes",
    ),
    ("unlock", "not needed: a destination is never locked"),
    (
        "cache",
        "the cache may be deleted at any time; see --cache-dir",
    ),
    (
        "self-update",
        "install a newer program in the place of this one",
    ),
    ("rebuild-index", "not needed: there is no database"),
    ("recreate-database", "not needed: there is no database"),
    ("update", "install a newer program in the place of this one"),
    (
        "upgrade",
        "install a newer program in the place of this one",
    ),
    ("show", "'duplet list URL 0' lists the newest version"),
    ("browse", "'duplet list URL 0' lists the newest version"),
    ("status", "'duplet list URL' lists the versions"),
    (
        "log",
        "'duplet list URL' lists the versions; --log-file=FILE writes a log",
    ),
    (
        "put",
        "'duplet remote put URL FILE' stores one file as it is",
    ),
    ("rm", DELETES),
    ("remove", DELETES),
    ("expire", DELETES),
    ("cleanup", DELETES),
    ("run", "'duplet backup URL FOLDER' adds a version"),
    ("archive", "'duplet backup URL FOLDER' adds a version"),
    (
        "topics",
        "'duplet help topics' lists the pages of the manual",
    ),
];

/// The command of a word as typed.
pub(super) fn find(word: &str) -> Result<&'static Command> {
    let name = word.to_lowercase();
    if let Some(command) = lookup(&name) {
        return Ok(command);
    }
    let of = |table: &[(&str, &'static str)]| {
        let found = table.iter().find(|(n, _)| *n == name);
        found.map(|(_, what)| *what)
    };
    let shown = parse::shown(word);
    if let Some(why) = of(NEVER) {
        return Err(Error::usage(format!("there is no command {shown}: {why}")));
    }
    if let Some(instead) = of(LATER) {
        let cause = format!("{shown} is not available in this version");
        return Err(Error::usage(cause).hint(instead));
    }
    if word.contains([':', '/', '@', '?']) {
        return Err(Error::usage("the command line begins with no command")
            .hint("the command comes first, then the URL: duplet list URL"));
    }
    if TOPICS.iter().any(|t| t.is_named(&name))
        || ["url", "urls", "destinations", "options"].contains(&&name[..])
    {
        return Err(
            Error::usage(format!("{shown} is no command but a topic of the help"))
                .hint(format!("try 'duplet help {name}'")),
        );
    }
    let names = COMMANDS
        .iter()
        .flat_map(|c| std::iter::once(c.name).chain(c.aliases.iter().copied()));
    let e = Error::usage(format!("unknown command {shown}"));
    Err(match (of(OTHERS), text::nearest(&name, names)) {
        (Some(instead), _) => e.hint(instead),
        (_, Some(near)) => e.hint(format!("did you mean {near}?")),
        _ => e.hint("try 'duplet help'"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_of_another_program_leads_somewhere() {
        for (name, what) in NEVER.iter().chain(LATER).chain(OTHERS) {
            assert!(lookup(name).is_none(), "{name} is a command now");
            let e = find(name).err().map(|e| e.to_string()).unwrap_or_default();
            assert!(e.contains(what), "{e}");
        }
    }

    #[test]
    fn a_url_in_the_place_of_the_command_is_not_shown() {
        for word in ["s3://u:hunter2@h/b", "u:hunter2@h", "/hunter2"] {
            let e = find(word).err().map(|e| e.to_string()).unwrap_or_default();
            assert!(e.contains("comes first") && !e.contains("hunter2"), "{e}");
        }
    }
}
