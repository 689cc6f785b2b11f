//! The sources, walked in byte order of the stored path: siblings compare with a `/` appended to folder names, so the order
//! of entries is the order of their paths. Memory: the names of the open folders, one folder at a time spilled when large.
//!
//! Decides what belongs to the backup (`commands.md` 6.4); reads no file content.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::base::digest::{Algo, BlockKey};
use crate::base::error::{Result, io_text};
use crate::base::size::show_size;
use crate::base::sys::{self, FileKind, Stat};
use crate::base::text;
use crate::base::tmp::Tmp;
use crate::base::ui::Ui;
use crate::select::FilterSet;
use crate::spill::keyset::Keyset;
use crate::spill::run::RunReader;
use crate::spill::sorter::Sorter;

/// Names of one folder kept in memory, bytes; above that they are sorted on disk.
const NAMES_CAP: usize = 1 << 20;
/// Folders inside folders; a deeper tree is a loop or a mistake.
const DEPTH_AT_MOST: usize = 2000;

/// What to do with symbolic links.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SymlinkPolicy {
    Store,
    Follow,
    Ignore,
}

/// What to do with files that have several names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HardlinkPolicy {
    All,
    First,
    None,
}

/// What belongs to the backup.
pub(crate) struct Choice {
    pub(crate) filters: FilterSet,
    pub(crate) symlinks: SymlinkPolicy,
    pub(crate) hardlinks: HardlinkPolicy,
    /// Attribute names, lower case: hidden, readonly, directory, reparsepoint, normal.
    pub(crate) exclude_attributes: Vec<String>,
    /// Bytes; larger files are left out.
    pub(crate) larger_than: Option<u64>,
    /// A folder with an entry of such a name is left out whole.
    pub(crate) ignore_names: Vec<String>,
    pub(crate) exclude_empty_folders: bool,
    pub(crate) one_file_system: bool,
}

/// An entry that belongs to the backup.
pub(crate) struct Found<'a> {
    /// As it will be stored: absolute, folders with a trailing `/`.
    pub(crate) path: &'a [u8],
    pub(crate) stat: &'a Stat,
    /// Target of a link that is stored as a link.
    pub(crate) link: Option<&'a [u8]>,
}

/// Why an entry was left out, or taken.
pub(crate) enum Reason {
    Source,
    Special,
    Hardlink,
    IgnoreName(String),
    Attribute(&'static str),
    /// Number of the deciding rule, `None` when no rule matched.
    Filter(Option<usize>),
    SymlinkPolicy,
    TooLarge(u64),
    OtherFileSystem,
    EmptyFolder,
}

/// Hears of everything the walk decides.
pub(crate) trait Visitor {
    /// An entry of the backup, in byte order of paths.
    fn found(&mut self, ui: &mut Ui, found: &Found<'_>) -> Result<()>;
    /// An entry and why it is in or out (for `test-filters`); `path` as stored.
    fn decided(
        &mut self,
        _ui: &mut Ui,
        _path: &[u8],
        _included: bool,
        _reason: &Reason,
        _size: u64,
    ) {
    }
    /// Something could not be looked at; already warned about.
    fn unreadable(&mut self, _path: &[u8]) {}
    /// True ends the walk early.
    fn stopped(&mut self) -> bool;
}

/// Counts of what was left out for good reasons.
#[derive(Clone, Copy, Default)]
pub(crate) struct WalkStats {
    pub(crate) excluded: u64,
    pub(crate) too_large: u64,
    pub(crate) special: u64,
}

struct Level {
    names: Names,
    /// Length of the path up to and including this folder's `/`.
    path_len: usize,
    /// Device, for one-file-system.
    dev: u64,
}

/// A folder whose entry waits until something in it survives.
struct Pending {
    path_len: usize,
    stat: Stat,
    size_hint: u64,
}

pub(crate) struct Walk<'a> {
    choice: &'a Choice,
    tmp: Tmp,
    hardlinks: Keyset,
    pub(crate) stats: WalkStats,
    path: Vec<u8>,
    pending: Vec<Pending>,
}

impl<'a> Walk<'a> {
    pub(crate) fn new(choice: &'a Choice, tmp: &Tmp) -> Walk<'a> {
        Walk {
            choice,
            tmp: tmp.clone(),
            hardlinks: Keyset::new(tmp),
            stats: WalkStats::default(),
            path: Vec::new(),
            pending: Vec::new(),
        }
    }

    /// Walks sources as `sources` returned them. False when the visitor stopped it.
    pub(crate) fn run(
        &mut self,
        ui: &mut Ui,
        sources: &[Source],
        visitor: &mut dyn Visitor,
    ) -> Result<bool> {
        for source in sources {
            if !self.source(ui, source, visitor)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn source(&mut self, ui: &mut Ui, source: &Source, visitor: &mut dyn Visitor) -> Result<bool> {
        self.path.clear();
        self.path.extend_from_slice(&source.path);
        self.pending.clear();
        let mut levels: Vec<Level> = Vec::new();
        self.entry(ui, source.path.len(), true, &mut levels, visitor)?;
        while let Some(level) = levels.last_mut() {
            if visitor.stopped() {
                return Ok(false);
            }
            let base = level.path_len;
            self.path.truncate(base);
            match level.names.next()? {
                Some(name) => {
                    self.path.extend_from_slice(name);
                    self.entry(ui, base, false, &mut levels, visitor)?;
                }
                None => {
                    levels.pop();
                    if self.pending.last().is_some_and(|p| p.path_len == base)
                        && let Some(empty) = self.pending.pop()
                    {
                        visitor.decided(
                            ui,
                            &self.path[..empty.path_len],
                            false,
                            &Reason::EmptyFolder,
                            empty.size_hint,
                        );
                        self.stats.excluded += 1;
                    }
                }
            }
        }
        Ok(!visitor.stopped())
    }

    /// Looks at the entry whose path is in `self.path` and goes into it if it is a folder of the backup.
    fn entry(
        &mut self,
        ui: &mut Ui,
        base: usize,
        is_source: bool,
        levels: &mut Vec<Level>,
        visitor: &mut dyn Visitor,
    ) -> Result<()> {
        if self.path.last() == Some(&b'/') && self.path.len() > 1 && !is_source {
            self.path.pop();
        }
        if std::str::from_utf8(&self.path[base.min(self.path.len())..]).is_err() {
            ui.warn(
                "not-utf8",
                &format!(
                    "{} is left out: its name is not valid UTF-8, which the format cannot store",
                    text::safe(&self.path)
                ),
            );
            visitor.unreadable(&self.path);
            return Ok(());
        }
        let mut stat = match sys::lstat(fs_path(&self.path)) {
            Ok(stat) => stat,
            Err(e) => return self.trouble(ui, &e, visitor),
        };
        let mut followed = false;
        if stat.kind == FileKind::Symlink
            && (is_source || self.choice.symlinks == SymlinkPolicy::Follow)
        {
            let follow = self.choice.symlinks == SymlinkPolicy::Follow
                || (is_source && self.path.last() == Some(&b'/'));
            if follow {
                match sys::stat(fs_path(&self.path)) {
                    Ok(target) => {
                        followed = true;
                        stat = target;
                    }
                    Err(e) => return self.trouble(ui, &e, visitor),
                }
            }
        }
        let is_folder = stat.kind == FileKind::Folder;
        if is_folder && self.path.last() != Some(&b'/') {
            self.path.push(b'/');
        }
        if stat.kind == FileKind::Other {
            self.stats.special += 1;
            visitor.decided(ui, &self.path, false, &Reason::Special, 0);
            ui_special(ui, &self.path);
            return Ok(());
        }
        let mut record_it = true;
        if is_source {
            visitor.decided(ui, &self.path, true, &Reason::Source, stat.size);
        } else {
            match self.verdict(&stat, levels)? {
                Verdict::Take(reason) => {
                    if let Some(reason) = reason {
                        visitor.decided(ui, &self.path, true, &reason, stat.size);
                    }
                }
                Verdict::Pass => {
                    record_it = false;
                    visitor.decided(ui, &self.path, false, &Reason::Filter(None), stat.size);
                }
                Verdict::Out(reason) => {
                    self.stats.excluded += 1;
                    if matches!(reason, Reason::TooLarge(_)) {
                        self.stats.too_large += 1;
                    }
                    visitor.decided(ui, &self.path, false, &reason, stat.size);
                    return Ok(());
                }
            }
        }
        if is_folder {
            return self.folder(ui, &stat, is_source, record_it, followed, levels, visitor);
        }
        if !record_it {
            return Ok(());
        }
        let link = match stat.kind {
            FileKind::Symlink => match fs::read_link(fs_path(&self.path)) {
                Ok(target) => Some(target.into_os_string()),
                Err(e) => return self.trouble(ui, &e, visitor),
            },
            _ => None,
        };
        if let Some(target) = &link
            && std::str::from_utf8(target.as_bytes()).is_err()
        {
            ui.warn(
                "not-utf8",
                &format!(
                    "{} is left out: its target is not valid UTF-8, which the format cannot store",
                    text::safe(&self.path)
                ),
            );
            visitor.unreadable(&self.path);
            return Ok(());
        }
        self.release(ui, visitor)?;
        visitor.found(
            ui,
            &Found {
                path: &self.path,
                stat: &stat,
                link: link.as_deref().map(OsStrExt::as_bytes),
            },
        )
    }

    #[allow(
        clippy::too_many_arguments,
        reason = "one step of the walk, split for reading"
    )]
    fn folder(
        &mut self,
        ui: &mut Ui,
        stat: &Stat,
        is_source: bool,
        record_it: bool,
        followed: bool,
        levels: &mut Vec<Level>,
        visitor: &mut dyn Visitor,
    ) -> Result<()> {
        let path_len = self.path.len();
        let crosses =
            self.choice.one_file_system && levels.last().is_some_and(|l| l.dev != stat.dev);
        if levels.len() >= DEPTH_AT_MOST || (followed && self.loops(stat, levels)) {
            ui.warn(
                "loop",
                &format!(
                    "{} is not entered: it leads back to a folder above it",
                    text::safe(&self.path)
                ),
            );
            visitor.unreadable(&self.path);
            return Ok(());
        }
        let names = if crosses {
            visitor.decided(ui, &self.path, false, &Reason::OtherFileSystem, 0);
            Names::empty()
        } else {
            match Names::read(fs_path(&self.path), &self.tmp, self.choice)? {
                Ok((names, marker)) => {
                    if let Some(marker) = marker.filter(|_| !is_source) {
                        self.stats.excluded += 1;
                        visitor.decided(ui, &self.path, false, &Reason::IgnoreName(marker), 0);
                        return Ok(());
                    }
                    names
                }
                Err(e) => {
                    self.trouble(ui, &e, visitor)?;
                    Names::empty()
                }
            }
        };
        if record_it {
            if self.choice.exclude_empty_folders && !is_source {
                self.pending.push(Pending {
                    path_len,
                    stat: *stat,
                    size_hint: 0,
                });
            } else {
                self.release(ui, visitor)?;
                visitor.found(
                    ui,
                    &Found {
                        path: &self.path,
                        stat,
                        link: None,
                    },
                )?;
            }
        }
        levels.push(Level {
            names,
            path_len,
            dev: stat.dev,
        });
        Ok(())
    }

    /// Folders that waited for a surviving entry now have one.
    fn release(&mut self, ui: &mut Ui, visitor: &mut dyn Visitor) -> Result<()> {
        for waiting in std::mem::take(&mut self.pending) {
            visitor.found(
                ui,
                &Found {
                    path: &self.path[..waiting.path_len],
                    stat: &waiting.stat,
                    link: None,
                },
            )?;
        }
        Ok(())
    }

    fn loops(&self, stat: &Stat, levels: &[Level]) -> bool {
        levels.iter().any(|l| {
            sys::stat(fs_path(&self.path[..l.path_len]))
                .is_ok_and(|above| (above.dev, above.ino) == (stat.dev, stat.ino))
        })
    }

    /// The rules of `commands.md` 6.4 from the hard link on; the folder marker comes later, when the folder is read.
    fn verdict(&mut self, stat: &Stat, levels: &[Level]) -> Result<Verdict> {
        if stat.kind == FileKind::File && stat.nlink > 1 {
            match self.choice.hardlinks {
                HardlinkPolicy::All => {}
                HardlinkPolicy::None => return Ok(Verdict::Out(Reason::Hardlink)),
                HardlinkPolicy::First => {
                    let mut identity = stat.dev.to_be_bytes().to_vec();
                    identity.extend_from_slice(&stat.ino.to_be_bytes());
                    if !self
                        .hardlinks
                        .insert(&BlockKey::new(&Algo::Sha256.hash(&identity), 1))?
                    {
                        return Ok(Verdict::Out(Reason::Hardlink));
                    }
                }
            }
        }
        if !self.choice.exclude_attributes.is_empty()
            && let Some(attribute) = self.excluded_attribute(stat, levels)
        {
            return Ok(Verdict::Out(Reason::Attribute(attribute)));
        }
        let decision = self.choice.filters.decide(&self.path);
        let is_folder = stat.kind == FileKind::Folder;
        if !decision.included {
            // With includes only, folders are walked but not recorded.
            return Ok(
                if is_folder && decision.rule.is_none() && self.choice.filters.only_includes() {
                    Verdict::Pass
                } else {
                    Verdict::Out(Reason::Filter(decision.rule))
                },
            );
        }
        if stat.kind == FileKind::Symlink && self.choice.symlinks == SymlinkPolicy::Ignore {
            return Ok(Verdict::Out(Reason::SymlinkPolicy));
        }
        if stat.kind == FileKind::File
            && self
                .choice
                .larger_than
                .is_some_and(|most| most > 0 && stat.size > most)
        {
            return Ok(Verdict::Out(Reason::TooLarge(stat.size)));
        }
        Ok(Verdict::Take(Some(Reason::Filter(decision.rule))))
    }

    fn excluded_attribute(&self, stat: &Stat, levels: &[Level]) -> Option<&'static str> {
        let base = levels.last().map_or(0, |l| l.path_len);
        let hidden = self.path.get(base) == Some(&b'.');
        let read_only = stat.mode & 0o222 == 0;
        let is_folder = stat.kind == FileKind::Folder;
        let is_link = stat.kind == FileKind::Symlink;
        let normal = !(hidden || read_only || is_folder || is_link);
        let has = [
            ("hidden", hidden),
            ("readonly", read_only),
            ("directory", is_folder),
            ("reparsepoint", is_link),
            ("normal", normal),
        ];
        has.into_iter()
            .find(|(name, on)| *on && self.choice.exclude_attributes.iter().any(|a| a == name))
            .map(|(name, _)| name)
    }

    fn trouble(
        &mut self,
        ui: &mut Ui,
        e: &std::io::Error,
        visitor: &mut dyn Visitor,
    ) -> Result<()> {
        let (kind, what) = if e.kind() == std::io::ErrorKind::NotFound {
            ("vanished", "it vanished while the backup ran".to_owned())
        } else {
            ("unreadable", io_text(e))
        };
        ui.warn(
            kind,
            &format!("{} is left out: {what}", text::safe(&self.path)),
        );
        visitor.unreadable(&self.path);
        Ok(())
    }
}

enum Verdict {
    Take(Option<Reason>),
    /// Walk into the folder, do not record it.
    Pass,
    Out(Reason),
}

impl Reason {
    /// For `test-filters`.
    pub(crate) fn explain(&self, filters: &FilterSet) -> String {
        match self {
            Reason::Source => "a source".to_owned(),
            Reason::Special => "device, pipe or socket".to_owned(),
            Reason::Hardlink => "--hardlink-policy".to_owned(),
            Reason::IgnoreName(name) => format!(
                "the folder holds {} (--ignore-filenames)",
                text::safe(name.as_bytes())
            ),
            Reason::Attribute(name) => format!("--exclude-files-attributes={name}"),
            Reason::Filter(Some(rule)) => filters.rule_text(*rule),
            Reason::Filter(None) => "no rule matches".to_owned(),
            Reason::SymlinkPolicy => "--symlink-policy=Ignore".to_owned(),
            Reason::TooLarge(size) => {
                format!("{} is more than --skip-files-larger-than", show_size(*size))
            }
            Reason::OtherFileSystem => "another file system (--one-file-system)".to_owned(),
            Reason::EmptyFolder => "--exclude-empty-folders".to_owned(),
        }
    }
}

fn ui_special(ui: &mut Ui, path: &[u8]) {
    if ui.is_verbose() {
        ui.verbose(&format!(
            "{} is left out: devices, pipes and sockets are not stored",
            text::safe(path)
        ));
    }
}

/// The path on this machine: the stored path itself.
fn fs_path(stored: &[u8]) -> &Path {
    Path::new(OsStr::from_bytes(stored))
}

/// The entries of one folder in walk order, each name with a `/` appended if it is a folder.
struct Names {
    packed: Vec<u8>,
    /// Offset and length in `packed`, in order.
    order: Vec<(u32, u32)>,
    at: usize,
    spilled: Option<RunReader>,
}

type ReadNames = std::result::Result<(Names, Option<String>), std::io::Error>;

impl Names {
    fn empty() -> Names {
        Names {
            packed: Vec::new(),
            order: Vec::new(),
            at: 0,
            spilled: None,
        }
    }

    /// Reads a folder; also the name in it, if any, that asks to leave the folder out.
    fn read(folder: &Path, tmp: &Tmp, choice: &Choice) -> Result<ReadNames> {
        let mut names = Names::empty();
        let mut sorter: Option<Sorter> = None;
        let mut marker = None;
        let entries = match fs::read_dir(folder) {
            Ok(entries) => entries,
            Err(e) => return Ok(Err(e)),
        };
        let mut name = Vec::new();
        for entry in entries {
            let entry = match entry {
                Ok(entry) => entry,
                Err(e) => return Ok(Err(e)),
            };
            name.clear();
            name.extend_from_slice(entry.file_name().as_bytes());
            if choice.ignore_names.iter().any(|m| m.as_bytes() == name) {
                marker = Some(String::from_utf8_lossy(&name).into_owned());
            }
            let follow = choice.symlinks == SymlinkPolicy::Follow;
            let is_folder = entry.file_type().is_ok_and(|t| {
                t.is_dir()
                    || (follow
                        && t.is_symlink()
                        && fs::metadata(entry.path()).is_ok_and(|m| m.is_dir()))
            });
            if is_folder {
                name.push(b'/');
            }
            if let Some(sorter) = &mut sorter {
                sorter.add(&name)?;
                continue;
            }
            let start = u32::try_from(names.packed.len()).unwrap_or(u32::MAX);
            names.packed.extend_from_slice(&name);
            names
                .order
                .push((start, u32::try_from(name.len()).unwrap_or(0)));
            if names.packed.len() > NAMES_CAP {
                let mut all = Sorter::new(tmp, NAMES_CAP);
                for &(start, len) in &names.order {
                    all.add(&names.packed[start as usize..(start + len) as usize])?;
                }
                names = Names::empty();
                sorter = Some(all);
            }
        }
        match sorter {
            Some(sorter) => names.spilled = Some(sorter.finish()?.into_run()?.reader()),
            None => {
                let packed = std::mem::take(&mut names.packed);
                names.order.sort_unstable_by_key(|&(start, len)| {
                    &packed[start as usize..(start + len) as usize]
                });
                names.packed = packed;
                names.packed.shrink_to_fit();
                names.order.shrink_to_fit();
            }
        }
        Ok(Ok((names, marker)))
    }

    fn next(&mut self) -> Result<Option<&[u8]>> {
        if let Some(run) = &mut self.spilled {
            return run.next();
        }
        let Some(&(start, len)) = self.order.get(self.at) else {
            return Ok(None);
        };
        self.at += 1;
        Ok(self.packed.get(start as usize..(start + len) as usize))
    }
}

/// A source as the walk wants it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Source {
    /// Absolute, folders with a trailing `/`.
    pub(crate) path: Vec<u8>,
}

/// Sources made absolute (by text, links stay), existing ones only, sorted, without those inside others. The second part
/// names the missing ones.
pub(crate) fn sources(words: &[String], cwd: &Path) -> (Vec<Source>, Vec<String>) {
    let mut out: Vec<Source> = Vec::new();
    let mut missing = Vec::new();
    for word in words {
        let mut path = normalized(&cwd.join(word))
            .into_os_string()
            .into_encoded_bytes();
        match fs::symlink_metadata(fs_path(&path)) {
            Ok(meta) => {
                let folder =
                    meta.is_dir() || fs::metadata(fs_path(&path)).is_ok_and(|m| m.is_dir());
                if folder && path.last() != Some(&b'/') {
                    path.push(b'/');
                }
                out.push(Source { path });
            }
            Err(_) => missing.push(word.clone()),
        }
    }
    out.sort();
    out.dedup();
    let mut kept: Vec<Source> = Vec::new();
    for source in out {
        let inside = kept
            .iter()
            .any(|k| k.path.ends_with(b"/") && source.path.starts_with(&k.path));
        if !inside {
            kept.push(source);
        }
    }
    (kept, missing)
}

/// `.` and `..` taken out by text, as the user reads the path.
pub(crate) fn normalized(path: &Path) -> PathBuf {
    let mut out = PathBuf::from("/");
    for part in path.components() {
        match part {
            std::path::Component::Normal(name) => out.push(name),
            std::path::Component::ParentDir => {
                out.pop();
            }
            _ => {}
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_made_absolute_by_text() {
        for (given, want) in [
            ("/a/./b/../c", "/a/c"),
            ("/../x", "/x"),
            ("/", "/"),
            ("/a//b/", "/a/b"),
        ] {
            assert_eq!(normalized(Path::new(given)), Path::new(want));
        }
    }

    #[test]
    fn sources_are_sorted_and_nested_ones_dropped() {
        let folder = std::env::temp_dir().join(format!("duplet-sources-{}", std::process::id()));
        for sub in ["a/b", "a-b"] {
            fs::create_dir_all(folder.join(sub)).expect("folder");
        }
        let words: Vec<String> = ["a/b", "a-b/", "a", "gone", "./a"]
            .map(str::to_owned)
            .to_vec();
        let (found, missing) = sources(&words, &folder);
        let names: Vec<String> = found
            .iter()
            .map(|s| String::from_utf8_lossy(&s.path[folder.as_os_str().len()..]).into_owned())
            .collect();
        assert_eq!(names, ["/a-b/", "/a/"]);
        assert_eq!(missing, ["gone"]);
        fs::remove_dir_all(&folder).expect("clean");
    }
}
