//! Where the passphrase comes from (`commands.md` 13.1). It is looked for only once the listing shows that one is needed.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::process::{Command, Stdio};

use crate::base::error::{Doing, Error, Kind, Result, unwrap_io};
use crate::base::opt::{Opt, Options, Origin};
use crate::base::secret::{Secret, wipe};
use crate::base::sys;
use crate::base::text;
use crate::cli::options::{
    CHANGE_PASSPHRASE, NEW_PASSPHRASE, NEW_PASSPHRASE_COMMAND, NEW_PASSPHRASE_FILE, NO_ENCRYPTION,
    PASSPHRASE, PASSPHRASE_COMMAND, PASSPHRASE_FILE, PASSPHRASE_STDIN,
};
use crate::set::{Need, Passphrase};

/// Longest first line that is read, in bytes.
const LINE_MAX: u64 = 64 << 10;

/// One passphrase of a call: where it may be named.
struct Ways {
    option: &'static Opt,
    file: &'static Opt,
    command: &'static Opt,
    variable: &'static str,
    /// Standard input is read when this is given.
    input: Option<&'static Opt>,
}

/// Of the backup.
const OWN: Ways = Ways {
    option: &PASSPHRASE,
    file: &PASSPHRASE_FILE,
    command: &PASSPHRASE_COMMAND,
    variable: "PASSPHRASE",
    input: Some(&PASSPHRASE_STDIN),
};

/// Of a copy that gets another one.
const NEW: Ways = Ways {
    option: &NEW_PASSPHRASE,
    file: &NEW_PASSPHRASE_FILE,
    command: &NEW_PASSPHRASE_COMMAND,
    variable: "NEW_PASSPHRASE",
    input: None,
};

/// Refuses what can be refused before anything is contacted. `writes`: what is written would go by the one or the other of two
/// options that contradict each other.
pub(super) fn check(options: &Options, writes: bool) -> Result<()> {
    for ways in [OWN, NEW] {
        let given = options.given(ways.option.name);
        if given.is_some_and(|given| given.trim().is_empty()) {
            return Err(blank(&format!("--{}", ways.option.name)));
        }
    }
    // The environment may have one for other backups.
    if let Some(named) = named(options, &OWN)
        && !matches!(named.source, Source::Variable)
        && writes
        && options.flag(&NO_ENCRYPTION)
    {
        let cause = format!(
            "--no-encryption and a passphrase are given ({})",
            named.whence
        );
        return Err(Error::usage(cause).hint("leave one of them out"));
    }
    Ok(())
}

/// Whether a copy is to get another passphrase.
pub(super) fn changes(options: &Options) -> bool {
    let named = [
        &NEW_PASSPHRASE,
        &NEW_PASSPHRASE_FILE,
        &NEW_PASSPHRASE_COMMAND,
    ];
    options.flag(&CHANGE_PASSPHRASE) || named.iter().any(|o| options.origin(o.name).is_some())
}

/// Whether the environment names a passphrase for copies.
pub(super) fn new_is_set() -> bool {
    std::env::var_os(NEW.variable).is_some_and(|v| !v.is_empty())
}

/// As [`resolve`], the passphrase that a copy gets.
pub(super) fn resolve_new(options: &Options, need: Need) -> Result<Passphrase> {
    match named(options, &NEW) {
        Some(named) => read_named(options, &NEW, named),
        None => {
            let question = ["New passphrase: ", "New passphrase, for the copy: "];
            prompt(need, question)?.ok_or_else(|| {
                Error::usage("the copy is to get another passphrase, and none is given")
                    .hint("use --new-passphrase-file, --new-passphrase-command or environment NEW_PASSPHRASE")
            })
        }
    }
}

/// The passphrase from the strongest source that has one.
pub(super) fn resolve(options: &Options, need: Need) -> Result<Passphrase> {
    match named(options, &OWN) {
        Some(named) => read_named(options, &OWN, named),
        None => {
            let questions = ["Passphrase: ", "Passphrase for the new backup: "];
            prompt(need, questions)?.ok_or_else(|| absent(need))
        }
    }
}

fn read_named(options: &Options, ways: &Ways, named: Named) -> Result<Passphrase> {
    let secret = read(options, ways, &named)?;
    if secret.is_blank() {
        return Err(blank(&named.whence));
    }
    let whence = named.whence;
    Ok(Passphrase { secret, whence })
}

/// Where the call names a passphrase, if it does; reads nothing. The terminal does not count: it is asked only where one is
/// needed.
pub(super) fn whence(options: &Options) -> Option<String> {
    named(options, &OWN).map(|n| n.whence)
}

enum Source {
    Option,
    File,
    Command,
    Variable,
    Input,
}

struct Named {
    source: Source,
    whence: String,
}

/// The strongest source that the call names.
fn named(options: &Options, ways: &Ways) -> Option<Named> {
    let named = |source, whence: String| Some(Named { source, whence });
    let option = ways.option.name;
    if let Some(origin) = options.origin(option) {
        let whence = match origin {
            Origin::CommandLine => format!("--{option}"),
            Origin::ParametersFile => format!("--{option} in the parameters file"),
            Origin::Url => format!("{option}= in the destination URL"),
        };
        return named(Source::Option, whence);
    }
    if let Some(path) = options.text(ways.file) {
        let path = text::safe_cut(path.as_bytes(), 100);
        return named(Source::File, format!("--{}={path}", ways.file.name));
    }
    if options.text(ways.command).is_some() {
        return named(Source::Command, format!("--{}", ways.command.name));
    }
    let variable = ways.variable;
    if std::env::var_os(variable).is_some_and(|v| !v.is_empty()) {
        return named(
            Source::Variable,
            format!("the environment variable {variable}"),
        );
    }
    match ways.input {
        Some(input) if options.flag(input) => named(Source::Input, "standard input".to_owned()),
        _ => None,
    }
}

fn read(options: &Options, ways: &Ways, named: &Named) -> Result<Secret> {
    let whence = named.whence.as_str();
    match named.source {
        Source::Option => {
            let given = options.given(ways.option.name).unwrap_or_default();
            Ok(Secret::new(given.to_owned()))
        }
        Source::File => {
            let path = options.text(ways.file).unwrap_or_default();
            let doing = || format!("read the passphrase file {}", text::safe(path.as_bytes()));
            let file = File::open(path).doing(doing)?;
            secret(first_line(file).doing(doing)?, whence)
        }
        Source::Command => from_command(options.text(ways.command).unwrap_or_default(), whence),
        Source::Variable => {
            let value = std::env::var_os(ways.variable).unwrap_or_default();
            secret(value.into_encoded_bytes(), whence)
        }
        Source::Input => {
            let line = first_line(io::stdin().lock()).doing(|| "read the passphrase".to_owned())?;
            secret(line, whence)
        }
    }
}

/// The first line without its end; a byte-order mark before it is not part of it.
fn first_line(from: impl Read) -> io::Result<Vec<u8>> {
    let mut line = Vec::with_capacity(256);
    let mut reader = BufReader::new(from).take(LINE_MAX);
    reader.read_until(b'\n', &mut line)?;
    if line.last() == Some(&b'\n') {
        line.pop();
        if line.last() == Some(&b'\r') {
            line.pop();
        }
    }
    if line.starts_with(b"\xef\xbb\xbf") {
        line.drain(..3);
    }
    Ok(line)
}

/// `option`: which one the command was given by.
fn from_command(command: &str, option: &str) -> Result<Secret> {
    let doing = || format!("run the command of {option}");
    let mut child = Command::new("/bin/sh")
        .args(["-c", command])
        .env_remove(OWN.variable)
        .env_remove(NEW.variable)
        .stdout(Stdio::piped())
        .spawn()
        .doing(doing)?;
    let line = match child.stdout.take() {
        Some(mut pipe) => {
            let line = first_line(&mut pipe);
            // A command that says more must not die of a closed pipe.
            io::copy(&mut pipe, &mut io::sink()).and(line)
        }
        None => Ok(Vec::new()),
    };
    let status = child.wait().doing(doing)?;
    if !status.success() {
        return Err(
            Error::new(Kind::Passphrase, format!("it failed with {status}")).doing(doing()),
        );
    }
    secret(line.doing(doing)?, option)
}

fn secret(bytes: Vec<u8>, whence: &str) -> Result<Secret> {
    match String::from_utf8(bytes) {
        Ok(text) => Ok(Secret::new(text)),
        Err(e) => {
            wipe(&mut e.into_bytes());
            let cause = format!("the passphrase from {whence} is not valid UTF-8");
            Err(Error::usage(cause))
        }
    }
}

fn blank(whence: &str) -> Error {
    Error::usage(format!("the passphrase from {whence} is empty or blank"))
        .hint("give a passphrase, or --no-encryption for a new backup without one")
}

/// Asks at the terminal, twice for a new destination; one question for each [`Need`]; `None` without a terminal.
fn prompt(need: Need, [to_read, to_create]: [&str; 2]) -> Result<Option<Passphrase>> {
    let question = match need {
        Need::ToRead => to_read,
        Need::ToCreate => to_create,
    };
    let Some(first) = ask(question)? else {
        return Ok(None);
    };
    let whence = "the terminal".to_owned();
    if first.is_blank() {
        return Err(blank(&whence));
    }
    if need == Need::ToCreate {
        let again = ask("The same again: ")?;
        if again.is_none_or(|a| a.reveal() != first.reveal()) {
            return Err(Error::usage("the two passphrases differ"));
        }
    }
    Ok(Some(Passphrase {
        secret: first,
        whence,
    }))
}

fn ask(question: &str) -> Result<Option<Secret>> {
    let line = sys::read_secret_line(question)
        .map_err(|e| unwrap_io(e).doing("read the passphrase from the terminal"))?;
    line.map(|l| secret(l, "the terminal")).transpose()
}

fn absent(need: Need) -> Error {
    let ways = "--passphrase-file, --passphrase-command or environment PASSPHRASE";
    match need {
        Need::ToRead => Error::new(
            Kind::Passphrase,
            "the backup is encrypted and no passphrase is given",
        )
        .hint(format!("use {ways}")),
        Need::ToCreate => Error::usage("a new backup needs a passphrase")
            .hint(format!("use {ways}, or --no-encryption")),
    }
}

#[cfg(test)]
#[path = "passphrase_tests.rs"]
mod tests;
