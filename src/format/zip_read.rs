//! Reads zip archives of every era of the remote format (`format.md` 5.1) from any source: names and entries as a stream, the
//! content of one entry as a `Read`.
//!
//! Sizes, checksums and offsets come from the central directory; when that is broken, from the local headers; in a damaged
//! archive from whatever of both can be found. Nothing of the archive stays in memory but one small window.

mod agree;
mod parts;

use std::io::{self, Read};

use crate::base::error::{Error, Kind, Result};
use crate::base::read_at::ReadAt;
use crate::format::crc32::Crc32;
use crate::format::deflate::{Inflater, Step};
pub(crate) use crate::format::zip_raw::EntryRef;
use crate::format::zip_raw::{Directory, Window, u16_at};

/// An archive whose directory was found and checked.
#[derive(Clone, Copy)]
pub(crate) struct ZipReader<'s> {
    source: &'s dyn ReadAt,
    layout: Layout,
}

/// How the entries of an archive are found. Who keeps it reads the same archive again without looking for its directory.
#[derive(Clone, Copy)]
pub(crate) struct Layout {
    /// Length of the archive in bytes.
    len: u64,
    /// `None`: broken, the local headers are walked instead.
    directory: Option<Directory>,
    /// Entries are searched for in the whole file.
    scan: bool,
}

/// Entries of one name that are tried.
pub(crate) const SAME_AT_MOST: usize = 4;

/// A damaged archive gives no entries beyond those whose packed bytes together are so many times its length.
const OVERLAP: u64 = 4;

impl<'s> ZipReader<'s> {
    /// The archive.
    pub(crate) fn source(&self) -> &'s dyn ReadAt {
        self.source
    }

    /// Finds the directory and walks it once; every entry lies inside the file. `Damaged` when neither a directory nor one
    /// whole entry is there.
    pub(crate) fn open(source: &'s dyn ReadAt) -> Result<ZipReader<'s>> {
        if let Some(zip) = ZipReader::with_directory(source)? {
            return Ok(zip);
        }
        let zip = ZipReader::without_directory(source, false)?;
        let mut any = false;
        zip.walk(&mut |_, _| {
            any = true;
            Ok(false)
        })?;
        if any {
            Ok(zip)
        } else {
            Err(Error::damaged("not a zip archive, or cut short"))
        }
    }

    /// As [`ZipReader::open`], but `None` when the directory is not whole. Reads the end of the file and the directory.
    pub(crate) fn with_directory(source: &'s dyn ReadAt) -> Result<Option<ZipReader<'s>>> {
        let mut zip = ZipReader::without_directory(source, false)?;
        if zip.layout.len == 0 {
            return Err(Error::damaged("the file is empty"));
        }
        let mut window = Window::new(source, zip.layout.len);
        for end_at in window.ends()? {
            let Some(dir) = window.directory(end_at)? else {
                continue;
            };
            zip.layout.directory = Some(dir);
            match zip.walk(&mut |_, _| Ok(true)) {
                Ok(_) => return Ok(Some(zip)),
                Err(e) if e.kind() == Kind::Damaged => {}
                Err(e) => return Err(e),
            }
        }
        Ok(None)
    }

    fn without_directory(source: &'s dyn ReadAt, scan: bool) -> Result<ZipReader<'s>> {
        let layout = Layout {
            len: source.len()?,
            directory: None,
            scan,
        };
        Ok(ZipReader { source, layout })
    }

    /// An archive that is known to be damaged, whatever of it is left: [`ZipReader::entries`] gives what local headers
    /// anywhere in the file say, and then what the directory says otherwise. So the same entry may come twice, none needs to
    /// be whole, and bytes inside of one may pose as another: only to be used where the content itself is proved.
    pub(crate) fn salvage(source: &'s dyn ReadAt) -> Result<ZipReader<'s>> {
        match ZipReader::open(source) {
            Ok(mut zip) => {
                zip.layout.scan = true;
                Ok(zip)
            }
            Err(e) if e.kind() == Kind::Damaged => ZipReader::without_directory(source, true),
            Err(e) => Err(e),
        }
    }

    /// The archive that gave this layout, read again. Costs nothing.
    pub(crate) fn again(source: &'s dyn ReadAt, layout: Layout) -> ZipReader<'s> {
        ZipReader { source, layout }
    }

    pub(crate) fn layout(&self) -> Layout {
        self.layout
    }

    /// True when the directory is broken and entries come from local headers: some may be missing.
    pub(crate) fn rescued(&self) -> bool {
        self.layout.directory.is_none()
    }

    /// Calls `each` with every entry in the order of the directory; `\` in names is given as `/`.
    pub(crate) fn entries(
        &self,
        each: &mut dyn FnMut(&[u8], EntryRef) -> Result<()>,
    ) -> Result<()> {
        self.walk(&mut |name, entry| each(name, entry).map(|()| true))
    }

    /// The first entry of that name. Cost: one walk of the directory.
    pub(crate) fn find(&self, name: &[u8]) -> Result<Option<EntryRef>> {
        let mut found = None;
        self.walk(&mut |n, entry| {
            if n == name {
                found = Some(entry);
            }
            Ok(found.is_none())
        })?;
        Ok(found)
    }

    /// Until `each` says false.
    fn walk(&self, each: &mut dyn FnMut(&[u8], EntryRef) -> Result<bool>) -> Result<()> {
        if self.layout.scan {
            return self.scan(each);
        }
        let mut window = Window::new(self.source, self.layout.len);
        let Some(dir) = self.layout.directory else {
            let mut pos = 0;
            while let Some((name, entry, next)) = window.local(pos)? {
                if !with_slashes(&name, entry, each)? {
                    break;
                }
                pos = next;
            }
            return Ok(());
        };
        let mut pos = dir.start;
        let mut packed = 0u64;
        while pos < dir.end {
            let Some((name, entry, next)) = window.central(dir, pos)? else {
                return Err(Error::damaged("the zip directory is damaged"));
            };
            // Entries that share bytes would make a small file claim any space.
            packed = packed.saturating_add(entry.compressed);
            if packed > self.layout.len {
                return Err(Error::damaged(
                    "the entries of the zip directory overlap or lie outside the file",
                ));
            }
            if !with_slashes(name, entry, each)? {
                break;
            }
            pos = next;
        }
        Ok(())
    }

    /// Entries of a damaged archive: local headers, one behind the other as long as that leads anywhere, else the next one that
    /// looks like one; then entries of the directory whose local header says something else. Reads the file about once.
    fn scan(&self, each: &mut dyn FnMut(&[u8], EntryRef) -> Result<bool>) -> Result<()> {
        let most = self.layout.len.saturating_mul(OVERLAP);
        let mut window = Window::with_search(self.source, self.layout.len, most);
        let mut packed = 0u64;
        let (mut pos, mut from) = (0, 0);
        loop {
            let Some((name, entry, next)) = window.local(pos)? else {
                let Some(found) = window.find_local(from)? else {
                    break;
                };
                pos = found;
                from = found.saturating_add(1);
                continue;
            };
            packed = packed.saturating_add(entry.compressed);
            if packed > most || !with_slashes(&name, entry, each)? {
                return Ok(());
            }
            // A damaged size may lead past other entries: where it leads to nothing, the search goes on right behind the header.
            from = entry.offset.saturating_add(30);
            pos = next;
        }
        let Some(dir) = self.layout.directory else {
            return Ok(());
        };
        let mut central = Window::new(self.source, self.layout.len);
        let mut pos = dir.start;
        while pos < dir.end {
            let Some((name, entry, next)) = central.central(dir, pos)? else {
                return Ok(());
            };
            let local = window.local(entry.offset)?;
            if !local.is_some_and(|(n, e, _)| n == name && e == entry) {
                packed = packed.saturating_add(entry.compressed);
                if packed > most || !with_slashes(name, entry, each)? {
                    return Ok(());
                }
            }
            pos = next;
        }
        Ok(())
    }

    /// Byte position of the packed content of `entry`, all of which lies inside the file; its local header was looked at.
    pub(crate) fn data_at(&self, entry: EntryRef) -> Result<u64> {
        let fits = |from: u64, n: u64| {
            from.checked_add(n)
                .filter(|&end| end <= self.layout.len)
                .ok_or_else(|| Error::damaged("a zip entry lies outside the file"))
        };
        fits(entry.offset, 30)?;
        let mut head = [0; 30];
        self.source.read_at(&mut head, entry.offset)?;
        if !head.starts_with(b"PK\x03\x04") {
            return Err(Error::damaged("a zip entry has no local header"));
        }
        if u16_at(&head, 6) & 1 != 0 {
            return Err(Error::new(Kind::Unsupported, "uses zip encryption"));
        }
        let skip = 30 + u64::from(u16_at(&head, 26)) + u64::from(u16_at(&head, 28));
        let pos = fits(entry.offset, skip)?;
        fits(pos, entry.compressed)?;
        if entry.method == 0 && entry.compressed != entry.size {
            return Err(Error::damaged("a stored zip entry has two sizes"));
        }
        Ok(pos)
    }

    /// The content of `entry`. `Unsupported` for methods but stored and deflated.
    pub(crate) fn reader<'a>(
        &'a self,
        entry: EntryRef,
        inflater: &'a mut Inflater,
    ) -> Result<EntryReader<'a>> {
        if !matches!(entry.method, 0 | 8) {
            return Err(unsupported(entry.method));
        }
        let pos = self.data_at(entry)?;
        inflater.reset();
        Ok(EntryReader {
            source: self.source,
            inflater,
            entry,
            pos,
            compressed_left: entry.compressed,
            left: entry.size,
            crc: Crc32::new(),
            state: State::Open,
            is_part: false,
        })
    }
}

fn with_slashes(
    name: &[u8],
    entry: EntryRef,
    each: &mut dyn FnMut(&[u8], EntryRef) -> Result<bool>,
) -> Result<bool> {
    if !name.contains(&b'\\') {
        return each(name, entry);
    }
    let turned: Vec<u8> = name
        .iter()
        .map(|&c| if c == b'\\' { b'/' } else { c })
        .collect();
    each(&turned, entry)
}

fn unsupported(method: u16) -> Error {
    let word = match method {
        9 => " (Deflate64)",
        12 => " (BZip2)",
        14 => " (LZMA)",
        93 => " (Zstandard)",
        95 => " (XZ)",
        98 => " (PPMd)",
        _ => "",
    };
    Error::new(Kind::Unsupported, format!("uses zip method {method}{word}"))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    Ended,
    Failed,
}

/// The plain bytes of one entry: exactly as many as the directory says, or an error. The read that gives the last byte also
/// checks the CRC and that the stream ends there; an empty entry is checked by its first read.
pub(crate) struct EntryReader<'a> {
    source: &'a dyn ReadAt,
    inflater: &'a mut Inflater,
    entry: EntryRef,
    pos: u64,
    compressed_left: u64,
    left: u64,
    crc: Crc32,
    state: State,
    /// The stream goes on behind it.
    is_part: bool,
}

impl EntryReader<'_> {
    /// Packed bytes behind the end of the content, to be asked once all of it was read. A writer of archives leaves none.
    pub(crate) fn unused(&self) -> u64 {
        match self.entry.method {
            0 => 0,
            _ => self.compressed_left + (self.inflater.end - self.inflater.start) as u64,
        }
    }

    fn next(&mut self, out: &mut [u8]) -> Result<usize> {
        let most = usize::try_from(self.left).map_or(out.len(), |n| n.min(out.len()));
        let room = out.get_mut(..most).unwrap_or_default();
        let mut n = 0;
        if !room.is_empty() {
            n = if self.entry.method == 0 {
                self.source.read_at(room, self.pos)?;
                self.pos = self.pos.saturating_add(room.len() as u64);
                room.len()
            } else {
                self.inflate(room)?
                    .ok_or_else(|| Error::damaged("a zip entry is shorter than its size"))?
            };
            self.crc.update(room.get(..n).unwrap_or_default());
            self.left = self.left.saturating_sub(n as u64);
        }
        if self.left == 0 {
            self.check()?;
            self.state = State::Ended;
        }
        Ok(n)
    }

    fn check(&mut self) -> Result<()> {
        // 2.0.1.x wrote empty entries as method 8 without a byte of deflate stream.
        let ends = self.entry.method == 8 && self.entry.compressed > 0 && !self.is_part;
        if ends && self.inflate(&mut [0])?.is_some() {
            return Err(Error::damaged("a zip entry is longer than its size"));
        }
        if self.crc.finish() != self.entry.crc {
            return Err(Error::damaged("the checksum of a zip entry differs"));
        }
        Ok(())
    }

    /// `None` at the end of the deflate stream.
    fn inflate(&mut self, out: &mut [u8]) -> Result<Option<usize>> {
        loop {
            match self.inflater.step(out)? {
                Step::Out(n) => return Ok(Some(n)),
                Step::End => return Ok(None),
                Step::Hungry => self.feed()?,
            }
        }
    }

    fn feed(&mut self) -> Result<()> {
        if self.compressed_left == 0 {
            return Err(Error::damaged("the compressed data ends too early"));
        }
        let input = &mut self.inflater.input;
        let most =
            usize::try_from(self.compressed_left).map_or(input.len(), |n| n.min(input.len()));
        self.source
            .read_at(input.get_mut(..most).unwrap_or_default(), self.pos)?;
        self.inflater.start = 0;
        self.inflater.end = most;
        self.pos = self.pos.saturating_add(most as u64);
        self.compressed_left = self.compressed_left.saturating_sub(most as u64);
        Ok(())
    }
}

impl Read for EntryReader<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        match self.state {
            State::Ended => Ok(0),
            State::Failed => Err(Error::damaged("a zip entry is damaged").into()),
            State::Open if out.is_empty() => Ok(0),
            State::Open => self.next(out).map_err(|e| {
                self.state = State::Failed;
                e.into()
            }),
        }
    }
}

#[cfg(test)]
#[path = "zip_read_tests.rs"]
mod tests;
