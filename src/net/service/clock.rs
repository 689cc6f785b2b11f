//! The time of requests that are signed with it: by our clock, or by the server's where ours turned out to be wrong.

use crate::base::time::Timestamp;

/// A clock for one server.
#[derive(Default)]
pub(crate) struct Clock {
    /// How far the server's clock is ahead, in seconds, once that is known to matter.
    ahead: Option<i64>,
    told: bool,
}

impl Clock {
    /// Seconds that the server's clock is ahead; 0 as long as nothing else is known.
    pub(crate) fn ahead(&self) -> i64 {
        self.ahead.unwrap_or(0)
    }

    /// Seconds since 1970.
    pub(crate) fn now(&self) -> i64 {
        Timestamp::now().0.saturating_add(self.ahead())
    }

    /// Goes by the server's date (seconds since 1970) from now on if it is further off than so many seconds. False when it is
    /// not, or when that was found out before: a clock is set once.
    pub(crate) fn learn(&mut self, date: Option<i64>, tolerance: u64) -> bool {
        let ahead = date.map_or(0, |date| date.saturating_sub(Timestamp::now().0));
        let sets = self.ahead.is_none() && ahead.unsigned_abs() > tolerance;
        if sets {
            self.ahead = Some(ahead);
        }
        sets
    }

    /// A line for the user, once.
    pub(crate) fn notice(&mut self) -> Option<String> {
        let off = self.ahead.filter(|_| !self.told)?.unsigned_abs();
        self.told = true;
        Some(format!(
            "device clock is off by {off} s; the server's clock is used for its requests"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_is_set_once_and_told_once() {
        let now = Timestamp::now().0;
        let mut clock = Clock::default();
        assert!(!clock.learn(None, 900) && !clock.learn(Some(now + 600), 900));
        assert_eq!((clock.ahead(), clock.notice()), (0, None));
        assert!(clock.learn(Some(now - 7200), 900));
        assert!((-7201..=-7199).contains(&clock.ahead()));
        assert!(clock.now() < now - 7000);
        assert!(clock.notice().is_some_and(|line| line.contains("off by 7")));
        assert!(!clock.learn(Some(now + 7200), 900));
        assert_eq!(clock.notice(), None);
    }
}
