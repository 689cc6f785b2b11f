//! `list-broken-files` and `affected`: what a volume that is lost, or would be, costs.

use crate::base::error::{Error, Kind, Result};
use crate::base::size::show_size;
use crate::base::text;
use crate::base::time::Timestamp;
use crate::base::ui::Ui;
use crate::cli::options::FULL_RESULT;
use crate::cli::session::open_set;
use crate::cli::{Call, Command, Outcome, Section};
use crate::format::filelist::{Entry, EntryKind};
use crate::format::names::{VolumeKind, VolumeName};
use crate::set::{Set, VolumeNo};
use crate::upkeep::losses::{Loss, Losses};

/// Entries of a version shown without `--full-result`.
const SHOWN: u64 = 5;

pub(super) const BROKEN: Command = Command {
    name: "list-broken-files",
    aliases: &[],
    section: Section::More,
    summary: "which files of which versions lost data",
    usage: "<url>",
    details: "\
Names the volumes that are missing or of another size than their index says,
and of each version the entries that need them, five unless --full-result is
given. An entry that loses nothing but owner, permissions and times is marked.
Index volumes and all lists are read, no data: 'verify URL all' reads that.
Exit code 2: something is lost.",
    needs_url: true,
    words: (0, 0),
    writes: false,
    run: broken,
};

pub(super) const AFFECTED: Command = Command {
    name: "affected",
    aliases: &[],
    section: Section::More,
    summary: "which files need given volumes",
    usage: "<url> <volume>...",
    details: "\
Of each version the entries that would lose something without these volumes,
five unless --full-result is given. What another volume holds is not lost.",
    words: (1, usize::MAX),
    run: affected,
    ..BROKEN
};

fn broken(call: &mut Call, ui: &mut Ui) -> Result<Outcome> {
    let mut set = open_set(call, ui, false)?;
    if set.volumes().dblock_count() == 0 {
        return Err(
            Error::new(Kind::Missing, "there is not one data volume in it")
                .doing(format!(
                    "look for broken files in {}",
                    set.remote().describe()
                ))
                .hint("is it the right folder? without them all files are lost"),
        );
    }
    let losses = Losses::open(&mut set, ui, &[])?;
    for name in &losses.index.missing {
        ui.result(&format!("missing: {name}"));
    }
    let more = losses.index.missing_count - losses.index.missing.len() as u64;
    if more > 0 {
        ui.result(&format!("missing: {}", text::count(more, "further volume")));
    }
    ui.json(|w| {
        w.key("MissingVolumes")?;
        w.begin_array()?;
        for name in &losses.index.missing {
            w.string(name.as_bytes())?;
        }
        w.end_array()
    });
    let missing = losses.index.missing_count;
    let hurt = show(call, ui, &mut set, losses, &[])?;
    if hurt > 0 {
        ui.warn(
            "lost-files",
            "data is lost: 'duplet repair URL --rebuild-missing-dblock-files' looks for it on the machine that was backed up",
        );
    } else if missing > 0 {
        ui.warn(
            "lost-volumes",
            &format!(
                "{} that an index names are not there, and nothing is lost with them: 'duplet repair URL' puts the indexes right",
                text::count(missing, "volume")
            ),
        );
    }
    Ok(Outcome::Done)
}

fn affected(call: &mut Call, ui: &mut Ui) -> Result<Outcome> {
    let mut names = Vec::new();
    for word in &call.words {
        let Some(name) = VolumeName::parse(word) else {
            let shown = text::safe_given(word, 80);
            return Err(Error::usage(format!("{shown} is no name of a volume"))
                .hint("'duplet remote list URL' shows them"));
        };
        names.push(name);
    }
    let mut set = open_set(call, ui, false)?;
    let mut without: Vec<VolumeNo> = Vec::new();
    let mut lists: Vec<usize> = Vec::new();
    let missing = |name: &VolumeName| {
        let shown = text::safe(name.as_str().as_bytes());
        Error::new(Kind::Missing, format!("there is no volume {shown}"))
    };
    for name in &names {
        let shown = text::safe(name.as_str().as_bytes());
        match name.kind() {
            VolumeKind::Dblock => match set.volumes().find_dblock(name) {
                Some(no) => without.push(no),
                None => {
                    return Err(missing(name).hint(
                        "'duplet list-broken-files URL' says what volumes that are gone cost",
                    ));
                }
            },
            VolumeKind::Dindex => {
                set.volumes()
                    .find_dindex(name)
                    .ok_or_else(|| missing(name))?;
                ui.result(&format!(
                    "{shown} is an index volume: no file is lost with it, its data volume is read instead"
                ));
            }
            VolumeKind::Dlist => {
                let at = set.volumes().dlists().iter().position(|(n, _)| n == name);
                let no = at.ok_or_else(|| missing(name))?;
                ui.result(&format!(
                    "{shown} is the list of version {no}: all of it is lost with it"
                ));
                lists.push(no);
            }
        }
    }
    let losses = Losses::open(&mut set, ui, &without)?;
    if losses.index.missing_count > 0 {
        let volumes = text::count(losses.index.missing_count, "volume");
        let line =
            format!("{volumes} that an index names are missing; what needs them is shown, too");
        ui.warn("lost-volumes", &line);
    }
    show(call, ui, &mut set, losses, &lists)?;
    Ok(Outcome::Done)
}

/// Every version with what it loses; `lists` are versions that are lost whole. How many lose something.
pub(super) fn show(
    call: &Call,
    ui: &mut Ui,
    set: &mut Set,
    mut losses: Losses,
    lists: &[usize],
) -> Result<u64> {
    let most = match call.options.flag(&FULL_RESULT) {
        true => u64::MAX,
        false => SHOWN,
    };
    for (name, why) in &losses.index.unreadable {
        ui.warn("unreadable-index", &format!("index volume {name}: {why}"));
    }
    ui.json(|w| {
        w.key("BrokenFilesets")?;
        w.begin_array()
    });
    let times: Vec<Timestamp> = set.versions().collect();
    let (mut hurt, mut read, mut failed) = (0u64, 0u64, None);
    for (no, time) in times.iter().enumerate() {
        let suspects = match losses.suspects(set, ui, no) {
            Ok(suspects) => suspects,
            Err(e) if e.kind().is_of_one_volume() => {
                ui.error(&format!(
                    "version {no} is left out: {e}; 'duplet delete URL --version={no}' gives it up"
                ));
                failed = Some(e);
                continue;
            }
            Err(e) => return Err(e),
        };
        let mut version = Version {
            no,
            time: *time,
            most,
            whole: lists.contains(&no),
            files: 0,
            only_metadata: 0,
        };
        if version.whole {
            version.begin(ui);
        }
        losses.each(&suspects, &mut |entry, loss| {
            version.lost(ui, entry, loss);
            Ok(())
        })?;
        hurt += u64::from(version.end(ui));
        read += 1;
    }
    let unread = times.len() as u64 - read;
    ui.json(|w| {
        w.end_array()?;
        w.key("VersionsNotRead")?;
        w.number(i128::from(unread))
    });
    if let Some(e) = failed
        && read == 0
    {
        return Err(e);
    }
    let all = text::count(times.len() as u64, "version");
    match (hurt, unread) {
        (0, 0) => ui.all_well("no version loses anything"),
        (n, 0) => ui.result(&format!("{n} of {all} lose something")),
        (0, no) => ui.result(&format!(
            "{no} of {all} cannot be read; no other loses anything"
        )),
        (n, no) => ui.result(&format!(
            "{no} of {all} cannot be read; of the others {n} lose something"
        )),
    }
    Ok(hurt)
}

/// What one version loses, printed as it is found.
struct Version {
    no: usize,
    time: Timestamp,
    most: u64,
    /// Its list is lost.
    whole: bool,
    files: u64,
    only_metadata: u64,
}

impl Version {
    fn begin(&self, ui: &mut Ui) {
        ui.result(&format!("version {}  {}", self.no, self.time.local()));
        ui.json(|w| {
            w.begin_object()?;
            w.key("Version")?;
            w.number(self.no as i128)?;
            w.key("Time")?;
            w.string(self.time.iso().as_bytes())?;
            w.key("ListLost")?;
            w.boolean(self.whole)?;
            w.key("Entries")?;
            w.begin_array()
        });
    }

    fn lost(&mut self, ui: &mut Ui, entry: &Entry, loss: Loss) {
        let before = self.files + self.only_metadata;
        if before == 0 && !self.whole {
            self.begin(ui);
        }
        match loss {
            Loss::Data => self.files += 1,
            Loss::Metadata => self.only_metadata += 1,
        }
        if before >= self.most {
            return;
        }
        let size = entry.content.as_ref().map(|c| c.size);
        let size = size.filter(|_| entry.kind == EntryKind::File);
        let extent = match (loss, entry.kind, size) {
            (Loss::Metadata, EntryKind::Symlink, _) => " (its target)".to_owned(),
            (Loss::Metadata, ..) => " (only owner, permissions and times)".to_owned(),
            (Loss::Data, _, Some(size)) => format!(" ({})", show_size(size)),
            (Loss::Data, _, None) => String::new(),
        };
        ui.result(&format!("  {}{extent}", text::safe(&entry.path)));
        ui.json(|w| {
            w.begin_object()?;
            w.key("Path")?;
            w.string(&entry.path)?;
            w.key("Loss")?;
            w.string(match loss {
                Loss::Data => b"Data",
                Loss::Metadata => b"Metadata",
            })?;
            w.key("Size")?;
            match size {
                Some(size) => w.number(i128::from(size))?,
                None => w.null()?,
            }
            w.end_object()
        });
    }

    /// True when anything is lost.
    fn end(&self, ui: &mut Ui) -> bool {
        let all = self.files + self.only_metadata;
        if all == 0 && !self.whole {
            return false;
        }
        if all > self.most {
            let more = all - self.most;
            ui.result(&format!("  and {more} more (--full-result shows them)"));
        }
        ui.json(|w| {
            w.end_array()?;
            for (name, n) in [("Files", self.files), ("OnlyMetadata", self.only_metadata)] {
                w.key(name)?;
                w.number(i128::from(n))?;
            }
            w.end_object()
        });
        true
    }
}
