//! A run that nobody watches: scripts before and after it, reports about it, a low priority, no run on the battery
//! (`commands.md` 12 and 14).

mod battery;
mod change;
mod document;
mod environment;
mod report;
mod rescue;
mod script;

use std::path::Path;

use crate::base::error::{Error, Kind, Result, io_text};
use crate::base::opt::{Opt, Options};
use crate::base::size::show_span;
use crate::base::sys;
use crate::base::text;
use crate::base::time::Timestamp;
use crate::base::ui::Ui;
use crate::cli::options as o;
use crate::cli::{Call, Command, Outcome};
use document::{Facts, Told};
use script::{Ended, Script};

pub(super) use rescue::rescue;

/// Everything about one run that a report or a script is told, beside its result.
pub(super) struct Run {
    command: Option<&'static Command>,
    options: Options,
    begun: Timestamp,
}

impl Run {
    pub(super) fn of(call: &Call) -> Run {
        Run {
            command: Some(call.command),
            options: call.options.duplicate(),
            begun: Timestamp::now(),
        }
    }

    /// A run that never was, for its command line is wrong.
    fn that_failed(command: Option<&'static Command>, options: Options) -> Run {
        Run {
            command,
            options,
            begun: Timestamp::now(),
        }
    }

    fn facts<'a>(
        &'a self,
        result: &'a Result<Outcome>,
        code: u8,
        json: (Option<&'a [u8]>, bool),
        ui: &'a Ui,
    ) -> Facts<'a> {
        Facts {
            operation: self
                .command
                .map_or("Unknown", |c| document::operation(c.name)),
            command: self.command.map(|c| c.name),
            name: self.options.text(&o::BACKUP_NAME),
            host: sys::host_name(),
            begun: self.begun,
            ended: Timestamp::now(),
            result,
            code,
            json: json.0,
            framed: json.1,
            lines: ui.kept_lines(),
            messages: ui.messages(),
            warnings: ui.warnings(),
            errors: ui.errors(),
        }
    }
}

/// True when the result of the run has to be kept in memory, for a script or a report.
pub(super) fn keeps(options: &Options) -> bool {
    let wanted: [&'static Opt; 5] = [
        &o::SCRIPT_AFTER,
        &o::SCRIPT_POST,
        &o::REPORT_URL,
        &o::REPORT_JSON,
        &o::REPORT_FORM,
    ];
    wanted.iter().any(|opt| options.text(opt).is_some())
}

/// Refuses what is wrong about scripts and reports before anything begins.
pub(super) fn check(options: &Options) -> Result<()> {
    report::check(options)?;
    for opt in [
        &o::SCRIPT_BEFORE,
        &o::SCRIPT_REQUIRED,
        &o::SCRIPT_AFTER,
        &o::SCRIPT_POST,
    ] {
        Script::of(options, opt)?;
    }
    Ok(())
}

/// Runs the command with all that goes around it.
pub(super) fn run(call: &mut Call, ui: &mut Ui) -> Result<Outcome> {
    give_way(&call.options, ui);
    if call.options.flag(&o::NOT_ON_BATTERY) && battery::in_use(Path::new(battery::SUPPLIES)) {
        ui.note("the machine runs on its battery: nothing was done (--disable-on-battery)");
        return Ok(nothing_done(call));
    }
    let begun = Timestamp::now();
    let before = before(call, ui);
    let result = match before {
        Ok(Gate::Open) => {
            crate::cli::rules::before(call, ui);
            // Until there is something to bring to a good end, which some come to have.
            sys::end_at_stop(1);
            if ui.is_watched() {
                sys::answer_first_stop();
            }
            (call.command.run)(call, ui)
        }
        Ok(Gate::Closed) => Ok(nothing_done(call)),
        Err(e) => Err(e),
    };
    ui.flush();
    sys::end_at_next_stop();
    let events = [
        (&o::SCRIPT_POST, "POST-BACKUP"),
        (&o::SCRIPT_AFTER, "AFTER"),
    ];
    for (opt, event) in events {
        let done = after(call, ui, opt, event, &result, begun);
        if let Err(e) = done {
            ui.error(&e.to_string());
        }
    }
    result
}

fn nothing_done(call: &Call) -> Outcome {
    match call.command.name {
        "backup" => Outcome::NothingNew,
        _ => Outcome::Done,
    }
}

/// `--thread-priority` and `--use-background-io-priority`. What the system does not allow is no reason not to run.
fn give_way(options: &Options, ui: &mut Ui) {
    let mut tell = |what: &str, done: std::io::Result<()>| {
        if let Err(e) = done {
            ui.verbose(&format!("the {what} stays as it is: {}", io_text(&e)));
        }
    };
    if options.given(o::THREAD_PRIORITY.name).is_some() {
        let nice = match options.choice(&o::THREAD_PRIORITY) {
            Some("Idle") => 19,
            Some("Lowest") => 15,
            Some("BelowNormal") => 5,
            Some("AboveNormal") => -5,
            Some("Highest") => -10,
            _ => 0,
        };
        if nice != 0 {
            tell("priority", sys::be_nice(nice));
        }
    }
    if options.flag(&o::BACKGROUND_IO) {
        tell("priority of the disk", sys::idle_io());
    }
}

/// Whether the command is to run.
enum Gate {
    Open,
    Closed,
}

/// The scripts before the command, the required one first.
fn before(call: &mut Call, ui: &mut Ui) -> Result<Gate> {
    if let Some(script) = Script::of(&call.options, &o::SCRIPT_REQUIRED)? {
        let ran = script.run(&environment::of(call, "BEFORE", &[]), ui)?;
        if ran.ended != Ended::Code(0) {
            let cause = format!("{} {}", script.shown(), ran.ended.text());
            return Err(Error::new(Kind::Local, cause)
                .doing(format!("begin to {}", call.command.name))
                .hint(format!("--{} has to end with 0", o::SCRIPT_REQUIRED.name)));
        }
        change::apply(call, &ran.output, ui)?;
    }
    let Some(script) = Script::of(&call.options, &o::SCRIPT_BEFORE)? else {
        return Ok(Gate::Open);
    };
    let ran = script.run(&environment::of(call, "BEFORE", &[]), ui)?;
    let line = format!("{} {}", script.shown(), ran.ended.text());
    let gate = match ran.ended {
        Ended::Code(0 | 2 | 4) | Ended::TimedOut(_) | Ended::NotStarted(_) => Gate::Open,
        _ => Gate::Closed,
    };
    let skipped = match gate {
        Gate::Open => "",
        Gate::Closed => ", so that nothing is done",
    };
    match ran.ended {
        Ended::Code(0) => {}
        Ended::Code(1) => ui.note(&format!("{line}{skipped}")),
        Ended::Code(2 | 3) | Ended::TimedOut(_) => ui.warn("script", &format!("{line}{skipped}")),
        _ => ui.error(&format!("{line}{skipped}")),
    }
    if matches!(gate, Gate::Open) {
        change::apply(call, &ran.output, ui)?;
    }
    Ok(gate)
}

/// One script after the command. It cannot change how that ended, but what it says counts.
fn after(
    call: &Call,
    ui: &mut Ui,
    opt: &'static Opt,
    event: &str,
    result: &Result<Outcome>,
    begun: Timestamp,
) -> Result<()> {
    let Some(script) = Script::of(&call.options, opt)? else {
        return Ok(());
    };
    // A command that failed in the middle of its object leaves levels open.
    ui.json(|w| w.close_to(1));
    let code = super::exit_code(result, ui.warnings(), ui.errors());
    let json = ui.kept_json().map(<[u8]>::to_vec);
    let run = Run {
        begun,
        ..Run::of(call)
    };
    let told = Told::of(&run.facts(result, code, (json.as_deref(), false), ui));
    let content = match call.options.choice(&o::SCRIPT_FORMAT) {
        Some("Json") => told.json.clone(),
        _ => document::lines_of(&told),
    };
    let file = environment::ResultFile::new(&call.options, &content)?;
    let more = [
        ("PARSED_RESULT", told.parsed.to_owned()),
        ("RESULTFILE", file.path().to_owned()),
        ("EXITCODE", code.to_string()),
    ];
    let ran = script.run(&environment::of(call, event, &more), ui)?;
    let line = format!("{} {}", script.shown(), ran.ended.text());
    match ran.ended {
        Ended::Code(0 | 1) => {}
        Ended::Code(2 | 3) | Ended::TimedOut(_) => ui.warn("script", &line),
        _ => ui.error(&line),
    }
    Ok(())
}

/// Sends the reports of a run that has ended. One that does not arrive is told, and changes nothing else.
pub(super) fn report(run: &Run, ui: &mut Ui, result: &Result<Outcome>, code: u8) {
    if !report::is_wanted(&run.options, run.command.map(|c| c.name)) {
        return;
    }
    if run.options.flag(&o::DRY_RUN) {
        ui.verbose("a dry run is not reported");
        return;
    }
    let json = ui.kept_json().map(<[u8]>::to_vec);
    let told = Told::of(&run.facts(result, code, (json.as_deref(), true), ui));
    report::send(&run.options, &told, ui);
}

/// For errors: how long a script was waited for.
fn waited(seconds: u64) -> String {
    format!("did not end within {} and was killed", show_span(seconds))
}

/// A line of a script, safe to print.
fn shown(line: &[u8]) -> String {
    text::safe_cut(line, 500)
}
