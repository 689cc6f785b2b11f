//! What has to be known of the versions before one of them goes: that their lists can be read to the end, and that none is an
//! old one under a newer name.

use crate::base::error::{Error, Kind, Result};
use crate::base::size::show_span;
use crate::base::text;
use crate::base::time::Timestamp;
use crate::base::ui::{Progress, Ui};
use crate::set::Set;
use crate::upkeep::unread::unreadable;

/// Seconds by which a version may lie ahead of the clock.
const CLOCK_SLACK: i64 = 60;

/// Versions that are to go.
#[derive(Clone, Debug, Default)]
pub(crate) struct Going {
    /// Numbers in the listing, 0 = newest.
    pub(crate) versions: Vec<usize>,
    /// Those of them that may go unread: they were named by number, or another list took their place.
    pub(crate) unread: Vec<usize>,
}

impl Going {
    /// True when a rule takes some of them.
    pub(crate) fn by_rule(&self) -> bool {
        self.versions.iter().any(|no| !self.unread.contains(no))
    }
}

/// Reads the lists of these versions to their ends. Costs a download of each.
pub(super) fn read(set: &mut Set, ui: &mut Ui, versions: &[usize]) -> Result<()> {
    for (at, &no) in (0u64..).zip(versions) {
        let progress = Progress {
            files: at,
            files_total: versions.len() as u64,
            ..Progress::default()
        };
        ui.progress("reading versions", progress);
        set.files(ui, no, &mut |_| Ok(()))
            .map_err(|e| unreadable(set, no, DOING, e))?;
    }
    Ok(())
}

/// What cannot be done while a version cannot be read.
pub(crate) const DOING: &str = "delete anything";

/// As [`unreadable`], for whoever read many: the error names the list.
pub(super) fn one_unreadable(set: &Set, e: Error) -> Error {
    let said = e.to_string();
    let named = |no: &usize| {
        let name = set.dlist(*no).map(|(name, _)| name.as_str());
        name.is_some_and(|name| said.contains(&text::safe(name.as_bytes())))
    };
    match (0..set.volumes().dlists().len()).find(named) {
        Some(no) => unreadable(set, no, DOING, e),
        None => e,
    }
}

/// Refuses to let a rule decide while one of the lists that were read so far was made before the time that its name states: as
/// a newer version it would push real ones out. Also while a version that does not go by its number is of a time to come.
pub(super) fn dated(set: &mut Set, going: &Going, now: Timestamp) -> Result<()> {
    let read = set.take_misdated();
    let times: Vec<Timestamp> = set.versions().collect();
    let number = |name: &str| {
        let mut lists = set.volumes().dlists().iter();
        lists.position(|(n, _)| n.as_str() == name)
    };
    let mut wrong: Vec<(usize, String)> = Vec::new();
    for (no, time) in times.iter().enumerate() {
        if time.0 > now.0.saturating_add(CLOCK_SLACK) {
            wrong.push((
                no,
                format!(
                    "version {no} is of {}, {} later than this machine's clock ({})",
                    time.local(),
                    show_span(time.0.abs_diff(now.0)),
                    now.local()
                ),
            ));
        }
    }
    for (name, what) in read {
        if let Some(no) = number(&name).filter(|no| wrong.iter().all(|(n, _)| n != no)) {
            wrong.push((no, what));
        }
    }
    wrong.retain(|(no, _)| !going.unread.contains(no));
    wrong.sort_unstable();
    let Some(first) = wrong.first() else {
        return Ok(());
    };
    let cause = first.1.clone();
    let more = wrong.len().saturating_sub(1);
    let numbers: Vec<String> = wrong.iter().map(|(no, _)| no.to_string()).collect();
    let numbers = numbers.join(",");
    let more = match more {
        0 => String::new(),
        n => format!(", and {n} more like it"),
    };
    Err(Error::new(Kind::Local, format!("{cause}{more}"))
        .doing("delete versions by a rule")
        .hint(format!(
            "nothing was deleted; such a version would count as a newer one: 'duplet delete URL --version={numbers}' takes it away, if the clock of this machine is right"
        )))
}
