//! What only WebDAV does wrong: temporary names, log-ins, folders, addresses, and servers that are none.

use super::faulty_dav::{Dav, Login};
use super::*;

const KEY: &str = "/d/b/duplicati-b1.dblock.zip";
/// `user:` and [`SECRET`].
const BASIC: &str = "Basic dXNlcjpzM2NyM3QvK3ZhbHVl";

struct Bench {
    server: Server<Dav>,
    subject: Subject,
}

/// Of a server that stores uploads whole or not at all.
fn bench() -> Bench {
    bench_with("d/b", "webdav-temporary-names=never")
}

/// Of a server of which nothing is known.
fn stranger() -> Bench {
    bench_with("d/b", "")
}

fn bench_with(path: &str, query: &str) -> Bench {
    let server = Server::start(|_| Dav::new());
    let url = format!(
        "webdav://user:{SECRET_IN_URL}@{}/{path}?retry-delay=0s&http-proxy=none&{query}",
        server.address
    );
    let subject = Subject::open(&url, SECRETS);
    Bench { server, subject }
}

impl Bench {
    /// A stored file that downloads get, of this length.
    fn stored(&self, len: usize) -> Vec<u8> {
        let data = bytes(len);
        self.store(KEY, &data);
        data
    }

    fn store(&self, key: &str, data: &[u8]) {
        self.server
            .with(|dav| dav.files.insert(key.to_owned(), data.to_vec()));
    }

    fn file(&self, key: &str) -> Option<Vec<u8>> {
        self.server.with(|dav| dav.files.get(key).cloned())
    }

    fn login(&self, login: Login) {
        self.server.with(|dav| dav.login = login);
    }

    fn count(&self, method: &str) -> usize {
        let seen = self.server.seen("");
        seen.iter().filter(|s| s.method == method).count()
    }

    fn script(&self, method: &'static str, part: &'static str, trouble: Trouble) {
        self.server.script(method, part, trouble);
    }

    fn calm(&self) {
        self.server.state.lock().expect("state").script.clear();
    }
}

#[test]
fn what_must_be_new_replaces_nothing_by_any_way_of_uploading() {
    for names in ["always", "never", "auto"] {
        let query = format!("webdav-temporary-names={names}");
        for other in [&b"theirs"[..], b"four", b"our", b""] {
            let mut b = bench_with("d/b", &query);
            b.store(KEY, other);
            // A part of ours is what an upload of ours left.
            let ours = b"ours".starts_with(other);
            assert_eq!(b.subject.put_new(b"ours").expect("settled"), ours);
            let want = if ours { &b"ours"[..] } else { other };
            assert_eq!(b.file(KEY).as_deref(), Some(want), "{names}");
        }
        for trouble in [Trouble::Swallow, answer(412), answer(503)] {
            let mut b = bench_with("d/b", &query);
            b.script("PUT", "", trouble);
            assert!(b.subject.put_new(b"ours").expect("in the end"), "{names}");
            assert_eq!(b.file(KEY).as_deref(), Some(&b"ours"[..]));
        }
    }
}

#[test]
fn uploads_go_under_temporary_names_unless_the_server_is_known() {
    let data = bytes(MIB);
    let temporary = |b: &Bench| {
        let seen = b.server.seen(".duplet-tmp-");
        seen.iter().map(|s| s.method.clone()).collect::<Vec<_>>()
    };
    for software in [
        "",
        "test",
        "nginx/1.22.1",
        "Apache/2.4",
        "WsgiDAV/4.4.0",
        "Caddy",
    ] {
        let mut b = stranger();
        b.server.with(|dav| dav.software = software.to_owned());
        b.subject.list().expect("listed");
        b.script("PUT", "tmp", Trouble::Reset(100));
        b.subject.put(&data).expect("stored");
        assert_eq!(
            temporary(&b),
            ["PUT", "DELETE", "PUT", "MOVE"],
            "{software}"
        );
        assert_eq!(b.file(KEY).expect("there"), data);
    }
    let mut b = stranger();
    b.subject.put(&data).expect("stored without a listing");
    assert_eq!(temporary(&b), ["PUT", "MOVE"]);

    for known in [
        "xmlns:lp2='http://apache.org/dav/props/'",
        "xmlns:oc='http://owncloud.org/ns'",
        "xmlns:ns0='urn:uuid:c2f41010-65b3-11d1-a29f-00aa00c14882/'",
    ] {
        let mut b = stranger();
        b.server.with(|dav| dav.namespaces = known.to_owned());
        b.subject.list().expect("listed");
        b.subject.put(&data).expect("stored");
        assert!(temporary(&b).is_empty(), "{known}");
    }
    let mut b = bench();
    b.subject.list().expect("listed");
    b.subject.put(&data).expect("stored");
    assert!(temporary(&b).is_empty(), "never");

    let mut b = bench_with("d/b", "webdav-temporary-names=always");
    b.server
        .with(|dav| dav.namespaces = "xmlns:oc='http://owncloud.org/ns'".to_owned());
    b.subject.list().expect("listed");
    b.subject.put(&data).expect("stored");
    assert_eq!(temporary(&b), ["PUT", "MOVE"]);
}

#[test]
fn servers_that_cannot_have_temporary_names_get_final_ones() {
    let data = bytes(MIB);
    let seen = |b: &Bench| {
        let seen = b.server.seen("");
        let of = seen.iter().filter(|s| s.method != "PROPFIND");
        of.map(|s| s.method.clone()).collect::<Vec<_>>()
    };
    let mut b = stranger();
    b.server.with(|dav| dav.moves = false);
    b.subject.put(&data).expect("stored without renaming");
    assert_eq!(seen(&b), ["PUT", "MOVE", "MOVE", "DELETE", "PUT"]);
    b.subject.put(&data).expect("stored");
    assert_eq!(seen(&b).len(), 6, "that is remembered");
    assert_eq!(b.subject.list().expect("listed"), [NAME]);

    let mut b = bench_with("d/b", "webdav-temporary-names=always");
    b.server.with(|dav| dav.moves = false);
    let e = b
        .subject
        .put(&data)
        .expect_err("as asked for or not at all");
    assert!(e.to_string().contains("cannot rename"), "{e}");
    assert!(b.server.with(|dav| dav.files.is_empty()));

    for status in [400, 403, 404, 405, 415] {
        let mut b = stranger();
        for _ in 0..2 {
            b.script("PUT", "tmp", Trouble::Early(status, ""));
        }
        b.subject.put(&data).expect("the name was refused");
        assert_eq!(seen(&b), ["PUT", "PUT", "PUT"], "{status}");
        assert_eq!(b.subject.list().expect("listed"), [NAME]);
    }
    for status in [400, 403, 405, 507] {
        let mut b = bench_with("d/b", "number-of-retries=0");
        b.script("PUT", "tmp", Trouble::Early(status, ""));
        b.subject.put(&data).expect_err("the content was refused");
        assert!(b.server.with(|dav| dav.files.is_empty()), "{status}");
        let bytes: u64 = b.server.seen("").iter().map(|s| s.body).sum();
        assert!(bytes < MIB as u64, "{status}: {bytes}");
    }
}

/// The answer comes while the body goes out, and then the connection is closed.
#[test]
fn a_refusal_in_mid_upload_is_read_to_its_reason() {
    let query = "webdav-temporary-names=never&disable-expect100-continue";
    for (status, body, kind, part) in [
        (507, "", Kind::NoSpace, "no space left"),
        (403, "Quota exceeded", Kind::NoSpace, "no space left"),
        (405, "", Kind::Unsupported, "could not store it"),
        (413, "", Kind::Unsupported, "a file of this size"),
        (401, "", Kind::Credentials, "rejected"),
        (403, "", Kind::Credentials, "writing"),
        (501, "", Kind::Unsupported, "says 501"),
    ] {
        let mut b = bench_with("d/b", query);
        b.script("PUT", "", Trouble::Midway(300_000, status, body.to_owned()));
        let e = b.subject.put(&bytes(12 * MIB)).expect_err("refused");
        assert_eq!(e.kind(), kind, "{status}: {e}");
        assert!(e.to_string().contains(part), "{status}: {e}");
        assert_eq!(b.count("PUT"), 1, "{status}");
    }
    let mut b = bench_with("d/b", query);
    let data = bytes(12 * MIB);
    for status in [201, 204, 500, 503] {
        b.script("PUT", "", Trouble::Midway(300_000, status, String::new()));
    }
    b.subject.put(&data).expect("a success for a part is none");
    assert_eq!(b.count("PUT"), 5);
    assert_eq!(b.file(KEY).expect("there"), data);
}

#[test]
fn a_full_disk_that_is_not_called_so_is_seen_by_its_quota() {
    let data = bytes(2 * MIB);
    for trouble in [
        || Trouble::Reset(MIB as u64),
        || answer(500),
        || answer(405),
        || answer(400),
    ] {
        let mut b = bench();
        b.script("PUT", "", trouble());
        b.server.with(|dav| dav.free = Some(MIB as u64));
        let e = b.subject.put(&data).expect_err("full");
        assert_eq!(e.kind(), Kind::NoSpace, "{e}");
        assert!(
            e.to_string()
                .contains("1048576 bytes are free, 2097152 are needed"),
            "{e}"
        );
        assert_eq!(b.count("PUT"), 1);
    }
    // It says 201 and keeps what had room.
    let mut b = bench();
    b.server.with(|dav| {
        dav.free = Some(1000);
        dav.keeps = Some(1000);
    });
    let e = b.subject.put(&data).expect_err("full");
    assert_eq!((e.kind(), b.count("PUT")), (Kind::NoSpace, 1), "{e}");
    assert_eq!(b.file(KEY), None, "the part is removed");
    // Room enough, or nobody knows: it was something else.
    for free in [Some(1 << 40), None] {
        let mut b = bench();
        b.server.with(|dav| dav.free = free);
        b.script("PUT", "", Trouble::Reset(MIB as u64));
        b.subject.put(&data).expect("stored at the second attempt");
    }
}

#[test]
fn old_leftovers_are_removed_by_the_next_upload() {
    let mut b = bench();
    for name in ["old", "new"] {
        b.store(&format!("/d/b/.duplet-tmp-{name}"), b"x");
    }
    let dated = |name: &str, time: &str| {
        format!(
            "<d:response><d:href>/d/b/.duplet-tmp-{name}</d:href><d:propstat><d:prop><d:getlastmodified>{time}</d:getlastmodified></d:prop></d:propstat></d:response>"
        )
    };
    let body = format!(
        "<d:multistatus xmlns:d='DAV:'>{}{}</d:multistatus>",
        dated("old", "Sun, 06 Nov 1994 08:49:37 GMT"),
        dated("new", "Sun, 06 Nov 2094 08:49:37 GMT")
    );
    b.script("PROPFIND", "", page(207, "text/xml", &body));
    b.subject.list().expect("listed");
    assert_eq!(b.count("DELETE"), 0, "a listing changes nothing");
    b.subject.put(b"x").expect("stored");
    assert_eq!(b.subject.list().expect("listed"), [".duplet-tmp-new", NAME]);
}

#[test]
fn maintenance_is_called_so() {
    let mut b = bench_with("d/b", "number-of-retries=0");
    let mode = vec![("x-nextcloud-maintenance-mode", "1".to_owned())];
    b.script("PROPFIND", "", Trouble::Answer(503, mode, String::new()));
    let e = b.subject.list().expect_err("closed").to_string();
    assert!(e.contains("maintenance mode"), "{e}");
}

#[test]
fn a_refusal_hidden_by_resets_comes_to_light() {
    let mut b = bench_with("d/b", "disable-expect100-continue");
    b.login(Login::Basic("other".to_owned()));
    b.script("PUT", "", Trouble::Reset(100));
    let e = b.subject.put(&bytes(2 * MIB)).expect_err("hidden");
    assert_eq!(e.kind(), Kind::Credentials);
}

#[test]
fn row_22_digest_and_nonces_that_go_stale() {
    let data = bytes(1000);
    for query in ["", "force-digest-authentication"] {
        let mut b = bench_with("d/b", query);
        b.login(Login::Digest("n1".to_owned()));
        b.server
            .with(|dav| dav.namespaces = "xmlns:oc='http://owncloud.org/ns'".to_owned());
        b.subject.list().expect("listed");
        b.subject.put(&data).expect("stored");
        let asked = b
            .server
            .seen("")
            .iter()
            .filter(|s| {
                s.header("authorization")
                    .is_some_and(|a| a.starts_with("Basic"))
            })
            .count();
        assert_eq!(asked, usize::from(query.is_empty()));
        b.login(Login::Digest("n2".to_owned()));
        b.subject.put(&data).expect("stored");
        let puts = b.server.seen("dblock");
        let bodies: Vec<u64> = puts
            .iter()
            .filter(|s| s.method == "PUT")
            .map(|s| s.body)
            .collect();
        assert_eq!(bodies, [1000, 0, 1000], "the body is sent once");
        assert_eq!(b.subject.remote.stats().retries, 0);
    }
    let mut b = bench_with(
        "d/b",
        "force-digest-authentication&disable-expect100-continue",
    );
    b.login(Login::Digest("n1".to_owned()));
    b.subject
        .put(&data)
        .expect("asked before the body was sent");
    assert_eq!((b.count("PUT"), b.subject.remote.stats().retries), (1, 0));
    let mut b = bench();
    b.login(Login::Digest("n1".to_owned()));
    b.subject.list().expect("listed");
    b.login(Login::Basic(BASIC.to_owned()));
    let e = b.subject.list().expect_err("a step down").to_string();
    assert!(e.contains("downgrade refused"), "{e}");
}

#[test]
fn a_wrong_password_is_one_request_and_one_line() {
    for (login, requests) in [
        (Login::Basic("other".to_owned()), 1),
        (Login::Digest("\" never".to_owned()), 2),
    ] {
        let mut b = bench();
        b.login(login);
        let e = b.subject.list().expect_err("rejected");
        assert_eq!(e.kind(), Kind::Credentials);
        assert!(e.to_string().contains("user 'user' rejected"), "{e}");
        assert_eq!(b.server.seen("").len(), requests);
    }
    let mut b = bench();
    let offer = vec![("www-authenticate", "Negotiate, NTLM".to_owned())];
    b.script("PROPFIND", "", Trouble::Answer(401, offer, String::new()));
    let e = b.subject.list().expect_err("windows").to_string();
    assert!(
        e.contains("offers only Negotiate/NTLM, not supported"),
        "{e}"
    );
}

#[test]
fn a_lasting_redirect_of_the_folder_is_remembered() {
    let mut b = bench();
    b.server.with(|dav| {
        dav.folders.insert("/new/d/b".to_owned());
    });
    let to = vec![("location", "/new/d/b/".to_owned())];
    b.script("PROPFIND", "/d/b/", Trouble::Answer(301, to, String::new()));
    b.subject.list().expect("followed");
    b.subject.put(b"x").expect("stored");
    assert!(b.file(&format!("/new{KEY}")).is_some(), "remembered");
}

#[test]
fn folders_and_new_names_are_not_made_elsewhere() {
    let other = Server::start(|_| Dav::new());
    let to = format!("http://{}/d/b/", other.address);
    let mut b = bench_with("d/b", "webdav-temporary-names=always&number-of-retries=0");
    for method in ["MKCOL", "MOVE", "MOVE"] {
        b.script(method, "", moved(&to));
    }
    for e in [
        b.subject.make().expect_err("make"),
        b.subject.put(b"x").expect_err("move"),
    ] {
        assert!(e.to_string().contains("another address"), "{e}");
    }
    assert!(other.seen("").is_empty());
}

#[test]
fn rows_29_and_30_names_and_addresses() {
    let long = "x".repeat(300);
    let hrefs = [
        "http://inner.example:81/d/b",
        "/d//b/good",
        "https://other/d/b/also%20good",
        "/prefix/d/b/third+",
        "/d/b/..",
        "/d/b/a%2Fb",
        "/d/b/x%0ay",
        "/d/b/%1b[31m",
        "/d/b/%2e%2e%2f",
        "/d/b/%ff%fe",
        "/d/b/x%00y",
        &format!("/d/b/{long}"),
        "/d/b/deeper/file",
        "/elsewhere/file",
    ];
    let entry = |href: &str| {
        format!(
            "<r:response><r:href>{href}</r:href><r:propstat><r:prop><r:getcontentlength>1</r:getcontentlength></r:prop></r:propstat></r:response>"
        )
    };
    let mut body: String = hrefs.iter().skip(1).map(|h| entry(h)).collect();
    body.push_str(&format!("<r:response><r:href>{}</r:href><r:propstat><r:prop><r:resourcetype><r:collection/></r:resourcetype></r:prop></r:propstat></r:response>", hrefs[0]));
    let mut b = bench();
    let listing = format!("<r:multistatus xmlns:r='DAV:'>{body}</r:multistatus>");
    b.script("PROPFIND", "", page(207, "text/xml", &listing));
    assert_eq!(
        b.subject.list().expect("listed"),
        ["good", "also good", "third+"]
    );
    let message = &b.subject.ui.messages()[0];
    assert!(
        message.contains("8 names") && !message.contains('\u{1b}'),
        "{message}"
    );

    let mut b = bench();
    let foreign = format!(
        "<r:multistatus xmlns:r='DAV:'>{}</r:multistatus>",
        entry("/elsewhere/file")
    );
    for _ in 0..2 {
        b.script("PROPFIND", "", page(207, "text/xml", &foreign));
    }
    assert!(
        b.subject
            .list()
            .expect_err("not ours")
            .to_string()
            .contains("another folder")
    );
}

#[test]
fn folders_are_made_from_the_first_missing_one_down() {
    let mut b = bench_with("d/x%20y/%C3%A9%2B/z", "");
    assert_eq!(b.subject.list().expect("asked"), ["(no folder)"]);
    b.subject.put(b"x").expect("stored");
    assert!(b.file("/d/x y/\u{e9}+/z/duplicati-b1.dblock.zip").is_some());
    let made: Vec<String> = b
        .server
        .seen("")
        .iter()
        .filter(|s| s.method == "MKCOL")
        .map(|s| s.target.clone())
        .collect();
    assert_eq!(made.len(), 5, "{made:?}");
    assert!(made.iter().all(|target| target.ends_with('/')), "{made:?}");
    b.subject.make().expect("existing");

    let mut b = bench();
    b.script("MKCOL", "", answer(409));
    b.subject
        .make()
        .expect("a server that says 409 for existing folders");
    let mut b = bench_with("d/b/c", "");
    b.script("MKCOL", "/c/", answer(409));
    b.script("MKCOL", "/b/", answer(403));
    b.subject
        .make()
        .expect("no right to the folder above is needed");
    let mut b = bench_with("d/b/c", "");
    for _ in 0..3 {
        b.script("MKCOL", "", answer(403));
    }
    assert_eq!(
        b.subject.make().expect_err("refused").kind(),
        Kind::Credentials
    );
    let mut b = bench_with("d/f", "");
    b.store("/d/f", b"file");
    assert!(
        b.subject
            .make()
            .expect_err("in the way")
            .to_string()
            .contains("is a file")
    );
    assert!(
        b.subject
            .list()
            .expect_err("in the way")
            .to_string()
            .contains("is a file")
    );
}

#[test]
fn what_is_no_webdav_server_is_named() {
    let nginx = vec![("server", "nginx/1.22.1".to_owned())];
    let refused = |headers: &Vec<(&'static str, String)>| {
        Trouble::Answer(405, headers.clone(), String::new())
    };
    for (trouble, kind, part) in [
        (refused(&nginx), Kind::Unsupported, "no WebDAV folder"),
        (answer(405), Kind::Unsupported, "no WebDAV folder"),
        (
            page(200, "text/html", "<html><title>Log in</title>"),
            Kind::Unsupported,
            "web page and not WebDAV",
        ),
        (
            page(207, "text/html", "<html><title>Log in</title>"),
            Kind::Unsupported,
            "Log in",
        ),
        (
            page(
                400,
                "text/html",
                "<html><title>400 The plain HTTP request was sent to HTTPS port</title>",
            ),
            Kind::Tls,
            "speaks TLS",
        ),
        (answer(404), Kind::Unsupported, "(no folder)"),
    ] {
        let mut b = bench_with("d/b", "number-of-retries=0");
        b.script("PROPFIND", "", trouble);
        b.script("PROPFIND", "", answer(404));
        match b.subject.list() {
            Ok(names) => assert_eq!(names, [part]),
            Err(e) => {
                assert_eq!(e.kind(), kind, "{e}");
                assert!(e.to_string().contains(part), "{e}");
            }
        }
        b.calm();
    }
    let mut b = bench();
    b.stored(10);
    for _ in 0..2 {
        b.script(
            "GET",
            "",
            page(200, "text/html", "<html><title>Log in</title>"),
        );
    }
    assert!(
        b.subject
            .get(NAME, Some(10))
            .expect_err("a page")
            .to_string()
            .contains("login page")
    );
    let mut b = bench();
    let iis = vec![("server", "Microsoft-IIS/10.0".to_owned())];
    b.script("PUT", "", Trouble::Answer(404, iis, String::new()));
    let e = b
        .subject
        .put(b"x")
        .expect_err("too big for IIS")
        .to_string();
    assert!(e.contains("404.13"), "{e}");
}

#[test]
fn the_question_is_put_as_the_server_understands_it() {
    let mut b = bench();
    b.stored(5);
    b.script("PROPFIND", "", answer(400));
    b.script("PROPFIND", "", answer(415));
    assert_eq!(b.subject.list().expect("listed"), [NAME]);
    b.subject.list().expect("remembered");
    let bodies: Vec<String> = b.server.seen("").iter().map(|s| s.text.clone()).collect();
    assert_eq!(bodies.len(), 4);
    assert!(bodies[0].contains("resourcetype") && bodies[1].is_empty());
    assert!(bodies[2].contains("allprop") && bodies[3].contains("allprop"));
    let mut b = bench_with("d/b", "use-extended-propfind");
    b.subject.list().expect("listed");
    assert!(b.server.seen("")[0].text.contains("allprop"));
    let mut b = bench();
    b.stored(5);
    b.script("PROPFIND", "dblock", answer(405));
    let found = b
        .subject
        .remote
        .stat(&mut b.subject.ui, NAME)
        .expect("asked")
        .expect("there");
    assert_eq!((found.size, b.count("HEAD")), (Some(5), 1));
}

#[test]
fn a_copy_of_replies_that_cannot_be_written_is_named_at_once() {
    let mut b = bench_with("d/b", "debug-propfind-file=/dev/full");
    let e = b.subject.list().expect_err("full");
    assert_eq!(e.kind(), Kind::Local);
    assert!(e.to_string().contains("--debug-propfind-file"), "{e}");
    assert_eq!(b.server.seen("").len(), 1);
}

#[test]
fn free_space_comes_from_the_quota_properties() {
    let answer = |free: &str| {
        let body = format!(
            "<d:multistatus xmlns:d='DAV:'><d:response><d:href>/d/b/</d:href><d:propstat><d:prop><d:quota-available-bytes>{free}</d:quota-available-bytes><d:quota-used-bytes>10</d:quota-used-bytes></d:prop></d:propstat></d:response></d:multistatus>"
        );
        page(207, "text/xml", &body)
    };
    for (free, want) in [
        ("90", (Some(90), Some(100))),
        ("-3", (None, None)),
        ("", (None, None)),
    ] {
        let mut b = bench();
        b.script("PROPFIND", "", answer(free));
        let quota = b.subject.remote.quota();
        assert_eq!((quota.free, quota.total), want);
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
    let bench = || {
        let b = bench_with("d/b", "number-of-retries=0");
        b.store(KEY, b"here");
        b
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
    let other = Server::start(|_| Dav::new());
    other.with(|dav| dav.files.insert(KEY.to_owned(), b"elsewhere".to_vec()));
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
