//! What a rule decides about each version, in words: for `delete`, and a backup that only says what it would do.

use std::collections::HashSet;

use crate::base::error::Result;
use crate::base::text;
use crate::base::time::Timestamp;
use crate::base::ui::Ui;
use crate::set::Set;
use crate::upkeep::retention::{Decision, Retention};

/// What a rule decides about the versions of a set, newest first. `new` is the time of a complete version that is not there
/// yet and would be the first.
pub(super) fn decide(
    set: &mut Set,
    ui: &mut Ui,
    retention: &Retention,
    new: Option<Timestamp>,
) -> Result<(Vec<Timestamp>, Vec<Decision>)> {
    let times: Vec<Timestamp> = new.into_iter().chain(set.versions()).collect();
    let before = usize::from(new.is_some());
    let mut known = set.cache().known_full();
    let decisions = retention.decide(
        &times,
        Timestamp::now(),
        &Timestamp::wall,
        &mut |no| match no.checked_sub(before) {
            Some(no) => set.is_full(ui, no, &mut known),
            None => Ok(true),
        },
    );
    // Also what was learnt before something failed: each look costs a download.
    let there = set.volumes().dlists().iter();
    let there: HashSet<&str> = there.map(|(name, _)| name.as_str()).collect();
    known.keep(&|name| there.contains(name));
    if let Err(e) = set.cache().store_full(&mut known) {
        ui.verbose(&format!("the cache was not written: {e}"));
    }
    Ok((times, decisions?))
}

/// Numbers of the versions that go.
pub(super) fn dropped(decisions: &[Decision]) -> Vec<usize> {
    let gone = decisions.iter().enumerate().filter(|(_, d)| !d.keep);
    gone.map(|(no, _)| no).collect()
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
