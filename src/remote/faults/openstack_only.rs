//! What only OpenStack does wrong: tokens, clocks, catalogues, quotas, containers, its own statuses.

use super::faulty_swift::{Swift, page as html};
use super::*;

type Bench = Special<Swift>;

fn bench() -> Bench {
    bench_with("")
}

fn bench_with(query: &str) -> Bench {
    let server = openstack::server();
    let url = openstack::url(&server.address.to_string(), query);
    Special::at(server, &url)
}

const LOGIN: &str = "/v3/auth/tokens";

#[test]
fn a_token_that_runs_out_is_renewed_once_by_every_operation() {
    let mut b = bench();
    let data = b.stored(1000);
    b.list().expect("listed");
    b.list().expect("listed");
    assert_eq!(b.count("POST", LOGIN), 1, "one log-in a run");
    let revoke = |b: &Bench| b.with(|swift| swift.tokens += 1);
    revoke(&b);
    assert_eq!(b.get(NAME, None).expect("got"), data);
    revoke(&b);
    assert_eq!(b.list().expect("listed"), [NAME]);
    revoke(&b);
    assert_eq!(b.stat(NAME).expect("asked"), Some(Some(1000)));
    revoke(&b);
    b.put(&bytes(3 * MIB)).expect("stored");
    assert_eq!(b.file().expect("there"), bytes(3 * MIB));
    // In the middle of an upload.
    b.script(
        "PUT",
        "",
        Trouble::Midway(300_000, 401, html("Unauthorized", "")),
    );
    b.put(&bytes(2 * MIB)).expect("stored");
    revoke(&b);
    b.delete().expect("gone");
    assert_eq!(b.retries(), 0, "none of that counts as a failure");
    // A token that is never good is no reason to go round in circles.
    let mut b = bench();
    b.scripts(
        20,
        "GET",
        "format=json",
        &reply(401, html("Unauthorized", "")),
    );
    fails(b.list(), Kind::Credentials, "refused twice");
    assert_eq!((b.count("GET", "format"), b.count("POST", LOGIN)), (2, 2));
}

#[test]
fn the_life_of_a_token_is_told_by_the_servers_clock() {
    // A year ahead, and a year behind: an hour is an hour.
    for (date, expires) in [
        (
            "Sun, 28 Nov 2027 12:00:00 GMT",
            "2027-11-28T13:00:00.000000Z",
        ),
        ("Fri, 28 Nov 2025 12:00:00 GMT", "2025-11-28T13:00:00Z"),
    ] {
        let mut b = bench();
        b.with(|swift| {
            swift.date = Some(date.to_owned());
            swift.expires = expires.to_owned();
        });
        for _ in 0..3 {
            b.list().expect("listed");
        }
        assert_eq!(b.count("POST", LOGIN), 1, "{date}");
    }
    // One that ends within half a minute is not used twice; one that is over already is, for want of a better.
    for (expires, logins) in [
        ("2027-11-28T12:00:20Z", 3),
        ("2027-11-28T11:00:00Z", 1),
        ("soon", 1),
    ] {
        let mut b = bench();
        b.with(|swift| {
            swift.date = Some("Sun, 28 Nov 2027 12:00:00 GMT".to_owned());
            swift.expires = expires.to_owned();
        });
        for _ in 0..3 {
            b.list().expect("listed");
        }
        assert_eq!(b.count("POST", LOGIN), logins, "{expires}");
    }
}

#[test]
fn log_ins_that_are_refused() {
    let json =
        r#"{"error":{"code":401,"message":"requires authentication","title":"Unauthorized"}}"#;
    for (status, body, kind, words) in [
        (
            401,
            json,
            Kind::Credentials,
            "check --auth-username, --auth-password",
        ),
        (403, "", Kind::Credentials, "is the user enabled"),
        (404, "", Kind::Unsupported, "--openstack-authuri"),
        (
            300,
            r#"{"versions":{}}"#,
            Kind::Unsupported,
            "names no version",
        ),
        (
            201,
            r#"{"token":{"catalog":[]}}"#,
            Kind::Unsupported,
            "no token",
        ),
        (201, "{", Kind::Unsupported, ""),
    ] {
        let mut b = bench_with("number-of-retries=0");
        b.script("POST", LOGIN, reply(status, body));
        fails(b.list(), kind, words);
        assert_eq!(b.count("GET", ""), 0, "nothing else is asked");
    }
    let token = vec![("x-subject-token", "acct-7".to_owned())];
    for (catalog, words) in [
        ("[]", "no object store"),
        (
            r#"[{"type":"compute","endpoints":[{"interface":"public","url":"http://h/"}]}]"#,
            "no object store",
        ),
        (
            r#"[{"type":"object-store","endpoints":[]}]"#,
            "no object store",
        ),
        (
            r#"[{"type":"object-store","endpoints":[{"interface":"public","url":"ftp://h/"}]}]"#,
            "address of the storage",
        ),
    ] {
        let mut b = bench_with("number-of-retries=0");
        let body = format!(r#"{{"token":{{"catalog":{catalog}}}}}"#);
        b.script("POST", LOGIN, Trouble::Answer(201, token.clone(), body));
        refused(b.list(), words);
    }
}

#[test]
fn statuses_of_swift() {
    for (status, title, kind, words, again) in [
        (498, "Rate Limited", Kind::Busy, "", true),
        (429, "Too Many Requests", Kind::Busy, "", true),
        (503, "Service Unavailable", Kind::Busy, "", true),
        (507, "Insufficient Storage", Kind::NoSpace, "", false),
        (413, "Upload exceeds quota.", Kind::NoSpace, "", false),
        (
            413,
            "Your request is too large.",
            Kind::Unsupported,
            "a file of this size",
            false,
        ),
        (403, "Forbidden", Kind::Credentials, "access list", false),
    ] {
        let mut b = bench_with("number-of-retries=1");
        let told = Trouble::Answer(
            status,
            vec![("x-trans-id", "tx77".to_owned())],
            html(title, title),
        );
        b.scripts(2, "PUT", "dblock", &told);
        let text = fails(b.put(&bytes(10)), kind, words);
        assert!(
            text.contains("X-Trans-Id tx77") && text.contains(title.trim_end_matches('.')),
            "{text}"
        );
        assert_eq!(b.retries() > 0, again, "{status}");
    }
    // With and without a time to wait.
    let mut b = bench();
    b.script("PUT", "dblock", later(498, "2"));
    b.script("PUT", "dblock", answer(498));
    b.put(&bytes(10)).expect("stored");
    assert_eq!(b.waits(), [2, 1]);
}

#[test]
fn what_arrived_otherwise_than_it_was_sent_is_sent_again() {
    let wrong = Trouble::Answer(201, vec![("etag", "0".repeat(32))], String::new());
    let mut b = bench();
    b.script("PUT", "dblock", wrong);
    b.put(&bytes(10)).expect("stored at the second try");
    assert_eq!(
        (b.count("PUT", "dblock"), b.count("DELETE", "dblock")),
        (2, 1)
    );
    let mut b = bench();
    b.script(
        "PUT",
        "dblock",
        reply(422, html("Unprocessable Entity", "")),
    );
    b.put(&bytes(10)).expect("stored at the second try");
    assert_eq!(b.file().expect("there"), bytes(10));
    // A server that tells no digest is asked for the length.
    let mut b = bench();
    b.stored(10);
    b.script("PUT", "dblock", answer(201));
    b.put(&bytes(10)).expect("stored");
    assert_eq!(b.count("HEAD", "dblock"), 1);
}

#[test]
fn a_missing_container_is_called_so() {
    let mut b = bench();
    b.with(|swift| swift.container = false);
    assert_eq!(b.list().expect("asked"), ["(no folder)"]);
    let mut b = bench_with("disable-autocreate-folder");
    b.with(|swift| swift.container = false);
    fails(
        b.put(&bytes(10)),
        Kind::Missing,
        "container 'box' does not exist",
    );
    let mut b = bench();
    b.with(|swift| swift.container = false);
    b.put(&bytes(10)).expect("the container is made");
    let mut b = bench();
    b.script("PUT", "/box", reply(400, html("Bad Request", "")));
    refused(b.make(), "container name 'box' invalid");
}

/// A server may send shorter pages than it was asked for.
#[test]
fn pages_of_any_length_and_folders_within() {
    for most in [1, 3, 1000] {
        let mut b = bench();
        b.with(|swift| swift.page = most);
        for name in ["a", "b", "sub/x", "sub/y", "z", "+ %"] {
            b.store(name, b"1");
        }
        b.with(|swift| swift.files.insert("p2/other".to_owned(), vec![1]));
        let mut names = b.list().expect("listed");
        names.sort();
        assert_eq!(names, ["+ %", "a", "b", "z"], "{most}");
    }
}

/// A large object in segments is listed without a length; the server knows it all the same.
#[test]
fn files_that_are_listed_as_empty_are_looked_at() {
    let mut b = bench();
    b.stored(1000);
    b.store("empty", b"");
    let entries = r#"[{"name":"p/duplicati-b1.dblock.zip","bytes":0},{"name":"p/empty","bytes":0},{"name":"p/gone","bytes":0}]"#;
    b.script("GET", "format=json", page(200, "application/json", entries));
    b.script("GET", "format=json", page(200, "application/json", "[]"));
    let found = b.entries().expect("listed").expect("a folder");
    assert_eq!(
        found,
        [(NAME.to_owned(), Some(1000)), ("empty".to_owned(), Some(0))]
    );
}

#[test]
fn the_quota_of_a_container_is_its_free_space() {
    let mut b = bench();
    b.with(|swift| swift.quota = Some((1000, 400)));
    let quota = b.remote.quota();
    assert_eq!((quota.total, quota.free), (Some(1000), Some(600)));
    let quota = bench().remote.quota();
    assert_eq!((quota.total, quota.free), (None, None));
}
