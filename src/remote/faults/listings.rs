//! Rows about listings, and about what comes in the place of one.

use super::*;

pub(super) fn listings_that_are_cut_or_poisoned(start: Start) {
    let (status, kind, whole) = start().listing(&["a"]);
    let len = whole.len();
    let mut bad: Vec<String> = [1, 10, 30, 40, 45, 52, 57, 58, 66, 67, 80, len - 2, len - 1]
        .into_iter()
        .filter(|&cut| cut < len)
        .map(|cut| whole[..cut].to_owned())
        .collect();
    bad.extend(start().poison());
    let mut b = Bench::open(start, "number-of-retries=1");
    b.stored(1);
    for body in bad {
        b.scripts(4, Verb::List, &page(status, kind, &body));
        let e = b.list().expect_err("not whole");
        let shown = &body[..body.len().min(80)];
        assert!(e.to_string().contains(b.wire.incomplete()), "{shown}: {e}");
        b.line().calm();
    }
    for cut in [Trouble::Cut(30), Trouble::CutOpen(30)] {
        b.script(Verb::List, cut);
        assert_eq!(b.list().expect("tried again"), [NAME]);
    }
    b.script(Verb::List, page(status, kind, &whole));
    if b.wire.ends_empty() {
        b.script(Verb::List, b.lists(&[]));
    }
    assert_eq!(b.list().expect("a good one"), ["a"]);
    if kind.contains("xml") {
        b.script(Verb::List, page(status, kind, &format!("\u{feff}{whole}")));
        assert_eq!(b.list().expect("a BOM is no harm"), ["a"]);
    }
}

pub(super) fn hostile_names(start: Start) {
    let long = "x".repeat(300);
    let hostile = [
        "..",
        "a/b",
        "../x",
        "x\ny",
        "\u{1b}[31m",
        "x\u{7f}",
        "x\0y",
        &long,
    ];
    let good = ["%2e%2e%2f", "good", "a b+c", "\u{e9}&<"];
    let all = [&hostile[..], &good[..]].concat();
    let mut b = Bench::open(start, "");
    if b.wire.line().is_some() {
        b.script(Verb::List, b.lists(&all));
    } else {
        for name in ["x\ny", "\u{1b}[31m"].iter().chain(&good) {
            b.wire.store(name, b"1");
        }
    }
    let mut found = b.list().expect("listed");
    found.sort();
    let mut want = good.map(str::to_owned);
    want.sort();
    assert_eq!(found, want);
    assert_eq!(b.ui.warnings(), 1);
    let message = &b.ui.messages()[0];
    assert!(
        message.contains(" names") && !message.contains(['\u{1b}', '\n']),
        "{message}"
    );
}

pub(super) fn long_listings(start: Start) {
    let mut b = Bench::open(start, "");
    // Real files take their time; there are no pages there.
    let count = if b.wire.line().is_some() {
        20_000
    } else {
        4_000
    };
    for i in 0..count {
        b.wire
            .store(&format!("duplicati-b{i:032x}.dblock.zip"), b"");
    }
    let found = b.entries().expect("listed").expect("there");
    assert_eq!(found.len(), count);
    assert!(found.iter().all(|(_, size)| *size == Some(0)));
    if b.wire.line().is_some() {
        assert_eq!(b.count(Verb::List), b.wire.pages());
    }
}

/// A limited listing has the names that begin so, all of them and no others, and comes in one request where the server can
/// limit it.
pub(super) fn limited_listings(start: Start) {
    let mut b = Bench::open(start, "");
    let lists: Vec<String> = (10..30)
        .map(|day| format!("duplicati-202401{day}T000000Z.dlist.zip"))
        .collect();
    for name in &lists {
        b.wire.store(name, b"1");
    }
    for i in 0..1100 {
        b.wire
            .store(&format!("duplicati-b{i:032x}.dblock.zip"), b"1");
    }
    for other in [
        "duplicati-",
        "duplicati-1",
        "duplicati-3",
        "other-2",
        "xduplicati-2",
        "a b+&%2",
    ] {
        b.wire.store(other, b"1");
    }
    let before = b.wire.line().map(|_| b.count(Verb::List));
    assert_eq!(b.begin_with("duplicati-2").expect("listed"), lists);
    if b.subject.remote.limits_lists() {
        let pages = 1 + usize::from(b.wire.ends_empty());
        assert_eq!(before.map(|n| b.count(Verb::List) - n), Some(pages));
    }
    assert_eq!(b.begin_with(&lists[3]).expect("listed"), lists[3..4]);
    assert_eq!(b.begin_with("a b+&%").expect("listed"), ["a b+&%2"]);
    for none in ["duplicati-9", "Duplicati-2"] {
        let found = b.begin_with(none).expect("listed");
        assert!(found.is_empty(), "{none}: {found:?}");
    }
    assert_eq!(b.begin_with("").expect("listed").len(), 20 + 1100 + 6);
}

/// Networks that want a log-in first answer everything with a page.
pub(super) fn portals(start: Start) {
    for verb in [Verb::List, Verb::Login] {
        if start().method_of(verb).is_none() {
            continue;
        }
        let mut b = Bench::open(start, "number-of-retries=1");
        b.scripts(
            4,
            verb,
            &page(200, "text/html", "<html><title>Log in</title>"),
        );
        refused(b.list(), b.wire.portal(verb));
        b.line().calm();
        assert!(b.list().expect("well again").is_empty());
    }
}

pub(super) fn listings_that_trickle_without_end(start: Start) {
    let (_, _, whole) = start().listing(&["a"]);
    let head = whole.find('a').expect("a name");
    at_once([" ", "x"], |drop| {
        let query = "list-timeout=1s&short-timeout=1s&number-of-retries=3";
        let mut b = Bench::open(start, query);
        b.wire.store("a", b"1");
        b.script(Verb::List, Trouble::Drip(head, drop));
        let text = fails(b.list(), Kind::Unsupported, "listing incomplete");
        assert!(
            text.contains("within 1s") && text.contains("--list-timeout"),
            "{text}"
        );
        assert_eq!(b.count(Verb::List), 1, "once");
    });
}

pub(super) fn heads_that_are_too_long(start: Start) {
    for (lines, len, part) in [
        (100, 10, None),
        (100, 100, None),
        (129, 10, Some("more than 128 lines")),
        (2000, 1, Some("more than 128 lines")),
        (3, 6000, Some("longer than 16 KiB")),
        (1, 200_000, Some("longer than 16 KiB")),
    ] {
        let mut b = Bench::open(start, "number-of-retries=1");
        b.stored(1);
        for _ in 0..2 {
            let more = vec![("x-more", "y".repeat(len)); lines];
            b.script(Verb::List, Trouble::More(more));
        }
        let got = b.list();
        match part {
            None => assert_eq!(got.expect("listed"), [NAME]),
            Some(part) => {
                fails(got, Kind::Unsupported, part);
            }
        }
    }
}
