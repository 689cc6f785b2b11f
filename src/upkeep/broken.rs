//! Entries whose blocks are in no volume taken out of versions, so that what is left is whole.

use crate::base::digest::Hash;
use crate::base::error::{Error, Kind, Result};
use crate::base::text;
use crate::base::time::Timestamp;
use crate::base::ui::Ui;
use crate::format::filelist::{Content, Entry, EntryKind, Fate};
use crate::format::manifest::Params;
use crate::format::meta::EMPTY_BLOB;
use crate::remote::Permit;
use crate::set::{ListState, Set, Stored};
use crate::upkeep::losses::{Loss, Losses};
use crate::upkeep::rewrite::{DOING, Look, Plan, look, plan};
use crate::upkeep::unread::unreadable;
use crate::writer::{Committed, List, Retired, WriteOptions, Writer};

/// What is broken, and what is to be done about it.
pub(crate) struct Survey {
    pub(crate) losses: Losses,
    pub(crate) looks: Vec<Look>,
    /// Versions of which no file would be left: they are deleted.
    pub(crate) gone: Vec<usize>,
    /// dindexes that describe nothing but volumes that are gone.
    pub(crate) dindexes: Vec<u32>,
    replace: bool,
}

/// Gives an entry that loses only its metadata none, if `replace`; takes all others that lose something out. A link without
/// metadata would have no target.
fn fate(losses: &mut Losses, entry: &Entry, replace: bool) -> Result<Fate> {
    Ok(match losses.loss(entry)? {
        None => Fate::Keep,
        Some(Loss::Metadata) if replace && entry.kind != EntryKind::Symlink => {
            let meta = Some(empty(losses.params()));
            let entry = entry.clone();
            Fate::Replace(Box::new(Entry { meta, ..entry }))
        }
        Some(_) => Fate::Drop,
    })
}

fn empty(params: &Params) -> Content {
    Content {
        hash: Some(params.file_hash.hash(EMPTY_BLOB)),
        size: EMPTY_BLOB.len() as u64,
        block: Some(params.block_hash.hash(EMPTY_BLOB)),
        lists: Vec::new(),
    }
}

/// Looks for what is broken in all versions but those that are `replaced` by others; `told` hears of each such entry with its version. Refuses, with nothing changed,
/// where something may be intact that cannot be read, and where no version would be left. Costs as [`Losses`].
pub(crate) fn survey(
    set: &mut Set,
    ui: &mut Ui,
    replace: bool,
    replaced: &[usize],
    told: &mut dyn FnMut(&mut Ui, usize, &Entry, bool),
) -> Result<Survey> {
    let doing = format!("purge broken files in {}", set.remote().describe());
    let mut losses = Losses::open(set, ui, &[])?;
    losses
        .confirm(set, ui)
        .map_err(|e| e.doing(doing.as_str()))?;
    sure(&losses, &doing)?;
    if !losses.index.resized.is_empty() {
        let volumes = text::count(losses.index.resized.len() as u64, "data volume");
        return Err(Error::damaged(format!(
            "{volumes} of another size than stated may hold intact blocks"
        ))
        .doing(doing)
        .hint("'duplet repair URL --rebuild-missing-dblock-files' saves them first"));
    }
    let versions: Vec<usize> = (0..set.volumes().dlists().len())
        .filter(|no| !replaced.contains(no))
        .collect();
    let mut looks = Vec::with_capacity(versions.len());
    for &no in &versions {
        losses
            .suspects(set, ui, no)
            .map_err(|e| unreadable(set, no, DOING, e))?;
        let mut judge = |_: usize, entry: &Entry| fate(&mut losses, entry, replace);
        let mut hear = |ui: &mut Ui, entry: &Entry, fate: &Fate| {
            told(ui, no, entry, matches!(fate, Fate::Replace(_)));
        };
        looks.push(look(set, ui, no, &mut judge, &mut hear)?);
    }
    sure(&losses, &doing)?;
    let empty =
        |l: &&Look| l.changes() && (l.files[1] == 0 && l.files[0] > 0 || l.dropped == l.entries);
    let gone: Vec<usize> = looks.iter().filter(empty).map(|l| l.no).collect();
    if !gone.is_empty() && gone.len() == versions.len() {
        return Err(
            Error::new(Kind::Missing, "no file of any version would be left")
                .doing(doing)
                .hint(
                    "nothing was changed; bring lost volumes back, or begin anew in another folder",
                ),
        );
    }
    let dindexes = losses.only_absent(set);
    Ok(Survey {
        losses,
        looks,
        gone,
        dindexes,
        replace,
    })
}

/// Refuses while volumes cannot be read that may hold what seems lost.
fn sure(losses: &Losses, doing: &str) -> Result<()> {
    if losses.unread == 0 {
        return Ok(());
    }
    let volumes = text::count(losses.unread, "data volume");
    Err(Error::damaged(format!("{volumes} cannot be read and may be intact"))
        .doing(doing)
        .hint("give the right passphrase; 'duplet repair URL' tells which, and what is lost for good can be deleted with 'duplet remote delete URL NAME'"))
}

impl Survey {
    /// True when there is nothing to do.
    pub(crate) fn is_clean(&self) -> bool {
        self.dindexes.is_empty() && !self.looks.iter().any(Look::changes)
    }

    /// The times of the new versions. An error when one has no room; nothing was changed by then.
    pub(crate) fn plan(&self, set: &Set) -> Result<Plan> {
        let times: Vec<Timestamp> = set.versions().collect();
        plan(&times, &self.looks, &self.gone)
    }
}

/// Writes the planned versions again, oldest first, then deletes the old ones, those without a file left, and the dindexes of
/// volumes that are gone. `permit`: `None` for a dry run.
pub(crate) fn purge_broken(
    set: &mut Set,
    ui: &mut Ui,
    permit: Option<Permit>,
    options: WriteOptions,
    mut survey: Survey,
    plan: &Plan,
) -> Result<Committed> {
    let mut writer = Writer::begin(set, permit, options)?;
    if !survey.losses.index.unindexed.is_empty() {
        // What a run that was stopped left is used, and needs an index as all volumes do.
        writer.adopt(ui)?;
    }
    if survey.looks.iter().any(|l| l.replaced > 0) {
        let id = writer.params().block_hash.hash(EMPTY_BLOB);
        writer.add_block(ui, &id, EMPTY_BLOB)?;
    }
    for &no in plan.done_before.iter().chain(&survey.gone) {
        writer.retire(Retired::Dlist(no))?;
    }
    let (losses, replace) = (&mut survey.losses, survey.replace);
    // Files whose blocks are elsewhere live by them.
    if !survey.dindexes.is_empty() {
        let mut useful = |id: &Hash| Ok(losses.list(id)? == ListState::Whole);
        writer.add_lists_of(ui, &survey.dindexes, &[], &mut useful)?;
    }
    for &no in &survey.dindexes {
        writer.retire(Retired::Dindex(no))?;
    }
    let mut judge = |_: usize, entry: &Entry| fate(losses, entry, replace);
    let list = List::Rewrite {
        versions: &plan.rewrites,
        judge: &mut judge,
    };
    let done = writer.commit(ui, list)?;
    writer.finish(ui)?;
    Ok(done)
}
