//! When to try again (`destinations-core.md` 0.4): which faults, how often, after which wait. Sleeps nowhere itself.

use std::time::Duration;

use crate::base::fault::{Class, Fault};
use crate::base::opt::{Kind, Opt, Options, row};
use crate::base::size::show_span;

pub(crate) const RETRIES: Opt = row(
    "number-of-retries",
    Kind::Int(0),
    "5",
    "How often a failed operation on the destination is tried again.",
);
pub(crate) const DELAY: Opt = row(
    "retry-delay",
    Kind::Span,
    "10s",
    "Wait before an operation is tried again.",
);
pub(crate) const EXPONENTIAL: Opt = row(
    "retry-with-exponential-backoff",
    Kind::Flag,
    "",
    "Double the wait after each failure.",
);

/// A server that asks for a longer wait than this is taken as down.
const LONGEST_ASKED: Duration = Duration::from_secs(600);
/// Least wait before a server that is too busy is asked again, and the wait where it does not say how long.
const SLOW_DOWN: Duration = Duration::from_secs(1);
/// Wait before a destination that nothing was heard of in this run, and that refuses connections, is tried once more.
const SHORT_WAIT: Duration = Duration::from_secs(1);
/// No configured wait gets longer than this.
const LONGEST_WAIT: Duration = Duration::from_secs(86_400);

/// The rules of a run.
#[derive(Clone, Copy)]
pub(crate) struct Policy {
    /// Attempts after the first.
    pub(crate) retries: u64,
    /// Wait before an attempt.
    pub(crate) delay: Duration,
    /// Double the wait each time.
    pub(crate) exponential: bool,
    /// The number of attempts was asked for: it is kept whatever the fault.
    pub(crate) chosen: bool,
}

impl Policy {
    pub(crate) fn new(options: &Options) -> Policy {
        let delay = options.span(&DELAY).unwrap_or(10);
        Policy {
            retries: options.int(&RETRIES).unwrap_or(5),
            delay: Duration::from_secs(u64::try_from(delay).unwrap_or(0)),
            exponential: options.flag(&EXPONENTIAL),
            chosen: options.given(RETRIES.name).is_some(),
        }
    }
}

/// The attempts of one operation.
pub(crate) struct Attempts {
    policy: Policy,
    /// Failed ones since the start or the last [`Attempts::reset`].
    failed: u64,
    /// A fault that is retried only once has been seen.
    once: bool,
    /// The last one was of that kind, so that the next attempt is the last.
    last: bool,
}

impl Attempts {
    pub(crate) fn new(policy: Policy) -> Attempts {
        Attempts {
            policy,
            failed: 0,
            once: false,
            last: false,
        }
    }

    /// Counts a failure: the wait before the next attempt, or the fault as it becomes final. `heard`: the destination has
    /// answered something in this run, so that it exists.
    pub(crate) fn failed(&mut self, fault: Fault, heard: bool) -> Result<(Duration, Fault), Fault> {
        self.failed = self.failed.saturating_add(1);
        self.last = false;
        let asked = match fault.class {
            Class::Refused | Class::NoHost if !heard && !self.policy.chosen => {
                if self.once || self.policy.retries == 0 {
                    return Err(self.counted(fault));
                }
                (self.once, self.last) = (true, true);
                return Ok((self.wait().min(SHORT_WAIT), fault));
            }
            Class::Transient | Class::Refused | Class::NoHost => Duration::ZERO,
            Class::Throttled(asked) => asked.unwrap_or(SLOW_DOWN).max(SLOW_DOWN),
            Class::Integrity | Class::Protocol if !self.once => {
                (self.once, self.last) = (true, true);
                return if self.policy.retries == 0 {
                    Err(fault)
                } else {
                    Ok((self.wait(), fault))
                };
            }
            _ => return Err(fault),
        };
        if asked > LONGEST_ASKED {
            let text = format!(
                "{}; the server asks to wait {}",
                fault.text,
                show_span(asked.as_secs())
            );
            return Err(Fault { text, ..fault });
        }
        if self.failed > self.policy.retries {
            return Err(self.counted(fault));
        }
        Ok((self.wait().max(asked), fault))
    }

    /// As [`Attempts::failed`] for a file that is not there although a listing shows it: object stores and caches in front of
    /// servers say so for a moment. Counts as a passing fault, with `once` as one that gets a single further chance.
    pub(crate) fn absent(&mut self, fault: Fault, once: bool) -> Result<(Duration, Fault), Fault> {
        let class = fault.class;
        let passing = if once {
            Class::Protocol
        } else {
            Class::Transient
        };
        let as_it_was = |fault: Fault| Fault { class, ..fault };
        let counted = Fault {
            class: passing,
            ..fault
        };
        match self.failed(counted, true) {
            Ok((wait, fault)) => Ok((wait, as_it_was(fault))),
            Err(fault) => Err(as_it_was(fault)),
        }
    }

    /// A final fault with the number of attempts.
    fn counted(&self, fault: Fault) -> Fault {
        if self.failed < 2 {
            return fault;
        }
        let text = format!("{}, {} attempts", fault.text, self.failed);
        Fault { text, ..fault }
    }

    fn wait(&self) -> Duration {
        if !self.policy.exponential {
            return self.policy.delay.min(LONGEST_WAIT);
        }
        let shift = u32::try_from(self.failed.saturating_sub(1).min(10)).unwrap_or(10);
        self.policy
            .delay
            .saturating_mul(1 << shift)
            .min(LONGEST_WAIT)
    }

    /// Progress was made: the count starts again.
    pub(crate) fn reset(&mut self) {
        self.failed = 0;
    }

    /// Failures counted since the start or the last reset.
    pub(crate) fn count(&self) -> u64 {
        self.failed
    }

    /// `attempt 2 of 6`.
    pub(crate) fn next_of(&self) -> String {
        let next = self.failed.saturating_add(1);
        let all = match self.last {
            true => next,
            false => self.policy.retries.saturating_add(1),
        };
        format!("attempt {next} of {all}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attempts(retries: u64, delay: u64, exponential: bool) -> Attempts {
        Attempts::new(Policy {
            retries,
            delay: Duration::from_secs(delay),
            exponential,
            chosen: false,
        })
    }

    fn fault(class: Class) -> Fault {
        Fault::new(class, "why")
    }

    #[test]
    fn transient_faults_are_retried_as_often_as_configured() {
        let mut a = attempts(2, 10, false);
        for _ in 0..2 {
            let (wait, _) = a.failed(fault(Class::Transient), true).expect("again");
            assert_eq!(wait, Duration::from_secs(10));
        }
        let end = a.failed(fault(Class::Transient), true).expect_err("final");
        assert_eq!(end.text, "why, 3 attempts");
        let end = attempts(0, 10, false)
            .failed(fault(Class::Transient), true)
            .expect_err("final");
        assert_eq!(end.text, "why");
    }

    #[test]
    fn backoff_doubles_ten_times_at_most() {
        let mut a = attempts(20, 1, true);
        let waits: Vec<u64> = (0..13)
            .map(|_| {
                let (wait, _) = a.failed(fault(Class::Transient), true).expect("again");
                wait.as_secs()
            })
            .collect();
        assert_eq!(
            waits,
            [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 1024, 1024]
        );
    }

    #[test]
    fn other_classes_are_final_or_get_one_more_chance() {
        for class in [
            Class::Usage,
            Class::Auth,
            Class::FolderMissing,
            Class::NotFound,
            Class::Full,
            Class::TooBig,
            Class::Locked,
            Class::Archived,
            Class::Tls,
            Class::Local,
            Class::Endless,
            Class::Unsupported,
            Class::Stopped,
        ] {
            assert!(attempts(5, 0, false).failed(fault(class), true).is_err());
        }
        for class in [Class::Integrity, Class::Protocol] {
            let mut a = attempts(5, 0, false);
            assert!(a.failed(fault(class), true).is_ok());
            assert!(a.failed(fault(class), true).is_err());
        }
    }

    #[test]
    fn a_listed_file_that_is_absent_may_come_back() {
        for class in [Class::NotFound, Class::FolderMissing] {
            let mut a = attempts(2, 10, false);
            for _ in 0..2 {
                let (wait, again) = a.absent(fault(class), false).expect("again");
                assert_eq!((wait, again.class), (Duration::from_secs(10), class));
            }
            let end = a.absent(fault(class), false).expect_err("final");
            assert_eq!((end.class, end.text.as_str()), (class, "why, 3 attempts"));
            let mut a = attempts(5, 0, false);
            assert!(a.absent(fault(class), true).is_ok());
            assert!(a.absent(fault(class), true).is_err());
            assert!(attempts(0, 0, false).absent(fault(class), true).is_err());
        }
    }

    #[test]
    fn a_server_may_ask_for_a_longer_wait_up_to_ten_minutes() {
        let asked = |s| fault(Class::Throttled(Some(Duration::from_secs(s))));
        let mut a = attempts(5, 10, false);
        assert_eq!(
            a.failed(asked(30), true).expect("again").0,
            Duration::from_secs(30)
        );
        assert_eq!(
            a.failed(asked(2), true).expect("again").0,
            Duration::from_secs(10)
        );
        let end = a.failed(asked(3600), true).expect_err("final");
        assert!(end.text.contains("asks to wait 1h00m"), "{}", end.text);
    }

    #[test]
    fn nobody_there_is_final_after_one_short_retry() {
        let refused = || fault(Class::Refused);
        let mut a = attempts(5, 10, false);
        let (wait, _) = a.failed(refused(), false).expect("once more");
        assert_eq!((wait, a.next_of().as_str()), (SHORT_WAIT, "attempt 2 of 2"));
        let end = a.failed(refused(), false).expect_err("final");
        assert_eq!(end.text, "why, 2 attempts");
        let mut a = attempts(5, 0, false);
        assert_eq!(a.failed(refused(), false).expect("again").0, Duration::ZERO);
        assert!(attempts(0, 10, false).failed(refused(), false).is_err());

        // It has answered before: it comes back.
        let mut a = attempts(2, 10, false);
        for _ in 0..2 {
            let (wait, _) = a.failed(refused(), true).expect("again");
            assert_eq!(wait, Duration::from_secs(10));
        }
        assert!(a.failed(refused(), true).is_err());

        let mut a = attempts(2, 10, false);
        a.policy.chosen = true;
        assert!(a.failed(refused(), false).is_ok());
        assert_eq!(a.next_of(), "attempt 2 of 3");
        assert!(a.failed(refused(), false).is_ok());
        assert!(a.failed(refused(), false).is_err());
    }
}
