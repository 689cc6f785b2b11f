use super::*;
use crate::base::digest::Algo;
use crate::base::tmp::{Spool, Tmp};
use crate::format::deflate::{DeflateStream, Deflater, Inflater};
use crate::format::filelist::{Content, Entry, EntryKind, ListWriter, read_list};
use crate::format::zip_read::ZipReader;
use crate::format::zip_write::ZipWriter;
use std::io::{BufReader, Read, Write};

#[test]
fn numbers_come_back() {
    let mut all: Vec<u64> = (0..64)
        .flat_map(|bits| [(1u64 << bits) - 1, 1 << bits])
        .collect();
    all.push(u64::MAX);
    for n in all.iter().copied() {
        let mut raw = Vec::new();
        put(&mut raw, n);
        let mut c = Cursor::new(&raw);
        assert_eq!(take(&mut c), Some(n));
        assert!(c.rest().is_empty());
        for m in all.iter().copied() {
            assert_eq!(unfolded(n, folded(n, m)), m);
        }
    }
    // Too long, cut, and with bits that no number has.
    for bad in [
        &[0x80; 10][..],
        &[0x80],
        &[],
        &[0xff; 11],
        &[0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 2],
    ] {
        assert_eq!(take(&mut Cursor::new(bad)), None, "{bad:?}");
    }
    assert_eq!((folded(5, 4), folded(5, 6)), (1, 2));
}

fn volume(n: u8) -> VolumeId {
    VolumeId {
        guid: [n; 16],
        sealed: n.is_multiple_of(2),
    }
}

fn extent(n: u8, at: u64, len: u64, blocks: u64) -> Extent {
    let volume = volume(n);
    Extent {
        volume,
        at,
        len,
        blocks,
    }
}

#[test]
fn extents_of_a_record_come_back_whole_or_not_at_all() {
    let all = Extents {
        data: vec![
            extent(1, 0, 5, 1),
            extent(1, 9, 1 << 40, 3),
            extent(2, 1, 2, 1),
        ],
        meta: vec![extent(2, u64::MAX, 0, u64::MAX)],
    };
    for extents in [all, Extents::default()] {
        let mut raw = Vec::new();
        extents.encode(&mut raw);
        assert_eq!(Extents::decode(&raw), Some(extents));
        for cut in 0..raw.len() {
            assert_eq!(Extents::decode(&raw[..cut]), None);
        }
        raw.push(0);
        assert_eq!(Extents::decode(&raw), None);
    }
}

#[test]
fn blocks_side_by_side_are_one_extent() {
    let mut list = Vec::new();
    for (n, at, apart) in [
        (1, 0, false),
        (1, 10, false),
        (1, 20, true),
        (1, 30, false),
        (2, 40, false),
        (2, 60, false),
    ] {
        assert!(extend(&mut list, volume(n), at, 10, apart));
    }
    let want = [
        extent(1, 0, 20, 2),
        extent(1, 20, 20, 2),
        extent(2, 40, 10, 1),
        extent(2, 60, 10, 1),
    ];
    assert_eq!(list, want);
    let mut many = Vec::new();
    let fits = (0..5000)
        .filter(|&at| extend(&mut many, volume(1), at * 20, 10, false))
        .count();
    assert_eq!(fits, EXTENTS_AT_MOST);
}

fn entry(path: &str, kind: EntryKind) -> Entry {
    let content = Content {
        hash: Some(Algo::Sha256.hash(path.as_bytes())),
        size: 7,
        block: None,
        lists: Vec::new(),
    };
    Entry {
        kind,
        path: path.as_bytes().to_vec(),
        time: (kind == EntryKind::File).then_some(crate::base::time::Timestamp(1)),
        content: (kind == EntryKind::File).then(|| content.clone()),
        meta: Some(content),
    }
}

/// A list of folders and files with places in as many volumes as `spread` says.
fn listed(files: usize, spread: usize) -> Vec<(Entry, Extents)> {
    let mut all = Vec::new();
    for n in 0..files {
        let folder = format!("/home/u/d{:04}/", n / 50);
        if n % 50 == 0 {
            all.push((entry(&folder, EntryKind::Folder), Extents::default()));
        }
        let no = u8::try_from(n % spread).unwrap();
        let at = n as u64 * 1000;
        let extents = Extents {
            data: match n % 7 {
                0 => Vec::new(),
                1 => (0..9).map(|i| extent(no, at + i * 50, 20, 2)).collect(),
                _ => vec![extent(no, at, 400, 1)],
            },
            meta: vec![extent(no, at + 400, 200, 1)],
        };
        all.push((entry(&format!("{folder}f{n:06}"), EntryKind::File), extents));
    }
    for (at, path) in ["/", "/home/", "/home/u/"].iter().enumerate() {
        all.insert(
            at,
            (
                entry(path, EntryKind::Folder),
                Extents {
                    data: vec![],
                    meta: vec![extent(1, at as u64, 1, 1)],
                },
            ),
        );
    }
    all
}

/// The archive with list and locator; volumes with an id above `known` are not there.
fn archive(all: &[(Entry, Extents)], known: u8) -> Spool {
    let tmp = Tmp::open(None).unwrap();
    let mut deflater = Deflater::new(6);
    let mut zip = ZipWriter::new(Spool::new(&tmp).unwrap(), &tmp).unwrap();
    let mut locator = Writer::new(&tmp, true).unwrap();
    let packed = DeflateStream::new(Spool::new(&tmp).unwrap(), &mut deflater);
    let mut list = ListWriter::new(packed, true);
    let mut last = 0;
    let row = |id: &VolumeId| VolumeRow {
        id: *id,
        size: u64::from(id.guid[0]) * 10,
    };
    let mut find = |id: &VolumeId| (id.guid[0] <= known).then(|| row(id));
    for (entry, extents) in all {
        // Shorter segments than in earnest.
        if list.written() - last > 20_000 {
            last = list.written();
            locator.cut(list.inner().cut().unwrap()).unwrap();
        }
        locator.add(entry, extents, &mut find).unwrap();
        list.add(entry).unwrap();
    }
    let mut out = list.finish().unwrap();
    locator.cut(out.cut().unwrap()).unwrap();
    let (mut packed, facts) = out.finish().unwrap();
    packed.rewind().unwrap();
    zip.add_stream(b"filelist.json", &facts, &mut packed)
        .unwrap();
    drop(packed);
    if let Some(made) = locator.finish(&facts, &mut deflater, &tmp).unwrap() {
        made.put(&mut zip, &mut deflater, &tmp).unwrap();
    }
    zip.finish().unwrap()
}

fn content(zip: &ZipReader<'_>, name: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let entry = zip.find(name).unwrap().unwrap();
    zip.reader(entry, &mut Inflater::new())
        .unwrap()
        .read_to_end(&mut out)
        .unwrap();
    out
}

/// Every segment can be inflated by itself and has the entries and places that were given, in all sorts of lists.
#[test]
fn segments_give_by_themselves_what_the_whole_list_has() {
    for (files, spread) in [(1, 1), (40, 1), (700, 1), (700, 3), (700, 120), (3000, 200)] {
        let all = listed(files, spread);
        let spool = archive(&all, u8::MAX);
        let zip = ZipReader::open(&spool).unwrap();
        let list = zip.find(b"filelist.json").unwrap().unwrap();
        let places = zip.find(PLACES).unwrap().unwrap();
        let rows = content(&zip, VOLUMES);
        let raw = content(&zip, SEGMENTS);
        let mut segments = Segments::open(BufReader::new(raw.as_slice())).unwrap();
        assert!(segments.header.is_of(&list));
        assert_eq!(segments.header.entries, all.len() as u64);
        let (list_at, places_at) = (zip.data_at(list).unwrap(), zip.data_at(places).unwrap());
        let mut seen = 0;
        let mut number = 0;
        let mut inflater = Inflater::new();
        while let Some(segment) = segments.next().unwrap() {
            number += 1;
            assert_eq!(segments.path, all[seen].0.path);
            let mut text = Vec::new();
            zip.part(
                (list_at + segment.at, segment.packed),
                segment.plain,
                segment.crc,
                &mut inflater,
            )
            .read_to_end(&mut text)
            .unwrap();
            let mut piece = Vec::new();
            zip.part(
                (places_at + segment.places_at, segment.places_packed),
                segment.places_plain,
                segment.places_crc,
                &mut inflater,
            )
            .read_to_end(&mut piece)
            .unwrap();
            let named = Piece::numbers(&piece).unwrap().is_empty();
            let mut asked = 0;
            let mut piece = Piece::open(piece, &mut |n| {
                asked += 1;
                volume_row(rows.get(1 + usize::try_from(n).ok()? * 25..)?.get(..25)?)
            })
            .unwrap();
            assert_eq!(named, asked == 0);
            let above: Vec<&[u8]> = piece.above.iter().map(|(e, _)| e.path.as_slice()).collect();
            let first = &all[seen].0.path;
            let want: Vec<&[u8]> = all[..seen]
                .iter()
                .map(|(e, _)| e.path.as_slice())
                .filter(|p| p.ends_with(b"/") && first.starts_with(p))
                .collect();
            assert_eq!(above, want);
            let from = usize::from(number > 1);
            let start: &[u8] = if number > 1 { b"[" } else { b"" };
            let end: &[u8] = if number < segments.header.segments {
                b"]"
            } else {
                b""
            };
            let mut count = 0;
            read_list(&mut start.chain(&text[from..]).chain(end), &mut |entry| {
                assert_eq!(entry.path, all[seen].0.path);
                assert_eq!(piece.next().unwrap(), all[seen].1);
                (seen, count) = (seen + 1, count + 1);
                Ok(())
            })
            .unwrap();
            assert_eq!(count, segment.entries);
            assert_eq!(piece.next(), None);
        }
        assert_eq!(seen, all.len());
        assert_eq!(number, segments.header.segments);
        // As every other reader takes it.
        let mut count = 0;
        let whole = content(&zip, b"filelist.json");
        read_list(&mut whole.as_slice(), &mut |_| {
            count += 1;
            Ok(())
        })
        .unwrap();
        assert_eq!(count, all.len());
    }
}

#[test]
fn what_lies_in_a_volume_that_is_gone_has_no_place() {
    let all = listed(60, 4);
    let spool = archive(&all, 2);
    let zip = ZipReader::open(&spool).unwrap();
    assert_eq!(content(&zip, VOLUMES).len(), 1 + 3 * 25);
    let raw = content(&zip, SEGMENTS);
    let mut segments = Segments::open(raw.as_slice()).unwrap();
    let segment = segments.next().unwrap().unwrap();
    let mut piece = content(&zip, PLACES);
    piece.truncate(usize::try_from(segment.places_plain).unwrap());
    let mut piece = Piece::open(piece, &mut |_| None).unwrap();
    for (_, extents) in &all[..usize::try_from(segment.entries).unwrap()] {
        let there = |list: &Vec<Extent>| match list.iter().all(|e| e.volume.guid[0] <= 2) {
            true => list.clone(),
            false => Vec::new(),
        };
        let want = Extents {
            data: there(&extents.data),
            meta: there(&extents.meta),
        };
        assert_eq!(piece.next(), Some(want));
    }
}

/// Whatever is cut or changed is refused or read as something: nothing panics, and no other version is believed.
#[test]
fn spoilt_locators_are_refused() {
    let all = listed(200, 3);
    let spool = archive(&all, u8::MAX);
    let zip = ZipReader::open(&spool).unwrap();
    let raw = content(&zip, SEGMENTS);
    for version in [0, 2, 255] {
        let other = [&[version], &raw[1..]].concat();
        assert!(Segments::open(other.as_slice()).is_none());
    }
    for cut in 0..raw.len() {
        let mut read = Segments::open(&raw[..cut]);
        let whole = read.as_mut().is_some_and(|s| {
            loop {
                match s.next() {
                    None => break false,
                    Some(None) => break true,
                    Some(Some(_)) => {}
                }
            }
        });
        assert!(!whole, "{cut}");
    }
    let pieces = content(&zip, PLACES);
    for at in 0..pieces.len().min(600) {
        for with in [0, 1, 0x7f, 0x80, 0xff] {
            let mut bad = pieces.clone();
            bad[at] = with;
            if let Some(mut piece) = Piece::open(bad, &mut |_| None) {
                for _ in 0..300 {
                    if piece.next().is_none() {
                        break;
                    }
                }
            }
            let mut bad = raw.clone();
            if let Some(byte) = bad.get_mut(at) {
                *byte = with;
                if let Some(mut segments) = Segments::open(bad.as_slice()) {
                    for _ in 0..300 {
                        if !matches!(segments.next(), Some(Some(_))) {
                            break;
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn an_empty_list_and_one_too_deep_have_no_locator() {
    let spool = archive(&[], 1);
    assert!(
        ZipReader::open(&spool)
            .unwrap()
            .find(SEGMENTS)
            .unwrap()
            .is_none()
    );
    let mut path = "/".to_owned();
    let mut all = Vec::new();
    for _ in 0..1800 {
        path.push_str("0123456789/");
        all.push((entry(&path, EntryKind::Folder), Extents::default()));
    }
    let spool = archive(&all[..20], 1);
    assert!(
        ZipReader::open(&spool)
            .unwrap()
            .find(SEGMENTS)
            .unwrap()
            .is_some()
    );
    let spool = archive(&all, 1);
    assert!(
        ZipReader::open(&spool)
            .unwrap()
            .find(SEGMENTS)
            .unwrap()
            .is_none()
    );
    let _ = std::io::sink().flush();
}

/// What a hostile locator claims takes no memory.
#[test]
fn claims_without_measure_are_refused() {
    let piece = |volumes: u64, above: &[u8]| {
        let mut raw = Vec::new();
        put(&mut raw, volumes << 1);
        for n in 0..volumes.min(200_000) {
            put(&mut raw, n);
        }
        put(&mut raw, above.len() as u64);
        raw.extend_from_slice(above);
        raw.resize(raw.len() + 100_000, 0);
        raw
    };
    let row = |raw: Vec<u8>| {
        let id = VolumeId {
            guid: [0; 16],
            sealed: false,
        };
        Piece::open(raw, &mut |_| Some(VolumeRow { id, size: 1 })).is_some()
    };
    let list = |count: usize| {
        let one = r#"{"type":"Folder","path":"/d/"}"#;
        format!("[{}]", vec![one; count].join(","))
    };
    let most = VOLUMES_AT_MOST as u64;
    assert!(row(piece(most, b"[]")));
    assert!(Piece::numbers(&piece(most, b"[]")).is_some());
    assert!(!row(piece(most + 1, b"[]")) && Piece::numbers(&piece(most + 1, b"[]")).is_none());
    assert!(!row(piece(u64::MAX >> 1, b"[]")));
    assert!(row(piece(1, list(1000).as_bytes())));
    assert!(!row(piece(1, list(40_000).as_bytes())));
}
