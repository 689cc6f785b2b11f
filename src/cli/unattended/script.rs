//! One script: started without a shell, with its output in the log, killed when its time is over or the run is stopped.

use std::time::{Duration, Instant};

use crate::base::error::{Error, Kind, Result, io_text};
use crate::base::opt::{Opt, Options};
use crate::base::program;
use crate::base::sys::{self, Piped};
use crate::base::text;
use crate::base::ui::Ui;
use crate::cli::options as o;
use crate::cli::unattended::environment::Environment;
use crate::cli::unattended::{shown, waited};

/// Bytes of each output that are looked at; what comes after them is dropped.
const OUTPUT_AT_MOST: usize = 256 << 10;
/// Lines of a script that are told.
const LINES_AT_MOST: usize = 200;
/// How often it is seen whether the script, whose outputs others may hold open, has ended.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// A program to run and its arguments.
pub(super) struct Script {
    name: &'static str,
    words: Vec<String>,
    limit: Option<Duration>,
}

/// How a script ended.
#[derive(PartialEq, Eq, Debug)]
pub(super) enum Ended {
    Code(i32),
    /// By the signal of this number.
    Killed(i32),
    /// Not within so many seconds.
    TimedOut(u64),
    NotStarted(String),
}

impl Ended {
    /// What is said after its name.
    pub(super) fn text(&self) -> String {
        match self {
            Ended::Code(code) => format!("ended with exit code {code}"),
            Ended::Killed(signal) => format!("was ended by signal {signal}"),
            Ended::TimedOut(seconds) => waited(*seconds),
            Ended::NotStarted(why) => format!("could not be started: {why}"),
        }
    }
}

/// What a script came to.
pub(super) struct Ran {
    pub(super) ended: Ended,
    /// Its standard output, as far as it is looked at.
    pub(super) output: Vec<u8>,
}

impl Script {
    /// The script of an option; `None` when there is none. An error when its command line cannot be taken apart.
    pub(super) fn of(options: &Options, opt: &'static Opt) -> Result<Option<Script>> {
        let Some(value) = options.text(opt) else {
            return Ok(None);
        };
        let words = match options.flag(&o::SCRIPT_ARGUMENTS) {
            true => program::words(opt.name, value, true)?,
            false => vec![value.to_owned()],
        };
        let seconds = options.span(&o::SCRIPT_TIMEOUT).unwrap_or(60);
        let seconds = u64::try_from(seconds).unwrap_or(0);
        Ok(Some(Script {
            name: opt.name,
            words,
            limit: (seconds > 0).then(|| Duration::from_secs(seconds)),
        }))
    }

    /// Its option and program, for messages. Arguments may hold what nobody is to see.
    pub(super) fn shown(&self) -> String {
        let program = self.words.first().map_or("", String::as_str);
        let program = text::safe_cut(program.as_bytes(), 100);
        format!("the script of --{} ({program})", self.name)
    }

    /// Runs it to its end. Fails only when the run is stopped meanwhile.
    pub(super) fn run(&self, environment: &Environment, ui: &mut Ui) -> Result<Ran> {
        ui.verbose(&format!("running {}", self.shown()));
        let (mut output, mut errors) = (Vec::new(), Vec::new());
        let ended = self.wait(environment, &mut output, &mut errors)?;
        tell(&output, &self.shown(), false, ui);
        tell(&errors, &self.shown(), true, ui);
        Ok(Ran { ended, output })
    }

    fn wait(
        &self,
        environment: &Environment,
        output: &mut Vec<u8>,
        errors: &mut Vec<u8>,
    ) -> Result<Ended> {
        let set: Vec<(&str, String)> = environment.set();
        // A stop counts from here on: one may come before the start of the script has returned.
        let stops = sys::stops_requested();
        let mut child = match Piped::start(&self.words, &set, &|name| environment.hides(name)) {
            Ok(child) => child,
            Err(e) => {
                let hint = match e.kind() {
                    std::io::ErrorKind::PermissionDenied => " (is it executable? chmod +x)",
                    std::io::ErrorKind::NotFound if self.words.len() == 1 => {
                        " (is the path right? arguments need --run-script-with-arguments)"
                    }
                    _ => "",
                };
                return Ok(Ended::NotStarted(format!("{}{hint}", io_text(&e))));
            }
        };
        child.close_input();
        let begun = Instant::now();
        loop {
            let moved = child.exchange(b"", output, usize::MAX, errors, LOOK_EVERY);
            output.truncate(OUTPUT_AT_MOST);
            errors.truncate(OUTPUT_AT_MOST);
            let closed = moved
                .as_ref()
                .is_ok_and(|m| m.output_ended && m.errors_ended);
            if let Some(status) = child.ended() {
                // What it said at last; others that it left running may go on to hold its outputs open.
                while child
                    .exchange(b"", output, usize::MAX, errors, Duration::ZERO)
                    .is_ok_and(|m| m.read > 0)
                    && output.len().max(errors.len()) < OUTPUT_AT_MOST
                {}
                return Ok(ended(status));
            }
            if sys::stops_requested() > stops {
                child.kill();
                return Err(Error::new(Kind::Interrupted, "stopped while a script ran"));
            }
            if let Some(limit) = self.limit.filter(|l| begun.elapsed() >= *l) {
                child.kill();
                return Ok(Ended::TimedOut(limit.as_secs()));
            }
            if closed || moved.is_err() {
                sys::sleep_beyond(LOOK_EVERY, stops);
            }
        }
    }
}

fn ended(status: std::process::ExitStatus) -> Ended {
    use std::os::unix::process::ExitStatusExt;
    match (status.code(), status.signal()) {
        (Some(code), _) => Ended::Code(code),
        (None, signal) => Ended::Killed(signal.unwrap_or(0)),
    }
}

/// Hands on what a script said: `LOG:INFO`, `LOG:WARN` and `LOG:ERROR` as they ask for, all else to the log; what it wrote to
/// standard error is a warning by its first line.
fn tell(said: &[u8], script: &str, to_stderr: bool, ui: &mut Ui) {
    let mut other = Vec::new();
    let lines = said.split(|&b| b == b'\n').map(<[u8]>::trim_ascii);
    for line in lines.filter(|l| !l.is_empty()).take(LINES_AT_MOST) {
        let of = |word: &[u8]| line.strip_prefix(word).map(|l| shown(l.trim_ascii()));
        if let Some(line) = of(b"LOG:INFO") {
            ui.note(&line);
        } else if let Some(line) = of(b"LOG:WARN") {
            ui.warn("script", &line);
        } else if let Some(line) = of(b"LOG:ERROR") {
            ui.error(&line);
        } else if to_stderr {
            ui.only_log(&shown(line));
            other.push(line);
        } else if !line.starts_with(b"--") {
            // Options that it prints may be secrets.
            let line = shown(line);
            match ui.is_verbose() {
                true => ui.note(&line),
                false => ui.only_log(&line),
            }
        }
    }
    if let Some(first) = other.first() {
        let more = match other.len() {
            1 => String::new(),
            n => format!(" (and {} more)", text::count(n as u64 - 1, "line")),
        };
        ui.warn("script", &format!("{script} said: {}{more}", shown(first)));
    }
}
