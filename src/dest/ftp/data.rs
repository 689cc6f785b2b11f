//! Data connections: each transfer has one of its own, and a reply at its end.

use std::io;
use std::net::SocketAddr;

use super::line::{Sock, Stream};
use super::refusal;
use super::session::Session;
use super::wire::{Reply, epsv_port, pasv_port};
use crate::base::fault::{Class, Done, Fault};
use crate::dest::folders::{self, Verb, Wait};

impl Session {
    /// What a refusal means; notes when older TLS may help.
    pub(super) fn refuse(&mut self, verb: Verb, reply: &Reply) -> Fault {
        let unresumed = reply.code == 522
            || matches!(reply.code, 425 | 426 | 450)
                && reply.says(&["reuse", "resum", "operation not permitted"]);
        if unresumed && self.cover.is_some() {
            let is_new = self.control.stream().is_ok_and(|s| s.is_tls13());
            self.wants_tls12 = is_new && self.setup.tls12.is_some();
            let words = folders::words(&reply.said());
            let text = format!("the server refuses TLS on data connections{words}");
            return Fault::new(Class::Tls, text)
                .hint("switch off on the server that data connections must resume the session");
        }
        // Every server reads and lists: where it says that it does not, it has failed.
        let knows = match verb {
            Verb::Get | Verb::List => true,
            Verb::Put if self.setup.stored.get() => true,
            _ => reply.code == 500,
        };
        let fault = refusal::refusal(verb, reply, &self.shown(), knows);
        if reply.code >= 500 && fault.class == Class::Transient {
            self.give_up();
        }
        fault
    }

    /// A data connection, not yet covered, to where the server listens for it: always the host that we talk to.
    fn passive(&mut self) -> Done<Sock> {
        let pasv_first = self.offers.pasv_first;
        let (mut odd, mut failed) = (None, None);
        for pasv in [pasv_first, !pasv_first] {
            let reply = self.call(if pasv { "PASV" } else { "EPSV" })?;
            let port = match pasv {
                true => pasv_port(reply.message()),
                false => epsv_port(reply.message()),
            };
            let Some(port) = port.filter(|_| reply.is_good()) else {
                odd = Some(reply);
                continue;
            };
            let wait = Wait::short(self.setup.times.short);
            match Sock::connect(SocketAddr::new(self.peer, port), wait) {
                Ok(sock) => {
                    self.offers.pasv_first = pasv;
                    return Ok(sock);
                }
                Err(e) => {
                    let mut fault = refusal::failed(&self.setup, &e, true);
                    fault.class = Class::Transient;
                    fault.text = format!("data connection to port {port} failed: {}", fault.text);
                    failed = Some(fault.hint(
                        "are the passive ports of the server open in its firewall and its router?",
                    ));
                }
            }
        }
        Err(match (failed, odd) {
            (Some(fault), _) => fault,
            (None, Some(reply)) if reply.is_good() => self.garbled(&reply),
            (None, Some(reply)) => self.refuse(Verb::Get, &reply),
            (None, None) => Fault::new(Class::Protocol, "no data connection"),
        })
    }

    /// Begins a transfer: the data connection, or the refusal. `from`: where a download begins, with `REST`.
    pub(super) fn begin_transfer(
        &mut self,
        command: &str,
        from: u64,
    ) -> Done<Result<Stream, Reply>> {
        let mut sock = self.passive()?;
        if from > 0 {
            let reply = self.call(&format!("REST {from}"))?;
            if reply.code != 350 {
                return Ok(Err(reply));
            }
        }
        let reply = self.call(command)?;
        if reply.code / 100 != 1 {
            if reply.is_good() {
                return Err(self.garbled(&reply));
            }
            return Ok(Err(reply));
        }
        sock.bound(Wait::short(self.setup.times.short));
        let Some(cover) = &self.cover else {
            return Ok(Ok(Stream::Plain(sock)));
        };
        match Stream::covered(sock, cover) {
            Ok(stream) => Ok(Ok(stream)),
            Err(e) => Err(self.blame(Verb::Get, &e)),
        }
    }

    /// Why a data connection failed: the server may say.
    pub(super) fn blame(&mut self, verb: Verb, e: &io::Error) -> Fault {
        let wait = Wait::short(self.setup.times.short);
        let own = refusal::failed(&self.setup, e, true);
        match self.reply(wait) {
            Ok(reply) if reply.code >= 400 => self.refuse(verb, &reply),
            // Whatever it thinks that it did, it did not.
            Ok(_) => own,
            Err(_) if own.class == Class::Tls => own,
            Err(fault) => fault,
        }
    }

    /// The end of a transfer.
    pub(super) fn end_transfer(&mut self, verb: Verb, wait: Wait) -> Done<Reply> {
        let reply = self.reply(wait)?;
        match reply.is_good() {
            true => Ok(reply),
            false => Err(self.refuse(verb, &reply)),
        }
    }
}
