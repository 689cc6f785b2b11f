//! Backblaze's simulator as a server of its own process (`tests/b2/adapter.py`), with the Python environment it needs.

#![allow(
    dead_code,
    clippy::expect_used,
    reason = "shared by several test files; a server that does not run must fail the test"
)]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

use serde_json::{Value, json};

/// A running server; ends with this value.
pub struct Server {
    child: Child,
    /// `127.0.0.1:port`.
    pub address: String,
}

/// Folder of the programs in the Python environment, made if it is missing.
pub fn programs() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let exe = std::env::current_exe().expect("this program has a path");
        // target/PROFILE/deps/test
        let target = exe.ancestors().nth(3).expect("a target folder").to_owned();
        let made = Command::new("sh")
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join(".ci/prepare.d/b2"))
            .env("CARGO_TARGET_DIR", &target)
            .stdin(Stdio::null())
            .status();
        assert!(
            made.is_ok_and(|s| s.success()),
            "the tests of B2 need a Python environment: run .ci/prepare.d/b2"
        );
        target.join("venv-b2/bin")
    })
}

impl Server {
    pub fn start() -> Server {
        let mut child = Command::new(programs().join("python"))
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/b2/adapter.py"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("python starts");
        let out = child.stdout.take().expect("a pipe");
        let mut line = String::new();
        BufReader::new(out).read_line(&mut line).expect("a line");
        let address = line.trim().strip_prefix("listening ");
        let address = address.expect("the server's address").to_owned();
        Server { child, address }
    }

    /// The account's own key: id and key.
    pub fn master(&self) -> (String, String) {
        ("account-0".to_owned(), "masterKey-0".to_owned())
    }

    /// A URL with a key, of a folder (`bucket/prefix`).
    pub fn url(&self, (id, key): &(String, String), folder: &str, more: &str) -> String {
        format!(
            "b2://{folder}?b2-accountid={id}&b2-applicationkey={key}&b2-api-url=http://{}&http-proxy=none{more}",
            self.address
        )
    }

    /// Changes how the server behaves.
    pub fn set(&self, what: &Value) {
        self.ask("/test/set", what);
    }

    /// Makes a key.
    pub fn key(&self, what: &Value) -> (String, String) {
        let made = self.ask("/test/key", what);
        let text = |key: &str| made[key].as_str().expect("text").to_owned();
        (text("id"), text("key"))
    }

    /// Makes a bucket.
    pub fn bucket(&self, name: &str) {
        let (id, key) = self.master();
        let token = self.log_in(&id, &key);
        let body = json!({ "accountId": id, "bucketName": name, "bucketType": "allPrivate" });
        self.call("/b2api/v3/b2_create_bucket", &token, &body);
    }

    /// A token.
    pub fn log_in(&self, id: &str, key: &str) -> String {
        assert_eq!((id, key), ("account-0", "masterKey-0"));
        let basic = "Basic YWNjb3VudC0wOm1hc3RlcktleS0w";
        let reply = self.call("/b2api/v3/b2_authorize_account", basic, &json!({}));
        reply["authorizationToken"]
            .as_str()
            .expect("text")
            .to_owned()
    }

    /// What the server has seen and holds.
    pub fn state(&self) -> Value {
        self.ask("/test/state", &json!({}))
    }

    /// How often a call was made.
    pub fn calls(&self, name: &str) -> u64 {
        self.state()["calls"][name].as_u64().unwrap_or(0)
    }

    /// Calls of class C by name, with their number.
    pub fn class_c(&self) -> Vec<(String, u64)> {
        let state = self.state();
        let calls = state["calls"].as_object().expect("an object");
        let billed = |name: &str| {
            name.starts_with("b2_list")
                || name == "b2_authorize_account"
                || name == "b2_create_bucket"
        };
        calls
            .iter()
            .filter(|(name, _)| billed(name))
            .map(|(name, n)| (name.clone(), n.as_u64().expect("a number")))
            .collect()
    }

    pub fn ask(&self, path: &str, body: &Value) -> Value {
        self.call(path, "", body)
    }

    fn call(&self, path: &str, token: &str, body: &Value) -> Value {
        let body = body.to_string();
        let mut stream = TcpStream::connect(&self.address).expect("the server listens");
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: {}\r\nAuthorization: {token}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
            self.address,
            body.len()
        );
        stream.write_all(head.as_bytes()).expect("sent");
        let mut reply = String::new();
        stream.read_to_string(&mut reply).expect("answered");
        let (head, body) = reply.split_once("\r\n\r\n").expect("a reply");
        assert!(head.starts_with("HTTP/1.1 200"), "{path}: {reply}");
        serde_json::from_str(body).expect("JSON")
    }

    /// rclone on this account, which knows it as `b:`.
    pub fn rclone(&self, args: &[&str]) -> String {
        let output = Command::new(programs().join("rclone"))
            .args(args)
            .env_clear()
            .env("RCLONE_CONFIG", "/dev/null")
            .env("RCLONE_CONFIG_B_TYPE", "b2")
            .env("RCLONE_CONFIG_B_ACCOUNT", "account-0")
            .env("RCLONE_CONFIG_B_KEY", "masterKey-0")
            .env(
                "RCLONE_CONFIG_B_ENDPOINT",
                format!("http://{}", self.address),
            )
            .stdin(Stdio::null())
            .output()
            .expect("rclone starts");
        let err = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "rclone {args:?}: {err}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
