//! A destination put right with what is still there: indexes written anew from their data volumes, those of lost volumes
//! dropped, and what damaged volumes still hold moved into new ones.

use crate::base::digest::{BlockKey, Hash};
use crate::base::error::{Error, Kind, Result};
use crate::base::sys;
use crate::base::text;
use crate::base::ui::Ui;
use crate::remote::Permit;
use crate::set::{Set, Share, VolumeNo};
use crate::spill::keyset::Keyset;
use crate::spill::sorter::Sorter;
use crate::upkeep::losses::{Losses, Stock};
use crate::upkeep::unread::unreadable;
use crate::upkeep::whole::DOING;
use crate::writer::{Committed, List, Retired, WriteOptions, Writer};

const SORT_CAP: usize = 1 << 20;

/// What a person asks for beside what is plain.
#[derive(Default)]
pub(crate) struct Orders {
    /// Indexes of lost volumes go although versions lose something with these.
    pub(crate) force: bool,
    /// Volumes that are read whole, whatever their index says.
    pub(crate) dblocks: Vec<VolumeNo>,
    pub(crate) dindexes: Vec<u32>,
}

/// Looks for lost blocks elsewhere and stores them; `without` marks volumes, by number, whose blocks do not count. True when
/// nothing is lost any more.
pub(crate) type Rebuild<'r> = dyn FnMut(&mut Writer<'_>, &mut Ui, &[bool]) -> Result<bool> + 'r;

/// What was found and done; of a dry run what would be.
#[derive(Default)]
pub(crate) struct Repaired {
    /// dblocks that got an index.
    pub(crate) indexed: u64,
    /// dblocks that are damaged, and blocks out of them that were stored again.
    pub(crate) damaged: u64,
    pub(crate) salvaged: u64,
    /// All blocks that were stored again, and their bytes before they are packed.
    pub(crate) stored: (u64, u64),
    /// dindexes of lost volumes that stay because something is lost with these.
    pub(crate) absent_left: u64,
    /// Versions that cannot be read.
    pub(crate) unreadable: u64,
    /// Something was to be done.
    pub(crate) any: bool,
    /// What was lost before, and how the commit went.
    pub(crate) lost_before: u64,
    pub(crate) committed: Committed,
}

/// By number of the volume.
struct Plan {
    /// dblocks to be read and indexed.
    again: Vec<bool>,
    /// dindexes to be replaced.
    redo: Vec<bool>,
    /// What came of each dblock.
    whole: Vec<bool>,
    damaged: Vec<bool>,
}

impl Plan {
    /// From what the indexes tell: no volume is read for it.
    fn make(set: &Set, losses: &Losses, orders: &Orders) -> Plan {
        let dblocks = set.volumes().dblock_count() as usize;
        let mut plan = Plan {
            again: vec![false; dblocks],
            redo: vec![false; set.volumes().dindex_count()],
            whole: vec![false; dblocks],
            damaged: vec![false; dblocks],
        };
        let (index, places) = (&losses.index, losses.places());
        let mark = |marks: &mut Vec<bool>, no: u32| {
            if let Some(mark) = marks.get_mut(no as usize) {
                *mark = true;
            }
        };
        for &i in index.spoilt.iter().chain(&orders.dindexes) {
            mark(&mut plan.redo, i);
        }
        for &(i, no) in &index.resized {
            mark(&mut plan.redo, i);
            mark(&mut plan.again, no);
        }
        for &no in index.unindexed.iter().chain(&orders.dblocks) {
            mark(&mut plan.again, no);
        }
        for no in (0..set.volumes().dblock_count()).filter(|&no| set.volumes().dblock(no).is_some())
        {
            let poor = losses.poor.get(no as usize) == Some(&true);
            let named = plan.again.get(no as usize) == Some(&true);
            if let Some(i) = places.dindex_of(no).filter(|_| poor || named) {
                mark(&mut plan.redo, i);
            }
        }
        for no in 0..set.volumes().dblock_count() {
            let replaced = places
                .dindex_of(no)
                .is_some_and(|i| plan.redo.get(i as usize) == Some(&true));
            if replaced && set.volumes().dblock(no).is_some() {
                mark(&mut plan.again, no);
            }
        }
        plan
    }

    fn marked(marks: &[bool]) -> impl Iterator<Item = u32> + '_ {
        (0u32..).zip(marks).filter(|(_, m)| **m).map(|(no, _)| no)
    }
}

/// Repairs what can be. Reads all indexes and lists, data only of volumes that have no right index or that `orders` name.
/// `rebuild`: lost blocks are looked for, and what damaged volumes still hold is moved. Nothing is deleted while a list cannot
/// be read, and never what is whole or unknown. `permit`: `None` for a dry run.
///
/// Memory: as [`Losses`], and at most 30 bytes a volume.
pub(crate) fn repair(
    set: &mut Set,
    ui: &mut Ui,
    permit: Option<Permit>,
    options: WriteOptions,
    orders: &Orders,
    mut rebuild: Option<&mut Rebuild<'_>>,
) -> Result<Repaired> {
    let mut done = Repaired::default();
    let mut losses = Losses::open(set, ui, &[])?;
    losses
        .confirm(set, ui)
        .map_err(|e| e.doing("repair the backup"))?;
    look(set, ui, &mut losses, &mut done)?;
    let mut plan = Plan::make(set, &losses, orders);
    let mut absent = losses.only_absent(set);
    let searching = done.lost_before > 0 && rebuild.is_some();
    done.any = searching
        || plan.again.contains(&true)
        || plan.redo.contains(&true)
        || !absent.is_empty()
        || !losses.index.unread.is_empty();
    if !done.any {
        if losses.index.clean()
            && let Err(e) = set.store_index(losses.places())
        {
            ui.verbose(&format!("the cache was not written: {e}"));
        }
        return Ok(done);
    }
    let Stock {
        index,
        mut lists,
        uncopied,
        mut broken,
    } = losses.into_stock();
    let mut writer = Writer::begin(set, permit, options)?;
    writer.know_lists(uncopied);
    writer.know(index);
    index_again(&mut writer, ui, &mut plan, &mut done, rebuild.is_some())?;
    done.damaged = Plan::marked(&plan.damaged).count() as u64;
    let mut whole = done.lost_before == 0 && done.damaged == 0;
    // What is intact in damaged volumes is stored elsewhere: nothing is lost with these any more.
    let mut moved = false;
    if let Some(rebuild) = &mut rebuild
        && done.unreadable == 0
        && sys::stops_requested() == 0
    {
        let mut stay: Vec<VolumeNo> = Vec::new();
        for no in Plan::marked(&plan.damaged) {
            match salvage(&mut writer, ui, &mut lists, no, &plan.damaged)? {
                Some(blocks) => done.salvaged += blocks,
                None => stay.push(no),
            }
        }
        // Its memory is for the search.
        drop(lists);
        whole = rebuild(&mut writer, ui, &plan.damaged)?;
        for no in stay {
            plan.damaged[no as usize] = false;
        }
        moved = sys::stops_requested() == 0;
    }
    if !(orders.force || whole) {
        done.absent_left = absent.len() as u64;
        absent.clear();
    }
    if done.unreadable == 0 && !absent.is_empty() {
        // Files whose blocks are elsewhere live by the lists in them.
        let mut useful = |id: &Hash| Ok(!broken.contains(&BlockKey::new(id, 0))?);
        writer.add_lists_of(ui, &absent, &[], &mut useful)?;
    }
    if done.unreadable == 0 {
        retire(&mut writer, ui, &plan, &absent, moved)?;
    }
    done.committed = writer.commit(ui, List::Keep)?;
    let stats = writer.finish(ui)?;
    done.stored = (stats.new_blocks, stats.new_block_bytes);
    Ok(done)
}

/// Counts what every version loses, and finds blocklists that no index copies.
fn look(set: &mut Set, ui: &mut Ui, losses: &mut Losses, done: &mut Repaired) -> Result<()> {
    for no in 0..set.volumes().dlists().len() {
        match losses.suspects(set, ui, no) {
            Ok(suspects) => losses.each(&suspects, &mut |_, _| {
                done.lost_before += 1;
                Ok(())
            })?,
            Err(e) if e.kind().is_of_one_volume() => {
                done.unreadable += 1;
                let e = unreadable(set, no, DOING, e);
                ui.warn("unreadable-version", &e.to_string());
            }
            Err(e) => return Err(e),
        }
    }
    Ok(())
}

fn index_again(
    writer: &mut Writer<'_>,
    ui: &mut Ui,
    plan: &mut Plan,
    done: &mut Repaired,
    read_dry: bool,
) -> Result<()> {
    for no in Plan::marked(&plan.again) {
        if sys::stops_requested() > 0 {
            break;
        }
        let Some((name, _)) = writer.set.volumes().dblock(no) else {
            continue;
        };
        let shown = text::safe(name.as_str().as_bytes());
        let at = no as usize;
        match writer.index_again(ui, no, read_dry)? {
            Ok(_) => {
                plan.whole[at] = true;
                done.indexed += 1;
                ui.result(&match (writer.is_dry(), read_dry) {
                    (true, true) => format!("would write an index for {shown}"),
                    (true, false) => format!("would read {shown} and write its index"),
                    (false, _) => format!("index written for {shown}"),
                });
            }
            Err(e) => {
                plan.damaged[at] = e.kind() == Kind::Damaged;
                match plan.damaged[at] {
                    // What comes of it is said at the end.
                    true => ui.note(&format!("duplet: {e}")),
                    false => ui.warn("unreadable-dblock", &e.to_string()),
                }
            }
        }
    }
    Ok(())
}

/// Stores the intact blocks of a damaged volume again that no other volume holds. How many; `None` when the volume could not be
/// read for another reason than that it is damaged: it may be read another time. A volume in which nothing can be found is told.
fn salvage(
    writer: &mut Writer<'_>,
    ui: &mut Ui,
    lists: &mut Keyset,
    no: VolumeNo,
    damaged: &[bool],
) -> Result<Option<u64>> {
    let expected = writer.index(ui)?.0.expected(no)?;
    let mut shelf = match writer.set.shelf(ui, no, expected, Share::All) {
        Ok(shelf) => shelf,
        Err(e) if e.kind() == Kind::Damaged => {
            ui.warn(
                "nothing-saved",
                &format!("nothing of a damaged volume can be saved: {e}"),
            );
            return Ok(Some(0));
        }
        Err(e) if e.kind().is_of_one_volume() => {
            ui.warn("unreadable-dblock", &format!("a damaged volume stays: {e}"));
            return Ok(None);
        }
        Err(e) => return Err(e),
    };
    let mut names = Sorter::new(writer.set.tmp(), SORT_CAP);
    shelf
        .keys(&mut |id, key, _| names.add(&[id.as_bytes(), &key.size().to_be_bytes()].concat()))?;
    let mut names = names.finish()?;
    let (mut data, mut stored) = (Vec::new(), 0);
    while let Some(record) = names.next()? {
        let bad = || Error::bug("the name of a block reads back");
        let (id, size) = record.split_last_chunk::<4>().ok_or_else(bad)?;
        let id = Hash::from_bytes(id).ok_or_else(bad)?;
        let key = BlockKey::new(&id, u32::from_be_bytes(*size));
        if key.size() > writer.params().block_size || writer.holds(ui, &key, damaged)? {
            continue;
        }
        if shelf.block(&key, &mut data)? {
            let new = match lists.contains(&BlockKey::new(&id, 0))? {
                true => writer.add_list_again(ui, &id, &data)?,
                false => writer.add_again(ui, &id, &data)?,
            };
            stored += u64::from(new);
        }
    }
    Ok(Some(stored))
}

/// What goes: indexes that were written anew, those of lost volumes, and, if their blocks were `moved`, damaged volumes that an
/// index knows.
fn retire(
    writer: &mut Writer<'_>,
    ui: &mut Ui,
    plan: &Plan,
    absent: &[u32],
    moved: bool,
) -> Result<()> {
    let dblocks = 0..writer.set.volumes().dblock_count();
    let (places, index) = writer.index(ui)?;
    let settled = |no: VolumeNo| {
        let is = |marks: &[bool]| marks.get(no as usize) == Some(&true);
        is(&plan.whole) || moved && is(&plan.damaged)
    };
    let all_described = index.unindexed.iter().all(|&no| settled(no));
    let mut going: Vec<Retired> = absent.iter().copied().map(Retired::Dindex).collect();
    // What each dindex that was written anew described, 8 bytes a volume.
    let mut describes: Vec<(u32, VolumeNo)> = dblocks
        .filter_map(|no| Some((places.dindex_of(no)?, no)))
        .chain(index.resized.iter().copied())
        .filter(|(i, _)| plan.redo.get(*i as usize) == Some(&true))
        .collect();
    describes.sort_unstable();
    let mut lost = index.absent.clone();
    lost.sort_unstable();
    for i in Plan::marked(&plan.redo) {
        let first = describes.partition_point(|(of, _)| *of < i);
        let own = describes[first..].iter().take_while(|(of, _)| *of == i);
        let mut own = own.map(|(_, no)| *no).peekable();
        let holds_on = lost.binary_search(&i).is_ok() && absent.binary_search(&i).is_err();
        let known = own.peek().is_some() || all_described;
        if own.all(settled) && known && !holds_on {
            going.push(Retired::Dindex(i));
        }
    }
    // Which volumes they describe nobody can tell: they go when every volume has another index.
    if all_described {
        going.extend(index.unread.iter().copied().map(Retired::Dindex));
    }
    if moved {
        let mut resized: Vec<VolumeNo> = index.resized.iter().map(|r| r.1).collect();
        resized.sort_unstable();
        let known =
            |no: &VolumeNo| places.dindex_of(*no).is_some() || resized.binary_search(no).is_ok();
        going.extend(
            Plan::marked(&plan.damaged)
                .filter(known)
                .map(Retired::Dblock),
        );
    }
    going
        .into_iter()
        .try_for_each(|volume| writer.retire(volume))
}
