//! Pacing of transfers: a token bucket (`destinations-core.md` 0.5) that is empty at first and holds little, so that neither the
//! first second nor one after a pause may carry more than any other. Only computes waits; it does not sleep.

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
            level: 0,
            last: Duration::ZERO,
        }
    }

    pub(crate) fn is_limited(&self) -> bool {
        self.rate > 0
    }

    /// What a pause may save up: an eighth of a second.
    fn cap(rate: u64) -> u64 {
        rate / 8
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

    /// Time that so many pieces take from `now` on.
    fn span(t: &mut Throttle, pieces: u64, piece: u64, begun: Duration) -> Duration {
        let mut now = begun;
        for _ in 0..pieces {
            now += t.take(piece, now);
        }
        now - begun
    }

    #[test]
    fn no_second_carries_more_than_the_rate_and_an_eighth() {
        for rate in [1000, 100_000, 4 << 20, 1 << 30] {
            for piece in [1, 1000, 16_384, 65_536] {
                let mut t = Throttle::new(rate);
                let pieces = (2 * rate / piece).clamp(1, 5000);
                let micros = u128::from(pieces * piece) * 1_000_000 / u128::from(rate);
                let exact = Duration::from_micros(u64::try_from(micros).expect("short"));
                let near = Duration::from_millis(2);
                let took = span(&mut t, pieces, piece, Duration::ZERO);
                assert!(
                    took + near >= exact && took <= exact + near,
                    "the first second counts: {rate} {piece} {took:?} {exact:?}"
                );
                let later = Duration::from_secs(9999);
                let took = span(&mut t, pieces, piece, later);
                let saved = Duration::from_millis(125);
                assert!(
                    took + saved + near >= exact,
                    "after a pause: {rate} {piece}"
                );
                assert!(took <= exact + near);
            }
        }
    }

    #[test]
    fn off_never_waits() {
        let mut off = Throttle::new(0);
        assert_eq!(off.take(u64::MAX, Duration::ZERO), Duration::ZERO);
    }

    #[test]
    fn a_clock_that_is_read_often_gains_nothing() {
        let mut t = Throttle::new(1000);
        let wait = t.take(1000, Duration::ZERO);
        assert_eq!(wait, Duration::from_secs(1));
        for micros in 0..500 {
            t.take(0, Duration::from_micros(micros));
        }
        let wait = t.take(0, Duration::from_micros(500_000));
        let want = Duration::from_millis(500);
        assert!(wait.abs_diff(want) < Duration::from_millis(2), "{wait:?}");
    }
}
