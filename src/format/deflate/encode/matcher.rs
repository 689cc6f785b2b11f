//! Finds earlier places of the block that begin like the place at hand.
//!
//! Places with equal hashes of four bytes form a chain, newest first. A second table remembers the last place of each three bytes,
//! for matches of three, which only pay when they are near.

use super::slots::LONGEST;

/// How far back a match may begin, and so many links are kept.
const WINDOW: u32 = 1 << 15;
const HEAD_BITS: u32 = 15;
const FEWEST_HEAD_BITS: u32 = 8;
const NEAR_BITS: u32 = 13;
/// A match of three bytes from farther away costs as much as its literals.
pub(super) const NEAR: u32 = 4096;
/// From this length on an earlier place is first compared at the end that would make it better.
const SHORT: u32 = 8;

/// An earlier place that begins with the same bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Match {
    /// Equal bytes, at most 258.
    pub(super) length: u32,
    /// Bytes back, 1 to 32767; meaningless when the length is below the shortest match.
    pub(super) distance: u32,
}

/// How hard one search tries.
#[derive(Clone, Copy)]
pub(super) struct Search {
    /// Places looked at.
    pub(super) depth: u32,
    /// A match so long ends the search.
    pub(super) nice: u32,
    /// Only a longer match is of use.
    pub(super) above: u32,
}

/// The tables (272 KiB), for blocks one after the other.
///
/// A place is kept as its offset in the block plus [`WINDOW`]: 0 is "none", and a place is within the window of offset `at` exactly
/// when its value is above `at`.
pub(super) struct Matcher(Box<Tables>);

/// In one piece: three pointers would take registers that the search needs.
struct Tables {
    heads: Heads,
    links: Links,
    near: Near,
}

/// The newest place of each hash of four bytes.
type Heads = [u32; 1 << HEAD_BITS];
/// The place before each place of the window, with the same hash.
type Links = [u32; WINDOW as usize];
/// Low half of the newest place of each hash of three bytes, as in [`Tables`] counted from [`WINDOW`] on.
type Near = [u16; 1 << NEAR_BITS];

impl Matcher {
    pub(super) fn new() -> Matcher {
        Matcher(Box::new(Tables {
            heads: [0; 1 << HEAD_BITS],
            links: [0; WINDOW as usize],
            near: [0; 1 << NEAR_BITS],
        }))
    }

    /// Forgets the last block. A small block uses a small part of the heads, so that little has to be cleared.
    pub(super) fn begin<'a>(&'a mut self, data: &'a [u8]) -> Finder<'a> {
        let bits = (data.len() | 1).ilog2() + 1;
        let bits = bits.clamp(FEWEST_HEAD_BITS, HEAD_BITS);
        self.0.heads[..1 << bits].fill(0);
        // What is left of the last block would do no harm, but the output would depend on it.
        self.0.near.fill(0);
        let mut finder = Finder {
            data,
            tables: &mut self.0,
            head_mask: (1 << bits) - 1,
            next_hash: 0,
            next_head: 0,
            three: true,
        };
        finder.skip_to(0);
        finder
    }
}

/// Goes through one block, place by place.
pub(super) struct Finder<'a> {
    data: &'a [u8],
    tables: &'a mut Tables,
    head_mask: u32,
    /// Hash of the next place to enter, and the newest place that had it: asked for early, as memory is slow.
    next_hash: u32,
    next_head: u32,
    /// Whether matches of three bytes are looked for.
    pub(super) three: bool,
}

impl Finder<'_> {
    /// Eight bytes from `at` on.
    #[inline(always)]
    pub(super) fn bytes(&self, at: u32) -> u64 {
        load(self.data, at)
    }

    #[inline(always)]
    fn make_ready(&mut self, bytes: u64) {
        let four = (bytes & 0xffff_ffff) as u32;
        let hash = four.wrapping_mul(0x9e37_79b1) >> (32 - HEAD_BITS);
        self.next_hash = hash & self.head_mask;
        self.next_head = self.tables.heads[self.next_hash as usize % (1 << HEAD_BITS)];
    }

    /// Enters the place `at`, whose bytes are `bytes`, and makes the one after it ready. Gives the newest place with its hash.
    #[inline(always)]
    fn enter_chain(&mut self, at: u32, bytes: u64) -> u32 {
        let first = self.next_head;
        self.tables.links[(at % WINDOW) as usize] = first;
        self.tables.heads[self.next_hash as usize % (1 << HEAD_BITS)] = at + WINDOW;
        self.make_ready(bytes >> 8);
        first
    }

    #[inline(always)]
    fn enter_near(&mut self, at: u32, bytes: u64) -> u32 {
        let three = (bytes & 0x00ff_ffff) as u32;
        let slot = (three.wrapping_mul(0x9e37_79b1) >> (32 - NEAR_BITS)) as usize;
        let here = low_half(at);
        let before = std::mem::replace(&mut self.tables.near[slot], here);
        u32::from(here.wrapping_sub(before))
    }

    /// Enters the place `at`, without a search. The place before it was the last to be entered.
    #[inline(never)]
    pub(super) fn enter_one(&mut self, at: u32) {
        let bytes = load(self.data, at);
        self.enter_chain(at, bytes);
        if self.three {
            self.enter_near(at, bytes);
        }
    }

    /// Enters the places from `at` to `end`, without a search. The place before `at` was the last to be entered.
    #[inline(always)]
    pub(super) fn enter(&mut self, at: u32, end: u32) {
        let mut at = at;
        if self.three {
            while at < end {
                let bytes = load(self.data, at);
                self.enter_chain(at, bytes);
                self.enter_near(at, bytes);
                at += 1;
            }
        } else {
            // Eight bytes hold the hashes of four places.
            while at + 4 <= end {
                let bytes = load(self.data, at);
                for n in 0..4 {
                    self.enter_chain(at + n, bytes >> (8 * n));
                }
                at += 4;
            }
            while at < end {
                let bytes = load(self.data, at);
                self.enter_chain(at, bytes);
                at += 1;
            }
        }
    }

    /// Leaves places out: `at` is the next to be entered.
    #[inline(never)]
    pub(super) fn skip_to(&mut self, at: u32) {
        self.make_ready(load(self.data, at));
    }

    /// Enters the place `at`, whose bytes are `bytes` and which is not the first, and looks for the longest match there. Its length
    /// is `search.above` when none is longer.
    #[inline(always)]
    pub(super) fn find(&mut self, at: u32, bytes: u64, search: Search) -> Match {
        let data = self.data;
        let mut place = self.enter_chain(at, bytes);
        let mut best = Match {
            length: search.above,
            distance: 0,
        };
        if self.three {
            let back = self.enter_near(at, bytes);
            // A place that is none or too far is as good as the one before this.
            let back = if back.wrapping_sub(1) < NEAR { back } else { 1 };
            let same = (load(data, at - back) ^ bytes).trailing_zeros() >> 3;
            let better = same > best.length;
            best.length = if better { same } else { best.length };
            best.distance = if better { back } else { 0 };
        }
        let mut left = search.depth;
        if best.length < SHORT {
            // Eight bytes at once tell all that matters.
            while place > at && left > 0 {
                let same = (load(data, place - WINDOW) ^ bytes).trailing_zeros() >> 3;
                let here = place;
                place = self.tables.links[(place % WINDOW) as usize];
                left -= 1;
                let better = same > best.length;
                best.length = if better { same } else { best.length };
                best.distance = if better {
                    at + WINDOW - here
                } else {
                    best.distance
                };
                if same >= SHORT {
                    break;
                }
            }
            if best.length < SHORT {
                best.length = best.length.min(data.len() as u32 - at);
                return best;
            }
        }
        let most = LONGEST.min(data.len() as u32 - at);
        if best.distance > 0 {
            best.length = same_bytes(data, at - best.distance, at, SHORT, most);
        }
        let nice = search.nice.min(most);
        if best.length >= nice {
            return best;
        }
        // What a better match must end with, and more than four bytes after its begin.
        let mut end = best.length - 3;
        let mut tail = load4(data, at + end);
        while place > at && left > 0 {
            let there = place - WINDOW;
            place = self.tables.links[(place % WINDOW) as usize];
            left -= 1;
            if load4(data, there + end) == tail {
                let same = same_bytes(data, there, at, 0, most);
                if same > best.length {
                    best = Match {
                        length: same,
                        distance: at - there,
                    };
                    if same >= nice {
                        break;
                    }
                    end = same - 3;
                    tail = load4(data, at + end);
                }
            }
        }
        best
    }
}

/// Of the place `at`: what is 0 in the table is too far away from every place of the first window.
#[inline(always)]
fn low_half(at: u32) -> u16 {
    ((at + WINDOW) & 0xffff) as u16
}

/// Eight bytes at `at`, the first lowest; zeros where the block has ended.
#[inline(always)]
fn load(data: &[u8], at: u32) -> u64 {
    match data.get(at as usize..at as usize + 8) {
        Some(bytes) => bytes.first_chunk().map_or(0, |b| u64::from_le_bytes(*b)),
        None => load_end(data, at),
    }
}

#[cold]
#[inline(never)]
fn load_end(data: &[u8], at: u32) -> u64 {
    let mut bytes = [0; 8];
    for (to, from) in bytes.iter_mut().zip(data.iter().skip(at as usize)) {
        *to = *from;
    }
    u64::from_le_bytes(bytes)
}

#[inline(always)]
fn load4(data: &[u8], at: u32) -> u32 {
    match data.get(at as usize..at as usize + 4) {
        Some(bytes) => bytes.first_chunk().map_or(0, |b| u32::from_le_bytes(*b)),
        None => 0,
    }
}

/// How many bytes from two places on are equal, at most `most`; the first `known` are.
#[inline(always)]
fn same_bytes(data: &[u8], there: u32, at: u32, known: u32, most: u32) -> u32 {
    let mut same = known;
    while same < most {
        let differ = load(data, there + same) ^ load(data, at + same);
        if differ != 0 {
            return (same + (differ.trailing_zeros() >> 3)).min(most);
        }
        same += 8;
    }
    most
}
