//! A real Samba server on a free port of this machine with one share `data`, whose folder is in a scratch folder, and the user
//! `duplet` of [`account`]; stopped by process id. Only root can start it. Installed by `.ci/prepare.d/smb`.

#![allow(dead_code, reason = "each test file uses its own part")]

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

use crate::support::servers::account::{self, PASSWORD};
use crate::support::{is_root, servers::free_port, text};

const PROGRAM: &str = "/usr/sbin/smbd";

/// A running server.
pub struct Server {
    pub port: u16,
    root: PathBuf,
    child: Option<Child>,
}

impl Server {
    /// `None`, said loudly, when it cannot run here.
    pub fn start() -> Option<Server> {
        if !Path::new(PROGRAM).exists() || !is_root() {
            eprintln!(
                "SKIPPED: Samba is not installed, or this is not root: run .ci/prepare first"
            );
            return None;
        }
        let root = std::env::temp_dir().join(format!("duplet-smb-{}", std::process::id()));
        for sub in ["home/share", "private", "state"] {
            fs::create_dir_all(root.join(sub)).expect("a writable temporary folder");
        }
        account::make(&root);
        let mut server = Server {
            port: free_port(),
            root,
            child: None,
        };
        server.configure();
        server.add_user();
        let d = text(&server.root);
        let words = format!("{PROGRAM} -F --no-process-group -s {d}/conf");
        let words: Vec<String> = words.split(' ').map(str::to_owned).collect();
        server.child = Some(account::start(&server.root, &words, server.port));
        Some(server)
    }

    fn configure(&self) {
        let (d, port) = (text(&self.root), self.port);
        let conf = format!(
            "[global]\nsmb ports = {port}\ninterfaces = 127.0.0.1\nbind interfaces only = yes\nserver role = standalone server\n\
             private dir = {d}/private\nlock directory = {d}/state\nstate directory = {d}/state\ncache directory = {d}/state\n\
             pid directory = {d}/state\nncalrpc dir = {d}/ncalrpc\nlog file = {d}/log\npassdb backend = tdbsam:{d}/private/passdb.tdb\n\
             disable netbios = yes\nload printers = no\ndisable spoolss = yes\n[data]\npath = {d}/home/share\nread only = no\n"
        );
        fs::write(self.root.join("conf"), conf).expect("a file");
    }

    /// Samba has a list of passwords of its own.
    fn add_user(&self) {
        let words = ["smbpasswd", "-c", "conf", "-s", "-a", "duplet"].map(str::to_owned);
        let mut command = account::inside(&self.root, &words);
        let mut child = command
            .current_dir(&self.root)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .expect("the program starts");
        let mut input = child.stdin.take().expect("a pipe");
        write!(input, "{PASSWORD}\n{PASSWORD}\n").expect("it reads");
        drop(input);
        assert!(child.wait().expect("it ends").success());
    }

    /// Where the files of the share are.
    pub fn share(&self) -> PathBuf {
        self.root.join("home/share")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(child) = self.child.take() {
            account::kill_all(child);
        }
        let _ = fs::remove_dir_all(&self.root);
    }
}
