//! Real S3 servers. By default those two that check most: JuiceFS's gateway (the request code of MinIO) and OpenStack Swift
//! with s3api. `DUPLET_TEST_SERVERS=all` adds rclone, SeaweedFS and MinIO where they are installed.

use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;

use super::{Home, Server, Shared, accepts, answers, free_port, installed};

/// A running S3 service with one account.
pub struct S3 {
    pub name: &'static str,
    pub port: u16,
    pub key: &'static str,
    pub secret: &'static str,
    pub region: &'static str,
    /// Answers to `bucket.localhost`.
    pub virtual_host: bool,
    /// Refuses a wrong region.
    pub checks_region: bool,
    // Stopped in this order.
    _servers: Vec<Server>,
    _home: Home,
}

impl S3 {
    /// A destination URL with credentials; `more` begins with `&` or is empty.
    pub fn url(&self, place: &str, more: &str) -> String {
        self.url_as(place, self.key, self.secret, more)
    }

    pub fn url_as(&self, place: &str, key: &str, secret: &str, more: &str) -> String {
        let encode = |text: &str| text.replace(':', "%3A").replace('+', "%2B");
        format!(
            "s3://{place}?s3-server-name=127.0.0.1:{}&use-ssl=false&auth-username={}&auth-password={}{more}",
            self.port,
            encode(key),
            encode(secret),
        )
    }

    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
}

/// The servers of this run.
pub fn all() -> Vec<Arc<S3>> {
    let mut found = vec![juicefs(), swift()];
    if std::env::var("DUPLET_TEST_SERVERS").is_ok_and(|v| v == "all") {
        found.push(RCLONE.get(start_rclone));
        if super::venv().join("bin/weed").exists() {
            found.push(WEED.get(start_weed));
        }
        if let Some(program) = minio() {
            found.push(MINIO.get(|| start_minio(program)));
        }
    }
    found
}

static JUICEFS: Shared<S3> = Shared::new();
static SWIFT: Shared<S3> = Shared::new();
static RCLONE: Shared<S3> = Shared::new();
static WEED: Shared<S3> = Shared::new();
static MINIO: Shared<S3> = Shared::new();

pub fn juicefs() -> Arc<S3> {
    JUICEFS.get(start_juicefs)
}

pub fn swift() -> Arc<S3> {
    SWIFT.get(start_swift)
}

const KEY: &str = "duplet";
const SECRET: &str = "duplet-secret-key";

fn start_juicefs() -> S3 {
    let home = Home::new("juicefs");
    let program = installed("juicefs");
    let meta = format!("sqlite3://{}", home.at("meta.db").display());
    let made = Command::new(&program)
        .args(["format", "--storage", "file", "--bucket"])
        .arg(format!("{}/", home.at("data").display()))
        .args(["--trash-days", "0", &meta, "test"])
        .output()
        .expect("juicefs runs");
    assert!(made.status.success(), "juicefs format: {made:?}");
    let port = free_port();
    let mut command = Command::new(&program);
    command
        .env("MINIO_ROOT_USER", KEY)
        .env("MINIO_ROOT_PASSWORD", SECRET)
        .env("MINIO_REGION", "us-east-1")
        .args(["--no-agent", "gateway", "--no-usage-report"])
        .args(["--metrics", "127.0.0.1:0", "--multi-buckets", "--keep-etag"])
        .args(["--domain", "localhost", "--log"])
        .arg(home.at("gateway.log"))
        .arg("--cache-dir")
        .arg(home.at("cache"))
        .args([&meta, &format!("127.0.0.1:{port}")]);
    let mut server = Server::start("juicefs", command, &home.at("log"));
    server.wait(&|| answers(port, "/minio/health/ready"));
    S3 {
        name: "juicefs",
        port,
        key: KEY,
        secret: SECRET,
        region: "us-east-1",
        virtual_host: true,
        checks_region: true,
        _servers: vec![server],
        _home: home,
    }
}

fn start_swift() -> S3 {
    let home = Home::new("swift");
    let place = |name: &str| home.at(name).display().to_string();
    std::fs::create_dir_all(home.at("dev/d1")).unwrap();
    std::fs::create_dir_all(home.at("cache")).unwrap();
    home.write(
        "swift.conf",
        "[swift-hash]\nswift_hash_path_prefix = p\nswift_hash_path_suffix = s\n\
         [storage-policy:0]\nname = default\ndefault = yes\n",
    );
    let user = Command::new("id").arg("-un").output().unwrap().stdout;
    let user = String::from_utf8(user).unwrap().trim().to_owned();
    let common = |port: u16| {
        format!(
            "[DEFAULT]\nbind_ip = 127.0.0.1\nbind_port = {port}\nworkers = 0\nuser = {user}\nmount_check = false\n\
             swift_dir = {}\ndevices = {}\nrecon_cache_path = {}\n",
            home.at("").display(),
            place("dev"),
            place("cache")
        )
    };
    let mut servers = Vec::new();
    let memcached = free_port();
    let mut command = Command::new("memcached");
    command.args(["-l", "127.0.0.1", "-U", "0", "-m", "16", "-u", &user, "-p"]);
    command.arg(memcached.to_string());
    servers.push(Server::start(
        "memcached",
        command,
        &home.at("memcached.log"),
    ));
    let ring = |args: &[&str]| {
        let mut command = Command::new(installed("swift-ring-builder"));
        let done = command
            .args(args)
            .current_dir(home.at(""))
            .output()
            .unwrap();
        // It exits with 1 for mere warnings.
        assert!(matches!(done.status.code(), Some(0 | 1)), "{done:?}");
    };
    let mut ports = vec![memcached];
    for kind in ["account", "container", "object"] {
        let port = free_port();
        ports.push(port);
        let builder = format!("{kind}.builder");
        ring(&[&builder, "create", "4", "1", "0"]);
        ring(&[&builder, "add", &format!("r1z1-127.0.0.1:{port}/d1"), "1"]);
        ring(&[&builder, "rebalance"]);
        let conf = home.write(
            &format!("{kind}.conf"),
            &format!(
                "{}[pipeline:main]\npipeline = {kind}-server\n[app:{kind}-server]\nuse = egg:swift#{kind}\n{PATIENT}\
                 [{kind}-replicator]\n[{kind}-auditor]\n",
                common(port)
            ),
        );
        servers.push(swift_process(&home, kind, &conf));
    }
    let port = free_port();
    ports.push(port);
    let mut conf = format!(
        "{}[pipeline:main]\npipeline = catch_errors gatekeeper healthcheck cache listing_formats s3api tempauth copy dlo slo proxy-server\n\
         [app:proxy-server]\nuse = egg:swift#proxy\naccount_autocreate = true\n{PATIENT}\
         [filter:tempauth]\nuse = egg:swift#tempauth\nuser_test_tester = testing .admin\nuser_test_guest = guesting\n\
         [filter:s3api]\nuse = egg:swift#s3api\nlocation = us-east-1\nstorage_domain = localhost\n\
         [filter:cache]\nuse = egg:swift#memcache\nmemcache_servers = 127.0.0.1:{memcached}\n",
        common(port)
    );
    for filter in "catch_errors gatekeeper healthcheck listing_formats copy dlo slo".split(' ') {
        conf.push_str(&format!("[filter:{filter}]\nuse = egg:swift#{filter}\n"));
    }
    let conf = home.write("proxy.conf", &conf);
    servers.push(swift_process(&home, "proxy", &conf));
    for (server, port) in servers.iter_mut().zip(&ports) {
        server.wait(&|| accepts(*port));
    }
    servers[4].wait(&|| answers(port, "/healthcheck"));
    servers.reverse();
    S3 {
        name: "swift",
        port,
        key: "test:tester",
        secret: "testing",
        region: "us-east-1",
        virtual_host: true,
        checks_region: true,
        _servers: servers,
        _home: home,
    }
}

/// A listing shows an object at once only when the servers wait for each other: under load they would not.
const PATIENT: &str = "container_update_timeout = 60\nnode_timeout = 60\nconn_timeout = 20\n";

fn swift_process(home: &Home, kind: &str, conf: &std::path::Path) -> Server {
    let mut command = Command::new(installed(&format!("swift-{kind}-server")));
    command.arg(conf).arg("-v");
    Server::start(kind, command, &home.at(&format!("{kind}.log")))
}

fn start_rclone() -> S3 {
    let home = Home::new("rclone");
    std::fs::create_dir_all(home.at("data")).unwrap();
    let port = free_port();
    let mut command = Command::new(installed("rclone"));
    command
        .args(["serve", "s3", "--config", "/dev/null", "--addr"])
        .arg(format!("127.0.0.1:{port}"))
        .arg("--auth-key")
        .arg(format!("{KEY},{SECRET}"))
        .arg(home.at("data"));
    let mut server = Server::start("rclone", command, &home.at("log"));
    server.wait(&|| accepts(port));
    lax("rclone", port, server, home)
}

fn start_weed() -> S3 {
    let home = Home::new("weed");
    std::fs::create_dir_all(home.at("data")).unwrap();
    let id = home.write(
        "id.json",
        &format!(
            r#"{{"identities":[{{"name":"d","credentials":[{{"accessKey":"{KEY}","secretKey":"{SECRET}"}}],"actions":["Admin","Read","List","Tagging","Write"]}}]}}"#
        ),
    );
    let port = free_port();
    let mut command = Command::new(installed("weed"));
    command
        .arg("server")
        .arg(format!("-dir={}", home.at("data").display()))
        .args(["-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-volume.max=10"])
        .arg(format!("-master.port={}", free_port()))
        .arg(format!("-volume.port={}", free_port()))
        .arg(format!("-filer.port={}", free_port()))
        .args(["-volume.preStopSeconds=0", "-master.volumeSizeLimitMB=64"])
        .args(["-filer", "-s3", "-s3.port.iceberg=0", "-s3.port.lance=0"])
        .args(["-s3.autoCreateBucket=false"])
        .arg(format!("-s3.port={port}"))
        .arg(format!("-s3.config={}", id.display()));
    let mut server = Server::start("weed", command, &home.at("log"));
    server.wait(&|| answers(port, "/healthz"));
    lax("seaweedfs", port, server, home)
}

/// `DUPLET_TEST_MINIO` names the program, made by `go install github.com/minio/minio@latest`.
fn minio() -> Option<PathBuf> {
    std::env::var_os("DUPLET_TEST_MINIO").map(PathBuf::from)
}

fn start_minio(program: PathBuf) -> S3 {
    let home = Home::new("minio");
    let port = free_port();
    let mut command = Command::new(program);
    command
        .env("MINIO_ROOT_USER", KEY)
        .env("MINIO_ROOT_PASSWORD", SECRET)
        .args(["server", "--address", &format!("127.0.0.1:{port}")])
        .arg(home.at("data"));
    let mut server = Server::start("minio", command, &home.at("log"));
    server.wait(&|| answers(port, "/minio/health/ready"));
    S3 {
        checks_region: true,
        ..lax("minio", port, server, home)
    }
}

fn lax(name: &'static str, port: u16, server: Server, home: Home) -> S3 {
    S3 {
        name,
        port,
        key: KEY,
        secret: SECRET,
        region: "us-east-1",
        virtual_host: false,
        checks_region: false,
        _servers: vec![server],
        _home: home,
    }
}
