//! Refusals of a gateway of Tahoe-LAFS: plain text, a small page, an object with `error`, or what Python says of an exception. The
//! name of an exception is the code. What is shown has no capability in it: those of files let everybody read them.

use crate::net::service::{Form, Refusal};

/// `word` makes a code fit for messages.
pub(super) fn parse(body: &[u8], word: fn(&str) -> String) -> Refusal {
    let mut out = Refusal::parse(body, Form::Json("", "error"));
    if out.is_plain {
        let text = String::from_utf8_lossy(body).into_owned();
        let text = text.trim();
        let is_page = text.starts_with("<html>") && text.contains("<head><title>");
        if is_page {
            (out.is_plain, out.html) = (false, false);
        }
        out.message = match text.starts_with("Traceback ") {
            _ if is_page => sentence(text),
            true => last_exception(text),
            false => text.to_owned(),
        };
    }
    let told = out.message.trim_start();
    if let Some((name, text)) = told.split_once(": ").or(told.split_once(":\n")) {
        let name = name.rsplit('.').next().unwrap_or_default();
        if name.ends_with("Error") && name.bytes().all(|b| b.is_ascii_alphanumeric()) {
            let (code, text) = (word(name), text.to_owned());
            (out.code, out.message) = (code, text);
        }
    }
    out.message = masked(&out.message);
    out
}

/// The heading of a page, and its text where that is one.
fn sentence(page: &str) -> String {
    let part = |open: &str, close: &str| {
        let (_, rest) = page.split_once(open)?;
        Some(rest.split(close).next()?.trim().to_owned())
    };
    let heading = part("<h1>", "</h1>").unwrap_or_default();
    let text = part("<p>", "</p>").unwrap_or_default();
    let text = match text.as_str() {
        "" | "no details" => heading,
        _ if heading.is_empty() || heading == "Error" => text,
        _ => format!("{heading}: {text}"),
    };
    let marks = [
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&quot;", "\""),
        ("&#39;", "'"),
        ("&amp;", "&"),
    ];
    marks
        .iter()
        .fold(text, |text, (from, to)| text.replace(from, to))
}

/// `allmydata.interfaces.SomeError: text`, the last of such lines.
fn last_exception(trace: &str) -> String {
    let lines = trace.lines().filter(|line| !line.starts_with([' ', '\t']));
    let mut lines = lines.map(|line| line.trim_start_matches("Failure: "));
    let last = lines.rfind(|line| line.contains("Error:"));
    // A space keeps the name of one without a text apart.
    format!("{} ", last.unwrap_or("the gateway failed").trim_end())
}

/// With every capability, and every key that may be a part of one, replaced.
fn masked(text: &str) -> String {
    let is_key = |c: char| c.is_ascii_lowercase() || ('2'..='7').contains(&c);
    let word = |word: &str| {
        let mut runs = word.split(|c| !is_key(c));
        match word.contains("URI:") || word.contains("URI%3A") || runs.any(|run| run.len() >= 26) {
            true => "***".to_owned(),
            false => word.to_owned(),
        }
    };
    let words: Vec<String> = text.split_whitespace().map(word).collect();
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(body: &str) -> (String, String, bool) {
        let told = parse(body.as_bytes(), str::to_owned);
        (told.code, told.message, told.html)
    }

    #[test]
    fn every_form_of_a_refusal_is_a_code_and_a_sentence() {
        let page = |title: &str, text: &str| {
            format!(
                "\n<html>\n  <head><title>404 - {title}</title></head>\n  <body>\n    <h1>{title}</h1>\n    <p>{text}</p>\n  </body>\n</html>\n"
            )
        };
        for (body, code, message) in [
            (page("Error", "No such child: a&amp;b"), "", "No such child: a&b"),
            (page("Files have no children named &#39;x&#39;", "no details"), "", "Files have no children named 'x'"),
            (page("No Such Resource", "Sorry."), "", "No Such Resource: Sorry."),
            (page("Error", "UnrecoverableFileError: the directory"), "UnrecoverableFileError", "the directory"),
            (r#"{"error": "UnrecoverableFileError: the directory"}"#.to_owned(), "UnrecoverableFileError", "the directory"),
            ("NoSharesError: no shares.\n\nThe full error".to_owned(), "NoSharesError", "no shares. The full error"),
            ("PUT to a directory".to_owned(), "", "PUT to a directory"),
            (
                "Traceback (most recent call last):\nFailure: allmydata.mutable.common.NotWriteableError: \n".to_owned(),
                "NotWriteableError",
                "",
            ),
            (
                "Traceback (most recent call last):\n  File \"x\", line 1, in y\n    raise Error(msg)\nallmydata.interfaces.UploadUnhappinessError: selection failed (of which 1 was full)\n".to_owned(),
                "UploadUnhappinessError",
                "selection failed (of which 1 was full)",
            ),
            ("Traceback (most recent call last):\n odd".to_owned(), "", "the gateway failed"),
        ] {
            assert_eq!(told(&body), (code.to_owned(), message.to_owned(), false), "{body}");
        }
        assert!(told("<!DOCTYPE html><html>log in").2);
        assert!(told("<html><body>log in").2);
    }

    #[test]
    fn no_capability_is_shown() {
        let key = "a2".repeat(13);
        for text in [
            format!("no child of URI:DIR2:{key}:b"),
            format!("see http://h/uri/URI%3ACHK%3A{key}."),
            format!("key={key}"),
        ] {
            let shown = told(&text).1;
            assert!(!shown.contains("a2a2") && shown.contains("***"), "{shown}");
        }
        assert_eq!(told("a word of twenty").1, "a word of twenty");
    }
}
