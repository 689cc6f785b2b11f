//! Huffman codes of a limited length: from how often each symbol comes to the bits that stand for it.

/// Most symbols of any alphabet of deflate.
const MOST: usize = 288;
/// Longest code of any alphabet of deflate.
const LONGEST_CODE: usize = 15;

/// So many symbols are sorted by moving each to its place: distances mostly, and all of a small block.
const FEW: usize = 32;

/// Code lengths in bits for symbols that come `counts` times; 0 for one that never comes. No length is above `limit` (1 to 15,
/// and 2^limit at least the number of symbols). Makes a complete code of at least two symbols: some inflaters refuse less.
pub(super) fn code_lengths(counts: &[u32], limit: usize, lengths: &mut [u8]) {
    lengths.fill(0);
    let mut leaves = [0u64; MOST];
    let mut used = 0;
    for (symbol, &count) in counts.iter().enumerate() {
        if count > 0 {
            leaves[used] = u64::from(count) << 16 | symbol as u64;
            used += 1;
        }
    }
    if used < 2 {
        // The one that comes, and one that does not: a bit each.
        let one = (leaves[0] & 0xffff) as usize;
        lengths[one] = 1;
        lengths[usize::from(one == 0)] = 1;
        return;
    }
    let leaves = &mut leaves[..used];
    sort_by_count(leaves);
    let mut of_length = leaves_of_length(leaves, limit);
    repair(&mut of_length, limit);
    // The rarest symbols have the longest codes.
    let mut rest = leaves.iter();
    for length in (1..=limit).rev() {
        for leaf in rest.by_ref().take(of_length[length] as usize) {
            lengths[(leaf & 0xffff) as usize] = length as u8;
        }
    }
}

/// Sorts by what is above 16 bits, lowest first; equals stay in their order, which is that of what is below.
fn sort_by_count(leaves: &mut [u64]) {
    if leaves.len() <= FEW {
        for sorted in 1..leaves.len() {
            let mut at = sorted;
            while at > 0 && leaves[at - 1] > leaves[at] {
                leaves.swap(at - 1, at);
                at -= 1;
            }
        }
        return;
    }
    // A byte at a time.
    let all = leaves.iter().fold(0, |all, leaf| all | leaf);
    let mut sorted = [0u64; MOST];
    let mut shift = 16;
    while all >> shift > 0 {
        let byte = |leaf: u64| (leaf >> shift & 0xff) as usize;
        let mut ends = [0u16; 256];
        for &leaf in &*leaves {
            ends[byte(leaf)] += 1;
        }
        let mut end = 0;
        for slot in &mut ends {
            end += *slot;
            *slot = end;
        }
        for &leaf in leaves.iter().rev() {
            let slot = &mut ends[byte(leaf)];
            *slot -= 1;
            sorted[usize::from(*slot)] = leaf;
        }
        leaves.copy_from_slice(&sorted[..leaves.len()]);
        shift += 8;
    }
}

/// How many leaves of Huffman's tree have each depth; what lies deeper than `limit` counts as `limit`. `leaves` are sorted, each a
/// weight above 16 bits.
fn leaves_of_length(leaves: &[u64], limit: usize) -> [u32; LONGEST_CODE + 1] {
    let used = leaves.len();
    // Inner nodes are made in the order of their weights: the two lightest of all are at the front of one queue or the other.
    let mut weights = [0u64; MOST];
    let mut parents = [0u16; 2 * MOST];
    let (mut leaf, mut inner) = (0, 0);
    for made in 0..used - 1 {
        let mut weight = 0;
        for _ in 0..2 {
            let light = leaves.get(leaf).map_or(u64::MAX, |leaf| leaf >> 16);
            let node = if inner < made && weights[inner] < light {
                weight += weights[inner];
                inner += 1;
                used + inner - 1
            } else {
                weight += light;
                leaf += 1;
                leaf - 1
            };
            parents[node] = (used + made) as u16;
        }
        weights[made] = weight;
    }
    // A parent comes after its children: from the root downwards each depth is known when it is asked for.
    let root = 2 * used - 2;
    let mut depths = [0u8; 2 * MOST];
    let mut of_length = [0; LONGEST_CODE + 1];
    for node in (0..root).rev() {
        let depth = depths[usize::from(parents[node])] + 1;
        depths[node] = depth;
        if node < used {
            of_length[usize::from(depth).min(limit)] += 1;
        }
    }
    of_length
}

/// Cutting codes to `limit` gives more of them than there is room for: for each too many, a leaf above goes one down and takes one
/// of the lowest as its sibling.
fn repair(of_length: &mut [u32; LONGEST_CODE + 1], limit: usize) {
    let room = 1u32 << limit;
    let mut taken: u32 = (1..=limit).map(|n| of_length[n] << (limit - n)).sum();
    while taken > room {
        let Some(above) = (1..limit).rev().find(|&n| of_length[n] > 0) else {
            return;
        };
        of_length[limit] -= 1;
        of_length[above] -= 1;
        of_length[above + 1] += 2;
        taken -= 1;
    }
}

/// A code as it is written: its length in the low 8 bits, its bits above, the first to be written lowest.
pub(super) type Code = u32;

/// The codes that an inflater gives to `lengths` (RFC 1951, 3.2.2). False when there are more of them than there is room for.
pub(super) fn codes(lengths: &[u8], codes: &mut [Code]) -> bool {
    let mut of_length = [0u32; LONGEST_CODE + 1];
    for &length in lengths {
        of_length[usize::from(length)] += 1;
    }
    let taken: u32 = (1..=LONGEST_CODE)
        .map(|n| of_length[n] << (LONGEST_CODE - n))
        .sum();
    let mut next = [0u32; LONGEST_CODE + 1];
    for n in 2..=LONGEST_CODE {
        next[n] = (next[n - 1] + of_length[n - 1]) << 1;
    }
    for (code, &length) in codes.iter_mut().zip(lengths) {
        *code = 0;
        // Most symbols of a small block never come.
        if length > 0 {
            let slot = &mut next[usize::from(length)];
            *code = code_of(*slot, length);
            *slot += 1;
        }
    }
    taken <= 1 << LONGEST_CODE
}

/// The code of `length` bits whose number among those is `number`.
pub(super) const fn code_of(number: u32, length: u8) -> Code {
    number.reverse_bits() >> (32 - length as u32) << 8 | length as u32
}
