//! `find`, `list-file-versions`, `search-entries`: entries over all versions.

use crate::base::error::{Error, Kind, Result};
use crate::base::text;
use crate::base::time::Timestamp;
use crate::base::ui::Ui;
use crate::cli::session::{case, case_of_words, open_versions, report_cost, version_choice};
use crate::cli::{Call, Command, Outcome, Section, listing, restoring};
use crate::query::find::{Query, find};
use crate::select::{Case, FilterSet, Selection};

pub(super) const FIND: Command = Command {
    name: "find",
    aliases: &[],
    section: Section::Everyday,
    summary: "which versions hold which files",
    usage: "<url> [pattern...]",
    details: "\
Looks in all versions, or those of --version or --time. Under each path stand
the versions with the size it has there, - where it is absent. -i: whatever
the case of the letters.",
    needs_url: true,
    words: (0, usize::MAX),
    writes: false,
    run,
};

pub(super) const FILE_VERSIONS: Command = Command {
    name: "list-file-versions",
    section: Section::More,
    summary: "the versions of given paths",
    usage: "<url> <path>...",
    details: "Paths are taken literally.",
    words: (1, usize::MAX),
    ..FIND
};

pub(super) const SEARCH: Command = Command {
    name: "search-entries",
    aliases: &["search-files", "search"],
    section: Section::More,
    summary: "entries below folders in all versions",
    usage: "<url> [folder...]",
    details: "With --include and --exclude for what is wanted below the folders.",
    ..FIND
};

fn run(call: &mut Call, ui: &mut Ui) -> Result<Outcome> {
    let choice = version_choice(call)?;
    let literal = call.command.name == FILE_VERSIONS.name;
    let below = call.command.name == SEARCH.name;
    let words: Vec<String> = std::mem::take(&mut call.words)
        .into_iter()
        .map(|word| match (literal, below) {
            (true, _) => format!("@{word}"),
            (_, true) if !word.ends_with(['/', '\\']) => format!("{word}/"),
            _ => word,
        })
        .collect();
    let query = Query {
        selection: Selection::parse(&words)?,
        filters: filters(call)?,
        case: case_of_words(call),
        folder: None,
        with_meta: false,
        in_parts: restoring::in_parts(call),
    };
    let mut set = open_versions(call, ui)?;
    let times: Vec<Timestamp> = set.versions().collect();
    let mut versions = choice.resolve(&times)?;
    if versions.is_empty() {
        versions = (0..times.len()).collect();
    }
    let hits = find(&mut set, ui, &versions, &query)?;
    let found = !hits.is_empty();
    if found {
        name_unmet(ui, &hits.unmet(&query.selection));
    }
    if let Some(e) = query.selection.fault().filter(|_| !found) {
        return Err(e);
    }
    listing::show(ui, hits, &times)?;
    report_cost(&mut set, ui);
    if found {
        return Ok(Outcome::Done);
    }
    Err(nothing_matches(&words, literal, query.case))
}

/// Names the words among several that nothing is called.
pub(super) fn name_unmet(ui: &mut Ui, words: &[&str]) {
    for word in words {
        let word = text::safe(word.as_bytes());
        ui.note(&format!("nothing matches {word}"));
    }
}

/// The error of a question that nothing in the backup answers; `literal`: the words are paths and no patterns; `case`: that of
/// the words.
pub(super) fn nothing_matches(words: &[String], literal: bool, case: Case) -> Error {
    let e = Error::new(Kind::Missing, "nothing in the backup matches");
    match parts_of_names(words).filter(|_| !literal) {
        Some(hint) if case == Case::Sensitive => e.hint(format!(
            "{hint}; with -i the case of letters does not matter"
        )),
        Some(hint) => e.hint(hint),
        None => e.hint("'duplet list URL 0' lists the newest version"),
    }
}

/// What finds more than the first word that is a whole name.
pub(super) fn parts_of_names(words: &[String]) -> Option<String> {
    let mut words = words.iter();
    let word = words.find(|w| !w.contains(['*', '?', '[', '{', '/']))?;
    let part = text::safe_cut(word.trim_start_matches('@').as_bytes(), 60);
    Some(format!("'*{part}*' finds parts of names"))
}

/// `--include` and `--exclude` of the call.
pub(super) fn filters(call: &Call) -> Result<FilterSet> {
    FilterSet::parse(&call.rules, case())
}
