//! Every reference of the chosen versions against what is stored, and what a lost block costs: which files of which versions.

use crate::base::digest::{BlockKey, Hash};
use crate::base::error::Result;
use crate::base::text;
use crate::base::ui::{Progress, Ui};
use crate::format::filelist::Entry;
use crate::format::manifest::Params;
use crate::set::{
    BlockIndex, ListState, ListsInDblocks, RESCUED, Set, State, Stored, VolumeFaults, VolumeNo,
};
use crate::spill::keyset::Keyset;
use crate::spill::run::Run;
use crate::spill::sorter::Sorter;
use crate::upkeep::verify::lists::Lists;
use crate::upkeep::verify::orphans::Orphans;
use crate::upkeep::verify::{
    Amount, ListsFrom, Loss, Status, VerifyOptions, VerifyReport, disagreement, indexes, sample,
};

const SORT_CAP: usize = 1 << 20;
/// Files named for each version.
const NAMED_AT_MOST: usize = 5;
/// Characters of a named file.
const NAME_CHARS: usize = 300;

/// What references are looked up in.
pub(super) struct References {
    params: Params,
    places: BlockIndex,
    lost: Keyset,
    lists: Lists,
    /// dindexes that were downloaded, by number.
    read: Vec<bool>,
    /// dblocks without an index, and whether something is only there.
    orphans: Orphans,
    /// Blocklists that were referred to while nothing knew them, each once.
    asked: Keyset,
    unknown: Sorter,
}

/// What one version told.
#[derive(Default)]
struct Outcome {
    version: usize,
    entries: u64,
    files: u64,
    only_metadata: u64,
    /// A few of each.
    named_files: Vec<String>,
    named_others: Vec<String>,
    /// It refers to lists that were not known when it was read.
    unsure: bool,
    /// Its archive is damaged, though all of it could be read.
    rescued: bool,
    /// Its list is older than its name.
    misdated: Option<String>,
    /// Its archive disagrees with itself.
    disagrees: Option<(Status, String)>,
    /// It could not be read: status and reason.
    unreadable: Option<(Status, String)>,
}

impl References {
    pub(super) fn new(
        set: &Set,
        params: Params,
        places: BlockIndex,
        lost: Keyset,
        lists: Lists,
        read: Vec<bool>,
        orphans: Orphans,
    ) -> Result<References> {
        Ok(References {
            params,
            places,
            lost,
            lists,
            read,
            orphans,
            asked: Keyset::new(set.tmp()),
            unknown: Sorter::new(set.tmp(), SORT_CAP),
        })
    }

    pub(super) fn check(
        mut self,
        set: &mut Set,
        ui: &mut Ui,
        options: &VerifyOptions,
        report: &mut VerifyReport,
    ) -> Result<()> {
        let count = set.volumes().dlists().len();
        let mut picked = vec![false; count];
        if options.versions.is_empty() {
            picked = sample::choose(options.amount, options.turn, count, &mut |i| {
                set.dlist(i)
                    .map_or_else(String::new, |(name, _)| name.as_str().to_owned())
            });
            if let Some(newest) = picked.first_mut() {
                *newest = true;
            }
        }
        for &v in &options.versions {
            if let Some(mark) = picked.get_mut(v) {
                *mark = true;
            }
        }
        let orphans = &mut self.orphans;
        self.lists
            .settle(&mut self.places, &mut self.lost, &mut |list, held| {
                orphans.held_for(list, held);
            })?;
        let mut outcomes = self.read_all(set, ui, options, &picked, report)?;
        let blind = set.volumes().dindex_count() == 0 && report.unindexed_unread > 0;
        if blind {
            let dblocks = text::count(report.unindexed_unread, "dblock");
            ui.note(&format!(
                "references were not checked: {dblocks} have no index volume and were not opened (verify URL all opens them)"
            ));
        }
        let hurt = |o: &[Outcome]| o.iter().any(|o| o.files + o.only_metadata > 0);
        let missing = !self.lost.is_empty() || hurt(&outcomes);
        let doubtful = self.orphans.are_doubtful();
        if !blind && (missing || doubtful) && picked.contains(&false) {
            ui.note(match missing {
                true => "data is missing; reading all versions to find what that costs",
                false => "a volume without an index cannot be read; reading all versions to see whether one needs it",
            });
            let rest: Vec<bool> = picked.iter().map(|p| !p).collect();
            outcomes.extend(self.read_all(set, ui, options, &rest, report)?);
            outcomes.sort_by_key(|o| o.version);
        }
        // Another version may need what none of these does.
        if outcomes.len() < count || outcomes.iter().any(|o| o.unreadable.is_some()) {
            self.orphans.need_all();
        }
        for outcome in outcomes {
            tell(set, outcome, blind, report);
        }
        self.orphans.tell(set, ui, report);
        Ok(())
    }

    /// Reads the marked versions, then what they asked for, then once more those for which that changed something.
    fn read_all(
        &mut self,
        set: &mut Set,
        ui: &mut Ui,
        options: &VerifyOptions,
        marked: &[bool],
        report: &mut VerifyReport,
    ) -> Result<Vec<Outcome>> {
        let mut outcomes = Vec::new();
        for (v, _) in marked.iter().enumerate().filter(|(_, m)| **m) {
            outcomes.push(self.version(set, ui, options, v)?);
        }
        let asked = std::mem::replace(&mut self.unknown, Sorter::new(set.tmp(), SORT_CAP));
        if !asked.is_empty() {
            let asked = asked.finish()?.into_run()?;
            self.lists_from_indexes(set, ui, options, &asked, report)?;
            if options.lists == ListsFrom::Dblocks {
                self.lists_from_dblocks(set, ui, &asked)?;
            }
            let mut reader = asked.reader();
            while let Some(id) = reader.next()?.and_then(Hash::from_bytes) {
                report.lists_unchecked += u64::from(!self.lists.knows(&id)?);
            }
            let orphans = &mut self.orphans;
            if self
                .lists
                .settle(&mut self.places, &mut self.lost, &mut |_, held| {
                    orphans.held(held)
                })?
            {
                for outcome in outcomes.iter_mut().filter(|o| o.unsure) {
                    *outcome = self.version(set, ui, options, outcome.version)?;
                }
            }
        }
        for outcome in &outcomes {
            report.entries += outcome.entries;
            report.dlists += u64::from(outcome.unreadable.is_none());
        }
        Ok(outcomes)
    }

    fn version(
        &mut self,
        set: &mut Set,
        ui: &mut Ui,
        options: &VerifyOptions,
        version: usize,
    ) -> Result<Outcome> {
        let mut out = Outcome {
            version,
            ..Outcome::default()
        };
        let what = Progress {
            files: version as u64,
            files_total: set.volumes().dlists().len() as u64,
            ..Progress::default()
        };
        ui.progress("checking versions", what);
        let read = set.files(ui, version, &mut |entry| {
            out.entries += 1;
            self.judge(&entry, &mut out)
        });
        match read {
            Ok(listing) => {
                out.rescued = listing.rescued;
                out.misdated = listing.misdated;
                if options.amount == Amount::All && !out.rescued {
                    let opened = set.open_dlist(ui, version)?;
                    out.disagrees = disagreement(opened.zip(), true)?;
                }
            }
            Err(e) if e.kind().is_of_one_volume() => {
                let (status, _) = indexes::unreadable_index(&e);
                out.unreadable = Some((status, e.cause().to_owned()));
            }
            Err(e) => return Err(e),
        }
        Ok(out)
    }

    fn judge(&mut self, entry: &Entry, out: &mut Outcome) -> Result<()> {
        let (mut data, meta) = Stored::entry(self, entry)?;
        // Of no bytes, but with the hash of some.
        let hash = entry
            .content
            .as_ref()
            .filter(|c| c.size == 0)
            .and_then(|c| c.hash);
        if hash.is_some_and(|hash| hash != self.params.file_hash.hash(b"")) {
            data = State::Lost;
        }
        out.unsure |= data == State::Unsure || meta == State::Unsure;
        let named = if data == State::Lost {
            out.files += 1;
            &mut out.named_files
        } else if meta == State::Lost {
            out.only_metadata += 1;
            &mut out.named_others
        } else {
            return Ok(());
        };
        if named.len() < NAMED_AT_MOST {
            named.push(text::safe_cut(&entry.path, NAME_CHARS));
        }
        Ok(())
    }

    /// Copies in index volumes that the cache let the run skip.
    fn lists_from_indexes(
        &mut self,
        set: &mut Set,
        ui: &mut Ui,
        options: &VerifyOptions,
        asked: &Run,
        report: &mut VerifyReport,
    ) -> Result<()> {
        let mut wanted = vec![false; self.read.len()];
        let mut reader = asked.reader();
        while let Some(id) = reader.next()?.and_then(Hash::from_bytes) {
            for (no, _) in self.places.find_id(&id)? {
                if let Some(dindex) = self.places.dindex_of(no)
                    && let Some(mark) = wanted.get_mut(dindex as usize)
                {
                    *mark = true;
                }
            }
        }
        for (i, _) in wanted.iter().enumerate().filter(|(_, w)| **w) {
            if !std::mem::replace(&mut self.read[i], true) {
                let all = options.amount == Amount::All;
                indexes::dindex(set, ui, i, all, &self.places, &mut self.lists, report)?;
            }
        }
        Ok(())
    }

    /// The blocklists themselves, volume by volume. A volume that cannot be read leaves its lists unknown; the volume checks
    /// tell of it.
    fn lists_from_dblocks(&mut self, set: &mut Set, ui: &mut Ui, asked: &Run) -> Result<()> {
        let mut wanted = ListsInDblocks::new(set.tmp());
        let mut reader = asked.reader();
        while let Some(id) = reader.next()?.and_then(Hash::from_bytes) {
            if !self.lists.knows(&id)?
                && let Some((no, _)) = self.places.find_id(&id)?.first()
            {
                wanted.look_in(*no, &id)?;
            }
        }
        wanted.read(set, ui, &self.places, VolumeFaults::Silent, &mut self.lists)
    }
}

impl Stored for References {
    fn params(&self) -> Params {
        self.params
    }

    fn block(&mut self, id: &Hash) -> Result<bool> {
        if !self.lost.is_empty() && self.lost.contains(&BlockKey::new(id, 0))? {
            return Ok(false);
        }
        if self.orphans.is_empty() {
            return self.places.contains_id(id);
        }
        let held: Vec<VolumeNo> = self.places.find_id(id)?.iter().map(|p| p.0).collect();
        self.orphans.held(&held);
        Ok(!held.is_empty())
    }

    fn list(&mut self, id: &Hash) -> Result<ListState> {
        self.orphans.need(id);
        self.lists.state(id)
    }

    fn block_fits(&mut self, id: &Hash, size: u64) -> Result<bool> {
        match u32::try_from(size) {
            Ok(size) => self.places.contains(&BlockKey::new(id, size)),
            Err(_) => Ok(false),
        }
    }

    fn list_fits(&mut self, id: &Hash, blocks: u64, last: Option<u64>) -> Result<bool> {
        self.lists.fits(id, blocks, last)
    }

    fn is_asked_for(&mut self, id: &Hash) -> Result<()> {
        if self.asked.insert(&BlockKey::new(id, 0))? {
            self.unknown.add(id.as_bytes())?;
        }
        Ok(())
    }
}

/// What a version lost, as a finding of its dlist.
fn tell(set: &Set, outcome: Outcome, blind: bool, report: &mut VerifyReport) {
    let Some((name, _)) = set.dlist(outcome.version) else {
        return;
    };
    let version = outcome.version;
    let when = name.time().map_or_else(String::new, |t| t.local());
    if let Some((status, cause)) = outcome.unreadable {
        let what = format!("{cause}; version {version} of {when} cannot be restored");
        report.find_version(name, status, what);
        report.unreadable.push(version);
        return;
    }
    if outcome.rescued {
        report.find_version(name, Status::Modified, RESCUED.to_owned());
    }
    if let Some((status, what)) = outcome.disagrees {
        report.find_version(name, status, what);
    }
    if let Some(what) = outcome.misdated {
        report.find_version(name, Status::Modified, what);
        report.find_foreign(name);
    }
    if blind || outcome.files + outcome.only_metadata == 0 {
        return;
    }
    let mut parts = Vec::new();
    for (n, noun, what, named) in [
        (outcome.files, "file", "data", &outcome.named_files),
        (
            outcome.only_metadata,
            "entry",
            "only owner, permissions and times",
            &outcome.named_others,
        ),
    ] {
        if n > 0 {
            let verb = if n == 1 { "loses" } else { "lose" };
            let more = match n - named.len() as u64 {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            let (count, named) = (text::count(n, noun), named.join(", "));
            parts.push(format!("{count} {verb} {what} ({named}{more})"));
        }
    }
    let unread = if report.unindexed_unread > 0 {
        let dblocks = text::count(report.unindexed_unread, "dblock");
        format!(" ({dblocks} without an index were not opened and may hold it)")
    } else {
        String::new()
    };
    let what = format!("version {version} of {when}: {}{unread}", parts.join("; "));
    report.find_version(name, Status::Affected, what);
    report.losses.push(Loss {
        version,
        files: outcome.files,
        only_metadata: outcome.only_metadata,
    });
}
