//! Layer 7: the command line. Arguments in, exit code out; every command is a row of [`COMMANDS`] and a `cmd_` file that
//! turns options into one call of an engine and its answer into a report. No engine knows an option's name.

mod backup_options;
mod cmd_affected;
mod cmd_backup;
mod cmd_cat;
mod cmd_compact;
mod cmd_compare;
mod cmd_copy;
mod cmd_delete;
mod cmd_find;
mod cmd_list;
mod cmd_mount;
mod cmd_purge;
mod cmd_remote;
mod cmd_repair;
mod cmd_restore;
mod cmd_system_info;
mod cmd_test_filters;
mod cmd_vacuum;
mod cmd_verify;
mod completion;
mod decisions;
mod elsewhere;
mod frame;
mod help;
mod help_words;
mod listing;
mod man;
mod option_text;
pub(crate) mod options;
mod other_options;
mod parameters_file;
mod parse;
mod passphrase;
mod reclaim;
mod render;
mod restoring;
mod retained;
mod rules;
mod self_test;
pub(crate) mod session;
mod sources;
mod spared;
mod stdin;
mod talk;
mod topics;
mod unattended;

use std::ffi::OsString;

use crate::base::error::{Error, Kind, Result};
use crate::base::opt::Options;
use crate::base::sys;
use crate::base::text;
use crate::base::ui::{Level, Ui, Volume};
use crate::select::Rule;

/// Where a command stands in the help.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Section {
    Everyday,
    Care,
    Helpers,
    /// Named on the first screen, without a line of its own.
    More,
    /// There for old scripts only.
    Unlisted,
}

/// One command. The only place where it is declared.
pub(crate) struct Command {
    /// Lower case.
    pub(crate) name: &'static str,
    /// Other names.
    pub(crate) aliases: &'static [&'static str],
    pub(crate) section: Section,
    /// One line of at most 45 characters.
    pub(crate) summary: &'static str,
    /// What follows the name, as `<url> [path]...`.
    pub(crate) usage: &'static str,
    /// More for `help COMMAND`, lines of at most 79 characters; may be empty.
    pub(crate) details: &'static str,
    /// The first word is the destination.
    pub(crate) needs_url: bool,
    /// Least and most words after the URL.
    pub(crate) words: (usize, usize),
    /// It can change the destination.
    pub(crate) writes: bool,
    pub(crate) run: fn(&mut Call, &mut Ui) -> Result<Outcome>,
}

/// All commands, in the order of the help.
pub(crate) static COMMANDS: &[Command] = &[
    cmd_backup::COMMAND,
    cmd_restore::COMMAND,
    cmd_cat::COMMAND,
    cmd_mount::COMMAND,
    cmd_list::LIST,
    cmd_find::FIND,
    cmd_compare::COMMAND,
    cmd_verify::COMMAND,
    cmd_delete::COMMAND,
    cmd_compact::COMMAND,
    cmd_copy::COMMAND,
    cmd_affected::BROKEN,
    cmd_affected::AFFECTED,
    cmd_repair::COMMAND,
    cmd_purge::PURGE,
    cmd_purge::BROKEN,
    cmd_test_filters::COMMAND,
    cmd_remote::COMMAND,
    cmd_list::FILESETS,
    cmd_list::FOLDER,
    cmd_find::FILE_VERSIONS,
    cmd_find::SEARCH,
    cmd_vacuum::COMMAND,
    cmd_system_info::COMMAND,
    help::COMMAND,
    help::VERSION,
];

/// One invocation of a command, everything about it decided but the environment.
pub(crate) struct Call {
    pub(crate) command: &'static Command,
    /// Destination URL, with credentials; empty when the command takes none.
    pub(crate) url: String,
    /// Words after the URL; their number is within the command's limits.
    pub(crate) words: Vec<String>,
    /// Only options that the command takes; values are well formed.
    pub(crate) options: Options,
    /// `--include` and `--exclude` in order, variables expanded.
    pub(crate) rules: Vec<Rule>,
}

impl Call {
    /// A command by itself.
    fn bare(command: &'static Command) -> Call {
        Call {
            command,
            url: String::new(),
            words: Vec::new(),
            options: Options::default(),
            rules: Vec::new(),
        }
    }
}

/// How a command ended that did not fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Done,
    /// A backup that found nothing to store.
    NothingNew,
    /// A comparison that found differences and was asked to say so by its exit code.
    Different,
    /// Stopped on request; what was done so far is safe.
    Partial,
}

/// The exit code of every command (`commands.md` 2.2).
fn exit_code(result: &Result<Outcome>, warnings: u64, errors: u64) -> u8 {
    match result {
        Err(e) => e.kind().exit_code(),
        Ok(Outcome::Partial) => 50,
        Ok(_) if errors > 0 => 3,
        Ok(_) if warnings > 0 => 2,
        Ok(Outcome::NothingNew | Outcome::Different) => 1,
        Ok(Outcome::Done) => 0,
    }
}

/// Runs the program; `args` begins with its name.
pub(crate) fn run(args: &[OsString]) -> u8 {
    #[cfg(feature = "dest-ssh")]
    if let Some((said, code)) = crate::dest::answer_ssh(args.get(1..).unwrap_or_default()) {
        let mut ui = Ui::silent();
        let done = ui.raw(&said);
        ui.flush();
        return if done.is_ok() { code } else { 1 };
    }
    let mut after_secret = false;
    sys::wipe_arguments(&mut |arg| parse::secret_from(arg, &mut after_secret));
    sys::install_stop_handler();
    sys::install_trap_handler();
    let args = args.get(1..).unwrap_or_default();
    let prepared = prepare(args).and_then(|(call, notes)| {
        unattended::check(&call.options)?;
        let ui = talk::open_ui(&call)?;
        Ok((call, notes, ui))
    });
    match prepared {
        Ok((mut call, notes, mut ui)) => {
            let name = call.options.text(&options::BACKUP_NAME);
            frame::begin(&mut ui, Some(call.command), name);
            if let Some(name) = name {
                ui.only_log(&format!(
                    "{} of {}",
                    call.command.name,
                    text::safe(name.as_bytes())
                ));
            }
            for (level, note) in notes {
                match level {
                    Level::Verbose => ui.verbose(&note),
                    Level::Warning => ui.warn("exposed-secret", &note),
                    _ => ui.note(&note),
                }
            }
            let run = unattended::Run::of(&call);
            let result = unattended::run(&mut call, &mut ui);
            finish(&mut ui, result, &run)
        }
        Err(e) => {
            let mut ui = Ui::new(Volume::Normal, parse::early(args, &["--json"]), Some(false));
            ui.keep_for_report();
            let first = args.first().and_then(|a| a.to_str());
            let command = first.and_then(|word| lookup(&word.to_lowercase()));
            frame::begin(&mut ui, command, None);
            finish(&mut ui, Err(e), &unattended::rescue(args))
        }
    }
}

fn finish(ui: &mut Ui, mut result: Result<Outcome>, run: &unattended::Run) -> u8 {
    ui.flush();
    if let Some(e) = ui.take_failure() {
        result = result.and(Err(e));
    }
    if let Err(e) = &result
        && !ui.broken_pipe()
    {
        ui.fatal(e);
    }
    let code = exit_code(&result, ui.warnings(), ui.errors());
    frame::end(ui, &result, code);
    ui.end(code > 1);
    unattended::report(run, ui, &result, code);
    match ui.take_failure() {
        Some(e) if code == 0 => {
            ui.fatal(&e);
            e.kind().exit_code()
        }
        _ => code,
    }
}

/// A first word that is no command: it comes before the options that only the command of another program has.
fn unknown_command(args: &[OsString]) -> Option<Error> {
    let first = args.first()?.to_str()?;
    match first.starts_with('-') {
        true => None,
        false => elsewhere::find(first).err(),
    }
}

/// From arguments to a call, and what is worth saying about it.
fn prepare(args: &[OsString]) -> Result<(Call, Vec<(Level, String)>)> {
    if parse::early(args, &["--help", "-h"]) || args.is_empty() {
        return Ok((help_call(args), Vec::new()));
    }
    // Alone it needs no table of options: the least that a start can cost.
    if let [only] = args
        && (only == "--version" || only == "-V")
    {
        return Ok((Call::bare(&help::VERSION), Vec::new()));
    }
    let mut line = if wants_version(args) {
        let mut rest = args.to_vec();
        rest.retain(|a| a != "--version" && a != "-V");
        let mut line = parse::read(&rest)?;
        line.words.clear();
        line.words.push("version".to_owned());
        line
    } else {
        parse::read(args).map_err(|e| unknown_command(args).unwrap_or(e))?
    };
    if line.words.is_empty() {
        return Err(Error::usage("no command is given").hint("try 'duplet help'"));
    }
    line.command = line.words.remove(0);
    let command = elsewhere::find(&line.command)?;
    if command.name == help::COMMAND.name
        && line.words.is_empty()
        && line.command.contains("example")
    {
        line.words.push("examples".to_owned());
    }
    let usage = || {
        let whole = format!("usage: duplet {} {}", command.name, command.usage);
        whole.trim_end().to_owned()
    };
    let (call, notes) = sources::merge(command, line).map_err(|e| match e.kind() {
        Kind::Usage => e.hint(format!("try 'duplet help {}'", command.name)),
        _ => e,
    })?;
    let (mut least, most) = command.words;
    // What is streamed is a source, too; `stdin` says what is missing of it.
    let streamed = [&options::STDIN_COMMAND, &options::STDIN_FILENAME];
    if streamed
        .iter()
        .any(|o| call.options.given(o.name).is_some())
    {
        least = 0;
    }
    if call.words.len() < least || call.words.len() > most {
        let what = if call.words.len() < least {
            "few"
        } else {
            "many"
        };
        let quotes = if call.words.len() < least && call.url.contains('?') {
            "; a URL with ? or & must stand in quotes"
        } else {
            ""
        };
        let e = Error::usage(format!("too {what} arguments for {}", command.name));
        let number = |w: &&String| w.chars().all(|c| c.is_ascii_digit() || ",-".contains(c));
        let named = call.words.first().filter(number);
        return Err(match named {
            Some(word) if sources::applies(&options::VERSION, command) && what == "many" => {
                let shown = text::safe_cut(word.as_bytes(), 40);
                e.hint(format!("write --version={shown} for a version"))
            }
            _ => e.hint(format!("{}{quotes}", usage())),
        });
    }
    Ok((call, notes))
}

/// `-V`, or `--version` without a value and without a command; with a value it chooses versions of a backup.
fn wants_version(args: &[OsString]) -> bool {
    if args.iter().take_while(|a| *a != "--").any(|a| a == "-V") {
        return true;
    }
    args.iter().any(|a| a == "--version")
        && args.iter().all(|a| a.as_encoded_bytes().starts_with(b"--"))
}

/// Help wins over everything else on the line, mistakes included.
fn help_call(args: &[OsString]) -> Call {
    let mut options = Options::default();
    if parse::early(args, &["--json"]) {
        // A flag takes every value that is a flag's.
        let _ = options.set(&options::JSON, "true");
    }
    let first = args
        .iter()
        .take_while(|a| *a != "--")
        .filter_map(|a| a.to_str())
        .find(|a| !a.starts_with('-'));
    let command = first.and_then(|f| lookup(&f.to_lowercase()));
    Call {
        words: command
            .iter()
            .filter(|c| c.name != "help")
            .map(|c| c.name.to_owned())
            .collect(),
        options,
        ..Call::bare(&help::COMMAND)
    }
}

/// The command of a name or alias in lower case.
fn lookup(name: &str) -> Option<&'static Command> {
    COMMANDS
        .iter()
        .find(|c| c.name == name || c.aliases.contains(&name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_rule_gives_every_exit_code() {
        let usage = || Err(Error::usage("x"));
        let stopped = || Err(Error::new(Kind::Interrupted, "x"));
        for (result, warnings, errors, code) in [
            (Ok(Outcome::Done), 0, 0, 0),
            (Ok(Outcome::NothingNew), 0, 0, 1),
            (Ok(Outcome::Different), 0, 0, 1),
            (Ok(Outcome::NothingNew), 1, 0, 2),
            (Ok(Outcome::Done), 1, 1, 3),
            (Ok(Outcome::Partial), 1, 1, 50),
            (stopped(), 0, 0, 50),
            (Err(Error::damaged("x")), 0, 1, 100),
            (usage(), 1, 1, 200),
        ] {
            assert_eq!(exit_code(&result, warnings, errors), code);
        }
    }

    #[test]
    fn the_word_of_a_page_leads_to_the_page() {
        for word in ["filters", "url", "JSON", "cron"] {
            let e = elsewhere::find(word)
                .err()
                .map(|e| e.to_string())
                .unwrap_or_default();
            let wanted = format!("try 'duplet help {}'", word.to_lowercase());
            assert!(e.contains(&wanted), "{e}");
        }
    }

    #[test]
    fn every_command_that_writes_has_a_dry_run() {
        for command in COMMANDS.iter().filter(|c| c.writes) {
            let has = sources::applies(&options::DRY_RUN, command);
            assert!(has, "{}", command.name);
        }
    }

    #[test]
    fn command_rows_are_well_formed() {
        let mut names: Vec<&str> = COMMANDS
            .iter()
            .flat_map(|c| std::iter::once(c.name).chain(c.aliases.iter().copied()))
            .collect();
        names.sort_unstable();
        assert!(names.windows(2).all(|w| w[0] != w[1]));
        for c in COMMANDS {
            assert!(c.summary.len() <= 45, "{}", c.name);
            assert!(c.details.lines().all(|l| l.len() < 80), "{}", c.name);
            assert!(c.words.0 <= c.words.1);
            assert_eq!(c.name, c.name.to_lowercase());
        }
    }
}
