//! Layer 6: a backup as folders, read only: `newest`, and each version by its time below `versions`. The kernel asks over
//! `/dev/fuse`, one request after the other, and is answered from a tree on disk (`tree`) and from the blocks (`source`).
//!
//! Order of the files: `wire` (messages) and `store`, `tree`, `cache` (what is kept) stand by themselves; `version` fills the tree,
//! `source` and `meta` read what the destination holds, `serve` answers, `attach` mounts.
//!
//! Memory does not grow with versions, entries or blocks.

mod attach;
mod cache;
mod meta;
mod serve;
mod source;
mod store;
mod tree;
mod version;
mod wire;

use std::path::{Path, PathBuf};

use crate::base::error::{Doing, Error, Kind, Result};
use crate::base::sys::{self, Asked, FuseLine, Identity};
use crate::base::text;
use crate::base::time::Timestamp;
use crate::base::ui::Ui;
use crate::format::filelist::EntryKind;
use crate::set::{Set, VersionChoice};
use attach::{Held, Parting};
use meta::Metas;
use serve::Server;
pub(crate) use source::Reading;
use source::Source;
use tree::{ALIAS, CLOSED, KNOWN, Node, ROOT, Tree, VERSIONS};

/// Room for the longest request: a value of 64 KiB that somebody wants to set, with its headers.
const REQUEST_BYTES: usize = 72 << 10;
/// Milliseconds between looks at a helper that unmounts.
const LOOK_MILLIS: u64 = 20;

/// What is mounted, and how.
pub(crate) struct MountOptions {
    pub(crate) folder: PathBuf,
    /// Which versions are shown; all, unless it says something.
    pub(crate) version: VersionChoice,
    pub(crate) reading: Reading,
    /// Other users may look in, as far as the modes of files let them.
    pub(crate) others: bool,
}

/// Looks whether the place can be mounted on, before anything is read.
pub(crate) fn check(folder: &Path) -> Result<()> {
    attach::look(folder).map(|_| ())
}

/// Mounts, and answers until it is unmounted or a stop is requested. What cannot be read meanwhile is told through `ui`.
pub(crate) fn run(set: &mut Set, options: &MountOptions, ui: &mut Ui) -> Result<()> {
    let times: Vec<Timestamp> = set.versions().collect();
    let mut versions = options.version.resolve(&times)?;
    versions.sort_unstable();
    versions.dedup();
    if versions.is_empty() {
        versions = (0..times.len()).collect();
    }
    if times.is_empty() {
        let e = Error::new(
            Kind::Missing,
            "the destination holds no version (dlist volume)",
        );
        return Err(e.doing("mount"));
    }
    let params = set.learn_params(ui)?;
    set.remote().believe_absence();
    let mut tree = Tree::new(set.tmp(), me())?;
    let order = top(&mut tree, &times, &versions)?;
    let source = Source::new(set, params, options.reading)?;
    let mut server = Server::new(tree, source, Metas::new(params), order);
    let (mut line, held) = attach::attach(attach::look(&options.folder)?, options.others)?;
    let shown = held.shown();
    let many = text::count(versions.len() as u64, "version");
    let way_out = attach::way_out(&shown);
    ui.note(&match held {
        Held::Given => format!("serving {many}"),
        _ => format!("mounted on {shown} with {many}: newest and versions; unmount with Ctrl-C or '{way_out}'"),
    });
    let served = serve(&mut line, &mut server, ui);
    match served {
        Ok(Ended::Gone) => Ok(()),
        Ok(Ended::Stopped) => part(&held, &mut line, &mut server, ui),
        Err(e) => {
            // Nobody answers any more: better no folder than one in which everything hangs.
            drop(line);
            if let Ok(Parting::Waiting(mut child)) = held.part(true) {
                child.ended();
            }
            Err(e)
        }
    }
}

fn me() -> (u32, u32) {
    let me = Identity::of_process();
    (me.uid(), me.gid())
}

/// The folders above the versions. In the order of rows the numbers of the versions, which closed folders point into.
fn top(tree: &mut Tree, times: &[Timestamp], versions: &[usize]) -> Result<Vec<usize>> {
    let mut named: Vec<(String, usize)> = Vec::with_capacity(versions.len());
    for &no in versions {
        let time = times
            .get(no)
            .ok_or_else(|| Error::bug("a chosen version has a time"))?;
        named.push((folder_name(*time), no));
    }
    // The hour that a clock shows twice in a year: the earlier one of two equal names comes first.
    named.sort_by(|a, b| a.0.cmp(&b.0).then(b.1.cmp(&a.1)));
    for at in 1..named.len() {
        let (before, rest) = named.split_at_mut(at);
        if let (Some((last, _)), Some((name, _))) = (before.last(), rest.first_mut())
            && (*name == *last || last.strip_prefix(name.as_str()) == Some("_2"))
        {
            name.push_str("_2");
        }
    }
    named.sort();
    let newest = versions.iter().min().copied().unwrap_or(0);
    let newest_at = named.iter().position(|(_, no)| *no == newest).unwrap_or(0);
    let newest_time = times.get(newest).map_or(0, |time| time.0);
    let first = VERSIONS + 1;
    let node = |parent, time: i64, state| {
        let mut node = Node::new(EntryKind::Folder, parent);
        node.state = state | KNOWN;
        node.mtime = (time, 0);
        node.mode = 0o555;
        node
    };
    let mut root = node(ROOT, newest_time, 0);
    (root.first, root.count) = (1, 2);
    tree.push(root, b"", b"")?;
    let mut alias = node(ROOT, newest_time, ALIAS);
    alias.first = first + newest_at as u64;
    tree.push(alias, b"newest", b"")?;
    let mut all = node(ROOT, newest_time, 0);
    (all.first, all.count) = (first, named.len() as u64);
    tree.push(all, b"versions", b"")?;
    for (at, (name, no)) in (0u64..).zip(&named) {
        let time = times.get(*no).map_or(0, |time| time.0);
        let mut version = node(VERSIONS, time, CLOSED);
        version.count = at;
        tree.push(version, name.as_bytes(), b"")?;
    }
    Ok(named.into_iter().map(|(_, no)| no).collect())
}

/// `2026-11-28T10-15-00`: the time of a version where this is, in characters that every program takes.
fn folder_name(time: Timestamp) -> String {
    time.local().replace(' ', "T").replace(':', "-")
}

/// Why answering ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ended {
    /// It was unmounted.
    Gone,
    Stopped,
}

/// Answers as long as there is somebody to answer.
fn serve(line: &mut FuseLine, server: &mut Server<'_>, ui: &mut Ui) -> Result<Ended> {
    let mut buffer = vec![0; REQUEST_BYTES];
    let mut spare = Vec::new();
    loop {
        match one(line, server, ui, &mut buffer, &mut spare, None)? {
            Asked::Gone => return Ok(Ended::Gone),
            Asked::Stopped => return Ok(Ended::Stopped),
            Asked::Message(_) | Asked::Nothing => {}
        }
    }
}

/// Waits for one request, at most so many milliseconds, and answers it.
fn one(
    line: &mut FuseLine,
    server: &mut Server<'_>,
    ui: &mut Ui,
    buffer: &mut [u8],
    spare: &mut Vec<u8>,
    millis: Option<u64>,
) -> Result<Asked> {
    let doing = || "talk to the kernel".to_owned();
    let asked = line.next(buffer, millis).doing(doing)?;
    if let Asked::Message(len) = asked
        && let Some(request) = buffer.get(..len)
        && let Some(reply) = server.answer(ui, request, std::mem::take(spare))
    {
        line.answer(&reply).doing(doing)?;
        *spare = reply;
    }
    Ok(asked)
}

/// Lets go of the folder. Where somebody is in it, it is out of sight at once, and who has files open is served until the
/// last is closed, or a second stop is requested.
fn part(held: &Held, line: &mut FuseLine, server: &mut Server<'_>, ui: &mut Ui) -> Result<()> {
    sys::forget_stops();
    if let Held::Given = held {
        return Ok(());
    }
    if parted(held, line, server, ui, false)? {
        return Ok(());
    }
    let shown = held.shown();
    ui.note(&format!("{shown} is in use: it is unmounted, and what is open there can be read until it is closed; a second Ctrl-C ends that"));
    if !parted(held, line, server, ui, true)? {
        let way_out = attach::way_out(&shown);
        return Err(Error::new(Kind::Local, "somebody is in it")
            .doing(format!("unmount {shown}"))
            .hint(format!("leave it, then '{way_out}'")));
    }
    serve(line, server, ui).map(|_| ())
}

/// Takes the mount away; false when somebody is in it.
fn parted(
    held: &Held,
    line: &mut FuseLine,
    server: &mut Server<'_>,
    ui: &mut Ui,
    lazily: bool,
) -> Result<bool> {
    let mut child = match held.part(lazily)? {
        Parting::Done => return Ok(true),
        Parting::Busy => return Ok(false),
        Parting::Waiting(child) => child,
    };
    let mut buffer = vec![0; REQUEST_BYTES];
    let mut spare = Vec::new();
    loop {
        if let Some(ended) = child.ended() {
            return Ok(ended.success());
        }
        let asked = one(line, server, ui, &mut buffer, &mut spare, Some(LOOK_MILLIS))?;
        if asked == Asked::Gone {
            return Ok(true);
        }
    }
}
