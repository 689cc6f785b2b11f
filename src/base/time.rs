//! Times: [`Timestamp`] (UTC seconds, as in names and dlists), ticks (100 ns since year 1, as in metadata), civil dates.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::base::sys;

/// Ticks of 1970-01-01T00:00:00Z (`format.md` 11).
const UNIX_EPOCH_TICKS: i64 = 621_355_968_000_000_000;
/// Last tick of the year 9999, the end of .NET's time.
const MAX_TICKS: i64 = 3_155_378_975_999_999_999;
/// First and last second of the years 1 to 9999.
const FIRST: i64 = -62_135_596_800;
const LAST: i64 = 253_402_300_799;

/// Seconds since 1970-01-01T00:00:00Z; may be negative.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Timestamp(pub(crate) i64);

impl Timestamp {
    /// The clock, rounded down to a second.
    pub(crate) fn now() -> Timestamp {
        let seconds = match SystemTime::now().duration_since(UNIX_EPOCH) {
            Ok(d) => i64::try_from(d.as_secs()).unwrap_or(i64::MAX),
            Err(e) => i64::try_from(e.duration().as_secs()).map_or(i64::MIN, |s| -s),
        };
        Timestamp(seconds)
    }

    /// `yyyyMMddTHHmmssZ`, exactly 16 bytes.
    pub(crate) fn parse_compact(text: &[u8]) -> Option<Timestamp> {
        if text.len() != 16 || text[8] != b'T' || text[15] != b'Z' {
            return None;
        }
        let number = |range: std::ops::Range<usize>| {
            text[range].iter().try_fold(0u32, |n, &c| {
                c.is_ascii_digit().then(|| n * 10 + u32::from(c - b'0'))
            })
        };
        let civil = Civil {
            year: i64::from(number(0..4)?),
            month: number(4..6)?,
            day: number(6..8)?,
            hour: number(9..11)?,
            minute: number(11..13)?,
            second: number(13..15)?,
        };
        civil.to_unix().map(Timestamp)
    }

    /// `yyyyMMddTHHmmssZ`; years outside 1..=9999 are clamped.
    pub(crate) fn compact(self) -> String {
        let c = Civil::from_unix(self.0.clamp(FIRST, LAST));
        format!(
            "{:04}{:02}{:02}T{:02}{:02}{:02}Z",
            c.year, c.month, c.day, c.hour, c.minute, c.second
        )
    }

    /// `YYYY-MM-DD HH:MM:SS` in the machine's time zone; clamped as [`Timestamp::compact`].
    pub(crate) fn local(self) -> String {
        self.wall().to_string()
    }

    /// What a clock on the wall shows in the machine's time zone; clamped as [`Timestamp::compact`].
    pub(crate) fn wall(self) -> Wall {
        let at = self.0.clamp(FIRST, LAST);
        Wall(at + sys::utc_offset(at)).clamped()
    }

    /// `YYYY-MM-DDTHH:MM:SSZ`, for `--json`; clamped as [`Timestamp::compact`].
    pub(crate) fn iso(self) -> String {
        let c = Civil::from_unix(self.0.clamp(FIRST, LAST));
        format!(
            "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z",
            c.year, c.month, c.day, c.hour, c.minute, c.second
        )
    }
}

/// Date and time of day of a clock on the wall, as the seconds since 1970 that they would be if it showed UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Wall(pub(crate) i64);

impl Wall {
    /// Within the years 1 to 9999.
    pub(crate) fn clamped(self) -> Wall {
        Wall(self.0.clamp(FIRST, LAST))
    }

    /// The same day and time so many months earlier (later if negative), or the last day of a month that has no such day;
    /// clamped.
    pub(crate) fn months_back(self, months: i64) -> Wall {
        let from = Civil::from_unix(self.clamped().0);
        let month = (from.year * 12 + i64::from(from.month) - 1).saturating_sub(months);
        let year = month.div_euclid(12);
        if !(1..=9999).contains(&year) {
            return Wall(if year < 1 { FIRST } else { LAST });
        }
        let month = u32::try_from(month.rem_euclid(12)).unwrap_or(0) + 1;
        // No month is shorter than 28 days.
        let at = (0..4).find_map(|less| {
            let day = from.day.saturating_sub(less).max(1);
            Civil {
                year,
                month,
                day,
                ..from
            }
            .to_unix()
        });
        Wall(at.unwrap_or(self.0))
    }
}

/// `YYYY-MM-DD HH:MM:SS`; clamped.
impl std::fmt::Display for Wall {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let c = Civil::from_unix(self.clamped().0);
        write!(
            f,
            "{:04}-{:02}-{:02} {:02}:{:02}:{:02}",
            c.year, c.month, c.day, c.hour, c.minute, c.second
        )
    }
}

/// A date and time of day without a zone, proleptic Gregorian.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Civil {
    pub(crate) year: i64,
    pub(crate) month: u32,
    pub(crate) day: u32,
    pub(crate) hour: u32,
    pub(crate) minute: u32,
    pub(crate) second: u32,
}

impl Civil {
    /// Seconds since 1970 read as UTC; `None` when a field is out of range (a leap second counts as 59).
    pub(crate) fn to_unix(self) -> Option<i64> {
        let leap = self.year % 4 == 0 && (self.year % 100 != 0 || self.year % 400 == 0);
        let month_days = match self.month {
            2 => 28 + u32::from(leap),
            4 | 6 | 9 | 11 => 30,
            1..=12 => 31,
            _ => return None,
        };
        if self.day == 0
            || self.day > month_days
            || self.hour > 23
            || self.minute > 59
            || self.second > 60
        {
            return None;
        }
        let y = self.year - i64::from(self.month <= 2);
        let era = y.div_euclid(400);
        let year_of_era = y.rem_euclid(400);
        let day_of_year = i64::from(
            (153 * (self.month + if self.month > 2 { 0 } else { 12 } - 3) + 2) / 5 + self.day - 1,
        );
        let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
        let days = era * 146_097 + day_of_era - 719_468;
        Some(days * 86_400 + i64::from(self.hour * 3600 + self.minute * 60 + self.second.min(59)))
    }

    /// The inverse of [`Civil::to_unix`].
    pub(crate) fn from_unix(seconds: i64) -> Civil {
        let narrow = |n: i64| u32::try_from(n).unwrap_or(0);
        let days = seconds.div_euclid(86_400) + 719_468;
        let of_day = seconds.rem_euclid(86_400);
        let era = days.div_euclid(146_097);
        let day_of_era = days.rem_euclid(146_097);
        let year_of_era =
            (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let mp = (5 * day_of_year + 2) / 153;
        let month = if mp < 10 { mp + 3 } else { mp - 9 };
        Civil {
            year: year_of_era + era * 400 + i64::from(month <= 2),
            month: narrow(month),
            day: narrow(day_of_year - (153 * mp + 2) / 5 + 1),
            hour: narrow(of_day / 3600),
            minute: narrow(of_day / 60 % 60),
            second: narrow(of_day % 60),
        }
    }
}

/// Ticks of a Unix time in seconds and nanoseconds; clamped to the years 1 to 9999, as no reader of the format takes others, and
/// never 0, which means unknown.
pub(crate) fn ticks_from_unix(seconds: i64, nanoseconds: u32) -> i64 {
    seconds
        .saturating_mul(10_000_000)
        .saturating_add(i64::from(nanoseconds / 100))
        .saturating_add(UNIX_EPOCH_TICKS)
        .clamp(1, MAX_TICKS)
}

/// Unix seconds (rounded down) and nanoseconds of ticks, clamped to the years 1 to 9999.
pub(crate) fn unix_from_ticks(ticks: i64) -> (i64, u32) {
    let since = ticks.clamp(0, MAX_TICKS) - UNIX_EPOCH_TICKS;
    let nanos = since.rem_euclid(10_000_000) * 100;
    (
        since.div_euclid(10_000_000),
        u32::try_from(nanos).unwrap_or(0),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_outside_the_years_1_to_9999_are_clamped() {
        for (seconds, ticks, local) in [
            (i64::MIN, 1, "0001-01-01 00:00:00"),
            (FIRST - 1, 1, "0001-01-01 00:00:00"),
            (LAST, MAX_TICKS - 9_999_999, "9999-12-31 23:59:59"),
            (LAST + 1, MAX_TICKS, "9999-12-31 23:59:59"),
            (400_000_000_000, MAX_TICKS, "9999-12-31 23:59:59"),
            (i64::MAX, MAX_TICKS, "9999-12-31 23:59:59"),
        ] {
            assert_eq!(ticks_from_unix(seconds, 0), ticks, "{seconds}");
            assert_eq!(
                Timestamp(seconds).iso(),
                format!("{}Z", local.replace(' ', "T"))
            );
            assert_eq!(Timestamp(seconds).local().len(), local.len());
            assert_eq!(Timestamp(seconds).compact().len(), 16);
        }
        for ticks in [i64::MIN, -1, 0, 1, MAX_TICKS, MAX_TICKS + 1, i64::MAX] {
            let (seconds, nanos) = unix_from_ticks(ticks);
            assert!(
                (FIRST..=LAST).contains(&seconds) && nanos < 1_000_000_000,
                "{ticks}"
            );
        }
    }

    #[test]
    fn compact_both_ways() {
        for (text, unix) in [
            ("19700101T000000Z", 0),
            ("20240131T123456Z", 1_706_704_496),
            ("20000229T235959Z", 951_868_799),
            ("19691231T235959Z", -1),
        ] {
            assert_eq!(
                Timestamp::parse_compact(text.as_bytes()),
                Some(Timestamp(unix))
            );
            assert_eq!(Timestamp(unix).compact(), text);
        }
        for bad in [
            "20240230T000000Z",
            "20240131T240000Z",
            "20240131 123456Z",
            "2024013AT123456Z",
            "20240131T123456",
            "",
        ] {
            assert_eq!(Timestamp::parse_compact(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn every_day_of_eight_centuries() {
        let mut day = Civil {
            year: 1600,
            month: 1,
            day: 1,
            hour: 0,
            minute: 0,
            second: 0,
        }
        .to_unix()
        .expect("a date");
        for _ in 0..292_194 {
            let c = Civil::from_unix(day);
            assert_eq!(c.to_unix(), Some(day));
            day += 86_400;
        }
        assert_eq!(Civil::from_unix(day).year, 2400);
    }

    #[test]
    fn months_go_back_to_a_day_that_is_there() {
        let wall = |t: &str| Wall(Timestamp::parse_compact(t.as_bytes()).expect("a time").0);
        for (from, months, want) in [
            ("20240331T113000Z", 1, "20240229T113000Z"),
            ("20230331T113000Z", 1, "20230228T113000Z"),
            ("20240531T000000Z", 1, "20240430T000000Z"),
            ("20240115T235959Z", 1, "20231215T235959Z"),
            ("20240229T110000Z", 12, "20230228T110000Z"),
            ("20240131T000000Z", -1, "20240229T000000Z"),
            ("20240131T000000Z", 0, "20240131T000000Z"),
        ] {
            assert_eq!(wall(from).months_back(months), wall(want), "{from}");
        }
        assert_eq!(Wall(0).months_back(i64::MAX), Wall(FIRST));
        assert_eq!(Wall(0).months_back(i64::MIN + 1), Wall(LAST));
    }

    /// `format.md` 22.
    #[test]
    fn ticks() {
        assert_eq!(
            ticks_from_unix(1_706_704_496, 123_456_789),
            638_423_012_961_234_567
        );
        assert_eq!(
            unix_from_ticks(638_423_012_961_234_567),
            (1_706_704_496, 123_456_700)
        );
        assert_eq!(ticks_from_unix(0, 0), 621_355_968_000_000_000);
        assert_eq!(unix_from_ticks(ticks_from_unix(-5, 300)), (-5, 300));
    }
}
