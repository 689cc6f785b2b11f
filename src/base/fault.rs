//! What a destination can answer when it cannot do what was asked (`destinations-core.md` 0.3).
//!
//! A destination chooses the class at the place that knows; `remote` retries by class and turns the fault into an `Error`.

use std::io;
use std::time::Duration;

use crate::base::error::Error;

/// Class of a fault: decides retry and the kind of the final error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    /// Bad URL, option value, or missing credential.
    Usage,
    /// Credentials rejected or a right missing.
    Auth,
    /// Folder or bucket absent.
    FolderMissing,
    /// File absent.
    NotFound,
    /// I/O error, timeout, DNS failure, 408, 425, 5xx, truncated body: worth another try.
    Transient,
    /// Nobody is there: the connection was refused, or ended before the other side said anything of what was expected.
    Refused,
    /// The name of the host does not exist, as far as the name servers know.
    NoHost,
    /// The server asked to slow down; wait at least so long if it said.
    Throttled(Option<Duration>),
    /// No space or quota at the destination.
    Full,
    /// A file of that name is there already, and was not to be replaced.
    Exists,
    /// The server refuses a file of this size.
    TooBig,
    /// Read-only medium, object lock, WebDAV lock.
    Locked,
    /// Object in cold storage.
    Archived,
    /// Certificate or protocol version refused.
    Tls,
    /// Size or hash wrong after a complete transfer.
    Integrity,
    /// The reply cannot be understood, or a listing is incomplete.
    Protocol,
    /// A reply or a listing passed a stated bound of time or length.
    Endless,
    /// The spool or another file on this machine failed.
    Local,
    /// The destination does not offer this operation.
    Unsupported,
    /// Stopped by a signal while waiting or transferring.
    Stopped,
}

/// True for a refusal with this HTTP status whose text says that there is no room: many servers have no status for that.
#[cfg(feature = "http")]
pub(crate) fn says_full(status: u16, text: &str) -> bool {
    const WORDS: [&str; 11] = [
        "no space left",
        "not enough space",
        "not enough free space",
        "out of disk space",
        "out of space",
        "disk full",
        "disk is full",
        "storage full",
        "insufficient storage",
        "quota exceeded",
        "over quota",
    ];
    if !matches!(status, 400 | 403 | 405 | 409 | 413 | 500 | 502) {
        return false;
    }
    let text = text.to_ascii_lowercase();
    WORDS.iter().any(|words| text.contains(words))
}

/// What an operation at a destination comes to.
pub(crate) type Done<T> = Result<T, Fault>;

/// A fault with its explanation. `text` and `hint` are one line, safe to print, without secrets (`remote` redacts once more).
#[derive(Debug)]
pub(crate) struct Fault {
    pub(crate) class: Class,
    pub(crate) text: String,
    pub(crate) hint: String,
}

impl Fault {
    pub(crate) fn new(class: Class, text: impl Into<String>) -> Fault {
        Fault {
            class,
            text: text.into(),
            hint: String::new(),
        }
    }

    /// What the person can do; the first one stays.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Fault {
        if self.hint.is_empty() {
            self.hint = hint.into();
        }
        self
    }

    /// A failure of a local file or of our own streams while transferring (spool full, stop signal).
    pub(crate) fn local(e: io::Error) -> Fault {
        Fault::ours(&crate::base::error::unwrap_io(e))
    }

    /// The same of an error of our own.
    pub(crate) fn ours(ours: &Error) -> Fault {
        let class = if ours.kind() == crate::base::error::Kind::Interrupted {
            Class::Stopped
        } else {
            Class::Local
        };
        Fault::new(class, ours.to_string())
    }

    /// As the error it becomes when it is final; `doing` is verb and redacted target.
    pub(crate) fn into_error(self, doing: &str) -> Error {
        use crate::base::error::Kind as K;
        let kind = match self.class {
            Class::Usage => K::Usage,
            Class::Auth => K::Credentials,
            Class::FolderMissing | Class::NotFound => K::Missing,
            Class::Transient
            | Class::Refused
            | Class::NoHost
            | Class::Throttled(_)
            | Class::Exists => K::Busy,
            Class::Full => K::NoSpace,
            Class::Tls => K::Tls,
            Class::Integrity => K::Damaged,
            Class::Local => K::Local,
            Class::TooBig
            | Class::Locked
            | Class::Archived
            | Class::Protocol
            | Class::Endless
            | Class::Unsupported => K::Unsupported,
            Class::Stopped => K::Interrupted,
        };
        let e = Error::new(kind, self.text).doing(doing);
        if self.hint.is_empty() {
            e
        } else {
            e.hint(self.hint)
        }
    }
}
