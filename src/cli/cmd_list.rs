//! `list`, `list-filesets`, `list-folder-content`: what versions there are, and what is in one of them.

use crate::base::error::{Error, Result};
use crate::base::size::show_size;
use crate::base::text;
use crate::base::time::Timestamp;
use crate::base::ui::Ui;
use crate::cli::cmd_find::{filters, name_unmet, nothing_matches};
use crate::cli::options::{
    ALL_VERSIONS, FULL_RESULT, LIST_FOLDER_CONTENTS, LIST_PREFIX_ONLY, LIST_SETS_ONLY, LONG,
};
use crate::cli::session::{case_of_words, open_versions, report_cost, version_choice};
use crate::cli::{Call, Command, Outcome, Section, decisions, listing, restoring};
use crate::query::find::{self, Query};
use crate::query::folder;
use crate::select::Selection;
use crate::set::{Set, Summary, VersionChoice};

pub(super) const LIST: Command = Command {
    name: "list",
    aliases: &["ls"],
    section: Section::Everyday,
    summary: "versions, or the files of one",
    usage: "<url> [version | name...]",
    details: "\
Without a word after the URL: the versions, 0 is the newest. With a number, an
age (3D) or a date alone: all of that version. With names, ends of paths,
paths or patterns: what fits in the newest version, or, when nothing does, in
others; --version=N says in which. A folder means everything in it, with and
without a slash at its end; -l shows modes and owners, too. Of each version
that was made or read on this machine the table has files, bytes, what it
added and its sources; of others the size of their lists, unless --full-result
reads those.",
    needs_url: true,
    words: (0, usize::MAX),
    writes: false,
    run,
};

pub(super) const FILESETS: Command = Command {
    name: "list-filesets",
    aliases: &[],
    section: Section::More,
    summary: "versions only",
    usage: "<url>",
    details: "",
    words: (0, 0),
    ..LIST
};

pub(super) const FOLDER: Command = Command {
    name: "list-folder-content",
    aliases: &["list-folder-contents"],
    section: Section::More,
    summary: "what is directly in a folder",
    usage: "<url> [folder]",
    details: "Without a folder: the one that all entries of the version lie in.",
    words: (0, 1),
    ..LIST
};

fn run(call: &mut Call, ui: &mut Ui) -> Result<Outcome> {
    let mut choice = version_choice(call)?;
    let mut words = std::mem::take(&mut call.words);
    let one_folder = call.command.name == FOLDER.name || call.options.flag(&LIST_FOLDER_CONTENTS);
    let prefix_only = call.options.flag(&LIST_PREFIX_ONLY);
    if !one_folder
        && choice == VersionChoice::Any
        && let [word] = words.as_slice()
        && let Some(meant) = as_version(word)
    {
        choice = meant;
        words.clear();
    }
    if one_folder && words.len() > 1 {
        return Err(Error::usage("one folder at a time can be listed"));
    }
    let mut query = Query {
        selection: Selection::parse(if one_folder { &[] } else { &words })?,
        filters: filters(call)?,
        case: case_of_words(call),
        folder: None,
        with_meta: call.options.flag(&LONG),
        in_parts: restoring::in_parts(call),
    };
    let sets_only = call.command.name == FILESETS.name || call.options.flag(&LIST_SETS_ONLY);
    let all = call.options.flag(&ALL_VERSIONS);
    // The table of versions has no modes: the newest version is meant.
    if query.with_meta && choice == VersionChoice::Any && words.is_empty() && !sets_only && !all {
        choice = VersionChoice::Numbers(vec![0]);
    }
    let nothing_asked = words.is_empty()
        && choice == VersionChoice::Any
        && query.filters.is_empty()
        && !one_folder
        && !prefix_only
        && !all;

    let mut set = open_versions(call, ui)?;
    let times: Vec<Timestamp> = set.versions().collect();
    if sets_only || nothing_asked {
        return list_sets(call, &mut set, ui, &times);
    }
    let mut versions = choice.resolve(&times)?;
    let anywhere = versions.is_empty() && !all && !one_folder;
    if versions.is_empty() {
        let last = if all { times.len() } else { times.len().min(1) };
        versions = (0..last).collect();
    }
    if prefix_only {
        return list_prefix(&mut set, ui, &versions);
    }
    if one_folder {
        query.folder = Some(match words.first() {
            Some(word) => with_separator(word),
            None => match versions.first() {
                Some(&v) => folder::common_folder(&mut set, ui, v)?,
                None => Vec::new(),
            },
        });
    }
    let mut hits = find::find(&mut set, ui, &versions, &query)?;
    if hits.is_empty() && anywhere && times.len() > 1 {
        ui.note("nothing fits in the newest version; looking in the others");
        let others: Vec<usize> = (1..times.len()).collect();
        hits = find::find(&mut set, ui, &others, &query)?;
    }
    let found = !hits.is_empty();
    if found {
        name_unmet(ui, &hits.unmet(&query.selection));
    }
    if let Some(e) = query.selection.fault().filter(|_| !found) {
        return Err(e);
    }
    // Nothing has no modes, of how many versions ever.
    match query.with_meta && found {
        true => listing::show_long(&mut set, ui, hits, &times)?,
        false => listing::show(ui, hits, &times)?,
    }
    report_cost(&mut set, ui);
    let asked = !words.is_empty() || !query.filters.is_empty();
    if found || !asked {
        return Ok(Outcome::Done);
    }
    if one_folder {
        // Nothing in it is an answer, too, where it is there.
        query.selection = Selection::parse(&words)?;
        query.folder = None;
        if !find::find(&mut set, ui, &versions, &query)?.is_empty() {
            ui.note("nothing is in this folder");
            return Ok(Outcome::Done);
        }
    }
    Err(nothing_matches(&words, one_folder, query.case))
}

/// A number, an age or a date.
fn as_version(word: &str) -> Option<VersionChoice> {
    if word.bytes().all(|b| b.is_ascii_digit()) && word.len() < 9 {
        return word.parse().ok().map(|n| VersionChoice::Numbers(vec![n]));
    }
    if word.bytes().all(|b| b.is_ascii_alphabetic()) && !word.eq_ignore_ascii_case("now") {
        return None;
    }
    VersionChoice::parse(None, Some(word), Timestamp::now()).ok()
}

fn with_separator(folder: &str) -> Vec<u8> {
    let mut folder = folder.as_bytes().to_vec();
    let separator = if !folder.contains(&b'/') && folder.contains(&b'\\') {
        b'\\'
    } else {
        b'/'
    };
    if folder.last() != Some(&separator) {
        folder.push(separator);
    }
    folder
}

/// The table of versions. Downloads one small volume, to prove the passphrase, unless counts are asked for.
fn list_sets(call: &Call, set: &mut Set, ui: &mut Ui, times: &[Timestamp]) -> Result<Outcome> {
    set.prove(ui)?;
    let counted = call.options.flag(&FULL_RESULT);
    if times.is_empty() {
        let listless = set.volumes().listless();
        ui.note(listless.as_deref().unwrap_or("there are no versions yet"));
    }
    ui.json(|w| {
        w.key("Filesets")?;
        w.begin_array()
    });
    // Versions that nobody counted here, and the bytes of their lists.
    let mut uncounted = (0, 0);
    for (version, time) in times.iter().enumerate() {
        let size = set.dlist(version).and_then(|(_, size)| size);
        let mut summary = find::remembered(set, version)?;
        if summary.is_none() && counted {
            match find::count(set, ui, version) {
                Ok(s) => summary = Some(s),
                Err(e) if e.kind().is_of_one_volume() => {
                    ui.error(&format!("version {version}: {e}"));
                }
                Err(e) => return Err(e),
            }
        }
        if summary.is_none() {
            uncounted = (uncounted.0 + 1, uncounted.1 + size.unwrap_or(0));
        }
        ui.result(&set_line(version, *time, size, summary.as_ref()));
        set_json(ui, version, *time, size, summary.as_ref());
        if ui.broken() {
            break;
        }
    }
    ui.json(|w| w.end_array());
    if uncounted.0 > 0 && !counted {
        ui.hint(&format!(
            "{} not counted yet: 'duplet list URL --full-result' downloads {} to count",
            match uncounted.0 {
                1 => "one version is".to_owned(),
                n => format!("{n} versions are"),
            },
            show_size(uncounted.1)
        ));
    }
    decisions::name_replaced(set, ui, false)?;
    report_cost(set, ui);
    Ok(Outcome::Done)
}

fn set_line(
    version: usize,
    time: Timestamp,
    size: Option<u64>,
    summary: Option<&Summary>,
) -> String {
    let mut line = format!("{version:>4}  {}", time.local());
    match (summary, size) {
        (Some(s), _) => {
            let files = text::count(s.files, "file");
            line.push_str(&format!("  {files}, {}", show_size(s.bytes)));
            if let Some(stored) = s.stored {
                line.push_str(&format!(", {} added", show_size(stored)));
            }
            if !s.full {
                line.push_str(", partial");
            }
            for (at, root) in s.roots.iter().enumerate() {
                let before = if at == 0 { "  " } else { " " };
                line.push_str(&format!("{before}{}", text::safe_cut(root, 60)));
            }
            if s.more_roots {
                line.push_str(" ...");
            }
        }
        (None, Some(size)) => line.push_str(&format!("  list of {}", show_size(size))),
        (None, None) => {}
    }
    line
}

fn set_json(
    ui: &mut Ui,
    version: usize,
    time: Timestamp,
    size: Option<u64>,
    summary: Option<&Summary>,
) {
    ui.json(|w| {
        w.begin_object()?;
        w.key("Version")?;
        w.number(version as i128)?;
        w.key("Time")?;
        w.string(time.iso().as_bytes())?;
        for (name, n) in [
            ("ListSize", size),
            ("FileCount", summary.map(|s| s.files)),
            ("FileSizes", summary.map(|s| s.bytes)),
            ("AddedSize", summary.and_then(|s| s.stored)),
        ] {
            w.key(name)?;
            match n {
                Some(n) => w.number(i128::from(n))?,
                None => w.null()?,
            }
        }
        w.key("IsFullBackup")?;
        match summary {
            Some(s) => w.boolean(s.full)?,
            None => w.null()?,
        }
        w.key("Sources")?;
        match summary {
            Some(s) => {
                w.begin_array()?;
                for root in &s.roots {
                    w.string(root)?;
                }
                w.end_array()?;
            }
            None => w.null()?,
        }
        w.key("MoreSources")?;
        w.boolean(summary.is_some_and(|s| s.more_roots))?;
        w.end_object()
    });
}

fn list_prefix(set: &mut Set, ui: &mut Ui, versions: &[usize]) -> Result<Outcome> {
    ui.json(|w| {
        w.key("Prefixes")?;
        w.begin_array()
    });
    for &version in versions {
        let folder = folder::common_folder(set, ui, version)?;
        ui.result(&text::safe(&folder));
        ui.json(|w| w.string(&folder));
    }
    ui.json(|w| w.end_array());
    report_cost(set, ui);
    Ok(Outcome::Done)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_a_version_or_a_pattern() {
        for (word, want) in [
            ("0", Some(0)),
            ("17", Some(17)),
            ("x", None),
            ("*.txt", None),
        ] {
            let want = want.map(|n| VersionChoice::Numbers(vec![n]));
            assert_eq!(as_version(word), want, "{word}");
        }
        for word in ["3D", "2024-01-31", "20240131T123456Z", "1706704496"] {
            assert!(
                matches!(as_version(word), Some(VersionChoice::At(_))),
                "{word}"
            );
        }
    }

    #[test]
    fn folders_end_with_their_separator() {
        for (word, want) in [
            ("/a", "/a/"),
            ("/a/", "/a/"),
            ("C:\\a", "C:\\a\\"),
            ("", "/"),
        ] {
            assert_eq!(with_separator(word), want.as_bytes());
        }
    }

    #[test]
    fn a_version_is_one_line() {
        let summary = Summary {
            full: false,
            files: 2,
            bytes: 2048,
            ..Summary::default()
        };
        let time = Timestamp(1_706_704_496);
        let line = set_line(3, time, Some(5), Some(&summary));
        assert!(line.starts_with("   3  2024-01-31 "), "{line}");
        assert!(line.ends_with("  2 files, 2.00 KiB, partial"), "{line}");
        let summary = Summary {
            full: true,
            stored: Some(1 << 20),
            roots: vec![b"/home/x/".to_vec(), b"/etc/".to_vec()],
            more_roots: true,
            ..summary
        };
        let line = set_line(3, time, Some(5), Some(&summary));
        let end = "  2 files, 2.00 KiB, 1.00 MiB added  /home/x/ /etc/ ...";
        assert!(line.ends_with(end), "{line}");
        let line = set_line(3, time, Some(5), None);
        assert!(line.ends_with("  list of 5 bytes"), "{line}");
    }
}
