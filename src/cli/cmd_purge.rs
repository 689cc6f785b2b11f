//! `purge` and `purge-broken-files`: entries taken out of versions.

use crate::base::error::{Error, Kind, Result};
use crate::base::size::show_size;
use crate::base::text;
use crate::base::time::Timestamp;
use crate::base::ui::Ui;
use crate::cli::cmd_find::{filters, name_unmet, parts_of_names};
use crate::cli::options::{DRY_RUN, FORCE, FULL_RESULT, NO_REPLACE_METADATA, VERSION};
use crate::cli::session::{case, open_to_change, or_facts, permit, tell_facts, version_choice};
use crate::cli::{Call, Command, Outcome, Section, backup_options, decisions, reclaim};
use crate::format::filelist::{Entry, EntryKind};
use crate::select::Selection;
use crate::set::{Set, VersionChoice};
use crate::upkeep::broken;
use crate::upkeep::compact::{self, How};
use crate::upkeep::purge::{Wanted, purge, survey};
use crate::upkeep::whole::Going;
use crate::writer::{self, Committed};

/// Entries of a version shown without `--full-result`.
const SHOWN: u64 = 10;
/// Versions named in an error.
const NAMED_AT_MOST: usize = 10;

pub(super) const PURGE: Command = Command {
    name: "purge",
    aliases: &[],
    section: Section::More,
    summary: "take files out of all versions",
    usage: "<url> <pattern>...",
    details: "\
Takes what matches out of all versions, or those of --version or --time, for
good: each is written again, a second later, and then the old one deleted. What
a word finds 'duplet find' shows, but entries go one by one: a name is a file's
or a link's, 'name/' is the folder's own entry only, 'name/*' what lies in it.
--exclude keeps what it matches. Look first with --dry-run; more than half
needs --force. Reclaims the space at once unless --no-auto-compact is given.",
    needs_url: true,
    words: (0, usize::MAX),
    writes: true,
    run: run_purge,
};

pub(super) const BROKEN: Command = Command {
    name: "purge-broken-files",
    summary: "take out what lost volumes took along",
    usage: "<url>",
    details: "\
Takes the files that 'list-broken-files' shows out of their versions. What only
lost owner, permissions and times stays without them. A version of which no
file is left is deleted. The index of a lost volume goes, too. First try
'duplet repair URL --rebuild-missing-dblock-files'; look with --dry-run.",
    words: (0, 0),
    run: run_broken,
    ..PURGE
};

/// What names entries: the words, as `find` understands them, and `--include` and `--exclude`.
fn wanted(call: &Call, ui: &mut Ui) -> Result<Wanted> {
    for word in &call.words {
        if word.trim().is_empty() {
            return Err(Error::usage("a pattern is empty"));
        }
        if word.ends_with('/') {
            let shown = text::safe(word.as_bytes());
            ui.note(&format!(
                "{shown} is the folder's own entry; {shown}* is what lies in it"
            ));
        }
    }
    if call.words.is_empty() && !call.rules.iter().any(|r| r.include) {
        let e = Error::usage("purge needs a pattern that names what is taken out");
        return Err(match call.rules.is_empty() {
            true => e.hint("such as '*/cache/*'; --dry-run shows what it matches"),
            false => e.hint("--exclude alone names what stays; give a pattern, too"),
        });
    }
    let words = Selection::parse(&call.words)?;
    Ok(Wanted::new(words, filters(call)?, case()))
}

fn run_purge(call: &mut Call, ui: &mut Ui) -> Result<Outcome> {
    let mut wanted = wanted(call, ui)?;
    let choice = version_choice(call)?;
    if let Some(versions) = call.options.given(VERSION.name) {
        VersionChoice::distinct(versions)?;
    }
    let how = reclaim::how(call)?;
    let dry = call.options.flag(&DRY_RUN);
    let mut set = open_to_change(call, ui)?;
    let permit = permit(call, &set)?;
    let times: Vec<Timestamp> = set.versions().collect();
    let mut versions = choice.resolve(&times)?;
    if versions.is_empty() {
        versions = (0..times.len()).collect();
    }
    let params = set.learn_params(ui)?;
    let options = backup_options::write_options(call, params, 0)?;
    versions.sort_unstable();
    // Those only have to go.
    let going = decisions::replaced(&mut set, ui)?;
    versions.retain(|no| !going.versions.contains(no));
    let mut lines = Lines::begin(call, ui, &set);
    let found = survey(
        &mut set,
        ui,
        &versions,
        &mut wanted,
        &mut |ui, no, entry| {
            lines.entry(ui, no, entry, false);
        },
    )?;
    lines.end(ui);
    let dropped = found.dropped();
    if let Some(e) = wanted.words.fault().filter(|_| dropped == 0) {
        return Err(e);
    }
    if dropped == 0 && going.versions.is_empty() {
        ui.result("nothing matches, and nothing was changed");
        if let Some(hint) = parts_of_names(&call.words) {
            ui.result(&format!("a bare name fits whole names only: {hint}"));
        }
        counts(ui, dry, &Committed::default());
        return Ok(Outcome::Done);
    }
    if dropped > 0 {
        name_unmet(ui, &wanted.unmet());
    }
    if dropped > 0 && dropped == found.entries() {
        return Err(Error::usage("the pattern matches everything there is")
            .doing("purge files")
            .hint("nothing was changed; 'duplet delete URL --version=N' deletes versions"));
    }
    let mut emptied: Vec<String> = found.emptied().map(|no| no.to_string()).collect();
    if !emptied.is_empty() {
        let more = if emptied.len() > NAMED_AT_MOST {
            ",..."
        } else {
            ""
        };
        emptied.truncate(NAMED_AT_MOST);
        let list = emptied.join(",") + more;
        return Err(Error::new(
            Kind::Missing,
            format!("nothing would be left of version {list}"),
        )
        .doing("purge files")
        .hint(format!(
            "nothing was changed; first 'duplet delete URL --version={list}'"
        )));
    }
    let mut plan = found.plan(&set)?;
    plan.also(&going.versions);
    let much = dropped > found.entries() / 2 && !call.options.flag(&FORCE);
    let why = format!(
        "{dropped} of {} entries would go, more than half",
        found.entries()
    );
    if much && !dry {
        return Err(Error::usage(why)
            .hint("nothing was changed; look with --dry-run --full-result, then give --force"));
    }
    let done = purge(&mut set, ui, permit, options, &wanted, &plan);
    let done = or_facts(&mut set, ui, done)?;
    let outcome = end(call, ui, &mut set, done, &how);
    if much {
        ui.result(&format!("without --dry-run it needs --force: {why}"));
    }
    outcome
}

fn run_broken(call: &mut Call, ui: &mut Ui) -> Result<Outcome> {
    if !call.rules.is_empty() {
        return Err(Error::usage("purge-broken-files takes no filters")
            .hint("'duplet purge URL PATTERN' takes out what a pattern matches"));
    }
    let how = reclaim::how(call)?;
    let mut set = open_to_change(call, ui)?;
    let permit = permit(call, &set)?;
    if set.volumes().dblock_count() == 0 {
        return Err(
            Error::new(Kind::Missing, "there is not one data volume in it")
                .doing(format!("purge broken files in {}", set.remote().describe()))
                .hint("is it the right folder? without them all files are lost"),
        );
    }
    let params = set.learn_params(ui)?;
    let options = backup_options::write_options(call, params, 0)?;
    let mut lines = Lines::begin(call, ui, &set);
    let replace = !call.options.flag(&NO_REPLACE_METADATA);
    let going = decisions::replaced(&mut set, ui)?;
    let told = &mut |ui: &mut Ui, no: usize, entry: &Entry, replaced: bool| {
        lines.entry(ui, no, entry, replaced);
    };
    let found = broken::survey(&mut set, ui, replace, &going.versions, told)?;
    lines.end(ui);
    for no in &found.gone {
        ui.result(&format!("no file of version {no} is left: it is deleted"));
    }
    if found.is_clean() && going.versions.is_empty() {
        ui.result("nothing is broken");
        counts(ui, call.options.flag(&DRY_RUN), &Committed::default());
        return Ok(Outcome::Done);
    }
    let mut plan = found.plan(&set)?;
    plan.also(&going.versions);
    let done = broken::purge_broken(&mut set, ui, permit, options, found, &plan);
    let done = or_facts(&mut set, ui, done)?;
    end(call, ui, &mut set, done, &how)
}

/// What is told at the end, and with which code. Reclaims the space of what went.
fn end(call: &Call, ui: &mut Ui, set: &mut Set, mut done: Committed, how: &How) -> Result<Outcome> {
    let dry = call.options.flag(&DRY_RUN);
    let (would, again) = match dry {
        true => ("would be ", "; nothing was changed"),
        false => ("", ""),
    };
    let [versions, indexes, _] = done.deleted;
    let mut told = vec![format!(
        "{} {would}written again without {}",
        text::count(done.lists.len() as u64, "version"),
        text::count(done.entries.dropped, "entry").replace("entrys", "entries"),
    )];
    if done.entries.replaced > 0 {
        told.push(format!("{} left without metadata", done.entries.replaced));
    }
    let old = text::count(versions, "old version");
    told.push(format!("{old} {would}deleted"));
    if indexes > 0 {
        told.push(format!(
            "{} of lost volumes {would}deleted",
            text::count(indexes, "index volume")
        ));
    }
    ui.result(&(told.join(", ") + again));
    counts(ui, dry, &done);
    let mut disturbed = done.disturbed.take();
    let mut stopped = done.stopped;
    let whole = !dry && !stopped && done.left == 0 && disturbed.is_none();
    if whole && versions > 0 && reclaim::is_due(set, how) {
        // The versions are written, whatever becomes of the space.
        match compact::run(set, ui, how, &Going::default(), true) {
            Ok(report) => {
                reclaim::tell(&report, how, ui);
                stopped = report.stopped;
                disturbed = reclaim::refused(report, ui).err();
            }
            Err(e) if e.kind() == Kind::Interrupted => stopped = true,
            Err(e) => ui.error(&e.to_string()),
        }
    }
    if !dry {
        set.remember();
        tell_facts(&writer::finish(set, ui)?, ui);
    }
    if let Some(e) = disturbed {
        return Err(e);
    }
    Ok(match stopped {
        true => Outcome::Partial,
        false => Outcome::Done,
    })
}

/// What was done, or would be, for `--json`.
fn counts(ui: &mut Ui, dry: bool, done: &Committed) {
    ui.json(|w| {
        w.key("Dryrun")?;
        w.boolean(dry)?;
        for (key, n) in [
            ("RewrittenFileLists", done.lists.len() as u64),
            ("RemovedEntries", done.entries.dropped),
            ("ReplacedMetadata", done.entries.replaced),
            ("DeletedFileLists", done.deleted[0]),
            ("DeletedIndexVolumes", done.deleted[1]),
        ] {
            w.key(key)?;
            w.number(n.into())?;
        }
        Ok(())
    });
}

/// Prints what goes, version by version, as it is found.
struct Lines {
    times: Vec<Timestamp>,
    most: u64,
    /// The version at hand, and how many of its entries were seen.
    at: Option<(usize, u64)>,
}

impl Lines {
    fn begin(call: &Call, ui: &mut Ui, set: &Set) -> Lines {
        ui.json(|w| {
            w.key("Filesets")?;
            w.begin_array()
        });
        Lines {
            times: set.versions().collect(),
            most: match call.options.flag(&FULL_RESULT) {
                true => u64::MAX,
                false => SHOWN,
            },
            at: None,
        }
    }

    fn entry(&mut self, ui: &mut Ui, no: usize, entry: &Entry, replaced: bool) {
        if self.at.is_none_or(|(n, _)| n != no) {
            self.close(ui);
            self.at = Some((no, 0));
            let time = self.times.get(no).copied().unwrap_or(Timestamp(0));
            ui.result(&format!("version {no}  {}", time.local()));
            ui.json(|w| {
                w.begin_object()?;
                w.key("Version")?;
                w.number(no as i128)?;
                w.key("Time")?;
                w.string(time.iso().as_bytes())?;
                w.key("Entries")?;
                w.begin_array()
            });
        }
        let Some((_, seen)) = &mut self.at else {
            return;
        };
        *seen += 1;
        if *seen > self.most {
            return;
        }
        let size = entry.content.as_ref().map(|c| c.size);
        let size = size.filter(|_| entry.kind == EntryKind::File);
        let shown = size.map_or_else(String::new, |n| format!(" ({})", show_size(n)));
        let only = if replaced {
            " (only owner, permissions and times)"
        } else {
            ""
        };
        ui.result(&format!("  {}{shown}{only}", text::safe(&entry.path)));
        ui.json(|w| {
            w.begin_object()?;
            w.key("Path")?;
            w.string(&entry.path)?;
            w.key("Size")?;
            match size {
                Some(n) => w.number(i128::from(n))?,
                None => w.null()?,
            }
            w.key("OnlyMetadata")?;
            w.boolean(replaced)?;
            w.end_object()
        });
    }

    fn close(&mut self, ui: &mut Ui) {
        let Some((_, seen)) = self.at.take() else {
            return;
        };
        if seen > self.most {
            let more = seen - self.most;
            ui.result(&format!("  and {more} more (--full-result shows them)"));
        }
        ui.json(|w| {
            w.end_array()?;
            w.key("Count")?;
            w.number(i128::from(seen))?;
            w.end_object()
        });
    }

    fn end(mut self, ui: &mut Ui) {
        self.close(ui);
        ui.json(|w| w.end_array());
    }
}
