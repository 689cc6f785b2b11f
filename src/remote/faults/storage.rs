//! The gateway of Duplicati's own storage in the table of faults; what lends keys is beside it.

#[path = "../../../tests/support/faulty_storage.rs"]
pub(in crate::remote) mod faulty_storage;

use super::gcs::base;
use super::*;
use crate::base::bytes::base64;
use faulty_storage::{Storage, error};

pub(super) fn server() -> Server<Storage> {
    Server::start(|_| {
        Storage::new(|data| {
            let of = |algo: Algo| base64(algo.hash(data).as_bytes());
            (of(Algo::Md5), of(Algo::Sha256))
        })
    })
}

pub(super) fn start() -> Box<dyn Wire> {
    Box::new(Place(server()))
}

struct Place(Server<Storage>);

impl Wire for Place {
    fn schemes(&self) -> &'static [&'static str] {
        &["duplicati"]
    }

    fn line(&self) -> Option<&dyn Line> {
        Some(&self.0)
    }

    fn url(&self, at: &str, query: &str) -> String {
        url(at, query)
    }

    fn unmake(&self) {
        self.0.with(|storage| {
            storage.files.clear();
            storage.is_made = false;
        });
    }

    fn method_of(&self, verb: Verb) -> Option<(&'static str, &'static str)> {
        Some(match verb {
            Verb::Login => ("GET", "/credentials"),
            // One file cannot be asked for.
            Verb::List | Verb::Look => ("GET", "/list"),
            Verb::Get => ("GET", "/get/"),
            Verb::Put => ("POST", "/put/"),
            Verb::Delete => ("GET", "/delete/"),
        })
    }

    fn says(&self, _: u16, message: &str) -> String {
        error(message)
    }

    fn listing(&self, names: &[&str]) -> (u16, &'static str, String) {
        let entry = |name: &&str| serde_json::json!({ "Name": name, "Size": 1 });
        let all: serde_json::Value = names.iter().map(entry).collect();
        (200, "application/json", all.to_string())
    }

    fn poison(&self) -> Vec<String> {
        let long = "x".repeat(10 << 20);
        vec![
            String::new(),
            "{}".to_owned(),
            "null".to_owned(),
            r#"[{"Size":1}]"#.to_owned(),
            format!(r#"[{{"Name":"{long}"}}]"#),
            "[".repeat(100_000),
        ]
    }

    fn portal(&self, _: Verb) -> &'static str {
        "captive portal"
    }
}

pub(super) fn url(at: &str, query: &str) -> String {
    let base = base(at);
    format!(
        "duplicati://?duplicati-endpoint={base}&duplicati-auth-apiid=KEYID&duplicati-auth-apikey={SECRET_IN_URL}&duplicati-backup-id=bkt&duplicati-machine-id=m&duplicati-auth-timeout=5s&retry-delay=0s&http-proxy=none&{query}"
    )
}
