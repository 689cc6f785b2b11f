//! Layer 4: what is there. [`Set`] is one destination as this run's listing shows it: volumes, versions, parameters, and
//! the ways to read them. Only what this run itself did changes what a set knows after it was opened ([`Set::change`]).

mod ahead;
mod as_stored;
mod block_index;
mod blocklist_refs;
mod blocks;
mod cache;
mod cache_folder;
mod cache_index;
mod cache_notes;
mod counted;
mod files;
mod fresh;
mod gpg;
mod index_report;
mod known_full;
mod listing;
mod locator;
mod lock;
mod needs;
#[cfg(test)]
mod of_a_test;
mod permit;
mod place;
mod replaced;
mod rest;
mod salvage;
mod seal;
mod shelf;
mod versions;
mod volume;
mod volumes;

pub(crate) use block_index::{BlockIndex, BlockIndexReader};
pub(crate) use blocklist_refs::{BlocklistRefs, broken};
pub(crate) use blocks::{Search, Seen};
pub(crate) use cache::{Cache, Looked, Previous};
pub(crate) use cache_folder::{Owner, default_folder};
pub(crate) use counted::Summary;
pub(crate) use files::{Listing, Record, Stamp};
pub(crate) use fresh::{Begin, Remembered};
pub(crate) use index_report::IndexReport;
pub(crate) use listing::Strays;
pub(crate) use locator::Beside;
pub(crate) use lock::RunLock;
#[allow(unused_imports, reason = "for the commands that count references")]
pub(crate) use needs::{Goal, Needed, Needs, Owners, Reference};
pub(crate) use needs::{ListReader, ListState, ListsInDblocks, State, Stored, VolumeFaults};
pub(crate) use needs::{Told, told};
#[cfg(feature = "mount")]
pub(crate) use needs::{blocks, per_list, place_of_block, place_of_list};
pub(crate) use permit::{Sealing, permit_by_hand};
pub(crate) use place::Place;
pub(crate) use seal::{Passphrase, Plain, Protection, Said};
#[cfg(feature = "fuzz")]
pub(crate) use shelf::fuzz_ranged;
pub(crate) use shelf::{Hints, Proof, Share, Shelf};
pub(crate) use versions::{VersionChoice, nearest_version};
pub(crate) use volume::{Expected, Opened, digest, hash_of, reading};
pub(crate) use volumes::{StateSum, VolumeNo, Volumes};

use crate::base::digest::Hash;
use crate::base::error::{Error, Kind, Result};
use crate::base::secret::Secret;
use crate::base::text;
use crate::base::time::Timestamp;
use crate::base::tmp::Tmp;
use crate::base::ui::Ui;
use crate::dest::Listed;
use crate::format::deflate::Inflater;
use crate::format::manifest::Params;
use crate::format::names::{Prefix, VolumeName};
use crate::remote::Remote;
use listing::{Found, parse_name, same_prefix};
use salvage::Judged;

/// A damaged archive out of which everything could be read all the same.
pub(crate) const RESCUED: &str = "its zip directory is damaged or cut off";

/// The prefix of new destinations (`format.md` 2).
pub(crate) const DEFAULT_PREFIX: &str = "duplicati";

/// Asked for the passphrase once the listing shows that one is needed.
pub(crate) type AskPassphrase<'a> = dyn FnMut(&mut Ui, Need) -> Result<Option<Passphrase>> + 'a;

/// Why a passphrase is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Need {
    /// Encrypted volumes are there, and the first one read proves the passphrase.
    ToRead,
    /// The destination will be written and holds nothing that proves a passphrase.
    ToCreate,
}

/// What `Set::open` needs beside the remote.
pub(crate) struct SetOptions {
    pub(crate) prefix: Option<Prefix>,
    /// The command will write: an empty or missing folder is no error.
    pub(crate) writing: bool,
    /// The command may do with the versions alone: the other volumes are listed when they are wanted ([`Set::list_rest`]).
    pub(crate) versions_first: bool,
    pub(crate) case_insensitive: bool,
    /// Program to run for `.gpg` volumes.
    pub(crate) gpg_program: String,
    pub(crate) cache: Cache,
    /// Keeps other runs on this machine out as long as the set lives.
    pub(crate) lock: Option<RunLock>,
    /// What the call says of encryption.
    pub(crate) said: Said,
    /// Where a backup may begin.
    pub(crate) begin: Begin,
}

/// A destination as one listing shows it.
pub(crate) struct Set {
    remote: Remote,
    tmp: Tmp,
    prefix: Prefix,
    volumes: Volumes,
    protection: Protection,
    /// Volumes of the prefix that are not content because they are not encrypted.
    plain: Plain,
    passphrase: Option<Passphrase>,
    gpg_program: String,
    params: Option<Params>,
    /// An encrypted volume was read with the passphrase.
    accepted: bool,
    inflater: Inflater,
    cache: Cache,
    /// False when the destination's folder does not exist yet.
    folder_exists: bool,
    strays: Strays,
    /// Names are matched without case.
    any_case: bool,
    _lock: Option<RunLock>,
    /// The last dlist that was opened, kept so that looking and reading cost one download.
    last_dlist: Option<(usize, Opened)>,
    /// Lists read so far that were made before the time that their names state, and the words for it.
    misdated: Vec<(String, String)>,
    /// Counts of versions, once they were asked for.
    counts: Option<counted::Counts>,
    /// Damaged dblocks that this run met.
    judged: Judged,
    /// The server does not send parts of files.
    sends_whole: bool,
    /// Only the versions were listed so far.
    only_versions: bool,
    /// Where blocks lie that are wanted.
    hints: Option<Hints>,
}

impl Set {
    /// Lists the destination, picks the prefix, decides what protects the backup and asks for the passphrase if the listing
    /// shows encrypted volumes. Reads no volume, but where several prefixes other than the default one have versions: then
    /// the newest of each. `Missing` when there is no backup and `writing` is off; `Passphrase` when a passphrase is named
    /// for volumes that are all plain.
    pub(crate) fn open(
        mut remote: Remote,
        tmp: Tmp,
        options: SetOptions,
        ui: &mut Ui,
        ask: &mut AskPassphrase<'_>,
    ) -> Result<Set> {
        let recalled = options.cache.load_learnt();
        if let Some(learnt) = &recalled {
            remote.recall(learnt);
        }
        let wanted = options.prefix.as_ref();
        let any_case = options.case_insensitive;
        let versions = match options.versions_first && !any_case {
            true => listing::versions_only(&mut remote, wanted, &options.said, ui)?,
            false => None,
        };
        let only_versions = versions.is_some();
        let Found {
            volumes,
            folder_exists,
            strays,
        } = match versions {
            Some(volumes) => Found::of(volumes),
            None => listing::list(&mut remote, wanted, any_case, ui)?,
        };
        if let Some(learnt) = remote.learnt().filter(|l| Some(l) != recalled.as_ref())
            && let Err(e) = options.cache.store_learnt(&learnt)
        {
            ui.verbose(&e.to_string());
        }
        let writing = options.writing;
        let candidates = listing::pick(volumes, wanted, writing, remote.describe())?;
        let prefix = match wanted {
            Some(prefix) => prefix.clone(),
            None => Prefix::parse(DEFAULT_PREFIX)?,
        };
        let mut set = Set {
            remote,
            tmp,
            volumes: Volumes::new(prefix.as_str()),
            prefix,
            protection: Protection::Plain,
            plain: Plain::default(),
            passphrase: None,
            gpg_program: options.gpg_program,
            params: None,
            accepted: false,
            inflater: Inflater::new(),
            cache: options.cache,
            folder_exists,
            strays,
            any_case,
            _lock: options.lock,
            last_dlist: None,
            misdated: Vec::new(),
            counts: None,
            judged: Judged::default(),
            sends_whole: false,
            only_versions,
            hints: None,
        };
        let begin = writing.then_some(options.begin);
        set.choose(candidates, &options.said, begin, ui, ask)?;
        if !only_versions {
            set.cache.inherit(&set.volumes);
        }
        set.volumes.seal();
        let repeated = set.volumes.repeated;
        if repeated > 0 {
            let what = text::count(repeated, "name");
            ui.warn(
                "repeated-names",
                &format!("the destination lists {what} more than once"),
            );
        }
        Ok(set)
    }

    /// Settles on the one candidate whose newest version opens; the only one is taken as it is. `begin`: the command writes,
    /// and an empty destination is fine where a backup may begin.
    fn choose(
        &mut self,
        candidates: Vec<Volumes>,
        said: &Said,
        begin: Option<Begin>,
        ui: &mut Ui,
        ask: &mut AskPassphrase<'_>,
    ) -> Result<()> {
        let writing = begin.is_some();
        let names: Vec<String> = candidates
            .iter()
            .map(|v| text::safe(v.prefix().as_bytes()))
            .collect();
        let several = candidates.len() > 1;
        let mut opened: Vec<Volumes> = Vec::new();
        let mut last = None;
        for volumes in candidates {
            if !several {
                opened.push(volumes);
                continue;
            }
            self.take(volumes)?;
            let protected = self.protect(said, writing, ui, ask);
            // Without a passphrase nothing says whether an encrypted one is meant.
            if protected.is_err()
                && self.passphrase.is_none()
                && self.protection != Protection::Plain
            {
                return Err(listing::several(&names, self.remote.describe()));
            }
            match protected.and_then(|()| self.open_dlist(ui, 0).map(|_| ())) {
                Ok(()) => {
                    let none = Volumes::new(self.prefix.as_str());
                    opened.push(std::mem::replace(&mut self.volumes, none));
                }
                Err(e) if listing::is_no_backup(&e) => last = Some(e),
                Err(e) => return Err(e),
            }
        }
        match (opened.pop(), opened.is_empty(), last) {
            (Some(volumes), true, _) => {
                let prefix = volumes.prefix().to_owned();
                self.take(volumes)?;
                if several {
                    ui.note(&format!(
                        "of several prefixes only {} has a version that opens",
                        text::safe(prefix.as_bytes())
                    ));
                }
            }
            (None, _, Some(e)) => return Err(e),
            (None, _, None) => {}
            (Some(_), false, _) => {
                return Err(listing::several(&names, self.remote.describe()));
            }
        }
        if self.volumes.len() == 0 && !writing {
            let doing = format!("read {}", self.remote.describe());
            let e = match self.folder_exists {
                true => Error::new(Kind::Missing, "there is no backup in it").doing(doing),
                false => self.remote.missing(doing),
            };
            return Err(match self.cache.remembered() {
                Some(seen) => {
                    Error::new(Kind::Missing, format!("{}, but {}", e.cause(), seen.line()))
                        .doing(format!("read {}", self.remote.describe()))
                        .hint("check the URL and --prefix; is the disk mounted?")
                }
                None => e.hint("check the URL and --prefix"),
            });
        }
        if let Some(begin) = begin {
            if self.volumes.len() == 0 {
                fresh::check(self, begin, said.named.is_some() && !said.plain)?;
            } else if self.volumes.dlists().is_empty() {
                fresh::check_versions(self, begin)?;
            }
        }
        self.protect(said, writing, ui, ask)
    }

    /// Makes `volumes` those of the set, as if nothing had been read yet.
    fn take(&mut self, volumes: Volumes) -> Result<()> {
        self.prefix = Prefix::parse(volumes.prefix())?;
        self.volumes = volumes;
        self.params = None;
        self.accepted = false;
        self.last_dlist = None;
        self.judged = Judged::default();
        self.plain = Plain::default();
        Ok(())
    }

    pub(crate) fn remote(&mut self) -> &mut Remote {
        &mut self.remote
    }

    /// The folder of a destination on this machine.
    pub(crate) fn local_folder(&self) -> Option<std::path::PathBuf> {
        self.remote.local_folder()
    }

    /// Remembers how many versions there are, so that a later run knows when they are gone. Best effort.
    pub(crate) fn remember(&self) {
        let versions = self.volumes.dlists().len() as u64;
        if versions > 0 {
            let _kept = self.cache.remember(Remembered {
                versions,
                at: Timestamp::now(),
                sealed: self.protection != Protection::Plain,
            });
        }
    }

    pub(crate) fn tmp(&self) -> &Tmp {
        &self.tmp
    }

    pub(crate) fn prefix(&self) -> &Prefix {
        &self.prefix
    }

    pub(crate) fn volumes(&self) -> &Volumes {
        &self.volumes
    }

    pub(crate) fn folder_exists(&self) -> bool {
        self.folder_exists
    }

    /// What lies beside the volumes.
    pub(crate) fn strays(&self) -> &Strays {
        &self.strays
    }

    /// What is written to this destination has this protection, whatever its newest volume is called.
    pub(crate) fn protection(&self) -> Protection {
        self.protection
    }

    /// Volumes that are left aside because they are not encrypted.
    pub(crate) fn plain(&self) -> &Plain {
        &self.plain
    }

    pub(crate) fn passphrase(&self) -> Option<&Secret> {
        self.passphrase.as_ref().map(|p| &p.secret)
    }

    pub(crate) fn cache(&mut self) -> &mut Cache {
        &mut self.cache
    }

    /// Parameters of the destination, known once any volume was opened.
    pub(crate) fn params(&self) -> Option<Params> {
        self.params
    }

    /// Versions, newest first: their times.
    pub(crate) fn versions(&self) -> impl Iterator<Item = Timestamp> {
        self.volumes.dlists().iter().filter_map(|d| d.0.time())
    }

    /// Name and listed size of version `no` (0 = newest).
    pub(crate) fn dlist(&self, no: usize) -> Option<(&VolumeName, Option<u64>)> {
        self.volumes.dlists().get(no).map(|d| (&d.0, d.1))
    }

    /// Digest of the listing: equal states mean equal destinations.
    pub(crate) fn state(&self) -> Hash {
        self.volumes.state()
    }

    /// Makes the listing what this run made of the destination, so that what follows needs no further one: `change` adds the
    /// uploads and retires what was deleted. Numbers of dblocks and dindexes stay, those of versions do not.
    pub(crate) fn change(
        &mut self,
        change: &mut dyn FnMut(&mut Volumes) -> Result<()>,
    ) -> Result<()> {
        self.last_dlist = None;
        self.folder_exists = true;
        let done = change(&mut self.volumes);
        self.volumes.seal();
        done
    }

    /// Lists; `each` gets a volume of the prefix, or `None` when the listing starts again.
    fn each_listed(
        &mut self,
        ui: &mut Ui,
        each: &mut dyn FnMut(Option<(VolumeName, Option<u64>)>),
    ) -> Result<()> {
        let (prefix, any_case) = (self.prefix.as_str(), self.any_case);
        let only_sealed = self.plain.kept_out;
        self.remote.list(ui, &mut |listed| {
            match listed {
                Listed::Restart => each(None),
                Listed::Entry(file) => {
                    if let Some(name) = parse_name(&file.name, any_case)
                        .filter(|n| same_prefix(prefix, n.prefix(), any_case))
                        .filter(|n| !only_sealed || n.encryption().is_some())
                    {
                        each(Some((name, file.size)));
                    }
                }
            }
            Ok(())
        })?;
        Ok(())
    }
}
