//! What the file system says of an entry → the metadata blob that Duplicati would write (`format.md` 11).

use std::io;
use std::path::Path;

use crate::base::sys::{self, FileKind, Stat, Users};
use crate::base::time::ticks_from_unix;
use crate::format::filelist::EntryKind;
use crate::format::meta::{self, Attributes, Attrs, Owner};

/// Extended attributes that ask to be left out of backups (`commands.md` 5.1).
const EXCLUDE_ME: [&[u8]; 3] = [
    b"user.duplicati.exclude",
    b"duplicati.exclude",
    b"com.apple.metadata:com_apple_backup_excludeItem",
];

/// Collects attributes; keeps the names of users and groups it met.
pub(super) struct Collector {
    users: Users,
    /// Honour the exclusion attributes.
    pub(super) exclusions: bool,
    /// Write empty metadata.
    pub(super) skip: bool,
}

/// The metadata of one entry.
pub(super) enum Collected {
    Blob(Vec<u8>),
    /// An extended attribute asks to leave the entry out.
    Excluded,
}

impl Collector {
    pub(super) fn new(exclusions: bool, skip: bool) -> Collector {
        Collector {
            users: Users::new(),
            exclusions,
            skip,
        }
    }

    /// Attributes of the entry at `path`, which `stat` describes; a link is not followed. `link` is the target of a link.
    pub(super) fn collect(
        &mut self,
        path: &Path,
        stat: &Stat,
        link: Option<&[u8]>,
    ) -> io::Result<Collected> {
        let mut xattrs = Vec::new();
        for name in sys::xattr_list(path)? {
            if self.exclusions && EXCLUDE_ME.contains(&name.as_slice()) {
                return Ok(Collected::Excluded);
            }
            if self.skip || std::str::from_utf8(&name).is_err() {
                continue;
            }
            match sys::xattr_get(path, &name) {
                Ok(Some(value)) if !value.is_empty() => xattrs.push((name, value)),
                Ok(_) => {}
                Err(e) if matches!(e.raw_os_error(), Some(libc::EPERM | libc::EACCES)) => {}
                Err(e) => return Err(e),
            }
        }
        if self.skip {
            return Ok(Collected::Blob(meta::EMPTY_BLOB.to_vec()));
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
        let link_to_folder = link.is_some() && std::fs::metadata(path).is_ok_and(|m| m.is_dir());
        let attrs = Attrs {
            xattrs,
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
                stat.mode & 0o222 != 0,
                link_to_folder,
            )),
            modified: Some(ticks_from_unix(stat.mtime.0, stat.mtime.1)),
            created: Some(ticks_from_unix(created.0, created.1)),
            symlink: link.map(<[u8]>::to_vec),
        };
        Ok(Collected::Blob(attrs.to_blob()))
    }
}
