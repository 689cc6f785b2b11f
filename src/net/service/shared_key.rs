//! Azure's SharedKey signature (`destinations-more.md` 2.4): from a request to its `Authorization` value, and the log-in by it.

use ring::hmac;

use crate::base::bytes::{base64, base64_decode};
use crate::base::fault::Done;
use crate::base::secret::{Secret, wipe};
use crate::base::time::Civil;
use crate::net::http::{Http, Request};
use crate::net::redirect::split;
use crate::net::service::Refusal;
use crate::net::service::call::{Login, Signed};
use crate::net::service::clock::Clock;
use crate::net::url::decode_percent;

/// Headers whose values are signed without their names, in this order; the length of the body stands after the second.
const PLAIN: [&str; 10] = [
    "content-encoding",
    "content-language",
    "content-md5",
    "content-type",
    "date",
    "if-modified-since",
    "if-match",
    "if-none-match",
    "if-unmodified-since",
    "range",
];

/// A clock that is further off is refused by the service.
const SKEW_SECONDS: u64 = 15 * 60;

/// An account with its key.
pub(crate) struct SharedKey {
    account: String,
    key: hmac::Key,
}

impl SharedKey {
    /// `key` in base64, as the service shows it; `None` when it is none.
    pub(crate) fn new(account: &str, key: &str) -> Option<SharedKey> {
        let mut bytes = base64_decode(key.trim().as_bytes()).filter(|k| !k.is_empty())?;
        let key = hmac::Key::new(hmac::HMAC_SHA256, &bytes);
        wipe(&mut bytes);
        let account = account.to_owned();
        Some(SharedKey { account, key })
    }

    /// The value of `Authorization` of a request with a body of `len` bytes. URL and headers are exactly what goes on the wire,
    /// names of headers in lower case; `x-ms-date` is among them.
    pub(crate) fn authorization(
        &self,
        method: &str,
        url: &str,
        headers: &[(&str, &str)],
        len: u64,
    ) -> String {
        let text = text(&self.account, method, url, headers, len);
        let signature = hmac::sign(&self.key, text.as_bytes());
        format!("SharedKey {}:{}", self.account, base64(signature.as_ref()))
    }
}

/// The log-in with a key: every request is signed, by the server's clock where ours is wrong.
pub(crate) struct Signer {
    key: SharedKey,
    /// The value of `x-ms-version`.
    version: &'static str,
    clock: Clock,
}

impl Signer {
    pub(crate) fn new(key: SharedKey, version: &'static str) -> Signer {
        Signer {
            key,
            version,
            clock: Clock::default(),
        }
    }
}

impl Login for Signer {
    fn sign(&mut self, _: &mut Http, request: &Request<'_>, len: u64) -> Done<Signed> {
        let date = http_date(self.clock.now());
        let own = [("x-ms-date", date.as_str()), ("x-ms-version", self.version)];
        let headers = [request.headers, &own].concat();
        let (method, url) = (request.method, request.url);
        let signed = self.key.authorization(method, url, &headers, len);
        let all = [("authorization", signed.as_str())].into_iter().chain(own);
        Ok(all.map(|(n, v)| (n, Secret::new(v.to_owned()))).collect())
    }

    fn notices(&mut self) -> Vec<String> {
        self.clock.notice().into_iter().collect()
    }

    /// Once, when the server's clock shows something else than ours.
    fn renew(&mut self, refusal: &Refusal) -> bool {
        refusal.status == 403 && self.clock.learn(refusal.date, SKEW_SECONDS)
    }
}

/// What is signed.
fn text(account: &str, method: &str, url: &str, headers: &[(&str, &str)], len: u64) -> String {
    let mut out = method.to_owned();
    for name in PLAIN {
        if name == "content-md5" {
            out.push('\n');
            if len > 0 {
                out.push_str(&len.to_string());
            }
        }
        let value = headers.iter().find(|(n, _)| *n == name);
        out.push('\n');
        out.push_str(value.map_or("", |(_, v)| v));
    }
    out.push('\n');
    let mut own: Vec<_> = headers
        .iter()
        .filter(|(name, _)| name.starts_with("x-ms-"))
        .collect();
    own.sort_unstable();
    for (name, value) in own {
        out.push_str(&format!("{name}:{}\n", value.trim()));
    }
    let (_, path, query) = split(url);
    out.push_str(&format!("/{account}{path}"));
    let mut pairs: Vec<(String, String)> = query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(n, v)| (decode_percent(n).to_lowercase(), decode_percent(v)))
        .collect();
    pairs.sort();
    let mut last = "";
    for (name, value) in &pairs {
        match name == last {
            true => out.push_str(&format!(",{value}")),
            false => out.push_str(&format!("\n{name}:{value}")),
        }
        last = name;
    }
    out
}

/// A time, seconds since 1970, as HTTP writes it: `Sun, 06 Nov 1994 08:49:37 GMT`.
fn http_date(seconds: i64) -> String {
    const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let day = usize::try_from(seconds.div_euclid(86_400).rem_euclid(7)).unwrap_or(0);
    let c = Civil::from_unix(seconds);
    let month = MONTHS
        .get(c.month.saturating_sub(1) as usize)
        .unwrap_or(&"");
    format!(
        "{}, {:02} {month} {:04} {:02}:{:02}:{:02} GMT",
        DAYS[day], c.day, c.year, c.hour, c.minute, c.second
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str =
        "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";
    const HOST: &str = "https://account.blob.core.windows.net";
    const EMULATOR: &str = "http://127.0.0.1:10000/devstoreaccount1";
    const MD5: (&str, &str) = ("content-md5", "1B2M2Y8AsgTpgAmY7PhCfg==");

    /// Made with the signer of Microsoft's client for Python (azure-storage-blob 12.31.1): account, method, URL, further
    /// headers, length of the body, signature.
    type Vector<'a> = (
        &'a str,
        &'a str,
        String,
        &'a [(&'a str, &'a str)],
        u64,
        &'a str,
    );

    #[test]
    fn another_clients_signatures() {
        let listing = "/bkt?restype=container&comp=list&delimiter=%2F&maxresults=5000&prefix=p%20%C3%A4%2Bx%2F&marker=2%21a%20b%2B";
        let odd = "/bkt/a%20b%2Bc%2541%20%C3%A9%26%3D~%27%281%29%21.zip";
        let vectors: [Vector<'_>; 5] = [
            (
                "account",
                "GET",
                format!("{HOST}{listing}"),
                &[],
                0,
                "DAfo00tLAytIl1NX+47aATJ9GwAeJEXYC01ntW3TnYw=",
            ),
            (
                "account",
                "PUT",
                format!("{HOST}{odd}"),
                &[
                    MD5,
                    ("content-type", "application/octet-stream"),
                    ("x-ms-blob-type", "BlockBlob"),
                    ("if-none-match", "*"),
                    ("x-ms-access-tier", "Cool"),
                ],
                1_234_567,
                "4wG9p40aoem/tLiayS2qjr3lWdodu6PifSKvFzx0t6Y=",
            ),
            (
                "devstoreaccount1",
                "GET",
                format!("{EMULATOR}/bkt/p%20%C3%A4/duplicati-b1.dblock.zip"),
                &[("range", "bytes=700-")],
                0,
                "1gYdrlQxKLxxLBADDwJiGrq0KuWeJA4h5ZRa+qdf3AA=",
            ),
            (
                "devstoreaccount1",
                "PUT",
                format!("{EMULATOR}/bkt/x?comp=block&blockid=MDAwMDAwMDAtMDAwMDAxLQ%3D%3D"),
                &[MD5],
                4_194_304,
                "KK3dAsRtPbOJvTTfl4TeSbSacDBowumVocMO6Rk2W80=",
            ),
            (
                "account",
                "DELETE",
                format!("{HOST}/bkt/x"),
                &[("x-ms-delete-snapshots", "include")],
                0,
                "TrudYJ4hKJOhM/b9rDNghUnVHa5wjrr62axuu/Zt5K8=",
            ),
        ];
        for (account, method, url, more, len, want) in vectors {
            let mut headers = vec![
                ("x-ms-version", "2021-12-02"),
                ("x-ms-date", "Sun, 06 Nov 1994 08:49:37 GMT"),
            ];
            headers.extend(more);
            let key = SharedKey::new(account, KEY).expect("a key");
            let got = key.authorization(method, &url, &headers, len);
            assert_eq!(got, format!("SharedKey {account}:{want}"), "{method} {url}");
        }
    }

    /// Several values of one name stand together; names are in lower case; white space around values is none of them.
    #[test]
    fn what_is_signed() {
        let headers = [("x-ms-b", " v "), ("x-ms-a", "1"), ("other", "no")];
        let url = "https://h/c?B=2&a=%2B&b=1&empty";
        let got = text("acc", "GET", url, &headers, 0);
        let want = "GET\n\n\n\n\n\n\n\n\n\n\n\nx-ms-a:1\nx-ms-b:v\n/acc/c\na:+\nb:1,2\nempty:";
        assert_eq!(got, want);
        assert!(SharedKey::new("a", "not base64").is_none());
        assert!(SharedKey::new("a", " ").is_none());
        assert!(SharedKey::new("a", " a2V5\n").is_some());
    }

    #[test]
    fn dates_are_read_as_they_are_written() {
        for (seconds, want) in [
            (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
            (784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT"),
            (1_709_210_096, "Thu, 29 Feb 2024 12:34:56 GMT"),
            (4_102_444_799, "Thu, 31 Dec 2099 23:59:59 GMT"),
        ] {
            assert_eq!(http_date(seconds), want);
            assert_eq!(crate::net::http::parse_date(want), Some(seconds));
        }
    }
}
