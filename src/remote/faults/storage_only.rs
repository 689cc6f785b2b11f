//! What only Duplicati's own storage does wrong: keys that end, answers that are none, machines that it does not know.

use super::faulty_s3::{S3, error};
use super::storage::faulty_storage::Storage;
use super::*;

fn lent(query: &str) -> Special<S3> {
    let server = duplicati::server();
    let url = storage::url(&server.0.address.to_string(), query);
    Special::at(server.0, &url)
}

fn gateway(query: &str) -> Special<Storage> {
    let server = storage::server();
    let url = storage::url(&server.address.to_string(), query);
    Special::at(server, &url)
}

/// Asked for when the first is needed, again before they end, and when the server does not take them any more.
#[test]
fn keys_that_end() {
    let mut b = lent("");
    let data = b.stored(1000);
    for _ in 0..3 {
        assert_eq!(b.get(NAME, None).expect("got"), data);
    }
    b.list().expect("listed");
    assert_eq!(b.count("GET", "/credentials"), 1);
    // They end sooner than they were to.
    b.with(|s3| s3.granted += 1);
    assert_eq!(b.get(NAME, None).expect("got"), data);
    b.with(|s3| s3.granted += 1);
    b.put(&bytes(3 * MIB)).expect("stored");
    assert_eq!((b.count("GET", "/credentials"), b.retries()), (3, 0));
    // Five minutes before they end, which is in a second, others are asked for.
    let end = crate::base::time::Timestamp::now().0 + 301;
    let mut b = lent("");
    b.with(|s3| s3.lends = format!(r#","rotateAfter":{end}"#));
    b.stored(10);
    while b.count("GET", "/credentials") < 2 {
        b.get(NAME, None).expect("got");
    }
    // Keys that are never good are no reason to go round in circles.
    let mut b = lent("");
    b.scripts(
        20,
        "GET",
        "dblock",
        &reply(403, error("InvalidAccessKeyId", "")),
    );
    fails(b.get(NAME, None), Kind::Credentials, "--duplicati-auth-api");
    assert!(b.count("GET", "/credentials") <= 2);
}

#[test]
fn another_place_each_time() {
    let mut b = lent("number-of-retries=0");
    b.stored(10);
    b.get(NAME, None).expect("got");
    b.with(|s3| {
        s3.granted += 1;
        s3.lends = r#","prefix":"q""#.to_owned();
    });
    // The field comes twice, and the first counts; so another bucket is named.
    b.script(
        "GET",
        "/credentials",
        Trouble::Replaced("\"bkt\"", "\"xyz\""),
    );
    refused(b.get(NAME, None), "another place");
}

#[test]
fn the_log_in_is_told_and_shows_no_secret() {
    let mut b = gateway("");
    b.stored(5);
    b.list().expect("listed");
    for one in b.asked("GET", "/") {
        for (name, value) in [
            ("x-api-key", SECRET),
            ("x-organization-id", "KEYID"),
            ("x-backup-id", "bkt"),
            ("x-machine-id", "m"),
        ] {
            assert_eq!(one.header(name), Some(value), "{}", one.target);
        }
    }
    b.with(|it| it.known = vec![("x-machine-id", "other")]);
    fails(b.list(), Kind::Credentials, "--duplicati-machine-id");
    let mut b = gateway("duplicati-machine-id=other%20one");
    b.with(|it| it.known = vec![("x-machine-id", "other%20one")]);
    b.list().expect("listed");
    let mut b = gateway("");
    b.script("GET", "/credentials", reply(403, format!("no {SECRET}")));
    refused(b.list(), "no ***");
    let mut b = gateway("");
    b.script("GET", "/list", reply(403, format!("no {SECRET}")));
    refused(b.list(), "no ***");
    let mut b = gateway("number-of-retries=0");
    b.script("GET", "/credentials", reply(404, "nothing"));
    refused(b.list(), "--duplicati-endpoint");
}

/// Keys without all that belongs to them are none, as Duplicati takes it; a server in the clear is no place for files that were to go
/// over TLS.
#[test]
fn answers_that_name_no_storage() {
    let whole = serde_json::json!({
        "Mode": "direct", "Endpoint": "https://127.0.0.1:1", "AccessKeyId": "i", "SecretKey": "s", "Bucket": "b",
    });
    for lacking in ["Mode", "Endpoint", "AccessKeyId", "SecretKey", "Bucket"] {
        let mut b = gateway("");
        b.stored(5);
        let mut keys = whole.clone();
        keys.as_object_mut().expect("an object").remove(lacking);
        b.with(|it| it.keys = Some(keys));
        assert_eq!(b.list().expect("by the gateway"), [NAME], "{lacking}");
    }
    let mut b = gateway("number-of-retries=0");
    let mut keys = whole;
    keys["Endpoint"] = "ftp://x/y".into();
    b.with(|it| it.keys = Some(keys));
    for _ in 0..2 {
        refused(b.list(), "names no storage");
    }
}

#[test]
fn names_of_fields_and_what_is_not_listed_for_every_file() {
    for small in [false, true] {
        let mut b = gateway("");
        b.with(|it| it.small = small);
        b.stored(10);
        assert_eq!(
            b.entries().expect("listed"),
            Some(vec![(NAME.to_owned(), Some(10))])
        );
        for i in 0..3 {
            b.put_as(&format!("duplicati-b{i}.dindex.zip"), &bytes(5))
                .expect("stored");
        }
        assert_eq!(b.count("GET", "/list"), 1);
        b.delete().expect("gone");
        b.delete().expect("not there");
        assert_eq!(b.list().expect("listed").len(), 3);
    }
    // A file that the service finds damaged.
    let mut b = gateway("number-of-retries=0");
    b.script("POST", "/put/", reply(400, "digests differ"));
    refused(b.put(&bytes(5)), "digests differ");
}
