//! Tests of archives that agree with themselves, and of each way in which they may not.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use super::*;
use crate::base::error::Result;
use crate::format::deflate::tests::{noise, prose};
use crate::format::zip_read::tests::{ours, spool};

/// What is written about an entry.
#[derive(Clone, Copy)]
struct Style {
    /// Signature and width of the descriptor that follows each entry.
    descriptor: Option<(bool, usize)>,
    /// Sizes in an extra field.
    wide: bool,
}

/// An archive of stored entries, and where its directory begins. `order`: that of the directory.
fn made(style: Style, order: &[usize]) -> (Vec<u8>, usize) {
    let datas = [prose(300), noise(90, 5), Vec::new()];
    let (mut out, mut records) = (Vec::new(), Vec::new());
    for (i, data) in datas.iter().enumerate() {
        let offset = u32::try_from(out.len()).unwrap();
        let mut crc = crate::format::crc32::Crc32::new();
        crc.update(data);
        let (crc, len) = (crc.finish(), data.len() as u64);
        let flags = if style.descriptor.is_some() { 8u16 } else { 0 };
        let head = |crc: u32, size: u32, extra: u16| {
            let mut head = [20, flags, 0, 0, 33].map(u16::to_le_bytes).concat();
            head.extend([crc, size, size].map(u32::to_le_bytes).concat());
            head.extend([1u16, extra].map(u16::to_le_bytes).concat());
            head
        };
        let name = b'a' + u8::try_from(i).unwrap();
        let extra = match style.wide {
            true => [&[1, 0, 16, 0][..], &len.to_le_bytes(), &len.to_le_bytes()].concat(),
            false => Vec::new(),
        };
        let extra_len = u16::try_from(extra.len()).unwrap();
        let size = if style.wide {
            u32::MAX
        } else {
            u32::try_from(len).unwrap()
        };
        out.extend(b"PK\x03\x04");
        out.extend(match style.descriptor {
            Some(_) => head(0, 0, 0),
            None => head(crc, size, extra_len),
        });
        out.push(name);
        if style.descriptor.is_none() {
            out.extend(&extra);
        }
        out.extend(data);
        if let Some((signed, width)) = style.descriptor {
            out.extend(if signed { &b"PK\x07\x08"[..] } else { b"" });
            out.extend(crc.to_le_bytes());
            for _ in 0..2 {
                out.extend(&len.to_le_bytes()[..width]);
            }
        }
        let mut record = b"PK\x01\x02\x14\x00".to_vec();
        record.extend(head(crc, size, extra_len));
        record.extend([0; 10]);
        record.extend(offset.to_le_bytes());
        record.push(name);
        record.extend(extra);
        records.push(record);
    }
    let start = out.len();
    for &i in order {
        out.extend(&records[i]);
    }
    let len = out.len() - start;
    let count = u8::try_from(order.len()).unwrap();
    out.extend([b'P', b'K', 5, 6, 0, 0, 0, 0, count, 0, count, 0]);
    out.extend(u32::try_from(len).unwrap().to_le_bytes());
    out.extend(u32::try_from(start).unwrap().to_le_bytes());
    out.extend(b"\x03\x00end");
    (out, start)
}

fn agree(raw: &[u8]) -> Result<()> {
    ZipReader::open(&spool(raw))?.agree(true)
}

const PLAIN: Style = Style {
    descriptor: None,
    wide: false,
};

#[test]
fn archives_of_every_writer_agree_with_themselves() {
    agree(&ours().0).unwrap();
    let mut styles = vec![
        PLAIN,
        Style {
            wide: true,
            ..PLAIN
        },
    ];
    for descriptor in [(true, 4), (true, 8), (false, 4), (false, 8)] {
        styles.push(Style {
            descriptor: Some(descriptor),
            ..PLAIN
        });
    }
    for style in styles {
        for order in [[0, 1, 2], [2, 0, 1], [1, 2, 0]] {
            agree(&made(style, &order).0).unwrap();
        }
    }
}

/// Places of an archive of ours whose value means nothing: who made it, attributes, and in an extra field or comment anything.
fn is_harmless(raw: &[u8], at: usize) -> bool {
    let end = raw.len() - 22;
    let start = usize::try_from(u32_at(&raw[end..], 16)).unwrap();
    if at < start {
        // A reader of this version or that.
        let mut pos = 0;
        while pos < start {
            let head = &raw[pos..];
            if at == pos + 4 || at == pos + 5 {
                return true;
            }
            pos += 30 + usize::from(u16_at(head, 26)) + usize::try_from(u32_at(head, 18)).unwrap();
        }
        return false;
    }
    let mut pos = start;
    while pos < end {
        if [4, 5, 6, 7, 36, 37, 38, 39, 40, 41].contains(&at.wrapping_sub(pos)) {
            return true;
        }
        pos += 46 + usize::from(u16_at(&raw[pos..], 28));
    }
    false
}

#[test]
fn a_bit_that_turned_is_found_wherever_it_means_something() {
    let (raw, _) = ours();
    agree(&raw).unwrap();
    for at in 0..raw.len() {
        for bit in [0x01, 0x02] {
            let mut bad = raw.clone();
            bad[at] ^= bit;
            let told = agree(&bad);
            assert_eq!(told.is_err(), !is_harmless(&raw, at), "{at} {bit} {told:?}");
        }
    }
}

#[test]
fn descriptors_and_wide_sizes_are_compared() {
    for (descriptor, wide) in [
        (Some((true, 4)), false),
        (Some((false, 8)), false),
        (None, true),
    ] {
        let (raw, start) = made(Style { descriptor, wide }, &[0, 1, 2]);
        let mut unnoticed = 0;
        for at in 0..start {
            let mut bad = raw.clone();
            bad[at] ^= 1;
            unnoticed += usize::from(agree(&bad).is_ok());
        }
        // The version that a reader needs, two bytes of three headers.
        assert_eq!(unnoticed, 6, "{descriptor:?} {wide}");
    }
}

#[test]
fn nothing_overlaps_or_lies_between() {
    let (raw, start) = made(PLAIN, &[0, 1, 2]);
    // An entry that the directory does not name, before, between and behind others.
    for order in [&[1, 2][..], &[0, 2], &[0, 1], &[2, 0]] {
        let told = agree(&made(PLAIN, order).0).unwrap_err();
        assert!(told.cause().contains("lies between"), "{told}");
    }
    // One that is named twice.
    let told = agree(&made(PLAIN, &[0, 1, 2, 2]).0).unwrap_err();
    assert!(told.cause().contains("lies between"), "{told}");
    // Bytes before the directory, and behind the end.
    let mut more = raw.clone();
    more.insert(start, 0);
    let end = more.len() - 25;
    let moved = u32::try_from(start + 1).unwrap().to_le_bytes();
    more[end + 16..end + 20].copy_from_slice(&moved);
    assert!(agree(&more).is_err());
    let mut more = raw.clone();
    more.push(0);
    assert!(agree(&more).is_err());
    let mut more = raw;
    more.splice(0..0, *b"#!");
    assert!(agree(&more).is_err());
}

/// The content of an entry is read only where that is asked for.
#[test]
fn content_is_read_where_it_is_asked_for() {
    let (mut raw, _) = made(PLAIN, &[0, 1, 2]);
    raw[40] ^= 1;
    let s = spool(&raw);
    let zip = ZipReader::open(&s).unwrap();
    zip.agree(false).unwrap();
    let told = zip.agree(true).unwrap_err();
    assert!(told.cause().contains("at byte 0"), "{told}");
}
