//! Look-ups and lists of folders; the folder of a version is made ready when it is first entered.

use crate::base::error::{Error, Kind};
use crate::base::ui::Ui;
use crate::format::filelist::EntryKind;
use crate::mount::serve::{No, READ_AT_MOST, Said, Seen, Server, attr, span};
use crate::mount::tree::{ALIAS, CLOSED, KNOWN, NAME_BYTES, Node, ROOT, VERSIONS};
use crate::mount::version;
use crate::mount::wire::{Fields, Reply};

impl Server<'_> {
    /// A folder whose entries are in the tree; that of a version that nobody entered yet is made ready.
    fn folder(&mut self, ui: &mut Ui, row: u64) -> Said<Node> {
        let mut node = self.tree.get(row)?;
        if node.kind != EntryKind::Folder {
            return Err(No::Errno(libc::ENOTDIR));
        }
        if !node.is(CLOSED) {
            return Ok(node);
        }
        let number = usize::try_from(node.count).ok();
        let no = number.and_then(|at| self.versions.get(at)).copied();
        let no = no.ok_or_else(|| Error::bug("a folder of a version has one"))?;
        let set = &mut *self.source.set;
        let time = set.versions().nth(no).map(|time| time.local());
        let time = time.unwrap_or_default();
        ui.note(&format!("reading version {no} of {time}"));
        let mark = self.tree.mark();
        match version::build(set, ui, no, &mut self.tree, row) {
            Ok((first, count)) => {
                node.first = first;
                node.count = count;
                node.state &= !CLOSED;
                self.tree.set(row, &node)?;
                Ok(node)
            }
            Err(e) => {
                self.tree.back_to(mark)?;
                Err(No::Error(match e.kind() {
                    Kind::Missing => e.hint("it was deleted since this was mounted: mount again"),
                    _ => e,
                }))
            }
        }
    }

    /// The entry at a row of a folder that is seen.
    fn inside(&mut self, folder: Seen, row: u64) -> Said<(Seen, Node)> {
        let node = self.tree.get(row)?;
        if node.is(ALIAS) {
            let seen = Seen {
                row: node.first,
                newest: true,
            };
            return Ok((seen, self.tree.get(seen.row)?));
        }
        let newest = folder.newest;
        Ok((Seen { row, newest }, node))
    }

    pub(super) fn look_up(
        &mut self,
        ui: &mut Ui,
        seen: Seen,
        rest: &mut Fields<'_>,
        reply: &mut Reply,
    ) -> Said<()> {
        let name = rest.name().ok_or(No::Errno(libc::EINVAL))?;
        if name.len() > NAME_BYTES {
            return Err(No::Errno(libc::ENAMETOOLONG));
        }
        let folder = self.folder(ui, seen.row)?;
        let Some(row) = self.tree.child(&folder, name)? else {
            reply.no_entry();
            return Ok(());
        };
        let (found, node) = self.inside(seen, row)?;
        reply.entry_out(&attr(found, &node));
        Ok(())
    }

    /// `struct fuse_read_in`. With `plus` each entry comes with what a look-up answers.
    pub(super) fn read_folder(
        &mut self,
        ui: &mut Ui,
        seen: Seen,
        plus: bool,
        rest: &mut Fields<'_>,
        reply: &mut Reply,
    ) -> Said<()> {
        let (offset, size) = span(rest)?;
        let size = usize::try_from(size.min(READ_AT_MOST)).unwrap_or(0);
        let folder = self.folder(ui, seen.row)?;
        // Who reads on with `plus` has looked at entries, and will look at these.
        let all = plus && offset > 0;
        for at in offset..folder.count.saturating_add(2) {
            let len = reply.len();
            let (found, node, name) = match at {
                0 => (seen, folder, b".".to_vec()),
                1 => {
                    let up = Self::above(seen, &folder);
                    (up, self.tree.get(up.row)?, b"..".to_vec())
                }
                _ => {
                    let row = folder.first + (at - 2);
                    let own = self.tree.get(row)?;
                    let name = self.tree.name(&own)?;
                    let (found, node) = self.inside(seen, row)?;
                    let room = reply.len() + 152 + name.len() <= size;
                    let node = match all && room && !node.is(KNOWN) {
                        // One that cannot be read is listed all the same.
                        true => self.node(ui, found.row, true).unwrap_or(node),
                        false => node,
                    };
                    (found, node, name)
                }
            };
            let a = attr(found, &node);
            if plus && at < 2 {
                reply.raw(&[0; 128]);
            } else if plus {
                reply.entry_out(&a);
            }
            reply.dirent(a.ino, at + 1, a.mode >> 12, &name);
            if reply.len() > size {
                reply.cut(len);
                break;
            }
        }
        Ok(())
    }

    /// The folder around a folder.
    fn above(seen: Seen, folder: &Node) -> Seen {
        let newest = seen.newest && folder.parent != VERSIONS;
        let row = match seen.newest == newest {
            true => folder.parent,
            // `newest` itself.
            false => ROOT,
        };
        Seen { row, newest }
    }
}
