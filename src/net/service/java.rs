//! Refusals that are exceptions of Java, whose text begins with the name: in XML or in JSON, as the part of the service has it.

use crate::net::service::{Form, Refusal};

/// `word` makes a code fit for messages. `no.jotta.backup.errors.NoSuchPathException: text`, as `message` of an element `error`, or of an object with `error_id`.
pub(super) fn parse(body: &[u8], word: fn(&str) -> String) -> Refusal {
    let is_xml = body.first() == Some(&b'<');
    let form = match is_xml {
        true => Form::Xml("error"),
        false => Form::Json("error_id", "message"),
    };
    let mut out = Refusal::parse(body, form);
    if is_xml && out.root == "error" {
        out.field("message").to_owned().clone_into(&mut out.message);
        (out.is_plain, out.html) = (false, false);
    }
    if let Some((name, text)) = out.message.split_once("Exception: ") {
        let name = name.rsplit('.').next().unwrap_or_default();
        let (code, text) = (word(&format!("{name}Exception")), text.to_owned());
        (out.code, out.message) = (code, text);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exceptions_in_both_forms_and_what_is_none() {
        let xml = "<?xml version=\"1.0\"?>\n<error><code>404</code><message>no.x.NoSuchPathException: a: b</message></error>";
        let json = r#"{"code":404,"message":"no.x.NoSuchPathException: a: b","error_id":"Other"}"#;
        for body in [xml, json] {
            let told = parse(body.as_bytes(), str::to_owned);
            assert_eq!(
                (told.code.as_str(), told.message.as_str()),
                ("NoSuchPathException", "a: b")
            );
            assert!(!told.html && !told.is_plain);
        }
        assert!(parse(b"<html><body>error</body></html>", str::to_owned).html);
        let told = parse(br#"{"message":"plain","error_id":"Code"}"#, str::to_owned);
        assert_eq!(
            (told.code.as_str(), told.message.as_str()),
            ("Code", "plain")
        );
        assert!(parse(b"busy", str::to_owned).is_plain);
    }
}
