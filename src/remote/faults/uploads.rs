//! Rows about uploads.

use super::*;

pub(super) fn uploads_that_break(start: Start) {
    let data = bytes(MIB);
    let mut b = Bench::open(start, "");
    if b.wire.leaves_parts() {
        b.wire.store(NAME, &data[..MIB / 2]);
    }
    b.script(Verb::Put, Trouble::Reset(MIB as u64 / 2));
    b.put(&data).expect("stored");
    assert_eq!(b.file().expect("there"), data);
    assert_eq!(b.puts().len(), 2);
    if b.wire.leaves_parts() {
        assert_eq!(b.count(Verb::Delete), 1, "the part was removed");
    }

    let mut b = Bench::open(start, "");
    if b.wire.leaves_parts() {
        b.wire.store(NAME, &data[..100]);
    }
    b.scripts(30, Verb::Put, &Trouble::Reset(100));
    fails(b.put(&data), Kind::Busy, "6 attempts");
    assert_eq!(b.file(), None);
    assert!((6..=30).contains(&b.count(Verb::Put)));
}

pub(super) fn lost_replies_are_no_second_upload(start: Start) {
    at_once([Trouble::Swallow, Trouble::Stall(None)], |lost| {
        let mut b = Bench::open(start, "http-operation-timeout=1s");
        b.script(Verb::Put, lost);
        b.put(&bytes(MIB)).expect("found by looking");
        assert_eq!(b.file().expect("there"), bytes(MIB));
        assert_eq!(
            (b.count(Verb::Put), b.count(Verb::Look)),
            (1, b.wire.looks())
        );
    });
}

/// What is refused for good, with what is said of it.
const REFUSALS: [(u16, &str, Kind); 5] = [
    (403, "", Kind::Credentials),
    (413, "", Kind::Unsupported),
    (507, "", Kind::NoSpace),
    (500, "no space left on device", Kind::NoSpace),
    (500, "write /x: disk quota exceeded", Kind::NoSpace),
];

pub(super) fn answers_before_the_body(start: Start) {
    for (status, message, kind) in REFUSALS {
        // Who does not ask before it sends may see no answer; with one it is final.
        let retries = if start().expects() { 5 } else { 0 };
        let mut b = Bench::open(start, &format!("number-of-retries={retries}"));
        let body: &'static str = b.wire.says(status, message).leak();
        b.script(Verb::Put, Trouble::Early(status, body));
        fails(b.put(&bytes(4 * MIB)), kind, "");
        let puts = b.asked(Verb::Put);
        assert_eq!(puts.len(), 1, "{status}");
        assert_eq!(puts[0].header("expect").is_some(), b.wire.expects());
    }
}

/// The answer comes while the body goes out, and then the connection is closed; or it comes after the body.
pub(super) fn refusals_in_mid_upload(start: Start) {
    let wire = start();
    let common = REFUSALS.map(|(status, message, kind)| {
        let body = wire.says(status, message);
        (status, body, kind, "")
    });
    for (at, way) in wire.ways().iter().enumerate() {
        // What only this service says, by one way that sends the body without being asked for it.
        let own = at == 1 || wire.ways().len() == 1;
        let more = if own { wire.refusals() } else { Vec::new() };
        for (status, body, kind, words) in common.iter().chain(&more) {
            let midway = Trouble::Midway(300_000, *status, body.clone());
            for (trouble, len) in [(midway, 12 * MIB), (reply(*status, body), 1000)] {
                let mut b = Bench::open(start, &format!("number-of-retries=0&{way}"));
                b.script(Verb::Put, trouble);
                let e = refused(b.put(&bytes(len)), words);
                assert_eq!(e.kind(), *kind, "{status} {way}: {e}");
                assert!(!e.to_string().contains("reset"), "{e}");
                assert_eq!(b.count(Verb::Put), 1, "{status} {way}");
            }
        }
    }
}

pub(super) fn refused_expectations(start: Start) {
    let data = bytes(2 * MIB);
    let mut b = Bench::open(start, "");
    b.script(Verb::Put, Trouble::Early(417, ""));
    b.put(&data).expect("stored");
    b.put(&data[1..]).expect("stored");
    let puts = b.puts();
    let asked: Vec<bool> = puts.iter().map(|p| p.header("expect").is_some()).collect();
    assert_eq!(asked, [b.wire.expects(), false, false]);
    // It costs no attempt where the client has asked, and one where the server speaks of its own accord.
    assert_eq!(b.retries(), u64::from(!b.wire.expects()));
    assert_eq!(b.file().expect("there"), data[1..]);
}

/// A server that does not know `Expect` costs one wait, not one for every upload.
pub(super) fn ignored_expectations(start: Start) {
    let mut b = Bench::open(start, "");
    for from in 0..3 {
        b.script(Verb::Put, Trouble::Mute);
        b.put(&bytes(2 * MIB)[from..]).expect("stored");
    }
    let puts = b.asked(Verb::Put);
    let asked: Vec<bool> = puts.iter().map(|p| p.header("expect").is_some()).collect();
    assert_eq!(asked, [b.wire.expects(), false, false]);
    assert_eq!(b.retries(), 0);
}

pub(super) fn what_must_be_new_replaces_nothing(start: Start) {
    for way in start().ways() {
        for there in [false, true] {
            let mut b = Bench::open(start, way);
            if there {
                b.stored(1000);
            }
            let free = b.put_new(b"ours").expect("settled");
            assert_eq!(free, !there, "{way}");
            let want = if there { bytes(1000) } else { b"ours".to_vec() };
            assert_eq!(b.get(NAME, None).expect("there"), want);
        }
        let mut b = Bench::open(start, way);
        if b.wire.line().is_some() {
            for trouble in [Trouble::Swallow, later(503, "1")] {
                b = Bench::open(start, way);
                b.script(Verb::Put, trouble);
                assert!(b.put_new(b"ours").expect("in the end"), "{way}");
            }
        }
        assert!(b.put_new(b"ours").is_ok());
        assert_eq!(b.file().as_deref(), Some(&b"ours"[..]));
        let free = b.put_new(b"ourz").expect("another's");
        assert!(!free, "{way}");
        assert_eq!(b.file().as_deref(), Some(&b"ours"[..]));
    }
}

/// They are stored with another size than was sent, or are not seen at first.
pub(super) fn uploads_that_do_not_show(start: Start) {
    let count = start().misstated().len();
    for at in 0..count {
        let mut b = Bench::open(start, "");
        let (verb, trouble) = b.wire.misstated().remove(at);
        b.script(verb, trouble);
        b.put(&bytes(10)).expect("stored at the second try");
        assert_eq!(b.count(Verb::Put), 2);
        assert_eq!(
            b.count(Verb::Delete),
            usize::from(b.wire.removes_misstored())
        );
        assert_eq!(b.file().expect("there"), bytes(10));
    }
    let mut b = Bench::open(start, "");
    if b.wire.looks_after_put() {
        b.scripts(2, Verb::Look, &answer(404));
    }
    b.put(&bytes(10)).expect("stored");
    let waits: &[u64] = if b.wire.looks_after_put() {
        &[1, 2]
    } else {
        &[]
    };
    assert_eq!(b.waits(), waits);
}

pub(super) fn a_second_upload_replaces_the_first(start: Start) {
    for way in start().ways() {
        let mut b = Bench::open(start, way);
        for len in [20, 10, 0, 30] {
            b.put(&bytes(len)).expect("stored");
            assert_eq!(b.file().expect("there"), bytes(len));
        }
        let found = b.entries().expect("listed").expect("there");
        assert_eq!(found, [(NAME.to_owned(), Some(30))]);
        b.delete().expect("deleted");
        b.delete().expect("nothing to do");
        assert_eq!(b.file(), None);
    }
}

pub(super) fn folders_are_made_by_uploads(start: Start) {
    let missing = |query: &str| {
        let b = Bench::open(start, query);
        b.wire.unmake();
        b
    };
    let mut b = missing("");
    assert_eq!(b.list().expect("no error"), ["(no folder)"]);
    fails(b.get(NAME, Some(3)), Kind::Missing, "");
    assert_eq!(b.list().expect("no error"), ["(no folder)"]);
    for len in [10, 2 * MIB] {
        let mut b = missing("");
        b.put(&bytes(len)).expect("the folder is made");
        assert_eq!(b.file().expect("there"), bytes(len));
        b.make().expect("existing");
    }
    for len in [10, 2 * MIB] {
        let mut b = missing("disable-autocreate-folder=true");
        fails(b.put(&bytes(len)), Kind::Missing, "");
        assert_eq!(b.list().expect("no error"), ["(no folder)"]);
    }
}
