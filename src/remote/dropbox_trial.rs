//! Dropbox, the trial of a further destination, against a server that enforces the documented rules
//! (`tests/support/servers/dropbox.py`).

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use super::live::every_operation;

/// A running server; ends with this value.
struct Server {
    child: Child,
    address: String,
}

impl Server {
    fn start(more: &[&str]) -> Server {
        let program =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/servers/dropbox.py");
        let mut child = Command::new("python3")
            .arg(program)
            .args(["--port", "0", "--page", "3", "--static-token", "fixed"])
            .args(more)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("python3 starts");
        let mut told = BufReader::new(child.stderr.take().expect("a pipe"));
        let mut line = String::new();
        told.read_line(&mut line).expect("a line");
        let address = line.trim().strip_prefix("listening on ");
        let address = address.expect("the server's address").to_owned();
        // What it says later must have a reader.
        std::thread::spawn(move || std::io::copy(&mut told, &mut std::io::sink()));
        Server { child, address }
    }

    fn url(&self, folder: &str, id: &str) -> String {
        let address = &self.address;
        format!(
            "dropbox://{folder}?authid={id}&oauth-url=http://{address}/refresh&dropbox-api-url=http://{address}&dropbox-part-size=4mb&http-proxy=none&retry-delay=0s"
        )
    }

    /// What the server counts; it must have nothing to complain of, and nothing is left on it.
    fn check(&self) -> Value {
        let mut stream = TcpStream::connect(&self.address).expect("connects");
        let ask = format!("GET /_stub HTTP/1.0\r\nHost: {}\r\n\r\n", self.address);
        stream.write_all(ask.as_bytes()).expect("asked");
        let mut reply = String::new();
        stream.read_to_string(&mut reply).expect("told");
        let body = reply.split_once("\r\n\r\n").expect("a body").1;
        let state: Value = serde_json::from_str(body).expect("JSON");
        for empty in ["violations", "files"] {
            assert_eq!(state[empty], serde_json::json!([]), "{state:#}");
        }
        state
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn every_operation_with_both_kinds_of_login() {
    let server = Server::start(&[]);
    for id in ["fixed", "stubkey:stubpass"] {
        every_operation(&server.url("a/b%20c", id));
    }
    let state = server.check();
    for (call, least) in [("start", 2), ("append", 2), ("finish", 2), ("continue", 4)] {
        assert!(state["requests"][call].as_u64() >= Some(least), "{state:#}");
    }
}

#[test]
fn every_operation_through_failures() {
    let faults = [
        "any:7:503",
        "token:2:503",
        "upload:3:ok-but-lost",
        "upload:9:429/0",
        "append:1:cut",
        "finish:1:ok-but-cut",
        "continue:2:cut",
        "stat:2:401/expired_access_token",
        "delete:2:429/too_many_write_operations",
        "download:3:503/html",
    ];
    let faults: Vec<&str> = faults.iter().flat_map(|f| ["--fault", f]).collect();
    let server = Server::start(&faults);
    every_operation(&server.url("a", "stubkey:stubpass"));
    let state = server.check();
    let fired = state["faults_fired"].as_array().map_or(0, Vec::len);
    assert!(fired >= 5, "{state:#}");
}
