//! Measures the release program on generated trees, or on a folder of yours: processor time, peak memory, bytes, wall time.
//!
//! Environment: `FILES` (1000,10000,100000), `DIR` (a folder to measure instead), `LEVEL` (deflate level of the bare
//! measurement). Prints a table and asserts nothing about time. Run by `make bench`; the program must be built before.

#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a program for developers whose result is what it prints"
)]

mod bare;
mod child;
#[path = "../support/rand.rs"]
mod rand;

use std::fs;
use std::path::{Path, PathBuf};

use child::{Cost, measure};
use rand::Rand;

const MIB: f64 = (1 << 20) as f64;
const PASSPHRASE: &str = "--passphrase=bench passphrase";

fn main() {
    let var = |name: &str| std::env::var(name).ok().filter(|v| !v.trim().is_empty());
    let program = program();
    let level: u8 = var("LEVEL").map_or(bare::LEVEL, |v| v.trim().parse().unwrap());
    let work = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("bench");
    let _ = fs::remove_dir_all(&work);
    fs::create_dir_all(&work).unwrap();
    println!(
        "program {} ({} bytes)",
        program.display(),
        fs::metadata(&program).unwrap().len()
    );
    table_of_levels();
    println!();
    println!(
        "bare: SHA-256 of blocks, files and volumes, deflate level {level} where it helps, AES-256-CBC, HMAC-SHA256"
    );
    println!(
        "{:>8} {:>9}  {:28} {:>8} {:>8} {:>8} {:>10}  ratio",
        "files", "MiB", "run", "wall s", "CPU s", "peak MiB", "MiB written"
    );
    if let Some(folder) = var("DIR") {
        let folder = fs::canonicalize(folder).unwrap();
        case(&program, &work, &folder, level);
    } else {
        let sizes = var("FILES").unwrap_or("1000,10000,100000".to_owned());
        for count in sizes
            .split(',')
            .map(|n| n.trim().replace('_', "").parse::<u64>().unwrap())
        {
            let tree = work.join("tree");
            generate(&tree, count);
            case(&program, &work, &tree, level);
            fs::remove_dir_all(&tree).unwrap();
        }
    }
    fs::remove_dir_all(&work).unwrap();
}

/// The release program beside this one's target folder.
fn program() -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    let program = target.join("release/duplet");
    assert!(program.exists(), "build it first: make");
    program
}

/// All runs over one source.
fn case(program: &Path, work: &Path, source: &Path, level: u8) {
    let (files, bytes) = count(source);
    let line = |what: &str, cost: &Cost, written: u64, ratio: String| {
        let failed = if cost.code == 0 || cost.code == 1 {
            String::new()
        } else {
            format!(" exit {}", cost.code)
        };
        println!(
            "{files:>8} {:>9.1}  {what:28} {:>8.2} {:>8.2} {:>8.1} {:>10.1}  {ratio}{failed}",
            bytes as f64 / MIB,
            cost.wall,
            cost.cpu,
            cost.peak_kib as f64 / 1024.0,
            written as f64 / MIB
        );
    };
    let (dest, to, cache) = (work.join("dest"), work.join("to"), work.join("cache"));
    for folder in [&dest, &to, &cache] {
        let _ = fs::remove_dir_all(folder);
    }
    let path = |p: &Path| p.to_str().unwrap().to_owned();
    let run = |words: &[String]| {
        let mut command = std::process::Command::new(program);
        command.args(words).arg(PASSPHRASE).env_clear();
        command
            .env("HOME", work)
            .env("TMPDIR", work)
            .env("XDG_CACHE_HOME", &cache);
        measure(&mut command)
    };
    let backup = ["backup".to_owned(), path(&dest), path(source)];
    let bare = bare::cost(source, level);
    let first = run(&backup);
    let stored = size(&dest);
    line("bare cost of the first", &bare, 0, String::new());
    line(
        "first backup",
        &first,
        stored,
        format!(
            "{:.2} x bare, {:.2} in user mode",
            first.cpu / bare.cpu,
            first.user / bare.cpu
        ),
    );
    let mut find = std::process::Command::new("find");
    find.arg(source).args(["-printf", "%s %T@\n"]);
    measure(&mut find);
    let find = measure(&mut find);
    line("find -printf '%s %T@'", &find, 0, String::new());
    let warm = run(&backup);
    let more = size(&dest) - stored;
    line(
        "unchanged, warm cache",
        &warm,
        more,
        format!("{:.2} x find", warm.cpu / find.cpu),
    );
    let _ = fs::remove_dir_all(&cache);
    let cold = run(&backup);
    let more = size(&dest) - stored;
    line(
        "unchanged, cold cache",
        &cold,
        more,
        format!("{:.2} x find", cold.cpu / find.cpu),
    );
    let list = run(&["list".to_owned(), path(&dest)]);
    line("list, versions", &list, 0, String::new());
    let list = run(&["list".to_owned(), path(&dest), "0".to_owned()]);
    line("list, all entries", &list, 0, String::new());
    let restore = run(&[
        "restore".to_owned(),
        path(&dest),
        format!("--restore-path={}", path(&to)),
    ]);
    line(
        "restore",
        &restore,
        count(&to).1,
        format!("{:.2} x bare backup", restore.cpu / bare.cpu),
    );
    for folder in [&dest, &to, &cache] {
        let _ = fs::remove_dir_all(folder);
    }
}

/// Regular files below a folder, and their bytes.
fn count(folder: &Path) -> (u64, u64) {
    let mut sum = (0, 0);
    bare::walk(folder, &mut |path| {
        sum.0 += 1;
        sum.1 += fs::symlink_metadata(path).map_or(0, |m| m.len());
    });
    sum
}

fn size(folder: &Path) -> u64 {
    count(folder).1
}

/// Text, data that shrinks a little, data that does not, and copies, in sizes from nothing to megabytes.
fn generate(root: &Path, files: u64) {
    let mut rand = Rand(files);
    // Bytes a file on average: many files are small ones.
    let mean = match files {
        0..=2_000 => 96 << 10,
        2_001..=20_000 => 24 << 10,
        20_001..=200_000 => 5 << 10,
        _ => 100,
    };
    let mut last = Vec::new();
    for n in 0..files {
        let folder = root.join(format!("{:03}/{:03}", n / 20_000, n / 200 % 100));
        if n % 200 == 0 {
            fs::create_dir_all(&folder).unwrap();
        }
        // One file in 32 holds half of all bytes.
        let span = if rand.below(32) == 0 { 32 * mean } else { mean };
        let len = usize::try_from(rand.below(span)).unwrap();
        if n % 40 != 39 {
            last = content(&mut rand, len);
        }
        fs::write(folder.join(format!("file {n}")), &last).unwrap();
    }
}

fn content(rand: &mut Rand, len: usize) -> Vec<u8> {
    match rand.below(10) {
        0..=5 => rand.prose(len),
        6..=7 => rand.bytes(len),
        _ => {
            // Records: a counter, a few small numbers, some noise.
            let mut out = Vec::with_capacity(len + 16);
            while out.len() < len {
                let bits = rand.next();
                let record = [
                    u32::try_from(out.len()).unwrap_or(0),
                    7,
                    u32::try_from(bits & 0xff).unwrap_or(0),
                ];
                out.extend(record.iter().flat_map(|n| n.to_le_bytes()));
                out.extend_from_slice(&bits.to_le_bytes()[4..]);
            }
            out.truncate(len);
            out
        }
    }
}

/// Speed and size of every deflate level on mixed data in blocks of 1 MiB.
fn table_of_levels() {
    let mut rand = Rand(2);
    let blocks: Vec<Vec<u8>> = (0..24).map(|_| content(&mut rand, 1 << 20)).collect();
    let whole: usize = blocks.iter().map(Vec::len).sum();
    println!(
        "deflate of {:.0} MiB mixed data ({} blocks)",
        whole as f64 / MIB,
        blocks.len()
    );
    println!(
        "{:>6} {:>10} {:>9} {:>18} {:>9}",
        "level", "MiB/s", "size %", "miniz_oxide: MiB/s", "size %"
    );
    for level in 0..=9 {
        let mut line = format!("{level:>6}");
        for (mut packer, width) in [
            (bare::Packer::new(level), 10),
            (bare::Packer::miniz(level), 18),
        ] {
            let start = child::own_cpu();
            let packed: usize = blocks.iter().map(|b| packer.pack(b).len()).sum();
            let cpu = child::own_cpu() - start;
            line += &format!(
                " {:>width$.1} {:>9.2}",
                whole as f64 / MIB / cpu,
                packed as f64 * 100.0 / whole as f64
            );
        }
        println!("{line}");
    }
}
