//! What only S3 does wrong: clocks, regions, buckets, codes, uploads in parts.

use super::faulty_s3::{Server, error};
use super::*;

const KEY: &str = "p/duplicati-b1.dblock.zip";

struct Bench {
    server: Server,
    subject: Subject,
}

fn bench() -> Bench {
    bench_with("")
}

fn bench_with(query: &str) -> Bench {
    let server = Server::start();
    let url = s3::url(&server.address.to_string(), query);
    let subject = Subject::open(&url, SECRETS);
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
}

#[test]
fn what_must_be_new_replaces_nothing_whether_the_server_knows_conditions_or_not() {
    for (status, code) in [
        (501, "NotImplemented"),
        (400, "InvalidArgument"),
        (409, "ConditionalRequestConflict"),
    ] {
        for there in [false, true] {
            let mut b = bench();
            if there {
                b.stored(1000);
            }
            b.server.script("PUT", "dblock", says(status, code, ""));
            let got = b.subject.put_new(b"ours").expect("settled");
            assert_eq!(got, !there, "{code}");
            let want = if there { bytes(1000) } else { b"ours".to_vec() };
            assert_eq!(b.subject.get(NAME, None).expect("there"), want, "{code}");
            let puts = b.server.seen("PUT");
            assert_eq!(puts[0].header("if-none-match"), Some("*"));
        }
    }
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
fn a_refusal_in_mid_upload_is_read_by_its_code() {
    for (status, code, kind) in [
        (507, "", Kind::NoSpace),
        (400, "EntityTooLarge", Kind::Unsupported),
        (400, "InvalidRequest", Kind::Unsupported),
    ] {
        let mut b = bench_with("disable-expect100-continue&number-of-retries=0");
        let trouble = Trouble::Midway(300_000, status, error(code, ""));
        b.server.script("PUT", "", trouble);
        let e = b.subject.put(&bytes(12 * MIB)).expect_err("refused");
        assert_eq!(e.kind(), kind, "{status} {code}: {e}");
        assert_eq!(b.server.seen("PUT").len(), 1, "{status} {code}");
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
fn a_server_that_knows_only_the_old_listing_is_asked_so() {
    let mut b = bench();
    b.server.with(|s3| s3.only_v1 = true);
    for i in 0..20_000 {
        b.server.put(&format!("p/file{i:05}"), b"");
    }
    assert_eq!(b.subject.list().expect("listed").len(), 20_000);
    assert_eq!(b.server.seen("GET").len(), 21);
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
