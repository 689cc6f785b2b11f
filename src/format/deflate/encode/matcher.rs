//! Finds earlier places of the block that begin like the place at hand.
//!
//! Places with equal hashes of four bytes form a chain, newest first. A second table remembers the last place of each three bytes,
//! for matches of three, which only pay when they are near.
//!
//! Places are entered ahead of the search, many at once, in a loop without a decision in it: there is nothing that the processor
//! could guess wrong, as there is where each place is entered when the search comes to it. A place's link leads to what was entered
//! before it, so a search does not see what is ahead of it.

use super::slots::{LONGEST, SHORTEST};

/// How far back a match may begin, and so many links are kept.
const WINDOW: u32 = 1 << 15;
/// As many as the memory of the whole state allows: chains have fewer places in them that begin with other bytes.
const HEADS: u32 = 5 << 13;
const FEWEST_BITS: u32 = 8;
const NEAR_BITS: u32 = 13;
/// Places entered at once. Their links take the room of as many at the far end of the window.
const AHEAD: u32 = 256;
/// A match of three bytes from farther away costs as much as its literals.
const NEAR: u32 = 4096;
/// Bytes that are hashed for the chains.
const HASHED: u32 = 4;

/// An earlier place that begins with the same bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Match {
    /// Equal bytes, at most 258.
    pub(super) length: u32,
    /// Bytes back, 1 to 32511; meaningless when the length is below the shortest match.
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

/// The tables (321 KiB), for blocks one after the other.
///
/// A place is kept as its offset in the block plus [`WINDOW`]: 0 is "none", and a place is within the window of offset `at` exactly
/// when its value is above `at`.
pub(super) struct Matcher(Box<Tables>);

/// In one piece: four pointers would take registers that the search needs.
struct Tables {
    heads: Heads,
    links: Links,
    near: Near,
    /// For each place that was entered ahead, the last one before it that has the hash of its three bytes.
    nearest: [u32; AHEAD as usize],
}

/// The newest place of each hash of four bytes.
type Heads = [u32; HEADS as usize];
/// The place before each place of the window, with the same hash.
type Links = [u32; WINDOW as usize];
/// The newest place of each hash of three bytes.
type Near = [u32; 1 << NEAR_BITS];

impl Matcher {
    pub(super) fn new() -> Matcher {
        Matcher(Box::new(Tables {
            heads: [0; HEADS as usize],
            links: [0; WINDOW as usize],
            near: [0; 1 << NEAR_BITS],
            nearest: [0; AHEAD as usize],
        }))
    }

    /// Forgets the last block. A small block uses a small part of the tables, so that little has to be cleared.
    pub(super) fn begin<'a>(&'a mut self, data: &'a [u8]) -> Finder<'a> {
        let bits = ((data.len() | 1).ilog2() + 1).max(FEWEST_BITS);
        let heads = HEADS.min(1 << bits.min(HEADS.ilog2() + 1));
        let near = 1 << bits.min(NEAR_BITS);
        let tables = &mut *self.0;
        tables.heads[..heads as usize].fill(0);
        tables.near[..near].fill(0);
        // What is left of the last block would do no harm, but the output would depend on it.
        tables.nearest.fill(0);
        Finder {
            data,
            tables,
            heads,
            near_mask: near as u32 - 1,
            entered: 0,
            inside: u32::MAX,
            three: true,
        }
    }
}

/// Goes through one block, place by place.
pub(super) struct Finder<'a> {
    data: &'a [u8],
    tables: &'a mut Tables,
    /// Slots in use.
    heads: u32,
    near_mask: u32,
    /// The places before this one were entered, or left out.
    entered: u32,
    /// Of places that the last match went over, and that were not entered ahead, no others are entered than these last ones.
    pub(super) inside: u32,
    /// Whether matches of three bytes are looked for.
    pub(super) three: bool,
}

impl Finder<'_> {
    /// Eight bytes from `at` on.
    #[inline(always)]
    pub(super) fn bytes(&self, at: u32) -> u64 {
        load(self.data, at)
    }

    /// Leaves places out: of those that were not entered yet, `at` is the first that will be.
    pub(super) fn skip_to(&mut self, at: u32) {
        self.entered = self.entered.max(at);
    }

    /// Enters those places before `at` that were not entered, then `at` and others, [`AHEAD`] at most.
    #[inline(never)]
    fn enter_more(&mut self, at: u32) {
        let start = self.entered.max(at.saturating_sub(self.inside));
        let size = self.data.len() as u32;
        let end = size.min(at + AHEAD);
        self.entered = end;
        let hashed = size.min(end + HASHED - 1);
        let bytes = self.data.get(start as usize..hashed as usize);
        let bytes = bytes.unwrap_or_default();
        let mut at = if self.three {
            self.enter::<true>(start, bytes)
        } else {
            self.enter::<false>(start, bytes)
        };
        // The last of the block have no four bytes.
        while at < end {
            self.tables.links[(at % WINDOW) as usize] = 0;
            self.tables.nearest[(at % AHEAD) as usize] = 0;
            at += 1;
        }
    }

    /// Enters the places from `at` on of which `bytes` has [`HASHED`] bytes. The place after them.
    #[inline(always)]
    fn enter<const THREE: bool>(&mut self, at: u32, bytes: &[u8]) -> u32 {
        let tables = &mut *self.tables;
        let (heads, near_mask) = (self.heads, self.near_mask);
        let mut at = at;
        for four in bytes.windows(HASHED as usize) {
            let four = four.first_chunk().map_or(0, |b| u32::from_le_bytes(*b));
            if THREE {
                let slot = product(four & 0x00ff_ffff) >> (u32::BITS - NEAR_BITS) & near_mask;
                let last = &mut tables.near[slot as usize % (1 << NEAR_BITS)];
                tables.nearest[(at % AHEAD) as usize] = *last;
                *last = at + WINDOW;
            }
            // Less than `heads`, which is at most what there are.
            let slot = (u64::from(product(four)) * u64::from(heads)) >> u32::BITS;
            let Some(head) = tables.heads.get_mut(slot as usize) else {
                break;
            };
            tables.links[(at % WINDOW) as usize] = *head;
            *head = at + WINDOW;
            at += 1;
        }
        at
    }

    /// The longest match at the place `at`, whose bytes are `bytes` and which is not the first. Its length is `search.above` when
    /// none is longer.
    #[inline(always)]
    pub(super) fn find(&mut self, at: u32, bytes: u64, search: Search) -> Match {
        if at >= self.entered {
            self.enter_more(at);
        }
        let data = self.data;
        let links = &self.tables.links;
        let mut place = links[(at % WINDOW) as usize];
        // Beyond it the links are those of places ahead.
        let limit = at + AHEAD;
        let mut left = search.depth;
        let mut best = Match {
            length: search.above,
            distance: 0,
        };
        if best.length < HASHED {
            let four = (bytes & 0xffff_ffff) as u32;
            loop {
                if place <= limit || left == 0 {
                    if self.three && best.length < SHORTEST {
                        self.find_three(at, bytes, &mut best);
                    }
                    return best;
                }
                let there = place - WINDOW;
                place = links[(place % WINDOW) as usize];
                left -= 1;
                if load4(data, there) == four {
                    best = Match {
                        length: same_bytes(data, there, at, HASHED, self.most(at)),
                        distance: at - there,
                    };
                    break;
                }
            }
        }
        let most = self.most(at);
        let nice = search.nice.min(most);
        if best.length >= nice {
            return best;
        }
        // What a better match must end with, and not less than four bytes.
        let mut end = best.length + 1 - HASHED;
        let mut tail = load4(data, at + end);
        while place > limit && left > 0 {
            let there = place - WINDOW;
            place = links[(place % WINDOW) as usize];
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
                    end = same + 1 - HASHED;
                    tail = load4(data, at + end);
                }
            }
        }
        best
    }

    /// The longest that a match at `at` may be.
    #[inline(always)]
    fn most(&self, at: u32) -> u32 {
        LONGEST.min(self.data.len() as u32 - at)
    }

    /// A match of three bytes, if there is one that is near.
    #[inline(always)]
    fn find_three(&self, at: u32, bytes: u64, best: &mut Match) {
        let last = self.tables.nearest[(at % AHEAD) as usize];
        let distance = (at + WINDOW).wrapping_sub(last);
        // Where threes were not looked for when the place was entered, the table tells of another place.
        let near = distance.wrapping_sub(1) < NEAR;
        if near && (load(self.data, at - distance) ^ bytes) & 0x00ff_ffff == 0 {
            *best = Match {
                length: SHORTEST.min(self.most(at)),
                distance,
            };
        }
    }
}

/// What of it is high tells the bytes apart best.
#[inline(always)]
fn product(bytes: u32) -> u32 {
    bytes.wrapping_mul(0x9e37_79b1)
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
