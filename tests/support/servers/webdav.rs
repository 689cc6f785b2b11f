//! Real WebDAV servers on free ports of this machine: Apache, nginx, lighttpd, WsgiDAV, Go's handler. Each is a child in a process group of its
//! own, stopped with it, and keeps everything in a scratch folder. One user: `duplet`, `pass-123`.
//!
//! `/basic` everywhere; `/digest` (MD5) but on nginx and Go; `/sha256` on lighttpd. Installed by `.ci/prepare.d/webdav` and
//! `.ci/prepare.d/webdav-go`.

#![allow(dead_code, reason = "each test file uses its own part")]

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Apache,
    Nginx,
    Lighttpd,
    WsgiDav,
    /// `golang.org/x/net/webdav`.
    Go,
}

pub const ALL: [Kind; 5] = [
    Kind::Apache,
    Kind::Nginx,
    Kind::Lighttpd,
    Kind::WsgiDav,
    Kind::Go,
];
pub const PASSWORD: &str = "pass-123";

const DIGEST_MD5: &str = "duplet:duplet:e2fdef6ee44f45afb17eff53ba26e04d\n";
const DIGEST_SHA256: &str =
    "duplet:duplet:e33da964d72adaf056740e6b357e7db22a7fe87a36567630f00666d13212871f\n";
const PASSWORDS: &str = "duplet:{SHA}YG5ujU8gftO0swfTKRY0gCUZ3Gc=\n";

const APACHE: &str = r#"
ServerRoot /usr/lib/apache2
ServerName localhost
PidFile @D/pid
ErrorLog @D/error.log
DefaultRuntimeDir @D
Mutex file:@D/lock
Listen 127.0.0.1:@P
Listen 127.0.0.1:@T
@USER
LoadModule mpm_event_module modules/mod_mpm_event.so
LoadModule authn_core_module modules/mod_authn_core.so
LoadModule authn_file_module modules/mod_authn_file.so
LoadModule authz_core_module modules/mod_authz_core.so
LoadModule authz_user_module modules/mod_authz_user.so
LoadModule auth_basic_module modules/mod_auth_basic.so
LoadModule auth_digest_module modules/mod_auth_digest.so
LoadModule dav_module modules/mod_dav.so
LoadModule dav_fs_module modules/mod_dav_fs.so
LoadModule alias_module modules/mod_alias.so
LoadModule socache_shmcb_module modules/mod_socache_shmcb.so
LoadModule ssl_module modules/mod_ssl.so
StartServers 1
DAVLockDB @D/lock/DAVLock
LimitRequestBody 0
Alias /basic @D/www/basic
Alias /digest @D/www/digest
<Location /basic>
Dav On
AuthType Basic
AuthName duplet
AuthUserFile @D/passwords
Require valid-user
</Location>
<Location /digest>
Dav On
AuthType Digest
AuthName duplet
AuthDigestProvider file
AuthUserFile @D/digest-md5
Require valid-user
</Location>
<VirtualHost 127.0.0.1:@T>
SSLEngine on
SSLCertificateFile @CERT
SSLCertificateKeyFile @KEY
</VirtualHost>
"#;

const NGINX: &str = r#"
load_module /usr/lib/nginx/modules/ngx_http_dav_ext_module.so;
daemon off;
worker_processes 1;
pid @D/pid;
@USER
events { worker_connections 64; }
http {
    access_log off;
    client_body_temp_path @D/t1; proxy_temp_path @D/t2; fastcgi_temp_path @D/t3; uwsgi_temp_path @D/t4; scgi_temp_path @D/t5;
    dav_ext_lock_zone zone=l:1m;
    client_max_body_size 0;
    server {
        listen 127.0.0.1:@P;
        location / {
            root @D/www;
            dav_methods PUT DELETE MKCOL COPY MOVE;
            dav_ext_methods PROPFIND OPTIONS LOCK UNLOCK;
            dav_ext_lock zone=l;
            dav_access user:rw;
            auth_basic duplet;
            auth_basic_user_file @D/passwords;
        }
        location /plain/ { root @D/www; dav_methods PUT DELETE MKCOL; }
        location /small/ {
            root @D/www;
            client_max_body_size 1m;
            dav_methods PUT DELETE MKCOL COPY MOVE;
            dav_ext_methods PROPFIND OPTIONS;
        }
    }
}
"#;

const LIGHTTPD: &str = r#"
server.modules = ("mod_auth", "mod_authn_file", "mod_webdav")
server.bind = "127.0.0.1"
server.port = @P
server.document-root = "@D/www"
server.upload-dirs = ("@D/t1")
server.errorlog = "@D/error.log"
@USER
webdav.activate = "enable"
webdav.sqlite-db-name = "@D/lock/db"
auth.backend = "htdigest"
auth.backend.htdigest.userfile = "@D/digest-md5"
$HTTP["url"] =~ "^/sha256" { auth.backend.htdigest.userfile = "@D/digest-sha256" }
auth.require = (
    "/basic" => ("method" => "basic", "realm" => "duplet", "require" => "valid-user"),
    "/digest" => ("method" => "digest", "realm" => "duplet", "require" => "valid-user"),
    "/sha256" => ("method" => "digest", "algorithm" => "SHA-256", "realm" => "duplet", "require" => "valid-user")
)
"#;

const WSGIDAV: &str = r#"
host: 127.0.0.1
port: @P
server: cheroot
provider_mapping:
  "/basic": "@D/www/basic"
  "/digest": "@D/www/digest"
http_authenticator:
  accept_basic: true
  accept_digest: true
  default_to_digest: true
simple_dc:
  user_mapping:
    "*":
      duplet:
        password: pass-123
verbose: 1
logging:
  enable_loggers: []
"#;

/// A running server; stopped and removed when dropped.
pub struct Server {
    pub kind: Kind,
    pub port: u16,
    /// Apache only.
    pub tls_port: u16,
    root: PathBuf,
    child: Option<Child>,
}

impl Server {
    /// `None`, said loudly, when the server is not installed.
    pub fn start(kind: Kind) -> Option<Server> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let (program, _) = program(kind, Path::new(""), 0);
        if !program.exists() {
            eprintln!("SKIPPED: {kind:?} is not installed ({})", program.display());
            return None;
        }
        let n = COUNT.fetch_add(1, Ordering::Relaxed);
        let root = std::env::temp_dir().join(format!("duplet-webdav-{}-{n}", std::process::id()));
        for sub in [
            "www/basic",
            "www/digest",
            "www/sha256",
            "www/plain",
            "www/small",
            "lock",
            "t1",
            "t2",
            "t3",
            "t4",
            "t5",
        ] {
            fs::create_dir_all(root.join(sub)).expect("a writable temporary folder");
        }
        for (name, text) in [
            ("digest-md5", DIGEST_MD5),
            ("digest-sha256", DIGEST_SHA256),
            ("passwords", PASSWORDS),
        ] {
            fs::write(root.join(name), text).expect("a writable temporary folder");
        }
        let mut server = Server {
            kind,
            port: free_port(),
            tls_port: free_port(),
            root,
            child: None,
        };
        server.configure();
        server.give_away();
        server.run();
        Some(server)
    }

    fn configure(&self) {
        let root = is_root();
        let (text, user) = match self.kind {
            Kind::Apache => (APACHE, "User www-data\nGroup www-data"),
            Kind::Nginx => (NGINX, "user www-data;"),
            Kind::Lighttpd => (
                LIGHTTPD,
                "server.username = \"www-data\"\nserver.groupname = \"www-data\"",
            ),
            Kind::WsgiDav => (WSGIDAV, ""),
            Kind::Go => ("", ""),
        };
        let tls = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/tls");
        let text = text
            .replace("@USER", if root { user } else { "" })
            .replace("@CERT", tls.join("good.pem").to_str().expect("plain path"))
            .replace("@KEY", tls.join("key.pem").to_str().expect("plain path"))
            .replace("@D", self.root.to_str().expect("plain path"))
            .replace("@P", &self.port.to_string())
            .replace("@T", &self.tls_port.to_string());
        fs::write(self.root.join("conf.yaml"), text).expect("a writable temporary folder");
    }

    /// The servers change to a user of their own when they are started by root; the files become theirs.
    pub fn give_away(&self) {
        if !is_root() {
            return;
        }
        let done = Command::new("chown")
            .args(["-R", "www-data:www-data"])
            .arg(&self.root)
            .status();
        assert!(done.expect("chown").success());
    }

    fn run(&mut self) {
        let (program, args) = program(self.kind, &self.root, self.port);
        let log = fs::File::create(self.root.join("output")).expect("a writable temporary folder");
        let child = Command::new(program)
            .args(args)
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .env("LC_ALL", "C.UTF-8")
            .current_dir(&self.root)
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a file"))
            .stderr(log)
            .spawn()
            .expect("the server starts");
        self.child = Some(child);
        let end = Instant::now() + Duration::from_secs(60);
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            let ended = self
                .child
                .as_mut()
                .and_then(|c| c.try_wait().ok())
                .flatten();
            if ended.is_some() || Instant::now() > end {
                panic!("{:?} does not start: {}", self.kind, self.log());
            }
            std::thread::park_timeout(Duration::from_millis(10));
        }
    }

    /// What the server printed.
    pub fn log(&self) -> String {
        ["output", "error.log"]
            .map(|f| fs::read_to_string(self.root.join(f)).unwrap_or_default())
            .concat()
    }

    /// Ends it at once, with all its processes.
    pub fn kill(&mut self) {
        let Some(mut child) = self.child.take() else {
            return;
        };
        let group = format!("-{}", child.id());
        let _ = Command::new("kill")
            .args(["-KILL", "--", &group])
            .stderr(Stdio::null())
            .status();
        let _ = child.wait();
    }

    /// Starts it again on the same port with the same files.
    pub fn restart(&mut self) {
        self.kill();
        self.run();
    }

    /// The folder behind `/login`.
    pub fn folder(&self, login: &str) -> PathBuf {
        self.root.join("www").join(login)
    }

    /// The destination URL of a path, `more` being further options.
    pub fn url(&self, path: &str, more: &str) -> String {
        self.url_at(self.port, path, more)
    }

    /// As [`Server::url`] through another port.
    pub fn url_at(&self, port: u16, path: &str, more: &str) -> String {
        format!(
            "webdav://duplet@127.0.0.1:{port}/{path}?auth-password={PASSWORD}&http-proxy=none&{more}"
        )
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            eprintln!("{:?} said: {}", self.kind, self.log());
        }
        let _ = fs::remove_dir_all(&self.root);
    }
}

fn program(kind: Kind, root: &Path, port: u16) -> (PathBuf, Vec<String>) {
    let conf = root.join("conf.yaml").display().to_string();
    let error = root.join("error.log").display().to_string();
    let word = |w: &str| w.to_owned();
    match kind {
        Kind::Apache => (
            "/usr/sbin/apache2".into(),
            vec![word("-f"), conf, word("-DFOREGROUND")],
        ),
        Kind::Nginx => (
            "/usr/sbin/nginx".into(),
            vec![word("-c"), conf, word("-e"), error],
        ),
        Kind::Lighttpd => (
            "/usr/sbin/lighttpd".into(),
            vec![word("-D"), word("-f"), conf],
        ),
        Kind::WsgiDav => {
            let target = Path::new(env!("CARGO_TARGET_TMPDIR"))
                .parent()
                .expect("inside target");
            (
                target.join("webdav-venv/bin/wsgidav"),
                vec![word("-c"), conf],
            )
        }
        Kind::Go => (
            go_program(),
            vec![
                format!("127.0.0.1:{port}"),
                root.join("www").display().to_string(),
                word("duplet"),
                word(PASSWORD),
            ],
        ),
    }
}

/// Where `.ci/prepare.d/webdav-go` put it.
fn go_program() -> PathBuf {
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let home = std::env::var_os("HOME").map(PathBuf::from);
    let cache = cache.or_else(|| Some(home?.join(".cache")));
    cache
        .unwrap_or_default()
        .join("duplet-test-tools/webdav-go-v0.55.0/webdav-go")
}

fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    fs::metadata("/proc/self").is_ok_and(|m| m.uid() == 0)
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("an address").port()
}
