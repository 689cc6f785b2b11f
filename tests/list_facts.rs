//! What the tables of versions and entries say: counts that stay known, what a version added, its sources; modes, owners and
//! times of what is in it; words whatever the case of their letters is.

#![allow(clippy::unwrap_used, reason = "a test may fail where it stands")]

mod support;

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use support::{
    Ran, Rand, Scratch, copy_folder, fixture, fixture_names, opens_with, text, tree, volumes,
};

const PASSPHRASE: &str = "--passphrase=x";

struct World {
    scratch: Scratch,
    dest: String,
}

impl World {
    fn new(label: &str) -> World {
        let scratch = Scratch::new(label);
        World {
            dest: text(&scratch.at("dest")).to_owned(),
            scratch,
        }
    }

    fn run(&self, command: &str, more: &[&str]) -> Ran {
        let args = [&[command, &self.dest, PASSPHRASE], more].concat();
        self.scratch.run(&args)
    }

    /// The table of versions, a line each, without time.
    fn table(&self, more: &[&str]) -> Vec<String> {
        let ran = self.run("list", more).code(&[0]);
        let rest = |line: &str| line.get(27..).unwrap_or("").to_owned();
        ran.out.lines().map(rest).collect()
    }
}

#[test]
fn versions_made_or_read_here_keep_their_counts() {
    let w = World::new("facts-counts");
    let (a, b) = (w.scratch.folder("a"), w.scratch.folder("b"));
    let (a_name, b_name) = (format!("{}/", text(&a)), format!("{}/", text(&b)));
    tree::write(&a.join("one"), &Rand(1).bytes(100_000));
    w.run("backup", &[text(&a)]).code(&[0]);
    tree::write(&b.join("two"), &Rand(2).bytes(3000));
    w.run("backup", &[text(&a), text(&b)]).code(&[0]);
    w.run("backup", &[text(&a), text(&b)]).code(&[1]);
    tree::write(&a.join("three"), b"");
    w.run("backup", &[text(&b), text(&a)]).code(&[0]);
    let three = w.table(&[]);
    assert_eq!(three.len(), 3);
    for (line, files, sources) in [
        (
            &three[0],
            "3 files, 100.58 KiB, ",
            format!("{a_name} {b_name}"),
        ),
        (
            &three[1],
            "2 files, 100.58 KiB, ",
            format!("{a_name} {b_name}"),
        ),
        (&three[2], "1 file, 97.65 KiB, ", a_name.clone()),
    ] {
        assert!(
            line.starts_with(files) && line.ends_with(&format!(" added  {sources}")),
            "{line}"
        );
    }
    let json = w.run("list", &["--json"]).code(&[0]).json();
    let sets = json["Filesets"].as_array().unwrap().clone();
    let added: Vec<u64> = sets
        .iter()
        .map(|s| s["AddedSize"].as_u64().unwrap())
        .collect();
    assert!(
        added[2] > 100_000 && (3000..20_000).contains(&added[1]),
        "{added:?}"
    );
    assert_eq!(sets[0]["Sources"], serde_json::json!([a_name, b_name]));
    assert_eq!(
        (&sets[0]["FileCount"], &sets[0]["FileSizes"]),
        (&3.into(), &103_000.into())
    );
    assert_eq!(sets[0]["MoreSources"], false);

    // Another machine knows nothing, reads what it is asked to, and then knows that.
    let other = format!("--cache-dir={}", text(&w.scratch.at("other")));
    let ran = w.run("list", &[&other]).code(&[0]);
    assert_eq!(ran.out.matches("  list of ").count(), 3, "{}", ran.all());
    assert_eq!(ran.err, "", "only a person is told what to do next");
    w.run("list", &[&other, "-v"])
        .code(&[0])
        .says("3 versions are not counted yet: 'duplet list URL --full-result' downloads ");
    w.run("list", &["2", &other]).code(&[0]);
    let table = w.table(&[&other]);
    assert!(
        table[0].starts_with("list of ") && table[1].starts_with("list of "),
        "{table:?}"
    );
    assert_eq!(table[2], format!("1 file, 97.65 KiB  {a_name}"));
    let to = format!("--restore-path={}", text(&w.scratch.at("to")));
    w.run("restore", &["--version=1", &to, &other]).code(&[0]);
    let ran = w
        .run("list", &[&other, "-v"])
        .code(&[0])
        .says("one version is not counted yet");
    assert_eq!(ran.out.matches("  list of ").count(), 1, "{}", ran.all());
    w.run("find", &["one", &other]).code(&[0]);
    let ran = w.run("list", &[&other]).code(&[0]);
    assert!(
        ran.err.is_empty() && !ran.out.contains("list of"),
        "{}",
        ran.all()
    );
    let whole = w.table(&["--full-result", "--no-cache"]);
    assert_eq!(w.table(&[&other]), whole);
    // What is lost of it is only not known.
    let caches = w.scratch.at("other");
    for folder in fs::read_dir(&caches)
        .unwrap()
        .flatten()
        .filter(|f| f.path().is_dir())
    {
        fs::write(folder.path().join("counts"), "no counts").unwrap();
    }
    let ran = w.run("list", &[&other]).code(&[0]);
    assert!(ran.out.contains("list of "), "{}", ran.all());
    // Versions that went are forgotten, others keep their numbers.
    w.run("delete", &["--version=1"]).code(&[0]);
    let left = w.table(&[]);
    assert_eq!(left, [three[0].clone(), three[2].clone()]);
}

#[test]
fn many_sources_are_cut_and_a_partial_version_is_called_so() {
    let w = World::new("facts-sources");
    let mut sources = Vec::new();
    for n in 0..5 {
        let path = w.scratch.at(&format!("s{n}"));
        tree::write(&path, b"x");
        sources.push(text(&path).to_owned());
    }
    let words: Vec<&str> = sources.iter().map(String::as_str).collect();
    w.run("backup", &words).code(&[0]);
    for more in [&[][..], &["--no-cache", "--full-result"]] {
        let table = w.table(more);
        let end = format!("  {} {} {} ...", sources[0], sources[1], sources[2]);
        assert!(table[0].ends_with(&end), "{table:?}");
    }
    let json = w.run("list", &["--json"]).json();
    assert_eq!(json["Filesets"][0]["MoreSources"], true);
}

/// Mode and path of each line of a long list.
fn modes(out: &str) -> Vec<(String, String)> {
    let of = |line: &str| {
        let (mode, rest) = line.split_at(10);
        let path = rest.split_once('/').unwrap().1;
        (mode.to_owned(), format!("/{path}"))
    };
    out.lines().map(of).collect()
}

#[test]
fn a_long_list_has_modes_owners_times_and_targets() {
    let w = World::new("facts-long");
    let source = w.scratch.folder("s");
    for (name, mode) in [("a", 0o640), ("run", 0o755), ("none", 0), ("all", 0o777)] {
        tree::write(&source.join(name), &vec![7; 3000]);
        fs::set_permissions(source.join(name), fs::Permissions::from_mode(mode)).unwrap();
    }
    fs::create_dir(source.join("closed")).unwrap();
    fs::set_permissions(source.join("closed"), fs::Permissions::from_mode(0o700)).unwrap();
    symlink("../else where", source.join("link")).unwrap();
    tree::set_time(&source.join("a"), 1_600_000_000, 0);
    let root = text(&source).to_owned();
    let readable: &[i32] = if support::is_root() { &[0] } else { &[2] };
    w.run("backup", &[&root]).code(readable);
    let at = |name: &str| format!("{root}/{name}");
    let mut want = vec![
        ("-rw-r-----", at("a")),
        ("-rwxrwxrwx", at("all")),
        ("drwx------", at("closed/")),
        ("lrwxrwxrwx", at("link -> ../else where")),
        ("-rwxr-xr-x", at("run")),
    ];
    if support::is_root() {
        want.insert(4, ("----------", at("none")));
    }
    for more in [
        &["-l"][..],
        &["0", "-l"],
        &["--long", "--version=0", "--no-cache"],
    ] {
        let ran = w.run("list", more).code(&[0]);
        let mut seen = modes(&ran.out);
        let (mode, path) = seen.remove(0);
        assert!(
            mode.starts_with("drwx") && path == format!("{root}/"),
            "{path}"
        );
        let seen: Vec<_> = seen.iter().map(|(m, p)| (m.as_str(), p.clone())).collect();
        assert_eq!(seen, want, "{}", ran.all());
        let size = ran.out.lines().nth(1).unwrap();
        assert!(size.contains("  2.92 KiB  2020-09-13 "), "{size}");
        ran.says(" folders, 1 link");
    }
    let ran = w.run("list-folder-content", &["-l"]).code(&[0]);
    assert_eq!(modes(&ran.out).len(), want.len(), "{}", ran.all());
    let json = w.run("list", &["link", "-l", "--json"]).code(&[0]).json();
    let file = &json["Files"][0];
    assert_eq!(
        (&file["Mode"], &file["Target"]),
        (&"0777".into(), &"../else where".into())
    );
    assert!(file["Uid"].is_u64() && file["Owner"].is_string(), "{file}");
    // Without a word about modes nothing but the list is read; times are there.
    let plain = w.run("list", &["a"]).code(&[0]);
    assert!(
        plain.out.contains("/s/a (2.92 KiB)  2020-09-13 "),
        "{}",
        plain.all()
    );
    // Of several versions there is no single mode.
    tree::write(&source.join("new"), b"x");
    w.run("backup", &[&root]).code(readable);
    w.run("list", &["a", "-l", "--all-versions"])
        .code(&[200])
        .says("--version=N");
    w.run("find", &["a", "-l"]).code(&[200]).says("list");
    // What is lost is a question mark, the rest is there.
    for volume in volumes(Path::new(&w.dest), "dblock") {
        fs::write(volume, "no volume").unwrap();
    }
    let ran = w.run("list", &["run", "-l", "--no-cache"]).code(&[2]);
    assert!(ran.out.starts_with("-????????? "), "{}", ran.all());
    for volume in volumes(Path::new(&w.dest), "dblock") {
        fs::remove_file(volume).unwrap();
    }
    let ran = w.run("list", &["run", "-l", "--no-cache"]).code(&[0, 2]);
    assert!(ran.out.starts_with("-????????? "), "{}", ran.all());
}

#[test]
fn long_lists_of_other_programs_backups_know_what_a_restore_gives() {
    let scratch = Scratch::new("facts-foreign");
    let mut seen = 0;
    for name in fixture_names() {
        let secret = opens_with(&name);
        let dest = scratch.at(&name);
        copy_folder(&fixture(&name).join("dest"), &dest);
        let option = secret.unwrap_or("--no-encryption");
        let args = |more: &'static str| vec!["list", text(&dest), "0", option, more];
        let long = scratch.run(&args("-l"));
        if name == "gpg" && long.code == 100 {
            // There is no such program here.
            continue;
        }
        let long = long.code(&[0]);
        let short = scratch.run(&args("-q")).code(&[0]);
        assert_eq!(
            long.out.lines().count(),
            short.out.lines().count(),
            "{name}"
        );
        let modes = modes(&long.out);
        let expected = fixture(&name).join("expected");
        let Some(newest) = support::names(&expected).into_iter().max() else {
            continue;
        };
        for line in fs::read_to_string(expected.join(newest)).unwrap().lines() {
            let entry: serde_json::Value = serde_json::from_str(line).unwrap();
            let Some(path) = entry["path"].as_str().filter(|p| !p.is_empty()) else {
                continue;
            };
            let ends = |p: &str| {
                p.split(" -> ")
                    .next()
                    .unwrap()
                    .trim_end_matches('/')
                    .ends_with(&format!("/{path}"))
            };
            let mut found = modes.iter().filter(|(_, p)| ends(p));
            let (mode, _) = found.next().unwrap_or_else(|| panic!("{name}: {path}"));
            let bits = u32::from_str_radix(entry["mode"].as_str().unwrap_or("0"), 8).unwrap();
            let want: String = (0..9)
                .map(|i| match bits >> (8 - i) & 1 {
                    0 => '-',
                    _ => ['r', 'w', 'x'][i % 3],
                })
                .collect();
            if entry["mode"].is_string() && name != "skip-metadata" && entry["type"] != "symlink" {
                assert_eq!(mode[1..], want, "{name}: {path}");
                seen += 1;
            }
        }
    }
    assert!(seen >= 30, "{seen}");
}

#[test]
fn words_match_whatever_their_case_is() {
    let w = World::new("facts-case");
    let source = w.scratch.folder("Source");
    for name in [
        "Doc/Letter.TXT",
        "Doc/sub/photo.JPG",
        "Doc/\u{c4}pfel.txt",
        "other.txt",
    ] {
        let path = source.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        tree::write(&path, b"x");
    }
    w.run("backup", &[text(&source)]).code(&[0]);
    for (word, found) in [
        ("letter.txt", "/Doc/Letter.TXT"),
        ("LETTER.TXT", "/Doc/Letter.TXT"),
        ("doc/letter.txt", "/Doc/Letter.TXT"),
        ("DOC", "/Doc/sub/photo.JPG"),
        ("doc/", "/Doc/Letter.TXT"),
        ("*.jpg", "/Doc/sub/photo.JPG"),
        ("*PHOTO*", "/Doc/sub/photo.JPG"),
        ("SUB/*", "/Doc/sub/photo.JPG"),
        ("\u{e4}pfel.txt", "/Doc/\u{c4}pfel.txt"),
        ("[.*letter.*]", "/Doc/Letter.TXT"),
    ] {
        let to = w.scratch.at("to");
        let option = format!("--restore-path={}", text(&to));
        for ignoring in ["-i", "--ignore-case"] {
            for command in ["list", "find"] {
                w.run(command, &[word, ignoring]).code(&[0]).says(found);
            }
            let _ = fs::remove_dir_all(&to);
            w.run("restore", &[word, ignoring, &option]).code(&[0]);
            assert!(!support::names(&to).is_empty(), "{word}");
        }
        if word != "*PHOTO*" {
            w.run("find", &[word]).code(&[100]);
        }
    }
    w.run("list-folder-content", &["DOC", "-i"])
        .code(&[0])
        .says("Letter.TXT");
    w.run("list-folder-content", &["DOC"]).code(&[100]);
    w.run("find", &["letter.txt"]).code(&[100]).says("-i");
    // A purge takes what is named exactly.
    w.run("purge", &["letter.txt", "-i"]).code(&[200]);
}
