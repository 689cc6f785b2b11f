//! The parameters file: options, a line each, and what only such a file says (`commands.md` 13.3).

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::MetadataExt;

use crate::base::error::{Doing, Error, Result};
use crate::base::opt::{Opt, empty};
use crate::base::secret::Secret;
use crate::base::text;
use crate::cli::options::{self, PARAMETERS_FILE};
use crate::cli::parse;
use crate::net::url::DestUrl;
use crate::select::{Rule, expand_environment};

/// Largest parameters file, in bytes.
const FILE_MAX: u64 = 4 << 20;

/// What a parameters file says beside options.
#[derive(Default)]
pub(super) struct Extra {
    pub(super) target: Option<String>,
    pub(super) sources: Vec<String>,
    pub(super) before: Vec<Rule>,
    pub(super) after: Vec<Rule>,
    pub(super) instead: Option<Vec<Rule>>,
    /// Others of this machine can read it, and it holds a secret.
    pub(super) exposed: bool,
}

/// With the environment variables that it names.
pub(super) fn expand(value: &str) -> String {
    expand_environment(value, &|name| std::env::var(name).ok())
}

/// The `%NAME%` that a value consists of, or begins with as a folder does, when no such variable is set. The text itself would
/// become a folder's name, or a passphrase that is no secret. Rules keep theirs: they may be those of another machine.
fn unset_variable(line: &str) -> Option<&str> {
    let (key, value) = line.split_once(|c: char| c == '=' || c.is_whitespace())?;
    let key = key.trim_start_matches('-').to_ascii_lowercase();
    if options::find(&key).is_some_and(options::is_rule) || key.ends_with("-filter") {
        return None;
    }
    let value = value.trim().trim_matches('"');
    let (name, rest) = value.strip_prefix('%')?.split_once('%')?;
    let is_name = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    let stands_for = rest.is_empty() || rest.starts_with(['/', '\\']) && !key.contains("pass");
    (is_name && stands_for && std::env::var_os(name).is_none()).then(|| &value[..name.len() + 2])
}

/// Reads a parameters file: options with their values, and what else it says into `extra`.
pub(super) fn read_file(
    path: &str,
    extra: &mut Extra,
    notes: &mut Vec<String>,
) -> Result<Vec<(&'static Opt, String)>> {
    let doing = || format!("read the parameters file {}", text::safe(path.as_bytes()));
    let mut content = Vec::new();
    let open = File::open(path).doing(doing)?;
    let facts = open.metadata().doing(doing)?;
    open.take(FILE_MAX + 1)
        .read_to_end(&mut content)
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
    let read_by_others = facts.is_file() && facts.mode() & 0o044 != 0;
    let login = extra.target.as_deref().is_some_and(holds_secret);
    extra.exposed = read_by_others && (login || out.iter().any(|(o, v)| o.hides(v)));
    Ok(out)
}

/// The lines of a file that begin with an option, as far as it can be read at all: for one who makes the best of it.
pub(super) fn lines(path: &str) -> Vec<String> {
    let mut content = Vec::new();
    let read = File::open(path).and_then(|f| f.take(FILE_MAX).read_to_end(&mut content));
    let content = String::from_utf8_lossy(&content);
    let lines = content.lines().map(str::trim);
    let options = lines.filter(|l| read.is_ok() && l.starts_with("--"));
    options.map(expand).collect()
}

/// The lines of a file of rules, of the option `name`.
pub(super) fn rules_of(path: &str, name: &str) -> Result<Vec<String>> {
    let doing = || format!("read the file of --{name} {}", text::safe(path.as_bytes()));
    let mut content = Vec::new();
    File::open(path)
        .and_then(|f| f.take(FILE_MAX + 1).read_to_end(&mut content))
        .doing(doing)?;
    if content.len() as u64 > FILE_MAX {
        return Err(Error::usage("it is larger than 4 MiB").doing(doing()));
    }
    let content = String::from_utf8(content)
        .map_err(|_| Error::usage("it is not valid UTF-8").doing(doing()))?;
    let lines = content.trim_start_matches('\u{feff}').lines();
    let rules = lines.map(|l| l.trim_end_matches('\r'));
    let rules = rules.filter(|l| !l.trim().is_empty() && !l.starts_with('#'));
    Ok(rules.map(str::to_owned).collect())
}

/// True for a URL with a password, with an option whose value is a secret, or with a path that is one.
fn holds_secret(url: &str) -> bool {
    DestUrl::parse(url).is_ok_and(|(url, _)| {
        let mut query = url.query.iter();
        let hides = |(key, value): &(String, Secret)| {
            options::find(key).is_some_and(|o| o.hides(value.reveal()))
        };
        let has_path = url.secret_path().next().is_some();
        has_path || url.password.is_some_and(|p| !p.is_blank()) || query.any(hides)
    })
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
pub(super) fn signed(list: &str) -> Result<Vec<Rule>> {
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
        out.push(Rule::new(include, text));
    }
    Ok(out)
}
