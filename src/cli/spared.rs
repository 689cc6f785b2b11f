//! Versions that a rule would take although they are the last ones with what a source held: it is empty or gone now, which more often is a
//! disk that is not mounted than what somebody wants.

use crate::base::error::Result;
use crate::base::text;
use crate::base::ui::Ui;
use crate::cli::decisions::Decided;
use crate::set::Set;
use crate::upkeep::retention::{Decision, Retention};
use crate::upkeep::unread::unreadable;
use crate::upkeep::whole::DOING;

/// Takes off what goes the newest version that holds anything of each of these sources, where none that stays does; warns of it.
/// `hollow`: absolute paths, of folders with a separator at the end. Cost: the lists of versions, from the newest to the last that
/// goes, while there is such a source that none of them held.
pub(super) fn spare(
    set: &mut Set,
    ui: &mut Ui,
    hollow: &[Vec<u8>],
    retention: &Retention,
    decided: &mut Decided,
) -> Result<()> {
    let going = &mut decided.going;
    let Some(last) = going.versions.iter().copied().max() else {
        return Ok(());
    };
    if retention.allow_full_removal {
        return Ok(());
    }
    let mut open: Vec<&[u8]> = hollow.iter().map(Vec::as_slice).collect();
    for no in 0..=last {
        // Another list is in its place.
        if open.is_empty() || going.unread.contains(&no) {
            continue;
        }
        let mut held = vec![false; open.len()];
        let read = set.files(ui, no, &mut |entry| {
            for (held, source) in held.iter_mut().zip(&open) {
                *held = *held || is_of(&entry.path, source);
            }
            Ok(())
        });
        read.map_err(|e| unreadable(set, no, DOING, e))?;
        let found = held.iter().position(|held| *held);
        if let Some(first) = found.filter(|_| going.versions.contains(&no)) {
            let source = text::safe(open.get(first).copied().unwrap_or_default());
            going.versions.retain(|n| *n != no);
            let why = format!("the last with anything of {source}, which is empty or gone now");
            let new = decided.times.len() - set.versions().count();
            let time = decided
                .times
                .get(new + no)
                .map_or_else(String::new, |t| t.local());
            ui.warn(
                "version-stays",
                &format!(
                    "the version of {time} stays: it is {why} (--allow-full-removal lets it go)"
                ),
            );
            if let Some(decision) = decided.decisions.get_mut(new + no) {
                *decision = Decision { keep: true, why };
            }
        }
        let mut held = held.into_iter();
        open.retain(|_| !held.next().unwrap_or_default());
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
