//! Which source of an option wins: URL query over parameters file over command line (`commands.md` 1 and 13.3). The
//! environment and the defaults come last and are looked up by those who use them.

use std::fs::File;
use std::io::Read;

use crate::base::error::{Doing, Error, Result};
use crate::base::opt::{Kind, Opt, Options, Origin, empty};
use crate::base::text;
use crate::base::ui::Level;
use crate::cli::options::{self, EXCLUDE, FORCE, INCLUDE, PARAMETERS_FILE};
use crate::cli::parse::{self, Line};
use crate::cli::{Call, Command};
use crate::dest::{SCHEMES, Scheme};
use crate::net::url::decode;
use crate::remote;
use crate::select::{Rule, expand_environment};

/// Largest parameters file, in bytes.
const FILE_MAX: u64 = 4 << 20;

/// What a parameters file says beside options.
#[derive(Default)]
struct Extra {
    target: Option<String>,
    sources: Vec<String>,
    before: Vec<Rule>,
    after: Vec<Rule>,
    instead: Option<Vec<Rule>>,
}

/// The commands that the sources and the rules of a parameters file are for.
const TAKES_SOURCES: [&str; 2] = ["backup", "test-filters"];

/// Merges all sources into a call of `command`, and says what is worth saying. `line.words` begins after the command.
pub(super) fn merge(
    command: &'static Command,
    mut line: Line,
) -> Result<(Call, Vec<(Level, String)>)> {
    let mut notes = std::mem::take(&mut line.notes);
    let mut extra = Extra::default();
    let mut from_file = Vec::new();
    let last = line
        .values
        .iter()
        .rfind(|(o, _)| o.name == PARAMETERS_FILE.name);
    if let Some((_, path)) = last {
        PARAMETERS_FILE.check(path)?;
        from_file = read_file(path, &mut extra, &mut notes)?;
    }
    // What a backup leaves out is no reason to leave it out of a restore.
    let mut unused = 0;
    if !TAKES_SOURCES.contains(&command.name) {
        let before = from_file.len();
        from_file.retain(|(opt, _)| ![INCLUDE.name, EXCLUDE.name].contains(&opt.name));
        let lists = [&extra.before, &extra.after]
            .map(Vec::len)
            .iter()
            .sum::<usize>();
        let instead = extra.instead.as_ref().map_or(0, Vec::len);
        unused = before - from_file.len() + lists + instead;
        (extra.before, extra.after, extra.instead) = (Vec::new(), Vec::new(), None);
    }
    let rules = rules(
        &line.values,
        &from_file,
        extra.before,
        extra.after,
        extra.instead,
    )?;
    let mut words = line.words;
    not_blank(&words)?;
    let mut url = String::new();
    // `remote ACTION URL`: the one command whose URL is not its first word.
    let action = (command.name == "remote" && !words.is_empty()).then(|| words.remove(0));
    if command.needs_url {
        if let Some(target) = extra.target {
            words.splice(..words.len().min(1), [target]);
        }
        if words.is_empty() {
            return Err(Error::usage(format!(
                "{} needs a destination URL",
                line.command
            )));
        }
        url = words.remove(0);
        if url == "-" {
            url = std::env::var("DUPLET_URL")
                .ok()
                .filter(|url| !url.trim().is_empty())
                .ok_or_else(|| {
                    Error::usage("the destination URL is - but DUPLET_URL is not set")
                })?;
        }
    }
    words.splice(..0, action);
    if TAKES_SOURCES.contains(&command.name) {
        words.append(&mut extra.sources);
    }
    let (url, from_url) = take_query(&url, &mut notes)?;
    // Read before there is a URL, or in the order of the command line.
    let late = |o: &&Opt| o.kind == Kind::Many || o.name == PARAMETERS_FILE.name;
    if let Some(opt) = from_url.iter().map(|(o, _)| *o).find(late) {
        let cause = format!("--{} cannot stand in the destination URL", opt.name);
        return Err(Error::usage(cause).hint("give it on the command line"));
    }
    let mut chosen = Options::default();
    let mut said: Vec<(Level, String)> = Vec::new();
    if unused > 0 && applies(&INCLUDE, command) {
        let rules = text::count(unused as u64, "rule");
        let note = format!(
            "{rules} of the parameters file: for backups, not used by {} (--include and --exclude on the command line are)",
            command.name
        );
        said.push((Level::Information, note));
    }
    if from_url.iter().any(|(o, _)| o.kind == Kind::Secret) {
        let note = "a passphrase in a URL is easily seen by others; --passphrase-file is safer";
        said.push((Level::Information, note.to_owned()));
    }
    let line = line.values.into_iter().map(|v| (v, Origin::CommandLine));
    let file = from_file.into_iter().map(|v| (v, Origin::ParametersFile));
    let url_query = from_url.into_iter().map(|v| (v, Origin::Url));
    let mut refused: Vec<(String, &'static str)> = Vec::new();
    for ((opt, value), origin) in line.chain(file).chain(url_query) {
        if let Kind::Refused(reason) = opt.kind {
            if !applies(opt, command) {
                notes.push(format!("--{value} has no effect on {}", command.name));
            } else if refused.iter().all(|(name, _)| *name != value) {
                refused.push((value, reason));
            }
            continue;
        }
        let suits = applies(opt, command);
        // What another command does with old versions stops no restore.
        if suits || !options::is_upkeep(opt) {
            opt.check(&value)?;
        }
        if !suits && opt.name == FORCE.name {
            // No option of Duplicati, and not one to be passed over.
            let e = Error::usage(format!("--force means nothing to {}", command.name));
            return Err(match command.name {
                "restore" => e.hint("did you mean --overwrite?"),
                _ => e,
            });
        }
        if !suits {
            notes.push(format!("--{} has no effect on {}", opt.name, command.name));
        } else if opt.kind != Kind::Many {
            chosen.set_from(opt, &value, origin)?;
        }
    }
    if !refused.is_empty() {
        return Err(not_supported(&refused));
    }
    said.extend(notes.into_iter().map(|n| (Level::Verbose, n)));
    let rules = if applies(&INCLUDE, command) {
        rules
    } else {
        Vec::new()
    };
    let call = Call {
        command,
        url,
        words,
        options: chosen,
        rules,
    };
    Ok((call, said))
}

/// All options at once that are refused, for one run an option to learn of them is too many.
fn not_supported(refused: &[(String, &'static str)]) -> Error {
    let mut reasons: Vec<&str> = Vec::new();
    for (_, reason) in refused {
        if !reasons.contains(reason) {
            reasons.push(reason);
        }
    }
    let each: Vec<String> = reasons
        .iter()
        .map(|reason| {
            let of = refused.iter().filter(|(_, r)| r == reason);
            let names: Vec<String> = of.map(|(name, _)| format!("--{name}")).collect();
            let are = if names.len() == 1 { "is" } else { "are" };
            format!("{} {are} not supported: {reason}", names.join(", "))
        })
        .collect();
    let them = if refused.len() == 1 { "it" } else { "them" };
    Error::usage(each.join("; ")).hint(format!("leave {them} out"))
}

/// Refuses words of nothing: a variable of the shell that is not set would else mean the current folder, or all.
fn not_blank(words: &[String]) -> Result<()> {
    match words.iter().position(|w| w.trim().is_empty()) {
        Some(at) => Err(
            Error::usage(format!("word {} after the command is empty", at + 1))
                .hint("a variable of the shell that is not set?"),
        ),
        None => Ok(()),
    }
}

/// True when the command takes the option.
pub(super) fn applies(opt: &Opt, command: &Command) -> bool {
    opt.commands.is_empty()
        || opt
            .commands
            .iter()
            .any(|c| *c == command.name || command.aliases.contains(c))
}

fn rules(
    line: &[(&'static Opt, String)],
    file: &[(&'static Opt, String)],
    mut before: Vec<Rule>,
    after: Vec<Rule>,
    instead: Option<Vec<Rule>>,
) -> Result<Vec<Rule>> {
    let of = |values: &[(&'static Opt, String)]| -> Vec<Rule> {
        let mut out = Vec::new();
        for (opt, value) in values {
            if opt.name == INCLUDE.name || opt.name == EXCLUDE.name {
                out.push(Rule {
                    include: opt.name == INCLUDE.name,
                    text: expand(value),
                });
            }
        }
        out
    };
    let (mut line, mut file) = (of(line), of(file));
    if !line.is_empty() && !file.is_empty() {
        return Err(Error::usage(
            "filters are given on the command line and in the parameters file",
        )
        .hint("use --append-filter or --prepend-filter in the file"));
    }
    if let Some(instead) = instead {
        line = instead;
        file = Vec::new();
    }
    before.append(&mut line);
    before.append(&mut file);
    before.extend(after);
    Ok(before)
}

fn expand(value: &str) -> String {
    expand_environment(value, &|name| std::env::var(name).ok())
}

/// The `%NAME%` that a value consists of, or begins with as a folder does, when no such variable is set. The text itself would
/// become a folder's name, or a passphrase that is no secret. Rules keep theirs: they may be those of another machine.
fn unset_variable(line: &str) -> Option<&str> {
    let (key, value) = line.split_once(|c: char| c == '=' || c.is_whitespace())?;
    let key = key.trim_start_matches('-').to_ascii_lowercase();
    if [INCLUDE.name, EXCLUDE.name].contains(&key.as_str()) || key.ends_with("-filter") {
        return None;
    }
    let value = value.trim().trim_matches('"');
    let (name, rest) = value.strip_prefix('%')?.split_once('%')?;
    let is_name = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    let stands_for = rest.is_empty() || rest.starts_with(['/', '\\']) && !key.contains("pass");
    (is_name && stands_for && std::env::var_os(name).is_none()).then(|| &value[..name.len() + 2])
}

fn read_file(
    path: &str,
    extra: &mut Extra,
    notes: &mut Vec<String>,
) -> Result<Vec<(&'static Opt, String)>> {
    let doing = || format!("read the parameters file {}", text::safe(path.as_bytes()));
    let mut content = Vec::new();
    File::open(path)
        .and_then(|f| f.take(FILE_MAX + 1).read_to_end(&mut content))
        .doing(doing)?;
    if content.len() as u64 > FILE_MAX {
        return Err(Error::usage("it is larger than 4 MiB").doing(doing()));
    }
    let content = String::from_utf8(content)
        .map_err(|_| Error::usage("it is not valid UTF-8").doing(doing()))?;
    let mut out = Vec::new();
    for (at, whole) in content.trim_start_matches('\u{feff}').lines().enumerate() {
        let line = whole.trim();
        let comment = line.starts_with(['#', '!'])
            || line
                .get(..4)
                .is_some_and(|s| s.eq_ignore_ascii_case("rem "));
        if line.is_empty() || comment {
            continue;
        }
        if !line.starts_with("--") {
            return Err(
                Error::usage(format!("line {} is not of the form --name=value", at + 1))
                    .doing(doing()),
            );
        }
        if let Some(name) = unset_variable(line) {
            return Err(Error::usage(format!(
                "line {}: {name} is a variable of the environment that is not set",
                at + 1
            ))
            .doing(doing())
            .hint("set it, or write the value itself; a passphrase like that goes into a --passphrase-file"));
        }
        let line = expand(line);
        if !special(&line, extra).doing(doing)?
            && let Some((opt, value)) = parse::option(&line, None, notes)?
        {
            if opt.name == PARAMETERS_FILE.name {
                return Err(Error::usage("it names another parameters file").doing(doing()));
            }
            out.push((opt, value));
        }
    }
    Ok(out)
}

/// Takes a key that only parameters files have.
fn special(line: &str, extra: &mut Extra) -> Result<bool> {
    let Some((name, value)) = line.split_once(|c: char| c == '=' || c.is_whitespace()) else {
        return Ok(false);
    };
    let value = value.trim();
    let known = [
        "source",
        "target",
        "append-filter",
        "prepend-filter",
        "replace-filter",
    ];
    let typed = name.trim_start_matches('-').to_lowercase();
    if value.starts_with('=') && known.contains(&&typed[..]) {
        return Err(parse::parted(&typed));
    }
    let value = value
        .strip_prefix('"')
        .and_then(|v| v.strip_suffix('"'))
        .unwrap_or(value);
    let name = name.to_lowercase();
    if ["--source", "--target"].contains(&name.as_str()) && value.trim().is_empty() {
        empty(&name[2..])?;
    }
    match name.as_str() {
        "--source" => extra.sources.push(value.to_owned()),
        "--target" => extra.target = Some(value.to_owned()),
        "--append-filter" => extra.after.append(&mut signed(value)?),
        "--prepend-filter" => extra.before.append(&mut signed(value)?),
        "--replace-filter" => extra.instead = Some(signed(value)?),
        _ => return Ok(false),
    }
    Ok(true)
}

/// `+rule:-rule`.
fn signed(list: &str) -> Result<Vec<Rule>> {
    let mut out = Vec::new();
    for part in list.split(':').filter(|p| !p.is_empty()) {
        let (include, text) = match (part.strip_prefix('+'), part.strip_prefix('-')) {
            (Some(text), _) => (true, text),
            (_, Some(text)) => (false, text),
            _ => {
                let shown = text::safe_cut(part.as_bytes(), 60);
                return Err(Error::usage(format!(
                    "the filter {shown} begins with neither + nor -"
                )));
            }
        };
        out.push(Rule {
            include,
            text: text.to_owned(),
        });
    }
    Ok(out)
}

/// The URL without those options in its query that are the program's own, and these with their values. What neither the
/// program nor the destination knows is a mistake, as on the command line.
fn take_query(url: &str, notes: &mut Vec<String>) -> Result<(String, Vec<(&'static Opt, String)>)> {
    let Some((place, query)) = url.split_once('?').filter(|(p, _)| p.contains("://")) else {
        return Ok((url.to_owned(), Vec::new()));
    };
    let scheme = place.split("://").next().unwrap_or("").to_lowercase();
    let row = SCHEMES.iter().find(|s| {
        s.names
            .iter()
            .any(|n| *n == scheme || scheme.strip_suffix('s') == Some(n))
    });
    let Some(row) = row else {
        // The type of the destination is what is wrong, and said so when it is opened.
        return Ok((place.to_owned(), Vec::new()));
    };
    let mut left = String::new();
    let mut taken = Vec::new();
    let mut after_secret = false;
    for part in query.split('&').filter(|p| !p.is_empty()) {
        let (name, value) = match part.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (part, None),
        };
        let name = decode(name).to_lowercase();
        let mut known = row.options.iter().chain(remote::OPTIONS);
        let theirs = known.find(|o| o.is_named(&name));
        let opt = match theirs {
            Some(opt) => opt,
            None => match options::own()
                .chain(options::foreign())
                .find(|o| o.covers(&name))
            {
                Some(opt) => opt,
                None => return Err(unknown(&name, value, row, after_secret)),
            },
        };
        after_secret = opt.kind == Kind::Secret;
        if opt.kind == Kind::Flag && value.is_some_and(|v| decode(v).trim().is_empty()) {
            empty(opt.name)?;
        }
        if theirs.is_some() {
            left.push(if left.is_empty() { '?' } else { '&' });
            left.push_str(part);
        } else {
            let given = value.map_or_else(
                || format!("--{name}"),
                |v| format!("--{name}={}", decode(v)),
            );
            taken.extend(parse::option(&given, None, notes)?);
        }
    }
    Ok((format!("{place}{left}"), taken))
}

/// An option of a URL that nobody knows. Behind a secret it may be the rest of that, cut by a `&`, and is not shown.
fn unknown(name: &str, value: Option<&str>, scheme: &Scheme, after_secret: bool) -> Error {
    if after_secret && value.is_none() {
        return Error::usage("the destination URL goes on strangely after a password or key")
            .hint("write & in it as %26, % as %25, + as %2B");
    }
    let shown = parse::shown_option(name);
    let e = Error::usage(format!(
        "the destination URL has an option that {} does not know: {shown}",
        scheme.names[0]
    ));
    let names = scheme
        .options
        .iter()
        .chain(remote::OPTIONS)
        .chain(options::own());
    let names = names.flat_map(|o| std::iter::once(o.name).chain(o.aliases.iter().copied()));
    match text::nearest(name, names) {
        Some(near) => e.hint(format!("did you mean {near}?")),
        None => e.hint(format!("try 'duplet help {}'", scheme.names[0])),
    }
}

#[cfg(test)]
#[path = "sources_tests.rs"]
mod tests;
