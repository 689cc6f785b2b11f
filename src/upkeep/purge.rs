//! Entries taken out of versions for good.

use std::collections::BTreeMap;

use crate::base::error::Result;
use crate::base::time::Timestamp;
use crate::base::ui::Ui;
use crate::format::filelist::{Entry, EntryKind, Fate};
use crate::remote::Permit;
use crate::select::{Best, Case, FilterSet, Selection};
use crate::set::Set;
use crate::upkeep::rewrite::{DOING, Look, Plan, look, plan};
use crate::upkeep::unread::unreadable;
use crate::writer::{Committed, List, Retired, WriteOptions, Writer};

/// What is taken out.
pub(crate) struct Wanted {
    /// Words, one of which an entry must fit; none: then one of `rules` must include it.
    pub(crate) words: Selection,
    /// What these exclude stays.
    pub(crate) rules: FilterSet,
    /// Whether words tell upper from lower case.
    pub(crate) case: Case,
    /// How the words are understood in each version that was looked at, by its number.
    meant: BTreeMap<usize, Best>,
}

impl Wanted {
    pub(crate) fn new(words: Selection, rules: FilterSet, case: Case) -> Wanted {
        Wanted {
            words,
            rules,
            case,
            meant: BTreeMap::new(),
        }
    }

    /// Finds out how the words are understood in version `no`, as `find` would. Passes over its list.
    fn understand(&mut self, set: &mut Set, ui: &mut Ui, no: usize) -> Result<()> {
        if self.words.is_empty() {
            return Ok(());
        }
        let (mut best, mut fits) = (self.words.best(), Vec::new());
        let read = set.files(ui, no, &mut |entry| {
            let path = path_of(&entry);
            if self.rules.decide_stored(path).included {
                self.words.fit(path, self.case, &mut fits);
                best.note(&fits);
            }
            Ok(())
        });
        read.map_err(|e| unreadable(set, no, DOING, e))?;
        self.meant.insert(no, best);
        Ok(())
    }

    /// The words that name nothing in the versions that were looked at.
    pub(crate) fn unmet(&self) -> Vec<&str> {
        self.words.unmet(self.meant.values())
    }

    /// Each entry by itself: a folder's entry is not what lies in the folder.
    fn matches(&self, no: usize, entry: &Entry) -> bool {
        let path = path_of(entry);
        let rules = self.rules.decide_stored(path);
        match self.words.is_empty() {
            true => rules.included && rules.rule.is_some(),
            false => {
                let meant = self.meant.get(&no);
                rules.included && meant.is_some_and(|best| self.words.takes(path, self.case, best))
            }
        }
    }

    fn fate(&self, no: usize, entry: &Entry) -> Fate {
        match self.matches(no, entry) {
            true => Fate::Drop,
            false => Fate::Keep,
        }
    }
}

/// The path of a link comes without a separator at its end, as a list may have it.
fn path_of(entry: &Entry) -> &[u8] {
    let path = entry.path.as_slice();
    match entry.kind == EntryKind::Symlink && path.len() > 1 {
        true => path.strip_suffix(b"/").unwrap_or(path),
        false => path,
    }
}

/// What would go, before anything is written.
pub(crate) struct Survey {
    pub(crate) looks: Vec<Look>,
}

impl Survey {
    pub(crate) fn entries(&self) -> u64 {
        self.looks.iter().map(|l| l.entries).sum()
    }

    pub(crate) fn dropped(&self) -> u64 {
        self.looks.iter().map(|l| l.dropped).sum()
    }

    /// Versions of which nothing would be left.
    pub(crate) fn emptied(&self) -> impl Iterator<Item = usize> {
        let all = self.looks.iter().filter(|l| l.dropped == l.entries);
        all.filter(|l| l.dropped > 0).map(|l| l.no)
    }
}

/// Reads the lists of `versions` (numbers in the listing); `told` hears of every entry that would go, with its version. One
/// that cannot be read is an error. Costs a download of each list, over which it passes twice where there are words. Memory: one
/// list's entry, and 200 bytes a version.
pub(crate) fn survey(
    set: &mut Set,
    ui: &mut Ui,
    versions: &[usize],
    wanted: &mut Wanted,
    told: &mut dyn FnMut(&mut Ui, usize, &Entry),
) -> Result<Survey> {
    let mut looks = Vec::with_capacity(versions.len());
    for &no in versions {
        wanted.understand(set, ui, no)?;
        let mut judge = |no: usize, entry: &Entry| Ok(wanted.fate(no, entry));
        let mut hear = |ui: &mut Ui, entry: &Entry, _: &Fate| told(ui, no, entry);
        looks.push(look(set, ui, no, &mut judge, &mut hear)?);
    }
    Ok(Survey { looks })
}

impl Survey {
    /// The times of the new versions. An error when one has no room; nothing was changed by then.
    pub(crate) fn plan(&self, set: &Set) -> Result<Plan> {
        let times: Vec<Timestamp> = set.versions().collect();
        plan(&times, &self.looks, &[])
    }
}

/// Writes the planned versions again without what `wanted` names, oldest first, then deletes the old ones. The list of each
/// such version is downloaded again. `permit`: `None` for a dry run.
pub(crate) fn purge(
    set: &mut Set,
    ui: &mut Ui,
    permit: Option<Permit>,
    options: WriteOptions,
    wanted: &Wanted,
    plan: &Plan,
) -> Result<Committed> {
    let mut writer = Writer::begin(set, permit, options)?;
    for &no in &plan.done_before {
        writer.retire(Retired::Dlist(no))?;
    }
    let mut judge = |no: usize, entry: &Entry| Ok(wanted.fate(no, entry));
    let list = List::Rewrite {
        versions: &plan.rewrites,
        judge: &mut judge,
    };
    let done = writer.commit(ui, list)?;
    writer.finish(ui)?;
    Ok(done)
}
