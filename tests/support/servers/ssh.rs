//! Real SSH servers on a free port of this machine: OpenSSH's `sshd`, and Dropbear with OpenSSH's `sftp-server`. Each keeps its keys
//! and its users' files in a scratch folder and is stopped by process id.
//!
//! Started by root they run in a mount namespace of their own, where there is a user `duplet` with a password and a small disk
//! `small` of 2 MiB; the machine's own users and folders are not touched. For anybody else only OpenSSH starts, lets that user in
//! with a key, and has neither. Installed by `.ci/prepare.d/ssh`.

#![allow(dead_code, reason = "each test file uses its own part")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::atomic::{AtomicU32, Ordering};

use crate::support::servers::account::{self, run};
#[allow(unused_imports, reason = "each test file uses its own part")]
pub use crate::support::servers::account::{PASSWORD, PASSWORD_IN_URL, children_of};
use crate::support::{is_root, servers::free_port, text};

pub const SFTP_SERVER: &str = "/usr/lib/openssh/sftp-server";
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    OpenSsh,
    Dropbear,
}

/// A running server.
pub struct Server {
    pub kind: Kind,
    pub port: u16,
    /// Who may log in.
    pub user: String,
    root: PathBuf,
    child: Option<Child>,
}

impl Server {
    /// `None`, said loudly, when it cannot run here. `more`: further lines of the configuration of `sshd`.
    pub fn start(kind: Kind, more: &str) -> Option<Server> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let program = match kind {
            Kind::OpenSsh => "/usr/sbin/sshd",
            Kind::Dropbear => "/usr/sbin/dropbear",
        };
        if !Path::new(program).exists() || !Path::new(SFTP_SERVER).exists() {
            eprintln!("SKIPPED: {program} is not installed: run .ci/prepare first");
            return None;
        }
        if kind == Kind::Dropbear && !is_root() {
            eprintln!("SKIPPED: Dropbear lets only root's namespace use a home of its own");
            return None;
        }
        let n = COUNT.fetch_add(1, Ordering::Relaxed);
        let root = std::env::temp_dir().join(format!("duplet-ssh-{}-{n}", std::process::id()));
        for sub in ["home/.ssh", "keys"] {
            fs::create_dir_all(root.join(sub)).expect("a writable temporary folder");
        }
        let mut server = Server {
            kind,
            port: free_port(),
            user: if is_root() {
                "duplet".to_owned()
            } else {
                login_name()
            },
            root,
            child: None,
        };
        server.make_keys();
        server.configure(more);
        server.run();
        Some(server)
    }

    fn make_keys(&self) {
        for (name, kind, phrase) in [
            ("host_ed25519", "ed25519", ""),
            ("host_rsa", "rsa", ""),
            ("id", "ed25519", ""),
            ("id_locked", "ed25519", "the phrase of the key"),
            ("stranger", "ed25519", ""),
        ] {
            let path = self.key(name);
            run(Command::new("ssh-keygen")
                .args(["-q", "-t", kind, "-N", phrase, "-C", "", "-f"])
                .arg(path));
        }
        let keys = [self.public("id"), self.public("id_locked")].concat();
        let file = self.root.join("home/.ssh/authorized_keys");
        fs::write(&file, keys).expect("a file");
        if self.kind == Kind::Dropbear || Path::new("/usr/bin/dropbearconvert").exists() {
            for (from, to) in [
                ("host_ed25519", "dropbear_host"),
                ("id", "id_dropbear"),
                ("stranger", "stranger_dropbear"),
            ] {
                run(Command::new("dropbearconvert")
                    .args(["openssh", "dropbear"])
                    .args([self.key(from), self.key(to)]));
            }
        }
    }

    fn configure(&self, more: &str) {
        let d = text(&self.root);
        let port = self.port;
        let conf = format!(
            "Port {port}\nListenAddress 127.0.0.1\nHostKey {d}/keys/host_ed25519\nHostKey {d}/keys/host_rsa\nPidFile none\n\
             AuthorizedKeysFile {d}/home/.ssh/authorized_keys\nStrictModes no\nUsePAM no\nKbdInteractiveAuthentication no\n\
             PasswordAuthentication yes\nLogLevel VERBOSE\n{more}\n"
        );
        let subsystem = format!("Subsystem sftp {SFTP_SERVER}\n");
        let own = more.contains("Subsystem");
        let conf = if own { conf } else { conf + &subsystem };
        fs::write(self.root.join("conf"), conf).expect("a file");
        account::make(&self.root);
        if is_root() {
            run(Command::new("chown")
                .args(["-R", "0:0"])
                .arg(self.root.join("keys")));
        }
    }

    /// What is in the home becomes the user's.
    pub fn give_away(&self) {
        account::give_away(&self.home());
    }

    fn run(&mut self) {
        let d = text(&self.root).to_owned();
        let port = format!("127.0.0.1:{}", self.port);
        let words: Vec<String> = match self.kind {
            Kind::OpenSsh => format!("/usr/sbin/sshd -D -e -f {d}/conf"),
            Kind::Dropbear => {
                format!("/usr/sbin/dropbear -F -E -p {port} -r {d}/keys/dropbear_host -P {d}/pid")
            }
        }
        .split(' ')
        .map(str::to_owned)
        .collect();
        self.child = Some(account::start(&self.root, &words, self.port));
    }

    /// What the server printed.
    pub fn log(&self) -> String {
        fs::read_to_string(self.root.join("log")).unwrap_or_default()
    }

    /// Ends it at once, with the conversations it has.
    pub fn kill(&mut self) {
        if let Some(child) = self.child.take() {
            account::kill_all(child);
        }
    }

    /// Starts it again on the same port with the same files.
    pub fn restart(&mut self) {
        self.kill();
        self.run();
    }

    /// The home of the user.
    pub fn home(&self) -> PathBuf {
        self.root.join("home")
    }

    /// A private key: `id`, `id_locked`, `stranger`, `id_dropbear`.
    pub fn key(&self, name: &str) -> PathBuf {
        self.root.join("keys").join(name)
    }

    /// The keys that Dropbear's client reads were made.
    pub fn has_dropbear_keys(&self) -> bool {
        self.key("id_dropbear").exists()
    }

    /// The line of a public key.
    pub fn public(&self, name: &str) -> String {
        fs::read_to_string(self.root.join("keys").join(format!("{name}.pub"))).expect("a key")
    }

    /// The fingerprint of a key; `hash` is `sha256` or `md5`.
    pub fn print_of(&self, name: &str, hash: &str) -> String {
        let out = Command::new("ssh-keygen")
            .args(["-l", "-E", hash, "-f"])
            .arg(self.root.join("keys").join(format!("{name}.pub")))
            .output()
            .expect("ssh-keygen");
        let line = String::from_utf8(out.stdout).expect("text");
        line.split(' ').nth(1).expect("a fingerprint").to_owned()
    }

    /// A file of known hosts that has the keys of these names for this server.
    pub fn known(&self, names: &[&str]) -> PathBuf {
        let lines = names.iter().map(|name| {
            let key = self.public(name);
            format!("[127.0.0.1]:{} {key}", self.port)
        });
        let path = self.root.join(format!("known-{}", names.join("-")));
        fs::write(&path, lines.collect::<String>()).expect("a file");
        path
    }

    /// The URL of a folder in the home of the user, without any way in but what `query` gives.
    pub fn url(&self, path: &str, query: &str) -> String {
        let home = text(&self.home()).to_owned();
        format!(
            "ssh://{}@127.0.0.1:{}{home}/{path}?{query}",
            self.user, self.port
        )
    }

    /// The query that logs in with the key and knows the server.
    pub fn good(&self) -> String {
        format!(
            "ssh-keyfile={}&{}",
            text(&self.key("id")),
            self.knows(&["host_ed25519"])
        )
    }

    /// The query of a client that has no settings of its own and knows these keys.
    pub fn knows(&self, names: &[&str]) -> String {
        let known = self.known(names);
        format!("ssh-options=-F+none+-o+UserKnownHostsFile={}", text(&known))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            eprintln!("{:?} said: {}", self.kind, self.log());
        }
        let _ = fs::set_permissions(self.home(), fs::Permissions::from_mode(0o755));
        let _ = fs::remove_dir_all(&self.root);
    }
}

fn login_name() -> String {
    let out = Command::new("id").arg("-un").output().expect("id");
    String::from_utf8(out.stdout)
        .expect("a name")
        .trim()
        .to_owned()
}
