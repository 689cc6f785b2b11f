//! The RPC of a Kubo node (`destinations-core.md` 6.2): one `POST` a command, arguments in the query, errors as JSON.
//!
//! Knows no folder and repeats nothing.

use std::io::Read;

use crate::base::bytes::base64;
use crate::base::error::{Error, Result};
use crate::base::fault::{Class, Done, Fault, says_full};
use crate::base::opt::Options;
use crate::base::secret::Secret;
use crate::base::text;
use crate::dest::ipfs::options;
use crate::net::http::{Http, Pace, Payload, Reply, Request};
use crate::net::json;
use crate::net::service::call::bearer;
use crate::net::service::rows::{self, Row};
use crate::net::service::{self, Dialect, Form, Verb, class_of_status, rules};
use crate::net::url::{DestUrl, encode};
use crate::net::{opts, redirect};

const PORT: u16 = 5001;
/// The first version that links what is added into a folder in one request.
const VERSION_LEAST: (u64, u64) = (0, 16);
/// Longest reply to a command that is no listing.
const ANSWER_MAX_BYTES: u64 = 64 * 1024;

/// What commands fail of, by the words alone: every one has the status 500.
static DIALECT: Dialect = Dialect {
    form: Form::Json("Type", "Message"),
    who: "an IPFS node",
    rules: rules! {
        500 "" "no space left" => Class::Full;
        500 "" "disk quota" => Class::Full;
        500 "" "file too large" => Class::Full;
        500 "" "datastore*full" => Class::Full;
        500 "" "file does not exist" => Class::NotFound;
        500 "" "no link named" => Class::NotFound;
        500 "" "access denied" => Class::Auth;
        500 "" "context deadline exceeded" => Class::Transient, "", "the node lacks blocks and nobody gave them in time; see --ipfs-timeout";
    },
    words: &[],
};

/// What a node said no to.
pub(super) struct Refusal {
    pub(super) fault: Fault,
    /// Lower case; empty when the reply was no error of a command.
    pub(super) message: String,
}

impl Refusal {
    /// Nothing has the name asked for. A block that the node lacks is another matter ("block was not found locally").
    pub(super) fn is_absent(&self) -> bool {
        ["file does not exist", "no link named"]
            .iter()
            .any(|s| self.message.contains(s))
    }

    pub(super) fn exists(&self) -> bool {
        self.message
            .contains("directory already has entry by that name")
            || self.message.contains("file already exists")
    }

    pub(super) fn is_unflushed(&self) -> bool {
        self.message.contains("reached limit of") && self.message.contains("unflushed")
    }
}

impl From<Fault> for Refusal {
    fn from(fault: Fault) -> Refusal {
        Refusal {
            fault,
            message: String::new(),
        }
    }
}

impl From<Refusal> for Fault {
    fn from(refusal: Refusal) -> Fault {
        refusal.fault
    }
}

pub(super) type Answer<T> = std::result::Result<T, Refusal>;

/// A body to send: parts of known length.
pub(super) struct Upload<'a> {
    pub(super) content_type: &'a str,
    pub(super) body: &'a mut dyn Read,
    pub(super) len: u64,
}

/// Connection to a node.
pub(super) struct Rpc {
    pub(super) http: Http,
    base: String,
    host: String,
    authorization: Option<Secret>,
    timeout: String,
    probed: bool,
}

impl Rpc {
    pub(super) fn new(url: &DestUrl, given: &Options) -> Result<Rpc> {
        let tls = given.flag(&opts::USE_SSL);
        let host = format!("{}:{}", url.host, url.port.unwrap_or(PORT));
        let (user, password) = opts::login(url, given, None);
        let authorization = match (given.secret(&options::TOKEN), user, password) {
            (Some(token), ..) => Some(bearer(&token)),
            (None, Some(user), password) => {
                let secret = password.as_ref().map_or("", |p| p.reveal());
                let pair = base64(format!("{user}:{secret}").as_bytes());
                Some(Secret::new(format!("Basic {pair}")))
            }
            (None, None, Some(_)) => {
                return Err(
                    Error::usage("a password for the IPFS node is given, but no user")
                        .hint("use --auth-username, or --ipfs-api-token for a token"),
                );
            }
            (None, None, None) => None,
        };
        let seconds = given.span(&options::TIMEOUT).unwrap_or(600);
        Ok(Rpc {
            http: Http::new(given)?,
            base: format!("{}://{host}/api/v0", if tls { "https" } else { "http" }),
            host,
            authorization,
            timeout: format!("{}s", seconds.max(1)),
            probed: false,
        })
    }

    /// Makes sure once that a node of a version that can do everything is there.
    pub(super) fn probe(&mut self) -> Done<()> {
        if self.probed {
            return Ok(());
        }
        let told = self.ask("version", &[])?;
        let Some(version) = told.get("Version") else {
            return Err(self.not_kubo("it does not tell its version"));
        };
        let mut parts = version.split(['.', '-']).map(|p| p.parse().unwrap_or(0));
        let pair: (u64, u64) = (parts.next().unwrap_or(0), parts.next().unwrap_or(0));
        if pair < VERSION_LEAST {
            let shown = text::safe_cut(version.as_bytes(), 40);
            let at = self.shown();
            let old = format!("the IPFS node at {at} has version {shown}; 0.16 or newer is needed");
            return Err(Fault::new(Class::Usage, old));
        }
        self.probed = true;
        Ok(())
    }

    fn shown(&self) -> String {
        text::safe(self.host.as_bytes())
    }

    fn not_kubo(&self, why: &str) -> Fault {
        Fault::new(
            Class::Usage,
            format!("{} is not the RPC of an IPFS node: {why}", self.shown()),
        )
        .hint("the RPC is on port 5001 unless configured otherwise, the gateway on 8080")
    }

    /// Runs a command whose reply is one small object.
    pub(super) fn ask(&mut self, command: &str, args: &[(&str, &str)]) -> Answer<Row> {
        let mut reply = self.call(command, args, Pace::List, None)?;
        let io = reply.io_fault();
        let told = rows::objects(&mut reply, &io, json::SMALL_MAX_BYTES, "", &mut |_| Ok(()));
        told.map_err(|fault| match fault.class {
            Class::Protocol if !self.probed => self
                .not_kubo(&format!("to {command} it says something else"))
                .into(),
            _ => fault.into(),
        })
    }

    /// As [`Rpc::ask`] for a command whose reply does not matter.
    pub(super) fn run(&mut self, command: &str, args: &[(&str, &str)]) -> Answer<()> {
        Ok(self.call(command, args, Pace::List, None)?.finish()?)
    }

    /// Sends one command. Everything but success is a [`Refusal`].
    pub(super) fn call(
        &mut self,
        command: &str,
        args: &[(&str, &str)],
        pace: Pace,
        upload: Option<Upload<'_>>,
    ) -> Answer<Reply> {
        let mut url = format!("{}/{command}?", self.base);
        for (key, value) in args.iter().chain(&[("timeout", self.timeout.as_str())]) {
            if !url.ends_with('?') {
                url.push('&');
            }
            url.push_str(&format!("{key}={}", encode(value)));
        }
        let mut headers = vec![("accept", "*/*")];
        if let Some(value) = &self.authorization {
            headers.push(("authorization", value.reveal()));
        }
        let payload = match upload {
            Some(upload) => {
                headers.push(("content-type", upload.content_type));
                Payload::Stream(upload.body, upload.len)
            }
            None => Payload::None,
        };
        let mut reply = self.http.send(Request {
            method: "POST",
            url: &url,
            headers: &headers,
            payload,
            pace,
            expect: false,
        })?;
        match reply.status {
            200..=299 => Ok(reply),
            _ => Err(self.refusal(&mut reply, command)),
        }
    }

    fn refusal(&self, reply: &mut Reply, command: &str) -> Refusal {
        let status = reply.status;
        let location = reply.location();
        let told = service::Refusal::of(reply, DIALECT.form);
        let said = ends(told.message.trim().as_bytes());
        let quoted = match said.as_str() {
            "" => String::new(),
            said => format!(" \"{said}\""),
        };
        let at = self.shown();
        let plain = |class| Fault::new(class, format!("{command}: status {status}{quoted}"));
        let denied = |text| Fault::new(Class::Auth, text);
        let fault = match status {
            500 if !told.is_plain => failed(command, &told, &said),
            401 => denied(format!("the IPFS node at {at} wants a login"))
                .hint("use --ipfs-api-token, or --auth-username and --auth-password"),
            403 if told.message.to_ascii_lowercase().contains("access denied") => denied(format!(
                "RPC access denied by the IPFS node at {at}"
            ))
            .hint("the login must be allowed /api/v0/version, /api/v0/files and /api/v0/add"),
            403 => denied(format!(
                "RPC access denied by {at}, perhaps by its check of origins{quoted}"
            )),
            300..=399 => Fault {
                hint: "name the node itself as the host of the destination URL".to_owned(),
                ..redirect::foreign(&location.unwrap_or_default())
            },
            404 => self.not_kubo("status 404"),
            _ => match class_of_status(status, Verb::Login) {
                Class::Throttled(_) => plain(Class::Throttled(told.retry_after)),
                Class::Protocol | Class::Unsupported if !self.probed => {
                    self.not_kubo(&format!("status {status}"))
                }
                class => plain(class),
            },
        };
        Refusal {
            message: match told.is_plain {
                true => String::new(),
                false => told.message.to_lowercase(),
            },
            fault,
        }
    }
}

/// The fault of a command that the node could not carry out.
fn failed(command: &str, told: &service::Refusal, said: &str) -> Fault {
    let (class, rule) = told.class(&DIALECT, Verb::Login);
    let full = match class {
        Class::Full => "no space left in the IPFS node: ",
        _ => "",
    };
    let text = format!("{full}the IPFS node says to {command}: \"{said}\"");
    Fault::new(class, text).hint(rule.map_or("", |rule| rule.hint))
}

/// Text of the server, its beginning and its end, where the reason is.
fn ends(said: &[u8]) -> String {
    let all = text::safe(said);
    let count = all.chars().count();
    if count <= 200 {
        return all;
    }
    let head: String = all.chars().take(90).collect();
    let tail: String = all.chars().skip(count - 100).collect();
    format!("{head}...{tail}")
}

/// The identifier in the last line of a reply to `add`.
pub(super) fn added(reply: &mut Reply) -> Done<String> {
    let mut text = Vec::new();
    let io = reply.io_fault();
    let read = reply.by_ref().take(ANSWER_MAX_BYTES).read_to_end(&mut text);
    read.map_err(|e| io(&e))?;
    let mut hash = None;
    for line in text.split(|&b| b == b'\n') {
        if line.trim_ascii().is_empty() {
            continue;
        }
        let max = json::SMALL_MAX_BYTES;
        let row = rows::objects(&mut &line[..], &io, max, "", &mut |_| Ok(()))?;
        if let Some(text) = row.get("Message") {
            let said = text::safe_cut(text.as_bytes(), 200);
            let class = match says_full(500, text) {
                true => Class::Full,
                false => Class::Transient,
            };
            let what = format!("the IPFS node says to add: \"{said}\"");
            return Err(Fault::new(class, what));
        }
        hash = row.get("Hash").map(str::to_owned).or(hash);
    }
    let missing = "the IPFS node does not tell what it added";
    hash.ok_or_else(|| Fault::new(Class::Transient, missing))
}
