//! One WebDAV request with what a server can ask for in return: a login, another address.
//!
//! Credentials go to the origin of the URL only. Nothing is retried but what the server asks to be repeated.

use crate::base::error::Result;
use crate::base::fault::{Class, Done, Fault};
use crate::base::opt::Options;
use crate::base::text;
use crate::dest::Flight;
use crate::dest::webdav::auth::{Auth, Verdict};
use crate::dest::webdav::config::Login;
use crate::net::http::{Http, Pace, Payload, Reply, Request};
use crate::net::redirect::{Chain, foreign, host_and_port, same_origin, split};
use crate::net::service::Content;

/// Answers to `401` for one request.
const LOGINS_MAX: u8 = 3;

/// A request before it is authorised.
pub(super) struct Call<'a> {
    pub(super) method: &'static str,
    pub(super) url: String,
    /// Lower-case names.
    pub(super) headers: &'a [(&'a str, &'a str)],
    pub(super) content: Content<'a>,
    pub(super) pace: Pace,
}

impl<'a> Call<'a> {
    pub(super) fn new(method: &'static str, url: String) -> Call<'a> {
        Call {
            method,
            url,
            headers: &[],
            content: Content::None,
            pace: Pace::Short,
        }
    }
}

/// A reply, and the address that gave it.
pub(super) struct Answer {
    pub(super) reply: Reply,
    pub(super) url: String,
}

/// Connection, login and what was learnt about the server.
pub(super) struct Client {
    http: Http,
    auth: Auth,
    /// Address of the folder, with a slash at its end; follows lasting redirects.
    pub(super) base: String,
}

impl Client {
    pub(super) fn new(base: String, login: Login, options: &Options) -> Result<Client> {
        let mut http = Http::new(options)?;
        let auth = Auth::new(login);
        if auth.is_digest() {
            http.expect_from(1);
        }
        Ok(Client { http, auth, base })
    }

    /// Requests sent so far.
    pub(super) fn requests(&self) -> u64 {
        self.http.requests()
    }

    /// True when a body should wait for the answer to a small request.
    pub(super) fn wants_question(&self) -> bool {
        self.auth.wants_question(!self.http.can_expect())
    }

    /// The reply, whatever its status but a `401` that can be answered and a redirect that can be followed.
    pub(super) fn call(&mut self, mut call: Call<'_>) -> Done<Answer> {
        let mut chain = Chain::default();
        let mut logins = 0;
        let mut lasting = true;
        let mut url = std::mem::take(&mut call.url);
        let first = url.clone();
        loop {
            let home = same_origin(&url, &self.base);
            let mut reply = self.once(&url, &mut call, home)?;
            if reply.status == 401 && home {
                logins += 1;
                match self.auth.challenged(&reply, url.starts_with("https:")) {
                    Verdict::Again if logins <= LOGINS_MAX => {
                        if self.auth.is_digest() {
                            self.http.expect_from(1);
                        }
                        reply.finish()?;
                        continue;
                    }
                    Verdict::Again => {
                        return Err(Fault::new(Class::Auth, "the server never accepts a login"));
                    }
                    Verdict::Refused(fault) => return Err(fault),
                }
            }
            if home {
                self.auth.accepted(&reply);
            } else if reply.status == 401 {
                return Err(elsewhere(&url));
            }
            let location = match reply.status {
                301 | 302 | 307 | 308 => reply.location(),
                303 if call.method == "GET" => reply.location(),
                _ => None,
            };
            let Some(location) = location else {
                if let Some(base) = moved(&first, &url, &self.base).filter(|_| lasting) {
                    self.base = base;
                }
                return Ok(Answer { reply, url });
            };
            let to = chain.follow(&url, &location)?;
            if !same_origin(&to, &self.base) && call.method != "GET" {
                return Err(moved_away(&to, &self.base));
            }
            lasting &= matches!(reply.status, 301 | 308);
            reply.finish()?;
            url = to;
        }
    }

    /// Gives a call below the folder out of hand: see [`Content::launch`].
    pub(super) fn launch(&mut self, call: Call<'_>) -> Option<Box<dyn Flight>> {
        let authorization = self.authorization(&call.url, call.method);
        let mut headers = call.headers.to_vec();
        headers.extend(authorization.iter().map(|a| ("authorization", a.as_str())));
        let request = Request {
            method: call.method,
            url: &call.url,
            headers: &headers,
            payload: Payload::None,
            pace: call.pace,
            expect: true,
        };
        call.content.launch(&mut self.http, &request)
    }

    fn authorization(&mut self, url: &str, method: &str) -> Option<String> {
        let (_, path, query) = split(url);
        let mut target = if path.is_empty() { "/" } else { path }.to_owned();
        if !query.is_empty() {
            target.push('?');
            target.push_str(query);
        }
        self.auth.header(method, &target)
    }

    fn once(&mut self, url: &str, call: &mut Call<'_>, home: bool) -> Done<Reply> {
        let authorization = match home {
            true => self.authorization(url, call.method),
            false => None,
        };
        let mut headers = call.headers.to_vec();
        if let Some(line) = &authorization {
            headers.push(("authorization", line));
        }
        let request = Request {
            method: call.method,
            url,
            headers: &headers,
            payload: Payload::None,
            pace: call.pace,
            expect: true,
        };
        call.content.send(&mut self.http, request).0
    }
}

/// A redirect to another origin of a request that needs the login, or changes something.
fn moved_away(to: &str, base: &str) -> Fault {
    let host = |url| host_and_port(split(url).0).0.to_ascii_lowercase();
    let fault = foreign(to);
    if host(to) != host(base) {
        return fault;
    }
    let scheme = match to.starts_with("https://") {
        true => "webdavs",
        false => "webdav",
    };
    let place = text::safe_cut(split(to).0.as_bytes(), 80);
    Fault {
        hint: format!("write {scheme}://{place}/... as the destination URL, if that is the server"),
        ..fault
    }
}

/// Another origin, which was asked without the login, wants one.
fn elsewhere(url: &str) -> Fault {
    let place = text::safe_cut(split(url).0.as_bytes(), 80);
    Fault::new(
        Class::Auth,
        format!("the server sends us to {place}, which wants a login; ours goes to the destination URL's address only"),
    )
    .hint("write the other address in the destination URL, if it is the right one")
}

/// The new address of the folder when a request below it was answered elsewhere under the same name.
fn moved(asked: &str, answered: &str, base: &str) -> Option<String> {
    if asked == answered {
        return None;
    }
    let rest = asked.strip_prefix(base)?;
    let new = answered.strip_suffix(rest)?;
    (new.ends_with('/') && same_origin(new, base)).then(|| new.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_right_address_is_told() {
        let f = moved_away("https://nas/dav/", "http://nas:8080/dav/");
        assert!(f.hint.contains("webdavs://nas/"), "{}", f.hint);
        let f = moved_away("http://nas:81/dav/", "http://nas/dav/");
        assert!(f.hint.contains("webdav://nas:81/"), "{}", f.hint);
        let f = moved_away("http://other/dav/", "http://nas/dav/");
        assert!(!f.hint.contains("webdav"), "{}", f.hint);
    }

    #[test]
    fn lasting_redirects_move_the_folder() {
        let base = "http://h/d/";
        for (asked, answered, new) in [
            ("http://h/d/", "http://h/e/", Some("http://h/e/")),
            (
                "http://h/d/f",
                "http://h:80/e/d/f",
                Some("http://h:80/e/d/"),
            ),
            ("http://h/d/f", "http://h/d/g", None),
            ("http://h/d/f", "https://h/d/f", None),
            ("http://h/d/f", "http://h:1/d/f", None),
            ("http://h/d/f", "http://h/d/f", None),
            ("http://h/d/f", "https://i/d/f", None),
            ("http://h/other", "https://h/other", None),
        ] {
            assert_eq!(
                moved(asked, answered, base).as_deref(),
                new,
                "{asked} {answered}"
            );
        }
    }
}
