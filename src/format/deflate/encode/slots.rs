//! Which symbol of deflate stands for a length or a distance, and how many extra bits follow it (RFC 1951, 3.2.5).

/// Symbols of the first alphabet that are used: 256 literals, the end of the block, 29 lengths.
pub(super) const LITERAL_SYMBOLS: usize = 286;
/// Symbols of the second alphabet that are used.
pub(super) const DISTANCE_SYMBOLS: usize = 30;
/// The symbol that ends a block; the first length is the one after it.
pub(super) const END: usize = 256;

/// Shortest and longest match.
pub(super) const SHORTEST: u32 = 3;
pub(super) const LONGEST: u32 = 258;

/// Extra bits of each length slot.
pub(super) const LENGTH_EXTRA: [u8; 29] = [
    0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0,
];

/// Shortest length of each slot, less 3.
pub(super) const LENGTH_BASE: [u8; 29] = length_bases();

/// The slot of each length, less 3.
pub(super) static LENGTH_SLOT: [u8; 256] = length_slots();

const fn length_bases() -> [u8; 29] {
    let mut out = [0; 29];
    let mut slot = 0;
    while slot < 27 {
        out[slot + 1] = out[slot] + (1 << LENGTH_EXTRA[slot]);
        slot += 1;
    }
    // The longest length has a slot of its own, with no extra bits.
    out[28] = 255;
    out
}

const fn length_slots() -> [u8; 256] {
    let mut out = [0; 256];
    let mut slot: u8 = 0;
    let mut length = 0;
    while length < 256 {
        while slot < 28 && LENGTH_BASE[slot as usize + 1] as usize <= length {
            slot += 1;
        }
        out[length] = slot;
        length += 1;
    }
    out
}

/// The slot of a distance (1 to 32768).
#[inline(always)]
pub(super) fn distance_slot(distance: u32) -> usize {
    let d = distance.wrapping_sub(1);
    if d < 4 {
        return d as usize;
    }
    // Each power of two is two slots: the bit below the highest chooses.
    let high = d.ilog2();
    (2 * high + (d >> (high - 1) & 1)) as usize
}

/// Extra bits of a distance slot.
#[inline(always)]
pub(super) fn distance_extra(slot: usize) -> u32 {
    (slot as u32 >> 1).saturating_sub(1)
}
