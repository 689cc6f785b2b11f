//! Listings through `Remote` that are cut, do not advance, or do not end (row 28).

use std::net::SocketAddr;

use super::faults::faulty::{Reply, Seen, Server, Service, Trouble, Twist};
use super::faults::faulty_dav::Dav;
use super::faults::faulty_s3;
use super::list::LISTED_MAX;
use super::subject::{NAME, Subject};
use crate::base::error::Kind;

const SECRET: &str = "s3cr3tvalue";

fn s3_at(address: SocketAddr, query: &str) -> Subject {
    let url = format!(
        "s3://KEYID:{SECRET}@bkt/p?s3-server-name={address}&retry-delay=0s&http-proxy=none&{query}"
    );
    Subject::open(&url, &[SECRET])
}

fn dav_at(address: SocketAddr, query: &str) -> Subject {
    let url =
        format!("webdav://user:{SECRET}@{address}/d/b?retry-delay=0s&http-proxy=none&{query}");
    Subject::open(&url, &[SECRET])
}

fn page(head: &str, keys: &[&str]) -> String {
    let keys: Vec<String> = keys
        .iter()
        .map(|k| format!("<Contents><Key>{k}</Key><Size>1</Size></Contents>"))
        .collect();
    format!(
        "<ListBucketResult>{head}{}</ListBucketResult>",
        keys.join("")
    )
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
        let first = || Trouble::Answer(200, Vec::new(), page(head, &["p/a"]));
        server.script("GET", "list-type", first());
        // Version 1 in pages of one.
        let truncated = "<IsTruncated>true</IsTruncated>";
        for key in ["p/a", "p/b"] {
            let body = page(truncated, &[key]);
            server.script("GET", "", Trouble::Answer(200, Vec::new(), body));
        }
        let mut subject = s3_at(server.address, "");
        assert_eq!(subject.list().expect("all"), ["a", "b", "c"], "{head}");
        let asked = server.seen("GET");
        assert!(asked[1..].iter().all(|s| !s.target.contains("list-type")));
        assert!(
            asked[2].target.contains("marker=p%2Fa"),
            "{}",
            asked[2].target
        );

        let server = faulty_s3::Server::start();
        for _ in 0..2 {
            server.script("GET", "", first());
        }
        let mut subject = s3_at(server.address, "s3-list-api-version=v2");
        let e = subject.list().expect_err("no way on").to_string();
        assert!(
            e.contains("listing incomplete") && e.contains("s3-list-api-version"),
            "{e}"
        );
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
    let cases: [Case; 7] = [
        (
            "the same token",
            |_| endless(1, 10, 7),
            "does not advance",
            6,
        ),
        (
            "the same page",
            |n| endless(1, 10, n),
            "does not advance",
            6,
        ),
        (
            "a circle",
            |n| endless(n % 5 * 10, 10, n),
            "does not advance",
            20,
        ),
        (
            "a wide circle",
            |n| endless(n % 97, 10, n),
            "does not advance",
            500,
        ),
        ("no keys", |n| endless(0, 0, n), "does not advance", 210),
        (
            "one key a page",
            |n| endless(n, 1, n),
            "does not advance",
            300,
        ),
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
            let mut subject = s3_at(server.address, version);
            let e = subject.list().expect_err(what);
            assert_eq!(e.kind(), Kind::Unsupported, "{e}");
            assert!(e.to_string().contains(part), "{what} {version}: {e}");
            let asked = server.with(|s| s.asked);
            assert!(asked <= most, "{what} {version}: {asked} pages");
        }
    }
}

#[test]
fn webdav_folders_without_end_or_cut() {
    let many: String = (0..LISTED_MAX + 10)
        .map(|n| format!("<d:response><d:href>/d/b/{n}</d:href></d:response>"))
        .collect();
    let all = |inner: &str| format!("<d:multistatus xmlns:d=\"DAV:\">{inner}</d:multistatus>");
    let own = "<d:response><d:href>/d/b/</d:href><d:propstat><d:prop><d:resourcetype><d:collection/></d:resourcetype></d:prop></d:propstat></d:response>";
    let cut = "<d:response><d:href>/d/b/</d:href><d:status>HTTP/1.1 507 Insufficient Storage</d:status></d:response>";
    let foreign = "<d:response><d:href>/other/x</d:href></d:response>";
    for (body, part, times) in [
        (all(&many), "more than 25000 entries", 1),
        (all(&format!("{own}{cut}")), "cuts its answer", 2),
        (
            all(&format!("{own}{foreign}")),
            "lists another folder: /other/x",
            2,
        ),
    ] {
        let server = Server::start(|_| Dav::new());
        for _ in 0..times {
            let answer = Trouble::Answer(207, Vec::new(), body.clone());
            server.script("PROPFIND", "", answer);
        }
        let e = dav_at(server.address, "")
            .list()
            .expect_err(part)
            .to_string();
        assert!(e.contains("listing incomplete") && e.contains(part), "{e}");
        assert_eq!(server.seen("").len(), times, "{part}");
    }
    let server = Server::start(|_| Dav::new());
    let above = all(&format!(
        "<d:response><d:href>/d/</d:href></d:response>{own}"
    ));
    server.script("PROPFIND", "", Trouble::Answer(207, Vec::new(), above));
    assert!(dav_at(server.address, "").list().expect("empty").is_empty());
}

#[test]
fn slashes_that_a_server_escapes_are_slashes() {
    for (slash, all) in [("%2f", true), ("%2F", true), ("%2f", false)] {
        let server = Server::start(|_| Dav::new());
        server.with(|dav| dav.files.insert(format!("/d/b/{NAME}"), b"123".to_vec()));
        server.with(|dav| dav.files.insert("/d/b/a b".to_owned(), b"1".to_vec()));
        server.with(|dav| dav.slash = Some((slash, all)));
        let mut subject = dav_at(server.address, "");
        let mut found = subject.entries().expect("listed").expect("there");
        found.sort();
        let want = [("a b".to_owned(), Some(1)), (NAME.to_owned(), Some(3))];
        assert_eq!(found, want);
        assert_eq!(subject.get(NAME, Some(3)).expect("got"), b"123");
        subject.put(b"4567").expect("stored and seen");
    }
}
