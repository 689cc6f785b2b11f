#![allow(clippy::unwrap_used, reason = "a failing step fails the test")]

use super::*;

/// What one version holds; links and folders as stored.
const PATHS: [&str; 24] = [
    "/home/a/",
    "/home/a/doc/",
    "/home/a/doc/notes.txt",
    "/home/a/doc/in/x.txt",
    "/home/a/data/doc/",
    "/home/a/data/doc/y.txt",
    "/home/a/notes.txt",
    "/home/a/my doc/z",
    "/home/a/a[1].txt",
    "/home/a/a1.txt",
    "/home/a/what?.txt",
    "/home/a/whats.txt",
    "/home/a/*star",
    "/home/a/{Images}",
    "/home/a/@at",
    "/home/a/at",
    "/home/a/p[x",
    "/home/a/cafe\u{301}/menu",
    "/home/a/\u{e9}t\u{e9}.txt",
    "/home/a/photo.jpg",
    "/home/a/[.*]",
    "C:\\Users\\b\\doc\\w.txt",
    "C:\\Users\\b\\Other\\v.txt",
    "/home/a/back\\slash",
];

fn selection(words: &[&str], here: &str) -> Selection {
    let parse = |w: &&str| Word::parse(w, Some(Path::new(here))).unwrap();
    Selection(words.iter().map(parse).collect())
}

/// What a purge takes.
fn taken(words: &[&str], here: &str) -> Vec<&'static str> {
    let selection = selection(words, here);
    let (mut best, mut fits) = (selection.best(), Vec::new());
    for path in PATHS {
        selection.fit(path.as_bytes(), Case::Sensitive, &mut fits);
        best.note(&fits);
    }
    let takes = |path: &&str| selection.takes(path.as_bytes(), Case::Sensitive, &best);
    PATHS.into_iter().filter(takes).collect()
}

fn chosen(words: &[&str], here: &str) -> Vec<&'static str> {
    let selection = selection(words, here);
    let (mut best, mut fits) = (selection.best(), Vec::new());
    for path in PATHS {
        selection.fit(path.as_bytes(), Case::Sensitive, &mut fits);
        best.note(&fits);
    }
    let allowed = |path: &&str| {
        let mut fits = Vec::new();
        selection.fit(path.as_bytes(), Case::Sensitive, &mut fits);
        best.allows(&fits)
    };
    PATHS.into_iter().filter(allowed).collect()
}

#[test]
fn words_find_what_they_name() {
    let doc = [
        "/home/a/doc/",
        "/home/a/doc/notes.txt",
        "/home/a/doc/in/x.txt",
    ];
    let inner = ["/home/a/data/doc/", "/home/a/data/doc/y.txt"];
    let windows = "C:\\Users\\b\\doc\\w.txt";
    let all_docs = [doc.as_slice(), &inner, &[windows]].concat();
    for (word, here, want) in [
        // Folders, with and without a slash, from anywhere on and from the root.
        ("doc", "/", all_docs.clone()),
        ("doc/", "/", all_docs.clone()),
        ("data/doc", "/", inner.to_vec()),
        ("data/doc/", "/", inner.to_vec()),
        ("a/doc", "/", doc.to_vec()),
        ("/home/a/doc", "/", doc.to_vec()),
        ("/home/a/doc/", "/", doc.to_vec()),
        ("/doc", "/", vec![]),
        ("oc", "/", vec![]),
        ("my doc", "/", vec!["/home/a/my doc/z"]),
        // Files.
        (
            "notes.txt",
            "/",
            vec!["/home/a/doc/notes.txt", "/home/a/notes.txt"],
        ),
        ("doc/notes.txt", "/", vec!["/home/a/doc/notes.txt"]),
        ("/home/a/notes.txt", "/", vec!["/home/a/notes.txt"]),
        ("notes.txt/", "/", vec![]),
        ("/home/a/notes", "/", vec![]),
        // From the current folder, and anywhere if it has none.
        ("./notes.txt", "/home/a", vec!["/home/a/notes.txt"]),
        ("./notes.txt", "/home/a/doc", vec!["/home/a/doc/notes.txt"]),
        (
            "./doc/notes.txt",
            "/elsewhere",
            vec!["/home/a/doc/notes.txt"],
        ),
        ("../notes.txt", "/home/a/doc", vec!["/home/a/notes.txt"]),
        ("../../a/doc/", "/home/a/doc", doc.to_vec()),
        (".", "/home/a/doc", doc.to_vec()),
        ("./.", "/home/a/doc", doc.to_vec()),
        ("..", "/home/a/doc/in", doc.to_vec()),
        (
            "./*.txt",
            "/home/a/doc",
            vec!["/home/a/doc/notes.txt", "/home/a/doc/in/x.txt"],
        ),
        // Names that look like patterns.
        ("a[1].txt", "/", vec!["/home/a/a[1].txt"]),
        ("what?.txt", "/", vec!["/home/a/what?.txt"]),
        ("*star", "/", vec!["/home/a/*star"]),
        ("{Images}", "/", vec!["/home/a/{Images}"]),
        ("[.*]", "/", vec!["/home/a/[.*]"]),
        ("@at", "/", vec!["/home/a/@at"]),
        ("p[x", "/", vec!["/home/a/p[x"]),
        ("back\\slash", "/", vec!["/home/a/back\\slash"]),
        // Patterns, when nothing is called so.
        ("photo.???", "/", vec!["/home/a/photo.jpg"]),
        ("a/ph*", "/", vec!["/home/a/photo.jpg"]),
        ("doc/*", "/", all_docs.clone()),
        ("[.*/photo[.].*]", "/", vec!["/home/a/photo.jpg"]),
        ("@photo.jpg", "/", vec!["/home/a/photo.jpg"]),
        ("@/home/a/photo.jpg", "/", vec!["/home/a/photo.jpg"]),
        // Composed and decomposed.
        ("caf\u{e9}", "/", vec!["/home/a/cafe\u{301}/menu"]),
        ("a/caf\u{e9}/", "/", vec!["/home/a/cafe\u{301}/menu"]),
        (
            "e\u{301}te\u{301}.txt",
            "/",
            vec!["/home/a/\u{e9}t\u{e9}.txt"],
        ),
        ("caf\u{e9}/*", "/", vec!["/home/a/cafe\u{301}/menu"]),
        // Windows paths, with either slash and in either case.
        ("C:\\Users\\b\\doc", "/", vec![windows]),
        ("c:/users/b/doc/", "/", vec![windows]),
        ("b/DOC/w.txt", "/", vec![windows]),
        ("C:", "/", vec![windows, "C:\\Users\\b\\Other\\v.txt"]),
        (
            "/",
            "/",
            PATHS
                .iter()
                .filter(|p| p.starts_with('/'))
                .copied()
                .collect(),
        ),
        ("*", "/", PATHS.to_vec()),
    ] {
        let mut have = chosen(&[word], here);
        let mut want = want;
        have.sort_unstable();
        want.sort_unstable();
        assert_eq!(have, want, "{word} in {here}");
    }
}

#[test]
fn what_scripts_leave_in_a_path_means_nothing() {
    for (word, tidy) in [
        ("a//b", "a/b"),
        ("//a///b//", "/a/b/"),
        ("/a/./b", "/a/b"),
        ("a/.", "a/"),
        ("/./a", "/a"),
        ("././a", "./a"),
        (".//a", "./a"),
        ("a/x/../b", "a/b"),
        ("a/x/..", "a/"),
        ("/a/../../b", "/b"),
        ("../a//b", "../a/b"),
        ("../../a", "../../a"),
        ("a*/../b", "a*/../b"),
        ("a//*.txt", "a/*.txt"),
        ("a/.git", "a/.git"),
        ("a/..x/b", "a/..x/b"),
        ("//", "/"),
        ("a/..", "a/.."),
        ("[a//b]", "[a//b]"),
        ("{a//b}", "{a//b}"),
        ("C:\\a", "C:\\a"),
    ] {
        assert_eq!(tidied(word), tidy, "{word}");
    }
    for word in ["home//a", "/home/./a/", "/home/x/../a", "home/a/."] {
        assert_eq!(chosen(&[word], "/"), chosen(&["/home/a/"], "/"), "{word}");
    }
}

#[test]
fn every_word_is_decided_by_itself() {
    assert_eq!(
        chosen(&["a[1].txt", "phot*"], "/"),
        ["/home/a/a[1].txt", "/home/a/photo.jpg"]
    );
    assert_eq!(chosen(&[], "/").len(), PATHS.len());
    assert!(chosen(&["nothing"], "/").is_empty());
}

#[test]
fn a_word_that_is_no_pattern_is_a_mistake_only_when_it_is_no_name() {
    for word in ["{NoSuchGroup}", "[(]", "[a(]", "@"] {
        let words = [word.to_owned()];
        let selection = Selection::parse(&words).unwrap();
        assert!(selection.fault().is_some(), "{word}");
        let path = format!("/d/{word}");
        assert!(
            selection.matches(path.as_bytes(), Case::Sensitive),
            "{word}"
        );
    }
    assert!(
        Selection::parse(&["a*".to_owned()])
            .unwrap()
            .fault()
            .is_none()
    );
    assert!(Selection::parse(&[String::new()]).is_err());
}

#[test]
fn a_purge_takes_of_what_a_word_finds_the_entries_themselves() {
    let a = "/home/a";
    for (word, want) in [
        (
            "notes.txt",
            &["/home/a/doc/notes.txt", "/home/a/notes.txt"][..],
        ),
        ("doc/notes.txt", &["/home/a/doc/notes.txt"]),
        ("/home/a/notes.txt", &["/home/a/notes.txt"]),
        ("./notes.txt", &["/home/a/notes.txt"]),
        ("what*", &["/home/a/what?.txt", "/home/a/whats.txt"]),
        ("what?.txt", &["/home/a/what?.txt"]),
        ("*star", &["/home/a/*star"]),
        ("@at", &["/home/a/@at"]),
        ("at", &["/home/a/at"]),
        ("[.*]", &["/home/a/[.*]"]),
        ("{Images}", &["/home/a/{Images}"]),
        ("p[x", &["/home/a/p[x"]),
        ("back\\slash", &["/home/a/back\\slash"]),
        ("\u{e9}t\u{e9}.txt", &["/home/a/\u{e9}t\u{e9}.txt"]),
        ("e\u{301}te\u{301}.txt", &["/home/a/\u{e9}t\u{e9}.txt"]),
        ("e\u{301}t*", &["/home/a/\u{e9}t\u{e9}.txt"]),
        // A folder's entry is not what lies in the folder.
        ("doc", &[]),
        ("doc/", &["/home/a/doc/", "/home/a/data/doc/"]),
        ("data/doc/", &["/home/a/data/doc/"]),
        ("/home/a/doc/", &["/home/a/doc/"]),
        ("@/home/a/doc/", &["/home/a/doc/"]),
        ("./doc/", &["/home/a/doc/"]),
        ("*/doc/", &["/home/a/doc/", "/home/a/data/doc/"]),
        ("d*c/", &["/home/a/doc/", "/home/a/data/doc/"]),
        ("data/*", &["/home/a/data/doc/", "/home/a/data/doc/y.txt"]),
        ("C:\\Users\\b\\doc\\w.txt", &["C:\\Users\\b\\doc\\w.txt"]),
        ("no such", &[]),
    ] {
        assert_eq!(taken(&[word], a), want, "{word}");
    }
}

#[test]
fn a_purge_never_takes_more_than_is_found() {
    let parts = [
        "/", "doc", "*", "?", "@", "a", "at", ".", "[", "]", "\\", "e\u{301}", "\u{e9}", "n", "./",
        "txt",
    ];
    let mut seen = 0;
    for (i, first) in parts.iter().enumerate() {
        for second in parts {
            for third in &parts[i..] {
                for word in [
                    format!("{first}{second}"),
                    format!("{first}{second}{third}"),
                ] {
                    let found = chosen(&[&word], "/home/a");
                    let taken = taken(&[&word], "/home/a");
                    seen += taken.len();
                    assert!(taken.iter().all(|p| found.contains(p)), "{word}: {taken:?}");
                }
            }
        }
    }
    assert!(seen > 1000, "{seen}");
}
