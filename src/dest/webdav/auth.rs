//! The login of a WebDAV run (`destinations-core.md` 4.4): which scheme, when to answer a challenge again, when to give up.
//!
//! A wrong password costs one repeated request at most: servers throttle or lock out those who guess.

use std::time::{Duration, Instant};

use crate::base::bytes::base64;
use crate::base::fault::{Class, Done, Fault};
use crate::base::text;
use crate::dest::webdav::config::Login;
use crate::net::challenge::{self, Challenge};
use crate::net::digest::Session;
use crate::net::http::Reply;

/// A nonce older than this may have been forgotten by the server.
const NONCE_FRESH: Duration = Duration::from_secs(60);

/// How requests are authorised now.
enum Mode {
    /// Nothing is sent until the server asks.
    Wait,
    Basic {
        /// The old encoding, for servers from before UTF-8.
        latin1: bool,
    },
    Bearer,
    Digest(Box<Session>),
}

pub(super) struct Auth {
    login: Login,
    mode: Mode,
    /// The current way has worked.
    good: bool,
    /// Digest was used: Basic in the clear would now be a step down.
    digest_used: bool,
    /// A nonce that never worked was called stale; not believed again until one works.
    stale_once: bool,
    nonce_since: Instant,
}

/// What to do about a `401`.
pub(super) enum Verdict {
    /// Send the request again.
    Again,
    Refused(Fault),
}

impl Auth {
    pub(super) fn new(login: Login) -> Auth {
        let mode = if login.bearer.is_some() {
            Mode::Bearer
        } else if login.preemptive && login.user.is_some() {
            Mode::Basic { latin1: false }
        } else {
            Mode::Wait
        };
        Auth {
            login,
            mode,
            good: false,
            digest_used: false,
            stale_once: false,
            nonce_since: Instant::now(),
        }
    }

    /// The value of `Authorization` for one request, if one is sent.
    pub(super) fn header(&mut self, method: &str, target: &str) -> Option<String> {
        let user = self.login.user.as_deref().unwrap_or("");
        let password = self.login.password.reveal();
        match &mut self.mode {
            Mode::Wait => None,
            Mode::Bearer => {
                let token = self.login.bearer.as_ref()?;
                Some(format!("Bearer {}", token.reveal()))
            }
            Mode::Basic { latin1 } => {
                let pair = format!("{user}:{password}");
                let bytes = match latin1 {
                    true => pair
                        .chars()
                        .map(|c| u8::try_from(c).unwrap_or(b'?'))
                        .collect(),
                    false => pair.into_bytes(),
                };
                Some(format!("Basic {}", base64(&bytes)))
            }
            Mode::Digest(session) => Some(session.authorization(user, password, method, target)),
        }
    }

    /// True when a body had better not be sent before a small request has been answered: nothing is known yet about the login,
    /// or (`blind`: the server cannot be asked with `Expect`) the nonce may be stale.
    pub(super) fn wants_question(&self, blind: bool) -> bool {
        match self.mode {
            Mode::Wait => self.login.user.is_some() && !self.good,
            Mode::Digest(_) => blind && self.nonce_since.elapsed() > NONCE_FRESH,
            Mode::Basic { .. } | Mode::Bearer => false,
        }
    }

    pub(super) fn is_digest(&self) -> bool {
        matches!(self.mode, Mode::Digest(_)) || self.login.force_digest
    }

    /// A reply that is no `401`.
    pub(super) fn accepted(&mut self, reply: &Reply) {
        self.good = true;
        self.stale_once = false;
        if let Mode::Digest(session) = &mut self.mode
            && let Some(info) = reply.header("authentication-info")
            && let Some((_, next)) = challenge::parameters(info)
                .iter()
                .find(|(name, _)| name == "nextnonce")
            && session.renew(next).is_ok()
        {
            self.nonce_since = Instant::now();
        }
    }

    /// Takes up a `401`. `tls`: nobody can read along.
    pub(super) fn challenged(&mut self, reply: &Reply, tls: bool) -> Verdict {
        let values = reply.header_all("www-authenticate");
        self.answer(&challenge::parse(values.iter().map(String::as_str)), tls)
    }

    fn answer(&mut self, offered: &[Challenge], tls: bool) -> Verdict {
        let was_good = std::mem::replace(&mut self.good, false);
        if self.login.user.is_none() {
            return Verdict::Refused(self.no_user(offered));
        }
        let best = match strongest(offered) {
            Ok(best) => best,
            Err(fault) => return Verdict::Refused(fault),
        };
        let basic = offered.iter().any(|c| c.is("basic"));
        match (&mut self.mode, best) {
            (Mode::Digest(old), Some(new)) => {
                let other = new.nonce != old.nonce;
                let weaker = new.algorithm < old.algorithm;
                let stale = !self.stale_once
                    && offered.iter().any(|c| {
                        let stale = c.get("stale").unwrap_or("");
                        c.is("digest") && stale.eq_ignore_ascii_case("true")
                    });
                if other && !weaker && (was_good || stale) {
                    self.stale_once = !was_good;
                    self.take_up(new);
                    return Verdict::Again;
                }
                Verdict::Refused(self.rejected(offered))
            }
            (Mode::Wait, Some(new)) => {
                self.take_up(new);
                Verdict::Again
            }
            (Mode::Basic { .. }, Some(new)) if !basic => {
                self.take_up(new);
                Verdict::Again
            }
            (Mode::Wait | Mode::Digest(_), None) if basic => {
                if self.login.force_digest || self.digest_used && !tls {
                    return Verdict::Refused(
                        Fault::new(
                            Class::Auth,
                            "the server offers only Basic login, which would show the password: downgrade refused",
                        )
                        .hint("use-ssl=true, or leave --force-digest-authentication out"),
                    );
                }
                self.mode = Mode::Basic { latin1: false };
                Verdict::Again
            }
            (Mode::Basic { latin1 }, _) if basic => {
                let pair = format!(
                    "{}{}",
                    self.login.user.as_deref().unwrap_or(""),
                    self.login.password.reveal()
                );
                let other = !pair.is_ascii() && pair.chars().all(|c| u32::from(c) < 256);
                if other && !*latin1 && !was_good {
                    *latin1 = true;
                    return Verdict::Again;
                }
                Verdict::Refused(self.rejected(offered))
            }
            _ => Verdict::Refused(self.rejected(offered)),
        }
    }

    fn take_up(&mut self, session: Session) {
        self.mode = Mode::Digest(Box::new(session));
        self.digest_used = true;
        self.nonce_since = Instant::now();
    }

    fn no_user(&self, offered: &[Challenge]) -> Fault {
        if self.login.bearer.is_some() {
            return Fault::new(Class::Auth, "the token was rejected")
                .hint("check --webdav-bearer-token");
        }
        Fault::new(
            Class::Auth,
            format!("the server wants a login (it offers {})", names(offered)),
        )
        .hint("give --auth-username and --auth-password")
    }

    fn rejected(&self, offered: &[Challenge]) -> Fault {
        let user = self.login.user.as_deref().unwrap_or("");
        let known = offered.iter().any(|c| c.is("basic") || c.is("digest"));
        let shown = names(offered);
        if !known && !offered.is_empty() {
            return unsupported(&shown);
        }
        let user = text::safe_cut(user.as_bytes(), 60);
        if self.login.password.is_blank() {
            let cause = format!(
                "user '{user}' rejected, for no password is given (the server offers {shown})"
            );
            return Fault::new(Class::Auth, cause)
                .hint("give it as AUTH_PASSWORD in the environment, or with --auth-password");
        }
        Fault::new(
            Class::Auth,
            format!("user '{user}' rejected (the server offers {shown})"),
        )
        .hint("check user name and password; many services want an app password made for this")
    }
}

fn unsupported(shown: &str) -> Fault {
    Fault::new(
        Class::Auth,
        format!("the server offers only {shown}, not supported"),
    )
    .hint("switch Basic login over TLS on at the server (IIS and SharePoint: Basic authentication)")
}

/// The strongest Digest challenge that can be answered. A fault when the server offers nothing at all that can be.
fn strongest(offered: &[Challenge]) -> Done<Option<Session>> {
    let mut best: Option<Session> = None;
    for challenge in offered.iter().filter(|c| c.is("digest")) {
        let session =
            Session::new(challenge).map_err(|e| Fault::new(Class::Local, e.to_string()))?;
        if let Some(session) = session
            && best
                .as_ref()
                .is_none_or(|b| session.algorithm > b.algorithm)
        {
            best = Some(session);
        }
    }
    let basic = offered.iter().any(|c| c.is("basic"));
    if best.is_some() || basic || offered.is_empty() {
        return Ok(best);
    }
    if offered.iter().any(|c| c.is("digest")) {
        return Err(Fault::new(
            Class::Auth,
            "the server wants a form of Digest login that is not supported (auth-int or an unknown algorithm)",
        ));
    }
    Err(unsupported(&names(offered)))
}

/// The offered schemes, each once: `NTLM/Negotiate`.
fn names(offered: &[Challenge]) -> String {
    let mut out: Vec<String> = Vec::new();
    for challenge in offered {
        let name = text::safe_cut(challenge.scheme.as_bytes(), 20);
        if !out.contains(&name) && out.len() < 6 {
            out.push(name);
        }
    }
    if out.is_empty() {
        "no login".to_owned()
    } else {
        out.join("/")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::secret::Secret;

    fn auth(user: &str, password: &str, preemptive: bool, force_digest: bool) -> Auth {
        Auth::new(Login {
            user: (!user.is_empty()).then(|| user.to_owned()),
            password: Secret::new(password.to_owned()),
            bearer: None,
            force_digest,
            preemptive,
        })
    }

    fn answer(auth: &mut Auth, values: &[&str], tls: bool) -> String {
        match auth.answer(&challenge::parse(values.iter().copied()), tls) {
            Verdict::Again => {
                let line = auth.header("GET", "/").unwrap_or_default();
                let end = line.find(' ').unwrap_or(0);
                let algorithm = line.split("algorithm=").nth(1).unwrap_or("");
                let algorithm = algorithm.split(',').next().unwrap_or("");
                format!("{}{algorithm}", &line[..end])
            }
            Verdict::Refused(fault) => {
                assert_eq!(fault.class, Class::Auth);
                fault.text
            }
        }
    }

    const MD5: &str = "Digest realm=r, nonce=n1, qop=\"auth\"";
    const SHA: &str = "Digest realm=r, nonce=n2, qop=\"auth\", algorithm=SHA-256";

    #[test]
    fn basic_vectors() {
        let mut a = auth("Aladdin", "open sesame", true, false);
        assert_eq!(
            a.header("GET", "/").expect("sent"),
            "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="
        );
        let mut a = auth("test", "123\u{a3}", true, false);
        assert_eq!(
            a.header("GET", "/").expect("sent"),
            "Basic dGVzdDoxMjPCow=="
        );
        assert_eq!(answer(&mut a, &["Basic realm=x"], false), "Basic");
        assert_eq!(a.header("GET", "/").expect("sent"), "Basic dGVzdDoxMjOj");
        assert!(answer(&mut a, &["Basic realm=x"], false).contains("user 'test' rejected"));
    }

    #[test]
    fn schemes_are_chosen_strongest_first() {
        for (preemptive, offered, want) in [
            (false, &[MD5, SHA, "Basic realm=x"][..], "DigestSHA-256"),
            (false, &["Basic realm=x", MD5], "Digest"),
            (false, &["Basic realm=x"], "Basic"),
            (true, &[MD5], "Digest"),
            (
                true,
                &[MD5, "Basic realm=x"],
                "user 'u' rejected (the server offers Digest/Basic)",
            ),
            (
                true,
                &["NTLM", "Negotiate"],
                "the server offers only NTLM/Negotiate, not supported",
            ),
            (
                false,
                &["Bearer realm=x"],
                "the server offers only Bearer, not supported",
            ),
            (true, &[], "user 'u' rejected (the server offers no login)"),
        ] {
            let mut a = auth("u", "p", preemptive, false);
            assert_eq!(answer(&mut a, offered, false), want);
        }
        let mut a = auth("u", "p", false, false);
        let only = "Digest realm=r, nonce=n, qop=\"auth-int\"";
        assert!(answer(&mut a, &[only], false).contains("auth-int"));
        let mut a = auth("", "", true, false);
        assert!(a.header("GET", "/").is_none());
        assert!(answer(&mut a, &["Basic realm=x"], true).contains("wants a login"));
    }

    #[test]
    fn a_digest_login_never_steps_down() {
        let mut a = auth("u", "p", false, false);
        assert_eq!(answer(&mut a, &[SHA], false), "DigestSHA-256");
        a.good = true;
        assert!(answer(&mut a, &["Basic realm=x"], false).contains("downgrade refused"));
        a.good = true;
        assert!(answer(&mut a, &[MD5], true).contains("rejected"));
        a.good = true;
        assert_eq!(answer(&mut a, &["Basic realm=x"], true), "Basic");
        let mut a = auth("u", "p", false, true);
        assert!(answer(&mut a, &["Basic realm=x"], true).contains("downgrade refused"));
    }

    #[test]
    fn nonces_that_went_stale() {
        let mut a = auth("u", "p", false, false);
        assert_eq!(answer(&mut a, &[MD5], false), "Digest");
        assert!(
            answer(&mut a, &[SHA], false).contains("rejected"),
            "the first answer was wrong"
        );
        let mut a = auth("u", "p", false, false);
        assert_eq!(answer(&mut a, &[MD5], false), "Digest");
        a.good = true;
        let renewed = "Digest realm=r, nonce=n9, qop=\"auth\", stale=true";
        assert_eq!(answer(&mut a, &[renewed], false), "Digest");
        assert!(
            answer(&mut a, &[renewed], false).contains("rejected"),
            "once only"
        );
    }

    #[test]
    fn questions_before_bodies() {
        assert!(auth("u", "p", false, true).wants_question(false));
        assert!(!auth("u", "p", true, false).wants_question(true));
        assert!(!auth("", "", false, false).wants_question(false));
        let mut a = auth("u", "p", false, false);
        answer(&mut a, &[MD5], false);
        assert!(!a.wants_question(true), "the nonce is new");
    }
}
