//! What a WebDAV server's refusal means (`destinations-core.md` 4.5): from status, headers and text to a class and a sentence.

use std::io;
use std::time::Duration;

use crate::base::fault::{Class, Fault, says_full};
use crate::base::text;
use crate::net::http::Reply;
use crate::net::xml::{self, Step};

/// Longest text of a server that is shown.
const SHOWN_MAX: usize = 200;

/// What was asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Verb {
    /// `PROPFIND` of the folder.
    List,
    /// `PROPFIND` or `HEAD` of a file.
    Look,
    Get,
    Put,
    Delete,
    MakeFolder,
    Move,
}

/// A refusal as the server told it.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) status: u16,
    /// The server's own words; empty when it has none.
    pub(super) message: String,
    retry_after: Option<Duration>,
    server: String,
    maintenance: bool,
    sharepoint: bool,
}

impl Refusal {
    /// Reads the rest of a reply that is no success.
    pub(super) fn of(reply: &mut Reply) -> Refusal {
        let body = reply.error_body();
        Refusal {
            status: reply.status,
            message: words(&body),
            retry_after: reply.retry_after(),
            server: reply.header("server").unwrap_or("").to_ascii_lowercase(),
            maintenance: reply
                .header("x-nextcloud-maintenance-mode")
                .is_some_and(|v| v.trim() == "1"),
            sharepoint: reply.header("microsoftsharepointteamservices").is_some(),
        }
    }

    pub(super) fn is_iis(&self) -> bool {
        self.server.contains("microsoft-iis")
    }

    fn says(&self, part: &str) -> bool {
        self.message.to_ascii_lowercase().contains(part)
    }

    /// The request was sent in the clear to a port that speaks TLS.
    fn is_tls_port(&self) -> bool {
        let told = self.says("https port") || self.says("speaking plain http to an ssl");
        self.status == 400 && told
    }

    /// `because` and what the server said.
    fn because(&self, why: &str) -> String {
        if self.message.is_empty() {
            format!("{why} (HTTP {})", self.status)
        } else {
            format!("{why} (HTTP {}, server: {})", self.status, self.message)
        }
    }

    /// The fault of a refusal of `verb`. `folder` is shown for a missing folder.
    pub(super) fn fault(&self, verb: Verb, folder: &str) -> Fault {
        let fault = |class, why: &str| Fault::new(class, self.because(why));
        let missing = || {
            let shown = text::safe_cut(folder.as_bytes(), 120);
            Fault::new(
                Class::FolderMissing,
                format!("folder '{shown}' does not exist"),
            )
        };
        if self.is_tls_port() {
            return fault(Class::Tls, "the server speaks TLS on this port").hint("use-ssl=true");
        }
        if says_full(self.status, &self.message) {
            return fault(Class::Full, "no space left on the server");
        }
        match self.status {
            300..400 => fault(Class::Protocol, "the server redirects without saying where"),
            400 if self.says("expected filesize") => {
                fault(Class::Transient, "the upload did not arrive whole")
            }
            401 => fault(Class::Auth, "the login was rejected"),
            407 => fault(Class::Auth, "the proxy wants a login")
                .hint("give it as --http-proxy=http://user:password@host:port"),
            402 => fault(Class::Auth, "the account cannot do that"),
            403 if self.sharepoint => fault(
                Class::Auth,
                "this is SharePoint, which wants a login by NTLM or cookie, not supported",
            ),
            403 => match verb {
                Verb::Put | Verb::Move | Verb::MakeFolder => {
                    fault(Class::Auth, "the server does not allow writing here")
                }
                Verb::Delete => fault(Class::Auth, "the server does not allow deleting here"),
                _ => fault(Class::Auth, "the server does not allow reading here"),
            },
            404 | 410 => match verb {
                Verb::Get if self.is_iis() => fault(Class::NotFound, "not found").hint(
                    "IIS hides files with unknown extensions: add MIME types for .aes and .zip",
                ),
                Verb::Get => fault(Class::NotFound, "not found")
                    .hint("if it is there, the server blocks files with this extension"),
                Verb::Look | Verb::Delete => fault(Class::NotFound, "not found"),
                _ => missing(),
            },
            405 if verb == Verb::List => self.no_webdav(),
            // Go's handler says so whenever a file cannot be written to its end.
            405 if verb == Verb::Put => fault(Class::Unsupported, "the server could not store it")
                .hint("look at the server's free space and at its rights to write"),
            409 => missing(),
            413 => fault(Class::TooBig, "the server refuses a file of this size")
                .hint("make volumes smaller with --dblock-size, or raise the server's limit (nginx: client_max_body_size)"),
            414 => fault(Class::Unsupported, "the path is too long for the server"),
            423 => fault(Class::Transient, "the file is locked on the server"),
            425 => fault(Class::Transient, "the server is still working on the file"),
            429 => Fault::new(
                Class::Throttled(self.retry_after),
                self.because("the server asks to slow down"),
            ),
            503 if self.maintenance => Fault::new(
                Class::Throttled(self.retry_after),
                self.because("the server is in maintenance mode"),
            ),
            503 => Fault::new(
                Class::Throttled(self.retry_after),
                self.because("the server is not available"),
            ),
            507 => fault(Class::Full, "no space left on the server"),
            408 | 500 | 502 | 504 | 508 | 509 | 520..=527 => {
                fault(Class::Transient, "the server failed")
            }
            415 | 422 | 501 if verb == Verb::List => self.no_webdav(),
            405 | 415 | 422 | 501 => {
                fault(Class::Unsupported, "the server does not offer that operation")
            }
            _ => fault(Class::Protocol, "the server refused"),
        }
    }

    fn no_webdav(&self) -> Fault {
        let why = self.because("the URL is no WebDAV folder");
        let fault = Fault::new(Class::Unsupported, why);
        if self.server.contains("nginx") {
            return fault.hint(
                "nginx needs the dav-ext module for listing; otherwise check the path of the URL",
            );
        }
        if self.is_iis() {
            return fault.hint("switch WebDAV Authoring on in IIS");
        }
        fault.hint("check the path of the URL, e.g. /remote.php/dav/files/USER/ for Nextcloud")
    }
}

/// The fault of a web page in place of an answer.
pub(super) fn web_page(reply: &mut Reply) -> Option<Fault> {
    let kind = reply.header("content-type")?.to_ascii_lowercase();
    if !kind.contains("html") {
        return None;
    }
    let body = reply.error_body();
    let said = match text::safe_cut(words(&body).trim().as_bytes(), 80) {
        none if none.is_empty() => none,
        said => format!(": {said}"),
    };
    Some(
        Fault::new(
            Class::Protocol,
            format!(
                "the reply is a web page and not WebDAV: this is not a WebDAV server (login page or captive portal?){said}"
            ),
        )
        .hint("check the path of the URL, e.g. /remote.php/dav/files/USER/ for Nextcloud"),
    )
}

/// What an error body says, in one line: the `message` of a WebDAV error, the title of a page, or its first text.
fn words(body: &[u8]) -> String {
    let mut message = String::new();
    let unreadable = |_: &io::Error| Fault::new(Class::Transient, "");
    let done = xml::read(body, &unreadable, &mut |step| {
        if let Step::Close { path, text } = step
            && path.last().is_some_and(|name| name == "message")
            && message.is_empty()
        {
            text.unwrap_or("").clone_into(&mut message);
        }
        Ok(())
    });
    let cut = &body[..body.len().min(2000)];
    let plain = String::from_utf8_lossy(cut);
    if message.is_empty() && done.is_err() {
        message = match title(&plain) {
            Some(title) => title,
            None => without_tags(&plain),
        };
    }
    let line: Vec<&str> = message.split_whitespace().collect();
    text::safe_cut(line.join(" ").as_bytes(), SHOWN_MAX)
}

fn title(page: &str) -> Option<String> {
    let lower = page.to_ascii_lowercase();
    let start = lower.find("<title>")? + "<title>".len();
    let end = lower.get(start..)?.find("</title>")? + start;
    page.get(start..end).map(str::to_owned)
}

fn without_tags(page: &str) -> String {
    let mut out = String::new();
    let mut inside = false;
    for c in page.chars() {
        match c {
            '<' => inside = true,
            '>' if inside => {
                inside = false;
                out.push(' ');
            }
            c if !inside => out.push(c),
            _ => {}
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(status: u16, message: &str) -> Refusal {
        Refusal {
            status,
            message: message.to_owned(),
            retry_after: None,
            server: String::new(),
            maintenance: false,
            sharepoint: false,
        }
    }

    #[test]
    fn the_table_of_statuses() {
        use Class as C;
        for (status, verb, class) in [
            (400, Verb::List, C::Protocol),
            (401, Verb::Get, C::Auth),
            (403, Verb::Put, C::Auth),
            (404, Verb::List, C::FolderMissing),
            (404, Verb::Put, C::FolderMissing),
            (404, Verb::Look, C::NotFound),
            (410, Verb::Get, C::NotFound),
            (405, Verb::List, C::Unsupported),
            (405, Verb::Get, C::Unsupported),
            (409, Verb::Put, C::FolderMissing),
            (412, Verb::Put, C::Protocol),
            (413, Verb::Put, C::TooBig),
            (423, Verb::Put, C::Transient),
            (425, Verb::Look, C::Transient),
            (429, Verb::List, C::Throttled(None)),
            (500, Verb::Put, C::Transient),
            (501, Verb::List, C::Unsupported),
            (501, Verb::Put, C::Unsupported),
            (503, Verb::Put, C::Throttled(None)),
            (507, Verb::Put, C::Full),
            (523, Verb::Get, C::Transient),
            (302, Verb::Get, C::Protocol),
            (599, Verb::Get, C::Protocol),
        ] {
            assert_eq!(
                refusal(status, "").fault(verb, "x").class,
                class,
                "{status} {verb:?}"
            );
        }
        let short = refusal(400, "Expected filesize of 10 bytes but read 7");
        assert_eq!(short.fault(Verb::Put, "x").class, C::Transient);
        let tls = refusal(400, "The plain HTTP request was sent to HTTPS port");
        assert_eq!(tls.fault(Verb::List, "x").class, C::Tls);
    }

    #[test]
    fn servers_are_recognised() {
        let mut nginx = refusal(405, "405 Not Allowed");
        nginx.server = "nginx/1.22.1".to_owned();
        assert!(nginx.fault(Verb::List, "x").hint.contains("dav-ext"));
        let mut iis = refusal(404, "");
        iis.server = "microsoft-iis/10.0".to_owned();
        assert!(iis.fault(Verb::Get, "x").hint.contains("MIME"));
        let mut point = refusal(403, "");
        point.sharepoint = true;
        assert!(point.fault(Verb::List, "x").text.contains("SharePoint"));
        let mut cloud = refusal(503, "");
        cloud.maintenance = true;
        assert!(cloud.fault(Verb::List, "x").text.contains("maintenance"));
    }

    #[test]
    fn the_servers_words() {
        for (body, want) in [
            ("", ""),
            (
                "<?xml version=\"1.0\"?><d:error xmlns:d=\"DAV:\" xmlns:s=\"x\"><s:exception>E</s:exception><s:message>Quota\n exceeded</s:message></d:error>",
                "Quota exceeded",
            ),
            (
                "<html><head><title>405 Not Allowed</title></head><body>x",
                "405 Not Allowed",
            ),
            ("<p>sorry &amp; bye<br>now", "sorry &amp; bye now"),
            ("plain\x1b[31m", "plain\\x1b[31m"),
            ("<D:error xmlns:D='DAV:'><D:lock/></D:error>", ""),
        ] {
            assert_eq!(words(body.as_bytes()), want, "{body}");
        }
        assert!(words(&b"x".repeat(5000)).len() <= SHOWN_MAX);
    }
}
