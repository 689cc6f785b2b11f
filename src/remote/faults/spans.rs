//! Rows about spans of a file: the right bytes and no more, whatever a server makes of a range.

use super::*;
use crate::remote::download::Passed;

const LEN: usize = 200_000;

/// A destination with one file.
struct Place {
    bench: Bench,
    name: &'static str,
    data: Vec<u8>,
}

impl Place {
    fn new(start: Start) -> Place {
        let mut bench = Bench::open(start, "");
        let given = bench.wire.given();
        let data = match given {
            Some(name) => bench.get(name, None).expect("read"),
            None => bench.stored(LEN),
        };
        let name = given.unwrap_or(NAME);
        Place { bench, name, data }
    }

    /// Reads the bytes `from..from + len`, or as many of them as there are.
    #[track_caller]
    fn span(&mut self, from: u64, len: u64) -> Passed {
        let (got, passed) = self.bench.span(self.name, from, len).expect("read");
        let place = |n: u64| usize::try_from(n).expect("small").min(self.data.len());
        let wanted = &self.data[place(from)..place(from + len)];
        assert!(got == wanted, "{from}+{len}: {} bytes", got.len());
        passed
    }

    /// Bytes that came since the last time, or since the start.
    fn came(&self, before: &mut u64) -> u64 {
        let now = self.bench.remote.stats().bytes_down;
        now - std::mem::replace(before, now)
    }
}

pub(super) fn a_span_is_exactly_the_bytes_asked_for(start: Start) {
    let mut place = Place::new(start);
    let total = place.data.len() as u64;
    let mut before = place.bench.remote.stats().bytes_down;
    for (from, len) in [
        (0, 1),
        (0, total),
        (1, 1000),
        (16_384, 16_384),
        (70_000, 70_001),
        (total - 1, 1),
        (total - 5, 10),
        (0, total + 9),
        (total, 5),
        (total + 7, 3),
        (1000, 0),
    ] {
        let passed = place.span(from, len);
        let there = len.min(total.saturating_sub(from));
        assert_eq!((passed.len, place.came(&mut before)), (there, there));
        assert!(!passed.from_start);
        if len > 0 {
            assert_eq!(passed.total, Some(total), "{from}+{len}");
        }
    }
    assert!(place.bench.waits().is_empty());
}

pub(super) fn a_span_of_a_file_that_is_not_there_is_missing(start: Start) {
    let mut place = Place::new(start);
    let done = place.bench.span("absent.zip", 5, 5);
    fails(done, Kind::Missing, "read a part of absent.zip");
}

/// A server without ranges sends what stands before.
pub(super) fn what_stands_before_a_span_is_sent_and_no_more(start: Start) {
    let mut place = Place::new(start);
    if !place.bench.wire.ranges() {
        return;
    }
    let mut before = 0;
    for (from, len) in [(1, 10), (50_000, 20_000), (LEN as u64 - 3, 3), (0, 10)] {
        place.bench.script(Verb::Get, Trouble::Whole);
        assert_eq!(place.span(from, len).from_start, from > 0);
        assert_eq!(place.came(&mut before), from + len);
    }
    // The connection that was left in the middle does no harm.
    place.span(7, 7);
}

pub(super) fn another_part_is_never_taken_for_the_span(start: Start) {
    for (from, len) in [(1, 10), (50_000, 20_000)] {
        let mut place = Place::new(start);
        let odd = match place.bench.wire.ranges() {
            true => Trouble::WrongRange,
            false => Trouble::Whole,
        };
        place.bench.script(Verb::Get, odd);
        assert_eq!(place.span(from, len).len, len);
    }
}

pub(super) fn a_span_that_breaks_off_is_gone_on_with(start: Start) {
    let mut place = Place::new(start);
    let mut before = 0;
    for broken in [Trouble::Cut(700), Trouble::CutOpen(800), Trouble::Close] {
        place.bench.script(Verb::Get, broken);
        place.span(33_000, 5000);
        assert_eq!(place.came(&mut before), 5000, "nothing twice");
    }
}

pub(super) fn parts_of_two_files_are_never_put_together(start: Start) {
    let mut place = Place::new(start);
    if place.bench.wire.validator().is_none() {
        return;
    }
    place.span(10, 10);
    let old = place.data.clone();
    place.data.iter_mut().for_each(|b| *b ^= 0x55);
    place.bench.wire.store(NAME, &place.data);
    place.span(33_000, 5000);
    // And where the server neither looks at conditions nor at ranges.
    place.bench.wire.store(NAME, &old);
    place.data = old;
    place.bench.script(Verb::Get, Trouble::Whole);
    place.span(40_000, 5000);
}
