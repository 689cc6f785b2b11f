//! Hits of a search as text and JSON, as they come: one line each for one version, grouped by path for several.

use crate::base::error::{Error, Result};
use crate::base::size::show_size;
use crate::base::text;
use crate::base::time::{Timestamp, unix_from_ticks};
use crate::base::ui::Ui;
use crate::format::filelist::EntryKind;
use crate::format::meta::Attrs;
use crate::query::find::{Hit, Hits};
use crate::query::long;
use crate::set::Set;

/// Prints all of `hits`; `times` are those of all versions.
pub(super) fn show(ui: &mut Ui, mut hits: Hits, times: &[Timestamp]) -> Result<()> {
    let mut printer = Printer::new(&hits, times);
    printer.begin(ui);
    while let Some(hit) = hits.next()? {
        printer.hit(ui, &hit);
        if ui.broken() {
            return Ok(());
        }
    }
    printer.end(ui);
    Ok(())
}

/// As [`show`] with the attributes of each entry: the hits are those of one version.
pub(super) fn show_long(set: &mut Set, ui: &mut Ui, hits: Hits, times: &[Timestamp]) -> Result<()> {
    if hits.versions().len() > 1 {
        return Err(Error::usage(
            "modes and owners are those of one version, and several are meant",
        )
        .hint("name it with --version=N"));
    }
    let mut printer = Printer::new(&hits, times);
    let mut hits = long::read(set, ui, hits)?;
    printer.begin(ui);
    while let Some((hit, attrs)) = hits.next()? {
        printer.long(ui, &hit, &attrs.unwrap_or_default());
        if ui.broken() {
            return Ok(());
        }
    }
    printer.end(ui);
    Ok(())
}

struct Version {
    number: usize,
    time: Timestamp,
    unread: bool,
    partial: bool,
}

impl Version {
    fn row(&self, extent: &str) -> String {
        let partial = if self.partial {
            " (partial version)"
        } else {
            ""
        };
        format!(
            "{:>4}  {}  {extent}{partial}",
            self.number,
            self.time.local()
        )
    }
}

/// Takes hits by path and then by version. Holds one path.
struct Printer {
    /// In the order in which hits of one path come.
    versions: Vec<Version>,
    /// The path of the open group and how many of its versions were printed.
    group: Option<(Vec<u8>, usize)>,
    /// Files, folders and links so far, and the bytes of the files.
    seen: [u64; 4],
}

impl Printer {
    fn new(hits: &Hits, times: &[Timestamp]) -> Printer {
        let version = |&number: &usize| {
            Some(Version {
                number,
                time: *times.get(number)?,
                unread: hits.is_unread(number),
                partial: hits.partial().contains(&number),
            })
        };
        Printer {
            versions: hits.versions().iter().filter_map(version).collect(),
            group: None,
            seen: [0; 4],
        }
    }

    /// Closes what is open, and says what one version's entries come to.
    fn end(&mut self, ui: &mut Ui) {
        self.close(ui);
        ui.json(|w| w.end_array());
        let [files, folders, links, bytes] = self.seen;
        if self.versions.len() != 1 || files + folders + links < 2 {
            return;
        }
        let mut line = format!("{} ({})", text::count(files, "file"), show_size(bytes));
        for (n, what) in [(folders, "folder"), (links, "link")] {
            if n > 0 {
                line.push_str(&format!(", {}", text::count(n, what)));
            }
        }
        ui.note(&line);
    }

    fn count(&mut self, hit: &Hit) {
        let at = match hit.kind {
            EntryKind::File => 0,
            EntryKind::Folder => 1,
            EntryKind::Symlink => 2,
        };
        self.seen[at] += 1;
        if at == 0 {
            self.seen[3] = self.seen[3].saturating_add(hit.size.unwrap_or(0));
        }
    }

    /// An entry of one version with its attributes, in columns; what is not known is a question mark.
    fn long(&mut self, ui: &mut Ui, hit: &Hit, attrs: &Attrs) {
        self.count(hit);
        ui.result(&long_line(hit, attrs));
        ui.json(|w| {
            w.begin_object()?;
            w.key("Path")?;
            w.string(&hit.path)?;
            facts(w, hit)?;
            w.key("Mode")?;
            match attrs.owner {
                Some(o) => w.string(format!("{:04o}", o.mode & 0o777).as_bytes())?,
                None => w.null()?,
            }
            for (key, id) in [
                ("Uid", attrs.owner.map(|o| o.uid)),
                ("Gid", attrs.owner.map(|o| o.gid)),
            ] {
                w.key(key)?;
                match id {
                    Some(id) => w.number(id.into())?,
                    None => w.null()?,
                }
            }
            for (key, text) in [
                ("Owner", attrs.owner_name.as_deref().map(str::as_bytes)),
                ("Group", attrs.group_name.as_deref().map(str::as_bytes)),
                ("Target", attrs.symlink.as_deref()),
            ] {
                w.key(key)?;
                match text {
                    Some(text) => w.string(text)?,
                    None => w.null()?,
                }
            }
            w.key("Modified")?;
            match modified(attrs) {
                Some(time) => w.string(time.iso().as_bytes())?,
                None => w.null()?,
            }
            w.end_object()
        });
    }

    fn begin(&self, ui: &mut Ui) {
        if let [only] = self.versions.as_slice()
            && only.partial
        {
            ui.note(&format!(
                "version {} of {} is partial: its backup was stopped, so it may lack files",
                only.number,
                only.time.local()
            ));
        }
        ui.json(|w| {
            w.key("Filesets")?;
            w.begin_array()?;
            for v in &self.versions {
                w.begin_object()?;
                w.key("Version")?;
                w.number(v.number as i128)?;
                w.key("Time")?;
                w.string(v.time.iso().as_bytes())?;
                w.key("Readable")?;
                w.boolean(!v.unread)?;
                w.key("IsFullBackup")?;
                w.boolean(!v.partial)?;
                w.end_object()?;
            }
            w.end_array()?;
            w.key("Files")?;
            w.begin_array()
        });
    }

    fn hit(&mut self, ui: &mut Ui, hit: &Hit) {
        if self.versions.len() == 1 {
            self.count(hit);
            ui.result(&single(hit));
            ui.json(|w| {
                w.begin_object()?;
                w.key("Path")?;
                w.string(&hit.path)?;
                facts(w, hit)?;
                w.end_object()
            });
            return;
        }
        if self
            .group
            .as_ref()
            .is_none_or(|(path, _)| *path != hit.path)
        {
            self.close(ui);
            self.group = Some((hit.path.clone(), 0));
            ui.result(&text::safe(&hit.path));
            ui.json(|w| {
                w.begin_object()?;
                w.key("Path")?;
                w.string(&hit.path)?;
                w.key("Versions")?;
                w.begin_array()
            });
        }
        let at = self.versions.iter().position(|v| v.number == hit.version);
        let (Some(at), Some((_, printed))) = (at, &mut self.group) else {
            return;
        };
        let from = std::mem::replace(printed, at + 1);
        if from > at {
            // The same path twice in one version: the first one counts.
            return;
        }
        self.absent(ui, from, at);
        ui.result(&self.versions[at].row(&extent(hit)));
        ui.json(|w| {
            w.begin_object()?;
            w.key("Version")?;
            w.number(hit.version as i128)?;
            facts(w, hit)?;
            w.end_object()
        });
    }

    /// Rows of the versions from `from` to before `to`, which lack the path.
    fn absent(&self, ui: &mut Ui, from: usize, to: usize) {
        for version in self.versions.iter().take(to).skip(from) {
            ui.result(&version.row(if version.unread { "unreadable" } else { "-" }));
        }
    }

    fn close(&mut self, ui: &mut Ui) {
        if let Some((_, printed)) = self.group.take() {
            self.absent(ui, printed, self.versions.len());
            ui.json(|w| {
                w.end_array()?;
                w.end_object()
            });
        }
    }
}

fn single(hit: &Hit) -> String {
    let mut line = text::safe(&hit.path);
    match (hit.kind, hit.size) {
        (EntryKind::File, Some(size)) => line.push_str(&format!(" ({})", show_size(size))),
        (EntryKind::Symlink, _) => line.push_str(" (link)"),
        _ => {}
    }
    if let Some(time) = hit.time {
        line.push_str(&format!("  {}", time.local()));
    }
    line
}

fn modified(attrs: &Attrs) -> Option<Timestamp> {
    attrs.modified.map(|t| Timestamp(unix_from_ticks(t).0))
}

/// `-rw-r--r-- alice    users        6 bytes  2026-03-01 12:00:00  /path`, of a link with where it leads.
fn long_line(hit: &Hit, attrs: &Attrs) -> String {
    let kind = match hit.kind {
        EntryKind::File => '-',
        EntryKind::Folder => 'd',
        EntryKind::Symlink => 'l',
    };
    let mode = match attrs.owner {
        Some(o) => (0..9)
            .map(|bit| match o.mode >> (8 - bit) & 1 {
                0 => '-',
                _ => ['r', 'w', 'x'][bit % 3],
            })
            .collect(),
        None => "?????????".to_owned(),
    };
    let name = |name: &Option<String>, id: Option<u32>| match (name, id) {
        (Some(name), _) => text::safe_cut(name.as_bytes(), 32),
        (None, Some(id)) => id.to_string(),
        (None, None) => "?".to_owned(),
    };
    let user = name(&attrs.owner_name, attrs.owner.map(|o| o.uid));
    let group = name(&attrs.group_name, attrs.owner.map(|o| o.gid));
    let size = match (hit.kind, hit.size) {
        (EntryKind::File, Some(size)) => show_size(size),
        (EntryKind::File, None) => "?".to_owned(),
        _ => "-".to_owned(),
    };
    let time = match modified(attrs).or(hit.time) {
        Some(time) => time.local(),
        None => "?".to_owned(),
    };
    let path = text::safe(&hit.path);
    let target = attrs.symlink.as_deref().map(text::safe);
    let arrow = target.map_or_else(String::new, |t| format!(" -> {t}"));
    format!("{kind}{mode} {user:<8} {group:<8} {size:>12}  {time:<19}  {path}{arrow}")
}

fn extent(hit: &Hit) -> String {
    match (hit.kind, hit.size) {
        (EntryKind::File, Some(size)) => show_size(size),
        (EntryKind::File, None) => "size unknown".to_owned(),
        (EntryKind::Folder, _) => "folder".to_owned(),
        (EntryKind::Symlink, _) => "link".to_owned(),
    }
}

fn facts<W: std::io::Write>(
    w: &mut crate::base::json::JsonWriter<W>,
    hit: &Hit,
) -> std::io::Result<()> {
    w.key("Type")?;
    w.string(match hit.kind {
        EntryKind::File => b"File",
        EntryKind::Folder => b"Folder",
        EntryKind::Symlink => b"Symlink",
    })?;
    w.key("Size")?;
    match hit.size {
        Some(size) => w.number(i128::from(size))?,
        None => w.null()?,
    }
    w.key("Time")?;
    match hit.time {
        Some(time) => w.string(time.iso().as_bytes()),
        None => w.null(),
    }
}
