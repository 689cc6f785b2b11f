//! Tests of the zip reader: what our writer makes, and every oddity seen in the wild.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::io::{Seek, SeekFrom, Write};

use super::*;
use crate::base::error::unwrap_io;
use crate::base::tmp::{Spool, Tmp};
use crate::format::deflate::tests::{noise, prose};
use crate::format::deflate::{DeflateStream, Deflater};
use crate::format::zip_write::ZipWriter;

type Pair = (Vec<u8>, Vec<u8>);

fn tmp() -> Tmp {
    Tmp::open(None).unwrap()
}

pub(super) fn spool(raw: &[u8]) -> Spool {
    let mut s = Spool::new(&tmp()).unwrap();
    s.write_all(raw).unwrap();
    s
}

fn read_all(spool: &Spool) -> Result<Vec<Pair>> {
    let zip = ZipReader::open(spool)?;
    let mut list = Vec::new();
    zip.entries(&mut |name, entry| {
        list.push((name.to_vec(), entry));
        Ok(())
    })?;
    let mut inflater = Inflater::new();
    let mut out = Vec::new();
    for (name, entry) in list {
        // In pieces, and whole where a caller would dare to.
        let mut data = Vec::new();
        let mut reader = zip.reader(entry, &mut inflater)?;
        let pieces = reader.read_to_end(&mut data).map_err(unwrap_io);
        if entry.size <= 1 << 20 {
            let mut whole = vec![0; usize::try_from(entry.size).unwrap()];
            let mut reader = zip.reader(entry, &mut inflater)?;
            let done = reader.read_exact(&mut whole).map_err(unwrap_io);
            let empty = done.and_then(|()| reader.read(&mut [0]).map_err(unwrap_io));
            assert_eq!(empty.is_ok(), pieces.is_ok());
            assert!(empty.is_err() || (empty.unwrap() == 0 && whole == data));
        }
        pieces?;
        assert_eq!(data.len() as u64, entry.size);
        out.push((name, data));
    }
    Ok(out)
}

pub(super) fn ours() -> (Vec<u8>, Vec<Pair>) {
    let mut deflater = Deflater::new(1);
    let pairs: Vec<Pair> = vec![
        (b"manifest".to_vec(), b"{}".to_vec()),
        (b"text".to_vec(), prose(5_000)),
        (b"noise".to_vec(), noise(700, 3)),
        (b"empty".to_vec(), Vec::new()),
    ];
    let mut w = ZipWriter::new(Vec::new(), &tmp()).unwrap();
    for (name, data) in &pairs {
        w.add(name, data, &mut deflater).unwrap();
    }
    (w.finish().unwrap(), pairs)
}

#[test]
fn what_was_written_comes_back() {
    let (raw, pairs) = ours();
    let s = spool(&raw);
    assert_eq!(read_all(&s).unwrap(), pairs);
    let zip = ZipReader::open(&s).unwrap();
    assert!(!zip.rescued());
    assert_eq!(zip.find(b"noise").unwrap().unwrap().size, 700);
    assert_eq!(zip.find(b"none").unwrap(), None);
}

#[test]
fn streams_come_back() {
    let data = prose(200_000);
    let mut packed = DeflateStream::new(Vec::new(), Deflater::new(6));
    packed.write_all(&data).unwrap();
    let (packed, facts) = packed.finish().unwrap();
    let mut w = ZipWriter::new(Vec::new(), &tmp()).unwrap();
    w.add_stream(b"filelist.json", &facts, &mut packed.as_slice())
        .unwrap();
    w.add_stored_stream(b"plain", facts.crc, facts.size, &mut data.as_slice())
        .unwrap();
    let got = read_all(&spool(&w.finish().unwrap())).unwrap();
    assert_eq!(got.len(), 2);
    assert!(got.iter().all(|(_, d)| *d == data));
}

#[test]
fn many_entries_need_the_zip64_record() {
    for count in [65_534, 65_535, 65_540u32] {
        let mut w = ZipWriter::new(Vec::new(), &tmp()).unwrap();
        for i in 0..count {
            w.add_stored(&i.to_be_bytes(), b"").unwrap();
        }
        let mut raw = w.finish().unwrap();
        // As SharpCompress: the end record holds the count modulo 65536 and no marks.
        if count >= 65_535 {
            let end = raw.len() - 22;
            let low = count.to_le_bytes();
            raw[end + 8..end + 10].copy_from_slice(&low[..2]);
            raw[end + 10..end + 12].copy_from_slice(&low[..2]);
        }
        let s = spool(&raw);
        let mut seen = 0u32;
        let zip = ZipReader::open(&s).unwrap();
        zip.entries(&mut |name, _| {
            // `\` is 0x5c: turned into `/`.
            let want = seen
                .to_be_bytes()
                .map(|b| if b == b'\\' { b'/' } else { b });
            assert_eq!(name, want);
            seen += 1;
            Ok(())
        })
        .unwrap();
        assert_eq!(seen, count);
    }
}

/// Writes zeros as holes.
struct Holes(Spool);
impl Write for Holes {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        if data.len() > 1000 && data.iter().step_by(64).all(|&b| b == 0) {
            self.0
                .seek(SeekFrom::Current(i64::try_from(data.len()).unwrap()))?;
            return Ok(data.len());
        }
        self.0.write(data)
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn four_gibibytes_and_what_follows() {
    let mut w = ZipWriter::new(Holes(Spool::new(&tmp()).unwrap()), &tmp()).unwrap();
    let size = (4 << 30) + 5;
    w.add_stored_stream(b"big", 7, size, &mut io::repeat(0))
        .unwrap();
    w.add_stored(b"after", b"far away").unwrap();
    w.add_stored_stream(b"big2", 7, size, &mut io::repeat(0))
        .unwrap();
    let s = w.finish().unwrap().0;
    let zip = ZipReader::open(&s).unwrap();
    assert!(!zip.rescued());
    let after = zip.find(b"after").unwrap().unwrap();
    assert!(after.offset > 4 << 30);
    let mut text = String::new();
    zip.reader(after, &mut Inflater::new())
        .unwrap()
        .read_to_string(&mut text)
        .unwrap();
    assert_eq!(text, "far away");
    for name in [&b"big"[..], b"big2"] {
        let big = zip.find(name).unwrap().unwrap();
        assert_eq!((big.size, big.compressed, big.crc), (size, size, 7));
    }
}

/// A hand-made archive with one entry.
#[derive(Clone)]
struct Odd {
    name: Vec<u8>,
    method: u16,
    flags: u16,
    stored: Vec<u8>,
    plain: Vec<u8>,
    /// Sizes and CRC after the data, zeros before.
    descriptor: Option<bool>,
    /// 0xFFFFFFFF and an extra field in the directory.
    zip64_central: bool,
    zip64_end: bool,
    before: Vec<u8>,
    comment: Vec<u8>,
    after: Vec<u8>,
    break_directory: bool,
}

impl Odd {
    fn new(method: u16, plain: &[u8]) -> Odd {
        let mut stored = plain.to_vec();
        if method == 8 {
            let mut deflater = Deflater::new(6);
            stored = deflater.deflate(plain).unwrap_or_default().to_vec();
        }
        Odd {
            name: b"dir\\name".to_vec(),
            method,
            flags: 0,
            stored,
            plain: plain.to_vec(),
            descriptor: None,
            zip64_central: false,
            zip64_end: false,
            before: Vec::new(),
            comment: Vec::new(),
            after: Vec::new(),
            break_directory: false,
        }
    }

    fn bytes(&self) -> Vec<u8> {
        let crc = Crc32::of(&self.plain).to_le_bytes();
        let packed = u32::try_from(self.stored.len()).unwrap().to_le_bytes();
        let size = u32::try_from(self.plain.len()).unwrap().to_le_bytes();
        let name_len = u16::try_from(self.name.len()).unwrap().to_le_bytes();
        let flags = self.flags | if self.descriptor.is_some() { 8 } else { 0 };
        let mut z = self.before.clone();
        let two = |z: &mut Vec<u8>, n: u16| z.extend(n.to_le_bytes());
        z.extend(b"PK\x03\x04\x14\x00");
        two(&mut z, flags);
        two(&mut z, self.method);
        z.extend([0; 4]);
        if self.descriptor.is_some() {
            z.extend([0; 12]);
        } else {
            z.extend([crc, packed, size].concat());
        }
        z.extend(name_len);
        two(&mut z, 3);
        z.extend(&self.name);
        z.extend([9, 9, 9]);
        z.extend(&self.stored);
        match self.descriptor {
            Some(false) => z.extend([*b"PK\x07\x08", crc, packed, size].concat()),
            Some(true) => {
                z.extend([*b"PK\x07\x08", crc, packed, [0; 4], size, [0; 4]].concat());
            }
            None => {}
        }
        let dir = z.len() - self.before.len();
        z.extend(if self.break_directory {
            b"PK\x09\x09"
        } else {
            b"PK\x01\x02"
        });
        z.extend([0x2d, 0, 0x2d, 0]);
        two(&mut z, flags);
        two(&mut z, self.method);
        z.extend([0; 4]);
        z.extend(crc);
        if self.zip64_central {
            z.extend([0xff; 8]);
        } else {
            z.extend([packed, size].concat());
        }
        z.extend(name_len);
        two(&mut z, if self.zip64_central { 32 } else { 0 });
        two(&mut z, 2);
        z.extend([0; 8]);
        z.extend(if self.zip64_central {
            [0xff; 4]
        } else {
            [0; 4]
        });
        z.extend(&self.name);
        if self.zip64_central {
            z.extend([5, 0, 0, 0, 1, 0, 24, 0]);
            z.extend([size, [0; 4], packed, [0; 4], [0; 4], [0; 4]].concat());
        }
        z.extend(b"cc");
        let dir_len = z.len() - self.before.len() - dir;
        if self.zip64_end {
            let record = z.len() - self.before.len();
            z.extend(b"PK\x06\x06");
            z.extend(44u64.to_le_bytes());
            z.extend([45, 0, 45, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
            for n in [1, 1, dir_len, dir] {
                z.extend((n as u64).to_le_bytes());
            }
            z.extend(b"PK\x06\x07\0\0\0\0");
            z.extend((record as u64).to_le_bytes());
            z.extend([1, 0, 0, 0]);
        }
        z.extend(b"PK\x05\x06\0\0\0\0\x01\0\x01\0");
        for n in [dir_len, dir] {
            let marked = if self.zip64_end {
                u32::MAX
            } else {
                u32::try_from(n).unwrap()
            };
            z.extend(marked.to_le_bytes());
        }
        two(&mut z, u16::try_from(self.comment.len()).unwrap());
        z.extend(&self.comment);
        z.extend(&self.after);
        z
    }

    fn content(&self) -> Result<Vec<u8>> {
        let pairs = read_all(&spool(&self.bytes()))?;
        assert_eq!(pairs.len(), 1);
        assert_eq!(pairs[0].0, b"dir/name");
        Ok(pairs[0].1.clone())
    }
}

/// R6, all of it, alone and together.
#[test]
fn oddities_of_the_wild() {
    let text = prose(3_000);
    for method in [0, 8] {
        for mask in 0..256u32 {
            let on = |bit: u32| mask & 1 << bit != 0;
            let mut odd = Odd::new(method, &text);
            odd.descriptor = on(0).then_some(on(1));
            odd.zip64_central = on(2);
            odd.zip64_end = on(3);
            if on(4) {
                odd.before = b"#!/bin/sh junk".to_vec();
            }
            if on(5) {
                odd.comment = b"a comment PK\x05\x06 with a false end record inside it".to_vec();
            }
            if on(6) {
                odd.after = b"junk behind".to_vec();
            }
            odd.break_directory = on(7);
            if on(7) && on(4) {
                // Nobody knows where such an archive starts.
                assert_eq!(odd.content().unwrap_err().kind(), Kind::Damaged);
                continue;
            }
            assert!(
                odd.content().unwrap() == text,
                "method {method} mask {mask:#b}"
            );
        }
    }
}

#[test]
fn longest_comment() {
    let mut odd = Odd::new(8, b"aaaaaaaaaaaaaaaaaaaa");
    odd.comment = vec![b'P'; 65_535];
    assert_eq!(odd.content().unwrap(), odd.plain);
}

#[test]
fn level_0_deflate_and_empty_deflate() {
    // Stored blocks inside a deflate stream (method stays 8).
    let mut odd = Odd::new(8, b"hello");
    odd.stored = b"\x01\x05\x00\xfa\xffhello".to_vec();
    assert_eq!(odd.content().unwrap(), b"hello");
    let mut odd = Odd::new(8, b"");
    odd.stored = Vec::new();
    assert_eq!(odd.content().unwrap(), b"");
    odd.stored = b"\x03\x00".to_vec();
    assert_eq!(odd.content().unwrap(), b"");
}

/// R7.
#[test]
fn other_methods_are_named() {
    for (method, text) in [
        (12, "uses zip method 12 (BZip2)"),
        (14, "uses zip method 14 (LZMA)"),
        (93, "uses zip method 93 (Zstandard)"),
        (98, "uses zip method 98 (PPMd)"),
        (77, "uses zip method 77"),
    ] {
        let e = Odd::new(method, b"x").content().unwrap_err();
        assert_eq!(
            (e.kind(), e.to_string().as_str()),
            (Kind::Unsupported, text)
        );
    }
    let mut locked = Odd::new(0, b"x");
    locked.flags = 1;
    assert_eq!(locked.content().unwrap_err().kind(), Kind::Unsupported);
}

#[test]
fn lies_about_sizes_and_checksums() {
    let text = prose(2_000);
    let damaged = |change: &dyn Fn(&mut Odd)| {
        let mut odd = Odd::new(8, &text);
        change(&mut odd);
        let e = odd.content().unwrap_err();
        assert_eq!(e.kind(), Kind::Damaged, "{e}");
    };
    // The stream gives more, or less, than the directory says: never more than it says comes out.
    damaged(&|o| o.plain.truncate(100));
    damaged(&|o| o.plain.truncate(0));
    damaged(&|o| o.plain.push(b'x'));
    damaged(&|o| o.plain[7] ^= 1);
    damaged(&|o| {
        let _ = o.stored.pop();
    });
    damaged(&|o| o.stored.truncate(0));
    damaged(&|o| o.stored[20] ^= 0x55);
    damaged(&|o| o.method = 0);
}

/// A directory that names the same bytes many times is not believed: the entries come once, from their own headers.
#[test]
fn a_directory_of_overlapping_entries_is_broken() {
    let mut w = ZipWriter::new(Vec::new(), &tmp()).unwrap();
    w.add(b"bomb", &[0; 1 << 20], &mut Deflater::new(6))
        .unwrap();
    let raw = w.finish().unwrap();
    let at = raw.windows(4).position(|w| w == b"PK\x01\x02").unwrap();
    let end = raw.len() - 22;
    for (times, sound) in [(1u16, true), (200, false)] {
        let mut forged = raw[..at].to_vec();
        for _ in 0..times {
            forged.extend_from_slice(&raw[at..end]);
        }
        let len = u32::try_from(forged.len() - at).unwrap();
        let mut tail = raw[end..].to_vec();
        tail[8..10].copy_from_slice(&times.to_le_bytes());
        tail[10..12].copy_from_slice(&times.to_le_bytes());
        tail[12..16].copy_from_slice(&len.to_le_bytes());
        forged.extend_from_slice(&tail);
        let s = spool(&forged);
        assert_eq!(read_all(&s).unwrap().len(), 1, "{times}");
        assert_eq!(ZipReader::open(&s).unwrap().rescued(), !sound);
    }
}

/// R11.
#[test]
fn empty_and_foreign_files() {
    for raw in [
        &b""[..],
        b"PK",
        b"AES\x02\x00",
        &[0; 100],
        &noise(70_000, 1),
    ] {
        let e = read_all(&spool(raw)).unwrap_err();
        assert_eq!(e.kind(), Kind::Damaged, "{e}");
    }
    let nothing = ZipWriter::new(Vec::new(), &tmp())
        .unwrap()
        .finish()
        .unwrap();
    assert_eq!(read_all(&spool(&nothing)).unwrap(), []);
}

#[test]
fn every_cut_gives_whole_entries_or_an_error() {
    let (raw, pairs) = ours();
    let mut s = spool(&raw);
    for cut in (0..raw.len()).rev() {
        s.truncate(cut as u64).unwrap();
        match read_all(&s) {
            Ok(got) => assert!(!got.is_empty() && pairs.starts_with(&got), "{cut}"),
            Err(e) => assert_eq!(e.kind(), Kind::Damaged, "{cut}: {e}"),
        }
    }
}

#[test]
fn changed_archives_never_panic() {
    let mut odd = Odd::new(
        8,
        b"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa bbbb",
    );
    odd.zip64_central = true;
    odd.zip64_end = true;
    odd.descriptor = Some(true);
    let samples = [ours().0, odd.bytes()];
    let mut seed = 99u64;
    let mut next = move || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        seed
    };
    let mut s = spool(&samples[0]);
    for round in 0..20_000u32 {
        let sample = &samples[usize::from(round % 4 != 0)];
        let mut raw = sample.clone();
        for _ in 0..=next() >> 62 {
            let r = next();
            let at = usize::try_from(r >> 33).unwrap() % raw.len();
            raw[at] = [0, 0xff, r.to_be_bytes()[1], 1][usize::try_from(r >> 10 & 3).unwrap()];
        }
        s.clear().unwrap();
        s.write_all(&raw).unwrap();
        if let Err(e) = read_all(&s) {
            assert!(matches!(e.kind(), Kind::Damaged | Kind::Unsupported), "{e}");
        }
    }
}

/// Names and contents that a damaged archive still gives, and how many entries it named.
fn salvaged(raw: &[u8]) -> (Vec<Pair>, usize) {
    let spool = spool(raw);
    let zip = ZipReader::salvage(&spool).unwrap();
    let mut list = Vec::new();
    zip.entries(&mut |name, entry| {
        list.push((name.to_vec(), entry));
        Ok(())
    })
    .unwrap();
    let mut inflater = Inflater::new();
    let mut out = Vec::new();
    let named = list.len();
    for (name, entry) in list {
        let mut data = Vec::new();
        if let Ok(mut reader) = zip.reader(entry, &mut inflater)
            && reader.read_to_end(&mut data).is_ok()
        {
            out.push((name, data));
        }
    }
    (out, named)
}

#[test]
fn one_wrong_byte_costs_one_entry_at_most() {
    let (raw, pairs) = ours();
    let (all, named) = salvaged(&raw);
    assert_eq!((all, named), (pairs.clone(), pairs.len()));
    for at in 0..raw.len() {
        let mut bad = raw.clone();
        bad[at] ^= 0x41;
        let (got, _) = salvaged(&bad);
        let right = pairs.iter().filter(|p| got.contains(p)).count();
        assert!(right + 1 >= pairs.len(), "byte {at}: {right}");
    }
}

#[test]
fn without_a_directory_the_search_goes_on_behind_damage() {
    let (raw, pairs) = ours();
    let end = raw.windows(4).position(|w| w == b"PK\x01\x02").unwrap();
    let second = raw[4..]
        .windows(4)
        .position(|w| w == b"PK\x03\x04")
        .unwrap()
        + 4;
    // Each byte of the second entry's header, its sizes made smaller and larger.
    for at in second..second + 30 {
        for change in [0xff, 0x01, 0x20] {
            let mut bad = raw[..end].to_vec();
            bad[at] ^= change;
            let (got, _) = salvaged(&bad);
            for pair in pairs.iter().filter(|p| p.0 != b"text") {
                assert!(got.contains(pair), "byte {at}: {:?}", pair.0);
            }
        }
    }
    for cut in 0..end {
        let (got, _) = salvaged(&raw[..cut]);
        assert!(got.iter().all(|p| pairs.contains(p)), "{cut}");
    }
}

#[test]
fn a_search_ends_however_the_headers_lie() {
    // Each claims the rest of the file, by its size or by a descriptor that is nowhere.
    const HEADERS: u32 = 40_000;
    for later in [false, true] {
        let mut raw = Vec::new();
        for n in 0..HEADERS {
            let size = if later { 0 } else { (HEADERS - 1 - n) * 30 };
            raw.extend(b"PK\x03\x04\x14\0");
            raw.extend([if later { 8 } else { 0 }, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
            raw.extend(size.to_le_bytes());
            raw.extend(size.to_le_bytes());
            raw.extend([0; 4]);
        }
        let spool = spool(&raw);
        let zip = ZipReader::salvage(&spool).unwrap();
        let mut packed = 0;
        zip.entries(&mut |_, entry| {
            packed += entry.compressed;
            Ok(())
        })
        .unwrap();
        assert!(packed <= OVERLAP * raw.len() as u64, "{packed}");
    }
}
