//! Entries taken out of versions for good.

use crate::base::error::Result;
use crate::base::time::Timestamp;
use crate::base::ui::Ui;
use crate::format::filelist::{Entry, EntryKind, Fate};
use crate::remote::Permit;
use crate::select::FilterSet;
use crate::set::Set;
use crate::upkeep::rewrite::{Look, Plan, look, plan};
use crate::writer::{Committed, List, Retired, WriteOptions, Writer};

/// What is taken out.
pub(crate) struct Wanted {
    /// Includes, one of which an entry must match; none: then one of `rules` must include it.
    pub(crate) patterns: FilterSet,
    /// What these exclude stays.
    pub(crate) rules: FilterSet,
}

impl Wanted {
    /// Each entry by itself: a folder's entry is not what lies in the folder.
    fn matches(&self, entry: &Entry) -> bool {
        let mut path = entry.path.as_slice();
        if entry.kind == EntryKind::Symlink && path.len() > 1 {
            path = path.strip_suffix(b"/").unwrap_or(path);
        }
        let rules = self.rules.decide_stored(path);
        match self.patterns.is_empty() {
            true => rules.included && rules.rule.is_some(),
            false => rules.included && self.patterns.decide_stored(path).included,
        }
    }

    fn fate(&self, entry: &Entry) -> Fate {
        match self.matches(entry) {
            true => Fate::Drop,
            false => Fate::Keep,
        }
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
/// that cannot be read is an error. Costs a download of each list. Memory: one list's entry, and 100 bytes a version.
pub(crate) fn survey(
    set: &mut Set,
    ui: &mut Ui,
    versions: &[usize],
    wanted: &Wanted,
    told: &mut dyn FnMut(&mut Ui, usize, &Entry),
) -> Result<Survey> {
    let mut looks = Vec::with_capacity(versions.len());
    for &no in versions {
        let mut judge = |_: usize, entry: &Entry| Ok(wanted.fate(entry));
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
    let mut judge = |_: usize, entry: &Entry| Ok(wanted.fate(entry));
    let list = List::Rewrite {
        versions: &plan.rewrites,
        judge: &mut judge,
    };
    let done = writer.commit(ui, list)?;
    writer.finish(ui)?;
    Ok(done)
}
