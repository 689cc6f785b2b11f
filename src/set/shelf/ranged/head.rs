//! A volume of which only the head is read at first.

use super::{Far, HEAD_BYTES, JOIN_BYTES, Kept, Line, Ranged};
use crate::base::error::Result;
use crate::base::read_at::ReadAt;
use crate::base::secret::Secret;
use crate::base::tmp::Tmp;
use crate::format::aes_slice::AesSlice;

impl Ranged {
    /// Reads the head of a volume of `len` bytes, and nothing else but what lies before `end` if that is near: what is wanted of
    /// it is told to [`Ranged::bring`]. Errors as from [`Ranged::open`].
    pub(in crate::set::shelf) fn open_head(
        line: &mut dyn Line,
        len: u64,
        end: u64,
        passphrase: Option<&Secret>,
        tmp: &Tmp,
    ) -> Result<Ranged> {
        let kept = Kept::new(len, tmp)?;
        let mut aes = None;
        if let Some(passphrase) = passphrase {
            let far = Far::new(&kept, line, len);
            let near = if end <= JOIN_BYTES { end } else { 0 };
            far.bring(0..near.saturating_add(HEAD_BYTES).min(len))?;
            aes = Some(AesSlice::open_head(&far, passphrase)?);
        }
        Ok(Ranged { kept, aes })
    }

    /// Bytes of the archive; up to 16 more where the end was not read.
    pub(in crate::set::shelf) fn archive_len(&self) -> Result<u64> {
        self.len()
    }
}
