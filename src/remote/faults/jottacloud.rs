//! Jottacloud in the table of faults, with an AuthID: a token service stands before it.

#[path = "../../../tests/support/faulty_jotta.rs"]
pub(in crate::remote) mod faulty_jotta;

use super::gcs::base;
use super::*;
use crate::base::bytes::hex;
use faulty_jotta::{FOLDER, Jotta, api_error, error};

pub(super) fn server() -> Server<Jotta> {
    Server::start(|_| Jotta::new(|data| hex(Algo::Md5.hash(data).as_bytes())))
}

pub(super) fn start() -> Box<dyn Wire> {
    Box::new(Place(server()))
}

struct Place(Server<Jotta>);

impl Wire for Place {
    fn schemes(&self) -> &'static [&'static str] {
        &["jottacloud"]
    }

    fn line(&self) -> Option<&dyn Line> {
        Some(&self.0)
    }

    fn url(&self, at: &str, query: &str) -> String {
        url(at, query)
    }

    fn unmake(&self) {
        self.0.with(|jotta| jotta.tree.retain(|path, _| !path.starts_with(FOLDER)));
    }

    fn method_of(&self, verb: Verb) -> Option<(&'static str, &'static str)> {
        Some(match verb {
            Verb::Login => ("GET", "/refresh"),
            Verb::List => ("GET", "/Archive/bkt$"),
            Verb::Look => ("GET", "dblock.zip$"),
            Verb::Get => ("GET", "dblock.zip?"),
            Verb::Put => ("POST", "/upload/"),
            Verb::Delete => ("POST", "rm=true"),
        })
    }

    fn says(&self, status: u16, message: &str) -> String {
        match status {
            500.. => message.to_owned(),
            _ => error(status, "OpenApiException", message),
        }
    }

    fn refusals(&self) -> Vec<Refusal> {
        let of = |status, name, kind, words| (status, api_error(status, name, "no"), kind, words);
        vec![
            of(507, "NoSpaceException", Kind::NoSpace, "no space left"),
            of(421, "CorruptUploadOpenApiException", Kind::Damaged, "arrived damaged"),
        ]
    }

    fn listing(&self, names: &[&str]) -> (u16, &'static str, String) {
        let quoted = |name: &str| name.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;")
                .replace('\n', "&#10;");
        let entry = |name: &&str| {
            let state = "<state>COMPLETED</state><size>1</size>";
            format!("<file name=\"{}\"><currentRevision>{state}</currentRevision></file>", quoted(name))
        };
        let all: String = names.iter().map(entry).collect();
        (200, "text/xml", format!("<folder><files>{all}</files></folder>"))
    }

    fn poison(&self) -> Vec<String> {
        let long = "x".repeat(10 << 20);
        vec![
            String::new(),
            "<folder>".to_owned(),
            "<user/>".to_owned(),
            "<folder><files><file/></files></folder>".to_owned(),
            "<folder><files><file name='a' name='a'/></files></folder>".to_owned(),
            "<folder><files><file name='&x;'/></files></folder>".to_owned(),
            format!("<folder><files><file name='{long}'/></files></folder>"),
            "<folder>".repeat(100_000),
        ]
    }

    fn misstated(&self) -> Vec<(Verb, Trouble)> {
        [("\"bytes\":10", "\"bytes\":9"), ("\"md5\":\"", "\"md5\":\"0")]
            .map(|(from, to)| (Verb::Put, Trouble::Replaced(from, to)))
            .into()
    }

    fn removes_misstored(&self) -> bool {
        true
    }

    fn portal(&self, _: Verb) -> &'static str {
        "captive portal"
    }
}

pub(super) fn url(at: &str, query: &str) -> String {
    let base = base(at);
    format!(
        "jottacloud://bkt?jottacloud-endpoint={base}&oauth-url={base}/refresh&authid=KEYID:{SECRET_IN_URL}&retry-delay=0s&http-proxy=none&{query}"
    )
}
