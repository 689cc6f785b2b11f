//! What `restore` and `cat` take from the command line.

use std::path::PathBuf;

use crate::base::error::{Doing, Error, Kind, Result};
use crate::base::time::Timestamp;
use crate::cli::{Call, options as o, session};
use crate::restore::{Existing, NOTHING, Partial, Reading, RestoreOptions};
use crate::select::{FilterSet, Selection};
use crate::set::VersionChoice;

/// Which entries are meant, where they go, and what happens to what is there.
pub(super) fn restore_options(call: &Call) -> Result<RestoreOptions> {
    let options = &call.options;
    let version = VersionChoice::parse(
        options.given(o::VERSION.name),
        options.given(o::TIME.name),
        Timestamp::now(),
    )?;
    if let VersionChoice::Numbers(numbers) = &version
        && numbers.len() > 1
    {
        let cause = format!("{} versions are named", numbers.len());
        return Err(Error::usage(cause).hint("one is restored at a time: --version=N"));
    }
    let target = match options.text(&o::RESTORE_PATH) {
        Some(path) if path.starts_with('@') => {
            return Err(Error::usage(
                "--restore-path must be a folder of this machine",
            ));
        }
        Some(path) => Some(
            std::path::absolute(PathBuf::from(path))
                .doing(|| "find the current folder".to_owned())?,
        ),
        None => None,
    };
    let existing = match (
        options.flag(&o::OVERWRITE),
        options.given(o::EXISTING.name),
        options.choice(&o::EXISTING),
    ) {
        (true, Some(word), _) if !word.eq_ignore_ascii_case("overwrite") => {
            return Err(Error::usage(
                "--overwrite and another --existing exclude each other",
            ));
        }
        (true, _, _) | (_, _, Some("overwrite")) => Existing::Overwrite,
        (_, _, Some("skip")) => Existing::Skip,
        (_, _, Some("newer")) => Existing::Newer,
        _ => Existing::Rename,
    };
    Ok(RestoreOptions {
        version,
        selection: Selection::parse(&call.words)?,
        filters: FilterSet::parse(&call.rules, session::case())?,
        case: session::case_of_words(call),
        target,
        whole_paths: options.flag(&o::KEEP_FULL_PATHS),
        existing,
        permissions: options.flag(&o::RESTORE_PERMISSIONS),
        symlink_metadata: options.flag(&o::RESTORE_SYMLINK_METADATA),
        skip_metadata: options.flag(&o::SKIP_METADATA),
        allow_outside: options.flag(&o::ALLOW_OUTSIDE),
        verify: !options.flag(&o::SKIP_VERIFICATION),
        dry_run: options.flag(&o::DRY_RUN),
        reading: reading(call),
        root: PathBuf::new(),
    })
}

/// A version in the place of a name, as `list` takes one, when there is no such name.
pub(super) fn version_meant(e: Error, words: &[String]) -> Error {
    let [word] = words else {
        return e;
    };
    let number = !word.is_empty() && word.len() < 9 && word.bytes().all(|b| b.is_ascii_digit());
    let newest = ["latest", "newest"].contains(&word.to_lowercase().as_str());
    if e.kind() != Kind::Missing || e.cause() != NOTHING || !(number || newest) {
        return e;
    }
    let said = match number {
        true => format!("words are names of files: write --version={word} for a version"),
        false => format!("words are names of files: leave {word} out, the newest version it is"),
    };
    Error::new(Kind::Missing, NOTHING)
        .doing("restore")
        .hint(said)
}

/// Whether lists are read in parts where paths are looked for; `Some(true)`: small ones, too.
pub(super) fn in_parts(call: &Call) -> Option<bool> {
    match reading(call).partial {
        Partial::Never => None,
        how => Some(how == Partial::Always),
    }
}

/// How volumes are read.
fn reading(call: &Call) -> Reading {
    let options = &call.options;
    Reading {
        partial: match options.choice(&o::PARTIAL_READS) {
            Some("always") => Partial::Always,
            Some("never") => Partial::Never,
            _ => Partial::Auto,
        },
        keep_bytes: options.size(&o::VOLUME_CACHE_HINT).unwrap_or(0),
        no_scan: options.flag(&o::NO_SCAN),
    }
}
