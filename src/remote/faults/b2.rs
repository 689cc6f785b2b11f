//! Backblaze B2 in the table of faults.

#[path = "../../../tests/support/faulty_b2.rs"]
pub(in crate::remote) mod faulty_b2;

use super::*;
use crate::base::bytes::hex;
use faulty_b2::B2;

fn full(name: &str) -> String {
    format!("p/{name}")
}

pub(super) fn server() -> Server<B2> {
    let sha1 = |data: &[u8]| hex(Algo::Sha1.hash(data).as_bytes());
    Server::start(|address| B2::new(address, sha1))
}

pub(super) fn start() -> Box<dyn Wire> {
    Box::new(Backblaze(server()))
}

struct Backblaze(Server<B2>);

impl Wire for Backblaze {
    fn schemes(&self) -> &'static [&'static str] {
        &["b2"]
    }

    fn line(&self) -> Option<&dyn Line> {
        Some(&self.0)
    }

    fn url(&self, at: &str, query: &str) -> String {
        url(at, query)
    }

    fn unmake(&self) {
        self.0.with(|b2| {
            b2.files.clear();
            b2.bucket = false;
            b2.allowed["buckets"] = serde_json::Value::Null;
        });
    }

    fn method_of(&self, verb: Verb) -> Option<(&'static str, &'static str)> {
        Some(match verb {
            Verb::Login => ("GET", "b2_authorize"),
            Verb::List | Verb::Look => ("POST", "b2_list_file_names"),
            // By name, and the rest of a file by its version.
            Verb::Get => ("GET", "file"),
            Verb::Put => ("POST", "/upload/"),
            Verb::Delete => ("POST", "b2_list_file_versions"),
        })
    }

    fn says(&self, status: u16, message: &str) -> String {
        let code = match status {
            400 => "bad_request",
            401 => "unauthorized",
            403 => "access_denied",
            404 => "not_found",
            408 => "request_timeout",
            429 => "too_many_requests",
            500 => "internal_error",
            503 => "service_unavailable",
            _ => "",
        };
        says(status, code, message)
    }

    fn refusals(&self) -> Vec<Refusal> {
        let cap = says(403, "storage_cap_exceeded", "cap");
        vec![
            (403, cap, Kind::NoSpace, ""),
            (400, says(400, "bad_request", "odd"), Kind::Unsupported, ""),
        ]
    }

    fn listing(&self, names: &[&str]) -> (u16, &'static str, String) {
        let entry = |name: &&str| {
            let name = serde_json::Value::from(full(name));
            format!(r#"{{"fileName":{name},"action":"upload","contentLength":"1"}}"#)
        };
        let all: Vec<String> = names.iter().map(entry).collect();
        let page = format!(r#"{{"files":[{}],"nextFileName":null}}"#, all.join(","));
        (200, "application/json", page)
    }

    fn poison(&self) -> Vec<String> {
        let long = "x".repeat(10 << 20);
        vec![
            String::new(),
            format!(r#"{{"files":[{{"fileName":"{long}"}}]}}"#),
            format!(r#"{{"files":{}"#, "[".repeat(100_000)),
            r#"{"files":null,"nextFileName":null}"#.to_owned(),
        ]
    }

    fn pages(&self) -> usize {
        20
    }

    fn misstated(&self) -> Vec<(Verb, Trouble)> {
        [
            ("\"contentLength\":10", "\"contentLength\":9"),
            ("\"contentSha1\":\"", "\"contentSha1\":\"0"),
        ]
        .map(|(from, to)| (Verb::Put, Trouble::Replaced(from, to)))
        .into()
    }

    fn portal(&self, _: Verb) -> &'static str {
        "not a B2 server (captive portal?)"
    }
}

pub(super) fn url(at: &str, query: &str) -> String {
    // Only this machine is spoken to in the clear.
    let scheme = if at.starts_with("127.") { "http" } else { "https" };
    format!(
        "b2://KEYID:{SECRET_IN_URL}@bkt/p?b2-api-url={scheme}://{at}&b2-page-size=1000&retry-delay=0s&http-proxy=none&{query}"
    )
}

/// Body of a refusal.
pub(super) fn says(status: u16, code: &str, message: &str) -> String {
    format!(r#"{{"status":{status},"code":"{code}","message":"{message}"}}"#)
}
