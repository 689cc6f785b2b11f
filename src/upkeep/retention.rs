//! Which versions stay: `--keep-versions`, `--keep-time` and `--retention-policy` as Duplicati applies them (`commands.md` 8),
//! each decision with its reason in words. Decides only; reads nothing and deletes nothing.
//!
//! Ages are measured on the wall clock, without regard to the zone: a backup at noon every day is exactly a day after the
//! one before, over a change of the clock, too. Which version is the newest is decided by UTC all the same.

use std::cell::Cell;

use crate::base::error::{Error, Result};
use crate::base::size::{not_whole, parse_span};
use crate::base::text;
use crate::base::time::{Timestamp, Wall};

/// Most that a tolerance gives: an hour.
const TOLERANCE_MOST: i64 = 3600;

/// One criterion; there is at most one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Rule {
    /// So many full versions, at least 1.
    KeepVersions(u64),
    KeepTime {
        age: Age,
        /// A version that is a little too old still stays: by a hundredth of the age, at most an hour.
        tolerance: bool,
    },
    Policy(Policy),
}

/// What a person wants deleted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Retention {
    pub(crate) rule: Option<Rule>,
    /// Versions that are named, 0 = newest; each exists.
    pub(crate) named: Vec<usize>,
    /// Nothing has to stay.
    pub(crate) allow_full_removal: bool,
}

/// What becomes of one version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Decision {
    pub(crate) keep: bool,
    /// The rule, and the frame where there are frames, that decides.
    pub(crate) why: String,
}

impl Decision {
    fn keep(why: impl Into<String>) -> Decision {
        Decision {
            keep: true,
            why: why.into(),
        }
    }

    pub(crate) fn delete(why: impl Into<String>) -> Decision {
        Decision {
            keep: false,
            why: why.into(),
        }
    }
}

impl Retention {
    /// True when nothing was asked for.
    pub(crate) fn is_empty(&self) -> bool {
        self.rule.is_none() && self.named.is_empty()
    }

    /// A decision for each version; `times` are newest first. `wall` gives the wall clock of a time. `full` says whether a
    /// version is complete; it is asked only of versions where that matters, newest first but for a policy, each at most
    /// once. No rule takes the last complete version, unless nothing has to stay.
    pub(crate) fn decide(
        &self,
        times: &[Timestamp],
        now: Timestamp,
        wall: &dyn Fn(Timestamp) -> Wall,
        full: &mut dyn FnMut(usize) -> Result<bool>,
    ) -> Result<Vec<Decision>> {
        let walls: Vec<Wall> = times.iter().map(|t| wall(*t)).collect();
        let seen = vec![Cell::new(None); times.len()];
        let full: &mut dyn FnMut(usize) -> Result<bool> = &mut |no| {
            if let Some(known) = seen.get(no).and_then(Cell::get) {
                return Ok(known);
            }
            let is = full(no)?;
            if let Some(slot) = seen.get(no) {
                slot.set(Some(is));
            }
            Ok(is)
        };
        let mut out = match &self.rule {
            None => vec![Decision::keep("it is not named"); times.len()],
            Some(Rule::KeepVersions(count)) => self.keep_versions(*count, times.len(), full)?,
            Some(Rule::KeepTime { age, tolerance }) => {
                keep_time(age, *tolerance, &walls, wall(now), full)?
            }
            Some(Rule::Policy(policy)) => {
                policy.decide(&walls, wall(now), self.allow_full_removal, full)?
            }
        };
        for &no in &self.named {
            if let Some(decision) = out.get_mut(no) {
                *decision = Decision::delete("--version names it");
            }
        }
        if !self.allow_full_removal {
            self.spare_complete(&mut out, &seen, full)?;
        }
        if !self.allow_full_removal
            && out.iter().all(|d| !d.keep)
            && let Some(newest) = out.first_mut()
        {
            *newest = Decision::keep(format!(
                "no other version would be left, although {} (--allow-full-removal would delete it)",
                newest.why
            ));
        }
        Ok(out)
    }

    /// Spares the newest complete version that the rule would take where no other complete one would be left. Duplicati's policy
    /// takes it where the newest version is a partial one.
    fn spare_complete(
        &self,
        out: &mut [Decision],
        seen: &[Cell<Option<bool>>],
        full: &mut dyn FnMut(usize) -> Result<bool>,
    ) -> Result<()> {
        let by_rule = |(no, d): &(usize, &Decision)| !d.keep && !self.named.contains(no);
        let going = out.iter().enumerate().filter(by_rule);
        let going: Vec<usize> = going.map(|(no, _)| no).collect();
        let kept = out.iter().enumerate().filter(|(_, d)| d.keep);
        let mut kept: Vec<usize> = kept.map(|(no, _)| no).collect();
        // Those first of which it is known.
        kept.sort_by_key(|no| seen.get(*no).and_then(Cell::get) != Some(true));
        if going.is_empty() {
            return Ok(());
        }
        for no in kept {
            if full(no)? {
                return Ok(());
            }
        }
        for no in going {
            if full(no)? {
                out[no] = Decision::keep(format!(
                    "no other complete version would be left, although {}",
                    out[no].why
                ));
                break;
            }
        }
        Ok(())
    }

    /// Counts complete versions from the newest on. Partial ones before the first complete one stay, those between two that
    /// are counted go, and so does everything older than the last that is counted. Named versions do not count.
    fn keep_versions(
        &self,
        count: u64,
        versions: usize,
        full: &mut dyn FnMut(usize) -> Result<bool>,
    ) -> Result<Vec<Decision>> {
        let rule = format!("--keep-versions={count}");
        let mut out = Vec::with_capacity(versions);
        let mut kept = 0u64;
        // Partial versions since the last complete one.
        let mut between: Vec<usize> = Vec::new();
        for no in 0..versions {
            let decision = if self.named.contains(&no) {
                Decision::keep("it is not counted")
            } else if kept == count {
                let fulls = text::count(count, "newer complete version");
                let stay = if count == 1 { "stays" } else { "stay" };
                Decision::delete(format!("{rule}: {fulls} {stay}"))
            } else if full(no)? {
                for no in between.drain(..) {
                    out[no] = Decision::delete(format!(
                        "{rule}: it is partial and between two complete versions that stay"
                    ));
                }
                kept += 1;
                Decision::keep(format!("{rule}: it is number {kept} of the complete ones"))
            } else if kept == 0 {
                Decision::keep(format!(
                    "{rule}: it is partial and newer than any complete one"
                ))
            } else {
                between.push(no);
                Decision::keep(format!(
                    "{rule}: it is partial, and no older version is complete"
                ))
            };
            out.push(decision);
        }
        Ok(out)
    }
}

/// Keeps what is young enough, and older ones up to the first complete one.
fn keep_time(
    age: &Age,
    tolerance: bool,
    walls: &[Wall],
    now: Wall,
    full: &mut dyn FnMut(usize) -> Result<bool>,
) -> Result<Vec<Decision>> {
    let exact = age.before(now);
    let most = if tolerance { TOLERANCE_MOST } else { 0 };
    let spared = ((now.0 - exact.0) / 100).clamp(0, most);
    let threshold = Wall(exact.0 - spared);
    let rule = format!("--keep-time={}", age.text);
    let mut out = Vec::with_capacity(walls.len());
    let mut complete = false;
    for (no, &at) in walls.iter().enumerate() {
        out.push(if at >= exact {
            Decision::keep(format!("{rule}: it is not older than {exact}"))
        } else if at >= threshold {
            Decision::keep(format!(
                "{rule}: it is not older than {threshold}, which a tolerance of {} gives",
                span(spared)
            ))
        } else if !complete {
            Decision::keep(format!(
                "{rule}: it is older than {threshold}, but no newer version is complete"
            ))
        } else {
            Decision::delete(format!("{rule}: it is older than {threshold}"))
        });
        if !complete {
            complete = full(no)?;
        }
    }
    Ok(out)
}

/// Frames of time from now backwards, each with the least distance of the versions kept in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Policy {
    /// The shortest frame first; of frames of one length in the order given.
    pairs: Vec<Pair>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Pair {
    /// Seconds back from now; `None` without end.
    frame: Option<i64>,
    /// Seconds between versions; 0 keeps all.
    interval: i64,
    /// As it was given.
    text: String,
}

impl Policy {
    /// `FRAME:INTERVAL[,FRAME:INTERVAL...]`, such as `1W:1D,4W:1W,12M:1M`; empty parts are skipped. `U` as a frame has no
    /// end, as an interval it keeps all, as `0s` does. `None` when there is no part at all.
    pub(crate) fn parse(text: &str) -> Result<Option<Policy>> {
        let mut pairs = Vec::new();
        for part in text.split(',').map(str::trim).filter(|p| !p.is_empty()) {
            pairs.push(Pair::parse(part).map_err(|why| {
                Error::usage(format!(
                    "--retention-policy: {} is not valid: {why}",
                    text::safe_cut(part.as_bytes(), 40)
                ))
                .hint(part.split(':').map(not_whole).max().unwrap_or(""))
                .hint("frames and intervals such as 1W:1D,4W:1W,12M:1M or U:1D are expected; units are case-sensitive")
            })?);
        }
        pairs.sort_by_key(|p| p.frame.unwrap_or(i64::MAX));
        Ok((!pairs.is_empty()).then_some(Policy { pairs }))
    }

    /// The newest version stays, but where everything may go and it lies in no frame. Each other one belongs to the first
    /// frame that reaches back to it; in a frame those stay, from the oldest on, that are an interval younger than the last
    /// complete one that stays. Partial ones in a frame always stay. What is in no frame goes.
    fn decide(
        &self,
        walls: &[Wall],
        now: Wall,
        allow_full_removal: bool,
        full: &mut dyn FnMut(usize) -> Result<bool>,
    ) -> Result<Vec<Decision>> {
        let bounds: Vec<Wall> = self.pairs.iter().map(|p| p.bound(now)).collect();
        let frame_of = |at: Wall| bounds.iter().position(|b| *b <= at);
        let none = "--retention-policy: it is older than every frame";
        let mut out = vec![Decision::delete(none); walls.len()];
        // Oldest first by the wall clock, which in the hour that autumn repeats is not the order of the versions.
        let mut order: Vec<usize> = (1..walls.len()).rev().collect();
        order.sort_by_key(|&no| walls[no]);
        let mut last: Vec<Option<Wall>> = vec![None; self.pairs.len()];
        for no in order {
            let at = walls[no];
            let Some(frame) = frame_of(at) else {
                continue;
            };
            let pair = &self.pairs[frame];
            let rule = format!(
                "--retention-policy {} (since {})",
                text::safe_cut(pair.text.as_bytes(), 40),
                bounds[frame]
            );
            out[no] = match last[frame] {
                None if full(no)? => {
                    last[frame] = Some(at);
                    Decision::keep(format!("{rule}: the oldest of its frame"))
                }
                Some(before) if full(no)? => {
                    let apart = at.0 - before.0;
                    if apart >= pair.interval {
                        last[frame] = Some(at);
                        Decision::keep(format!("{rule}: {} after {before}", span(apart)))
                    } else {
                        Decision::delete(format!(
                            "{rule}: only {} after {before}, which stays",
                            span(apart)
                        ))
                    }
                }
                _ => Decision::keep(format!("{rule}: it is partial")),
            };
        }
        if let Some(at) = walls.first() {
            out[0] = match frame_of(*at) {
                None if allow_full_removal => Decision::delete(none),
                _ => Decision::keep("--retention-policy: the newest version"),
            };
        }
        Ok(out)
    }
}

impl Pair {
    fn parse(text: &str) -> std::result::Result<Pair, &'static str> {
        let mut halves = text.split(':');
        let (Some(frame), Some(interval), None) = (halves.next(), halves.next(), halves.next())
        else {
            return Err("one colon must part the frame from the interval");
        };
        let length = |text: &str, what: &'static str| match text.trim() {
            "U" | "u" => Ok(None),
            "" => Err(what),
            text => parse_span(text).map(Some).ok_or(what),
        };
        let frame = length(frame, "the frame is no time span")?;
        let interval = length(interval, "the interval is no time span")?.unwrap_or(0);
        match frame {
            Some(frame) if frame <= 0 => Err("the frame must be longer than nothing"),
            _ if interval < 0 => Err("the interval is negative"),
            Some(frame) if interval >= frame => Err("the interval must be shorter than the frame"),
            _ => Ok(Pair {
                frame,
                interval,
                text: text.to_owned(),
            }),
        }
    }

    /// The oldest moment of the frame.
    fn bound(&self, now: Wall) -> Wall {
        Wall(self.frame.map_or(i64::MIN, |f| now.0.saturating_sub(f)))
    }
}

/// A time back from now by the calendar: a month before 31 March is the last day of February.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Age {
    /// Amounts and their units, in order.
    steps: Vec<(i64, Unit)>,
    text: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unit {
    /// Of so many seconds.
    Seconds(i64),
    Months,
}

impl Age {
    /// Seconds, or `<int><unit>` repeated with the units of a time span in any case, but for `m` (minutes) and `M` (months).
    pub(crate) fn parse(text: &str) -> Result<Age> {
        let text = text.trim();
        let age = Age {
            steps: steps(text).unwrap_or_default(),
            text: text.to_owned(),
        };
        // A moment far from both ends of time.
        let now = Wall(0);
        if age.steps.is_empty() || age.before(now) > now {
            let shown = text::safe_cut(text.as_bytes(), 60);
            return Err(Error::usage(format!(
                "--keep-time={shown} is not valid: an age such as 12h, 7D, 4W, 6M or 1Y is expected"
            ))
            .hint(not_whole(text)));
        }
        Ok(age)
    }

    /// The moment that lies this far before `now`; at the earliest the first of the year 1.
    fn before(&self, now: Wall) -> Wall {
        self.steps.iter().fold(now, |at, (n, unit)| match unit {
            Unit::Seconds(each) => Wall(at.0.saturating_sub(n.saturating_mul(*each))).clamped(),
            Unit::Months => at.months_back(*n),
        })
    }
}

fn steps(text: &str) -> Option<Vec<(i64, Unit)>> {
    if let Ok(seconds) = text.parse::<i64>() {
        return Some(vec![(seconds, Unit::Seconds(1))]);
    }
    let mut out = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let end = rest.find(|c: char| c.is_ascii_alphabetic())?;
        let n: i64 = rest[..end].parse().ok()?;
        out.push(match &rest[end..=end] {
            "s" | "S" => (n, Unit::Seconds(1)),
            "m" => (n, Unit::Seconds(60)),
            "h" | "H" => (n, Unit::Seconds(3600)),
            "d" | "D" => (n, Unit::Seconds(86_400)),
            "w" | "W" => (n, Unit::Seconds(7 * 86_400)),
            "M" => (n, Unit::Months),
            "y" | "Y" => (n.checked_mul(12)?, Unit::Months),
            _ => return None,
        });
        rest = &rest[end + 1..];
    }
    Some(out)
}

/// A distance to the second: `6D23h00m00s`, `59m30s`, `-30m00s`.
fn span(seconds: i64) -> String {
    let sign = if seconds < 0 { "-" } else { "" };
    let n = seconds.unsigned_abs();
    let (days, hours, minutes, seconds) = (n / 86_400, n / 3600 % 24, n / 60 % 60, n % 60);
    match n {
        0..60 => format!("{sign}{seconds}s"),
        60..3600 => format!("{sign}{minutes}m{seconds:02}s"),
        3600..86_400 => format!("{sign}{hours}h{minutes:02}m{seconds:02}s"),
        _ => format!("{sign}{days}D{hours:02}h{minutes:02}m{seconds:02}s"),
    }
}

#[cfg(test)]
#[path = "retention_tests.rs"]
mod tests;
