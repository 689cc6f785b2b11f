//! Decides which matches are taken: goes through the block once, and for each match first sees whether the next places have a
//! better one.

use super::matcher::{Finder, Match, Search};
use super::pieces::{MOST_LITERALS, Sink};
use super::slots::{LONGEST, SHORTEST};

/// How hard a level tries.
#[derive(Clone, Copy)]
pub(super) struct Effort {
    /// Earlier places looked at for each match.
    depth: u32,
    /// A match of this length is taken without looking further.
    nice: u32,
    /// How many places after a match a better one is looked for: 0 to 2.
    lazy: u32,
    /// Matches of three bytes are looked for while literals take at least so many bits each, in 256ths.
    three: u32,
    /// Places within a match that can be found later: of a longer match no others than these last ones, and what was entered ahead.
    inside: u32,
    /// Places are left out where the data is dull: what comes again only from there is then not found.
    skips: bool,
}

/// Places within a match that level 1 enters, and others within the longest match: runs of one byte are mostly those.
const FEW_INSIDE: u32 = 4;
/// Where literals take less, in 256ths of a bit, a match of three bytes seldom pays for the time. In text it does not, in programs
/// it does; level 2 looks for them in the densest of those only.
const DEAR: u32 = 1500;
const DEARER: u32 = 1700;
const ALWAYS: u32 = 0;
const NEVER: u32 = u32::MAX;

/// By level, from 1 on.
const EFFORTS: [Effort; 9] = [
    Effort {
        inside: FEW_INSIDE,
        ..effort(3, 16, 0, NEVER, true)
    },
    effort(6, 32, 1, DEARER, true),
    effort(14, 64, 1, DEAR, true),
    effort(24, 96, 1, DEAR, true),
    effort(40, 128, 1, DEAR, true),
    effort(64, 128, 2, ALWAYS, true),
    effort(128, 258, 2, ALWAYS, false),
    effort(512, 258, 2, ALWAYS, false),
    effort(2048, 258, 2, ALWAYS, false),
];

const fn effort(depth: u32, nice: u32, lazy: u32, three: u32, skips: bool) -> Effort {
    Effort {
        depth,
        nice,
        lazy,
        three,
        inside: u32::MAX,
        skips,
    }
}

impl Effort {
    /// `None` for level 0, which deflates nothing; more than 9 counts as 9.
    pub(super) fn of_level(level: u8) -> Option<Effort> {
        let row = usize::from(level.min(9)).checked_sub(1)?;
        EFFORTS.get(row).copied()
    }
}

/// From this match length on a later match is looked for with an eighth of the depth, otherwise with half of it.
const GOOD: u32 = 8;
/// Literals in a row, and bytes since the last match of [`WORTHY`], after which the data is dull: places are left out.
const DULL_LITERALS: u32 = 255;
const DULL_BYTES: u32 = 512;
const WORTHY: u32 = 6;
/// At most so many places at once.
const MOST_SKIPPED: u32 = 2048;
/// A later match must be better by this, and by this more for each place that was tried before.
const LEAST_GAIN: u32 = 2;
const MORE_GAIN: u32 = 4;

/// Bytes after which others get a turn.
const TICK_BYTES: u32 = 64 * 1024;

/// Goes through a block of `end` bytes, with a `tick` now and then. `None` when the sink has no more room.
pub(super) fn parse(
    mut finder: Finder<'_>,
    end: u32,
    effort: &Effort,
    (sink, tick): (&mut Sink<'_>, &mut dyn FnMut()),
) -> Option<()> {
    let first = Search {
        depth: effort.depth,
        nice: effort.nice,
        above: SHORTEST - 1,
    };
    let mut worthy_at = 0;
    let mut tick_at = TICK_BYTES;
    finder.three = sink.literal_bits() >= effort.three;
    // The first byte has nothing before it.
    sink.literals(0, 1);
    let mut literals = 1;
    let mut at = 1;
    while at < end {
        let bytes = finder.bytes(at);
        let mut best = finder.find(at, bytes, first);
        at += 1;
        if best.length < SHORTEST {
            literals += 1;
            sink.literal((bytes & 0xff) as u8);
            if literals > DULL_LITERALS {
                if effort.skips && at - worthy_at > DULL_BYTES {
                    let skip = ((at - worthy_at) / 4).min(MOST_SKIPPED).min(end - at);
                    at += skip;
                    literals += skip;
                    sink.literals(at - skip, at);
                    finder.skip_to(at);
                }
                if literals >= MOST_LITERALS {
                    sink.run(literals)?;
                    literals = 0;
                    tick();
                }
            }
            continue;
        }
        // While the match waits for a better one: how many places after it were searched.
        let mut waited = 0;
        while best.length < effort.nice && waited < effort.lazy && at < end {
            let depth = if best.length >= GOOD {
                effort.depth >> 3
            } else {
                effort.depth >> 1
            };
            let search = Search {
                depth: depth >> waited,
                nice: effort.nice,
                above: best.length - 1,
            };
            let bytes = finder.bytes(at);
            let found = finder.find(at, bytes, search);
            at += 1;
            if found.length >= best.length && gain(found, best) > LEAST_GAIN + MORE_GAIN * waited {
                sink.literals(at - 2 - waited, at - 1);
                literals += waited + 1;
                best = found;
                waited = 0;
            } else {
                waited += 1;
            }
        }
        sink.step(literals, best.length, best.distance)?;
        finder.three = sink.literal_bits() >= effort.three;
        literals = 0;
        let next = at - 1 - waited + best.length;
        if best.length >= WORTHY {
            worthy_at = next;
        }
        finder.inside = match best.length {
            LONGEST if effort.skips => FEW_INSIDE,
            _ => effort.inside,
        };
        at = at.max(next);
        if at >= tick_at {
            tick_at = at + TICK_BYTES;
            tick();
        }
    }
    if literals > 0 {
        sink.run(literals)?;
    }
    Some(())
}

/// How much better the later match is: four for a byte, one for half the distance.
#[inline(always)]
fn gain(later: Match, now: Match) -> u32 {
    (4 * later.length + now.distance.ilog2())
        .saturating_sub(4 * now.length + later.distance.ilog2())
}
