//! S3 through `Remote` against a server that misbehaves by script (rows of `destinations-core.md` 9).

use std::io::Write as _;

use super::faults::faulty::Trouble;
use super::faults::faulty_s3::{Server, error};
use super::subject::{NAME, Subject, bytes};
use super::*;
use crate::base::bytes::base64;
use crate::base::error::Kind;
use crate::base::tmp::Tmp;
use crate::base::ui::Volume;

const KEY: &str = "p/duplicati-b1.dblock.zip";
const SECRET: &str = "s3cr3t/+value";
const MIB: usize = 1 << 20;

struct Bench {
    server: Server,
    subject: Subject,
}

fn bench() -> Bench {
    bench_on(Server::start(), "")
}

fn bench_with(query: &str) -> Bench {
    bench_on(Server::start(), query)
}

fn bench_on(server: Server, query: &str) -> Bench {
    let url = format!(
        "s3://KEYID:s3cr3t%2F%2Bvalue@bkt/p?s3-server-name={}&retry-delay=0s&http-proxy=none&{query}",
        server.address
    );
    let subject = Subject::open(
        &url,
        &[SECRET, "s3cr3t%2F%2Bvalue", &base64(SECRET.as_bytes())],
    );
    Bench { server, subject }
}

/// A refusal as the server sends it.
fn says(status: u16, code: &str, more: &str) -> Trouble {
    Trouble::Answer(status, Vec::new(), error(code, more))
}

impl Bench {
    /// A stored file that downloads get, of this length.
    fn stored(&self, len: usize) -> Vec<u8> {
        let data = bytes(len);
        self.server.put(KEY, &data);
        data
    }

    fn ranges(&self) -> Vec<String> {
        let gets = self.server.seen("GET");
        let ranges = gets
            .iter()
            .map(|s| s.header("range").unwrap_or("-").to_owned());
        ranges.collect()
    }
}

#[test]
fn row_1_and_2_resets_during_uploads() {
    let mut b = bench();
    b.server
        .script("PUT", "dblock", Trouble::Reset(MIB as u64 / 2));
    let data = bytes(MIB);
    b.subject.put(&data).expect("stored");
    assert_eq!(b.server.file(KEY).expect("there"), data);
    assert_eq!(b.server.seen("PUT").len(), 2);

    let mut b = bench();
    for _ in 0..6 {
        b.server.script("PUT", "dblock", Trouble::Reset(100));
    }
    let e = b.subject.put(&data).expect_err("never");
    assert_eq!(e.kind(), Kind::Busy);
    assert!(e.to_string().contains("6 attempts"), "{e}");
    assert_eq!(b.server.file(KEY), None);
}

#[test]
fn row_3_a_lost_reply_is_no_second_upload() {
    let mut b = bench();
    b.server.script("PUT", "dblock", Trouble::Swallow);
    b.subject.put(&bytes(MIB)).expect("stored");
    assert_eq!(b.server.seen("PUT").len(), 1);
    assert_eq!(b.server.seen("HEAD").len(), 1);
}

#[test]
fn rows_4_to_6_servers_that_are_busy() {
    let mut b = bench();
    b.server
        .script("PUT", "dblock", says(500, "InternalError", ""));
    b.subject.put(&bytes(10)).expect("stored");
    let mut b = bench();
    for _ in 0..3 {
        b.server.script("PUT", "dblock", says(503, "SlowDown", ""));
    }
    b.subject.put(&bytes(10)).expect("stored");
    assert_eq!(*b.subject.waits.borrow(), [1, 1, 1]);
    for (wait, fine) in [("2", true), ("3600", false)] {
        let mut b = bench();
        b.stored(10);
        let after = vec![("retry-after", wait.to_owned())];
        b.server
            .script("GET", "dblock", Trouble::Answer(429, after, String::new()));
        match b.subject.get(NAME, None) {
            Ok(_) if fine => assert_eq!(*b.subject.waits.borrow(), [2]),
            Err(e) if !fine => assert!(e.to_string().contains("asks to wait 1h00m"), "{e}"),
            other => panic!("{wait}: {:?}", other.map(|d| d.len())),
        }
    }
}

#[test]
fn what_must_be_new_replaces_nothing_whether_the_server_knows_conditions_or_not() {
    for (refusals, status, code) in [
        (0, 0, ""),
        (1, 501, "NotImplemented"),
        (1, 400, "InvalidArgument"),
        (1, 409, "ConditionalRequestConflict"),
        (1, 503, "SlowDown"),
    ] {
        for there in [false, true] {
            let mut b = bench();
            if there {
                b.stored(1000);
            }
            for _ in 0..refusals {
                b.server.script("PUT", "dblock", says(status, code, ""));
            }
            let got = b.subject.put_new(b"ours").expect("settled");
            assert_eq!(got, !there, "{code}");
            let want = if there { bytes(1000) } else { b"ours".to_vec() };
            assert_eq!(b.subject.get(NAME, None).expect("there"), want, "{code}");
            let puts = b.server.seen("PUT");
            assert_eq!(puts[0].header("if-none-match"), Some("*"));
        }
    }
    // An answer that was lost: the file is ours.
    let mut b = bench();
    b.server.script("PUT", "dblock", Trouble::Swallow);
    assert!(b.subject.put_new(b"ours").expect("settled"));
    assert!(b.subject.put_new(b"ours").expect("the same bytes"));
    assert!(!b.subject.put_new(b"ourz").expect("another's"));
}

#[test]
fn rows_7_to_10_downloads_that_break() {
    let mut b = bench();
    let data = b.stored(1000);
    b.server.script("GET", "dblock", Trouble::Cut(700));
    assert_eq!(b.subject.get(NAME, Some(1000)).expect("got"), data);
    assert_eq!(b.ranges(), ["-", "bytes=700-"]);
    assert!(b.server.seen("GET")[1].header("if-match").is_some());

    let mut b = bench();
    let data = b.stored(1000);
    b.server.script("GET", "dblock", Trouble::Cut(700));
    b.server.script("GET", "dblock", Trouble::Whole);
    assert_eq!(b.subject.get(NAME, Some(1000)).expect("got"), data);

    let mut b = bench();
    let data = b.stored(1000);
    b.server.script("GET", "dblock", Trouble::Cut(700));
    b.server.script("GET", "dblock", Trouble::WrongRange);
    assert_eq!(b.subject.get(NAME, Some(1000)).expect("got"), data);
    assert_eq!(b.ranges(), ["-", "bytes=700-", "-"]);

    let mut b = bench();
    let data = b.stored(1000);
    b.server.script("GET", "dblock", Trouble::CutOpen(700));
    assert_eq!(b.subject.get(NAME, Some(1000)).expect("got"), data);
}

#[test]
fn rows_11_and_12_files_that_are_not_what_was_listed() {
    let mut b = bench();
    b.stored(1000);
    b.server.script("GET", "dblock", Trouble::Cut(700));
    b.server
        .script("GET", "dblock", Trouble::Replace(KEY, vec![7; 900]));
    let e = b.subject.get(NAME, Some(1000)).expect_err("replaced");
    assert_eq!(e.kind(), Kind::Damaged);
    assert!(
        e.to_string().contains("900") && e.to_string().contains("1000"),
        "{e}"
    );

    let mut b = bench();
    b.stored(1000);
    let e = b.subject.get(NAME, Some(999)).expect_err("longer");
    assert_eq!(e.kind(), Kind::Damaged);
    assert_eq!(b.server.seen("GET").len(), 2);
}

#[test]
fn rows_15_and_17_answers_before_the_body() {
    let data = bytes(2 * MIB);
    for (status, body, kind) in [
        (
            403,
            "<Error><Code>AccessDenied</Code></Error>",
            Kind::Credentials,
        ),
        (413, "", Kind::Unsupported),
        (507, "", Kind::NoSpace),
    ] {
        let mut b = bench();
        b.server
            .script("PUT", "dblock", Trouble::Early(status, body));
        assert_eq!(b.subject.put(&data).expect_err("refused").kind(), kind);
        assert_eq!(b.server.seen("PUT").len(), 1);
    }
    let mut b = bench();
    b.server.script("PUT", "dblock", Trouble::Early(417, ""));
    b.subject.put(&data).expect("stored");
    b.subject.put(&data).expect("stored");
    let puts = b.server.seen("PUT");
    let asked: Vec<bool> = puts.iter().map(|p| p.header("expect").is_some()).collect();
    assert_eq!(asked, [true, false, false]);
    assert_eq!(b.subject.remote.stats().retries, 0);
}

#[test]
fn rows_18_and_19_clock_and_region_are_learnt() {
    let mut b = bench();
    b.stored(10);
    let late = "<ServerTime>2033-01-01T00:00:00Z</ServerTime>";
    b.server
        .script("GET", "dblock", says(403, "RequestTimeTooSkewed", late));
    b.subject.get(NAME, None).expect("got");
    let gets = b.server.seen("GET");
    assert!(
        gets[1]
            .header("x-amz-date")
            .expect("signed")
            .starts_with("20330101T")
    );

    let mut b = bench();
    b.stored(10);
    let region = "<Region>eu-test-1</Region>";
    b.server.script(
        "GET",
        "dblock",
        says(400, "AuthorizationHeaderMalformed", region),
    );
    b.subject.get(NAME, None).expect("got");
    b.subject.get(NAME, None).expect("remembered");
    let gets = b.server.seen("GET");
    assert_eq!(gets.len(), 3);
    assert!(
        gets[2]
            .header("authorization")
            .expect("signed")
            .contains("/eu-test-1/s3/")
    );

    let mut b = bench();
    b.stored(10);
    let header = vec![("x-amz-bucket-region", "r2".to_owned())];
    b.server.script(
        "HEAD",
        "dblock",
        Trouble::Answer(301, header, String::new()),
    );
    let remote = &mut b.subject.remote;
    assert!(
        remote
            .stat(&mut b.subject.ui, NAME)
            .expect("asked")
            .is_some()
    );

    let mut b = bench();
    b.stored(10);
    for region in ["a1", "b2", "c3", "d4"] {
        let region = format!("<Region>{region}</Region>");
        b.server.script(
            "GET",
            "dblock",
            says(400, "AuthorizationHeaderMalformed", &region),
        );
    }
    assert_eq!(
        b.subject.get(NAME, None).expect_err("endless").kind(),
        Kind::Credentials
    );
    assert_eq!(b.server.seen("GET").len(), 3);
}

/// The reply to HEAD has no body, and many servers close on a large body that is signed for another region.
#[test]
fn the_region_is_learnt_by_every_request() {
    let strict = |query: &str| {
        let b = bench_with(query);
        b.server.with(|s3| s3.region = Some("eu-test-9"));
        b
    };
    let mut b = strict("");
    let data = b.stored(1000);
    let found = b.subject.remote.stat(&mut b.subject.ui, NAME);
    assert_eq!(found.expect("asked").expect("there").size, Some(1000));
    assert_eq!(b.subject.get(NAME, Some(1000)).expect("got"), data);
    let asked = |b: &Bench| {
        let seen = b.server.state.lock().expect("state").seen.clone();
        let of = seen.iter().map(|s| s.method.clone());
        of.collect::<Vec<_>>().join(" ")
    };
    assert_eq!(asked(&b), "HEAD GET GET HEAD GET");

    let mut b = strict("");
    b.subject.put(&bytes(2 * MIB)).expect("stored");
    assert_eq!(asked(&b), "GET GET PUT HEAD", "the body is sent once");

    let mut b = strict("s3-multipart-threshold=6mb&s3-part-size=5mb");
    b.subject.put(&bytes(7 * MIB)).expect("stored in parts");
    b.server.with(|s3| s3.region = Some("eu-other-1"));
    b.subject.put(&bytes(7 * MIB)).expect("learnt once more");

    let mut b = strict("");
    b.subject.delete().expect("gone");
    b.subject.list().expect("listed");
    assert_eq!(asked(&b), "DELETE DELETE GET");

    // Told by options, it is not asked for; wrong, it is still corrected.
    let mut b = strict("s3-authentication-region=eu-test-9");
    b.subject.put(&bytes(2 * MIB)).expect("stored");
    assert_eq!(asked(&b), "PUT HEAD");
    assert_eq!(b.subject.remote.learnt(), None);
    let mut b = strict("s3-authentication-region=eu-wrong-1");
    b.subject.put(&bytes(100)).expect("stored");

    // What one run learnt the next one begins with; nonsense is not taken up.
    let mut b = strict("");
    assert_eq!(b.subject.remote.learnt(), None, "before any answer");
    b.subject.list().expect("listed");
    let learnt = b.subject.remote.learnt().expect("learnt");
    assert_eq!(learnt, "eu-test-9");
    let mut b = strict("");
    b.subject.remote.recall(&learnt);
    b.subject.list().expect("listed");
    assert_eq!(asked(&b), "GET");
    for bad in ["", "a b", "a\r\nx: y", "../x", &"x".repeat(65)] {
        let mut b = strict("");
        b.subject.remote.recall(bad);
        b.subject.list().expect("listed");
        assert_eq!(asked(&b), "GET GET", "{bad:?}");
    }
    let mut b = strict("");
    b.subject.remote.recall("eu-moved-1");
    b.subject.list().expect("corrected");
    assert_eq!(b.subject.remote.learnt().as_deref(), Some("eu-test-9"));
}

#[test]
fn a_missing_bucket_is_called_so_by_every_operation() {
    let missing = |query: &str| {
        let b = bench_with(query);
        b.server.with(|s3| s3.bucket = false);
        b
    };
    let says_so = |e: Error| {
        assert!(e.to_string().contains("bucket 'bkt' does not exist"), "{e}");
        assert_eq!(e.kind(), Kind::Missing);
    };
    let mut b = missing("");
    let found = b.subject.remote.stat(&mut b.subject.ui, NAME);
    says_so(found.err().expect("no bucket"));
    let mut b = missing("");
    says_so(b.subject.get(NAME, Some(3)).expect_err("no bucket"));
    let mut b = missing("");
    says_so(b.subject.delete().expect_err("no bucket"));
    let mut b = missing("");
    assert_eq!(b.subject.list().expect("asked"), ["(no folder)"]);
    says_so(b.subject.remote.missing("list".to_owned()));
    let mut b = missing("disable-autocreate-folder");
    for len in [10, 2 * MIB] {
        says_so(b.subject.put(&bytes(len)).expect_err("no bucket"));
    }
    let sent: u64 = b.server.seen("PUT").iter().map(|s| s.body).sum();
    assert!(sent < 100, "{sent}");
    let mut b = missing("");
    b.subject.put(&bytes(2 * MIB)).expect("made");

    // A file that is missing in a bucket that is there is another matter.
    let mut b = bench();
    let found = b.subject.remote.stat(&mut b.subject.ui, NAME);
    assert!(found.expect("asked").is_none());
    b.subject.delete().expect("none is no error");
}

#[test]
fn what_the_server_finds_invalid_is_no_mistake_of_the_command_line() {
    for (code, part) in [
        ("InvalidBucketName", "the bucket name 'bkt' invalid"),
        ("InvalidStorageClass", "InvalidStorageClass"),
        ("KeyTooLongError", "KeyTooLongError"),
        ("InvalidURI", "InvalidURI"),
        ("MalformedXML", "MalformedXML"),
    ] {
        let mut b = bench();
        b.server.script("GET", "", says(400, code, ""));
        b.server.script("PUT", "", says(400, code, ""));
        for e in [
            b.subject.list().expect_err("refused"),
            b.subject.put(&bytes(10)).expect_err("refused"),
        ] {
            assert_eq!(e.kind().exit_code(), 100, "{code}: {e}");
            assert!(e.to_string().contains(part), "{code}: {e}");
        }
    }
    // The reply to HEAD has no body that could say so.
    let mut b = bench();
    b.server
        .script("GET", "", says(400, "InvalidBucketName", ""));
    b.server.script("HEAD", "", says(400, "", ""));
    let found = b.subject.remote.stat(&mut b.subject.ui, NAME);
    let e = found.err().expect("refused").to_string();
    assert!(e.contains("the bucket name 'bkt' invalid"), "{e}");
}

/// The answer comes while the body goes out, and then the connection is closed.
#[test]
fn a_refusal_in_mid_upload_is_read() {
    for (status, code, message, kind) in [
        (507, "XMinioStorageFull", "", Kind::NoSpace),
        (507, "", "", Kind::NoSpace),
        (
            500,
            "InternalError",
            "no space left on device",
            Kind::NoSpace,
        ),
        (403, "AccessDenied", "", Kind::Credentials),
        (400, "EntityTooLarge", "", Kind::Unsupported),
        (400, "InvalidRequest", "", Kind::Unsupported),
    ] {
        for query in [
            "disable-expect100-continue&number-of-retries=0",
            "number-of-retries=0",
            "number-of-retries=0&s3-multipart-threshold=6mb&s3-part-size=5mb",
        ] {
            let mut b = bench_with(query);
            let body = error(code, "").replace("because", message);
            b.server
                .script("PUT", "", Trouble::Midway(300_000, status, body));
            let e = b.subject.put(&bytes(12 * MIB)).expect_err("refused");
            assert_eq!(e.kind(), kind, "{status} {code} {query}: {e}");
            assert!(!e.to_string().contains("reset"), "{e}");
            assert_eq!(b.server.seen("PUT").len(), 1, "{status} {code}");
        }
    }
    let mut b = bench_with("disable-expect100-continue&s3-authentication-region=x");
    let region = error("AuthorizationHeaderMalformed", "<Region>eu-9</Region>");
    b.server
        .script("PUT", "", Trouble::Midway(300_000, 400, region));
    let data = bytes(12 * MIB);
    b.subject.put(&data).expect("signed anew at once");
    assert_eq!(b.subject.remote.stats().retries, 0);
    assert_eq!(b.server.file(KEY).expect("there"), data);
}

#[test]
fn old_unfinished_uploads_of_the_prefix_are_ended() {
    let old = "2020-01-01T00:00:00.000Z";
    let new = crate::base::time::Timestamp::now().iso();
    let set = |b: &Bench, all: &[(&str, &str)]| {
        b.server.with(|s3| {
            s3.unfinished = all
                .iter()
                .enumerate()
                .map(|(i, (key, begun))| {
                    ((*key).to_owned(), format!("up/{i}+="), (*begun).to_owned())
                })
                .collect();
        });
    };
    let left = |b: &Bench| {
        let mut keys = b.server.with(|s3| {
            s3.unfinished
                .iter()
                .map(|u| u.0.clone())
                .collect::<Vec<_>>()
        });
        keys.sort();
        keys
    };
    let end = |b: &mut Bench| {
        let mut remote = RemoteMut::new(&mut b.subject.remote, &Permit::to_write());
        remote.end_unfinished(&mut b.subject.ui, "duplicati-");
    };
    let others = [
        ("duplicati-b9.dblock.zip", old),
        ("p/box2-b4.dblock.zip", old),
        ("p/duplicati-b1.dblock.zip", new.as_str()),
        ("p/duplicati-b2.dblock.zip", "2999-01-01T00:00:00Z"),
        ("p/duplicati-b3.dblock.zip", "some day"),
        ("p/duplicati-sub/x", old),
        ("p/photo.jpg", old),
        ("p2/duplicati-b5.dblock.zip", old),
    ];
    for page in [1, 3, 1000] {
        let mut b = bench();
        b.server.with(|s3| s3.page = page);
        let mine = [
            ("p/duplicati-b1.dblock.zip", old),
            ("p/duplicati-b1.dblock.zip", "2021-01-01T00:00:00Z"),
            ("p/duplicati-20200101T000000Z.dlist.zip.aes", old),
            ("p/duplicati-i7.dindex.zip", "2020-06-01T00:00:00Z"),
        ];
        set(&b, &[&others[..], &mine[..]].concat());
        end(&mut b);
        assert_eq!(left(&b), others.map(|o| o.0), "{page}");
    }
    // Never a reason to fail: refused, unknown, nonsense, nothing.
    for trouble in [
        says(403, "AccessDenied", ""),
        says(501, "NotImplemented", ""),
        says(405, "MethodNotAllowed", ""),
        says(200, "InternalError", ""),
        Trouble::Answer(200, Vec::new(), "<html>".to_owned()),
        Trouble::Answer(200, Vec::new(), String::new()),
        Trouble::Close,
    ] {
        let mut b = bench();
        set(&b, &others);
        b.server.script("GET", "uploads", trouble);
        end(&mut b);
        assert_eq!(left(&b).len(), others.len());
    }
    let mut b = bench();
    set(&b, &[("p/duplicati-b1.dblock.zip", old)]);
    b.server.script("DELETE", "", says(403, "AccessDenied", ""));
    end(&mut b);
    assert_eq!(left(&b).len(), 1);
}

#[test]
fn row_23_redirects() {
    let moved = |to: String| Trouble::Answer(307, vec![("location", to)], String::new());
    let mut b = bench();
    let data = b.stored(1000);
    b.server.script(
        "GET",
        "/p/dup",
        moved(format!("http://{}/bkt/{KEY}?x=1", b.server.address)),
    );
    assert_eq!(b.subject.get(NAME, None).expect("followed"), data);

    let mut b = bench();
    let data = bytes(2 * MIB);
    let to = format!("http://{}/bkt/{KEY}?x=1", b.server.address);
    b.server.script("PUT", "dblock", moved(to));
    b.subject.put(&data).expect("followed with its body");
    assert_eq!(b.server.file(KEY).expect("there"), data);

    let mut b = bench();
    b.stored(10);
    let a = format!("http://{}/bkt/{KEY}", b.server.address);
    for _ in 0..20 {
        b.server.script("GET", "x=1", moved(a.clone()));
        b.server.script("GET", "dblock", moved(format!("{a}?x=1")));
    }
    let e = b.subject.get(NAME, None).expect_err("circle");
    assert!(e.to_string().contains("circle"), "{e}");

    let other = Server::start();
    for to in [
        format!("http://localhost:{}/bkt/{KEY}", other.address.port()),
        format!("http://{}/bkt/{KEY}", other.address),
        "https://127.0.0.1/x".to_owned(),
        "ftp://127.0.0.1/x".to_owned(),
        "http:///x".to_owned(),
    ] {
        let mut b = bench();
        for _ in 0..2 {
            b.server.script("GET", "dblock", moved(to.clone()));
        }
        let e = b.subject.get(NAME, None).expect_err("refused");
        assert_eq!(e.kind(), Kind::Unsupported, "{e}");
    }
    assert_eq!(other.state.lock().expect("state").connections, 0);
}

#[test]
fn rows_24_and_25_listings_that_are_cut_or_poisoned() {
    let mut b = bench();
    b.server.put("p/a", b"1");
    let whole = "<ListBucketResult><Contents><Key>p/a</Key></Contents></ListBucketResult>";
    for cut in [10, 30, 52, 57, whole.len() - 1] {
        for _ in 0..4 {
            let body = whole[..cut].to_owned();
            b.server
                .script("GET", "list-type", Trouble::Answer(200, Vec::new(), body));
        }
        let e = b.subject.list().expect_err("cut");
        assert!(e.to_string().contains("listing incomplete"), "{e}");
        b.server.state.lock().expect("state").script.clear();
    }
    let html = || {
        let kind = vec![("content-type", "text/html".to_owned())];
        Trouble::Answer(200, kind, "<html>log in</html>".to_owned())
    };
    for _ in 0..4 {
        b.server.script("GET", "list-type", html());
    }
    let e = b.subject.list().expect_err("portal");
    assert!(e.to_string().contains("captive portal"), "{e}");
    b.server.state.lock().expect("state").script.clear();
    assert_eq!(b.subject.list().expect("well again"), ["a"]);
}

#[test]
fn a_listing_whose_folder_goes_away_is_no_listing() {
    let mut b = bench();
    for i in 0..1500 {
        b.server.put(&format!("p/file{i:05}"), b"");
    }
    for _ in 0..2 {
        b.server
            .script("GET", "continuation-token", says(404, "NoSuchBucket", ""));
    }
    let e = b.subject.list().expect_err("half of it");
    assert!(e.to_string().contains("listing incomplete"), "{e}");
}

#[test]
fn encoded_names_are_decoded_wherever_the_page_says_that_they_are() {
    let mark = "<EncodingType>url</EncodingType>";
    let key = "<Contents><Key>p%2Fa+b%2Bc</Key></Contents>";
    for page in [format!("{mark}{key}"), format!("{key}{mark}")] {
        let mut b = bench();
        let page = format!("<ListBucketResult>{page}</ListBucketResult>");
        for page in ["<ListBucketResult><Contents>", &page, &page] {
            let answer = Trouble::Answer(200, Vec::new(), page.to_owned());
            b.server.script("GET", "list-type", answer);
        }
        assert_eq!(b.subject.list().expect("listed"), ["a b+c"]);
    }
    let mut b = bench();
    let page = "<ListBucketResult><Contents><Key>p/a+b%2Bc</Key></Contents></ListBucketResult>";
    for page in ["<ListBucketResult><Contents>", page, page] {
        let answer = Trouble::Answer(200, Vec::new(), page.to_owned());
        b.server.script("GET", "list-type", answer);
    }
    assert_eq!(b.subject.list().expect("listed"), ["a+b%2Bc"]);
}

#[test]
fn an_error_in_place_of_a_listing_is_shown_safely() {
    let mut b = bench();
    let body = "<Error><Code>Odd&#27;[31m&#10;Word</Code><Message>m</Message></Error>";
    for _ in 0..2 {
        let answer = Trouble::Answer(200, Vec::new(), body.to_owned());
        b.server.script("GET", "list-type", answer);
    }
    let e = b.subject.list().expect_err("refused").to_string();
    assert!(e.contains("the server says 200 Odd31mWord: m"), "{e}");
}

#[test]
fn rows_27_and_28_long_listings() {
    for only_v1 in [false, true] {
        let mut b = bench();
        b.server.state.lock().expect("state").service.only_v1 = only_v1;
        for i in 0..20_000 {
            b.server.put(&format!("p/file{i:05}"), b"");
        }
        let names = b.subject.list().expect("listed");
        assert_eq!(names.len(), 20_000);
        assert_eq!(b.server.seen("GET").len(), if only_v1 { 21 } else { 20 });
    }
    let mut b = bench();
    let page = "<ListBucketResult><IsTruncated>true</IsTruncated><KeyCount>0</KeyCount><NextContinuationToken>t</NextContinuationToken></ListBucketResult>";
    for _ in 0..8 {
        b.server.script(
            "GET",
            "list-type",
            Trouble::Answer(200, Vec::new(), page.to_owned()),
        );
    }
    let e = b.subject.list().expect_err("circle");
    assert!(e.to_string().contains("does not advance"), "{e}");
    let mut b = bench_with("s3-list-api-version=v2");
    for _ in 0..4 {
        let page = "<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>";
        b.server.script(
            "GET",
            "list-type",
            Trouble::Answer(200, Vec::new(), page.to_owned()),
        );
    }
    let e = b.subject.list().expect_err("no way on");
    assert!(e.to_string().contains("listing incomplete"), "{e}");
}

#[test]
fn row_29_hostile_names() {
    let mut b = bench();
    let entry = |key: &str| format!("<Contents><Key>p/{key}</Key></Contents>");
    let long = "x".repeat(300);
    let body: String = [
        "..",
        "a/b",
        "x&#10;y",
        "&#27;[31m",
        "../x",
        &long,
        "%2e%2e%2f",
        "good",
    ]
    .iter()
    .map(|k| entry(k))
    .collect();
    let page = format!("<ListBucketResult>{body}</ListBucketResult>");
    b.server
        .script("GET", "list-type", Trouble::Answer(200, Vec::new(), page));
    assert_eq!(b.subject.list().expect("listed"), ["%2e%2e%2f", "good"]);
    assert_eq!(b.subject.ui.warnings(), 1);
    let message = &b.subject.ui.messages()[0];
    assert!(
        message.contains("6 names") && !message.contains('\u{1b}'),
        "{message}"
    );
}

#[test]
fn row_33_a_connection_closed_while_idle_is_no_failure() {
    let mut b = bench();
    let data = b.stored(1000);
    for _ in 0..3 {
        b.server.script("GET", "dblock", Trouble::CloseAfter);
    }
    b.server.script("HEAD", "dblock", Trouble::Close);
    for _ in 0..3 {
        assert_eq!(b.subject.get(NAME, Some(1000)).expect("got"), data);
    }
    assert!(b.subject.get(NAME, Some(1000)).is_ok());
    let remote = &mut b.subject.remote;
    assert!(
        remote
            .stat(&mut b.subject.ui, NAME)
            .expect("asked")
            .is_some()
    );
    assert_eq!(b.subject.remote.stats().retries, 0);
}

#[test]
fn rows_34_and_35_uploads_that_do_not_show() {
    let mut b = bench();
    b.server.script("HEAD", "dblock", Trouble::Length(3));
    b.subject.put(&bytes(10)).expect("stored");
    assert_eq!(b.server.seen("PUT").len(), 2);
    assert_eq!(b.server.seen("DELETE").len(), 1);
    let mut b = bench();
    for _ in 0..2 {
        b.server.script(
            "HEAD",
            "dblock",
            Trouble::Answer(404, Vec::new(), String::new()),
        );
    }
    b.subject.put(&bytes(10)).expect("stored");
    assert_eq!(*b.subject.waits.borrow(), [1, 2]);
}

#[test]
fn row_36_compressed_replies_are_refused() {
    let mut b = bench();
    b.stored(10);
    for _ in 0..2 {
        let gzip = vec![("content-encoding", "gzip".to_owned())];
        b.server
            .script("GET", "dblock", Trouble::Answer(200, gzip, "x".to_owned()));
    }
    let e = b.subject.get(NAME, None).expect_err("compressed");
    assert!(e.to_string().contains("compressed"), "{e}");
}

#[test]
fn rows_37_and_38_uploads_in_parts() {
    let query = "s3-multipart-threshold=1mb&s3-part-size=5mb";
    let data = bytes(11 * MIB);
    let mut b = bench_with(query);
    b.subject.put(&data).expect("stored");
    let sent = b.subject.remote.stats().bytes_up;
    assert_eq!(sent, data.len() as u64, "digests send nothing");
    let mut b = bench_with(query);
    for _ in 0..3 {
        b.server.script("PUT", "partNumber=2", Trouble::Reset(1000));
    }
    b.subject.put(&data).expect("stored");
    assert_eq!(b.server.file(KEY).expect("there"), data);
    let puts = b.server.seen("PUT");
    let second = puts
        .iter()
        .filter(|p| p.target.contains("partNumber=2&"))
        .count();
    assert_eq!((puts.len(), second), (6, 4));

    let mut b = bench_with(query);
    let inside = || {
        Trouble::Answer(
            200,
            Vec::new(),
            format!(" \n{}", error("InternalError", "")),
        )
    };
    b.server.script("POST", "uploadId", inside());
    b.subject.put(&data).expect("completed at the second try");
    assert_eq!(b.server.file(KEY).expect("there"), data);

    let mut b = bench_with(query);
    b.server
        .script("PUT", "partNumber=1", says(403, "AccessDenied", ""));
    let e = b.subject.put(&data).expect_err("refused");
    assert_eq!(e.kind(), Kind::Credentials);
    assert!(
        b.server.seen("DELETE")[0].target.contains("uploadId"),
        "aborted"
    );
    assert_eq!(b.server.file(KEY), None);

    let mut b = bench_with(query);
    b.server.script("POST", "uploadId", Trouble::Swallow);
    b.subject.put(&data).expect("settled by looking");
    assert_eq!(b.server.file(KEY).expect("there"), data);
}

#[test]
fn refusals_are_final_and_say_what_to_do() {
    for (code, part) in [
        ("SignatureDoesNotMatch", "secret key rejected"),
        ("InvalidAccessKeyId", "access key 'KEYID' unknown"),
        ("AccessDenied", "s3:ListBucket is needed"),
    ] {
        let mut b = bench();
        let echo = format!("<StringToSign>{SECRET}</StringToSign>");
        b.server.script("GET", "list-type", says(403, code, &echo));
        let e = b.subject.list().expect_err(code);
        assert_eq!(e.kind(), Kind::Credentials);
        assert!(e.to_string().contains(part), "{e}");
        assert_eq!(b.server.seen("GET").len(), 1);
    }
    let mut b = bench();
    let echo = Trouble::Answer(
        400,
        Vec::new(),
        format!("<Error><Code>Odd</Code><Message>{SECRET}</Message></Error>"),
    );
    b.server.script("GET", "list-type", echo);
    b.server.script("GET", "list-type", says(400, "Odd", ""));
    let e = b.subject.list().map_err(|e| e.to_string());
    assert!(e.expect_err("odd").contains("Odd"));
    let mut b = bench();
    b.server
        .script("GET", "dblock", says(403, "InvalidObjectState", ""));
    let e = b.subject.get(NAME, Some(1)).expect_err("cold");
    assert!(e.to_string().contains("cold storage"), "{e}");
}

#[test]
fn a_missing_bucket_is_made_by_the_first_upload_only() {
    let mut b = bench();
    b.server.state.lock().expect("state").service.bucket = false;
    let there = b.subject.remote.list(&mut b.subject.ui, &mut |_| Ok(()));
    assert!(!there.expect("no error"));
    b.subject.put(&bytes(10)).expect("stored");
    assert!(b.server.file(KEY).is_some());
}

#[test]
fn a_dead_server_and_an_unknown_host_are_named() {
    let url = |host: &str| {
        format!(
            "s3://KEYID:{SECRET2}@bkt/p?s3-server-name={host}&number-of-retries=0&http-proxy=none"
        )
    };
    const SECRET2: &str = "s3cr3tvalue";
    let mut ui = Ui::new(Volume::Quiet, false, Some(false));
    let port = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("port");
        listener.local_addr().expect("address").port()
    };
    for (host, part) in [
        (format!("127.0.0.1:{port}"), "connection refused"),
        ("a..b".to_owned(), "cannot resolve 'a..b'"),
    ] {
        let mut remote = Remote::open(&url(&host), &Options::default(), &mut ui).expect("opens");
        let e = remote.stat(&mut ui, NAME).err().expect("dead").to_string();
        assert!(e.contains(part) && !e.contains(SECRET2), "{e}");
    }
}

#[test]
fn rows_13_and_14_servers_that_fall_silent() {
    let mut b = bench_with("read-write-timeout=1s");
    let data = b.stored(1000);
    b.server.script("GET", "dblock", Trouble::Stall(Some(700)));
    assert_eq!(b.subject.get(NAME, Some(1000)).expect("got"), data);
    assert_eq!(b.ranges(), ["-", "bytes=700-"]);

    let mut b = bench_with("http-operation-timeout=1s");
    b.server.script("PUT", "dblock", Trouble::Stall(None));
    b.subject.put(&bytes(10)).expect("settled by looking");
    assert_eq!(b.server.seen("PUT").len(), 1);
}

/// A download has no longest time, but what comes in place of one has.
#[test]
fn a_refusal_that_drips_is_not_read_for_ever() {
    use std::io::Read as _;
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("somebody asks");
        let _ = stream.read(&mut [0; 4096]);
        let _ = stream.write_all(b"HTTP/1.1 404 X\r\ncontent-length: 9999\r\n\r\n");
        while stream.write_all(b" ").is_ok() {
            std::thread::sleep(Duration::from_millis(50));
        }
    });
    let url = format!(
        "s3://KEYID:s3cr3tvalue@bkt/p?s3-server-name={address}&http-proxy=none&short-timeout=1s&number-of-retries=0"
    );
    let mut ui = Ui::new(Volume::Quiet, false, Some(false));
    let mut remote = Remote::open(&url, &Options::default(), &mut ui).expect("opens");
    let mut spool = Spool::new(&Tmp::open(None).expect("tmp")).expect("spool");
    let begun = std::time::Instant::now();
    let e = remote.get(&mut ui, NAME, None, &mut spool);
    assert_eq!(e.expect_err("refused").kind(), Kind::Missing);
    assert!(begun.elapsed() < Duration::from_secs(20));
}
