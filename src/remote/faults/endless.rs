//! Listings through `Remote` that are cut, do not advance, or do not end (row 28).

use super::faulty::{Reply, Twist};
use super::faulty_dav::{Dav, multistatus, response};
use super::faulty_s3;
use super::*;
use crate::remote::list::LISTED_MAX;

fn s3_at<S: Service>(server: Server<S>, query: &str) -> Special<S> {
    let url = s3::url(&server.address.to_string(), query);
    Special::at(server, &url)
}

fn dav() -> Special<Dav> {
    let server = Server::start(|_| Dav::new());
    let url = format!(
        "webdav://user:{SECRET_IN_URL}@{}/d/b?retry-delay=0s&http-proxy=none",
        server.address
    );
    Special::at(server, &url)
}

fn page(head: &str, keys: &[&str]) -> String {
    let entry = |key: &&str| format!("<Contents><Key>{key}</Key><Size>1</Size></Contents>");
    let keys: String = keys.iter().map(entry).collect();
    format!("<ListBucketResult>{head}{keys}</ListBucketResult>")
}

#[test]
fn truncated_without_a_token() {
    for head in [
        "<IsTruncated>true</IsTruncated>",
        "<KeyCount>1</KeyCount><IsTruncated>true</IsTruncated>",
        "<KeyCount>1</KeyCount><IsTruncated>true</IsTruncated><NextContinuationToken/>",
        "<IsTruncated>true</IsTruncated><NextMarker>p/a</NextMarker>",
    ] {
        let server = faulty_s3::Server::start();
        for name in ["p/a", "p/b", "p/c"] {
            server.put(name, b"1");
        }
        let first = reply(200, page(head, &["p/a"]));
        let mut b = s3_at(server.0, "");
        b.script("GET", "list-type", first.clone());
        // Version 1 in pages of one.
        for key in ["p/a", "p/b"] {
            let body = page("<IsTruncated>true</IsTruncated>", &[key]);
            b.script("GET", "", reply(200, body));
        }
        assert_eq!(b.list().expect("all"), ["a", "b", "c"], "{head}");
        let asked = b.asked("GET", "");
        assert!(asked[1..].iter().all(|s| !s.target.contains("list-type")));
        let target = &asked[2].target;
        assert!(target.contains("marker=p%2Fa"), "{target}");

        let server = faulty_s3::Server::start().0;
        let mut b = s3_at(server, "s3-list-api-version=v2");
        b.scripts(2, "GET", "", &first);
        let e = refused(b.list(), "listing incomplete").to_string();
        assert!(e.contains("s3-list-api-version"), "{e}");
    }
}

/// Answers every question for a listing with the next page of one that has no end.
struct Endless {
    asked: u64,
    page: fn(u64) -> String,
}

impl Service for Endless {
    fn act(&mut self, _: &Seen, _: Vec<u8>, _: Twist) -> Reply {
        self.asked += 1;
        (200, Vec::new(), (self.page)(self.asked).into_bytes())
    }
}

fn endless(first: u64, keys: u64, token: u64) -> String {
    let keys: Vec<String> = (first..first + keys)
        .map(|n| format!("p/{n:012}"))
        .collect();
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    let head = format!(
        "<IsTruncated>true</IsTruncated><NextContinuationToken>t{token}</NextContinuationToken><NextMarker>p/{token:012}</NextMarker>"
    );
    page(&head, &keys)
}

/// What it is, its n-th page, what is said, and the most pages that are fetched.
type Case = (&'static str, fn(u64) -> String, &'static str, u64);

#[test]
fn tokens_and_keys_without_end() {
    let stuck = "does not advance";
    let cases: [Case; 7] = [
        ("the same token", |_| endless(1, 10, 7), stuck, 6),
        ("the same page", |n| endless(1, 10, n), stuck, 6),
        ("a circle", |n| endless(n % 5 * 10, 10, n), stuck, 20),
        ("a wide circle", |n| endless(n % 97, 10, n), stuck, 500),
        ("no keys", |n| endless(0, 0, n), stuck, 210),
        ("one key a page", |n| endless(n, 1, n), stuck, 300),
        (
            "keys",
            |n| endless(n * 1000, 1000, n),
            "more than 25000 entries",
            60,
        ),
    ];
    for version in ["", "s3-list-api-version=v1", "s3-list-api-version=v2"] {
        // Those of hundreds of pages once.
        let few = cases
            .iter()
            .filter(|case| version.is_empty() || case.3 < 200);
        for &(what, page, part, most) in few {
            let server = Server::start(|_| Endless { asked: 0, page });
            let mut b = s3_at(server, version);
            fails(b.list(), Kind::Unsupported, part);
            let asked = b.with(|s| s.asked);
            assert!(asked <= most, "{what} {version}: {asked} pages");
        }
    }
}

#[test]
fn some_empty_pages_in_a_row_are_no_end() {
    let server = Server::start(|_| Endless {
        asked: 0,
        page: |n| match n {
            1..60 => endless(0, 0, n),
            60 => endless(1, 2, n),
            61..100 => endless(0, 0, n),
            _ => page("<IsTruncated>false</IsTruncated>", &["p/x"]),
        },
    });
    let mut b = s3_at(server, "list-timeout=1h");
    let all = b.list().expect("all");
    assert_eq!(all, ["000000000001", "000000000002", "x"]);
}

#[test]
fn webdav_folders_without_end_or_cut() {
    let many: String = (0..LISTED_MAX + 10)
        .map(|n| format!("<d:response><d:href>/d/b/{n}</d:href></d:response>"))
        .collect();
    let folder = "<d:resourcetype><d:collection/></d:resourcetype>";
    let own = response("/d/b/", folder);
    let status = "<d:status>HTTP/1.1 507 Insufficient Storage</d:status>";
    let cut = format!("<d:response><d:href>/d/b/</d:href>{status}</d:response>");
    let foreign = "<d:response><d:href>/other/x</d:href></d:response>";
    for (parts, words, times) in [
        (many, "more than 25000 entries", 1),
        (format!("{own}{cut}"), "cuts its answer", 2),
        (
            format!("{own}{foreign}"),
            "lists another folder: /other/x",
            2,
        ),
    ] {
        let mut b = dav();
        b.scripts(times, "PROPFIND", "", &reply(207, multistatus(&parts)));
        let e = refused(b.list(), "listing incomplete").to_string();
        assert!(e.contains(words), "{e}");
        assert_eq!(b.count("", ""), times, "{words}");
    }
    let mut b = dav();
    let above = "<d:response><d:href>/d/</d:href></d:response>";
    let all = multistatus(&format!("{above}{own}"));
    b.script("PROPFIND", "", reply(207, all));
    assert!(b.list().expect("empty").is_empty());
}

#[test]
fn slashes_that_a_server_escapes_are_slashes() {
    for (slash, all) in [("%2f", true), ("%2F", true), ("%2f", false)] {
        let mut b = dav();
        b.with(|dav| {
            dav.files.insert(format!("/d/b/{NAME}"), b"123".to_vec());
            dav.files.insert("/d/b/a b".to_owned(), b"1".to_vec());
            dav.slash = Some((slash, all));
        });
        let mut found = b.entries().expect("listed").expect("there");
        found.sort();
        let want = [("a b".to_owned(), Some(1)), (NAME.to_owned(), Some(3))];
        assert_eq!(found, want);
        assert_eq!(b.get(NAME, Some(3)).expect("got"), b"123");
        b.put(b"4567").expect("stored and seen");
    }
}
