//! Versions written again without some of their entries: what a first pass finds, and under which times the new ones go.

use crate::base::digest::{Algo, Hash, Hasher};
use crate::base::error::{Error, Kind, Result};
use crate::base::text;
use crate::base::time::Timestamp;
use crate::base::ui::{Progress, Ui};
use crate::format::filelist::{Content, Entry, EntryKind, Fate};
use crate::set::Set;
use crate::upkeep::unread::unreadable;
use crate::writer::{Judge, Rewrite};

/// Seconds after a version's own time that are tried for the one that takes its place (`commands.md` 2.3).
const SECONDS_TRIED: i64 = 60;

/// What cannot be done while a version cannot be read.
pub(super) const DOING: &str = "purge anything";

/// What becomes of one version.
pub(crate) struct Look {
    /// Number in the listing, 0 = newest.
    pub(crate) no: usize,
    pub(crate) entries: u64,
    pub(crate) dropped: u64,
    pub(crate) replaced: u64,
    /// Files and links, before and after.
    pub(crate) files: [u64; 2],
    full: bool,
    /// Over the entries as they will be, in their order.
    digest: Hash,
}

impl Look {
    pub(crate) fn changes(&self) -> bool {
        self.dropped + self.replaced > 0
    }
}

/// Passes over a version and asks `judge` about each entry; `told` hears of those that do not stay as they are.
pub(crate) fn look(
    set: &mut Set,
    ui: &mut Ui,
    no: usize,
    judge: &mut Judge<'_>,
    told: &mut dyn FnMut(&mut Ui, &Entry, &Fate),
) -> Result<Look> {
    let progress = Progress {
        files: no as u64,
        files_total: set.volumes().dlists().len() as u64,
        ..Progress::default()
    };
    ui.progress("reading versions", progress);
    let mut look = Look {
        no,
        entries: 0,
        dropped: 0,
        replaced: 0,
        files: [0; 2],
        full: true,
        digest: Algo::Sha256.hash(b""),
    };
    let mut hasher = Algo::Sha256.hasher();
    if let Err(e) = set.open_dlist(ui, no) {
        return Err(unreadable(set, no, DOING, e));
    }
    // The list is open: there is nothing to wait for, and nothing to say but what is told here.
    let read = set.files(&mut Ui::silent(), no, &mut |entry| {
        let file = u64::from(entry.kind != EntryKind::Folder);
        look.entries += 1;
        look.files[0] += file;
        let fate = judge(no, &entry)?;
        match &fate {
            Fate::Keep => feed(&mut hasher, &entry),
            Fate::Drop => look.dropped += 1,
            Fate::Replace(new) => {
                look.replaced += 1;
                feed(&mut hasher, new);
            }
        }
        match fate {
            Fate::Keep => look.files[1] += file,
            Fate::Drop => told(ui, &entry, &fate),
            Fate::Replace(_) => {
                look.files[1] += file;
                told(ui, &entry, &fate);
            }
        }
        Ok(())
    });
    let listing = read.map_err(|e| unreadable(set, no, DOING, e))?;
    if listing.rescued {
        let name = set.dlist(no).map(|(name, _)| name.as_str().to_owned());
        let shown = text::safe(name.unwrap_or_default().as_bytes());
        return Err(Error::damaged(
            "its zip directory is damaged, so that parts of the list may be lost",
        )
        .doing(format!("write {shown} again"))
        .hint("nothing was changed; 'duplet delete URL --version=N' takes the version away"));
    }
    look.full = listing.full;
    look.digest = hasher.finish();
    Ok(look)
}

fn feed(hasher: &mut Hasher, entry: &Entry) {
    let mut field = |data: &[u8]| {
        hasher.update(&(data.len() as u64).to_be_bytes());
        hasher.update(data);
    };
    field(&entry.path);
    field(&[entry.kind as u8]);
    field(&entry.time.map_or([0; 8], |t| t.0.to_be_bytes()));
    // The id of an only block may be stated or not: it follows from the rest.
    let mut content = |content: &Option<Content>| {
        let Some(c) = content else {
            return field(b"");
        };
        field(&c.size.to_be_bytes());
        field(c.hash.as_ref().map_or(&[], Hash::as_bytes));
        field(&(c.lists.len() as u64).to_be_bytes());
        for list in &c.lists {
            field(list.as_bytes());
        }
    };
    content(&entry.content);
    content(&entry.meta);
}

/// What is done to the versions that change.
#[derive(Default)]
pub(crate) struct Plan {
    /// Written again under these times, oldest first.
    pub(crate) rewrites: Vec<Rewrite>,
    /// A run that was stopped has written them again already: they only have to go.
    pub(crate) done_before: Vec<usize>,
}

impl Plan {
    /// Adds versions that only have to go, as others took their place.
    pub(crate) fn also(&mut self, replaced: &[usize]) {
        for no in replaced {
            if !self.done_before.contains(no) {
                self.done_before.push(*no);
            }
        }
    }
}

/// Finds a time for every version that changes and is not in `gone`: its own and a second, or a later one while that is taken,
/// at most 60 later, and below that of the next version. Nothing is written by then: `Missing` when there is no room.
///
/// `times` are those of all versions, newest first; `looks` of those that were looked at.
pub(crate) fn plan(times: &[Timestamp], looks: &[Look], gone: &[usize]) -> Result<Plan> {
    let mut plan = Plan::default();
    let mut changing: Vec<&Look> = looks
        .iter()
        .filter(|l| l.changes() && !gone.contains(&l.no))
        .collect();
    changing.sort_unstable_by_key(|l| std::cmp::Reverse(l.no));
    let mut taken: Vec<Timestamp> = times.to_vec();
    for look in changing {
        let Some(own) = times.get(look.no).copied() else {
            return Err(Error::bug("a version that is written again is listed"));
        };
        let next = (0..look.no)
            .rev()
            .find(|&n| times.get(n).is_some_and(|t| *t > own));
        let next_time = next.and_then(|n| times.get(n)).copied();
        let same = |n: usize| {
            let other = looks.iter().find(|l| l.no == n);
            other.is_some_and(|o| !o.changes() && o.full == look.full && o.digest == look.digest)
        };
        if let (Some(n), Some(time)) = (next, next_time)
            && time.0 - own.0 <= SECONDS_TRIED
            && same(n)
        {
            plan.done_before.push(look.no);
            continue;
        }
        let room = (1..=SECONDS_TRIED)
            .map(|s| Timestamp(own.0 + s))
            .take_while(|t| next_time.is_none_or(|next| *t < next))
            .find(|t| !taken.contains(t));
        let Some(time) = room else {
            let next = next.map_or_else(String::new, |n| {
                format!(": version {n} is of {}", times[n].local())
            });
            return Err(Error::new(
                Kind::Missing,
                format!("there is no free second after its time{next}"),
            )
            .doing(format!(
                "write version {} of {} again",
                look.no,
                own.local()
            ))
            .hint("nothing was changed; delete one of the two versions first"));
        };
        taken.push(time);
        plan.rewrites.push(Rewrite { old: look.no, time });
    }
    Ok(plan)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(no: usize, dropped: u64, what: &[u8]) -> Look {
        Look {
            no,
            entries: 5,
            dropped,
            replaced: 0,
            files: [5, 5 - dropped],
            full: true,
            digest: Algo::Sha256.hash(what),
        }
    }

    /// Versions with their new times, and those that were written before.
    type New = (Vec<(usize, i64)>, Vec<usize>);

    fn new_times(times: &[i64], looks: &[Look]) -> Result<New> {
        let times: Vec<Timestamp> = times.iter().map(|t| Timestamp(*t)).collect();
        let plan = plan(&times, looks, &[])?;
        let new = plan.rewrites.iter().map(|r| (r.old, r.time.0)).collect();
        Ok((new, plan.done_before))
    }

    #[test]
    fn the_next_free_second_below_the_next_version_is_taken() {
        let (new, done) = new_times(
            &[900, 502, 500],
            &[seen(0, 1, b"a"), seen(1, 1, b"b"), seen(2, 2, b"c")],
        )
        .expect("room");
        assert_eq!(new, [(2, 501), (1, 503), (0, 901)]);
        assert!(done.is_empty());
        // Two versions of one second: the second one gets a later time.
        let (new, _) = new_times(&[500, 500], &[seen(0, 1, b"a"), seen(1, 1, b"b")]).expect("room");
        assert_eq!(new, [(1, 501), (0, 502)]);
        // One that does not change has no part in it.
        let (new, _) = new_times(&[501, 500], &[seen(0, 1, b"a"), seen(1, 0, b"b")]).expect("room");
        assert_eq!(new, [(0, 502)]);
    }

    #[test]
    fn without_a_free_second_nothing_is_planned() {
        for looks in [
            [seen(0, 0, b"other"), seen(1, 1, b"b")],
            [seen(0, 1, b"b"), seen(1, 1, b"b")],
        ] {
            let e = new_times(&[501, 500], &looks)
                .expect_err("no room")
                .to_string();
            assert!(
                e.contains("version 1") && e.contains("nothing was changed"),
                "{e}"
            );
        }
        let full: Vec<i64> = [600].into_iter().chain([500; 61]).collect();
        let looks: Vec<Look> = (1..62).map(|n| seen(n, 1, b"x")).collect();
        assert!(new_times(&full, &looks).is_err());
    }

    #[test]
    fn what_a_stopped_run_wrote_is_not_written_twice() {
        let (new, done) = new_times(
            &[700, 501, 500],
            &[seen(0, 1, b"z"), seen(1, 0, b"same"), seen(2, 2, b"same")],
        )
        .expect("room");
        assert_eq!((new, done), (vec![(0, 701)], vec![2]));
    }
}
