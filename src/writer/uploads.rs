//! The volumes uploaded in this run, kept in a temporary file.

use std::os::unix::fs::FileExt;

use crate::base::digest::Hash;
use crate::base::error::{Doing, Error, Result};
use crate::base::tmp::Spool;
use crate::format::locator::VolumeId;
use crate::format::names::VolumeName;
use crate::writer::pack::Finished;
use crate::writer::trail::id_of;

/// The volumes uploaded in this run, in order: a fixed-length record each in a temporary file.
pub(super) struct Uploads {
    pub(super) file: Spool,
    pub(super) count: u32,
}

pub(super) struct Upload {
    pub(super) dblock: VolumeName,
    pub(super) dblock_size: u64,
    pub(super) hash: Option<Hash>,
    pub(super) dindex: VolumeName,
    pub(super) dindex_size: u64,
    /// Only the dindex is of this run; the dblock was there.
    pub(super) adopted: bool,
}

impl Upload {
    pub(super) fn expected(&self) -> crate::set::Expected {
        crate::set::Expected {
            hash: self.hash,
            size: Some(self.dblock_size),
        }
    }
}

/// Two names (length octet, up to 250), hash (length octet, 0 for none, up to 64), two sizes, whether the dblock was there.
const UPLOAD_LEN: usize = 2 * 251 + 65 + 16 + 1;

impl Uploads {
    pub(super) fn push(
        &mut self,
        dblock: &Finished,
        dindex: &VolumeName,
        dindex_size: u64,
        adopted: bool,
    ) -> Result<()> {
        let mut record = Vec::with_capacity(UPLOAD_LEN);
        let mut field = |data: &[u8], room: usize| -> Result<()> {
            record.push(Error::fits(data.len())?);
            record.extend_from_slice(data);
            record.resize(record.len() + room.saturating_sub(data.len()), 0);
            Ok(())
        };
        if dblock.name.as_str().len() > 250 || dindex.as_str().len() > 250 {
            return Err(Error::usage("the prefix is too long"));
        }
        field(dblock.name.as_str().as_bytes(), 250)?;
        field(dindex.as_str().as_bytes(), 250)?;
        let hash = dblock.volume_hash.as_ref();
        field(hash.map(Hash::as_bytes).unwrap_or_default(), 64)?;
        record.extend_from_slice(&dblock.size.to_be_bytes());
        record.extend_from_slice(&dindex_size.to_be_bytes());
        record.push(u8::from(adopted));
        let done = self
            .file
            .file()
            .write_all_at(&record, u64::from(self.count) * UPLOAD_LEN as u64);
        done.doing(|| "use a temporary file".to_owned())?;
        self.count += 1;
        Ok(())
    }

    /// The dblocks and their sizes in bytes, sorted: 32 bytes of memory each.
    pub(super) fn sizes(&self) -> Result<Vec<(VolumeId, u64)>> {
        let mut all = Vec::new();
        for i in 0..self.count {
            let upload = self.get(i)?;
            all.extend(id_of(&upload.dblock).map(|id| (id, upload.dblock_size)));
        }
        all.sort_unstable();
        Ok(all)
    }

    pub(super) fn get(&self, i: u32) -> Result<Upload> {
        let mut record = [0; UPLOAD_LEN];
        self.file
            .read_at(&mut record, u64::from(i) * UPLOAD_LEN as u64)?;
        let field = |at: usize| record.get(at + 1..at + 1 + usize::from(record[at]));
        let name = |at: usize| {
            field(at)
                .and_then(|b| std::str::from_utf8(b).ok())
                .and_then(VolumeName::parse)
        };
        let number = |at: usize| record[at..at + 8].try_into().map(u64::from_be_bytes).ok();
        let parsed = || {
            Some(Upload {
                dblock: name(0)?,
                dindex: name(251)?,
                hash: Hash::from_bytes(field(502)?),
                dblock_size: number(567)?,
                dindex_size: number(575)?,
                adopted: record[583] == 1,
            })
        };
        parsed().ok_or_else(|| Error::bug("an upload record reads back"))
    }
}
