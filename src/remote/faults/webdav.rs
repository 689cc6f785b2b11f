//! WebDAV in the table of faults.

use super::faulty_dav::Dav;
use super::*;

pub(super) fn start() -> Box<dyn Wire> {
    Box::new(WebDav(Server::start(|_| Dav::new())))
}

struct WebDav(Server<Dav>);

impl Wire for WebDav {
    fn schemes(&self) -> &'static [&'static str] {
        &["webdav"]
    }

    fn line(&self) -> Option<&dyn Line> {
        Some(&self.0)
    }

    /// Of a server that stores uploads under their names.
    fn url(&self, at: &str, query: &str) -> String {
        let names = match query.contains("temporary-names") {
            true => "",
            false => "&webdav-temporary-names=never",
        };
        format!(
            "webdav://user:{SECRET_IN_URL}@{at}/d/b?retry-delay=0s&http-proxy=none{names}&{query}"
        )
    }

    fn unmake(&self) {
        self.0.with(|dav| {
            dav.files.clear();
            dav.folders = ["".to_owned()].into();
        });
    }

    fn method_of(&self, verb: Verb) -> Option<(&'static str, &'static str)> {
        Some(match verb {
            Verb::Login => return None,
            Verb::List => ("PROPFIND", "/d/b/$"),
            Verb::Look => ("PROPFIND", "dblock"),
            Verb::Get => ("GET", "dblock"),
            Verb::Put => ("PUT", ""),
            Verb::Delete => ("DELETE", "dblock"),
        })
    }

    fn says(&self, _: u16, message: &str) -> String {
        message.to_owned()
    }

    fn refusals(&self) -> Vec<Refusal> {
        [
            (507, "", Kind::NoSpace, "no space left"),
            (403, "Quota exceeded", Kind::NoSpace, "no space left"),
            (405, "", Kind::Unsupported, "could not store it"),
            (413, "", Kind::Unsupported, "a file of this size"),
            (401, "", Kind::Credentials, "rejected"),
            (403, "", Kind::Credentials, "writing"),
            (501, "", Kind::Unsupported, "says 501"),
        ]
        .map(|(status, body, kind, words)| (status, body.to_owned(), kind, words))
        .into()
    }

    fn listing(&self, names: &[&str]) -> (u16, &'static str, String) {
        let entry = |name: &&str| {
            let name: String = name.bytes().map(escape).collect();
            format!(
                "<d:response><d:href>/d/b/{name}</d:href><d:propstat><d:prop><d:getcontentlength>1</d:getcontentlength></d:prop></d:propstat></d:response>"
            )
        };
        let all: String = names.iter().map(entry).collect();
        let own = "<d:response><d:href>/d/b/</d:href></d:response>";
        let page = format!("<d:multistatus xmlns:d='DAV:'>{own}{all}</d:multistatus>");
        (207, "text/xml", page)
    }

    fn poison(&self) -> Vec<String> {
        let inside = |x: &str| format!("<d:multistatus xmlns:d='DAV:'>{x}</d:multistatus>");
        let deep = "<d>".repeat(1000);
        let bomb = inside("<d:response><d:href>&b;</d:href></d:response>");
        vec![
            String::new(),
            format!(
                "<!DOCTYPE x [<!ENTITY a \"aaaaaaaaaa\"><!ENTITY b \"&a;&a;\">]>{bomb}"
            ),
            inside(&format!("<d:x>{}</d:x>", "y".repeat(70_000))),
            deep,
            "<x/>".to_owned(),
        ]
    }

    fn ways(&self) -> &'static [&'static str] {
        &[
            "webdav-temporary-names=never",
            "webdav-temporary-names=never&disable-expect100-continue",
            "webdav-temporary-names=always&disable-expect100-continue",
        ]
    }

    fn expects(&self) -> bool {
        true
    }

    fn leaves_parts(&self) -> bool {
        true
    }

    fn looks_after_put(&self) -> bool {
        true
    }

    fn validator(&self) -> Option<&'static str> {
        Some("if-range")
    }

    fn misstated(&self) -> Vec<(Verb, Trouble)> {
        vec![(Verb::Look, Trouble::Replaced(">10<", ">3<"))]
    }

    fn follows(&self) -> (bool, bool) {
        (true, true)
    }

    fn portal(&self, _: Verb) -> &'static str {
        "web page and not WebDAV"
    }
}

fn escape(byte: u8) -> String {
    match byte {
        b'/' | b'.' | b'-' | b'[' => char::from(byte).to_string(),
        _ if byte.is_ascii_alphanumeric() => char::from(byte).to_string(),
        _ => format!("%{byte:02x}"),
    }
}
