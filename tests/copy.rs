//! `copy`: the same names and bytes at another destination, whatever lies between.

#![allow(clippy::unwrap_used, reason = "a test may fail where it stands")]

#[path = "support/faulty.rs"]
mod faulty;
#[path = "support/faulty_dav.rs"]
mod faulty_dav;
#[path = "support/faulty_s3.rs"]
mod faulty_s3;
mod support;

use std::any::Any;
use std::fs;
use std::path::Path;

use faulty::Trouble;
use faulty_dav::Dav;
use support::harm::{Harm, flip, harm};
use support::servers::{b2, s3};
use support::{Rand, Scratch, contents, names, text, tree, volumes};

const PASSPHRASE: &str = "--passphrase=copied";

/// Three versions in several volumes, in `dest`.
fn three_versions(scratch: &Scratch, more: &[&str]) -> String {
    let (source, dest) = (scratch.folder("source"), scratch.at("dest"));
    for n in 0..3 {
        tree::write(&source.join(format!("of {n}")), &Rand(n).bytes(700_000));
        tree::write(&source.join("daily"), &Rand(10 + n).bytes(200_000));
        let args = ["backup", text(&dest), text(&source), "--no-cache"];
        let args = [&args[..], &["--blocksize=20kb", "--dblock-size=1mb"], more].concat();
        scratch.run(&args).code(&[0]);
    }
    text(&dest).to_owned()
}

/// All files of a folder, sorted.
fn stored(folder: &Path) -> Vec<(std::ffi::OsString, Vec<u8>)> {
    let mut all = contents(folder);
    all.sort();
    all
}

/// Every kind of destination in turn gives what every other kind takes, and gives it back as it was.
#[test]
fn from_every_kind_of_destination_to_every_other() {
    let scratch = Scratch::new("copy-pairs");
    let first = three_versions(&scratch, &[PASSPHRASE]);
    let want = stored(Path::new(&first));
    let store = b2::Server::start();
    let dav = faulty::Server::start(|_| Dav::new());
    let ours = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/faulty_sftp.py");
    let state = scratch.folder("sftp-state");
    let bucket = s3::juicefs();
    let held: [&dyn Any; 2] = [&store, &dav];
    let url = |kind: &str, n: usize| match kind {
        "file" => format!(
            "file://{}",
            text(&scratch.at(&format!("file {n}"))).replace(' ', "%20")
        ),
        "s3" => bucket.url(&format!("copies/of {n}").replace(' ', "%20"), ""),
        "b2" => store.url(&store.master(), &format!("copies/of%20{n}"), ""),
        "webdav" => format!("webdav://{}/d/b/of%20{n}?http-proxy=none", dav.address),
        _ => {
            let folder = text(&scratch.at(&format!("sftp{n}"))).to_owned();
            let ours = format!("python3+'{ours}'+{}", text(&state));
            format!("ssh://localhost{folder}?ssh-command={ours}")
        }
    };
    let kinds = ["file", "s3", "b2", "webdav", "ssh"];
    for (n, kind) in kinds.iter().enumerate() {
        let args = ["copy", &first, &url(kind, n), "--no-cache", PASSPHRASE];
        scratch.run(&args).code(&[0]).says("copied to");
    }
    let mut at = 10;
    for (n, from) in kinds.iter().enumerate() {
        for to in kinds.iter().filter(|to| *to != from) {
            at += 1;
            let (source, target) = (url(from, n), url(to, at));
            let args = ["copy", &source, &target, "--no-cache", PASSPHRASE];
            let args = [&args[..], &["--verify"]].concat();
            scratch.run(&args).code(&[0]).says("copied and read back");
            let back = scratch.at("back");
            let _ = fs::remove_dir_all(&back);
            let args = ["copy", &target, text(&back), "--no-cache", PASSPHRASE];
            scratch.run(&args).code(&[0]);
            assert!(stored(&back) == want, "{from} to {to}: {:?}", names(&back));
            let ran = scratch.run(&["copy", &source, &target, "--no-cache", PASSPHRASE]);
            ran.code(&[0]).says("0 volumes (0 bytes) copied");
        }
    }
    assert_eq!((at, held.len()), (30, 2));
}

/// A version alone, then another: each time no more than it needs, and what came restores.
#[test]
fn chosen_versions_with_what_they_need() {
    for more in [&[PASSPHRASE][..], &["--no-encryption"]] {
        let scratch = Scratch::new("copy-versions");
        let first = three_versions(&scratch, more);
        let to = scratch.at("to");
        let run = |args: &[&str]| {
            let all = [args, &["--no-cache"], more].concat();
            scratch.run(&all)
        };
        let dry = ["copy", &first, text(&to), "--version=2", "--dry-run"];
        run(&dry).code(&[0]).says("would be copied");
        assert!(!to.exists());
        run(&["copy", &first, text(&to), "--version=2"]).code(&[0]);
        let one = names(&to).len();
        assert!(one < names(Path::new(&first)).len(), "{one}");
        let restores = |version: &str, from: &str| {
            let there = scratch.at("restored");
            let _ = fs::remove_dir_all(&there);
            let (path, version) = (
                format!("--restore-path={}", text(&there)),
                format!("--version={version}"),
            );
            run(&["restore", from, &path, &version]).code(&[0]);
            stored(&there)
        };
        let to_text = text(&to).to_owned();
        assert!(restores("0", &to_text) == restores("2", &first));
        run(&["verify", &to_text, "all"]).code(&[0]);
        run(&["copy", &first, &to_text, "--version=0,1"])
            .code(&[0])
            .says("were there");
        for version in ["0", "1", "2"] {
            assert!(restores(version, &to_text) == restores(version, &first));
        }
        let e = run(&["copy", &first, &to_text, "--version=3"]).code(&[100]);
        e.says("version 3 does not exist");
    }
}

/// Damage at the source is named, and the damaged volume and its index stay behind; everything else comes, and once the source is
/// whole again the rest does.
#[test]
fn damage_at_the_source_is_not_copied_over() {
    // The end of a zip file tells where its directory is.
    let end = |len: usize| len - 22;
    // In the data of a list, not in what a zip file says twice.
    let middle = |len: usize| len / 3;
    for (word, how, place) in [
        ("dblock", Harm::Flip, middle as fn(usize) -> usize),
        ("dblock", Harm::Truncate, middle),
        ("dindex", Harm::Flip, middle),
        ("dindex", Harm::Flip, end),
        ("dindex", Harm::Truncate, middle),
        ("dlist", Harm::Flip, middle),
        ("dlist", Harm::Flip, end),
        ("dlist", Harm::Truncate, middle),
    ] {
        for more in [&[PASSPHRASE][..], &["--no-encryption"]] {
            let scratch = Scratch::new("copy-damage");
            let first = three_versions(&scratch, more);
            let whole = stored(Path::new(&first));
            let hurt = volumes(Path::new(&first), word).pop().unwrap();
            let was = fs::read(&hurt).unwrap();
            match how {
                Harm::Flip => flip(&hurt, Some(place(was.len()))),
                how => harm(&hurt, &hurt, how),
            }
            let to = scratch.at("to");
            let args = ["copy", &first, text(&to), "--no-cache"];
            let args = [&args[..], more].concat();
            let name = hurt.file_name().unwrap().to_str().unwrap();
            let ran = scratch.run(&args).says("left out").says(name);
            assert!([2, 3].contains(&ran.code), "{word} {how:?}: {}", ran.all());
            assert!(!to.join(name).exists(), "{word} {how:?}");
            let lacks = whole.len() - names(&to).len();
            assert_eq!(lacks, 1 + usize::from(word == "dblock"), "{word} {how:?}");
            fs::write(&hurt, &was).unwrap();
            scratch.run(&args).code(&[0]);
            assert!(stored(&to) == whole, "{word} {how:?}");
        }
    }
}

/// What is gone from the source is named, and with `--verify` what is spoilt at the target comes again.
#[test]
fn what_either_side_lacks_is_not_passed_over() {
    for more in [&[PASSPHRASE][..], &["--no-encryption"]] {
        let scratch = Scratch::new("copy-lacks");
        let first = three_versions(&scratch, more);
        let whole = stored(Path::new(&first));
        let to = scratch.at("to");
        let args = ["copy", &first, text(&to), "--no-cache"];
        let args = [&args[..], more].concat();
        let gone = volumes(Path::new(&first), "dblock").remove(0);
        let was = fs::read(&gone).unwrap();
        fs::remove_file(&gone).unwrap();
        let name = gone.file_name().unwrap().to_str().unwrap();
        for extra in [&["--dry-run"][..], &[], &["--verify"]] {
            let ran = scratch.run(&[&args[..], extra].concat()).code(&[2]);
            ran.says("lacks 1 data volume").says(name);
        }
        scratch
            .run(&[&args[..], &["--version=2"]].concat())
            .code(&[0, 3]);
        fs::write(&gone, &was).unwrap();
        scratch.run(&args).code(&[0]);
        assert!(stored(&to) == whole);
        for word in ["dblock", "dindex", "dlist"] {
            let hurt = volumes(&to, word).pop().unwrap();
            flip(&hurt, Some(fs::read(&hurt).unwrap().len() / 2));
            scratch.run(&args).code(&[0]);
            assert!(stored(&to) != whole, "{word}");
            let ran = scratch.run(&[&args[..], &["--verify"]].concat()).code(&[0]);
            ran.says("damaged there").says("were there and were read");
            assert!(stored(&to) == whole, "{word}");
        }
    }
}

/// Killed after the n-th volume came, for every n: what came is in the right order, and the next run goes on.
#[test]
fn killed_after_every_volume() {
    let scratch = Scratch::new("copy-cut");
    let first = three_versions(&scratch, &[PASSPHRASE]);
    let want = stored(Path::new(&first));
    let to = scratch.at("to");
    let args = ["copy", &first, text(&to), "--no-cache", PASSPHRASE];
    for n in 1..want.len() {
        let _ = fs::remove_dir_all(&to);
        fs::create_dir(&to).unwrap();
        let mut child = scratch.start(&args);
        while names(&to).len() < n && child.try_wait().unwrap().is_none() {}
        child.kill().unwrap();
        child.wait().unwrap();
        let lists = volumes(&to, "dlist").len();
        let (data, index) = (volumes(&to, "dblock").len(), volumes(&to, "dindex").len());
        assert!(data >= index && (lists == 0 || data == index), "{n}");
        scratch.run(&args).code(&[0]);
        let left = names(&to).len() - want.len();
        let now: Vec<_> = stored(&to)
            .into_iter()
            .filter(|(name, _)| name.to_str().unwrap().starts_with("duplicati-"))
            .collect();
        assert!(now == want, "killed after {n}");
        assert!(left <= 1, "killed after {n}: {:?}", names(&to));
    }
}

/// What is at the target already: another backup, a part of a volume, older versions of the same.
#[test]
fn what_the_target_holds_is_looked_at_first() {
    let scratch = Scratch::new("copy-target");
    let first = three_versions(&scratch, &[PASSPHRASE]);
    let copy = |to: &Path, more: &[&str]| {
        let args = ["copy", &first, text(to), "--no-cache", PASSPHRASE];
        scratch.run(&[&args[..], more].concat())
    };
    let other = Scratch::new("copy-other");
    let strange = three_versions(&other, &[PASSPHRASE]);
    let before = stored(Path::new(&strange));
    copy(Path::new(&strange), &[])
        .code(&[200])
        .says("another backup")
        .says("nothing was changed");
    assert!(stored(Path::new(&strange)) == before);
    copy(Path::new(&first), &[])
        .code(&[200])
        .says("the same folder");
    let none = copy(&scratch.at("to"), &["--prefix=nobody"]).code(&[100]);
    none.says("check the URL and --prefix");
    assert!(!scratch.at("to").exists());
    let to = scratch.at("to");
    copy(&to, &[]).code(&[0]);
    let part = volumes(&to, "dblock").pop().unwrap();
    let data = fs::read(&part).unwrap();
    fs::write(&part, &data[..1000]).unwrap();
    copy(&to, &[]).code(&[0]).says("1 volume (");
    assert!(fs::read(&part).unwrap() == data);
    // The source forgets a version: the copy keeps it, and says so.
    let args = ["delete", &first, "--version=2", "--no-cache", PASSPHRASE];
    scratch.run(&args).code(&[0]);
    copy(&to, &[]).code(&[0]).says("has not any more");
    assert_eq!(volumes(&to, "dlist").len(), 3);
    let args = ["verify", text(&to), "all", "--no-cache", PASSPHRASE];
    scratch.run(&args).code(&[0]);
    let few = scratch.run(&["copy", &first]).code(&[200]);
    few.says("too few arguments");
}

/// A target that takes no more, or gives back something else: one clear line, and nothing half is believed.
#[test]
fn a_target_that_fails() {
    let scratch = Scratch::new("copy-full");
    let first = three_versions(&scratch, &[PASSPHRASE]);
    let server = faulty_s3::Server::start();
    let at = server.address.port();
    let url = format!("s3://b/f?s3-server-name=127.0.0.1:{at}&use-ssl=false");
    let copy = |more: &[&str]| {
        let args = ["copy", &first, &url, "--no-cache", PASSPHRASE];
        let more = [&["--retry-delay=0s", "--http-proxy=none"], more].concat();
        let env = [("AUTH_USERNAME", "key"), ("AUTH_PASSWORD", "secret")];
        scratch.run_env(&[&args[..], &more].concat(), &env)
    };
    let full = faulty_s3::error("InsufficientStorage", "");
    server.script("PUT", ".dindex.", Trouble::Answer(507, Vec::new(), full));
    let ran = copy(&["--number-of-retries=0"]).code(&[100]);
    ran.says("cannot upload duplicati-").sane();
    let came = server.with(|s3| s3.files.len());
    assert_eq!(came, 1, "a data volume, and no index or list");
    server.script(
        "PUT",
        ".dindex.",
        Trouble::Answer(500, Vec::new(), String::new()),
    );
    copy(&["--verify"]).code(&[0]).says("read back").sane();
    let there = server.with(|s3| s3.files.len());
    assert_eq!(there, names(Path::new(&first)).len());
}
