//! What only WebDAV does wrong: temporary names, log-ins, folders, addresses, and servers that are none.

use super::faulty_dav::{Dav, Login, multistatus, response};
use super::*;

const KEY: &str = "/d/b/duplicati-b1.dblock.zip";
/// `user:` and [`SECRET`].
const BASIC: &str = "Basic dXNlcjpzM2NyM3QvK3ZhbHVl";
const OWNCLOUD: &str = "xmlns:oc='http://owncloud.org/ns'";

type Bench = Special<Dav>;

/// Of a server that stores uploads whole or not at all.
fn bench() -> Bench {
    bench_with("webdav-temporary-names=never")
}

/// Of a server of which nothing is known.
fn stranger() -> Bench {
    bench_with("")
}

fn bench_with(query: &str) -> Bench {
    bench_in("d/b", query)
}

fn bench_in(path: &str, query: &str) -> Bench {
    let server = Server::start(|_| Dav::new());
    let url = format!(
        "webdav://user:{SECRET_IN_URL}@{}/{path}?retry-delay=0s&http-proxy=none&{query}",
        server.address
    );
    Special::at(server, &url)
}

impl Special<Dav> {
    /// Content of a file anywhere.
    fn content_of(&self, path: &str) -> Option<Vec<u8>> {
        self.with(|dav| dav.files.get(path).cloned())
    }

    fn login(&self, login: Login) {
        self.with(|dav| dav.login = login);
    }

    /// The server shows by these attributes what it is.
    fn shows(&self, attributes: &str) {
        self.with(|dav| dav.namespaces = attributes.to_owned());
    }
}

#[test]
fn what_must_be_new_replaces_nothing_by_any_way_of_uploading() {
    for names in ["always", "never", "auto"] {
        let query = format!("webdav-temporary-names={names}");
        for other in [&b"theirs"[..], b"four", b"our", b""] {
            let mut b = bench_with(&query);
            b.store(NAME, other);
            // A part of ours is what an upload of ours left.
            let ours = b"ours".starts_with(other);
            assert_eq!(b.put_new(b"ours").expect("settled"), ours);
            let want = if ours { &b"ours"[..] } else { other };
            assert_eq!(b.file().as_deref(), Some(want), "{names}");
        }
        for trouble in [Trouble::Swallow, answer(412), answer(503)] {
            let mut b = bench_with(&query);
            b.script("PUT", "", trouble);
            assert!(b.put_new(b"ours").expect("in the end"), "{names}");
            assert_eq!(b.file().as_deref(), Some(&b"ours"[..]));
        }
    }
}

#[test]
fn uploads_go_under_temporary_names_unless_the_server_is_known() {
    let data = bytes(MIB);
    let temporary = |b: &Bench| b.methods(".duplet-tmp-");
    for software in [
        "",
        "test",
        "nginx/1.22.1",
        "Apache/2.4",
        "WsgiDAV/4.4.0",
        "Caddy",
    ] {
        let mut b = stranger();
        b.with(|dav| dav.software = software.to_owned());
        b.list().expect("listed");
        b.script("PUT", "tmp", Trouble::Reset(100));
        b.put(&data).expect("stored");
        assert_eq!(temporary(&b), "PUT DELETE PUT MOVE", "{software}");
        assert_eq!(b.file().expect("there"), data);
    }
    let mut b = stranger();
    b.put(&data).expect("stored without a listing");
    assert_eq!(temporary(&b), "PUT MOVE");

    for known in [
        "xmlns:lp2='http://apache.org/dav/props/'",
        OWNCLOUD,
        "xmlns:ns0='urn:uuid:c2f41010-65b3-11d1-a29f-00aa00c14882/'",
    ] {
        let mut b = stranger();
        b.shows(known);
        b.list().expect("listed");
        b.put(&data).expect("stored");
        assert!(temporary(&b).is_empty(), "{known}");
    }
    let mut b = bench();
    b.list().expect("listed");
    b.put(&data).expect("stored");
    assert!(temporary(&b).is_empty(), "never");

    let mut b = bench_with("webdav-temporary-names=always");
    b.shows(OWNCLOUD);
    b.list().expect("listed");
    b.put(&data).expect("stored");
    assert_eq!(temporary(&b), "PUT MOVE");
}

#[test]
fn servers_that_cannot_have_temporary_names_get_final_ones() {
    let data = bytes(MIB);
    let seen = |b: &Bench| {
        let mut all = b.asked("", "");
        all.retain(|s| s.method != "PROPFIND");
        let methods: Vec<String> = all.into_iter().map(|s| s.method).collect();
        methods.join(" ")
    };
    let mut b = stranger();
    b.with(|dav| dav.moves = false);
    b.put(&data).expect("stored without renaming");
    assert_eq!(seen(&b), "PUT MOVE MOVE DELETE PUT");
    b.put(&data).expect("stored");
    assert_eq!(seen(&b).split(' ').count(), 6, "that is remembered");
    assert_eq!(b.list().expect("listed"), [NAME]);

    let mut b = bench_with("webdav-temporary-names=always");
    b.with(|dav| dav.moves = false);
    refused(b.put(&data), "cannot rename");
    assert!(b.with(|dav| dav.files.is_empty()));

    for status in [400, 403, 404, 405, 415] {
        let mut b = stranger();
        b.scripts(2, "PUT", "tmp", &Trouble::Early(status, ""));
        b.put(&data).expect("the name was refused");
        assert_eq!(seen(&b), "PUT PUT PUT", "{status}");
        assert_eq!(b.list().expect("listed"), [NAME]);
    }
    for status in [400, 403, 405, 507] {
        let mut b = bench_with("number-of-retries=0");
        b.script("PUT", "tmp", Trouble::Early(status, ""));
        b.put(&data).expect_err("the content was refused");
        assert!(b.with(|dav| dav.files.is_empty()), "{status}");
        let bytes: u64 = b.asked("", "").iter().map(|s| s.body).sum();
        assert!(bytes < MIB as u64, "{status}: {bytes}");
    }
}

#[test]
fn a_success_for_a_part_is_none() {
    let mut b = bench_with("webdav-temporary-names=never&disable-expect100-continue");
    let data = bytes(12 * MIB);
    for status in [201, 204, 500, 503] {
        b.script("PUT", "", Trouble::Midway(300_000, status, String::new()));
    }
    b.put(&data).expect("stored");
    assert_eq!(b.count("PUT", ""), 5);
    assert_eq!(b.file().expect("there"), data);
}

#[test]
fn a_full_disk_that_is_not_called_so_is_seen_by_its_quota() {
    let data = bytes(2 * MIB);
    let half = Trouble::Reset(MIB as u64);
    for trouble in [half, answer(500), answer(405), answer(400)] {
        let mut b = bench();
        b.script("PUT", "", trouble);
        b.with(|dav| dav.free = Some(MIB as u64));
        let words = "1048576 bytes are free, 2097152 are needed";
        fails(b.put(&data), Kind::NoSpace, words);
        assert_eq!(b.count("PUT", ""), 1);
    }
    // It says 201 and keeps what had room.
    let mut b = bench();
    b.with(|dav| {
        dav.free = Some(1000);
        dav.keeps = Some(1000);
    });
    fails(b.put(&data), Kind::NoSpace, "");
    assert_eq!(b.count("PUT", ""), 1);
    assert_eq!(b.file(), None, "the part is removed");
    // Room enough, or nobody knows: it was something else.
    for free in [Some(1 << 40), None] {
        let mut b = bench();
        b.with(|dav| dav.free = free);
        b.script("PUT", "", Trouble::Reset(MIB as u64));
        b.put(&data).expect("stored at the second attempt");
    }
}

#[test]
fn old_leftovers_are_removed_by_the_next_upload() {
    let mut b = bench();
    for name in ["old", "new"] {
        b.store(&format!(".duplet-tmp-{name}"), b"x");
    }
    let dated = |name: &str, time: &str| {
        let modified = format!("<d:getlastmodified>{time}</d:getlastmodified>");
        response(&format!("/d/b/.duplet-tmp-{name}"), &modified)
    };
    let old = dated("old", "Sun, 06 Nov 1994 08:49:37 GMT");
    let new = dated("new", "Sun, 06 Nov 2094 08:49:37 GMT");
    let body = multistatus(&(old + &new));
    b.script("PROPFIND", "", page(207, "text/xml", &body));
    b.list().expect("listed");
    assert_eq!(b.count("DELETE", ""), 0, "a listing changes nothing");
    b.put(b"x").expect("stored");
    assert_eq!(b.list().expect("listed"), [".duplet-tmp-new", NAME]);
}

#[test]
fn maintenance_is_called_so() {
    let mut b = bench_with("number-of-retries=0");
    b.script(
        "PROPFIND",
        "",
        headed(503, "x-nextcloud-maintenance-mode", "1"),
    );
    refused(b.list(), "maintenance mode");
}

#[test]
fn a_refusal_hidden_by_resets_comes_to_light() {
    let mut b = bench_with("disable-expect100-continue");
    b.login(Login::Basic("other".to_owned()));
    b.script("PUT", "", Trouble::Reset(100));
    fails(b.put(&bytes(2 * MIB)), Kind::Credentials, "");
}

#[test]
fn row_22_digest_and_nonces_that_go_stale() {
    let data = bytes(1000);
    for query in ["", "force-digest-authentication"] {
        let mut b = bench_with(query);
        b.login(Login::Digest("n1".to_owned()));
        b.shows(OWNCLOUD);
        b.list().expect("listed");
        b.put(&data).expect("stored");
        let basic = |s: &&Seen| s.holds("authorization", "Basic ");
        let asked = b.asked("", "").iter().filter(basic).count();
        assert_eq!(asked, usize::from(query.is_empty()));
        b.login(Login::Digest("n2".to_owned()));
        b.put(&data).expect("stored");
        let puts = b.asked("PUT", "dblock");
        let bodies: Vec<u64> = puts.iter().map(|s| s.body).collect();
        assert_eq!(bodies, [1000, 0, 1000], "the body is sent once");
        assert_eq!(b.retries(), 0);
    }
    let mut b = bench_with("force-digest-authentication&disable-expect100-continue");
    b.login(Login::Digest("n1".to_owned()));
    b.put(&data).expect("asked before the body was sent");
    assert_eq!((b.count("PUT", ""), b.retries()), (1, 0));
    let mut b = bench();
    b.login(Login::Digest("n1".to_owned()));
    b.list().expect("listed");
    b.login(Login::Basic(BASIC.to_owned()));
    refused(b.list(), "downgrade refused");
}

#[test]
fn a_wrong_password_is_one_request_and_one_line() {
    for (login, requests) in [
        (Login::Basic("other".to_owned()), 1),
        (Login::Digest("\" never".to_owned()), 2),
    ] {
        let mut b = bench();
        b.login(login);
        fails(b.list(), Kind::Credentials, "user 'user' rejected");
        assert_eq!(b.count("", ""), requests);
    }
    let mut b = bench();
    b.script(
        "PROPFIND",
        "",
        headed(401, "www-authenticate", "Negotiate, NTLM"),
    );
    refused(b.list(), "offers only Negotiate/NTLM, not supported");
}

#[test]
fn a_lasting_redirect_of_the_folder_is_remembered() {
    let mut b = bench();
    b.with(|dav| dav.folders.insert("/new/d/b".to_owned()));
    b.script("PROPFIND", "/d/b/", headed(301, "location", "/new/d/b/"));
    b.list().expect("followed");
    b.put(b"x").expect("stored");
    assert!(b.content_of(&format!("/new{KEY}")).is_some(), "remembered");
}

#[test]
fn folders_and_new_names_are_not_made_elsewhere() {
    let other = Server::start(|_| Dav::new());
    let to = format!("http://{}/d/b/", other.address);
    let mut b = bench_with("webdav-temporary-names=always&number-of-retries=0");
    for method in ["MKCOL", "MOVE", "MOVE"] {
        b.script(method, "", moved(&to));
    }
    refused(b.make(), "another address");
    refused(b.put(b"x"), "another address");
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
    // Another prefix than most servers use.
    let listing = |hrefs: &[&str], more: &str| {
        let size = "<d:getcontentlength>1</d:getcontentlength>";
        let parts: String = hrefs.iter().map(|href| response(href, size)).collect();
        let all = multistatus(&(parts + more));
        let all = all.replace("<d:", "<r:").replace("</d:", "</r:");
        page(207, "text/xml", &all.replace("xmlns:d", "xmlns:r"))
    };
    let folder = "<d:resourcetype><d:collection/></d:resourcetype>";
    let mut b = bench();
    let own = response(hrefs[0], folder);
    b.script("PROPFIND", "", listing(&hrefs[1..], &own));
    assert_eq!(b.list().expect("listed"), ["good", "also good", "third+"]);
    let message = &b.ui.messages()[0];
    let shown = message.contains("8 names") && !message.contains('\u{1b}');
    assert!(shown, "{message}");

    let mut b = bench();
    b.scripts(2, "PROPFIND", "", &listing(&["/elsewhere/file"], ""));
    refused(b.list(), "another folder");
}

#[test]
fn folders_are_made_from_the_first_missing_one_down() {
    let mut b = bench_in("d/x%20y/%C3%A9%2B/z", "");
    assert_eq!(b.list().expect("asked"), ["(no folder)"]);
    b.put(b"x").expect("stored");
    assert!(
        b.content_of("/d/x y/\u{e9}+/z/duplicati-b1.dblock.zip")
            .is_some()
    );
    let made = b.asked("MKCOL", "");
    assert_eq!(made.len(), 5);
    assert!(made.iter().all(|s| s.target.ends_with('/')));
    b.make().expect("existing");

    let mut b = bench();
    b.script("MKCOL", "", answer(409));
    b.make().expect("409 may mean that it exists");
    let mut b = bench_in("d/b/c", "");
    b.script("MKCOL", "/c/", answer(409));
    b.script("MKCOL", "/b/", answer(403));
    b.make().expect("no right to the folder above is needed");
    let mut b = bench_in("d/b/c", "");
    b.scripts(3, "MKCOL", "", &answer(403));
    fails(b.make(), Kind::Credentials, "");
    let mut b = bench_in("d/f", "");
    b.with(|dav| dav.files.insert("/d/f".to_owned(), b"file".to_vec()));
    refused(b.make(), "is a file");
    refused(b.list(), "is a file");
}

#[test]
fn what_is_no_webdav_server_is_named() {
    let wrong_port = "<html><title>400 The plain HTTP request was sent to HTTPS port</title>";
    let quiet = "number-of-retries=0";
    for (trouble, kind, words) in [
        (
            headed(405, "server", "nginx/1.22.1"),
            Kind::Unsupported,
            "no WebDAV folder",
        ),
        (answer(405), Kind::Unsupported, "no WebDAV folder"),
        (
            login_page(200),
            Kind::Unsupported,
            "web page and not WebDAV",
        ),
        (login_page(207), Kind::Unsupported, "Log in"),
        (page(400, "text/html", wrong_port), Kind::Tls, "speaks TLS"),
    ] {
        let mut b = bench_with(quiet);
        b.script("PROPFIND", "", trouble);
        b.script("PROPFIND", "", answer(404));
        fails(b.list(), kind, words);
    }
    let mut b = bench_with(quiet);
    b.scripts(2, "PROPFIND", "", &answer(404));
    assert_eq!(b.list().expect("asked"), ["(no folder)"]);
    let mut b = bench();
    b.store(NAME, &bytes(10));
    b.scripts(2, "GET", "", &login_page(200));
    refused(b.get(NAME, Some(10)), "login page");
    let mut b = bench();
    b.script("PUT", "", headed(404, "server", "Microsoft-IIS/10.0"));
    refused(b.put(b"x"), "404.13");
}

#[test]
fn the_question_is_put_as_the_server_understands_it() {
    let mut b = bench();
    b.store(NAME, &bytes(5));
    b.script("PROPFIND", "", answer(400));
    b.script("PROPFIND", "", answer(415));
    assert_eq!(b.list().expect("listed"), [NAME]);
    b.list().expect("remembered");
    let bodies: Vec<String> = b.asked("", "").into_iter().map(|s| s.text).collect();
    assert_eq!(bodies.len(), 4);
    assert!(bodies[0].contains("resourcetype") && bodies[1].is_empty());
    assert!(bodies[2].contains("allprop") && bodies[3].contains("allprop"));
    let mut b = bench_with("use-extended-propfind");
    b.list().expect("listed");
    assert!(b.asked("", "")[0].text.contains("allprop"));
    let mut b = bench();
    b.store(NAME, &bytes(5));
    b.script("PROPFIND", "dblock", answer(405));
    assert_eq!(b.stat(NAME).expect("asked"), Some(Some(5)));
    assert_eq!(b.count("HEAD", ""), 1);
}

#[test]
fn a_copy_of_replies_that_cannot_be_written_is_named_at_once() {
    let mut b = bench_with("debug-propfind-file=/dev/full");
    fails(b.list(), Kind::Local, "--debug-propfind-file");
    assert_eq!(b.count("", ""), 1);
}

#[test]
fn free_space_comes_from_the_quota_properties() {
    for (free, want) in [
        ("90", (Some(90), Some(100))),
        ("-3", (None, None)),
        ("", (None, None)),
    ] {
        let free = format!("<d:quota-available-bytes>{free}</d:quota-available-bytes>");
        let used = "<d:quota-used-bytes>10</d:quota-used-bytes>";
        let body = multistatus(&response("/d/b/", &(free + used)));
        let mut b = bench();
        b.script("PROPFIND", "", page(207, "text/xml", &body));
        let quota = b.remote.quota();
        assert_eq!((quota.free, quota.total), want);
    }
}

#[test]
fn a_redirect_to_itself_with_a_cookie() {
    let with = |to: &str| {
        let cookie = "seen=yes; Path=/; HttpOnly".to_owned();
        let headers = vec![("location", to.to_owned()), ("set-cookie", cookie)];
        Trouble::Answer(302, headers, String::new())
    };
    let bench = || {
        let b = bench_with("number-of-retries=0");
        b.store(NAME, b"here");
        b
    };
    let mut b = bench();
    b.script("GET", "", with(KEY));
    assert_eq!(b.get(NAME, None).expect("once more"), b"here");
    let seen = b.asked("", NAME);
    assert_eq!(seen[0].header("cookie"), None);
    assert_eq!(seen[1].header("cookie"), Some("seen=yes"));
    // It is kept for what comes after, here only.
    b.list().expect("listed");
    let listing = b.asked("", "").pop().expect("asked");
    assert_eq!(listing.header("cookie"), Some("seen=yes"));
    let other = Server::start(|_| Dav::new());
    other.with(|dav| dav.files.insert(KEY.to_owned(), b"elsewhere".to_vec()));
    b.script("GET", "", moved(&format!("http://{}{KEY}", other.address)));
    b.get(NAME, None).expect("followed");
    assert_eq!(other.seen("")[0].header("cookie"), None);

    let mut b = bench();
    b.script("PROPFIND", "", with("/d/b/"));
    assert_eq!(b.list().expect("listed"), [NAME]);
    b.script("PUT", "", with(KEY));
    b.put(&bytes(2 << 20)).expect("stored with its body");
    assert_eq!(b.with(|dav| dav.files[KEY].len()), 2 << 20);

    let mut b = bench();
    b.scripts(4, "GET", "", &with(KEY));
    let e = refused(b.get(NAME, None), "circle").to_string();
    assert!(e.contains("login page"), "{e}");
    assert_eq!(b.count("", NAME), 2, "once more, not again and again");
}
