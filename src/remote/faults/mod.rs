//! What destinations do when servers and lines fail (`destinations-core.md` 9): one table of rows, asked of every destination.
//!
//! A row is a function over a [`Bench`]; a destination is a [`Wire`], which says how its protocol spells what the rows want. What
//! only one service can do wrong is in a file of its own beside them. A destination is added by a file with a `Wire` and one line
//! in `destinations!`; a scheme of the registry without one fails a test.

#[path = "../../../tests/support/faulty.rs"]
pub(super) mod faulty;
#[cfg(feature = "dest-webdav")]
#[path = "../../../tests/support/faulty_dav.rs"]
pub(super) mod faulty_dav;
#[cfg(feature = "dest-ftp")]
#[path = "../../../tests/support/faulty_ftp/mod.rs"]
pub(super) mod faulty_ftp;
#[cfg(feature = "dest-s3")]
#[path = "../../../tests/support/faulty_s3.rs"]
pub(super) mod faulty_s3;
#[cfg(feature = "dest-openstack")]
#[path = "../../../tests/support/faulty_swift.rs"]
pub(super) mod faulty_swift;

mod downloads;
mod lines;
mod listings;
mod redirects;
mod spans;
mod statuses;
mod uploads;

#[cfg(feature = "dest-azure")]
mod azure_only;
#[cfg(feature = "dest-b2")]
mod b2_only;
#[cfg(feature = "dest-box")]
mod boxcom_only;
#[cfg(feature = "dest-drimecloud")]
mod drime_only;
#[cfg(feature = "dest-dropbox")]
mod dropbox_only;
#[cfg(all(feature = "dest-webdav", feature = "dest-s3"))]
mod endless;
#[cfg(feature = "dest-filen")]
mod filen_only;
#[cfg(feature = "dest-ftp")]
mod ftp_only;
#[cfg(feature = "dest-ipfs")]
mod gateways;
#[cfg(feature = "dest-gcs")]
mod gcs_only;
#[cfg(feature = "dest-googledrive")]
mod googledrive_only;
#[cfg(feature = "dest-ipfs")]
mod ipfs_only;
#[cfg(feature = "dest-jottacloud")]
mod jottacloud_only;
#[cfg(feature = "dest-onedrive")]
mod onedrive_only;
#[cfg(feature = "dest-openstack")]
mod openstack_only;
#[cfg(feature = "dest-pcloud")]
mod pcloud_only;
#[cfg(feature = "dest-rclone")]
mod rclone_only;
#[cfg(all(
    feature = "dest-cos",
    feature = "dest-aliyunoss",
    feature = "dest-storj"
))]
mod s3_like_only;
#[cfg(feature = "dest-s3")]
mod s3_only;
#[cfg(feature = "dest-ssh")]
mod ssh_only;
#[cfg(feature = "dest-duplicati")]
mod storage_only;
#[cfg(feature = "dest-tahoe")]
mod tahoe_only;
#[cfg(feature = "dest-webdav")]
mod webdav_only;

use std::net::SocketAddr;
use std::ops::{Deref, DerefMut};

use super::subject::{NAME, Subject, at_once, bytes, fails, refused};
use super::*;
use crate::base::error::Kind;
use faulty::{Seen, Server, Service, Trouble};

pub(super) const MIB: usize = 1 << 20;
/// The password or token in every URL of [`Wire::url`], and how it is written there.
pub(super) const SECRET: &str = "s3cr3t/+value";
pub(super) const SECRET_IN_URL: &str = "s3cr3t%2F%2Bvalue";
/// What no error may show: it in every form, and the tokens that servers give for it.
pub(super) const SECRETS: &[&str] = &[
    SECRET,
    SECRET_IN_URL,
    // It alone, after `KEYID:` and after `user:`.
    "czNjcjN0Lyt2YWx1ZQ==",
    "S0VZSUQ6czNjcjN0Lyt2YWx1ZQ==",
    "dXNlcjpzM2NyM3QvK3ZhbHVl",
    "acct-",
    "up-1",
    // Parts of a capability.
    "sesame",
    "fingerpr2nt",
];

/// What a request is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Verb {
    /// One that comes before all others, such as a log-in, where there is one.
    Login,
    List,
    /// How large one file is.
    Look,
    Get,
    Put,
    Delete,
}

/// A server with faults to come, whatever it serves.
pub(super) trait Line {
    fn address(&self) -> SocketAddr;
    /// The next request of this method whose target holds `part` goes wrong; see [`Server::script`].
    fn script(&self, method: &'static str, part: &'static str, trouble: Trouble);
    /// Nothing goes wrong any more.
    fn calm(&self);
    /// All requests so far.
    fn seen(&self) -> Vec<Seen>;
    /// See [`Service::keep`] and [`Service::kept`].
    fn store(&self, name: &str, data: &[u8]);
    fn file(&self, name: &str) -> Option<Vec<u8>>;
}

impl<S: Service> Line for Server<S> {
    fn address(&self) -> SocketAddr {
        self.address
    }

    fn script(&self, method: &'static str, part: &'static str, trouble: Trouble) {
        Server::script(self, method, part, trouble);
    }

    fn calm(&self) {
        self.state.lock().expect("state").script.clear();
    }

    fn seen(&self) -> Vec<Seen> {
        Server::seen(self, "")
    }

    fn store(&self, name: &str, data: &[u8]) {
        self.with(|service| service.keep(name, data));
    }

    fn file(&self, name: &str) -> Option<Vec<u8>> {
        self.with(|service| service.kept(name))
    }
}

/// How a retried or a final refusal shows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Outcome {
    pub(super) kind: Kind,
    /// The request is made again.
    pub(super) again: bool,
    /// Seconds waited before that, with `retry-delay=0s`.
    pub(super) wait: u64,
}

/// A destination as the table sees it: a good server in memory that goes wrong when told to, and how its protocol is spelt.
pub(super) trait Wire {
    /// The canonical names in the registry that this one stands for.
    fn schemes(&self) -> &'static [&'static str];

    /// The server, where there is one: rows about requests are asked of HTTP only.
    fn line(&self) -> Option<&dyn Line> {
        None
    }

    /// URL of the test's folder at `host:port`, with [`SECRET`] in it and `query` at its end.
    fn url(&self, at: &str, query: &str) -> String;

    fn store(&self, name: &str, data: &[u8]) {
        self.line().expect("a server").store(name, data);
    }

    fn file(&self, name: &str) -> Option<Vec<u8>> {
        self.line().expect("a server").file(name)
    }

    /// The folder, or the bucket, with all that is in it, is gone.
    fn unmake(&self);

    /// Method and part of the target of a request; `None` where there is no such request.
    fn method_of(&self, _verb: Verb) -> Option<(&'static str, &'static str)> {
        None
    }

    /// Body of a refusal as such a server words it.
    fn says(&self, _status: u16, _message: &str) -> String {
        String::new()
    }

    /// What refuses an upload for good beside [`uploads::REFUSALS`]: status, body, and what is said of it.
    fn refusals(&self) -> Vec<Refusal> {
        Vec::new()
    }

    /// The answer to a request for a file that is not there.
    fn absent(&self) -> Trouble {
        Trouble::Answer(404, Vec::new(), self.says(404, ""))
    }

    /// Status, type and body of a whole listing of these files, which may be hostile.
    fn listing(&self, _names: &[&str]) -> (u16, &'static str, String) {
        (0, "", String::new())
    }

    /// Further listings that are no good.
    fn poison(&self) -> Vec<String> {
        Vec::new()
    }

    /// What a refusal with this status means where it means something else than [`statuses`] says.
    fn unlike(&self, _verb: Verb, _status: u16) -> Option<Outcome> {
        None
    }

    /// Queries with which uploads take different ways.
    fn ways(&self) -> &'static [&'static str] {
        &[""]
    }

    /// Requests to look with after an upload whose reply was lost.
    fn looks(&self) -> usize {
        1
    }

    /// Asks with `Expect` before it sends a large body.
    fn expects(&self) -> bool {
        false
    }

    /// A broken upload can leave a part under the final name.
    fn leaves_parts(&self) -> bool {
        false
    }

    /// An upload is looked at after a good reply; else the reply itself is the proof.
    fn looks_after_put(&self) -> bool {
        false
    }

    /// A file that is stored otherwise than it was sent is removed at once.
    fn removes_misstored(&self) -> bool {
        self.looks_after_put()
    }

    /// The header that ties the rest of a file to its beginning.
    fn validator(&self) -> Option<&'static str> {
        None
    }

    /// Where a download was to begin.
    fn offset(&self, request: &Seen) -> u64 {
        let range = request.header("range").unwrap_or("bytes=0-");
        let from = range.trim_start_matches("bytes=").trim_end_matches('-');
        from.parse().expect("a number")
    }

    /// Says where a part of a file begins.
    fn ranges(&self) -> bool {
        self.line().is_some()
    }

    /// A file that is there from the start, where nothing can be stored.
    fn given(&self) -> Option<&'static str> {
        None
    }

    /// Requests for a listing of 20 000 files.
    fn pages(&self) -> usize {
        1
    }

    /// The last page of a listing is one without files.
    fn ends_empty(&self) -> bool {
        false
    }

    /// Troubles after which an upload is stored, but not as it was sent.
    fn misstated(&self) -> Vec<(Verb, Trouble)> {
        Vec::new()
    }

    /// Redirects are followed at the same server, and downloads also to others.
    fn follows(&self) -> (bool, bool) {
        (true, false)
    }

    /// Part of what is said of a web page in place of an answer.
    fn portal(&self, _verb: Verb) -> &'static str {
        ""
    }

    /// Part of what is said of a listing that is not whole.
    fn incomplete(&self) -> &'static str {
        "listing incomplete"
    }
}

/// Status and body of a refusal, its kind, and words that are said of it.
pub(super) type Refusal = (u16, String, Kind, &'static str);

/// Starts a server.
pub(super) type Start = fn() -> Box<dyn Wire>;

/// A destination opened at its server.
pub(super) struct Bench {
    pub(super) wire: Box<dyn Wire>,
    pub(super) subject: Subject,
}

impl Bench {
    pub(super) fn open(start: Start, query: &str) -> Bench {
        Bench::of(start(), query)
    }

    pub(super) fn of(wire: Box<dyn Wire>, query: &str) -> Bench {
        let at = wire.line().map(|l| l.address().to_string());
        let url = wire.url(&at.unwrap_or_default(), query);
        let subject = Subject::open(&url, SECRETS);
        Bench { wire, subject }
    }

    pub(super) fn line(&self) -> &dyn Line {
        self.wire.line().expect("a row of servers")
    }

    /// The next request for this goes wrong.
    pub(super) fn script(&self, verb: Verb, trouble: Trouble) {
        let (method, part) = self.wire.method_of(verb).expect("a request");
        self.line().script(method, part, trouble);
    }

    /// The next `times` requests for this go wrong in the same way.
    pub(super) fn scripts(&self, times: usize, verb: Verb, trouble: &Trouble) {
        for _ in 0..times {
            self.script(verb, trouble.clone());
        }
    }

    /// A refusal in the words of the service.
    pub(super) fn no(&self, status: u16) -> Trouble {
        Trouble::Answer(status, Vec::new(), self.wire.says(status, ""))
    }

    /// A listing of these files in place of the true one.
    pub(super) fn lists(&self, names: &[&str]) -> Trouble {
        let (status, kind, body) = self.wire.listing(names);
        page(status, kind, &body)
    }

    /// Requests so far for this.
    pub(super) fn asked(&self, verb: Verb) -> Vec<Seen> {
        let (method, part) = self.wire.method_of(verb).expect("a request");
        let mut seen = self.line().seen();
        seen.retain(|s| s.method == method && faulty::fits(&s.target, part));
        seen
    }

    pub(super) fn count(&self, verb: Verb) -> usize {
        self.asked(verb).len()
    }

    /// A stored file that downloads get, of this length.
    pub(super) fn stored(&self, len: usize) -> Vec<u8> {
        let data = bytes(len);
        self.wire.store(NAME, &data);
        data
    }

    /// Uploads so far, without questions how far one is.
    pub(super) fn puts(&self) -> Vec<Seen> {
        let mut puts = self.asked(Verb::Put);
        puts.retain(|put| !put.holds("content-range", "*/"));
        puts
    }

    pub(super) fn file(&self) -> Option<Vec<u8>> {
        self.wire.file(NAME)
    }

    /// Does what the verb says.
    pub(super) fn act(&mut self, verb: Verb) -> Result<()> {
        match verb {
            Verb::List => self.subject.list().map(drop),
            Verb::Put => self.subject.put(b"other bytes"),
            Verb::Delete => self.subject.delete(),
            Verb::Look => self.subject.stat(NAME).map(drop),
            Verb::Login | Verb::Get => self.subject.get(NAME, None).map(drop),
        }
    }
}

impl Deref for Bench {
    type Target = Subject;

    fn deref(&self) -> &Subject {
        &self.subject
    }
}

impl DerefMut for Bench {
    fn deref_mut(&mut self) -> &mut Subject {
        &mut self.subject
    }
}

/// A destination at a server of its own, for what only one service does wrong.
pub(super) struct Special<S> {
    pub(super) server: Server<S>,
    /// Further ones that serve the same.
    pub(super) others: Vec<Server<S>>,
    subject: Subject,
}

impl<S: Service> Special<S> {
    pub(super) fn at(server: Server<S>, url: &str) -> Special<S> {
        Special {
            server,
            others: Vec::new(),
            subject: Subject::open(url, SECRETS),
        }
    }

    pub(super) fn with<T>(&self, act: impl FnOnce(&mut S) -> T) -> T {
        self.server.with(act)
    }

    pub(super) fn store(&self, name: &str, data: &[u8]) {
        Line::store(&self.server, name, data);
    }

    /// A stored file that downloads get, of this length.
    pub(super) fn stored(&self, len: usize) -> Vec<u8> {
        self.store(NAME, &bytes(len));
        bytes(len)
    }

    pub(super) fn file(&self) -> Option<Vec<u8>> {
        Line::file(&self.server, NAME)
    }

    /// The next request of this method whose target holds `part` goes wrong.
    pub(super) fn script(&self, method: &'static str, part: &'static str, trouble: Trouble) {
        self.server.script(method, part, trouble);
    }

    /// The next `times` requests go wrong in the same way.
    pub(super) fn scripts(
        &self,
        times: usize,
        method: &'static str,
        part: &'static str,
        trouble: &Trouble,
    ) {
        for _ in 0..times {
            self.server.script(method, part, trouble.clone());
        }
    }

    /// Requests so far of this method, or of any when it is empty, whose target holds `part`.
    pub(super) fn asked(&self, method: &str, part: &str) -> Vec<Seen> {
        let mut seen = self.server.seen(part);
        seen.retain(|s| method.is_empty() || s.method == method);
        seen
    }

    pub(super) fn count(&self, method: &str, part: &str) -> usize {
        self.asked(method, part).len()
    }

    /// Methods of the requests so far whose target holds `part`, in their order.
    pub(super) fn methods(&self, part: &str) -> String {
        let seen = self.server.seen(part);
        let methods: Vec<&str> = seen.iter().map(|s| s.method.as_str()).collect();
        methods.join(" ")
    }
}

impl<S> Deref for Special<S> {
    type Target = Subject;

    fn deref(&self) -> &Subject {
        &self.subject
    }
}

impl<S> DerefMut for Special<S> {
    fn deref_mut(&mut self) -> &mut Subject {
        &mut self.subject
    }
}

/// A page of a web server.
pub(super) fn page(status: u16, kind: &str, body: &str) -> Trouble {
    let kind = vec![("content-type", kind.to_owned())];
    Trouble::Answer(status, kind, body.to_owned())
}

/// A page that wants a log-in.
pub(super) fn login_page(status: u16) -> Trouble {
    page(status, "text/html", "<html><title>Log in</title>")
}

pub(super) fn answer(status: u16) -> Trouble {
    reply(status, "")
}

pub(super) fn reply(status: u16, body: impl Into<String>) -> Trouble {
    Trouble::Answer(status, Vec::new(), body.into())
}

/// An answer without a body, with one line in its head.
pub(super) fn headed(status: u16, name: &'static str, value: &str) -> Trouble {
    Trouble::Answer(status, vec![(name, value.to_owned())], String::new())
}

/// A refusal that asks to wait.
pub(super) fn later(status: u16, seconds: &str) -> Trouble {
    headed(status, "retry-after", seconds)
}

/// Sends elsewhere.
pub(super) fn moved(to: &str) -> Trouble {
    headed(307, "location", to)
}

/// The table: the rows for a destination over HTTP, and those for a folder of this machine.
macro_rules! rows {
    ($start:path; $($group:ident: $($row:ident)*;)*) => {
        $($(#[test]
        fn $row() {
            super::super::$group::$row($start);
        })*)*
    };
    (local $start:path) => {
        rows! { $start;
            uploads: what_must_be_new_replaces_nothing a_second_upload_replaces_the_first
                folders_are_made_by_uploads;
            downloads: files_that_are_not_what_was_listed files_that_are_gone;
            listings: hostile_names long_listings limited_listings;
        }
        rows! { given $start }
    };
    (given $start:path) => {
        rows! { $start;
            spans: a_span_is_exactly_the_bytes_asked_for a_span_of_a_file_that_is_not_there_is_missing;
        }
    };
    (broken $start:path) => {
        rows! { $start;
            spans: what_stands_before_a_span_is_sent_and_no_more another_part_is_never_taken_for_the_span
                a_span_that_breaks_off_is_gone_on_with;
        }
    };
    // A program of this machine lists the files and carries them over HTTP.
    (served $start:path) => {
        rows! { local $start }
        rows! { broken $start }
        rows! { $start;
            uploads: uploads_that_break lost_replies_are_no_second_upload answers_before_the_body refusals_in_mid_upload;
            downloads: downloads_that_break ranges_that_are_ignored silent_downloads slow_downloads;
            lines: connections_closed_while_idle;
            statuses: the_table_of_statuses;
        }
    };
    (http $start:path) => {
        rows! { local $start }
        rows! { broken $start }
        rows! { $start;
            spans: parts_of_two_files_are_never_put_together;
            uploads: uploads_that_break lost_replies_are_no_second_upload answers_before_the_body
                refusals_in_mid_upload refused_expectations ignored_expectations uploads_that_do_not_show;
            downloads: downloads_that_break ranges_that_are_ignored compressed_replies silent_downloads slow_downloads
                files_absent_for_a_moment files_replaced_meanwhile;
            listings: listings_that_are_cut_or_poisoned portals listings_that_trickle_without_end
                heads_that_are_too_long;
            lines: connections_closed_while_idle dead_servers_and_unknown_hosts refusals_that_drip;
            redirects: redirects_are_followed redirects_that_lead_nowhere logins_stay_where_they_are;
            statuses: the_table_of_statuses servers_that_say_how_long_to_wait;
        }
    };
}

/// The rows about downloads, for destinations whose files can be asked for before they are wanted.
macro_rules! ahead {
    ($start:path) => {
        ahead! { $start;
            downloads: downloads_that_break ranges_that_are_ignored compressed_replies silent_downloads slow_downloads
                files_absent_for_a_moment files_replaced_meanwhile files_that_are_not_what_was_listed files_that_are_gone;
            redirects: redirects_are_followed redirects_that_lead_nowhere logins_stay_where_they_are;
            statuses: the_table_of_statuses servers_that_say_how_long_to_wait;
        }
    };
    (own $of:ident: $($row:ident)*) => {
        $(#[test]
        fn $row() {
            super::super::super::subject::asked_ahead(super::super::$of::$row);
        })*
    };
    ($start:path; $($group:ident: $($row:ident)*;)*) => {
        $($(#[test]
        fn $row() {
            super::super::super::subject::asked_ahead(|| super::super::$group::$row($start));
        })*)*
    };
}

macro_rules! all_ahead {
    ($($feature:literal $name:ident)*) => {
        $(#[cfg(feature = $feature)]
        mod $name {
            ahead!(super::super::$name::start);
        })*
    };
}

/// What is true of a download that is wanted now is true of one that is asked for ahead.
mod ahead {
    all_ahead! {
        "dest-s3" s3 "dest-webdav" webdav "dest-b2" b2 "dest-azure" azure "dest-gcs" gcs "dest-openstack" openstack
        "dest-onedrive" onedrive "dest-dropbox" dropbox "dest-box" boxcom "dest-googledrive" googledrive
        "dest-jottacloud" jottacloud "dest-duplicati" storage "dest-ipfs" ipfs
    }

    #[cfg(feature = "dest-rclone")]
    mod rclone {
        ahead! { super::super::rclone::start;
            downloads: downloads_that_break ranges_that_are_ignored silent_downloads slow_downloads
                files_that_are_not_what_was_listed files_that_are_gone;
            statuses: the_table_of_statuses;
        }
    }

    #[cfg(feature = "dest-ipfs")]
    mod unchecked_gateway {
        ahead! { super::super::gateways::unchecked;
            downloads: downloads_that_break ranges_that_are_ignored;
        }
    }

    #[cfg(feature = "dest-ftp")]
    mod ftp {
        ahead! { super::super::ftp::start;
            downloads: files_that_are_not_what_was_listed files_that_are_gone;
        }
        ahead! { own ftp_only:
            servers_of_every_kind downloads_and_uploads_that_break what_is_gone_on_with_is_not_sent_again
            bytes_never_come_to_the_wrong_place silence_has_an_end tls_of_every_kind tls_that_goes_wrong
        }
    }

    #[cfg(feature = "dest-ssh")]
    mod ssh {
        ahead! { super::super::ssh::start;
            downloads: files_that_are_not_what_was_listed files_that_are_gone;
        }
        ahead! { own ssh_only:
            children_that_end_in_mid_transfer a_child_that_is_gone_while_nothing_is_asked_is_no_failure
            replies_in_any_order_and_of_any_length replies_that_cannot_be a_child_that_says_nothing_is_ended
        }
    }
}

/// The rows about uploads, for destinations that can send them on their way.
macro_rules! flights {
    ($start:path) => {
        flights! { $start;
            uploads: uploads_that_break lost_replies_are_no_second_upload answers_before_the_body
                refusals_in_mid_upload refused_expectations ignored_expectations uploads_that_do_not_show
                a_second_upload_replaces_the_first;
            redirects: redirects_are_followed redirects_that_lead_nowhere logins_stay_where_they_are;
            statuses: the_table_of_statuses servers_that_say_how_long_to_wait;
        }
    };
    (own $of:ident: $($row:ident)*) => {
        $(#[test]
        fn $row() {
            super::super::super::subject::flying(super::super::$of::$row);
        })*
    };
    ($start:path; $($group:ident: $($row:ident)*;)*) => {
        $($(#[test]
        fn $row() {
            super::super::super::subject::flying(|| super::super::$group::$row($start));
        })*)*
    };
}

/// What is true of an upload that is waited for is true of one that is sent on its way.
mod on_their_way {
    #[cfg(feature = "dest-s3")]
    mod s3 {
        flights!(super::super::s3::start);
    }

    #[cfg(feature = "dest-webdav")]
    mod webdav {
        flights!(super::super::webdav::start);
        flights!(super::super::webdav::start; uploads: folders_are_made_by_uploads;);
    }

    #[cfg(feature = "dest-b2")]
    mod b2 {
        flights!(super::super::b2::start);
    }

    #[cfg(feature = "dest-azure")]
    mod azure {
        flights!(super::super::azure::start);
    }

    #[cfg(feature = "dest-gcs")]
    mod gcs {
        flights!(super::super::gcs::start);
    }

    #[cfg(feature = "dest-openstack")]
    mod openstack {
        flights!(super::super::openstack::start);
    }

    #[cfg(feature = "dest-ftp")]
    mod ftp {
        flights! { super::super::ftp::start;
            uploads: a_second_upload_replaces_the_first folders_are_made_by_uploads;
        }
        flights! { own ftp_only:
            servers_of_every_kind folders_are_made_and_missed downloads_and_uploads_that_break
            refusals_and_what_they_mean
            what_fails_for_a_moment_is_not_missing_and_costs_no_file writes_that_fail_on_the_server_are_for_want_of_space
            tls_of_every_kind tls_that_goes_wrong uploads_without_renaming
            own_leftovers_go_with_the_next_conversation leftovers_of_killed_runs_go_after_a_day
        }
    }

    #[cfg(feature = "dest-rclone")]
    mod rclone {
        flights! { super::super::rclone::start;
            uploads: uploads_that_break lost_replies_are_no_second_upload answers_before_the_body
                refusals_in_mid_upload a_second_upload_replaces_the_first folders_are_made_by_uploads;
            statuses: the_table_of_statuses;
        }
        flights!(own rclone_only: a_helper_that_ends_is_started_anew);
    }

    #[cfg(feature = "dest-ssh")]
    mod ssh {
        flights! { super::super::ssh::start;
            uploads: a_second_upload_replaces_the_first folders_are_made_by_uploads;
        }
        flights! { own ssh_only:
            a_server_may_look_before_it_has_closed
            children_that_end_in_mid_transfer every_request_of_an_upload_can_break_or_be_refused
            own_leftovers_go_with_the_next_conversation a_full_disk_is_final_and_leaves_nothing
            servers_that_cannot_replace lost_replies_are_no_second_file
        }
    }
}

macro_rules! destinations {
    ($($feature:literal $name:ident $kind:ident;)*) => {
        $(#[cfg(feature = $feature)] pub(super) mod $name;)*

        static STARTS: &[Start] = &[$(#[cfg(feature = $feature)] $name::start),*];

        mod table {
            $(#[cfg(feature = $feature)] mod $name { rows!($kind super::super::$name::start); })*
        }
    };
}

destinations! {
    "dest-file" file local;
    "dest-s3" s3 http;
    "dest-cos" cos http;
    "dest-aliyunoss" aliyunoss http;
    "dest-storj" storj http;
    "dest-openstack" openstack http;
    "dest-webdav" webdav http;
    "dest-b2" b2 http;
    "dest-azure" azure http;
    "dest-gcs" gcs http;
    "dest-onedrive" onedrive http;
    "dest-googledrive" googledrive http;
    "dest-dropbox" dropbox http;
    "dest-jottacloud" jottacloud http;
    "dest-box" boxcom http;
    "dest-pcloud" pcloud http;
    "dest-tahoe" tahoe http;
    "dest-filen" filen http;
    "dest-drimecloud" drime http;
    "dest-duplicati" duplicati http;
    "dest-duplicati" storage http;
    "dest-ipfs" ipfs http;
    "dest-ftp" ftp local;
    "dest-ssh" ssh local;
    "dest-rclone" rclone served;
}

/// Gateways of IPFS take nothing: of the rows they have those about spans.
#[cfg(feature = "dest-ipfs")]
mod gateway {
    mod blocks {
        rows!(given super::super::gateways::blocks);
    }

    mod archives {
        rows!(given super::super::gateways::archives);
    }

    mod unchecked {
        rows!(given super::super::gateways::unchecked);
        rows!(broken super::super::gateways::unchecked);
    }
}

#[test]
fn every_scheme_of_the_registry_has_its_faults() {
    let wires: Vec<Box<dyn Wire>> = STARTS.iter().map(|start| start()).collect();
    for scheme in crate::dest::SCHEMES {
        let name = scheme.names[0];
        let has = wires.iter().any(|w| w.schemes().contains(&name));
        assert!(has, "no Wire for {name}: add one to `destinations!`");
    }
}
