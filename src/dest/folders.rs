//! What destinations share that are folders on a server which is spoken to in a conversation: the URL's host and path, times,
//! temporary names, and the faults that are the same for all.

use std::io::ErrorKind;
use std::time::{Duration, Instant};

use crate::base::error::{Error, Result};
use crate::base::fault::{Class, Done, Fault};
use crate::base::opt::Options;
use crate::base::rand;
use crate::base::size::show_span;
use crate::base::text;
use crate::dest::Body;
use crate::net::opts;
use crate::net::url::DestUrl;

/// Temporary files older than this, in seconds, belong to no upload any more; so many are removed at once.
pub(super) const LEFTOVER_AGE: i64 = 86_400;
pub(super) const LEFTOVERS_MAX: usize = 100;
/// Uploads of this run that broke off and are still to be removed, at most; and how often that is tried.
const BROKEN_MAX: usize = 16;
const BROKEN_TRIES: u8 = 3;
/// For the end of an upload, when the server writes to its disk, unless `--read-write-timeout` is given.
const CLOSING: Duration = Duration::from_secs(600);

/// What a request was for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Verb {
    List,
    Look,
    Get,
    Put,
    Delete,
    MakeFolder,
}

impl Verb {
    pub(super) fn doing(self) -> &'static str {
        match self {
            Verb::List => "listing",
            Verb::Look | Verb::Get => "reading",
            Verb::Put => "writing",
            Verb::Delete => "deleting",
            Verb::MakeFolder => "making the folder",
        }
    }
}

/// How long things may take.
#[derive(Clone, Copy)]
pub(super) struct Times {
    pub(super) short: Duration,
    pub(super) list: Duration,
    pub(super) transfer: Duration,
    pub(super) closing: Duration,
}

impl Times {
    pub(super) fn new(options: &Options) -> Times {
        let span = |opt| {
            let seconds = options.span(opt).unwrap_or(30);
            Duration::from_secs(u64::try_from(seconds).unwrap_or(0).max(1))
        };
        let own = options.given(opts::OPERATION_TIMEOUT.name).is_some();
        let operation = own.then(|| span(&opts::OPERATION_TIMEOUT));
        let (short, transfer) = (span(&opts::SHORT_TIMEOUT), span(&opts::READ_WRITE_TIMEOUT));
        let chosen = options.given(opts::READ_WRITE_TIMEOUT.name).is_some();
        let closing = chosen.then(|| transfer.max(short));
        Times {
            short,
            list: operation.unwrap_or_else(|| span(&opts::LIST_TIMEOUT)),
            transfer,
            closing: operation.or(closing).unwrap_or(CLOSING),
        }
    }
}

/// How long a wait may take.
#[derive(Clone, Copy)]
pub(super) struct Wait {
    /// Without a byte moved.
    pub(super) pause: Duration,
    /// However many move.
    pub(super) end: Option<Instant>,
}

impl Wait {
    /// For a small request and its reply, or for the whole of a listing.
    pub(super) fn short(time: Duration) -> Wait {
        Wait {
            pause: time,
            end: Instant::now().checked_add(time),
        }
    }

    /// For a transfer that goes on as long as it moves.
    pub(super) fn moving(pause: Duration) -> Wait {
        Wait { pause, end: None }
    }

    pub(super) fn is_over(&self) -> bool {
        self.end.is_some_and(|end| Instant::now() >= end)
    }
}

/// The host of a URL in lower case, an IPv6 address without its brackets.
pub(super) fn host(url: &DestUrl) -> String {
    let host = url.host.to_ascii_lowercase();
    let bare = host.strip_prefix('[').and_then(|h| h.strip_suffix(']'));
    bare.unwrap_or(&host).to_owned()
}

/// Whether there is a host, of letters that hosts have; `form` is how a URL is written.
pub(super) fn check_host(url: &DestUrl, form: &str) -> Result<()> {
    let host = host(url);
    if host.trim().is_empty() {
        return Err(Error::usage("missing host name in the destination URL")
            .hint(format!("write it as {form}")));
    }
    let good = |b: u8| match url.host.starts_with('[') {
        true => b.is_ascii_hexdigit() || matches!(b, b':' | b'.'),
        false => b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'),
    };
    if !host.bytes().all(good) || host.starts_with('-') {
        return Err(Error::usage(
            "the host name in the destination URL is not valid",
        ));
    }
    Ok(())
}

/// Names of the folders of a URL's path, none empty.
pub(super) fn path(url: &DestUrl) -> Result<Vec<String>> {
    let folders = url.path.split('/').filter(|f| !f.is_empty() && *f != ".");
    let folders: Vec<String> = folders.map(str::to_owned).collect();
    if folders.iter().any(|f| f == ".." || f.contains('\0')) {
        return Err(Error::usage(
            "the path of the destination URL must not contain ..",
        ));
    }
    Ok(folders)
}

/// A path for messages.
pub(super) fn shown(path: &str) -> String {
    text::safe_cut(path_or_root(path).as_bytes(), 120)
}

/// The path of a folder that may be the root.
pub(super) fn path_or_root(path: &str) -> &str {
    if path.is_empty() { "/" } else { path }
}

/// A name for an upload until it is whole; no volume is called so.
pub(super) fn temporary(start: &str) -> Done<String> {
    let random = rand::hex::<8>().map_err(|e| Fault::new(Class::Local, e.to_string()))?;
    Ok(format!("{start}{random}"))
}

/// Temporary names of this run's uploads that broke off with the conversation. They are removed when there is another one; what
/// is forgotten here a later run removes when it is a day old. At most [`BROKEN_MAX`].
#[derive(Default)]
pub(super) struct BrokenOff(Vec<(String, u8)>);

impl BrokenOff {
    /// An upload begins: from now on there may be a file of this name.
    pub(super) fn begun(&mut self, name: &str) {
        self.ended(name);
        if self.0.len() >= BROKEN_MAX {
            self.0.remove(0);
        }
        self.0.push((name.to_owned(), 0));
    }

    /// There is no file of this name any more.
    pub(super) fn ended(&mut self, name: &str) {
        self.0.retain(|(known, _)| known != name);
    }

    /// Removes them. `remove` says whether there was one that is gone now; what it does not find may still come, from a
    /// conversation that the server has not given up yet.
    pub(super) fn sweep(&mut self, remove: &mut dyn FnMut(&str) -> Done<bool>) -> Done<()> {
        let mut at = 0;
        while let Some((name, tries)) = self.0.get_mut(at) {
            *tries += 1;
            if remove(name)? || *tries >= BROKEN_TRIES {
                self.0.remove(at);
            } else {
                at += 1;
            }
        }
        Ok(())
    }
}

/// Reads as much as fits, less only at the end.
pub(super) fn fill(body: &mut dyn Body, buffer: &mut [u8]) -> std::io::Result<usize> {
    let mut have = 0;
    while have < buffer.len() {
        match body.read(&mut buffer[have..]) {
            Ok(0) => break,
            Ok(n) => have += n,
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(have)
}

/// What a server said, in brackets; nothing where it said nothing.
pub(super) fn words(message: &str) -> String {
    match message.trim() {
        "" => String::new(),
        words => format!(" ({})", text::safe_cut(words.as_bytes(), 200)),
    }
}

/// True for a refusal that is one for want of space.
pub(super) fn says_full(message: &str) -> bool {
    let lower = message.to_ascii_lowercase();
    ["no space", "quota", "disk full"]
        .iter()
        .any(|w| lower.contains(w))
}

pub(super) fn full(words: &str) -> Fault {
    Fault::new(Class::Full, format!("no space left on the server{words}"))
}

pub(super) fn denied(verb: Verb, folder: &str, words: &str) -> Fault {
    let text = format!(
        "the server does not allow {} in {folder}{words}",
        verb.doing()
    );
    Fault::new(Class::Auth, text).hint("check the rights of this user there")
}

pub(super) fn not_offered(verb: Verb, words: &str) -> Fault {
    let text = format!("the server does not offer {}{words}", verb.doing());
    Fault::new(Class::Unsupported, text)
}

pub(super) fn no_file(folder: &str) -> Fault {
    Fault::new(Class::NotFound, format!("no such file in {folder}"))
}

pub(super) fn no_folder(folder: &str) -> Fault {
    Fault::new(
        Class::FolderMissing,
        format!("folder {folder} does not exist"),
    )
}

/// What should be a folder is none; `path` is for messages.
pub(super) fn is_a_file(path: &str) -> Fault {
    let text = format!("{path} is a file on the server, not a folder");
    Fault::new(Class::Usage, text).hint("name a folder in the URL")
}

pub(super) fn exists() -> Fault {
    Fault::new(Class::Exists, "a file of that name is there already")
}

/// A file that is shorter than it was said to be.
pub(super) fn short(found: u64, wanted: u64) -> Fault {
    let text = format!("the file ends after {found} bytes, {wanted} were expected");
    Fault::new(Class::Integrity, text)
}

/// An upload that did not arrive as it was sent.
pub(super) fn stored(found: u64, wanted: u64) -> Fault {
    let text = format!("{found} bytes were stored instead of {wanted}");
    Fault::new(Class::Integrity, text)
}

/// An upload that nobody waits for any more.
pub(super) fn broken_off() -> Fault {
    Fault::new(Class::Stopped, "the upload was broken off")
}

/// A body that ended early.
pub(super) fn body_short(found: u64, wanted: u64) -> Fault {
    let text = format!("{found} bytes were read instead of {wanted}");
    Fault::new(Class::Local, text)
}

/// A listing that broke off; `list` is the longest time for one.
pub(super) fn incomplete(wait: Option<Wait>, list: Duration, fault: Fault) -> Fault {
    if wait.is_some_and(|wait| wait.is_over()) {
        let span = show_span(list.as_secs());
        return Fault::new(
            Class::Endless,
            format!("listing incomplete: it did not come to its end within {span}"),
        )
        .hint("if the server is only slow: a longer --list-timeout");
    }
    match fault.class {
        Class::Protocol | Class::FolderMissing => Fault {
            class: Class::Protocol,
            text: format!("listing incomplete: {}", fault.text),
            hint: fault.hint,
        },
        _ => fault,
    }
}
