//! `WWW-Authenticate` taken apart (RFC 7235): any number of challenges in any number of headers.
//!
//! What is not understood is passed over, so that one odd challenge does not hide a good one.

/// Challenges of one reply that are kept.
const CHALLENGES_MAX: usize = 16;
/// Parameters of one challenge that are kept.
const PARAMETERS_MAX: usize = 32;

/// One way to log in that a server offers.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Challenge {
    /// As the server spells it.
    pub(crate) scheme: String,
    /// Names in lower case, values without quotes.
    pub(crate) parameters: Vec<(String, String)>,
}

impl Challenge {
    pub(crate) fn is(&self, scheme: &str) -> bool {
        self.scheme.eq_ignore_ascii_case(scheme)
    }

    /// A parameter's first value.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        let found = self.parameters.iter().find(|(n, _)| n == name);
        found.map(|(_, value)| value.as_str())
    }
}

/// All challenges of all header values, in order.
pub(crate) fn parse<'a>(values: impl IntoIterator<Item = &'a str>) -> Vec<Challenge> {
    let mut out = Vec::new();
    for value in values {
        parse_value(value, &mut out);
    }
    out
}

/// The parameters of a header like `Authentication-Info`.
pub(crate) fn parameters(value: &str) -> Vec<(String, String)> {
    let mut found = parse([format!("x {value}").as_str()]);
    found.pop().map(|c| c.parameters).unwrap_or_default()
}

fn parse_value(value: &str, out: &mut Vec<Challenge>) {
    let mut text = Text { rest: value };
    loop {
        text.skip(|c| c == ',' || c.is_ascii_whitespace());
        let word = text.token();
        if word.is_empty() {
            match text.rest.chars().next() {
                None => return,
                Some(odd) => {
                    text.rest = &text.rest[odd.len_utf8()..];
                    continue;
                }
            }
        }
        let before = text.rest;
        text.skip(|c| c.is_ascii_whitespace());
        let spaced = before.len() != text.rest.len();
        let is_parameter = text.rest.starts_with('=') && !text.rest.starts_with("==");
        if is_parameter {
            text.rest = &text.rest[1..];
            text.skip(|c| c.is_ascii_whitespace());
            let value = text.value();
            if let Some(last) = out
                .last_mut()
                .filter(|c| c.parameters.len() < PARAMETERS_MAX)
            {
                last.parameters.push((word.to_ascii_lowercase(), value));
            }
            continue;
        }
        if out.len() >= CHALLENGES_MAX {
            return;
        }
        out.push(Challenge {
            scheme: word.to_owned(),
            parameters: Vec::new(),
        });
        if spaced {
            text.token68();
        }
    }
}

struct Text<'a> {
    rest: &'a str,
}

impl<'a> Text<'a> {
    fn skip(&mut self, unwanted: impl Fn(char) -> bool) {
        self.rest = self.rest.trim_start_matches(unwanted);
    }

    fn until(&mut self, end: impl Fn(char) -> bool) -> &'a str {
        let at = self.rest.find(end).unwrap_or(self.rest.len());
        let (head, tail) = self.rest.split_at(at);
        self.rest = tail;
        head
    }

    fn token(&mut self) -> &'a str {
        self.until(|c| !(c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c)))
    }

    /// Passes over a `token68` (base64) after a scheme: it ends at a comma or at the end of the value.
    fn token68(&mut self) {
        let start = self.rest;
        let word = self.until(|c| c == ',' || c == '"' || c.is_ascii_whitespace());
        let is_pair = word.trim_end_matches('=').contains('=') || self.rest.starts_with('"');
        let tail = self.rest.trim_start();
        let alone = tail.is_empty() || tail.starts_with(',');
        if is_pair || !alone {
            self.rest = start;
        }
    }

    /// A quoted string or a bare word.
    fn value(&mut self) -> String {
        let Some(inner) = self.rest.strip_prefix('"') else {
            return self
                .until(|c| c == ',' || c.is_ascii_whitespace())
                .to_owned();
        };
        let mut out = String::new();
        let mut chars = inner.char_indices();
        while let Some((at, c)) = chars.next() {
            match c {
                '"' => {
                    self.rest = &inner[at + 1..];
                    return out;
                }
                '\\' => out.extend(chars.next().map(|(_, c)| c)),
                c => out.push(c),
            }
        }
        self.rest = "";
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(values: &[&str]) -> String {
        let found = parse(values.iter().copied());
        let one = |c: &Challenge| {
            let pairs: Vec<String> = c
                .parameters
                .iter()
                .map(|(n, v)| format!("{n}={v}"))
                .collect();
            format!("{}[{}]", c.scheme, pairs.join(";"))
        };
        found.iter().map(one).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn challenges_as_servers_send_them() {
        for (values, want) in [
            (&["Basic realm=\"a b\""][..], "Basic[realm=a b]"),
            (&["Basic"], "Basic[]"),
            (&["NTLM", "Negotiate"], "NTLM[] Negotiate[]"),
            (&["Negotiate YIIB+/w==, NTLM"], "Negotiate[] NTLM[]"),
            (&["Negotiate, Basic realm=x"], "Negotiate[] Basic[realm=x]"),
            (
                &[
                    "Digest realm=\"r\", nonce=\"a,b\\\"c==\", qop=\"auth,auth-int\", stale=true, Basic realm=\"x, y=z\"",
                ],
                "Digest[realm=r;nonce=a,b\"c==;qop=auth,auth-int;stale=true] Basic[realm=x, y=z]",
            ),
            (
                &[
                    "Newauth realm=\"apps\", type=1, title=\"Login to \\\"apps\\\"\", Basic realm=\"simple\"",
                ],
                "Newauth[realm=apps;type=1;title=Login to \"apps\"] Basic[realm=simple]",
            ),
            (
                &["Digest realm = \"r\" , ALGORITHM = MD5"],
                "Digest[realm=r;algorithm=MD5]",
            ),
            (&["Digest realm=\"open"], "Digest[realm=open]"),
            (&[", ,", ""], ""),
            (&["\"odd\" Basic realm=x"], "odd[] Basic[realm=x]"),
        ] {
            assert_eq!(shown(values), want, "{values:?}");
        }
        assert_eq!(
            parameters("nextnonce=\"n\", nc=00000001"),
            [
                ("nextnonce".to_owned(), "n".to_owned()),
                ("nc".to_owned(), "00000001".to_owned())
            ]
        );
    }

    #[test]
    fn any_text_ends_and_every_cut_is_harmless() {
        let whole = "Digest realm=\"r\u{e9}\", nonce=\"a\\\"b\", Basic realm=x, Negotiate YII==";
        for (cut, _) in whole.char_indices() {
            shown(&[&whole[..cut]]);
        }
        let pool = [
            "Basic", "Digest", " ", ",", "=", "\"", "\\", "realm", "x", "==", "\u{e9}", ";",
        ];
        let mut seed = 5u64;
        for _ in 0..5000 {
            let mut text = String::new();
            for _ in 0..12 {
                seed = seed
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1_442_695_040_888_963_407);
                text.push_str(pool[usize::try_from(seed >> 33).unwrap_or(0) % pool.len()]);
            }
            assert!(parse([text.as_str()]).len() <= CHALLENGES_MAX, "{text}");
        }
    }
}
