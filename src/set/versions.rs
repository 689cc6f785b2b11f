//! Choosing versions by number or time (`commands.md` 4).

use crate::base::error::{Error, Kind, Result};
use crate::base::size::{nearly_span, not_whole};
use crate::base::sys;
use crate::base::text;
use crate::base::time::{Civil, Timestamp};

/// Which versions a command is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum VersionChoice {
    /// Nothing was said.
    Any,
    /// Numbers, 0 = newest.
    Numbers(Vec<usize>),
    /// The newest version at or before this time.
    At(Timestamp),
}

impl VersionChoice {
    /// From `--version` and `--time`; both together are refused.
    pub(crate) fn parse(
        version: Option<&str>,
        time: Option<&str>,
        now: Timestamp,
    ) -> Result<VersionChoice> {
        match (version, time) {
            (Some(_), Some(_)) => Err(Error::usage("--version and --time cannot be used together")),
            (Some(text), None) => Ok(VersionChoice::Numbers(parse_numbers(text)?.0)),
            (None, Some(text)) => parse_time(text, now).map(VersionChoice::At).ok_or_else(|| {
                let shown = text::safe_given(text, 40);
                let e = Error::usage(format!(
                    "--time={shown} is not valid: an age such as 3D or 12h, or a date such as 2026-03-01 or 2026-03-01T12:00 is expected"
                ));
                let meant = match text.trim().to_ascii_lowercase().as_str() {
                    "yesterday" => Some("1D".to_owned()),
                    "today" => Some("now".to_owned()),
                    _ => nearly_span(text),
                };
                match meant {
                    Some(meant) => e.hint(format!("is --time={meant} meant? units are case-sensitive: days are D")),
                    None => e.hint(not_whole(text)),
                }
            }),
            (None, None) => Ok(VersionChoice::Any),
        }
    }

    /// As [`VersionChoice::parse`] of `--version` alone; a number that is named twice is refused, as it may be a slip of the
    /// finger for another.
    pub(crate) fn distinct(version: &str) -> Result<VersionChoice> {
        match parse_numbers(version)? {
            (_, Some(twice)) => {
                let shown = text::safe_given(version, 40);
                Err(Error::usage(format!(
                    "--version={shown} names version {twice} twice"
                )))
            }
            (numbers, None) => Ok(VersionChoice::Numbers(numbers)),
        }
    }

    /// Version numbers, in the order given, of `times` (newest first). `Any` gives none. `Missing` when a number or time
    /// names no version.
    pub(crate) fn resolve(&self, times: &[Timestamp]) -> Result<Vec<usize>> {
        let have = || match times.len() {
            0 => "there are no versions".to_owned(),
            1 => "there is version 0 only".to_owned(),
            n => format!("there are versions 0 to {}", n - 1),
        };
        match self {
            VersionChoice::Any => Ok(Vec::new()),
            VersionChoice::Numbers(numbers) => match numbers.iter().find(|&&n| n >= times.len()) {
                Some(n) => Err(
                    Error::new(Kind::Missing, format!("version {n} does not exist")).hint(have()),
                ),
                None => Ok(numbers.clone()),
            },
            VersionChoice::At(time) => match times.iter().position(|t| t <= time) {
                Some(n) => Ok(vec![n]),
                None => Err(too_old(*time, times)),
            },
        }
    }
}

/// A time before that of all versions; `times` are newest first.
fn too_old(time: Timestamp, times: &[Timestamp]) -> Error {
    let oldest = times
        .last()
        .map(|t| format!("; the oldest is of {}", t.local()));
    let oldest = oldest.unwrap_or_default();
    let cause = format!("no version is as old as {}{oldest}", time.local());
    Error::new(Kind::Missing, cause)
}

/// The version that a word names: by its number, or the one nearest to a time (the newer of two). A number is
/// taken as it is; `times` are newest first. `Missing` for a time before all of them.
pub(crate) fn nearest_version(word: &str, times: &[Timestamp], now: Timestamp) -> Result<usize> {
    let word = word.trim();
    let short = word.len() < 9 && word.bytes().all(|b| b.is_ascii_digit());
    if let Some(no) = word.parse::<usize>().ok().filter(|_| short) {
        return Ok(no);
    }
    let Some(time) = parse_time(word, now) else {
        let shown = text::safe_given(word, 40);
        let e = Error::usage(format!(
            "{shown} is not valid: a version such as 0, an age such as 3D, or a date such as 2026-03-01 is expected"
        ));
        return Err(match nearly_span(word) {
            Some(meant) => e.hint(format!(
                "is {meant} meant? units are case-sensitive: days are D"
            )),
            None => e.hint(not_whole(word)),
        });
    };
    if times.last().is_some_and(|oldest| time < *oldest) {
        return Err(too_old(time, times));
    }
    let far = times.iter().map(|t| t.0.abs_diff(time.0));
    let nearest = far.enumerate().min_by_key(|(_, far)| *far);
    Ok(nearest.map_or(0, |(no, _)| no))
}

/// The numbers, each once, and one that is named more than once.
fn parse_numbers(text: &str) -> Result<(Vec<usize>, Option<usize>)> {
    let bad = || {
        let shown = text::safe_given(text, 40);
        Error::usage(format!(
            "--version={shown} is not valid: numbers and ranges such as 0 or 0,2-4 are expected"
        ))
        .hint("0 is the newest; 'duplet list URL' shows which there are")
    };
    let mut out: Vec<usize> = Vec::new();
    if ["latest", "newest"]
        .iter()
        .any(|w| text.trim().eq_ignore_ascii_case(w))
    {
        return Ok((vec![0], None));
    }
    let mut twice = None;
    for part in text.split(',') {
        let (a, b) = part.split_once('-').unwrap_or((part, part));
        let (a, b): (usize, usize) = (
            a.trim().parse().map_err(|_| bad())?,
            b.trim().parse().map_err(|_| bad())?,
        );
        if a.abs_diff(b) > 100_000 || out.len() > 100_000 {
            return Err(bad());
        }
        let range: Vec<usize> = if a <= b {
            (a..=b).collect()
        } else {
            (b..=a).rev().collect()
        };
        for n in range {
            match out.contains(&n) {
                true => twice = Some(n),
                false => out.push(n),
            }
        }
    }
    Ok((out, twice))
}

/// An age counted back from `now` (with or without `-`), Unix seconds from 10^8, `now`, or a date of `commands.md` 4. What is left
/// out at the end of a date is as late as it can be: a day means its last second, a minute its 59th.
pub(crate) fn parse_time(text: &str, now: Timestamp) -> Option<Timestamp> {
    let text = text.trim();
    if ["now", "latest", "newest"]
        .iter()
        .any(|w| text.eq_ignore_ascii_case(w))
    {
        return Some(now);
    }
    if let Some(t) = Timestamp::parse_compact(text.as_bytes()) {
        return Some(t);
    }
    if let Ok(n) = text.parse::<i64>() {
        return (n >= 100_000_000).then_some(Timestamp(n));
    }
    if let Some(t) = parse_date(text) {
        return Some(t);
    }
    let age = text.strip_prefix('-').unwrap_or(text);
    if age.is_empty() || !age.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let seconds = crate::base::size::parse_span(age)?;
    now.0.checked_sub(seconds).map(Timestamp)
}

fn parse_date(text: &str) -> Option<Timestamp> {
    let number = |s: &str, len: usize| {
        (s.len() == len && s.bytes().all(|b| b.is_ascii_digit()))
            .then(|| s.parse::<u32>().ok())
            .flatten()
    };
    let (date, rest) = text.split_at_checked(10)?;
    let mut parts = date.split('-');
    let (y, m, d) = (
        number(parts.next()?, 4)?,
        number(parts.next()?, 2)?,
        number(parts.next()?, 2)?,
    );
    let mut civil = Civil {
        year: i64::from(y),
        month: m,
        day: d,
        hour: 23,
        minute: 59,
        second: 59,
    };
    let mut zone: Option<i64> = None;
    if !rest.is_empty() {
        let mut clock = rest.strip_prefix(['T', 't', ' '])?;
        if let Some(body) = clock.strip_suffix(['Z', 'z']) {
            (clock, zone) = (body, Some(0));
        } else if let Some(at) = clock.find(['+', '-']) {
            let (body, offset) = clock.split_at(at);
            let sign = if offset.starts_with('-') { -1 } else { 1 };
            let (h, min) = offset[1..].split_once(':')?;
            zone = Some(sign * i64::from(number(h, 2)? * 3600 + number(min, 2)? * 60));
            clock = body;
        }
        let mut fields = clock.split(':');
        civil.hour = number(fields.next()?, 2)?;
        civil.minute = number(fields.next()?, 2)?;
        civil.second = fields.next().map_or(Some(59), |s| number(s, 2))?;
        if fields.next().is_some() {
            return None;
        }
    }
    let as_utc = civil.to_unix()?;
    let offset = zone.unwrap_or_else(|| sys::utc_offset(as_utc - sys::utc_offset(as_utc)));
    Some(Timestamp(as_utc - offset))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_774_958_400);

    #[test]
    fn times() {
        for (text, want) in [
            ("2D", Some(NOW.0 - 172_800)),
            ("-2D", Some(NOW.0 - 172_800)),
            ("12h", Some(NOW.0 - 43_200)),
            ("now", Some(NOW.0)),
            ("20240131T123456Z", Some(1_706_704_496)),
            ("2024-01-31T12:34:56Z", Some(1_706_704_496)),
            ("2024-01-31 14:34:56+02:00", Some(1_706_704_496)),
            ("1706704496", Some(1_706_704_496)),
            ("12345", None),
            ("yesterday", None),
            ("2024-02-30", None),
            ("", None),
        ] {
            assert_eq!(parse_time(text, NOW), want.map(Timestamp), "{text}");
        }
    }

    #[test]
    fn what_a_date_leaves_out_is_as_late_as_it_can_be() {
        for (text, whole) in [
            ("2024-01-31", "2024-01-31 23:59:59"),
            ("2024-02-29", "2024-02-29T23:59:59"),
            ("2024-12-31", "2024-12-31 23:59:59"),
            ("2024-01-31T12:34", "2024-01-31T12:34:59"),
            ("2024-01-31 12:34Z", "2024-01-31 12:34:59Z"),
            ("2024-01-31 00:00+02:00", "2024-01-31 00:00:59+02:00"),
        ] {
            let got = parse_time(text, NOW);
            assert!(got.is_some(), "{text}");
            assert_eq!(got, parse_time(whole, NOW), "{text}");
        }
        let day = |t| parse_time(t, NOW).expect("a day").0;
        assert!(day("2024-01-31") < day("2024-02-01 00:00:00"));
        assert!(day("2024-01-31") > day("2024-01-31 23:59:00"));
    }

    #[test]
    fn numbers_and_ranges() {
        let parse = |t: &str| VersionChoice::parse(Some(t), None, NOW);
        assert_eq!(
            parse("0,2-4,7").expect("good"),
            VersionChoice::Numbers(vec![0, 2, 3, 4, 7])
        );
        assert_eq!(
            parse("4-2").expect("good"),
            VersionChoice::Numbers(vec![4, 3, 2])
        );
        assert!(parse("x").is_err() && parse("1-").is_err() && parse("").is_err());
        assert!(VersionChoice::parse(Some("0"), Some("1D"), NOW).is_err());
    }

    #[test]
    fn of_a_time_the_nearest_version_is_meant() {
        let times = [3, 2, 1].map(|days| Timestamp(NOW.0 - 86_400 * (10 - days)));
        let pick = |word: &str| nearest_version(word, &times, NOW).ok();
        for (word, want) in [
            ("0", Some(0)),
            ("17", Some(17)),
            ("now", Some(0)),
            ("7D", Some(0)),
            ("8D", Some(1)),
            ("8D13h", Some(2)),
            ("8D12h", Some(1)),
            ("9D", Some(2)),
            ("9D1s", None),
            ("-100D", None),
            ("1970-01-01", None),
            ("3d", None),
            ("yesterday", None),
            ("", None),
        ] {
            assert_eq!(pick(word), want, "{word}");
        }
        let e = nearest_version("5Y", &times, NOW).expect_err("too old");
        assert_eq!(e.kind(), Kind::Missing);
        assert!(e.to_string().contains("; the oldest is of "), "{e}");
        assert_eq!(nearest_version("5Y", &[], NOW).ok(), Some(0));
    }

    #[test]
    fn a_number_named_twice_is_refused_where_it_matters() {
        let numbers = VersionChoice::Numbers(vec![0, 2, 3]);
        assert_eq!(VersionChoice::distinct("0,2-3").expect("good"), numbers);
        for twice in ["1,1", "0-2,2", "3,4-2"] {
            let e = VersionChoice::distinct(twice).err().map(|e| e.to_string());
            assert!(e.is_some_and(|e| e.contains("twice")), "{twice}");
        }
        assert!(VersionChoice::distinct("x").is_err());
    }

    #[test]
    fn versions_must_exist() {
        let times = [Timestamp(300), Timestamp(200), Timestamp(100)];
        let pick = |c: VersionChoice| c.resolve(&times);
        assert_eq!(
            pick(VersionChoice::Numbers(vec![2, 0])).expect("there"),
            [2, 0]
        );
        assert_eq!(pick(VersionChoice::At(Timestamp(250))).expect("there"), [1]);
        assert_eq!(
            pick(VersionChoice::Numbers(vec![3]))
                .expect_err("absent")
                .to_string(),
            "version 3 does not exist (there are versions 0 to 2)"
        );
        assert_eq!(
            pick(VersionChoice::At(Timestamp(99)))
                .expect_err("absent")
                .kind(),
            Kind::Missing
        );
    }
}
