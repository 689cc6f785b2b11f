//! What is to be restored, by number: one record a chosen entry in a temporary file, found by number in another.

use std::io::{BufWriter, Write};

use crate::base::error::{Doing, Error, Result};
use crate::base::tmp::{Spool, Tmp};
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

/// All chosen entries in path order. 8 bytes and a record each, on disk.
pub(super) struct Targets {
    data: BufWriter<Spool>,
    index: BufWriter<Spool>,
    written: u64,
    count: u64,
}

impl Targets {
    pub(super) fn new(tmp: &Tmp) -> Result<Targets> {
        Ok(Targets {
            data: BufWriter::with_capacity(32 * 1024, Spool::new(tmp)?),
            index: BufWriter::with_capacity(8 * 1024, Spool::new(tmp)?),
            written: 0,
            count: 0,
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
        let too_long = || Error::damaged("a path is too long");
        out.extend_from_slice(
            &u32::try_from(target.parts.len())
                .map_err(|_| too_long())?
                .to_be_bytes(),
        );
        for part in &target.parts {
            out.extend_from_slice(
                &u32::try_from(part.len())
                    .map_err(|_| too_long())?
                    .to_be_bytes(),
            );
            out.extend_from_slice(part);
        }
        target.record.encode(&mut out);
        self.index
            .write_all(&self.written.to_be_bytes())
            .doing(doing)?;
        self.data.write_all(&out).doing(doing)?;
        self.written += out.len() as u64;
        self.count += 1;
        Ok(())
    }

    /// Must be called once after the last `push`.
    pub(super) fn seal(&mut self) -> Result<()> {
        self.index
            .write_all(&self.written.to_be_bytes())
            .doing(doing)?;
        self.index
            .flush()
            .and_then(|()| self.data.flush())
            .doing(doing)
    }

    pub(super) fn get(&self, no: u64) -> Result<Target> {
        let mut ends = [0; 16];
        self.index.get_ref().read_at(&mut ends, no * 8)?;
        let bug = || Error::bug("a restore record reads back");
        let number = |b: &[u8]| b.try_into().map(u64::from_be_bytes).map_err(|_| bug());
        let (start, end) = (number(&ends[..8])?, number(&ends[8..])?);
        let mut raw =
            vec![0; usize::try_from(end.checked_sub(start).ok_or_else(bug)?).map_err(|_| bug())?];
        self.data.get_ref().read_at(&mut raw, start)?;
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

fn doing() -> String {
    "use a temporary file".to_owned()
}
