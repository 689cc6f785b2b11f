//! Every secret of the destination in every spelling it may come back in, and the masking of them in text.

use crate::base::bytes::base64;
use crate::base::secret::Secret;
use crate::net::url::encode;

/// Shorter secrets are not looked for: they would mask ordinary text.
const SHORTEST: usize = 4;

/// Known secrets. Holds no public text.
#[derive(Default)]
pub(crate) struct Redact(Vec<Secret>);

impl Redact {
    /// Registers a secret plain, percent-encoded and in base64; with a user also as HTTP Basic sends both.
    pub(crate) fn add(&mut self, secret: &str, user: Option<&str>) {
        if secret.trim().len() < SHORTEST {
            return;
        }
        let mut push = |text: String| {
            if !self.0.iter().any(|s| s.reveal() == text) {
                self.0.push(Secret::new(text));
            }
        };
        push(secret.to_owned());
        push(encode(secret));
        push(encode(secret).replace("%20", "+"));
        push(base64(secret.as_bytes()));
        if let Some(user) = user {
            push(base64(format!("{user}:{secret}").as_bytes()));
        }
        self.0.sort_by_key(|s| std::cmp::Reverse(s.reveal().len()));
    }

    /// The text with every known secret replaced by `***`.
    pub(crate) fn clean(&self, text: String) -> String {
        let mut text = text;
        for secret in &self.0 {
            if text.contains(secret.reveal()) {
                text = text.replace(secret.reveal(), "***");
            }
        }
        text
    }
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
}
