//! The kernel's side of FUSE over a socket: what `duplet mount URL /dev/fd/0` is asked, and what it answers. So the protocol is
//! tested wherever tests run, with what no kernel would send, too.

#![allow(
    dead_code,
    clippy::unwrap_used,
    reason = "a test may fail where it stands"
)]

use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::support::Scratch;

pub const LOOKUP: u32 = 1;
pub const FORGET: u32 = 2;
pub const GETATTR: u32 = 3;
pub const READLINK: u32 = 5;
pub const OPEN: u32 = 14;
pub const READ: u32 = 15;
pub const STATFS: u32 = 17;
pub const GETXATTR: u32 = 22;
pub const LISTXATTR: u32 = 23;
pub const INIT: u32 = 26;
pub const OPENDIR: u32 = 27;
pub const READDIR: u32 = 28;
pub const ACCESS: u32 = 34;
pub const INTERRUPT: u32 = 36;
pub const BATCH_FORGET: u32 = 42;
pub const READDIRPLUS: u32 = 44;

/// The flags of `INIT` that a kernel of today has.
pub const FLAGS: u32 = 0x73ff_fffb;

/// An answer: the error, 0 for none, and what comes after the header.
pub type Answer = (i32, Vec<u8>);

pub struct Kernel {
    line: UnixDatagram,
    child: Option<Child>,
    unique: u64,
}

impl Kernel {
    /// Starts the program with the other end of the line as its standard input.
    pub fn start(scratch: &Scratch, url: &str, more: &[&str]) -> Kernel {
        let (line, other) = UnixDatagram::pair().unwrap();
        line.set_read_timeout(Some(Duration::from_secs(120)))
            .unwrap();
        let args = [&["mount", url, "/dev/fd/0"], more].concat();
        let mut command = scratch.command(&args);
        command.stdin(Stdio::from(OwnedFd::from(other)));
        Kernel {
            line,
            child: Some(command.spawn().unwrap()),
            unique: 0,
        }
    }

    /// As [`Kernel::start`], with what both sides can agreed on.
    pub fn ready(scratch: &Scratch, url: &str, more: &[&str]) -> Kernel {
        let mut kernel = Kernel::start(scratch, url, more);
        let (error, said) = kernel.init(7, 45);
        assert_eq!((error, number(&said, 0), number(&said, 4)), (0, 7, 31));
        assert_eq!(said.len(), 64);
        kernel
    }

    pub fn init(&mut self, major: u32, minor: u32) -> Answer {
        let body = [major, minor, 131_072, FLAGS]
            .map(u32::to_ne_bytes)
            .concat();
        self.ask(INIT, 0, &[&body[..], &[0; 48]].concat())
    }

    /// Sends bytes as they are.
    pub fn send(&self, bytes: &[u8]) {
        self.line.send(bytes).unwrap();
    }

    /// A request of this kind about a node.
    pub fn request(&mut self, op: u32, node: u64, body: &[u8]) -> Vec<u8> {
        self.unique += 2;
        let len = u32::try_from(40 + body.len()).unwrap();
        let mut out = [len, op].map(u32::to_ne_bytes).concat();
        out.extend_from_slice(&self.unique.to_ne_bytes());
        out.extend_from_slice(&node.to_ne_bytes());
        out.extend_from_slice(&[0; 16]);
        out.extend_from_slice(body);
        out
    }

    pub fn ask(&mut self, op: u32, node: u64, body: &[u8]) -> Answer {
        let request = self.request(op, node, body);
        self.send(&request);
        self.answer()
    }

    /// The next answer, which must be one to the last request.
    pub fn answer(&mut self) -> Answer {
        let mut buffer = vec![0; 2 << 20];
        let len = self.line.recv(&mut buffer).expect("an answer");
        assert_eq!(number(&buffer, 0) as usize, len);
        assert_eq!(wide(&buffer, 8), self.unique);
        let error = -i32::from_ne_bytes(buffer[4..8].try_into().unwrap());
        assert!(error == 0 || len == 16, "{error} with {len} bytes");
        (error, buffer[16..len].to_vec())
    }

    /// The number of what is called so in a folder; 0 when nothing is.
    pub fn look_up(&mut self, node: u64, name: &str) -> u64 {
        let (error, said) = self.ask(LOOKUP, node, format!("{name}\0").as_bytes());
        assert_eq!((error, said.len()), (0, 128), "{name}");
        wide(&said, 0)
    }

    /// The number of a path below the root.
    pub fn walk(&mut self, path: &str) -> u64 {
        let parts = path.split('/').filter(|p| !p.is_empty());
        parts.fold(1, |node, name| self.look_up(node, name))
    }

    pub fn read(&mut self, op: u32, node: u64, at: u64, size: u32) -> Answer {
        let mut body = 0u64.to_ne_bytes().to_vec();
        body.extend_from_slice(&at.to_ne_bytes());
        body.extend_from_slice(&size.to_ne_bytes());
        body.extend_from_slice(&[0; 20]);
        self.ask(op, node, &body)
    }

    /// Stops the program; the exit code, and what was said on standard error.
    pub fn leave(mut self) -> (Option<i32>, String) {
        let child = self.child.take().unwrap();
        // A socket of this kind does not tell the other end when it closes.
        let sent = Command::new("kill").arg(child.id().to_string()).status();
        assert!(sent.unwrap().success());
        let ended = child.wait_with_output().unwrap();
        let said = String::from_utf8(ended.stderr).unwrap();
        assert!(
            !said.contains("panicked") && !said.contains("internal error"),
            "{said}"
        );
        (ended.status.code(), said)
    }
}

impl Drop for Kernel {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// The 32-bit number at a place of an answer.
pub fn number(said: &[u8], at: usize) -> u32 {
    u32::from_ne_bytes(said[at..at + 4].try_into().unwrap())
}

/// The 64-bit number at a place of an answer.
pub fn wide(said: &[u8], at: usize) -> u64 {
    u64::from_ne_bytes(said[at..at + 8].try_into().unwrap())
}

/// Names of a folder's entries with their numbers, out of the answer to `READDIR`.
pub fn entries(mut said: &[u8], plus: bool) -> Vec<(String, u64)> {
    let mut out = Vec::new();
    while !said.is_empty() {
        let one = &said[if plus { 128 } else { 0 }..];
        let len = number(one, 16) as usize;
        let name = String::from_utf8_lossy(&one[24..24 + len]).into_owned();
        out.push((name, wide(one, 0)));
        said = &one[24 + len.next_multiple_of(8)..];
    }
    out
}
