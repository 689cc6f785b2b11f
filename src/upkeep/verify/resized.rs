//! dblocks that have another size than their index states: what should be in them.

use std::io::{BufReader, ErrorKind, Read};

use crate::base::digest::BlockKey;
use crate::base::error::{Doing, Result};
use crate::base::tmp::Tmp;
use crate::set::{Place, VolumeNo};
use crate::spill::sorter::Sorter;
use crate::upkeep::verify::FINDINGS_AT_MOST;

const SORT_CAP: usize = 1 << 20;

/// dblocks of another size than their index states, and the blocks that it states.
pub(super) struct Resized {
    pub(super) numbers: Vec<VolumeNo>,
    /// As [`Place::encode_by_volume`] gives them.
    pub(super) blocks: Sorter,
}

impl Resized {
    pub(super) fn new(tmp: &Tmp) -> Resized {
        Resized {
            numbers: Vec::new(),
            blocks: Sorter::new(tmp, SORT_CAP),
        }
    }

    /// `keys` are those of the blocks, one after the other. So many volumes are told of as there are findings.
    pub(super) fn add(&mut self, no: VolumeNo, keys: &mut dyn Read) -> Result<()> {
        if !self.numbers.contains(&no) {
            if self.numbers.len() >= FINDINGS_AT_MOST {
                return Ok(());
            }
            self.numbers.push(no);
        }
        let mut keys = BufReader::with_capacity(16 * 1024, keys);
        let mut raw = [0; BlockKey::LEN];
        loop {
            match keys.read_exact(&mut raw) {
                Ok(()) => {
                    if let Some(key) = BlockKey::from_record(&raw) {
                        self.blocks.add(&Place { key, no }.encode_by_volume())?;
                    }
                }
                Err(e) if e.kind() == ErrorKind::UnexpectedEof => return Ok(()),
                Err(e) => return Err(e).doing(|| "read a temporary file".to_owned()),
            }
        }
    }
}
