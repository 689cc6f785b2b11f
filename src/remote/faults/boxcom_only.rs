//! What only Box does wrong: ids, conflicts, upload sessions, the trash, downloads that are not ready.

use super::boxcom::faulty_box::{BoxCom, PART, error};
use super::*;

/// Long enough for parts.
const LEN: usize = (20 << 20) + 7;

type Bench = Special<BoxCom>;

fn bench_with(query: &str) -> Bench {
    let server = boxcom::server();
    let url = boxcom::url(&server.address.to_string(), query);
    Special::at(server, &url)
}

fn bench() -> Bench {
    bench_with("")
}

fn says(status: u16, code: &str) -> Trouble {
    reply(status, error(status, code, "because"))
}

/// A bench at this folder.
fn at(folder: &str) -> Bench {
    let server = boxcom::server();
    let url = boxcom::url(&server.address.to_string(), "number-of-retries=1");
    Special::at(server, &url.replacen("//bkt", &format!("//{folder}"), 1))
}

/// Where the parts of uploads began.
fn parts(b: &Bench) -> Vec<usize> {
    let puts = b.asked("PUT", "upload_sessions/");
    let from = |s: &Seen| {
        let range = s.header("content-range").expect("a range");
        let from = range["bytes ".len()..].split('-').next()?;
        Some(from.parse::<usize>().expect("a number") / PART)
    };
    puts.iter().filter_map(from).collect()
}

#[test]
fn long_files_go_in_parts_and_broken_ones_go_on() {
    let data = bytes(LEN);
    for (method, part, trouble, want) in [
        ("PUT", "upload_sessions/", None, &[0, 1, 2][..]),
        (
            "PUT",
            "upload_sessions/",
            Some(Trouble::Reset(1 << 20)),
            &[0, 0, 1, 2],
        ),
        // It has arrived, and only the answer was lost.
        (
            "PUT",
            "upload_sessions/",
            Some(Trouble::Swallow),
            &[0, 0, 1, 2],
        ),
        ("GET", "/parts", Some(says(503, "unavailable")), &[0, 1, 2]),
        (
            "POST",
            "/commit",
            Some(says(400, "parts_mismatch")),
            &[0, 1, 2],
        ),
        ("POST", "/commit", Some(later(202, "1")), &[0, 1, 2]),
        ("POST", "/commit", Some(Trouble::Swallow), &[0, 1, 2]),
    ] {
        let mut b = bench_with("box-parts-from=20mb");
        if let Some(trouble) = trouble {
            b.script(method, part, trouble);
        }
        b.put(&data).expect("in the end");
        assert!(b.file().expect("there") == data, "{part}");
        assert_eq!((parts(&b), b.with(|it| it.begun)), (want.to_vec(), 1));
    }
}

#[test]
fn sessions_that_end_or_are_refused() {
    let data = bytes(LEN);
    let bench = || bench_with("box-parts-from=20mb");
    // A new version of a file that is there.
    let mut b = bench();
    b.stored(3);
    b.put(&data).expect("stored");
    assert!(b.file().expect("there") == data);
    assert_eq!(b.with(|it| it.named(NAME).expect("there").versions), 2);
    assert!(!b.put_new(&data[1..]).expect("settled"), "none is replaced");
    // Forgotten in the middle.
    for status in [404, 410] {
        let mut b = bench();
        b.script("PUT", "upload_sessions/", says(status, "not_found"));
        b.put(&data).expect("in the end");
        assert_eq!((b.with(|it| it.begun), b.retries()), (2, 0));
    }
    // Another file takes nothing over, and the first is given up.
    let mut b = bench_with("box-parts-from=20mb&number-of-retries=0");
    b.script("PUT", "upload_sessions/", Trouble::Reset(1 << 20));
    refused(b.put(&data), "");
    b.put_as("other.zip", b"short").expect("stored");
    assert_eq!(b.with(|it| it.sessions.len()), 0);
    // A middle-sized one goes in parts once the line has broken on it.
    let mut b = bench_with("");
    b.script("POST", "/content", Trouble::Reset(1 << 20));
    b.put(&data[..20_900_000]).expect("in the end");
    assert_eq!((parts(&b), b.with(|it| it.begun)), (vec![0, 1, 2], 1));
    // What a server may not say of a session.
    for (from, to) in [
        ("\"part_size\":8388608", "\"part_size\":0"),
        ("\"part_size\":8388608", "\"part_size\":1"),
        ("\"id\":\"up-1-1\"", "\"id\":\"\""),
    ] {
        let mut b = bench_with("box-parts-from=20mb&number-of-retries=0");
        b.script("POST", "upload_sessions", Trouble::Replaced(from, to));
        fails(b.put(&data), Kind::Unsupported, "begins no upload");
    }
    let mut b = bench_with("box-parts-from=20mb&number-of-retries=0");
    let one = r#"{"part_id":"P","offset":0,"size":1}"#;
    let many = format!(r#"{{"entries":[{}]}}"#, [one; 9].join(","));
    b.script("GET", "/parts", reply(200, many));
    fails(b.put(&data), Kind::Unsupported, "parts that were not sent");
}

#[test]
fn a_name_that_is_there_gets_a_new_version() {
    for lists in [false, true] {
        let mut b = bench();
        b.with(|it| it.lists_conflicts = lists);
        b.put(b"first").expect("stored");
        b.put(b"second").expect("stored");
        let (id, versions) = b.with(|it| {
            let item = it.named(NAME).expect("there");
            (item.id.clone(), item.versions)
        });
        assert_eq!(versions, 2, "{id}");
        assert_eq!(b.count("POST", &format!("/files/{id}/content")), 1);
        assert!(!b.put_new(b"third").expect("settled"));
        assert_eq!(b.file().as_deref(), Some(&b"second"[..]));
        // What differs in the case of letters is another's.
        let upper = NAME.to_uppercase();
        fails(b.put_as(&upper, b"x"), Kind::Unsupported, "upper and lower");
        assert_eq!(b.stat(&upper).expect("asked"), None);
        b.with(|it| {
            let folder = it.folder().expect("there");
            it.add("folder", &folder, None)
        });
        fails(b.put_as("folder", b"x"), Kind::Unsupported, "a folder has");
        assert_eq!(b.stat("folder").expect("asked"), None);
    }
    // A file that another program has replaced since it was listed.
    let mut b = bench();
    b.stored(1000);
    b.list().expect("listed");
    let replace = |it: &mut BoxCom, id: &str| {
        let item = it.items.iter_mut().find(|item| item.name == NAME);
        item.expect("there").id = id.to_owned();
    };
    b.with(|it| replace(it, "7"));
    assert_eq!(b.get(NAME, Some(1000)).expect("found again"), bytes(1000));
    b.with(|it| replace(it, "8"));
    b.delete().expect("deleted");
    assert_eq!(b.file(), None);
}

#[test]
fn the_folder_is_found_by_names() {
    // The service does not tell upper from lower case.
    for (folder, made) in [("BKT", 0), ("a%20b+c/%C3%A4/x", 3)] {
        let mut b = at(folder);
        let before = b.list().expect("no error");
        assert_eq!(before.is_empty(), made == 0, "{before:?}");
        b.put(b"x").expect("stored");
        assert_eq!(b.list().expect("listed"), [NAME]);
        assert_eq!(b.with(|it| it.items.len()), 2 + made);
    }
    let mut b = at("");
    b.put(b"x").expect("in the root");
    assert_eq!(b.list().expect("listed").len(), 1);
    b.store("file", b"x");
    let mut b = at("bkt/file");
    b.store("file", b"x");
    fails(
        b.put(b"x"),
        Kind::Unsupported,
        "a folder of the URL is a file",
    );
    // The answer to making it was lost.
    let mut b = at("new/folder");
    b.script("POST", "/folders", Trouble::Swallow);
    b.put(b"x").expect("in the end");
    assert_eq!(b.with(|it| it.items.len()), 4);
    // Moved while it is used, it stays the same folder; taken away, it is missed.
    let mut b = bench();
    b.put(b"x").expect("stored");
    b.with(|it| {
        let other = it.add("other", "0", None);
        let folder = it.items.iter_mut().find(|item| item.name == "bkt");
        folder.expect("there").parent = other;
    });
    b.put_as("second", b"y").expect("stored");
    assert_eq!(b.list().expect("listed").len(), 2);
    b.with(|it| it.items.retain(|item| item.name != "bkt"));
    fails(
        b.put_as("third", b"z"),
        Kind::Missing,
        "folder does not exist",
    );
    assert_eq!(b.list().expect("no error"), ["(no folder)"]);
}

#[test]
fn what_is_deleted_goes_to_the_trash_or_from_it() {
    for (query, left) in [("", 1), ("box-delete-from-trash=true", 0)] {
        for lists in [false, true] {
            let mut b = bench_with(query);
            b.stored(3);
            if lists {
                b.list().expect("listed");
            }
            b.delete().expect("deleted");
            b.delete().expect("nothing to do");
            assert_eq!((b.file(), b.with(|it| it.trash.len())), (None, left));
            // The answer was lost.
            b.stored(3);
            b.script("DELETE", "/2.0/files/", Trouble::Swallow);
            b.delete().expect("in the end");
            assert_eq!(b.file(), None);
        }
    }
}

#[test]
fn listings_end_by_null_and_by_nothing() {
    for last in [serde_json::Value::Null, "".into()] {
        let mut b = bench();
        b.with(|it| it.last_marker = last);
        for i in 0..1001 {
            b.store(&format!("f{i}"), b"x");
        }
        assert_eq!(b.list().expect("listed").len(), 1001);
        assert_eq!(b.count("GET", "/items?fields=name,size"), 2);
    }
    let mut b = bench_with("number-of-retries=0");
    let page = r#"{"entries":[],"next_marker":"m"}"#;
    b.scripts(9, "GET", "/items?fields=name,size", &reply(200, page));
    fails(b.list(), Kind::Unsupported, "");
}

/// An empty reply that says so is no empty file.
#[test]
fn a_download_that_is_not_ready_is_waited_for() {
    let mut b = bench();
    b.stored(1000);
    b.script("GET", "/content", later(202, "3"));
    b.script("GET", "/content", answer(202));
    assert_eq!(b.get(NAME, Some(1000)).expect("got"), bytes(1000));
    assert_eq!(b.waits(), [3, 1]);
    b.script(
        "OPTIONS",
        "/files/content",
        says(409, "operation_blocked_temporary"),
    );
    b.put(b"x").expect("in the end");
}

/// Any request may be the one for which the token has run out.
#[test]
fn a_token_is_renewed_once_by_every_call() {
    type Act = fn(&mut Bench) -> Result<()>;
    let calls: [(&str, &str, Act); 10] = [
        ("GET", "/folders/0/items", |b| b.list().map(drop)),
        ("GET", "fields=name,size", |b| b.list().map(drop)),
        ("OPTIONS", "/files/content", |b| b.stat(NAME).map(drop)),
        ("GET", "/content", |b| b.get(NAME, None).map(drop)),
        ("POST", "/files/content", |b| b.put_as("new", b"short")),
        ("POST", "/content", |b| b.put(b"short")),
        ("POST", "/upload_sessions", |b| b.put(&bytes(LEN))),
        ("PUT", "/upload_sessions/", |b| b.put(&bytes(LEN))),
        ("POST", "/commit", |b| b.put(&bytes(LEN))),
        ("DELETE", "/2.0/files/", |b| b.delete()),
    ];
    for (method, part, act) in calls {
        let mut b = bench_with("box-parts-from=20mb");
        b.stored(3);
        b.script(method, part, answer(401));
        act(&mut b).expect("with a new token");
        let seen = b.asked(method, part);
        assert!(seen[0].holds("authorization", "acct-1"), "{part}");
        assert!(seen[1].holds("authorization", "acct-2"), "{part}");
        assert_eq!(b.retries(), 0);
    }
    let mut b = bench();
    b.scripts(2, "POST", "/content", &answer(401));
    fails(b.put(b"x"), Kind::Credentials, "access denied");
}
