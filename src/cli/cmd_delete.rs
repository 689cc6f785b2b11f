//! `delete`: versions go by a rule or by number, and with them the space that only they needed.

use crate::base::error::{Error, Kind, Result};
use crate::base::text;
use crate::base::time::Timestamp;
use crate::base::ui::Ui;
use crate::cli::options::VERSION;
use crate::cli::session::{open_to_change, or_facts};
use crate::cli::{Call, Command, Outcome, Section, decisions, reclaim, retained};
use crate::set::VersionChoice;
use crate::upkeep::compact;
use crate::upkeep::retention::{Decision, Retention};

pub(super) const COMMAND: Command = Command {
    name: "delete",
    aliases: &[],
    section: Section::Care,
    summary: "delete old versions",
    usage: "<url> --keep-...",
    details: "\
The rule is one of --keep-versions, --keep-time and --retention-policy;
versions that --version names go as well. With --dry-run it says of each
version whether it would stay, by which rule, and how much space would come
back. Reclaims the space at once unless --no-auto-compact is given.",
    needs_url: true,
    words: (0, 0),
    writes: true,
    run,
};

fn run(call: &mut Call, ui: &mut Ui) -> Result<Outcome> {
    let mut retention = retained::retention(call)?;
    let how = reclaim::how(call)?;
    let named = call.options.given(VERSION.name);
    let named = named.map(VersionChoice::distinct).transpose()?;
    if retention.is_empty() && named.is_none() {
        return Err(Error::usage(
            "delete needs one of --keep-versions, --keep-time, --retention-policy and --version",
        )
        .hint("'duplet help retention' explains them"));
    }
    let mut set = open_to_change(call, ui)?;
    let times: Vec<Timestamp> = set.versions().collect();
    if let Some(named) = named {
        retention.named = named.resolve(&times)?;
    }
    if times
        .first()
        .is_some_and(|newest| *newest > Timestamp::now())
    {
        ui.note("the newest version is of a time to come: is the clock of this machine right?");
    }
    let (times, decisions) = decisions::decide(&mut set, ui, &retention, None)?;
    let drop = decisions::dropped(&decisions);
    let reclaims = !drop.is_empty() && reclaim::is_due(&mut set, &how);
    if how.dry_run {
        decisions::show(ui, true, &times, &decisions, 0);
        if reclaims {
            let report = compact::run(&mut set, ui, &how, &drop, true)?;
            reclaim::tell(&report, &how, ui);
            reclaim::refused(report, ui);
        }
        return spared(ui, &retention, &decisions, &drop).map(|()| Outcome::Done);
    }
    spared(ui, &retention, &decisions, &drop)?;
    let report = match drop.is_empty() {
        true => compact::Report::default(),
        false => {
            let report = compact::run(&mut set, ui, &how, &drop, reclaims);
            or_facts(&mut set, ui, report)?
        }
    };
    let left: Vec<Timestamp> = set.versions().collect();
    done(ui, &times, &decisions, &left);
    reclaim::tell(&report, &how, ui);
    reclaim::finish(&mut set, &report, ui)?;
    let stopped = report.stopped;
    reclaim::refused(report, ui);
    Ok(match stopped {
        true => Outcome::Partial,
        false => Outcome::Done,
    })
}

/// A version that `--version` names and that stays because no other would be left: an error where nothing else goes.
fn spared(
    ui: &mut Ui,
    retention: &Retention,
    decisions: &[Decision],
    drop: &[usize],
) -> Result<()> {
    let stays = |no: &&usize| decisions.get(**no).is_some_and(|d| d.keep);
    let Some(no) = retention.named.iter().find(stays) else {
        return Ok(());
    };
    let hint = "--allow-full-removal deletes it, too";
    if drop.is_empty() {
        return Err(Error::new(Kind::Missing, "no other version would be left")
            .doing(format!("delete version {no}"))
            .hint(format!("nothing was changed; {hint}")));
    }
    let line = format!("version {no} stays, for no other would be left ({hint})");
    ui.warn("last-version", &line);
    Ok(())
}

/// Which versions are not there any more.
fn done(ui: &mut Ui, times: &[Timestamp], decisions: &[Decision], left: &[Timestamp]) {
    let gone = |time: &Timestamp| !left.contains(time);
    let width = times.len().saturating_sub(1).to_string().len();
    for (no, (time, decision)) in times.iter().zip(decisions).enumerate() {
        if gone(time) {
            ui.result(&format!(
                "deleted {no:>width$}  {}  {}",
                time.local(),
                decision.why
            ));
        }
    }
    let count = times.iter().filter(|t| gone(t)).count();
    ui.result(&format!(
        "{count} of {} deleted",
        text::count(times.len() as u64, "version")
    ));
    decisions::sets(ui, Some(false), times, decisions, &gone);
}
