//! Makes the folder of a version ready: its entries, sorted so that those of one folder lie side by side, become rows of the tree.
//!
//! Paths become names as they do in a restore of whole paths: drive letters and servers are folders, a name that is too long
//! is shortened, and of two entries of one name the later gets the version's date into it. Folders that the version does not
//! list are made up. Memory: 10 MiB, whatever the number of entries.

use crate::base::error::{Error, Result};
use crate::base::shown::{beside, parts, shortened};
use crate::base::sys;
use crate::base::text;
use crate::base::ui::Ui;
use crate::format::filelist::EntryKind;
use crate::mount::tree::{NAME_BYTES, Node, Tree};
use crate::set::{Record, Set};
use crate::spill::run::{Run, RunWriter};
use crate::spill::sorter::{Sorter, Stream};

/// Memory of the sort.
const SORT_CAP: usize = 4 << 20;

/// What a record of the sort is, after its place: in this order of one place the first stays.
const LISTED_FOLDER: u8 = 0;
const MADE_UP_FOLDER: u8 = 1;
const NO_FOLDER: u8 = 2;

/// Adds the entries of version `no` below the row `root`, whose first entry and count it says. On an error the tree may hold
/// rows that nothing leads to.
pub(super) fn build(
    set: &mut Set,
    ui: &mut Ui,
    no: usize,
    tree: &mut Tree,
    root: u64,
) -> Result<(u64, u64)> {
    let time = set.versions().nth(no);
    let time = time.ok_or_else(|| Error::bug("a version that is shown has a time"))?;
    let (listed, listing) = set.sorted_files(ui, no)?;
    if let Some(line) = listing.misdated {
        let line = format!("{line}; see 'duplet list URL'");
        ui.warn("misdated-version", &line);
    }
    if !listing.full {
        ui.note(&format!(
            "version {no} of {} is partial: its backup was stopped, so it may lack files",
            time.local()
        ));
    }
    let places = place(set, ui, &listed)?;
    drop(listed);
    let date = time.local()[..10].to_owned();
    let settled = settle(set, places, &date)?;
    rows(&settled, tree, root, ui)
}

/// The records by place: depth, names, what it is, the entry.
fn place(set: &Set, ui: &mut Ui, listed: &Run) -> Result<Stream> {
    let mut sorter = Sorter::new(set.tmp(), SORT_CAP);
    let mut reader = listed.reader();
    // The names of the folder around the entry before.
    let mut around: Vec<Vec<u8>> = Vec::new();
    while let Some(raw) = reader.next()? {
        if sys::stops_requested() > 0 {
            return Err(Error::new(crate::base::error::Kind::Interrupted, "stopped"));
        }
        let mut record = Record::decode(raw)?;
        let entry = &mut record.entry;
        let Some(inside) = parts(&entry.path, b"") else {
            let shown = text::safe(&entry.path);
            ui.warn(
                "bad-path",
                &format!("{shown} is not shown: its path leads out of it"),
            );
            continue;
        };
        let mut names = Vec::with_capacity(inside.len());
        for part in inside {
            names.push(shortened(part, NAME_BYTES).unwrap_or_else(|| part.to_vec()));
        }
        let folder = entry.kind == EntryKind::Folder;
        let Some(above) = names.len().checked_sub(1) else {
            // The root folder of the machine is the folder of the version.
            continue;
        };
        let shared = around
            .iter()
            .zip(&names)
            .take_while(|(a, b)| a == b)
            .count();
        for depth in shared + 1..=above {
            sorter.add(&key(&names[..depth], MADE_UP_FOLDER, &[]))?;
        }
        let kind = if folder { LISTED_FOLDER } else { NO_FOLDER };
        entry.path.clear();
        let mut encoded = Vec::new();
        record.encode(&mut encoded);
        sorter.add(&key(&names, kind, &encoded))?;
        if !folder {
            names.pop();
        }
        around = names;
    }
    sorter.finish()
}

/// A record: the number of names, each name and a NUL, what it is, the entry.
fn key(names: &[Vec<u8>], kind: u8, entry: &[u8]) -> Vec<u8> {
    // A path is at most 64 KiB long.
    let depth = u16::try_from(names.len()).unwrap_or(u16::MAX);
    let mut out = depth.to_be_bytes().to_vec();
    for name in names {
        out.extend_from_slice(name);
        out.push(0);
    }
    out.push(kind);
    out.extend_from_slice(entry);
    out
}

/// The parts of a record: names with their NULs, what it is, the entry.
fn taken_apart(record: &[u8]) -> Result<(u16, &[u8], u8, &[u8])> {
    let parsed = || {
        let (depth, rest) = record.split_first_chunk::<2>()?;
        let depth = u16::from_be_bytes(*depth);
        let mut end = 0;
        for _ in 0..depth {
            end += rest.get(end..)?.iter().position(|&b| b == 0)? + 1;
        }
        let (names, rest) = rest.split_at_checked(end)?;
        let (&kind, entry) = rest.split_first()?;
        Some((depth, names, kind, entry))
    };
    parsed().ok_or_else(|| Error::bug("a placed entry reads back"))
}

/// Each place once. An entry whose place is taken by another gets the date of the version into its name.
fn settle(set: &Set, mut places: Stream, date: &str) -> Result<Run> {
    loop {
        let mut kept = RunWriter::new(set.tmp());
        let mut moved = Sorter::new(set.tmp(), 1 << 18);
        let mut last: Vec<u8> = Vec::new();
        let mut again = 0;
        while let Some(record) = places.next()? {
            let (_, names, kind, entry) = taken_apart(record)?;
            let place = &record[..2 + names.len()];
            if *last != *place {
                last.clear();
                last.extend_from_slice(place);
                again = 0;
                kept.push(record)?;
            } else if kind == NO_FOLDER {
                let mut names: Vec<Vec<u8>> = names
                    .split(|&b| b == 0)
                    .filter(|name| !name.is_empty())
                    .map(<[u8]>::to_vec)
                    .collect();
                if let Some(name) = names.last_mut() {
                    *name = beside(name, date, again, NAME_BYTES);
                }
                again += 1;
                moved.add(&key(&names, kind, entry))?;
            }
        }
        let kept = kept.finish()?;
        if moved.is_empty() {
            return Ok(kept);
        }
        let mut all = Sorter::new(set.tmp(), SORT_CAP);
        let mut reader = kept.reader();
        while let Some(record) = reader.next()? {
            all.add(record)?;
        }
        let mut moved = moved.finish()?;
        while let Some(record) = moved.next()? {
            all.add(record)?;
        }
        places = all.finish()?;
    }
}

/// Where the next child's folder is looked for: the records again, some way behind.
struct Parents {
    reader: crate::spill::run::RunReader,
    /// The row of the record at hand.
    row: u64,
    /// Depth and names of the record at hand.
    at: Vec<u8>,
}

impl Parents {
    /// Moves to the folder with this place; its row.
    fn find(&mut self, place: &[u8]) -> Result<u64> {
        while *self.at != *place {
            let Some(record) = self.reader.next()? else {
                return Err(Error::bug("a placed entry is in a folder"));
            };
            let (_, names, _, _) = taken_apart(record)?;
            let end = 2 + names.len();
            self.at.clear();
            self.at.extend_from_slice(&record[..end]);
            self.row += 1;
        }
        Ok(self.row)
    }
}

/// Writes the rows; where the entries of the root begin, and how many they are.
fn rows(settled: &Run, tree: &mut Tree, root: u64, ui: &mut Ui) -> Result<(u64, u64)> {
    let base = tree.len();
    let mut parents = Parents {
        reader: settled.reader(),
        row: base.wrapping_sub(1),
        at: Vec::new(),
    };
    let top = {
        let mut top = Node::new(EntryKind::Folder, root);
        top.first = base;
        top
    };
    // The folder that is being filled, and what is known of it.
    let mut open: (u64, Node) = (root, top);
    let mut first = top;
    let mut reader = settled.reader();
    while let Some(record) = reader.next()? {
        let (depth, names, kind, encoded) = taken_apart(record)?;
        let mut parts = names.split(|&b| b == 0).rev().skip(1);
        let name = parts.next().unwrap_or_default();
        let parent = match depth {
            1 => root,
            _ => {
                let above = names.len().saturating_sub(name.len() + 1);
                let mut place = (depth - 1).to_be_bytes().to_vec();
                place.extend_from_slice(names.get(..above).unwrap_or_default());
                parents.find(&place)?
            }
        };
        if parent != open.0 {
            close(tree, root, &open, &mut first)?;
            let mut node = tree.get(parent)?;
            node.first = tree.len();
            node.count = 0;
            open = (parent, node);
        }
        open.1.count += 1;
        let node = node_of(kind, encoded, parent)?;
        tree.push(node, name, encoded)?;
        if tree.len().is_multiple_of(4096) && sys::stops_requested() > 0 {
            return Err(Error::new(crate::base::error::Kind::Interrupted, "stopped"));
        }
    }
    close(tree, root, &open, &mut first)?;
    let entries = text::count(tree.len() - base, "entry");
    ui.verbose(&format!("{entries} are shown"));
    Ok((base, first.count))
}

/// Writes how many entries a folder turned out to have; of the root it is only remembered.
fn close(tree: &mut Tree, root: u64, open: &(u64, Node), first: &mut Node) -> Result<()> {
    if open.0 == root {
        *first = open.1;
        return Ok(());
    }
    tree.set(open.0, &open.1)
}

fn node_of(kind: u8, encoded: &[u8], parent: u64) -> Result<Node> {
    if kind == MADE_UP_FOLDER {
        let mut node = Node::new(EntryKind::Folder, parent);
        node.state = crate::mount::tree::KNOWN;
        return Ok(node);
    }
    let entry = Record::decode(encoded)?.entry;
    let mut node = Node::new(entry.kind, parent);
    node.size = match (entry.kind, &entry.content) {
        (EntryKind::File, Some(content)) => content.size,
        _ => 0,
    };
    node.mtime = (entry.time.map_or(0, |time| time.0), 0);
    if entry.meta.is_none_or(|meta| meta.size == 0) {
        node.state = crate::mount::tree::KNOWN;
    }
    Ok(node)
}
