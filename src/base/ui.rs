//! Everything the program says. Results go to standard output; notes, warnings, errors and progress to standard error.
//!
//! With `--json` standard output carries exactly one JSON object, which `cli` builds through [`Ui::json`]; result lines
//! are then dropped. A closed pipe is quiet: once standard output is gone the rest is discarded and [`Ui::broken`] says so.

use std::fs::File;
use std::io::{self, BufWriter, IsTerminal, Stderr, Stdout, Write};
use std::time::{Duration, Instant};

use crate::base::error::{Error, Result};
use crate::base::json::JsonWriter;
use crate::base::size::{show_size, show_span};
use crate::base::sys;
use crate::base::time::Timestamp;

/// How much is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Volume {
    /// Errors only.
    Quiet,
    /// Results, notes and warnings.
    Normal,
    /// Also what was done and why (`-v`).
    Verbose,
}

/// Weight of a line in the log file, heaviest last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    Verbose,
    Information,
    Warning,
    Error,
}

impl Level {
    fn word(self) -> &'static str {
        match self {
            Level::Verbose => "Verbose",
            Level::Information => "Information",
            Level::Warning => "Warning",
            Level::Error => "Error",
        }
    }
}

/// Warnings of one kind after which the rest is only counted.
const SHOWN_PER_KIND: u64 = 20;
const PROGRESS_EVERY: Duration = Duration::from_millis(200);

/// One line of progress; `0` in a total means unknown.
#[derive(Clone, Copy, Default)]
pub(crate) struct Progress {
    pub(crate) files: u64,
    pub(crate) files_total: u64,
    pub(crate) bytes: u64,
    pub(crate) bytes_total: u64,
}

/// The program's mouth. One per run, lent downward by `&mut`.
pub(crate) struct Ui {
    volume: Volume,
    json: bool,
    out: JsonWriter<BufWriter<Stdout>>,
    err: Stderr,
    broken: bool,
    progress_wanted: bool,
    started: Instant,
    last_progress: Option<Instant>,
    line_shown: bool,
    warnings: Vec<(&'static str, u64)>,
    errors: u64,
    messages: Vec<String>,
    log: Option<(File, Level)>,
    /// Kinds of warnings that are only notes.
    suppressed: Vec<String>,
    /// Why standard output failed, unless its reader just went away.
    failure: Option<io::Error>,
    failed: bool,
}

impl Ui {
    /// `progress`: `None` = only when standard error is a terminal.
    pub(crate) fn new(volume: Volume, json: bool, progress: Option<bool>) -> Ui {
        let err = io::stderr();
        let progress_wanted =
            progress.unwrap_or_else(|| err.is_terminal()) && volume > Volume::Quiet;
        Ui {
            volume,
            json,
            out: JsonWriter::new(BufWriter::with_capacity(16 * 1024, io::stdout())),
            err,
            broken: false,
            progress_wanted,
            started: Instant::now(),
            last_progress: None,
            line_shown: false,
            warnings: Vec::new(),
            errors: 0,
            messages: Vec::new(),
            log: None,
            suppressed: Vec::new(),
            failure: None,
            failed: false,
        }
    }

    /// From now on every line from `level` on also goes to `file`, with its time and level, whatever the console shows.
    pub(crate) fn log_to(&mut self, file: File, level: Level) {
        self.log = Some((file, level));
    }

    /// Warnings of these kinds become notes.
    pub(crate) fn suppress(&mut self, kinds: Vec<String>) {
        self.suppressed = kinds;
    }

    /// Says nothing at all but errors, for a look ahead whose findings will come again.
    pub(crate) fn silent() -> Ui {
        Ui::new(Volume::Quiet, false, Some(false))
    }

    /// True when somebody watches the progress line.
    pub(crate) fn shows_progress(&self) -> bool {
        self.progress_wanted
    }

    pub(crate) fn is_json(&self) -> bool {
        self.json
    }

    pub(crate) fn is_verbose(&self) -> bool {
        self.volume >= Volume::Verbose
    }

    /// A line of the command's result. Dropped with `--json`.
    pub(crate) fn result(&mut self, line: &str) {
        self.record(Level::Information, line);
        if self.json || self.broken {
            return;
        }
        self.clear_line();
        let out = self.out.get_mut();
        let done = out
            .write_all(line.as_bytes())
            .and_then(|()| out.write_all(b"\n"));
        self.check(done);
    }

    /// Bytes of the command's result as they are (one file to standard output). Fails on a closed pipe, quietly.
    pub(crate) fn raw(&mut self, data: &[u8]) -> Result<()> {
        self.out.get_mut().write_all(data).map_err(|e| {
            self.broken |= e.kind() == io::ErrorKind::BrokenPipe;
            Error::io(&e).doing("write to standard output")
        })
    }

    /// Builds part of the JSON object; does nothing without `--json`.
    pub(crate) fn json(
        &mut self,
        build: impl FnOnce(&mut JsonWriter<BufWriter<Stdout>>) -> io::Result<()>,
    ) {
        if self.json && !self.broken {
            let done = build(&mut self.out);
            self.check(done);
        }
    }

    fn check(&mut self, done: io::Result<()>) {
        if let Err(e) = done {
            self.broken = true;
            if e.kind() != io::ErrorKind::BrokenPipe && self.failure.is_none() {
                self.failure = Some(e);
            }
        }
    }

    /// True when the reader of standard output went away.
    pub(crate) fn broken_pipe(&self) -> bool {
        self.broken && self.failure.is_none() && !self.failed
    }

    /// Why standard output could not be written (full disk), once; a reader that went away is no failure.
    pub(crate) fn take_failure(&mut self) -> Option<Error> {
        let e = self.failure.take()?;
        self.failed = true;
        Some(Error::io(&e).doing("write to standard output"))
    }

    /// True when standard output went away.
    pub(crate) fn broken(&self) -> bool {
        self.broken
    }

    /// Information worth a line in every run that is not quiet.
    pub(crate) fn note(&mut self, line: &str) {
        self.record(Level::Information, line);
        if self.volume >= Volume::Normal {
            self.say(line);
        }
    }

    /// A line for the log file alone.
    pub(crate) fn only_log(&mut self, line: &str) {
        self.record(Level::Information, line);
    }

    /// Information for `-v`.
    pub(crate) fn verbose(&mut self, line: &str) {
        self.record(Level::Verbose, line);
        if self.volume >= Volume::Verbose {
            self.say(line);
        }
    }

    /// A warning: shown, counted, and the exit code will be at least 2. `kind` is a stable word; from the 20th of a kind on
    /// they are only counted.
    pub(crate) fn warn(&mut self, kind: &'static str, line: &str) {
        if self.suppressed.iter().any(|s| s.eq_ignore_ascii_case(kind)) {
            self.note(line);
            return;
        }
        self.record(Level::Warning, line);
        let count = match self.warnings.iter_mut().find(|w| w.0 == kind) {
            Some(w) => {
                w.1 += 1;
                w.1
            }
            None => {
                self.warnings.push((kind, 1));
                1
            }
        };
        if count <= SHOWN_PER_KIND {
            self.keep(format!("warning: {line}"));
            if self.volume >= Volume::Normal {
                self.say(&format!("duplet: warning: {line}"));
            }
        } else if count == SHOWN_PER_KIND + 1 && self.volume >= Volume::Normal {
            self.say(&format!(
                "duplet: warning: more of this kind ({kind}) are only counted"
            ));
        }
    }

    /// A failure that the command survives (one file of many): shown, counted, exit code at least 3. `kind` as in `warn`.
    pub(crate) fn error(&mut self, line: &str) {
        self.record(Level::Error, line);
        self.errors += 1;
        if self.errors <= 5 * SHOWN_PER_KIND {
            self.keep(format!("error: {line}"));
            self.say(&format!("duplet: {line}"));
        } else if self.errors == 5 * SHOWN_PER_KIND + 1 {
            self.say("duplet: further errors are only counted");
        }
    }

    /// The error that ended the command; said even when quiet, not counted.
    pub(crate) fn fatal(&mut self, e: &Error) {
        self.record(Level::Error, &e.to_string());
        self.say(&format!("duplet: {e}"));
    }

    /// A log that cannot be written ends with a word about it; the run goes on.
    fn record(&mut self, level: Level, line: &str) {
        let Some((file, _)) = self.log.as_mut().filter(|l| level >= l.1) else {
            return;
        };
        let now = Timestamp::now();
        let zone = sys::utc_offset(now.0) / 3600;
        let text = format!("{} {zone:+03} - [{}]: {line}\n", now.local(), level.word());
        if file.write_all(text.as_bytes()).is_err() {
            self.log = None;
            self.warn("log-file", "the log file cannot be written any more");
        }
    }

    fn keep(&mut self, message: String) {
        self.messages.push(message);
    }

    /// Warnings and errors shown so far (capped), for the report.
    pub(crate) fn messages(&self) -> &[String] {
        &self.messages
    }

    pub(crate) fn warnings(&self) -> u64 {
        self.warnings.iter().map(|w| w.1).sum()
    }

    pub(crate) fn errors(&self) -> u64 {
        self.errors
    }

    /// Seconds since the program started.
    pub(crate) fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// Shows progress at most five times a second, only on a terminal (or when asked for). Cheap to call often.
    pub(crate) fn progress(&mut self, what: &str, p: Progress) {
        if !self.progress_wanted {
            return;
        }
        let now = Instant::now();
        if self.last_progress.is_some_and(|t| now - t < PROGRESS_EVERY) {
            return;
        }
        self.last_progress = Some(now);
        let room = sys::terminal_width(&self.err).map_or(usize::MAX, |columns| columns.max(2) - 1);
        let line = progress_line(what, p, self.started.elapsed(), room);
        let _ = write!(self.err, "\r\x1b[K{line}");
        let _ = self.err.flush();
        self.line_shown = true;
    }

    fn clear_line(&mut self) {
        if self.line_shown {
            let _ = write!(self.err, "\r\x1b[K");
            let _ = self.err.flush();
            self.line_shown = false;
        }
    }

    /// Nobody can be told when standard error fails, so its result is dropped here and only here.
    fn say(&mut self, line: &str) {
        self.clear_line();
        self.flush();
        let _ = writeln!(self.err, "{line}");
    }

    /// Pushes out what is buffered.
    pub(crate) fn flush(&mut self) {
        let done = self.out.get_mut().flush();
        self.check(done);
    }
}

/// One line of at most `room` columns: what does not fit is left out, the rate first, and at the end it is cut. Text of
/// progress is plain ASCII, a column a character.
fn progress_line(what: &str, p: Progress, elapsed: Duration, room: usize) -> String {
    let mut files = format!("{what}: {}", p.files);
    if p.files_total > 0 {
        files.push_str(&format!("/{}", p.files_total));
    }
    files.push_str(" files");
    let (mut bytes, mut rated, mut left) = (String::new(), String::new(), String::new());
    if p.bytes > 0 || p.bytes_total > 0 {
        bytes = format!(", {}", show_size(p.bytes));
        if p.bytes_total > 0 {
            bytes.push_str(&format!(" of {}", show_size(p.bytes_total)));
        }
        let ms = u64::try_from(elapsed.as_millis())
            .unwrap_or(u64::MAX)
            .max(1);
        let rate = p.bytes.saturating_mul(1000) / ms;
        rated = format!(", {}/s", show_size(rate));
        if p.bytes_total > p.bytes && rate > 0 {
            left = format!(", {} left", show_span((p.bytes_total - p.bytes) / rate));
        }
    }
    let forms = [
        format!("{files}{bytes}{rated}{left}"),
        format!("{files}{bytes}{left}"),
        format!("{files}{bytes}"),
        format!("{files}{left}"),
    ];
    let fits = forms.into_iter().find(|line| line.chars().count() <= room);
    fits.unwrap_or_else(|| files.chars().take(room).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_says_files_bytes_rate_and_time_left() {
        let p = Progress {
            files: 3,
            files_total: 10,
            bytes: 10 << 20,
            bytes_total: 110 << 20,
        };
        assert_eq!(
            progress_line("backup", p, Duration::from_secs(1), 80),
            "backup: 3/10 files, 10.00 MiB of 110.00 MiB, 10.00 MiB/s, 10s left"
        );
        for (room, want) in [
            (
                66,
                "backup: 3/10 files, 10.00 MiB of 110.00 MiB, 10.00 MiB/s, 10s left",
            ),
            (65, "backup: 3/10 files, 10.00 MiB of 110.00 MiB, 10s left"),
            (50, "backup: 3/10 files, 10.00 MiB of 110.00 MiB"),
            (30, "backup: 3/10 files, 10s left"),
            (20, "backup: 3/10 files"),
            (10, "backup: 3/"),
            (1, "b"),
        ] {
            let line = progress_line("backup", p, Duration::from_secs(1), room);
            assert_eq!(line, want, "{room}");
        }
        assert_eq!(
            progress_line(
                "list",
                Progress {
                    files: 3,
                    ..Progress::default()
                },
                Duration::from_secs(1),
                usize::MAX
            ),
            "list: 3 files"
        );
    }

    #[test]
    fn warnings_are_counted_by_kind() {
        let mut ui = Ui::new(Volume::Quiet, false, None);
        for _ in 0..30 {
            ui.warn("unreadable", "x");
        }
        ui.warn("vanished", "y");
        assert_eq!(
            (ui.warnings(), ui.errors(), ui.messages().len()),
            (31, 0, 21)
        );
    }
}
