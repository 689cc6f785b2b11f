//! Cookies that a redirect gave, to be brought back to the origin that gave them: some servers let nobody in who does not. Kept
//! for the run, few and small, and never shown.

use crate::net::redirect::same_origin;

const COOKIES_MAX: usize = 16;
/// Longest name with value.
const COOKIE_MAX_BYTES: usize = 4096;

/// Name and value with the URL that gave them.
struct Cookie {
    from: String,
    name: String,
    value: String,
}

/// The cookies of a run.
#[derive(Default)]
pub(super) struct Cookies(Vec<Cookie>);

impl Cookies {
    /// Takes up the `Set-Cookie` values in the reply of `url`. One that has run out is forgotten.
    pub(super) fn keep(&mut self, url: &str, values: &[String]) {
        for value in values {
            let mut parts = value.split(';').map(str::trim);
            let Some((name, value)) = parts.next().and_then(|pair| pair.split_once('=')) else {
                continue;
            };
            let (name, value) = (name.trim(), value.trim());
            let plain = |text: &str| text.bytes().all(|b| b.is_ascii_graphic() || b == b' ');
            if name.is_empty()
                || name.len() + value.len() > COOKIE_MAX_BYTES
                || !plain(name)
                || !plain(value)
            {
                continue;
            }
            self.0
                .retain(|c| !(c.name == name && same_origin(&c.from, url)));
            let over = parts.any(|attribute| {
                let (key, value) = attribute.split_once('=').unwrap_or((attribute, ""));
                key.trim().eq_ignore_ascii_case("max-age")
                    && value.trim().parse::<i64>().is_ok_and(|age| age <= 0)
            });
            if !over && self.0.len() < COOKIES_MAX {
                self.0.push(Cookie {
                    from: url.to_owned(),
                    name: name.to_owned(),
                    value: value.to_owned(),
                });
            }
        }
    }

    /// The value of `Cookie` for a request to `url`.
    pub(super) fn of(&self, url: &str) -> Option<String> {
        let own = self.0.iter().filter(|c| same_origin(&c.from, url));
        let pairs: Vec<String> = own.map(|c| format!("{}={}", c.name, c.value)).collect();
        (!pairs.is_empty()).then(|| pairs.join("; "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cookies_go_back_to_their_origin_only() {
        let mut cookies = Cookies::default();
        let values = [
            "a=1; Path=/x; HttpOnly",
            "b = two ; Secure",
            "=x",
            "nonsense",
            "c=\u{1}",
        ];
        cookies.keep("http://h/x", &values.map(str::to_owned));
        assert_eq!(cookies.of("http://h:80/y").as_deref(), Some("a=1; b=two"));
        for other in ["https://h/x", "http://h:81/x", "http://i/x"] {
            assert_eq!(cookies.of(other), None, "{other}");
        }
        cookies.keep("http://h/", &["a=2".to_owned(), "b=; Max-Age=0".to_owned()]);
        assert_eq!(cookies.of("http://h/").as_deref(), Some("a=2"));
    }

    #[test]
    fn few_and_small() {
        let mut cookies = Cookies::default();
        cookies.keep("http://h/", &[format!("a={}", "x".repeat(5000))]);
        assert_eq!(cookies.of("http://h/"), None);
        let many: Vec<String> = (0..100).map(|i| format!("n{i}=v")).collect();
        cookies.keep("http://h/", &many);
        assert_eq!(cookies.0.len(), COOKIES_MAX);
    }
}
