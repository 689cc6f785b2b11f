//! SFTP in the table of faults: a server that is a child of the program, in Python, on a folder of this machine.

use std::path::PathBuf;

use super::*;
use crate::base::rand;

/// Where the server is.
const SERVER: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/tests/support/faulty_sftp.py"
);

pub(super) fn start() -> Box<dyn Wire> {
    Box::new(Sftp::new(""))
}

/// A folder that is served, and what is to go wrong.
pub(in crate::remote) struct Sftp(PathBuf);

impl Sftp {
    /// `mode`: words of the server for the whole run.
    pub(in crate::remote) fn new(mode: &str) -> Sftp {
        let name = format!("duplet-sftp-{}", rand::hex::<8>().expect("random"));
        let root = std::env::temp_dir().join(name);
        std::fs::create_dir_all(root.join("d")).expect("a folder");
        std::fs::write(root.join("mode"), mode).expect("a file");
        Sftp(root)
    }

    /// What goes wrong: `KIND NUMBER TROUBLE [VALUE]`, one a line.
    pub(in crate::remote) fn script(&self, lines: &str) {
        std::fs::write(self.0.join("script"), lines).expect("a file");
    }

    /// Lines of the script that have not happened.
    pub(in crate::remote) fn left(&self) -> String {
        std::fs::read_to_string(self.0.join("script")).unwrap_or_default()
    }

    /// Requests of a kind so far.
    pub(in crate::remote) fn count(&self, kind: &str) -> usize {
        let log = std::fs::read_to_string(self.0.join("log")).unwrap_or_default();
        log.lines().filter(|line| *line == kind).count()
    }

    pub(in crate::remote) fn path(&self, name: &str) -> PathBuf {
        self.0.join("d").join(name)
    }

    /// Names in the served folder.
    pub(in crate::remote) fn names(&self) -> Vec<String> {
        let found = std::fs::read_dir(self.0.join("d")).expect("a folder");
        let mut names: Vec<String> = found
            .map(|e| e.expect("an entry").file_name().into_string().expect("plain"))
            .collect();
        names.sort();
        names
    }

    pub(in crate::remote) fn subject(&self, query: &str) -> Subject {
        Subject::open(&self.url("", query), SECRETS)
    }
}

impl Drop for Sftp {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

impl Wire for Sftp {
    fn schemes(&self) -> &'static [&'static str] {
        &["ssh"]
    }

    fn url(&self, _: &str, query: &str) -> String {
        let root = self.0.to_str().expect("plain");
        let command = format!("python3+'{SERVER}'+{root}").replace('/', "%2F");
        format!(
            "ssh://user:{SECRET_IN_URL}@server{root}/d?retry-delay=0s&ssh-command={command}&{query}"
        )
    }

    fn store(&self, name: &str, data: &[u8]) {
        std::fs::write(self.path(name), data).expect("stored");
    }

    fn file(&self, name: &str) -> Option<Vec<u8>> {
        std::fs::read(self.path(name)).ok()
    }

    fn unmake(&self) {
        std::fs::remove_dir_all(self.0.join("d")).expect("gone");
    }
}
