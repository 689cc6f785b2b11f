//! Stubs of cloud drives (`dropbox.py`, `gdrive.py`, `box.py`, `jottacloud.py`, `pcloud.py`, `filen.py`), which enforce what the services' documentation says and list what a good
//! client never asks; and rclone in front of them, as another client: it keeps the services' own host names and is led here by a
//! proxy and an authority of our own.

#![allow(dead_code, reason = "shared by several test files")]

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Home, Server, accepts, free_port, installed, tls};

/// The hosts of the services.
const HOSTS: &str = "DNS:localhost,IP:127.0.0.1,DNS:www.googleapis.com,DNS:oauth2.googleapis.com,DNS:api.dropboxapi.com,DNS:content.dropboxapi.com,DNS:id.jottacloud.com,DNS:api.jottacloud.com,DNS:jfs.jottacloud.com,DNS:up.jottacloud.com,DNS:api.box.com,DNS:upload.box.com,DNS:app.box.com,DNS:dl.boxcloud.com,DNS:api.pcloud.com,DNS:eapi.pcloud.com,DNS:c1.pcloud.com,DNS:c2.pcloud.com,DNS:gateway.filen.io,DNS:ingest.filen.io,DNS:egest.filen.io";
/// How a client logs in that has a registration of its own.
pub const OWN: &str =
    "oauth-client-id=stub-client&oauth-client-secret=stub-secret&oauth-refresh-token=stub-refresh";

/// A running stub.
pub struct Cloud {
    name: &'static str,
    port: u16,
    /// Certificate of the authority, where it speaks TLS.
    ca: Option<PathBuf>,
    // Stopped in this order.
    server: Server,
    pub home: Home,
}

impl Cloud {
    pub fn start(name: &'static str, more: &[&str]) -> Cloud {
        Cloud::with(name, free_port(), false, more)
    }

    /// At this port.
    pub fn start_at(name: &'static str, port: u16, more: &[&str]) -> Cloud {
        Cloud::with(name, port, false, more)
    }

    /// Over TLS, so that other clients come here, too.
    pub fn secure(name: &'static str, more: &[&str]) -> Cloud {
        Cloud::with(name, free_port(), true, more)
    }

    fn with(name: &'static str, port: u16, secure: bool, more: &[&str]) -> Cloud {
        let home = Home::new(&format!("{name}-stub"));
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut command = Command::new("python3");
        let program = format!("tests/support/servers/{name}.py");
        command.arg(root.join(program)).args(more);
        command.args(["--port", &port.to_string()]);
        let ca = secure.then(|| {
            let ca = tls::certificate(&home.at(""), "stub", HOSTS);
            command.arg("--tls-cert").arg(home.at("stub.pem"));
            command.arg("--tls-key").arg(home.at("stub.key"));
            ca
        });
        let mut server = Server::start(name, command, &home.at("log"));
        server.wait(&|| accepts(port));
        Cloud {
            name,
            port,
            ca,
            server,
            home,
        }
    }

    pub fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.port))
    }

    pub fn base(&self) -> String {
        match self.ca {
            Some(_) => format!("https://localhost:{}", self.port),
            None => format!("http://127.0.0.1:{}", self.port),
        }
    }

    /// A destination URL with this log-in.
    pub fn url(&self, place: &str, login: &str) -> String {
        let (base, scheme) = (self.base(), self.scheme());
        let ca = self
            .ca
            .as_ref()
            .map(|ca| format!("&ssl-ca-file={}", ca.display()));
        let ca = ca.unwrap_or_default();
        if scheme == "filen" {
            return format!(
                "filen://{place}?filen-endpoint={base}&http-proxy=none&retry-delay=0s&{login}{ca}"
            );
        }
        let token = match scheme {
            "dropbox" | "box" => "oauth2/token",
            "jottacloud" => "auth/realms/jottacloud/protocol/openid-connect/token",
            _ => "token",
        };
        let server = if scheme == "pcloud" {
            "api.pcloud.com/"
        } else {
            ""
        };
        format!(
            "{scheme}://{server}{place}?{scheme}-endpoint={base}&oauth-url={base}/refresh&oauth-token-url={base}/{token}&http-proxy=none&retry-delay=0s&{login}{ca}"
        )
    }

    fn scheme(&self) -> &'static str {
        match self.name {
            "gdrive" => "googledrive",
            name => name,
        }
    }

    /// Asks the stub: method, path with query, token, JSON. The reply's body.
    pub fn ask(&self, method: &str, path: &str, token: &str, body: &str) -> Vec<u8> {
        let script = "import ssl, sys, urllib.request as u\n\
            method, url, ca, token, body = sys.argv[1:6]\n\
            head = {'Authorization': 'Bearer ' + token, 'Content-Type': 'application/json'} if token else {}\n\
            r = u.Request(url, method=method, data=body.encode() or None, headers=head)\n\
            c = ssl.create_default_context(cafile=ca) if ca else None\n\
            h = [u.ProxyHandler({})] + ([u.HTTPSHandler(context=c)] if c else [])\n\
            sys.stdout.buffer.write(u.build_opener(*h).open(r).read())\n";
        let ca = self.ca.as_deref().unwrap_or(Path::new(""));
        let url = format!("{}{path}", self.base());
        let done = Command::new("python3")
            .args(["-c", script, method, &url])
            .arg(ca)
            .args([token, body])
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&done.stderr);
        assert!(done.status.success(), "{method} {path}: {said}");
        done.stdout
    }

    /// What the stub counted.
    pub fn told(&self) -> serde_json::Value {
        serde_json::from_slice(&self.ask("GET", "/_stub", "", "")).unwrap()
    }

    /// Nothing was asked that a good client never asks. `noted`: what another client may have done.
    #[track_caller]
    pub fn is_content(&self, noted: &[&str]) -> serde_json::Value {
        let told = self.told();
        assert_eq!(told["violations"], serde_json::json!([]), "{told:#}");
        let notes = told["notes"].as_object().unwrap();
        // Its port was tried.
        let knock = ["TLS handshake failed"];
        let known = |note: &str| noted.contains(&note) || knock.contains(&note);
        let other = notes.keys().find(|note| !known(note.as_str()));
        assert!(other.is_none(), "{told:#}");
        told
    }

    /// The same of a stub that lists refusals and warnings: the refusals are these, by their beginnings.
    #[track_caller]
    pub fn refused_only(&self, reasons: &[&str]) -> serde_json::Value {
        let told = self.told();
        assert_eq!(told["warnings"], serde_json::json!([]), "{told:#}");
        for refusal in told["refusals"].as_array().unwrap() {
            let reason = refusal["reason"].as_str().unwrap();
            let known = reasons.iter().any(|known| reason.starts_with(known));
            assert!(known, "{told:#}");
        }
        told
    }

    /// Another client, which reaches this by `proxy`; it says `d:` for the root.
    pub fn rclone(&self, proxy: SocketAddr, args: &[&str]) {
        let conf = self.home.at("rclone.conf");
        if !conf.exists() {
            let kind = match self.name {
                "gdrive" => "type = drive\nscope = drive\nchunk_size = 1M\nupload_cutoff = 1M",
                "box" => "type = box",
                _ => "type = dropbox\nbatch_mode = off\nchunk_size = 4M",
            };
            let last = if self.name == "box" { "-0" } else { "" };
            let token = format!(
                r#"{{"access_token":"old","token_type":"Bearer","refresh_token":"stub-refresh{last}","expiry":"2020-01-01T00:00:00Z"}}"#
            );
            let obscured = |secret: &str| {
                let done = Command::new(installed("rclone"))
                    .args(["obscure", secret])
                    .output()
                    .unwrap();
                String::from_utf8(done.stdout).unwrap()
            };
            let text = match self.name {
                "pcloud" => "[d]\ntype = pcloud\nhostname = api.pcloud.com\n\
                     token = {\"access_token\":\"stub-token\",\"token_type\":\"bearer\",\"expiry\":\"0001-01-01T00:00:00Z\"}\n"
                    .to_owned(),
                "filen" => format!(
                    "[d]\ntype = filen\nemail = stub@example.com\npassword = {}api_key = {}",
                    obscured("stub-password"),
                    obscured("stub-api-key")
                ),
                "jottacloud" => format!(
                    "[d]\ntype = jottacloud\nconfigVersion = 1\nclient_id = jottacli\nclient_secret =\n\
                     tokenURL = https://id.jottacloud.com/auth/realms/jottacloud/protocol/openid-connect/token\n\
                     token = {}\n",
                    token.replace("stub-refresh", "stub-refresh-0")
                ),
                _ => format!(
                    "[d]\n{kind}\nclient_id = stub-client\nclient_secret = stub-secret\ntoken = {token}\n"
                ),
            };
            fs::write(&conf, text).unwrap();
        }
        let done = Command::new(installed("rclone"))
            .arg("--config")
            .arg(&conf)
            .arg("--ca-cert")
            .arg(self.ca.as_ref().unwrap())
            .args(args)
            .env("HTTPS_PROXY", format!("http://{proxy}"))
            .env_remove("NO_PROXY")
            .env_remove("no_proxy")
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&done.stderr);
        assert!(done.status.success(), "rclone {args:?}: {said}");
    }
}
