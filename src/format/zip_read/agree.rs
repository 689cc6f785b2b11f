//! Whether an archive agrees with itself. A restore goes by the directory alone and needs none of this; other programs that read zip
//! archives, and whoever has to read one whose directory is lost, go by the rest.

use std::io;

use super::ZipReader;
use crate::base::error::{Error, Kind, Result, unwrap_io};
use crate::format::deflate::Inflater;
use crate::format::zip_raw::{Directory, EntryRef, Window, u16_at, u32_at, u64_at, widen};

/// The features of the latest specification: who needs more of a reader needs what no reader has.
const VERSION_AT_MOST: u8 = 63;
/// An end record, what zip64 adds to it, and the longest comment.
const END_BYTES: u64 = 22;
const WIDE_BYTES: u64 = 56 + 20;
const TAIL_AT_MOST: u64 = WIDE_BYTES + END_BYTES + 0xffff;

/// Whether pieces of a file cover it, each byte once, in whatever order they come: every piece begins where another one ends. So
/// the sum of all beginnings is that of all ends, of which only a digest is kept.
#[derive(Default)]
struct Cover {
    sum: u64,
    end: u64,
    /// Where the first piece that does not follow the one before it leaves a gap or overlaps.
    jump: Option<u64>,
}

impl Cover {
    /// `start` is before `end`.
    fn add(&mut self, start: u64, end: u64) {
        if start != self.end {
            self.jump.get_or_insert(start.min(self.end));
        }
        self.sum = self.sum.wrapping_add(mix(start)).wrapping_sub(mix(end));
        self.end = end;
    }

    /// Where it is not so, for a file of that length.
    fn fault(&self, len: u64) -> Option<u64> {
        let whole = mix(0).wrapping_sub(mix(len));
        (self.sum != whole).then(|| self.jump.unwrap_or(self.end))
    }
}

/// SplitMix64.
fn mix(n: u64) -> u64 {
    let n = n.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let n = (n ^ (n >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let n = (n ^ (n >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    n ^ (n >> 31)
}

impl ZipReader<'_> {
    /// Compares each local header and descriptor with the directory, and the end record with what is there; nothing may overlap,
    /// and nothing lie between. `inflate`: every entry is also read to its end. `Damaged` at the first place where something
    /// is otherwise; attributes, extra fields and comments may be anything. Memory: two windows of 16 KiB, and an inflater's.
    pub(crate) fn agree(&self, inflate: bool) -> Result<()> {
        let Some(dir) = self.layout.directory.filter(|_| !self.layout.scan) else {
            return Err(Error::damaged("its zip directory is damaged"));
        };
        let mut central = Window::new(self.source, self.layout.len);
        let mut local = Window::new(self.source, self.layout.len);
        let mut inflater = Inflater::new();
        let (mut cover, mut count, mut pos) = (Cover::default(), 0u64, dir.start);
        while pos < dir.end {
            let head = central.get(pos, 46)?.and_then(|h| h.first_chunk().copied());
            let (Some(head), Some((name, entry, next))) = (head, central.central(dir, pos)?) else {
                return Err(fault(pos, "the directory is damaged"));
            };
            let end = local_end(&mut local, &head, name, entry)?;
            if inflate {
                self.read_whole(entry, &mut inflater)?;
            }
            cover.add(entry.offset, end);
            (count, pos) = (count + 1, next);
        }
        if !ends_well(&mut central, dir, count)? {
            return Err(fault(dir.end, "the end record differs from what is there"));
        }
        cover.add(dir.start, self.layout.len);
        match cover.fault(self.layout.len) {
            Some(at) => Err(fault(at, "entries overlap, or something lies between them")),
            None => Ok(()),
        }
    }

    fn read_whole(&self, entry: EntryRef, inflater: &mut Inflater) -> Result<()> {
        let read = self.reader(entry, inflater).and_then(|mut reader| {
            io::copy(&mut reader, &mut io::sink()).map_err(unwrap_io)?;
            Ok(reader.unused())
        });
        match read {
            Ok(0) => Ok(()),
            Ok(_) => Err(fault(entry.offset, "packed data is longer than its entry")),
            Err(e) if e.kind() == Kind::Damaged => Err(fault(entry.offset, e.cause())),
            Err(e) => Err(e),
        }
    }
}

fn fault(at: u64, what: &str) -> Error {
    Error::damaged(format!(
        "the zip archive disagrees with itself at byte {at}: {what}"
    ))
}

/// The end of an entry with its descriptor, if its local header says what its record in the directory (`head`) does.
fn local_end(
    window: &mut Window<'_>,
    head: &[u8; 46],
    name: &[u8],
    entry: EntryRef,
) -> Result<u64> {
    let differs = |what| fault(entry.offset, what);
    let short = || differs("it has no local header");
    let local: [u8; 30] = window
        .get(entry.offset, 30)?
        .and_then(|h| h.first_chunk().copied())
        .ok_or_else(short)?;
    if !local.starts_with(b"PK\x03\x04") {
        return Err(short());
    }
    let (name_len, extra_len) = (u16_at(&local, 26), u16_at(&local, 28));
    let rest = u64::from(name_len) + u64::from(extra_len);
    let from = entry.offset.saturating_add(30);
    let (local_name, extra) = window
        .get(from, rest)?
        .and_then(|b| b.split_at_checked(name_len.into()))
        .ok_or_else(short)?;
    let (mut size, mut compressed) = (u32_at(&local, 22).into(), u32_at(&local, 18).into());
    widen(extra, [&mut size, &mut compressed, &mut 0]);
    let later = u16_at(&local, 6) & 8 != 0;
    let is = |local: u64, said: u64| local == said || later && local == 0;
    let same = is(u32_at(&local, 14).into(), entry.crc.into())
        && is(compressed, entry.compressed)
        && is(size, entry.size);
    // Flags, method and time; then where the volume begins, which is the one that is here.
    let as_said = local[6..14] == head[8..16]
        && local_name == name
        && local[4].max(head[6]) <= VERSION_AT_MOST
        && matches!(u16_at(head, 34), 0 | 0xffff);
    if !(same && as_said) {
        return Err(differs("a local header differs from the directory"));
    }
    let end = from.saturating_add(rest).saturating_add(entry.compressed);
    if !later {
        return Ok(end);
    }
    // With or without a signature, with sizes of 64 or 32 bits.
    for (signed, width) in [(true, 8), (true, 4), (false, 8), (false, 4)] {
        let mut want = Vec::with_capacity(24);
        want.extend_from_slice(if signed { b"PK\x07\x08" } else { b"" });
        want.extend_from_slice(&entry.crc.to_le_bytes());
        for n in [entry.compressed, entry.size] {
            want.extend(n.to_le_bytes().iter().take(width));
        }
        if window.get(end, want.len() as u64)? == Some(&want) {
            return Ok(end.saturating_add(want.len() as u64));
        }
    }
    Err(fault(end, "a data descriptor differs from the directory"))
}

/// Whether what follows the directory to the end of the file speaks of it and of so many entries.
fn ends_well(window: &mut Window<'_>, dir: Directory, count: u64) -> Result<bool> {
    let (at, len) = (dir.end, dir.end.saturating_sub(dir.start));
    let left = window.len.saturating_sub(at);
    if left > TAIL_AT_MOST {
        return Ok(false);
    }
    let Some(mut tail) = window.get(at, left)? else {
        return Ok(false);
    };
    let wide = tail.starts_with(b"PK\x06\x06");
    if wide {
        let Some((record, rest)) = tail.split_at_checked(56) else {
            return Ok(false);
        };
        let Some((locator, rest)) = rest.split_at_checked(20) else {
            return Ok(false);
        };
        tail = rest;
        let stated = [4, 16, 24, 32, 40, 48].map(|i| u64_at(record, i));
        let found = [44, 0, count, count, len, dir.start];
        let leads = locator.starts_with(b"PK\x06\x07")
            && (u32_at(locator, 4), u64_at(locator, 8)) == (0, at)
            && u32_at(locator, 16) <= 1;
        if stated != found || !leads {
            return Ok(false);
        }
    }
    // A field holds the low bits, or with a zip64 record all ones.
    let short =
        |i, n: u64| u64::from(u16_at(tail, i)) == n & 0xffff || wide && u16_at(tail, i) == u16::MAX;
    let long = |i, n: u64| {
        u64::from(u32_at(tail, i)) == n & 0xffff_ffff || wide && u32_at(tail, i) == u32::MAX
    };
    Ok(tail.starts_with(b"PK\x05\x06")
        && tail.len() as u64 == END_BYTES + u64::from(u16_at(tail, 20))
        && short(4, 0)
        && short(6, 0)
        && short(8, count)
        && short(10, count)
        && long(12, len)
        && long(16, dir.start))
}

#[cfg(test)]
#[path = "agree_tests.rs"]
mod tests;
