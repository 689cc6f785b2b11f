//! Which volumes a sample takes: a window over a fixed shuffle that moves on with each turn, so that as many turns as there
//! are windows see every volume, whatever was there first.

use crate::base::digest::Algo;
use crate::upkeep::verify::Amount;

/// Marks of the chosen ones of `count` volumes. Memory: 16 bytes a volume for a moment.
pub(super) fn choose(
    amount: Amount,
    turn: u64,
    count: usize,
    name: &mut dyn FnMut(usize) -> String,
) -> Vec<bool> {
    let wanted = match amount {
        Amount::Sample(n) if n < count => n,
        _ => return vec![true; count],
    };
    let mut marks = vec![false; count];
    if wanted == 0 {
        return marks;
    }
    let mut order: Vec<(u64, usize)> = (0..count).map(|i| (spread(&name(i)), i)).collect();
    order.sort_unstable();
    let windows = count.div_ceil(wanted) as u64;
    let first = usize::try_from(turn % windows).unwrap_or(0) * wanted;
    for at in first..first + wanted {
        marks[order[at % count].1] = true;
    }
    marks
}

fn spread(name: &str) -> u64 {
    let digest = Algo::Sha256.hash(name.as_bytes());
    digest
        .as_bytes()
        .first_chunk::<8>()
        .map_or(0, |b| u64::from_be_bytes(*b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_volume_has_its_turn() {
        for (count, wanted) in [
            (1usize, 1usize),
            (7, 1),
            (7, 2),
            (10, 3),
            (5, 5),
            (3, 9),
            (0, 1),
        ] {
            let mut name = |i: usize| format!("volume {i}");
            let turns = count.max(1).div_ceil(wanted);
            let mut seen = vec![0; count];
            for turn in 100..100 + turns as u64 {
                let marks = choose(Amount::Sample(wanted), turn, count, &mut name);
                assert_eq!(
                    marks.iter().filter(|&&m| m).count(),
                    wanted.min(count),
                    "{count} {wanted}"
                );
                for (n, m) in seen.iter_mut().zip(marks) {
                    *n += usize::from(m);
                }
            }
            assert!(seen.iter().all(|&n| n >= 1), "{count} {wanted} {seen:?}");
        }
        assert!(
            choose(Amount::All, 3, 4, &mut |i| i.to_string())
                .iter()
                .all(|&m| m)
        );
        assert!(!choose(Amount::Sample(0), 3, 4, &mut |i| i.to_string()).contains(&true));
    }
}
