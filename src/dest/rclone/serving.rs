//! The helper: one rclone that answers requests over HTTP on this machine's loopback, with a log-in that is made for it alone.
//!
//! `rclone serve restic` stores any flat name as it is; only `data/…` means something else to it.

use std::net::SocketAddr;
use std::time::Duration;

use crate::base::bytes::base64;
use crate::base::error::io_text;
use crate::base::fault::{Class, Done, Fault};
use crate::base::rand;
use crate::base::secret::Secret;
use crate::base::sys::Tcp;
use crate::dest::rclone::config::Setup;
use crate::dest::rclone::run::Run;
use crate::dest::rclone::told;
use crate::dest::{Body, Flight};
use crate::net::http::{Http, Pace, Reply, Request};
use crate::net::service::call::{Call, Login, Service, Signed};
use crate::net::service::{Content, Dialect, Form, Verb};
use crate::net::url::encode;

/// Method of an upload.
const PUT: &str = "POST";
/// Longest wait for the first connection.
const REACHED_WITHIN: Duration = Duration::from_secs(10);
const OUT_OF_REACH: &str = "the helper of rclone cannot be reached on this machine's loopback";

static DIALECT: Dialect = Dialect {
    form: Form::Json("code", "error"),
    who: "rclone",
    rules: &[],
    words: &[],
};

/// The log-in of the helper.
struct Basic(Secret);

impl Login for Basic {
    fn sign(&mut self, _: &mut Http, _: &Request<'_>, _: u64) -> Done<Signed> {
        Ok(vec![("authorization", self.0.duplicate())])
    }
}

fn request<'c>(
    verb: Verb,
    method: &'static str,
    url: String,
    content: Content<'c>,
) -> Call<'static, 'c> {
    let pace = match verb {
        Verb::Put => Pace::Upload,
        _ => Pace::Short,
    };
    Call {
        verb,
        method,
        url,
        headers: &[("content-type", "application/octet-stream")],
        content,
        pace,
    }
}

/// A helper with the way to it.
pub(super) struct Serving {
    /// A file was sent on its way, and nothing was asked since: what came of it is still to be heard, also from one that has ended.
    pub(super) launched: bool,
    pub(super) run: Run,
    pub(super) service: Service,
    address: String,
}

impl Serving {
    pub(super) fn start(setup: &Setup) -> Done<Serving> {
        let random = || rand::hex::<16>().map_err(|e| Fault::new(Class::Local, e.to_string()));
        let (user, password) = (random()?, random()?);
        let login = Secret::new(format!(
            "Basic {}",
            base64(format!("{user}:{password}").as_bytes())
        ));
        let more = [("RCLONE_USER", user), ("RCLONE_PASS", password)];
        let words = [
            "serve",
            "restic",
            "--addr",
            "127.0.0.1:0",
            "--cache-objects=false",
        ];
        let limits = (setup.short, Some(setup.short));
        let mut run = Run::start(setup, &words, &setup.target, &more, limits)?;
        let address = loop {
            let there = run.hear()?;
            if let Some(address) = address(&run.errors) {
                break address;
            }
            if !there {
                let status = run.end();
                return Err(told::refusal(setup, Verb::Login, status, &run.errors));
            }
        };
        // Where loopback is closed, nobody waits for it.
        let place = address.trim_start_matches("http://").parse::<SocketAddr>();
        if let Ok(place) = place
            && let Err(e) = Tcp::connect(&place, Some(REACHED_WITHIN))
        {
            let text = format!("{OUT_OF_REACH}: {}", io_text(&e));
            return Err(Fault::new(Class::Unsupported, text));
        }
        let http = Http::new(&setup.http).map_err(|e| Fault::new(Class::Usage, e.to_string()))?;
        Ok(Serving {
            launched: false,
            run,
            service: Service::new(http, &DIALECT, Box::new(Basic(login))),
            address,
        })
    }

    pub(super) fn url(&self, name: &str) -> String {
        format!("{}/{}", self.address, encode(name))
    }

    pub(super) fn call(
        &mut self,
        verb: Verb,
        method: &'static str,
        name: &str,
        content: Content<'_>,
    ) -> Done<Reply> {
        let call = request(verb, method, self.url(name), content);
        self.service.call(call)
    }

    pub(super) fn put(&mut self, name: &str, body: &mut dyn Body) -> Done<Reply> {
        self.call(Verb::Put, PUT, name, Content::whole(body))
    }

    /// Sends a file on its way: the next [`Serving::put`] of it takes the answer.
    pub(super) fn launch(&mut self, name: &str, body: &mut dyn Body) -> Option<Box<dyn Flight>> {
        let call = request(Verb::Put, PUT, self.url(name), Content::whole(body));
        let flight = self.service.launch(call)?;
        self.launched = true;
        Some(flight)
    }

    /// What came of a request, with rclone's own words where it said any.
    pub(super) fn judge<T>(&mut self, done: Done<T>) -> Done<T> {
        let fault = match done {
            Ok(done) => {
                self.run.errors.clear();
                return Ok(done);
            }
            Err(fault) => fault,
        };
        if matches!(fault.class, Class::Local | Class::Stopped | Class::Endless) {
            return Err(fault);
        }
        self.run.listen();
        let line = told::line(&std::mem::take(&mut self.run.errors));
        if !self.run.lives() {
            let mut text = told::ended(self.run.end());
            if !line.is_empty() {
                text = format!("{text}: {line}");
            }
            return Err(Fault::new(Class::Transient, text));
        }
        Err(match line.is_empty() || fault.class == Class::NotFound {
            true => fault,
            false => told::fault(&line, fault.class),
        })
    }
}

/// True when rclone says that it has no such command or may not listen, or when what it listens on is out of reach.
pub(super) fn cannot_serve(fault: &Fault) -> bool {
    let words = ["unknown command", "listen tcp", "bind:", OUT_OF_REACH];
    words.iter().any(|word| fault.text.contains(word))
}

/// The address that the helper says: `… Serving restic REST API on http://127.0.0.1:PORT/`, newer ones with brackets around it.
fn address(errors: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(errors);
    let (_, rest) = text.split_once("Serving restic")?;
    let at = rest.find("http://")?;
    let end = rest[at..].find(['\n', '\r', ']', ' '])?;
    Some(rest[at..at + end].trim_end_matches('/').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_two_rclones() {
        let old = "2026/11/28 17:32:30 NOTICE: Config file \"/c\" not found - using defaults\n2026/11/28 17:32:30 NOTICE: x: Serving restic REST API on http://127.0.0.1:40049/\n";
        let new =
            "2026/11/28 17:32:34 NOTICE: x: Serving restic REST API on [http://127.0.0.1:42273/]\n";
        assert_eq!(
            address(old.as_bytes()).as_deref(),
            Some("http://127.0.0.1:40049")
        );
        assert_eq!(
            address(new.as_bytes()).as_deref(),
            Some("http://127.0.0.1:42273")
        );
        // It may come in pieces.
        for cut in 0..old.len() {
            assert!(address(&old.as_bytes()[..cut]).is_none(), "{cut}");
        }
    }
}
