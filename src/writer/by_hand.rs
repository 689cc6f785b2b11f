//! Changing single files of a destination as a person asks for it, for `duplet remote`, and the test of a destination.
//!
//! Knows nothing of volumes and publishes nothing: whoever puts or deletes a volume by hand answers for it. The test touches
//! no file that it did not make.

use std::io::Write;

use crate::base::digest::{Algo, Digests, Hash, HashWriter, WantedDigests};
use crate::base::error::{Error, Result};
use crate::base::tmp::{Spool, Tmp};
use crate::base::ui::Ui;
use crate::base::{rand, text};
use crate::dest::Listed;
use crate::remote::{Remote, RemoteMut};
use crate::set::{digest, permit_by_hand};

const BUFFER_BYTES: usize = 16 * 1024;

/// Uploads the whole spool under `name`, replacing a file of that name.
pub(crate) fn put(remote: &mut Remote, ui: &mut Ui, name: &str, body: &mut Spool) -> Result<()> {
    let hash = digest(body, Algo::Sha256)?;
    change(remote).put(ui, name, body, &hash.into())
}

/// As [`put`], and `meanwhile` gets a turn again and again.
pub(crate) fn put_while(
    remote: &mut Remote,
    ui: &mut Ui,
    name: &str,
    body: &mut Spool,
    meanwhile: &mut dyn FnMut(),
) -> Result<()> {
    let hash = digest(body, Algo::Sha256)?;
    change(remote).put_while(ui, name, (body, &hash.into()), meanwhile)
}

/// Removes a file; a missing one is success.
pub(crate) fn delete(remote: &mut Remote, ui: &mut Ui, name: &str) -> Result<()> {
    change(remote).delete(ui, name)
}

/// Makes the folder with its parents; an existing one is success.
pub(crate) fn create_folder(remote: &mut Remote, ui: &mut Ui) -> Result<()> {
    change(remote).create_folder(ui)
}

/// As [`create_folder`], unless `--disable-autocreate-folder` forbids it.
pub(crate) fn create_missing_folder(remote: &mut Remote, ui: &mut Ui) -> Result<()> {
    change(remote).create_missing_folder(ui)
}

/// See [`RemoteMut::end_unfinished`].
pub(crate) fn end_unfinished(remote: &mut Remote, ui: &mut Ui, start: &str) {
    change(remote).end_unfinished(ui, start);
}

/// End of a run that changed something: lines worth telling the person.
pub(crate) fn finish(remote: &mut Remote, ui: &mut Ui) -> Result<Vec<String>> {
    let facts = change(remote).finish(ui)?;
    let lines = facts.iter().map(|f| format!("{}: {}", f.name, f.value));
    Ok(lines.collect())
}

fn change(remote: &mut Remote) -> RemoteMut<'_> {
    RemoteMut::new(remote, &permit_by_hand())
}

/// What a test of a destination does.
pub(crate) struct Trial {
    /// Files of one round.
    pub(crate) files: u64,
    /// Least length of a file in bytes.
    pub(crate) least: u64,
    /// Greatest length of a file in bytes.
    pub(crate) most: u64,
    pub(crate) rounds: u64,
}

/// What is tried, in this order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Step {
    List,
    Write,
    Read,
    Compare,
    Delete,
}

impl Step {
    pub(crate) const ALL: [Step; 5] = [
        Step::List,
        Step::Write,
        Step::Read,
        Step::Compare,
        Step::Delete,
    ];

    pub(crate) fn word(self) -> &'static str {
        match self {
            Step::List => "list",
            Step::Write => "write",
            Step::Read => "read",
            Step::Compare => "compare",
            Step::Delete => "delete",
        }
    }
}

/// One file of the test.
struct Probe {
    name: String,
    hash: Hash,
    len: u64,
    /// An upload was begun: it may be there.
    made: bool,
}

/// Lists, writes, reads back, compares and deletes made-up files. `passed` hears of each step and a word about it; the error
/// names the step that failed. In both cases every file it made is removed again, as far as the destination lets it.
pub(crate) fn trial(
    remote: &mut Remote,
    tmp: &Tmp,
    ui: &mut Ui,
    trial: &Trial,
    passed: &mut dyn FnMut(&mut Ui, Step, &str),
) -> Result<()> {
    for _ in 0..trial.rounds.max(1) {
        let mut probes = Vec::new();
        let mut step = Step::List;
        let done = round(remote, tmp, ui, trial, &mut probes, &mut |ui, now, word| {
            passed(ui, now, word);
            let next = Step::ALL.iter().position(|s| *s == now).unwrap_or(0) + 1;
            step = Step::ALL.get(next).copied().unwrap_or(Step::Delete);
        });
        if let Err(e) = done {
            clean(remote, ui, &probes);
            return Err(e.during(&format!("pass the step '{}'", step.word())));
        }
    }
    Ok(())
}

fn round(
    remote: &mut Remote,
    tmp: &Tmp,
    ui: &mut Ui,
    trial: &Trial,
    probes: &mut Vec<Probe>,
    passed: &mut dyn FnMut(&mut Ui, Step, &str),
) -> Result<()> {
    let mut files = 0;
    let there = remote.list(ui, &mut |item| {
        match item {
            Listed::Restart => files = 0,
            Listed::Entry(_) => files += 1,
        }
        Ok(())
    })?;
    let word = if there {
        text::count(files, "file")
    } else {
        "the folder does not exist yet".to_owned()
    };
    passed(ui, Step::List, &word);
    let mut spool = Spool::new(tmp)?;
    for at in 0..trial.files {
        let span = trial.most.saturating_sub(trial.least);
        let len = trial.least + span * at / trial.files.saturating_sub(1).max(1);
        let digests = invent(&mut spool, len, remote.wants())?;
        probes.push(Probe {
            name: format!("duplet-test-{}.tmp", rand::hex::<8>()?),
            hash: digests.sha256,
            len,
            made: true,
        });
        if let Some(probe) = probes.last() {
            change(remote).put(ui, &probe.name, &mut spool, &digests)?;
        }
    }
    let bytes: u64 = probes.iter().map(|p| p.len).sum();
    let word = format!(
        "{} with {}",
        text::count(trial.files, "file"),
        text::count(bytes, "byte")
    );
    passed(ui, Step::Write, &word);
    let mut read = Vec::new();
    for probe in &*probes {
        remote.get(ui, &probe.name, Some(probe.len), &mut spool)?;
        read.push(digest(&mut spool, Algo::Sha256)?);
    }
    let mut seen = vec![false; probes.len()];
    remote.list(ui, &mut |item| {
        match item {
            Listed::Restart => seen.fill(false),
            Listed::Entry(file) => {
                if let Some(at) = probes.iter().position(|p| p.name == file.name) {
                    seen[at] |= file.size.is_none_or(|size| size == probes[at].len);
                }
            }
        }
        Ok(())
    })?;
    passed(ui, Step::Read, "back and listed again");
    for ((probe, read), seen) in probes.iter().zip(&read).zip(&seen) {
        let wrong = |what: &str| {
            Err(Error::damaged(what)
                .doing(format!("compare {}", probe.name))
                .hint("do not trust this destination with a backup"))
        };
        if read.as_bytes() != probe.hash.as_bytes() {
            return wrong("it is not what was written");
        }
        if !seen {
            return wrong("the listing does not show it with its length");
        }
    }
    passed(ui, Step::Compare, "equal");
    for probe in probes.iter_mut() {
        change(remote).delete(ui, &probe.name)?;
        if remote.stat(ui, &probe.name)?.is_some() {
            return Err(Error::damaged("it is still there").doing(format!("delete {}", probe.name)));
        }
        probe.made = false;
    }
    passed(ui, Step::Delete, "gone");
    Ok(())
}

/// Fills the spool with `len` random bytes and rewinds it.
fn invent(spool: &mut Spool, len: u64, wants: WantedDigests) -> Result<Digests> {
    spool.clear()?;
    let mut out = HashWriter::new(&mut *spool, wants);
    let mut buffer = [0; BUFFER_BYTES];
    let mut left = len;
    while left > 0 {
        let n = usize::try_from(left).map_or(BUFFER_BYTES, |n| n.min(BUFFER_BYTES));
        rand::fill(&mut buffer[..n])?;
        out.write_all(&buffer[..n])
            .map_err(crate::base::error::unwrap_io)?;
        left -= n as u64;
    }
    let (_, digests, _) = out.finish();
    spool.rewind()?;
    Ok(digests)
}

/// Removes what a failed test left, and says so when it could not.
fn clean(remote: &mut Remote, ui: &mut Ui, probes: &[Probe]) {
    for probe in probes.iter().filter(|p| p.made) {
        if let Ok(None) = remote.stat(ui, &probe.name) {
            continue;
        }
        if change(remote).delete(ui, &probe.name).is_err() {
            ui.warn(
                "test-file-stays",
                &format!(
                    "{} may still be there: the test could not remove it",
                    probe.name
                ),
            );
        }
    }
}
