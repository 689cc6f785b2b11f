//! Gateways in turn (`destinations-core.md` 6.7): each block is asked of one after the other until one gives it, and one that gives
//! anything else is not asked again in this run.
//!
//! No gateway is trusted: what leaves here was checked against its identifier, except in the functions that say otherwise.

use std::time::{Duration, Instant};

use crate::base::error::{Error, Result};
use crate::base::fault::{Class, Done, Fault};
use crate::base::opt::Options;
use crate::base::secret::Secret;
use crate::base::text;
use crate::dest::ipfs::options;
use crate::dest::ipfs::outcome::{Outcome, fill, is_html, judge, shown, urgency};
use crate::format::ipld::BLOCK_MAX_BYTES;
use crate::format::ipld::car::CarReader;
use crate::format::ipld::cid::Cid;
use crate::format::ipld::ipns::RECORD_MAX_BYTES;
use crate::net::http::{Http, Pace, Payload, Reply, Request};
use crate::net::redirect::{self, Chain, same_origin};
use crate::net::service::call::bearer;
use crate::net::url::encode;

const GATEWAYS_MAX: usize = 32;
/// A gateway that failed is asked last for so long.
const REST: Duration = Duration::from_secs(60);
const RAW_TYPE: &str = "application/vnd.ipld.raw";
const CAR_TYPE: &str = "application/vnd.ipld.car; version=1; order=dfs; dups=y";
const RECORD_TYPE: &str = "application/vnd.ipfs.ipns-record";
const PLACEHOLDER: &str = "{cid}";

struct Gateway {
    /// Without a trailing `/`; may hold the placeholder.
    base: String,
    /// Why it is not asked any more.
    bad: Option<String>,
    rest_until: Option<Instant>,
}

/// All gateways of the options, in order.
pub(super) struct Gateways {
    http: Http,
    list: Vec<Gateway>,
    token: Option<Secret>,
    notices: Vec<String>,
}

/// What to ask a gateway for.
struct Ask<'a> {
    method: &'static str,
    /// `ipfs` or `ipns`.
    space: &'static str,
    /// Identifier in a path and in a host name.
    name: (&'a str, &'a str),
    /// After the identifier: path and query.
    rest: &'a str,
    accept: &'static str,
    range: Option<&'a str>,
    pace: Pace,
}

/// What all gateways came to.
#[derive(Default)]
struct Tally {
    absent: bool,
    later: Option<Fault>,
}

impl Gateways {
    pub(super) fn new(given: &Options) -> Result<Gateways> {
        let words = given.text(&options::GATEWAY).unwrap_or_default();
        let mut list = Vec::new();
        for word in words.split(',').map(str::trim).filter(|w| !w.is_empty()) {
            let base = word.trim_end_matches('/');
            let host = redirect::split(base).0;
            let web = base.starts_with("http://") || base.starts_with("https://");
            if !web || host.is_empty() || host.contains('@') || base.contains(['?', '#']) {
                return Err(
                    Error::usage("--ipfs-gateway must be http:// or https:// URLs")
                        .hint("such as http://127.0.0.1:8080 or https://{cid}.ipfs.example.net"),
                );
            }
            list.push(Gateway {
                base: base.to_owned(),
                bad: None,
                rest_until: None,
            });
        }
        if list.is_empty() {
            return Err(Error::usage(
                "an IPFS identifier or name is read through a gateway, and none is given",
            )
            .hint("--ipfs-gateway=http://127.0.0.1:8080 is the one of a node on this machine; a public one sees what is read and by whom"));
        }
        if list.len() > GATEWAYS_MAX {
            return Err(Error::usage("--ipfs-gateway names more than 32 gateways"));
        }
        Ok(Gateways {
            http: Http::new(given)?,
            list,
            token: given.secret(&options::GATEWAY_TOKEN),
            notices: Vec::new(),
        })
    }

    /// Requests sent so far to all of them.
    pub(super) fn requests(&self) -> u64 {
        self.http.requests()
    }

    pub(super) fn notices(&mut self) -> Vec<String> {
        std::mem::take(&mut self.notices)
    }

    /// A block, checked, into `out`. Needs no gateway when the identifier holds the data.
    pub(super) fn block(&mut self, cid: &Cid, out: &mut Vec<u8>) -> Done<()> {
        out.clear();
        if let Some(data) = cid.inline() {
            out.extend_from_slice(data);
            return Ok(());
        }
        if let Some(what) = cid.unsupported() {
            return Err(Fault::new(
                Class::Unsupported,
                format!("{cid} uses {what}, which is not supported"),
            ));
        }
        let (text, label) = (cid.to_string(), cid.base32());
        self.each(&format!("block {cid}"), &mut |all, i| {
            let ask = Ask {
                method: "GET",
                space: "ipfs",
                name: (&text, &label),
                rest: "?format=raw",
                accept: RAW_TYPE,
                range: None,
                pace: Pace::Download,
            };
            let mut reply = all.ask(i, &ask)?;
            let html = is_html(&reply);
            fill(&mut reply, out, BLOCK_MAX_BYTES)?;
            if cid.names(out) == Some(true) {
                return Ok(());
            }
            out.clear();
            Err(Outcome::Bad(match html {
                true => "it returned other data: a web page (captive portal?)".to_owned(),
                false => format!("it returned other data for {cid}"),
            }))
        })
    }

    /// An archive of all blocks of a file in the order of reading, unchecked, with the gateway it comes from; `None` when none
    /// gives one.
    pub(super) fn archive(&mut self, cid: &Cid) -> Option<(usize, CarReader<Reply>)> {
        let (text, label) = (cid.to_string(), cid.base32());
        let ask = Ask {
            method: "GET",
            space: "ipfs",
            name: (&text, &label),
            rest: "?format=car&dag-scope=entity&car-version=1&car-order=dfs&car-dups=y",
            accept: CAR_TYPE,
            range: None,
            pace: Pace::Download,
        };
        for i in self.order() {
            let Ok(reply) = self.ask(i, &ask) else {
                continue;
            };
            let kind = reply.header("content-type").unwrap_or("");
            let kind = kind.to_ascii_lowercase().replace(' ', "");
            let good = kind.starts_with("application/vnd.ipld.car")
                && kind.contains("order=dfs")
                && kind.contains("dups=y");
            if good && let Ok(reader) = CarReader::open(reply) {
                return Some((i, reader));
            }
        }
        None
    }

    /// A file of a folder or a `Range` of it, as any gateway gives it: **not checked**.
    pub(super) fn unchecked(
        &mut self,
        folder: &Cid,
        name: &str,
        range: Option<&str>,
    ) -> Done<Reply> {
        let (text, label) = (folder.to_string(), folder.base32());
        let rest = format!("/{}", encode(name));
        let mut found = None;
        self.each(
            &format!("file {}", text::safe(name.as_bytes())),
            &mut |all, i| {
                let ask = Ask {
                    method: "GET",
                    space: "ipfs",
                    name: (&text, &label),
                    rest: &rest,
                    accept: "*/*",
                    range,
                    pace: Pace::Download,
                };
                found = Some(all.ask(i, &ask)?);
                Ok(())
            },
        )?;
        found.ok_or_else(|| Fault::new(Class::NotFound, "not found"))
    }

    /// The records of a name from every gateway that has one, **not checked**; `each` says why one is bad.
    pub(super) fn records(
        &mut self,
        name: &Cid,
        each: &mut dyn FnMut(&[u8]) -> std::result::Result<(), String>,
    ) -> Done<()> {
        let text = name.base36();
        let (mut tally, mut any) = (Tally::default(), false);
        for i in self.order() {
            let ask = Ask {
                method: "GET",
                space: "ipns",
                name: (&text, &text),
                rest: "?format=ipns-record",
                accept: RECORD_TYPE,
                range: None,
                pace: Pace::Short,
            };
            let mut record = Vec::new();
            let got = self.ask(i, &ask).and_then(|mut reply| {
                fill(&mut reply, &mut record, RECORD_MAX_BYTES)?;
                each(&record).map_err(Outcome::Bad)
            });
            match got {
                Ok(()) => any = true,
                Err(outcome) => self.count(i, outcome, &mut tally),
            }
        }
        if any {
            return Ok(());
        }
        Err(self.nobody(&format!("a record of {name}"), tally))
    }

    /// The folder a domain points at, as a gateway says: **cannot be checked**.
    pub(super) fn domain(&mut self, domain: &str) -> Done<Cid> {
        let (path, label) = (encode(domain), domain.replace('-', "--").replace('.', "-"));
        let mut found = None;
        self.each(
            &format!("name {}", text::safe(domain.as_bytes())),
            &mut |all, i| {
                let ask = Ask {
                    method: "HEAD",
                    space: "ipns",
                    name: (&path, &label),
                    rest: "/",
                    accept: "*/*",
                    range: None,
                    pace: Pace::Short,
                };
                let reply = all.ask(i, &ask)?;
                let roots = reply.header("x-ipfs-roots").unwrap_or_default();
                found = roots.rsplit(',').next().and_then(|r| Cid::parse(r.trim()));
                match found {
                    Some(_) => Ok(()),
                    None => Err(Outcome::Absent),
                }
            },
        )?;
        found.ok_or_else(|| Fault::new(Class::NotFound, "not found"))
    }

    /// An archive of this gateway is given up.
    pub(super) fn archive_broken(&mut self, i: usize, why: &str) {
        if let Some(gateway) = self.list.get(i) {
            self.notices.push(format!(
                "an archive from gateway {} cannot be used to its end: {why}; going on block by block",
                shown(&gateway.base)
            ));
        }
    }

    /// Never asks this gateway again.
    pub(super) fn drop_one(&mut self, i: usize, why: String) {
        let Some(gateway) = self.list.get_mut(i) else {
            return;
        };
        if gateway.bad.is_none() {
            let host = shown(&gateway.base);
            self.notices
                .push(format!("gateway {host} is not used any more: {why}"));
            gateway.bad = Some(why);
        }
    }

    /// Asks one after the other until one is good.
    fn each(
        &mut self,
        what: &str,
        ask: &mut dyn FnMut(&mut Gateways, usize) -> std::result::Result<(), Outcome>,
    ) -> Done<()> {
        let mut tally = Tally::default();
        for i in self.order() {
            match ask(self, i) {
                Ok(()) => return Ok(()),
                Err(outcome) => self.count(i, outcome, &mut tally),
            }
        }
        Err(self.nobody(what, tally))
    }

    /// Those that are still asked: first the ones that did not fail lately.
    fn order(&self) -> Vec<usize> {
        let now = Instant::now();
        let mut order: Vec<usize> = (0..self.list.len())
            .filter(|&i| self.list[i].bad.is_none())
            .collect();
        order.sort_by_key(|&i| self.list[i].rest_until.is_some_and(|t| t > now));
        order
    }

    fn count(&mut self, i: usize, outcome: Outcome, tally: &mut Tally) {
        match outcome {
            Outcome::Absent => tally.absent = true,
            Outcome::Bad(why) => self.drop_one(i, why),
            Outcome::Later(fault) => {
                if let Some(gateway) = self.list.get_mut(i) {
                    let asked = match fault.class {
                        Class::Throttled(Some(time)) => time,
                        _ => REST,
                    };
                    gateway.rest_until = Instant::now().checked_add(asked);
                }
                let keep = match (&tally.later, &fault.class) {
                    (None, _) => true,
                    (Some(old), new) => urgency(old.class) < urgency(*new),
                };
                if keep {
                    tally.later = Some(fault);
                }
            }
        }
    }

    /// Why no gateway was of use.
    fn nobody(&self, what: &str, tally: Tally) -> Fault {
        if let Some(fault) = tally.later {
            return fault;
        }
        let bad: Vec<String> = self
            .list
            .iter()
            .filter_map(|g| Some(format!("{}: {}", shown(&g.base), g.bad.as_ref()?)))
            .take(4)
            .collect();
        if bad.is_empty() {
            return Fault::new(Class::NotFound, format!("no gateway has {what}"))
                .hint("is a node online that has it? name further gateways with --ipfs-gateway");
        }
        let rest = if tally.absent {
            ", the others have it not"
        } else {
            ""
        };
        Fault::new(
            Class::Integrity,
            format!("no gateway gives {what} ({}{rest})", bad.join("; ")),
        )
        .hint("name other gateways with --ipfs-gateway")
    }

    /// One question to one gateway, redirects followed; a reply that is no success is an outcome.
    fn ask(&mut self, i: usize, ask: &Ask<'_>) -> std::result::Result<Reply, Outcome> {
        let Some(gateway) = self.list.get(i) else {
            return Err(Outcome::Absent);
        };
        let base = gateway.base.clone();
        let mut url = if base.contains(PLACEHOLDER) {
            let base = match ask.space {
                "ipns" => base.replace("{cid}.ipfs.", "{cid}.ipns."),
                _ => base.clone(),
            };
            let slash = if ask.rest.starts_with('/') { "" } else { "/" };
            format!(
                "{}{slash}{}",
                base.replace(PLACEHOLDER, ask.name.1),
                ask.rest
            )
        } else {
            format!("{base}/{}/{}{}", ask.space, ask.name.0, ask.rest)
        };
        let first = url.clone();
        let token = self.token.as_ref().filter(|_| i == 0);
        let token = token.map(bearer);
        let mut chain = Chain::default();
        loop {
            let mut headers = vec![("accept", ask.accept)];
            if let Some(range) = ask.range {
                headers.push(("range", range));
            }
            if let Some(token) = &token
                && same_origin(&first, &url)
            {
                headers.push(("authorization", token.reveal()));
            }
            let reply = self.http.send(Request {
                method: ask.method,
                url: &url,
                headers: &headers,
                payload: Payload::None,
                pace: ask.pace,
                expect: false,
            });
            let reply = match reply {
                Ok(reply) => reply,
                Err(fault) if fault.class == Class::Protocol => {
                    return Err(Outcome::Bad(fault.text));
                }
                Err(fault) => return Err(Outcome::Later(fault)),
            };
            match (reply.status, reply.location()) {
                (301 | 302 | 303 | 307 | 308, Some(to)) => {
                    let to = chain.follow(&url, &to);
                    url = to.map_err(|f| Outcome::Bad(f.text))?;
                }
                _ => return judge(reply, &base),
            }
        }
    }
}
