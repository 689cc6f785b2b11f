//! What is to be restored, by number: one record a chosen entry in a temporary file, found by number in another.

use std::cell::RefCell;
use std::io::Write;

use crate::base::error::{Doing, Error, Result};
use crate::base::tmp::{Spool, Tmp};
use crate::format::filelist::EntryKind;
use crate::set::Record;

/// What happens to an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// Write the content under the name, which was free.
    Create,
    /// Write the content and replace what is there.
    Replace,
    /// The content is there already; only attributes.
    Attributes,
    /// Nothing at all.
    Leave,
    /// A folder that was not chosen and is not there yet: only how closed it is counts.
    Above,
    /// What stands in a folder's place gets the last of the parts as its name, beside the rest of them, and goes in the end.
    Clear,
}

/// One chosen entry.
pub(super) struct Target {
    pub(super) action: Action,
    /// Where it goes, below the root.
    pub(super) parts: Vec<Vec<u8>>,
    pub(super) record: Record,
}

impl Target {
    pub(super) fn slices(&self) -> Vec<&[u8]> {
        self.parts.iter().map(Vec::as_slice).collect()
    }
}

/// Bytes of the records that are read or written at a time, and of the numbers that say where they are.
const DATA_PAGE: usize = 32 * 1024;
const INDEX_PAGE: usize = 8 * 1024;

/// All chosen entries in path order. 8 bytes and a record each, on disk; memory: a page of each.
pub(super) struct Targets {
    data: Pages,
    index: Pages,
    count: u64,
    /// Entries that are [`Action::Clear`], and links.
    pub(super) clears: u64,
    pub(super) links: u64,
}

impl Targets {
    pub(super) fn new(tmp: &Tmp) -> Result<Targets> {
        Ok(Targets {
            data: Pages::new(tmp, DATA_PAGE)?,
            index: Pages::new(tmp, INDEX_PAGE)?,
            count: 0,
            clears: 0,
            links: 0,
        })
    }

    pub(super) fn len(&self) -> u64 {
        self.count
    }

    /// Adds the next entry; its number is the count before.
    pub(super) fn push(&mut self, target: &Target) -> Result<()> {
        let mut out = vec![match target.action {
            Action::Create => 0u8,
            Action::Replace => 1,
            Action::Attributes => 2,
            Action::Leave => 3,
            Action::Above => 4,
            Action::Clear => 5,
        }];
        let length = |n: usize| match u32::try_from(n) {
            Ok(n) => Ok(n.to_be_bytes()),
            Err(_) => Err(Error::damaged("a path is too long")),
        };
        out.extend_from_slice(&length(target.parts.len())?);
        for part in &target.parts {
            out.extend_from_slice(&length(part.len())?);
            out.extend_from_slice(part);
        }
        target.record.encode(&mut out);
        self.index.add(&self.data.len().to_be_bytes())?;
        self.data.add(&out)?;
        self.count += 1;
        self.clears += u64::from(target.action == Action::Clear);
        self.links += u64::from(target.record.entry.kind == EntryKind::Symlink);
        Ok(())
    }

    /// Must be called once after the last `push`.
    pub(super) fn seal(&mut self) -> Result<()> {
        self.index.add(&self.data.len().to_be_bytes())?;
        self.index.flush()?;
        self.data.flush()
    }

    pub(super) fn get(&self, no: u64) -> Result<Target> {
        let mut ends = [0; 16];
        self.index.read_at(&mut ends, no * 8)?;
        let bug = || Error::bug("a restore record reads back");
        let number = |b: &[u8]| b.try_into().map(u64::from_be_bytes).map_err(|_| bug());
        let (start, end) = (number(&ends[..8])?, number(&ends[8..])?);
        let mut raw =
            vec![0; usize::try_from(end.checked_sub(start).ok_or_else(bug)?).map_err(|_| bug())?];
        self.data.read_at(&mut raw, start)?;
        let mut cursor = crate::base::bytes::Cursor::new(&raw);
        let action = match cursor.u8().ok_or_else(bug)? {
            0 => Action::Create,
            1 => Action::Replace,
            2 => Action::Attributes,
            4 => Action::Above,
            5 => Action::Clear,
            _ => Action::Leave,
        };
        let count = cursor.u32_be().ok_or_else(bug)?;
        let mut parts = Vec::new();
        for _ in 0..count {
            let len = cursor.u32_be().ok_or_else(bug)?;
            parts.push(cursor.take(len as usize).ok_or_else(bug)?.to_vec());
        }
        Ok(Target {
            action,
            parts,
            record: Record::decode(cursor.rest())?,
        })
    }
}

/// A file that is written once from start to end and then read a page at a time, mostly in order.
struct Pages {
    spool: Spool,
    size: usize,
    flushed: u64,
    /// What is to be written; after that a page of the file, and where it begins.
    page: RefCell<(u64, Vec<u8>)>,
}

impl Pages {
    fn new(tmp: &Tmp, size: usize) -> Result<Pages> {
        Ok(Pages {
            spool: Spool::new(tmp)?,
            size,
            flushed: 0,
            page: RefCell::new((0, Vec::with_capacity(size))),
        })
    }

    fn len(&self) -> u64 {
        self.flushed + self.page.borrow().1.len() as u64
    }

    fn add(&mut self, bytes: &[u8]) -> Result<()> {
        let page = &mut self.page.get_mut().1;
        page.extend_from_slice(bytes);
        match page.len() < self.size {
            true => Ok(()),
            false => self.flush(),
        }
    }

    fn flush(&mut self) -> Result<()> {
        let page = &mut self.page.get_mut().1;
        self.spool.write_all(page).doing(doing)?;
        self.flushed += page.len() as u64;
        page.clear();
        page.shrink_to(self.size);
        Ok(())
    }

    /// Only once all is written.
    fn read_at(&self, mut into: &mut [u8], mut at: u64) -> Result<()> {
        let mut held = self.page.borrow_mut();
        while !into.is_empty() {
            let (start, page) = &mut *held;
            let inside = at.checked_sub(*start).and_then(|n| usize::try_from(n).ok());
            let have = inside.and_then(|from| page.get(from..)).unwrap_or_default();
            if have.is_empty() {
                *start = at - at % self.size as u64;
                let left = self.flushed.saturating_sub(*start);
                page.resize(
                    usize::try_from(left).map_or(self.size, |n| n.min(self.size)),
                    0,
                );
                if at >= *start + page.len() as u64 {
                    return Err(Error::bug("a restore record lies inside its file"));
                }
                if let Err(e) = self.spool.read_at(page, *start) {
                    page.clear();
                    return Err(e);
                }
                continue;
            }
            let (now, rest) = into.split_at_mut(have.len().min(into.len()));
            now.copy_from_slice(&have[..now.len()]);
            at += now.len() as u64;
            into = rest;
        }
        Ok(())
    }
}

fn doing() -> String {
    "use a temporary file".to_owned()
}
