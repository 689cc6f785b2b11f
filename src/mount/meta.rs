//! What the metadata of entries says: mode, owner, exact time, the text of a link, extended attributes. It is stored as blocks
//! among the data, so it is read when somebody asks, and then for the next entries of the folder as well.

use crate::base::digest::BlockKey;
use crate::base::error::{Error, Kind, Result};
use crate::base::sys::Users;
use crate::base::text;
use crate::base::time::unix_from_ticks;
use crate::base::ui::Ui;
use crate::format::filelist::{Content, EntryKind};
use crate::format::manifest::Params;
use crate::format::meta::Attrs;
use crate::mount::source::{Source, Wanted, Whole};
use crate::mount::tree::{KNOWN, More, Node, Tree};
use crate::set::{Told, told};

/// Longer metadata is not looked at, bytes.
const META_BYTES_AT_MOST: u64 = 8 << 20;
/// Entries whose metadata is read at once: at first, and of who goes on asking.
const AT_ONCE: [u64; 2] = [8, 512];
/// Bytes of metadata that are read at once.
const BYTES_AT_ONCE: u64 = 1 << 20;

/// Reads metadata into the tree.
pub(super) struct Metas {
    params: Params,
    users: Users,
    /// The row after those that were read last, and how many those were.
    next: u64,
    count: u64,
}

impl Metas {
    pub(super) fn new(params: Params) -> Metas {
        Metas {
            params,
            users: Users::new(),
            next: u64::MAX,
            count: 0,
        }
    }

    /// The node of a row with all that the version says of it. What is lost is told and takes its usual value; an error is
    /// one of the destination.
    pub(super) fn known(
        &mut self,
        ui: &mut Ui,
        tree: &mut Tree,
        source: &mut Source<'_>,
        row: u64,
    ) -> Result<Node> {
        let node = tree.get(row)?;
        if node.is(KNOWN) {
            return Ok(node);
        }
        let [first, most] = AT_ONCE;
        self.count = match row == self.next {
            true => (self.count * 2).clamp(first, most),
            false => first,
        };
        let parent = tree.get(node.parent)?;
        let end = (row + self.count).min(parent.first.saturating_add(parent.count));
        let mut wanted: Vec<Wanted> = Vec::new();
        let mut bytes = 0;
        for at in row..end.max(row + 1) {
            let other = tree.get(at)?;
            self.next = at + 1;
            if other.is(KNOWN) {
                continue;
            }
            let record = tree.record(&other)?;
            let whole = record.as_ref().and_then(|r| Whole::meta(at, r));
            match whole.and_then(|whole| Some((single(self.params, whole.content)?, whole))) {
                Some((key, whole)) => {
                    bytes += u64::from(key.size());
                    let said = source.said(&whole, 0);
                    wanted.push(Wanted { key, said, tag: at });
                }
                // What is of more blocks is read for itself.
                None if at == row => return self.long(ui, tree, source, row, whole),
                None => {}
            }
            if bytes >= BYTES_AT_ONCE {
                break;
            }
        }
        let users = &mut self.users;
        source.many(ui, &wanted, &mut |ui, at, blob| {
            settle(ui, tree, users, at, blob.map_err(str::to_owned))
        })?;
        tree.get(row)
    }

    fn long(
        &mut self,
        ui: &mut Ui,
        tree: &mut Tree,
        source: &mut Source<'_>,
        row: u64,
        meta: Option<Whole<'_>>,
    ) -> Result<Node> {
        let mut blob = Vec::new();
        let read = match meta {
            None => Ok(()),
            Some(meta) if meta.content.size > META_BYTES_AT_MOST => {
                Err(Error::damaged("it is too long"))
            }
            Some(meta) => source.read(ui, &meta, 0, meta.content.size, &mut blob),
        };
        let blob = match read {
            Ok(()) => Ok(blob.as_slice()),
            Err(e) if e.kind() == Kind::Damaged => Err(e.to_string()),
            Err(e) => return Err(e),
        };
        settle(ui, tree, &mut self.users, row, blob)?;
        tree.get(row)
    }
}

/// The only block of metadata, where it is one.
fn single(params: Params, meta: &Content) -> Option<BlockKey> {
    match told(params, meta, true) {
        Told::Block(id) if meta.size <= u64::from(params.block_size) => {
            let size = u32::try_from(meta.size).ok()?;
            (meta.size <= META_BYTES_AT_MOST).then(|| BlockKey::new(&id, size))
        }
        _ => None,
    }
}

/// Writes into a row what its metadata says, or tells that it is lost.
fn settle(
    ui: &mut Ui,
    tree: &mut Tree,
    users: &mut Users,
    row: u64,
    blob: std::result::Result<&[u8], String>,
) -> Result<()> {
    let mut node = tree.get(row)?;
    let attrs = match blob {
        Ok([]) => Attrs::default(),
        Ok(blob) => match Attrs::parse(blob) {
            Ok(attrs) => attrs,
            Err(_) => {
                let shown = text::safe(&tree.path(row)?);
                let line = format!("the metadata of {shown} cannot be understood and is left out");
                ui.warn("bad-metadata", &line);
                Attrs::default()
            }
        },
        Err(why) => {
            let shown = text::safe(&tree.path(row)?);
            ui.error(&format!("the metadata of {shown} is lost: {why}"));
            Attrs::default()
        }
    };
    if let Some(owner) = attrs.owner {
        node.mode = u16::try_from(owner.mode & 0o777).unwrap_or(0);
        let user = attrs.owner_name.as_deref().and_then(|n| users.uid_of(n));
        let group = attrs.group_name.as_deref().and_then(|n| users.gid_of(n));
        node.uid = user.unwrap_or(owner.uid);
        node.gid = group.unwrap_or(owner.gid);
    }
    if let Some(ticks) = attrs.modified.filter(|&ticks| ticks != 0) {
        node.mtime = unix_from_ticks(ticks);
    }
    let more = More {
        link: attrs.symlink.unwrap_or_default(),
        xattrs: attrs.xattrs,
    };
    if node.kind == EntryKind::Symlink {
        node.size = more.link.len() as u64;
    }
    if more != More::default() {
        tree.keep(&mut node, &more)?;
    }
    node.state |= KNOWN;
    tree.set(row, &node)
}
