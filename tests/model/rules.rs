//! Which versions a rule keeps, told a second time and plainly.

use crate::support::Rand;

/// One rule of a backup or a deletion.
#[derive(Clone, Debug)]
pub enum Rule {
    Versions(usize),
    /// Seconds, and whether a little more is allowed.
    Time(i64, bool),
    /// Frames and intervals in seconds, shortest frame first; `None`: without end, and all.
    Policy(Vec<(Option<i64>, i64)>),
}

const HOUR: i64 = 3600;
const DAY: i64 = 24 * HOUR;

impl Rule {
    pub fn random(rand: &mut Rand) -> Rule {
        match rand.below(3) {
            0 => Rule::Versions(1 + rand.count(4)),
            1 => Rule::Time(
                *rand.pick(&[HOUR, 6 * HOUR, DAY, 3 * DAY, 10 * DAY, 40 * DAY]),
                rand.below(2) == 0,
            ),
            _ => {
                let mut frames = vec![
                    (
                        Some(*rand.pick(&[6 * HOUR, DAY, 3 * DAY])),
                        *rand.pick(&[0, HOUR, 3 * HOUR]),
                    ),
                    (Some(*rand.pick(&[7 * DAY, 14 * DAY])), DAY),
                ];
                match rand.below(3) {
                    0 => frames.push((None, 7 * DAY)),
                    1 => frames.push((Some(60 * DAY), 7 * DAY)),
                    _ => {}
                }
                Rule::Policy(frames)
            }
        }
    }

    /// As words of a command line.
    pub fn words(&self) -> Vec<String> {
        match self {
            Rule::Versions(n) => vec![format!("--keep-versions={n}")],
            Rule::Time(age, tolerant) => {
                let mut words = vec![format!("--keep-time={}h", age / HOUR)];
                if !tolerant {
                    words.push("--disable-time-tolerance".to_owned());
                }
                words
            }
            Rule::Policy(frames) => {
                let pairs: Vec<String> = frames
                    .iter()
                    .map(|(frame, interval)| match frame {
                        Some(frame) => format!("{}h:{}h", frame / HOUR, interval / HOUR),
                        None => format!("U:{}h", interval / HOUR),
                    })
                    .collect();
                vec![format!(
                    "--retention-policy={}",
                    pairs.join(",").replace(":0h", ":U")
                )]
            }
        }
    }

    /// For versions, newest first, by time and completeness, which of them stay.
    pub fn keeps(&self, versions: &[(i64, bool)], now: i64) -> Vec<bool> {
        match self {
            Rule::Versions(n) => {
                let mut full = 0;
                let each = versions.iter().map(|(_, is_full)| {
                    let before_first = full == 0 && !is_full;
                    let stays = before_first || *is_full && full < *n;
                    full += usize::from(*is_full);
                    stays
                });
                each.collect()
            }
            Rule::Time(age, tolerant) => {
                let more = if *tolerant { (age / 100).min(HOUR) } else { 0 };
                let (mut had_full, mut over) = (false, false);
                let each = versions.iter().map(|(time, is_full)| {
                    over |= *time < now - age - more && had_full;
                    had_full |= !over && *is_full;
                    !over
                });
                each.collect()
            }
            Rule::Policy(frames) => by_frames(frames, versions, now),
        }
    }

    /// As [`Rule::keeps`]; `all`: the newest version may go, too.
    pub fn keeps_if(&self, versions: &[(i64, bool)], now: i64, all: bool) -> Vec<bool> {
        let mut keep = self.keeps(versions, now);
        if let (Rule::Policy(frames), true, Some(newest)) = (self, all, versions.first())
            && frame_of(frames, newest.0, now).is_none()
        {
            keep[0] = false;
        }
        keep
    }
}

/// The frame, by number, of a version of `time`.
fn frame_of(frames: &[(Option<i64>, i64)], time: i64, now: i64) -> Option<usize> {
    frames
        .iter()
        .position(|(frame, _)| frame.is_none_or(|f| now - f <= time))
}

fn by_frames(frames: &[(Option<i64>, i64)], versions: &[(i64, bool)], now: i64) -> Vec<bool> {
    let mut keep = vec![false; versions.len()];
    for (at, (_, interval)) in frames.iter().enumerate() {
        let mut last: Option<i64> = None;
        for no in (1..versions.len()).rev() {
            let (time, is_full) = versions[no];
            if frame_of(frames, time, now) != Some(at) {
                continue;
            }
            let far = last.is_none_or(|last| time - last >= *interval);
            keep[no] = far || !is_full;
            if far && is_full {
                last = Some(time);
            }
        }
    }
    if let Some(newest) = keep.first_mut() {
        *newest = true;
    }
    keep
}
