//! What a run says, how much and where: the options of that.

use crate::base::error::{Doing, Result};
use crate::base::kinds::KINDS;
use crate::base::text;
use crate::base::ui::{Level, LogFile, Ui, Volume};
use crate::cli::{Call, options, unattended};

/// Commands whose result lines say what was done; those of all others are what was asked for.
const REPORTING: [&str; 10] = [
    "backup",
    "copy",
    "restore",
    "verify",
    "delete",
    "compact",
    "purge",
    "purge-broken-files",
    "repair",
    "vacuum",
];

/// Those of the helper's actions whose lines are what was asked for.
const ASKING: [&str; 3] = ["list", "ls", "login"];

/// True when the run's result says what was done, and not what would be.
fn reports(call: &Call) -> bool {
    let action = call.words.first().map_or("", String::as_str);
    let acts = call.command.name == "remote"
        && !ASKING.iter().any(|word| word.eq_ignore_ascii_case(action));
    (acts || REPORTING.contains(&call.command.name)) && !call.options.flag(&options::DRY_RUN)
}

/// What speaks to the person, with the log file.
pub(super) fn open_ui(call: &Call) -> Result<Ui> {
    let options = &call.options;
    let console = options
        .choice(&options::CONSOLE_LOG_LEVEL)
        .unwrap_or("Warning");
    let volume = if options.flag(&options::QUIET) {
        Volume::Quiet
    } else if options.flag(&options::VERY_VERBOSE) {
        Volume::Requests
    } else if options.flag(&options::VERBOSE) {
        Volume::Verbose
    } else {
        match level(console) {
            Level::Profiling => Volume::Requests,
            Level::Verbose => Volume::Verbose,
            Level::Error => Volume::Quiet,
            _ => Volume::Normal,
        }
    };
    let progress = match options.choice(&options::PROGRESS) {
        Some("none") => Some(false),
        Some("plain") => Some(true),
        _ => None,
    };
    let mut ui = Ui::new(volume, options.flag(&options::JSON), progress);
    if volume == Volume::Quiet {
        ui.be_quiet(reports(call));
    }
    if unattended::keeps(options) {
        ui.keep_for_report();
    }
    if let Some(path) = options.text(&options::LOG_FILE) {
        // What is said goes there, too, unless less is asked for.
        let least = match (options.given(options::LOG_FILE_LEVEL.name), volume) {
            (None, Volume::Requests) => Level::Profiling,
            (None, Volume::Verbose) => Level::Verbose,
            _ => level(
                options
                    .choice(&options::LOG_FILE_LEVEL)
                    .unwrap_or("Information"),
            ),
        };
        let most = options.size(&options::LOG_FILE_SIZE).unwrap_or(0);
        let file = LogFile::open(path, least, most)
            .doing(|| format!("open the log file {}", text::safe(path.as_bytes())))?;
        ui.log_to(file);
    }
    if let Some(list) = options.text(&options::SUPPRESS_WARNINGS) {
        let (kinds, unknown) = suppressed(list);
        ui.suppress(kinds);
        for line in unknown {
            ui.note(&line);
        }
    }
    Ok(ui)
}

/// The kinds of warnings of `--suppress-warnings`, and a line for each word that is none: such as one of Duplicati's, in a line
/// that was exported there.
fn suppressed(list: &str) -> (Vec<String>, Vec<String>) {
    let names = list.split(',').map(str::trim).filter(|k| !k.is_empty());
    let is_kind = |name: &&str| KINDS.iter().any(|k| k.eq_ignore_ascii_case(name));
    let (kinds, others): (Vec<&str>, Vec<&str>) = names.partition(is_kind);
    let line = |name: &str| {
        let shown = text::safe_given(name, 40);
        let hint = match text::nearest(name, KINDS) {
            Some(near) => format!("did you mean {near}?"),
            None => "'duplet help exit-codes' lists the kinds".to_owned(),
        };
        format!("--suppress-warnings: no warning is of the kind {shown} ({hint})")
    };
    let unknown = others.into_iter().map(line).collect();
    (kinds.into_iter().map(str::to_owned).collect(), unknown)
}

/// Duplicati's levels on ours.
fn level(word: &str) -> Level {
    match word {
        "Profiling" => Level::Profiling,
        "Verbose" | "Retry" => Level::Verbose,
        "Warning" => Level::Warning,
        "Error" => Level::Error,
        _ => Level::Information,
    }
}
