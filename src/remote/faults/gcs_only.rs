//! What only Google Cloud Storage does wrong: uploads that are gone on with, tokens, service accounts, policies and bucket names.

use super::gcs::faulty_gcs::{Gcs, error};
use super::*;
use crate::base::bytes::base64_decode;
use crate::net::url::encode;

const LEN: usize = 9 * MIB;
const KEY: &str = include_str!("../../../tests/data/gcs/key.json");

type Bench = Special<Gcs>;

fn bench_with(query: &str) -> Bench {
    let server = gcs::server();
    let url = gcs::url(&server.address.to_string(), query);
    Special::at(server, &url)
}

fn bench() -> Bench {
    bench_with("")
}

/// With the key of a service account.
fn with_key() -> Bench {
    let server = gcs::server();
    let base = gcs::base(&server.address.to_string());
    let key = KEY.replace("https://oauth2.googleapis.com", &base);
    let url = format!(
        "gcs://bkt?gcs-endpoint={base}&gcs-service-account-json={}&retry-delay=0s&http-proxy=none",
        encode(&key)
    );
    Special::at(server, &url)
}

fn says(status: u16, reason: &str) -> Trouble {
    reply(status, error(status, reason, "because"))
}

/// Where the parts of an upload began; `None` where it was asked how far it is.
fn parts(b: &Bench) -> Vec<Option<u64>> {
    let puts = b.asked("PUT", "upload_id=");
    let from = |s: &Seen| {
        let range = s.header("content-range").expect("a range");
        range["bytes ".len()..].split('-').next()?.parse().ok()
    };
    puts.iter().map(from).collect()
}

#[test]
fn a_broken_upload_goes_on_where_the_server_has_it() {
    let data = bytes(LEN);
    // Broken before anything was kept; after some; with a refusal that passes; with all kept, but no reply.
    for (trouble, keeps, want) in [
        (
            Some(Trouble::Reset(5 << 20)),
            None,
            vec![Some(0), None, Some(0)],
        ),
        (
            None,
            Some((2 * MIB, 503)),
            vec![Some(0), None, Some(2 << 20)],
        ),
        (
            None,
            Some((1 << 18, 500)),
            vec![Some(0), None, Some(1 << 18)],
        ),
        (None, Some((3 * MIB, 308)), vec![Some(0), Some(3 << 20)]),
        (None, Some((LEN, 503)), vec![Some(0), None]),
    ] {
        let mut b = bench();
        if let Some(trouble) = trouble {
            b.script("PUT", "upload_id=", trouble);
        }
        b.with(|gcs| gcs.keeps = keeps);
        b.put(&data).expect("in the end");
        assert_eq!(b.file().expect("there"), data);
        assert_eq!(parts(&b), want, "{keeps:?}");
        assert_eq!(b.with(|gcs| gcs.begun), 1);
    }
    // All was stored and only the reply lost: nothing is sent twice.
    let mut b = bench();
    b.script("PUT", "upload_id=", Trouble::Swallow);
    b.put(&data).expect("found");
    assert_eq!(b.file().expect("there"), data);
    let sent = parts(&b).into_iter().flatten().count();
    assert_eq!((sent, b.with(|gcs| gcs.begun)), (1, 1));
    // A server that never gets on is no endless loop.
    let mut b = bench();
    b.scripts(40, "PUT", "upload_id=", &answer(308));
    fails(b.put(&data), Kind::Busy, "6 attempts");
    assert!(parts(&b).len() < 40);
}

#[test]
fn an_upload_that_the_server_forgets_begins_anew() {
    let data = bytes(LEN);
    for status in [404, 410] {
        let mut b = bench();
        b.script("PUT", "upload_id=", answer(status));
        b.put(&data).expect("in the end");
        assert_eq!(b.file().expect("there"), data);
        assert_eq!((b.with(|gcs| gcs.begun), b.retries()), (2, 0), "{status}");
        // Forgotten while it was broken off.
        let mut b = bench();
        b.script("PUT", "upload_id=", Trouble::Close);
        b.script("PUT", "upload_id=", answer(status));
        b.put(&data).expect("in the end");
        assert_eq!(b.file().expect("there"), data);
        assert_eq!(parts(&b), [Some(0), None, Some(0)], "{status}");
        let mut b = bench();
        b.scripts(40, "PUT", "upload_id=", &answer(status));
        fails(b.put(&data), Kind::Busy, "forgets the upload");
        assert!(b.with(|gcs| gcs.begun) < 20);
    }
}

/// An upload of another file, or of another content, takes nothing over.
#[test]
fn an_upload_is_gone_on_with_only_for_the_same_file() {
    let data = bytes(LEN);
    let mut b = bench_with("number-of-retries=0");
    b.with(|gcs| gcs.keeps = Some((MIB, 503)));
    refused(b.put(&data), "");
    b.put(&data[1..]).expect("stored");
    assert_eq!(b.file().expect("there"), data[1..]);
    assert_eq!(b.count("DELETE", "upload_id="), 1, "the first is given up");
    b.with(|gcs| gcs.keeps = Some((MIB, 503)));
    refused(b.put(&data), "");
    b.put_as("other.zip", &data).expect("stored");
    assert_eq!(b.with(|gcs| gcs.files["other.zip"].clone()), data);
    assert_eq!(b.count("DELETE", "upload_id="), 2);
    // What must be new stays new, also when the name is taken at the last moment.
    let mut b = bench();
    b.script(
        "PUT",
        "upload_id=",
        Trouble::Replace(NAME, b"theirs".to_vec()),
    );
    assert!(!b.put_new(&data).expect("settled"));
    assert_eq!(b.file().expect("there"), b"theirs");
}

#[test]
fn what_was_stored_is_compared() {
    let data = bytes(LEN);
    for (from, to) in [
        ("\"md5Hash\":\"", "\"md5Hash\":\"0"),
        ("\"size\":\"9", "\"size\":\"8"),
    ] {
        let mut b = bench();
        b.script("PUT", "upload_id=", Trouble::Replaced(from, to));
        b.put(&data).expect("at the second try");
        assert_eq!((b.with(|gcs| gcs.begun), b.retries()), (2, 1));
        let mut b = bench_with("number-of-retries=0");
        b.script("PUT", "upload_id=", Trouble::Replaced(from, to));
        fails(b.put(&data), Kind::Damaged, "not the one sent");
    }
    // The server compares too.
    let mut b = bench();
    let no = error(
        400,
        "invalid",
        "Provided MD5 hash \"x\" doesn't match calculated MD5 hash \"y\".",
    );
    b.script("PUT", "upload_id=", reply(400, no));
    b.put(&data).expect("at the second try");
    assert_eq!(b.with(|gcs| gcs.begun), 2, "from the start");
}

#[test]
fn uploads_go_only_where_the_login_may() {
    let mut b = bench();
    let away = headed(200, "location", "https://example.org/upload?upload_id=up-1");
    b.scripts(9, "POST", "resumable", &away);
    refused(b.put(&bytes(LEN)), "example.org");
    assert_eq!(parts(&b), []);
    let mut b = bench();
    b.scripts(9, "POST", "resumable", &answer(200));
    refused(b.put(&bytes(LEN)), "does not say where");
}

#[test]
fn a_token_is_renewed_once() {
    let no = || says(401, "authError");
    for (method, part) in [
        ("GET", "delimiter="),
        ("POST", "uploadType=media"),
        ("POST", "resumable"),
        ("PUT", "upload_id="),
        ("DELETE", "dblock"),
    ] {
        let act = |b: &mut Bench| -> Result<()> {
            match (method, part) {
                ("GET", _) => b.list().map(drop),
                ("DELETE", _) => b.delete(),
                (_, "uploadType=media") => b.put(b"short"),
                _ => b.put(&bytes(LEN)),
            }
        };
        for mut b in [bench(), with_key()] {
            b.stored(3);
            b.script(method, part, no());
            act(&mut b).expect("with a new token");
            let seen = b.asked(method, part);
            assert_eq!(seen.len(), 2, "{method} {part}");
            assert!(seen[0].holds("authorization", "acct-1"));
            assert!(seen[1].holds("authorization", "acct-2"));
            assert_eq!(b.retries(), 0);
            b.scripts(2, method, part, &no());
            b.store(NAME, b"abc");
            fails(act(&mut b), Kind::Credentials, "access denied");
        }
    }
    // In the middle of what is sent: it goes from its beginning with the new token.
    for (method, part, len) in [
        ("POST", "uploadType=media", 3 * MIB),
        ("PUT", "upload_id=", LEN),
    ] {
        for mut b in [bench(), with_key()] {
            let body = r#"{"error":{"errors":[{"reason":"authError"}],"code":401}}"#;
            b.script(method, part, Trouble::Midway(300_000, 401, body.to_owned()));
            b.put(&bytes(len)).expect("with a new token");
            assert!(b.file().expect("there") == bytes(len), "{part}");
            assert_eq!(b.retries(), 0);
        }
    }
    // A token that is about to run out is not used any more.
    for mut b in [bench(), with_key()] {
        b.with(|gcs| gcs.life = 20);
        b.put(&bytes(LEN)).expect("stored");
        b.list().expect("listed");
        let given = b.with(|gcs| gcs.tokens);
        assert_eq!(given, Some(3), "for beginning, sending and listing");
    }
}

#[test]
fn busy_servers_are_waited_for() {
    let limit = |reason| says(403, reason);
    for (trouble, wait) in [
        (says(429, "rateLimitExceeded"), 1),
        (later(429, "4"), 4),
        (says(503, "backendError"), 1),
        (later(503, "3"), 3),
        (limit("rateLimitExceeded"), 1),
        (limit("userRateLimitExceeded"), 1),
        (says(408, "uploadBrokenConnection"), 0),
    ] {
        for (method, part, len) in [
            ("POST", "uploadType=media", 10),
            ("POST", "resumable", LEN),
            ("PUT", "upload_id=", LEN),
        ] {
            let mut b = bench();
            b.script(method, part, trouble.clone());
            b.put(&bytes(len)).expect("in the end");
            assert_eq!(b.file().expect("there"), bytes(len));
            let waited = b.waits().iter().sum::<u64>();
            assert_eq!((waited, b.retries()), (wait, 1), "{method} {part}");
        }
    }
}

#[test]
fn refusals_are_told_in_words_that_help() {
    let lacks = "duplet@p.iam.gserviceaccount.com does not have storage.objects.create access to the Google Cloud Storage object.";
    for (status, reason, message, kind, words) in [
        (
            403,
            "storageQuotaExceeded",
            "over",
            Kind::NoSpace,
            "no space left",
        ),
        (
            403,
            "retentionPolicyNotMet",
            "until 2030",
            Kind::Unsupported,
            "retention policy",
        ),
        (
            403,
            "objectUnderActiveHold",
            "held",
            Kind::Unsupported,
            "a hold",
        ),
        (
            403,
            "accountDisabled",
            "billing",
            Kind::Credentials,
            "billing",
        ),
        (
            400,
            "UserProjectMissing",
            "pays",
            Kind::Credentials,
            "requester to pay",
        ),
        (
            403,
            "forbidden",
            lacks,
            Kind::Credentials,
            "Storage Object User",
        ),
        (403, "forbidden", "no", Kind::Credentials, "access denied"),
        (
            404,
            "notFound",
            "The specified bucket does not exist.",
            Kind::Missing,
            "bucket does not exist",
        ),
    ] {
        for (method, part, len) in [
            ("POST", "uploadType=media", 10),
            ("POST", "resumable", LEN),
            ("PUT", "upload_id=", LEN),
        ] {
            if status == 404 && method == "PUT" {
                continue;
            }
            let mut b = bench_with("disable-autocreate-folder");
            b.scripts(
                9,
                method,
                part,
                &reply(status, error(status, reason, message)),
            );
            fails(b.put(&bytes(len)), kind, words);
            assert_eq!(b.count(method, part), 1, "{reason} is final");
        }
    }
    for reason in ["retentionPolicyNotMet", "objectUnderActiveHold"] {
        let mut b = bench();
        b.stored(3);
        b.script("DELETE", "dblock", says(403, reason));
        fails(b.delete(), Kind::Unsupported, "retention policy");
    }
    // Bare text in place of JSON, as downloads have it.
    let mut b = bench();
    b.scripts(9, "GET", "alt=media", &reply(404, "No such object: bkt/x"));
    b.stored(3);
    fails(b.get(NAME, None), Kind::Missing, "not found");
    // A page without files is not the last.
    let mut b = bench();
    b.stored(3);
    let empty = r#"{"kind":"storage#objects","nextPageToken":"a"}"#;
    b.script("GET", "delimiter=", reply(200, empty));
    assert_eq!(b.list().expect("listed"), [NAME]);
    let mut b = bench();
    b.scripts(2000, "GET", "delimiter=", &reply(200, empty));
    refused(b.list(), "does not advance");
}

#[test]
fn buckets_are_made_and_may_be_anothers() {
    let mut b = bench_with("gcs-location=EU&gcs-storage-class=NEARLINE");
    b.with(|gcs| gcs.bucket = false);
    b.make().expect("made");
    let asked = b.asked("POST", "/storage/v1/b?project=prj");
    let text = r#"{"location":"EU","name":"bkt","storageClass":"NEARLINE"}"#;
    assert_eq!(asked[0].text, text);
    b.make().expect("there already");
    b.script("GET", "delimiter=", says(403, "forbidden"));
    fails(b.make(), Kind::Credentials, "taken by another account");
    // The project of a service account; without one, words about it.
    let mut b = with_key();
    b.with(|gcs| gcs.bucket = false);
    b.put(b"x").expect("stored");
    assert_eq!(b.count("POST", "project=project-of-tests"), 1);
    let mut b = bench_with("gcs-project=");
    b.with(|gcs| gcs.bucket = false);
    let e = refused(b.make(), "gcs-project");
    assert_eq!(e.kind(), Kind::Unsupported, "{e}");
}

/// The claim of a request for a token.
fn claim(asked: &Seen) -> serde_json::Value {
    let text = asked.text.split("assertion=").nth(1).expect("a claim");
    let body = text.split('.').nth(1).expect("its middle");
    let mut body = body.replace('-', "+").replace('_', "/");
    while !body.len().is_multiple_of(4) {
        body.push('=');
    }
    let body = base64_decode(body.as_bytes()).expect("base64");
    serde_json::from_slice(&body).expect("JSON")
}

#[test]
fn service_accounts_are_refused_by_name() {
    let no = |message: &str, date: &str| {
        let head = vec![("date", date.to_owned())];
        let body = format!(r#"{{"error":"invalid_grant","error_description":"{message}"}}"#);
        Trouble::Answer(400, head, body)
    };
    let late = "Sat, 01 Jan 2033 00:00:00 GMT";
    let timeframe = "Invalid JWT: Token must be a short-lived token (60 minutes)";
    // A clock that is off is corrected once.
    let mut b = with_key();
    b.script("POST", "/token", no(timeframe, late));
    b.list().expect("by the server's clock");
    let asked = b.asked("POST", "/token");
    let at = claim(&asked[1])["iat"].as_i64().expect("a time");
    assert!((1_988_150_400..1_988_150_460).contains(&at), "{at}");
    assert_eq!(claim(&asked[1])["exp"], at + 3600);
    for (message, words) in [
        (timeframe, "the clock right?"),
        ("Invalid JWT Signature.", "is the key still there"),
        ("Invalid grant: account not found", "make a new key"),
    ] {
        let mut b = with_key();
        b.scripts(9, "POST", "/token", &no(message, late));
        fails(b.list(), Kind::Credentials, words);
        assert_eq!(b.count("POST", "/token"), 2);
    }
    // What the service repeats of the claim is not shown.
    let mut b = with_key();
    b.list().expect("listed");
    let sent = b.asked("POST", "/token")[0].text.clone();
    assert!(sent.len() > 500, "{sent}");
    for (status, words) in [(503, "busy"), (500, "failed")] {
        let mut b = with_key();
        b.scripts(9, "POST", "/token", &answer(status));
        fails(b.list(), Kind::Busy, words);
    }
}

#[test]
fn what_cannot_be_right_is_refused_before_anything_is_asked() {
    let open = |url: &str| {
        let mut ui = Ui::new(crate::base::ui::Volume::Quiet, false, Some(false));
        let opened = Remote::open(url, &Options::default(), &mut ui);
        opened.err().map(|e| (e.kind(), e.to_string()))
    };
    for bucket in [
        "ab",
        "-abc",
        "abc-",
        "abc.",
        "Abc",
        "a+b",
        "a%20b",
        "\u{e4}bc",
        "abc:80",
        &"x".repeat(223),
    ] {
        let (kind, text) = open(&format!("gcs://{bucket}/f?authid=a:b")).expect(bucket);
        assert_eq!(kind, Kind::Usage, "{text}");
        assert!(text.contains("no bucket name"), "{text}");
    }
    for bucket in ["abc", "a-b_c.d", "123", "example.org", &"x".repeat(63)] {
        assert_eq!(open(&format!("gcs://{bucket}?authid=a:b")), None);
    }
    for (query, words) in [
        ("", "no log-in for Google Cloud Storage"),
        ("gcs-service-account-json=%7B", "is no JSON"),
        (
            "gcs-service-account-json=%7B%22type%22:%22authorized_user%22%7D",
            "something else",
        ),
        ("gcs-service-account-file=/nowhere/key.json", "key.json"),
        ("authid=a:b&oauth-url=http://example.org/x", "oauth-url"),
        ("authid=a:b&gcs-endpoint=ftp://x", "no address"),
        ("authid=a:b&gcs-endpoint=http://example.org", "in the clear"),
        ("authid=token&gcs-endpoint=http://192.0.2.1", "in the clear"),
    ] {
        let (kind, text) = open(&format!("gcs://bkt?{query}")).expect(query);
        assert_eq!(kind, Kind::Usage, "{query}: {text}");
        assert!(text.contains(words), "{query}: {text}");
    }
    for query in [
        "authid=token",
        "gcs-endpoint=http://emulator:4443",
        "authid=token&gcs-endpoint=https://private.googleapis.com",
        "authid=a:b&gcs-retention-policy-mode=Locked",
    ] {
        assert_eq!(open(&format!("gcs://bkt?{query}")), None, "{query}");
    }
}
