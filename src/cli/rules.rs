//! What `--include` and `--exclude` did not do although they seem to ask for it. Warnings only: the language is Duplicati's.

use crate::backup::Source;
use crate::base::text;
use crate::base::ui::Ui;
use crate::cli::{Call, session};
use crate::select::FilterSet;

/// Commands whose rules look at this machine, not at a backup.
const LIVE: [&str; 2] = ["backup", "test-filters"];

/// Before the command: rules that can fit nothing.
pub(super) fn before(call: &Call, ui: &mut Ui) {
    // A rule that is no rule is refused by the command itself.
    let Ok(filters) = FilterSet::parse(&call.rules, session::case()) else {
        return;
    };
    for line in filters.hopeless(!LIVE.contains(&call.command.name)) {
        ui.warn("rule-fits-nothing", &line);
    }
}

/// After a walk of the sources that looked at so many files: rules that did nothing, or left nothing.
pub(super) fn after(filters: &FilterSet, sources: &[Source], files: u64, ui: &mut Ui) {
    for line in filters.without_slash() {
        ui.warn("rule-fits-nothing", &line);
    }
    for source in sources {
        if let Some(rule) = filters.naming(&source.path) {
            let source = text::safe(&source.path);
            let line = format!(
                "{rule} leaves nothing out: {source} is named as a source, and sources are always taken"
            );
            ui.warn("rule-fits-nothing", &line);
        }
    }
    if files == 0 && !filters.is_empty() {
        let hints = filters.folders_only();
        let hint = match hints.first() {
            Some(hint) => hint.clone(),
            None => "'duplet test-filters' explains every decision".to_owned(),
        };
        ui.warn(
            "NoFilesInBackup",
            &format!("the rules leave no file to back up ({hint})"),
        );
    }
}
