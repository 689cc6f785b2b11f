//! Blocks of all kinds come back, in no more bytes than they had, whatever the state did before.

use super::samples::{Rand, mixed, noise, prose};
use super::*;

/// Deflates by a used state and checks all that holds for every block.
fn check(encoder: &mut Encoder, data: &[u8]) -> Option<usize> {
    let packed = encoder.deflate(data, &mut || {}).map(<[u8]>::to_vec);
    let packed = packed?;
    assert!(packed.len() < data.len());
    assert!(comes_back(&packed, data), "{} bytes", data.len());
    Some(packed.len())
}

#[test]
fn twenty_thousand_blocks_come_back() {
    let mut encoders: Vec<Encoder> = (0..=9).map(Encoder::new).collect();
    let mut rand = Rand(0x1234_5678_9abc_def1);
    for n in 0..20_000 {
        // Every length up to 600, then a few long ones.
        let most = if n % 500 == 0 { 40_000 } else { 300 };
        let mut data = mixed(&mut rand, most);
        if n < 6000 {
            data.resize(n / 10, b'e');
        }
        let level = rand.below(10);
        let len = check(&mut encoders[level], &data);
        assert!(level > 0 || len.is_none());
    }
}

#[test]
fn a_used_state_writes_as_a_fresh_one() {
    let mut rand = Rand(99);
    for level in 1..=9 {
        let mut used = Encoder::new(level);
        for most in [70_000, 200, 5000, 140_000, 600_000, 30] {
            let data = mixed(&mut rand, most);
            let mut fresh = Encoder::new(level);
            let first = fresh.deflate(&data, &mut || {}).map(<[u8]>::to_vec);
            assert!(fresh.out.len() < data.len() + bits::SLACK);
            assert_eq!(
                used.deflate(&data, &mut || {}),
                first.as_deref(),
                "level {level}"
            );
            // Giving up leaves nothing behind, either.
            assert!(
                used.deflate(&noise(3000, u64::from(level)), &mut || {})
                    .is_none()
            );
        }
    }
}

/// The same bytes on every machine, 32 or 64 bits, either byte order: a sum over all of them. It changes with the levels.
#[test]
fn output_is_the_same_everywhere() {
    let mut sum = 0u64;
    let mut rand = Rand(7);
    for level in 1..=9 {
        let mut encoder = Encoder::new(level);
        for most in [400, 20_000, 90_000] {
            let data = mixed(&mut rand, most);
            for &byte in encoder.deflate(&data, &mut || {}).unwrap_or(&[]) {
                sum = sum
                    .wrapping_mul(0x0100_0000_01b3)
                    .wrapping_add(u64::from(byte));
            }
        }
    }
    assert_eq!(sum, 0x3bc4_2b39_c04e_2ed1);
}

#[test]
fn the_edges_of_blocks_come_back() {
    let mut encoder = Encoder::new(3);
    // All symbols of both alphabets; then a piece's, a window's and a stored block's edge.
    let mut all: Vec<u8> = (0..=255).collect();
    for length in 3..=258 {
        let from = all.len() - 1 - (length * 131) % (all.len() - 1);
        (0..length).for_each(|n| all.push(all[from + n]));
    }
    assert!(check(&mut encoder, &all).is_some());
    for edge in [
        255, 256, 2000, 4096, 16_384, 32_512, 32_767, 32_768, 32_769, 65_535, 65_536,
    ] {
        for len in edge - 2..=edge + 2 {
            assert!(check(&mut encoder, &prose(len)).is_some());
            assert!(check(&mut encoder, &vec![7; len]).is_some());
            let mut half = noise(len, 5);
            assert!(check(&mut encoder, &half).is_none());
            // The same again, as far back as a match may reach.
            half.extend_from_within(..);
            assert_eq!(check(&mut encoder, &half).is_some(), len < 32_512, "{len}");
        }
    }
}

/// A run of literals that is too long for the step of the match after it, at every length around that.
#[test]
fn long_runs_of_literals_come_back() {
    let mut encoder = Encoder::new(9);
    let word = b"a word that comes again and again";
    for run in (250..262).chain([4094, 4095, 4096, 4097, 9000]) {
        let mut data = word.repeat(8);
        for n in 0..6 {
            data.extend(noise(run, n));
            data.extend(word.repeat(8));
        }
        assert!(check(&mut encoder, &data).is_some(), "{run}");
    }
}

/// Hardly a literal between matches: the most steps there can be.
#[test]
fn many_short_matches_come_back() {
    let mut rand = Rand(21);
    let words: Vec<Vec<u8>> = (0..40).map(|n| noise(3 + n % 2, n as u64)).collect();
    let mut data = Vec::new();
    while data.len() < 400_000 {
        data.extend(&words[rand.below(words.len())]);
        if rand.below(500) == 0 {
            data.extend(noise(300, data.len() as u64));
        }
    }
    for level in 1..=9 {
        let len = check(&mut Encoder::new(level), &data).unwrap();
        assert!(len < data.len() / 2, "level {level}: {len}");
    }
}

#[test]
fn noise_among_text_is_stored_within_the_stream() {
    let mut encoder = Encoder::new(3);
    let mut data = noise(200_000, 3);
    data.extend(prose(100_000));
    data.extend(noise(200_000, 4));
    let len = check(&mut encoder, &data).unwrap();
    assert!(len < 400_000 + 40_000, "{len}");
}

/// No length above the limit, no code that cannot be told apart, whatever the counts.
#[test]
fn codes_are_complete_and_within_their_limit() {
    let mut rand = Rand(5);
    for round in 0..3000 {
        let symbols = [2, 3, 19, 30, 286][rand.below(5)];
        let limit = if symbols == 19 { 7 } else { 9 + rand.below(7) };
        let mut before = (1u32, 1u32);
        let counts: Vec<u32> = (0..symbols)
            .map(|_| match round % 4 {
                // Like Fibonacci's numbers: the longest codes there are.
                0 if before.1 < 1 << 30 => {
                    before = (before.1, before.0 + before.1);
                    before.1
                }
                1 => {
                    let bits = rand.below(31);
                    u32::try_from(rand.below(1 << bits)).unwrap()
                }
                2 => u32::from(rand.below(20) == 0),
                _ => 1,
            })
            .collect();
        let mut lengths = vec![9; symbols];
        lengths::code_lengths(&counts, limit, &mut lengths);
        let room: u32 = lengths
            .iter()
            .filter(|&&n| n > 0)
            .map(|&n| 1 << (limit - usize::from(n)))
            .sum();
        assert_eq!(room, 1 << limit, "{counts:?}");
        let told = counts.iter().zip(&lengths);
        assert!(told.clone().all(|(&n, &bits)| n == 0 || bits > 0));
        assert!(lengths.iter().filter(|&&n| n > 0).count() >= 2);
    }
}

#[test]
fn the_fastest_the_default_and_the_hardest_differ() {
    // Sentences of words that come more or less often.
    let mut rand = Rand(3);
    let words: Vec<String> = (0..900)
        .map(|n| format!("{:x} ", ((n * n * n) % 65_521) >> (n % 9)))
        .collect();
    let data: Vec<u8> = (0..40_000)
        .flat_map(|_| {
            let bits = rand.below(10);
            words[rand.below(1 << bits)].bytes()
        })
        .collect();
    let sizes: Vec<usize> = (1..=9)
        .map(|level| check(&mut Encoder::new(level), &data).unwrap())
        .collect();
    assert!(sizes[0] > sizes[2] && sizes[2] > sizes[8], "{sizes:?}");
}

#[test]
fn a_step_that_no_inflater_would_follow_is_not_written() {
    let data = b"xabcabcabcabc".repeat(3);
    let part = 1..13;
    let good = block::Step::new(3, 9, 3);
    let write = |step: block::Step, end: usize| {
        let mut counts = count::Counts::new();
        counts.add_literals(b"abc");
        counts.add_match(9, 3);
        let mut out = [0; 64];
        let mut bits = bits::BitWriter::new(&mut out);
        block::write(
            &mut bits,
            &data,
            part.start..end,
            &[step],
            &mut counts,
            true,
            50,
        )
        .map(|()| bits.finish())
        .map(|written| out[..written].to_vec())
    };
    let written = write(good, part.end).unwrap();
    assert!(comes_back(&written, &data[part.clone()]));
    for (what, literals, length, distance) in [
        ("other bytes", 3, 9, 2),
        ("before the block", 3, 9, 5),
        ("itself", 3, 9, 0),
        ("too short a match", 3, 2, 3),
        ("too long a match", 3, 259, 3),
        ("not to the end", 3, 8, 3),
        ("beyond the end", 3, 30, 3),
        ("too many literals", 90, 9, 3),
    ] {
        let step = block::Step::new(literals, length, distance);
        assert!(write(step, part.end).is_none(), "{what}");
    }
    assert!(write(good, part.end + 1).is_none(), "more to write");
    let mut counts = count::Counts::new();
    counts.add_literals(b"abc");
    let mut out = [0; 64];
    let mut bits = bits::BitWriter::new(&mut out);
    let all = block::write(&mut bits, &data, part, &[good], &mut counts, true, 50);
    assert!(all.is_none(), "symbols that were not counted");
}
