//! `duplet cat`, and `restore --restore-path=-`: stored bytes to standard output and nothing else there.

use crate::base::error::{Error, Result};
use crate::base::ui::Ui;
use crate::cli::restoring::{restore_options, version_meant};
use crate::cli::{Call, Command, Outcome, Section, options as o, session};
use crate::restore;

pub(super) const COMMAND: Command = Command {
    name: "cat",
    aliases: &["dump"],
    section: Section::Everyday,
    summary: "one file to standard output",
    usage: "<url> <path>...",
    details: "\
Writes one stored file to standard output: the newest version that has it, or
the one chosen with --version or --time. The path is a name, the end of a path
or a whole path, and must mean one file. With --tar a folder, several paths or,
without a path, the whole version are written as a tar stream (pax, for GNU
tar, bsdtar and Python) with the names that restore would give them below
--restore-path. Each block is checked before it is written; what is damaged
ends the output there, with exit code 100. With --tar, files up to 64 MiB that
are damaged are left out, with exit code 3. 'duplet restore --restore-path=-'
does the same.",
    needs_url: true,
    words: (0, usize::MAX),
    writes: false,
    run,
};

/// The value of `--restore-path` that means standard output.
pub(super) const STANDARD_OUTPUT: &str = "-";

pub(super) fn run(call: &mut Call, ui: &mut Ui) -> Result<Outcome> {
    let tar = call.options.flag(&o::TAR);
    if ui.is_json() {
        return Err(Error::usage(
            "--json and a file cannot both be on standard output",
        ));
    }
    if call.words.is_empty() && !tar {
        return Err(Error::usage("which file is to be written is not said")
            .hint("name it, or give --tar for all of a version"));
    }
    let mut options = restore_options(call)?;
    options.target = None;
    let mut set = session::open_versions(call, ui)?;
    let done = restore::stream(&mut set, options, tar, ui);
    session::tell_cost(&mut set, ui);
    match done {
        // Who reads has what they wanted.
        Err(_) if ui.broken_pipe() => Ok(Outcome::Done),
        done => done
            .map(|()| Outcome::Done)
            .map_err(|e| version_meant(e, &call.words)),
    }
}
