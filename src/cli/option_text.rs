//! Options in words: one by one, in the groups of the program, and of the destinations. Every row is said once.

use crate::base::opt::{Kind, Opt};
use crate::cli::options::{self, GROUPS};
use crate::cli::parse::placeholder;
use crate::cli::render::wrap;
use crate::dest::{SCHEMES, Scheme};
use crate::remote;

/// Column in which descriptions of options begin.
const INDENT: usize = 6;

/// The destinations that share one table of options.
pub(super) struct Family {
    /// `s3://  help`, one for each scheme.
    pub(super) schemes: Vec<&'static Scheme>,
    pub(super) options: &'static [Opt],
}

impl Family {
    pub(super) fn is_named(&self, word: &str) -> bool {
        self.schemes.iter().any(|s| s.names.contains(&word))
    }

    /// The options that no other family has in the same sense.
    pub(super) fn own(&self) -> Vec<&'static Opt> {
        let shared = shared();
        let own = self
            .options
            .iter()
            .filter(|o| !shared.iter().any(|s| same(s, o)));
        own.collect()
    }
}

/// Every destination once, in the order of the registry.
pub(super) fn families() -> impl Iterator<Item = Family> {
    let first = |at: usize| {
        SCHEMES[..at]
            .iter()
            .all(|s| !std::ptr::eq(s.options, SCHEMES[at].options))
    };
    (0..SCHEMES.len()).filter(move |&at| first(at)).map(|at| {
        let options = SCHEMES[at].options;
        let schemes = SCHEMES.iter().copied();
        let schemes = schemes
            .filter(|s| std::ptr::eq(s.options, options))
            .collect();
        Family { schemes, options }
    })
}

fn same(a: &Opt, b: &Opt) -> bool {
    a.name == b.name && a.help == b.help
}

/// Options that several families of destinations have in the same sense, each once.
pub(super) fn shared() -> Vec<&'static Opt> {
    let mut found: Vec<&'static Opt> = Vec::new();
    let all: Vec<&'static Opt> = families().flat_map(|f| f.options).collect();
    for (i, opt) in all.iter().enumerate() {
        let again = all[..i].iter().any(|o| same(o, opt));
        if again && !found.iter().any(|o| same(o, opt)) {
            found.push(opt);
        }
    }
    found
}

/// Options of a destination; those without effect by name only.
pub(super) fn of_rows(lines: &mut Vec<String>, rows: &[&Opt]) {
    let idle = |o: &Opt| o.kind == Kind::Ignored || o.help.starts_with("No effect");
    rows.iter()
        .filter(|o| !idle(o))
        .for_each(|opt| option(lines, opt));
    let idle: Vec<String> = rows
        .iter()
        .filter(|o| idle(o))
        .map(|o| format!("--{}", o.name))
        .collect();
    if !idle.is_empty() {
        wrap(lines, &format!("Without effect: {}", idle.join(" ")), 2);
    }
}

pub(super) fn all() -> Vec<String> {
    let mut lines =
        vec!["--name=value, or --name alone for on; the last one given wins.".to_owned()];
    for (title, rows) in GROUPS {
        lines.extend([String::new(), (*title).to_owned()]);
        for opt in *rows {
            option(&mut lines, opt);
        }
    }
    let remote: Vec<&Opt> = remote::OPTIONS.iter().collect();
    let shared = shared();
    for (title, rows) in [
        ("Every destination", remote),
        ("Several destinations", shared),
    ] {
        if !rows.is_empty() {
            lines.extend([String::new(), title.to_owned()]);
            of_rows(&mut lines, &rows);
        }
    }
    for family in families() {
        lines.push(String::new());
        for scheme in &family.schemes {
            let names = scheme.names.join(":// ");
            wrap(&mut lines, &format!("{names}://  {}", scheme.help), 0);
        }
        of_rows(&mut lines, &family.own());
    }
    lines.extend([
        String::new(),
        "Accepted for Duplicati's sake, without effect".to_owned(),
    ]);
    let names = |wanted: fn(&Opt) -> bool| {
        let names: Vec<String> = options::foreign()
            .filter(|o| wanted(o))
            .map(|o| format!("--{}", o.name))
            .collect();
        names.join(" ")
    };
    wrap(&mut lines, &names(|o| o.kind == Kind::Ignored), 2);
    lines.extend([
        String::new(),
        "Options of Duplicati that are refused".to_owned(),
    ]);
    wrap(&mut lines, &names(|o| o.kind != Kind::Ignored), 2);
    lines
}

/// Name and type on one line, then the sentence and the default.
pub(super) fn option(lines: &mut Vec<String>, opt: &Opt) {
    wrap(lines, &format!("--{}{}", opt.name, value_of(opt)), 2);
    wrap(lines, &sentence_of(opt), INDENT);
}

/// What follows the name: `=SIZE`, `=a|b`, or nothing.
pub(super) fn value_of(opt: &Opt) -> String {
    match opt.kind {
        Kind::Choice(words) => format!("={}", words.join("|")),
        kind => match placeholder(kind) {
            "" => String::new(),
            word => format!("={word}"),
        },
    }
}

/// The help of an option, its default and its other names.
pub(super) fn sentence_of(opt: &Opt) -> String {
    let mut text = match opt.kind {
        Kind::Refused(reason) => format!("Not supported: {reason}."),
        _ => opt.help.to_owned(),
    };
    let default = match (opt.kind, opt.default) {
        (Kind::Ignored | Kind::Refused(_), _) => None,
        (Kind::Flag, "") => Some("off"),
        (Kind::Flag, "true") => Some("on"),
        (Kind::Flag, "false") => Some("off"),
        (_, "") => Some("none"),
        (_, default) => Some(default),
    };
    if let Some(default) = default {
        text.push_str(&format!(" [{default}]"));
    }
    if !opt.aliases.is_empty() {
        text.push_str(&format!(" Also --{}.", opt.aliases.join(", --")));
    }
    text
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failing step fails the test")]

    use super::*;
    use crate::cli::man;

    #[test]
    fn every_option_shows_its_default() {
        let all = all().join("\n");
        for opt in options::real() {
            assert!(all.contains(&format!("--{}", opt.name)), "{}", opt.name);
            if opt.kind != Kind::Flag && opt.kind != Kind::Ignored && !opt.default.is_empty() {
                let mut lines = Vec::new();
                option(&mut lines, opt);
                let shown = format!("[{}]", opt.default);
                assert!(lines.join(" ").contains(&shown), "{}", opt.name);
            }
        }
    }

    #[test]
    fn no_option_is_said_twice() {
        let man: Vec<String> = man::page().iter().map(|l| l.replace("\\-", "-")).collect();
        for (text, start) in [(all(), "  --"), (man, "\\fB--")] {
            let rows = text.iter().filter_map(|l| l.strip_prefix(start));
            let mut names: Vec<&str> = rows
                .map(|l| l.split(['=', ' ', '\\']).next().unwrap())
                .filter(|name| !name.starts_with("auth-"))
                .collect();
            assert!(names.len() > 100);
            names.sort_unstable();
            let twice: Vec<_> = names.windows(2).filter(|w| w[0] == w[1]).collect();
            assert!(twice.is_empty(), "{twice:?}");
        }
    }
}
