//! What only pCloud does wrong: results in replies of success, addresses of contents, ids, digests, empty files, folders.

use super::pcloud::faulty_pcloud::{FOLDER, PCloud, error};
use super::*;

type Bench = Special<PCloud>;

fn bench_with(query: &str) -> Bench {
    let server = pcloud::server();
    let url = pcloud::url(&server.address.to_string(), query);
    Special::at(server, &url)
}

fn bench() -> Bench {
    bench_with("")
}

/// A bench at this folder.
fn at(folder: &str) -> Bench {
    let server = pcloud::server();
    let url = pcloud::url(&server.address.to_string(), "number-of-retries=1");
    Special::at(server, &url.replacen("/bkt", &format!("/{folder}"), 1))
}

fn says(result: u16) -> Trouble {
    page(200, "application/json", &error(result, "Because."))
}

/// <https://docs.pcloud.com/errors/>: of every question, whatever its status.
#[test]
fn a_result_in_a_reply_of_success_is_a_refusal() {
    type Act = fn(&mut Bench) -> Result<()>;
    let acts: [(&str, &str, Act); 6] = [
        ("GET", "/listfolder?folderid=101", |b| b.list().map(drop)),
        ("GET", "/listfolder?folderid=0", |b| b.list().map(drop)),
        ("GET", "/getfilelink", |b| b.get(NAME, None).map(drop)),
        ("PUT", "/uploadfile", |b| b.put(b"new")),
        ("GET", "/deletefile", |b| b.delete()),
        ("GET", "/createfolderifnotexists", |b| b.make()),
    ];
    for (method, part, act) in acts {
        let bench = |query: &str| {
            let b = bench_with(query);
            b.stored(10);
            if part.contains("createfolder") {
                b.with(|account| account.items.clear());
            }
            b
        };
        for (result, kind, again) in [
            (1000, Kind::Credentials, false),
            (2000, Kind::Credentials, false),
            (2003, Kind::Credentials, false),
            (2094, Kind::Credentials, false),
            (2008, Kind::NoSpace, false),
            (4000, Kind::Busy, true),
            (5000, Kind::Busy, true),
            (5002, Kind::Busy, true),
            (2345, Kind::Unsupported, true),
        ] {
            let mut b = bench("number-of-retries=1");
            b.scripts(9, method, part, &says(result));
            let e = act(&mut b).expect_err("refused");
            assert_eq!(e.kind(), kind, "{part} {result}: {e}");
            assert_eq!(b.retries() > 0, again, "{part} {result}: {e}");
            assert!(!e.to_string().contains("says 200 "), "{e}");
            if again {
                let mut b = bench("");
                b.script(method, part, says(result));
                act(&mut b).expect("done at the second try");
            }
        }
    }
    // What is no reply of the service, and what has a secret in it.
    for body in ["{}", r#"{"error":"x"}"#, r#"{"result":"x"}"#] {
        let mut b = bench_with("number-of-retries=0");
        b.stored(10);
        b.scripts(2, "GET", "/getfilelink", &reply(200, body));
        fails(b.get(NAME, None), Kind::Unsupported, "of pCloud");
    }
    let mut b = bench();
    let text = format!("The token {SECRET} is bad.");
    let told = reply(200, error(2094, &text));
    b.script("GET", "/listfolder", told);
    let text = fails(b.list(), Kind::Credentials, "eapi.pcloud.com");
    assert!(text.contains("***") && !text.contains(SECRET), "{text}");
}

/// <https://docs.pcloud.com/methods/streaming/getfilelink.html>
#[test]
fn an_address_of_a_content_is_used_while_it_is_good() {
    let mut b = bench();
    let data = b.stored(1000);
    for from in [0, 10, 900] {
        let (got, _) = b.span(NAME, from, 50).expect("got");
        assert_eq!(got, data[usize::try_from(from).expect("small")..][..50]);
    }
    assert_eq!(b.count("GET", "/getfilelink"), 1);
    for status in [401, 403, 404, 410] {
        b.script("GET", "/L", answer(status));
        assert_eq!(b.get(NAME, None).expect("got"), data, "{status}");
    }
    assert_eq!((b.count("GET", "/getfilelink"), b.retries()), (5, 0));
    // A fault of the line or of the server: the next try asks for another.
    for trouble in [answer(500), Trouble::Cut(10)] {
        let asked = b.count("GET", "/getfilelink");
        b.script("GET", "/L", trouble);
        assert_eq!(b.get(NAME, None).expect("got"), data);
        assert_eq!(b.count("GET", "/getfilelink"), asked + 1);
    }
    // One that was never good is no missing file and no bad log-in.
    for status in [401, 403, 410] {
        let mut b = bench_with("number-of-retries=1");
        b.stored(10);
        b.scripts(9, "GET", "/L", &answer(status));
        fails(b.get(NAME, None), Kind::Busy, "does not take the address");
        assert_eq!(b.count("GET", "/getfilelink"), 2);
    }
    // Another file has another.
    let mut b = bench();
    b.stored(10);
    b.store("other", b"other");
    assert_eq!(b.get("other", None).expect("got"), b"other");
    assert_eq!(b.get(NAME, None).expect("got"), bytes(10));
    assert_eq!(b.get("other", None).expect("got"), b"other");
}

/// The server asserts that no log-in comes with the question.
#[test]
fn contents_come_from_other_hosts_without_the_log_in() {
    let mut b = bench();
    b.with(|account| account.token = SECRET);
    let contents = pcloud::server();
    let host = contents.address.to_string();
    contents.with(|other| {
        other.add(NAME, 101, Some(b"from there".to_vec()));
        other.links.push(102);
    });
    b.stored(10);
    b.with(|account| account.contents = Some(host.clone()));
    assert_eq!(b.get(NAME, None).expect("got"), b"from there");
    let seen = contents.seen("/L1/");
    assert!(seen[0].header("authorization").is_none());
    assert_eq!(b.count("GET", "/L1/"), 0);
    // It may not send the question on to another host.
    let away = headed(302, "location", "http://example.org/file");
    contents.script("GET", "/L", away);
    let mut b = bench_with("number-of-retries=0");
    b.stored(10);
    b.with(|account| account.contents = Some(host));
    refused(b.get(NAME, None), "example.org");
    for (from, to, words) in [
        (
            "\"hosts\":[",
            "\"hosts\":[\"user@127.0.0.1\",",
            "carries a login",
        ),
        ("\"hosts\":[", "\"hosts\":[\"\",", "names no host"),
        ("\"hosts\":[", "\"hosts\":[\"127.0.0.1:x\",", "no number"),
        ("\"hosts\":", "\"other\":", "where the file is"),
        ("\"path\":\"/", "\"path\":\"", "where the file is"),
    ] {
        let mut b = bench_with("number-of-retries=0");
        b.stored(10);
        b.script("GET", "/getfilelink", Trouble::Replaced(from, to));
        let text = fails(b.get(NAME, None), Kind::Unsupported, words);
        assert!(!text.contains("user@"), "{text}");
    }
}

#[test]
fn ids_are_kept_and_what_they_name_is_looked_at() {
    let mut b = bench();
    b.stored(10);
    b.list().expect("listed");
    let lists = |b: &Bench| b.count("GET", "/listfolder?folderid=101");
    assert_eq!(b.stat(NAME).expect("asked"), Some(Some(10)));
    b.put(b"ours").expect("stored");
    assert_eq!(b.stat(NAME).expect("asked"), Some(Some(4)));
    assert_eq!(b.get(NAME, Some(4)).expect("got"), b"ours");
    assert_eq!(lists(&b), 1, "once for all");
    assert_eq!(b.with(|a| a.named(NAME).expect("there").revisions), 2);
    // Replaced by another, by another program.
    b.with(|account| {
        account.items.retain(|item| item.name != NAME);
        let folder = account.folder().expect("there");
        account.add(NAME, folder, Some(b"another".to_vec()));
    });
    assert_eq!(b.get(NAME, Some(7)).expect("got"), b"another");
    assert_eq!(b.stat(NAME).expect("asked"), Some(Some(7)));
    // Renamed, moved away.
    for (name, parent) in [("renamed", 101), (NAME, 0)] {
        let mut b = bench();
        b.stored(10);
        b.list().expect("listed");
        b.with(|account| {
            let item = account.items.last_mut().expect("there");
            (item.name, item.parent) = (name.to_owned(), parent);
        });
        assert_eq!(b.stat(NAME).expect("asked"), None, "{name}");
    }
    // Deleted by an attempt whose answer was lost, and by another program.
    b.script("GET", "/deletefile", Trouble::Swallow);
    b.delete().expect("deleted");
    b.stored(10);
    b.list().expect("listed");
    b.with(|account| account.items.retain(|item| item.name != NAME));
    b.delete().expect("deleted");
    assert_eq!(b.with(|account| account.trash.len()), 1);
    // What lies in the trash is not listed, and folders are no files.
    b.stored(10);
    let deleted = Trouble::Replaced("\"ismine\":true", "\"isdeleted\":true");
    b.script("GET", "/listfolder?folderid=101", deleted);
    assert_eq!(b.list().expect("listed"), [""; 0]);
    let mut b = bench();
    b.with(|account| account.add(NAME, 101, None));
    assert_eq!(b.list().expect("listed"), [""; 0]);
    let words = "a folder has the name";
    fails(b.put(b"x"), Kind::Unsupported, words);
    assert_eq!(b.stat(NAME).expect("asked"), None);
}

#[test]
fn what_is_stored_is_known_by_the_digests_that_are_told() {
    for (part, wrong) in [
        ("\"sha1\":\"", "\"sha1\":\"0"),
        ("\"sha256\":\"", "\"sha256\":\"0"),
        ("\"size\":4", "\"size\":5"),
        // Only the other one is told.
        ("\"sha1\":", "\"md5\":"),
        ("\"sha256\":", "\"md5\":"),
    ] {
        let mut b = bench_with("number-of-retries=0");
        b.script("PUT", "/uploadfile", Trouble::Replaced(part, wrong));
        match wrong.contains("md5") {
            true => b.put(b"data").expect("stored"),
            false => {
                fails(b.put(b"data"), Kind::Damaged, "not the one sent");
                assert_eq!(b.file(), None, "removed at once");
            }
        }
        assert_eq!(b.count("GET", "/checksumfile"), 0);
    }
    for (from, to) in [("", ""), ("\"sha1\":\"", "\"sha1\":\"0")] {
        let mut b = bench_with("number-of-retries=0");
        b.with(|account| account.silent = true);
        b.script("GET", "/checksumfile", Trouble::Replaced(from, to));
        match from.is_empty() {
            true => b.put(b"data").expect("stored"),
            false => drop(fails(b.put(b"data"), Kind::Damaged, "not the one sent")),
        }
        assert_eq!(b.count("GET", "/checksumfile"), 1);
    }
    let mut b = bench_with("number-of-retries=0");
    b.with(|account| account.silent = true);
    b.script("GET", "/checksumfile", reply(200, r#"{"result":0}"#));
    fails(
        b.put(b"data"),
        Kind::Unsupported,
        "does not show the stored",
    );
    let mut b = bench_with("number-of-retries=0");
    b.script("PUT", "/uploadfile", reply(200, r#"{"result":0}"#));
    fails(
        b.put(b"data"),
        Kind::Unsupported,
        "does not show the stored",
    );
}

/// A body without content is refused there.
#[test]
fn an_empty_file_is_a_form() {
    let odd = "a b+c%41 \u{e9}&=~'(1)!#.zip";
    for name in [NAME, odd] {
        let mut b = bench();
        for data in [&b""[..], b"x", b""] {
            b.put_as(name, data).expect("stored");
            assert_eq!(b.get(name, None).expect("there"), data);
        }
        assert_eq!(b.with(|a| a.named(name).expect("there").revisions), 3);
        assert_eq!(b.count("POST", "/uploadfile"), 2);
        assert_eq!(b.count("PUT", "/uploadfile"), 1);
    }
}

#[test]
fn folders_on_the_way() {
    let mut b = at("new/fol%20der");
    assert_eq!(b.entries().expect("asked"), None);
    b.script("GET", "/createfolder", Trouble::Swallow);
    b.make().expect("made");
    b.make().expect("there");
    b.put(b"x").expect("stored");
    let counts = b.with(|account| account.items.len());
    assert_eq!(counts, 4, "one of each");
    // Upper and lower case are not the same.
    let mut b = at(&FOLDER.to_uppercase());
    assert_eq!(b.entries().expect("asked"), None);
    b.put(b"x").expect("stored");
    assert_eq!(b.with(|account| account.items.len()), 3);
    // A file is in the way.
    let mut b = at("bkt/file/more");
    b.store("file", b"x");
    assert_eq!(b.entries().expect("asked"), None);
    fails(b.make(), Kind::Unsupported, "a folder of the URL is a file");
    // Gone in the middle, and made anew by another program.
    let mut b = bench_with("number-of-retries=0");
    b.stored(10);
    b.list().expect("listed");
    b.with(|account| account.items.clear());
    assert_eq!(b.entries().expect("asked"), None);
    b.with(|account| {
        let folder = account.add(FOLDER, 0, None);
        account.add(NAME, folder, Some(b"again".to_vec()));
    });
    assert_eq!(b.list().expect("listed"), [NAME]);
    assert_eq!(b.get(NAME, Some(5)).expect("got"), b"again");
    // The account's root.
    let mut b = at("");
    b.put(b"x").expect("stored");
    assert_eq!(b.with(|a| a.named(NAME).expect("there").parent), 0);
}

#[test]
fn the_space_that_is_left() {
    let mut b = bench();
    let quota = b.remote.quota();
    assert_eq!(
        (quota.total, quota.free),
        (Some(1 << 40), Some((1 << 40) - 10))
    );
    b.script("GET", "/userinfo", reply(200, r#"{"result":0}"#));
    let quota = b.remote.quota();
    assert_eq!((quota.total, quota.free), (None, None));
}
