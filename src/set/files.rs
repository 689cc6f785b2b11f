//! The entries of one version, streamed or sorted by path.

use crate::base::error::{Doing, Error, Result};
use crate::base::text;
use crate::base::time::Timestamp;
use crate::base::ui::Ui;
use crate::format::deflate::Inflater;
use crate::format::filelist::{self, Entry, EntryKind};
use crate::format::locator::Extents;
use crate::format::manifest::{self, Fileset};
use crate::format::names::VolumeName;
use crate::format::zip_read::ZipReader;
use crate::set::known_full::KnownFull;
use crate::set::locator::Beside;
use crate::set::volume::{Expected, Opened, reading};
use crate::set::{RESCUED, Set, Summary};
use crate::spill::run::Run;
use crate::spill::sorter::Sorter;

/// Seconds by which the repeated upload of a list may move its name on.
const RENAMED_SECONDS: i64 = 5;

/// Memory of the sort by path.
const SORT_CAP: usize = 4 << 20;

/// What a whole pass over a version told.
#[derive(Clone, Debug)]
pub(crate) struct Listing {
    /// False for a partial version.
    pub(crate) full: bool,
    /// The archive's directory is damaged; it was read without.
    pub(crate) rescued: bool,
    /// What is wrong with the version's time: its encrypted list was made before the time that its name states.
    pub(crate) misdated: Option<String>,
    /// What was read, in numbers.
    pub(crate) sum: Summary,
}

/// What the file system said of an entry when it was last read or found unchanged. All zeros: unknown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Stamp {
    pub(crate) ino: u64,
    /// Status change time, Unix nanoseconds.
    pub(crate) ctime: i64,
    /// Modification time, Unix nanoseconds.
    pub(crate) mtime: i64,
}

/// An entry as a sorted record: the entry, then where its blocks are, then its stamp. Records sort by path.
pub(crate) struct Record {
    pub(crate) entry: Entry,
    pub(crate) stamp: Stamp,
    pub(crate) extents: Extents,
}

/// The length of the extents, and a stamp.
const SUFFIX: usize = 4 + 24;

impl Record {
    /// Appends the encoded record to `out`.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        self.entry.encode(out);
        let from = out.len();
        self.extents.encode(out);
        let len = u32::try_from(out.len() - from).unwrap_or(u32::MAX);
        out.extend_from_slice(&len.to_be_bytes());
        out.extend_from_slice(&self.stamp.ino.to_be_bytes());
        out.extend_from_slice(&self.stamp.ctime.to_be_bytes());
        out.extend_from_slice(&self.stamp.mtime.to_be_bytes());
    }

    pub(crate) fn decode(record: &[u8]) -> Result<Record> {
        let parsed = || {
            let (body, suffix) = record.split_at_checked(record.len().checked_sub(SUFFIX)?)?;
            let (len, stamp) = suffix.split_first_chunk::<4>()?;
            let len = usize::try_from(u32::from_be_bytes(*len)).ok()?;
            let (body, extents) = body.split_at_checked(body.len().checked_sub(len)?)?;
            let (ino, times) = stamp.split_at(8);
            let (ctime, mtime) = times.split_at(8);
            Some(Record {
                entry: Entry::decode(body)?,
                extents: Extents::decode(extents)?,
                stamp: Stamp {
                    ino: u64::from_be_bytes(ino.try_into().ok()?),
                    ctime: i64::from_be_bytes(ctime.try_into().ok()?),
                    mtime: i64::from_be_bytes(mtime.try_into().ok()?),
                },
            })
        };
        parsed().ok_or_else(|| Error::bug("a spilled entry reads back"))
    }

    /// The path of an encoded record.
    pub(crate) fn path(record: &[u8]) -> &[u8] {
        record.split(|&b| b == 0).next().unwrap_or_default()
    }
}

/// Length of an encoded path with its terminator: the first NUL that does not stand for itself.
fn path_end(record: &[u8]) -> usize {
    let ends = |i: &usize| record[*i] == 0 && record.get(i + 1) != Some(&0xff);
    (0..record.len()).find(ends).map_or(record.len(), |i| i + 1)
}

impl Set {
    /// Every entry of version `no` in stored order. Link paths come without a trailing separator (R14). An error of `each`
    /// ends the pass.
    pub(crate) fn files(
        &mut self,
        ui: &mut Ui,
        no: usize,
        each: &mut dyn FnMut(Entry) -> Result<()>,
    ) -> Result<Listing> {
        self.read_files(ui, no, false, &mut |entry, _| each(entry))
    }

    /// As [`Set::files`]; `placed`: also where the blocks of each are, as far as the version says.
    fn read_files(
        &mut self,
        ui: &mut Ui,
        no: usize,
        placed: bool,
        each: &mut dyn FnMut(Entry, Extents) -> Result<()>,
    ) -> Result<Listing> {
        self.open_dlist(ui, no)?;
        let (held, opened) = self
            .last_dlist
            .take()
            .ok_or_else(|| Error::bug("the dlist is open"))?;
        let mut stopped: Option<Error> = None;
        let mut volumes = Vec::new();
        let read = |opened: &Opened, inflater: &mut Inflater| -> Result<Listing> {
            let zip = opened.zip();
            let full = match zip.find(b"fileset")? {
                Some(entry) => manifest::read_fileset(&mut zip.reader(entry, inflater)?)?.full,
                None => true,
            };
            let entry = zip
                .find(b"filelist.json")?
                .ok_or_else(|| Error::damaged("it has no filelist.json"))?;
            let mut inflaters = placed.then(|| [Inflater::new(), Inflater::new()]);
            let mut beside = match &mut inflaters {
                Some(two) => Beside::open(&zip, two)?,
                None => None,
            };
            let mut reader = zip.reader(entry, inflater)?;
            let mut sum = Summary {
                full,
                ..Summary::default()
            };
            filelist::read_list(&mut reader, &mut |mut entry| {
                let extents = beside.as_mut().map(|b| b.next(&entry.path));
                if entry.kind == EntryKind::Symlink
                    && entry.path.len() > 1
                    && matches!(entry.path.last(), Some(b'/' | b'\\'))
                {
                    entry.path.pop();
                }
                sum.add(&entry);
                each(entry, extents.unwrap_or_default()).map_err(|e| {
                    stopped = Some(e);
                    Error::bug("the pass was stopped")
                })
            })?;
            if let Some(beside) = beside {
                volumes.extend(beside.volumes);
            }
            Ok(Listing {
                full,
                rescued: zip.rescued(),
                misdated: None,
                sum,
            })
        };
        let mut read = read;
        let result = read(&opened, &mut self.inflater);
        let name = opened.name.clone();
        self.announce(&volumes);
        let misdated = self.misdated(&opened.name, opened.created);
        self.note_misdated(&opened.name, misdated.as_ref());
        self.last_dlist = Some((held, opened));
        if let Ok(listing) = result.as_ref()
            && !listing.rescued
            && let Some((name, size)) = self.dlist(no).map(|(n, s)| (n.clone(), s))
        {
            self.note_counts(&name, size, &listing.sum);
        }
        match stopped {
            Some(e) => Err(e),
            None => result
                .map(|listing| Listing {
                    misdated,
                    ..listing
                })
                .doing(|| reading(&name)),
        }
    }

    /// The archive of version `no` as it is stored, for who writes it again. `Damaged` when only parts of it can be found.
    pub(crate) fn stored_list(
        &mut self,
        ui: &mut Ui,
        no: usize,
        read: &mut dyn FnMut(&Set, &ZipReader<'_>) -> Result<()>,
    ) -> Result<()> {
        self.open_dlist(ui, no)?;
        let (_, opened) = self
            .last_dlist
            .take()
            .ok_or_else(|| Error::bug("the dlist is open"))?;
        let zip = opened.zip();
        if zip.rescued() {
            return Err(Error::damaged(RESCUED).doing(reading(&opened.name)));
        }
        read(self, &zip)
    }

    /// False for a partial version. Costs its dlist, unless `known` has the version, which it has from then on; the list itself
    /// is not read.
    pub(crate) fn is_full(
        &mut self,
        ui: &mut Ui,
        no: usize,
        known: &mut KnownFull,
    ) -> Result<bool> {
        let named = self.dlist(no).map(|(name, size)| (name.clone(), size));
        if let Some((name, size)) = &named
            && let Some(known) = known.get(name, *size)
        {
            return Ok(known.full);
        }
        Ok(self.fileset(ui, no, known)?.full)
    }

    /// What version `no` says of itself, which `known` has from then on. Costs its dlist; the list itself is not read.
    pub(super) fn fileset(
        &mut self,
        ui: &mut Ui,
        no: usize,
        known: &mut KnownFull,
    ) -> Result<Fileset> {
        let said = self.read_said(ui, no)?;
        if let Some((name, size)) = self.dlist(no) {
            known.note(name, size, &said);
        }
        Ok(said)
    }

    fn read_said(&mut self, ui: &mut Ui, no: usize) -> Result<Fileset> {
        self.open_dlist(ui, no)?;
        let Some((_, opened)) = &self.last_dlist else {
            return Err(Error::bug("the dlist is open"));
        };
        let zip = opened.zip();
        let mut read = || -> Result<Fileset> {
            let mut said = match zip.find(b"fileset")? {
                Some(entry) => manifest::read_fileset(&mut zip.reader(entry, &mut self.inflater)?)?,
                None => Fileset::default(),
            };
            if let Some(entry) = zip.find(manifest::REPLACES)? {
                said.replaces =
                    manifest::read_replaces(&mut zip.reader(entry, &mut self.inflater)?)?;
            }
            Ok(said)
        };
        read().doing(|| reading(&opened.name))
    }

    /// Whether it is the passphrase or the header of the dlist `no` that is wrong, another volume tells: an index, else another
    /// dlist. Learns the parameters if that opens; true then.
    pub(super) fn try_another(&mut self, ui: &mut Ui, no: usize) -> Result<bool> {
        if self.params.is_some() {
            return Ok(false);
        }
        self.list_rest(ui)?;
        let other = self.volumes.dlists().get(usize::from(no == 0)).cloned();
        let Some((name, size)) = self.volumes.dindex(0).or(other) else {
            return Ok(false);
        };
        match self.fetch(ui, &name, size, Expected::default()) {
            Err(e) if !e.kind().is_volume_or_key() => Err(e),
            _ => Ok(self.params.is_some()),
        }
    }

    /// Remembers what was said of the time of a version.
    pub(super) fn note_misdated(&mut self, name: &VolumeName, line: Option<&String>) {
        let name = name.as_str();
        if let Some(line) = line
            && self.misdated.iter().all(|(n, _)| n != name)
        {
            self.misdated.push((name.to_owned(), line.clone()));
        }
    }

    /// An encrypted list is made when its version is, or later: one that is older than its name was copied or renamed, by
    /// somebody who could not make one, so that it shows an old state as a new one. Duplicati moves the name of a list on by a second when its upload has to be repeated;
    /// that is no copy, unless the version of that very time is there, too.
    pub(super) fn misdated(&self, name: &VolumeName, created: Option<Timestamp>) -> Option<String> {
        let (created, named) = (created?, name.time()?);
        name.encryption()?;
        let copied = created < named && self.versions().any(|t| t == created);
        (created.0.saturating_add(RENAMED_SECONDS) < named.0 || copied).then(|| {
            format!(
                "the version named {} was made {}: an older version under a newer name",
                named.local(),
                created.local()
            )
        })
    }

    /// Version `no` as records sorted by path; of entries with one path the first is kept and the rest are warned about.
    pub(crate) fn sorted_files(&mut self, ui: &mut Ui, no: usize) -> Result<(Run, Listing)> {
        let tmp = self.tmp.clone();
        let mut sorter = Sorter::new(&tmp, SORT_CAP);
        let mut encoded = Vec::new();
        let mut order = 0u64;
        let listing = self.read_files(ui, no, true, &mut |entry, extents| {
            encoded.clear();
            Record {
                entry,
                stamp: Stamp::default(),
                extents,
            }
            .encode(&mut encoded);
            // Equal paths stay in the order of the list.
            let at = path_end(&encoded);
            encoded.splice(at..at, order.to_be_bytes());
            order += 1;
            sorter.add(&encoded)
        })?;
        let mut stream = sorter.finish()?;
        let mut run = crate::spill::run::RunWriter::new(&tmp);
        let mut last: Option<Vec<u8>> = None;
        while let Some(record) = stream.next()? {
            let (path, rest) = record.split_at(path_end(record));
            if last.as_deref() == Some(path) {
                let path = Record::path(record);
                ui.warn(
                    "repeated-path",
                    &format!(
                        "{} is listed twice in the version; the first one counts",
                        text::safe(path)
                    ),
                );
                continue;
            }
            encoded.clear();
            encoded.extend_from_slice(path);
            encoded.extend_from_slice(rest.get(8..).unwrap_or_default());
            run.push(&encoded)?;
            let kept = last.get_or_insert_with(Vec::new);
            kept.clear();
            kept.extend_from_slice(path);
        }
        Ok((run.finish()?, listing))
    }
}
