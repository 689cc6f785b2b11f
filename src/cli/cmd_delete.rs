//! `delete`: which versions a rule takes away.

use crate::base::error::{Error, Result};
use crate::base::text;
use crate::base::time::Timestamp;
use crate::base::ui::Ui;
use crate::cli::elsewhere::OLD_STAY;
use crate::cli::options::{DRY_RUN, VERSION};
use crate::cli::session::open_set;
use crate::cli::{Call, Command, Outcome, Section, retained};
use crate::set::VersionChoice;
use crate::upkeep::retention::Decision;

/// Of volumes that are written without another word.
const VOLUME_SIZE: u64 = 50 << 20;

pub(super) const COMMAND: Command = Command {
    name: "delete",
    aliases: &[],
    section: Section::More,
    summary: "which versions a rule would delete",
    usage: "<url> --keep-...",
    details: "\
Says of each version whether it would stay, and by which rule. The rule is one
of --keep-versions, --keep-time and --retention-policy; versions that --version
names would go as well. Only with --dry-run in this version.",
    needs_url: true,
    words: (0, 0),
    writes: false,
    run,
};

fn run(call: &mut Call, ui: &mut Ui) -> Result<Outcome> {
    let mut retention = retained::retention(call)?;
    retained::compact_rules(call, VOLUME_SIZE)?;
    let named = call.options.given(VERSION.name);
    let named = named.map(VersionChoice::distinct).transpose()?;
    if !call.options.flag(&DRY_RUN) {
        return Err(
            Error::usage("delete is not available in this version, but with --dry-run")
                .hint(OLD_STAY),
        );
    }
    if retention.is_empty() && named.is_none() {
        return Err(Error::usage(
            "delete needs one of --keep-versions, --keep-time, --retention-policy and --version",
        )
        .hint("'duplet help retention' explains them"));
    }
    let mut set = open_set(call, ui, false)?;
    let times: Vec<Timestamp> = set.versions().collect();
    if let Some(named) = named {
        retention.named = named.resolve(&times)?;
    }
    let now = Timestamp::now();
    if times.first().is_some_and(|newest| *newest > now) {
        ui.note("the newest version is of a time to come: is the clock of this machine right?");
    }
    let decisions =
        retention.decide(&times, now, &Timestamp::wall, &mut |no| set.is_full(ui, no))?;
    show(ui, &times, &decisions);
    Ok(Outcome::Done)
}

fn show(ui: &mut Ui, times: &[Timestamp], decisions: &[Decision]) {
    let width = times.len().saturating_sub(1).to_string().len();
    for (no, (time, decision)) in times.iter().zip(decisions).enumerate() {
        let word = if decision.keep { "keep  " } else { "delete" };
        ui.result(&format!(
            "{word} {no:>width$}  {}  {}",
            time.local(),
            decision.why
        ));
    }
    let gone = decisions.iter().filter(|d| !d.keep).count();
    let all = text::count(times.len() as u64, "version");
    ui.result(&format!("would delete {gone} of {all}"));
    ui.json(|w| {
        w.key("Dryrun")?;
        w.boolean(true)?;
        for (key, kept) in [("DeletedSets", false), ("KeptSets", true)] {
            w.key(key)?;
            w.begin_array()?;
            for (no, (time, decision)) in times.iter().zip(decisions).enumerate() {
                if decision.keep != kept {
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
