//! Which dblocks are worth rewriting (`commands.md` 9): decides only, from what each holds and what of it is still needed.
//!
//! Memory: 40 bytes a dblock, the rows that are handed in; they are sorted in place.

use crate::base::size::show_size;
use crate::base::text;
use crate::set::VolumeNo;

/// When volumes are rewritten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CompactRules {
    /// Percentage of unused data, 0 to 100, from which a volume is wasteful and a set of them is rewritten.
    pub(crate) threshold: u8,
    /// Size of new dblocks in bytes.
    pub(crate) volume_size: u64,
    /// A volume of at most so many bytes is small.
    pub(crate) small_size: u64,
    /// More small volumes than this are put together.
    pub(crate) small_count: u64,
    /// A backup or deletion may begin it by itself.
    pub(crate) by_itself: bool,
    /// Least seconds between two runs that begin by themselves.
    pub(crate) least_seconds_between: u64,
}

/// What a dblock holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Usage {
    pub(crate) no: VolumeNo,
    /// The oldest version that needs a block of it, as its number (0 = newest); 0 where none does.
    pub(crate) oldest: u32,
    /// Bytes at the destination.
    pub(crate) size: u64,
    /// Bytes of all its blocks, not packed.
    pub(crate) data: u64,
    /// Of these, bytes that no version needs.
    pub(crate) waste: u64,
    /// It holds so many blocks that a new volume could not take many more, however few bytes they have.
    crowded: bool,
    class: Class,
}

const _: () = assert!(std::mem::size_of::<Usage>() <= 40);

/// What becomes of a dblock, in the order in which it happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Class {
    Deletable,
    Rewritten,
    Kept,
}

impl Usage {
    pub(crate) fn new(no: VolumeNo, oldest: u32, size: u64, data: u64, waste: u64) -> Usage {
        Usage {
            no,
            oldest,
            size,
            data,
            waste,
            crowded: false,
            class: Class::Kept,
        }
    }

    /// Says whether the volume is small in bytes only: such volumes would come out of a compaction as they went in.
    pub(crate) fn crowded(self, crowded: bool) -> Usage {
        Usage { crowded, ..self }
    }

    /// No version needs anything of it.
    fn is_deletable(&self) -> bool {
        self.waste >= self.data
    }

    fn is_wasteful(&self, rules: &CompactRules) -> bool {
        reaches(self.waste, self.data, rules.threshold)
            || reaches(self.waste, rules.volume_size, rules.threshold)
    }

    fn is_small(&self, rules: &CompactRules) -> bool {
        self.size <= rules.small_size && !self.crowded
    }
}

/// Whether `part` is so many percent of `whole` or more.
fn reaches(part: u64, whole: u64, percent: u8) -> bool {
    u128::from(part) * 100 >= u128::from(whole) * u128::from(percent)
}

/// How many volumes, and their bytes at the destination.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) volumes: u64,
    pub(crate) bytes: u64,
}

impl Tally {
    pub(crate) fn add(&mut self, bytes: u64) {
        self.volumes += 1;
        self.bytes = self.bytes.saturating_add(bytes);
    }
}

/// What a compaction does, or would do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    /// The volumes: first those that can be deleted, then those to rewrite in this order, then the rest.
    volumes: Vec<Usage>,
    pub(crate) deletable: Tally,
    pub(crate) wasteful: Tally,
    pub(crate) small: Tally,
    /// The volumes that are fetched and rewritten; their bytes are the most that is downloaded.
    pub(crate) rewritten: Tally,
    /// Bytes of the new volumes, if what stays is packed as well as it was.
    pub(crate) upload: u64,
    /// Why volumes are rewritten, or are not.
    pub(crate) why: String,
}

impl Plan {
    /// Decides about all dblocks of a destination. `volumes` must be all of them: the waste of one says nothing alone.
    pub(crate) fn new(mut volumes: Vec<Usage>, rules: &CompactRules) -> Plan {
        let (mut deletable, mut wasteful, mut small) =
            (Tally::default(), Tally::default(), Tally::default());
        let (mut data, mut waste) = (0u64, 0u64);
        for v in &volumes {
            data = data.saturating_add(v.data);
            if v.is_deletable() {
                deletable.add(v.size);
                continue;
            }
            if v.is_wasteful(rules) {
                wasteful.add(v.size);
                waste = waste.saturating_add(v.waste);
            }
            if v.is_small(rules) {
                small.add(v.size);
            }
        }
        let share = share(waste, data);
        let limit = rules.threshold;
        let unused = format!("{share} of the data is unused in wasteful volumes");
        let (rewrite, why) = if wasteful.volumes >= 2 && reaches(waste, data, limit) {
            (true, format!("{unused}, and the limit is {limit}%"))
        } else if small.bytes > rules.volume_size {
            let bytes = show_size(small.bytes);
            let one = show_size(rules.volume_size);
            (
                true,
                format!("small volumes hold {bytes}, more than one volume of {one}"),
            )
        } else if small.volumes > rules.small_count {
            let most = rules.small_count;
            let volumes = text::count(small.volumes, "small volume");
            let are = if small.volumes == 1 { "is" } else { "are" };
            (
                true,
                format!("there {are} {volumes}, and the limit is {most}"),
            )
        } else {
            let volumes = text::count(small.volumes, "small volume");
            let few = match wasteful.volumes {
                1 => ", and a single one is left as it is",
                _ => "",
            };
            (
                false,
                format!(
                    "{unused} (limit {limit}%{few}), {volumes} (limit {})",
                    rules.small_count
                ),
            )
        };
        let (mut rewritten, mut upload) = (Tally::default(), 0u64);
        for v in &mut volumes {
            v.class = if v.is_deletable() {
                Class::Deletable
            } else if rewrite && (v.is_wasteful(rules) || v.is_small(rules)) {
                rewritten.add(v.size);
                upload = upload.saturating_add(scaled(v.size, v.data - v.waste, v.data));
                Class::Rewritten
            } else {
                Class::Kept
            };
        }
        // Old data stays longest: what is old is packed together.
        volumes.sort_unstable_by_key(|v| (v.class, std::cmp::Reverse(v.oldest), v.no));
        Plan {
            volumes,
            deletable,
            wasteful,
            small,
            rewritten,
            upload,
            why,
        }
    }

    /// Volumes that nothing needs, to be deleted before all else.
    pub(crate) fn deletable(&self) -> impl Iterator<Item = VolumeNo> {
        self.of(Class::Deletable)
    }

    /// Volumes whose needed blocks go to new ones, in this order: those of the oldest versions first.
    pub(crate) fn rewritten(&self) -> impl Iterator<Item = VolumeNo> {
        self.of(Class::Rewritten)
    }

    fn of(&self, class: Class) -> impl Iterator<Item = VolumeNo> {
        let volumes = self.volumes.iter();
        volumes.filter(move |v| v.class == class).map(|v| v.no)
    }

    /// Bytes that it frees at the destination, if what stays is packed as well as it was.
    pub(crate) fn freed(&self) -> u64 {
        let gone = self.deletable.bytes.saturating_add(self.rewritten.bytes);
        gone.saturating_sub(self.upload)
    }

    pub(crate) fn is_nothing(&self) -> bool {
        self.deletable.volumes + self.rewritten.volumes == 0
    }
}

/// `size * part / whole`, which does not overflow.
fn scaled(size: u64, part: u64, whole: u64) -> u64 {
    let scaled = u128::from(size) * u128::from(part) / u128::from(whole.max(1));
    u64::try_from(scaled).unwrap_or(size)
}

/// `67.61%`, rounded to the nearest.
fn share(part: u64, whole: u64) -> String {
    let whole = u128::from(whole.max(1));
    let hundredths = (u128::from(part) * 10_000 + whole / 2) / whole;
    format!("{}.{:02}%", hundredths / 100, hundredths % 100)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failing step fails the test")]

    use super::*;
    use crate::base::size::parse_size;
    use serde_json::Value;

    /// What Duplicati did: `tests/data/lifecycle/README.md`.
    const THRESHOLDS: &str =
        include_str!("../../tests/data/lifecycle/compact-thresholds/results.json");
    const WASTE: &str = include_str!("../../tests/data/lifecycle/compact-waste/results.json");

    /// Begin of the name, size, data, waste and oldest version of the dblocks in each folder's `before`.
    type Row = (&'static str, u64, u64, u64, u32);
    const OF_THRESHOLDS: [Row; 6] = [
        ("02f3", 4727, 3406, 0, 0),
        ("26d1", 5006, 3584, 1221, 1),
        ("3399", 4213, 2966, 0, 1),
        ("55f6", 34415, 30809, 0, 2),
        ("7764", 7966, 5849, 1029, 0),
        ("843d", 4021, 2786, 1429, 0),
    ];
    const OF_WASTE: [Row; 5] = [
        ("282e", 4289, 3285, 0, 0),
        ("34ab", 36777, 29565, 22995, 0),
        ("4b00", 41129, 33042, 29565, 0),
        ("96a3", 28654, 22995, 13140, 0),
        ("ce18", 16472, 13140, 3285, 0),
    ];

    const RULES: CompactRules = CompactRules {
        threshold: 25,
        volume_size: 1000,
        small_size: 200,
        small_count: 20,
        by_itself: true,
        least_seconds_between: 0,
    };

    fn rules(options: &Value) -> CompactRules {
        let given = |name: &str| {
            let all = options.as_array().unwrap().iter();
            all.filter_map(|o| o.as_str()?.strip_prefix(name)?.strip_prefix('='))
                .next_back()
        };
        let volume_size = parse_size(given("--dblock-size").unwrap(), 1 << 20).unwrap();
        let small = given("--small-file-size").and_then(|s| parse_size(s, 1 << 20));
        CompactRules {
            threshold: given("--threshold").map_or(25, |t| t.parse().unwrap()),
            volume_size,
            small_size: small.unwrap_or(volume_size / 5),
            small_count: given("--small-file-max-count").map_or(20, |n| n.parse().unwrap()),
            ..RULES
        }
    }

    #[test]
    fn duplicatis_decisions_are_made_again() {
        let mut cases = 0;
        for (results, rows) in [(THRESHOLDS, &OF_THRESHOLDS[..]), (WASTE, &OF_WASTE)] {
            let results: Value = serde_json::from_str(results).unwrap();
            for (name, case) in results.as_object().unwrap() {
                let usage = rows
                    .iter()
                    .enumerate()
                    .map(|(no, r)| Usage::new(u32::try_from(no).unwrap(), r.4, r.1, r.2, r.3));
                let plan = Plan::new(usage.collect(), &rules(&case["options"]));
                let mut gone: Vec<&str> = plan
                    .deletable()
                    .chain(plan.rewritten())
                    .map(|no| rows[no as usize].0)
                    .collect();
                gone.sort_unstable();
                let mut want: Vec<&str> = case["gone"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|n| n.as_str().unwrap())
                    .filter(|n| n.contains(".dblock."))
                    .map(|n| &n["duplicati-b".len()..][..4])
                    .collect();
                want.sort_unstable();
                assert_eq!(gone, want, "{name}: {}", plan.why);
                assert_eq!(plan.is_nothing(), want.is_empty());
                let said = case["said"].to_string();
                if let Some(percent) = said.split("there is ").nth(1) {
                    let percent = percent.split(' ').next().unwrap();
                    assert!(plan.why.starts_with(percent), "{name}: {}", plan.why);
                }
                if said.contains("small volumes") {
                    assert_eq!(plan.why, "there are 6 small volumes, and the limit is 2");
                }
                cases += 1;
            }
        }
        assert_eq!(cases, 23);
    }

    fn plan(rows: &[(u64, u64, u64, u32)], rules: CompactRules) -> Plan {
        let usage = rows
            .iter()
            .enumerate()
            .map(|(no, r)| Usage::new(u32::try_from(no).unwrap(), r.3, r.0, r.1, r.2));
        Plan::new(usage.collect(), &rules)
    }

    #[test]
    fn what_nothing_needs_goes_whatever_the_limits_are() {
        let never = CompactRules {
            threshold: 100,
            small_count: u64::MAX,
            ..RULES
        };
        let p = plan(
            &[(500, 900, 900, 0), (500, 900, 899, 3), (20, 0, 0, 0)],
            never,
        );
        assert_eq!(p.deletable().collect::<Vec<_>>(), [0, 2]);
        assert_eq!(p.rewritten().count(), 0);
        assert_eq!((p.deletable.volumes, p.deletable.bytes), (2, 520));
        assert_eq!((p.upload, p.freed()), (0, 520));
        assert!(!p.is_nothing());
    }

    #[test]
    fn one_wasteful_volume_is_left_and_two_are_rewritten() {
        let one = plan(&[(500, 900, 800, 1), (500, 900, 0, 2)], RULES);
        assert!(one.is_nothing() && one.wasteful.volumes == 1, "{}", one.why);
        assert!(one.why.contains("a single one is left"), "{}", one.why);
        let two = plan(
            &[(500, 900, 800, 1), (500, 900, 0, 2), (400, 800, 400, 5)],
            RULES,
        );
        assert_eq!(
            two.rewritten().collect::<Vec<_>>(),
            [2, 0],
            "the oldest first"
        );
        assert_eq!(
            two.rewritten,
            Tally {
                volumes: 2,
                bytes: 900
            }
        );
        assert_eq!((two.upload, two.freed()), (55 + 200, 900 - 255));
        assert_eq!(
            two.why,
            "46.15% of the data is unused in wasteful volumes, and the limit is 25%"
        );
    }

    /// A large volume may waste much of a new one although it is little of its own.
    #[test]
    fn waste_counts_against_the_size_of_new_volumes_too() {
        let large = (9000, 10_000, 250, 0);
        let p = plan(&[large, (9000, 10_000, 249, 0)], RULES);
        assert_eq!(p.wasteful.volumes, 1);
        let p = plan(&[large, large], RULES);
        // Wasteful both, but little of all there is.
        assert_eq!((p.wasteful.volumes, p.is_nothing()), (2, true));
    }

    #[test]
    fn small_volumes_are_put_together_by_number_or_by_size() {
        let small = (200, 300, 0, 0);
        let larger = (201, 300, 0, 0);
        let twenty_one = CompactRules {
            volume_size: 10_000,
            ..RULES
        };
        let count = |n: usize| plan(&vec![small; n], twenty_one).rewritten.volumes;
        assert_eq!((count(20), count(21)), (0, 21));
        let size = |n: usize| plan(&vec![small; n], RULES).rewritten.volumes;
        assert_eq!((size(5), size(6)), (0, 6));
        assert!(plan(&[larger; 40], RULES).is_nothing());
        // What is wasteful goes along.
        let mut rows = vec![small; 6];
        rows.push((900, 900, 600, 0));
        assert_eq!(plan(&rows, RULES).rewritten.volumes, 7);
    }

    /// Volumes of a number of blocks that no new volume exceeds: packed again they are as many as before.
    #[test]
    fn volumes_full_of_tiny_blocks_are_not_small() {
        let full = |n: u32, waste| {
            let usage = (0..n).map(|no| Usage::new(no, 0, 200, 300, waste).crowded(true));
            Plan::new(usage.collect(), &RULES)
        };
        assert!(full(40, 0).is_nothing(), "{}", full(40, 0).why);
        assert_eq!(full(40, 0).small.volumes, 0);
        assert_eq!(full(40, 100).rewritten.volumes, 40, "waste counts");
    }

    #[test]
    fn an_empty_destination_has_nothing_to_do() {
        for threshold in [0, 25, 100] {
            let p = plan(&[], CompactRules { threshold, ..RULES });
            assert!(p.is_nothing() && p.freed() == 0, "{}", p.why);
        }
        let huge = (u64::MAX, u64::MAX, u64::MAX - 1, 0);
        let p = plan(&[huge, huge], RULES);
        assert_eq!(p.rewritten.volumes, 2);
    }
}
