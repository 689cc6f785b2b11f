//! Every secret of the destination in every spelling it may come back in, and the masking of them in text.

use crate::base::bytes::base64;
use crate::base::secret::Secret;
use crate::net::url::{capability_at, encode};

/// Shorter secrets are not looked for: they would mask ordinary text.
const SHORTEST: usize = 4;

/// Known secrets. Holds no public text.
#[derive(Default)]
pub(crate) struct Redact {
    known: Vec<Secret>,
    /// See [`Redact::hide_capabilities`].
    capabilities: bool,
}

impl Redact {
    /// Registers a secret plain, percent-encoded and in base64; with a user also as HTTP Basic sends both.
    pub(crate) fn add(&mut self, secret: &str, user: Option<&str>) {
        if secret.trim().len() < SHORTEST {
            return;
        }
        let mut push = |text: String| {
            if !self.known.iter().any(|s| s.reveal() == text) {
                self.known.push(Secret::new(text));
            }
        };
        push(secret.to_owned());
        push(encode(secret));
        push(encode(secret).replace("%20", "+"));
        push(base64(secret.as_bytes()));
        if let Some(user) = user {
            push(base64(format!("{user}:{secret}").as_bytes()));
        }
        self.known
            .sort_by_key(|s| std::cmp::Reverse(s.reveal().len()));
    }

    /// From now on whatever looks like a path that is a secret is replaced, too, also the beginning of one that was cut.
    pub(crate) fn hide_capabilities(&mut self) {
        self.capabilities = true;
    }

    /// The text with every known secret replaced by `***`.
    pub(crate) fn clean(&self, text: String) -> String {
        let mut text = text;
        for secret in &self.known {
            if text.contains(secret.reveal()) {
                text = text.replace(secret.reveal(), "***");
            }
        }
        if self.capabilities {
            text = without_capabilities(&text);
        }
        text
    }
}

/// With every word from where a capability begins in it replaced.
fn without_capabilities(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for word in text.split_inclusive(char::is_whitespace) {
        match capability_at(word) {
            Some(at) => {
                out.push_str(&word[..at]);
                out.push_str("***");
                out.extend(word.chars().next_back().filter(|c| c.is_whitespace()));
            }
            None => out.push_str(word),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_is_masked() {
        let mut r = Redact::default();
        r.add("se/cr et+", Some("user"));
        r.add("abc", None);
        for text in [
            "x se/cr et+ y",
            "x se%2Fcr%20et%2B y",
            "x se%2Fcr+et%2B y",
            &format!("x {} y", base64(b"se/cr et+")),
            &format!("x {} y", base64(b"user:se/cr et+")),
        ] {
            assert_eq!(r.clean(text.to_owned()), "x *** y");
        }
        assert_eq!(r.clean("abc user".to_owned()), "abc user");
    }

    #[test]
    fn what_is_left_of_a_capability_is_masked() {
        let mut r = Redact::default();
        r.hide_capabilities();
        for (text, want) in [
            ("at URI:DIR2:abc:de... (x)", "at *** (x)"),
            ("/uri/URI%3ADIR2%3Aab\u{e9}", "/uri/***"),
            ("to http://h/uri/URI%3aCHK, URI:", "to http://h/uri/*** ***"),
            ("tahoe://h/***: not found", "tahoe://h/***: not found"),
            ("uri none", "uri none"),
        ] {
            assert_eq!(r.clean(text.to_owned()), want);
        }
    }
}
