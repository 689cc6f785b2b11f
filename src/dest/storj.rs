//! The options of Storj (`destinations-more.md` 2.13) by Duplicati's names, those of the time when it was Tardigrade too, for
//! the S3 client and for rclone.

use crate::base::opt::{Kind, Opt, Part, row};

pub(crate) const METHOD: Opt = Opt {
    aliases: &["tardigrade-auth-method"],
    ..row(
        "storj-auth-method",
        Kind::Choice(&["API key", "Access grant"]),
        "API key",
        "How to log in to Storj.",
    )
};
pub(crate) const SATELLITE: Opt = Opt {
    aliases: &["tardigrade-satellite"],
    ..row(
        "storj-satellite",
        Kind::Text,
        "us1.storj.io:7777",
        "Satellite of the Storj account, for an API key.",
    )
};
pub(crate) const KEY: Opt = Opt {
    aliases: &["tardigrade-api-key"],
    ..row("storj-api-key", Kind::Secret, "", "API key of Storj.")
};
pub(crate) const SECRET: Opt = Opt {
    aliases: &["tardigrade-secret"],
    ..row(
        "storj-secret",
        Kind::Secret,
        "",
        "Encryption passphrase of Storj, for an API key.",
    )
};
pub(crate) const GRANT: Opt = Opt {
    aliases: &["tardigrade-shared-access"],
    ..row(
        "storj-shared-access",
        Kind::Secret,
        "",
        "Access grant of Storj; also from STORJ_ACCESS.",
    )
    .of_login(Part::Password, "STORJ_ACCESS")
};
pub(crate) const BUCKET: Opt = Opt {
    aliases: &["tardigrade-bucket"],
    ..row("storj-bucket", Kind::Text, "duplicati", "Bucket at Storj.")
};
pub(crate) const FOLDER: Opt = Opt {
    aliases: &["tardigrade-folder"],
    ..row(
        "storj-folder",
        Kind::Text,
        "",
        "Folder in the bucket at Storj.",
    )
};
