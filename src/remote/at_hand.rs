//! A file in a folder of this machine that is read where it lies.

use crate::base::text;
use crate::base::tmp::Spool;
use crate::remote::Remote;

impl Remote {
    /// The file `name` of `size` bytes, to be read only; its errors name it. `None` where it has to be downloaded: from elsewhere, at a
    /// limited pace, or because it cannot be opened or has another size, of which [`Remote::get`] then tells.
    pub(crate) fn at_hand(&mut self, name: &str, size: u64) -> Option<Spool> {
        if self.down.is_limited() {
            return None;
        }
        let file = self.dest.at_hand(name)?;
        if file.metadata().ok()?.len() != size {
            return None;
        }
        let shown = text::safe(name.as_bytes());
        Some(Spool::adopt(
            file,
            format!("read {shown} in {}", self.shown),
        ))
    }

    /// Counts a file that was [at hand](Remote::at_hand) and read once as a download.
    pub(crate) fn has_read(&mut self, size: u64) {
        self.stats.calls += 1;
        self.stats.gets += 1;
        self.stats.files_down += 1;
        self.stats.bytes_down += size;
        self.used = true;
        self.unreadable = 0;
    }
}
