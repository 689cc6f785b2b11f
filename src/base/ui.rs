//! Everything the program says. Results go to standard output; notes, warnings, errors and progress to standard error.
//!
//! With `--json` standard output carries exactly one JSON object, which `cli` builds through [`Ui::json`]; result lines
//! are then dropped. A closed pipe is quiet: once standard output is gone the rest is discarded and [`Ui::broken`] says so.

use std::io::{self, IsTerminal, Stderr, Write};
use std::time::{Duration, Instant};

use crate::base::error::{Error, Result};
use crate::base::json::JsonWriter;
use crate::base::kinds::KINDS;
use crate::base::out::{Out, wants_colours};
use crate::base::progress::named_line;
use crate::base::sys;

pub(crate) use crate::base::log_file::{Level, LogFile};
pub(crate) use crate::base::progress::Progress;

/// How much is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Volume {
    /// Errors only.
    Quiet,
    /// Results, notes and warnings.
    Normal,
    /// Also what was done and why, and each file (`-v`).
    Verbose,
    /// Also every request to the destination (`-vv`).
    Requests,
}

/// Warnings of one kind after which the rest is only counted.
const SHOWN_PER_KIND: u64 = 20;
const PROGRESS_EVERY: Duration = Duration::from_millis(200);
/// Result lines that are kept for a report or for the end of a quiet run; further ones are only counted.
const KEPT_LINES: usize = 200;
/// What is done with the result lines of a quiet run.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Results {
    Shown,
    /// They are the report of what was done, which nobody wants to read while all is well.
    Held,
}

/// The program's mouth. One per run, lent downward by `&mut`.
pub(crate) struct Ui {
    volume: Volume,
    json: bool,
    out: JsonWriter<Out>,
    results: Results,
    /// Warnings are shown although the volume is that of errors.
    warns: bool,
    /// Result lines, where a report or the end of a quiet run may want them.
    lines: Option<Vec<String>>,
    colours: bool,
    err: Stderr,
    broken: bool,
    progress_wanted: bool,
    started: Instant,
    last_progress: Option<Instant>,
    line_shown: bool,
    warnings: Vec<(&'static str, u64)>,
    errors: u64,
    messages: Vec<String>,
    log: Option<LogFile>,
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
            out: JsonWriter::new(Out::new(io::stdout(), json)),
            results: Results::Shown,
            warns: false,
            lines: None,
            colours: err.is_terminal() && wants_colours(),
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

    /// From now on all that is said also goes to `file`, whatever the console shows.
    pub(crate) fn log_to(&mut self, file: LogFile) {
        self.log = Some(file);
    }

    /// `-q`: warnings and errors are shown; with `held` result lines only at the end, and only when something is to be told.
    pub(crate) fn be_quiet(&mut self, held: bool) {
        self.warns = true;
        if held {
            self.results = Results::Held;
            self.lines.get_or_insert_default();
        }
    }

    /// From now on what is said and the JSON object are kept in memory, up to a limit, for a report at the end.
    pub(crate) fn keep_for_report(&mut self) {
        self.lines.get_or_insert_default();
        self.out.get_mut().copy = Some(Vec::new());
    }

    /// The JSON object so far; `None` when nobody asked for it to be kept, or it was too long.
    pub(crate) fn kept_json(&mut self) -> Option<&[u8]> {
        self.out.get_mut().copy.as_deref()
    }

    /// The result lines so far, where they are kept.
    pub(crate) fn kept_lines(&self) -> &[String] {
        self.lines.as_deref().unwrap_or_default()
    }

    /// The end of the run: nothing is left of the line of progress, and what a quiet run held back is shown when `told`.
    pub(crate) fn end(&mut self, told: bool) {
        self.clear_line();
        if std::mem::replace(&mut self.results, Results::Shown) == Results::Held && told {
            for line in self.lines.take().unwrap_or_default() {
                self.show(&line);
            }
        }
        self.flush();
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
        if let Some(lines) = self.lines.as_mut().filter(|l| l.len() < KEPT_LINES) {
            lines.push(line.to_owned());
        }
        if self.results == Results::Shown {
            self.show(line);
        }
    }

    /// The result of a search that found nothing to worry about: not with `-q`.
    pub(crate) fn all_well(&mut self, line: &str) {
        match self.volume {
            Volume::Quiet => self.only_log(line),
            _ => self.result(line),
        }
    }

    fn show(&mut self, line: &str) {
        if self.json || self.broken {
            return;
        }
        self.clear_line();
        let out = &mut self.out.get_mut().stdout;
        let done = out
            .write_all(line.as_bytes())
            .and_then(|()| out.write_all(b"\n"));
        self.check(done);
    }

    /// Bytes of the command's result as they are (one file to standard output). Fails on a closed pipe, quietly.
    pub(crate) fn raw(&mut self, data: &[u8]) -> Result<()> {
        self.clear_line();
        self.out.get_mut().stdout.write_all(data).map_err(|e| {
            self.broken |= e.kind() == io::ErrorKind::BrokenPipe;
            Error::io(&e).doing("write to standard output")
        })
    }

    /// Builds part of the JSON object; does nothing when nobody wants it.
    pub(crate) fn json(&mut self, build: impl FnOnce(&mut JsonWriter<Out>) -> io::Result<()>) {
        if self.json && !self.broken || self.out.get_mut().copy.is_some() {
            if self.json {
                self.clear_line();
            }
            let done = build(&mut self.out);
            self.check(done);
        }
    }

    fn check(&mut self, done: io::Result<()>) {
        if let Err(e) = done {
            self.broken = true;
            self.out.get_mut().json = false;
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
        self.tell(Level::Information, line, Volume::Normal);
    }

    /// A line for the log file, and to be seen from a volume on.
    fn tell(&mut self, level: Level, line: &str, from: Volume) {
        self.record(level, line);
        if self.volume >= from {
            self.say(line);
        }
    }

    /// A line for the log file alone.
    pub(crate) fn only_log(&mut self, line: &str) {
        self.record(Level::Information, line);
    }

    /// What somebody at a terminal may want to do next: shown there, and with `-v`. Programs that count lines never see it.
    pub(crate) fn hint(&mut self, line: &str) {
        self.record(Level::Information, line);
        if self.is_watched() || self.volume >= Volume::Verbose {
            self.say(line);
        }
    }

    /// Somebody sits at a terminal and did not ask for silence.
    pub(crate) fn is_watched(&self) -> bool {
        self.volume >= Volume::Normal && self.err.is_terminal()
    }

    /// Information for `-v`.
    pub(crate) fn verbose(&mut self, line: &str) {
        self.tell(Level::Verbose, line, Volume::Verbose);
    }

    /// Each file of a backup or a restore, for `-v`: only built when somebody sees it.
    pub(crate) fn detail(&mut self, line: impl FnOnce() -> String) {
        if self.volume >= Volume::Verbose || self.logs(Level::Verbose) {
            self.verbose(&line());
        }
    }

    /// Each request to the destination, for `-vv`; only built when somebody sees it.
    pub(crate) fn request(&mut self, line: impl FnOnce() -> String) {
        if self.volume >= Volume::Requests || self.logs(Level::Profiling) {
            self.tell(Level::Profiling, &line(), Volume::Requests);
        }
    }

    fn logs(&self, level: Level) -> bool {
        self.log.as_ref().is_some_and(|log| log.wants(level))
    }

    /// Something to mend that takes nothing from the run: not counted, and a warning in the log alone.
    pub(crate) fn caution(&mut self, line: &str) {
        self.record(Level::Warning, line);
        if self.volume >= Volume::Normal {
            self.say(&format!("duplet: note: {line}"));
        }
    }

    fn shows_warnings(&self) -> bool {
        self.warns || self.volume >= Volume::Normal
    }

    /// A warning: shown, counted, and the exit code will be at least 2. `kind` is a stable word; from the 20th of a kind on
    /// they are only counted.
    pub(crate) fn warn(&mut self, kind: &'static str, line: &str) {
        debug_assert!(KINDS.contains(&kind), "{kind} is listed in KINDS");
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
            self.messages.push(format!("warning: {line}"));
            if self.shows_warnings() {
                self.say_warning(line);
            }
        } else if count == SHOWN_PER_KIND + 1 && self.shows_warnings() {
            self.say_warning(&format!("more of this kind ({kind}) are only counted"));
        }
    }

    /// A failure that the command survives (one file of many): shown, counted, exit code at least 3. `kind` as in `warn`.
    pub(crate) fn error(&mut self, line: &str) {
        self.record(Level::Error, line);
        self.errors += 1;
        if self.errors <= 5 * SHOWN_PER_KIND {
            self.messages.push(format!("error: {line}"));
            self.say_error(line);
        } else if self.errors == 5 * SHOWN_PER_KIND + 1 {
            self.say_error("further errors are only counted");
        }
    }

    /// The error that ended the command; said even when quiet, not counted.
    pub(crate) fn fatal(&mut self, e: &Error) {
        self.record(Level::Error, &e.to_string());
        self.say_error(&e.to_string());
    }

    fn say_error(&mut self, line: &str) {
        match self.colours {
            true => self.say(&format!("\x1b[31mduplet:\x1b[0m {line}")),
            false => self.say(&format!("duplet: {line}")),
        }
    }

    fn say_warning(&mut self, line: &str) {
        match self.colours {
            true => self.say(&format!("duplet: \x1b[33mwarning:\x1b[0m {line}")),
            false => self.say(&format!("duplet: warning: {line}")),
        }
    }

    /// A log that cannot be written ends with a word about it; the run goes on.
    fn record(&mut self, level: Level, line: &str) {
        let done = self.log.as_mut().map(|log| log.write(level, line));
        if let Some(Err(_)) = done {
            self.log = None;
            self.warn("log-file", "the log file cannot be written any more");
        }
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
        self.progress_at(what, p, b"");
    }

    /// As [`Ui::progress`] with the name of what is being read or written.
    pub(crate) fn progress_at(&mut self, what: &str, p: Progress, name: &[u8]) {
        self.progress_of(what, p, || name.to_vec());
    }

    /// As [`Ui::progress_at`] with a name that costs something to find out: only asked for when the line is drawn.
    pub(crate) fn progress_of(&mut self, what: &str, p: Progress, name: impl FnOnce() -> Vec<u8>) {
        if !self.progress_wanted {
            return;
        }
        let now = Instant::now();
        if self.last_progress.is_some_and(|t| now - t < PROGRESS_EVERY) {
            return;
        }
        self.last_progress = Some(now);
        let room = sys::terminal_width(&self.err).map(|columns| columns.max(2) - 1);
        let line = named_line(what, p, self.started.elapsed(), room, &name());
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
        self.flush();
        let _ = writeln!(self.err, "{line}");
    }

    /// Pushes out what is buffered, after what is left of the line of progress is gone.
    pub(crate) fn flush(&mut self) {
        self.clear_line();
        let done = self.out.get_mut().flush();
        self.check(done);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
