//! Which file has which name, at services that find files by ids of their own, and to which names are not unique.

use std::collections::HashMap;

use crate::base::digest::Algo;

/// Names that are kept, 100 bytes each at most; of further ones the service is asked.
const NAMES_MAX: usize = 20_000;

/// Files of a folder by the digests of their names.
#[derive(Default)]
pub(in crate::dest) struct Ids(HashMap<[u8; 16], Box<str>>);

fn key(name: &str) -> [u8; 16] {
    let hash = Algo::Sha256.hash(name.as_bytes());
    let mut key = [0; 16];
    key.copy_from_slice(&hash.as_bytes()[..16]);
    key
}

impl Ids {
    /// Takes up a file; false when there is one of its name already: then the service is asked which is meant.
    pub(in crate::dest) fn add(&mut self, name: &str, id: &str) -> bool {
        let (key, full) = (key(name), self.0.len() >= NAMES_MAX);
        match self.0.get_mut(&key) {
            Some(one) => *one = "".into(),
            None if full => return true,
            None => return self.0.insert(key, id.into()).is_none(),
        }
        false
    }

    /// The only file of this name, as far as is known.
    pub(in crate::dest) fn get(&self, name: &str) -> Option<String> {
        let id = self.0.get(&key(name));
        id.filter(|id| !id.is_empty()).map(|id| id.to_string())
    }

    /// Whether there is a file of this name, or several.
    #[cfg(feature = "dest-filen")]
    pub(super) fn has(&self, name: &str) -> bool {
        self.0.contains_key(&key(name))
    }

    /// True when there is no file of this name, if all files of the folder were taken up.
    #[cfg(any(feature = "dest-drimecloud", feature = "dest-duplicati"))]
    pub(in crate::dest) fn lacks(&self, name: &str) -> bool {
        self.0.len() < NAMES_MAX && !self.0.contains_key(&key(name))
    }

    pub(in crate::dest) fn forget(&mut self, name: &str) {
        self.0.remove(&key(name));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_are_there_twice_and_more_than_are_kept() {
        let mut ids = Ids::default();
        assert!(ids.add("a", "1") && ids.add("A", "2"));
        assert!(!ids.add("a", "3") && !ids.add("a", "4"));
        assert_eq!((ids.get("a"), ids.get("A")), (None, Some("2".to_owned())));
        ids.forget("a");
        assert!(ids.add("a", "5"));
        assert_eq!(ids.get("a").as_deref(), Some("5"));
        for i in 0..NAMES_MAX {
            assert!(ids.add(&format!("n{i}"), "x"));
        }
        assert_eq!(ids.0.len(), NAMES_MAX);
        assert_eq!(ids.get(&format!("n{}", NAMES_MAX - 1)), None);
    }
}
