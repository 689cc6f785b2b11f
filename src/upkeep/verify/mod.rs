//! Is what the versions need still stored, and intact? Reads only; it uploads, deletes and repairs nothing.
//!
//! Always: the listing against the index volumes, and every reference of the chosen versions against the index. Beyond that
//! a sample, or all, of the volumes is downloaded and each byte checked. Each problem is one [`Finding`]; damage is followed
//! to the versions and files that lose data by it. Memory: a few bytes a volume, all else is spilled.

mod indexes;
mod lists;
mod orphans;
mod references;
mod resized;
mod sample;
mod volumes;

use crate::base::error::{Error, Kind, Result};
use crate::base::text;
use crate::base::ui::Ui;
use crate::format::names::VolumeName;
use crate::format::zip_read::ZipReader;
use crate::set::{RESCUED, Seen, Set, VolumeNo};
use lists::Lists;
use orphans::Orphans;
use references::References;
use resized::Resized;
use volumes::Volumes;

/// Findings kept for the report; the rest is counted.
const FINDINGS_AT_MOST: usize = 1000;
/// dblocks without an index that a sample opens, so that references into them can be resolved.
const UNINDEXED_AT_MOST: usize = 16;

/// How much is downloaded and read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Amount {
    /// So many volumes of each kind.
    Sample(usize),
    All,
}

/// Where the members of blocklists are read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ListsFrom {
    /// The copies in index volumes.
    Indexes,
    /// Also dblocks, for those without a copy.
    Dblocks,
}

/// What to check.
pub(crate) struct VerifyOptions {
    pub(crate) amount: Amount,
    /// Version numbers to check; empty: the newest and the sample's.
    pub(crate) versions: Vec<usize>,
    /// Moves the sample on; another value each time (the day) sweeps all volumes.
    pub(crate) turn: u64,
    pub(crate) lists: ListsFrom,
    /// Look into versions.
    pub(crate) dlists: bool,
    /// Download dblocks.
    pub(crate) dblocks: bool,
}

/// What is wrong with a volume.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    /// Something is there that should not be.
    Extra,
    Missing,
    /// Not as it was written.
    Modified,
    /// It could not be checked.
    Error,
    /// It is there and intact, and loses by what is wrong elsewhere.
    Affected,
}

impl Status {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Status::Extra => "Extra",
            Status::Missing => "Missing",
            Status::Modified => "Modified",
            Status::Error => "Error",
            Status::Affected => "Affected",
        }
    }
}

/// One problem.
pub(crate) struct Finding {
    /// File name, escaped.
    pub(crate) volume: String,
    pub(crate) status: Status,
    /// What it is and what it means.
    pub(crate) what: String,
}

impl Finding {
    fn new(volume: &VolumeName, status: Status, what: String) -> Finding {
        Finding {
            volume: text::safe(volume.as_str().as_bytes()),
            status,
            what,
        }
    }
}

/// A version that lost data.
pub(crate) struct Loss {
    pub(crate) version: usize,
    pub(crate) files: u64,
    /// Entries of which only owner, permissions or times are lost.
    pub(crate) only_metadata: u64,
}

/// What was done and found.
#[derive(Default)]
pub(crate) struct VerifyReport {
    /// Volumes that were downloaded and checked whole.
    pub(crate) dlists: u64,
    pub(crate) dindexes: u64,
    pub(crate) dblocks: u64,
    /// Entries whose references were looked up.
    pub(crate) entries: u64,
    pub(crate) blocks_hashed: u64,
    /// The first findings.
    pub(crate) findings: Vec<Finding>,
    pub(crate) finding_count: u64,
    /// Damaged blocks of which no volume holds an intact copy.
    pub(crate) lost_blocks: u64,
    /// Damaged blocks that another volume holds intact as far as was checked.
    pub(crate) spared_blocks: u64,
    /// Blocklists whose members were not looked at.
    pub(crate) lists_unchecked: u64,
    /// dblocks without an index that were not opened.
    pub(crate) unindexed_unread: u64,
    /// dblocks that no index describes and nothing needs: what interrupted uploads left.
    pub(crate) leftovers: u64,
    pub(crate) losses: Vec<Loss>,
    /// Numbers of the versions whose dlist cannot be read.
    pub(crate) unreadable: Vec<usize>,
    /// Volumes that do not belong there: names of the first, escaped, and how many there are.
    pub(crate) foreign: (Vec<String>, u64),
    /// Findings of versions at the head of `findings`.
    versions_told: usize,
}

impl VerifyReport {
    fn find(&mut self, volume: &VolumeName, status: Status, what: impl Into<String>) {
        self.finding_count += 1;
        if self.findings.len() < FINDINGS_AT_MOST {
            self.findings
                .push(Finding::new(volume, status, what.into()));
        }
    }

    /// What a version lost comes before all causes.
    fn find_version(&mut self, dlist: &VolumeName, status: Status, what: String) {
        self.finding_count += 1;
        if self.versions_told < FINDINGS_AT_MOST {
            let finding = Finding::new(dlist, status, what);
            self.findings.insert(self.versions_told, finding);
            self.versions_told += 1;
        }
    }

    /// A volume that somebody else must have put there.
    fn find_foreign(&mut self, volume: &VolumeName) {
        self.foreign.1 += 1;
        if self.foreign.0.len() < FINDINGS_AT_MOST {
            let name = text::safe(volume.as_str().as_bytes());
            self.foreign.0.push(name);
        }
    }

    /// A volume that `cause` keeps from being read; `meaning` says what that costs.
    fn unreadable(&mut self, volume: &VolumeName, cause: &Error, meaning: &str) {
        self.find(
            volume,
            status_of(cause),
            format!("{}; {meaning}", cause.cause()),
        );
    }
}

/// What a volume is that `cause` keeps from being read.
fn status_of(cause: &Error) -> Status {
    match cause.kind() {
        Kind::Missing => Status::Missing,
        Kind::Damaged => Status::Modified,
        _ => Status::Error,
    }
}

/// What is wrong with the archive of a volume of which all could be read that a restore needs: it disagrees with itself. With
/// `inflate` all of its entries are read.
fn disagreement(zip: ZipReader<'_>, inflate: bool) -> Result<Option<(Status, String)>> {
    match zip.agree(inflate) {
        Ok(()) => Ok(None),
        Err(e) if e.kind().is_of_one_volume() => {
            let what = format!(
                "{}; no data is at risk: all that a restore reads of it is intact",
                e.cause()
            );
            Ok(Some((status_of(&e), what)))
        }
        Err(e) => Err(e),
    }
}

/// One run, as it is lent to its steps.
struct Checking<'a> {
    set: &'a mut Set,
    ui: &'a mut Ui,
    options: &'a VerifyOptions,
    report: &'a mut VerifyReport,
}

/// Checks `set`. A wrong passphrase, and a destination of which nothing can be read, are errors, not findings. After an
/// error `report` has what was found until then.
pub(crate) fn run(
    set: &mut Set,
    options: &VerifyOptions,
    ui: &mut Ui,
    report: &mut VerifyReport,
) -> Result<()> {
    beside(set, ui, report);
    let params = set.learn_params(ui)?;
    let tmp = set.tmp().clone();
    let mut lists = Lists::new(&tmp, params)?;
    let mut read = vec![false; set.volumes().dindex_count()];

    let mut noted = Noted::default();
    let mut resized = Resized::new(&tmp);
    let (mut places, index) = set.load_index_seeing(ui, true, &mut |dindex, what| {
        if let Some(slot) = read.get_mut(dindex as usize) {
            *slot = true;
        }
        match what {
            Seen::Whole(zip) => {
                report.dindexes += 1;
                let told = noted.first.last().is_some_and(|n| n.0 == dindex);
                if options.amount == Amount::All
                    && !told
                    && let Some((status, what)) = disagreement(zip, true)?
                {
                    noted.add(dindex, status, what);
                }
            }
            Seen::List(id, data) => {
                if let Some(what) = lists.add(id, data)? {
                    noted.add(dindex, Status::Modified, what);
                }
            }
            Seen::Rescued => noted.add(dindex, Status::Modified, RESCUED.to_owned()),
            Seen::Unreadable(e) => {
                let (status, what) = indexes::unreadable_index(e);
                noted.add(dindex, status, what);
            }
            Seen::Absent(dblock) => noted.add(dindex, Status::Affected, indexes::absent(dblock)),
            Seen::Resized {
                no,
                dblock,
                stated,
                listed,
                keys,
            } => {
                resized.add(no, keys)?;
                let what = indexes::resized(dblock, stated, listed);
                noted.add(dindex, Status::Modified, what);
            }
        }
        Ok(())
    })?;
    report.finding_count += noted.more;
    for (dindex, status, what) in noted.first {
        if let Some((name, _)) = set.volumes().dindex(dindex as usize) {
            report.find(&name, status, what);
        }
    }

    let mut volumes = Volumes::new(&tmp, resized);
    let mut run = Checking {
        set,
        ui,
        options,
        report,
    };
    volumes.dindexes(&mut run, &mut read, &places, &mut lists)?;
    volumes.dblocks(&mut run, &index.unindexed, &mut places)?;
    let orphans: Vec<VolumeNo> = index
        .unindexed
        .iter()
        .copied()
        .filter(|no| !volumes.is_resized(*no))
        .collect();
    let doubts = volumes.take_doubts();
    let lost = volumes.lost(&mut places, report)?;
    if options.dlists {
        let orphans = Orphans::new(&orphans, doubts);
        References::new(set, params, places, lost, lists, read, orphans)?
            .check(set, ui, options, report)?;
    } else {
        orphans::tell_doubts(set, &doubts, report);
    }
    Ok(())
}

/// What lies there and is no content.
fn beside(set: &Set, ui: &mut Ui, report: &mut VerifyReport) {
    if let Some(line) = set.strays().line() {
        ui.note(&line);
    }
    let plain = set.plain();
    for name in &plain.names {
        let what = "it is not encrypted although the backup is, so anybody can have put it there; it is never read";
        report.find(name, Status::Extra, what);
        report.find_foreign(name);
    }
    let more = plain.count - plain.names.len() as u64;
    report.finding_count += more;
    report.foreign.1 += more;
}

/// Findings of index volumes while only their numbers are known.
#[derive(Default)]
struct Noted {
    first: Vec<(u32, Status, String)>,
    more: u64,
}

impl Noted {
    fn add(&mut self, dindex: u32, status: Status, what: String) {
        if self.first.len() < FINDINGS_AT_MOST {
            self.first.push((dindex, status, what));
        } else {
            self.more += 1;
        }
    }
}

#[cfg(test)]
mod tests;
