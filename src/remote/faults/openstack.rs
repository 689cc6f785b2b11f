//! OpenStack Swift in the table of faults.

use super::faulty_swift::{self, Swift};
use super::*;

pub(super) fn start() -> Box<dyn Wire> {
    Box::new(OpenStack(server()))
}

pub(super) fn server() -> Server<Swift> {
    Server::start(Swift::new)
}

struct OpenStack(Server<Swift>);

impl Wire for OpenStack {
    fn schemes(&self) -> &'static [&'static str] {
        &["openstack"]
    }

    fn line(&self) -> Option<&dyn Line> {
        Some(&self.0)
    }

    fn url(&self, at: &str, query: &str) -> String {
        url(at, query)
    }

    fn unmake(&self) {
        self.0.with(|swift| {
            swift.files.clear();
            swift.container = false;
        });
    }

    fn method_of(&self, verb: Verb) -> Option<(&'static str, &'static str)> {
        Some(match verb {
            Verb::Login => ("POST", "/v3/auth/tokens"),
            Verb::List => ("GET", "format=json"),
            Verb::Look => ("HEAD", "dblock"),
            Verb::Get => ("GET", "dblock"),
            Verb::Put => ("PUT", "dblock"),
            Verb::Delete => ("DELETE", "dblock"),
        })
    }

    fn says(&self, status: u16, message: &str) -> String {
        faulty_swift::page(&format!("Status {status}"), message)
    }

    fn refusals(&self) -> Vec<Refusal> {
        let full = faulty_swift::page("Request Entity Too Large", "Upload exceeds quota.");
        vec![
            (413, full, Kind::NoSpace, ""),
            (400, self.says(400, "odd"), Kind::Unsupported, ""),
        ]
    }

    fn listing(&self, names: &[&str]) -> (u16, &'static str, String) {
        let entry = |name: &&str| {
            let name = serde_json::Value::from(format!("p/{name}"));
            format!(r#"{{"name":{name},"bytes":1}}"#)
        };
        let all: Vec<String> = names.iter().map(entry).collect();
        (200, "application/json", format!("[{}]", all.join(",")))
    }

    fn poison(&self) -> Vec<String> {
        let long = "x".repeat(10 << 20);
        vec![
            String::new(),
            "{}".to_owned(),
            "null".to_owned(),
            r#"[{"bytes":1}]"#.to_owned(),
            format!(r#"[{{"name":"{long}"}}]"#),
            "[".repeat(100_000),
        ]
    }

    fn ways(&self) -> &'static [&'static str] {
        &["", "disable-expect100-continue"]
    }

    fn expects(&self) -> bool {
        true
    }

    fn validator(&self) -> Option<&'static str> {
        Some("if-match")
    }

    fn pages(&self) -> usize {
        21
    }

    fn ends_empty(&self) -> bool {
        true
    }

    fn portal(&self, _: Verb) -> &'static str {
        "not an OpenStack server (captive portal?)"
    }
}

pub(super) fn url(at: &str, query: &str) -> String {
    format!(
        "openstack://box/p?openstack-authuri=http://{at}/v3&auth-username=user&auth-password={SECRET_IN_URL}&openstack-domain-name=Default&openstack-tenant-name=t&retry-delay=0s&http-proxy=none&{query}"
    )
}
