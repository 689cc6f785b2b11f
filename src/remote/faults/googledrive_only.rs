//! What only Google Drive does wrong: files of one name, ids, uploads that are gone on with, folders, the trash, shared drives,
//! malware.

use super::googledrive::faulty_drive::{Drive, error};
use super::*;

const LEN: usize = 3 * MIB;

type Bench = Special<Drive>;

fn bench_with(query: &str) -> Bench {
    let server = googledrive::server();
    let url = googledrive::url(&server.address.to_string(), query);
    Special::at(server, &url)
}

fn bench() -> Bench {
    bench_with("")
}

fn says(status: u16, reason: &str) -> Trouble {
    reply(status, error(status, reason, "because"))
}

/// A bench at this folder.
fn at(folder: &str) -> Bench {
    let server = googledrive::server();
    let url = googledrive::url(&server.address.to_string(), "number-of-retries=1");
    Special::at(server, &url.replacen("//bkt", &format!("//{folder}"), 1))
}

/// Where the parts of an upload began; `None` where it was asked how far it is.
fn parts(b: &Bench) -> Vec<Option<u64>> {
    let puts = b.asked("PUT", "upload_id=");
    let from = |s: &Seen| {
        let range = s.header("content-range").expect("a range");
        range["bytes ".len()..].split('-').next()?.parse().ok()
    };
    puts.iter().map(from).collect()
}

/// Files of a name, as they are stored.
fn stored(b: &Bench, name: &str) -> Vec<Vec<u8>> {
    b.with(|drive| {
        let named = drive.named(name);
        named.iter().filter_map(|item| item.data.clone()).collect()
    })
}

#[test]
fn a_broken_upload_goes_on_where_the_server_has_it() {
    let data = bytes(LEN);
    for (trouble, keeps, want) in [
        (
            Some(Trouble::Reset(1 << 20)),
            None,
            vec![Some(0), None, Some(0)],
        ),
        (None, Some((MIB, 503)), vec![Some(0), None, Some(1 << 20)]),
        (None, Some((2 * MIB, 308)), vec![Some(0), Some(2 << 20)]),
        (None, Some((LEN, 503)), vec![Some(0), None]),
    ] {
        let mut b = bench();
        if let Some(trouble) = trouble {
            b.script("PUT", "upload_id=", trouble);
        }
        b.with(|drive| drive.keeps = keeps);
        b.put(&data).expect("in the end");
        assert_eq!(b.file().expect("there"), data);
        assert_eq!(parts(&b), want, "{keeps:?}");
        assert_eq!(b.with(|drive| drive.begun), 1);
    }
    // Forgotten in the middle, by all that a server can say to that.
    for status in [404, 410] {
        let mut b = bench();
        b.script("PUT", "upload_id=", answer(status));
        b.put(&data).expect("in the end");
        assert_eq!(stored(&b, NAME), std::slice::from_ref(&data));
        assert_eq!((b.with(|drive| drive.begun), b.retries()), (2, 0));
    }
    // Another file takes nothing over.
    let mut b = bench_with("number-of-retries=0");
    b.with(|drive| drive.keeps = Some((MIB, 503)));
    refused(b.put(&data), "");
    b.put_as("other.zip", &data[1..]).expect("stored");
    assert_eq!(stored(&b, "other.zip"), [data[1..].to_vec()]);
    assert_eq!(b.count("DELETE", "upload_id="), 1, "the first is given up");
    let mut b = bench();
    let away = headed(200, "location", "https://example.org/upload?upload_id=up-1");
    b.scripts(9, "POST", "resumable", &away);
    refused(b.put(&data), "example.org");
}

/// <https://developers.google.com/workspace/drive/api/guides/create-file>: a second file with an id is refused.
#[test]
fn a_repeated_create_makes_no_second_file() {
    for part in ["PUT", "POST"] {
        for lost in [Trouble::Swallow, Trouble::Cut(3)] {
            for empty in [false, true] {
                let data = if empty { Vec::new() } else { bytes(1000) };
                let mut b = bench();
                b.script(part, "uploadType=resumable", lost.clone());
                b.put(&data).expect("in the end");
                assert_eq!(stored(&b, NAME), [data]);
            }
        }
    }
    // The server does not show the file yet.
    let mut b = bench();
    b.script("PUT", "upload_id=", Trouble::Swallow);
    let none = r#"{"kind":"drive#fileList","files":[]}"#;
    b.script("GET", "q=name%20%3D%20%27d", reply(200, none));
    b.scripts(1, "GET", "q=name%20%3D%20%27d", &reply(200, none));
    b.script("PUT", "upload_id=", answer(404));
    b.put(b"once").expect("found in the end");
    assert_eq!(stored(&b, NAME), [b"once".to_vec()]);
    assert_eq!(b.with(|drive| drive.given), 20, "ids were asked for once");
    // Of a folder, too.
    let mut b = at("new/folder");
    b.script("POST", "/drive/v3/files?", Trouble::Swallow);
    b.make().expect("made");
    b.put(b"x").expect("stored");
    assert_eq!(
        b.with(|drive| (drive.named("new").len(), drive.named("folder").len())),
        (1, 1)
    );
}

/// As Duplicati does: the newest is read, and a new one replaces all.
#[test]
fn files_of_one_name() {
    let twins = || {
        let b = bench();
        b.with(|drive| {
            let folder = drive.folder().expect("there");
            for data in [&b"the oldest"[..], b"older", b"newest"] {
                drive.add(NAME, &folder, Some(data.to_vec()));
            }
            drive.add(&NAME.to_uppercase(), &folder, Some(b"another".to_vec()));
        });
        b
    };
    let mut b = twins();
    let listed = b.entries().expect("listed").expect("there");
    let sizes: Vec<_> = listed
        .iter()
        .map(|(name, size)| (name.as_str(), *size))
        .collect();
    assert_eq!(sizes.len(), 2, "{sizes:?}");
    assert!(sizes.contains(&(NAME, Some(6))), "{sizes:?}");
    assert_eq!(b.get(NAME, Some(6)).expect("got"), b"newest");
    assert_eq!(b.stat(NAME).expect("asked"), Some(Some(6)));
    assert!(!b.put_new(b"ours").expect("settled"), "none is replaced");
    assert_eq!(stored(&b, NAME).len(), 3);
    // Without a listing before.
    let mut b = twins();
    assert_eq!(b.get(NAME, None).expect("got"), b"newest");
    b.put(b"only one").expect("stored");
    assert_eq!(stored(&b, NAME), [b"only one".to_vec()]);
    assert_eq!(b.get(NAME, None).expect("got"), b"only one");
    for lists in [false, true] {
        let mut b = twins();
        if lists {
            b.list().expect("listed");
        }
        b.delete().expect("deleted");
        assert_eq!(stored(&b, NAME), Vec::<Vec<u8>>::new());
        assert_eq!(stored(&b, &NAME.to_uppercase()).len(), 1);
    }
    // Of more than are kept the newest is one.
    let mut b = bench();
    b.with(|drive| {
        let folder = drive.folder().expect("there");
        for n in 0..=100 {
            drive.add(NAME, &folder, Some(vec![n]));
        }
    });
    assert_eq!(b.get(NAME, None).expect("got"), [100]);
    // A file that another program has replaced since it was listed.
    let mut b = bench();
    b.stored(1000);
    b.list().expect("listed");
    b.with(|drive| {
        drive.items.retain(|item| item.name != NAME);
        let folder = drive.folder().expect("there");
        drive.add(NAME, &folder, Some(bytes(1000)));
    });
    assert_eq!(b.get(NAME, Some(1000)).expect("found again"), bytes(1000));
    b.with(|drive| {
        let item = drive.items.iter_mut().find(|item| item.name == NAME);
        item.expect("there").id = "another".to_owned();
    });
    b.delete().expect("deleted");
    assert_eq!(b.file(), None);
}

#[test]
fn the_folder_is_found_by_names() {
    // Names with what a search takes for its own, and in another case; a backslash is escaped like a quote:
    // https://developers.google.com/workspace/drive/api/guides/search-files
    for folder in ["it's%20a%5Cb/%C3%A4%20x", "Bkt"] {
        let mut b = at(folder);
        assert_eq!(b.list().expect("no error"), ["(no folder)"]);
        b.put(b"x").expect("made");
        assert_eq!(b.list().expect("listed"), [NAME]);
        assert_eq!(
            b.with(|drive| drive.items.len()),
            3 + usize::from(folder.contains('/'))
        );
    }
    let mut b = at("");
    b.put(b"x").expect("in the root");
    assert_eq!(b.list().expect("listed"), [NAME]);
    // Which of two is meant cannot be told.
    let mut b = bench();
    b.with(|drive| drive.add("bkt", "id-root", None));
    fails(b.list(), Kind::Unsupported, "2 folders are called 'bkt'");
    fails(b.put(b"x"), Kind::Unsupported, "rename all but one");
    // Moved while it is used, it stays the same folder; taken away, it is missed.
    let mut b = bench();
    b.put(b"x").expect("stored");
    b.with(|drive| {
        let other = drive.add("other", "id-root", None);
        let folder = drive.items.iter_mut().find(|item| item.name == "bkt");
        folder.expect("there").parent = other;
    });
    b.put_as("second", b"y").expect("stored");
    assert_eq!(b.list().expect("listed").len(), 2);
    b.with(|drive| drive.items.retain(|item| item.name != "bkt"));
    fails(
        b.put_as("third", b"z"),
        Kind::Missing,
        "folder does not exist",
    );
    assert_eq!(b.list().expect("no error"), ["(no folder)"]);
    let mut b = bench();
    b.with(|drive| drive.trashed = true);
    fails(b.put(b"x"), Kind::Missing, "in the trash");
}

#[test]
fn what_the_account_may_not_delete_goes_to_the_trash() {
    let mut b = bench();
    b.with(|drive| drive.only_trash = true);
    for name in [NAME, "other"] {
        b.store(name, b"x");
    }
    b.delete().expect("in the trash");
    assert_eq!((b.file(), b.count("PATCH", "/drive/v3/files/")), (None, 1));
    // Nor that.
    b.stored(3);
    b.scripts(
        9,
        "PATCH",
        "/drive/v3/files/",
        &says(403, "insufficientFilePermissions"),
    );
    fails(b.delete(), Kind::Unsupported, "may not delete");
}

#[test]
fn files_taken_for_malware_are_read_all_the_same() {
    let mut b = bench();
    b.with(|drive| drive.abusive = NAME);
    b.stored(1000);
    assert_eq!(b.get(NAME, Some(1000)).expect("got"), bytes(1000));
    assert_eq!(b.count("GET", "acknowledgeAbuse=true"), 1);
    b.scripts(
        9,
        "GET",
        "acknowledgeAbuse=true",
        &says(403, "cannotDownloadAbusiveFile"),
    );
    fails(b.get(NAME, Some(1000)), Kind::Unsupported, "malware");
}

/// Every request names the drive; its root is where paths begin.
#[test]
fn shared_drives() {
    let mut b = bench_with("googledrive-teamdrive-id=0SD");
    b.with(|drive| drive.team = "0SD");
    b.put(&bytes(LEN)).expect("the folder is made");
    assert_eq!(b.list().expect("listed"), [NAME]);
    assert_eq!(b.get(NAME, None).expect("got"), bytes(LEN));
    b.put(b"another").expect("stored");
    b.delete().expect("deleted");
    assert_eq!(b.count("GET", "files/root"), 0);
    let mut b = bench_with("googledrive-teamdrive-id=0SD");
    let no = error(404, "notFound", "Shared drive not found: 0SD");
    b.scripts(9, "GET", "q=name", &reply(404, no));
    assert_eq!(b.list().expect("no error"), ["(no folder)"]);
}

/// Any request may be the one for which the token has run out.
#[test]
fn a_token_is_renewed_once_by_every_call() {
    type Act = fn(&mut Bench) -> Result<()>;
    let calls: [(&str, &str, Act); 9] = [
        ("GET", "files/root", |b| b.list().map(drop)),
        ("GET", "q=name", |b| b.stat(NAME).map(drop)),
        ("GET", "q=%27", |b| b.list().map(drop)),
        ("GET", "alt=media", |b| b.get(NAME, None).map(drop)),
        ("GET", "generateIds", |b| b.put_as("new", b"short")),
        ("POST", "resumable", |b| b.put_as("new", b"short")),
        ("PATCH", "resumable", |b| b.put(b"short")),
        ("PUT", "upload_id=", |b| b.put(&bytes(LEN))),
        ("DELETE", "/drive/v3/files/", |b| b.delete()),
    ];
    for (method, part, act) in calls {
        let mut b = bench();
        b.stored(3);
        b.script(method, part, says(401, "authError"));
        act(&mut b).expect("with a new token");
        let seen = b.asked(method, part);
        assert!(seen[0].holds("authorization", "acct-1"), "{part}");
        assert!(seen[1].holds("authorization", "acct-2"), "{part}");
        assert_eq!(b.retries(), 0);
        let mut b = bench();
        b.stored(3);
        b.scripts(2, method, part, &says(401, "authError"));
        fails(act(&mut b), Kind::Credentials, "access denied");
    }
}

#[test]
fn limits_of_rate_are_waited_for() {
    for (trouble, wait) in [
        (says(403, "rateLimitExceeded"), 1),
        (says(403, "userRateLimitExceeded"), 1),
        (says(403, "dailyLimitExceeded"), 1),
        (later(429, "4"), 4),
        (says(503, "backendError"), 1),
    ] {
        for part in ["resumable", "upload_id="] {
            let method = if part == "resumable" { "POST" } else { "PUT" };
            let mut b = bench();
            b.script(method, part, trouble.clone());
            b.put(b"x").expect("in the end");
            assert_eq!(b.waits(), [wait], "{part}");
        }
    }
}
