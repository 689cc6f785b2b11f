//! `delete`: versions go by a rule or by number, and with them the space that only they needed.

use crate::base::error::{Error, Kind, Result};
use crate::base::text;
use crate::base::time::Timestamp;
use crate::base::ui::Ui;
use crate::cli::decisions::Decided;
use crate::cli::options::VERSION;
use crate::cli::session::{open_to_change, or_facts};
use crate::cli::{Call, Command, Outcome, Section, decisions, reclaim, retained};
use crate::set::VersionChoice;
use crate::upkeep::compact;
use crate::upkeep::retention::{Decision, Retention};
use crate::upkeep::whole::Going;

pub(super) const COMMAND: Command = Command {
    name: "delete",
    aliases: &[],
    section: Section::Care,
    summary: "delete old versions",
    usage: "<url> --keep-...",
    details: "\
The rule is one of --keep-versions, --keep-time and --retention-policy;
versions that --version names go as well, also such as cannot be read; a rule
deletes nothing while any other cannot be read. With --dry-run it says of each
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
    let Decided {
        times,
        decisions,
        going,
    } = decisions::decide(&mut set, ui, &retention, None)?;
    let drops = !going.versions.is_empty();
    let reclaims = drops && reclaim::is_due(&mut set, &how);
    if how.dry_run {
        decisions::show(ui, true, &times, &decisions, 0);
        if drops {
            let report = compact::run(&mut set, ui, &how, &going, reclaims)?;
            reclaim::tell(&report, &how, ui);
            reclaim::refused(report, ui)?;
        }
        return spared(ui, &retention, &going).map(|()| Outcome::Done);
    }
    spared(ui, &retention, &going)?;
    let report = match drops {
        false => compact::Report::default(),
        true => {
            let report = compact::run(&mut set, ui, &how, &going, reclaims);
            or_facts(&mut set, ui, report)?
        }
    };
    let left: Vec<Timestamp> = set.versions().collect();
    done(ui, &times, &decisions, &left);
    reclaim::tell(&report, &how, ui);
    reclaim::finish(&mut set, &report, ui)?;
    let stopped = report.stopped;
    reclaim::refused(report, ui)?;
    Ok(match stopped {
        true => Outcome::Partial,
        false => Outcome::Done,
    })
}

/// Versions that `--version` names and that stay because no other would be left: an error where nothing else goes.
fn spared(ui: &mut Ui, retention: &Retention, going: &Going) -> Result<()> {
    let stays = |no: &&usize| !going.versions.contains(no);
    for no in retention.named.iter().filter(stays) {
        if going.versions.is_empty() {
            return Err(Error::new(Kind::Missing, "no other version would be left")
                .doing(format!("delete version {no}"))
                .hint("nothing was changed; --allow-full-removal deletes it, too"));
        }
        let line = format!(
            "version {no} stays although --version names it: no other would be left (--allow-full-removal deletes it, too)"
        );
        ui.warn("version-stays", &line);
    }
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
