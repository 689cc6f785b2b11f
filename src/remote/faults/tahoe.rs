//! Tahoe-LAFS in the table of faults: the capability is the secret, and there is no log-in.

#[path = "../../../tests/support/faulty_tahoe.rs"]
pub(in crate::remote) mod faulty_tahoe;

use super::*;
use faulty_tahoe::{FOLDER, Tahoe, capability, directory, node, page, trace};

pub(super) fn server() -> Server<Tahoe> {
    Server::start(|_| Tahoe::new())
}

pub(super) fn start() -> Box<dyn Wire> {
    Box::new(Gateway(server()))
}

struct Gateway(Server<Tahoe>);

impl Wire for Gateway {
    fn schemes(&self) -> &'static [&'static str] {
        &["tahoe"]
    }

    fn line(&self) -> Option<&dyn Line> {
        Some(&self.0)
    }

    fn url(&self, at: &str, query: &str) -> String {
        url(at, query)
    }

    fn unmake(&self) {
        self.0.with(|tahoe| {
            tahoe.files.clear();
            tahoe.folders.remove(FOLDER);
        });
    }

    fn method_of(&self, verb: Verb) -> Option<(&'static str, &'static str)> {
        Some(match verb {
            Verb::Login => return None,
            Verb::List => ("GET", "/bkt?t=json$"),
            Verb::Look => ("GET", "dblock.zip?t=json$"),
            Verb::Get => ("GET", "dblock"),
            Verb::Put => ("PUT", "dblock"),
            Verb::Delete => ("DELETE", "dblock"),
        })
    }

    fn says(&self, status: u16, message: &str) -> String {
        page(status, "Error", message)
    }

    fn refusals(&self) -> Vec<Refusal> {
        let of = |status, body, kind, words| (status, body, kind, words);
        let failed = |text: &str| trace("UploadUnhappinessError", text);
        let full = "1 placed none (of which 1 placed none due to the server being full and 0 due to an error)";
        let away = "1 placed none (of which 0 placed none due to the server being full and 1 due to an error)";
        vec![
            of(500, failed(full), Kind::NoSpace, "no space left"),
            of(500, failed(away), Kind::Busy, "too few storage servers"),
            of(500, trace("NotWriteableError", ""), Kind::Unsupported, "can only be read"),
            of(400, "PUT to a directory".to_owned(), Kind::Unsupported, "name of the file"),
            of(409, page(409, "a file was in the way", "no details"), Kind::Unsupported, "name of the folder"),
        ]
    }

    fn listing(&self, names: &[&str]) -> (u16, &'static str, String) {
        let all = names.iter().map(|name| (*name, node(1))).collect();
        (200, "text/plain", directory(all))
    }

    fn poison(&self) -> Vec<String> {
        let long = "x".repeat(10 << 20);
        vec![
            String::new(),
            "{}".to_owned(),
            "[]".to_owned(),
            "null".to_owned(),
            r#"["dirnode",{}]"#.to_owned(),
            r#"["unknown",{"children":{}}]"#.to_owned(),
            r#"[{"children":{}}]"#.to_owned(),
            r#"["dirnode",{"children":{"a":1}}]"#.to_owned(),
            r#"["dirnode",{"children":{"a":[]}}]"#.to_owned(),
            r#"["dirnode",{"children":{"a":{"size":1}}}]"#.to_owned(),
            format!(r#"["dirnode",{{"children":{{"{long}":["filenode",{{}}]}}}}]"#),
            format!(r#"["dirnode",{{"children":{}"#, "[".repeat(100_000)),
        ]
    }

    fn expects(&self) -> bool {
        true
    }

    fn misstated(&self) -> Vec<(Verb, Trouble)> {
        vec![
            (Verb::Look, Trouble::Replaced("\"size\": 10", "\"size\": 9")),
            (Verb::Look, self.absent()),
        ]
    }

    fn removes_misstored(&self) -> bool {
        true
    }

    fn portal(&self, _: Verb) -> &'static str {
        "captive portal"
    }
}

pub(super) fn url(at: &str, query: &str) -> String {
    let own = capability();
    format!("tahoe://{at}/uri/{own}/bkt?retry-delay=0s&http-proxy=none&{query}")
}
