//! OneDrive, SharePoint and the drives of groups in the table of faults, with an AuthID: a token service stands before them. They
//! differ in the beginning of their addresses only, which the stub has.

#[path = "../../../tests/support/faulty_graph.rs"]
pub(in crate::remote) mod faulty_graph;

use super::*;
use faulty_graph::{Graph, error};

pub(super) fn server() -> Server<Graph> {
    Server::start(Graph::new)
}

pub(super) fn start() -> Box<dyn Wire> {
    Box::new(Drive(server()))
}

struct Drive(Server<Graph>);

impl Wire for Drive {
    fn schemes(&self) -> &'static [&'static str] {
        &["onedrivev2", "sharepoint", "msgroup"]
    }

    fn line(&self) -> Option<&dyn Line> {
        Some(&self.0)
    }

    fn url(&self, at: &str, query: &str) -> String {
        url(at, query)
    }

    fn unmake(&self) {
        self.0.with(|graph| {
            graph.files.clear();
            for folder in &mut graph.folders[1..] {
                *folder = None;
            }
        });
    }

    fn method_of(&self, verb: Verb) -> Option<(&'static str, &'static str)> {
        Some(match verb {
            Verb::Login => ("GET", "/refresh"),
            Verb::List => ("GET", "/children"),
            Verb::Look => ("GET", "dblock.zip?$select"),
            Verb::Get => ("GET", "dblock.zip:/"),
            Verb::Put => ("PUT", ""),
            Verb::Delete => ("DELETE", "dblock"),
        })
    }

    fn says(&self, status: u16, message: &str) -> String {
        let code = match status {
            400 => "invalidRequest",
            401 => "unauthenticated",
            403 => "accessDenied",
            404 => "itemNotFound",
            413 => "notSupported",
            429 => "activityLimitReached",
            500 => "generalException",
            503 => "serviceNotAvailable",
            507 => "quotaLimitReached",
            _ => return message.to_owned(),
        };
        error(code, message)
    }

    fn refusals(&self) -> Vec<Refusal> {
        let of = |status, code, message, kind, words| (status, error(code, message), kind, words);
        vec![
            of(403, "quotaLimitReached", "no", Kind::NoSpace, "no space left"),
            of(
                400,
                "invalidRequest",
                "The provided name cannot contain this",
                Kind::Unsupported,
                "does not take this name",
            ),
            of(
                400,
                "invalidRequest",
                "Path exceeds maximum length",
                Kind::Unsupported,
                "path is too long",
            ),
            of(400, "invalidRequest", "odd", Kind::Unsupported, ""),
        ]
    }

    fn listing(&self, names: &[&str]) -> (u16, &'static str, String) {
        let entry = |name: &&str| {
            let name = serde_json::Value::from(*name);
            format!(r#"{{"name":{name},"size":1,"file":{{}}}}"#)
        };
        let all: Vec<String> = names.iter().map(entry).collect();
        let page = format!(r#"{{"@odata.context":"https://graph.microsoft.com/v1.0/$metadata","value":[{}]}}"#, all.join(","));
        (200, "application/json", page)
    }

    fn poison(&self) -> Vec<String> {
        let long = "x".repeat(10 << 20);
        vec![
            String::new(),
            "{}".to_owned(),
            "null".to_owned(),
            r#"{"value":7}"#.to_owned(),
            r#"{"name":"a","size":1,"file":{}}"#.to_owned(),
            format!(r#"{{"value":[{{"name":"{long}"}}]}}"#),
            format!(r#"{{"value":{}"#, "[".repeat(100_000)),
        ]
    }

    fn pages(&self) -> usize {
        20
    }

    fn misstated(&self) -> Vec<(Verb, Trouble)> {
        vec![(Verb::Put, Trouble::Replaced("\"size\":10", "\"size\":9"))]
    }

    fn removes_misstored(&self) -> bool {
        true
    }

    fn follows(&self) -> (bool, bool) {
        (true, true)
    }

    fn portal(&self, _: Verb) -> &'static str {
        "captive portal"
    }
}

pub(super) fn url(at: &str, query: &str) -> String {
    // Only this machine is spoken to in the clear.
    let scheme = if at.starts_with("127.") { "http" } else { "https" };
    let base = format!("{scheme}://{at}");
    format!(
        "onedrivev2://d/b?graph-endpoint={base}&oauth-url={base}/refresh&authid=KEYID:{SECRET_IN_URL}&retry-delay=0s&http-proxy=none&{query}"
    )
}
