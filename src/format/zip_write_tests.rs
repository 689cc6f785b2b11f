//! Archives as they are written, octet for octet.

use super::*;
use crate::base::bytes::hex;
use crate::format::deflate::tests::{noise, prose};

fn writer() -> ZipWriter<Vec<u8>> {
    ZipWriter::new(Vec::new(), &Tmp::open(None).unwrap()).unwrap()
}

#[test]
fn smallest_archives_byte_for_byte() {
    assert_eq!(
        hex(&writer().finish().unwrap()),
        "504b0506000000000000000000000000000000000000"
    );
    let mut w = writer();
    w.add_stored(b"a", b"hi").unwrap();
    assert_eq!((w.written(), w.entries()), (33, 1));
    let rest = w.directory_len();
    let raw = w.finish().unwrap();
    assert_eq!(33 + rest, raw.len() as u64);
    let want = "504b0304 1400 0000 0000 0000 2158 ac2a93d8 02000000 02000000 0100 0000 61 6869\
                504b0102 1400 1400 0000 0000 0000 2158 ac2a93d8 02000000 02000000 0100 0000 0000 0000 0000 00000000 00000000 61\
                504b0506 0000 0000 0100 0100 2f000000 21000000 0000";
    assert_eq!(hex(&raw), want.replace(' ', ""));
}

#[test]
fn what_does_not_shrink_is_stored() {
    let mut deflater = Deflater::new(1);
    for (data, method) in [
        (noise(100_000, 1), 0),
        (noise(100, 1), 0),
        (Vec::new(), 0),
        (prose(100_000), 8),
        (prose(500), 8),
    ] {
        let mut w = writer();
        w.add(b"x", &data, &mut deflater).unwrap();
        assert_eq!(w.finish().unwrap()[8], method);
    }
}

/// What was copied is the same archive, octet for octet.
#[test]
fn packed_entries_are_copied_as_they_are() {
    let mut deflater = Deflater::new(6);
    for data in [prose(5000), noise(3000, 2), b"x".to_vec()] {
        let mut first = writer();
        first.add(b"name", &data, &mut deflater).unwrap();
        let start = 30 + b"name".len();
        let end = usize::try_from(first.written()).unwrap();
        let raw = first.finish().unwrap();
        let packed = Packed {
            method: u16::from_le_bytes([raw[8], raw[9]]),
            crc: Crc32::of(&data),
            packed_len: (end - start) as u64,
            size: data.len() as u64,
        };
        let mut second = writer();
        second
            .add_packed(b"name", &packed, &mut &raw[start..end])
            .unwrap();
        assert_eq!(second.finish().unwrap(), raw);
        let mut short = &raw[start..end - 1];
        assert!(writer().add_packed(b"name", &packed, &mut short).is_err());
        let odd = Packed {
            method: 12,
            ..packed
        };
        assert!(writer().add_packed(b"name", &odd, &mut &raw[..]).is_err());
    }
}

#[test]
fn names_beyond_ascii_are_marked() {
    let mut w = writer();
    w.add_stored("é".as_bytes(), b"").unwrap();
    let raw = w.finish().unwrap();
    assert_eq!(raw[6..8], [0, 8]);
    assert!(writer().add_stored(&[b'x'; 65_536], b"").is_err());
}

#[test]
fn a_short_source_is_an_error() {
    let mut w = writer();
    assert!(w.add_stored_stream(b"x", 0, 5, &mut &b"four"[..]).is_err());
}

#[test]
fn zip64_end_record_from_65535_entries() {
    for (count, extra) in [(65_534u32, 0), (65_535, 76), (65_537, 76)] {
        let mut w = writer();
        for i in 0..count {
            w.add_stored(format!("{i:05}").as_bytes(), b"").unwrap();
        }
        let rest = w.directory_len();
        assert_eq!(rest, u64::from(count) * 51 + 22 + extra);
        let before = w.written();
        let raw = w.finish().unwrap();
        assert_eq!(raw.len() as u64, before + rest);
        let end = raw.len() - 22;
        let marked = count.min(0xffff).to_le_bytes();
        assert_eq!(raw[end + 10..end + 12], marked[..2]);
        if extra > 0 {
            let record = end - 76;
            assert_eq!(raw[record..record + 4], *b"PK\x06\x06");
            assert_eq!(
                raw[record + 32..record + 40],
                u64::from(count).to_le_bytes()
            );
            assert_eq!(raw[end - 20..end - 16], *b"PK\x06\x07");
            assert_eq!(raw[end - 12..end - 4], (record as u64).to_le_bytes());
        }
    }
}
