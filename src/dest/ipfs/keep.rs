//! What happens to the folder's new root after a run (`destinations-core.md` 6.4, 6.6): pin it in the node, publish it under a
//! name, have a pinning service copy it. The backup is complete before; what fails here is a warning.

use std::time::Duration;

use crate::base::error::{Error, Result};
use crate::base::fault::{Class, Done, Fault};
use crate::base::opt::Options;
use crate::base::{sys, text};
use crate::dest::Fact;
use crate::dest::ipfs::options;
use crate::dest::ipfs::rpc::Rpc;
use crate::format::ipld::cid::Cid;
use crate::net::http::{Http, Pace};
use crate::net::json::{self, Step};
use crate::net::service::call::{Call, Service, Token};
use crate::net::service::rows::{self, Row};
use crate::net::service::{Content, Dialect, Form, Refusal, Verb};
use crate::net::url::encode;

/// Pause between two questions to the service.
const POLL: Duration = Duration::from_secs(10);
/// Addresses of the node told to the service, and of the service told to the node.
const ADDRESSES_MAX: usize = 10;

/// What the options ask for.
pub(super) struct Keep {
    /// Name of pins.
    label: String,
    pin: bool,
    publish: Option<String>,
    lifetime: String,
    ttl: String,
    service: Option<Copies>,
}

/// The pinning service.
struct Copies {
    url: String,
    service: Service,
    wait: Duration,
}

static DIALECT: Dialect = Dialect {
    form: Form::Json("reason", "details"),
    who: "a pinning service",
    rules: &[],
    words: &[],
};

/// What the service says of a pin.
#[derive(Default)]
struct Pin {
    request: String,
    status: String,
    cid: String,
    delegates: Vec<String>,
}

impl Keep {
    pub(super) fn new(folder: &str, given: &Options) -> Result<Keep> {
        let service = match given.text(&options::PIN_SERVICE) {
            Some(url) if url.starts_with("https://") || url.starts_with("http://") => {
                let wait = given.span(&options::PIN_WAIT).unwrap_or(0);
                let login = Token(given.secret(&options::PIN_TOKEN));
                Some(Copies {
                    url: url.trim().trim_end_matches('/').to_owned(),
                    service: Service::new(Http::new(given)?, &DIALECT, Box::new(login)),
                    wait: Duration::from_secs(u64::try_from(wait).unwrap_or(0)),
                })
            }
            Some(_) => {
                return Err(Error::usage(
                    "--ipfs-pin-service must be an http:// or https:// URL",
                ));
            }
            None => None,
        };
        let text = |opt| given.text(opt).unwrap_or_default().trim().to_owned();
        Ok(Keep {
            label: format!("duplet {folder}"),
            pin: given.choice(&options::PIN) == Some("root"),
            publish: given.text(&options::PUBLISH).map(|k| k.trim().to_owned()),
            lifetime: text(&options::LIFETIME),
            ttl: text(&options::TTL),
            service,
        })
    }

    /// Requests sent so far to the pinning service.
    pub(super) fn requests(&self) -> u64 {
        self.service.as_ref().map_or(0, |s| s.service.requests())
    }

    /// Does everything asked for with a new root.
    pub(super) fn after(
        &mut self,
        rpc: &mut Rpc,
        root: &Cid,
        facts: &mut Vec<Fact>,
        warnings: &mut Vec<String>,
    ) {
        let mut failed = |what: &str, fault: Fault| {
            let hint = match fault.hint.as_str() {
                "" => String::new(),
                hint => format!(" ({hint})"),
            };
            warnings.push(format!(
                "the backup is complete, but {what}: {}{hint}",
                fault.text
            ));
        };
        if self.pin
            && let Err(fault) = self.pin(rpc, root)
        {
            failed("its root was not pinned", fault);
        }
        if let Some(key) = &self.publish {
            match publish(rpc, root, key, &self.lifetime, &self.ttl) {
                Ok(name) => facts.push(Fact {
                    name: "ipns name",
                    key: "IpnsName",
                    value: name,
                }),
                Err(fault) => failed("its root was not published", fault),
            }
        }
        if let Some(service) = &mut self.service {
            match copy(rpc, service, &self.label, root) {
                Ok(status) => facts.push(Fact {
                    name: "ipfs pinning service",
                    key: "IpfsPinStatus",
                    value: status,
                }),
                Err(fault) => failed("the pinning service has no copy", fault),
            }
        }
    }

    /// Pins the new root, then lets go of earlier ones under the same name.
    fn pin(&self, rpc: &mut Rpc, root: &Cid) -> Done<()> {
        let path = format!("/ipfs/{root}");
        let args = [
            ("arg", path.as_str()),
            ("recursive", "true"),
            ("name", &self.label),
        ];
        rpc.run("pin/add", &args)?;
        let args = [
            ("type", "recursive"),
            ("names", "true"),
            ("name", &self.label),
        ];
        let mut reply = rpc.call("pin/ls", &args, Pace::List, None)?;
        let io = reply.io_fault();
        let mut old: Vec<Cid> = Vec::new();
        json::read(&mut reply, json::LIST_MAX_BYTES, &io, &mut |step| {
            if let Step::Value {
                path: [keys, cid, key],
                value,
            } = step
                && keys == "Keys"
                && key == "Name"
                && value.text() == Some(&self.label)
                && let Some(cid) = Cid::parse(cid).filter(|cid| cid != root)
                && old.len() < 1000
            {
                old.push(cid);
            }
            Ok(())
        })?;
        for cid in old {
            rpc.run("pin/rm", &[("arg", &format!("/ipfs/{cid}"))])?;
        }
        Ok(())
    }
}

/// Asks the service for a copy instead of the one it has of an earlier root; the status it ends with.
fn copy(rpc: &mut Rpc, service: &mut Copies, label: &str, root: &Cid) -> Done<String> {
    let told = rpc.ask("id", &[]).unwrap_or_default();
    let origins: Vec<&str> = told.texts("Addresses/[]").take(ADDRESSES_MAX).collect();
    let body = serde_json::json!({
        "cid": root.to_string(),
        "name": label,
        "origins": origins,
        "meta": { "app": "duplet" },
    })
    .to_string();
    let query = format!(
        "pins?name={}&status=pinned,pinning,queued&limit=10",
        encode(label)
    );
    let known = service.talk("GET", &query, "")?;
    let mut pin = match known.first() {
        Some(pin) if Cid::parse(&pin.cid).as_ref() == Some(root) => Pin {
            request: pin.request.clone(),
            status: pin.status.clone(),
            ..Pin::default()
        },
        Some(old) => {
            one(service.talk("POST", &format!("pins/{}", encode(&old.request)), &body)?)?
        }
        None => one(service.talk("POST", "pins", &body)?)?,
    };
    for address in &pin.delegates {
        // Best effort: the service may find the node without.
        let _ = rpc.run("swarm/connect", &[("arg", address)]);
    }
    let mut left = service.wait;
    while !matches!(pin.status.as_str(), "pinned" | "failed") && !left.is_zero() {
        let pause = POLL.min(left);
        let before = sys::stops_requested();
        sys::sleep_interruptible(pause);
        if sys::stops_requested() > before {
            break;
        }
        left = left.saturating_sub(pause);
        let query = format!("pins/{}", encode(&pin.request));
        pin = one(service.talk("GET", &query, "")?)?;
    }
    let shown = text::safe_cut(pin.status.as_bytes(), 40);
    match pin.status.as_str() {
        "failed" => Err(Fault::new(Class::Transient, "it failed to fetch it")),
        "pinned" => Ok(shown),
        _ if service.wait.is_zero() => Ok(shown),
        _ => Err(Fault::new(
            Class::Transient,
            format!("after the wait it is still {shown}"),
        )),
    }
}

fn one(pins: Vec<Pin>) -> Done<Pin> {
    let mut pins = pins.into_iter();
    pins.next()
        .filter(|pin| !pin.request.is_empty())
        .ok_or_else(|| Fault::new(Class::Protocol, "it does not tell what it will do"))
}

fn publish(rpc: &mut Rpc, root: &Cid, key: &str, lifetime: &str, ttl: &str) -> Done<String> {
    let path = format!("/ipfs/{root}");
    let args = [
        ("arg", path.as_str()),
        ("key", key),
        ("lifetime", lifetime),
        ("ttl", ttl),
        ("allow-offline", "true"),
        ("quieter", "true"),
    ];
    let told = rpc.ask("name/publish", &args).map_err(|refusal| {
        let shown = text::safe_cut(key.as_bytes(), 60);
        match refusal.message.contains("no key") {
            true => refusal
                .fault
                .hint(format!("make the key with 'ipfs key gen {shown}'")),
            false => refusal.fault,
        }
    })?;
    let name = told.get("Name").map(|t| text::safe_cut(t.as_bytes(), 80));
    name.ok_or_else(|| Fault::new(Class::Protocol, "the node does not tell the name"))
}

impl Copies {
    /// One request; the pins in the reply.
    fn talk(&mut self, method: &'static str, path: &str, body: &str) -> Done<Vec<Pin>> {
        let headers = [
            ("accept", "application/json"),
            ("content-type", "application/json"),
        ];
        let (verb, content) = match body {
            "" => (Verb::List, Content::None),
            _ => (Verb::Put, Content::Bytes(body.as_bytes())),
        };
        let call = Call {
            verb,
            method,
            url: format!("{}/{path}", self.url),
            headers: if body.is_empty() {
                &headers[..1]
            } else {
                &headers
            },
            content,
            pace: Pace::Short,
        };
        let mut reply = self
            .service
            .ask(call)?
            .map_err(|refusal| refused(&refusal))?;
        let io = reply.io_fault();
        let mut pins: Vec<Pin> = Vec::new();
        let max = json::SMALL_MAX_BYTES;
        let root = rows::objects(&mut reply, &io, max, "results", &mut |row| {
            pins.push(Pin::of(row));
            Ok(())
        })?;
        pins.insert(0, Pin::of(&root));
        pins.retain(|pin| !pin.request.is_empty());
        Ok(pins)
    }
}

impl Pin {
    fn of(row: &Row) -> Pin {
        let delegates = row.texts("delegates/[]").take(ADDRESSES_MAX);
        Pin {
            request: row.text("requestid"),
            status: row.text("status"),
            cid: row.text("pin/cid"),
            delegates: delegates.map(str::to_owned).collect(),
        }
    }
}

fn refused(told: &Refusal) -> Fault {
    let status = told.status;
    let said: Vec<String> = [&told.code, &told.message]
        .into_iter()
        .filter(|text| !told.is_plain && !text.is_empty())
        .map(|text| text::safe_cut(text.as_bytes(), 100))
        .collect();
    let said = said.join(", ");
    let (class, what) = match status {
        401 | 403 => (Class::Auth, "it rejects the token"),
        402 => (Class::Full, "it wants to be paid"),
        _ if said.contains("INSUFFICIENT_FUNDS") => (Class::Full, "it wants to be paid"),
        _ => (Class::Protocol, "it refuses"),
    };
    let said = match said.as_str() {
        "" => String::new(),
        said => format!(": {said}"),
    };
    let fault = Fault::new(class, format!("{what} (status {status}{said})"));
    match class {
        Class::Auth => fault.hint("check --ipfs-pin-token"),
        _ => fault,
    }
}
