//! Reports over HTTP: what is sent where, and what the answer means. A report that does not arrive never fails a run.
//!
//! The addresses are secrets (many services have a token in the path), so that messages name the server only.

use std::time::Duration;

use crate::base::error::{Error, Result};
use crate::base::opt::{Opt, Options};
use crate::base::sys;
use crate::base::text;
use crate::base::ui::Ui;
use crate::cli::options as o;
use crate::cli::unattended::document::{Told, quoted};

/// Results that `--send-http-level` may name.
const LEVELS: [&str; 5] = ["Success", "Warning", "Error", "Fatal", "All"];
/// Attempts at one address, and the wait between them.
#[cfg(feature = "http")]
const ATTEMPTS: u32 = 2;
#[cfg(feature = "http")]
const PAUSE: Duration = Duration::from_secs(2);

/// How an address wants to be told.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    /// `--send-http-url`
    Plain,
    /// `--send-http-json-urls`
    Envelope,
    /// `--send-http-form-urls`
    Fields,
}

/// The options that hold addresses.
static ADDRESSES: [(&Opt, Form); 3] = [
    (&o::REPORT_URL, Form::Plain),
    (&o::REPORT_JSON, Form::Envelope),
    (&o::REPORT_FORM, Form::Fields),
];

/// Refuses addresses and levels that are none. No network.
pub(super) fn check(options: &Options) -> Result<()> {
    for (opt, _) in &ADDRESSES {
        for url in addresses(options, opt) {
            let host = host(url);
            if host.is_empty() {
                let cause = format!("--{} holds what is no address of a server", opt.name);
                return Err(Error::usage(cause).hint(
                    "an address begins with https:// or http://; several are separated by ;",
                ));
            }
            if cfg!(not(feature = "http")) {
                let cause = format!("--{} is not supported by this build", opt.name);
                return Err(Error::usage(cause).hint("one with a destination over HTTP has it"));
            }
        }
    }
    for level in levels(options) {
        if !LEVELS.iter().any(|l| l.eq_ignore_ascii_case(level)) {
            let shown = text::safe_cut(level.as_bytes(), 40);
            return Err(Error::usage(format!(
                "--{}={shown} is not valid: one or more of {} are expected",
                o::REPORT_LEVEL.name,
                LEVELS.join(", ")
            )));
        }
    }
    Ok(())
}

/// True when a run of this command is to be reported if its result is among those wanted.
pub(super) fn is_wanted(options: &Options, command: Option<&str>) -> bool {
    let any = command.is_none_or(|c| c == "backup") || options.flag(&o::REPORT_ANY);
    any && ADDRESSES
        .iter()
        .any(|(opt, _)| !addresses(options, opt).is_empty())
}

fn addresses<'a>(options: &'a Options, opt: &'static Opt) -> Vec<&'a str> {
    let all = options.text(opt).unwrap_or_default().split(';');
    all.map(str::trim).filter(|u| !u.is_empty()).collect()
}

fn levels(options: &Options) -> Vec<&str> {
    let all = options.text(&o::REPORT_LEVEL).unwrap_or("All").split(',');
    all.map(str::trim).filter(|l| !l.is_empty()).collect()
}

/// Scheme, host and port: what may be shown. Empty when it is no address.
fn host(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        return String::new();
    };
    let scheme = scheme.to_ascii_lowercase();
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = host.rsplit('@').next().unwrap_or_default();
    let odd = |c: char| !(c.is_ascii_alphanumeric() || ".-:[]_".contains(c));
    match scheme.as_str() {
        "http" | "https" if !host.is_empty() && !host.contains(odd) => {
            format!("{scheme}://{host}")
        }
        _ => String::new(),
    }
}

/// Sends what is wanted of one run.
pub(super) fn send(options: &Options, told: &Told, ui: &mut Ui) {
    // A level that is none has ended the run, which is told all the same.
    let wanted = levels(options).iter().any(|l| {
        let is = |level: &str| l.eq_ignore_ascii_case(level);
        is("All") || is(told.parsed) || !LEVELS.iter().any(|l| is(l))
    });
    if !wanted {
        return;
    }
    for (opt, form) in &ADDRESSES {
        for url in addresses(options, opt) {
            let host = host(url);
            match send_one(options, told, url, *form) {
                Ok(()) => ui.verbose(&format!("the result was reported to {host}")),
                Err(why) => ui.caution(&format!(
                    "the result could not be reported to {host}: {why} (--{})",
                    opt.name
                )),
            }
        }
    }
}

/// The address with its variables filled in, percent-encoded.
fn filled(url: &str, told: &Told) -> String {
    fill(url, told, &crate::net::url::encode)
}

/// `%NAME%` by what it stands for; all else stays.
fn fill(template: &str, told: &Told, coded: &dyn Fn(&str) -> String) -> String {
    let code = told.code.to_string();
    let well = told.is_well();
    let values = [
        ("OPERATIONNAME", told.operation),
        ("PARSEDRESULT", told.parsed),
        ("RESULT", &told.words),
        ("EXCEPTION", told.failure.as_deref().unwrap_or_default()),
        ("EXITCODE", &code),
        ("STATUS", if well { "up" } else { "down" }),
        ("FAILED", if well { "0" } else { "1" }),
        ("backup-name", &told.name),
        ("machine-name", &told.host),
    ];
    let mut out = String::new();
    let mut rest = template;
    while let Some(at) = rest.find('%') {
        let (before, from) = rest.split_at(at);
        out.push_str(before);
        let found = values.iter().find(|(name, _)| {
            from.get(1..=name.len())
                .is_some_and(|n| n.eq_ignore_ascii_case(name))
                && from[name.len() + 1..].starts_with('%')
        });
        match found {
            Some((name, value)) => {
                out.push_str(&coded(value));
                rest = &from[name.len() + 2..];
            }
            None => {
                out.push('%');
                rest = &from[1..];
            }
        }
    }
    out.push_str(rest);
    out
}

/// What is sent: its type and its bytes.
fn body(options: &Options, told: &Told, form: Form) -> (&'static str, String) {
    let message = match options.text(&o::REPORT_MESSAGE) {
        Some(template) => fill(template, told, &str::to_owned),
        None => told.words.clone(),
    };
    let words = options.choice(&o::REPORT_FORMAT) == Some("Duplicati")
        || options.text(&o::REPORT_MESSAGE).is_some();
    match form {
        Form::Plain if words => ("text/plain; charset=utf-8", message),
        Form::Plain => ("application/json", told.json.clone()),
        Form::Envelope => ("application/json", envelope(options, told)),
        Form::Fields => {
            let name = options.text(&o::REPORT_PARAMETER).unwrap_or("message");
            let coded = |t: &str| crate::net::url::encode(t);
            let mut fields = format!("{}={}", coded(name), coded(&message));
            if let Some(extra) = options.text(&o::REPORT_EXTRA) {
                fields.push('&');
                fields.push_str(&fill(extra, told, &coded));
            }
            ("application/x-www-form-urlencoded", fields)
        }
    }
}

/// Duplicati's form of a report in JSON.
fn envelope(options: &Options, told: &Told) -> String {
    let most = options.int(&o::REPORT_LINES).unwrap_or(100);
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    let lines: Vec<String> = told.messages.iter().take(most).map(|m| quoted(m)).collect();
    let failure = told.failure.as_deref().map_or("null".to_owned(), quoted);
    format!(
        "{{\"Data\":{},\"Extra\":{{\"OperationName\":{},\"backup-name\":{},\"machine-name\":{}}},\"LogLines\":[{}],\"Exception\":{failure}}}\n",
        told.json.trim_end(),
        quoted(told.operation),
        quoted(&told.name),
        quoted(&told.host),
        lines.join(",")
    )
}

#[cfg(feature = "http")]
fn send_one(
    options: &Options,
    told: &Told,
    url: &str,
    form: Form,
) -> std::result::Result<(), String> {
    use crate::base::fault::Class;
    use crate::net::http::{Http, Pace, Payload, Request};

    let mut http = Http::new(options).map_err(|e| e.to_string())?;
    let method = options.choice(&o::REPORT_VERB).unwrap_or("POST");
    let (kind, text) = body(options, told, form);
    let without = matches!(method, "GET" | "HEAD");
    let login = basic(url);
    let url = filled(&plain(url), told);
    let mut headers = vec![("accept", "*/*")];
    if !without {
        headers.push(("content-type", kind));
    }
    if let Some(login) = &login {
        headers.push(("authorization", login));
    }
    let stops = sys::stops_requested();
    let mut attempt = 1;
    loop {
        let sent = http.send(Request {
            method,
            url: &url,
            headers: &headers,
            payload: match without {
                true => Payload::None,
                false => Payload::Bytes(text.as_bytes()),
            },
            pace: Pace::Short,
            expect: false,
        });
        let (why, again) = match sent {
            Ok(reply) => match reply.status {
                200..=299 => return Ok(()),
                300..=399 => ("it has moved to another address".to_owned(), false),
                status => (
                    format!("the server answered {status}"),
                    matches!(status, 408 | 425 | 429 | 500..=599),
                ),
            },
            Err(fault) => {
                let again = matches!(
                    fault.class,
                    Class::Transient | Class::Refused | Class::NoHost
                );
                (fault.text, again)
            }
        };
        if !again || attempt >= ATTEMPTS || !sys::sleep_beyond(PAUSE, stops) {
            return Err(why);
        }
        attempt += 1;
    }
}

#[cfg(not(feature = "http"))]
fn send_one(_: &Options, _: &Told, _: &str, _: Form) -> std::result::Result<(), String> {
    Err("this build has no HTTP".to_owned())
}

/// The address without user and password.
#[cfg(feature = "http")]
fn plain(url: &str) -> String {
    match login_of(url) {
        Some((scheme, _, rest)) => format!("{scheme}://{rest}"),
        None => url.to_owned(),
    }
}

#[cfg(feature = "http")]
fn login_of(url: &str) -> Option<(&str, &str, &str)> {
    let (scheme, rest) = url.split_once("://")?;
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let at = rest[..end].rfind('@')?;
    Some((scheme, &rest[..at], &rest[at + 1..]))
}

/// The header for user and password of the address.
#[cfg(feature = "http")]
fn basic(url: &str) -> Option<String> {
    let (_, login, _) = login_of(url)?;
    let login = crate::net::url::decode(login);
    let coded = crate::base::bytes::base64(login.as_bytes());
    Some(format!("Basic {coded}"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failing step fails the test")]

    use super::*;

    fn told() -> Told {
        Told {
            operation: "Backup",
            name: "my box".to_owned(),
            host: "nas".to_owned(),
            parsed: "Error",
            code: 3,
            json: "{\"ExitCode\":3}\n".to_owned(),
            words: "backup: Error\n".to_owned(),
            messages: vec!["error: \"x\"".to_owned(), "warning: y".to_owned()],
            failure: None,
        }
    }

    #[test]
    fn variables_are_filled_in_and_nothing_else() {
        let told = told();
        for (template, want) in [
            ("https://h/p/%FAILED%", "https://h/p/1"),
            ("https://h/%20/%exitcode%%20x", "https://h/%20/3%20x"),
            ("?s=%STATUS%&m=%backup-name%&%x%", "?s=down&m=my%20box&%x%"),
            ("%PARSEDRESULT%%OPERATIONNAME%", "ErrorBackup"),
            ("100%", "100%"),
            ("%RESULT", "%RESULT"),
            ("%é%RESULT%", "%ébackup%3A%20Error%0A"),
        ] {
            assert_eq!(filled(template, &told), want);
        }
    }

    #[test]
    fn a_message_names_the_server_and_nothing_more() {
        for (url, want) in [
            ("https://hc-ping.com/uuid", "https://hc-ping.com"),
            ("HTTP://u:p@[::1]:80/x?y", "http://[::1]:80"),
            ("https://h?token=x", "https://h"),
            ("ftp://h/x", ""),
            ("hc-ping.com/uuid", ""),
            ("https:///x", ""),
            ("https://a b/x", ""),
        ] {
            assert_eq!(host(url), want);
        }
    }

    #[test]
    fn what_is_sent_is_whole_in_every_form() {
        let told = told();
        let mut options = Options::default();
        let text = |options: &Options, form| body(options, &told, form).1;
        assert_eq!(text(&options, Form::Plain), told.json);
        let value: serde_json::Value =
            serde_json::from_str(&text(&options, Form::Envelope)).unwrap();
        assert_eq!(value["Data"]["ExitCode"], 3);
        assert_eq!(value["Extra"]["backup-name"], "my box");
        assert_eq!(value["LogLines"][0], "error: \"x\"");
        assert!(value["Exception"].is_null());
        assert_eq!(text(&options, Form::Fields), "message=backup%3A%20Error%0A");
        options
            .set(&o::REPORT_EXTRA, "title=%backup-name%&p=5")
            .unwrap();
        options.set(&o::REPORT_PARAMETER, "m").unwrap();
        options
            .set(&o::REPORT_MESSAGE, "%PARSEDRESULT% & more")
            .unwrap();
        options.set(&o::REPORT_LINES, "1").unwrap();
        assert_eq!(
            text(&options, Form::Fields),
            "m=Error%20%26%20more&title=my%20box&p=5"
        );
        assert_eq!(text(&options, Form::Plain), "Error & more");
        let value: serde_json::Value =
            serde_json::from_str(&text(&options, Form::Envelope)).unwrap();
        assert_eq!(value["LogLines"].as_array().unwrap().len(), 1);
    }

    #[test]
    fn mistakes_are_found_before_anything_begins() {
        for (opt, value, good) in [
            (
                &o::REPORT_URL as &'static Opt,
                "https://h/x; http://i",
                true,
            ),
            (&o::REPORT_URL, "h/x", false),
            (&o::REPORT_JSON, "https://h/x;file:///y", false),
            (&o::REPORT_FORM, "mailto:x", false),
            (&o::REPORT_LEVEL, "warning, Error", true),
            (&o::REPORT_LEVEL, "Warnings", false),
        ] {
            let mut options = Options::default();
            options.set(opt, value).unwrap();
            let checked = check(&options);
            assert_eq!(checked.is_ok(), good, "{value}");
            if let Err(e) = checked {
                assert!(
                    e.kind().exit_code() == 200 && !e.to_string().contains("h/x"),
                    "{e}"
                );
            }
        }
    }
}
