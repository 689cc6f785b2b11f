use super::*;
use crate::base::digest::Algo;
use crate::base::tmp::Tmp;

#[test]
fn hostile_names_are_told_from_good_ones() {
    for good in ["duplicati-b1.dblock.zip.aes", "a", "a\\b", "%2e%2e%2f", "é"] {
        assert!(good_name(good), "{good}");
    }
    let long = "x".repeat(256);
    for bad in [
        "",
        ".",
        "..",
        "a/b",
        "../x",
        "x\0y",
        "x\ny",
        "\x1b[31m",
        "x\x7f",
        "x\u{fffd}",
        &long,
    ] {
        assert!(!good_name(bad), "{bad:?}");
    }
    for bad in [".x", "-x", "a\\b", "a/b", &"x".repeat(201)] {
        assert!(writable_name(bad).is_err(), "{bad}");
    }
    assert!(writable_name("duplicati-20240131T123456Z.dlist.zip").is_ok());
}

#[test]
fn a_body_is_exactly_the_spool_with_its_digests() {
    let tmp = Tmp::open(None).expect("tmp");
    let mut spool = Spool::new(&tmp).expect("spool");
    spool.write_all(b"Welcome to Amazon S3.").expect("write");
    let mut pace = Pace::new(0);
    let mut wants = WantedDigests {
        sha1: false,
        md5: true,
    };
    let sha = Algo::Sha256.hash(b"Welcome to Amazon S3.");
    let mut digests = Digests::from(sha);
    let mut body = SpoolBody::new(&mut spool, &mut pace, &mut digests, wants, false).expect("body");
    for _ in 0..2 {
        body.seek_to(0).expect("seek");
        let mut text = String::new();
        body.read_to_string(&mut text).expect("read");
        assert_eq!(text, "Welcome to Amazon S3.");
        assert!(body.whole);
    }
    assert_eq!(body.sent, 42);
    let md5 = crate::base::bytes::base64(&body.md5().expect("md5"));
    assert_eq!(md5, "1EfQ6PKJ8WoS/2AnznfCWA==");
    assert_eq!(sha.as_bytes(), body.sha256());
    (wants.sha1, wants.md5) = (true, false);
    let mut digests = Digests::from(sha);
    let body = SpoolBody::new(&mut spool, &mut pace, &mut digests, wants, false).expect("body");
    let sha1 = crate::base::bytes::hex(&body.sha1().expect("sha1"));
    assert_eq!(sha1, "c81b76d259763a3f44bf77c7ae44c7c23faa4999");
    assert_eq!(sha.as_bytes(), body.sha256());
}

#[test]
fn digests_that_are_known_are_not_made_again() {
    let tmp = Tmp::open(None).expect("tmp");
    let mut spool = Spool::new(&tmp).expect("spool");
    spool.write_all(b"as it is now").expect("write");
    let mut pace = Pace::new(0);
    let wants = WantedDigests {
        sha1: true,
        md5: true,
    };
    let written = Algo::Md5.hash(b"as it was written");
    let mut digests = Digests {
        wanted: Some(written),
        ..Algo::Sha256.hash(b"as it was written").into()
    };
    for _ in 0..2 {
        let body = SpoolBody::new(&mut spool, &mut pace, &mut digests, wants, false);
        let body = body.expect("body");
        assert_eq!(body.md5(), written.array());
        assert_eq!(body.sha1(), None);
        // The other attempt does not read it.
        spool.clear().expect("empty");
    }
    let mut short = written.into();
    assert!(SpoolBody::new(&mut spool, &mut pace, &mut short, wants, false).is_err());
}

#[test]
fn a_sink_stops_at_the_expected_length_and_restarts_empty() {
    let tmp = Tmp::open(None).expect("tmp");
    let mut spool = Spool::new(&tmp).expect("spool");
    let mut pace = Pace::new(0);
    let mut sink = SpoolSink::new(&mut spool, &mut pace, 0, Some(5));
    sink.write_all(b"abc").expect("fits");
    assert!(sink.write_all(b"def").is_err());
    assert!(sink.too_long);
    sink.restart().expect("restart");
    assert_eq!((sink.position(), sink.received), (0, 3));
    sink.write_all(b"hello").expect("fits");
    assert_eq!(spool.len().expect("len"), 5);
}
