//! rclone in the table of faults: a script in its place, whose helper and whose processes lead to a server in memory. It does
//! what a true one cannot be made to do.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::faulty::{Reply, Twist, decode, ranged};
use super::statuses::again;
use super::*;
use crate::base::rand;

const SCRIPT: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/tests/support/faulty_rclone.sh"
);

pub(super) fn start() -> Box<dyn Wire> {
    Box::new(Rclone::new())
}

/// A line of a listing.
fn entry(name: &str, size: usize) -> String {
    let name = serde_json::Value::from(name);
    format!(r#"{{"Path":{name},"Name":{name},"Size":{size},"ModTime":"","IsDir":false}}"#)
}

/// What is behind the script. rclone makes the folder with the first upload.
pub(super) struct Folder {
    files: BTreeMap<String, Vec<u8>>,
    there: bool,
}

impl Service for Folder {
    fn act(&mut self, request: &Seen, body: Vec<u8>, twist: Twist) -> Reply {
        let name = decode(request.target.trim_start_matches('/'));
        let absent = (404, Vec::new(), b"Not Found\n".to_vec());
        let file = self.files.get(&name);
        match (request.method.as_str(), name.as_str()) {
            ("GET", "?list") if self.there => {
                let all: Vec<String> = self.files.iter().map(|(n, d)| entry(n, d.len())).collect();
                (200, Vec::new(), all.join(",\n").into_bytes())
            }
            ("PUT", "?mkdir") => {
                self.there = true;
                (200, Vec::new(), Vec::new())
            }
            ("OPTIONS", _) => file.map_or(absent, |f| (200, Vec::new(), entry(&name, f.len()).into_bytes())),
            ("GET", "?list") => absent,
            ("GET" | "HEAD", _) => {
                assert!(request.holds("authorization", "Basic "), "a log-in");
                let Some(file) = file else { return absent };
                let length = ("content-length", file.len().to_string());
                let more = if request.method == "HEAD" { vec![length] } else { Vec::new() };
                ranged(file, request, twist, more)
            }
            ("POST", _) => {
                self.there = true;
                self.files.insert(name, body);
                (200, Vec::new(), Vec::new())
            }
            ("DELETE", _) => match self.files.remove(&name) {
                Some(_) => (200, Vec::new(), Vec::new()),
                None => absent,
            },
            _ => absent,
        }
    }

    fn keep(&mut self, name: &str, data: &[u8]) {
        self.there = true;
        self.files.insert(name.to_owned(), data.to_vec());
    }

    fn kept(&self, name: &str) -> Option<Vec<u8>> {
        self.files.get(name).cloned()
    }
}

/// The server, and the folder that tells the script of it.
pub(super) struct Rclone(pub(super) Server<Folder>, PathBuf);

impl Rclone {
    pub(super) fn new() -> Rclone {
        let make = |_| Folder {
            files: BTreeMap::new(),
            there: true,
        };
        let server = Server::start(make);
        let name = format!("duplet-rclone-{}", rand::hex::<8>().expect("random"));
        let home = std::env::temp_dir().join(name);
        std::fs::create_dir(&home).expect("a folder");
        let address = format!("{}\n", server.address);
        std::fs::write(home.join("address"), address).expect("a file");
        Rclone(server, home)
    }

    /// What the next process does before all else, in the shell's words.
    pub(super) fn once(&self, script: &str) {
        let new = self.1.join("new");
        std::fs::write(&new, format!("{script}\n")).expect("a file");
        std::fs::rename(new, self.1.join("script")).expect("renamed");
    }

    /// How many helpers there were.
    pub(super) fn helpers(&self) -> usize {
        let lines = std::fs::read(self.1.join("served")).unwrap_or_default();
        lines.len()
    }

    pub(super) fn subject(&self, query: &str) -> Subject {
        Subject::open(&self.url("", query), SECRETS)
    }
}

impl Drop for Rclone {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.1);
    }
}

impl Wire for Rclone {
    fn schemes(&self) -> &'static [&'static str] {
        &["rclone"]
    }

    fn line(&self) -> Option<&dyn Line> {
        Some(&self.0)
    }

    fn url(&self, _: &str, query: &str) -> String {
        let encoded = |path: &str| path.replace('/', "%2F");
        let program = encoded(SCRIPT);
        let home = encoded(self.1.to_str().expect("plain"));
        format!(
            "smb://user:{SECRET_IN_URL}@server/share/d?retry-delay=0s&rclone-executable={program}&rclone-option=--home={home}&{query}"
        )
    }

    fn unmake(&self) {
        self.0.with(|folder| {
            folder.files.clear();
            folder.there = false;
        });
    }

    fn method_of(&self, verb: Verb) -> Option<(&'static str, &'static str)> {
        Some(match verb {
            Verb::Login => return None,
            Verb::List => ("GET", "?list"),
            Verb::Look => ("HEAD", "dblock"),
            Verb::Get => ("GET", "dblock"),
            Verb::Put => ("POST", "dblock"),
            Verb::Delete => ("DELETE", "dblock"),
        })
    }

    fn says(&self, _: u16, message: &str) -> String {
        message.to_owned()
    }

    fn listing(&self, names: &[&str]) -> (u16, &'static str, String) {
        let all: Vec<String> = names.iter().map(|name| entry(name, 1)).collect();
        (200, "text/plain", all.join(",\n"))
    }

    fn unlike(&self, verb: Verb, status: u16) -> Option<Outcome> {
        // A process has one code for all that; of a file that is not there, but is, another try is worth it.
        match verb {
            Verb::List => Some(again(0)),
            Verb::Get if status == 410 => Some(again(0)),
            _ => None,
        }
    }

    fn leaves_parts(&self) -> bool {
        true
    }

    fn looks_after_put(&self) -> bool {
        true
    }
}
