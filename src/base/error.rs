//! The one error of the program: what failed, on what, why, and what the person can do.
//!
//! Message form: `cannot DOING: CAUSE (HINT)`. One line, lower case, no final stop. Names are escaped here; a secret cannot
//! get in because secrets have no `Display` (see `secret`).

use std::fmt;
use std::io;

/// Result with our error.
pub(crate) type Result<T> = std::result::Result<T, Error>;

/// What the person can do about it; decides exit code and the word in `--json`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Correct the command line.
    Usage,
    /// Fix login, key or token.
    Credentials,
    /// Give the right passphrase.
    Passphrase,
    /// Check URL, prefix, version, path.
    Missing,
    /// Run it later: the network or the server is not well.
    Busy,
    /// The certificate or protocol of the server was refused.
    Tls,
    /// Free space on the side named.
    NoSpace,
    /// Fix a permission or a file on this machine.
    Local,
    /// Stored data is damaged: verify, another version.
    Damaged,
    /// One file cannot be read, though its destination is well: a bad sector, a permission, a fault of the server's.
    Unreadable,
    /// Another build or a newer release is needed, or the server cannot do it.
    Unsupported,
    /// Stopped by a signal: run again.
    Interrupted,
    /// A defect of this program.
    Bug,
}

impl Kind {
    /// Stable word for scripts.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Kind::Usage => "usage",
            Kind::Credentials => "credentials",
            Kind::Passphrase => "passphrase",
            Kind::Missing => "missing",
            Kind::Busy => "busy",
            Kind::Tls => "tls",
            Kind::NoSpace => "no-space",
            Kind::Local => "local",
            Kind::Damaged => "damaged",
            Kind::Unreadable => "unreadable",
            Kind::Unsupported => "unsupported",
            Kind::Interrupted => "interrupted",
            Kind::Bug => "bug",
        }
    }

    /// True when the fault is that of the one volume being read: others can be read all the same.
    pub(crate) fn is_of_one_volume(self) -> bool {
        matches!(
            self,
            Kind::Damaged | Kind::Unreadable | Kind::Missing | Kind::Unsupported
        )
    }

    /// As [`Kind::is_of_one_volume`], or the passphrase does not open it: where that is not known to open others.
    pub(crate) fn is_volume_or_key(self) -> bool {
        self.is_of_one_volume() || self == Kind::Passphrase
    }

    /// Exit code (`commands.md` 2.2).
    pub(crate) fn exit_code(self) -> u8 {
        match self {
            Kind::Usage => 200,
            Kind::Interrupted => 50,
            _ => 100,
        }
    }
}

/// An error on its way to the person. One machine word.
pub(crate) struct Error(Box<Inner>);

struct Inner {
    kind: Kind,
    doing: String,
    cause: String,
    hint: String,
}

impl Error {
    /// `cause` is a short clause in lower case; text from outside must have gone through `text::safe`.
    pub(crate) fn new(kind: Kind, cause: impl Into<String>) -> Error {
        Error(Box::new(Inner {
            kind,
            doing: String::new(),
            cause: cause.into(),
            hint: String::new(),
        }))
    }

    pub(crate) fn usage(cause: impl Into<String>) -> Error {
        Error::new(Kind::Usage, cause)
    }

    pub(crate) fn damaged(cause: impl Into<String>) -> Error {
        Error::new(Kind::Damaged, cause)
    }

    /// A defect of ours that was noticed; `place` names the invariant.
    pub(crate) fn bug(place: &str) -> Error {
        Error::new(Kind::Bug, format!("internal error: {place}")).hint("please report it")
    }

    /// `n` in a narrower type, where it fits by what was made sure of before; a defect of ours where it does not.
    pub(crate) fn fits<T, N: TryFrom<T>>(n: T) -> Result<N> {
        N::try_from(n).map_err(|_| Error::bug("a number fits into its field"))
    }

    /// An operating-system error on this machine: full disk becomes `NoSpace`, all else `Local`.
    pub(crate) fn io(e: &io::Error) -> Error {
        let kind = match e.raw_os_error() {
            Some(libc::ENOSPC | libc::EDQUOT | libc::EFBIG) => Kind::NoSpace,
            _ => Kind::Local,
        };
        Error::new(kind, io_text(e))
    }

    /// What was being done, verb first: `read /etc/passwd`. The first (innermost) one stays.
    pub(crate) fn doing(mut self, what: impl Into<String>) -> Error {
        if self.0.doing.is_empty() {
            self.0.doing = what.into();
        }
        self
    }

    /// What the person can do; the first one stays.
    pub(crate) fn hint(mut self, what: impl Into<String>) -> Error {
        if self.0.hint.is_empty() {
            self.0.hint = what.into();
        }
        self
    }

    /// Puts the larger undertaking before what was being done.
    pub(crate) fn during(mut self, what: &str) -> Error {
        self.0.doing = if self.0.doing.is_empty() {
            what.to_owned()
        } else {
            format!("{what}: {}", self.0.doing)
        };
        self
    }

    /// Same error, other kind.
    pub(crate) fn with_kind(mut self, kind: Kind) -> Error {
        self.0.kind = kind;
        self
    }

    pub(crate) fn kind(&self) -> Kind {
        self.0.kind
    }

    /// The clause alone, for a list of what is wrong with one thing.
    pub(crate) fn cause(&self) -> &str {
        &self.0.cause
    }
}

/// The operating system's reason without its number.
pub(crate) fn io_text(e: &io::Error) -> String {
    let text = e.to_string();
    let cut = text.find(" (os error").unwrap_or(text.len());
    let mut out = crate::base::text::safe_cut(&text.as_bytes()[..cut], 200);
    if out.chars().nth(1).is_some_and(char::is_lowercase)
        && let Some(first) = out.get_mut(..1)
    {
        first.make_ascii_lowercase();
    }
    out
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = &self.0;
        if !inner.doing.is_empty() {
            write!(f, "cannot {}: ", inner.doing)?;
        }
        f.write_str(&inner.cause)?;
        if !inner.hint.is_empty() {
            write!(f, " ({})", inner.hint)?;
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}] {self}", self.0.kind.word())
    }
}

/// Adds "what was being done" to any result.
pub(crate) trait Doing<T> {
    /// `what` is evaluated only on error; verb first, names escaped.
    fn doing(self, what: impl FnOnce() -> String) -> Result<T>;
}

impl<T> Doing<T> for Result<T> {
    fn doing(self, what: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|e| e.doing(what()))
    }
}

impl<T> Doing<T> for io::Result<T> {
    fn doing(self, what: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|e| unwrap_io(e).doing(what()))
    }
}

/// Our own error that travelled through a `Read` or `Write`, or the system's.
///
/// Streams chained by `Read`/`Write` report our faults as `io::Error::other(Error)`; here they come out again.
pub(crate) fn unwrap_io(e: io::Error) -> Error {
    match e.downcast::<Error>() {
        Ok(ours) => ours,
        Err(system) => Error::io(&system),
    }
}

impl std::error::Error for Error {}

impl From<Error> for io::Error {
    fn from(e: Error) -> io::Error {
        io::Error::other(e)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_word_wide() {
        assert_eq!(size_of::<Error>(), size_of::<usize>());
        assert_eq!(size_of::<Result<()>>(), size_of::<usize>());
    }

    #[test]
    fn message_shape() {
        let e = Error::new(Kind::Missing, "no such folder")
            .doing("list /x")
            .doing("outer")
            .hint("check the path");
        assert_eq!(
            e.to_string(),
            "cannot list /x: no such folder (check the path)"
        );
    }

    #[test]
    fn our_error_survives_a_stream() {
        let through: io::Error = Error::damaged("checksum differs").into();
        let back = unwrap_io(through);
        assert_eq!(back.kind(), Kind::Damaged);
        assert_eq!(back.to_string(), "checksum differs");
        let system = unwrap_io(io::Error::from_raw_os_error(libc::ENOSPC));
        assert_eq!(system.kind(), Kind::NoSpace);
        assert_eq!(system.to_string(), "no space left on device");
    }
}
