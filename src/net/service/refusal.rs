//! A refusal as a service words it, and the fault that it is: by the service's own table, else by its status.

use std::io;
use std::time::Duration;

use crate::base::fault::{Class, Fault, says_full};
use crate::base::text;
use crate::net::http::Reply;
use crate::net::service::fill::{fill, plain_word};
use crate::net::service::tables::rules;
use crate::net::service::{Verb, class_of_status};

/// Longest text of a server that is shown; of a page that is none of the service.
const SHOWN_MAX: usize = 200;
const PAGE_SHOWN_MAX: usize = 80;
/// Fields of a refusal that are kept.
const FIELDS_MAX: usize = 16;

/// How a service writes its refusals.
#[derive(Clone, Copy)]
pub(crate) enum Form {
    /// An object with the fields of code and message, which may be in an object `error` of their own; the code also in the
    /// objects of its array `errors`.
    #[cfg(feature = "json")]
    Json(&'static str, &'static str),
    /// As `Json`, or a small page of a heading and a paragraph, as Swift writes it, whose `X-Trans-Id` its operator wants to know.
    #[cfg(feature = "dest-openstack")]
    Paged(&'static str, &'static str),
    /// An exception of Java, in whose text the code stands: `message` of an element `error`, or JSON with `error_id` and `message`.
    #[cfg(feature = "dest-jottacloud")]
    Java,
    /// A text, a page or an exception of Python, as the part of Tahoe-LAFS has it that is asked.
    #[cfg(feature = "dest-tahoe")]
    Lafs,
    /// `Code` and `Message` inside an element of this name.
    #[cfg(feature = "xml")]
    Xml(&'static str),
    /// As `Xml`: the name of the element; the header with the code, which a reply without a body has too; a further field
    /// that belongs to the message. Of both texts the first line counts.
    #[cfg(feature = "xml")]
    Headed(&'static str, &'static str, &'static str),
}

/// A refusal as the server told it.
#[derive(Default, Debug)]
pub(crate) struct Refusal {
    pub(crate) status: u16,
    /// A word that may go into a message; empty when there is none.
    pub(crate) code: String,
    /// The server's own words, not made safe.
    pub(crate) message: String,
    /// How long it asks to wait.
    pub(crate) retry_after: Option<Duration>,
    /// The server's clock, seconds since 1970.
    pub(crate) date: Option<i64>,
    /// A page of a portal or of a web server instead of the service's own form.
    pub(crate) html: bool,
    /// It is not in the service's form: the message is the beginning of what came instead.
    pub(crate) is_plain: bool,
    /// Name of the outermost element of XML.
    pub(crate) root: String,
    /// Further fields of the body, in their order.
    pub(crate) fields: Vec<(String, String)>,
}

/// What a refusal means where its status does not tell. The first row that fits counts.
pub(crate) struct Rule {
    /// 0: any.
    pub(crate) status: u16,
    /// Codes, separated by spaces, with `*` at one end for any beginning or ending; `-` for none; empty: any or none.
    pub(crate) codes: &'static str,
    /// Empty: any.
    pub(crate) verbs: &'static [Verb],
    /// Parts of the message in their order, lower case, separated by `*`.
    pub(crate) says: &'static str,
    pub(crate) class: Class,
    /// See [`Word::text`]; empty: that of the class.
    pub(crate) text: &'static str,
    pub(crate) hint: &'static str,
}

/// How a service's refusals of one class are told.
pub(crate) struct Word {
    pub(crate) class: Class,
    /// With `{name}` for what the caller names. What the server said follows, unless it begins with `=`.
    pub(crate) text: &'static str,
    pub(crate) hint: &'static str,
}

/// What a service's refusals mean and how they are told.
pub(crate) struct Dialect {
    pub(crate) form: Form,
    /// `a B2 server`.
    pub(crate) who: &'static str,
    pub(crate) rules: &'static [Rule],
    pub(crate) words: &'static [Word],
}

/// What some statuses are told as, whoever says them.
static RULES: &[Rule] = rules! {
    402 "" => Class::Auth, "the account cannot do that";
    407 "" => Class::Auth, "the proxy wants a login", "give it as --http-proxy=http://user:password@host:port";
    414 "" => Class::Unsupported, "the path is too long for the server";
    423 "" => Class::Transient, "the file is locked on the server";
    425 "" => Class::Transient, "the server is still working on the file";
};

/// How classes are told that a service has no own words for.
static WORDS: &[Word] = &[
    word(Class::NotFound, "=not found", ""),
    word(Class::Full, "no space left at the destination", ""),
    word(Class::TooBig, "the server refuses a file of this size", ""),
    word(Class::Throttled(None), "the server is too busy", ""),
    word(Class::Transient, "the server failed", ""),
    word(
        Class::Tls,
        "the server speaks TLS on this port",
        "use use-ssl=true",
    ),
    word(
        Class::Unsupported,
        "the server does not offer that operation",
        "",
    ),
];

/// A row of [`Dialect::words`].
pub(crate) const fn word(class: Class, text: &'static str, hint: &'static str) -> Word {
    Word { class, text, hint }
}

impl Rule {
    fn fits(&self, told: &Refusal, verb: Verb, lower: &str) -> bool {
        (self.status == 0 || self.status == told.status)
            && (self.verbs.is_empty() || self.verbs.contains(&verb))
            && (self.codes.is_empty()
                || self.codes.split(' ').any(|code| is_like(&told.code, code)))
            && says(lower, self.says)
    }
}

/// True when a code is the one, or begins or ends as, a row says.
fn is_like(code: &str, pattern: &str) -> bool {
    match (pattern.strip_prefix('*'), pattern.strip_suffix('*')) {
        (Some(end), _) => code.ends_with(end),
        (_, Some(start)) => code.starts_with(start),
        _ if pattern == "-" => code.is_empty(),
        _ => code == pattern,
    }
}

/// True when a text in lower case has these parts, separated by `*`, in their order.
fn says(lower: &str, parts: &str) -> bool {
    let mut rest = lower;
    parts.split('*').all(|part| match rest.find(part) {
        Some(at) => {
            rest = &rest[at + part.len()..];
            true
        }
        None => false,
    })
}

impl Refusal {
    /// Reads the rest of a reply that is no success.
    pub(crate) fn of(reply: &mut Reply, form: Form) -> Refusal {
        let body = reply.error_body();
        let out = Refusal {
            status: reply.status,
            retry_after: reply.retry_after(),
            date: reply.date(),
            ..Refusal::parse(&body, form)
        };
        #[cfg(feature = "dest-openstack")]
        if let (Form::Paged(..), Some(id)) = (form, reply.header("x-trans-id")) {
            let message = format!("{} (X-Trans-Id {})", out.message.trim(), plain_word(id));
            return Refusal { message, ..out };
        }
        #[cfg(feature = "xml")]
        if let Form::Headed(_, header, more) = form {
            let mut out = out;
            out.head(reply.header(header).unwrap_or(""), more);
            return out;
        }
        out
    }

    /// Takes up the code that a header tells, and a further field into the message.
    #[cfg(feature = "xml")]
    fn head(&mut self, code: &str, more: &str) {
        if self.code.is_empty() {
            self.code = plain_word(code);
        }
        if self.is_plain {
            return;
        }
        let first = |text: &str| text.trim().lines().next().unwrap_or("").trim().to_owned();
        let (told, more) = (first(&self.message), first(self.field(more)));
        self.message = match (told.is_empty(), more.is_empty()) {
            (_, true) => told,
            (true, false) => more,
            // The further text is what helps; the first is the same for all of a code.
            (false, false) => format!("{more} ({told})"),
        };
    }

    /// From an error body; empty fields where it says nothing.
    pub(crate) fn parse(body: &[u8], form: Form) -> Refusal {
        let mut out = Refusal::default();
        let unreadable = |_: &io::Error| Fault::new(Class::Transient, "");
        let _ = match form {
            #[cfg(feature = "json")]
            Form::Json(code, message) => {
                use crate::net::json::{self, Step, Value};
                let max = json::SMALL_MAX_BYTES;
                json::read(&mut &body[..], max, &unreadable, &mut |step| {
                    let (key, value) = match step {
                        Step::Value { path: [key], value } => (key, value),
                        // Dropbox's, at any depth.
                        Step::Value {
                            path: [error, .., key],
                            value: Value::Number(n),
                        } if error == "error" => {
                            out.more(key, n.to_string());
                            return Ok(());
                        }
                        Step::Value {
                            path: [error, key],
                            value,
                        } if error == "error" => (key, value),
                        // Box's: what has the name, in an array or not.
                        #[cfg(feature = "dest-box")]
                        Step::Value {
                            path: [info, conflicts, .., key],
                            value: Value::Text(text),
                        } if info == "context_info" && conflicts == "conflicts" => {
                            out.more(&format!("conflicts/{key}"), text.to_owned());
                            return Ok(());
                        }
                        // Laravel's: which field of the request is wrong, and why.
                        #[cfg(feature = "dest-drimecloud")]
                        Step::Value {
                            path: [errors, field, ..],
                            value: Value::Text(text),
                        } if errors == "errors" && code.is_empty() => {
                            out.code = plain_word(field);
                            out.more("errors", text.to_owned());
                            return Ok(());
                        }
                        // Google's: the first of a list.
                        Step::Value {
                            path: [error, list, _, key],
                            value,
                        } if error == "error"
                            && list == "errors"
                            && key == code
                            && out.code.is_empty() =>
                        {
                            (key, value)
                        }
                        _ => return Ok(()),
                    };
                    if let Some(value) = value.text() {
                        out.take(key, value, code, message);
                    }
                    Ok(())
                })
            }
            #[cfg(feature = "dest-openstack")]
            Form::Paged(code, message) => {
                let mut out = Refusal::parse(body, Form::Json(code, message));
                out.tidy();
                return out;
            }
            #[cfg(feature = "dest-jottacloud")]
            Form::Java => return super::java::parse(body, plain_word),
            #[cfg(feature = "dest-tahoe")]
            Form::Lafs => return super::lafs::parse(body, plain_word),
            #[cfg(feature = "xml")]
            Form::Xml(wanted) | Form::Headed(wanted, ..) => {
                use crate::net::xml::{self, Step};
                xml::read(body, &unreadable, &mut |step| {
                    match step {
                        Step::Open { path: [root] } => root.clone_into(&mut out.root),
                        Step::Close {
                            path: [root, field],
                            text,
                        } if root == wanted => out.take_xml(field, text.unwrap_or("")),
                        _ => {}
                    }
                    Ok(())
                })
            }
        };
        #[cfg(feature = "dest-drimecloud")]
        if !out.message.contains(out.field("errors")) {
            out.message = format!("{} {}", out.message, out.field("errors"));
        }
        if out.code.is_empty() && out.message.is_empty() {
            out.is_plain = true;
            out.html = body.first() == Some(&b'<');
            out.message = String::from_utf8_lossy(&body[..body.len().min(SHOWN_MAX)]).into_owned();
        }
        out
    }

    fn take(&mut self, field: &str, value: &str, code: &str, message: &str) {
        if field == code {
            self.code = plain_word(value);
        } else if field == message {
            value.clone_into(&mut self.message);
        } else {
            self.more(field, value.to_owned());
        }
    }

    fn more(&mut self, field: &str, value: String) {
        if self.fields.len() < FIELDS_MAX {
            self.fields.push((field.to_owned(), value));
        }
    }

    /// `<html><h1>Forbidden</h1><p>Access was denied to this resource.</p></html>` as a sentence; other pages stay.
    #[cfg(feature = "dest-openstack")]
    fn tidy(&mut self) {
        if !self.html || !self.message.starts_with("<html><h1>") {
            return;
        }
        let mut text = String::new();
        for part in self.message.split('<') {
            let (tag, inner) = part.split_once('>').unwrap_or(("", part));
            if tag == "p" && !text.is_empty() {
                text.push_str(": ");
            }
            text.push_str(inner.trim());
        }
        self.message = text;
        self.html = false;
    }

    /// Takes up one field of an element in [`Form::Xml`].
    #[cfg(feature = "xml")]
    pub(crate) fn take_xml(&mut self, field: &str, value: &str) {
        self.take(field, value, "Code", "Message");
    }

    /// A further field of the body; empty when it has none.
    pub(crate) fn field(&self, name: &str) -> &str {
        let found = self.fields.iter().find(|(field, _)| field == name);
        found.map_or("", |(_, value)| value)
    }

    /// True when the code is one of these, separated by spaces.
    pub(crate) fn is(&self, codes: &str) -> bool {
        codes.split(' ').any(|code| is_like(&self.code, code))
    }

    /// True when the request was sent in the clear to a port that speaks TLS.
    fn is_tls_port(&self, lower: &str) -> bool {
        self.status == 400
            && (says(lower, "http request*https")
                || says(lower, "https port")
                || says(lower, "speaking plain http to an ssl"))
    }

    /// What it means, and the row that says so.
    pub(crate) fn class(&self, dialect: &Dialect, verb: Verb) -> (Class, Option<&'static Rule>) {
        let lower = self.message.to_lowercase();
        if says_full(self.status, &self.message) {
            return (Class::Full, None);
        }
        let mut rules = dialect.rules.iter().chain(RULES);
        let rule = rules.find(|r| r.fits(self, verb, &lower));
        let class = match rule {
            Some(rule) => rule.class,
            None if self.is_tls_port(&lower) => Class::Tls,
            None => class_of_status(self.status, verb),
        };
        match class {
            Class::Throttled(_) => (Class::Throttled(self.retry_after), rule),
            class => (class, rule),
        }
    }

    /// The fault it is; `names` are what texts may name in braces.
    pub(crate) fn fault(&self, dialect: &Dialect, verb: Verb, names: &[(&str, &str)]) -> Fault {
        let (class, rule) = self.class(dialect, verb);
        let like = |word: &&Word| {
            word.class == class
                || matches!(
                    (word.class, class),
                    (Class::Throttled(_), Class::Throttled(_))
                )
        };
        let word = dialect.words.iter().chain(WORDS).find(like);
        let (mut text, mut hint) = word.map_or(("", ""), |w| (w.text, w.hint));
        if let Some(rule) = rule {
            let own = |row: &'static str, class| if row.is_empty() { class } else { row };
            (text, hint) = (own(rule.text, text), own(rule.hint, hint));
        }
        let told = match text {
            _ if self.html && (text.is_empty() || class == Class::Transient) => {
                format!("this is not {} (captive portal?)", dialect.who)
            }
            "" if self.status < 300 && self.code.is_empty() => {
                format!("the reply is none of {}", dialect.who)
            }
            "" => String::new(),
            text => fill(text, names),
        };
        let text = match told.strip_prefix('=') {
            Some(whole) => whole.to_owned(),
            None if told.is_empty() => self.said(),
            None => format!("{told}; {}", self.said()),
        };
        Fault::new(class, text).hint(fill(hint, names))
    }

    /// `the server says 403 access_denied: text`.
    pub(crate) fn said(&self) -> String {
        let most = if self.html { PAGE_SHOWN_MAX } else { SHOWN_MAX };
        let line: Vec<&str> = self.message.split_whitespace().collect();
        let message = text::safe_cut(line.join(" ").as_bytes(), most);
        let mut out = "the server says".to_owned();
        // A code is all that there is where the status is that of a success.
        if self.status != 200 || self.code.is_empty() {
            out.push_str(&format!(" {}", self.status));
        }
        if !self.code.is_empty() {
            out.push(' ');
            out.push_str(&self.code);
        }
        if !message.is_empty() {
            out.push_str(": ");
            out.push_str(message.trim_end_matches('.'));
        }
        out
    }
}

#[cfg(all(test, feature = "dest-openstack"))]
mod tests {
    use super::*;

    #[test]
    fn a_page_of_swift_is_a_sentence_and_others_are_pages() {
        let told = |body: &str| {
            let told = Refusal::parse(body.as_bytes(), Form::Paged("title", "message"));
            (told.message, told.html)
        };
        let page = "<html><h1>Forbidden</h1><p>Access was denied to this resource.</p></html>";
        let sentence = "Forbidden: Access was denied to this resource.";
        assert_eq!(told(page), (sentence.to_owned(), false));
        assert!(told("<html><title>Log in</title>").1);
        let json = r#"{"error":{"code":401,"message":"no","title":"Unauthorized"}}"#;
        assert_eq!(told(json), ("no".to_owned(), false));
    }
}
