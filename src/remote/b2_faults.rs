//! B2 through `Remote` against a server that misbehaves by script (rows of `destinations-core.md` 9).

use std::io::Write as _;

use super::faults::b2::faulty_b2::B2;
use super::faults::faulty::{Seen, Server, Trouble};
use super::subject::{NAME, Subject, bytes};
use super::*;
use crate::base::bytes::{base64, hex};
use crate::base::error::Kind;

const FULL: &str = "p/duplicati-b1.dblock.zip";
const SECRET: &str = "s3cr3t/+value";
const MIB: usize = 1 << 20;

struct Bench {
    server: Server<B2>,
    subject: Subject,
}

fn bench() -> Bench {
    bench_with("")
}

fn bench_with(query: &str) -> Bench {
    let sha1 = |data: &[u8]| hex(Algo::Sha1.hash(data).as_bytes());
    let server = Server::start(|address| B2::new(address, sha1));
    let url = format!(
        "b2://KEYID:s3cr3t%2F%2Bvalue@bkt/p?b2-api-url=http://{}&retry-delay=0s&http-proxy=none&{query}",
        server.address
    );
    let subject = Subject::open(
        &url,
        &[
            SECRET,
            "s3cr3t%2F%2Bvalue",
            &base64(SECRET.as_bytes()),
            &base64(format!("KEYID:{SECRET}").as_bytes()),
            "acct-",
            "up-1",
        ],
    );
    Bench { server, subject }
}

/// A refusal as the server sends it.
fn says(status: u16, code: &str, message: &str) -> Trouble {
    let body = format!("{{\"status\":{status},\"code\":\"{code}\",\"message\":\"{message}\"}}");
    Trouble::Answer(status, Vec::new(), body)
}

impl Bench {
    /// Calls of class A, B and C so far, as the destination reports them.
    fn billed(&mut self) -> String {
        let facts = self.subject.remote.dest.finish().expect("nothing to do");
        format!("{}: {}", facts[0].name, facts[0].value)
    }

    /// A stored file that downloads get, of this length.
    fn stored(&self, len: usize) -> Vec<u8> {
        let data = bytes(len);
        self.server.with(|b2| b2.store(FULL, &data));
        data
    }

    fn versions(&self) -> usize {
        self.server
            .with(|b2| b2.files.get(FULL).map_or(0, Vec::len))
    }

    fn content(&self) -> Option<Vec<u8>> {
        self.server.with(|b2| b2.file(FULL).map(|v| v.data.clone()))
    }

    fn allow(&self, from: &str, to: &str) {
        self.server.with(|b2| {
            let text = b2.allowed.to_string();
            assert!(text.contains(from), "{text}");
            b2.allowed = serde_json::from_str(&text.replace(from, to)).expect("JSON");
        });
    }

    fn uploads(&self) -> Vec<Seen> {
        self.server.seen("/upload/")
    }

    fn calls(&self, op: &str) -> usize {
        self.server.seen(op).len()
    }
}

#[test]
fn a_backup_costs_one_log_in_and_the_listing() {
    let mut b = bench();
    assert!(b.subject.list().expect("listed").is_empty());
    for i in 0..5 {
        let mut spool = Spool::new(&b.subject.tmp).expect("spool");
        spool.write_all(b"x").expect("write");
        let mut remote = RemoteMut::new(&mut b.subject.remote, &Permit::to_write());
        let sha = Algo::Sha256.hash(b"x");
        let name = format!("f{i}");
        remote
            .put(&mut b.subject.ui, &name, &mut spool, &sha)
            .expect("stored");
    }
    assert_eq!(b.calls("b2_get_upload_url"), 1);
    assert_eq!(
        b.billed(),
        "Backblaze transactions: 6 of class A (free), 0 of class B, 2 of class C"
    );
}

#[test]
fn rows_1_and_2_resets_during_uploads() {
    let mut b = bench();
    b.server
        .script("POST", "/upload/", Trouble::Reset(MIB as u64 / 2));
    let data = bytes(MIB);
    b.subject.put(&data).expect("stored");
    assert_eq!(b.content().expect("there"), data);
    assert_eq!((b.versions(), b.uploads().len()), (1, 2));
    assert_eq!(b.calls("b2_get_upload_url"), 2, "a new URL");
    assert!(b.subject.waits.borrow().is_empty(), "without a wait");

    let mut b = bench();
    for _ in 0..30 {
        b.server.script("POST", "/upload/", Trouble::Reset(100));
    }
    let e = b.subject.put(&data).expect_err("never");
    assert_eq!(e.kind(), Kind::Busy);
    assert!(e.to_string().contains("6 attempts"), "{e}");
    assert_eq!(b.versions(), 0);
    assert!((6..=30).contains(&b.uploads().len()));
}

#[test]
fn rows_3_and_14_a_lost_reply_is_no_second_upload() {
    for lost in [Trouble::Swallow, Trouble::Stall(None)] {
        let mut b = bench_with("http-operation-timeout=1s");
        b.server.script("POST", "/upload/", lost);
        b.subject.put(&bytes(MIB)).expect("stored");
        assert_eq!((b.uploads().len(), b.calls("b2_list_file_names")), (1, 1));
    }
    let mut b = bench();
    b.server.script("POST", "/upload/", Trouble::Swallow);
    b.server.script(
        "POST",
        "b2_list_file_names",
        says(500, "internal_error", ""),
    );
    b.server.script(
        "POST",
        "b2_list_file_names",
        says(500, "internal_error", ""),
    );
    b.subject.put(&bytes(10)).expect("stored");
    assert_eq!(b.content().expect("there"), bytes(10));
    assert_eq!(b.versions(), 1, "the doubtful version is gone");
}

#[test]
fn rows_4_and_6_servers_that_are_busy() {
    let mut b = bench();
    b.stored(10);
    b.server
        .script("GET", "/file/", says(500, "internal_error", ""));
    b.subject.get(NAME, None).expect("got");
    assert_eq!(b.subject.remote.stats().retries, 1);
    for part in ["/file/", "b2_list_file_names", "b2_authorize", "/upload/"] {
        for (wait, fine) in [("2", true), ("3600", false)] {
            let mut b = bench();
            b.stored(10);
            let after = vec![("retry-after", wait.to_owned())];
            let method = if part.starts_with("/f") || part.contains("auth") {
                "GET"
            } else {
                "POST"
            };
            b.server
                .script(method, part, Trouble::Answer(429, after, String::new()));
            let done = match part {
                "b2_list_file_names" => b.subject.list().map(drop),
                "/upload/" => b.subject.put(&bytes(20)),
                _ => b.subject.get(NAME, None).map(drop),
            };
            match done {
                Ok(()) if fine => assert_eq!(*b.subject.waits.borrow(), [2], "{part}"),
                Err(e) if !fine => assert!(e.to_string().contains("asks to wait 1h00m"), "{e}"),
                other => panic!("{part} {wait}: {other:?}"),
            }
        }
    }
}

#[test]
fn rows_7_to_10_downloads_that_break() {
    let ranges = |b: &Bench| -> Vec<String> {
        let gets = b.server.state.lock().expect("state").seen.clone();
        let gets = gets
            .iter()
            .filter(|s| s.target.contains("/file/") || s.target.contains("_by_id"));
        let shown = |s: &Seen| {
            let by_id = if s.target.contains("_by_id") {
                " by id"
            } else {
                ""
            };
            format!("{}{by_id}", s.header("range").unwrap_or("-"))
        };
        gets.map(shown).collect()
    };
    let mut b = bench();
    let data = b.stored(1000);
    b.server.script("GET", "/file/", Trouble::Cut(700));
    assert_eq!(b.subject.get(NAME, Some(1000)).expect("got"), data);
    assert_eq!(ranges(&b), ["-", "bytes=700- by id"]);

    for odd in [Trouble::Whole, Trouble::WrongRange] {
        let mut b = bench();
        let data = b.stored(1000);
        b.server.script("GET", "/file/", Trouble::Cut(700));
        let restarts = matches!(odd, Trouble::WrongRange);
        b.server.script("GET", "_by_id", odd);
        assert_eq!(b.subject.get(NAME, Some(1000)).expect("got"), data);
        assert_eq!(ranges(&b).len(), if restarts { 3 } else { 2 });
    }
    let mut b = bench();
    let data = b.stored(1000);
    b.server.script("GET", "/file/", Trouble::CutOpen(700));
    assert_eq!(b.subject.get(NAME, Some(1000)).expect("got"), data);

    let mut b = bench();
    b.stored(1000);
    b.server.script("GET", "/file/", Trouble::Cut(700));
    b.server
        .script("GET", "_by_id", says(404, "not_found", "gone"));
    b.subject
        .get(NAME, Some(1000))
        .expect("absent for a moment");

    let mut b = bench();
    b.stored(1000);
    b.server.script("GET", "/file/", Trouble::Cut(700));
    for part in ["_by_id", "/file/"].repeat(6) {
        b.server.script("GET", part, says(404, "not_found", "gone"));
    }
    let e = b
        .subject
        .get(NAME, Some(1000))
        .expect_err("deleted meanwhile");
    assert!(e.to_string().contains("listed but cannot be read"), "{e}");
}

#[test]
fn row_12_files_that_are_not_what_was_listed_or_sent() {
    let mut b = bench();
    b.stored(1000);
    let e = b.subject.get(NAME, Some(999)).expect_err("longer");
    assert_eq!(e.kind(), Kind::Damaged);
    assert_eq!(b.calls("/file/"), 2);
    let mut b = bench();
    b.stored(1000);
    for _ in 0..2 {
        let stated = vec![("x-bz-content-sha1", "0".repeat(40))];
        b.server.script(
            "GET",
            "/file/",
            Trouble::Answer(200, stated, "x".to_owned()),
        );
    }
    let e = b.subject.get(NAME, None).expect_err("another SHA-1");
    assert_eq!(e.kind(), Kind::Damaged);
    assert!(e.to_string().contains("SHA-1"), "{e}");
    for (from, to) in [
        ("\"contentLength\":10", "\"contentLength\":9"),
        ("\"fileName\":\"p/", "\"fileName\":\"q/"),
        ("\"contentSha1\":\"", "\"contentSha1\":\"0"),
    ] {
        let mut b = bench();
        b.server
            .script("POST", "/upload/", Trouble::Replaced(from, to));
        b.subject.put(&bytes(10)).expect("stored at the second try");
        assert_eq!(b.uploads().len(), 2);
        assert_eq!(b.calls("b2_delete_file_version"), 1);
    }
}

#[test]
fn row_13_a_silent_transfer_is_resumed() {
    let mut b = bench_with("read-write-timeout=1s");
    let data = b.stored(1000);
    b.server.script("GET", "/file/", Trouble::Stall(Some(600)));
    assert_eq!(b.subject.get(NAME, Some(1000)).expect("got"), data);
    let resumed = b.server.seen("_by_id");
    assert_eq!(resumed[0].header("range"), Some("bytes=600-"));
}

#[test]
fn row_16_a_refusal_hidden_by_resets_comes_to_light() {
    let body = "{\"code\":\"storage_cap_exceeded\",\"message\":\"cap\"}";
    let mut b = bench();
    b.server
        .script("POST", "/upload/", Trouble::Early(403, body));
    b.server
        .script("POST", "b2_get_upload_url", Trouble::Replaced("up-", "up-"));
    b.server.script(
        "POST",
        "b2_get_upload_url",
        says(403, "storage_cap_exceeded", "cap"),
    );
    let e = b.subject.put(&bytes(4 * MIB)).expect_err("refused");
    assert_eq!(e.kind(), Kind::NoSpace, "{e}");
    assert!(e.to_string().contains("spending cap reached"), "{e}");
    assert!(b.uploads().len() <= 1);
}

/// The answer comes while the body goes out, and then the connection is closed.
#[test]
fn a_refusal_in_mid_upload_is_read() {
    let text =
        |code: &str, message: &str| format!("{{\"code\":\"{code}\",\"message\":\"{message}\"}}");
    for (status, body, kind) in [
        (403, text("storage_cap_exceeded", "cap"), Kind::NoSpace),
        (403, text("access_denied", "no"), Kind::Credentials),
        (400, text("bad_request", "odd"), Kind::Unsupported),
        (
            500,
            text("internal_error", "no space left on device"),
            Kind::NoSpace,
        ),
        (507, text("", "full"), Kind::NoSpace),
        (413, text("", "large"), Kind::Unsupported),
    ] {
        let mut b = bench_with("number-of-retries=0");
        let trouble = Trouble::Midway(300_000, status, body);
        b.server.script("POST", "/upload/", trouble);
        let e = b.subject.put(&bytes(12 * MIB)).expect_err("refused");
        assert_eq!(e.kind(), kind, "{status}: {e}");
        assert_eq!(b.uploads().len(), 1, "{status}");
    }
}

#[test]
fn row_20_account_tokens_run_out() {
    let mut b = bench();
    let data = b.stored(1000);
    for code in ["expired_auth_token", "bad_auth_token"] {
        b.server.script("GET", "/file/", says(401, code, "acct-1"));
        assert_eq!(b.subject.get(NAME, Some(1000)).expect("got"), data);
    }
    assert_eq!(
        (b.calls("authorize"), b.subject.remote.stats().retries),
        (3, 0)
    );
    for token in ["acct-3", "acct-4"] {
        b.server
            .script("GET", "/file/", says(401, "expired_auth_token", token));
    }
    assert_eq!(
        b.subject.get(NAME, Some(1000)).expect_err("twice").kind(),
        Kind::Credentials
    );

    let mut b = bench_with("b2-page-size=10");
    b.server.with(|b2| {
        b2.token_life = 20;
        for i in 0..500 {
            b2.store(&format!("p/f{i:03}"), b"");
        }
    });
    assert_eq!(b.subject.list().expect("listed").len(), 500);
    assert_eq!(
        (b.calls("authorize"), b.subject.remote.stats().retries),
        (3, 0)
    );
}

#[test]
fn row_21_upload_urls_that_are_no_good() {
    for (status, code) in [
        (401, "expired_auth_token"),
        (401, "bad_auth_token"),
        (408, "request_timeout"),
        (429, "too_many_requests"),
        (500, "internal_error"),
        (503, "service_unavailable"),
    ] {
        let mut b = bench();
        for _ in 0..4 {
            b.server
                .script("POST", "/upload/", says(status, code, "up-1"));
        }
        b.subject.put(&bytes(10)).expect("stored");
        assert_eq!((b.uploads().len(), b.calls("b2_get_upload_url")), (5, 5));
        assert!(b.subject.waits.borrow().is_empty());
        assert_eq!((b.versions(), b.calls("b2_list_file")), (1, 0));
    }
    let mut b = bench();
    for _ in 0..5 {
        b.server
            .script("POST", "/upload/", says(503, "service_unavailable", ""));
    }
    b.subject.put(&bytes(10)).expect("stored after a wait");
    assert_eq!(*b.subject.waits.borrow(), [5]);
    let mut b = bench();
    b.server
        .script("POST", "/upload/", says(400, "bad_request", "bad name"));
    assert!(
        b.subject.put(&bytes(10)).is_ok(),
        "a protocol fault is retried once"
    );
    b.server
        .script("POST", "/upload/", says(403, "storage_cap_exceeded", ""));
    assert_eq!(
        b.subject.put(&bytes(11)).expect_err("full").kind(),
        Kind::NoSpace
    );
}

#[test]
fn row_23_redirects() {
    let moved = |to: String| Trouble::Answer(307, vec![("location", to)], String::new());
    let mut b = bench();
    let data = b.stored(1000);
    b.server
        .script("GET", "/file/", moved(format!("/file/bkt/{FULL}?x")));
    assert_eq!(b.subject.get(NAME, None).expect("followed"), data);
    b.server
        .script("POST", "/upload/1/", moved("/upload/1/again".to_owned()));
    b.subject.put(&data).expect("followed with its body");
    assert_eq!(b.content().expect("there"), data);

    let mut b = bench();
    b.stored(10);
    for _ in 0..20 {
        b.server
            .script("GET", "?x", moved(format!("/file/bkt/{FULL}")));
        b.server
            .script("GET", "/file/", moved(format!("/file/bkt/{FULL}?x")));
    }
    let e = b.subject.get(NAME, None).expect_err("circle");
    assert!(e.to_string().contains("circle"), "{e}");

    let other = bench();
    for to in [
        format!(
            "http://localhost:{}/file/bkt/x",
            other.server.address.port()
        ),
        format!("http://{}/file/bkt/x", other.server.address),
        "ftp://127.0.0.1/x".to_owned(),
    ] {
        let mut b = bench();
        for _ in 0..2 {
            b.server.script("GET", "/file/", moved(to.clone()));
        }
        assert_eq!(
            b.subject.get(NAME, None).expect_err("refused").kind(),
            Kind::Unsupported
        );
    }
    let state = other.server.state.lock().expect("state");
    assert_eq!(state.connections, 0);
}

#[test]
fn row_26_replies_that_are_cut_or_poisoned() {
    let whole = r#"{"files":[{"fileName":"p/a","action":"upload","contentLength":"1"}],"nextFileName":null}"#;
    let long = format!(
        "{{\"files\":[{{\"fileName\":\"{}\"}}]}}",
        "x".repeat(10 << 20)
    );
    let deep = format!("{{\"files\":{}", "[".repeat(100_000));
    let mut bad: Vec<String> = [10, 40, 66, 67, whole.len() - 1]
        .iter()
        .map(|&cut| whole[..cut].to_owned())
        .collect();
    bad.extend([
        long,
        deep,
        r#"{"files":null,"nextFileName":null}"#.to_owned(),
    ]);
    for text in bad {
        let mut b = bench();
        for _ in 0..2 {
            b.server.script(
                "POST",
                "b2_list_file_names",
                Trouble::Answer(200, Vec::new(), text.clone()),
            );
        }
        let e = b.subject.list().expect_err("not whole");
        assert!(e.to_string().contains("listing incomplete"), "{e}");
        assert!(b.subject.list().expect("well again").is_empty());
    }
    let mut b = bench();
    b.server.script(
        "POST",
        "b2_list_file_names",
        Trouble::Answer(200, Vec::new(), whole.to_owned()),
    );
    assert_eq!(b.subject.list().expect("a number as text"), ["a"]);
    for part in ["b2_authorize", "b2_list_file_names"] {
        let mut b = bench();
        for _ in 0..2 {
            let html = vec![("content-type", "text/html".to_owned())];
            let method = if part == "b2_authorize" {
                "GET"
            } else {
                "POST"
            };
            b.server.script(
                method,
                part,
                Trouble::Answer(200, html, "<html>log in</html>".to_owned()),
            );
        }
        let e = b.subject.list().expect_err("portal");
        assert!(
            e.to_string().contains("not a B2 server (captive portal?)"),
            "{e}"
        );
    }
}

#[test]
fn rows_27_and_28_long_listings() {
    let mut b = bench_with("b2-page-size=1000");
    b.server.with(|b2| {
        for i in 0..20_000 {
            let name = format!("p/file{i:05}");
            b2.store(&name, b"old");
            b2.store(&name, b"new");
        }
        b2.hide("p/file00007");
        b2.store("p/sub/deep", b"");
        b2.store("q/other", b"");
    });
    let names = b.subject.list().expect("listed");
    assert_eq!(names.len(), 19_999);
    assert!(!names.contains(&"file00007".to_owned()));
    assert_eq!(b.calls("b2_list_file_names"), 20);
    for next in ["\"p/a\"", "\"p/0\""] {
        let mut b = bench();
        let page = format!(
            "{{\"files\":[{{\"fileName\":\"p/a\",\"action\":\"upload\"}}],\"nextFileName\":{next}}}"
        );
        for _ in 0..6 {
            b.server.script(
                "POST",
                "b2_list_file_names",
                Trouble::Answer(200, Vec::new(), page.clone()),
            );
        }
        let e = b.subject.list().expect_err("circle");
        assert!(e.to_string().contains("does not advance"), "{e}");
    }
}

#[test]
fn row_29_hostile_names() {
    let mut b = bench();
    let long = "x".repeat(300);
    let entry = |name: &str| format!("{{\"fileName\":\"p/{name}\",\"action\":\"upload\"}}");
    let names = [
        "..",
        "a/b",
        "x\\u0000y",
        "x\\ny",
        "\\u001b[31m",
        "../x",
        &long,
        "%2e%2e%2f",
        "good",
    ];
    let files: Vec<String> = names.iter().map(|n| entry(n)).collect();
    let page = format!("{{\"files\":[{}],\"nextFileName\":null}}", files.join(","));
    b.server.script(
        "POST",
        "b2_list_file_names",
        Trouble::Answer(200, Vec::new(), page),
    );
    assert_eq!(b.subject.list().expect("listed"), ["%2e%2e%2f", "good"]);
    assert_eq!(b.subject.ui.warnings(), 1);
    let message = &b.subject.ui.messages()[0];
    assert!(
        message.contains("7 names") && !message.contains('\u{1b}'),
        "{message}"
    );
}

#[test]
fn row_33_a_connection_closed_while_idle_is_no_failure() {
    let mut b = bench();
    let data = b.stored(1000);
    for _ in 0..3 {
        b.server.script("GET", "/file/", Trouble::CloseAfter);
    }
    for _ in 0..4 {
        assert_eq!(b.subject.get(NAME, Some(1000)).expect("got"), data);
    }
    assert_eq!(b.subject.remote.stats().retries, 0);
}

#[test]
fn row_38_uploads_in_parts() {
    let query = "b2-multipart-threshold=1mb&b2-part-size=1mb";
    let data = bytes(3 * MIB + 5);
    let mut b = bench_with(query);
    for _ in 0..3 {
        b.server
            .script("POST", "/upload/1/", says(503, "service_unavailable", ""));
        b.server.script("POST", "/upload/2/", Trouble::Reset(1000));
    }
    b.subject.put(&data).expect("stored");
    assert_eq!(b.content().expect("there"), data);
    let parts: Vec<String> = b
        .uploads()
        .iter()
        .map(|p| p.header("x-bz-part-number").unwrap_or("-").to_owned())
        .collect();
    assert_eq!(parts, ["1", "1", "1", "2", "3", "4"]);
    assert_eq!(
        b.subject.get(NAME, Some(data.len() as u64)).expect("got"),
        data
    );

    let mut b = bench_with(query);
    b.server.script("POST", "/upload/1/", Trouble::Swallow);
    b.subject.put(&data).expect("the part was sent again");
    assert_eq!((b.uploads().len(), b.versions()), (5, 1));

    let mut b = bench_with(query);
    b.server
        .script("POST", "/upload/1/", says(403, "storage_cap_exceeded", ""));
    assert_eq!(
        b.subject.put(&data).expect_err("full").kind(),
        Kind::NoSpace
    );
    assert_eq!(b.calls("b2_cancel_large_file"), 1);
    assert_eq!(b.server.with(|b2| b2.unfinished()), 0);

    let mut b = bench_with(query);
    b.server
        .script("POST", "b2_finish_large_file", Trouble::Swallow);
    b.subject.put(&data).expect("settled by looking");
    assert_eq!(
        (b.content().expect("there"), b.versions()),
        (data.clone(), 1)
    );

    let mut b = bench_with(query);
    b.server
        .script("POST", "b2_finish_large_file", Trouble::Close);
    b.server
        .script("POST", "b2_finish_large_file", Trouble::Close);
    b.subject.put(&data).expect("sent again");
    assert_eq!((b.content().expect("there"), b.versions()), (data, 1));
    assert_eq!(
        b.server.with(|b2| b2.unfinished()),
        0,
        "the first was cancelled"
    );
}

#[test]
fn delete_leaves_no_version() {
    let mut b = bench_with("b2-page-size=7");
    b.server.with(|b2| {
        for i in 0..250u8 {
            b2.store(FULL, &[i]);
        }
        b2.hide(FULL);
        b2.store(&format!("{FULL}.aes"), b"another file");
    });
    assert_eq!(b.subject.list().expect("listed"), [format!("{NAME}.aes")]);
    let e = b.subject.get(NAME, None).expect_err("hidden");
    assert_eq!(e.kind(), Kind::Missing);
    b.server.script(
        "POST",
        "b2_delete_file_version",
        says(400, "file_not_present", ""),
    );
    b.subject.delete().expect("deleted");
    assert_eq!(b.versions(), 1, "the one that the server said was gone");
    b.subject.delete().expect("deleted");
    b.subject.delete().expect("nothing to do");
    assert_eq!(b.versions(), 0);
    assert_eq!(b.subject.list().expect("listed").len(), 1);
    let order = b.server.seen("b2_delete_file_version");
    assert!(order[0].text.contains("\"4_z1\""), "oldest first");
    b.stored(1);
    b.server.script(
        "POST",
        "b2_delete_file_version",
        says(403, "access_denied", "lock"),
    );
    let e = b.subject.delete().expect_err("locked");
    assert!(e.to_string().contains("file lock"), "{e}");
}

#[test]
fn a_replaced_file_leaves_no_old_version() {
    let mut b = bench();
    b.subject.put(&bytes(10)).expect("stored");
    b.subject.put(&bytes(20)).expect("stored");
    assert_eq!((b.versions(), b.content().expect("there").len()), (1, 20));
    assert_eq!(b.calls("b2_list_file_versions"), 1);
}

#[test]
fn older_log_ins_do_as_well() {
    for login in [2, 3, 4] {
        let mut b = bench();
        let data = b.stored(100);
        b.server.with(|b2| b2.login = login);
        assert_eq!(b.subject.get(NAME, Some(100)).expect("got"), data);
        b.subject.put(&data).expect("stored");
        assert_eq!(b.subject.list().expect("listed"), [NAME]);
        assert_eq!(b.calls("authorize"), usize::from(5 - login));
        assert_eq!(b.calls("b2_list_buckets"), 0);
    }
}

#[test]
fn keys_that_may_not() {
    for (right, text) in [
        ("listFiles", "lacks the capability listFiles"),
        ("readFiles", "lacks the capability readFiles"),
        ("writeFiles", "lacks the capability writeFiles"),
        ("deleteFiles", "lacks the capability deleteFiles"),
    ] {
        let mut b = bench();
        b.stored(1);
        b.allow(&format!("\"{right}\""), "\"none\"");
        let results = [
            b.subject.list().map(drop),
            b.subject.get(NAME, None).map(drop),
            b.subject.put(b"x"),
            b.subject.delete(),
        ];
        let mut failed = results.into_iter().filter_map(Result::err);
        let e = failed.next().expect(right);
        assert_eq!(e.kind(), Kind::Credentials);
        assert!(e.to_string().contains(text), "{e}");
        if right == "writeFiles" {
            assert!(b.uploads().is_empty() && b.calls("b2_get_upload_url") == 0);
        }
    }
    for (from, to, text) in [
        ("\"bkt\"", "\"own\"", "key is restricted to bucket(s) own"),
        (
            "\"namePrefix\":null",
            "\"namePrefix\":\"q/\"",
            "key is restricted to prefix 'q/'",
        ),
    ] {
        let mut b = bench();
        b.allow(from, to);
        let e = b.subject.list().expect_err(text);
        assert_eq!(e.kind(), Kind::Credentials);
        assert!(e.to_string().contains(text), "{e}");
        assert_eq!(b.calls("b2_list"), 0);
    }
    for (trouble, kind, text) in [
        (
            says(401, "unauthorized", "bad key acct-1x"),
            Kind::Credentials,
            "key id 'KEYID' or its application key rejected",
        ),
        (
            says(403, "transaction_cap_exceeded", "cap"),
            Kind::NoSpace,
            "spending cap reached",
        ),
    ] {
        let mut b = bench();
        b.server.script("GET", "b2_authorize", trouble);
        let e = b
            .subject
            .remote
            .list(&mut b.subject.ui, &mut |_| Ok(()))
            .expect_err(text);
        assert_eq!(e.kind(), kind);
        assert!(
            e.to_string().contains(text) && !e.to_string().contains(SECRET),
            "{e}"
        );
    }
}

#[test]
fn buckets_that_are_not_there() {
    let mut b = bench();
    b.allow("[{\"id\":\"bid\",\"name\":\"bkt\"}]", "null");
    b.server.with(|b2| b2.bucket = false);
    assert_eq!(b.subject.list().expect("no error"), ["(no folder)"]);
    let e = b.subject.get(NAME, None).expect_err("no bucket");
    assert!(
        e.to_string()
            .contains("bucket 'bkt' does not exist at 127.0.0.1"),
        "{e}"
    );
    b.subject.put(&bytes(10)).expect("the bucket is made");
    assert_eq!(b.content().expect("there"), bytes(10));
    assert_eq!(b.calls("b2_create_bucket"), 1);

    let mut b = bench();
    b.allow("[{\"id\":\"bid\",\"name\":\"bkt\"}]", "null");
    b.server.with(|b2| b2.bucket = false);
    b.server.script(
        "POST",
        "b2_create_bucket",
        says(400, "duplicate_bucket_name", "taken"),
    );
    let e = b.subject.put(&bytes(10)).expect_err("of another account");
    assert!(
        e.to_string()
            .contains("bucket name 'bkt' taken by another account"),
        "{e}"
    );
    assert_eq!(e.kind(), Kind::Credentials);
}

#[test]
fn downloads_by_a_domain_of_ones_own() {
    let cdn = bench();
    let data = cdn.stored(1000);
    let query = format!("b2-download-url=http://{}/", cdn.server.address);
    let mut b = bench_with(&query);
    b.stored(1);
    cdn.server
        .script("GET", "/file/", says(401, "bad_auth_token", ""));
    let e = b.subject.get(NAME, Some(1000));
    assert!(
        e.is_err(),
        "the token of one server is unknown to the other"
    );
    cdn.server.with(|b2| {
        // The same account behind both names.
        b2.token_life = u64::MAX;
    });
    let (status, body) = (200, String::from_utf8(data[..100].to_vec()).expect("ASCII"));
    cdn.server
        .script("GET", "/file/", Trouble::Answer(status, Vec::new(), body));
    assert_eq!(
        b.subject
            .get(NAME, Some(100))
            .expect("got without any header")
            .len(),
        100
    );
    assert_eq!(b.calls("/file/"), 0);
}
