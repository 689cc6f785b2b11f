//! How a person lets this program in (`duplet remote login`): on a page of Duplicati's token service, by a code that is entered
//! on another device (RFC 8628), or by a browser of this machine that comes back to it (RFC 8252, RFC 7636). Each function asks
//! once; who calls them waits.

use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::time::Duration;

use crate::base::bytes::{base64_decode, base64_url};
use crate::base::digest::Algo;
use crate::base::error::{Error, Kind, Result};
use crate::base::fault::{Class, Done, Fault};
use crate::base::rand;
use crate::base::secret::{Secret, wipe};
use crate::base::text;
use crate::net::http::Http;
use crate::net::json::SMALL_MAX_BYTES;
use crate::net::oauth::grant::{Client, DIALECT};
use crate::net::oauth::provider::Provider;
use crate::net::oauth::token_file::{self, TokenFile};
use crate::net::service::rows::{self, Row};
use crate::net::service::tokens;
use crate::net::service::{Refusal, Verb};
use crate::net::url::{decode, encode};

/// Longest head of a request that a browser sends here, and how long that may take.
const HEAD_MAX_BYTES: usize = 16 << 10;
const HEAD_TIME: Duration = Duration::from_secs(5);
/// Between two questions by RFC 8628, where the provider names no other time, and what is added when it was too soon.
const PAUSE_SECONDS: u64 = 5;

/// What asking came to.
pub(crate) enum Asked {
    NotYet,
    /// Not yet, and it was asked too soon.
    TooSoon,
    Given,
}

/// A log-in on a page of the token service.
pub(crate) struct ByService {
    root: String,
    token: String,
}

impl ByService {
    /// `url`: where the service gives tokens.
    pub(crate) fn new(url: &str) -> Result<ByService> {
        let (root, _) = url.rsplit_once('/').unwrap_or((url, ""));
        Ok(ByService {
            root: root.to_owned(),
            token: rand::hex::<16>()?,
        })
    }

    /// The page for a provider with this name there.
    pub(crate) fn page(&self, service: &str) -> String {
        format!(
            "{}/?type={}&token={}",
            self.root,
            encode(service),
            self.token
        )
    }

    /// Looks for the AuthID, which goes into the file.
    pub(crate) fn ask(&self, http: &mut Http, into: &mut TokenFile) -> Done<Asked> {
        let url = format!("{}/fetch?token={}", self.root, self.token);
        let asked = tokens::ask(http, &DIALECT, &url, &[], None, &self.token)?;
        let told = |told: Refusal| {
            let name = [("name", "the token service"), ("scheme", "SCHEME")];
            told.fault(&DIALECT, Verb::Login, &name)
        };
        let row = rows::row(&mut asked.map_err(told)?, DIALECT.who)?;
        if let Some(id) = row.get("authid") {
            into.set(token_file::AUTHID, id);
            return Ok(Asked::Given);
        }
        // So it is before anybody has opened the page.
        let unopened = row.text("error").eq_ignore_ascii_case("no such entry");
        match row.has("wait") || unopened {
            true => Ok(Asked::NotYet),
            false => {
                let why = text::safe_cut(row.text("error").as_bytes(), 200);
                let what = format!("the token service has no log-in; it says: {why}");
                Err(Fault::new(Class::Auth, what).hint("try again"))
            }
        }
    }
}

/// A log-in by a personal token, which is good for one use.
pub(crate) struct ByToken {
    user: String,
    password: Secret,
}

impl ByToken {
    /// From the text that the provider's page shows: JSON with the name of the account, a password, and where those are good, in
    /// Base64. `None` for another text, and for one of another service.
    pub(crate) fn new(provider: &Provider, token: &Secret) -> Option<ByToken> {
        let shown = token.reveal().trim().trim_end_matches('=');
        let mut plain = shown.replace('-', "+").replace('_', "/");
        plain.push_str(["", "", "==", "="][plain.len() % 4]);
        let mut json = base64_decode(Secret::new(plain).reveal().as_bytes())?;
        let io = |_: &io::Error| Fault::new(Class::Local, "");
        let row = rows::objects(&mut &json[..], &io, SMALL_MAX_BYTES, "", &mut |_| Ok(()));
        wipe(&mut json);
        let row = row.ok()?;
        let (user, password) = (row.text("username"), row.text("auth_token"));
        let (place, _) = provider.token_url.split_once("protocol/")?;
        let is_ours = row.text("well_known_link").starts_with(place);
        (is_ours && !user.is_empty() && !password.is_empty()).then(|| ByToken {
            user,
            password: Secret::new(password),
        })
    }

    /// Asks for a refresh token.
    pub(crate) fn ask(&self, http: &mut Http, client: &Client, into: &mut TokenFile) -> Done<()> {
        let fields = Secret::new(format!(
            "grant_type=password&username={}&password={}&scope={}",
            encode(&self.user),
            encode(self.password.reveal()),
            encode(client.provider.scope)
        ));
        let secret = self.password.reveal();
        let row = got(http, client, &client.url, fields.reveal(), secret)?;
        keep(client, &row.map_err(|told| client.fault(&told))?, into)
    }
}

/// A log-in by a code.
pub(crate) struct Device {
    code: Secret,
    /// What is entered, and where.
    pub(crate) shown: String,
    pub(crate) page: String,
    /// How long to wait between two questions, and how long the code is good for.
    pub(crate) pause: Duration,
    pub(crate) life: Duration,
}

impl Device {
    /// Asks for a code.
    pub(crate) fn new(http: &mut Http, client: &Client) -> Done<Device> {
        let url = beside(&client.url, client.provider.device);
        let fields = format!("scope={}", encode(client.provider.scope));
        let row = got(http, client, &url, &fields, "")?;
        let row = row.map_err(|told| client.fault(&told))?;
        let page = ["verification_uri", "verification_url"];
        let page = page.iter().find_map(|field| row.get(field));
        let line = |text: &str| text::safe_cut(text.trim().as_bytes(), 200);
        let device = Device {
            code: Secret::new(row.text("device_code")),
            shown: line(&row.text("user_code")),
            page: line(page.unwrap_or_default()),
            pause: Duration::from_secs(
                row.number("interval").unwrap_or(PAUSE_SECONDS).clamp(1, 60),
            ),
            life: Duration::from_secs(row.number("expires_in").unwrap_or(900).clamp(1, 1800)),
        };
        match device.code.is_blank() || device.shown.is_empty() || device.page.is_empty() {
            true => Err(Fault::new(
                Class::Protocol,
                "the token service gives no code",
            )),
            false => Ok(device),
        }
    }

    /// Looks whether the code was entered.
    pub(crate) fn ask(
        &mut self,
        http: &mut Http,
        client: &Client,
        into: &mut TokenFile,
    ) -> Done<Asked> {
        let code = self.code.reveal();
        let kind = "urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Adevice_code";
        let fields = format!("grant_type={kind}&device_code={}", encode(code));
        match got(http, client, &client.url, &fields, code)? {
            Ok(row) => keep(client, &row, into).map(|()| Asked::Given),
            Err(told) if told.is("authorization_pending") => Ok(Asked::NotYet),
            Err(told) if told.is("slow_down") => {
                self.pause += Duration::from_secs(PAUSE_SECONDS);
                Ok(Asked::TooSoon)
            }
            Err(told) if told.is("expired_token code_expired") => Err(late()),
            Err(told) if told.is("access_denied authorization_declined") => Err(declined()),
            Err(told) => Err(client.fault(&told)),
        }
    }
}

/// A log-in by a browser of this machine.
pub(crate) struct Loopback {
    listener: TcpListener,
    /// The address that the browser comes back to.
    back: String,
    state: String,
    verifier: Secret,
}

impl Loopback {
    /// Waits at a port; 0 for any.
    pub(crate) fn new(port: u16) -> Result<Loopback> {
        let cannot = |e: io::Error| {
            Error::new(
                Kind::Local,
                format!("cannot wait for the browser at port {port}: {e}"),
            )
            .hint("is another log-in running? --oauth-port names another port")
        };
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).map_err(cannot)?;
        listener.set_nonblocking(true).map_err(cannot)?;
        let port = listener.local_addr().map_err(cannot)?.port();
        let mut random = [0; 32];
        rand::fill(&mut random)?;
        let verifier = base64_url(&random).trim_end_matches('=').to_owned();
        Ok(Loopback {
            listener,
            back: format!("http://127.0.0.1:{port}/"),
            state: rand::hex::<16>()?,
            verifier: Secret::new(verifier),
        })
    }

    /// The page that the browser has to open.
    pub(crate) fn page(&self, client: &Client) -> String {
        let page = beside(&client.url, client.provider.page);
        let page = format!(
            "{page}{}response_type=code&client_id={}&redirect_uri={}&state={}",
            if page.contains('?') { '&' } else { '?' },
            encode(&client.id),
            encode(&self.back),
            self.state,
        );
        if !client.provider.hosts.is_empty() {
            return page;
        }
        let digest = Algo::Sha256.hash(self.verifier.reveal().as_bytes());
        let challenge = base64_url(digest.as_bytes());
        format!(
            "{page}&scope={}&code_challenge_method=S256&code_challenge={}",
            encode(client.provider.scope),
            challenge.trim_end_matches('='),
        )
    }

    /// Looks whether the browser has come, and if so, asks for the tokens. What comes without our own mark is turned away.
    pub(crate) fn ask(
        &self,
        http: &mut Http,
        client: &Client,
        into: &mut TokenFile,
    ) -> Done<Asked> {
        let Ok((stream, _)) = self.listener.accept() else {
            return Ok(Asked::NotYet);
        };
        let (code, host) = match self.answer(stream) {
            Some(Ok(found)) => found,
            Some(Err(fault)) => return Err(fault),
            None => return Ok(Asked::NotYet),
        };
        let fields = Secret::new(format!(
            "grant_type=authorization_code&code={}&redirect_uri={}&code_verifier={}",
            encode(code.reveal()),
            encode(&self.back),
            encode(self.verifier.reveal()),
        ));
        let hosts = client.provider.hosts;
        let host = hosts.iter().find(|known| **known == host);
        let url = match host {
            // An address of one's own stays.
            Some(host) if client.url == client.provider.token_url => {
                client.url.replace(hosts[0], host)
            }
            _ => client.url.clone(),
        };
        let row = got(http, client, &url, fields.reveal(), code.reveal())?;
        let row = row.map_err(|told| client.fault(&told))?;
        into.set(token_file::SERVER, host.unwrap_or(&""));
        keep(client, &row, into).map(|()| Asked::Given)
    }

    /// The code that a browser brings with the host where it is good, or the provider's refusal; `None` when it is something else.
    fn answer(&self, mut stream: TcpStream) -> Option<Done<(Secret, String)>> {
        let target = target(&mut stream).unwrap_or_default();
        let query = target.split_once('?').map_or("", |(_, query)| query);
        let value = |name: &str| {
            let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
            pairs.find(|(n, _)| *n == name).map(|(_, v)| decode(v))
        };
        let ours = value("state").is_some_and(|state| state == self.state);
        let found = match (ours, value("code"), value("error")) {
            (true, Some(code), _) => {
                let host = value("hostname").unwrap_or_default();
                Some(Ok((Secret::new(code), host)))
            }
            (true, None, Some(error)) if error == "access_denied" => Some(Err(declined())),
            (true, None, Some(error)) => {
                let what = text::safe_cut(error.as_bytes(), 60);
                let what = format!("the provider gives no consent: {what}");
                Some(Err(Fault::new(Class::Auth, what)))
            }
            _ => None,
        };
        let (status, words) = match &found {
            Some(Ok(_)) => ("200 OK", "Done. You can close this page."),
            Some(Err(_)) => ("200 OK", "duplet was not let in. You can close this page."),
            None => ("404 Not Found", "Nothing here."),
        };
        let reply = format!(
            "HTTP/1.1 {status}\r\nContent-Type: text/plain\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{words}",
            words.len()
        );
        // The person sees at the terminal how it went, too.
        let _ = stream.write_all(reply.as_bytes());
        found
    }
}

/// The target of a `GET`.
fn target(stream: &mut TcpStream) -> io::Result<String> {
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(HEAD_TIME))?;
    stream.set_write_timeout(Some(HEAD_TIME))?;
    let (mut head, mut part) = (Vec::new(), [0; 1024]);
    while !head.windows(4).any(|w| w == b"\r\n\r\n") && head.len() < HEAD_MAX_BYTES {
        match stream.read(&mut part)? {
            0 => break,
            n => head.extend_from_slice(&part[..n]),
        }
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let mut words = head.lines().next().unwrap_or_default().split(' ');
    match words.next() {
        Some("GET") => Ok(words.next().unwrap_or_default().to_owned()),
        _ => Ok(String::new()),
    }
}

/// The object that a form is answered with.
fn got(
    http: &mut Http,
    client: &Client,
    url: &str,
    fields: &str,
    secret: &str,
) -> Done<std::result::Result<Row, Refusal>> {
    match client.ask(http, url, fields, secret)? {
        Ok(mut reply) => rows::row(&mut reply, DIALECT.who).map(Ok),
        Err(told) => Ok(Err(told)),
    }
}

/// Takes over what was given.
fn keep(client: &Client, row: &Row, into: &mut TokenFile) -> Done<()> {
    if !client.provider.hosts.is_empty() {
        let Some(token) = row.get("access_token").filter(|t| !t.is_empty()) else {
            let why = text::safe_cut(row.text("error").as_bytes(), 200);
            let why = why.trim_end_matches('.');
            let what = format!("{} gives no token; it says: {why}", client.provider.name);
            let hint = "check --oauth-client-id and --oauth-client-secret";
            return Err(Fault::new(Class::Auth, what).hint(hint));
        };
        into.set(token_file::AUTHID, token);
        return Ok(());
    }
    let Some(token) = row.get("refresh_token").filter(|t| !t.is_empty()) else {
        let what = format!("{} gives no refresh token", client.provider.name);
        return Err(
            Fault::new(Class::Auth, what).hint("may the registration of the client work offline?")
        );
    };
    into.set(token_file::REFRESH_TOKEN, token);
    into.set(token_file::CLIENT_ID, &client.id);
    let secret = client.secret.as_ref().map_or("", Secret::reveal);
    into.set(token_file::CLIENT_SECRET, secret.trim());
    if client.url != client.provider.token_url {
        into.set(token_file::TOKEN_URL, &client.url);
    }
    Ok(())
}

/// A reference from where tokens are given.
fn beside(url: &str, reference: &str) -> String {
    match reference.contains("://") {
        true => reference.to_owned(),
        false => {
            let (folder, _) = url.rsplit_once('/').unwrap_or((url, ""));
            format!("{folder}/{reference}")
        }
    }
}

/// The fault of a log-in that nobody ended.
pub(crate) fn late() -> Fault {
    Fault::new(Class::Auth, "nobody has logged in in time").hint("try again")
}

fn declined() -> Fault {
    Fault::new(Class::Auth, "the log-in was declined there")
}
