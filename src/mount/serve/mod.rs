//! One request of the kernel in, one answer out. Nothing can be changed here, so that the kernel may keep what it was told.
//!
//! The number of a node is twice its row and one more; one more again where it is seen below `newest`, which shows the same rows
//! as the folder of the newest version, but is no second name of it: a folder has one place.

mod folders;

use crate::base::error::{Error, Kind};
use crate::base::text;
use crate::base::ui::Ui;
use crate::format::filelist::EntryKind;
use crate::mount::meta::Metas;
use crate::mount::source::{Source, Whole};
use crate::mount::tree::{CLOSED, KNOWN, NAME_BYTES, Node, Tree};
use crate::mount::wire::{self, Attr, FOREVER, Fields, Reply, Request, can, op};
use crate::set::Record;

/// Bytes read at once at most, whatever is asked for.
const READ_AT_MOST: u32 = 1 << 20;
/// Bytes written at once, of which the kernel wants to know although nothing is written.
const WRITE_BYTES: u32 = 4096;
/// Files whose list of blocks is in memory.
const RECENT: usize = 4;

/// Lines that are not said twice.
const TOLD: usize = 64;

/// What an answer fails with.
enum No {
    /// As the kernel's number says, nothing more.
    Errno(i32),
    /// The destination or this machine failed.
    Error(Error),
}

impl From<Error> for No {
    fn from(e: Error) -> No {
        No::Error(e)
    }
}

type Said<T> = std::result::Result<T, No>;

/// A node as it is seen: its row, and whether below `newest`.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Seen {
    row: u64,
    newest: bool,
}

impl Seen {
    fn of(number: u64, rows: u64) -> Said<Seen> {
        let n = number.checked_sub(1).ok_or(No::Errno(libc::EINVAL))?;
        match n / 2 < rows {
            true => Ok(Seen {
                row: n / 2,
                newest: n % 2 == 1,
            }),
            false => Err(No::Errno(libc::ESTALE)),
        }
    }

    fn number(self) -> u64 {
        self.row * 2 + 1 + u64::from(self.newest)
    }
}

/// The mounted file system.
pub(super) struct Server<'s> {
    pub(super) tree: Tree,
    pub(super) source: Source<'s>,
    metas: Metas,
    /// The versions that are shown: their numbers in the set, by what a closed folder says.
    versions: Vec<usize>,
    recent: Vec<(u64, Record)>,
    /// What both sides agreed on; 0 before that.
    minor: u32,
    /// What was said last, so that who asks again and again for what is lost does not hear it again and again.
    told: Vec<String>,
}

impl<'s> Server<'s> {
    pub(super) fn new(
        tree: Tree,
        source: Source<'s>,
        metas: Metas,
        versions: Vec<usize>,
    ) -> Server<'s> {
        Server {
            tree,
            source,
            metas,
            versions,
            recent: Vec::new(),
            minor: 0,
            told: Vec::new(),
        }
    }

    /// Answers a request; `None` for what wants no answer. `spare` is memory to use again.
    pub(super) fn answer(&mut self, ui: &mut Ui, bytes: &[u8], spare: Vec<u8>) -> Option<Vec<u8>> {
        let mut request = Request::parse(bytes)?;
        let mut reply = Reply::new(spare);
        let done = match request.op {
            op::FORGET | op::BATCH_FORGET | op::INTERRUPT => return None,
            op::INIT => self.init(&mut request.rest, &mut reply),
            _ if self.minor == 0 => Err(No::Errno(libc::EIO)),
            _ => self.ask(ui, &mut request, &mut reply),
        };
        let errno = match done {
            Ok(()) => 0,
            Err(No::Errno(errno)) => errno,
            Err(No::Error(e)) => match e.kind() {
                Kind::Interrupted => libc::EINTR,
                _ => {
                    let row = request.node.saturating_sub(1) / 2;
                    self.tell(ui, row, e);
                    libc::EIO
                }
            },
        };
        reply.seal(request.unique, errno);
        Some(reply.bytes)
    }

    /// Says why somebody gets an input/output error.
    fn tell(&mut self, ui: &mut Ui, row: u64, e: Error) {
        let path = self.tree.path(row).unwrap_or_default();
        let shown = match path.is_empty() {
            true => "the mounted folder".to_owned(),
            false => text::safe(&path),
        };
        let line = format!("{shown}: {e}");
        if self.told.contains(&line) {
            return;
        }
        ui.error(&line);
        if self.told.len() >= TOLD {
            self.told.remove(0);
        }
        self.told.push(line);
    }

    /// `struct fuse_init_in`: `major`, `minor`, `max_readahead`, `flags`, in later versions more.
    fn init(&mut self, fields: &mut Fields<'_>, reply: &mut Reply) -> Said<()> {
        let mut field = || fields.u32().ok_or(No::Errno(libc::EPROTO));
        let (major, minor) = (field()?, field()?);
        if major < wire::MAJOR || major == wire::MAJOR && minor < *wire::MINOR.start() {
            return Err(No::Errno(libc::EPROTO));
        }
        if major > wire::MAJOR {
            // The kernel asks again, in this version.
            reply.u32(wire::MAJOR).u32(*wire::MINOR.end()).raw(&[0; 56]);
            return Ok(());
        }
        let (readahead, flags) = (field()?, field()?);
        self.minor = minor.min(*wire::MINOR.end());
        let wanted = can::ASYNC_READ
            | can::DO_READDIRPLUS
            | can::READDIRPLUS_AUTO
            | can::PARALLEL_DIROPS
            | can::CACHE_SYMLINKS;
        reply.u32(wire::MAJOR).u32(self.minor);
        reply.u32(readahead).u32(flags & wanted);
        // Requests in the background, and from how many on there are many.
        reply.u16(12).u16(9).u32(WRITE_BYTES);
        if minor >= wire::LONG_INIT {
            // Times are exact to the nanosecond; pages in a request as usual.
            reply.u32(1).u16(0).u16(0).raw(&[0; 32]);
        }
        Ok(())
    }

    fn ask(&mut self, ui: &mut Ui, request: &mut Request<'_>, reply: &mut Reply) -> Said<()> {
        let rest = &mut request.rest;
        match request.op {
            op::STATFS => {
                // Nothing is free, and how much there is nobody counted.
                reply.u64(0).u64(0).u64(0).u64(0).u64(0);
                let name = u32::try_from(NAME_BYTES).unwrap_or(255);
                reply.u32(4096).u32(name).u32(4096).raw(&[0; 28]);
                return Ok(());
            }
            op::DESTROY | op::RELEASE | op::RELEASEDIR | op::FLUSH => return Ok(()),
            op::SETATTR
            | op::SYMLINK
            | op::MKNOD
            | op::MKDIR
            | op::UNLINK
            | op::RMDIR
            | op::RENAME
            | op::LINK
            | op::WRITE
            | op::SETXATTR
            | op::REMOVEXATTR
            | op::CREATE
            | op::FALLOCATE
            | op::RENAME2
            | op::COPY_FILE_RANGE
            | op::TMPFILE => {
                return Err(No::Errno(libc::EROFS));
            }
            _ => {}
        }
        let seen = Seen::of(request.node, self.tree.len())?;
        match request.op {
            op::LOOKUP => self.look_up(ui, seen, rest, reply),
            op::GETATTR => {
                let flags = rest.u32().ok_or(No::Errno(libc::EINVAL))?;
                let node = self.node(ui, seen.row, flags & wire::OF_OPEN_FILE == 0)?;
                reply.attr_out(&attr(seen, &node));
                Ok(())
            }
            op::READLINK => {
                let node = self.node(ui, seen.row, true)?;
                if node.kind != EntryKind::Symlink {
                    return Err(No::Errno(libc::EINVAL));
                }
                if node.size == 0 {
                    return Err(Error::damaged("where the link leads is lost").into());
                }
                reply.raw(&self.tree.more(&node)?.link);
                Ok(())
            }
            op::OPEN | op::OPENDIR => self.open(seen, request.op == op::OPENDIR, rest, reply),
            op::READ => self.read(ui, seen, rest, reply),
            op::READDIR | op::READDIRPLUS => {
                let plus = request.op == op::READDIRPLUS;
                self.read_folder(ui, seen, plus, rest, reply)
            }
            op::ACCESS => {
                let mask = rest.u32().ok_or(No::Errno(libc::EINVAL))?;
                match mask & libc::W_OK.unsigned_abs() {
                    0 => Ok(()),
                    _ => Err(No::Errno(libc::EROFS)),
                }
            }
            op::GETXATTR | op::LISTXATTR => {
                self.xattr(ui, seen, request.op == op::LISTXATTR, rest, reply)
            }
            _ => Err(No::Errno(libc::ENOSYS)),
        }
    }

    /// A node; with `all`, also what has to be read from the destination for it.
    fn node(&mut self, ui: &mut Ui, row: u64, all: bool) -> Said<Node> {
        let node = self.tree.get(row)?;
        match all && !node.is(KNOWN) {
            true => Ok(self
                .metas
                .known(ui, &mut self.tree, &mut self.source, row)?),
            false => Ok(node),
        }
    }

    /// `struct fuse_open_in`: `flags`. A number for what is open is not needed.
    fn open(
        &mut self,
        seen: Seen,
        folder: bool,
        rest: &mut Fields<'_>,
        reply: &mut Reply,
    ) -> Said<()> {
        let flags = rest.u32().ok_or(No::Errno(libc::EINVAL))?;
        let node = self.tree.get(seen.row)?;
        match (folder, node.kind) {
            (true, EntryKind::Folder) | (false, EntryKind::File) => {}
            (true, _) => return Err(No::Errno(libc::ENOTDIR)),
            (false, EntryKind::Folder) => return Err(No::Errno(libc::EISDIR)),
            (false, EntryKind::Symlink) => return Err(No::Errno(libc::ELOOP)),
        }
        if flags & libc::O_ACCMODE.unsigned_abs() != libc::O_RDONLY.unsigned_abs() {
            return Err(No::Errno(libc::EROFS));
        }
        // The folder of a version that could not be read may be readable later.
        let keep = match (folder, node.is(CLOSED)) {
            (true, true) => 0,
            (true, false) => wire::KEEP_CACHE | wire::CACHE_DIR,
            (false, _) => wire::KEEP_CACHE,
        };
        reply.u64(0).u32(keep).u32(0);
        Ok(())
    }

    /// `struct fuse_read_in`: `fh`, `offset`, `size`.
    fn read(
        &mut self,
        ui: &mut Ui,
        seen: Seen,
        rest: &mut Fields<'_>,
        reply: &mut Reply,
    ) -> Said<()> {
        let (offset, size) = span(rest)?;
        let node = self.tree.get(seen.row)?;
        if node.kind != EntryKind::File {
            return Err(No::Errno(libc::EISDIR));
        }
        let at = match self.recent.iter().position(|(row, _)| *row == seen.row) {
            Some(at) => at,
            None => {
                let record = self.tree.record(&node)?;
                let record = record.ok_or_else(|| Error::bug("a file has an entry"))?;
                self.recent.truncate(RECENT - 1);
                self.recent.insert(0, (seen.row, record));
                0
            }
        };
        self.recent[..=at].rotate_right(1);
        let record = self.recent.first().map(|(_, record)| record);
        let lost = || Error::damaged("the version does not say what it holds");
        let whole = record
            .and_then(|r| Whole::data(seen.row, r))
            .ok_or_else(lost)?;
        let size = u64::from(size.min(READ_AT_MOST));
        let (source, out) = (&mut self.source, &mut reply.bytes);
        Ok(source.read(ui, &whole, offset, size, out)?)
    }

    /// `struct fuse_getxattr_in`: `size`, padding, and a name where it is about one.
    fn xattr(
        &mut self,
        ui: &mut Ui,
        seen: Seen,
        list: bool,
        rest: &mut Fields<'_>,
        reply: &mut Reply,
    ) -> Said<()> {
        let size = rest.u32().ok_or(No::Errno(libc::EINVAL))?;
        let _padding = rest.u32();
        let name = match list {
            true => b"",
            false => rest.name().ok_or(No::Errno(libc::EINVAL))?,
        };
        let node = self.node(ui, seen.row, true)?;
        let xattrs = match node.more_len {
            0 => Vec::new(),
            _ => self.tree.more(&node)?.xattrs,
        };
        let value = match list {
            true => xattrs
                .iter()
                .flat_map(|(name, _)| [name, &b"\0"[..]].concat())
                .collect(),
            false => {
                let found = xattrs.into_iter().find(|(own, _)| own == name);
                found.ok_or(No::Errno(libc::ENODATA))?.1
            }
        };
        let len = u32::try_from(value.len()).unwrap_or(u32::MAX);
        match size {
            // Only the length is asked for.
            0 => _ = reply.u32(len).u32(0),
            _ if len > size => return Err(No::Errno(libc::ERANGE)),
            _ => _ = reply.raw(&value),
        }
        Ok(())
    }
}

/// `struct fuse_read_in` as far as it matters: offset and size.
fn span(rest: &mut Fields<'_>) -> Said<(u64, u32)> {
    let mut fields = || Some((rest.u64()?, rest.u64()?, rest.u32()?));
    let (_, offset, size) = fields().ok_or(No::Errno(libc::EINVAL))?;
    Ok((offset, size))
}

fn attr(seen: Seen, node: &Node) -> Attr {
    let kind = match node.kind {
        EntryKind::File => libc::S_IFREG,
        EntryKind::Folder => libc::S_IFDIR,
        EntryKind::Symlink => libc::S_IFLNK,
    };
    Attr {
        ino: seen.number(),
        size: node.size,
        mtime: node.mtime,
        mode: u32::from(node.mode) | kind,
        uid: node.uid,
        gid: node.gid,
        valid: if node.is(KNOWN) { FOREVER } else { 0 },
    }
}
