//! [`Attributes`]: the file attributes of .NET, by name and by number.

use std::fmt;

use crate::format::filelist::EntryKind;

/// File attributes as .NET counts them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Attributes(pub(crate) u32);

impl Attributes {
    pub(crate) const READ_ONLY: u32 = 1;
    pub(crate) const HIDDEN: u32 = 2;
    pub(crate) const DIRECTORY: u32 = 16;
    pub(crate) const NORMAL: u32 = 128;
    pub(crate) const REPARSE_POINT: u32 = 1024;

    /// What .NET sees on Linux. `dot_name`: the last part of the path starts with a dot; `read_only`: by [`read_only`];
    /// `to_folder`: a link whose target is a folder.
    pub(crate) fn on_linux(
        kind: EntryKind,
        dot_name: bool,
        read_only: bool,
        to_folder: bool,
    ) -> Attributes {
        let is_link = kind == EntryKind::Symlink;
        let mut bits = 0;
        for (there, bit) in [
            (read_only, Self::READ_ONLY),
            (dot_name, Self::HIDDEN),
            (
                kind == EntryKind::Folder || is_link && to_folder,
                Self::DIRECTORY,
            ),
            (is_link, Self::REPARSE_POINT),
        ] {
            if there {
                bits |= bit;
            }
        }
        Attributes(if bits == 0 { Self::NORMAL } else { bits })
    }

    /// Names joined by `, `, or a decimal number; `None` for anything else.
    pub(super) fn parse(text: &str) -> Option<Attributes> {
        if let Ok(bits) = text.trim().parse::<u32>() {
            return Some(Attributes(bits));
        }
        let mut bits = 0;
        for word in text.split(',') {
            let word = word.trim();
            bits |= NAMES.iter().find(|(_, name)| *name == word)?.0;
        }
        Some(Attributes(bits))
    }
}

/// Who looks at a file: what decides which of its three classes counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Looker {
    /// The effective user owns the file.
    Owner,
    /// Not so, but the effective group or a supplementary one is the file's.
    Member,
    Other,
}

/// Whether .NET calls a file of this mode read-only (`format.md` 11, .NET's `FileStatus.IsModeReadOnlyCore`): a class is when
/// it may read and not write; where the three classes differ, the one of the looker decides. That root may do everything
/// counts for nothing.
pub(crate) fn read_only(mode: u32, looker: Looker) -> bool {
    let class = |shift: u32| (mode >> shift) & 0o6 == 0o4;
    let (owner, group, others) = (class(6), class(3), class(0));
    if owner == group && group == others {
        return owner;
    }
    match looker {
        Looker::Owner => owner,
        Looker::Member => group,
        Looker::Other => others,
    }
}

/// Every attribute with a name, in the order of printing.
const NAMES: [(u32, &str); 16] = [
    (Attributes::READ_ONLY, "ReadOnly"),
    (Attributes::HIDDEN, "Hidden"),
    (4, "System"),
    (Attributes::DIRECTORY, "Directory"),
    (32, "Archive"),
    (64, "Device"),
    (Attributes::NORMAL, "Normal"),
    (256, "Temporary"),
    (512, "SparseFile"),
    (Attributes::REPARSE_POINT, "ReparsePoint"),
    (2048, "Compressed"),
    (4096, "Offline"),
    (8192, "NotContentIndexed"),
    (16384, "Encrypted"),
    (32768, "IntegrityStream"),
    (131_072, "NoScrubData"),
];

impl fmt::Display for Attributes {
    /// Names in ascending order of bits; a number when a bit has no name, or none is set.
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let known = NAMES.iter().fold(0, |all, (bit, _)| all | bit);
        if self.0 == 0 || self.0 & !known != 0 {
            return write!(f, "{}", self.0);
        }
        let mut separator = "";
        for (_, name) in NAMES.iter().filter(|(bit, _)| self.0 & bit != 0) {
            write!(f, "{separator}{name}")?;
            separator = ", ";
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_on_linux() {
        use EntryKind::{File, Folder, Symlink};
        for (kind, dot, read_only, to_folder, want) in [
            (File, false, false, false, "Normal"),
            (File, false, false, true, "Normal"),
            (File, true, false, false, "Hidden"),
            (File, false, true, false, "ReadOnly"),
            (File, true, true, false, "ReadOnly, Hidden"),
            (Folder, false, false, false, "Directory"),
            (Folder, true, false, false, "Hidden, Directory"),
            (Folder, true, true, false, "ReadOnly, Hidden, Directory"),
            (Symlink, false, false, false, "ReparsePoint"),
            (Symlink, false, false, true, "Directory, ReparsePoint"),
            (Symlink, true, false, false, "Hidden, ReparsePoint"),
        ] {
            let a = Attributes::on_linux(kind, dot, read_only, to_folder);
            assert_eq!(a.to_string(), want);
            assert_eq!(Attributes::parse(want), Some(a));
        }
    }

    /// One row a looker; in it the reading and writing of owner, group and others, each counted `--`, `-w`, `r-`, `rw`, the
    /// last one fastest: `R` is read-only.
    const READ_ONLY: [(Looker, &str); 3] = [
        (
            Looker::Owner,
            "................ ................ RRRRRRRRRRRRRRRR ................",
        ),
        (
            Looker::Member,
            "........RRRR.... ........RRRR.... ........RRRR.... ........RRRR....",
        ),
        (
            Looker::Other,
            "..R...R...R...R. ..R...R...R...R. ..R...R...R...R. ..R...R...R...R.",
        ),
    ];

    #[test]
    fn read_only_is_what_duplicati_finds_for_every_mode_and_looker() {
        let mut tried = 0;
        for (looker, row) in READ_ONLY {
            let row: Vec<char> = row.chars().filter(|c| *c != ' ').collect();
            assert_eq!(row.len(), 64);
            // Set-id, sticky and the right to execute do not matter.
            for mode in 0..0o10000 {
                let class = |shift: u32| ((mode >> shift) & 0o6) as usize / 2;
                let want = row[16 * class(6) + 4 * class(3) + class(0)] == 'R';
                assert_eq!(read_only(mode, looker), want, "{mode:o} {looker:?}");
                tried += 1;
            }
        }
        assert_eq!(tried, 3 * 4096);
        // What a real run gave: root and a file of another user, a file that nobody may use.
        assert!(read_only(0o644, Looker::Other) && !read_only(0, Looker::Owner));
    }

    #[test]
    fn attributes_by_name_and_number() {
        for (input, bits) in [
            ("32", Some(32)),
            ("Archive,NotContentIndexed", Some(8224)),
            ("NoScrubData", Some(131_072)),
            ("0", Some(0)),
            ("", None),
            ("-1", None),
            ("archive", None),
            ("Normal, Nonsense", None),
        ] {
            assert_eq!(Attributes::parse(input).map(|a| a.0), bits, "{input}");
        }
        assert_eq!(Attributes(0).to_string(), "0");
        assert_eq!(Attributes(65_536 + 1).to_string(), "65537");
    }
}
