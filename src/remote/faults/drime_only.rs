//! What only Drime and FileJump do wrong: pages by number, entries of one name, log-ins, a service that is closed.

use super::drime::faulty_drime::{Drime, Pages, error, invalid};
use super::*;

type Bench = Special<Drime>;

fn bench_with(query: &str) -> Bench {
    let server = drime::server();
    let url = drime::url(&server.address.to_string(), query);
    Special::at(server, &url)
}

fn bench() -> Bench {
    bench_with("")
}

/// Names and lengths of all files.
fn there(b: &mut Bench) -> Vec<(String, Option<u64>)> {
    b.entries().expect("listed").expect("a folder")
}

/// A bench of FileJump.
fn filejump(query: &str) -> Bench {
    let server = drime::server();
    server.with(|it| it.is_filejump = true);
    let url = drime::url(&server.address.to_string(), query);
    Special::at(server, &url.replacen("drimecloud://", "filejump://", 1))
}

/// Pages are gone through in every way in which they are told, and nothing is left out of them.
#[test]
fn pages_however_they_are_told() {
    for pages in [Pages::All, Pages::Next, Pages::Address, Pages::Silent] {
        for count in [0, 1, 49, 50, 51, 230] {
            let mut b = bench_with("page-size=50");
            b.with(|it| {
                it.pages = pages;
                let folder = it.folder("bkt");
                for i in 0..count {
                    it.add(
                        &format!("duplicati-b{i}.dblock.zip"),
                        folder,
                        Some(vec![7; i]),
                    );
                }
                it.add("sub", folder, None);
            });
            let mut all = there(&mut b);
            all.sort();
            let mut want: Vec<_> = (0..count)
                .map(|i| (format!("duplicati-b{i}.dblock.zip"), Some(i as u64)))
                .collect();
            want.sort();
            assert!(all == want, "{pages:?} {count}: {}", all.len());
            assert_eq!(b.with(|it| it.odd.clone()), [""; 0]);
        }
    }
    // A server that gives less at once than it is asked for.
    let mut b = bench_with("page-size=50");
    b.with(|it| (it.page_max, it.pages) = (7, Pages::Silent));
    for i in 0..30 {
        b.store(&format!("duplicati-b{i}.dblock.zip"), b"x");
    }
    assert_eq!(b.list().expect("listed").len(), 30);
}

/// A folder that changes between two pages is listed again.
#[test]
fn pages_that_do_not_fit() {
    for (from, to) in [("\"total\":4", "\"total\":5"), ("\"id\":104", "\"id\":102")] {
        let mut b = bench_with("page-size=50");
        for i in 0..4 {
            b.store(&format!("duplicati-b{i}.dblock.zip"), b"x");
        }
        b.script("GET", "folderId=", Trouble::Replaced(from, to));
        assert_eq!(b.list().expect("at the second try").len(), 4, "{from}");
        assert_eq!(b.retries(), 1, "{from}");
    }
}

/// What lies behind the last page that the service shows is not left out in silence.
#[test]
fn a_folder_of_which_not_all_is_shown() {
    for pages in [Pages::All, Pages::Next, Pages::Address] {
        let mut b = bench_with("page-size=10");
        b.with(|it| (it.pages, it.page_last) = (pages, 2));
        for i in 0..30 {
            b.store(&format!("duplicati-b{i}.dblock.zip"), b"x");
        }
        let told = fails(b.entries(), Kind::Unsupported, "no more than 20 entries");
        assert!(told.contains("--page-size"), "{told}");
    }
}

/// Of files of one name the newest counts; an upload replaces it and removes the others.
#[test]
fn files_of_one_name() {
    let mut b = bench_with("page-size=3");
    b.with(|it| {
        let folder = it.folder("bkt");
        for data in ["oldest", "older", "newest of all"] {
            it.add(NAME, folder, Some(data.as_bytes().to_vec()));
        }
        it.add(&NAME.to_uppercase(), folder, Some(b"another".to_vec()));
    });
    let all = there(&mut b);
    assert!(all.contains(&(NAME.to_owned(), Some(13))), "{all:?}");
    assert_eq!(b.get(NAME, None).expect("got"), b"newest of all");
    b.put(&bytes(10)).expect("stored");
    b.with(|it| assert_eq!(it.named(NAME).len(), 1));
    b.list().expect("listed");
    assert_eq!(b.get(NAME, None).expect("got"), bytes(10));
    b.delete().expect("gone");
    b.with(|it| assert_eq!(it.named(NAME).len(), 0));
    b.with(|it| assert_eq!(it.named(&NAME.to_uppercase()).len(), 1));
    // In the trash it is not there.
    let mut b = bench_with("soft-delete");
    b.stored(5);
    b.delete().expect("gone");
    b.with(|it| assert!(it.entries.iter().any(|e| e.deleted && e.name == NAME)));
    assert_eq!(there(&mut b), []);
}

/// What was listed is not asked for again at each upload.
#[test]
fn a_folder_is_not_listed_for_every_file() {
    let mut b = bench();
    b.stored(10);
    b.list().expect("listed");
    let before = b.count("GET", "folderId=");
    for i in 0..5 {
        b.put_as(&format!("duplicati-b{i}.dindex.zip"), &bytes(5))
            .expect("stored");
    }
    assert_eq!(b.count("GET", "folderId="), before);
    // An upload of which it is not known what became of it makes that doubtful.
    b.script("POST", "/uploads", Trouble::Swallow);
    b.put(&bytes(20)).expect("found by looking");
    assert!(b.count("GET", "folderId=") > before);
    assert_eq!(
        b.with(|it| it.named(NAME)[0].data.clone()).expect("there"),
        bytes(20)
    );
}

#[test]
fn deletions() {
    // An entry that is gone; one that is kept although the answer is a success.
    let mut b = bench();
    b.stored(5);
    b.list().expect("listed");
    b.with(|it| it.entries.retain(|e| e.name != NAME));
    b.delete().expect("it is not there");
    let mut b = bench_with("number-of-retries=0");
    b.stored(5);
    b.with(|it| it.keeps = true);
    refused(b.delete(), "held by somebody");
}

#[test]
fn log_ins() {
    for (query, words) in [
        ("auth-username=nobody", "--auth-username"),
        ("auth-password=nonsense", "--api-token"),
    ] {
        let mut b = bench_with(query);
        let told = fails(b.list(), Kind::Credentials, words);
        assert!(!told.contains("nonsense"), "{told}");
    }
    // A token that is good no more is replaced once.
    let mut b = bench();
    b.stored(5);
    b.list().expect("listed");
    b.with(|it| it.tokens = vec!["another".to_owned()]);
    b.get(NAME, None).expect("got");
    assert_eq!(b.count("POST", "/auth/login"), 2);
    let mut b = bench_with("api-token=nonsense");
    b.with(|it| it.tokens.push("good".to_owned()));
    fails(b.list(), Kind::Credentials, "--api-token");
    b.with(|it| it.tokens = vec!["nonsense".to_owned()]);
    b.list().expect("listed");
    let banned = r#"{"status":"success","user":{"access_token":"t","banned_at":"2024-01-01"}}"#;
    let mut b = bench();
    b.script("POST", "/auth/login", reply(200, banned));
    fails(b.list(), Kind::Credentials, "banned");
    let mut b = bench();
    b.script(
        "GET",
        "type=folder",
        reply(429, error("Too Many Attempts.")),
    );
    b.list().expect("in the end");
    assert_eq!(b.waits(), [1]);
}

#[test]
fn folders_of_the_url() {
    for (made, url, found) in [
        ("bkt", "bkt", true),
        ("BKT", "bkt", true),
        ("other", "bkt", false),
    ] {
        let mut b = bench();
        b.with(|it| it.entries[0].name = made.to_owned());
        b.with(|it| {
            let folder = it.folder(made);
            it.add(NAME, folder, Some(b"x".to_vec()));
        });
        let listed = b.entries().expect("asked").is_some();
        assert_eq!(listed, found, "{made} {url}");
    }
    // The right one, and another by upper and lower case; and two that cannot be told apart.
    let mut b = bench();
    b.stored(5);
    b.with(|it| it.add("Bkt", None, None));
    assert_eq!(b.list().expect("listed").len(), 1);
    let mut b = bench();
    b.with(|it| it.add("bkt", None, None));
    refused(b.list(), "side by side");
    let mut b = bench();
    b.script(
        "POST",
        "/uploads",
        reply(
            422,
            invalid("parentId", "The selected parent id is invalid."),
        ),
    );
    b.put(&bytes(5))
        .expect("the folder is looked for again, or made");
}

#[test]
fn what_lies_at_another_host_is_read_without_the_log_in() {
    let other = drime::server();
    let mut b = bench();
    let data = b.stored(5000);
    other.with(|it| it.entries = b.with(|it| it.entries.clone()));
    let host = format!("http://localhost:{}", other.address.port());
    b.with(|it| it.elsewhere = Some(host));
    assert_eq!(b.get(NAME, None).expect("got"), data);
    assert_eq!(other.with(|it| it.odd.clone()), [""; 0]);
}

/// Of FileJump everything is read and nothing written, and what is left of it is told.
#[test]
fn a_service_that_is_closed() {
    const SENTENCE: &str = "FileJump closed its interface for programs at the end of 2025";
    let mut b = filejump("");
    let data = b.stored(1000);
    assert_eq!(there(&mut b), [(NAME.to_owned(), Some(1000))]);
    assert_eq!(b.get(NAME, None).expect("got"), data);
    refused(b.put(&bytes(5)), SENTENCE);
    refused(b.delete(), SENTENCE);
    assert_eq!(
        (b.count("POST", "/uploads"), b.count("POST", "delete")),
        (0, 0)
    );
    for trouble in [
        reply(404, "Not Found"),
        reply(410, error("gone")),
        reply(401, error("Unauthenticated.")),
        Trouble::Answer(
            200,
            vec![("content-type", "text/html".to_owned())],
            "<html>".to_owned(),
        ),
        reply(200, "{}"),
    ] {
        let mut b = filejump("number-of-retries=1&api-token=t");
        b.scripts(4, "GET", "type=folder", &trouble);
        refused(b.list(), SENTENCE);
    }
    let mut b = filejump("number-of-retries=1");
    b.scripts(4, "POST", "/auth/login", &reply(404, "Not Found"));
    refused(b.list(), SENTENCE);
}
