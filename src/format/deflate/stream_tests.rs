//! Streams of all lengths come back, in the same bytes however they were written, and in parts where they were cut.

use std::io::{self, Write};

use block_deflate::NOTHING;

use super::super::samples::{Rand, mixed, noise, prose};
use super::super::tests::inflate_all;
use super::super::{Cut, DeflateStream, Deflater, PART_BYTES};
use crate::format::crc32::Crc32;

/// More than a part takes stored.
const HEADS: usize = 5 * PART_BYTES.div_ceil(65_535);

/// Written at once, and cut at `cuts`.
fn packed(deflater: &mut Deflater, data: &[u8], cuts: &[usize]) -> (Vec<u8>, Vec<Cut>) {
    written(deflater, data, cuts, &mut || usize::MAX)
}

/// Written in pieces as long as `piece` says.
fn written(
    deflater: &mut Deflater,
    data: &[u8],
    cuts: &[usize],
    piece: &mut dyn FnMut() -> usize,
) -> (Vec<u8>, Vec<Cut>) {
    let mut stream = DeflateStream::new(Vec::new(), deflater);
    let mut made = Vec::new();
    let mut before = 0;
    for &at in cuts.iter().chain([&data.len()]) {
        let mut rest = &data[before..at];
        while !rest.is_empty() {
            let (now, more) = rest.split_at(piece().min(rest.len()));
            stream.write_all(now).unwrap();
            rest = more;
        }
        before = at;
        if made.len() < cuts.len() {
            made.push(stream.cut().unwrap());
        }
    }
    let (out, facts) = stream.finish().unwrap();
    assert_eq!(facts.crc, Crc32::of(data));
    assert_eq!(facts.size, data.len() as u64);
    assert_eq!(facts.compressed, out.len() as u64);
    (out, made)
}

#[test]
fn the_edges_of_parts_come_back() {
    for level in [0, 1, 3, 9] {
        let mut deflater = Deflater::new(level);
        for edge in [0, 1, PART_BYTES, 2 * PART_BYTES, 5 * PART_BYTES] {
            for len in edge.saturating_sub(1)..=edge + 1 {
                let kinds = [
                    (true, prose(len)),
                    (true, vec![0; len]),
                    (false, noise(len, 4)),
                ];
                for (shrinks, data) in kinds {
                    let (out, _) = packed(&mut deflater, &data, &[]);
                    assert!(inflate_all(&out, len).unwrap() == data, "{level} {len}");
                    assert!(out.len() <= len + HEADS * len.div_ceil(PART_BYTES).max(1));
                    assert!(!shrinks || level == 0 || len < 9 || out.len() < len / 2);
                }
            }
        }
    }
}

#[test]
fn what_does_not_shrink_is_stored() {
    let parts = 2;
    let data = noise(parts * PART_BYTES, 8);
    for (level, data) in [(0, &data), (3, &data), (0, &prose(data.len()))] {
        let (out, _) = packed(&mut Deflater::new(level), data, &[]);
        assert_eq!(out.len(), data.len() + parts * HEADS, "level {level}");
        assert!(inflate_all(&out, data.len()).unwrap() == *data);
    }
    // Only the part that is noise.
    let mut half = noise(PART_BYTES, 8);
    half.extend(prose(PART_BYTES));
    let (out, _) = packed(&mut Deflater::new(3), &half, &[]);
    assert!(out.len() < PART_BYTES + PART_BYTES / 2);
}

#[test]
fn how_the_bytes_came_does_not_show() {
    let mut rand = Rand(0x1234_5678_9abc_def1);
    for round in 0..30 {
        let level = u8::try_from(round % 10).unwrap();
        let data = mixed(&mut rand, 3 * PART_BYTES);
        let mut cuts: Vec<usize> = (0..rand.below(4))
            .map(|_| rand.below(data.len() + 1))
            .collect();
        cuts.sort_unstable();
        let first = packed(&mut Deflater::new(level), &data, &cuts);
        assert!(inflate_all(&first.0, data.len()).unwrap() == data);
        let mut used = Deflater::new(level);
        used.deflate(&mixed(&mut rand, 5000));
        let mut left = DeflateStream::new(Vec::new(), &mut used);
        left.write_all(&data[..data.len() / 2]).unwrap();
        drop(left);
        for most in [3, 700, 40_000, 300_000] {
            let again = written(&mut used, &data, &cuts, &mut || rand.below(most));
            assert!(again == first, "level {level}, {most}");
        }
    }
}

/// From one cut to the next it can be inflated by itself, wherever the cuts are: at the edges, twice at one place.
#[test]
fn what_lies_between_cuts_stands_alone() {
    let data = [
        prose(PART_BYTES + 9),
        noise(PART_BYTES, 2),
        vec![7; PART_BYTES],
    ]
    .concat();
    let all = data.len();
    let mut rand = Rand(77);
    for level in [0, 1, 3, 6, 9] {
        let mut deflater = Deflater::new(level);
        for round in 0..8 {
            let mut cuts = match round {
                0 => vec![0, 0, 1, 2, all - 1, all, all],
                1 => vec![PART_BYTES - 1, PART_BYTES, PART_BYTES + 1, 2 * PART_BYTES],
                2 => vec![PART_BYTES, 2 * PART_BYTES, 3 * PART_BYTES],
                _ => (0..9).map(|_| rand.below(all)).collect(),
            };
            cuts.sort_unstable();
            let (out, made) = packed(&mut deflater, &data, &cuts);
            assert!(inflate_all(&out, all).unwrap() == data);
            let mut from = (0, 0);
            for (cut, &at) in made.iter().zip(&cuts) {
                let to = usize::try_from(cut.packed).unwrap();
                let part = &data[from.1..at];
                assert_eq!(cut.plain, at as u64);
                assert_eq!(cut.crc, Crc32::of(part));
                let alone = [&out[from.0..to], &NOTHING].concat();
                assert!(inflate_all(&alone, part.len()).unwrap() == part);
                from = (to, at);
            }
            assert!(inflate_all(&out[from.0..], all).unwrap() == data[from.1..]);
        }
    }
}

/// Room for so many bytes, then the disk is full.
struct Disk(usize);

impl Write for Disk {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        let taken = data.len().min(self.0);
        self.0 -= taken;
        match taken {
            0 if !data.is_empty() => Err(io::Error::from_raw_os_error(libc::ENOSPC)),
            _ => Ok(taken),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_full_disk_is_told_wherever_it_comes() {
    for level in [0, 3] {
        let mut deflater = Deflater::new(level);
        for data in [prose(3 * PART_BYTES), noise(PART_BYTES + 1, 3)] {
            let cuts = [10, data.len() / 2];
            let (good, _) = packed(&mut deflater, &data, &cuts);
            let write = |deflater: &mut Deflater, room: usize| {
                let mut stream = DeflateStream::new(Disk(room), deflater);
                stream.write_all(&data[..cuts[0]])?;
                stream.cut()?;
                stream.write_all(&data[cuts[0]..cuts[1]])?;
                stream.cut()?;
                stream.write_all(&data[cuts[1]..])?;
                stream.finish().map(|(disk, _)| disk.0)
            };
            let rooms = (0..20).map(|n| n * good.len() / 20);
            for room in rooms.chain([1, 2, 16, good.len() - 1]) {
                let e = write(&mut deflater, room).unwrap_err();
                assert_eq!(e.raw_os_error(), Some(libc::ENOSPC), "{room}");
            }
            assert_eq!(write(&mut deflater, good.len()).unwrap(), 0);
            // What failed leaves nothing behind.
            assert!(packed(&mut deflater, &data, &cuts).0 == good);
        }
    }
}

#[test]
fn the_memory_is_that_of_a_part() {
    let mut deflater = Deflater::new(3);
    for data in [prose(9 * PART_BYTES), noise(4 * PART_BYTES, 1)] {
        packed(&mut deflater, &data, &[]);
        assert_eq!(deflater.part.capacity(), PART_BYTES);
    }
    // Who has no streams has no buffer for them.
    let mut blocks = Deflater::new(3);
    blocks.deflate(&prose(5000));
    assert_eq!(blocks.part.capacity(), 0);
}

/// The same bytes on every machine, 32 or 64 bits, either byte order: a sum over all of them. It changes with the levels.
#[test]
fn output_is_the_same_everywhere() {
    let mut sum = 0u64;
    let mut rand = Rand(7);
    for level in 0..=9 {
        let mut deflater = Deflater::new(level);
        for most in [400, 20_000, 3 * PART_BYTES] {
            let data = mixed(&mut rand, most);
            for byte in packed(&mut deflater, &data, &[data.len() / 3]).0 {
                sum = sum
                    .wrapping_mul(0x0100_0000_01b3)
                    .wrapping_add(u64::from(byte));
            }
        }
    }
    assert_eq!(sum, 0x6c45_71fd_1e53_2636);
}
