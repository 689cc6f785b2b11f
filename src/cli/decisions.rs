//! What a rule decides about each version, in words: for `delete`, and a backup that only says what it would do.

use crate::base::error::{Error, Result};
use crate::base::text;
use crate::base::time::Timestamp;
use crate::base::ui::Ui;
use crate::set::Set;
use crate::upkeep::retention::{Decision, Retention};
use crate::upkeep::unread::unreadable;
use crate::upkeep::whole::{DOING, Going};

/// What becomes of the versions of a set.
pub(super) struct Decided {
    /// Newest first; a version that is not there yet is the first.
    pub(super) times: Vec<Timestamp>,
    pub(super) decisions: Vec<Decision>,
    /// What goes of those that are there.
    pub(super) going: Going,
}

/// What a rule decides about the versions of a set. `new` is the time of a complete version that is not there yet. A version
/// counts as one with the list that was written in its place: it goes with whatever else goes, and alone where nothing does.
pub(super) fn decide(
    set: &mut Set,
    ui: &mut Ui,
    retention: &Retention,
    new: Option<Timestamp>,
) -> Result<Decided> {
    let replaced = set.replaced(ui)?;
    let there: Vec<Timestamp> = set.versions().collect();
    let old = |no: usize| replaced.iter().find(|r| r.old == no);
    let counting: Vec<usize> = (0..there.len()).filter(|no| old(*no).is_none()).collect();
    let before = usize::from(new.is_some());
    let named = retention.named.iter();
    let rule = Retention {
        named: named
            .filter_map(|no| Some(counting.binary_search(no).ok()? + before))
            .collect(),
        ..retention.clone()
    };
    let counted = counting.iter().map(|no| there[*no]);
    let counted: Vec<Timestamp> = new.into_iter().chain(counted).collect();
    let mut known = set.cache().known_full();
    let decisions = rule.decide(
        &counted,
        Timestamp::now(),
        &Timestamp::wall,
        &mut |at| match at.checked_sub(before).and_then(|at| counting.get(at)) {
            Some(&no) => set
                .is_full(ui, no, &mut known)
                .map_err(|e| unreadable(set, no, DOING, e)),
            None => Ok(true),
        },
    );
    // Also what was learnt before something failed: each look costs a download.
    set.store_known(ui, &mut known);
    let mut decided = decisions?.into_iter();
    let mut decisions: Vec<Decision> = decided.by_ref().take(before).collect();
    let mut going = Going::default();
    for no in 0..there.len() {
        let decision = match old(no) {
            Some(r) => Decision::delete(format!(
                "version {} was written in its place by a purge that did not end",
                r.by
            )),
            None => decided
                .next()
                .ok_or_else(|| Error::bug("each version is decided about"))?,
        };
        if !decision.keep {
            going.versions.push(no);
            if old(no).is_some() || retention.named.contains(&no) {
                going.unread.push(no);
            }
        }
        decisions.push(decision);
    }
    Ok(Decided {
        times: new.into_iter().chain(there).collect(),
        decisions,
        going,
    })
}

/// The versions that stand beside the lists written in their place, for a command that has no rule.
pub(super) fn replaced(set: &mut Set, ui: &mut Ui) -> Result<Going> {
    let olds: Vec<usize> = set.replaced(ui)?.iter().map(|r| r.old).collect();
    Ok(Going {
        versions: olds.clone(),
        unread: olds,
    })
}

/// Names each version that stands beside the list written in its place.
pub(super) fn name_replaced(set: &mut Set, ui: &mut Ui, warn: bool) -> Result<()> {
    let all = set.replaced(ui)?;
    let Some(first) = all.first() else {
        return Ok(());
    };
    let more = match all.len() {
        1 => String::new(),
        n => format!(", and {} more such", n - 1),
    };
    let line = format!(
        "version {} was written in the place of version {} by a purge that did not end{more}: what it took out is still in the old one (the next 'duplet purge', 'duplet compact', 'duplet delete' or backup with a rule deletes that)",
        first.by, first.old
    );
    match warn {
        true => ui.warn("purge-did-not-end", &line),
        false => ui.note(&line),
    }
    Ok(())
}

/// Says of each version whether it would stay and why; the first `new` are not there yet and have no number. `alone`: nothing
/// else tells that this is a dry run.
pub(super) fn show(
    ui: &mut Ui,
    alone: bool,
    times: &[Timestamp],
    decisions: &[Decision],
    new: usize,
) {
    let most = times.len().saturating_sub(1 + new);
    let width = most.to_string().len().max(if new > 0 { 3 } else { 0 });
    for (at, (time, decision)) in times.iter().zip(decisions).enumerate() {
        let word = if decision.keep { "keep  " } else { "delete" };
        let no = at.checked_sub(new);
        let no = no.map_or_else(|| "new".to_owned(), |no| no.to_string());
        ui.result(&format!(
            "{word} {no:>width$}  {}  {}",
            time.local(),
            decision.why
        ));
    }
    let gone = decisions.iter().filter(|d| !d.keep).count();
    let all = text::count(times.len() as u64, "version");
    ui.result(&format!("would delete {gone} of {all}"));
    let (times, decisions) = (&times[new..], &decisions[new..]);
    let gone = |time: &Timestamp| {
        let at = times.iter().position(|t| t == time);
        at.and_then(|no| decisions.get(no)).is_some_and(|d| !d.keep)
    };
    sets(ui, alone.then_some(true), times, decisions, &gone);
}

/// The versions that went and those that stay, for `--json`; `dry_run` unless that is told elsewhere.
pub(super) fn sets(
    ui: &mut Ui,
    dry_run: Option<bool>,
    times: &[Timestamp],
    decisions: &[Decision],
    gone: &dyn Fn(&Timestamp) -> bool,
) {
    ui.json(|w| {
        if let Some(dry_run) = dry_run {
            w.key("Dryrun")?;
            w.boolean(dry_run)?;
        }
        for (key, deleted) in [("DeletedSets", true), ("KeptSets", false)] {
            w.key(key)?;
            w.begin_array()?;
            for (no, (time, decision)) in times.iter().zip(decisions).enumerate() {
                if gone(time) != deleted {
                    continue;
                }
                w.begin_object()?;
                w.key("Version")?;
                w.number(no as i128)?;
                w.key("Time")?;
                w.string(time.iso().as_bytes())?;
                w.key("Why")?;
                w.string(decision.why.as_bytes())?;
                w.end_object()?;
            }
            w.end_array()?;
        }
        Ok(())
    });
}
