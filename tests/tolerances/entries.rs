//! What versions say: manifests, metadata, entries and their order, paths, unknown JSON.

use super::*;

/// R1: a manifest of version 1, and one without `AppVersion`, is accepted.
#[test]
fn r01_old_manifest() {
    for (manifest, app_version) in [(1, false), (1, true), (2, false)] {
        let (case, mut m) = Case::new("r01");
        (m.manifest, m.app_version) = (manifest, app_version);
        case.clean(&simple(&m));
    }
}

/// R2: a byte order mark in manifest, fileset, filelist, metadata and `vol/` is stripped if it is there.
#[test]
fn r02_byte_order_marks() {
    for (bom, vol_bom) in [(false, false), (true, true), (false, true)] {
        let (case, mut m) = Case::new("r02");
        (m.bom, m.vol_bom) = (bom, vol_bom);
        case.clean(&simple(&m));
        let (ran, to) = case.restore(&[]);
        assert_eq!(mtime(&to.join("single")), META_TIME, "{}", ran.all());
    }
}

/// R3: without `fileset` a version is a full backup.
#[test]
fn r03_no_fileset() {
    for (fileset, partial) in [(None, false), (Some(true), false), (Some(false), true)] {
        let (case, mut m) = Case::new("r03");
        m.fileset = fileset;
        case.clean(&simple(&m));
        let ran = case.run("list", &["--full-result"]).code(&[0]);
        assert_eq!(ran.out.contains("partial"), partial, "{}", ran.all());
    }
}

/// R4: without `metahash` an entry has no metadata; `time` is a file's time, and a link without target is told of.
#[test]
fn r04_no_metadata() {
    let (case, m) = Case::new("r04");
    let mut volume = Volume::new(1);
    let mut all = vec![
        m.folder(&mut volume, "/d/", None),
        m.file(&mut volume, "/d/file", b"content", None),
        m.file(&mut volume, "/d/empty", b"", None),
    ];
    m.both(&mut volume);
    m.dlist(TIME, &all);
    case.clean(&vec![one("file", b"content"), one("empty", b"")]);
    let (_, to) = case.restore(&[]);
    for name in ["file", "empty"] {
        assert_eq!(mtime(&to.join(name)), LIST_TIME * 10_000_000);
    }
    all.push(r#"{"type":"Symlink","path":"/d/link"}"#.to_owned());
    m.dlist("20240131T123501Z", &all);
    let (ran, to) = case.restore(&[]);
    has(&to, &vec![one("file", b"content")], &ran);
    ran.code(&[3]).says("/link");
}

/// R5: metadata of nothing, of `null` values and of unknown keys is accepted; what it does not say is as without metadata.
#[test]
fn r05_odd_metadata() {
    let texts = [
        ("{}", LIST_TIME * 10_000_000),
        (
            r#"{"unix:uid-gid-perm":null,"CoreAttributes":null,"CoreLastWritetime":null,"unix-ext:user.x":null}"#,
            LIST_TIME * 10_000_000,
        ),
        (
            r#"{"gsuite:id":"1\ud83e","x":{"y":[1,2]},"n":7,"CoreLastWritetime":"638423012961234567","CoreAttributes":"Future, Odd"}"#,
            META_TIME,
        ),
    ];
    for (meta, time) in texts {
        let (case, m) = Case::new("r05");
        let mut volume = Volume::new(1);
        let all = [
            m.folder(&mut volume, "/d/", Some(meta)),
            m.file(&mut volume, "/d/file", b"content", Some(meta)),
        ];
        m.both(&mut volume);
        m.dlist(TIME, &all);
        case.clean(&vec![one("file", b"content")]);
        let (ran, to) = case.restore(&["--restore-permissions"]);
        let ran = ran.code(&[0]);
        assert_eq!(mtime(&to.join("file")), time, "{meta}: {}", ran.all());
    }
}

/// R14: a separator after a link's path is stripped; links are made as they are and never followed.
#[test]
fn r14_links() {
    let (case, m) = Case::new("r14");
    let outside = case.scratch.folder("outside");
    let mut volume = Volume::new(1);
    let links = [
        ("to-folder/", "folder"),
        ("outside", text(&outside)),
        ("up/", "../../outside"),
        ("plain", "no/such\nthing"),
    ];
    let mut all = vec![m.folder(&mut volume, "/d/", None)];
    for (name, target) in links {
        all.push(m.symlink(&mut volume, &format!("/d/{name}"), target));
    }
    all.push(m.file(&mut volume, "/d/folder/file", b"content", None));
    m.both(&mut volume);
    m.dlist(TIME, &all);
    case.clean(&vec![one("folder/file", b"content")]);
    let (ran, to) = case.restore(&[]);
    for (name, target) in links {
        let at = to.join(name.trim_end_matches('/'));
        assert_eq!(
            fs::read_link(&at).unwrap(),
            Path::new(target),
            "{}",
            ran.all()
        );
    }
    assert!(support::names(&outside).is_empty());
}

/// R15: drive letters and servers become folders; alternate streams become files beside theirs.
#[test]
fn r15_windows_paths() {
    let (case, m) = Case::new("r15");
    let mut volume = Volume::new(1);
    let files = [
        (r"C:\Users\a\x.txt", "C/Users/a/x.txt"),
        (r"C:\Users\a\x.txt:stream", "C/Users/a/x.txt:stream"),
        (r"D:\y", "D/y"),
        (r"\\server\share\z", "server/share/z"),
    ];
    let mut all = vec![
        m.folder(&mut volume, r"C:\Users\", Some(META)),
        m.symlink(&mut volume, r"C:\Users\link\", r"a\x.txt"),
    ];
    let mut want = Want::new();
    for (path, to) in files {
        all.push(m.file(&mut volume, path, path.as_bytes(), Some(META)));
        want.push(one(to, path.as_bytes()));
    }
    all.push(m.file(&mut volume, r"C:\Users\..\..\evil", b"evil", None));
    m.both(&mut volume);
    m.dlist(TIME, &all);
    case.run("list", &["0"]).code(&[0]).says(r"x.txt:stream");
    case.verify().code(&[0]);
    let (ran, to) = case.restore(&[]);
    has(&to, &want, &ran);
    // One path leads out of the target: it is named, the rest is there.
    ran.code(&[3]).says("evil");
    assert!(
        fs::symlink_metadata(to.join("C/Users/link"))
            .unwrap()
            .is_symlink()
    );
    assert!(!to.join("evil").exists() && !to.join("C/evil").exists());
    // Below one folder its path is left out.
    let (ran, to) = case.restore(&[r"C:\Users\a\*"]);
    has(&to, &vec![one("x.txt", files[0].0.as_bytes())], &ran);
    ran.code(&[0]);
    // Such paths do not exist here.
    case.run("restore", &[]).code(&[200]).says("--restore-path");
}

/// R16: folders are made when no entry speaks of them or only a later one does; links come last and are not written through.
#[test]
fn r16_folders_and_links() {
    let (case, m) = Case::new("r16");
    let outside = case.scratch.folder("outside");
    let mut volume = Volume::new(1);
    let all = [
        m.file(&mut volume, "/d/none/deep/file", b"no folder entry", None),
        m.file(&mut volume, "/d/later/file", b"folder entry later", None),
        m.symlink(&mut volume, "/d/both", text(&outside)),
        m.file(&mut volume, "/d/both/file", b"below a link", None),
        m.folder(&mut volume, "/d/later/", Some(META)),
        m.folder(&mut volume, "/d/", Some(META)),
    ];
    m.both(&mut volume);
    m.dlist(TIME, &all);
    let (ran, to) = case.restore(&[]);
    let want = vec![
        one("none/deep/file", b"no folder entry"),
        one("later/file", b"folder entry later"),
        one("both/file", b"below a link"),
    ];
    has(&to, &want, &ran);
    ran.code(&[0, 2, 3]);
    assert!(support::names(&outside).is_empty());
    let got = take(&to);
    // The folder's own time, although a file was made in it afterwards.
    assert_eq!(got[&b"later"[..]].mtime, META_TIME);
    assert_eq!(got[&b"both"[..]].kind, Kind::Folder);
    // A second restore over the first changes nothing outside either.
    let place = format!("--restore-path={}", text(&to));
    case.run("restore", &[&place, "--overwrite"]).sane();
    assert!(support::names(&outside).is_empty());
    case.verify().code(&[0]);
}

/// R17: of entries with one path the first in the list wins, and the path is warned about.
#[test]
fn r17_first_of_a_path_wins() {
    let contents: Vec<Vec<u8>> = (0..6u64).map(|n| random(n, 20)).collect();
    for first in 0..contents.len() {
        let (case, m) = Case::new("r17");
        let mut volume = Volume::new(1);
        let mut all = vec![m.folder(&mut volume, "/d/", None)];
        for i in 0..contents.len() {
            let data = &contents[(first + i) % contents.len()];
            all.push(m.file(&mut volume, "/d/twice", data, None));
        }
        all.push(m.symlink(&mut volume, "/d/twice/", "elsewhere"));
        all.push(m.file(&mut volume, "/d/once", b"once", None));
        m.both(&mut volume);
        m.dlist(TIME, &all);
        let (ran, to) = case.restore(&[]);
        has(
            &to,
            &vec![one("twice", &contents[first]), one("once", b"once")],
            &ran,
        );
        ran.code(&[2]).says("/d/twice");
    }
    // A link first, then a file.
    let (case, m) = Case::new("r17-link");
    let mut volume = Volume::new(1);
    let all = [
        m.symlink(&mut volume, "/d/twice", "elsewhere"),
        m.file(&mut volume, "/d/twice", b"file", None),
        m.file(&mut volume, "/d/once", b"once", None),
    ];
    m.both(&mut volume);
    m.dlist(TIME, &all);
    let (ran, to) = case.restore(&[]);
    assert!(fs::read_link(to.join("twice")).is_ok(), "{}", ran.all());
    ran.code(&[2]).says("/d/twice");
}

/// R18: `null` and empty strings among `blocklists` are passed over.
#[test]
fn r18_empty_blocklist_items() {
    let (case, m) = Case::new("r18");
    let mut volume = Volume::new(1);
    let data = random(3, 40_000);
    let entry = m.file(&mut volume, "/d/file", &data, Some(META));
    let (head, lists) = entry.split_once("\"blocklists\":[").unwrap();
    let lists = lists.replace("\",\"", "\",null,\"\",\"");
    let lists = lists.replace(']', ",null,\"\"]");
    let entry = format!("{head}\"blocklists\":[null,\"\",{lists}");
    assert_eq!(entry.matches("null").count(), 3, "{entry}");
    let small = m.file(&mut volume, "/d/small", b"small", None);
    let small = small.replace("\"size\":5", "\"size\":5,\"blocklists\":[null,\"\"]");
    m.both(&mut volume);
    m.dlist(TIME, &[entry, small]);
    case.clean(&vec![one("file", &data), one("small", b"small")]);
}

/// R25: unknown properties anywhere, any order of them, and unknown types of entries are ignored.
#[test]
fn r25_unknown_json() {
    let (case, mut m) = Case::new("r25");
    m.unknown = true;
    let mut volume = Volume::new(1);
    let (mut all, mut want) = basic(&m, &mut volume);
    let data = random(6, 3000);
    let entry = m.file(&mut volume, "/d/mixed", &data, Some(META));
    // Backwards: the properties of these entries hold no comma.
    let mut parts: Vec<&str> = entry.trim_matches(['{', '}']).split(',').collect();
    parts.reverse();
    parts.insert(
        2,
        r#""future":{"type":"Folder","path":["/x",null,{"size":-1.5e300}]}"#,
    );
    all.push(format!("{{ {} }}", parts.join(" ,\n")));
    want.push(one("mixed", &data));
    all.push(r#"{"type":"Fifo","path":"/d/fifo","major":3}"#.to_owned());
    all.insert(0, r#"{"path":"/elsewhere/x","type":"Door"}"#.to_owned());
    m.both(&mut volume);
    m.dlist(TIME, &all);
    case.clean(&want);
    let (_, to) = case.restore(&[]);
    assert!(!to.join("fifo").exists());
}
