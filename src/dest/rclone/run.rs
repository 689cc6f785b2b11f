//! A running rclone: what it is given, what it says, and how it ended. Every wait has an end.
//!
//! Memory: 64 KiB of its output, and the last 8 KiB of what it says beside that, with one read beyond.

use std::io::{self, Read};
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use crate::base::error::io_text;
use crate::base::fault::{Class, Done, Fault};
use crate::base::program;
use crate::base::size::show_span;
use crate::base::sys::{self, Moved, Piped};
use crate::base::text;
use crate::dest::known;
use crate::dest::rclone::config::Setup;
use crate::dest::rclone::told;
use crate::net::service::Verb;

/// What is kept of its standard error, in bytes.
const ERRORS_MAX: usize = 8 << 10;
/// Time to end, once it has said all.
const FAREWELL: Duration = Duration::from_secs(10);

/// What is said of one that was too slow.
pub(super) const LATE: &str = "rclone has not come to its end within";

/// A process of rclone.
pub(super) struct Run {
    child: Piped,
    output: Vec<u8>,
    /// Bytes of the output that were taken.
    at: usize,
    pub(super) errors: Vec<u8>,
    ended: bool,
    /// Longest wait without a byte moved, and the end of all waiting.
    pause: Duration,
    end: Option<Instant>,
    whole: Duration,
}

impl Run {
    /// Starts rclone with these arguments and, beside those of the remote, these variables. `pause`, `whole`: see [`Run`].
    pub(super) fn start(
        setup: &Setup,
        arguments: &[&str],
        target: &str,
        more: &[(&str, String)],
        (pause, whole): (Duration, Option<Duration>),
    ) -> Done<Run> {
        let path = match setup.program.contains('/') {
            true => Some(setup.program.clone().into()),
            false => program::find(&setup.program),
        };
        let path = path.ok_or_else(|| missing(setup, "in no folder of PATH"))?;
        let mut words = vec![path.to_string_lossy().into_owned()];
        let own = ["--retries", "1", "--low-level-retries", "3"];
        words.extend(arguments.iter().chain(&own).map(|&word| word.to_owned()));
        words.extend(setup.words.iter().cloned());
        words.extend((!target.is_empty()).then(|| target.to_owned()));
        let mut set = setup.environment();
        set.extend(more.iter().map(|(name, value)| (*name, value.clone())));
        // Settings of rclone are for rclone; whatever else is secret is not.
        let unset = |name: &str| program::is_secret(name) && !name.starts_with("RCLONE_");
        let child = Piped::start(&words, &set, &unset).map_err(|e| missing(setup, &io_text(&e)))?;
        Ok(Run {
            child,
            output: Vec::new(),
            at: 0,
            errors: Vec::new(),
            ended: false,
            pause,
            end: whole.and_then(|whole| Instant::now().checked_add(whole)),
            whole: whole.unwrap_or(pause),
        })
    }

    /// Moves something, unless rclone has nothing more to say; how much of `bytes` it took.
    fn step(&mut self, bytes: &[u8]) -> Done<Moved> {
        let begun = Instant::now();
        loop {
            let now = Instant::now();
            let mut left = self.pause.saturating_sub(now - begun);
            if let Some(end) = self.end {
                left = left.min(end.saturating_duration_since(now));
            }
            if left.is_zero() {
                let span = show_span(self.whole.as_secs());
                return Err(Fault::new(Class::Transient, format!("{LATE} {span}")));
            }
            let moved = self.exchange(bytes, sys::slice(left).map_err(Fault::local)?)?;
            if moved.input_ended && !bytes.is_empty() {
                return Err(Fault::new(Class::Transient, "rclone takes no more"));
            }
            let idle = moved.read == 0 && moved.written == 0;
            if !idle || moved.output_ended && moved.errors_ended {
                return Ok(moved);
            }
        }
    }

    fn exchange(&mut self, bytes: &[u8], limit: Duration) -> Done<Moved> {
        let Run {
            child,
            output,
            errors,
            ..
        } = self;
        let moved = child
            .exchange(bytes, output, 1, errors, limit)
            .map_err(|e| Fault::new(Class::Transient, io_text(&e)))?;
        let over = errors.len().saturating_sub(ERRORS_MAX);
        errors.drain(..over);
        Ok(moved)
    }

    /// Takes up what it has said until now.
    pub(super) fn listen(&mut self) {
        while self
            .exchange(&[], Duration::ZERO)
            .is_ok_and(|moved| moved.read > 0)
        {
            self.output.clear();
        }
    }

    /// Waits until it says something more beside its output; false when it has ended.
    pub(super) fn hear(&mut self) -> Done<bool> {
        let moved = self.step(&[])?;
        self.output.clear();
        Ok(!(moved.errors_ended && moved.output_ended))
    }

    /// True as long as the process is there.
    pub(super) fn lives(&mut self) -> bool {
        self.child.wait(Duration::ZERO).is_none()
    }

    /// How it ended, where it did by itself.
    pub(super) fn end(&mut self) -> Option<ExitStatus> {
        self.child.wait(FAREWELL)
    }

    /// Mebibytes of memory that the process takes now.
    pub(super) fn memory(&self) -> Option<u64> {
        let path = format!("/proc/{}/status", self.child.id());
        let text = std::fs::read_to_string(path).ok()?;
        let (_, rest) = text.split_once("VmRSS:")?;
        let kib: u64 = rest.split_whitespace().next()?.parse().ok()?;
        Some(kib >> 10)
    }

    /// Hands all of it over.
    pub(super) fn write(&mut self, mut bytes: &[u8]) -> Done<()> {
        while !bytes.is_empty() {
            let moved = self.step(bytes)?;
            self.output.clear();
            bytes = bytes.get(moved.written..).unwrap_or_default();
        }
        Ok(())
    }

    /// Hears it out; a failure is the fault that it is.
    pub(super) fn finish(mut self, verb: Verb, setup: &Setup) -> Done<()> {
        self.child.close_input();
        self.output.clear();
        while self.hear()? {}
        match self.end() {
            Some(status) if status.success() => Ok(()),
            status => Err(told::refusal(setup, verb, status, &self.errors)),
        }
    }
}

impl Drop for Run {
    /// A helper does not end when its input does.
    fn drop(&mut self) {
        self.child.kill();
    }
}

impl Read for Run {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        while self.at >= self.output.len() {
            self.at = 0;
            self.output.clear();
            if self.ended {
                return Ok(0);
            }
            let moved = self.step(&[]);
            self.ended = moved.map_err(|f| io::Error::other(f.text))?.output_ended;
        }
        let ready = &self.output[self.at..];
        let n = ready.len().min(buf.len());
        buf[..n].copy_from_slice(&ready[..n]);
        self.at += n;
        Ok(n)
    }
}

/// There is no such program, or it does not start.
fn missing(setup: &Setup, why: &str) -> Fault {
    let shown = text::safe_cut(setup.program.as_bytes(), 80);
    let text = match setup.scheme.as_str() {
        "rclone" => format!("{shown} cannot be started: {why}"),
        scheme => format!("{scheme}:// goes through rclone, and {shown} cannot be started: {why}"),
    };
    let by = known::other_way(&setup.scheme);
    Fault::new(Class::Unsupported, text).hint(format!(
        "install rclone (Debian: apt install rclone; else from rclone.org), or name it with --rclone-executable{by}"
    ))
}
