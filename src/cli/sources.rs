//! Which source of an option wins: URL query over parameters file over command line (`commands.md` 1 and 13.3). The
//! environment and the defaults come last and are looked up by those who use them.

use crate::base::error::{self, Error, Result};
use crate::base::opt::{Kind, Opt, Options, Origin, empty};
use crate::base::text;
use crate::base::ui::Level;
use crate::cli::options::{
    self, EXCLUDE_ANY_CASE, EXCLUDE_FROM, FORCE, INCLUDE, INCLUDE_FROM, Misplaced, PARAMETERS_FILE,
    TIME, VERSION,
};
use crate::cli::parameters_file::{Extra, expand, read_file, rules_of};
use crate::cli::parse::{self, Line};
use crate::cli::{Call, Command};
use crate::dest::{SCHEMES, Scheme, of_carrier};
use crate::net::url::decode;
use crate::remote;
use crate::select::Rule;

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
    let mut file = String::new();
    if let Some((_, path)) = last {
        PARAMETERS_FILE.check(path)?;
        from_file = read_file(path, &mut extra, &mut notes).map_err(|e| match e.kind() {
            error::Kind::Usage => e.hint("try 'duplet help parameters'"),
            _ => e,
        })?;
        file = text::safe_cut(path.as_bytes(), 200);
    }
    // What a backup leaves out is no reason to leave it out of a restore.
    let mut unused = 0;
    if !TAKES_SOURCES.contains(&command.name) {
        let before = from_file.len();
        from_file.retain(|(opt, _)| !options::is_rule(opt));
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
    let typed = words.get(usize::from(command.name == "remote"));
    let other = |target: &String| typed.is_some_and(|url| url != "-" && url != target);
    let elsewhere = command.needs_url && extra.target.as_ref().is_some_and(other);
    let url = take_url(command, &line.command, &mut words, extra.target.take())?;
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
    let mut said: Vec<(Level, String)> = Vec::new();
    if extra.exposed {
        let note = format!("others can read {file}, which holds a secret (chmod 600 {file})");
        said.push((Level::Warning, note));
    }
    if elsewhere {
        let note = format!(
            "the destination is that of --target in {file}, not the one on the command line (write - there)"
        );
        said.push((Level::Information, note));
    }
    let has_rules = applies(&INCLUDE, command);
    if unused > 0 && (has_rules || command.name == "verify") {
        let rules = text::count(unused as u64, "rule");
        let are = if unused == 1 { "is" } else { "are" };
        let own = match has_rules {
            true => " (--include and --exclude on the command line are)",
            false => "",
        };
        let note = format!(
            "{rules} of {file} {are} for backup, not used by {}{own}",
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
    let given = line.chain(file).chain(url_query);
    let chosen = choose(command, given, &mut said, &mut notes)?;
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

/// Takes the destination URL out of `words`; empty for a command without. `typed` is what the command was called by, `target`
/// the URL of a parameters file, which wins.
fn take_url(
    command: &Command,
    typed: &str,
    words: &mut Vec<String>,
    target: Option<String>,
) -> Result<String> {
    // `remote ACTION URL`: the one command whose URL is not its first word.
    let action = (command.name == "remote" && !words.is_empty()).then(|| words.remove(0));
    let mut url = String::new();
    if command.needs_url {
        if let Some(target) = target {
            words.splice(..words.len().min(1), [target]);
        }
        if words.is_empty() {
            return Err(Error::usage(format!("{typed} needs a destination URL")));
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
    Ok(url)
}

/// The options that `command` goes by, of all that were given, those that win last. What has no effect on it is noted, or said
/// where it could be missed; an error where the run would do something else than the command line asks.
fn choose(
    command: &Command,
    given: impl Iterator<Item = ((&'static Opt, String), Origin)>,
    said: &mut Vec<(Level, String)>,
    notes: &mut Vec<String>,
) -> Result<Options> {
    let mut chosen = Options::default();
    let mut refused: Vec<(String, &'static str)> = Vec::new();
    for ((opt, value), origin) in given {
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
        if !suits {
            let line = format!("--{} has no effect on {}", opt.name, command.name);
            let how = options::misplaced(opt, command.name, command.writes);
            let typed = origin == Origin::CommandLine;
            match how {
                // No option of Duplicati, and not one to be passed over wherever it stands.
                Misplaced::Refused if typed || opt.name == FORCE.name => {
                    return Err(not_of(opt, command));
                }
                Misplaced::Noted if typed => {
                    said.retain(|(_, other)| *other != line);
                    said.push((Level::Information, line));
                }
                _ => notes.push(line),
            }
        } else if opt.kind != Kind::Many {
            chosen.set_from(opt, &value, origin)?;
        }
    }
    match refused.is_empty() {
        true => Ok(chosen),
        false => Err(not_supported(&refused)),
    }
}

/// An option that means nothing to `command`, and which commands have it.
fn not_of(opt: &Opt, command: &Command) -> Error {
    let (one, other) = (opt.name, command.name);
    let hint = match (one, other) {
        ("force", "restore") => "did you mean --overwrite?".to_owned(),
        (name, "compare") if name == VERSION.name || name == TIME.name => {
            "the versions are words: duplet compare URL 1 0".to_owned()
        }
        _ => format!("an option of {}", opt.commands.join(", ")),
    };
    Error::usage(format!("--{one} means nothing to {other}")).hint(hint)
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
    let of = |values: &[(&'static Opt, String)]| -> Result<Vec<Rule>> {
        let mut out = Vec::new();
        for (opt, value) in values {
            let include = [INCLUDE.name, INCLUDE_FROM.name].contains(&opt.name);
            let rule = |text: &str| Rule {
                any_case: opt.name == EXCLUDE_ANY_CASE.name,
                ..Rule::new(include, expand(text))
            };
            if [INCLUDE_FROM.name, EXCLUDE_FROM.name].contains(&opt.name) {
                let lines = rules_of(value, opt.name)?;
                out.extend(lines.iter().map(|line| rule(line)));
            } else if options::is_rule(opt) {
                out.push(rule(value));
            }
        }
        Ok(out)
    };
    let (mut line, mut file) = (of(line)?, of(file)?);
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
    let names: Vec<String> = query
        .split('&')
        .map(|part| decode(part.split('=').next().unwrap_or(part)).to_lowercase())
        .collect();
    let carrier = of_carrier(names.iter().map(String::as_str));
    let mut left = String::new();
    let mut taken = Vec::new();
    let mut after_secret = false;
    for part in query.split('&').filter(|p| !p.is_empty()) {
        let (name, value) = match part.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (part, None),
        };
        let name = decode(name).to_lowercase();
        let known = || row.options.iter().chain(remote::OPTIONS).chain(carrier);
        let theirs = known().find(|o| o.is_named(&name));
        let theirs = theirs.or_else(|| known().find(|o| o.covers(&name)));
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
