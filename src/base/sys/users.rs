//! Who this process acts as; names of users and groups, read from `/etc/passwd` and `/etc/group` alone (no NSS, no `getpw*`).
//!
//! The files are read line by line at each look-up that the cache cannot answer; they are never held in memory.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

/// Answers kept per table and direction; beyond that the cache starts again.
const CACHED: usize = 256;
/// Bytes of a line that are looked at: name, password and number come first.
const LINE: usize = 512;

/// Cached reader of both files.
pub(crate) struct Users {
    users: Table,
    groups: Table,
}

impl Users {
    pub(crate) fn new() -> Users {
        Users::from_files(Path::new("/etc/passwd"), Path::new("/etc/group"))
    }

    fn from_files(passwd: &Path, group: &Path) -> Users {
        Users {
            users: Table::new(passwd),
            groups: Table::new(group),
        }
    }

    /// `None` when the file does not name the user or cannot be read.
    pub(crate) fn user_name(&mut self, uid: u32) -> Option<&str> {
        self.users.name(uid)
    }

    /// `None` when the file does not name the group or cannot be read.
    pub(crate) fn group_name(&mut self, gid: u32) -> Option<&str> {
        self.groups.name(gid)
    }

    /// `None` when there is no such user here.
    pub(crate) fn uid_of(&mut self, name: &str) -> Option<u32> {
        self.users.id(name)
    }

    /// `None` when there is no such group here.
    pub(crate) fn gid_of(&mut self, name: &str) -> Option<u32> {
        self.groups.id(name)
    }
}

/// Who this process acts as, asked once.
pub(crate) struct Identity {
    uid: u32,
    gid: u32,
    /// Supplementary groups, at most the 65536 that the kernel allows.
    groups: Vec<u32>,
}

impl Identity {
    pub(crate) fn of_process() -> Identity {
        // SAFETY: no arguments, cannot fail.
        let (uid, gid) = unsafe { (libc::geteuid(), libc::getegid()) };
        // SAFETY: a length of 0 asks for the number and writes nothing.
        let count = unsafe { libc::getgroups(0, std::ptr::null_mut()) };
        let mut groups = vec![0; usize::try_from(count).unwrap_or(0)];
        // SAFETY: `groups` has room for `count` numbers; the call writes no more.
        let got = unsafe { libc::getgroups(count.max(0), groups.as_mut_ptr()) };
        groups.truncate(usize::try_from(got).unwrap_or(0));
        Identity { uid, gid, groups }
    }

    pub(crate) fn uid(&self) -> u32 {
        self.uid
    }

    pub(crate) fn gid(&self) -> u32 {
        self.gid
    }

    pub(crate) fn is(&self, uid: u32) -> bool {
        self.uid == uid
    }

    /// True for the effective group and every supplementary one.
    pub(crate) fn is_in(&self, gid: u32) -> bool {
        self.gid == gid || self.groups.contains(&gid)
    }
}

struct Table {
    path: PathBuf,
    /// What was looked up, found or not, the newest last.
    names: Vec<(u32, Option<Box<str>>)>,
    ids: Vec<(Box<str>, Option<u32>)>,
}

impl Table {
    fn new(path: &Path) -> Table {
        Table {
            path: path.to_owned(),
            names: Vec::new(),
            ids: Vec::new(),
        }
    }

    fn name(&mut self, id: u32) -> Option<&str> {
        if let Some(at) = self.names.iter().rposition(|(i, _)| *i == id) {
            return self.names.get(at)?.1.as_deref();
        }
        let found = self.find(|_, i| i == id).map(|(name, _)| name);
        if self.names.len() >= CACHED {
            self.names.clear();
        }
        self.names.push((id, found));
        self.names.last()?.1.as_deref()
    }

    fn id(&mut self, name: &str) -> Option<u32> {
        if let Some((_, known)) = self.ids.iter().rfind(|(n, _)| **n == *name) {
            return *known;
        }
        let found = self.find(|n, _| n == name).map(|(_, id)| id);
        if self.ids.len() >= CACHED {
            self.ids.clear();
        }
        self.ids.push((name.into(), found));
        found
    }

    /// The first line that fits, as every other reader of these files does.
    fn find(&self, fits: impl Fn(&str, u32) -> bool) -> Option<(Box<str>, u32)> {
        let mut reader = BufReader::new(File::open(&self.path).ok()?);
        let mut line = Vec::with_capacity(LINE);
        while next_line(&mut reader, &mut line) {
            if let Some((name, id)) = parse(&line)
                && fits(name, id)
            {
                return Some((name.into(), id));
            }
        }
        None
    }
}

/// The next line without its end, cut at [`LINE`] bytes; false at the end of the file or when it cannot be read on.
fn next_line(reader: &mut impl BufRead, line: &mut Vec<u8>) -> bool {
    line.clear();
    let mut any = false;
    loop {
        let part = match reader.fill_buf() {
            Ok(part) => part,
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(_) => return false,
        };
        if part.is_empty() {
            return any;
        }
        any = true;
        let end = part.iter().position(|&b| b == b'\n');
        let text = &part[..end.unwrap_or(part.len())];
        let room = LINE - line.len();
        line.extend_from_slice(&text[..text.len().min(room)]);
        let used = end.map_or(part.len(), |e| e + 1);
        reader.consume(used);
        if end.is_some() {
            return true;
        }
    }
}

/// `name:password:id[:…]`; `None` for comments, NIS markers and anything else that is malformed.
fn parse(line: &[u8]) -> Option<(&str, u32)> {
    let mut fields = line.splitn(4, |&b| b == b':');
    let name = std::str::from_utf8(fields.next()?).ok()?;
    fields.next()?;
    let id = std::str::from_utf8(fields.next()?).ok()?;
    if name.is_empty() || name.starts_with(['#', '+', '-']) {
        return None;
    }
    if !id.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    Some((name, id.parse().ok()?))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failing step fails the test")]

    use super::*;

    #[test]
    fn lines() {
        for (line, want) in [
            (&b"root:x:0:0:root:/root:/bin/sh"[..], Some(("root", 0))),
            (b"users:x:100", Some(("users", 100))),
            (b"nobody:*:4294967294:", Some(("nobody", 4_294_967_294))),
            (b"", None),
            (b"# a:x:1:", None),
            (b"+::::", None),
            (b"-bad:x:5:", None),
            (b":x:1:", None),
            (b"a:x", None),
            (b"a:x:", None),
            (b"a:x:-1:", None),
            (b"a:x:+1:", None),
            (b"a:x:4294967296:", None),
            (b"\xff:x:1:", None),
        ] {
            assert_eq!(parse(line), want, "{}", line.escape_ascii());
        }
    }

    #[test]
    fn files_are_streamed_and_the_cache_is_capped() {
        let root = std::env::temp_dir().join(format!(
            "duplet-users-{}",
            crate::base::rand::hex::<8>().unwrap()
        ));
        std::fs::create_dir(&root).unwrap();
        let passwd = root.join("passwd");
        let mut text =
            String::from("broken\n\nann:x:1000:1000::/:\nbob:x:1001:1::\nbob:x:1002::\n");
        text.push_str(&format!("long:x:7:{}\nlast:x:8:", "m,".repeat(20_000)));
        std::fs::write(&passwd, text).unwrap();
        let mut users = Users::from_files(&passwd, &root.join("none"));
        assert_eq!(users.user_name(1000), Some("ann"));
        assert_eq!(users.uid_of("bob"), Some(1001));
        assert_eq!(users.user_name(1002), Some("bob"));
        assert_eq!(users.user_name(7), Some("long"));
        assert_eq!(users.user_name(8), Some("last"));
        assert_eq!(users.user_name(9), None);
        assert_eq!(users.uid_of("m"), None);
        assert_eq!(users.group_name(0), None);
        assert_eq!(users.gid_of("root"), None);
        for id in 10_000..10_600 {
            assert_eq!(users.user_name(id), None);
            assert_eq!(users.uid_of(&id.to_string()), None);
        }
        assert!(users.users.names.len() <= CACHED && users.users.ids.len() <= CACHED);
        std::fs::remove_file(&passwd).unwrap();
        assert_eq!(users.uid_of("10599"), None);
        std::fs::remove_dir(&root).unwrap();
    }

    #[test]
    fn uid_0_is_root_on_this_machine() {
        let mut users = Users::new();
        if let Some(name) = users.user_name(0).map(str::to_owned) {
            assert_eq!(users.uid_of(&name), Some(0));
        }
    }
}
