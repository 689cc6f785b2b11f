//! `remote ... --dry-run`: what an action would change, found out by looking only.

use crate::base::error::{Error, Kind, Result};
use crate::base::size::show_size;
use crate::base::text::{self, count};
use crate::base::ui::Ui;
use crate::dest::{Listed, RemoteFile};
use crate::remote::{Remote, writable_name};
use crate::writer::by_hand::{Step, Trial};

/// Fails as the real action would where nothing can be written, whatever the credentials.
fn changeable(remote: &Remote) -> Result<()> {
    match remote.read_only() {
        Some(instead) => {
            let cause = format!("{} is a read-only destination", remote.describe());
            Err(Error::usage(cause).hint(instead))
        }
        None => Ok(()),
    }
}

/// The size of a file that is there, in words; empty when the destination does not tell it.
fn size(file: &RemoteFile) -> String {
    let size = file.size.map(|n| format!(" of {}", count(n, "byte")));
    size.unwrap_or_default()
}

/// Says what an upload of `len` bytes would store under `name`, and whether it would replace a file or make the folder.
pub(super) fn put(remote: &mut Remote, ui: &mut Ui, name: &str, len: u64) -> Result<()> {
    changeable(remote)?;
    writable_name(name)?;
    let shown = text::safe(name.as_bytes());
    let bytes = count(len, "byte");
    let then = match remote.stat(ui, name) {
        Ok(Some(old)) => format!(" in place of a file{} that is there", size(&old)),
        Ok(None) => String::new(),
        Err(e) if e.kind() == Kind::Missing && remote.makes_folders() => {
            format!(", and make {} first", remote.describe())
        }
        Err(e) => return Err(e),
    };
    ui.result(&format!("would store {shown}: {bytes}{then}"));
    Ok(())
}

/// Says whether there is a file that a deletion would remove.
pub(super) fn delete(remote: &mut Remote, ui: &mut Ui, name: &str) -> Result<()> {
    changeable(remote)?;
    let shown = text::safe(name.as_bytes());
    let found = remote.stat(ui, name)?;
    match &found {
        Some(file) => ui.result(&format!("would remove {shown}, a file{}", size(file))),
        None => ui.result(&format!("nothing would be removed: {shown} is not there")),
    }
    ui.json(|w| {
        w.key("Name")?;
        w.string(name.as_bytes())?;
        w.key("Found")?;
        w.boolean(found.is_some())
    });
    Ok(())
}

/// Says whether the folder would be made, or is there already; true when it is to be made now. Costs a listing. What is in the
/// way of that is told by the making, unless this is a `dry` run.
pub(super) fn mkdir(remote: &mut Remote, ui: &mut Ui, dry: bool) -> Result<bool> {
    let seen = changeable(remote).and_then(|()| look(remote, ui));
    let place = remote.describe();
    match seen {
        Err(e) if dry => return Err(e),
        Ok((true, _)) if dry => ui.result(&format!("nothing would be made: {place} is there")),
        Ok(_) if dry => ui.result(&format!("would make {place}")),
        Ok((true, _)) => ui.note(&format!("{place} is there already")),
        _ => return Ok(true),
    }
    Ok(false)
}

/// Takes the step 'list' of the test, of which `passed` hears, and says what the others would write and delete again.
pub(super) fn test(
    remote: &mut Remote,
    ui: &mut Ui,
    trial: &Trial,
    passed: &mut dyn FnMut(&mut Ui, Step, &str),
) -> Result<()> {
    changeable(remote)?;
    let word = match look(remote, ui)? {
        (true, files) => count(files, "file"),
        (false, _) => "the folder does not exist yet".to_owned(),
    };
    passed(ui, Step::List, &word);
    let times = match trial.rounds {
        0 | 1 => String::new(),
        rounds => format!(", {rounds} times"),
    };
    ui.result(&format!(
        "would write {} of {} to {}, read them back, compare and delete them{times}",
        count(trial.files, "file"),
        show_size(trial.least),
        show_size(trial.most.max(trial.least)),
    ));
    Ok(())
}

/// Whether the folder is there, and how many files it holds.
fn look(remote: &mut Remote, ui: &mut Ui) -> Result<(bool, u64)> {
    let mut files = 0;
    let there = remote.list(ui, &mut |item| {
        files = match item {
            Listed::Restart => 0,
            Listed::Entry(_) => files + 1,
        };
        Ok(())
    })?;
    Ok((there, files))
}
