//! What only Filen does wrong: refusals in good replies, chunks, keys, hashes of names, several files of one name, the lock.

use super::filen::faulty_filen::{CHUNK, Filen, hashed, refusal, seal};
use super::*;

const CHUNKS: &str = "/v3/upload?";
const DONE: &str = "/v3/upload/done";

type Bench = Special<Filen>;

fn bench_with(query: &str) -> Bench {
    let server = filen::server();
    let url = filen::url(&server.address.to_string(), query);
    Special::at(server, &url)
}

fn bench() -> Bench {
    bench_with("")
}

/// A bench at this folder.
fn at(folder: &str) -> Bench {
    let server = filen::server();
    let url = filen::url(&server.address.to_string(), "number-of-retries=1");
    Special::at(server, &url.replacen("//bkt", &format!("//{folder}"), 1))
}

fn says(code: &str) -> Trouble {
    reply(200, refusal(code, "because"))
}

/// Which chunks were sent.
fn sent(b: &Bench) -> Vec<String> {
    let index = |s: &Seen| {
        let rest = s.target.split("index=").nth(1)?;
        rest.split('&').next().map(str::to_owned)
    };
    b.asked("POST", CHUNKS).iter().filter_map(index).collect()
}

#[test]
fn files_go_in_chunks_and_broken_ones_go_on() {
    let data = bytes(2 * CHUNK + 7);
    for (part, trouble, want) in [
        (CHUNKS, None, &["0", "1", "2"][..]),
        (CHUNKS, Some(Trouble::Reset(1000)), &["0", "0", "1", "2"]),
        (CHUNKS, Some(Trouble::Swallow), &["0", "0", "1", "2"]),
        (CHUNKS, Some(says("internal_error")), &["0", "0", "1", "2"]),
        (CHUNKS, Some(says("hash_mismatch")), &["0", "0", "1", "2"]),
        (CHUNKS, Some(later(429, "1")), &["0", "0", "1", "2"]),
        // It is begun anew.
        (
            CHUNKS,
            Some(says("upload_not_found")),
            &["0", "0", "1", "2"],
        ),
        (DONE, Some(says("internal_error")), &["0", "1", "2"]),
        (DONE, Some(later(503, "1")), &["0", "1", "2"]),
        (DONE, Some(Trouble::Swallow), &["0", "1", "2"]),
    ] {
        let mut b = bench();
        if let Some(trouble) = trouble {
            b.script("POST", part, trouble);
        }
        b.put(&data).expect("in the end");
        assert!(b.file().expect("there") == data, "{part}");
        let found = sent(&b);
        let anew = part == DONE && found.len() == 6;
        assert!(found == want || anew, "{part}: {found:?}");
        assert_eq!(b.with(|it| it.named(NAME).len()), 1);
    }
    // The end is not known any more: the file is sent again.
    let mut b = bench();
    b.script("POST", DONE, says("upload_not_found"));
    b.put(&data).expect("in the end");
    assert!(b.file().expect("there") == data && sent(&b).len() == 6);
    // An empty one has no chunks, and is there although the answer was lost.
    let mut b = bench();
    b.script("POST", "/v3/upload/empty", later(503, "1"));
    b.script("POST", "/v3/upload/empty", Trouble::Swallow);
    b.script("POST", "/v3/file/exists", later(503, "1"));
    b.put(b"").expect("in the end");
    assert_eq!(b.file().as_deref(), Some(&b""[..]));
    for len in [0, 1, CHUNK - 1, CHUNK, CHUNK + 1] {
        let mut b = bench();
        b.put(&bytes(len)).expect("stored");
        assert!(b.get(NAME, Some(len as u64)).expect("got") == bytes(len));
        assert_eq!(sent(&b).len(), len.div_ceil(CHUNK));
        assert_eq!(b.with(|it| it.held), 0, "the lock was given back");
    }
}

#[test]
fn downloads_are_gone_on_with_within_a_chunk() {
    let data = bytes(2 * CHUNK + 1000);
    let mut b = bench();
    b.store(NAME, &data);
    b.list().expect("listed");
    b.script("GET", "/1", Trouble::Cut(70_000));
    assert!(b.get(NAME, Some(data.len() as u64)).expect("got") == data);
    let ranges: Vec<_> = b
        .asked("GET", "/de-1/")
        .iter()
        .map(|s| s.header("range").map(str::to_owned))
        .collect();
    assert_eq!(ranges.len(), 4);
    assert_eq!(ranges[2].as_deref(), Some("bytes=70000-1048603"));
    // Of a part only the chunks are read that it lies in, and one chunk once.
    let before = b.count("GET", "/de-1/");
    for (from, len) in [(CHUNK - 10, 5), (CHUNK - 5, 5), (10, 10), (CHUNK - 5, 10)] {
        let (got, _) = b.span(NAME, from as u64, len as u64).expect("read");
        assert!(got == data[from..from + len]);
    }
    assert_eq!(b.count("GET", "/de-1/") - before, 2);
    // What does not decrypt is nobody's file.
    let damage = |it: &mut Filen| {
        let item = it.items.iter_mut().find(|item| item.chunks.is_some());
        item.expect("there").chunks.as_mut().expect("a file")[1][5000] ^= 1;
    };
    b.with(damage);
    fails(
        b.get(NAME, Some(data.len() as u64)),
        Kind::Damaged,
        "chunk of the file is damaged",
    );
    b.with(|it| {
        let item = it.items.iter_mut().find(|item| item.chunks.is_some());
        item.expect("there").chunks.as_mut().expect("a file")[0].truncate(5000);
    });
    refused(b.get(NAME, None), "ends too early");
}

#[test]
fn of_several_files_of_one_name_the_newest_counts() {
    let two = |b: &Bench| {
        b.with(|it| {
            it.keeps_both = true;
            let (folder, master) = (it.folder().expect("there"), it.master().to_owned());
            for data in [&b"old"[..], b"newer", b"new"] {
                it.file_in(&folder, NAME, data, (&master, hashed(NAME)));
                it.file_in(&folder, "other", data, (&master, hashed("other")));
            }
        });
    };
    let mut b = bench();
    two(&b);
    let found = b.entries().expect("listed").expect("there");
    let mut found: Vec<_> = found.into_iter().collect();
    found.sort();
    let want = [(NAME.to_owned(), Some(3)), ("other".to_owned(), Some(3))];
    assert_eq!(found, want, "{:?}", b.ui.messages());
    assert_eq!(b.count("POST", "/v3/dir/content"), 2);
    assert_eq!(b.get(NAME, None).expect("got"), b"new");
    // An upload replaces them all.
    b.put(b"fresh").expect("stored");
    assert_eq!(b.with(|it| it.named(NAME).len()), 1);
    assert_eq!(b.file().as_deref(), Some(&b"fresh"[..]));
    b.delete().expect("deleted");
    assert_eq!(b.file(), None);
    // And so does a deletion.
    let mut b = bench();
    two(&b);
    b.delete().expect("deleted");
    assert_eq!(b.with(|it| it.named(NAME).len()), 0);
}

/// By the service's own hash a name is perhaps not known; by its key it is read.
#[test]
fn names_under_other_hashes_and_keys() {
    let mut b = bench();
    let foreign = |it: &mut Filen, hash: &str| {
        it.masters.insert(0, "aa".repeat(32));
        let (folder, old) = (it.folder().expect("there"), "aa".repeat(32));
        it.file_in(&folder, NAME, b"by another", (&old, hash.to_owned()));
    };
    for hash in ["00".repeat(20), hashed(NAME)] {
        b = bench();
        b.with(|it| foreign(it, &hash));
        assert_eq!(b.list().expect("listed"), [NAME]);
        assert_eq!(b.stat(NAME).expect("asked"), Some(Some(10)));
        assert!(!b.put_new(b"ours").expect("settled"), "none is replaced");
        assert_eq!(b.get(NAME, Some(10)).expect("got"), b"by another");
        b.put(b"ours").expect("stored");
        assert_eq!(b.with(|it| it.named(NAME).len()), 1);
        assert_eq!(b.get(NAME, None).expect("got"), b"ours");
    }
    // What differs in the case of letters is another's, and the service would take it for the same.
    let upper = NAME.to_uppercase();
    fails(b.put_as(&upper, b"x"), Kind::Unsupported, "upper and lower");
    assert_eq!(b.stat(&upper).expect("asked"), None);
    // A key that the account has not.
    b.with(|it| {
        let folder = it.folder().expect("there");
        it.file_in(&folder, "shut", b"x", (&"bb".repeat(32), hashed("shut")));
    });
    assert_eq!(b.list().expect("listed"), [NAME]);
    let listed = b.remote.dest.list("", &mut |_| Ok(()));
    listed.map_err(|fault| fault.text).expect("listed");
    let told = b.remote.dest.said().notices.join("\n");
    assert!(told.contains("1 file left aside that no key"), "{told}");
    // A listing is asked for once; what another has stored since is noticed.
    let mut b = bench();
    b.put_as("first", b"1").expect("stored");
    b.put_as("second", b"2").expect("stored");
    assert_eq!(b.count("POST", "/v3/dir/content"), 1);
    b.store("third", b"333");
    assert_eq!(b.stat("third").expect("asked"), Some(Some(3)));
}

#[test]
fn the_folder_is_found_by_names() {
    for (folder, made) in [("BKT", 0), ("a%20b%2Bc/%C3%A4/x", 3)] {
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
    // One that another client has made, by a hash of its own.
    let mut b = bench();
    b.with(|it| it.items[0].hash = "00".repeat(20));
    b.stored(5);
    assert_eq!(b.list().expect("listed"), [NAME]);
    // The answer to making it was lost.
    let mut b = at("new/folder");
    b.script("POST", "/v3/dir/create", Trouble::Swallow);
    b.put(b"x").expect("in the end");
    assert_eq!(b.with(|it| it.items.len()), 4);
}

#[test]
fn what_is_deleted_goes_for_good_or_to_the_trash() {
    for (query, left) in [("", 0), ("move-to-trash=true", 1)] {
        let mut b = bench_with(query);
        b.stored(3);
        b.delete().expect("deleted");
        b.delete().expect("nothing to do");
        assert_eq!((b.file(), b.with(|it| it.trash.len())), (None, left));
        b.stored(3);
        b.script("POST", "/v3/file/", Trouble::Swallow);
        b.delete().expect("in the end");
        assert_eq!(b.file(), None);
        // A version that an upload has replaced does not stay, either.
        b.put(b"first").expect("stored");
        b.put(b"second").expect("stored");
        assert_eq!(b.with(|it| it.versions.len()), left);
    }
}

#[test]
fn another_that_holds_the_lock_is_waited_for() {
    let mut b = bench();
    b.with(|it| it.locked = 2);
    b.put(&bytes(CHUNK)).expect("in the end");
    assert_eq!((b.waits(), sent(&b).len()), (vec![3, 3], 1));
    b.with(|it| it.locked = 1);
    b.delete().expect("in the end");
    let mut b = bench_with("number-of-retries=1");
    b.with(|it| it.locked = 9);
    fails(b.put(b"x"), Kind::Busy, "another program");
}

/// Any request may be the one for which the log-in has ended.
#[test]
fn a_log_in_that_ends_is_made_anew() {
    type Act = fn(&mut Bench) -> Result<()>;
    let calls: [(&str, Act); 7] = [
        ("/v3/dir/content", |b| b.list().map(drop)),
        ("/v3/file/exists", |b| b.stat(NAME).map(drop)),
        (CHUNKS, |b| b.put(b"short")),
        (DONE, |b| b.put(b"short")),
        ("/v3/upload/empty", |b| b.put(b"")),
        ("/v3/file/delete", |b| b.delete()),
        ("/v3/user/lock", |b| b.put(b"short")),
    ];
    for (part, act) in calls {
        let mut b = bench();
        b.stored(3);
        b.script("POST", part, says("api_key_not_found"));
        act(&mut b).expect("with a new key");
        assert_eq!((b.with(|it| it.keys), b.retries()), (2, 1), "{part}");
    }
    for (query, part, trouble, kind, words) in [
        (
            "",
            "/v3/login",
            says("email_or_password_wrong"),
            Kind::Credentials,
            "user or password is wrong",
        ),
        (
            "",
            "/v3/login",
            says("enter_2fa"),
            Kind::Credentials,
            "second factor",
        ),
        (
            "",
            "/v3/login",
            says("wrong_2fa"),
            Kind::Credentials,
            "not accepted",
        ),
        (
            "api-key=nonsense",
            "none",
            answer(500),
            Kind::Credentials,
            "API key is not accepted",
        ),
        (
            "",
            "/v3/auth/info",
            reply(200, r#"{"status":true,"data":{"authVersion":1,"salt":""}}"#),
            Kind::Unsupported,
            "version 1",
        ),
        (
            "",
            "/v3/user/masterKeys",
            reply(
                200,
                format!(
                    r#"{{"status":true,"data":{{"keys":"{}"}}}}"#,
                    seal("another", "x")
                ),
            ),
            Kind::Credentials,
            "does not open the keys",
        ),
        (
            "",
            "/v3/login",
            reply(200, r#"{"status":true,"data":{}}"#),
            Kind::Unsupported,
            "gives no API key",
        ),
    ] {
        let mut b = bench_with(&format!("number-of-retries=0&{query}"));
        b.script("POST", part, trouble);
        fails(b.list(), kind, words);
    }
    // A key that was given is asked for nothing more.
    let mut b = bench_with("api-key=acct-7");
    b.with(|it| it.keys = 7);
    b.put(b"x").expect("stored");
    assert_eq!((b.count("POST", "/v3/login"), b.with(|it| it.keys)), (0, 7));
    assert!(b.remote.quota().free.is_some_and(|free| free > 1 << 39));
}
