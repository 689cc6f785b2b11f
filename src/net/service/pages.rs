//! Listings that come in pages: a server that sends the same page again, or pages without end, is found out. Once for all
//! services.

use std::time::{Duration, Instant};

use crate::base::fault::{Class, Fault};
use crate::base::size::show_span;

/// Pages that may hold few entries each.
const SPARE_PAGES: u64 = if cfg!(test) { 100 } else { 1000 };
/// Fewest entries that further pages hold on average.
const PAGE_LEAST: u64 = 10;

/// The pages of one listing so far.
pub(crate) struct Pages {
    /// Fewest entries that further pages hold on average.
    least: u64,
    pages: u64,
    entries: u64,
    /// What marks the first page, the last one, and one whose number doubles: a page that comes again is met there.
    marks: [String; 3],
    next_mark: u64,
    /// Pages without an entry may go on for so long.
    patience: Duration,
    /// When the listing began, or the last page with an entry came.
    named: Instant,
}

impl Pages {
    /// `size`: how many entries a page is asked to hold at most. `patience`: how long pages without any may follow each other.
    pub(crate) fn new(size: u64, patience: Duration) -> Pages {
        Pages {
            least: PAGE_LEAST.min(size.max(1)),
            pages: 0,
            entries: 0,
            marks: Default::default(),
            next_mark: 0,
            patience,
            named: Instant::now(),
        }
    }

    /// Takes up a page that is not the last. `mark` differs for every page: its first name, or the token of the next one;
    /// empty when there is none.
    pub(crate) fn page(&mut self, mark: &str, entries: u64) -> Result<(), Fault> {
        self.page_at(Instant::now(), mark, entries)
    }

    fn page_at(&mut self, now: Instant, mark: &str, entries: u64) -> Result<(), Fault> {
        self.pages += 1;
        self.entries += entries;
        if entries > 0 {
            self.named = now;
        } else if now.saturating_duration_since(self.named) > self.patience {
            let span = show_span(self.patience.as_secs());
            let what = format!("listing does not advance: for {span} its pages named nothing");
            return Err(Fault::new(Class::Endless, what)
                .hint("if the server is only slow: a longer --list-timeout"));
        }
        if self.pages > SPARE_PAGES + self.entries / self.least {
            let (pages, entries) = (self.pages, self.entries);
            let what = format!("listing does not advance: {pages} pages with {entries} names");
            return Err(Fault::new(Class::Endless, what));
        }
        if !mark.is_empty() && self.marks.iter().any(|m| m == mark) {
            return Err(stuck());
        }
        if mark.is_empty() {
            return Ok(());
        }
        if self.marks[0].is_empty() {
            mark.clone_into(&mut self.marks[0]);
        }
        mark.clone_into(&mut self.marks[1]);
        if self.pages >= self.next_mark {
            self.next_mark = self.pages * 2;
            mark.clone_into(&mut self.marks[2]);
        }
        Ok(())
    }
}

/// The fault of a listing whose pages lead nowhere.
pub(crate) fn stuck() -> Fault {
    Fault::new(Class::Protocol, "listing does not advance")
}

/// The fault of a listing that was cut or lacks a part.
pub(crate) fn incomplete(why: &str) -> Fault {
    Fault::new(Class::Protocol, format!("listing incomplete: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(600);

    #[test]
    fn pages_without_entries_go_on_for_a_limited_time() {
        let mut pages = Pages::new(1000, Duration::from_secs(3));
        let (begin, mut tokens) = (pages.named, 0..);
        let mut page = |after: u64, entries| {
            let now = begin + Duration::from_secs(after);
            let token = tokens.next().unwrap_or(0).to_string();
            pages.page_at(now, &token, entries)
        };
        // A page with a name, however late, begins the time anew; some without any in a row are no matter.
        for (after, entries) in [(1, 0), (2, 0), (9, 1), (10, 0), (12, 0), (30, 5), (33, 0)] {
            assert!(page(after, entries).is_ok(), "{after}");
        }
        let fault = page(34, 0).expect_err("given up");
        assert_eq!(fault.class, Class::Endless);
        assert!(fault.text.contains("for 3s its pages"), "{}", fault.text);
        assert!(fault.hint.contains("--list-timeout"));
    }

    #[test]
    fn pages_that_were_asked_to_be_small_may_be_many() {
        let mut pages = Pages::new(1, PATIENCE);
        assert!((0..5000).all(|i| pages.page(&format!("{i}"), 1).is_ok()));
        let mut pages = Pages::new(3, PATIENCE);
        assert!((0..5000).any(|i| pages.page(&format!("{i}"), 1).is_err()));
    }

    /// Pages until the listing is given up; `keys` = first key and number of keys of a page.
    fn given_up(mut keys: impl FnMut(u64) -> (String, u64)) -> Option<u64> {
        let mut pages = Pages::new(1000, PATIENCE);
        (0..100_000).find(|&at| {
            let (first, entries) = keys(at);
            pages.page(&first, entries).is_err()
        })
    }

    #[test]
    fn listings_without_end_are_given_up() {
        let new = |at: u64| format!("k{at:08}");
        assert_eq!(given_up(|at| (new(at), 1000)), None);
        assert_eq!(given_up(|at| (new(at), 10)), None);
        // Tokens without keys, or hardly any.
        assert_eq!(given_up(|_| (String::new(), 0)), Some(SPARE_PAGES));
        let few = given_up(|at| (new(at), 1)).expect("given up");
        assert!((SPARE_PAGES..SPARE_PAGES * 6 / 5).contains(&few), "{few}");
        // The same page, and circles of pages.
        assert_eq!(given_up(|_| (new(1), 1000)), Some(1));
        for around in [2, 3, 7, 100, 1000] {
            let pages = given_up(|at| (new(at % around), 1000)).expect("given up");
            assert!(pages <= around, "{around}: {pages}");
            // Also when it is entered from without.
            let later = |at| if at < 50 { 10_000 + at } else { at % around };
            let pages = given_up(|at| (new(later(at)), 1000)).expect("given up");
            assert!(pages <= 4 * around + 200, "{around}: {pages}");
        }
    }
}
