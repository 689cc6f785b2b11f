//! The messages of the FUSE protocol, as the kernel sends and wants them (`include/uapi/linux/fuse.h`, version 7): fields one
//! after the other in the byte order of the machine. A request is read field by field and never beyond its end.
//!
//! Spoken is 7.12 and later up to 7.31: what came after that is not needed, and is not asked for.

/// Major version of the protocol.
pub(super) const MAJOR: u32 = 7;
/// Minor version up to which is spoken, and the first whose messages have the lengths that are written here.
pub(super) const MINOR: std::ops::RangeInclusive<u32> = 12..=31;
/// From this minor version on the answer to `INIT` has all its fields.
pub(super) const LONG_INIT: u32 = 23;

/// Bytes of the header of an answer.
pub(super) const OUT_HEADER: usize = 16;

/// What is asked for.
pub(super) mod op {
    pub(crate) const LOOKUP: u32 = 1;
    pub(crate) const FORGET: u32 = 2;
    pub(crate) const GETATTR: u32 = 3;
    pub(crate) const SETATTR: u32 = 4;
    pub(crate) const READLINK: u32 = 5;
    pub(crate) const SYMLINK: u32 = 6;
    pub(crate) const MKNOD: u32 = 8;
    pub(crate) const MKDIR: u32 = 9;
    pub(crate) const UNLINK: u32 = 10;
    pub(crate) const RMDIR: u32 = 11;
    pub(crate) const RENAME: u32 = 12;
    pub(crate) const LINK: u32 = 13;
    pub(crate) const OPEN: u32 = 14;
    pub(crate) const READ: u32 = 15;
    pub(crate) const WRITE: u32 = 16;
    pub(crate) const STATFS: u32 = 17;
    pub(crate) const RELEASE: u32 = 18;
    pub(crate) const SETXATTR: u32 = 21;
    pub(crate) const GETXATTR: u32 = 22;
    pub(crate) const LISTXATTR: u32 = 23;
    pub(crate) const REMOVEXATTR: u32 = 24;
    pub(crate) const FLUSH: u32 = 25;
    pub(crate) const INIT: u32 = 26;
    pub(crate) const OPENDIR: u32 = 27;
    pub(crate) const READDIR: u32 = 28;
    pub(crate) const RELEASEDIR: u32 = 29;
    pub(crate) const ACCESS: u32 = 34;
    pub(crate) const CREATE: u32 = 35;
    pub(crate) const INTERRUPT: u32 = 36;
    pub(crate) const DESTROY: u32 = 38;
    pub(crate) const BATCH_FORGET: u32 = 42;
    pub(crate) const FALLOCATE: u32 = 43;
    pub(crate) const READDIRPLUS: u32 = 44;
    pub(crate) const RENAME2: u32 = 45;
    pub(crate) const COPY_FILE_RANGE: u32 = 47;
    pub(crate) const TMPFILE: u32 = 51;
}

/// What both sides can, in the flags of `INIT`.
pub(super) mod can {
    pub(crate) const ASYNC_READ: u32 = 1;
    pub(crate) const DO_READDIRPLUS: u32 = 1 << 13;
    pub(crate) const READDIRPLUS_AUTO: u32 = 1 << 14;
    pub(crate) const PARALLEL_DIROPS: u32 = 1 << 18;
    pub(crate) const CACHE_SYMLINKS: u32 = 1 << 23;
}

/// In the flags of `OPEN`'s answer: what was read before is still right.
pub(super) const KEEP_CACHE: u32 = 1 << 1;
/// The same of a folder's entries.
pub(super) const CACHE_DIR: u32 = 1 << 3;
/// In the flags of `GETATTR`: it is asked for an open file, by the kernel itself.
pub(super) const OF_OPEN_FILE: u32 = 1;

/// The fields of a request, from its start.
pub(super) struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Fields<'a> {
        Fields { rest: bytes }
    }

    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (field, rest) = self.rest.split_first_chunk::<N>()?;
        self.rest = rest;
        Some(*field)
    }

    pub(super) fn u32(&mut self) -> Option<u32> {
        self.take().map(u32::from_ne_bytes)
    }

    pub(super) fn u64(&mut self) -> Option<u64> {
        self.take().map(u64::from_ne_bytes)
    }

    /// A text that ends with a NUL, without it.
    pub(super) fn name(&mut self) -> Option<&'a [u8]> {
        let end = self.rest.iter().position(|&b| b == 0)?;
        let (name, rest) = self.rest.split_at_checked(end)?;
        self.rest = rest.get(1..)?;
        Some(name)
    }
}

/// A request, 40 bytes and more: `len`, `opcode`, `unique`, `nodeid`, `uid`, `gid`, `pid`, `padding`, and what belongs to its kind.
pub(super) struct Request<'a> {
    pub(super) op: u32,
    /// By which the answer finds who asked.
    pub(super) unique: u64,
    pub(super) node: u64,
    pub(super) rest: Fields<'a>,
}

impl<'a> Request<'a> {
    /// `None` for what is shorter than a request, or says that it has another length.
    pub(super) fn parse(bytes: &'a [u8]) -> Option<Request<'a>> {
        let mut fields = Fields::new(bytes);
        let len = fields.u32()?;
        let (op, unique, node) = (fields.u32()?, fields.u64()?, fields.u64()?);
        let _who = (fields.u32()?, fields.u32()?, fields.u32()?, fields.u32()?);
        (usize::try_from(len) == Ok(bytes.len())).then_some(Request {
            op,
            unique,
            node,
            rest: fields,
        })
    }
}

/// An answer on its way: its header is written when it is complete.
pub(super) struct Reply {
    pub(super) bytes: Vec<u8>,
}

impl Reply {
    /// An empty one, in the memory of another.
    pub(super) fn new(mut bytes: Vec<u8>) -> Reply {
        bytes.clear();
        bytes.resize(OUT_HEADER, 0);
        Reply { bytes }
    }

    /// Bytes after the header.
    pub(super) fn len(&self) -> usize {
        self.bytes.len() - OUT_HEADER
    }

    /// Back to so many bytes after the header.
    pub(super) fn cut(&mut self, len: usize) {
        self.bytes.truncate(OUT_HEADER + len);
    }

    pub(super) fn u16(&mut self, n: u16) -> &mut Reply {
        self.raw(&n.to_ne_bytes())
    }

    pub(super) fn u32(&mut self, n: u32) -> &mut Reply {
        self.raw(&n.to_ne_bytes())
    }

    pub(super) fn u64(&mut self, n: u64) -> &mut Reply {
        self.raw(&n.to_ne_bytes())
    }

    pub(super) fn raw(&mut self, bytes: &[u8]) -> &mut Reply {
        self.bytes.extend_from_slice(bytes);
        self
    }

    /// Writes the header: `len`, `error`, `unique`. With an error there is nothing but the header.
    pub(super) fn seal(&mut self, unique: u64, errno: i32) {
        if errno != 0 {
            self.cut(0);
        }
        let len = u32::try_from(self.bytes.len()).unwrap_or(u32::MAX);
        let mut head = Vec::with_capacity(OUT_HEADER);
        head.extend_from_slice(&len.to_ne_bytes());
        head.extend_from_slice(&(-errno).to_ne_bytes());
        head.extend_from_slice(&unique.to_ne_bytes());
        if let Some(place) = self.bytes.get_mut(..OUT_HEADER) {
            place.copy_from_slice(&head);
        }
    }

    /// `struct fuse_attr`, 88 bytes.
    pub(super) fn attr(&mut self, a: &Attr) -> &mut Reply {
        let seconds = u64::from_ne_bytes(a.mtime.0.to_ne_bytes());
        self.u64(a.ino).u64(a.size).u64(a.size.div_ceil(512));
        self.u64(seconds).u64(seconds).u64(seconds);
        self.u32(a.mtime.1).u32(a.mtime.1).u32(a.mtime.1);
        // One link, also of a folder: nothing is to be concluded from their number.
        self.u32(a.mode).u32(1).u32(a.uid).u32(a.gid);
        // No device; the length of a block, flags.
        self.u32(0).u32(BLOCK_BYTES).u32(0)
    }

    /// `struct fuse_attr_out`, 104 bytes.
    pub(super) fn attr_out(&mut self, a: &Attr) -> &mut Reply {
        self.u64(a.valid).u32(0).u32(0).attr(a)
    }

    /// `struct fuse_entry_out`, 128 bytes; the number of the node is that of the inode.
    pub(super) fn entry_out(&mut self, a: &Attr) -> &mut Reply {
        self.u64(a.ino).u64(0).u64(FOREVER).u64(a.valid);
        self.u32(0).u32(0).attr(a)
    }

    /// What is not there, and never will be.
    pub(super) fn no_entry(&mut self) -> &mut Reply {
        self.u64(0).u64(0).u64(FOREVER).raw(&[0; 128 - 24])
    }

    /// `struct fuse_dirent`, 24 bytes, the name, and zeros up to a multiple of 8. `next`: where the entries go on after it.
    pub(super) fn dirent(&mut self, ino: u64, next: u64, kind: u32, name: &[u8]) -> &mut Reply {
        let len = u32::try_from(name.len()).unwrap_or(0);
        self.u64(ino).u64(next).u32(len).u32(kind).raw(name);
        let padding = name.len().next_multiple_of(8) - name.len();
        self.raw(&[0; 8][..padding])
    }
}

/// Seconds for which the kernel may keep what does not change.
pub(super) const FOREVER: u64 = 86_400;
/// Length that programs are told to read at once, bytes.
const BLOCK_BYTES: u32 = 4096;

/// What a node looks like.
#[derive(Clone, Copy, Debug)]
pub(super) struct Attr {
    pub(super) ino: u64,
    pub(super) size: u64,
    pub(super) mtime: (i64, u32),
    /// Type and permissions.
    pub(super) mode: u32,
    pub(super) uid: u32,
    pub(super) gid: u32,
    /// Seconds for which this may be believed; 0 when the rest of it was not read yet.
    pub(super) valid: u64,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failing step fails the test")]

    use super::*;

    #[test]
    fn messages_have_the_lengths_of_the_protocol() {
        let attr = Attr {
            ino: 9,
            size: 1025,
            mtime: (-2, 5),
            mode: 0o100_644,
            uid: 1,
            gid: 2,
            valid: 3,
        };
        let len = |fill: &dyn Fn(&mut Reply)| {
            let mut reply = Reply::new(Vec::new());
            fill(&mut reply);
            reply.len()
        };
        assert_eq!(len(&|r| _ = r.attr(&attr)), 88);
        assert_eq!(len(&|r| _ = r.attr_out(&attr)), 104);
        assert_eq!(len(&|r| _ = r.entry_out(&attr)), 128);
        assert_eq!(len(&|r| _ = r.no_entry()), 128);
        for (name, want) in [("", 24), ("a", 32), ("12345678", 32), ("123456789", 40)] {
            assert_eq!(len(&|r| _ = r.dirent(1, 2, 4, name.as_bytes())), want);
        }
        let mut reply = Reply::new(vec![1; 100]);
        reply.u64(7).seal(5, 0);
        assert_eq!(reply.bytes[..4], 24u32.to_ne_bytes());
        reply.seal(5, libc::EIO);
        let head = [16u32.to_ne_bytes(), (-libc::EIO).to_ne_bytes()].concat();
        assert_eq!(reply.bytes, [&head[..], &5u64.to_ne_bytes()].concat());
    }

    #[test]
    fn a_request_is_what_its_length_says() {
        let mut bytes = vec![0; 40 + 3];
        bytes[..4].copy_from_slice(&43u32.to_ne_bytes());
        bytes[4..8].copy_from_slice(&op::LOOKUP.to_ne_bytes());
        bytes[8..16].copy_from_slice(&77u64.to_ne_bytes());
        bytes[16..24].copy_from_slice(&1u64.to_ne_bytes());
        bytes[40..43].copy_from_slice(b"ab\0");
        let mut request = Request::parse(&bytes).unwrap();
        assert_eq!((request.op, request.unique, request.node), (1, 77, 1));
        assert_eq!(request.rest.name(), Some(&b"ab"[..]));
        assert_eq!(request.rest.name(), None);
        for cut in 0..bytes.len() {
            assert!(Request::parse(&bytes[..cut]).is_none());
        }
        assert!(Request::parse(&[&*bytes, b"x"].concat()).is_none());
        assert_eq!(Fields::new(b"abc").name(), None);
        assert_eq!(Fields::new(b"abc").u32(), None);
    }
}
