//! A node of IPFS in the table of faults. Gateways, which give blocks and take nothing, have rows of their own in [`super::gateways`].

#[path = "../../../tests/support/stub_ipfs.rs"]
pub(in crate::remote) mod stub_ipfs;

use super::statuses::ODD;
use super::*;
use stub_ipfs::Ipfs;

pub(super) fn start() -> Box<dyn Wire> {
    let server = Server::start(|_| Ipfs::default());
    server.with(|node| node.folder = true);
    Box::new(Node(server))
}

struct Node(Server<Ipfs>);

impl Wire for Node {
    fn schemes(&self) -> &'static [&'static str] {
        &["ipfs", "ipns"]
    }

    fn line(&self) -> Option<&dyn Line> {
        Some(&self.0)
    }

    fn url(&self, at: &str, query: &str) -> String {
        url(at, query)
    }

    fn unmake(&self) {
        self.0.with(|n| {
            n.files.clear();
            n.folder = false;
        });
    }

    fn method_of(&self, verb: Verb) -> Option<(&'static str, &'static str)> {
        Some(match verb {
            Verb::Login => ("POST", "/version"),
            Verb::List => ("POST", "/files/ls"),
            Verb::Look => ("POST", "/files/stat"),
            Verb::Get => ("POST", "/files/read"),
            Verb::Put => ("POST", "/add"),
            Verb::Delete => ("POST", "/files/rm"),
        })
    }

    fn says(&self, status: u16, message: &str) -> String {
        match status {
            403 => "403 - Access Denied".to_owned(),
            500 if !message.is_empty() => no(message),
            _ => message.to_owned(),
        }
    }

    fn absent(&self) -> Trouble {
        reply(500, no("file does not exist"))
    }

    fn ranges(&self) -> bool {
        false
    }

    fn refusals(&self) -> Vec<Refusal> {
        let full = no("write x: no space left on device");
        let text = str::to_owned;
        vec![
            (500, full, Kind::NoSpace, "no space left"),
            (500, no("datastore is full"), Kind::NoSpace, "no space left"),
            (500, no("context deadline exceeded"), Kind::Busy, "--ipfs-timeout"),
            (401, text(""), Kind::Credentials, "wants a login"),
            (403, text("403 - Access Denied"), Kind::Credentials, "/api/v0/files"),
            (403, text("403 - Forbidden"), Kind::Credentials, "origins"),
            (404, text("404 page not found"), Kind::Usage, "not the RPC"),
            (413, text(""), Kind::Unsupported, "--dblock-size"),
            (507, text(""), Kind::NoSpace, "507"),
        ]
    }

    fn listing(&self, names: &[&str]) -> (u16, &'static str, String) {
        let entry = |name: &&str| {
            let name = serde_json::Value::from(*name);
            format!(r#"{{"Name":{name},"Type":0,"Size":1,"Hash":"x"}}"#)
        };
        let all: Vec<String> = names.iter().map(entry).collect();
        let page = format!(r#"{{"Entries":[{}]}}"#, all.join(","));
        (200, "application/json", page)
    }

    fn poison(&self) -> Vec<String> {
        let long = "x".repeat(10 << 20);
        vec![
            String::new(),
            "{}".to_owned(),
            "[]".to_owned(),
            format!(r#"{{"Entries":[{{"Name":"{long}"}}]}}"#),
            format!(r#"{{"Entries":{}"#, "[".repeat(100_000)),
        ]
    }

    /// A command names its paths in the arguments: a status alone is never about a file.
    fn unlike(&self, _: Verb, status: u16) -> Option<Outcome> {
        (status == 410).then_some(ODD)
    }

    fn offset(&self, request: &Seen) -> u64 {
        let (_, rest) = request.target.split_once("offset=").expect("an offset");
        let digits = rest.split('&').next().unwrap_or("");
        digits.parse().expect("a number")
    }

    fn follows(&self) -> (bool, bool) {
        (false, false)
    }

    fn portal(&self, verb: Verb) -> &'static str {
        match verb {
            Verb::Login => "not the RPC of an IPFS node",
            _ => "not complete JSON",
        }
    }

    fn incomplete(&self) -> &'static str {
        "cannot list"
    }

    fn looks(&self) -> usize {
        3
    }
}

/// A refusal in a node's words.
pub(super) fn no(message: &str) -> String {
    format!(r#"{{"Message":"{message}","Code":0,"Type":"error"}}"#)
}

pub(super) fn url(at: &str, query: &str) -> String {
    format!(
        "ipfs://{at}/p/q?ipfs-api-token={SECRET_IN_URL}&retry-delay=0s&http-proxy=none&{query}"
    )
}
