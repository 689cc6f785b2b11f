//! Real FTP servers on a free port of this machine: vsftpd, Pure-FTPd, ProFTPD and pyftpdlib. Each keeps its files in a scratch
//! folder and is stopped by process id.
//!
//! All but pyftpdlib need root: they run in a mount namespace of their own with the user of [`account`]. Brought by
//! `.ci/prepare.d/ftp`.

#![allow(dead_code, reason = "each test file uses its own part")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::support::servers::account::{self, HASH, UID};
pub use crate::support::servers::account::{PASSWORD, PASSWORD_IN_URL};
use crate::support::{is_root, servers::free_port, text};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    VsFtpd,
    PureFtpd,
    ProFtpd,
    PyFtpdLib,
}

pub const ALL: [Kind; 4] = [Kind::VsFtpd, Kind::PureFtpd, Kind::ProFtpd, Kind::PyFtpdLib];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tls {
    None,
    /// Without it nobody logs in; vsftpd and ProFTPD want the session of the control connection on every data connection.
    Explicit,
    /// vsftpd only.
    Implicit,
}

/// A running server.
pub struct Server {
    pub kind: Kind,
    pub tls: Tls,
    pub port: u16,
    more: String,
    root: PathBuf,
    child: Option<Child>,
}

const VSFTPD: &str = "background=NO
listen=YES
listen_address=127.0.0.1
listen_port=@PORT
anonymous_enable=NO
local_enable=YES
write_enable=YES
local_umask=022
pam_service_name=duplet
secure_chroot_dir=@D/empty
seccomp_sandbox=NO
vsftpd_log_file=@D/log.vsftpd
log_ftp_protocol=YES
xferlog_enable=YES
xferlog_std_format=NO
max_login_fails=1
delay_failed_login=0
";

/// `require_ssl_reuse` is on unless it is switched off.
const VSFTPD_TLS: &str = "ssl_enable=YES
ssl_ciphers=HIGH
rsa_cert_file=@CERT
rsa_private_key_file=@KEY
force_local_logins_ssl=YES
force_local_data_ssl=YES
strict_ssl_read_eof=YES
";

const PROFTPD: &str = "ServerType standalone
DefaultServer on
ServerName duplet
ModulePath @P/usr/lib/proftpd
Port @PORT
DefaultAddress 127.0.0.1
SocketBindTight on
UseReverseDNS off
User nobody
Group nogroup
PidFile @D/pid
ScoreboardFile @D/scoreboard
DelayTable none
SystemLog @D/log.proftpd
TransferLog none
WtmpLog off
RequireValidShell off
AuthOrder mod_auth_file.c
AuthUserFile @D/proftpd.users
AllowOverwrite on
AllowStoreRestart on
TimesGMT on
";

const PROFTPD_TLS: &str = "LoadModule mod_tls.c
TLSEngine on
TLSLog @D/log.tls
TLSProtocol TLSv1.2 TLSv1.3
TLSECCertificateFile @CERT
TLSECCertificateKeyFile @KEY
TLSVerifyClient off
TLSRequired on
";

impl Server {
    /// `None`, said loudly, when it cannot run here. `more`: further lines of the configuration, or further arguments of Pure-FTPd.
    pub fn start(kind: Kind, tls: Tls, more: &str) -> Option<Server> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        if kind != Kind::PyFtpdLib && !is_root() {
            eprintln!("SKIPPED: {kind:?} runs only in a namespace that root makes");
            return None;
        }
        let there = match kind {
            Kind::PyFtpdLib => std::process::Command::new("/usr/bin/python3")
                .args(["-c", "import pyftpdlib, OpenSSL"])
                .output()
                .is_ok_and(|done| done.status.success()),
            _ => programs().join("done").exists(),
        };
        if !there {
            eprintln!("SKIPPED: {kind:?} is not installed: run .ci/prepare first");
            return None;
        }
        let n = COUNT.fetch_add(1, Ordering::Relaxed);
        let root = std::env::temp_dir().join(format!("duplet-ftp-{}-{n}", std::process::id()));
        fs::create_dir_all(root.join("empty")).expect("a writable temporary folder");
        account::make(&root);
        let mut server = Server {
            kind,
            tls,
            port: free_port(),
            more: more.to_owned(),
            root,
            child: None,
        };
        server.configure();
        server.run();
        Some(server)
    }

    fn filled(&self, text_of_file: &str) -> String {
        text_of_file
            .replace("@PORT", &self.port.to_string())
            .replace("@D", text(&self.root))
            .replace("@P", text(&programs()))
            .replace("@CERT", text(&data("good.pem")))
            .replace("@KEY", text(&data("key.pem")))
    }

    /// The configuration, which must not be writable by others.
    fn write(&self, name: &str, content: &str) {
        let path = self.root.join(name);
        fs::write(&path, content).expect("a file");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("own file");
    }

    fn configure(&self) {
        let tls = self.tls != Tls::None;
        let conf = match self.kind {
            Kind::VsFtpd => format!(
                "{VSFTPD}{}{}{}\n",
                if tls { VSFTPD_TLS } else { "" },
                if self.tls == Tls::Implicit {
                    "implicit_ssl=YES\n"
                } else {
                    ""
                },
                self.more
            ),
            Kind::ProFtpd => {
                let tls = if tls { PROFTPD_TLS } else { "" };
                // A module that is not built in comes first.
                format!("{PROFTPD}{tls}{}\n", self.more)
            }
            _ => String::new(),
        };
        self.write("conf", &self.filled(&conf));
        let home = text(&self.home()).to_owned();
        self.write(
            "proftpd.users",
            &format!("duplet:{HASH}:{UID}:{UID}::{home}:/bin/sh\n"),
        );
        let both =
            ["key.pem", "good.pem"].map(|name| fs::read_to_string(data(name)).expect("a key"));
        self.write("both.pem", &both.concat());
    }

    fn words(&self) -> Vec<String> {
        let d = text(&self.root);
        let bin = text(&programs().join("usr/sbin")).to_owned();
        let port = self.port;
        let mut words = match self.kind {
            Kind::VsFtpd => format!("{bin}/vsftpd {d}/conf"),
            Kind::ProFtpd => format!("{bin}/proftpd -n -c {d}/conf"),
            Kind::PureFtpd => {
                let tls = if self.tls == Tls::None { "-Y 0" } else { "-Y 3" };
                format!(
                    "{bin}/pure-ftpd -4 -S 127.0.0.1,{port} -l unix -E -H -u 1 -f none -g {d}/pid -2 {d}/both.pem {tls} {}",
                    self.more
                )
            }
            Kind::PyFtpdLib => {
                let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/servers/ftp.py");
                format!("/usr/bin/python3 {script} {port} {d}/home{} duplet", self.more)
            }
        }
        .split_whitespace()
        .map(str::to_owned)
        .collect::<Vec<_>>();
        if self.kind == Kind::PyFtpdLib {
            words.push(PASSWORD.to_owned());
            if self.tls != Tls::None {
                words.extend(["good.pem", "key.pem"].map(|name| text(&data(name)).to_owned()));
            }
        }
        words
    }

    fn run(&mut self) {
        self.child = Some(account::start(&self.root, &self.words(), self.port));
    }

    /// What the server wrote of what was said and done.
    pub fn log(&self) -> String {
        let log = |name| fs::read(self.root.join(name)).unwrap_or_default();
        let all = ["log", "log.vsftpd", "log.proftpd", "log.tls"].map(log);
        String::from_utf8_lossy(&all.concat()).into_owned()
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

    /// Where the user's log-in begins.
    pub fn home(&self) -> PathBuf {
        self.root.join("home")
    }

    /// A folder in the home, with all above it, that is the user's.
    pub fn folder(&self, path: &str) -> PathBuf {
        let folder = self.home().join(path);
        fs::create_dir_all(&folder).expect("a folder");
        self.give_away();
        folder
    }

    /// What is in the home becomes the user's.
    pub fn give_away(&self) {
        if self.kind != Kind::PyFtpdLib {
            account::give_away(&self.home());
        }
    }

    /// The query that logs in.
    pub fn good(&self) -> String {
        format!("auth-password={PASSWORD_IN_URL}&{}", self.way())
    }

    /// The query that chooses the kind of TLS and knows the authority.
    pub fn way(&self) -> String {
        let ca = text(&data("ca.pem")).to_owned();
        match self.tls {
            Tls::None => String::new(),
            tls => format!("ftp-encryption-mode={tls:?}&ssl-ca-file={ca}"),
        }
    }

    /// The URL of a folder in the home of the user, without any way in but what `query` gives.
    pub fn url(&self, path: &str, query: &str) -> String {
        format!("ftp://duplet@127.0.0.1:{}/{path}?{query}", self.port)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            let log = self.log();
            let end: Vec<&str> = log.lines().rev().take(40).collect();
            let end: Vec<&str> = end.into_iter().rev().collect();
            eprintln!("{:?} {:?} said: {}", self.kind, self.tls, end.join("\n"));
        }
        let _ = fs::remove_dir_all(&self.root);
    }
}

/// Where `.ci/prepare.d/ftp` unpacked the servers.
fn programs() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("ftp-servers")
}

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data/tls")
        .join(name)
}
