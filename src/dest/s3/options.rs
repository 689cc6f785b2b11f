//! The options of the `s3` scheme (`destinations-core.md` 3.1).

use crate::base::opt::{Kind, Opt, Part, row};

pub(crate) const KEY_ID: Opt = Opt {
    aliases: &["access_key_id", "aws_access_key_id"],
    ..row(
        "aws-access-key-id",
        Kind::Text,
        "",
        "Access key id; also auth-username, the URL, or AWS_ACCESS_KEY_ID.",
    )
    .of_login(Part::User, "AWS_ACCESS_KEY_ID")
};
pub(crate) const SECRET: Opt = Opt {
    aliases: &[
        "access_key_secret",
        "access_secret_key",
        "aws_secret_access_key",
    ],
    ..row(
        "aws-secret-access-key",
        Kind::Secret,
        "",
        "Secret access key; also auth-password, the URL, or AWS_SECRET_ACCESS_KEY.",
    )
    .of_login(Part::Password, "AWS_SECRET_ACCESS_KEY")
};
pub(crate) const TOKEN: Opt = row(
    "aws-session-token",
    Kind::Secret,
    "",
    "Session token of temporary credentials; also AWS_SESSION_TOKEN.",
)
.of_login(Part::Session, "AWS_SESSION_TOKEN");
pub(crate) const SERVER: Opt = Opt {
    aliases: &["s3-servername"],
    ..row(
        "s3-server-name",
        Kind::Word,
        "",
        "Host (with port if needed) of the S3 service; s3.amazonaws.com without it.",
    )
};
pub(crate) const LOCATION: Opt = row(
    "s3-location-constraint",
    Kind::Text,
    "",
    "Region in which a bucket is made; picks the host of Amazon's regions.",
);
pub(crate) const REGION: Opt = row(
    "s3-authentication-region",
    Kind::Text,
    "",
    "Region to sign for, where it cannot be told from the host name.",
);
pub(crate) const STORAGE_CLASS: Opt = row(
    "s3-storage-class",
    Kind::Text,
    "",
    "Storage class of uploaded files.",
);
pub(crate) const REDUCED: Opt = row(
    "s3-use-rrs",
    Kind::Flag,
    "",
    "The same as --s3-storage-class=REDUCED_REDUNDANCY, by its name in old versions of Duplicati.",
);
pub(crate) const EUROPEAN: Opt = row(
    "s3-european-buckets",
    Kind::Flag,
    "",
    "The same as --s3-location-constraint=EU, by its name in old versions of Duplicati.",
);
pub(crate) const LOCK_MODE: Opt = row(
    "s3-lock-mode",
    Kind::Choice(&["governance", "compliance"]),
    "governance",
    "Accepted for Duplicati's sake; file locks are not set.",
);
pub(crate) const ARCHIVE_CLASSES: Opt = row(
    "s3-archive-classes",
    Kind::Text,
    "DEEP_ARCHIVE,GLACIER,GLACIER_IR,SNOW",
    "Storage classes whose files cannot be read at once.",
);
pub(crate) const CLIENT: Opt = row(
    "s3-client",
    Kind::Choice(&["aws", "minio"]),
    "aws",
    "Accepted for Duplicati's sake; both words mean the same client.",
);
pub(crate) const UNSIGNED_PAYLOAD: Opt = row(
    "s3-disable-payload-signing",
    Kind::Flag,
    "",
    "Do not sign upload bodies; only over TLS.",
);
pub(crate) const LIST_VERSION: Opt = Opt {
    aliases: &["list-api-version"],
    ..row(
        "s3-list-api-version",
        Kind::Choice(&["auto", "v1", "v2"]),
        "auto",
        "Version of the listing request.",
    )
};
pub(crate) const RECURSIVE: Opt = row(
    "s3-recursive-list",
    Kind::Flag,
    "",
    "List without a delimiter, for servers that need it.",
);
pub(crate) const PATH_STYLE: Opt = row(
    "s3-ext-forcepathstyle",
    Kind::Flag,
    "",
    "Put the bucket into the path (true) or the host name (false); chosen by host without it.",
);
pub(crate) const DUALSTACK: Opt = Opt {
    aliases: &["s3-ext-usedualstackendpoint"],
    ..row(
        "s3-dualstack",
        Kind::Flag,
        "",
        "Use Amazon's hosts that also speak IPv6.",
    )
};
pub(crate) const CHECKSUM: Opt = row(
    "s3-checksum",
    Kind::Choice(&["none", "sha256"]),
    "none",
    "Additional checksum header to send with uploads.",
);
pub(crate) const MULTIPART_FROM: Opt = row(
    "s3-multipart-threshold",
    Kind::Size(1 << 20),
    "1gb",
    "Files larger than this are sent in parts.",
);
pub(crate) const PART_SIZE: Opt = row(
    "s3-part-size",
    Kind::Size(1 << 20),
    "64mb",
    "Size of a part; at least 5 MiB.",
);

/// A table of a scheme's own options and those of the client that all schemes on it have.
macro_rules! on_client {
    ($($own:expr),* $(,)?) => {
        &[
            $($own,)*
            $crate::net::opts::USE_SSL,
            TOKEN,
            REGION,
            ARCHIVE_CLASSES,
            UNSIGNED_PAYLOAD,
            LIST_VERSION,
            RECURSIVE,
            PATH_STYLE,
            CHECKSUM,
            MULTIPART_FROM,
            PART_SIZE,
        ]
    };
}

pub(super) use on_client;

/// Every option of the `s3` scheme.
pub(crate) static OPTIONS: &[Opt] = on_client![
    KEY_ID,
    SECRET,
    SERVER,
    LOCATION,
    EUROPEAN,
    STORAGE_CLASS,
    REDUCED,
    CLIENT,
    DUALSTACK,
    LOCK_MODE,
    row("s3-disable-chunk-encoding", Kind::Ignored, "", "No effect."),
    row("s3-ext-*", Kind::Ignored, "", "No effect."),
];
