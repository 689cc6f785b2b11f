//! A dblock of which a version's locator says where the wanted blocks lie: its directory is not fetched.

use crate::base::error::{Error, Kind, Result};
use crate::base::ui::Ui;
use crate::format::deflate::Inflater;
use crate::format::names::VolumeName;
use crate::format::zip_read::{Layout, ZipReader};
use crate::set::shelf::directory::Directory;
use crate::set::shelf::ranged::{AtRemote, Ranged};
use crate::set::shelf::{Shelf, Source};
use crate::set::volume::reading;
use crate::set::{Set, VolumeNo};
use crate::spill::sorter::Sorter;
use crate::spill::table::Table;

/// Number of the volume, where the span begins, its length.
const RECORD: usize = 4 + 8 + 8;
/// Spans of one volume; where there are more, its directory is read.
const SPANS_AT_MOST: usize = 1 << 14;

/// Where in which volumes blocks are said to lie. On disk: 20 bytes a span.
pub(crate) struct Hints(Table);

impl Hints {
    /// From spans as [`Hints::record`] spells them.
    pub(crate) fn new(set: &Set, spans: Sorter) -> Result<Hints> {
        Table::build(spans.finish()?, RECORD, 4, set.tmp()).map(Hints)
    }

    /// A span of the archive in a volume: where the first local header begins, and its length in bytes; 0 where that is not known.
    pub(crate) fn record(no: VolumeNo, at: u64, len: u64) -> Vec<u8> {
        [&no.to_be_bytes()[..], &at.to_be_bytes(), &len.to_be_bytes()].concat()
    }

    /// The spans of a volume, in order; none where there are too many, or one is not known.
    fn of(&mut self, no: VolumeNo) -> Result<Vec<(u64, u64)>> {
        let mut all: Vec<(u64, u64)> = Vec::new();
        let mut many = false;
        self.0.lookup_all(&no.to_be_bytes(), &mut |record| {
            let (at, len) = record.get(4..).unwrap_or_default().split_at(8);
            let number = |raw: &[u8]| raw.try_into().map(u64::from_be_bytes);
            let (Ok(at), Ok(len)) = (number(at), number(len)) else {
                return Err(Error::bug("a hint reads back"));
            };
            many |= all.len() == SPANS_AT_MOST || len == 0;
            if !many && all.last() != Some(&(at, len)) {
                all.push((at, len));
            }
            Ok(())
        })?;
        all.sort_unstable();
        all.dedup();
        Ok(if many { Vec::new() } else { all })
    }
}

/// A smaller volume is fetched whole: that costs hardly more, and proves more.
const WHOLE_BELOW: u64 = 64 << 10;

impl Set {
    /// True when the head of a volume accepts the passphrase; false where it is not to be had without the rest, or the volume is
    /// small. One request, 1 KiB. `Passphrase` when it is refused.
    pub(in crate::set) fn head_opens(
        &mut self,
        ui: &mut Ui,
        name: &VolumeName,
        size: u64,
    ) -> Result<bool> {
        if size < WHOLE_BELOW || self.takes_key(name) != Some(true) {
            return Ok(false);
        }
        let tmp = self.tmp.clone();
        let secret = self.passphrase.as_ref().map(|known| &known.secret);
        let mut line = AtRemote {
            remote: &mut self.remote,
            ui,
            name: name.as_str(),
            sends_whole: &mut self.sends_whole,
        };
        match Ranged::open_head(&mut line, size, 0, secret, &tmp) {
            Ok(_) => {
                self.accepted = true;
                Ok(true)
            }
            Err(e) if e.kind() == Kind::Unsupported => Ok(false),
            Err(e) => Err(e.doing(reading(name))),
        }
    }

    /// From now on dblocks that are read in parts are read where the hints say; `None`: as their own directories say.
    pub(crate) fn hint(&mut self, hints: Option<Hints>) {
        self.hints = hints;
    }

    /// A shelf of what the hints name in a volume, which is fetched at once. `None` where there is nothing of that sort, or
    /// where other things lie there: then the directory tells.
    pub(super) fn shelf_by_hints(
        &mut self,
        ui: &mut Ui,
        no: VolumeNo,
        name: &VolumeName,
        size: u64,
    ) -> Result<Option<Shelf>> {
        let spans = match &mut self.hints {
            Some(hints) => hints.of(no)?,
            None => return Ok(None),
        };
        let (Some(first), Some(params)) = (spans.first().copied(), self.params) else {
            return Ok(None);
        };
        let Some(sealed) = self.takes_key(name) else {
            return Ok(None);
        };
        let key = self.passphrase.as_ref().filter(|_| sealed);
        let secret = key.map(|known| &known.secret);
        let tmp = self.tmp.clone();
        let mut line = AtRemote {
            remote: &mut self.remote,
            ui,
            name: name.as_str(),
            sends_whole: &mut self.sends_whole,
        };
        let mut open = || -> Result<(Ranged, Directory, Layout)> {
            let end = first.0.saturating_add(first.1);
            let ranged = Ranged::open_head(&mut line, size, end, secret, &tmp)?;
            ranged.bring(&mut line, spans.iter().copied())?;
            let layout = Layout::unknown(ranged.archive_len()?);
            let zip = ZipReader::again(&ranged, layout);
            let directory = Directory::of_spans(zip, &spans, params.block_hash.len(), &tmp)?;
            Ok((ranged, directory, layout))
        };
        match open() {
            Ok((ranged, directory, layout)) => {
                self.accepted |= sealed;
                Ok(Some(Shelf {
                    name: name.clone(),
                    source: Source::Ranged(Box::new(ranged)),
                    layout,
                    params,
                    tmp,
                    inflater: Inflater::new(),
                    complete: true,
                    directory: Some(directory),
                    why: None,
                }))
            }
            Err(e) if e.kind().is_volume_or_key() => {
                let doing = reading(name);
                ui.verbose(&format!(
                    "cannot {doing} where its blocks are said to be: {}",
                    e.cause()
                ));
                Ok(None)
            }
            Err(e) => Err(e.doing(reading(name))),
        }
    }
}
