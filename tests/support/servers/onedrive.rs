//! Stubs of Microsoft Graph, which checks addresses, names, alignment and log-ins and keeps what it refused, and of Duplicati's token
//! service.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Home, Server, accepts, free_port, installed, tls};

/// Hosts that Microsoft Graph and its log-in have.
const NAMES: [&str; 5] = [
    "login.microsoftonline.com",
    "graph.microsoft.com",
    "sn3302.up.1drv.com",
    "my.microsoftpersonalcontent.com",
    "contoso-my.sharepoint.com",
];

/// A running stub, which keeps everything in memory.
pub struct Graph {
    pub port: u16,
    // Stopped in this order.
    _server: Server,
    pub home: Home,
}

/// `GET path` of a stub, as it came.
fn ask(port: u16, path: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let ask = format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n");
    stream.write_all(ask.as_bytes()).unwrap();
    let mut reply = String::new();
    stream.read_to_string(&mut reply).unwrap();
    reply
}

fn python(file: &str, port: u16, more: &[&str]) -> Command {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut command = Command::new("python3");
    command.arg(root.join("tests/support/servers").join(file));
    command.args(["--port", &port.to_string()]).args(more);
    command
}

impl Graph {
    /// Over plain HTTP, at `127.0.0.1`.
    pub fn start(more: &[&str]) -> Graph {
        Graph::run(Home::new("graph"), more)
    }

    /// Over TLS, by the names of the service; who comes has to be led here.
    pub fn named(more: &[&str]) -> Graph {
        let home = Home::new("graph");
        let names = NAMES.map(|name| format!("DNS:{name}")).join(",");
        tls::authority(&home.at(""), "ca");
        tls::leaf(&home.at(""), "server", "ca", &names, 30);
        let (cert, key) = (home.at("server.pem"), home.at("server.key"));
        let (cert, key) = (cert.display().to_string(), key.display().to_string());
        let tls = ["--tls-cert", &cert, "--tls-key", &key];
        Graph::run(home, &[more, &tls].concat())
    }

    fn run(home: Home, more: &[&str]) -> Graph {
        let port = free_port();
        let command = python("msgraph.py", port, more);
        let mut server = Server::start("msgraph.py", command, &home.at("log"));
        server.wait(&|| accepts(port));
        Graph {
            port,
            _server: server,
            home,
        }
    }

    pub fn address(&self) -> SocketAddr {
        ([127, 0, 0, 1], self.port).into()
    }

    pub fn base(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The authority of one that is [named](Graph::named).
    pub fn authority(&self) -> PathBuf {
        self.home.at("ca.pem")
    }

    pub fn token_url(&self) -> String {
        format!("{}/common/oauth2/v2.0/token", self.base())
    }

    /// A token file for its own client.
    pub fn token_file(&self, name: &str) -> PathBuf {
        let url = self.token_url();
        let text = format!(
            r#"{{"client_id":"stub-client","client_secret":"stub-secret","refresh_token":"stub-refresh","token_url":"{url}"}}"#
        );
        let path = self.home.write(name, &text);
        use std::os::unix::fs::PermissionsExt as _;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        path
    }

    /// A destination URL with these options.
    pub fn with(&self, place: &str, login: &str) -> String {
        let base = self.base();
        let mark = if place.contains('?') { '&' } else { '?' };
        format!("{place}{mark}graph-endpoint={base}&http-proxy=none&retry-delay=0s&{login}")
    }

    /// The same with its own client.
    pub fn url(&self, place: &str) -> String {
        let token = self.token_url();
        self.with(place, &format!(
            "oauth-token-url={token}&oauth-client-id=stub-client&oauth-client-secret=stub-secret&oauth-refresh-token=stub-refresh"
        ))
    }

    /// What the stub counted, over plain HTTP.
    pub fn told(&self) -> serde_json::Value {
        serde_json::from_str(ask(self.port, "/_stub").split_once("\r\n\r\n").unwrap().1).unwrap()
    }

    /// What is refused for another reason than that something is not there.
    pub fn violations(&self) -> Vec<String> {
        let told = self.told();
        let refused = told["refused"].as_array().unwrap().iter();
        let odd = refused
            .filter(|r| r["status"] != 404)
            .map(|r| r.to_string());
        let notes = told["notes"]
            .as_array()
            .unwrap()
            .iter()
            .map(|n| n.to_string());
        // Documented for the address that it leads to; told of at each hop.
        let ranges = |note: &String| !note.contains("Range sent to /content");
        odd.chain(notes.filter(ranges)).collect()
    }
}

/// rclone for one that is [named](Graph::named), led there by a proxy; what it is to do follows. Its remote is `one:`.
pub fn rclone(graph: &Graph, proxy: &str, drive: (&str, &str)) -> Command {
    let token = r#"{"access_token":"none","token_type":"Bearer","refresh_token":"stub-refresh","expiry":"2000-01-01T00:00:00Z"}"#;
    let (id, kind) = drive;
    let config = format!(
        "[one]\ntype = onedrive\nclient_id = stub-client\nclient_secret = stub-secret\ntoken = {token}\ndrive_id = {id}\ndrive_type = {kind}\n"
    );
    let config = graph.home.write("rclone.conf", &config);
    let mut command = Command::new(installed("rclone"));
    command.arg("--config").arg(config);
    command.arg("--ca-cert").arg(graph.authority());
    command.args(["--retries", "1"]).env("HTTPS_PROXY", proxy);
    command
}

/// A running token service.
pub struct TokenService {
    pub port: u16,
    _server: Server,
    pub home: Home,
}

impl TokenService {
    /// Tokens go into [`TokenService::tokens`].
    pub fn start(more: &[&str]) -> TokenService {
        let home = Home::new("tokens");
        let port = free_port();
        let tokens = home.at("tokens").display().to_string();
        let more = [more, &["--tokens", &tokens]].concat();
        let command = python("oauth-handler.py", port, &more);
        let mut server = Server::start("oauth-handler.py", command, &home.at("log"));
        server.wait(&|| accepts(port));
        TokenService {
            port,
            _server: server,
            home,
        }
    }

    /// The file that its tokens stand in.
    pub fn tokens(&self) -> String {
        self.home.at("tokens").display().to_string()
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/refresh", self.port)
    }

    /// A reply to `GET path`, whole.
    pub fn ask(&self, path: &str) -> String {
        ask(self.port, path)
    }
}
