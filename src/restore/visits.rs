//! Files under way, and blocks put where they belong. A file that gets all its blocks in order while it is open, and whose metadata
//! came just before, is finished at once: made, written, given its attributes and named in one visit.

use std::io;
use std::os::unix::fs::FileExt;

use crate::base::error::Result;
use crate::base::ui::Ui;
use crate::restore::begun::{FILES_OPEN, UNWRITTEN, Visit, begin_file, order_key, temp_name};
use crate::restore::fetcher::Fetcher;
use crate::restore::tree::entry_error;
use crate::set::{Goal, Told, told};

impl Fetcher<'_> {
    /// Puts the block in memory where the goal says. Trouble with one file spoils that file only.
    pub(super) fn deliver(&mut self, goal: Goal, ui: &mut Ui) -> Result<()> {
        if goal.meta {
            let entry = self.finish.targets.get(goal.target)?.record.entry;
            let mut record = order_key(&entry, goal.target).to_vec();
            record.extend_from_slice(&goal.offset.to_be_bytes());
            record.extend_from_slice(&self.block);
            self.metas.add(&record)?;
            if let Some(meta) = &entry.meta
                && let Told::Block(id) = told(self.finish.params, meta, true)
            {
                self.visits.keep(id, &self.block);
            }
            return Ok(());
        }
        if self.unwritten.has(goal.target) {
            return Ok(());
        }
        self.progress.bytes += self.block.len() as u64;
        let targets = self.finish.targets;
        ui.progress_of("restore", self.progress, || {
            let target = targets.get(goal.target);
            target.map_or_else(|_| Vec::new(), |t| t.parts.join(&b'/'))
        });
        match self.write(goal) {
            Ok(()) => self.finish_now(ui),
            Err(e) => {
                let target = targets.get(goal.target)?;
                let why = entry_error(&e)?;
                let shown = self.finish.place.shown(&target.slices());
                ui.error(&format!("cannot write {shown}: {why}"));
                self.unwritten.set(goal.target);
                self.remember(goal.target, UNWRITTEN)
            }
        }
    }

    /// Writes the block into the file, which is the last of the open ones then.
    fn write(&mut self, goal: Goal) -> io::Result<()> {
        let open = &mut self.visits.open;
        match open.iter().position(|visit| visit.no == goal.target) {
            Some(at) => open[at..].rotate_left(1),
            None => {
                if open.len() == FILES_OPEN {
                    open.remove(0);
                }
                let visit = self.begin(goal.target)?;
                self.visits.open.push(visit);
            }
        }
        let Some(visit) = self.visits.open.last_mut() else {
            return Ok(());
        };
        // The file was made with its full length: what is not written reads as zeros.
        if self.block.iter().any(|&b| b != 0) {
            visit.file.write_all_at(&self.block, goal.offset)?;
        }
        if goal.offset == visit.upto {
            visit.upto += self.block.len() as u64;
        }
        Ok(())
    }

    fn begin(&mut self, no: u64) -> io::Result<Visit> {
        let target = self.finish.targets.get(no)?;
        let size = target.record.entry.content.as_ref().map_or(0, |c| c.size);
        // What one write fills needs no length before.
        let filled = size == self.block.len() as u64 && self.block.iter().any(|&b| b != 0);
        let length = if filled { 0 } else { size };
        let temp = temp_name(self.finish.temp_name, no);
        let file = begin_file(self.finish.place, &target.slices(), &temp, length)?;
        Ok(Visit {
            no,
            target,
            file,
            upto: 0,
        })
    }

    /// Names the file that was written to last, if nothing of it is missing.
    fn finish_now(&mut self, ui: &mut Ui) -> Result<()> {
        let Some(visit) = self.visits.open.last() else {
            return Ok(());
        };
        let entry = &visit.target.record.entry;
        let whole = entry.content.as_ref().map(|c| c.size) == Some(visit.upto);
        let meta = entry.meta.as_ref();
        let blob = match meta.map_or(Told::Empty, |meta| told(self.finish.params, meta, true)) {
            Told::Empty => None,
            Told::Block(id) => match self.visits.metas.iter().find(|(have, _)| *have == id) {
                Some((_, blob)) => Some(blob.as_slice()),
                None => return Ok(()),
            },
            _ => return Ok(()),
        };
        match self.visits.open.pop_if(|_| whole) {
            Some(visit) => self
                .finish
                .visit(ui, visit.no, &visit.target, blob, visit.file),
            None => Ok(()),
        }
    }
}
