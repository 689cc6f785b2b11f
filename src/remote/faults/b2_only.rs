//! What only Backblaze B2 does wrong: versions, tokens and upload URLs that run out, keys, buckets, large files.

use super::b2::faulty_b2::B2;
use super::*;
use crate::base::transfer::LOOKED_AT;

const FULL: &str = "p/duplicati-b1.dblock.zip";

type Bench = Special<B2>;

fn bench() -> Bench {
    bench_with("")
}

fn bench_with(query: &str) -> Bench {
    let server = b2::server();
    let url = b2::url(&server.address.to_string(), query);
    Special::at(server, &url)
}

fn says(status: u16, code: &str, message: &str) -> Trouble {
    reply(status, b2::says(status, code, message))
}

fn cap() -> Trouble {
    says(403, "storage_cap_exceeded", "cap")
}

impl Special<B2> {
    /// Calls of class A, B and C so far, as the destination reports them.
    fn billed(&mut self) -> String {
        let facts = self.remote.dest.finish().expect("nothing to do");
        format!("{}: {}", facts[0].name, facts[0].value)
    }

    fn versions(&self) -> usize {
        self.with(|b2| b2.files.get(FULL).map_or(0, Vec::len))
    }

    /// There is one version, and this is in it.
    #[track_caller]
    fn holds_once(&self, data: &[u8]) {
        assert_eq!(self.versions(), 1);
        assert_eq!(self.file().as_deref(), Some(data));
    }

    fn allow(&self, from: &str, to: &str) {
        self.with(|b2| {
            let text = b2.allowed.to_string();
            assert!(text.contains(from), "{text}");
            b2.allowed = serde_json::from_str(&text.replace(from, to)).expect("JSON");
        });
    }

    /// Requests so far whose target holds this.
    fn calls(&self, part: &str) -> usize {
        self.count("", part)
    }

    /// The next such request by `POST` goes wrong.
    fn post(&self, part: &'static str, trouble: Trouble) {
        self.script("POST", part, trouble);
    }
}

#[test]
fn a_backup_costs_one_log_in_and_the_listing() {
    let mut b = bench();
    assert!(b.list().expect("listed").is_empty());
    for i in 0..5 {
        b.put_as(&format!("f{i}"), b"x").expect("stored");
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
    b.post("/upload/", Trouble::Reset(MIB as u64 / 2));
    b.put(&bytes(MIB)).expect("stored");
    assert_eq!((b.versions(), b.calls("/upload/")), (1, 2));
    assert_eq!(b.calls("b2_get_upload_url"), 2, "a new URL");
    assert!(b.waits().is_empty(), "without a wait");
}

#[test]
fn a_doubtful_version_that_cannot_be_looked_for_is_removed() {
    let mut b = bench();
    b.post("/upload/", Trouble::Swallow);
    let busy = says(500, "internal_error", "");
    b.scripts(2, "POST", "b2_list_file_names", &busy);
    b.put(&bytes(10)).expect("stored");
    b.holds_once(&bytes(10));
}

#[test]
fn the_rest_of_a_file_is_fetched_by_its_version() {
    let mut b = bench();
    let data = b.stored(1000);
    b.script("GET", "/file/", Trouble::Cut(700));
    assert_eq!(b.get(NAME, Some(1000)).expect("got"), data);
    let rest = &b.asked("GET", "_by_id")[0];
    assert_eq!(rest.header("range"), Some("bytes=700-"));
    assert_eq!(b.calls("/file/"), 1);
}

#[test]
fn digests_and_names_that_the_server_states_are_compared() {
    let mut b = bench();
    b.stored(1000);
    let stated = vec![("x-bz-content-sha1", "0".repeat(40))];
    let other = Trouble::Answer(200, stated, "x".to_owned());
    b.scripts(2, "GET", "/file/", &other);
    fails(b.get(NAME, None), Kind::Damaged, "SHA-1");
    for (from, to) in [
        ("\"contentLength\":10", "\"contentLength\":9"),
        ("\"fileName\":\"p/", "\"fileName\":\"q/"),
        ("\"contentSha1\":\"", "\"contentSha1\":\"0"),
    ] {
        let mut b = bench();
        b.post("/upload/", Trouble::Replaced(from, to));
        b.put(&bytes(10)).expect("stored at the second try");
        assert_eq!(b.calls("/upload/"), 2);
        assert_eq!(b.calls("b2_delete_file_version"), 1);
    }
}

#[test]
fn the_sha1_is_the_one_made_while_the_file_was_written() {
    let mut b = bench();
    let data = bytes(MIB);
    let looked = LOOKED_AT.get();
    b.put_written(&data, false).expect("stored");
    b.holds_once(&data);
    assert_eq!(LOOKED_AT.get(), looked, "it is read once, to be sent");
    b.put(&data).expect("stored");
    assert_eq!(LOOKED_AT.get(), looked + MIB as u64);
    // What the temporary folder spoiled meanwhile is no upload.
    let mut b = bench();
    b.put_written(&data, true).expect_err("refused");
    assert_eq!(b.versions(), 0);
    assert!(b.calls("/upload/") > 1, "it is tried again");
}

#[test]
fn row_16_a_refusal_hidden_by_resets_comes_to_light() {
    let body = "{\"code\":\"storage_cap_exceeded\",\"message\":\"cap\"}";
    let mut b = bench();
    b.post("/upload/", Trouble::Early(403, body));
    b.post("b2_get_upload_url", Trouble::Replaced("up-", "up-"));
    b.post("b2_get_upload_url", cap());
    let done = b.put(&bytes(4 * MIB));
    fails(done, Kind::NoSpace, "spending cap reached");
    assert!(b.calls("/upload/") <= 1);
}

#[test]
fn row_20_account_tokens_run_out() {
    let mut b = bench();
    let data = b.stored(1000);
    for code in ["expired_auth_token", "bad_auth_token"] {
        b.script("GET", "/file/", says(401, code, "acct-1"));
        assert_eq!(b.get(NAME, Some(1000)).expect("got"), data);
    }
    assert_eq!((b.calls("authorize"), b.retries()), (3, 0));
    for token in ["acct-3", "acct-4"] {
        b.script("GET", "/file/", says(401, "expired_auth_token", token));
    }
    fails(b.get(NAME, Some(1000)), Kind::Credentials, "");

    let mut b = bench_with("b2-page-size=10");
    b.with(|b2| {
        b2.token_life = 20;
        for i in 0..500 {
            b2.store(&format!("p/f{i:03}"), b"");
        }
    });
    assert_eq!(b.list().expect("listed").len(), 500);
    assert_eq!((b.calls("authorize"), b.retries()), (3, 0));
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
        b.scripts(4, "POST", "/upload/", &says(status, code, "up-1"));
        b.put(&bytes(10)).expect("stored");
        assert_eq!((b.calls("/upload/"), b.calls("b2_get_upload_url")), (5, 5));
        assert!(b.waits().is_empty());
        assert_eq!((b.versions(), b.calls("b2_list_file")), (1, 0));
    }
    let mut b = bench();
    b.scripts(5, "POST", "/upload/", &says(503, "service_unavailable", ""));
    b.put(&bytes(10)).expect("stored after a wait");
    assert_eq!(b.waits(), [1]);
    let mut b = bench();
    b.post("/upload/", says(400, "bad_request", "bad name"));
    b.put(&bytes(10)).expect("a protocol fault is retried once");
    b.post("/upload/", cap());
    fails(b.put(&bytes(11)), Kind::NoSpace, "");
}

#[test]
fn old_and_hidden_versions_are_not_listed_and_pages_go_on() {
    let mut b = bench();
    for name in ["p/a", "p/a", "p/b", "p/sub/deep", "q/other"] {
        b.with(|b2| b2.store(name, b"x"));
    }
    b.with(|b2| b2.hide("p/b"));
    assert_eq!(b.list().expect("listed"), ["a"]);
    for next in [r#""p/a""#, r#""p/0""#] {
        let mut b = bench();
        let file = r#"{"fileName":"p/a","action":"upload"}"#;
        let page = format!(r#"{{"files":[{file}],"nextFileName":{next}}}"#);
        b.scripts(6, "POST", "b2_list_file_names", &reply(200, page));
        refused(b.list(), "does not advance");
    }
}

#[test]
fn row_38_uploads_in_parts() {
    let query = "b2-multipart-threshold=1mb&b2-part-size=1mb";
    let data = bytes(3 * MIB + 5);
    let mut b = bench_with(query);
    for _ in 0..3 {
        b.post("/upload/1/", says(503, "service_unavailable", ""));
        b.post("/upload/2/", Trouble::Reset(1000));
    }
    b.put(&data).expect("stored");
    assert_eq!(b.file().expect("there"), data);
    let part = |s: &Seen| s.header("x-bz-part-number").unwrap_or("-").to_owned();
    let parts: Vec<String> = b.asked("", "/upload/").iter().map(part).collect();
    assert_eq!(parts.join(" "), "1 1 1 2 3 4");
    assert_eq!(b.get(NAME, Some(data.len() as u64)).expect("got"), data);

    let mut b = bench_with(query);
    b.post("/upload/1/", Trouble::Swallow);
    b.put(&data).expect("the part was sent again");
    assert_eq!((b.calls("/upload/"), b.versions()), (5, 1));

    let mut b = bench_with(query);
    b.post("/upload/1/", cap());
    fails(b.put(&data), Kind::NoSpace, "");
    assert_eq!(b.calls("b2_cancel_large_file"), 1);
    assert_eq!(b.with(|b2| b2.unfinished()), 0);

    let mut b = bench_with(query);
    b.post("b2_finish_large_file", Trouble::Swallow);
    b.put(&data).expect("settled by looking");
    b.holds_once(&data);

    let mut b = bench_with(query);
    b.scripts(2, "POST", "b2_finish_large_file", &Trouble::Close);
    b.put(&data).expect("sent again");
    b.holds_once(&data);
    assert_eq!(b.with(|b2| b2.unfinished()), 0);
}

#[test]
fn delete_leaves_no_version() {
    let mut b = bench_with("b2-page-size=7");
    b.with(|b2| {
        for i in 0..250u8 {
            b2.store(FULL, &[i]);
        }
        b2.hide(FULL);
        b2.store(&format!("{FULL}.aes"), b"another file");
    });
    assert_eq!(b.list().expect("listed"), [format!("{NAME}.aes")]);
    fails(b.get(NAME, None), Kind::Missing, "");
    b.post("b2_delete_file_version", says(400, "file_not_present", ""));
    b.delete().expect("deleted");
    assert_eq!(b.versions(), 1, "the one that the server said was gone");
    b.delete().expect("deleted");
    b.delete().expect("nothing to do");
    assert_eq!(b.versions(), 0);
    assert_eq!(b.list().expect("listed").len(), 1);
    let order = b.asked("", "b2_delete_file_version");
    assert!(order[0].text.contains("\"4_z1\""), "oldest first");
    b.stored(1);
    b.post("b2_delete_file_version", says(403, "access_denied", "lock"));
    refused(b.delete(), "file lock");
}

#[test]
fn a_replaced_file_leaves_no_old_version() {
    let mut b = bench();
    b.put(&bytes(10)).expect("stored");
    b.put(&bytes(20)).expect("stored");
    b.holds_once(&bytes(20));
    assert_eq!(b.calls("b2_list_file_versions"), 1);
}

#[test]
fn older_log_ins_do_as_well() {
    for login in [2, 3, 4] {
        let mut b = bench();
        let data = b.stored(100);
        b.with(|b2| b2.login = login);
        assert_eq!(b.get(NAME, Some(100)).expect("got"), data);
        b.put(&data).expect("stored");
        assert_eq!(b.list().expect("listed"), [NAME]);
        assert_eq!(b.calls("authorize"), usize::from(5 - login));
        assert_eq!(b.calls("b2_list_buckets"), 0);
    }
}

#[test]
fn keys_that_may_not() {
    for right in ["listFiles", "readFiles", "writeFiles", "deleteFiles"] {
        let mut b = bench();
        b.stored(1);
        b.allow(&format!("\"{right}\""), "\"none\"");
        let got = b.get(NAME, None).map(drop);
        let results = [b.list().map(drop), got, b.put(b"x"), b.delete()];
        let failed = results.into_iter().find(Result::is_err).expect(right);
        let words = format!("lacks the capability {right}");
        fails(failed, Kind::Credentials, &words);
        if right == "writeFiles" {
            assert_eq!(b.calls("/upload/") + b.calls("b2_get_upload_url"), 0);
        }
    }
    for (from, to, words) in [
        ("\"bkt\"", "\"own\"", "key is restricted to bucket(s) own"),
        (
            "Prefix\":null",
            "Prefix\":\"q/\"",
            "key is restricted to prefix 'q/'",
        ),
    ] {
        let mut b = bench();
        b.allow(from, to);
        fails(b.list(), Kind::Credentials, words);
        assert_eq!(b.calls("b2_list"), 0);
    }
    let rejected = "key id 'KEYID' or its application key rejected";
    let bad_key = says(401, "unauthorized", "bad key acct-1x");
    let full = says(403, "transaction_cap_exceeded", "cap");
    for (trouble, kind, words) in [
        (bad_key, Kind::Credentials, rejected),
        (full, Kind::NoSpace, "spending cap reached"),
    ] {
        let mut b = bench();
        b.script("GET", "b2_authorize", trouble);
        // The server's own words may hold what looks like a token.
        let subject = &mut *b;
        let done = subject.remote.list(&mut subject.ui, &mut |_| Ok(()));
        assert!(!fails(done, kind, words).contains(SECRET));
    }
}

#[test]
fn buckets_that_are_not_there() {
    let none = || {
        let b = bench();
        b.allow("[{\"id\":\"bid\",\"name\":\"bkt\"}]", "null");
        b.with(|b2| b2.bucket = false);
        b
    };
    let mut b = none();
    let got = b.get(NAME, None);
    refused(got, "bucket 'bkt' does not exist at 127.0.0.1");
    b.put(&bytes(10)).expect("the bucket is made");
    assert_eq!(b.file().expect("there"), bytes(10));
    assert_eq!(b.calls("b2_create_bucket"), 1);

    let mut b = none();
    let taken = says(400, "duplicate_bucket_name", "taken");
    b.post("b2_create_bucket", taken);
    let words = "bucket name 'bkt' taken by another account";
    fails(b.put(&bytes(10)), Kind::Credentials, words);
}

#[test]
fn downloads_by_a_domain_of_ones_own() {
    let cdn = bench();
    let data = cdn.stored(1000);
    let mut b = bench_with(&format!("b2-download-url=http://{}/", cdn.server.address));
    b.stored(1);
    cdn.script("GET", "/file/", says(401, "bad_auth_token", ""));
    b.get(NAME, Some(1000))
        .expect_err("a token of another server");
    // The same account behind both names.
    cdn.with(|b2| b2.token_life = u64::MAX);
    let body = String::from_utf8(data[..100].to_vec()).expect("ASCII");
    cdn.script("GET", "/file/", reply(200, body));
    let got = b.get(NAME, Some(100)).expect("got without any header");
    assert_eq!(got.len(), 100);
    assert_eq!(b.calls("/file/"), 0);
}
