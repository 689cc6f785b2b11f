//! What describes a provider and its requests: addresses and fields as a table, files and pieces to be uploaded.

use crate::base::bytes::base64;
use crate::dest::RemoteFile;
use crate::net::http::{iso_time, parse_date};
use crate::net::service::Dialect;
use crate::net::service::rows::Row;

/// Method and address of a request, its headers with their names in lower case, and its body where that is not a file.
pub(in crate::dest) type Sent = (&'static str, String, Headers, Vec<u8>);
pub(in crate::dest) type Headers = Vec<(&'static str, String)>;
/// Name of a header, and how a digest is written in it.
pub(in crate::dest) type Digest = (&'static str, fn(&[u8]) -> String);

/// A request with JSON for its body.
#[cfg(any(
    feature = "dest-filen",
    feature = "dest-drimecloud",
    feature = "dest-gcs",
    feature = "dest-googledrive"
))]
pub(in crate::dest) fn sent_json(
    method: &'static str,
    url: String,
    about: &serde_json::Value,
) -> Sent {
    let kind = "application/json; charset=UTF-8".to_owned();
    let headers = vec![("content-type", kind)];
    (method, url, headers, about.to_string().into_bytes())
}

/// A request without a body, or with a file for it.
pub(in crate::dest) fn sent(method: &'static str, url: String, headers: Headers) -> Sent {
    (method, url, headers, Vec::new())
}

/// A provider's addresses and fields.
pub(in crate::dest) struct Shape {
    pub(in crate::dest) dialect: &'static Dialect,
    /// A `/` in the name of an object is sent as `%2F`.
    pub(in crate::dest) encodes_slash: bool,
    /// The MD5 of an upload is made while it is packed.
    pub(in crate::dest) md5: bool,
    /// So is the SHA-1.
    pub(in crate::dest) sha1: bool,
    /// A listing can be limited to names that begin with a given text.
    pub(in crate::dest) limits_lists: bool,
    /// An upload that does not go in pieces is one request, and nothing comes before it: it can be sent on its way.
    pub(in crate::dest) flies: bool,
    /// Header of an upload, and of its reply, that tells the MD5 of the file, and how it is written.
    pub(in crate::dest) digest: Digest,
    /// An upload can be told to replace nothing.
    pub(in crate::dest) refuses_to_replace: bool,
    /// Query for the content of a file; empty where its address does.
    pub(in crate::dest) content: &'static str,
    /// Query for what is known of a file, in a row as a listing has it; empty where the head of its content tells.
    pub(in crate::dest) look: &'static str,
    /// Header that tells the storage class of a file.
    pub(in crate::dest) class: &'static str,
    /// Query for making the container.
    pub(in crate::dest) make: &'static str,
    pub(in crate::dest) listing: Listing,
    /// Largest file, in bytes; whole MiB.
    pub(in crate::dest) most: u64,
    /// Files of so many bytes and more go in pieces.
    pub(in crate::dest) pieces_from: u64,
    /// Longer files go in pieces once the line has broken on them.
    pub(in crate::dest) pieces_once_broken: u64,
    /// An upload in pieces has pieces of at least so many bytes, at most so many pieces, and an end of its own; `None`: all that
    /// is missing goes at once, and the service tells how much it has.
    pub(in crate::dest) pieces: Option<(u64, u64)>,
    /// How much the service has of an upload in pieces is told when it is begun again: see [`Api::had`].
    pub(in crate::dest) begins_again: bool,
}

impl Shape {
    /// As [`Shape::plain`], for one whose uploads can be sent on their way: see [`Shape::flies`].
    #[cfg(any(
        feature = "dest-azure",
        feature = "dest-gcs",
        feature = "dest-openstack"
    ))]
    pub(in crate::dest) const fn flying(dialect: &'static Dialect) -> Shape {
        Shape {
            flies: true,
            ..Shape::plain(dialect)
        }
    }

    /// What most have; a provider changes what it has otherwise.
    pub(in crate::dest) const fn plain(dialect: &'static Dialect) -> Shape {
        Shape {
            dialect,
            encodes_slash: false,
            md5: true,
            sha1: false,
            limits_lists: true,
            flies: false,
            digest: ("content-md5", base64),
            refuses_to_replace: false,
            content: "",
            look: "",
            class: "",
            make: "",
            listing: Listing::PLAIN,
            most: u64::MAX,
            pieces_from: u64::MAX,
            pieces_once_broken: u64::MAX,
            pieces: None,
            begins_again: false,
        }
    }
}

/// How a provider lists files, in pages.
pub(in crate::dest) struct Listing {
    /// Query of a page, as far as it is the same for all; it ends in what the number of files is put behind.
    pub(in crate::dest) query: &'static str,
    /// Names of the parameters for the beginning of names, and for the mark of a page.
    pub(in crate::dest) prefix: &'static str,
    pub(in crate::dest) mark: &'static str,
    /// Where rows are: see [`Service::rows`].
    pub(in crate::dest) rows: &'static str,
    /// Fields of a row, by their paths: name, the first that is there; length in bytes; time, as ISO 8601 or HTTP writes it;
    /// storage class.
    pub(in crate::dest) name: &'static [&'static str],
    pub(in crate::dest) size: &'static str,
    pub(in crate::dest) modified: &'static str,
    pub(in crate::dest) class: &'static str,
    /// Field of the time a file was made, where several may have one name.
    pub(in crate::dest) created: &'static str,
    /// Field beside the rows that has the mark of the next page; empty: the last name marks it, and an empty page is the last.
    pub(in crate::dest) next: &'static str,
    /// So many files of a page that are listed as empty are looked at, for their length may be another; that of more is not known.
    /// 0 where the listing can be relied on.
    pub(in crate::dest) empty: usize,
    /// A field beside the rows with its value, and another, without which a page is none; empty: whatever has rows is one.
    pub(in crate::dest) proof: (&'static str, &'static str, &'static str),
}

impl Listing {
    /// What most have.
    pub(in crate::dest) const PLAIN: Listing = Listing {
        query: "",
        prefix: "prefix",
        mark: "marker",
        rows: "",
        name: &["name"],
        size: "",
        modified: "",
        class: "",
        created: "",
        next: "",
        empty: 0,
        proof: ("", "", ""),
    };

    /// The file of a row under this name; a folder is none. `archive`: see [`Base::archive`].
    pub(super) fn file(&self, row: &Row, name: &str, archive: &[String]) -> Option<RemoteFile> {
        let time = |text| iso_time(text).or(parse_date(text));
        (!name.is_empty() && !name.ends_with('/')).then(|| RemoteFile {
            name: name.to_owned(),
            size: row.number(self.size),
            modified: row.get(self.modified).and_then(time),
            is_folder: false,
            is_archived: archive.contains(&row.text(self.class).to_ascii_lowercase()),
        })
    }
}

/// A file to be uploaded.
pub(in crate::dest) struct File<'a> {
    pub(in crate::dest) name: &'a str,
    /// In bytes.
    pub(in crate::dest) len: u64,
    /// See [`Api::digest`].
    pub(in crate::dest) digest: Vec<u8>,
    pub(in crate::dest) sha256: [u8; 32],
    /// It must not replace another.
    pub(in crate::dest) is_new: bool,
}

impl File<'_> {
    /// Headers that tell the digest of the file, and that it must replace none.
    pub(in crate::dest) fn headers(&self, (name, write): Digest) -> Headers {
        let condition = self.is_new.then(|| ("if-none-match", "*".to_owned()));
        let digest = [(name, write(&self.digest))].into_iter();
        digest.chain(condition).collect()
    }
}

/// A piece of a file.
pub(in crate::dest) struct Part {
    /// Position of its first byte.
    pub(in crate::dest) from: u64,
    /// In bytes; 0 for the end of an upload.
    pub(in crate::dest) len: u64,
    /// How many pieces lie before it.
    pub(in crate::dest) number: u64,
    /// See [`Api::digest`]; of the piece, where pieces have a length of their own.
    pub(in crate::dest) digest: Vec<u8>,
}

/// An upload in pieces: of which file, and how far it is.
pub(super) struct Upload {
    pub(super) name: String,
    pub(super) sha256: [u8; 32],
    /// See [`Api::begin`]; `None` before.
    pub(super) id: Option<String>,
    /// Bytes that have arrived.
    pub(super) at: u64,
}

impl Upload {
    pub(super) fn new(file: &File<'_>) -> Upload {
        Upload {
            name: file.name.to_owned(),
            sha256: file.sha256,
            id: None,
            at: 0,
        }
    }

    pub(super) fn is_of(&self, file: &File<'_>) -> bool {
        self.name == file.name && self.sha256 == file.sha256
    }
}
