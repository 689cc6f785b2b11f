//! Layer 3: one destination made dependable. Retries, resumes, paces, checks names and lengths, masks secrets, and turns a
//! [`Fault`] into the [`Error`] a person reads; the destinations below stay naive.
//!
//! [`Remote`] can only read. [`RemoteMut`] adds what changes the destination and needs a [`Permit`].

mod ahead;
mod at_hand;
mod check;
mod download;
mod flight;
mod folder;
mod list;
mod open;
mod redact;
mod remove;
mod retry;
mod throttle;
mod unreadable;
mod write;

use std::time::{Duration, Instant};

#[cfg(test)]
use crate::base::digest::Algo;
use crate::base::error::{Error, Kind, Result};
use crate::base::fault::{Class, Fault};
use crate::base::opt::Options;
use crate::base::size::show_span;
use crate::base::sys;
use crate::base::text;
#[cfg(test)]
use crate::base::tmp::Spool;
use crate::base::ui::Ui;
#[cfg(test)]
use crate::dest::Listed;
use crate::dest::{Billed, Destination, Quota, RemoteFile, SCHEMES, WantedDigests};
use crate::remote::check::Pace;
use crate::remote::redact::Redact;
use crate::remote::retry::{Attempts, Policy};

pub(crate) use crate::remote::ahead::Meanwhile;
pub(crate) use crate::remote::check::writable_name;
pub(crate) use crate::remote::download::Passed;
pub(crate) use crate::remote::flight::Sending;
pub(crate) use crate::remote::open::OPTIONS;
pub(crate) use crate::remote::remove::Removal;
pub(crate) use crate::remote::write::{Permit, RemoteMut};

/// What to do where a destination has no room.
const FULL_HINT: &str = "free space at the destination";
/// No throttle holds bytes back for longer.
const LONGEST_HELD: Duration = Duration::from_secs(86_400);

/// What went over the wire, all attempts together; `files_*` count successes.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct RemoteStats {
    /// Requests to the server, or operations where there is none.
    pub(crate) calls: u64,
    pub(crate) lists: u64,
    pub(crate) gets: u64,
    pub(crate) puts: u64,
    pub(crate) deletes: u64,
    pub(crate) bytes_up: u64,
    pub(crate) bytes_down: u64,
    pub(crate) files_up: u64,
    pub(crate) files_down: u64,
    pub(crate) retries: u64,
    /// Calls that the service bills.
    pub(crate) billed: Billed,
}

/// A destination that can be read.
pub(crate) struct Remote {
    dest: Box<dyn Destination>,
    shown: String,
    /// Said by the destination, not yet passed on.
    details: Vec<String>,
    notices: Vec<String>,
    warnings: Vec<String>,
    policy: Policy,
    redact: Redact,
    stats: RemoteStats,
    up: Pace,
    down: Pace,
    autocreate: bool,
    verify: bool,
    list_verify: bool,
    /// A file was put or fetched: from now on a missing folder is an accident, not a first use.
    used: bool,
    /// Listed files that could not be read because they are not there.
    absent: u32,
    /// A listed file that is not there is gone: it is not waited for.
    believes_absence: bool,
    /// A file that cannot be read is left out where the destination is well.
    leaves_out: bool,
    /// Such files since the last one that could be read.
    unreadable: u32,
    /// It has answered something, if only with a refusal.
    heard: bool,
    size_unknown_told: bool,
    /// What is missing: folder or bucket, in words and with what to do.
    missing: Option<(String, String)>,
    ahead: ahead::Ahead,
    /// Waits unless more stop signals come than the number given.
    sleep: Box<dyn FnMut(Duration, u32)>,
}

impl Remote {
    /// Opens the destination of a URL; options in the URL beat `options`. Touches no network.
    pub(crate) fn open(url: &str, options: &Options, ui: &mut Ui) -> Result<Remote> {
        let env = |name: &str| std::env::var(name).ok();
        let plan = open::plan(url, options, SCHEMES, &env, ui)?;
        let dest = crate::dest::open(plan.scheme, &plan.url, &plan.options)?;
        if plan.options.flag(&crate::net::opts::SSL_ANY) && plan.scheme.names[0] != "file" {
            ui.note(
                "every certificate is accepted: anybody on the way can read and change the traffic",
            );
        }
        let scheme = plan.scheme.names[0];
        Ok(Remote::with(dest, &plan.options, plan.redact, scheme))
    }

    /// Around a destination that exists already.
    fn with(dest: Box<dyn Destination>, options: &Options, redact: Redact, scheme: &str) -> Remote {
        let unpaced = options.flag(&open::NO_THROTTLE)
            || options.text(&open::NO_THROTTLE_FOR).is_some_and(|list| {
                list.split(',')
                    .any(|s| s.trim().eq_ignore_ascii_case(scheme))
            });
        let rate = |opt| {
            if unpaced {
                0
            } else {
                options.size(opt).unwrap_or(0)
            }
        };
        Remote {
            shown: redact.clean(dest.describe()),
            details: Vec::new(),
            notices: Vec::new(),
            warnings: Vec::new(),
            dest,
            policy: Policy::new(options),
            redact,
            stats: RemoteStats::default(),
            up: Pace::new(rate(&open::THROTTLE_UPLOAD)),
            down: Pace::new(rate(&open::THROTTLE_DOWNLOAD)),
            autocreate: !options.flag(&open::NO_AUTOCREATE),
            verify: !options.flag(&open::NO_VERIFY),
            list_verify: options.flag(&open::LIST_VERIFY),
            used: false,
            absent: 0,
            believes_absence: false,
            leaves_out: false,
            unreadable: 0,
            heard: false,
            size_unknown_told: false,
            missing: None,
            ahead: ahead::Ahead::default(),
            sleep: Box::new(|time, stops| {
                sys::sleep_beyond(time, stops);
            }),
        }
    }

    /// Which folder of which server this is ([`Destination::place`]).
    pub(crate) fn place(&self) -> String {
        self.dest.place()
    }

    /// Who logs in there ([`Destination::account`]).
    pub(crate) fn account(&self) -> String {
        self.dest.account()
    }

    /// False when a missing folder is not to be made.
    pub(crate) fn makes_folders(&self) -> bool {
        self.autocreate
    }

    /// The same with its destination inside another.
    #[cfg(test)]
    pub(crate) fn inside(
        self,
        wrap: impl FnOnce(Box<dyn Destination>) -> Box<dyn Destination>,
    ) -> Remote {
        Remote {
            dest: wrap(self.dest),
            ..self
        }
    }

    /// `scheme://host/path` without user, query or secrets.
    pub(crate) fn describe(&self) -> &str {
        &self.shown
    }

    /// The folder of a destination on this machine.
    pub(crate) fn local_folder(&self) -> Option<std::path::PathBuf> {
        self.dest.local_folder()
    }

    /// What to do instead, where nothing can be written whatever the credentials.
    pub(crate) fn read_only(&self) -> Option<&'static str> {
        self.dest.about().read_only
    }

    /// [`Remote::list_from`] is cheaper than a whole listing.
    pub(crate) fn limits_lists(&self) -> bool {
        self.dest.about().limits_lists
    }

    /// Digests that the destination wants to have of uploads, as far as it knows now.
    pub(crate) fn wants(&self) -> WantedDigests {
        self.dest.about().wants
    }

    pub(crate) fn stats(&self) -> &RemoteStats {
        &self.stats
    }

    /// Free and total space as far as the destination says; never fails.
    pub(crate) fn quota(&mut self) -> Quota {
        self.stats.calls += 1;
        let quota = self.dest.quota().unwrap_or_default();
        self.gather();
        quota
    }

    /// After a listing that found no folder: what is missing, in the destination's own words, as the error of `doing`.
    pub(crate) fn missing(&self, doing: String) -> Error {
        let (cause, hint) = match &self.missing {
            Some((cause, hint)) => (cause.as_str(), hint.as_str()),
            None => ("the folder does not exist", ""),
        };
        let e = Error::new(Kind::Missing, cause).doing(doing);
        match hint {
            "" => e,
            hint => e.hint(hint),
        }
    }

    /// What the next run may begin with; see [`Destination::learnt`].
    pub(crate) fn learnt(&self) -> Option<String> {
        self.dest.learnt()
    }

    /// Takes up what an earlier run learnt.
    pub(crate) fn recall(&mut self, learnt: &str) {
        self.dest.recall(learnt);
    }

    /// From now on a listed file that is not there counts as deleted at once: for who reads for so long that others delete.
    pub(crate) fn believe_absence(&mut self) {
        self.believes_absence = true;
    }

    /// From now on a file that cannot be read, whatever the reason, is [`Kind::Unreadable`] while the destination answers to
    /// anything else: for who reads what can be read. Not for who deletes what does not seem to be there any more.
    pub(crate) fn leave_out_unreadable(&mut self) {
        self.leaves_out = true;
    }

    /// Looks a file up; `None` when it does not exist. `Missing` when its folder or bucket does not.
    pub(crate) fn stat(&mut self, ui: &mut Ui, name: &str) -> Result<Option<RemoteFile>> {
        let doing = format!("look up {} in {}", text::safe(name.as_bytes()), self.shown);
        self.retried(&doing, ui, |dest| match dest.stat(name) {
            Ok(file) => Ok(Some(file)),
            Err(f) if f.class == Class::NotFound => Ok(None),
            Err(f) => Err(f),
        })
    }

    /// One operation with retries.
    fn retried<T>(
        &mut self,
        doing: &str,
        ui: &mut Ui,
        mut operation: impl FnMut(&mut dyn Destination) -> std::result::Result<T, Fault>,
    ) -> Result<T> {
        let mut attempts = Attempts::new(self.policy);
        let stops = sys::stops_requested();
        loop {
            self.stats.calls += 1;
            let begun = Instant::now();
            let result = operation(self.dest.as_mut());
            self.asked(doing, begun, result.as_ref().err(), ui);
            match result {
                Ok(value) => {
                    self.heard = true;
                    return Ok(value);
                }
                Err(fault) => self.again(&mut attempts, fault, doing, stops, ui)?,
            }
        }
    }

    /// After one request: says so at `-vv`, and passes on what the destination noticed.
    fn asked(&mut self, doing: &str, begun: Instant, fault: Option<&Fault>, ui: &mut Ui) {
        ui.request(|| {
            let took = begun.elapsed().as_millis();
            let how = fault.map_or("done", |f| f.text.as_str());
            self.redact.clean(format!("{doing}: {how}, {took} ms"))
        });
        self.tell(ui);
    }

    /// Passes on what the destination noticed.
    fn tell(&mut self, ui: &mut Ui) {
        self.gather();
        for line in std::mem::take(&mut self.details) {
            ui.verbose(&self.redact.clean(line));
        }
        for line in std::mem::take(&mut self.notices) {
            ui.note(&self.redact.clean(line));
        }
        for line in std::mem::take(&mut self.warnings) {
            ui.warn("destination", &self.redact.clean(line));
        }
    }

    /// Takes up what the destination has to say; one on a network knows better how often it asked.
    fn gather(&mut self) {
        let mut said = self.dest.said();
        self.details.append(&mut said.details);
        self.notices.append(&mut said.notices);
        self.warnings.append(&mut said.warnings);
        self.stats.billed = said.billed;
        if let Some(requests) = said.requests {
            self.stats.calls = requests;
        }
    }

    /// Counts a failure and waits, or makes it the final error. `stops` is how many stop signals had come at the start.
    fn again(
        &mut self,
        attempts: &mut Attempts,
        fault: Fault,
        doing: &str,
        stops: u32,
        ui: &mut Ui,
    ) -> Result<()> {
        self.hear(&fault);
        let next = attempts.failed(fault, self.heard);
        self.wait_for(attempts, next, doing, stops, ui)
    }

    /// Notes whether a fault shows that the destination is there.
    fn hear(&mut self, fault: &Fault) {
        self.heard |= self.used
            || !matches!(
                fault.class,
                Class::Refused | Class::NoHost | Class::Transient
            );
    }

    /// Waits for the next attempt, or makes the fault the final error.
    fn wait_for(
        &mut self,
        attempts: &Attempts,
        next: std::result::Result<(Duration, Fault), Fault>,
        doing: &str,
        stops: u32,
        ui: &mut Ui,
    ) -> Result<()> {
        if sys::ends_now() {
            // Whatever the server did: nobody waited for it any more.
            return Err(self.error(Fault::local(sys::stopped()), doing));
        }
        let (wait, fault) = next.map_err(|fault| self.error(fault, doing))?;
        self.stats.retries += 1;
        ui.note(&self.redact.clean(format!(
            "cannot {doing}: {}; trying again in {}, {}",
            fault.text,
            show_span(wait.as_secs()),
            attempts.next_of()
        )));
        self.pause(wait, stops, doing)
    }

    fn pause(&mut self, wait: Duration, stops: u32, doing: &str) -> Result<()> {
        let stopped = || sys::stops_requested() > stops || sys::ends_now();
        if !wait.is_zero() && !stopped() {
            (self.sleep)(wait, stops);
        }
        if stopped() {
            let fault = Fault::new(Class::Stopped, "stopped while waiting to try again");
            return Err(self.error(fault.hint("run it again"), doing));
        }
        Ok(())
    }

    /// The error a final fault becomes.
    fn error(&self, fault: Fault, doing: &str) -> Error {
        let hint = match fault.class {
            Class::Transient | Class::Throttled(_) => "run it again later",
            Class::Refused => "check host and port of the URL, and that the server runs",
            Class::NoHost => "check the host name in the destination URL",
            Class::Auth => "check user name, password and rights",
            Class::FolderMissing => "check the URL, or make the folder first",
            Class::TooBig => "make volumes smaller with --dblock-size",
            Class::Archived => "restore it from cold storage first",
            Class::Full => FULL_HINT,
            _ => "",
        };
        let fault = Fault {
            class: fault.class,
            text: self.redact.clean(fault.text),
            hint: self.redact.clean(fault.hint),
        };
        let fault = if hint.is_empty() {
            fault
        } else {
            fault.hint(hint)
        };
        fault.into_error(doing)
    }
}

#[cfg(all(test, feature = "dest-b2"))]
mod b2_service;
#[cfg(test)]
mod faults;
#[cfg(all(test, feature = "dest-ipfs"))]
mod ipfs_kubo;
#[cfg(test)]
mod live;
#[cfg(all(test, feature = "dest-s3"))]
mod s3_proxies;
#[cfg(all(test, feature = "dest-s3"))]
mod s3_tls;
#[cfg(test)]
mod subject;
#[cfg(test)]
mod tests;
