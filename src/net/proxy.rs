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
#[path = "proxy_tests.rs"]
mod tests;
