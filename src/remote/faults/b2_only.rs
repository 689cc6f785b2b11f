//! What only Backblaze B2 does wrong: versions, tokens and upload URLs that run out, keys, buckets, large files.

use std::io::Write as _;

use super::b2::faulty_b2::B2;
use super::*;

const FULL: &str = "p/duplicati-b1.dblock.zip";

struct Bench {
    server: Server<B2>,
    subject: Subject,
}

fn bench() -> Bench {
    bench_with("")
}

fn bench_with(query: &str) -> Bench {
    let server = b2::server();
    let url = b2::url(&server.address.to_string(), query);
    let subject = Subject::open(&url, SECRETS);
    Bench { server, subject }
}

fn says(status: u16, code: &str, message: &str) -> Trouble {
    Trouble::Answer(status, Vec::new(), b2::says(status, code, message))
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
fn a_reset_is_answered_by_another_upload_url_at_once() {
    let mut b = bench();
    b.server
        .script("POST", "/upload/", Trouble::Reset(MIB as u64 / 2));
    b.subject.put(&bytes(MIB)).expect("stored");
    assert_eq!((b.versions(), b.uploads().len()), (1, 2));
    assert_eq!(b.calls("b2_get_upload_url"), 2, "a new URL");
    assert!(b.subject.waits.borrow().is_empty(), "without a wait");
}

#[test]
fn a_doubtful_version_that_cannot_be_looked_for_is_removed() {
    let mut b = bench();
    b.server.script("POST", "/upload/", Trouble::Swallow);
    for _ in 0..2 {
        let busy = says(500, "internal_error", "");
        b.server.script("POST", "b2_list_file_names", busy);
    }
    b.subject.put(&bytes(10)).expect("stored");
    assert_eq!(b.content().expect("there"), bytes(10));
    assert_eq!(b.versions(), 1, "the doubtful version is gone");
}

#[test]
fn the_rest_of_a_file_is_fetched_by_its_version() {
    let mut b = bench();
    let data = b.stored(1000);
    b.server.script("GET", "/file/", Trouble::Cut(700));
    assert_eq!(b.subject.get(NAME, Some(1000)).expect("got"), data);
    let rest = b.server.seen("_by_id");
    assert_eq!(rest[0].header("range"), Some("bytes=700-"));
    assert_eq!(b.calls("/file/"), 1);
}

#[test]
fn digests_and_names_that_the_server_states_are_compared() {
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
fn a_refusal_in_mid_upload_is_read_by_its_code() {
    let text =
        |code: &str, message: &str| format!("{{\"code\":\"{code}\",\"message\":\"{message}\"}}");
    for (status, body, kind) in [
        (403, text("storage_cap_exceeded", "cap"), Kind::NoSpace),
        (400, text("bad_request", "odd"), Kind::Unsupported),
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
    assert_eq!(*b.subject.waits.borrow(), [1]);
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
fn old_and_hidden_versions_are_not_listed_and_pages_go_on() {
    let mut b = bench();
    for name in ["p/a", "p/a", "p/b", "p/sub/deep", "q/other"] {
        b.server.with(|b2| b2.store(name, b"x"));
    }
    b.server.with(|b2| b2.hide("p/b"));
    assert_eq!(b.subject.list().expect("listed"), ["a"]);
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
