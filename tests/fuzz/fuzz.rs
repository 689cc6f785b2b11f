//! Feeds random bytes and mutated valid input to every reader: none may panic, hang, or take memory without bound.
//!
//! Environment: `INPUTS` for each target (1 000 000), `TARGETS` (comma separated; all), `SEED` (from the clock, printed).
//! An input that breaks a reader is written below the target folder and printed in hex. Run by `make fuzz`.

#![allow(
    clippy::print_stdout,
    reason = "a program whose result is what it prints"
)]

#[path = "../support/rand.rs"]
mod rand;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use rand::Rand;

/// Peak resident memory of the whole run, in KiB.
const MEMORY_KIB: u64 = 128 << 10;
/// A single input that takes longer is reported as hanging.
const SLOW_SECONDS: u64 = 5;

fn main() {
    let number = |name: &str| {
        std::env::var(name)
            .ok()
            .and_then(|v| v.trim().parse::<u64>().ok())
    };
    let inputs = number("INPUTS").unwrap_or(1_000_000);
    let clock = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(1, |d| d.as_secs());
    let seed = number("SEED").unwrap_or(clock);
    let chosen = std::env::var("TARGETS").unwrap_or_default();
    println!("seed {seed}, {inputs} inputs a target");
    let mut failed = 0;
    for &target in duplet::fuzz::TARGETS {
        if !chosen.trim().is_empty() && !chosen.split(',').any(|name| name.trim() == target) {
            continue;
        }
        failed += u64::from(!run(target, inputs, seed));
    }
    let peak = peak_kib();
    println!("peak resident memory {peak} KiB");
    if failed > 0 || peak > MEMORY_KIB {
        println!("FAILED: {failed} targets, memory allowed {MEMORY_KIB} KiB");
        std::process::exit(1);
    }
}

/// False when an input broke the target.
fn run(target: &str, inputs: u64, seed: u64) -> bool {
    let samples = duplet::fuzz::samples(target);
    let start = Instant::now();
    let mut rand = Rand(seed ^ target.bytes().fold(0, |sum, b| sum * 31 + u64::from(b)));
    let mut slowest = 0;
    for n in 0..inputs {
        let input = input(&mut rand, &samples);
        let began = Instant::now();
        let done = catch_unwind(AssertUnwindSafe(|| duplet::fuzz::one(target, &input)));
        let mut millis = began.elapsed().as_millis();
        if done.is_ok() && millis > u128::from(SLOW_SECONDS) * 1000 {
            // Was it the input, or did others have the processor?
            millis = processor_millis(|| duplet::fuzz::one(target, &input)).unwrap_or(millis);
        }
        slowest = slowest.max(millis);
        if done.is_err() || millis > u128::from(SLOW_SECONDS) * 1000 {
            let what = if done.is_err() {
                "panicked"
            } else {
                "was slow"
            };
            let file =
                Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("fuzz-{target}-{seed}-{n}"));
            let kept = std::fs::write(&file, &input).is_ok();
            println!(
                "{target}: input {n} {what} after {millis} ms, kept {kept} in {}",
                file.display()
            );
            println!(
                "{}",
                input.iter().map(|b| format!("{b:02x}")).collect::<String>()
            );
            return false;
        }
    }
    let seconds = start.elapsed().as_secs_f64();
    println!("{target:9} {inputs} inputs in {seconds:6.1} s, slowest {slowest} ms");
    true
}

/// What `work` takes of a processor. `None` where the system does not tell.
fn processor_millis(work: impl FnOnce()) -> Option<u128> {
    let nanoseconds = || {
        let text = std::fs::read_to_string("/proc/self/schedstat").ok()?;
        text.split(' ').next()?.parse::<u128>().ok()
    };
    let before = nanoseconds()?;
    work();
    Some(nanoseconds()?.saturating_sub(before) / 1_000_000)
}

/// One in eight is random bytes; the rest are samples with one to eight changes.
fn input(rand: &mut Rand, samples: &[Vec<u8>]) -> Vec<u8> {
    let pick = rand.next();
    if pick & 7 == 0 || samples.is_empty() {
        let width = 1 + rand.below(10);
        let len = rand.below(1 << width);
        return rand.bytes(usize::try_from(len).unwrap_or(0));
    }
    let mut data = samples[index(rand, samples.len())].clone();
    for _ in 0..=rand.below(8) {
        mutate(rand, &mut data, samples);
    }
    data
}

fn index(rand: &mut Rand, len: usize) -> usize {
    usize::try_from(rand.below(len.max(1) as u64)).unwrap_or(0)
}

fn mutate(rand: &mut Rand, data: &mut Vec<u8>, samples: &[Vec<u8>]) {
    const EDGES: [u64; 12] = [
        0,
        1,
        0x7f,
        0x80,
        0xff,
        0xffff,
        0x7fff_ffff,
        0xffff_ffff,
        1 << 32,
        u64::MAX >> 1,
        u64::MAX,
        0x8000_0000_0000_0000,
    ];
    const WORDS: [&str; 14] = [
        "\"",
        "\\u",
        "\\ud800",
        "{",
        "[",
        "null",
        "-1",
        "1e999",
        "18446744073709551616",
        "\u{feff}",
        "..",
        "%",
        "\\",
        "[[:",
    ];
    let at = index(rand, data.len() + 1);
    let end = (at + index(rand, 16)).min(data.len());
    match rand.below(9) {
        0 if at < data.len() => data[at] ^= 1 << rand.below(8),
        1 if at < data.len() => data[at] = rand.bytes(1)[0],
        2 => data.truncate(at),
        3 => drop(data.drain(at..end)),
        4 => {
            let extra = rand.bytes(end - at);
            data.splice(at..at, extra);
        }
        5 => {
            let copy = data[at..end].to_vec();
            let to = index(rand, data.len() + 1);
            data.splice(to..to, copy);
        }
        6 => {
            // A number at its edge, in either byte order and any width: lengths, counts, offsets.
            let value = EDGES[index(rand, EDGES.len())].wrapping_sub(rand.below(3));
            let width = 1 << rand.below(4);
            let bytes = if rand.below(2) == 0 {
                value.to_le_bytes()
            } else {
                value.to_be_bytes()
            };
            let slice = if rand.below(2) == 0 {
                &bytes[..width]
            } else {
                &bytes[8 - width..]
            };
            let end = (at + width).min(data.len());
            data.splice(at..end, slice.iter().copied());
        }
        7 => {
            let word = WORDS[index(rand, WORDS.len())];
            data.splice(at..end, word.bytes());
        }
        _ => {
            // The head of this one, the tail of another.
            let other = &samples[index(rand, samples.len())];
            let from = index(rand, other.len() + 1);
            data.truncate(at);
            data.extend_from_slice(&other[from..]);
        }
    }
}

fn peak_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"));
    line.and_then(|l| l.trim().split(' ').next()?.parse().ok())
        .unwrap_or(0)
}
