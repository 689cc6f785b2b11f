//! Help, made from the tables of commands, options and destinations, so that it cannot name what does not exist.

use crate::base::error::{Error, Result};
use crate::base::opt::{Kind, Opt};
use crate::base::text;
use crate::base::ui::Ui;
use crate::cli::cmd_system_info::target;
use crate::cli::options::{self, GROUPS};
use crate::cli::parse::placeholder;
use crate::cli::sources::applies;
use crate::cli::topics::{TOPICS, Topic};
use crate::cli::{COMMANDS, Call, Command, Outcome, Section, completion, lookup, manual};
use crate::dest::{SCHEMES, Scheme};
use crate::remote;

/// A terminal of the smallest usual size.
const WIDTH: usize = 79;
const HEIGHT: usize = 24;
/// Column in which descriptions of options begin.
const INDENT: usize = 6;

pub(super) const COMMAND: Command = Command {
    name: "help",
    aliases: &[
        "usage",
        "/help",
        "/usage",
        "/h",
        "example",
        "examples",
        "changelog",
    ],
    section: Section::Helpers,
    summary: "explain a command, topic or destination",
    usage: "[topic]",
    details: "",
    needs_url: false,
    words: (0, 1),
    writes: false,
    run,
};

pub(super) const VERSION: Command = Command {
    name: "version",
    aliases: &[],
    section: Section::Helpers,
    summary: "version of this program, also --version",
    usage: "",
    details: "",
    needs_url: false,
    words: (0, 0),
    writes: false,
    run: |_, ui| {
        let version = env!("CARGO_PKG_VERSION");
        ui.result(&format!("duplet {version} ({})", target()));
        ui.json(|w| {
            w.key("Version")?;
            w.string(version.as_bytes())
        });
        Ok(Outcome::Done)
    },
};

fn run(call: &mut Call, ui: &mut Ui) -> Result<Outcome> {
    let lines = match call.words.first() {
        None => first_screen(),
        Some(word) => about(&word.to_lowercase())?,
    };
    for line in &lines {
        ui.result(line);
    }
    ui.json(|w| {
        w.key("Text")?;
        w.begin_array()?;
        for line in &lines {
            w.string(line.as_bytes())?;
        }
        w.end_array()
    });
    Ok(Outcome::Done)
}

fn about(word: &str) -> Result<Vec<String>> {
    // Before the commands: 'examples' is another name of one, too.
    if let Some(topic) = TOPICS.iter().find(|t| t.name == word && own_page(t)) {
        return Ok(of_topic(topic));
    }
    if let Some(command) = lookup(word) {
        return Ok(of_command(command));
    }
    match word {
        "options" => return Ok(of_options()),
        "url" | "urls" | "destinations" => return Ok(of_urls()),
        "all" => return Ok(everything()),
        "man" => return Ok(manual::page()),
        "bash" => return Ok(completion::bash()),
        "zsh" => return Ok(completion::zsh()),
        "fish" => return Ok(completion::fish()),
        _ => {}
    }
    if let Some(scheme) = SCHEMES.iter().find(|s| s.names.contains(&word)) {
        return Ok(of_scheme(scheme));
    }
    if let Some(opt) = options::find(word.trim_start_matches('-')) {
        let mut lines = Vec::new();
        option(&mut lines, opt);
        return Ok(lines);
    }
    let known = COMMANDS
        .iter()
        .map(|c| c.name)
        .chain(TOPICS.iter().map(|t| t.name))
        .chain(["options", "url", "all"]);
    let shown = text::safe_cut(word.as_bytes(), 40);
    let e = Error::usage(format!("there is no help on {shown}"));
    Err(match text::nearest(word, known) {
        Some(near) => e.hint(format!("did you mean 'duplet help {near}'?")),
        None => e.hint(format!("topics: {}", topic_names())),
    })
}

/// What may follow `help`, apart from the names of options.
pub(super) fn words() -> Vec<&'static str> {
    let topics = TOPICS.iter().filter(|t| own_page(t)).map(|t| t.name);
    let schemes = SCHEMES.iter().map(|s| s.names[0]);
    let rest = ["options", "url", "all", "man", "bash", "zsh", "fish"];
    let commands = COMMANDS.iter().map(|c| c.name);
    commands.chain(topics).chain(schemes).chain(rest).collect()
}

fn topic_names() -> String {
    let mut names: Vec<&str> = TOPICS.iter().map(|t| t.name).collect();
    names.extend(["url", "options", "all"]);
    names.join(", ")
}

/// What `duplet` alone says: the commands, then as many of the most used options as the screen holds.
fn first_screen() -> Vec<String> {
    let mut lines = vec![
        "duplet <command> [<url>] [arguments] [--option[=value] ...]".to_owned(),
        "Backs up to, and restores from, Duplicati destinations. No database.".to_owned(),
        String::new(),
    ];
    commands(&mut lines);
    let tail = [
        String::new(),
        "Exit 0 done 1 nothing new 2 warnings 3 errors 50 stopped 100 failed 200 usage".to_owned(),
        format!("duplet help {}", topic_names().replace(", ", "|")),
    ];
    let room = HEIGHT.saturating_sub(lines.len() + tail.len() + 2);
    let mut often: Vec<String> = Vec::new();
    for (name, shown) in OFTEN {
        if often.len() < room
            && let Some(opt) = options::find(name)
            && COMMANDS.iter().any(|c| applies(opt, c))
        {
            often.push(shown.to_string());
        }
    }
    if !often.is_empty() {
        lines.extend([String::new(), "Most used options".to_owned()]);
        lines.append(&mut often);
    }
    lines.extend(tail);
    lines
}

/// Options of the first screen, the most wanted first.
static OFTEN: &[(&str, &str)] = &[
    (
        "passphrase-file",
        "  --passphrase-file=FILE   or environment PASSPHRASE, or a prompt",
    ),
    (
        "exclude",
        "  --exclude=RULE           --include=RULE; first match wins, folders end in /",
    ),
    (
        "restore-path",
        "  --restore-path=FOLDER    put files here, shared parents dropped",
    ),
    (
        "version",
        "  --version=N              0 is the newest; or --time=3D, --time=2026-03-01",
    ),
    ("dry-run", "  --dry-run                show, change nothing"),
    ("json", "  --json                   machine-readable output"),
    (
        "parameters-file",
        "  --parameters-file=FILE   options, sources, target from a file",
    ),
    (
        "no-encryption",
        "  --no-encryption          write plain volumes (first backup)",
    ),
    (
        "log-file",
        "  --log-file=FILE          append what is said to a file",
    ),
];

fn commands(lines: &mut Vec<String>) {
    for (section, title) in [
        (Section::Everyday, "Everyday"),
        (Section::Care, "Care"),
        (Section::Helpers, "Helpers"),
    ] {
        let mut of = COMMANDS.iter().filter(|c| c.section == section).peekable();
        if of.peek().is_some() {
            lines.push(title.to_owned());
        }
        for c in of {
            let what = format!("{:<12} {}", c.name, c.usage);
            lines.push(format!("  {what:<31} {}", c.summary));
        }
    }
}

fn of_command(c: &Command) -> Vec<String> {
    let mut lines = vec![
        format!("duplet {} {}", c.name, c.usage)
            .trim_end()
            .to_owned(),
        c.summary.to_owned(),
    ];
    if !c.aliases.is_empty() {
        wrap(&mut lines, &format!("Also: {}", c.aliases.join(", ")), 0);
    }
    if !c.details.is_empty() {
        lines.push(String::new());
        lines.extend(c.details.lines().map(str::to_owned));
    }
    if let Some(topic) = TOPICS.iter().find(|t| t.name == c.name) {
        lines.push(String::new());
        lines.append(&mut of_topic(topic));
    }
    for (title, rows) in GROUPS {
        let own: Vec<&Opt> = rows
            .iter()
            .copied()
            .filter(|o| !o.commands.is_empty() && applies(o, c))
            .collect();
        if !own.is_empty() {
            lines.extend([String::new(), (*title).to_owned()]);
            for opt in own {
                option(&mut lines, opt);
            }
        }
    }
    lines.push(String::new());
    let more = if c.needs_url {
        "Options of every command: duplet help options; of destinations: duplet help url"
    } else {
        "Options of every command: duplet help options"
    };
    lines.push(more.to_owned());
    lines
}

/// The topic is not part of a command's help.
pub(super) fn own_page(topic: &Topic) -> bool {
    lookup(topic.name).is_none_or(|c| c.name != topic.name)
}

fn of_topic(topic: &Topic) -> Vec<String> {
    topic
        .text
        .trim_matches('\n')
        .lines()
        .map(str::to_owned)
        .collect()
}

fn of_options() -> Vec<String> {
    let mut lines =
        vec!["--name=value, or --name alone for on; the last one given wins.".to_owned()];
    for (title, rows) in GROUPS {
        lines.extend([String::new(), (*title).to_owned()]);
        for opt in *rows {
            option(&mut lines, opt);
        }
    }
    lines.extend([String::new(), "Every destination".to_owned()]);
    for opt in remote::OPTIONS {
        option(&mut lines, opt);
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

fn of_urls() -> Vec<String> {
    let mut lines: Vec<String> = [
        "scheme://[user[:password]@]host[:port]/path[?option=value&...]",
        "",
        "Text without :// is a folder of this machine. Options of the destination may",
        "stand in the URL and beat those of the command line. Write / as %2F, + as %2B,",
        "@ as %40 and : as %3A in user and password. With - for the URL it is taken from",
        "DUPLET_URL.",
    ]
    .map(str::to_owned)
    .to_vec();
    for scheme in SCHEMES {
        lines.push(String::new());
        lines.append(&mut of_scheme(scheme));
    }
    lines.extend([String::new(), "Every destination".to_owned()]);
    for opt in remote::OPTIONS {
        option(&mut lines, opt);
    }
    lines
}

fn of_scheme(scheme: &Scheme) -> Vec<String> {
    let mut lines = Vec::new();
    wrap(
        &mut lines,
        &format!("{}://  {}", scheme.names.join(":// "), scheme.help),
        0,
    );
    for opt in scheme.options {
        option(&mut lines, opt);
    }
    lines
}

fn everything() -> Vec<String> {
    let mut lines = first_screen();
    for c in COMMANDS {
        lines.extend([String::new(), format!("== {}", c.name)]);
        lines.append(&mut of_command(c));
    }
    for topic in TOPICS.iter().filter(|t| own_page(t)) {
        lines.extend([String::new(), format!("== {}", topic.name)]);
        lines.append(&mut of_topic(topic));
    }
    for (name, mut text) in [("url", of_urls()), ("options", of_options())] {
        lines.extend([String::new(), format!("== {name}")]);
        lines.append(&mut text);
    }
    lines
}

/// Name and type on one line, then the sentence and the default.
fn option(lines: &mut Vec<String>, opt: &Opt) {
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

/// Appends text broken at spaces (and at bars of long lists), every line indented.
fn wrap(lines: &mut Vec<String>, text: &str, indent: usize) {
    let mut line = " ".repeat(indent);
    for word in text.split_inclusive([' ', '|']) {
        let fits = line.chars().count() + word.trim_end().chars().count() <= WIDTH;
        if !fits && line.trim_end().len() > indent {
            lines.push(line.trim_end().to_owned());
            line = " ".repeat(indent);
        }
        line.push_str(word);
    }
    lines.push(line.trim_end().to_owned());
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failing step fails the test")]

    use super::*;

    #[test]
    fn every_text_fits_the_screen() {
        assert!(first_screen().len() <= HEIGHT);
        for line in everything() {
            assert!(line.chars().count() < 80, "{line}");
            assert_eq!(line.trim_end(), line);
        }
    }

    #[test]
    fn every_option_shows_its_default() {
        let all = everything().join("\n");
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
    fn topics_are_found_and_mistakes_answered() {
        for word in [
            "filters",
            "sizes",
            "restore",
            "url",
            "secrets",
            "exit-codes",
            "options",
            "all",
            "file",
            "dblock-size",
        ] {
            assert!(about(word).unwrap().len() > 1, "{word}");
        }
        let e = about("filter").unwrap_err().to_string();
        assert_eq!(
            e,
            "there is no help on filter (did you mean 'duplet help filters'?)"
        );
    }
}
