//! `compact`: the space that no version needs comes back.

use crate::base::error::Result;
use crate::base::text;
use crate::base::ui::Ui;
use crate::cli::session::{open_to_change, or_facts};
use crate::cli::{Call, Command, Outcome, Section, decisions, reclaim};
use crate::upkeep::compact;

pub(super) const COMMAND: Command = Command {
    name: "compact",
    aliases: &[],
    section: Section::More,
    summary: "reclaim the space that no version needs",
    usage: "<url>",
    details: "\
Deletes volumes of which no version needs anything, and puts what is needed of
wasteful and of small volumes into new ones; --threshold, --small-file-size and
--small-file-max-count say when. With --dry-run it says what it would do. A
backup with retention and delete do the same by themselves.
Ctrl-C once: while it only reads it ends at once, later after the volume that
is under way (exit code 50). The next run goes on.",
    needs_url: true,
    words: (0, 0),
    writes: true,
    run,
};

fn run(call: &mut Call, ui: &mut Ui) -> Result<Outcome> {
    let how = reclaim::how(call)?;
    let mut set = open_to_change(call, ui)?;
    let going = decisions::replaced(&mut set, ui)?;
    let report = compact::run(&mut set, ui, &how, &going, true);
    let mut report = or_facts(&mut set, ui, report)?;
    if let Some(why) = report.refused {
        return Err(why);
    }
    if !going.versions.is_empty() {
        let olds = text::count(going.versions.len() as u64, "version");
        let done = match how.dry_run {
            true => "would be deleted",
            false => "deleted",
        };
        ui.result(&format!(
            "{olds} {done} that a purge that did not end had written again"
        ));
    }
    reclaim::tell(&report, &how, ui);
    if !report.changed()
        && !how.dry_run
        && let Some(plan) = report.plan.as_ref().filter(|plan| plan.is_nothing())
    {
        ui.result(&format!("nothing to reclaim: {}", plan.why));
    }
    reclaim::finish(&mut set, &report, ui)?;
    if let Some(why) = report.failed.take() {
        return Err(why);
    }
    if how.dry_run {
        ui.json(|w| {
            w.key("Dryrun")?;
            w.boolean(true)
        });
    }
    Ok(match report.stopped {
        true => Outcome::Partial,
        false => Outcome::Done,
    })
}
