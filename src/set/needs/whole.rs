//! Whether contents are whole, by what is known to be stored. Nothing is read for it: the members of each blocklist were
//! looked up once, and every content that names the list takes the answer from there.

use crate::base::digest::Hash;
use crate::base::error::Result;
use crate::format::filelist::{Content, Entry, EntryKind};
use crate::format::manifest::Params;

/// How a version tells of which blocks a content consists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Told<'a> {
    /// Of none.
    Empty,
    /// Of this one.
    Block(Hash),
    /// Of those that these blocklists name.
    Lists(&'a [Hash]),
    /// It does not tell (R20), or it contradicts itself.
    Untold,
}

/// Blocks of a content of `size` bytes.
pub(crate) fn blocks(params: Params, size: u64) -> u64 {
    size.div_ceil(u64::from(params.block_size).max(1))
}

/// Blocks that a full blocklist names.
pub(crate) fn per_list(params: Params) -> u64 {
    u64::from(params.hashes_per_list()).max(1)
}

/// `meta`: the content is an entry's metadata. Duplicati's first format wrote their hash by the algorithm of blocks.
pub(crate) fn told(params: Params, content: &Content, meta: bool) -> Told<'_> {
    if content.size == 0 {
        return Told::Empty;
    }
    if content.lists.is_empty() {
        let same = params.block_hash == params.file_hash || (meta && params.version < 2);
        return content.single(same).map_or(Told::Untold, Told::Block);
    }
    let lists = blocks(params, content.size).div_ceil(per_list(params));
    match lists == content.lists.len() as u64 {
        true => Told::Lists(&content.lists),
        false => Told::Untold,
    }
}

/// What is known of one content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Whole,
    Lost,
    /// It needs a blocklist that is stored, but whose members are not known.
    Unsure,
}

/// What is known of one blocklist.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ListState {
    /// All blocks that it names are stored.
    Whole,
    /// It names a block that is stored nowhere.
    Broken,
    /// Its bytes were not seen yet.
    Unknown,
}

/// What a run knows of the blocks and blocklists that are stored.
pub(crate) trait Stored {
    /// How blocks are cut and hashed.
    fn params(&self) -> Params;

    /// True when a volume holds the block.
    fn block(&mut self, id: &Hash) -> Result<bool>;

    fn list(&mut self, id: &Hash) -> Result<ListState>;

    /// False when a stored block is known to have another size. Who does not ask for sizes believes them.
    fn block_fits(&mut self, _id: &Hash, _size: u64) -> Result<bool> {
        Ok(true)
    }

    /// False when a blocklist is known to name another number of blocks, or if its last one ends a content, to end with one of
    /// another size.
    fn list_fits(&mut self, _id: &Hash, _blocks: u64, _last: Option<u64>) -> Result<bool> {
        Ok(true)
    }

    /// Hears of each blocklist that is stored and whose state is `Unknown`, once a reference.
    fn is_asked_for(&mut self, _id: &Hash) -> Result<()> {
        Ok(())
    }

    /// The state of an entry's content and of its metadata.
    fn entry(&mut self, entry: &Entry) -> Result<(State, State)> {
        let data = match (&entry.content, entry.kind) {
            (Some(content), _) => self.content(content, false)?,
            (None, EntryKind::File) => State::Lost,
            (None, _) => State::Whole,
        };
        let meta = match &entry.meta {
            Some(meta) => self.content(meta, true)?,
            None => State::Whole,
        };
        Ok((data, meta))
    }

    /// The state of one content; `meta` when it is an entry's metadata.
    fn content(&mut self, content: &Content, meta: bool) -> Result<State> {
        let lists = match told(self.params(), content, meta) {
            Told::Empty => return Ok(State::Whole),
            Told::Untold => return Ok(State::Lost),
            Told::Block(id) => {
                let whole = self.block(&id)? && self.block_fits(&id, content.size)?;
                return Ok(if whole { State::Whole } else { State::Lost });
            }
            Told::Lists(lists) => lists,
        };
        let mut state = State::Whole;
        let (block_size, per_list) = (u64::from(self.params().block_size), per_list(self.params()));
        let mut left = blocks(self.params(), content.size);
        for id in lists {
            let named = left.min(per_list);
            left -= named;
            let last = (left == 0).then(|| (content.size - 1) % block_size.max(1) + 1);
            match self.list(id)? {
                ListState::Whole if !self.list_fits(id, named, last)? => return Ok(State::Lost),
                ListState::Whole => {}
                ListState::Broken => return Ok(State::Lost),
                ListState::Unknown if !self.block(id)? => return Ok(State::Lost),
                ListState::Unknown => {
                    state = State::Unsure;
                    self.is_asked_for(id)?;
                }
            }
        }
        Ok(state)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failing step fails the test")]

    use super::*;
    use crate::base::digest::Algo;

    struct Some3 {
        params: Params,
        asked: Vec<Hash>,
    }

    /// Stored are blocks `a` and `list`; list `good` is known to be whole, `bad` to be broken.
    impl Stored for Some3 {
        fn params(&self) -> Params {
            self.params
        }
        fn block(&mut self, id: &Hash) -> Result<bool> {
            Ok([hash("a"), hash("list")].contains(id))
        }
        fn list(&mut self, id: &Hash) -> Result<ListState> {
            Ok(match id {
                id if *id == hash("good") => ListState::Whole,
                id if *id == hash("bad") => ListState::Broken,
                _ => ListState::Unknown,
            })
        }
        fn is_asked_for(&mut self, id: &Hash) -> Result<()> {
            self.asked.push(*id);
            Ok(())
        }
    }

    fn hash(name: &str) -> Hash {
        Algo::Sha256.hash(name.as_bytes())
    }

    #[test]
    fn a_content_is_as_whole_as_what_it_stands_on() {
        const FULL: u64 = 32 * 1024;
        let params = Params {
            block_size: 1024,
            block_hash: Algo::Sha256,
            file_hash: Algo::Sha256,
            version: 2,
        };
        let cases: [(u64, &str, &[&str], State, usize); 12] = [
            (0, "gone", &[], State::Whole, 0),
            (9, "a", &[], State::Whole, 0),
            (9, "gone", &[], State::Lost, 0),
            (FULL, "a", &["good"], State::Whole, 0),
            (FULL, "a", &["bad"], State::Lost, 0),
            (FULL, "a", &["gone"], State::Lost, 0),
            (FULL, "a", &["list"], State::Unsure, 1),
            (FULL, "a", &["good", "good"], State::Lost, 0),
            (FULL + 1, "a", &["good"], State::Lost, 0),
            (2 * FULL, "a", &["good", "list"], State::Unsure, 1),
            (2 * FULL, "a", &["list", "list"], State::Unsure, 2),
            (2 * FULL, "a", &["list", "bad"], State::Lost, 1),
        ];
        for (size, whole, lists, want, asked) in cases {
            let mut stored = Some3 {
                params,
                asked: Vec::new(),
            };
            let content = Content {
                hash: Some(hash(whole)),
                size,
                block: None,
                lists: lists.iter().map(|l| hash(l)).collect(),
            };
            for meta in [false, true] {
                let state = stored.content(&content, meta).unwrap();
                assert_eq!(state, want, "{size} {whole} {lists:?}");
            }
            assert_eq!(stored.asked.len(), 2 * asked, "{size} {whole} {lists:?}");
        }
    }

    /// The only block's id is the whole's hash where both are of one algorithm, and for metadata of the first format.
    #[test]
    fn the_only_block_has_a_name_or_not() {
        let content = Content {
            hash: Some(hash("a")),
            size: 9,
            block: None,
            lists: Vec::new(),
        };
        for (block_hash, version, meta, want) in [
            (Algo::Sha256, 2, false, State::Whole),
            (Algo::Sha256, 2, true, State::Whole),
            (Algo::Md5, 2, false, State::Lost),
            (Algo::Md5, 2, true, State::Lost),
            (Algo::Md5, 1, false, State::Lost),
            (Algo::Md5, 1, true, State::Whole),
        ] {
            let params = Params {
                block_size: 1024,
                block_hash,
                file_hash: Algo::Sha256,
                version,
            };
            let mut stored = Some3 {
                params,
                asked: Vec::new(),
            };
            let state = stored.content(&content, meta).unwrap();
            assert_eq!(state, want, "{block_hash:?} {version} {meta}");
        }
    }
}
