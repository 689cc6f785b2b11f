//! What only the schemes on the S3 client do wrong: grants, names of servers, cold storage, prefixes.

use super::faulty_s3::{self, S3, error};
use super::*;

type Bench = Special<S3>;

fn at(server: faulty_s3::Server, url: fn(&str, &str) -> String, query: &str) -> Bench {
    let place = server.0.address.to_string();
    Special::at(server.0, &url(&place, query))
}

fn each(act: impl Fn(&mut Bench, &str)) {
    for (url, class) in [
        (cos::url as fn(&str, &str) -> String, "ARCHIVE"),
        (aliyunoss::url, "ColdArchive"),
        (aliyunoss::url, "GLACIER"),
    ] {
        act(&mut at(faulty_s3::Server::start(), url, ""), class);
    }
}

fn says(status: u16, code: &str, more: &str) -> Trouble {
    reply(status, error(code, more))
}

#[test]
fn keys_of_a_grant_that_run_out_are_exchanged_once_more() {
    let mut b = at(storj::server(), storj::url, "");
    let data = b.stored(1000);
    assert_eq!(b.get(NAME, None).expect("got"), data);
    assert_eq!(b.get(NAME, None).expect("got"), data);
    assert_eq!(b.count("POST", "/v1/access"), 1, "one exchange a run");
    // Another day, other keys: of a small file, of a large one in mid-upload, of a question that is answered without words.
    b.with(|s3| s3.granted += 1);
    assert_eq!(b.get(NAME, None).expect("got"), data);
    b.with(|s3| s3.granted += 1);
    b.script(
        "PUT",
        "",
        Trouble::Midway(300_000, 403, error("InvalidAccessKeyId", "")),
    );
    b.put(&bytes(3 * MIB)).expect("stored");
    b.with(|s3| s3.granted += 1);
    assert_eq!(b.stat(NAME).expect("asked"), Some(Some(3 << 20)));
    b.with(|s3| s3.granted += 1);
    b.delete().expect("gone");
    assert_eq!(b.retries(), 0);
    let asked = b.asked("POST", "/v1/access");
    assert!(asked.iter().all(|s| s.text.contains(SECRET)), "the grant");
    // Keys that are never good are no reason to go round in circles.
    let mut b = at(storj::server(), storj::url, "");
    for _ in 0..20 {
        b.script("GET", "dblock", says(403, "InvalidAccessKeyId", ""));
    }
    fails(
        b.get(NAME, None),
        Kind::Credentials,
        "--storj-shared-access",
    );
    assert!(b.count("POST", "/v1/access") <= 2);
}

#[test]
fn grants_that_the_service_refuses() {
    for (status, body, kind, words) in [
        (
            400,
            "invalid access grant",
            Kind::Credentials,
            "the access grant was refused",
        ),
        (401, "", Kind::Credentials, "--storj-shared-access"),
        (403, "", Kind::Credentials, "--storj-shared-access"),
        (422, "", Kind::Credentials, "the access grant was refused"),
        (404, "", Kind::Unsupported, "--storj-auth-service"),
        (200, "{}", Kind::Unsupported, "no secret key"),
        (
            200,
            r#"{"secret_key":"s","endpoint":"x"}"#,
            Kind::Unsupported,
            "no access key",
        ),
        (
            200,
            r#"{"access_key_id":"i","secret_key":"s"}"#,
            Kind::Unsupported,
            "no server",
        ),
        (
            200,
            r#"{"access_key_id":"i","secret_key":"s","endpoint":"ftp://x"}"#,
            Kind::Unsupported,
            "no address of a server",
        ),
        (200, "{", Kind::Unsupported, ""),
    ] {
        let mut b = at(storj::server(), storj::url, "number-of-retries=1");
        b.scripts(2, "POST", "/v1/access", &reply(status, body));
        fails(b.list(), kind, words);
        assert_eq!(b.count("GET", ""), 0, "nothing else is asked");
    }
    // What echoes the grant does not show it.
    let mut b = at(storj::server(), storj::url, "");
    b.script(
        "POST",
        "/v1/access",
        reply(400, format!("bad grant {SECRET}")),
    );
    refused(b.list(), "bad grant ***");
}

#[test]
fn archived_objects_are_known_and_told() {
    each(|b, class| {
        b.stored(10);
        let entry = format!(
            "<Contents><Key>p/{NAME}</Key><Size>10</Size><StorageClass>{class}</StorageClass></Contents>"
        );
        let listing =
            format!("<ListBucketResult><IsTruncated>false</IsTruncated>{entry}</ListBucketResult>");
        b.script("GET", "max-keys", page(200, "application/xml", &listing));
        let mut cold = Vec::new();
        let subject: &mut Subject = &mut *b;
        let done = subject.remote.list(&mut subject.ui, &mut |item| {
            if let Listed::Entry(file) = item {
                cold.push(file.is_archived);
            }
            Ok(())
        });
        done.expect("listed");
        assert_eq!(cold, [true], "{class}");
        b.script("GET", "dblock", says(403, "InvalidObjectState", ""));
        let e = refused(b.get(NAME, None), "cold storage");
        assert_eq!(e.kind(), Kind::Unsupported);
        assert_eq!(b.retries(), 0);
    });
}

/// A prefix is a whole folder: `p` is not `p2`, and what lies deeper is not in it.
#[test]
fn a_folder_is_not_another_that_begins_so() {
    each(|b, _| {
        for key in ["p/own", "p2/theirs", "p", "pother", "p/deeper/x", "own"] {
            b.with(|s3| s3.files.insert(key.to_owned(), vec![1]));
        }
        assert_eq!(b.list().expect("listed"), ["own"]);
    });
}

#[test]
fn the_words_are_those_of_the_scheme() {
    for (url, code, status, words) in [
        (
            cos::url as fn(&str, &str) -> String,
            "NoSuchBucket",
            404,
            "--cos-bucket, --cos-app-id and --cos-region",
        ),
        (
            cos::url,
            "SignatureDoesNotMatch",
            403,
            "check --cos-secret-key",
        ),
        (
            cos::url,
            "InvalidAccessKeyId",
            403,
            "check --cos-secret-id and --cos-region",
        ),
        (
            cos::url,
            "InvalidStorageClass",
            400,
            "correct --cos-storage-class",
        ),
        (
            cos::url,
            "InvalidBucketName",
            400,
            "correct --cos-bucket and --cos-app-id",
        ),
        (
            cos::url,
            "UnavailableForLegalReasons",
            451,
            "the account is blocked",
        ),
        (cos::url, "AccessDenied", 403, "s3:GetObject is needed"),
        (
            aliyunoss::url,
            "NoSuchBucket",
            404,
            "--oss-bucket-name and --oss-endpoint",
        ),
        (
            aliyunoss::url,
            "SignatureDoesNotMatch",
            403,
            "check --oss-access-key-secret",
        ),
        (
            aliyunoss::url,
            "InvalidAccessKeyId",
            403,
            "check --oss-access-key-id and --oss-endpoint",
        ),
        (aliyunoss::url, "UserDisable", 403, "the account is blocked"),
        (aliyunoss::url, "FileImmutable", 409, "locked by a rule"),
        (
            aliyunoss::url,
            "InvalidBucketName",
            400,
            "--oss-bucket-name",
        ),
        (
            aliyunoss::url,
            "AccessDenied",
            403,
            "s3:GetObject is needed",
        ),
        (storj::url, "NoSuchBucket", 404, "check --storj-bucket"),
        (storj::url, "InvalidBucketName", 400, "--storj-bucket"),
        (storj::url, "AccessDenied", 403, "s3:GetObject is needed"),
    ] {
        let server = match url("x", "").starts_with("storj:") {
            true => storj::server(),
            false => faulty_s3::Server::start(),
        };
        let mut b = at(server, url, "number-of-retries=0");
        b.script("GET", "dblock", says(status, code, ""));
        refused(b.get(NAME, None), words);
        assert_eq!(b.retries(), 0, "{code}");
    }
}

#[test]
fn clocks_are_learnt_here_too() {
    each(|b, _| {
        b.stored(10);
        let late = "<ServerTime>2033-01-01T00:00:00.000Z</ServerTime>";
        b.script("GET", "dblock", says(403, "RequestTimeTooSkewed", late));
        b.get(NAME, None).expect("got");
        assert!(b.asked("GET", "dblock")[1].holds("x-amz-date", "20330101T"));
    });
}

/// Aliyun answers a request at the wrong endpoint with the right one, and not with a redirect.
#[test]
fn a_bucket_at_another_endpoint_is_found_there_if_that_is_of_the_same_owner() {
    let text =
        "The bucket you are attempting to access must be addressed using the specified endpoint";
    let mut b = at(
        faulty_s3::Server::start(),
        aliyunoss::url,
        "number-of-retries=0",
    );
    b.stored(10);
    let body = format!(
        "<Error><Code>AccessDenied</Code><Message>{text}</Message><Endpoint>evil.example.org</Endpoint></Error>"
    );
    b.script("GET", "dblock", reply(403, body));
    refused(b.get(NAME, None), "evil.example.org");
    assert_eq!(b.count("GET", "dblock"), 1);
}
