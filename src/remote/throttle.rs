//! Pacing of transfers: a token bucket (`destinations-core.md` 0.5). Only computes waits; it does not sleep.

use std::time::Duration;

/// Lets `rate` bytes a second pass on average; 0 = everything at once.
pub(crate) struct Throttle {
    rate: u64,
    /// Bytes that may pass now; negative = a debt to be waited for.
    level: i128,
    last: Duration,
}

impl Throttle {
    /// `rate` in bytes a second.
    pub(crate) fn new(rate: u64) -> Throttle {
        Throttle {
            rate,
            level: i128::from(Throttle::cap(rate)),
            last: Duration::ZERO,
        }
    }

    fn cap(rate: u64) -> u64 {
        rate.max(64 * 1024)
    }

    /// Takes `bytes` at the time `now` (any steady clock) and says how long to wait before going on.
    pub(crate) fn take(&mut self, bytes: u64, now: Duration) -> Duration {
        if self.rate == 0 {
            return Duration::ZERO;
        }
        let gained = now.saturating_sub(self.last).as_micros() * u128::from(self.rate) / 1_000_000;
        if gained > 0 {
            self.last = now;
        }
        let gained = i128::try_from(gained).unwrap_or(i128::MAX / 4);
        self.level = self
            .level
            .saturating_add(gained)
            .min(i128::from(Throttle::cap(self.rate)))
            - i128::from(bytes);
        if self.level >= 0 {
            return Duration::ZERO;
        }
        let micros = self.level.unsigned_abs() * 1_000_000 / u128::from(self.rate);
        Duration::from_micros(u64::try_from(micros).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_average_is_kept_after_the_first_second() {
        let mut t = Throttle::new(100_000);
        let mut now = Duration::ZERO;
        for _ in 0..100 {
            now += t.take(16_384, now);
        }
        let bytes = 100 * 16_384 - 100_000;
        let want = Duration::from_micros(bytes * 10);
        assert!(now >= want - Duration::from_millis(1) && now <= want + Duration::from_millis(200));
    }

    #[test]
    fn off_never_waits_and_a_long_pause_gives_no_more_than_the_bucket() {
        let mut off = Throttle::new(0);
        assert_eq!(off.take(u64::MAX, Duration::ZERO), Duration::ZERO);
        let mut t = Throttle::new(1000);
        assert_eq!(t.take(65_536, Duration::from_secs(9999)), Duration::ZERO);
        assert_eq!(
            t.take(1000, Duration::from_secs(9999)),
            Duration::from_secs(1)
        );
    }
}
