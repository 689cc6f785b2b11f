//! Redirects of a WebDAV server through `Remote` (row 23): a login stays at its origin, which is scheme, host and port; relative
//! forms; cookies to bring back.

use super::faults::faulty::{Server, Trouble};
use super::faults::faulty_dav::{Dav, Login};
use super::subject::{NAME, Subject, bytes};
use crate::base::error::Kind;

const KEY: &str = "/d/b/duplicati-b1.dblock.zip";
const SECRET: &str = "s3cr3tvalue";
/// `user:` and [`SECRET`].
const BASIC: &str = "Basic dXNlcjpzM2NyM3R2YWx1ZQ==";

struct Bench {
    server: Server<Dav>,
    subject: Subject,
}

/// A server that wants the login for everything, and holds one file.
fn bench() -> Bench {
    let server = Server::start(|_| Dav {
        login: Login::Basic(BASIC.to_owned()),
        ..Dav::new()
    });
    server.with(|dav| dav.files.insert(KEY.to_owned(), b"here".to_vec()));
    let url = format!(
        "webdav://user:{SECRET}@{}/d/b?retry-delay=0s&number-of-retries=0&http-proxy=none",
        server.address
    );
    let subject = Subject::open(&url, &[SECRET, &BASIC[6..]]);
    Bench { server, subject }
}

fn moved(to: &str) -> Trouble {
    Trouble::Answer(307, vec![("location", to.to_owned())], String::new())
}

/// Another server, which holds the file under the same path.
fn elsewhere() -> Server<Dav> {
    let other = Server::start(|_| Dav::new());
    other.with(|dav| dav.files.insert(KEY.to_owned(), b"elsewhere".to_vec()));
    other
}

#[test]
fn a_login_never_goes_to_another_origin() {
    let other = elsewhere();
    let port = other.address.port();
    for place in [
        // Another port of the same host, another name of it.
        format!("http://127.0.0.1:{port}"),
        format!("HTTP://127.0.0.1:{port}"),
        format!("//127.0.0.1:{port}"),
        format!("http://localhost:{port}"),
        format!("http://LOCALHOST:{port}"),
    ] {
        let mut b = bench();
        b.server
            .script("GET", "", moved(&format!("{place}{KEY}?X-Signature=abc")));
        assert_eq!(b.subject.get(NAME, None).expect("followed"), b"elsewhere");
        // A refused upload removes its temporary file, so that there are two deletions.
        for method in ["PROPFIND", "PUT", "DELETE", "DELETE", "MKCOL", "MOVE"] {
            b.server.script(method, "", moved(&format!("{place}/d/b/")));
        }
        for e in [
            b.subject.list().expect_err("list"),
            b.subject.put(&bytes(10)).expect_err("put"),
            b.subject.delete().expect_err("delete"),
            b.subject.make().expect_err("make"),
        ] {
            let text = e.to_string();
            assert!(
                text.contains("another address") && text.contains(&port.to_string()),
                "{text}"
            );
        }
    }
    let seen = other.seen("");
    assert_eq!(seen.len(), 5);
    for one in seen {
        assert_eq!(
            (one.method.as_str(), one.header("authorization")),
            ("GET", None)
        );
    }
    // The same origin written otherwise is the same.
    let mut b = bench();
    let host = b.server.address;
    b.server
        .script("GET", "", moved(&format!("HTTP://{host}{KEY}?x=1")));
    assert_eq!(b.subject.get(NAME, None).expect("followed"), b"here");
    let seen = b.server.seen("x=1");
    assert_eq!(seen[0].header("authorization"), Some(BASIC));
}

#[test]
fn another_origin_that_wants_a_login_is_named() {
    let other = Server::start(|_| Dav {
        login: Login::Basic("Basic b3RoZXI=".to_owned()),
        ..Dav::new()
    });
    let mut b = bench();
    b.server
        .script("GET", "", moved(&format!("http://{}{KEY}", other.address)));
    let e = b.subject.get(NAME, None).expect_err("refused");
    assert_eq!(e.kind(), Kind::Credentials);
    let text = e.to_string();
    assert!(
        text.contains(&other.address.to_string()) && text.contains("wants a login"),
        "{text}"
    );
    assert_eq!(other.seen("").len(), 1);
    assert_eq!(other.seen("")[0].header("authorization"), None);
}

#[test]
fn relative_forms() {
    for to in [
        format!("{NAME}?x=1"),
        format!("./{NAME}?x=1"),
        format!("../b/{NAME}?x=1"),
        format!("/d/../d/./b/{NAME}?x=1"),
        "?x=1".to_owned(),
        format!("{KEY}?x=1#there"),
    ] {
        let mut b = bench();
        b.server.script("GET", "", moved(&to));
        assert_eq!(b.subject.get(NAME, None).expect(&to), b"here");
        assert_eq!(b.server.seen("x=1").len(), 1, "{to}");
    }
    for (to, part) in [
        ("", "without saying where"),
        ("#there", "names no address"),
        ("http:///d/b/x", "names no host"),
        ("//", "names no host"),
        ("http://user:pass@127.0.0.1/x", "carries a login"),
        ("http:x", "not understood"),
        ("ftp://127.0.0.1/x", "away from HTTP"),
    ] {
        let mut b = bench();
        b.server.script("GET", "", moved(to));
        let e = b.subject.get(NAME, None).expect_err(to).to_string();
        assert!(e.contains(part) && !e.contains("user:pass"), "{to}: {e}");
    }
}

#[test]
fn a_redirect_to_itself_with_a_cookie() {
    let with = |to: &str| {
        let headers = vec![
            ("location", to.to_owned()),
            ("set-cookie", "seen=yes; Path=/; HttpOnly".to_owned()),
        ];
        Trouble::Answer(302, headers, String::new())
    };
    let mut b = bench();
    b.server.script("GET", "", with(KEY));
    assert_eq!(b.subject.get(NAME, None).expect("once more"), b"here");
    let seen = b.server.seen(NAME);
    assert_eq!(seen[0].header("cookie"), None);
    assert_eq!(seen[1].header("cookie"), Some("seen=yes"));
    // It is kept for what comes after, here only.
    b.subject.list().expect("listed");
    let listing = b.server.seen("").pop().expect("asked");
    assert_eq!(listing.header("cookie"), Some("seen=yes"));
    let other = elsewhere();
    b.server
        .script("GET", "", moved(&format!("http://{}{KEY}", other.address)));
    b.subject.get(NAME, None).expect("followed");
    assert_eq!(other.seen("")[0].header("cookie"), None);

    let mut b = bench();
    b.server.script("PROPFIND", "", with("/d/b/"));
    assert_eq!(b.subject.list().expect("listed"), [NAME]);
    b.server.script("PUT", "", with(KEY));
    b.subject
        .put(&bytes(2 << 20))
        .expect("stored with its body");
    assert_eq!(b.server.with(|dav| dav.files[KEY].len()), 2 << 20);

    let mut b = bench();
    for _ in 0..4 {
        b.server.script("GET", "", with(KEY));
    }
    let e = b.subject.get(NAME, None).expect_err("for ever").to_string();
    assert!(e.contains("circle") && e.contains("login page"), "{e}");
    assert_eq!(
        b.server.seen(NAME).len(),
        2,
        "once more, not again and again"
    );
}
