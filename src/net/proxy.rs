//! Which proxy a request goes through, by the rules of curl: an option or the environment, by scheme, and the hosts that are
//! asked directly. Decides only; connects nowhere.

use std::net::IpAddr;

use crate::base::bytes::base64;
use crate::base::error::{Error, Result};
use crate::base::opt::Options;
use crate::base::secret::Secret;
use crate::base::text;
use crate::net::opts;
use crate::net::redirect::host_and_port;
use crate::net::url::decode_percent;

/// Port of a proxy whose URL names none, as in curl.
const PORT: u16 = 1080;
const PORT_TLS: u16 = 443;
/// Longest list of hosts to be asked directly, in entries.
const EXCEPTIONS_MAX: usize = 1024;

/// Looks up an environment variable.
type Env<'a> = dyn Fn(&str) -> Option<String> + 'a;

/// One proxy.
pub(crate) struct Proxy {
    /// It is spoken to over TLS.
    pub(crate) tls: bool,
    /// With brackets if it is an IPv6 address.
    pub(crate) host: String,
    pub(crate) port: u16,
    /// The value of `Proxy-Authorization`.
    pub(crate) login: Option<Secret>,
}

impl Proxy {
    /// `host:port`, for messages.
    pub(crate) fn shown(&self) -> String {
        text::safe_cut(format!("{}:{}", self.host, self.port).as_bytes(), 100)
    }

    fn parse(url: &str) -> std::result::Result<Proxy, &'static str> {
        let url = url.trim();
        let (scheme, rest) = url.split_once("://").unwrap_or(("http", url));
        let tls = match scheme.to_ascii_lowercase().as_str() {
            "http" => false,
            "https" => true,
            _ => return Err("only http:// and https:// proxies are supported"),
        };
        let rest = &rest[..rest.find(['/', '?', '#']).unwrap_or(rest.len())];
        let (login, authority) = match rest.rsplit_once('@') {
            Some((login, authority)) => (Some(login), authority),
            None => (None, rest),
        };
        let (host, port) = host_and_port(authority);
        let port = match port {
            "" if tls => PORT_TLS,
            "" => PORT,
            port => port
                .parse()
                .ok()
                .filter(|&port| port > 0)
                .ok_or("its port is no number from 1 to 65535")?,
        };
        if !good_host(host) {
            return Err("it names no host");
        }
        let login = login.map(|login| {
            let (user, password) = login.split_once(':').unwrap_or((login, ""));
            let pair = format!("{}:{}", decode_percent(user), decode_percent(password));
            Secret::new(format!("Basic {}", base64(pair.as_bytes())))
        });
        Ok(Proxy {
            tls,
            host: host.to_ascii_lowercase(),
            port,
            login,
        })
    }
}

fn good_host(host: &str) -> bool {
    match host.strip_prefix('[') {
        Some(rest) => rest
            .strip_suffix(']')
            .is_some_and(|ip| ip.parse::<std::net::Ipv6Addr>().is_ok()),
        None => is_name(host),
    }
}

fn is_name(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_'))
}

/// What was found for one scheme: the proxy, or why what was given cannot be used.
type Found = Option<std::result::Result<Proxy, String>>;

/// The proxies of a run.
pub(crate) struct Proxies {
    http: Found,
    https: Found,
    direct: std::result::Result<Vec<Exception>, String>,
}

impl Proxies {
    /// The option, else the environment: `http_proxy` (and `HTTP_PROXY`, unless this runs as a CGI program, where a stranger
    /// sets it), `https_proxy`, `all_proxy`, in lower case first, and for both `no_proxy`. Empty variables do not count.
    /// An option that cannot be used is an error here, a variable when a request needs it.
    pub(crate) fn new(options: &Options) -> Result<Proxies> {
        Proxies::from(options.text(&opts::HTTP_PROXY), &|name| {
            std::env::var(name).ok()
        })
    }

    fn from(option: Option<&str>, env: &Env<'_>) -> Result<Proxies> {
        let get = |name: &str| env(name).filter(|v| !v.trim().is_empty());
        let direct = match get("no_proxy").or_else(|| get("NO_PROXY")) {
            Some(list) => exceptions(&list),
            None => Ok(Vec::new()),
        };
        let all = |given: Option<&str>| match given {
            Some(url) => Proxy::parse(url).map(Some),
            None => Ok(None),
        };
        if let Some(word) = option {
            let given = (!word.trim().eq_ignore_ascii_case("none")).then_some(word);
            let one = || {
                all(given).map_err(|why| {
                    Error::usage(format!("--http-proxy is not a proxy's URL: {why}"))
                        .hint("--http-proxy=none connects directly")
                })
            };
            return Ok(Proxies {
                http: one()?.map(Ok),
                https: one()?.map(Ok),
                direct,
            });
        }
        let find = |names: &[&str]| -> Found {
            let (name, url) = names.iter().find_map(|name| Some((*name, get(name)?)))?;
            Some(Proxy::parse(&url).map_err(|why| {
                format!("{name} is not a proxy's URL: {why}; --http-proxy=none connects directly")
            }))
        };
        let cgi = get("REQUEST_METHOD").is_some();
        let http: &[&str] = match cgi {
            true => &["http_proxy", "all_proxy", "ALL_PROXY"],
            false => &["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"],
        };
        Ok(Proxies {
            http: find(http),
            https: find(&["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"]),
            direct,
        })
    }

    /// The proxy for a request to this host (brackets or not) and port; `None` = directly. The error is for people: what was
    /// given cannot be used.
    pub(crate) fn of(
        &self,
        tls: bool,
        host: &str,
        port: u16,
    ) -> std::result::Result<Option<&Proxy>, String> {
        let found = if tls { &self.https } else { &self.http };
        let Some(found) = found else {
            return Ok(None);
        };
        let proxy = found.as_ref().map_err(String::clone)?;
        let direct = self.direct.as_ref().map_err(String::clone)?;
        let target = Target::of(host);
        let except = direct.iter().any(|e| e.holds(&target, port));
        Ok((!except).then_some(proxy))
    }
}

/// The host of a request as exceptions are compared with.
enum Target {
    Address(IpAddr),
    /// Lower case, no dot at its end.
    Name(String),
}

impl Target {
    fn of(host: &str) -> Target {
        let bare = host
            .strip_prefix('[')
            .and_then(|h| h.strip_suffix(']'))
            .unwrap_or(host);
        match bare.parse::<IpAddr>() {
            Ok(ip) => Target::Address(ip.to_canonical()),
            Err(_) => Target::Name(bare.trim_end_matches('.').to_ascii_lowercase()),
        }
    }
}

/// Hosts that are asked directly.
#[derive(Debug)]
struct Exception {
    what: What,
    /// Any if `None`.
    port: Option<u16>,
}

#[derive(Debug)]
enum What {
    Everything,
    /// Names without a dot.
    Local,
    /// The name and all below it.
    Name(String),
    /// Addresses that begin with so many bits.
    Range(IpAddr, u32),
    /// IPv4 addresses whose text begins so.
    Begins(String),
}

impl Exception {
    fn holds(&self, target: &Target, port: u16) -> bool {
        if self.port.is_some_and(|own| own != port) {
            return false;
        }
        match (&self.what, target) {
            (What::Everything, _) => true,
            (What::Local, Target::Name(name)) => !name.contains('.'),
            (What::Name(own), Target::Name(name)) => name
                .strip_suffix(own.as_str())
                .is_some_and(|rest| rest.is_empty() || rest.ends_with('.')),
            (What::Range(net, bits), Target::Address(ip)) => in_range(*ip, *net, *bits),
            (What::Begins(head), Target::Address(ip @ IpAddr::V4(_))) => {
                ip.to_string().starts_with(head.as_str())
            }
            _ => false,
        }
    }

    fn parse(word: &str) -> Option<Exception> {
        let any = |what| Some(Exception { what, port: None });
        if word == "*" {
            return any(What::Everything);
        }
        if word.eq_ignore_ascii_case("<local>") {
            return any(What::Local);
        }
        let (host, bits) = match word.split_once('/') {
            Some((host, bits)) => (host, Some(bits.parse::<u32>().ok()?)),
            None => (word, None),
        };
        // More than one colon without brackets is an IPv6 address.
        let (host, port) = match host.starts_with('[') || host.matches(':').count() == 1 {
            true => host_and_port(host),
            false => (host, ""),
        };
        let port = match port {
            "" => None,
            port => Some(port.parse().ok().filter(|&port| port > 0)?),
        };
        let bare = host
            .strip_prefix('[')
            .and_then(|h| h.strip_suffix(']'))
            .unwrap_or(host);
        if let Ok(ip) = bare.parse::<IpAddr>() {
            let most = if ip.is_ipv4() { 32 } else { 128 };
            let bits = bits.unwrap_or(most);
            if bits > most {
                return None;
            }
            let what = match ip.to_canonical() {
                v4 if ip.is_ipv6() && v4.is_ipv4() && bits >= 96 => What::Range(v4, bits - 96),
                _ => What::Range(ip, bits),
            };
            return Some(Exception { what, port });
        }
        if bits.is_some() {
            return None;
        }
        if let Some(head) = host.strip_suffix('*') {
            let good = head.ends_with('.')
                && head.bytes().all(|b| b.is_ascii_digit() || b == b'.')
                && !head.starts_with('.');
            return good.then(|| Exception {
                what: What::Begins(head.to_owned()),
                port,
            });
        }
        let name = host.strip_prefix("*.").unwrap_or(host);
        let name = name.trim_matches('.').to_ascii_lowercase();
        is_name(&name).then_some(Exception {
            what: What::Name(name),
            port,
        })
    }
}

fn in_range(ip: IpAddr, net: IpAddr, bits: u32) -> bool {
    let all = |ip: IpAddr| match ip {
        IpAddr::V4(ip) => u128::from(u32::from(ip)) << 96,
        IpAddr::V6(ip) => u128::from(ip),
    };
    let mask = u128::MAX.checked_shl(128 - bits.min(128)).unwrap_or(0);
    ip.is_ipv4() == net.is_ipv4() && all(ip) & mask == all(net) & mask
}

/// The entries of a `no_proxy`, separated by commas or blanks.
fn exceptions(list: &str) -> std::result::Result<Vec<Exception>, String> {
    let words = list
        .split([',', ' ', '\t', '\n'])
        .filter(|word| !word.is_empty());
    let mut out = Vec::new();
    for word in words {
        if out.len() >= EXCEPTIONS_MAX {
            return Err(format!("no_proxy has more than {EXCEPTIONS_MAX} entries"));
        }
        out.push(Exception::parse(word).ok_or_else(|| {
            format!(
                "no_proxy has an entry that is not a host, a domain, an address or a range: {}",
                text::safe_cut(word.as_bytes(), 60)
            )
        })?);
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn way(option: Option<&str>, env: &[(&str, &str)], tls: bool, host: &str, port: u16) -> String {
        let look = |name: &str| {
            let found = env.iter().find(|(n, _)| *n == name);
            found.map(|(_, v)| (*v).to_owned())
        };
        let proxies = match Proxies::from(option, &look) {
            Ok(proxies) => proxies,
            Err(e) => return format!("error: {e}"),
        };
        match proxies.of(tls, host, port) {
            Ok(Some(p)) => {
                let login = p.login.as_ref().map_or("", |l| l.reveal());
                let scheme = if p.tls { "https" } else { "http" };
                format!("{scheme}://{}:{} {login}", p.host, p.port)
                    .trim_end()
                    .to_owned()
            }
            Ok(None) => "direct".to_owned(),
            Err(why) => format!("refused: {why}"),
        }
    }

    #[test]
    fn each_scheme_has_its_variable() {
        let (http, https, all) = (
            ("http_proxy", "a:1"),
            ("https_proxy", "b:2"),
            ("all_proxy", "c:3"),
        );
        let upper = [
            ("HTTP_PROXY", "d:4"),
            ("HTTPS_PROXY", "e:5"),
            ("ALL_PROXY", "f:6"),
        ];
        for (env, plain, tls) in [
            (&[][..], "direct", "direct"),
            (&[http], "http://a:1", "direct"),
            (&[https], "direct", "http://b:2"),
            (&[http, https], "http://a:1", "http://b:2"),
            (&[all], "http://c:3", "http://c:3"),
            (&[all, https], "http://c:3", "http://b:2"),
            (&upper, "http://d:4", "http://e:5"),
            (&upper[2..], "http://f:6", "http://f:6"),
            (&[http, upper[0]], "http://a:1", "direct"),
            (&[upper[1], https], "direct", "http://b:2"),
            (
                &[("http_proxy", ""), ("HTTP_PROXY", "d:4")],
                "http://d:4",
                "direct",
            ),
            (&[("https_proxy", " "), all], "http://c:3", "http://c:3"),
            (&[upper[0], ("REQUEST_METHOD", "GET")], "direct", "direct"),
            (&[http, ("REQUEST_METHOD", "GET")], "http://a:1", "direct"),
        ] {
            assert_eq!(way(None, env, false, "h", 80), plain, "{env:?}");
            assert_eq!(way(None, env, true, "h", 443), tls, "{env:?}");
        }
        let env = [http, https];
        for tls in [false, true] {
            assert_eq!(way(Some("o:9"), &env, tls, "h", 1), "http://o:9");
            assert_eq!(way(Some(" None "), &env, tls, "h", 1), "direct");
        }
    }

    #[test]
    fn urls_of_proxies() {
        for (url, want) in [
            ("http://p:8080", "http://p:8080"),
            ("http://p:8080/", "http://p:8080"),
            ("HTTP://P.Example", "http://p.example:1080"),
            ("https://p", "https://p:443"),
            ("p", "http://p:1080"),
            ("p:", "http://p:1080"),
            ("10.0.0.1:3128/x?y#z", "http://10.0.0.1:3128"),
            ("[::1]:3128", "http://[::1]:3128"),
            ("http://u:p@p:1", "http://p:1 Basic dTpw"),
            ("http://u@p:1", "http://p:1 Basic dTo="),
            ("u%40d:p%3A%2f@p:1", "http://p:1 Basic dUBkOnA6Lw=="),
            ("http://u:a@b@p:1", "http://p:1 Basic dTphQGI="),
            (" http://p:1 ", "http://p:1"),
        ] {
            assert_eq!(way(None, &[("http_proxy", url)], false, "h", 80), want);
            assert_eq!(way(Some(url), &[], false, "h", 80), want);
        }
        for url in [
            "socks5://p:1",
            "socks5h://u:s3cret@p",
            "ftp://p",
            "http://",
            "http://:8080",
            "http://p:0",
            "http://p:99999",
            "http://p:x",
            "http://[::1",
            "http://[x]:1",
            "http://p q:1",
            "http://u:s3cret@",
            "//p:1",
        ] {
            let got = way(None, &[("http_proxy", url)], false, "h", 80);
            assert!(
                got.starts_with("refused: http_proxy is not")
                    && got.ends_with("--http-proxy=none connects directly"),
                "{url}: {got}"
            );
            assert!(!got.contains("s3cret"), "{got}");
            let got = way(Some(url), &[], false, "h", 80);
            assert!(
                got.starts_with("error: --http-proxy is not"),
                "{url}: {got}"
            );
            let got = way(None, &[("http_proxy", url)], true, "h", 443);
            assert_eq!(got, "direct", "of no concern: {url}");
        }
        assert!(way(Some(""), &[], false, "h", 80).starts_with("error"));
    }

    #[test]
    fn hosts_that_are_asked_directly() {
        for (list, host, port, direct) in [
            ("*", "h", 80, true),
            ("a, *", "h", 80, true),
            ("h", "h", 80, true),
            ("H.", "h", 80, true),
            ("h", "H.", 80, true),
            ("h", "x.h", 80, true),
            ("h", "xh", 80, false),
            (".h", "h", 80, true),
            (".h", "x.h", 80, true),
            (".h", "xh", 80, false),
            ("*.h", "y.x.h", 80, true),
            ("*.h", "xh", 80, false),
            ("a b\tc", "b", 80, true),
            (" a ,, b , ", "b", 80, true),
            ("a,b", "c", 80, false),
            ("h:80", "h", 80, true),
            ("h:80", "h", 81, false),
            (".h:8080", "x.h", 8080, true),
            ("127.0.0.1", "127.0.0.1", 80, true),
            ("127.0.0.1:81", "127.0.0.1", 80, false),
            ("127.0.0.1", "127.0.0.11", 80, false),
            ("0.1", "127.0.0.1", 80, false),
            ("10.0.0.0/8", "10.1.2.3", 80, true),
            ("10.0.0.0/8", "11.1.2.3", 80, false),
            ("192.168.1.77/24", "192.168.1.1", 80, true),
            ("192.168.1.0/25", "192.168.1.128", 80, false),
            ("0.0.0.0/0", "9.9.9.9", 80, true),
            ("0.0.0.0/0", "::1", 80, false),
            ("10.0.0.0/8", "ten.example", 80, false),
            ("::1", "[::1]", 80, true),
            ("[::1]", "[::1]", 80, true),
            ("[::1]:81", "[::1]", 80, false),
            ("[::1]:80", "[::1]", 80, true),
            ("fe80::/10", "[fe80::9]", 80, true),
            ("fe80::/10", "[fec0::9]", 80, false),
            ("::/0", "[fe80::1]", 80, true),
            ("::ffff:10.0.0.0/104", "10.9.9.9", 80, true),
            ("10.*", "10.1.2.3", 80, true),
            ("10.*", "100.1.2.3", 80, false),
            ("192.168.*", "192.168.7.7", 80, true),
            ("<local>", "nas", 80, true),
            ("<local>", "nas.lan", 80, false),
            ("localhost", "127.0.0.1", 80, false),
            ("", "h", 80, false),
        ] {
            for name in ["no_proxy", "NO_PROXY"] {
                let env = [("http_proxy", "p:1"), (name, list)];
                let want = if direct { "direct" } else { "http://p:1" };
                assert_eq!(way(None, &env, false, host, port), want, "{list} {host}");
            }
            let want = if direct { "direct" } else { "http://p:1" };
            let got = way(Some("p:1"), &[("no_proxy", list)], true, host, port);
            assert_eq!(got, want, "also with the option: {list} {host}");
        }
        for list in [
            "10.0.0.0/33",
            "::1/129",
            "h/24",
            "10.0.0.0/x",
            "h:0",
            "h:99999",
            "h:x",
            "http://h",
            "a*b",
            "1*",
            "h;i",
            "a,ü",
            "*.*",
        ] {
            let env = [("http_proxy", "p:1"), ("no_proxy", list)];
            let got = way(None, &env, false, "h", 80);
            assert!(got.starts_with("refused: no_proxy has"), "{list}: {got}");
            assert_eq!(way(None, &env[1..], false, "h", 80), "direct", "no proxy");
        }
    }
}
