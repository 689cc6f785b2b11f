//! Versions that a rule would take although they are the last ones with what a source held: it is empty or gone now, which more often
//! is a disk that is not mounted than what somebody wants.

use crate::base::error::Result;
use crate::base::text;
use crate::base::ui::Ui;
use crate::cli::decisions::Decided;
use crate::set::Set;
use crate::upkeep::retention::{Decision, Retention};
use crate::upkeep::unread::unreadable;
use crate::upkeep::whole::DOING;

/// What a backup did not find any more.
pub(super) struct Absent {
    /// Absolute paths of sources that are empty or not there, those of folders that are there with a separator at the end.
    pub(super) hollow: Vec<Vec<u8>>,
    /// It was warned that nearly everything is gone.
    pub(super) nearly_all: bool,
}

/// Takes off what goes the newest version that holds anything of each of these sources, where none that stays does, and the version
/// before a run in which nearly everything is gone, where no other stays; warns of it. Cost: the lists of versions, from the newest to
/// the last that goes, while there is such a source that none of them held.
pub(super) fn spare(
    set: &mut Set,
    ui: &mut Ui,
    absent: &Absent,
    retention: &Retention,
    decided: &mut Decided,
) -> Result<()> {
    let Some(last) = decided.going.versions.iter().copied().max() else {
        return Ok(());
    };
    if retention.allow_full_removal {
        return Ok(());
    }
    let new = decided.times.len() - set.versions().count();
    let mut keep = |decided: &mut Decided, no: usize, why: String| {
        decided.going.versions.retain(|n| *n != no);
        let time = decided.times.get(new + no).map(|t| t.local());
        ui.warn(
            "version-stays",
            &format!(
                "the version of {} stays: it is {why} (--allow-full-removal lets it go)",
                time.unwrap_or_default()
            ),
        );
        if let Some(decision) = decided.decisions.get_mut(new + no) {
            *decision = Decision { keep: true, why };
        }
    };
    // The new one is the first, whether it is there or not.
    let before = usize::from(new == 0);
    let all_go = (before..set.versions().count()).all(|no| decided.going.versions.contains(&no));
    if absent.nearly_all && all_go {
        let why = "the last before nearly everything was gone";
        keep(decided, before, why.to_owned());
    }
    let mut open: Vec<&[u8]> = absent.hollow.iter().map(Vec::as_slice).collect();
    let mut found = Vec::new();
    for no in 0..=last {
        if open.is_empty() {
            break;
        }
        // Another list is in its place.
        if decided.going.unread.contains(&no) {
            continue;
        }
        let mut held = vec![false; open.len()];
        let read = set.files(&mut Ui::silent(), no, &mut |entry| {
            for (held, source) in held.iter_mut().zip(&open) {
                *held = *held || is_of(&entry.path, source);
            }
            Ok(())
        });
        read.map_err(|e| unreadable(set, no, DOING, e))?;
        let first = held.iter().position(|held| *held);
        let source = first.and_then(|first| open.get(first).copied());
        found.extend(source.map(|source| (no, text::safe(source))));
        let mut held = held.into_iter();
        open.retain(|_| !held.next().unwrap_or_default());
    }
    for (no, source) in found {
        if decided.going.versions.contains(&no) {
            let why = format!("the last with anything of {source}, which is empty or gone now");
            keep(decided, no, why);
        }
    }
    Ok(())
}

/// Below a source folder; of a source that is not there also the file that it was, but not the folder, which may have been empty.
fn is_of(path: &[u8], source: &[u8]) -> bool {
    path.strip_prefix(source)
        .is_some_and(|rest| match source.ends_with(b"/") {
            true => !rest.is_empty(),
            false => rest.is_empty() || rest.len() > 1 && rest.starts_with(b"/"),
        })
}

#[cfg(test)]
mod tests {
    use super::is_of;

    #[test]
    fn a_folder_alone_holds_nothing() {
        for (path, source, of) in [
            ("/a/b", "/a/", true),
            ("/a/", "/a/", false),
            ("/a/b/", "/a/", true),
            ("/ab/c", "/a/", false),
            ("/a", "/a", true),
            ("/a/", "/a", false),
            ("/a/b", "/a", true),
            ("/ab", "/a", false),
            ("/", "/a", false),
            ("/b", "/", true),
        ] {
            assert_eq!(
                is_of(path.as_bytes(), source.as_bytes()),
                of,
                "{path} {source}"
            );
        }
    }
}
