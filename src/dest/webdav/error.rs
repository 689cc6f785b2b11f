//! What a WebDAV server's refusal means (`destinations-core.md` 4.5): from status, headers and text to a class and a sentence.

use std::io;
use std::ops::Deref;

use crate::base::fault::{Class, Fault};
use crate::base::text;
use crate::net::http::Reply;
use crate::net::service::refusal::word;
use crate::net::service::{self, Dialect, Form, Verb, rules};
use crate::net::xml::{self, Step};

/// Longest text of a server that is shown.
const SHOWN_MAX: usize = 200;

static DIALECT: Dialect = Dialect {
    form: Form::Xml("error"),
    who: "a WebDAV server",
    rules: rules! {
        400 "" "expected filesize" => Class::Transient, "the upload did not arrive whole";
        401 "" => Class::Auth, "the login was rejected";
        403 "" [Put Move MakeFolder] => Class::Auth, "the server does not allow writing here";
        403 "" [Delete] => Class::Auth, "the server does not allow deleting here";
        403 "" => Class::Auth, "the server does not allow reading here";
        404 "" [Get] => Class::NotFound, "not found", "if it is there, the server blocks files with this extension";
        // Go's handler says so whenever a file cannot be written to its end.
        405 "" [Put] => Class::Unsupported, "the server could not store it", "look at the server's free space and at its rights to write";
        // RFC 4918, 9.3.1 and 9.7.1: a folder above does not exist.
        409 "" => Class::FolderMissing;
        429 "" => Class::Throttled(None), "the server asks to slow down";
        503 "" => Class::Throttled(None), "the server is not available";
    },
    words: &[
        word(
            Class::FolderMissing,
            "=folder '{folder}' does not exist",
            "",
        ),
        word(
            Class::TooBig,
            "the server refuses a file of this size",
            "make volumes smaller with --dblock-size, or raise the server's limit (nginx: client_max_body_size)",
        ),
        word(Class::Protocol, "the server refused", ""),
    ],
};

/// A refusal as the server told it.
#[derive(Debug)]
pub(super) struct Refusal {
    told: service::Refusal,
    /// Which program it is.
    server: String,
    maintenance: bool,
    sharepoint: bool,
}

impl Deref for Refusal {
    type Target = service::Refusal;

    fn deref(&self) -> &service::Refusal {
        &self.told
    }
}

impl Refusal {
    /// Reads the rest of a reply that is no success.
    pub(super) fn of(reply: &mut Reply) -> Refusal {
        let body = reply.error_body();
        let told = service::Refusal {
            status: reply.status,
            message: words(&body),
            retry_after: reply.retry_after(),
            ..service::Refusal::default()
        };
        let is = |name: &str| reply.header(name).is_some_and(|v| v.trim() == "1");
        Refusal {
            told,
            server: reply.header("server").unwrap_or("").to_ascii_lowercase(),
            maintenance: is("x-nextcloud-maintenance-mode"),
            sharepoint: reply.header("microsoftsharepointteamservices").is_some(),
        }
    }

    pub(super) fn is_iis(&self) -> bool {
        self.server.contains("microsoft-iis")
    }

    /// The fault of a refusal of `verb`. `folder` is shown for a missing folder.
    pub(super) fn fault(&self, verb: Verb, folder: &str) -> Fault {
        let fault = self.told.fault(&DIALECT, verb, &[("folder", folder)]);
        let as_told = |why: &str| Fault::new(fault.class, format!("{why}; {}", self.said()));
        match self.status {
            _ if matches!(fault.class, Class::Full | Class::Tls) => fault,
            300..400 => as_told("the server redirects without saying where"),
            403 if self.sharepoint => {
                as_told("this is SharePoint, which wants a login by NTLM or cookie, not supported")
            }
            404 | 410 if verb == Verb::Get && self.is_iis() => as_told("not found")
                .hint("IIS hides files with unknown extensions: add MIME types for .aes and .zip"),
            405 | 415 | 422 | 501 if verb == Verb::List => self.no_webdav(),
            503 if self.maintenance => as_told("the server is in maintenance mode"),
            _ => fault,
        }
    }

    fn no_webdav(&self) -> Fault {
        let why = format!("the URL is no WebDAV folder; {}", self.said());
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
            told: service::Refusal {
                status,
                message: message.to_owned(),
                ..service::Refusal::default()
            },
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
            (599, Verb::Get, C::Transient),
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
