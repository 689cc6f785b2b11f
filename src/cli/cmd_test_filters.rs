//! `duplet test-filters`: walks sources and prints every decision with the rule that made it. Contacts no destination.

use crate::backup::{FilterTest, Reason, test_filters};
use crate::base::error::Result;
use crate::base::size::show_size;
use crate::base::text::{self, count};
use crate::base::tmp::Tmp;
use crate::base::ui::Ui;
use crate::cli::{Call, Command, Outcome, Section, backup_options, options as o, rules};

pub(super) const COMMAND: Command = Command {
    name: "test-filters",
    aliases: &["test-filter"],
    section: Section::Helpers,
    summary: "explain what a backup would take",
    usage: "<folder>...",
    details: "\
Walks the folders as a backup would and prints every decision with the rule
that made it. No destination is contacted.",
    needs_url: false,
    words: (1, usize::MAX),
    writes: false,
    run,
};

fn run(call: &mut Call, ui: &mut Ui) -> Result<Outcome> {
    let mut choice = backup_options::choice(call)?;
    let sources = backup_options::sources(call, None, &mut choice, ui)?;
    let tmp = Tmp::open(call.options.text(&o::TEMPDIR))?;
    ui.json(|w| {
        w.key("Decisions")?;
        w.begin_array()
    });
    let total: FilterTest = test_filters(
        &choice,
        &sources,
        &tmp,
        ui,
        &mut |ui, path, included, reason: &Reason| {
            let why = reason.explain(&choice.filters);
            ui.result(&format!(
                "{} {}  ({why})",
                if included { "include" } else { "exclude" },
                text::safe(path)
            ));
            ui.json(|w| {
                w.begin_object()?;
                w.key("Path")?;
                w.string(path)?;
                w.key("Included")?;
                w.boolean(included)?;
                w.key("Reason")?;
                w.string(why.as_bytes())?;
                w.end_object()
            });
        },
    )?;
    ui.json(|w| {
        w.end_array()?;
        w.key("MatchedFiles")?;
        w.number(total.files.into())?;
        w.key("SizeOfMatchedFiles")?;
        w.number(total.bytes.into())
    });
    ui.result(&format!(
        "Matched {} ({})",
        count(total.files, "file"),
        show_size(total.bytes)
    ));
    rules::after(&choice.filters, &sources, total.files, ui);
    if choice.filters.excludes_all() {
        ui.warn(
            "FilterExcludesAll",
            "a rule that excludes everything comes before any that includes",
        );
    }
    Ok(Outcome::Done)
}
