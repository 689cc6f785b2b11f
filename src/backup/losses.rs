//! What of the previous version is gone from each source: a source that holds nothing now, or a version of which nearly
//! nothing is left, is more often a disk that is not mounted or a wrong word than what somebody wants.

use crate::backup::source::Source;
use crate::base::text::{self, count};
use crate::base::ui::Ui;

/// Entries of a version that is large enough for "nearly everything" to mean something.
const WORTH_A_WORD: u64 = 10;

/// Counts by source, in the order of the sources.
pub(super) struct Losses {
    sources: Vec<Counts>,
    /// Entries of the previous version.
    before: u64,
    /// Those that the walk did not find.
    gone: u64,
}

struct Counts {
    path: Vec<u8>,
    /// Below it now.
    there: u64,
    /// Gone from below it.
    gone: u64,
}

impl Losses {
    /// `sources` are sorted, none inside another; `before` is the number of entries of the previous version.
    pub(super) fn new(sources: &[Source], before: u64) -> Losses {
        let counts = |s: &Source| Counts {
            path: s.path.clone(),
            there: 0,
            gone: 0,
        };
        Losses {
            sources: sources.iter().map(counts).collect(),
            before,
            gone: 0,
        }
    }

    /// An entry of the new version.
    pub(super) fn there(&mut self, path: &[u8]) {
        if let Some(source) = self.above(path) {
            source.there += 1;
        }
    }

    /// An entry of the previous version that is not there any more.
    pub(super) fn gone(&mut self, path: &[u8]) {
        self.gone += 1;
        if let Some(source) = self.above(path) {
            source.gone += 1;
        }
    }

    /// The source folder that the entry lies below.
    fn above(&mut self, path: &[u8]) -> Option<&mut Counts> {
        let after = self.sources.partition_point(|s| *s.path < *path);
        let source = self.sources.get_mut(after.checked_sub(1)?)?;
        (source.path.ends_with(b"/") && path.starts_with(&source.path)).then_some(source)
    }

    /// Source folders that hold nothing.
    pub(super) fn hollow(&self) -> Vec<Vec<u8>> {
        let of_folder = |s: &&Counts| s.there == 0 && s.path.ends_with(b"/");
        let hollow = self.sources.iter().filter(of_folder);
        hollow.map(|s| s.path.clone()).collect()
    }

    /// Warns once the walk is done; true if there was something to warn of.
    pub(super) fn tell(&self, ui: &mut Ui) -> bool {
        let mut told = 0;
        for source in self.sources.iter().filter(|s| s.there == 0 && s.gone > 0) {
            told += source.gone;
            ui.warn(
                "SourceEmptied",
                &format!(
                    "nothing is left in the source {}, of which the newest version has {} (is a disk not mounted? the versions already there keep them)",
                    text::safe(&source.path),
                    count(source.gone, "entry")
                ),
            );
        }
        let nearly = self.before >= WORTH_A_WORD && self.gone >= self.before - self.before / 10;
        let all = self.before > 0 && self.gone == self.before;
        let elsewhere = (nearly || all) && told < self.gone - self.gone / 10;
        if elsewhere {
            ui.warn(
                "NearlyAllGone",
                &format!(
                    "gone: {} of {} of the newest version (are these the right sources, and all disks mounted? the versions already there keep them)",
                    self.gone,
                    count(self.before, "entry")
                ),
            );
        }
        told > 0 || elsewhere
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sources, entries before, gone paths, paths there: the warnings, each by a word of it.
    #[test]
    fn losses_that_are_hardly_meant_are_told() {
        let many = |stem: &str, n: usize| -> Vec<String> {
            (0..n).map(|i| format!("{stem}{i:03}")).collect()
        };
        let both = |a: Vec<String>, b: Vec<String>| [a, b].concat();
        for (what, sources, before, gone, there, told) in [
            (
                "nothing gone",
                vec!["/a/"],
                5,
                vec![],
                many("/a/", 4),
                vec![],
            ),
            (
                "a first version",
                vec!["/a/"],
                0,
                vec![],
                many("/a/", 4),
                vec![],
            ),
            (
                "emptied",
                vec!["/a/"],
                3,
                many("/a/", 2),
                vec![],
                vec!["source /a/, of which the newest version has 2 entries"],
            ),
            (
                "one of two emptied",
                vec!["/a/", "/b/"],
                9,
                many("/b/", 4),
                many("/a/", 3),
                vec!["source /b/, of which the newest version has 4 entries"],
            ),
            (
                "both emptied",
                vec!["/a/", "/b/"],
                9,
                both(many("/a/", 3), many("/b/", 4)),
                vec![],
                vec!["source /a/", "source /b/"],
            ),
            (
                "always empty",
                vec!["/a/", "/b/"],
                5,
                many("/b/", 1),
                many("/b/x", 3),
                vec![],
            ),
            (
                "nearly all",
                vec!["/a/"],
                20,
                many("/a/", 18),
                many("/a/x", 1),
                vec!["gone: 18 of 20 entries"],
            ),
            (
                "many",
                vec!["/a/"],
                20,
                many("/a/", 17),
                many("/a/x", 2),
                vec![],
            ),
            (
                "few of few",
                vec!["/a/"],
                3,
                many("/a/", 2),
                many("/a/x", 1),
                vec![],
            ),
            (
                "all of few, elsewhere",
                vec!["/b/"],
                3,
                many("/a/", 3),
                many("/b/", 9),
                vec!["3 of 3 entries"],
            ),
            (
                "another file",
                vec!["/f2"],
                1,
                vec!["/f1".to_owned()],
                vec!["/f2".to_owned()],
                vec!["1 of 1 entry"],
            ),
            (
                "names that begin alike",
                vec!["/a/", "/a-b/"],
                4,
                many("/a-b/", 2),
                many("/a/", 2),
                vec!["source /a-b/"],
            ),
            (
                "the root",
                vec!["/"],
                30,
                many("/x/", 29),
                vec![],
                vec!["source /, of which the newest version has 29 entries"],
            ),
        ] {
            let mut sources: Vec<Source> = sources
                .iter()
                .map(|s| Source {
                    path: s.as_bytes().to_vec(),
                })
                .collect();
            sources.sort();
            let mut losses = Losses::new(&sources, before);
            for source in &sources {
                losses.there(&source.path);
            }
            gone.iter().for_each(|p| losses.gone(p.as_bytes()));
            there.iter().for_each(|p| losses.there(p.as_bytes()));
            let mut ui = Ui::silent();
            let any = losses.tell(&mut ui);
            let messages = ui.messages();
            assert_eq!(any, !messages.is_empty(), "{what}");
            assert_eq!(messages.len(), told.len(), "{what}: {messages:?}");
            for (message, word) in messages.iter().zip(told) {
                assert!(message.contains(word), "{what}: {message}");
            }
        }
    }
}
