//! A random model: a tree is changed, backed up with random options, runs are killed or stopped, caches and volumes are
//! damaged, and every version is restored in every way and compared, entry by entry, with a plain copy kept in memory.
//!
//! `DUPLET_MODEL_ROUNDS=1000 DUPLET_MODEL_SEED=7 cargo test --test model` runs other rounds; a failing round prints its own seed.

#![allow(clippy::unwrap_used, reason = "a test may fail where it stands")]

#[path = "model/care.rs"]
mod care;
#[path = "model/changes.rs"]
mod changes;
#[path = "model/life.rs"]
mod life;
#[path = "model/restores.rs"]
mod restores;
#[path = "model/rules.rs"]
mod rules;
#[path = "support/steer.rs"]
mod steer;
mod support;
#[path = "model/world.rs"]
mod world;

use std::sync::atomic::{AtomicU64, Ordering};

use world::World;

/// Rounds without a wish from outside.
const ROUNDS: u64 = 50;
/// As many of those in which versions go.
const CARE_ROUNDS: u64 = 25;
/// The program waits for the next second between quick runs, so that two rounds at once take little longer than one.
const AT_ONCE: u64 = 3;

fn wish(name: &str, default: u64) -> u64 {
    let Ok(text) = std::env::var(name) else {
        return default;
    };
    text.parse()
        .unwrap_or_else(|e| panic!("{name}={text}: {e}"))
}

/// One life of a backup, from the first version to damage.
fn round(seed: u64) {
    let mut world = World::new(seed);
    world.backup();
    for _ in 0..3 + world.rand.below(4) {
        match world.rand.below(10) {
            0..=3 => {
                changes::change(&mut world);
                world.backup();
            }
            4 => world.stopped_backup(true),
            5 => world.stopped_backup(false),
            6 => world.harm_cache(),
            7 => restores::part_of_a_version(&mut world),
            8 => restores::over_a_changed_tree(&mut world),
            _ => {
                // Nothing changed: nothing may be lost by that, either.
                world.backup();
            }
        }
    }
    restores::every_version(&mut world);
    restores::part_of_a_version(&mut world);
    restores::over_a_changed_tree(&mut world);
    world.verify_clean();
    restores::from_damaged(&mut world);
}

/// Runs rounds from the wished seed on, a few at once.
fn rounds(default: u64, round: fn(u64)) {
    let first = wish("DUPLET_MODEL_SEED", 1);
    let rounds = wish("DUPLET_MODEL_ROUNDS", default);
    let next = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                loop {
                    let n = next.fetch_add(1, Ordering::Relaxed);
                    if n >= rounds {
                        break;
                    }
                    round(first.wrapping_add(n));
                }
            });
        }
    });
}

#[test]
fn random_lives_of_backups() {
    rounds(ROUNDS, round);
}

#[test]
fn random_lives_in_which_versions_go_and_damage_comes() {
    rounds(CARE_ROUNDS, care::live);
}
