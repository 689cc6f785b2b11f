//! May a backup begin here? A destination that held versions is not a new one when it is suddenly empty (a disk that is not
//! mounted), and a folder full of other files is hardly meant for volumes (sources and destination changed places).

use crate::base::error::{Error, Kind, Result};
use crate::base::text;
use crate::base::time::Timestamp;
use crate::format::names::VolumeName;
use crate::set::Set;

/// What earlier runs saw at the destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Remembered {
    pub(crate) versions: u64,
    /// When they were seen last.
    pub(crate) at: Timestamp,
    /// They were encrypted.
    pub(crate) sealed: bool,
}

impl Remembered {
    /// `it held 6 versions on 2026-03-01 12:00:00`.
    pub(super) fn line(self) -> String {
        let count = text::count(self.versions, "version");
        format!("it held {count} on {}", self.at.local())
    }
}

/// Files and folders in the destination that have nothing to do with backups.
#[derive(Default)]
pub(crate) struct Foreign {
    count: u64,
    /// The first one, safe to print.
    first: String,
}

/// Names that file systems and servers put into a folder by themselves; whatever begins with a dot counts as such, too.
const NOBODYS: &[&str] = &[
    "lost+found",
    "system volume information",
    "$recycle.bin",
    "recycler",
    "desktop.ini",
    "thumbs.db",
    "@eadir",
    "#recycle",
    "@recycle",
    "cachedir.tag",
];

impl Foreign {
    /// Looks at a name of the listing that is no volume of the prefix.
    pub(super) fn add(&mut self, name: &str) {
        let lower = name.to_ascii_lowercase();
        let copy = [".dblock.", ".dindex.", ".dlist.", "-verification.json"];
        let ours = VolumeName::parse_any_case(name).is_some()
            || copy.iter().any(|part| lower.contains(part))
            || lower.starts_with(['.', '~'])
            || NOBODYS.contains(&lower.as_str());
        if ours {
            return;
        }
        if self.count == 0 {
            self.first = text::safe_cut(name.as_bytes(), 60);
        }
        self.count += 1;
    }
}

/// Where a backup may begin that would else be refused.
#[derive(Clone, Copy, Default)]
pub(crate) struct Begin {
    /// Where versions have vanished, and beside other files.
    pub(crate) anew: bool,
    /// Beside other files.
    pub(crate) any_folder: bool,
}

/// Refuses to begin a backup in a destination without volumes where none should begin.
///
/// `sealing`: a passphrase is named. Nothing encrypted can be added to a plain backup, so that where a plain one was, another
/// one is meant.
pub(super) fn check(set: &Set, begin: Begin, sealing: bool) -> Result<()> {
    let remote = &set.remote;
    let doing = || format!("begin a backup in {}", remote.describe());
    if let Some(seen) = set
        .cache
        .remembered()
        .filter(|seen| !begin.anew && (seen.sealed || !sealing))
    {
        let now = if set.folder_exists {
            "is empty now"
        } else {
            "is gone"
        };
        return Err(
            Error::new(Kind::Missing, format!("{} and {now}", seen.line()))
                .doing(doing())
                .hint("is the disk mounted, is the URL right? --new-backup begins anew"),
        );
    }
    let foreign = &set.strays.foreign;
    if foreign.count > 0 && !begin.anew && !begin.any_folder {
        let others = text::count(foreign.count, "other entry");
        return Err(Error::usage(format!(
            "it holds no backup but {others}, such as {}",
            foreign.first
        ))
        .doing(doing())
        .hint(
            "the destination comes first, then the sources; name a folder of its own, or give --new-backup to begin one here",
        ));
    }
    if !set.folder_exists && !remote.makes_folders() {
        return Err(Error::new(Kind::Missing, "it does not exist")
            .doing(doing())
            .hint("--disable-autocreate-folder is given; 'duplet remote mkdir URL' makes it"));
    }
    Ok(())
}

/// Refuses to go on in silence where volumes are left but the lists of all versions are gone: without them nothing can be
/// restored any more, and a new version would hide that.
pub(super) fn check_versions(set: &Set, begin: Begin) -> Result<()> {
    let Some(seen) = set.cache.remembered().filter(|_| !begin.anew) else {
        return Ok(());
    };
    let remote = &set.remote;
    Err(Error::new(
        Kind::Missing,
        format!("{} and holds the list of none now", seen.line()),
    )
    .doing(format!("begin a backup in {}", remote.describe()))
    .hint("put the dlist volumes back if there is a copy of them; --new-backup begins anew and uses the data that is left"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_about_by_itself_is_not_foreign() {
        for (name, counts) in [
            ("photo.jpg", 1),
            ("Documents", 1),
            ("duplicati.conf", 1),
            ("lost+found", 0),
            ("$RECYCLE.BIN", 0),
            ("System Volume Information", 0),
            (".Trash-1000", 0),
            (".stfolder", 0),
            ("~lock", 0),
            ("@eaDir", 0),
            ("duplicati-20260101T000000Z.dlist.zip", 0),
            ("box2-20260101T000000Z.dlist.zip.aes", 0),
            ("Copy of duplicati-20260101T000000Z.dlist.zip.aes", 0),
            ("duplicati-b0123.dblock.zip.part", 0),
            ("duplicati-verification.json", 0),
        ] {
            let mut foreign = Foreign::default();
            foreign.add(name);
            assert_eq!(foreign.count, counts, "{name}");
        }
    }
}
