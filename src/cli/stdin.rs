//! What is backed up that is no file: standard input and the output of a command, under the name that is given to it.

use std::io::{self, IsTerminal};

use crate::backup::{Producer, Source, Streamed};
use crate::base::error::{Error, Result};
use crate::base::opt::Kind;
use crate::base::text;
use crate::cli::{Call, options as o};

/// The source that stands for it.
pub(super) const WORD: &str = "-";

/// What the call says of it; `None` when it wants nothing of the kind. An error when what it says does not fit together.
pub(super) fn streamed(call: &Call) -> Result<Option<Streamed>> {
    let options = &call.options;
    let name = options.text(&o::STDIN_FILENAME);
    let command = options.text(&o::STDIN_COMMAND);
    let meant = call.words.iter().any(|word| word == WORD);
    let Some(name) = name else {
        if options.given(o::STDIN_FILENAME.name).is_some() {
            return Err(Error::usage("--stdin-filename is empty")
                .hint("write --stdin-filename=NAME, such as db.sql"));
        }
        return match command {
            Some(_) => Err(
                Error::usage("--stdin-from-command needs a name for what it writes")
                    .hint("give it with --stdin-filename=db.sql"),
            ),
            None => Ok(None),
        };
    };
    let path = path(name)?;
    if let Some(line) = command {
        let producer = Producer::Command(line.to_owned(), is_own_secret);
        return Ok(Some(Streamed { path, producer }));
    }
    if !meant {
        return Err(Error::usage(
            "--stdin-filename names what the source - stands for, and that is not given",
        )
        .hint("write - as a source, or give --stdin-from-command"));
    }
    if options.flag(&o::PASSPHRASE_STDIN) {
        return Err(Error::usage(
            "--force-passphrase-from-stdin and the source - both read standard input",
        )
        .hint("--passphrase-file and PASSPHRASE leave it free"));
    }
    if io::stdin().is_terminal() {
        return Err(Error::usage("standard input is a terminal")
            .hint("a pipe is meant: pg_dump db | duplet backup URL - --stdin-filename=db.sql"));
    }
    let producer = Producer::Input;
    Ok(Some(Streamed { path, producer }))
}

/// Refuses a path that a source has, too.
pub(super) fn apart(stream: Option<&Streamed>, sources: &[Source]) -> Result<()> {
    let Some(stream) = stream else {
        return Ok(());
    };
    match stream.rival(sources) {
        Some(source) => Err(Error::usage(format!(
            "--stdin-filename is {}, where the source {} is",
            text::safe(&stream.path),
            text::safe(&source.path)
        ))
        .hint("choose a path that is in no source")),
        None => Ok(()),
    }
}

/// True for variables that hold secrets of this program, which the command does not get; it gets its own, such as PGPASSWORD.
fn is_own_secret(name: &str) -> bool {
    [
        "PASSPHRASE",
        "NEW_PASSPHRASE",
        "AUTH_PASSWORD",
        "DUPLET_URL",
    ]
    .contains(&name)
        || o::real().any(|opt| opt.env == name && opt.kind == Kind::Secret)
}

/// The absolute path of a name; one without a folder lies in `/`.
fn path(name: &str) -> Result<Vec<u8>> {
    let inside = name.trim_start_matches('/');
    let odd = |part: &str| part.is_empty() || part == "." || part == "..";
    if inside.split('/').any(odd) || inside.contains('\0') {
        let shown = text::safe_cut(name.as_bytes(), 60);
        return Err(
            Error::usage(format!("--stdin-filename={shown} is no path of a file"))
                .hint("it may be a name, db.sql, or a whole path, /dumps/db.sql"),
        );
    }
    Ok(format!("/{inside}").into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_absolute_paths() {
        for (name, want) in [
            ("db.sql", Some("/db.sql")),
            ("/db.sql", Some("/db.sql")),
            ("a/b c", Some("/a/b c")),
            ("...", Some("/...")),
            ("", None),
            ("/", None),
            ("a/", None),
            ("a//b", None),
            ("./a", None),
            ("a/../b", None),
            ("a\0", None),
        ] {
            let path = path(name).ok().and_then(|p| String::from_utf8(p).ok());
            assert_eq!(path.as_deref(), want, "{name:?}");
        }
    }
}
