//! Rows about downloads.

use super::*;

/// Where the downloads so far were to begin.
fn offsets(b: &Bench) -> Vec<u64> {
    let gets = b.asked(Verb::Get);
    gets.iter().map(|s| b.wire.offset(s)).collect()
}

pub(super) fn downloads_that_break(start: Start) {
    for (cuts, want) in [
        (&[Trouble::Cut as fn(u64) -> Trouble][..], &[0, 700][..]),
        (&[Trouble::CutOpen], &[0, 700]),
        (&[Trouble::Cut, Trouble::CutOpen], &[0, 700, 800]),
    ] {
        let mut b = Bench::open(start, "");
        let data = b.stored(1000);
        for (cut, len) in cuts.iter().zip([700, 100]) {
            b.script(Verb::Get, cut(len));
        }
        assert_eq!(b.get(NAME, Some(1000)).expect("got"), data);
        let found = offsets(&b);
        // Without a length the end is not known to be missing, unless the server told the size before.
        let again = found == [0, 0] && cuts.len() == 1;
        assert!(found == want || again, "{found:?}");
        let tied = b.wire.validator();
        let second = &b.asked(Verb::Get)[1];
        assert!(again || tied.is_none_or(|name| second.header(name).is_some()));
    }
}

pub(super) fn ranges_that_are_ignored(start: Start) {
    let mut b = Bench::open(start, "");
    let data = b.stored(1000);
    b.script(Verb::Get, Trouble::Cut(700));
    b.script(Verb::Get, Trouble::Whole);
    assert_eq!(b.get(NAME, Some(1000)).expect("got"), data);
    if !b.wire.ranges() {
        return;
    }
    assert_eq!(offsets(&b), [0, 700]);
    let mut b = Bench::open(start, "");
    let data = b.stored(1000);
    b.script(Verb::Get, Trouble::Cut(700));
    b.script(Verb::Get, Trouble::WrongRange);
    assert_eq!(b.get(NAME, Some(1000)).expect("got"), data);
    assert_eq!(offsets(&b), [0, 700, 0]);
}

pub(super) fn files_that_are_not_what_was_listed(start: Start) {
    for size in [999, 1001] {
        let mut b = Bench::open(start, "");
        b.stored(1000);
        fails(b.get(NAME, Some(size)), Kind::Damaged, &size.to_string());
        if b.wire.line().is_some() {
            assert_eq!(b.count(Verb::Get), 2, "{size}: once more");
        }
    }
}

pub(super) fn files_that_are_gone(start: Start) {
    let mut b = Bench::open(start, "");
    fails(
        b.get(NAME, Some(10)),
        Kind::Missing,
        "listed but cannot be read",
    );
    let found = b.stat(NAME).expect("asked");
    assert!(found.is_none(), "a file that is missing is no error");
    b.stored(5);
    let found = b.stat(NAME).expect("asked");
    assert_eq!(found, Some(Some(5)));
}

pub(super) fn files_absent_for_a_moment(start: Start) {
    for first in [None, Some(700)] {
        let mut b = Bench::open(start, "");
        let data = b.stored(1000);
        if let Some(len) = first {
            b.script(Verb::Get, Trouble::Cut(len));
        }
        b.script(Verb::Get, b.wire.absent());
        assert_eq!(b.get(NAME, Some(1000)).expect("there again"), data);
    }
    let mut b = Bench::open(start, "");
    b.stored(1000);
    b.script(Verb::Get, Trouble::Cut(700));
    b.scripts(12, Verb::Get, &b.wire.absent());
    fails(
        b.get(NAME, Some(1000)),
        Kind::Missing,
        "listed but cannot be read",
    );
}

pub(super) fn files_replaced_meanwhile(start: Start) {
    let mut b = Bench::open(start, "");
    if b.wire.validator().is_none() {
        // Nothing tells of it, but that the rest does not fit: the size is all there is to see.
        b.stored(1000);
        b.script(Verb::Get, Trouble::Cut(700));
        b.script(Verb::Get, Trouble::Cut(0));
        b.script(Verb::Get, Trouble::Whole);
        assert_eq!(b.get(NAME, Some(1000)).expect("got"), bytes(1000));
        return;
    }
    for refused in [false, true] {
        let mut b = Bench::open(start, "");
        b.stored(1000);
        b.script(Verb::Get, Trouble::Cut(700));
        b.script(Verb::Get, Trouble::Replace(NAME, vec![7; 1000]));
        if refused {
            b.script(Verb::Get, answer(412));
        }
        let got = b.get(NAME, Some(1000));
        assert_eq!(got.expect("the new file whole"), [7; 1000]);
    }
    b.stored(1000);
    b.script(Verb::Get, Trouble::Cut(700));
    b.script(Verb::Get, Trouble::Replace(NAME, vec![7; 900]));
    let text = fails(b.get(NAME, Some(1000)), Kind::Damaged, "900");
    assert!(text.contains("1000"), "{text}");
}

pub(super) fn compressed_replies(start: Start) {
    for verb in [Verb::Get, Verb::List] {
        let mut b = Bench::open(start, "");
        b.stored(10);
        for _ in 0..2 {
            let gzip = vec![("content-encoding", "gzip".to_owned())];
            b.script(verb, Trouble::Answer(200, gzip, "x".to_owned()));
        }
        refused(b.act(verb), "compressed");
    }
}

pub(super) fn silent_downloads(start: Start) {
    let mut b = Bench::open(start, "read-write-timeout=1s");
    let data = b.stored(1000);
    b.script(Verb::Get, Trouble::Stall(Some(700)));
    assert_eq!(b.get(NAME, Some(1000)).expect("got"), data);
    assert_eq!(offsets(&b), [0, 700]);
}

/// Longer than the longest pause that is allowed, but never silent for so long.
pub(super) fn slow_downloads(start: Start) {
    let mut b = Bench::open(start, "read-write-timeout=1s");
    let data = b.stored(1000);
    b.script(Verb::Get, Trouble::Slow);
    assert_eq!(b.get(NAME, Some(1000)).expect("got"), data);
    assert_eq!((offsets(&b), b.retries()), (vec![0], 0));
}
