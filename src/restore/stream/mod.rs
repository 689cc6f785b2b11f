//! A restore to standard output: one file as it is, or entries as a tar stream. Every block is compared with its hash before it is
//! written, so what was written is right even where the rest cannot be had.
//!
//! Memory: 10 MiB, whatever the number of entries and blocks; on disk 130 bytes a block and the volumes that are kept.

mod archive;
mod blocks;

use crate::base::digest::Hasher;
use crate::base::error::{Error, Kind, Result};
use crate::base::size::show_size;
use crate::base::text;
use crate::base::ui::{Progress, Ui};
use crate::format::filelist::{Content, Entry, EntryKind};
use crate::format::manifest::Params;
use crate::restore::choose::{Chosen, choose, settle_root, survey};
use crate::restore::finish::META_BYTES_AT_MOST;
use crate::restore::options::RestoreOptions;
use crate::restore::plan::{Plan, planned, wanted};
use crate::restore::{remember, seek, tell_lost, tell_partial};
use crate::set::{BlockIndex, Place, Set};
use crate::spill::run::Run;
use crate::spill::sorter::Sorter;
use archive::Archive;
use blocks::{Blocks, NOWHERE, Order, Planned, Wanted};

/// What the errors say is being done.
const DOING: &str = "write to standard output";
/// Entries that an error names.
const NAMED: usize = 3;

/// Writes what `options` choose to standard output: one file, or with `tar` whatever it is as a tar stream. Where nothing of
/// `options` is about names and places of this machine, it is not looked at.
///
/// Errors: `Missing` when it is not one file; `Damaged` when it cannot be had whole, and then what was written is its beginning.
pub(crate) fn stream(
    set: &mut Set,
    mut options: RestoreOptions,
    tar: bool,
    ui: &mut Ui,
) -> Result<()> {
    // Paths of Windows become those of a folder, as below any target.
    options.target.get_or_insert_default();
    let chosen = choose(set, &options, ui)?;
    let no = chosen.no;
    let time = set.versions().nth(no);
    let time = time.ok_or_else(|| Error::bug("a chosen version has a time"))?;
    if !chosen.full {
        tell_partial(no, time, ui);
    }
    let params = set.learn_params(ui)?;
    if !tar {
        only_file(&chosen)?;
    }
    let (prefix, totals) = survey(&chosen, &options)?;
    let prefix = settle_root(&mut options, prefix)?;
    let mut needs = options.needs(set, params);
    let mut number = 0;
    chosen.each(&mut |wanted| {
        let (entry, extents) = (&wanted.record.entry, &wanted.record.extents);
        if let Some(content) = entry
            .content
            .as_ref()
            .filter(|_| entry.kind == EntryKind::File)
        {
            needs.add_at(content, &extents.data, number, false)?;
        }
        if let Some(meta) = &entry.meta
            && tar
            && meta.size <= META_BYTES_AT_MOST
        {
            needs.add_at(meta, &extents.meta, number, true)?;
        }
        number += 1;
        Ok(())
    })?;
    let (mut places, mut index) = needs.resolve(set, ui)?;
    for (name, why) in &index.unreadable {
        let line = format!("index volume {name} is damaged: {why}");
        ui.warn("unreadable-index", &line);
    }
    let run = needs.take()?;
    drop(needs);
    let usable = vec![false; set.volumes().dblock_count() as usize];
    let unread = (!options.reading.no_scan).then_some(&mut index.unindexed);
    let (plan, lost) = seek(set, &mut places, &run, (&usable, unread), ui)?;
    if !lost.is_empty() {
        tell_lost(lost.len(), &index, ui);
    }
    if options.dry_run {
        ui.note(&format!(
            "would write {} ({}) from version {no} of {}; would download {} ({}) or parts of them",
            text::count(totals.files_total, "file"),
            show_size(totals.bytes_total),
            time.local(),
            text::count(plan.volumes, "dblock volume"),
            show_size(plan.bytes)
        ));
        return Ok(());
    }
    let (metas, contents) = split(set, &plan, &lost)?;
    drop((run, plan, lost));
    let write = |set: &mut Set, places: &mut BlockIndex, ui: &mut Ui| -> Result<()> {
        let mut output = Output {
            blocks: Blocks::new(set, places, options.reading, metas),
            progress: totals,
            verify: options.verify,
            params,
        };
        if tar {
            return Archive::write(&mut output, &chosen, contents, &prefix, ui);
        }
        output.blocks.go_on(contents);
        let mut number = 0;
        chosen.each(&mut |wanted| {
            if !wanted.above {
                output.only(number, &wanted.record.entry, ui)?;
            }
            number += 1;
            Ok(())
        })
    };
    write(set, &mut places, ui)?;
    if set.cache().is_on() && index.clean() && index.fetched > 0 {
        remember(set, &places, ui);
    }
    Ok(())
}

/// Fails unless exactly one file is chosen.
fn only_file(chosen: &Chosen) -> Result<()> {
    let mut files = Vec::new();
    let (mut count, mut folder, mut link) = (0u64, None, None);
    chosen.each(&mut |wanted| {
        let entry = wanted.record.entry;
        if wanted.above {
            return Ok(());
        }
        let shown = text::safe(&entry.path);
        match entry.kind {
            EntryKind::Folder => folder = folder.take().or(Some(shown)),
            EntryKind::Symlink => link = link.take().or(Some(shown)),
            EntryKind::File => {
                count += 1;
                if files.len() < NAMED {
                    files.push(shown);
                }
            }
        }
        Ok(())
    })?;
    let cause = match (folder, link, count) {
        (None, None, 1) => return Ok(()),
        (Some(folder), _, _) => format!("{folder} is a folder"),
        (None, Some(link), 0) => format!("{link} is a symbolic link"),
        (None, _, _) => {
            let more = if count > files.len() as u64 {
                ", ..."
            } else {
                ""
            };
            let entries = text::count(count, "file");
            format!("{entries} are called so: {}{more}", files.join(", "))
        }
    };
    Err(Error::new(Kind::Missing, cause)
        .doing(DOING)
        .hint("write the whole path of one file, or --tar to get all of it as a tar stream"))
}

/// The planned blocks of metadata by volume, and those of contents by entry; lost ones are in no volume.
fn split(set: &Set, plan: &Plan, lost: &Run) -> Result<(Wanted, Wanted)> {
    let volumes = set.volumes().dblock_count() as usize;
    let mut sorters = [(); 2].map(|()| Sorter::new(set.tmp(), 2 << 20));
    let mut bytes = [vec![0u64; volumes], vec![0u64; volumes]];
    let mut last = [None, None];
    let mut add = |planned: Planned| {
        let of = usize::from(!planned.goal.meta);
        // A block that is wanted twice is fetched once.
        if last[of] != Some((planned.no, planned.key)) {
            last[of] = Some((planned.no, planned.key));
            if let Some(sum) = bytes[of].get_mut(planned.no as usize) {
                *sum += u64::from(planned.key.size());
            }
        }
        sorters[of].add(&match planned.goal.meta {
            true => planned.by_volume(),
            false => planned.by_goal(),
        })
    };
    let mut reader = plan.run.reader();
    while let Some(record) = reader.next()? {
        let (Place { key, no }, goal) = planned(record)?;
        add(Planned { goal, no, key })?;
    }
    let mut reader = lost.reader();
    while let Some(record) = reader.next()? {
        let (key, goal) = wanted(record)?;
        let no = NOWHERE;
        add(Planned { goal, no, key })?;
    }
    let [metas, contents] = sorters;
    let [meta_bytes, bytes] = bytes;
    Ok((
        Wanted {
            run: metas.finish()?.into_run()?,
            order: Order::ByVolume,
            bytes: meta_bytes,
        },
        Wanted {
            run: contents.finish()?.into_run()?,
            order: Order::ByGoal,
            bytes,
        },
    ))
}

/// Standard output, and where the blocks for it come from.
struct Output<'a> {
    blocks: Blocks<'a>,
    progress: Progress,
    /// Compare the hash of each whole file, too.
    verify: bool,
    params: Params,
}

/// How a content ended.
enum Ended {
    Whole,
    /// Why it could not be had from here on, in bytes.
    Lost(u64, String),
    /// All blocks are as they were stored, but they are not the file that the version lists.
    Other,
}

impl Output<'_> {
    /// Writes the one file, which is entry `number`.
    fn only(&mut self, number: u64, entry: &Entry, ui: &mut Ui) -> Result<()> {
        let doing = || format!("write {} to standard output", text::safe(&entry.path));
        let lost = |at: u64, why: &str| {
            Error::damaged(format!("the block at byte {at} is lost: {why}"))
                .doing(doing())
                .hint("what was written before is right; 'duplet restore' also brings back what comes after, and --version=N takes another version")
        };
        let Some(content) = &entry.content else {
            return Err(lost(0, "the version does not say what it holds"));
        };
        match self.content(number, content, ui, &mut |ui, data| ui.raw(data))? {
            Ended::Whole => Ok(()),
            Ended::Lost(at, why) => Err(lost(at, &why)),
            Ended::Other => Err(Error::damaged("it is not the file that the version lists")
                .doing(doing())
                .hint("each block that was written is as it was stored; --version=N takes another version")),
        }
    }

    /// Gives `to` the content of entry `number`, block by block.
    fn content(
        &mut self,
        number: u64,
        content: &Content,
        ui: &mut Ui,
        to: &mut dyn FnMut(&mut Ui, &[u8]) -> Result<()>,
    ) -> Result<Ended> {
        let mut hasher: Option<Hasher> = self.verify.then(|| self.params.file_hash.hasher());
        let mut at = 0;
        while at < content.size {
            let next = self
                .blocks
                .peek()?
                .filter(|next| next.goal.target == number);
            let Some(next) = next.filter(|next| next.goal.offset == at) else {
                let why = "the list of its blocks cannot be read".to_owned();
                return Ok(Ended::Lost(at, why));
            };
            self.progress.bytes += u64::from(next.key.size());
            ui.progress("write", self.progress);
            let Some(block) = self.blocks.take(ui)? else {
                let why = std::mem::take(&mut self.blocks.why);
                return Ok(Ended::Lost(at, why));
            };
            if let Some(hasher) = &mut hasher {
                hasher.update(block);
            }
            to(ui, block)?;
            at += u64::from(next.key.size());
        }
        self.progress.files += 1;
        let same = match (hasher, content.hash) {
            (Some(hasher), Some(hash)) => hasher.finish() == hash,
            _ => true,
        };
        Ok(if same { Ended::Whole } else { Ended::Other })
    }

    /// Leaves out what is left of the content of entry `number`.
    fn leave(&mut self, number: u64) -> Result<()> {
        while self
            .blocks
            .peek()?
            .is_some_and(|next| next.goal.target <= number)
        {
            self.blocks.skip();
        }
        Ok(())
    }
}
