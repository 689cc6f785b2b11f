//! [`Store`]: bytes that are appended, read by position and patched in place; on disk but for a page or two.

use std::os::unix::fs::FileExt;

use crate::base::error::{Doing, Error, Result};
use crate::base::tmp::{Spool, Tmp};

/// Bytes that wait to be written.
const TAIL_BYTES: usize = 64 << 10;
/// Bytes read at once where less is wanted.
const PAGE_BYTES: usize = 4 << 10;

/// Memory: 72 KiB at most.
pub(super) struct Store {
    spool: Spool,
    /// Bytes on disk; the tail comes after them.
    flushed: u64,
    tail: Vec<u8>,
    page: Vec<u8>,
    page_at: u64,
}

impl Store {
    pub(super) fn new(tmp: &Tmp) -> Result<Store> {
        Ok(Store {
            spool: Spool::new(tmp)?,
            flushed: 0,
            tail: Vec::new(),
            page: Vec::new(),
            page_at: 0,
        })
    }

    /// Bytes so far.
    pub(super) fn len(&self) -> u64 {
        self.flushed + self.tail.len() as u64
    }

    /// Appends, and says where that begins. `NoSpace` when the temporary folder is full; then nothing was appended.
    pub(super) fn append(&mut self, bytes: &[u8]) -> Result<u64> {
        if self.tail.len() + bytes.len() > TAIL_BYTES {
            self.flush()?;
        }
        let at = self.len();
        if bytes.len() > TAIL_BYTES {
            self.write(bytes, at)?;
            self.flushed += bytes.len() as u64;
        } else {
            self.tail.extend_from_slice(bytes);
        }
        Ok(at)
    }

    /// Writes over what is there.
    pub(super) fn patch(&mut self, at: u64, bytes: &[u8]) -> Result<()> {
        let end = at.saturating_add(bytes.len() as u64);
        if end > self.len() {
            return Err(outside());
        }
        if end > self.flushed {
            self.flush()?;
        }
        self.write(bytes, at)?;
        let page_end = self.page_at + self.page.len() as u64;
        if end > self.page_at && at < page_end {
            self.page.clear();
        }
        Ok(())
    }

    /// Fills `out` from what begins at `at`. Less than that is a `Bug`.
    pub(super) fn read(&mut self, at: u64, out: &mut [u8]) -> Result<()> {
        let end = at.saturating_add(out.len() as u64);
        if end > self.len() {
            return Err(outside());
        }
        if end > self.flushed {
            self.flush()?;
        }
        if out.len() > PAGE_BYTES / 2 {
            return self.spool.read_at(out, at);
        }
        if at < self.page_at || end > self.page_at + self.page.len() as u64 {
            let left = usize::try_from(self.flushed - at).unwrap_or(PAGE_BYTES);
            self.page.resize(left.min(PAGE_BYTES), 0);
            self.page_at = at;
            let read = self.spool.read_at(&mut self.page, at);
            if read.is_err() {
                self.page.clear();
            }
            read?;
        }
        let from = usize::try_from(at - self.page_at).map_err(|_| outside())?;
        let have = self.page.get(from..from + out.len()).ok_or_else(outside)?;
        out.copy_from_slice(have);
        Ok(())
    }

    /// Takes back all that was appended from `len` on.
    pub(super) fn truncate(&mut self, len: u64) -> Result<()> {
        self.flush()?;
        if len < self.flushed {
            self.spool.truncate(len)?;
            self.flushed = len;
        }
        self.page.clear();
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        if !self.tail.is_empty() {
            self.write(&self.tail, self.flushed)?;
            self.flushed = self.len();
            self.tail.clear();
        }
        Ok(())
    }

    fn write(&self, bytes: &[u8], at: u64) -> Result<()> {
        let done = self.spool.file().write_all_at(bytes, at);
        done.doing(|| "use a temporary file".to_owned())
    }
}

fn outside() -> Error {
    Error::bug("a store is read outside what was put into it")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failing step fails the test")]

    use super::*;

    #[test]
    fn what_was_put_in_comes_out_wherever_it_lies() {
        let mut store = Store::new(&Tmp::open(None).unwrap()).unwrap();
        let mut mirror: Vec<u8> = Vec::new();
        for n in 0..3000usize {
            let piece = vec![u8::try_from(n % 251).unwrap(); n % 97];
            assert_eq!(store.append(&piece).unwrap(), mirror.len() as u64);
            mirror.extend_from_slice(&piece);
            if n % 11 == 0 && mirror.len() > 200 {
                let at = (n * 7919) % (mirror.len() - 100);
                store.patch(at as u64, &[0xee; 50]).unwrap();
                mirror[at..at + 50].fill(0xee);
            }
            let at = (n * 104_729) % (mirror.len() + 1);
            let mut out = vec![0; (mirror.len() - at).min(n % 5000)];
            store.read(at as u64, &mut out).unwrap();
            assert!(out == mirror[at..at + out.len()], "{n}");
        }
        store.append(&vec![7; 200_000]).unwrap();
        mirror.extend_from_slice(&vec![7; 200_000]);
        let mut all = vec![0; mirror.len()];
        store.read(0, &mut all).unwrap();
        assert!(all == mirror);
        assert!(store.read(mirror.len() as u64, &mut [0]).is_err());
        assert!(store.patch(u64::MAX, &[0]).is_err());
        store.truncate(10).unwrap();
        assert_eq!(store.len(), 10);
        assert!(store.read(5, &mut [0; 6]).is_err());
        assert_eq!(store.append(b"x").unwrap(), 10);
    }

    #[test]
    fn a_full_disk_is_an_error_and_nothing_else() {
        let mut store = Store::new(&Tmp::full_disk()).unwrap();
        store.append(&[1; 100]).unwrap();
        assert!(store.append(&[1; TAIL_BYTES]).is_err());
        assert_eq!(store.len(), 100);
    }
}
