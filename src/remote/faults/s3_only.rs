//! What only S3 does wrong: clocks, regions, buckets, codes, uploads in parts.

use super::faulty_s3::{S3, Server, error};
use super::*;
use crate::base::bytes::base64;
use crate::base::digest::Algo;
use crate::base::transfer::LOOKED_AT;

const WRONG_REGION: &str = "AuthorizationHeaderMalformed";

type Bench = Special<S3>;

fn bench() -> Bench {
    bench_with("")
}

fn bench_with(query: &str) -> Bench {
    let server = Server::start().0;
    let url = s3::url(&server.address.to_string(), query);
    Special::at(server, &url)
}

/// With a stored file that downloads get, of this length.
fn holding(len: usize) -> Bench {
    let b = bench();
    b.stored(len);
    b
}

/// A refusal as the server sends it.
fn says(status: u16, code: &str, more: &str) -> Trouble {
    reply(status, error(code, more))
}

#[test]
fn the_md5_is_the_one_made_while_the_file_was_written() {
    let data = bytes(MIB);
    let md5 = base64(Algo::Md5.hash(&data).as_bytes());
    for damaged in [false, true] {
        let mut b = bench();
        let looked = LOOKED_AT.get();
        b.script("PUT", NAME, says(503, "SlowDown", ""));
        b.put_written(&data, damaged).expect("stored");
        assert_eq!(LOOKED_AT.get(), looked, "it is read to be sent alone");
        let puts = b.asked("PUT", NAME);
        assert_eq!(puts.len(), 2);
        for put in puts {
            assert_eq!(put.header("content-md5"), Some(&md5[..]));
        }
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
            b.script("PUT", "dblock", says(status, code, ""));
            let got = b.put_new(b"ours").expect("settled");
            assert_eq!(got, !there, "{code}");
            let want = if there { bytes(1000) } else { b"ours".to_vec() };
            assert_eq!(b.get(NAME, None).expect("there"), want, "{code}");
            let puts = b.asked("PUT", "");
            assert_eq!(puts[0].header("if-none-match"), Some("*"));
        }
    }
}

#[test]
fn rows_18_and_19_clock_and_region_are_learnt() {
    let mut b = holding(10);
    let late = "<ServerTime>2033-01-01T00:00:00Z</ServerTime>";
    b.script("GET", "dblock", says(403, "RequestTimeTooSkewed", late));
    b.get(NAME, None).expect("got");
    assert!(b.asked("GET", "")[1].holds("x-amz-date", "20330101T"));

    let mut b = holding(10);
    b.script(
        "GET",
        "dblock",
        says(400, WRONG_REGION, "<Region>eu-test-1</Region>"),
    );
    b.get(NAME, None).expect("got");
    b.get(NAME, None).expect("remembered");
    let gets = b.asked("GET", "");
    assert_eq!(gets.len(), 3);
    assert!(gets[2].holds("authorization", "/eu-test-1/s3/"));

    let mut b = holding(10);
    b.script("HEAD", "dblock", headed(301, "x-amz-bucket-region", "r2"));
    assert!(b.stat(NAME).expect("asked").is_some());

    let mut b = holding(10);
    for region in ["a1", "b2", "c3", "d4"] {
        let region = format!("<Region>{region}</Region>");
        b.script("GET", "dblock", says(400, WRONG_REGION, &region));
    }
    fails(b.get(NAME, None), Kind::Credentials, "");
    assert_eq!(b.count("GET", ""), 3);
}

/// The reply to HEAD has no body, and many servers close on a large body that is signed for another region.
#[test]
fn the_region_is_learnt_by_every_request() {
    let strict = |query: &str| {
        let b = bench_with(query);
        b.with(|s3| s3.region = Some("eu-test-9"));
        b
    };
    let mut b = strict("");
    let data = b.stored(1000);
    assert_eq!(b.stat(NAME).expect("asked"), Some(Some(1000)));
    assert_eq!(b.get(NAME, Some(1000)).expect("got"), data);
    assert_eq!(b.methods(""), "HEAD GET GET HEAD GET");

    let mut b = strict("");
    b.put(&bytes(2 * MIB)).expect("stored");
    assert_eq!(b.methods(""), "GET GET PUT HEAD", "the body is sent once");

    let mut b = strict("s3-multipart-threshold=6mb&s3-part-size=5mb");
    b.put(&bytes(7 * MIB)).expect("stored in parts");
    b.with(|s3| s3.region = Some("eu-other-1"));
    b.put(&bytes(7 * MIB)).expect("learnt once more");

    let mut b = strict("");
    b.delete().expect("gone");
    b.list().expect("listed");
    assert_eq!(b.methods(""), "DELETE DELETE GET");

    // Told by options, it is not asked for; wrong, it is still corrected.
    let mut b = strict("s3-authentication-region=eu-test-9");
    b.put(&bytes(2 * MIB)).expect("stored");
    assert_eq!(b.methods(""), "PUT HEAD");
    assert_eq!(b.remote.learnt(), None);
    let mut b = strict("s3-authentication-region=eu-wrong-1");
    b.put(&bytes(100)).expect("stored");

    // What one run learnt the next one begins with; nonsense is not taken up.
    let mut b = strict("");
    assert_eq!(b.remote.learnt(), None, "before any answer");
    b.list().expect("listed");
    let learnt = b.remote.learnt().expect("learnt");
    assert_eq!(learnt, "eu-test-9");
    let mut b = strict("");
    b.remote.recall(&learnt);
    b.list().expect("listed");
    assert_eq!(b.methods(""), "GET");
    for bad in ["", "a b", "a\r\nx: y", "../x", &"x".repeat(65)] {
        let mut b = strict("");
        b.remote.recall(bad);
        b.list().expect("listed");
        assert_eq!(b.methods(""), "GET GET", "{bad:?}");
    }
    let mut b = strict("");
    b.remote.recall("eu-moved-1");
    b.list().expect("corrected");
    assert_eq!(b.remote.learnt().as_deref(), Some("eu-test-9"));
}

#[test]
fn a_missing_bucket_is_called_so_by_every_operation() {
    let missing = |query: &str| {
        let b = bench_with(query);
        b.with(|s3| s3.bucket = false);
        b
    };
    fn says_so<T>(done: Result<T>) {
        fails(done, Kind::Missing, "bucket 'bkt' does not exist");
    }
    says_so(missing("").stat(NAME));
    says_so(missing("").get(NAME, Some(3)));
    says_so(missing("").delete());
    let mut b = missing("");
    assert_eq!(b.list().expect("asked"), ["(no folder)"]);
    says_so::<()>(Err(b.remote.missing("list".to_owned())));
    let mut b = missing("disable-autocreate-folder");
    for len in [10, 2 * MIB] {
        says_so(b.put(&bytes(len)));
    }
    let sent: u64 = b.asked("PUT", "").iter().map(|s| s.body).sum();
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
        b.script("GET", "", says(400, code, ""));
        b.script("PUT", "", says(400, code, ""));
        for done in [b.list().map(drop), b.put(&bytes(10))] {
            assert_eq!(refused(done, part).kind().exit_code(), 100, "{code}");
        }
    }
    // The reply to HEAD has no body that could say so.
    let mut b = bench();
    b.script("GET", "", says(400, "InvalidBucketName", ""));
    b.script("HEAD", "", says(400, "", ""));
    refused(b.stat(NAME), "the bucket name 'bkt' invalid");
}

#[test]
fn a_region_told_in_mid_upload_is_used_at_once() {
    let mut b = bench_with("disable-expect100-continue&s3-authentication-region=x");
    let region = error(WRONG_REGION, "<Region>eu-9</Region>");
    b.script("PUT", "", Trouble::Midway(300_000, 400, region));
    let data = bytes(12 * MIB);
    b.put(&data).expect("signed anew at once");
    assert_eq!(b.retries(), 0);
    assert_eq!(b.file().expect("there"), data);
}

#[test]
fn old_unfinished_uploads_of_the_prefix_are_ended() {
    let old = "2020-01-01T00:00:00.000Z";
    let new = crate::base::time::Timestamp::now().iso();
    let set = |b: &Bench, all: &[(&str, &str)]| {
        let upload = |(i, (key, begun)): (usize, &(&str, &str))| {
            ((*key).to_owned(), format!("up/{i}+="), (*begun).to_owned())
        };
        b.with(|s3| s3.unfinished = all.iter().enumerate().map(upload).collect());
    };
    let left = |b: &Bench| {
        let unfinished = b.with(|s3| s3.unfinished.clone());
        let mut keys: Vec<String> = unfinished.into_iter().map(|u| u.0).collect();
        keys.sort();
        keys
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
        b.with(|s3| s3.page = page);
        let mine = [
            ("p/duplicati-b1.dblock.zip", old),
            ("p/duplicati-b1.dblock.zip", "2021-01-01T00:00:00Z"),
            ("p/duplicati-20200101T000000Z.dlist.zip.aes", old),
            ("p/duplicati-i7.dindex.zip", "2020-06-01T00:00:00Z"),
        ];
        set(&b, &[&others[..], &mine[..]].concat());
        b.end_unfinished("duplicati-");
        assert_eq!(left(&b), others.map(|o| o.0), "{page}");
    }
    // Never a reason to fail: refused, unknown, nonsense, nothing.
    for trouble in [
        says(403, "AccessDenied", ""),
        says(501, "NotImplemented", ""),
        says(405, "MethodNotAllowed", ""),
        says(200, "InternalError", ""),
        reply(200, "<html>"),
        answer(200),
        Trouble::Close,
    ] {
        let mut b = bench();
        set(&b, &others);
        b.script("GET", "uploads", trouble);
        b.end_unfinished("duplicati-");
        assert_eq!(left(&b).len(), others.len());
    }
    let mut b = bench();
    set(&b, &[("p/duplicati-b1.dblock.zip", old)]);
    b.script("DELETE", "", says(403, "AccessDenied", ""));
    b.end_unfinished("duplicati-");
    assert_eq!(left(&b).len(), 1);
}

#[test]
fn a_listing_whose_folder_goes_away_is_no_listing() {
    let mut b = bench();
    for i in 0..1500 {
        b.store(&format!("file{i:05}"), b"");
    }
    b.scripts(
        2,
        "GET",
        "continuation-token",
        &says(404, "NoSuchBucket", ""),
    );
    refused(b.list(), "listing incomplete");
}

#[test]
fn encoded_names_are_decoded_wherever_the_page_says_that_they_are() {
    let mark = "<EncodingType>url</EncodingType>";
    let key = "<Contents><Key>p%2Fa+b%2Bc</Key></Contents>";
    for (inside, name) in [
        (format!("{mark}{key}"), "a b+c"),
        (format!("{key}{mark}"), "a b+c"),
        (key.replace("%2F", "/"), "a+b%2Bc"),
    ] {
        let mut b = bench();
        let page = format!("<ListBucketResult>{inside}</ListBucketResult>");
        b.script(
            "GET",
            "list-type",
            reply(200, "<ListBucketResult><Contents>"),
        );
        b.scripts(2, "GET", "list-type", &reply(200, page));
        assert_eq!(b.list().expect("listed"), [name]);
    }
}

#[test]
fn an_error_in_place_of_a_listing_is_shown_safely() {
    let mut b = bench();
    let body = "<Error><Code>Odd&#27;[31m&#10;Word</Code><Message>m</Message></Error>";
    b.scripts(2, "GET", "list-type", &reply(200, body));
    refused(b.list(), "the server says Odd31mWord: m");
}

#[test]
fn a_server_that_knows_only_the_old_listing_is_asked_so() {
    let mut b = bench();
    b.with(|s3| s3.only_v1 = true);
    for i in 0..20_000 {
        b.store(&format!("file{i:05}"), b"");
    }
    assert_eq!(b.list().expect("listed").len(), 20_000);
    assert_eq!(b.count("GET", ""), 21);
}

#[test]
fn rows_37_and_38_uploads_in_parts() {
    let query = "s3-multipart-threshold=1mb&s3-part-size=5mb";
    let data = bytes(11 * MIB);
    let mut b = bench_with(query);
    b.put(&data).expect("stored");
    let sent = b.remote.stats().bytes_up;
    assert_eq!(sent, data.len() as u64, "digests send nothing");
    let mut b = bench_with(query);
    b.scripts(3, "PUT", "partNumber=2", &Trouble::Reset(1000));
    b.put(&data).expect("stored");
    assert_eq!(b.file().expect("there"), data);
    assert_eq!(b.count("PUT", ""), 6);
    assert_eq!(b.count("PUT", "partNumber=2&"), 4);

    let mut b = bench_with(query);
    let inside = format!(" \n{}", error("InternalError", ""));
    b.script("POST", "uploadId", reply(200, inside));
    b.put(&data).expect("completed at the second try");
    assert_eq!(b.file().expect("there"), data);

    let mut b = bench_with(query);
    b.script("PUT", "partNumber=1", says(403, "AccessDenied", ""));
    fails(b.put(&data), Kind::Credentials, "");
    assert!(b.asked("DELETE", "")[0].target.contains("uploadId"));
    assert_eq!(b.file(), None);

    let mut b = bench_with(query);
    b.script("POST", "uploadId", Trouble::Swallow);
    b.put(&data).expect("settled by looking");
    assert_eq!(b.file().expect("there"), data);
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
        b.script("GET", "list-type", says(403, code, &echo));
        fails(b.list(), Kind::Credentials, part);
        assert_eq!(b.count("GET", ""), 1);
    }
    let mut b = bench();
    let echo = format!("<Error><Code>Odd</Code><Message>{SECRET}</Message></Error>");
    b.script("GET", "list-type", reply(400, echo));
    b.script("GET", "list-type", says(400, "Odd", ""));
    refused(b.list(), "Odd");
    let mut b = bench();
    b.script("GET", "dblock", says(403, "InvalidObjectState", ""));
    refused(b.get(NAME, Some(1)), "cold storage");
}
