//! `duplet mount`: options -> one mount that lasts until it is unmounted.

use crate::base::error::{Error, Kind, Result};
use crate::base::ui::Ui;
use crate::cli::{Call, Command, Outcome, Section};

pub(super) const COMMAND: Command = Command {
    name: "mount",
    aliases: &[],
    section: Section::More,
    summary: "look into all versions as folders (Linux)",
    usage: "<url> <folder>",
    details: "\
Shows the backup below an empty folder, read only, until Ctrl-C or umount:
'newest' is the newest version, 'versions' has each by its time, whole paths
below. A version is read when it is first entered, a file when it is opened:
only the parts that are wanted, each block checked. What is damaged gives an
input/output error there and a line here, with exit code 3 at the end. Without
root it takes fusermount3 (package fuse3). --version or --time: only these.",
    needs_url: true,
    words: (1, 1),
    writes: false,
    run,
};

#[cfg(not(feature = "mount"))]
fn run(_: &mut Call, _: &mut Ui) -> Result<Outcome> {
    Err(Error::new(Kind::Unsupported, "this program was built without it")
        .doing("mount")
        .hint("'duplet restore' and 'duplet cat' do without, or take a build with the feature mount"))
}

#[cfg(feature = "mount")]
fn run(call: &mut Call, ui: &mut Ui) -> Result<Outcome> {
    use crate::cli::{options as o, session};
    use crate::mount::{self, MountOptions, Reading};

    if !cfg!(target_os = "linux") {
        let e = Error::new(Kind::Unsupported, "it needs Linux").doing("mount");
        return Err(e.hint("'duplet restore' and 'duplet cat' do without"));
    }
    let options = MountOptions {
        folder: call.words.first().map(Into::into).unwrap_or_default(),
        version: session::version_choice(call)?,
        reading: Reading {
            whole: call.options.choice(&o::PARTIAL_READS) == Some("never"),
            keep_bytes: call.options.size(&o::VOLUME_CACHE_HINT).unwrap_or(0),
            no_scan: call.options.flag(&o::NO_SCAN),
        },
        others: call.options.flag(&o::ALLOW_OTHER),
    };
    mount::check(&options.folder)?;
    let mut set = session::open_versions(call, ui)?;
    mount::run(&mut set, &options, ui)?;
    Ok(Outcome::Done)
}
