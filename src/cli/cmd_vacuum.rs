//! `vacuum`: Duplicati's care for its database, accepted so that scripts go on.

use crate::base::error::Result;
use crate::base::ui::Ui;
use crate::cli::{Call, Command, Outcome, Section};

pub(super) const COMMAND: Command = Command {
    name: "vacuum",
    aliases: &[],
    section: Section::Unlisted,
    summary: "nothing: there is no database",
    usage: "<url>",
    details: "Accepted for old scripts. The destination is not contacted.",
    needs_url: true,
    words: (0, 0),
    writes: false,
    run,
};

fn run(_: &mut Call, ui: &mut Ui) -> Result<Outcome> {
    ui.result("nothing to vacuum: there is no database");
    Ok(Outcome::Done)
}
