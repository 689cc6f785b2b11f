//! From arguments to words and checked options, by the rules of `commands.md` 1. What an option may be called and take is in
//! `options`; which sources beat which is in `sources`.

use std::ffi::OsString;

use crate::base::error::{Error, Result};
use crate::base::opt::{Kind, Opt, parse_flag};
use crate::base::text;
use crate::cli::options;

/// One command line taken apart; every option known, no value checked yet.
#[derive(Default)]
pub(super) struct Line {
    /// Words that are no options, in order.
    pub(super) words: Vec<String>,
    pub(super) values: Vec<(&'static Opt, String)>,
    /// What was accepted without effect, for `-v`.
    pub(super) notes: Vec<String>,
}

/// Takes the arguments after the program's name apart.
pub(super) fn read(args: &[OsString]) -> Result<Line> {
    let mut line = Line::default();
    let mut parser = getopts::Options::new();
    let mut used: Vec<&'static Opt> = Vec::new();
    let mut plain: Vec<String> = Vec::with_capacity(args.len());
    let mut words_only = false;
    for (at, arg) in args.iter().enumerate() {
        let Some(arg) = arg.to_str() else {
            let shown = text::safe_cut(arg.as_encoded_bytes(), 60);
            return Err(Error::usage(format!(
                "argument {} is not valid UTF-8: {}",
                at + 1,
                if shown.starts_with('-') {
                    "an option"
                } else {
                    &shown
                }
            )));
        };
        if words_only || !arg.starts_with('-') || arg == "-" {
            plain.push(arg.to_owned());
        } else if arg == "--" {
            words_only = true;
            plain.push(arg.to_owned());
        } else if let Some((opt, value)) = option(arg, &mut line.notes)? {
            if !used.iter().any(|o| o.name == opt.name) {
                parser.optmulti("", opt.name, "", "");
                used.push(opt);
            }
            plain.push(format!("--{}={value}", opt.name));
        }
    }
    let found = parser
        .parse(&plain)
        .map_err(|_| Error::bug("an option that was found is unknown"))?;
    let mut values: Vec<(usize, &'static Opt, String)> = Vec::new();
    for opt in used {
        let given = found.opt_strs_pos(opt.name);
        values.extend(given.into_iter().map(|(at, value)| (at, opt, value)));
    }
    values.sort_by_key(|v| v.0);
    line.values = values.into_iter().map(|(_, o, v)| (o, v)).collect();
    line.words = found.free;
    Ok(line)
}

/// One argument that begins with a dash: the row and the value, or nothing when it is to be ignored.
pub(super) fn option(arg: &str, notes: &mut Vec<String>) -> Result<Option<(&'static Opt, String)>> {
    let (name, value) = match arg {
        "-h" => ("help", None),
        "-v" => ("verbose", None),
        "-q" => ("quiet-console", None),
        _ => split(arg)?,
    };
    let name = name.to_lowercase();
    let Some(opt) = options::find(&name) else {
        return Err(unknown(&name));
    };
    match (opt.kind, value) {
        (Kind::Ignored, _) => {
            notes.push(format!("--{name} has no effect here"));
            Ok(None)
        }
        (Kind::Refused(_), Some(value)) if is_off(value) => {
            notes.push(format!("--{name} is not supported, and off"));
            Ok(None)
        }
        (Kind::Refused(reason), _) => {
            Err(Error::usage(format!("--{name} is not supported: {reason}")))
        }
        (_, Some(value)) => Ok(Some((opt, unquoted(value).to_owned()))),
        (Kind::Flag, None) => Ok(Some((opt, String::new()))),
        (Kind::Choice(words), None) if words.contains(&"True") => {
            Ok(Some((opt, "True".to_owned())))
        }
        (_, None) => Err(Error::usage(format!(
            "--{name} needs a value: --{name}={}",
            placeholder(opt.kind)
        ))),
    }
}

fn split(arg: &str) -> Result<(&str, Option<&str>)> {
    let Some(rest) = arg.strip_prefix("--") else {
        let shown = text::safe_cut(arg.split('=').next().unwrap_or("").as_bytes(), 40);
        return Err(Error::usage(format!("unknown option {shown}"))
            .hint("options begin with two dashes; words that begin with a dash go after --"));
    };
    Ok(match rest.split_once('=') {
        Some((name, value)) => (name, Some(value)),
        None => (rest, None),
    })
}

/// The value without one pair of double quotes around it.
fn unquoted(value: &str) -> &str {
    value
        .strip_prefix('"')
        .and_then(|v| v.strip_suffix('"'))
        .unwrap_or(value)
}

/// Words that ask for the absence of what is not supported.
fn is_off(value: &str) -> bool {
    let off = ["0", "off", "false", "no", "none", "auto"];
    off.iter().any(|w| w.eq_ignore_ascii_case(value.trim()))
}

fn unknown(name: &str) -> Error {
    let shown = text::safe_cut(name.as_bytes(), 60);
    let names =
        options::real().flat_map(|o| std::iter::once(o.name).chain(o.aliases.iter().copied()));
    let e = Error::usage(format!("unknown option --{shown}"));
    match text::nearest(name, names) {
        Some(near) => e.hint(format!("did you mean --{near}?")),
        None => e.hint("see 'duplet help options'"),
    }
}

/// What stands for a value in help.
pub(super) fn placeholder(kind: Kind) -> &'static str {
    match kind {
        Kind::Flag | Kind::Ignored | Kind::Refused(_) => "",
        Kind::Int(_) => "NUMBER",
        Kind::Size(_) => "SIZE",
        Kind::Span => "TIME",
        Kind::Text | Kind::Secret => "TEXT",
        Kind::Choice(_) => "WORD",
        Kind::Many => "RULE",
    }
}

/// True when one of the flags `names` is on among the arguments before `--`. For what must be known before the line is
/// understood.
pub(super) fn early(args: &[OsString], names: &[&str]) -> bool {
    args.iter()
        .take_while(|a| *a != "--")
        .filter_map(|a| a.to_str())
        .map(|a| a.split_once('=').unwrap_or((a, "")))
        .any(|(name, value)| {
            names.contains(&name.to_lowercase().as_str())
                && parse_flag(unquoted(value)) == Some(true)
        })
}

/// From which byte of an argument on nobody may see it: values of secret and unknown options; in a URL the password, or else
/// the query.
pub(super) fn secret_from(arg: &[u8]) -> Option<usize> {
    let mut start = 0;
    if arg.starts_with(b"--")
        && let Some(equals) = arg.iter().position(|&b| b == b'=')
    {
        let name = String::from_utf8_lossy(&arg[2..equals]).to_lowercase();
        start = equals + 1;
        if options::find(&name).is_none_or(|o| o.kind == Kind::Secret) {
            return Some(start);
        }
    }
    let scheme = arg[start..].windows(3).position(|w| w == b"://")?;
    let place = start + scheme + 3;
    let query = arg[place..].iter().position(|&b| b == b'?');
    let end = query.map_or(arg.len(), |q| place + q);
    let colon = arg[place..end]
        .iter()
        .position(|&b| matches!(b, b':' | b'/'))
        .filter(|&c| arg[place + c] == b':');
    match colon {
        Some(c) if arg[place + c..end].contains(&b'@') => Some(place + c + 1),
        _ => query.map(|q| place + q + 1),
    }
}

#[cfg(test)]
#[path = "parse_tests.rs"]
mod tests;
