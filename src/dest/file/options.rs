//! The options of a folder of this machine (`destinations-core.md` 2).

use crate::base::opt::{Kind, Opt, row};

pub(super) const ALTERNATES: Opt = row(
    "alternate-target-paths",
    Kind::Word,
    "",
    "Further folders to look for the backup in, separated by colons; the path of the URL comes first.",
);
pub(super) const MARKER: Opt = row(
    "alternate-destination-marker",
    Kind::Word,
    "",
    "Name of a file that must be in the folder chosen, such as one on a disk that may not be mounted.",
);
pub(super) const SYNC: Opt = row(
    "file-sync",
    Kind::Flag,
    "true",
    "Flush every volume to the medium before it counts as stored.",
);
pub(super) const MIN_FREE: Opt = row(
    "file-min-free",
    Kind::Size(1 << 20),
    "0",
    "Refuse to store a volume that would leave less space free than this and 1 MiB.",
);
pub(super) const NO_LENGTH: Opt = row(
    "disable-length-verification",
    Kind::Flag,
    "false",
    "Do not check the size of a stored volume.",
);

pub(super) static OPTIONS: &[Opt] = &[
    ALTERNATES,
    MARKER,
    SYNC,
    MIN_FREE,
    NO_LENGTH,
    row(
        "use-move-for-put",
        Kind::Ignored,
        "",
        "No effect: volumes are always copied and renamed into place.",
    ),
    row(
        "disable-filename-sanitation",
        Kind::Ignored,
        "",
        "No effect: names with control characters are never used.",
    ),
    row(
        "auth-username",
        Kind::Ignored,
        "",
        "No effect on local folders.",
    ),
    row(
        "auth-password",
        Kind::Secret,
        "",
        "No effect on local folders.",
    ),
    row(
        "force-smb-authentication",
        Kind::Ignored,
        "",
        "No effect on local folders.",
    ),
];
