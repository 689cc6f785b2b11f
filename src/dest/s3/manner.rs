//! What tells the schemes on the S3 client from one another: their words for messages, and what their service does otherwise
//! than S3 (`destinations-more.md` 2.13).

use crate::base::secret::Secret;
use crate::net::sigv4::Keys;

/// How a listing is asked for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Version {
    /// Version 2 until the server turns out not to know it.
    Auto,
    V1,
    V2,
}

/// How a scheme differs from others.
pub(crate) struct Manner {
    /// For messages: the options that name server, user, secret and storage class, and what names the bucket.
    pub(crate) server: &'static str,
    pub(crate) user: &'static str,
    pub(crate) secret: &'static str,
    pub(crate) class: &'static str,
    pub(crate) bucket: &'static str,
    /// As the cause of a bucket that is missing, which may name it as `{bucket}`.
    pub(crate) missing: &'static str,
    /// Storage classes, in upper case, whose files cannot be read at once, unless an option names them.
    pub(crate) cold: &'static str,
    /// The request that makes a bucket names its region.
    pub(crate) names_region: bool,
    /// Is known to heed `If-None-Match`, or to refuse it.
    pub(crate) conditional: bool,
    /// How a listing begins where no option says it.
    pub(crate) version: Version,
    /// Who else reads what is not encrypted before it is sent; empty for nobody but the service.
    pub(crate) reader: &'static str,
}

/// `s3` and `e2`.
pub(crate) static S3: Manner = Manner {
    server: "--s3-server-name",
    user: "--auth-username",
    secret: "--auth-password",
    class: "--s3-storage-class",
    bucket: "the bucket name in the URL",
    missing: "the bucket name in s3://{bucket}",
    cold: "",
    names_region: true,
    conditional: true,
    version: Version::Auto,
    reader: "",
};

/// What URL and options of a scheme come to.
pub(crate) struct Given {
    pub(crate) manner: &'static Manner,
    pub(crate) bucket: String,
    /// As it was given: white space around it is not part of it.
    pub(crate) folder: String,
    /// Host, with port and scheme as far as they were given.
    pub(crate) server: String,
    /// TLS, where neither that nor an option says it.
    pub(crate) tls: bool,
    /// The region, where it is told beside the server and `s3-authentication-region`.
    pub(crate) region: Option<String>,
    /// As given, for making the bucket.
    pub(crate) location: String,
    /// Storage class of what is uploaded.
    pub(crate) class: Option<String>,
    pub(crate) keys: (Keys, Option<Secret>),
}
