//! Drime and FileJump in the table of faults: a log-in for a token stands before it.

#[path = "../../../tests/support/faulty_drime.rs"]
pub(in crate::remote) mod faulty_drime;

use super::gcs::base;
use super::*;
use faulty_drime::{Drime, error, invalid};

pub(super) fn server() -> Server<Drime> {
    Server::start(|_| {
        let mut drime = Drime::new();
        drime.user = Some(("KEYID".to_owned(), SECRET.to_owned()));
        drime
    })
}

pub(super) fn start() -> Box<dyn Wire> {
    Box::new(Place(server()))
}

struct Place(Server<Drime>);

impl Wire for Place {
    /// One client of one kind of service; what FileJump does not take is in a file of its own.
    fn schemes(&self) -> &'static [&'static str] {
        &["drimecloud", "filejump"]
    }

    fn line(&self) -> Option<&dyn Line> {
        Some(&self.0)
    }

    fn url(&self, at: &str, query: &str) -> String {
        url(at, query)
    }

    fn unmake(&self) {
        self.0.with(|account| account.entries.clear());
    }

    fn method_of(&self, verb: Verb) -> Option<(&'static str, &'static str)> {
        Some(match verb {
            Verb::Login => ("POST", "/auth/login"),
            // One name cannot be asked for.
            Verb::List | Verb::Look => ("GET", "folderId="),
            Verb::Get => ("GET", "/duplicati-b1"),
            Verb::Put => ("POST", "/uploads"),
            Verb::Delete => ("POST", "/file-entries/delete"),
        })
    }

    fn says(&self, _: u16, message: &str) -> String {
        error(message)
    }

    fn refusals(&self) -> Vec<Refusal> {
        let full = "You have exhausted your allowed space of 3.0MB.";
        vec![
            (422, invalid("file", full), Kind::NoSpace, "no space left"),
            (403, error(full), Kind::NoSpace, "no space left"),
        ]
    }

    fn listing(&self, names: &[&str]) -> (u16, &'static str, String) {
        let entry = |(at, name): (usize, &&str)| {
            let name = serde_json::Value::from(*name);
            format!(r#"{{"type":"file","id":{},"name":{name},"file_size":1,"hash":"x"}}"#, at + 1)
        };
        let all: Vec<String> = names.iter().enumerate().map(entry).collect();
        let page = format!(r#"{{"data":[{}],"last_page":1}}"#, all.join(","));
        (200, "application/json", page)
    }

    fn poison(&self) -> Vec<String> {
        let long = "x".repeat(10 << 20);
        vec![
            String::new(),
            "{}".to_owned(),
            "null".to_owned(),
            r#"{"last_page":1}"#.to_owned(),
            r#"{"data":[{"type":"file","name":"a"}]}"#.to_owned(),
            r#"{"data":[{"type":"file","id":1,"name":"a"},{"type":"file","id":1,"name":"a"}]}"#.to_owned(),
            r#"{"data":[{"type":"file","id":1,"name":"a"}],"total":2,"last_page":1}"#.to_owned(),
            format!(r#"{{"data":[{{"type":"file","id":1,"name":"{long}"}}]}}"#),
            format!(r#"{{"data":{}"#, "[".repeat(100_000)),
        ]
    }

    /// The name of an upload is looked for before it.
    fn looks(&self) -> usize {
        2
    }

    fn pages(&self) -> usize {
        20
    }

    fn misstated(&self) -> Vec<(Verb, Trouble)> {
        [("\"file_size\":10", "\"file_size\":9"), ("\"name\":\"", "\"name\":\"x")]
            .map(|(from, to)| (Verb::Put, Trouble::Replaced(from, to)))
            .into()
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
    let base = base(at);
    format!(
        "drimecloud://bkt?api-url={base}/api/v1&auth-username=KEYID&auth-password={SECRET_IN_URL}&retry-delay=0s&http-proxy=none&{query}"
    )
}
