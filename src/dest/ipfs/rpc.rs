//! The RPC of a Kubo node (`destinations-core.md` 6.2): one `POST` a command, arguments in the query, errors as JSON.
//!
//! Knows no folder and repeats nothing.

use std::io::{self, Read};

use crate::base::bytes::base64;
use crate::base::error::{Error, Result};
use crate::base::fault::{Class, Fault, says_full};
use crate::base::opt::Options;
use crate::base::secret::Secret;
use crate::base::text;
use crate::dest::ipfs::options;
use crate::net::http::{Http, Pace, Payload, Reply, Request};
use crate::net::json::{self, Step};
use crate::net::service::{self, Form, Verb, class_of_status};
use crate::net::url::{DestUrl, encode};
use crate::net::{opts, redirect};

const PORT: u16 = 5001;
/// The first version that links what is added into a folder in one request.
const VERSION_LEAST: (u64, u64) = (0, 16);
/// Longest reply to a command that is no listing.
const ANSWER_MAX_BYTES: u64 = 64 * 1024;

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
            (Some(token), ..) => Some(format!("Bearer {}", token.reveal().trim())),
            (None, Some(user), password) => {
                let secret = password.as_ref().map_or("", |p| p.reveal());
                let pair = format!("{user}:{secret}");
                Some(format!("Basic {}", base64(pair.as_bytes())))
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
            authorization: authorization.map(Secret::new),
            timeout: format!("{}s", seconds.max(1)),
            probed: false,
        })
    }

    /// Makes sure once that a node of a version that can do everything is there.
    pub(super) fn probe(&mut self) -> std::result::Result<(), Fault> {
        if self.probed {
            return Ok(());
        }
        let mut found = None;
        self.ask("version", &[], &mut |path, value| {
            if path == "Version" {
                found = value.text().map(str::to_owned);
            }
        })?;
        let Some(version) = found else {
            return Err(self.not_kubo("it does not tell its version"));
        };
        let mut parts = version.split(['.', '-']).map(|p| p.parse().unwrap_or(0));
        let pair: (u64, u64) = (parts.next().unwrap_or(0), parts.next().unwrap_or(0));
        if pair < VERSION_LEAST {
            let shown = text::safe_cut(version.as_bytes(), 40);
            return Err(Fault::new(
                Class::Usage,
                format!(
                    "the IPFS node at {} has version {shown}; 0.16 or newer is needed",
                    self.shown()
                ),
            ));
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

    /// Runs a command whose reply is small JSON and passes on its values with their paths joined by `/`.
    pub(super) fn ask(
        &mut self,
        command: &str,
        args: &[(&str, &str)],
        each: &mut dyn FnMut(&str, &json::Value<'_>),
    ) -> Answer<()> {
        let mut reply = self.call(command, args, Pace::List, None)?;
        read_values(&mut reply, each).map_err(|f| self.puzzled(f, command).into())
    }

    /// As [`Rpc::ask`] for a command whose reply does not matter.
    pub(super) fn run(&mut self, command: &str, args: &[(&str, &str)]) -> Answer<()> {
        Ok(self.call(command, args, Pace::List, None)?.finish()?)
    }

    /// The fault of a reply that is no JSON.
    pub(super) fn puzzled(&self, fault: Fault, command: &str) -> Fault {
        if fault.class == Class::Protocol && !self.probed {
            return self.not_kubo(&format!("to {command} it says something else"));
        }
        fault
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
            None => Payload::Bytes(b""),
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
        let told = service::Refusal::of(reply, Form::Json("Type", "Message"));
        let said = ends(told.message.trim().as_bytes());
        let quoted = if said.is_empty() {
            String::new()
        } else {
            format!(" \"{said}\"")
        };
        let plain = |class| Fault::new(class, format!("{command}: status {status}{quoted}"));
        let fault = match status {
            500 if !told.is_plain => self.command_failed(command, &told.message, &said),
            401 => Fault::new(
                Class::Auth,
                format!("the IPFS node at {} wants a login", self.shown()),
            )
            .hint("use --ipfs-api-token, or --auth-username and --auth-password"),
            403 if told.message.to_ascii_lowercase().contains("access denied") => Fault::new(
                Class::Auth,
                format!("RPC access denied by the IPFS node at {}", self.shown()),
            )
            .hint("the login must be allowed /api/v0/version, /api/v0/files and /api/v0/add"),
            403 => Fault::new(
                Class::Auth,
                format!(
                    "RPC access denied by {}, perhaps by its check of origins{quoted}",
                    self.shown()
                ),
            ),
            300..=399 => {
                let to = location.unwrap_or_default();
                let fault = redirect::foreign(&to);
                Fault {
                    hint: "name the node itself as the host of the destination URL".to_owned(),
                    ..fault
                }
            }
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
            message: if told.is_plain {
                String::new()
            } else {
                told.message.to_lowercase()
            },
            fault,
        }
    }

    fn command_failed(&self, command: &str, whole: &str, said: &str) -> Fault {
        let lower = whole.to_lowercase();
        let has = |parts: &[&str]| parts.iter().any(|p| lower.contains(p));
        let class = if has(&["no space left", "disk quota", "file too large"])
            || (lower.contains("datastore") && lower.contains("full"))
        {
            Class::Full
        } else if has(&["file does not exist", "no link named"]) {
            Class::NotFound
        } else if has(&["access denied"]) {
            Class::Auth
        } else {
            Class::Transient
        };
        let full = if class == Class::Full {
            "no space left in the IPFS node: "
        } else {
            ""
        };
        let fault = Fault::new(
            class,
            format!("{full}the IPFS node says to {command}: \"{said}\""),
        );
        if has(&["context deadline exceeded"]) {
            return fault
                .hint("the node lacks blocks and nobody gave them in time; see --ipfs-timeout");
        }
        fault
    }
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

fn io_as_it_is(e: &io::Error) -> Fault {
    Fault::new(Class::Transient, crate::base::error::io_text(e))
}

/// Reads one JSON value of a reply, passing on every value with its path.
pub(super) fn read_values(
    reply: &mut Reply,
    each: &mut dyn FnMut(&str, &json::Value<'_>),
) -> std::result::Result<(), Fault> {
    let io = reply.io_fault();
    json::read(reply, json::SMALL_MAX_BYTES, &io, &mut |step| {
        if let Step::Value { path, value } = step {
            each(&path.join("/"), &value);
        }
        Ok(())
    })
}

/// The identifier in the last line of a reply to `add`.
pub(super) fn added(reply: &mut Reply) -> std::result::Result<String, Fault> {
    let mut text = Vec::new();
    let io = reply.io_fault();
    let read = reply.by_ref().take(ANSWER_MAX_BYTES).read_to_end(&mut text);
    read.map_err(|e| io(&e))?;
    let mut hash = None;
    let lines = text
        .split(|&b| b == b'\n')
        .filter(|l| !l.trim_ascii().is_empty());
    for mut line in lines {
        json::read(
            &mut line,
            json::SMALL_MAX_BYTES,
            &io_as_it_is,
            &mut |step| {
                if let Step::Value { path: [key], value } = step {
                    match (key.as_str(), value.text()) {
                        ("Hash", Some(text)) => hash = Some(text.to_owned()),
                        ("Message", Some(text)) => {
                            let said = text::safe_cut(text.as_bytes(), 200);
                            let what = format!("the IPFS node says to add: \"{said}\"");
                            let class = match says_full(500, text) {
                                true => Class::Full,
                                false => Class::Transient,
                            };
                            return Err(Fault::new(class, what));
                        }
                        _ => {}
                    }
                }
                Ok(())
            },
        )?;
    }
    hash.ok_or_else(|| {
        Fault::new(
            Class::Transient,
            "the IPFS node does not tell what it added",
        )
    })
}
