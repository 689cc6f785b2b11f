//! Destinations: one file or folder a scheme, all behind [`Destination`].
//!
//! A destination maps its protocol to these methods and to [`Fault`]. It does not retry, sleep, print, redact, throttle or
//! know what a volume is; `remote` does that once for all of them.

#[cfg(feature = "dest-azure")]
mod azure;
#[cfg(feature = "dest-b2")]
mod b2;
#[cfg(feature = "dest-drimecloud")]
mod bedrive;
#[cfg(feature = "dest-box")]
mod boxcom;
#[cfg(any(feature = "dest-ftp", feature = "dest-ssh"))]
mod coming;
#[cfg(feature = "dest-dropbox")]
mod dropbox;
#[cfg(feature = "dest-duplicati")]
mod duplicati;
#[cfg(feature = "dest-file")]
mod file;
#[cfg(feature = "dest-filen")]
mod filen;
#[cfg(any(feature = "dest-ftp", feature = "dest-ssh"))]
mod folders;
#[cfg(feature = "dest-ftp")]
mod ftp;
#[cfg(feature = "dest-gcs")]
mod gcs;
#[cfg(feature = "dest-googledrive")]
mod googledrive;
#[cfg(feature = "dest-ipfs")]
mod ipfs;
#[cfg(feature = "dest-jottacloud")]
mod jottacloud;
pub(crate) mod known;
#[cfg(feature = "oauth")]
pub(crate) mod logins;
#[cfg(any(
    feature = "dest-azure",
    feature = "dest-box",
    feature = "dest-drimecloud",
    feature = "dest-dropbox",
    feature = "dest-filen",
    feature = "dest-duplicati",
    feature = "dest-gcs",
    feature = "dest-googledrive",
    feature = "dest-jottacloud",
    feature = "dest-openstack",
    feature = "dest-pcloud",
    feature = "dest-tahoe"
))]
mod objects;
#[cfg(feature = "dest-onedrive")]
mod onedrive;
#[cfg(feature = "dest-openstack")]
mod openstack;
#[cfg(feature = "dest-pcloud")]
mod pcloud;
#[cfg(feature = "dest-rclone")]
mod rclone;
#[cfg(feature = "dest-s3")]
mod s3;
#[cfg(any(feature = "dest-ftp", feature = "dest-ssh"))]
mod sailing;
#[cfg(feature = "dest-ssh")]
mod ssh;
#[cfg(any(feature = "dest-rclone", feature = "dest-storj"))]
mod storj;
#[cfg(feature = "dest-tahoe")]
mod tahoe;
#[cfg(feature = "dest-webdav")]
mod webdav;

#[cfg(all(feature = "fuzz", feature = "dest-b2"))]
pub(crate) use b2::fuzz_account;
#[cfg(all(feature = "fuzz", feature = "dest-ftp"))]
pub(crate) use ftp::fuzz as fuzz_ftp;
#[cfg(feature = "dest-ssh")]
pub(crate) use ssh::answer as answer_ssh;
#[cfg(all(feature = "fuzz", feature = "dest-ssh"))]
pub(crate) use ssh::fuzz as fuzz_sftp;
#[cfg(all(feature = "fuzz", feature = "dest-webdav"))]
pub(crate) use webdav::fuzz_multistatus;

pub(crate) use crate::base::digest::WantedDigests;
use std::fs::File;

use crate::base::error::Result;
use crate::base::fault::{Class, Done, Fault};
use crate::base::opt::{Kind, Opt, Options, row};
use crate::net::url::DestUrl;

pub(crate) use crate::base::transfer::{
    Body, FLIES, Flight, GetFacts, Incoming, Sink, Span, look_at,
};

/// One listed or examined file.
#[derive(Default)]
pub(crate) struct RemoteFile {
    /// As the server says it: hostile until `remote` has checked it.
    pub(crate) name: String,
    /// Bytes; `None` when the server does not say.
    pub(crate) size: Option<u64>,
    /// Seconds since 1970, if known.
    pub(crate) modified: Option<i64>,
    pub(crate) is_folder: bool,
    /// In cold storage: cannot be read now.
    pub(crate) is_archived: bool,
}

/// What a listing tells its caller.
pub(crate) enum Listed {
    Entry(RemoteFile),
    /// Forget all entries so far: the listing starts again.
    Restart,
}

/// What can be relied on at a destination.
#[derive(Clone, Copy)]
pub(crate) struct About {
    /// Digests of uploads: those of a volume are made while it is written, as the destination is known to want them then; what
    /// is missing is made before the upload.
    pub(crate) wants: WantedDigests,
    /// False when an interrupted upload can leave a partial file under its final name.
    pub(crate) atomic_put: bool,
    /// `put` itself keeps a body that must be new from replacing a file; else `remote` looks before.
    pub(crate) refuses_to_replace: bool,
    /// A completed `put` needs no extra look to know that the file arrived whole.
    pub(crate) put_is_proof: bool,
    /// Nothing can be written there, whatever the credentials: what can be done instead.
    pub(crate) read_only: Option<&'static str>,
    /// The server sends a listing of the names that begin with a given text, and no others: less than a whole one.
    pub(crate) limits_lists: bool,
}

impl Default for About {
    fn default() -> About {
        About {
            wants: WantedDigests::default(),
            atomic_put: true,
            refuses_to_replace: false,
            put_is_proof: false,
            read_only: None,
            limits_lists: false,
        }
    }
}

/// Calls that a service bills, by its classes: name in reports and number; no name where there are none.
pub(crate) type Billed = [(&'static str, u64); 3];

/// What a destination has to say.
#[derive(Default)]
pub(crate) struct Said {
    /// Each is worth a line.
    pub(crate) notices: Vec<String>,
    /// Each is worth a line to who asks for more (`-v`).
    pub(crate) details: Vec<String>,
    /// What went wrong without spoiling the operation.
    pub(crate) warnings: Vec<String>,
    /// Requests sent so far, all of them; `None` where operations are no requests.
    pub(crate) requests: Option<u64>,
    pub(crate) billed: Billed,
}

/// Free and total space, as far as known.
#[derive(Clone, Copy, Default)]
pub(crate) struct Quota {
    pub(crate) total: Option<u64>,
    pub(crate) free: Option<u64>,
}

/// Something a person or a script should know after a run, such as the address of what was written.
pub(crate) struct Fact {
    /// In words.
    pub(crate) name: &'static str,
    /// For `--json`.
    pub(crate) key: &'static str,
    pub(crate) value: String,
}

/// One flat folder of files on some server. One object, one thread, blocking. Semantics: `destinations-core.md` 0.
pub(crate) trait Destination {
    /// Every file directly in the folder whose name begins with `start` (all of them if that is empty), or an error: never a
    /// part. Others may come, too: a server that can limit a listing is asked to, of any other all files are passed on.
    /// Streams; a name may come twice; order unspecified.
    fn list(&mut self, start: &str, each: &mut dyn FnMut(Listed) -> Done<()>) -> Done<()>;

    /// Cheapest exact look-up; `NotFound` when absent.
    fn stat(&mut self, name: &str) -> Done<RemoteFile>;

    /// The bytes of a span of a file into `into`, as far as the file has them; one attempt. A server that cannot send parts
    /// sends the file from its start: `into.restart()`, then that. Nothing after the span is passed on, nor waited for.
    fn get(&mut self, name: &str, span: Span, into: &mut dyn Sink) -> Done<GetFacts>;

    /// A file of this machine, open for reading, of which any part can be read, and read again, at no cost but its bytes'. `None`
    /// where it has to be fetched, or [`Destination::get`] can tell why it cannot be read.
    fn at_hand(&mut self, _name: &str) -> Option<File> {
        None
    }

    /// Stores the body under `name`, replacing a file of that name; one attempt. A body that [is new](Body::is_new) replaces
    /// nothing, where [`About::refuses_to_replace`]. May leave a whole, a partial or no file when
    /// it fails; `remote` settles which.
    fn put(&mut self, name: &str, body: &mut dyn Body) -> Done<()>;

    /// A file without a name in which a volume of at most `bytes` bytes can come to be, `sealed` if it is encrypted: a
    /// [`Destination::put`] of it then copies nothing. `None` where there is no such file, or no room for so much.
    fn unnamed_file(&mut self, _bytes: u64, _sealed: bool) -> Option<File> {
        None
    }

    /// Sends a body that may replace a file on its way, where one request is all that [`Destination::put`] would make of it: its
    /// first bytes go out when the flight is advanced. The next `put` of this name takes what it came to as the answer to that
    /// request, whatever it is, and does the rest. `None` where that cannot be, and nothing happened then.
    fn launch(&mut self, _name: &str, _body: &mut dyn Body) -> Option<Box<dyn Flight>> {
        None
    }

    /// [`Destination::get`] gives what follows the head of a reply to a sink that takes it [later](Sink::later): so a file can be
    /// asked for before there is time to read it.
    fn can_be_asked_ahead(&self) -> bool {
        false
    }

    /// Removes a file; a missing one is success.
    fn delete(&mut self, name: &str) -> Done<()>;

    /// Makes the folder (recursively where the protocol has folders); existing is success.
    fn create_folder(&mut self) -> Done<()>;

    /// `scheme://host/path` without user, query or secrets.
    fn describe(&self) -> String;

    /// Which folder of which server this is: the same text for every call that means it, another for any other. No secret.
    fn place(&self) -> String {
        self.describe()
    }

    /// Who logs in there, however that was given; empty for nobody. No secret.
    fn account(&self) -> String {
        String::new()
    }

    /// The folder itself when it is one of this machine, so that a backup of it into itself can be refused.
    fn local_folder(&self) -> Option<std::path::PathBuf> {
        None
    }

    /// What can be relied on; may change in the course of a run.
    fn about(&self) -> About {
        About::default()
    }

    /// What was noticed since the last call, and what was done so far; asked after every operation.
    fn said(&mut self) -> Said {
        Said::default()
    }

    /// End of a run that changed something: what the person should know of the result.
    fn finish(&mut self) -> Done<Vec<Fact>> {
        Ok(Vec::new())
    }

    /// What the next run against this destination may begin with, as it cannot be told from URL and options: one short line,
    /// no secret.
    fn learnt(&self) -> Option<String> {
        None
    }

    /// Takes up what an earlier run has [`Destination::learnt`]; only a guess, and perhaps of another server.
    fn recall(&mut self, _learnt: &str) {}

    /// Ends the uploads in parts of files whose names begin with `start` that were begun before a time (Unix seconds) and
    /// never came to an end: no listing shows them, and they are paid for. How many.
    fn end_unfinished(&mut self, _start: &str, _before: i64) -> Done<u64> {
        Ok(0)
    }

    /// Best effort; never fails a run.
    fn quota(&mut self) -> Done<Quota> {
        Err(Fault::new(
            Class::Unsupported,
            "the destination does not tell its free space",
        ))
    }
}

/// One scheme of the registry.
pub(crate) struct Scheme {
    /// URL schemes, first the canonical one.
    pub(crate) names: &'static [&'static str],
    /// One line for help.
    pub(crate) help: &'static str,
    /// Options of this destination, valid on the command line and in the URL query.
    pub(crate) options: &'static [Opt],
    /// Validates only; no network.
    pub(crate) open: fn(&DestUrl, &Options) -> Result<Box<dyn Destination>>,
}

/// Goes by rclone where a destination has a way of its own.
#[cfg(feature = "dest-rclone")]
pub(crate) const THROUGH: Opt = row(
    "through",
    Kind::Choice(&["rclone"]),
    "",
    "Let an rclone on this machine carry a destination that has a way of its own: rclone.",
);

/// Opens a destination; validates only, no network.
pub(crate) fn open(
    scheme: &Scheme,
    url: &DestUrl,
    options: &Options,
) -> Result<Box<dyn Destination>> {
    #[cfg(feature = "dest-rclone")]
    if options.choice(&THROUGH).is_some() && url.scheme != "rclone" {
        return rclone::carry(url, options);
    }
    (scheme.open)(url, options)
}

/// The options that a URL may have beside its destination's own where it has those of these names: of what carries it.
pub(crate) fn of_carrier<'a>(mut names: impl Iterator<Item = &'a str>) -> &'static [Opt] {
    #[cfg(feature = "dest-rclone")]
    if names.any(|name| name == THROUGH.name) {
        return rclone::SCHEME.options;
    }
    let _ = names.next();
    &[]
}

/// The destinations compiled in.
pub(crate) static SCHEMES: &[&Scheme] = &[
    #[cfg(feature = "dest-file")]
    &file::SCHEME,
    #[cfg(feature = "dest-ipfs")]
    &ipfs::IPFS,
    #[cfg(feature = "dest-ipfs")]
    &ipfs::IPNS,
    #[cfg(feature = "dest-s3")]
    &s3::S3,
    #[cfg(feature = "dest-s3")]
    &s3::E2,
    #[cfg(feature = "dest-cos")]
    &s3::COS,
    #[cfg(feature = "dest-aliyunoss")]
    &s3::OSS,
    #[cfg(feature = "dest-storj")]
    &s3::STORJ,
    #[cfg(feature = "dest-openstack")]
    &openstack::SCHEME,
    #[cfg(feature = "dest-b2")]
    &b2::SCHEME,
    #[cfg(feature = "dest-ftp")]
    &ftp::FTP,
    #[cfg(feature = "dest-ftp")]
    &ftp::AFTP,
    #[cfg(feature = "dest-ssh")]
    &ssh::SCHEME,
    #[cfg(feature = "dest-webdav")]
    &webdav::SCHEME,
    #[cfg(feature = "dest-rclone")]
    &rclone::SCHEME,
    #[cfg(feature = "dest-azure")]
    &azure::SCHEME,
    #[cfg(feature = "dest-gcs")]
    &gcs::SCHEME,
    #[cfg(feature = "dest-onedrive")]
    &onedrive::ONEDRIVE,
    #[cfg(feature = "dest-onedrive")]
    &onedrive::SHAREPOINT,
    #[cfg(feature = "dest-onedrive")]
    &onedrive::MSGROUP,
    #[cfg(feature = "dest-googledrive")]
    &googledrive::SCHEME,
    #[cfg(feature = "dest-dropbox")]
    &dropbox::SCHEME,
    #[cfg(feature = "dest-jottacloud")]
    &jottacloud::SCHEME,
    #[cfg(feature = "dest-box")]
    &boxcom::SCHEME,
    #[cfg(feature = "dest-pcloud")]
    &pcloud::SCHEME,
    #[cfg(feature = "dest-tahoe")]
    &tahoe::SCHEME,
    #[cfg(feature = "dest-filen")]
    &filen::SCHEME,
    #[cfg(feature = "dest-drimecloud")]
    &bedrive::DRIMECLOUD,
    #[cfg(feature = "dest-drimecloud")]
    &bedrive::FILEJUMP_SCHEME,
    #[cfg(feature = "dest-duplicati")]
    &duplicati::SCHEME,
];
