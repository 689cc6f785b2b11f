//! Hits of a search as text and JSON, as they come: one line each for one version, grouped by path for several.

use crate::base::error::Result;
use crate::base::size::show_size;
use crate::base::text;
use crate::base::time::Timestamp;
use crate::base::ui::Ui;
use crate::format::filelist::EntryKind;
use crate::query::find::{Hit, Hits};

/// Prints all of `hits`; `times` are those of all versions.
pub(super) fn show(ui: &mut Ui, mut hits: Hits, times: &[Timestamp]) -> Result<()> {
    let version = |&number: &usize| {
        Some(Version {
            number,
            time: *times.get(number)?,
            unread: hits.is_unread(number),
            partial: hits.partial().contains(&number),
        })
    };
    let mut printer = Printer {
        versions: hits.versions().iter().filter_map(version).collect(),
        group: None,
    };
    printer.begin(ui);
    while let Some(hit) = hits.next()? {
        printer.hit(ui, &hit);
        if ui.broken() {
            return Ok(());
        }
    }
    printer.close(ui);
    ui.json(|w| w.end_array());
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
}

impl Printer {
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
    let path = text::safe(&hit.path);
    match (hit.kind, hit.size) {
        (EntryKind::File, Some(size)) => format!("{path} ({})", show_size(size)),
        (EntryKind::Symlink, _) => format!("{path} (link)"),
        _ => path,
    }
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
