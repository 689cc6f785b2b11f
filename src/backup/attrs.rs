//! What the file system says of an entry → the metadata blob that Duplicati would write (`format.md` 11).

use std::fs::File;
use std::io;
use std::path::Path;

use crate::base::error::io_text;
use crate::base::sys::{self, FileKind, Identity, Spot, Stat, Users};
use crate::base::text;
use crate::base::time::ticks_from_unix;
use crate::base::ui::Ui;
use crate::format::filelist::EntryKind;
use crate::format::meta::{self, Attributes, Attrs, Looker, Owner};

/// Extended attributes that ask to be left out of backups (`commands.md` 5.1).
const EXCLUDE_ME: [&[u8]; 3] = [
    b"user.duplicati.exclude",
    b"duplicati.exclude",
    b"com.apple.metadata:com_apple_backup_excludeItem",
];

/// Extended attributes of one entry that are kept, names and values together, bytes.
const XATTRS_AT_MOST: usize = 1 << 20;

/// Collects attributes; keeps the names of users and groups it met.
pub(super) struct Collector {
    users: Users,
    who: Identity,
    /// Write empty metadata; a link keeps its target.
    skip: bool,
    /// Bytes of the longest blob that can be stored.
    most: u64,
}

/// An entry whose attributes are wanted.
pub(super) struct Subject<'a> {
    pub(super) spot: Spot<'a>,
    /// A file that is open already: its attributes cost less.
    pub(super) open: Option<&'a File>,
    /// As stored, for its name and for messages.
    pub(super) path: &'a Path,
    pub(super) stat: &'a Stat,
    /// Target of a link.
    pub(super) link: Option<&'a [u8]>,
}

impl Subject<'_> {
    fn xattr_names(&self) -> io::Result<Vec<Vec<u8>>> {
        self.open
            .map_or_else(|| self.spot.xattr_names(), sys::xattr_names_of)
    }

    fn xattr(&self, name: &[u8]) -> io::Result<Option<Vec<u8>>> {
        match self.open {
            Some(file) => sys::xattr_of(file, name),
            None => self.spot.xattr(name),
        }
    }
}

/// The metadata of one entry.
pub(super) enum Collected {
    Blob(Vec<u8>),
    /// An extended attribute asks to leave the entry out.
    Excluded,
}

impl Collector {
    /// `most`: bytes of the longest blob that can be stored.
    pub(super) fn new(skip: bool, most: u64) -> Collector {
        Collector {
            users: Users::new(),
            who: Identity::of_process(),
            skip,
            most,
        }
    }

    /// Attributes of an entry. `exclusions`: honour the extended attributes that ask for exclusion. Those that cannot be kept
    /// are warned about.
    pub(super) fn collect(
        &mut self,
        ui: &mut Ui,
        subject: &Subject<'_>,
        exclusions: bool,
    ) -> io::Result<Collected> {
        let &Subject {
            path, stat, link, ..
        } = subject;
        let left_out = |ui: &mut Ui, what: &str, why: &str| {
            let path = text::safe(path.as_os_str().as_encoded_bytes());
            ui.warn("xattr", &format!("cannot keep {what} of {path}: {why}"));
        };
        let mut xattrs = Vec::new();
        if exclusions || !self.skip {
            let names = match subject.xattr_names() {
                Err(e) if e.kind() == io::ErrorKind::NotFound => return Err(e),
                Err(e) => {
                    left_out(ui, "the extended attributes", &io_text(&e));
                    Vec::new()
                }
                Ok(names) => names,
            };
            if exclusions && exclusion(&names).is_some() {
                return Ok(Collected::Excluded);
            }
            if !self.skip {
                xattrs = values(names, &mut |name| subject.xattr(name), &mut |name, why| {
                    let what = format!("the attribute {}", text::safe(name));
                    left_out(ui, &what, why);
                })?;
            }
        }
        if self.skip {
            return Ok(Collected::Blob(bare(link)));
        }
        let hidden = path
            .file_name()
            .is_some_and(|n| n.as_encoded_bytes().starts_with(b"."));
        let created = stat.btime.unwrap_or_else(|| stat.mtime.min(stat.ctime));
        let kind = match stat.kind {
            FileKind::Folder => EntryKind::Folder,
            FileKind::Symlink => EntryKind::Symlink,
            _ => EntryKind::File,
        };
        let link_to_folder = link.is_some()
            && subject
                .spot
                .followed()
                .stat()
                .is_ok_and(|s| s.kind == FileKind::Folder);
        let mut attrs = Attrs {
            xattrs: Vec::new(),
            owner: Some(Owner {
                uid: stat.uid,
                gid: stat.gid,
                mode: stat.mode & 0o777,
            }),
            owner_name: self.users.user_name(stat.uid).map(str::to_owned),
            group_name: self.users.group_name(stat.gid).map(str::to_owned),
            attributes: Some(Attributes::on_linux(
                kind,
                hidden,
                is_read_only(&self.who, stat),
                link_to_folder,
            )),
            modified: Some(ticks_from_unix(stat.mtime.0, stat.mtime.1)),
            created: Some(ticks_from_unix(created.0, created.1)),
            symlink: link.map(<[u8]>::to_vec),
        };
        let bare = attrs.to_blob().len() as u64;
        let Some(room) = self.most.checked_sub(bare) else {
            let path = text::safe(path.as_os_str().as_encoded_bytes());
            let line =
                format!("the metadata of {path} is too large for this block size and is left out");
            ui.warn("metadata-too-large", &line);
            return Ok(Collected::Blob(meta::EMPTY_BLOB.to_vec()));
        };
        attrs.xattrs = fitting(xattrs, room, &mut |name| {
            let what = format!("the attribute {}", text::safe(name));
            let why = "the metadata would be too large for this block size";
            left_out(ui, &what, why);
        });
        Ok(Collected::Blob(attrs.to_blob()))
    }
}

/// The attributes that fit into so many bytes of a blob, in their order: as many as can be, so the largest go first, of which
/// `left_out` is told.
fn fitting(
    xattrs: Vec<(Vec<u8>, Vec<u8>)>,
    mut room: u64,
    left_out: &mut dyn FnMut(&[u8]),
) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut costs: Vec<(u64, usize)> = Vec::with_capacity(xattrs.len());
    for (i, xattr) in xattrs.iter().enumerate() {
        costs.push((meta::xattr_len(xattr), i));
    }
    costs.sort_unstable();
    let mut fits = vec![false; xattrs.len()];
    for (cost, i) in costs {
        if let Some(rest) = room.checked_sub(cost) {
            room = rest;
            fits[i] = true;
        }
    }
    let mut kept = Vec::with_capacity(xattrs.len());
    for (xattr, fits) in xattrs.into_iter().zip(fits) {
        match fits {
            true => kept.push(xattr),
            false => left_out(&xattr.0),
        }
    }
    kept
}

/// The metadata of an entry whose attributes are not kept: as Duplicati, nothing but the target of a link.
pub(super) fn bare(link: Option<&[u8]>) -> Vec<u8> {
    match link {
        None => meta::EMPTY_BLOB.to_vec(),
        Some(target) => Attrs {
            symlink: Some(target.to_vec()),
            ..Attrs::default()
        }
        .to_blob(),
    }
}

/// Whether Duplicati, run by `who`, would call the file read-only.
pub(super) fn is_read_only(who: &Identity, stat: &Stat) -> bool {
    let looker = if who.is(stat.uid) {
        Looker::Owner
    } else if who.is_in(stat.gid) {
        Looker::Member
    } else {
        Looker::Other
    };
    meta::read_only(stat.mode, looker)
}

/// The attribute by which the entry at `spot` asks to be left out.
pub(super) fn asks_for_exclusion(spot: &Spot<'_>) -> Option<String> {
    // Trouble with it is told when the entry is stored.
    exclusion(&spot.xattr_names().ok()?)
}

fn exclusion(names: &[Vec<u8>]) -> Option<String> {
    let name = names.iter().find(|n| EXCLUDE_ME.contains(&n.as_slice()))?;
    Some(text::safe(name))
}

/// Reads the value of an attribute.
type Get<'a> = dyn FnMut(&[u8]) -> io::Result<Option<Vec<u8>>> + 'a;

/// The values of extended attributes, empty ones left out; tells `left_out` of what cannot be kept and why.
fn values(
    names: Vec<Vec<u8>>,
    get: &mut Get<'_>,
    left_out: &mut dyn FnMut(&[u8], &str),
) -> io::Result<Vec<(Vec<u8>, Vec<u8>)>> {
    let mut kept = Vec::new();
    let mut room = XATTRS_AT_MOST;
    for name in names {
        if std::str::from_utf8(&name).is_err() {
            left_out(&name, "its name is not valid UTF-8");
            continue;
        }
        match get(&name) {
            Ok(Some(value)) if !value.is_empty() => {
                match room.checked_sub(name.len() + value.len()) {
                    Some(rest) => {
                        room = rest;
                        kept.push((name, value));
                    }
                    None => left_out(&name, "all together they are larger than 1 MiB"),
                }
            }
            Ok(_) => {}
            // Those of the system that this user may not see; of its own files it may see its own.
            Err(e) if matches!(e.raw_os_error(), Some(libc::EPERM | libc::EACCES)) => {}
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Err(e),
            Err(e) => left_out(&name, &io_text(&e)),
        }
    }
    Ok(kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extended_attributes_that_cannot_be_kept_are_told() {
        let names: Vec<Vec<u8>> = [
            &b"user.\xff"[..],
            b"a",
            b"none",
            b"secret",
            b"torn",
            b"b",
            b"c",
            b"d",
        ]
        .map(<[u8]>::to_vec)
        .to_vec();
        let mut get = |name: &[u8]| match name {
            b"none" => Ok(None),
            b"secret" => Err(io::Error::from_raw_os_error(libc::EACCES)),
            b"torn" => Err(io::Error::from_raw_os_error(libc::EIO)),
            b"c" => Ok(Some(vec![0; XATTRS_AT_MOST])),
            _ => Ok(Some(vec![1; 400_000])),
        };
        let mut told = Vec::new();
        let kept = values(names.clone(), &mut get, &mut |name, _| {
            told.push(name.to_vec())
        });
        let kept: Vec<_> = kept.expect("kept").into_iter().map(|(n, _)| n).collect();
        assert_eq!(kept, [b"a", b"b"]);
        assert_eq!(told, [&b"user.\xff"[..], b"torn", b"c", b"d"]);
        let gone = |_: &[u8]| Err(io::Error::from(io::ErrorKind::NotFound));
        assert!(values(names, &mut { gone }, &mut |_, _| {}).is_err());
    }

    /// Whatever the room, the blob is within it, and no attribute goes that would fit.
    #[test]
    fn as_many_attributes_as_fit_are_kept() {
        let xattrs: Vec<(Vec<u8>, Vec<u8>)> = [("b", 900), ("a\"\u{1}", 40), ("c", 7), ("d", 41)]
            .map(|(name, len)| (name.as_bytes().to_vec(), vec![7; len]))
            .to_vec();
        let mut attrs = Attrs {
            modified: Some(1),
            ..Attrs::default()
        };
        let bare = attrs.to_blob().len();
        let mut counts = Vec::new();
        for room in 0..2000 {
            let mut told = Vec::new();
            let all = xattrs.clone();
            attrs.xattrs = fitting(all, room as u64, &mut |name| told.push(name.to_vec()));
            assert!(attrs.to_blob().len() <= bare + room, "{room}");
            assert_eq!(attrs.xattrs.len() + told.len(), 4);
            let mut sorted = attrs.xattrs.clone();
            sorted.sort_by_key(|x| xattrs.iter().position(|y| x == y));
            assert_eq!(sorted, attrs.xattrs);
            counts.push(told.len());
            if told.len() == 1 {
                assert_eq!(told[0], b"b");
            }
            if told.is_empty() {
                assert_eq!(attrs.to_blob().len(), bare + room, "the first that fits");
                break;
            }
        }
        assert!(counts.is_sorted_by(|a, b| a >= b));
        assert_eq!((counts.first(), counts.last()), (Some(&4), Some(&0)));
    }
}
