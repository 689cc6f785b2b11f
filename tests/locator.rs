//! One file, or one folder, out of many: what that costs at servers, and that it gives what the whole way gives.

#![allow(clippy::unwrap_used, reason = "a test may fail where it stands")]

mod support;

#[path = "support/faulty.rs"]
mod faulty;
#[path = "support/faulty_dav.rs"]
mod faulty_dav;
#[path = "support/faulty_s3.rs"]
mod faulty_s3;

use std::fs;
use std::path::{Path, PathBuf};

use faulty::{Seen, Server, Service};
use support::harm::{Harm, harm};
use support::{Rand, Scratch, contents, text, tool, tree, volumes};

const WAYS: [&str; 2] = ["--passphrase=few requests", "--no-encryption"];
const INSTALL: &str = support::snapshot::INSTALL;

fn pick(rand: &mut Rand, below: usize) -> usize {
    usize::try_from(rand.below(below as u64)).unwrap()
}

/// The folder to back up: thirty folders of ninety small files each, and one file of many blocks.
fn many(scratch: &Scratch) -> PathBuf {
    let source = scratch.folder("source");
    tree::many_small(&source);
    source
}

/// What a server was asked since `from`, without log-ins.
struct Asked {
    requests: usize,
    bytes: u64,
}

fn asked(seen: &[Seen], stored: &Path) -> Asked {
    let mut bytes = 0;
    for s in seen {
        assert!(!s.target.contains("dindex"), "{} {}", s.method, s.target);
        let Some(name) = s.target.rsplit('/').next().filter(|n| n.contains(".zip")) else {
            continue;
        };
        let span = |s: &Seen| {
            let range = s.header("range")?.strip_prefix("bytes=")?;
            let (from, to) = range.split_once('-')?;
            Some(to.parse::<u64>().ok()? + 1 - from.parse::<u64>().ok()?)
        };
        let whole = || fs::metadata(stored.join(name)).unwrap().len();
        bytes += span(s).unwrap_or_else(whole);
    }
    Asked {
        requests: seen.len(),
        bytes,
    }
}

/// Volumes of which parts were asked for.
fn touched(seen: &[Seen]) -> usize {
    let mut all: Vec<&str> = seen
        .iter()
        .map(|s| s.target.as_str())
        .filter(|t| t.contains("dblock"))
        .collect();
    all.sort_unstable();
    all.dedup();
    all.len()
}

/// One file and one folder at a server, cold, with the server's own count of requests.
fn cheap_at<S: Service>(
    server: &Server<S>,
    url: &str,
    first: &Path,
    source: &Path,
    way: &str,
    scratch: &Scratch,
) {
    let common = ["--no-cache", way];
    let run = |args: &[&str]| scratch.run(&[args, &common[..]].concat());
    run(&["copy", text(first), url]).code(&[0]);
    let parts = "--partial-reads=always";
    let path = |name: &str| text(&source.join(name)).to_owned();
    for name in ["d17/in/ner/f33", "large"] {
        let before = server.seen("").len();
        let out = scratch
            .command(&["cat", url, &path(name), parts, common[0], common[1]])
            .output()
            .unwrap();
        assert!(
            out.status.success(),
            "{}",
            String::from_utf8_lossy(&out.stderr)
        );
        assert!(out.stdout == fs::read(source.join(name)).unwrap(), "{name}");
        let seen = server.seen("").split_off(before);
        let cost = asked(&seen, first);
        let most = if name == "large" { 12 } else { 8 };
        assert!(
            cost.requests <= most,
            "{name}: {} requests: {:?}",
            cost.requests,
            seen.iter().map(|s| &s.target).collect::<Vec<_>>()
        );
        assert!(cost.bytes <= 1 << 20, "{name}: {} bytes", cost.bytes);
    }
    let before = server.seen("").len();
    let target = scratch.at("folder");
    let _ = fs::remove_dir_all(&target);
    let to = format!("--restore-path={}", text(&target));
    run(&["restore", url, &path("d21"), parts, &to]).code(&[0]);
    assert!(contents(&target.join("in/ner")) == contents(&source.join("d21/in/ner")));
    let seen = server.seen("").split_off(before);
    let (cost, volumes) = (asked(&seen, first), touched(&seen));
    assert!(
        cost.requests <= 8 + 2 * volumes,
        "{} requests of {volumes} volumes",
        cost.requests
    );
    // A folder is listed without the rest of the list.
    let before = server.seen("").len();
    run(&["list", url, &path("d21"), parts])
        .code(&[0])
        .says("/d21/in/ner/f89 ");
    let seen = server.seen("").split_off(before);
    assert!(asked(&seen, first).requests <= 6 && touched(&seen) == 0);
    // So is what is not there.
    let before = server.seen("").len();
    let restore = ["restore", url, &path("d21/none"), parts, &to];
    for args in [&["find", url, &path("d21/none"), parts][..], &restore] {
        run(args).code(&[100]).says("nothing in the backup matches");
    }
    let seen = server.seen("").split_off(before);
    let whole = |s: &&Seen| s.target.contains("dlist") && s.header("range").is_none();
    assert!(
        seen.iter().filter(whole).count() <= 1,
        "the only version of a restore"
    );
    assert!(touched(&seen) == 0);
}

#[test]
fn one_file_takes_eight_requests_and_no_index() {
    let scratch = Scratch::new("locator-cost");
    let source = many(&scratch);
    for (n, way) in WAYS.iter().enumerate() {
        let first = scratch.at(&format!("first{n}"));
        let args = [
            "backup",
            text(&first),
            text(&source),
            way,
            "--no-cache",
            "--blocksize=10kb",
            "--dblock-size=1mb",
        ];
        scratch.run(&args).code(&[0]);
        let s3 = faulty_s3::Server::start();
        cheap_at(&s3.0, &s3_url(&s3), &first, &source, way, &scratch);
        let dav = Server::start(|_| faulty_dav::Dav::new());
        let url = format!("webdav://{}/d/b/copy?http-proxy=none", dav.address);
        cheap_at(&dav, &url, &first, &source, way, &scratch);
        // The destination's own count, of a folder of this machine.
        let ran = scratch
            .run(&[
                "restore",
                text(&first),
                text(&source.join("d03/in/ner/f01")),
                way,
                "--no-cache",
                "--partial-reads=always",
                "--restore-path",
                text(&scratch.at("one")),
                "-v",
            ])
            .code(&[0]);
        let line = ran.all();
        let at = line.find(" requests, ").expect("its cost");
        let requests: u32 = line[..at]
            .rsplit(['\n', ' '])
            .next()
            .unwrap()
            .parse()
            .unwrap();
        assert!(requests <= 8 + 4, "{line}");
    }
}

fn s3_url(server: &faulty_s3::Server) -> String {
    format!(
        "s3://KEY:secret@bkt/p?s3-server-name={}&http-proxy=none&use-ssl=false",
        server.address
    )
}

/// What came back: names and bytes, and the figures of the report.
type Outcome = (Vec<(std::ffi::OsString, Vec<u8>)>, Vec<i64>);

fn restored(scratch: &Scratch, dest: &Path, path: &Path, how: &[&str]) -> Outcome {
    let target = scratch.at("back");
    let _ = fs::remove_dir_all(&target);
    let to = format!("--restore-path={}", text(&target));
    let args = [
        "restore",
        text(dest),
        text(path),
        "--no-cache",
        "--json",
        &to,
    ];
    let ran = scratch.run(&[&args[..], how].concat()).code(&[0, 2, 3]);
    let json = ran.json();
    let figures = [
        "RestoredFiles",
        "SizeOfRestoredFiles",
        "RestoredFolders",
        "IncompleteEntries",
        "LostEntries",
        "FailedEntries",
        "SelectedFiles",
    ];
    let figures = figures.map(|key| {
        json[key]
            .as_i64()
            .unwrap_or_else(|| panic!("{key}: {json}"))
    });
    let mut all = Vec::new();
    walk(&target, &target, &mut all);
    all.sort();
    (all, figures.to_vec())
}

fn walk(base: &Path, folder: &Path, all: &mut Vec<(std::ffi::OsString, Vec<u8>)>) {
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    for entry in entries {
        let path = entry.unwrap().path();
        // An incomplete file has the time of the restore's version in its name, which is the same for both.
        let name = path.strip_prefix(base).unwrap().as_os_str().to_owned();
        match path.is_dir() {
            true => {
                all.push((name, Vec::new()));
                walk(base, &path, all);
            }
            false => all.push((name, fs::read(&path).unwrap())),
        }
    }
}

/// Random trees, versions, block sizes, damage, compaction and purges: in parts and whole give the same bytes and findings.
#[test]
fn in_parts_and_whole_give_the_same() {
    for seed in 0..3u64 {
        let mut rand = Rand(seed + 1);
        let scratch = Scratch::new("locator-same");
        let source = scratch.folder("source");
        let way = WAYS[pick(&mut rand, 2)];
        let block =
            ["--blocksize=10kb", "--blocksize=1kb", "--blocksize=100kb"][pick(&mut rand, 3)];
        let dest = scratch.at("dest");
        if seed > 0 {
            // A list of which less than half is wanted.
            let folder = source.join("many/more");
            fs::create_dir_all(&folder).unwrap();
            for f in 0..2700 {
                tree::write(&folder.join(format!("f{f:04}")), &rand.bytes(5));
            }
        }
        let backup = || {
            let args = [
                "backup",
                text(&dest),
                text(&source),
                way,
                block,
                "--dblock-size=1mb",
                "--no-cache",
            ];
            scratch.run(&args).code(&[0, 1]);
        };
        for version in 0..3 {
            for _ in 0..25 {
                let (a, b, f) = (pick(&mut rand, 4), pick(&mut rand, 3), pick(&mut rand, 9));
                let folder = source.join(format!("a{a}/b{b}"));
                fs::create_dir_all(&folder).unwrap();
                let len = [0, 10, 5000, 40_000, 200_000][pick(&mut rand, 5)];
                tree::write(&folder.join(format!("f{f}")), &rand.bytes(len));
            }
            let _ = version;
            backup();
            std::thread::yield_now();
        }
        match seed % 3 {
            0 => {
                let args = ["delete", text(&dest), "--version=1,2", way, "--no-cache"];
                scratch.run(&args).code(&[0]);
                let args = ["compact", text(&dest), "--threshold=0", way, "--no-cache"];
                scratch.run(&args).code(&[0, 1]);
            }
            1 => {
                let path = source.join("a0/b0/f0");
                let args = ["purge", text(&dest), text(&path), way, "--no-cache"];
                scratch.run(&args).code(&[0, 100]);
            }
            _ => {}
        }
        let compare = |when: &str| {
            for name in ["a1", "a2/b1", "a3/b0/f1", "a2/b2/f8", "many/more/f1234"] {
                let path = source.join(name);
                if !path.exists() {
                    continue;
                }
                let whole = restored(&scratch, &dest, &path, &[way, "--partial-reads=never"]);
                for how in ["always", "auto"] {
                    let how = format!("--partial-reads={how}");
                    let parts = restored(&scratch, &dest, &path, &[way, &how]);
                    assert!(
                        parts.1 == whole.1,
                        "{seed} {when} {name} {how}: {:?} {:?}",
                        parts.1,
                        whole.1
                    );
                    assert!(parts.0 == whole.0, "{seed} {when} {name} {how}");
                }
            }
        };
        compare("sound");
        let all = volumes(&dest, "dblock");
        let one = &all[pick(&mut rand, all.len())];
        harm(
            one,
            &all[0],
            [Harm::Flip, Harm::Truncate, Harm::Delete][pick(&mut rand, 3)],
        );
        compare("harmed");
    }
}

/// Takes the locators out of all lists of a plain backup, as Duplicati does that writes them again.
fn forget(dest: &Path) {
    const SCRIPT: &str = r#"
import os, sys, zipfile
for path in sys.argv[1:]:
    old = zipfile.ZipFile(path)
    with zipfile.ZipFile(path + ".new", "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            if not name.startswith("duplet/"):
                new.writestr(name, old.read(name))
    os.replace(path + ".new", path)
"#;
    let lists = volumes(dest, "dlist");
    let mut args = vec!["-c".as_ref(), SCRIPT.as_ref()];
    args.extend(lists.iter().map(|l| l.as_os_str()));
    tool("python3", &args, INSTALL);
}

/// What is changed, moved or taken out keeps its place, as far as that is known: nothing makes the index necessary.
#[test]
fn places_outlive_changes_purges_and_compaction() {
    let scratch = Scratch::new("locator-kept");
    let source = many(&scratch);
    for (n, way) in WAYS.iter().enumerate() {
        let dest = scratch.at(&format!("dest{n}"));
        let run = |args: &[&str]| scratch.run(&[args, &["--no-cache", way]].concat());
        let backup = || {
            let sizes = ["--blocksize=10kb", "--dblock-size=1mb"];
            run(&[&["backup", text(&dest), text(&source)], &sizes[..]].concat()).code(&[0]);
        };
        let cheap = |when: &str, name: &str, most: usize| {
            let s3 = faulty_s3::Server::start();
            let url = s3_url(&s3);
            run(&["copy", text(&dest), &url]).code(&[0]);
            let (path, before) = (source.join(name), s3.0.seen("").len());
            let args = ["cat", &url, text(&path), "--partial-reads=always"];
            let out = scratch.command(&[&args[..], &["--no-cache", way]].concat());
            let out = { out }.output().unwrap();
            assert!(
                out.status.success() && out.stdout == fs::read(&path).unwrap(),
                "{when} {name}"
            );
            let seen = s3.0.seen("").split_off(before);
            // That no index is asked for is looked at there.
            let cost = asked(&seen, &dest);
            assert!(cost.requests <= most, "{when} {name}: {}", cost.requests);
        };
        backup();
        // Most of its blocks are those of the version before, in other volumes.
        let mut large = fs::read(source.join("large")).unwrap();
        large[200_000..200_010].fill(7);
        tree::write(&source.join("large"), &large);
        tree::write(&source.join("d17/in/ner/f33"), b"changed");
        backup();
        cheap("changed", "large", 16);
        // Read again with the same bytes, at its place and at another one.
        let file = fs::File::options().append(true).open(source.join("large"));
        let time = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1 << 30);
        file.unwrap().set_modified(time).unwrap();
        backup();
        cheap("touched", "large", 16);
        fs::rename(source.join("large"), source.join("moved")).unwrap();
        backup();
        cheap("moved", "moved", 16);
        fs::rename(source.join("moved"), source.join("large")).unwrap();
        backup();
        cheap("changed", "d17/in/ner/f33", 8);
        let gone = text(&source.join("d05/*")).to_owned();
        run(&[
            "purge",
            text(&dest),
            &gone,
            "--version=0",
            "--no-auto-compact",
        ])
        .code(&[0]);
        cheap("purged", "d17/in/ner/f33", 8);
        cheap("purged", "d20/in/ner/f01", 8);
        cheap("purged", "large", 16);
        // All that is small moves; the next backup, which has the index in hand, learns where to.
        run(&["compact", text(&dest), "--threshold=0", "--dblock-size=2mb"]).code(&[0]);
        tree::write(&source.join("d17/in/ner/f34"), b"changed again");
        backup();
        cheap("compacted", "d17/in/ner/f34", 8);
        cheap("compacted", "d20/in/ner/f01", 10);
        if n == 1 {
            forget(&dest);
            tree::write(&source.join("d17/in/ner/f35"), b"and again");
            backup();
            cheap("another program", "d20/in/ner/f01", 10);
        }
        run(&["verify", text(&dest), "all"]).code(&[0]);
    }
}

const SCRIPT: &str = r#"
import json, struct, sys, zipfile, zlib
path = sys.argv[1]
archive = zipfile.ZipFile(path)
assert archive.testzip() is None
raw = open(path, "rb").read()
def packed(name):
    entry = archive.getinfo(name)
    at = entry.header_offset
    names, extra = struct.unpack("<HH", raw[at + 26:at + 30])
    at += 30 + names + extra
    return raw[at:at + entry.compress_size]
def number(data, at):
    n = shift = 0
    while True:
        octet = data[at]
        n |= (octet & 127) << shift
        at, shift = at + 1, shift + 7
        if octet < 128:
            return n, at
entries = json.loads(archive.read("filelist.json").decode("utf-8-sig"))
table = archive.read("duplet/segments")
assert table[0] == 1
assert struct.unpack("<I", table[1:5])[0] == archive.getinfo("filelist.json").CRC
at = 5
head = []
for _ in range(4):
    n, at = number(table, at)
    head.append(n)
assert head[0] == archive.getinfo("filelist.json").file_size and head[3] == len(entries)
list_at = places_at = seen = 0
first = b""
for segment in range(head[2]):
    shared, at = number(table, at)
    more, at = number(table, at)
    first = first[:shared] + table[at:at + more]
    at += more
    sizes = []
    for name, start in (("filelist.json", list_at), ("duplet/places", places_at)):
        small, at = number(table, at)
        plain, at = number(table, at)
        crc, at = struct.unpack("<I", table[at:at + 4])[0], at + 4
        text = zlib.decompressobj(-15).decompress(packed(name)[start:start + small])
        assert len(text) == plain and zlib.crc32(text) == crc
        sizes.append(small)
        if name == "filelist.json":
            assert first == entries[seen]["path"].encode()
            assert text.startswith(b"," if segment else b"\xef\xbb\xbf[")
    count, at = number(table, at)
    seen += count
    list_at += sizes[0]
    places_at += sizes[1]
assert at == len(table) and seen == len(entries)
print(head[2], (len(packed("duplet/places")) + len(table) + len(packed("duplet/volumes"))) / len(entries))
"#;

/// Other programs read the list as ever, and any segment by itself; the locator takes few bytes a file.
#[test]
fn other_programs_read_lists_with_a_locator() {
    let scratch = Scratch::new("locator-others");
    let source = many(&scratch);
    let dest = scratch.at("dest");
    let args = [
        "backup",
        text(&dest),
        text(&source),
        "--no-encryption",
        "--no-cache",
        "--blocksize=10kb",
    ];
    scratch.run(&args).code(&[0]);
    let list = &volumes(&dest, "dlist")[0];
    tool("unzip", &["-tqq".as_ref(), list.as_os_str()], INSTALL);
    let out = tool(
        "python3",
        &["-c".as_ref(), SCRIPT.as_ref(), list.as_os_str()],
        INSTALL,
    );
    let out = String::from_utf8(out).unwrap();
    let (segments, bytes) = out.trim().split_once(' ').unwrap();
    assert!(segments.parse::<u32>().unwrap() > 1, "{out}");
    assert!(bytes.parse::<f64>().unwrap() < 12.0, "{out}");
}
