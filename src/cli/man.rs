//! The manual page (`duplet help man`), from the tables that make the help.

use crate::base::opt::{Kind, Opt};
use crate::cli::COMMANDS;
use crate::cli::help_words;
use crate::cli::option_text::{self, value_of};
use crate::cli::options::GROUPS;
use crate::cli::render;
use crate::cli::topics::{TOPICS, Topic};
use crate::remote;

/// Pages for those who have the sources, not the program alone.
const ELSEWHERE: &[&str] = &["benchmarks", "building", "internals"];

/// The page in the `man` macros, line by line.
pub(super) fn page() -> Vec<String> {
    let version = env!("CARGO_PKG_VERSION");
    let mut out = vec![
        format!(".TH DUPLET 1 \"\" \"duplet {version}\" \"User Commands\""),
        // Names of options are not to be hyphenated, nor lines stretched.
        ".ad l".to_owned(),
        ".nh".to_owned(),
        ".SH NAME".to_owned(),
        "duplet \\- backups in Duplicati\\(aqs format, without a database".to_owned(),
        ".SH SYNOPSIS".to_owned(),
        ".B duplet".to_owned(),
        ".I command".to_owned(),
        escape("[url] [argument]... [--option[=value]]..."),
        ".SH DESCRIPTION".to_owned(),
        "Backs up to, and restores from, Duplicati destinations.".to_owned(),
        "A destination is a URL, or a folder of this machine.".to_owned(),
        ".SH COMMANDS".to_owned(),
    ];
    for command in COMMANDS {
        out.push(".TP".to_owned());
        let usage = format!("\\fB{}\\fR {}", escape(command.name), escape(command.usage));
        out.push(usage.trim_end().to_owned());
        out.push(escape(&format!("{}.", sentence(command.summary))));
        details(&mut out, command.details);
        if !command.aliases.is_empty() {
            out.push(escape(&format!("Also: {}.", command.aliases.join(", "))));
        }
    }
    out.push(".SH OPTIONS".to_owned());
    for (title, rows) in GROUPS {
        out.push(format!(".SS {}", escape(title)));
        rows.iter().for_each(|opt| option(&mut out, opt));
    }
    out.push(".SH DESTINATIONS".to_owned());
    for family in option_text::families() {
        let names = family.schemes.iter().flat_map(|s| s.names);
        let names: Vec<String> = names.map(|n| format!("{n}://")).collect();
        out.push(format!(".SS {}", names.join(" ")));
        for (i, scheme) in family.schemes.iter().enumerate() {
            if i > 0 {
                out.push(".br".to_owned());
            }
            out.push(escape(scheme.help));
        }
        family.own().iter().for_each(|opt| option(&mut out, opt));
    }
    out.push(".SS Every destination".to_owned());
    remote::OPTIONS.iter().for_each(|opt| option(&mut out, opt));
    let shared = option_text::shared();
    if !shared.is_empty() {
        out.push(".SS Several destinations".to_owned());
        shared.iter().for_each(|opt| option(&mut out, opt));
    }
    for topic in TOPICS.iter().filter(|t| !ELSEWHERE.contains(&t.name)) {
        literal(&mut out, topic);
    }
    out
}

/// Running text; a line in two columns begins a new one, and what is indented belongs to it.
fn details(out: &mut Vec<String>, text: &str) {
    let mut in_columns = false;
    for line in text.lines() {
        let columns = line.rsplit_once("  ").filter(|_| !line.starts_with(' '));
        if columns.is_some() || (in_columns && !line.starts_with(' ')) {
            out.push(".br".to_owned());
            in_columns = columns.is_some();
        }
        out.push(match columns {
            Some((left, right)) => {
                let left: Vec<&str> = left.split_whitespace().collect();
                format!("\\fB{}\\fR  {}", escape(&left.join(" ")), escape(right))
            }
            None => escape(line.trim_start()),
        });
    }
}

fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    let first = chars.next().map(|c| c.to_ascii_uppercase());
    first.into_iter().chain(chars).collect()
}

fn option(out: &mut Vec<String>, opt: &Opt) {
    if matches!(opt.kind, Kind::Ignored | Kind::Refused(_)) {
        return;
    }
    out.push(".TP".to_owned());
    out.push(format!(
        "\\fB{}\\fR{}",
        escape(&format!("--{}", opt.name)),
        // A long list of words may be broken after a bar.
        escape(&value_of(opt)).replace('|', "|\\:")
    ));
    out.push(escape(&option_text::sentence_of(opt)));
}

/// A topic as it stands, for its columns matter.
fn literal(out: &mut Vec<String>, topic: &Topic) {
    let title = if help_words::own_page(topic) {
        topic.name.replace('-', " ")
    } else {
        format!("{} in detail", topic.name)
    };
    out.push(format!(".SH {}", title.to_uppercase()));
    out.push(".nf".to_owned());
    out.extend(render::lines(topic.body()).iter().map(|l| escape(l)));
    out.push(".fi".to_owned());
}

/// Nothing in the line is taken for a macro or an escape.
fn escape(line: &str) -> String {
    let line = line
        .replace('\\', "\\e")
        .replace('-', "\\-")
        .replace('\'', "\\(aq");
    if line.starts_with('.') {
        format!("\\&{line}")
    } else {
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_macros_only_where_meant() {
        for (plain, escaped) in [
            ("--a\\b", "\\-\\-a\\eb"),
            (".SH it's", "\\&.SH it\\(aqs"),
            ("'x", "\\(aqx"),
        ] {
            assert_eq!(escape(plain), escaped);
        }
        let macros = [
            "TH", "ad", "nh", "br", "SH", "SS", "TP", "B ", "I ", "nf", "fi",
        ];
        for line in page() {
            if let Some(name) = line.strip_prefix('.') {
                assert!(macros.iter().any(|m| name.starts_with(m)), "{line}");
            }
            assert!(!line.starts_with('\''), "{line}");
        }
    }
}
