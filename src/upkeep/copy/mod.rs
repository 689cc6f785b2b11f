//! A backup copied to another destination as it is stored: the same names, the same bytes; or the same archives encrypted with
//! another passphrase. Order: each dblock, then its dindex, at last the dlists, so that a copy that is cut off is a whole backup
//! of what it has.

mod chosen;
mod target;
mod upcoming;

use crate::base::digest::{Algo, Hash};
use crate::base::error::{Doing, Error, Kind, Result};
use crate::base::secret::Secret;
use crate::base::sys;
use crate::base::text;
use crate::base::tmp::Spool;
use crate::base::ui::{Progress, Ui};
use crate::format::names::{VolumeKind, VolumeName};
use crate::remote::Remote;
use crate::set::{BlockIndex, Expected, Set, VolumeNo, digest, reading};
use crate::writer::by_hand;
use crate::writer::reseal::{FileFacts, Index, Resealer, Stated};
use chosen::{Chosen, choose, dindex_of};
pub(crate) use target::Target;

/// How to copy.
pub(crate) struct Orders {
    /// Only these versions, by number, and what they need; `None`: everything.
    pub(crate) versions: Option<Vec<usize>>,
    /// Each volume is read back from the target and compared, also one that was there before.
    pub(crate) read_back: bool,
    pub(crate) dry_run: bool,
    /// The copy is encrypted with this passphrase; `None`: it is what the source is, byte for byte.
    pub(crate) anew: Option<Secret>,
}

/// Volumes and their bytes as far as the listing states them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sum {
    pub(crate) volumes: u64,
    pub(crate) bytes: u64,
}

impl Sum {
    fn add(&mut self, bytes: u64) {
        self.volumes += 1;
        self.bytes = self.bytes.saturating_add(bytes);
    }
}

/// What was copied; in a dry run what would be.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Copied {
    pub(crate) copied: Sum,
    /// At the target before, with the same name and length.
    pub(crate) there: Sum,
    /// Damaged or gone at the source: named, and not copied.
    pub(crate) left_out: u64,
    /// dindexes that were left out with their dblock.
    pub(crate) without_dblock: u64,
    /// Volumes of this prefix at the target of which the source knows nothing: older versions, as a rule.
    pub(crate) beside: u64,
    pub(crate) stopped: bool,
}

/// Copies what the target lacks. `Usage` when the target holds another backup under this prefix, before anything is changed.
/// A volume that is damaged at the source is named as an error and left out; of a dblock that is left out no dindex is copied.
///
/// Costs the index volumes that are not cached, with chosen versions their lists, and each copied volume one download and one
/// upload (and one download more to read it back). Memory: as the index, and 30 bytes a volume of both sides, 120 more a dblock
/// to encrypt it anew; temporary space: one volume, two to read back or to encrypt.
pub(crate) fn copy(
    set: &mut Set,
    to: &mut Remote,
    target: Target,
    ui: &mut Ui,
    orders: &Orders,
) -> Result<Copied> {
    let prefix = set.prefix().as_str().to_owned();
    set.learn_params(ui)?;
    let done = Copied {
        beside: beside(set, &target, to)?,
        ..Copied::default()
    };
    target.check_passphrase(set, to, ui)?;
    let (places, chosen) = choose(set, ui, &target, orders.versions.as_deref())?;
    tell_gaps(&chosen, ui);
    if !orders.dry_run {
        sys::writes_from_now_on();
        sys::save_at_stop();
        if !target.folder_exists {
            by_hand::create_missing_folder(to, ui)?;
        }
        by_hand::end_unfinished(to, ui, &prefix);
    }
    let count = match orders.anew {
        Some(_) => chosen.dblocks.len(),
        None => 0,
    };
    let mut run = Copying {
        set,
        to,
        ui,
        orders,
        total: chosen.count(),
        target,
        anew: orders.anew.as_ref().map(Resealer::new),
        files: vec![File::Untried; count],
        done,
    };
    run.all(&places, &chosen)?;
    Ok(run.done)
}

/// Names what the source lacks itself: the copy will lack it, too.
fn tell_gaps(chosen: &Chosen, ui: &mut Ui) {
    let see = "'duplet list-broken-files URL' tells what is lost";
    let (named, count) = &chosen.missing;
    if *count > 0 {
        let all: Vec<String> = named.iter().map(|n| text::safe(n.as_bytes())).collect();
        let more = match count.saturating_sub(named.len() as u64) {
            0 => String::new(),
            n => format!(" and {n} more"),
        };
        let line = format!(
            "the source itself lacks {}, or has it with another length: {}{more} ({see})",
            text::count(*count, "data volume"),
            all.join(", ")
        );
        // What an index volume still describes, versions may need no more.
        ui.warn("missing-dblock", &line);
    }
    if chosen.lost > 0 {
        let blocks = text::count(chosen.lost, "block");
        ui.error(&format!(
            "the source itself lacks {blocks} of these versions ({see})"
        ));
    }
}

/// Volumes of the target that the source has not. `Usage` when it has none of the source's.
fn beside(set: &Set, target: &Target, to: &Remote) -> Result<u64> {
    let ours = set.volumes();
    let (mut same, mut known) = (0u64, 0u64);
    let dblocks = (0..ours.dblock_count()).filter_map(|no| ours.dblock(no));
    let dindexes = (0..ours.dindex_count()).filter_map(|i| ours.dindex(i));
    for (name, _) in dblocks.chain(dindexes) {
        same += u64::from(target.lists(&name));
    }
    for (name, _) in ours.dlists() {
        // Two backups may have a version of the same second: that alone makes them not one.
        known += u64::from(target.lists(name));
    }
    let there = target.len();
    match same {
        0 if there > 0 => Err(Error::usage(format!(
            "{} holds another backup of the prefix {}",
            to.describe(),
            set.prefix().as_str()
        ))
        .hint("copy to an empty folder; nothing was changed")),
        _ => Ok(there.saturating_sub(same + known)),
    }
}

/// What came of a dblock of the source, for the dindexes that describe it; kept only where these change.
#[derive(Clone, Copy)]
enum File {
    Untried,
    Gone,
    There(FileFacts),
}

/// What came of a volume.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Came {
    /// It was at the target.
    There,
    Sent,
    Not,
    /// It describes a dblock of which nothing is known yet.
    Waits,
}

/// One copy under way.
struct Copying<'a> {
    set: &'a mut Set,
    to: &'a mut Remote,
    ui: &'a mut Ui,
    orders: &'a Orders,
    target: Target,
    total: u64,
    anew: Option<Resealer<'a>>,
    files: Vec<File>,
    done: Copied,
}

impl Copying<'_> {
    fn all(&mut self, places: &BlockIndex, chosen: &Chosen) -> Result<()> {
        let mut left = chosen.dindexes.clone();
        let mut after = 0;
        for (no, _) in (0u32..).zip(&chosen.dblocks).filter(|(_, m)| **m) {
            let Some((name, size)) = self.set.volumes().dblock(no) else {
                continue;
            };
            self.expect(no, &mut after, (places, chosen))?;
            let own = dindex_of(no, places, &chosen.resized);
            let arrived = self.dblock(no, own, &name, size, places.expected(no)?)?;
            let Some(mark) = own.and_then(|i| left.get_mut(i as usize)).filter(|m| **m) else {
                continue;
            };
            match (arrived, own) {
                (true, Some(i)) => *mark = !self.dindex(i as usize)?,
                _ => {
                    *mark = false;
                    self.done.without_dblock += u64::from(!self.done.stopped);
                }
            }
        }
        for file in &mut self.files {
            if matches!(file, File::Untried) {
                *file = File::Gone;
            }
        }
        // Those of volumes that are gone, and those that describe one which another describes, too.
        for (i, _) in left.iter().enumerate().filter(|(_, m)| **m) {
            self.dindex(i)?;
        }
        for &no in &chosen.dlists {
            let Some((name, size)) = self.set.volumes().dlists().get(no).cloned() else {
                continue;
            };
            self.one(&name, size, Expected::default())?;
        }
        Ok(())
    }

    /// A dblock; true when the target has it now. One that becomes another file than it was there first loses its dindex.
    fn dblock(
        &mut self,
        no: VolumeNo,
        own: Option<u32>,
        name: &VolumeName,
        size: Option<u64>,
        expected: Expected,
    ) -> Result<bool> {
        let index = own.and_then(|i| self.set.volumes().dindex(i as usize));
        if let Some((index, _)) = index.filter(|_| self.anew.is_some() && !self.orders.dry_run)
            && self.target.lists(&index)
            && !self.target.has(name, size)
        {
            by_hand::delete(self.to, self.ui, index.sealed()?.as_str())?;
        }
        let came = self.one(name, size, expected)?;
        if let Some(file) = self.files.get_mut(no as usize) {
            let there = self.target.file(name).filter(|_| came == Came::There);
            *file = match (there, came) {
                (Some(facts), _) => File::There(facts),
                (None, Came::Sent) => *file,
                _ => File::Gone,
            };
        }
        Ok(matches!(came, Came::There | Came::Sent))
    }

    /// A dindex; false when it has to wait for another dblock.
    fn dindex(&mut self, i: usize) -> Result<bool> {
        match self.set.volumes().dindex(i) {
            Some((name, size)) => {
                let came = self.one(&name, size, Expected::default())?;
                Ok(came != Came::Waits)
            }
            None => Ok(true),
        }
    }

    /// One volume.
    fn one(&mut self, name: &VolumeName, size: Option<u64>, expected: Expected) -> Result<Came> {
        if self.done.stopped || sys::stops_requested() > 0 {
            self.done.stopped = true;
            return Ok(Came::Not);
        }
        let done = &mut self.done;
        let progress = Progress {
            files: done.copied.volumes + done.there.volumes,
            files_total: self.total,
            bytes: done.copied.bytes,
            ..Progress::default()
        };
        self.ui.progress("copying volumes", progress);
        let size = size.or(expected.size);
        if self
            .target
            .has_another(self.set, self.to, self.ui, name, size)?
        {
            self.done.left_out += 1;
            self.ui.error(&format!(
                "left out: {}: {} has another version of the same second (both went on by themselves; copy to an empty folder)",
                text::safe(name.as_str().as_bytes()),
                self.to.describe()
            ));
            return Ok(Came::Not);
        }
        if self.target.has(name, size) {
            if self.is_good_there(name, size, expected)? {
                self.done.there.add(size.unwrap_or(0));
                return Ok(Came::There);
            }
            let shown = text::safe(name.as_str().as_bytes());
            self.ui
                .note(&format!("{shown} is damaged there and is copied again"));
        }
        if self.orders.dry_run {
            self.done.copied.add(size.unwrap_or(0));
            return Ok(Came::Sent);
        }
        let body = match self.anew {
            None => self
                .set
                .fetch_stored(self.ui, name, size, expected)
                .map(Index::Sealed),
            Some(_) => self.sealed(name, size, expected),
        };
        let mut body = match body {
            Ok(Index::Sealed(body)) => body,
            Ok(Index::Later) => return Ok(Came::Waits),
            Ok(Index::Empty) => {
                self.done.without_dblock += 1;
                return Ok(Came::Not);
            }
            Err(e) if e.kind().is_of_one_volume() => {
                self.done.left_out += 1;
                self.ui.error(&format!("left out: {e}"));
                return Ok(Came::Not);
            }
            Err(e) => return Err(e),
        };
        let bytes = body.len()?;
        let name = match self.anew {
            None => name.clone(),
            Some(_) => name.sealed()?,
        };
        match self.set.is_ahead() {
            true => {
                let meanwhile = &mut || self.set.take_ahead();
                by_hand::put_while(self.to, self.ui, name.as_str(), &mut body, meanwhile)?;
            }
            false => by_hand::put(self.to, self.ui, name.as_str(), &mut body)?,
        }
        if self.orders.read_back {
            self.compare(&name, &mut body, bytes)?;
        }
        self.done.copied.add(bytes);
        let shown = text::safe(name.as_str().as_bytes());
        self.ui.verbose(&format!("copied {shown}"));
        Ok(Came::Sent)
    }

    /// Where volumes are to be read back: whether one that the target has is what the source has. A data volume is compared with the
    /// hash that the index states, others with the source's own. What is encrypted anew is not read.
    fn is_good_there(
        &mut self,
        name: &VolumeName,
        size: Option<u64>,
        expected: Expected,
    ) -> Result<bool> {
        if !self.orders.read_back || self.orders.dry_run || self.anew.is_some() {
            return Ok(true);
        }
        let algo = |hash: &Hash| Algo::of_length(hash.as_bytes().len());
        let (want, algo) = match expected.hash.and_then(|hash| Some((hash, algo(&hash)?))) {
            Some(known) => known,
            None => match self.set.fetch_stored(self.ui, name, size, expected) {
                Ok(mut source) => (digest(&mut source, Algo::Sha256)?, Algo::Sha256),
                // What the target has is the best there is.
                Err(e) if e.kind().is_of_one_volume() => return Ok(true),
                Err(e) => return Err(e),
            },
        };
        let mut there = Spool::new(self.set.tmp())?;
        match self.to.get(self.ui, name.as_str(), size, &mut there) {
            Ok(_) => Ok(digest(&mut there, algo)? == want),
            Err(e) if e.kind().is_of_one_volume() => Ok(false),
            Err(e) => Err(e),
        }
    }

    /// A volume encrypted with the new passphrase. Of a dblock it is noted what it is as a file now.
    fn sealed(
        &mut self,
        name: &VolumeName,
        size: Option<u64>,
        expected: Expected,
    ) -> Result<Index> {
        let mut archive = self.set.fetch_archive(self.ui, name, size, expected)?;
        let resealer = self.anew.as_mut();
        let resealer = resealer.ok_or_else(|| Error::bug("a copy is encrypted anew"))?;
        let (tmp, volumes) = (self.set.tmp(), self.set.volumes());
        if name.kind() == VolumeKind::Dindex {
            let files = &self.files;
            let stated = &mut |dblock: &str| {
                let name = VolumeName::parse_any_case(dblock);
                let no = name.as_ref().and_then(|name| volumes.find_dblock(name));
                let file = no.and_then(|no| files.get(no as usize));
                match (name.and_then(|name| name.sealed().ok()), file) {
                    (Some(name), Some(File::There(facts))) => Stated::As(name, *facts),
                    (Some(_), Some(File::Untried)) => Stated::Later,
                    _ => Stated::Gone,
                }
            };
            return resealer
                .seal_index(&archive, tmp, stated)
                .doing(|| reading(name));
        }
        let (mut stored, size) = resealer.seal(&mut archive, tmp)?;
        let no = volumes.find_dblock(name);
        if let Some(file) = no.and_then(|no| self.files.get_mut(no as usize)) {
            let algo = expected.hash.map_or(Some(Algo::Sha256), |hash| {
                Algo::of_length(hash.as_bytes().len())
            });
            let hash = algo.map(|algo| digest(&mut stored, algo)).transpose()?;
            *file = File::There(FileFacts { hash, size });
        }
        Ok(Index::Sealed(stored))
    }

    /// `Damaged` when the target gives back something else than what was sent; that is removed again.
    fn compare(&mut self, name: &VolumeName, sent: &mut Spool, bytes: u64) -> Result<()> {
        let mut back = Spool::new(self.set.tmp())?;
        self.to
            .get(self.ui, name.as_str(), Some(bytes), &mut back)?;
        if digest(&mut back, Algo::Sha256)? == digest(sent, Algo::Sha256)? {
            return Ok(());
        }
        by_hand::delete(self.to, self.ui, name.as_str())?;
        Err(
            Error::new(Kind::Damaged, "it comes back otherwise than it was sent")
                .doing(format!(
                    "copy {} to {}",
                    text::safe(name.as_str().as_bytes()),
                    self.to.describe()
                ))
                .hint("do not trust this destination with a backup"),
        )
    }
}
