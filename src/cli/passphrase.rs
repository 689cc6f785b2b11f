//! Where the passphrase comes from (`commands.md` 13.1). It is looked for only once the listing shows that one is needed.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::process::{Command, Stdio};

use crate::base::error::{Doing, Error, Kind, Result, unwrap_io};
use crate::base::opt::{Options, Origin};
use crate::base::secret::{Secret, wipe};
use crate::base::sys;
use crate::base::text;
use crate::cli::options::{PASSPHRASE, PASSPHRASE_COMMAND, PASSPHRASE_FILE, PASSPHRASE_STDIN};
use crate::set::{Need, Passphrase};

/// Longest first line that is read, in bytes.
const LINE_MAX: u64 = 64 << 10;
const VARIABLE: &str = "PASSPHRASE";

/// Refuses what can be refused before anything is contacted.
pub(super) fn check(options: &Options) -> Result<()> {
    match options.given(PASSPHRASE.name) {
        Some(given) if given.trim().is_empty() => Err(blank("--passphrase")),
        _ => Ok(()),
    }
}

/// The passphrase from the strongest source that has one.
pub(super) fn resolve(options: &Options, need: Need) -> Result<Passphrase> {
    let Some(named) = named(options) else {
        return prompt(need)?.ok_or_else(|| absent(need));
    };
    let secret = read(options, &named)?;
    if secret.is_blank() {
        return Err(blank(&named.whence));
    }
    let whence = named.whence;
    Ok(Passphrase { secret, whence })
}

/// Where the call names a passphrase, if it does; reads nothing. The terminal does not count: it is asked only where one is
/// needed.
pub(super) fn whence(options: &Options) -> Option<String> {
    named(options).map(|n| n.whence)
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
fn named(options: &Options) -> Option<Named> {
    let named = |source, whence: &str| {
        Some(Named {
            source,
            whence: whence.to_owned(),
        })
    };
    if let Some(origin) = options.origin(PASSPHRASE.name) {
        let whence = match origin {
            Origin::CommandLine => "--passphrase",
            Origin::ParametersFile => "--passphrase in the parameters file",
            Origin::Url => "passphrase= in the destination URL",
        };
        return named(Source::Option, whence);
    }
    if let Some(path) = options.text(&PASSPHRASE_FILE) {
        let path = text::safe_cut(path.as_bytes(), 100);
        return named(Source::File, &format!("--passphrase-file={path}"));
    }
    if options.text(&PASSPHRASE_COMMAND).is_some() {
        return named(Source::Command, "--passphrase-command");
    }
    if std::env::var_os(VARIABLE).is_some_and(|v| !v.is_empty()) {
        return named(Source::Variable, "the environment variable PASSPHRASE");
    }
    if options.flag(&PASSPHRASE_STDIN) {
        return named(Source::Input, "standard input");
    }
    None
}

fn read(options: &Options, named: &Named) -> Result<Secret> {
    let whence = named.whence.as_str();
    match named.source {
        Source::Option => {
            let given = options.given(PASSPHRASE.name).unwrap_or_default();
            Ok(Secret::new(given.to_owned()))
        }
        Source::File => {
            let path = options.text(&PASSPHRASE_FILE).unwrap_or_default();
            let doing = || format!("read the passphrase file {}", text::safe(path.as_bytes()));
            let file = File::open(path).doing(doing)?;
            secret(first_line(file).doing(doing)?, whence)
        }
        Source::Command => from_command(options.text(&PASSPHRASE_COMMAND).unwrap_or_default()),
        Source::Variable => {
            let value = std::env::var_os(VARIABLE).unwrap_or_default();
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

fn from_command(command: &str) -> Result<Secret> {
    let doing = || "run the command of --passphrase-command".to_owned();
    let mut child = Command::new("/bin/sh")
        .args(["-c", command])
        .env_remove(VARIABLE)
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
    secret(line.doing(doing)?, "--passphrase-command")
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

/// Asks at the terminal, twice for a new destination; `None` without a terminal.
fn prompt(need: Need) -> Result<Option<Passphrase>> {
    let question = match need {
        Need::ToRead => "Passphrase: ",
        Need::ToCreate => "Passphrase for the new backup: ",
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
