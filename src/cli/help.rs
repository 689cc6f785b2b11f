//! Help, made from the tables of commands, options and destinations, so that it cannot name what does not exist.

use crate::base::error::{Error, Result};
use crate::base::opt::Opt;
use crate::base::text;
use crate::base::ui::Ui;
use crate::cli::cmd_system_info::target;
use crate::cli::help_words::{own_page, words};
use crate::cli::options::{self, GROUPS};
use crate::cli::parse::shown;
use crate::cli::render::{self, wrap};
use crate::cli::sources::applies;
use crate::cli::topics::{TOPICS, Topic};
use crate::cli::{COMMANDS, Call, Command, Outcome, Section, completion, lookup, man, option_text};
use crate::dest::known;

/// Lines of a terminal of the smallest usual size.
const HEIGHT: usize = 24;

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
    section: Section::More,
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

type Text = fn() -> Vec<String>;

/// The texts of the words in `SPECIAL_WORDS`.
static SPECIAL: &[(&str, Text)] = &[
    ("topics", topics),
    ("destinations", destinations),
    ("options", option_text::all),
    ("all", everything),
    ("man", man::page),
    ("bash", completion::bash),
    ("zsh", completion::zsh),
    ("fish", completion::fish),
];

fn about(word: &str) -> Result<Vec<String>> {
    let page = TOPICS.iter().find(|t| t.is_named(word));
    // 'examples' is another name of a command, too.
    let command = lookup(word).filter(|c| c.name == word || page.is_none());
    if let Some(command) = command {
        return Ok(of_command(command));
    }
    if let Some(topic) = page {
        return Ok(of_topic(topic));
    }
    if let Some((_, text)) = SPECIAL.iter().find(|(name, _)| *name == word) {
        return Ok(text());
    }
    if let Some(opt) = options::find(word.trim_start_matches('-')) {
        let mut lines = Vec::new();
        option_text::option(&mut lines, opt);
        return Ok(lines);
    }
    let shown = shown(word);
    if let Some((why, way)) = known::why_not(word) {
        return Err(Error::usage(format!("{shown}:// has no page: {why}")).hint(way));
    }
    let e = Error::usage(format!("there is no help on {shown}"));
    Err(match text::nearest(word, words()) {
        Some(near) => e.hint(format!("did you mean 'duplet help {near}'?")),
        None => e.hint(format!("topics: {}", topic_names().join(", "))),
    })
}

/// The pages that are not a command's, and where all else is.
fn topic_names() -> Vec<&'static str> {
    let pages = TOPICS.iter().filter(|t| own_page(t)).map(|t| t.name);
    let rest = ["destinations", "options", "topics", "all"];
    pages.chain(rest).collect()
}

fn topics() -> Vec<String> {
    let mut lines = vec!["duplet help TOPIC prints one of these pages.".to_owned()];
    lines.push(String::new());
    let rest = [
        (
            "destinations",
            "every destination type of Duplicati, and what reaches it",
        ),
        ("options", "all options"),
        ("man", "a manual page"),
        ("bash, zsh, fish", "completions for these shells"),
        ("all", "everything"),
    ];
    let pages = TOPICS.iter().map(|t| (t.name, t.title()));
    for (name, title) in pages.chain(rest) {
        lines.push(format!("  {name:<16} {title}"));
    }
    lines
}

/// Every type of destination that Duplicati has, and what becomes of a URL with it.
fn destinations() -> Vec<String> {
    let mut lines = vec![
        "Every destination type of Duplicati, and what reaches it from here.".to_owned(),
        "How URLs are written: duplet help url".to_owned(),
        String::new(),
    ];
    for (names, text) in known::table() {
        // What is broken goes on under the text.
        let mut rows = Vec::new();
        wrap(&mut rows, &text, 16);
        for (at, row) in rows.iter().enumerate() {
            let names = if at == 0 { names } else { "" };
            lines.push(format!("  {names:<14}{}", row.trim_start()));
        }
    }
    lines
}

/// What `duplet` alone says: the commands, then as many of the most used options as the screen holds.
fn first_screen() -> Vec<String> {
    let mut lines = vec![
        "duplet <command> [<url>] [arguments] [--option[=value] ...]".to_owned(),
        "Backs up to, and restores from, Duplicati destinations. No database.".to_owned(),
        String::new(),
    ];
    commands(&mut lines);
    let mut tail = vec![
        String::new(),
        "Exit 0 done 1 nothing new 2 warnings 3 errors 50 stopped 100 failed 200 usage".to_owned(),
    ];
    // As many as a line holds; the page of destinations has all.
    let mut line = "duplet help topics|options|COMMAND|destinations".to_owned();
    for name in option_text::families().map(|f| f.schemes[0].names[0]) {
        if line.len() + 1 + name.len() < 80 {
            line.push_str(&format!("|{name}"));
        }
    }
    tail.push(line);
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

/// Characters of a command with its usage on the first screen.
const USAGE: usize = 30;

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
            let what = usage_of(c);
            lines.push(format!("  {what:<USAGE$}  {}", c.summary));
        }
    }
    let more = COMMANDS.iter().filter(|c| c.section == Section::More);
    let more: Vec<&str> = more.map(|c| c.name).collect();
    if !more.is_empty() {
        wrap(lines, &format!("also {}", more.join(" ")), 2);
    }
}

fn usage_of(c: &Command) -> String {
    format!("{} {}", c.name, c.usage).trim_end().to_owned()
}

fn of_command(c: &Command) -> Vec<String> {
    let mut lines = vec![format!("duplet {}", usage_of(c)), c.summary.to_owned()];
    if !c.aliases.is_empty() {
        wrap(&mut lines, &format!("Also: {}", c.aliases.join(", ")), 0);
    }
    let topic = TOPICS.iter().find(|t| t.is_named(c.name));
    // A page of the same name says all of it.
    if !c.details.is_empty() && topic.is_none_or(|t| t.name != c.name) {
        lines.push(String::new());
        lines.extend(c.details.lines().map(str::to_owned));
    }
    if let Some(topic) = topic {
        lines.push(String::new());
        lines.append(&mut render::lines(topic.body()));
    }
    // Only a backup has options enough for several headings.
    let several = c.name == "backup";
    let takes = |o: &&Opt| !o.commands.is_empty() && applies(o, c);
    if !several && options::own().any(|o| takes(&o)) {
        lines.extend([String::new(), "Options".to_owned()]);
    }
    for (title, rows) in GROUPS {
        let own: Vec<&Opt> = rows.iter().copied().filter(takes).collect();
        if several && !own.is_empty() {
            lines.extend([String::new(), (*title).to_owned()]);
        }
        own.iter()
            .for_each(|opt| option_text::option(&mut lines, opt));
    }
    let all = options::own().filter(|o| o.commands.is_empty());
    let all: Vec<String> = all.map(|o| format!("--{}", o.name)).collect();
    lines.extend([String::new(), "Options of every command".to_owned()]);
    wrap(&mut lines, &all.join(" "), 2);
    lines.push(String::new());
    let more = if c.needs_url {
        "All options: duplet help options; destinations: duplet help url"
    } else {
        "All options: duplet help options"
    };
    lines.push(more.to_owned());
    lines
}

fn of_topic(topic: &Topic) -> Vec<String> {
    let mut lines = render::lines(topic.text());
    for family in option_text::families().filter(|f| f.is_named(topic.name)) {
        lines.extend([String::new(), "Options".to_owned(), "-------".to_owned()]);
        let rows: Vec<&Opt> = family.options.iter().collect();
        option_text::of_rows(&mut lines, &rows);
        lines.extend([
            String::new(),
            "Options of every destination, such as timeouts: duplet help options".to_owned(),
        ]);
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
        lines.append(&mut render::lines(topic.text()));
    }
    lines.extend([String::new(), "== options".to_owned()]);
    lines.append(&mut option_text::all());
    lines
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failing step fails the test")]

    use super::*;
    use crate::cli::help_words::SPECIAL_WORDS;

    #[test]
    fn every_text_fits_the_screen() {
        assert!(first_screen().len() <= HEIGHT);
        for c in COMMANDS.iter().filter(|c| c.section != Section::More) {
            assert!(
                usage_of(c).len() <= USAGE,
                "{}: the columns would break",
                c.name
            );
        }
        for line in everything() {
            assert!(line.chars().count() < 80, "{line}");
            assert_eq!(line.trim_end(), line);
        }
    }

    #[test]
    fn who_writes_says_what_a_stop_does() {
        for command in COMMANDS.iter().filter(|c| c.writes) {
            let said = about(command.name).unwrap().join(" ");
            assert!(said.contains("Ctrl-C"), "{}", command.name);
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
            "topics",
            "examples",
            "parameters",
            "dblock-size",
        ] {
            assert!(about(word).unwrap().len() > 1, "{word}");
        }
        let special: Vec<&str> = SPECIAL.iter().map(|s| s.0).collect();
        assert_eq!(special, SPECIAL_WORDS);
        for name in words() {
            assert!(about(name).unwrap().len() > 1, "{name}");
        }
        let e = about("filter").unwrap_err().to_string();
        assert_eq!(
            e,
            "there is no help on filter (did you mean 'duplet help filters'?)"
        );
    }
}
