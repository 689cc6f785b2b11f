//! From arguments to words and checked options, by the rules of `commands.md` 1. What an option may be called and take is in
//! `options`; which sources beat which is in `sources`.

use std::ffi::OsString;

use crate::base::error::{Error, Result};
use crate::base::opt::{Kind, Opt, empty, parse_flag};
use crate::base::place;
use crate::base::text;
use crate::cli::options;
use crate::cli::other_options::{ADVICE, SYNONYMS};
use crate::net::url::capable_from;

/// One command line taken apart; every option known, no value checked yet.
#[derive(Default)]
pub(super) struct Line {
    /// Words that are no options, in order.
    pub(super) words: Vec<String>,
    pub(super) values: Vec<(&'static Opt, String)>,
    /// What was accepted without effect, for `-v`.
    pub(super) notes: Vec<String>,
    /// The command as it was typed.
    pub(super) command: String,
}

/// Takes the arguments after the program's name apart.
pub(super) fn read(args: &[OsString]) -> Result<Line> {
    let mut line = Line::default();
    let mut parser = getopts::Options::new();
    let mut used: Vec<&'static Opt> = Vec::new();
    let mut plain: Vec<String> = Vec::with_capacity(args.len());
    let mut words_only = false;
    // The option that the argument before this one was.
    let mut before: Option<String> = None;
    let mut rest = args.iter().enumerate().peekable();
    while let Some((at, arg)) = rest.next() {
        let arg = utf8(at, arg)?;
        let option_before = before.take();
        if words_only || !arg.starts_with('-') || arg == "-" {
            if let Some(name) = option_before.filter(|_| arg == "=" && !words_only) {
                return Err(parted(&name));
            }
            plain.push(arg.to_owned());
        } else if arg == "--" {
            words_only = true;
            plain.push(arg.to_owned());
        } else {
            // `--name value`: the value is the next word, unless that is an option.
            let next = match wants_value(arg) {
                true => rest.next_if(|(_, word)| !word.as_encoded_bytes().starts_with(b"-")),
                false => None,
            };
            let next = next.map(|(at, word)| utf8(at, word)).transpose()?;
            before = split(arg).ok().map(|(name, _)| name.to_owned());
            if let Some((opt, value)) = option(arg, next, &mut line.notes)? {
                if !used.iter().any(|o| o.name == opt.name) {
                    parser.optmulti("", opt.name, "", "");
                    used.push(opt);
                }
                plain.push(format!("--{}={value}", opt.name));
            }
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

/// One argument as text; `at` counts from 0. What cannot be text may still hold a secret.
fn utf8(at: usize, arg: &OsString) -> Result<&str> {
    arg.to_str().ok_or_else(|| {
        let shown = text::safe_cut(arg.as_encoded_bytes(), 60);
        let plain = !shown.starts_with('-') && !shown.contains([':', '@', '?', '=']);
        Error::usage(format!(
            "argument {} is not valid UTF-8: {}",
            at + 1,
            if plain { &shown } else { "an option" }
        ))
    })
}

/// Other spellings of the short options.
const SHORT: &[(&str, &str)] = &[
    ("-h", "help"),
    ("-i", "ignore-case"),
    ("-l", "long"),
    ("-n", "dry-run"),
    ("-q", "quiet-console"),
    ("-v", "verbose"),
    ("-vv", "very-verbose"),
];

/// True for an option that takes a value and stands without one.
fn wants_value(arg: &str) -> bool {
    let Ok((name, None)) = split(arg) else {
        return false;
    };
    options::find(&name.to_lowercase()).is_some_and(|o| match o.kind {
        Kind::Flag | Kind::Ignored | Kind::Refused(_) => false,
        Kind::Choice(words) => !words.contains(&"True"),
        _ => true,
    })
}

/// One argument that begins with a dash, and the word after it where that is its value: the row and the value, or nothing
/// when it is to be ignored. The value of a row that is refused ([`Kind::Refused`]) is the name as typed.
pub(super) fn option(
    arg: &str,
    next: Option<&str>,
    notes: &mut Vec<String>,
) -> Result<Option<(&'static Opt, String)>> {
    let short = SHORT.iter().find(|(short, _)| *short == arg);
    let (name, value) = match short {
        Some((_, name)) => (*name, None),
        None => split(arg)?,
    };
    let name = name.to_lowercase();
    let Some(opt) = options::find(&name) else {
        return Err(unknown(&name));
    };
    // `--name = value`: taken as it stands, the sign would be a part of the value, and of a passphrase for ever.
    let directly = arg.as_bytes().get(2 + name.len()) == Some(&b'=');
    if !directly && value.or(next).is_some_and(|v| v.starts_with('=')) {
        return Err(parted(&name));
    }
    let value = value.or(next);
    match (opt.kind, value) {
        (Kind::Ignored, _) => {
            notes.push(format!("--{name} has no effect here"));
            Ok(None)
        }
        (Kind::Refused(_), Some(value)) if is_off(value) => {
            notes.push(format!("--{name} is not supported, and off"));
            Ok(None)
        }
        // As typed, for the row may stand for many names. Whether it matters depends on the command.
        (Kind::Refused(_), _) => Ok(Some((opt, name))),
        (_, Some(value)) if options::upkeep_off(opt, is_off(value)) => {
            notes.push(format!("--{name} is off"));
            Ok(None)
        }
        (_, Some(value)) if exported_blank(opt, value) => {
            notes.push(format!("--{name} is blank, and has no effect"));
            Ok(None)
        }
        (Kind::Flag, Some(value)) if unquoted(value).trim().is_empty() => {
            empty(&name).map(|()| None)
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

/// Name and value of `--name=value`, `--name value` in one argument, or `--name`.
fn split(arg: &str) -> Result<(&str, Option<&str>)> {
    let Some(rest) = arg.strip_prefix("--") else {
        return Err(one_dash(arg));
    };
    let end = rest.find(|c: char| c == '=' || c.is_whitespace());
    Ok(match end {
        Some(end) if rest[end..].starts_with('=') => (&rest[..end], Some(&rest[end + 1..])),
        Some(end) => (&rest[..end], Some(rest[end..].trim())),
        None => (rest, None),
    })
}

/// Blanks around the `=` of an option.
pub(super) fn parted(name: &str) -> Error {
    let name = shown_option(&name.to_lowercase());
    Error::usage(format!("--{name} = stands with a blank before its ="))
        .hint(format!("without blanks: --{name}=VALUE"))
}

/// True for what Duplicati itself exports without a value, as for a backup that is not encrypted, or without a script.
fn exported_blank(opt: &Opt, value: &str) -> bool {
    let names = ["encryption-module", "compression-module", "thread-priority"];
    let families = ["run-script-", "send-http-"];
    let checked = matches!(
        opt.kind,
        Kind::Flag | Kind::Word | Kind::Span | Kind::Int(_)
    );
    !checked
        && (names.contains(&opt.name) || families.iter().any(|f| opt.name.starts_with(f)))
        && unquoted(value).trim().is_empty()
}

/// What is behind one dash may be a password (`-psecret`), so only a name that is known is shown whole.
fn one_dash(arg: &str) -> Error {
    let name = arg.trim_start_matches('-');
    let name = &name[..name.find(['=', ' ']).unwrap_or(name.len())];
    if let Some(opt) = options::find(&name.to_lowercase()).filter(|_| name.len() > 1) {
        let shown = text::safe_cut(name.as_bytes(), 40);
        return Error::usage(format!("unknown option -{shown}"))
            .hint(format!("with two dashes: --{}", opt.name));
    }
    let mut letters = name.chars();
    let first: String = letters.by_ref().take(1).collect();
    let more = if letters.next().is_some() { "*" } else { "" };
    Error::usage(format!("unknown option -{}{more}", text::safe(first.as_bytes()))).hint(
        "options begin with two dashes, but for -h, -i, -l, -n, -q, -v, -V; words that begin with a dash go after --",
    )
}

/// The value without one pair of double quotes around it.
fn unquoted(value: &str) -> &str {
    value
        .strip_prefix('"')
        .and_then(|v| v.strip_suffix('"'))
        .unwrap_or(value)
}

/// Values that ask for the absence of what is not supported; so does none at all (`--retention-policy=`).
pub(super) fn is_off(value: &str) -> bool {
    let value = unquoted(value);
    let off = ["", "0", "off", "false", "no", "none", "auto"];
    off.iter().any(|w| w.eq_ignore_ascii_case(value.trim()))
}

fn unknown(name: &str) -> Error {
    let names =
        options::real().flat_map(|o| std::iter::once(o.name).chain(o.aliases.iter().copied()));
    let e = Error::usage(format!("unknown option --{}", shown_option(name)));
    if let Some((_, here)) = SYNONYMS.iter().find(|(other, _)| *other == name) {
        return e.hint(format!("did you mean --{here}?"));
    }
    if let Some((_, advice)) = ADVICE.iter().find(|(other, _)| *other == name) {
        return e.hint(*advice);
    }
    match text::nearest(name, names) {
        Some(near) => e.hint(format!("did you mean --{near}?")),
        None => e.hint("see 'duplet help options'"),
    }
}

/// A mistyped name of an option without what may be a secret run into it, as in `--passphrase:secret`.
pub(super) fn shown_option(name: &str) -> String {
    let end = name
        .find(|c: char| !c.is_ascii_alphanumeric() && !matches!(c, '-' | '_'))
        .unwrap_or(name.len());
    let secret = options::real()
        .filter(|o| o.kind == Kind::Secret)
        .flat_map(|o| std::iter::once(o.name).chain(o.aliases.iter().copied()))
        .filter(|n| name.starts_with(n) && name.len() > n.len())
        .filter(|n| !name[n.len()..].starts_with('-'))
        .map(str::len)
        .max();
    let end = secret.map_or(end, |s| s.min(end));
    let more = if end < name.len() { "*" } else { "" };
    format!("{}{more}", text::safe_cut(&name.as_bytes()[..end], 60))
}

/// A mistyped word of the command line, such as a command: as much of it as cannot be a part of a URL or of a login.
pub(super) fn shown(word: &str) -> String {
    let end = word.find([':', '@', '?', '=', '&']).unwrap_or(word.len());
    let more = if end < word.len() { "*" } else { "" };
    format!("{}{more}", text::safe_cut(&word.as_bytes()[..end], 40))
}

/// What stands for a value in help.
pub(super) fn placeholder(kind: Kind) -> &'static str {
    match kind {
        Kind::Flag | Kind::Ignored | Kind::Refused(_) => "",
        Kind::Int(_) => "NUMBER",
        Kind::Size(_) => "SIZE",
        Kind::Span => "TIME",
        Kind::Text | Kind::Secret | Kind::Word => "TEXT",
        Kind::Path => "PATH",
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
/// the query; all of the argument after a secret option without a value. Arguments come in order, and `after_secret` is kept
/// between them.
pub(super) fn secret_from(arg: &[u8], after_secret: &mut bool) -> Option<usize> {
    let is_value = std::mem::replace(after_secret, false);
    let mut start = 0;
    if let Some(name) = arg.strip_prefix(b"--") {
        let end = name
            .iter()
            .position(|&b| b == b'=' || b.is_ascii_whitespace());
        let name = String::from_utf8_lossy(&name[..end.unwrap_or(name.len())]).to_lowercase();
        let secret = options::find(&name).is_none_or(|o| o.kind == Kind::Secret);
        match end {
            Some(end) => {
                start = 2 + end + 1;
                if secret {
                    return Some(start);
                }
            }
            None => *after_secret = secret && !name.is_empty(),
        }
    } else if is_value && !arg.starts_with(b"-") {
        return Some(0);
    } else if arg.starts_with(b"-") && arg.len() > 2 {
        return Some(2);
    }
    secret_of_url(&arg[start..]).map(|at| start + at)
}

/// Where in a URL, or in a word that looks like one (`s3:bucket?key=secret`), the secret part begins.
fn secret_of_url(arg: &[u8]) -> Option<usize> {
    if let Some(at) = std::str::from_utf8(arg).ok().and_then(capable_from) {
        return Some(at);
    }
    let Some(scheme) = arg.windows(3).position(|w| w == b"://") else {
        let address = std::str::from_utf8(arg).is_ok_and(|a| place::elsewhere(a).is_some());
        return arg.iter().position(|&b| b == b':').filter(|_| address);
    };
    let place = scheme + 3;
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
