//! HTTP Digest authentication (RFC 7616, 2617, 2069): from a challenge and a password to `Authorization` headers.
//!
//! `auth-int` is not offered. Nothing here decides whether a challenge may be trusted; that is the destination's business.

use md5::Digest as _;

use crate::base::bytes::hex;
use crate::base::error::Result;
use crate::base::rand;
use crate::net::challenge::Challenge;

/// Hash of a challenge, weakest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Algorithm {
    Md5,
    Sha256,
    Sha512T256,
}

impl Algorithm {
    /// With whether it is the session form (`-sess`).
    fn parse(name: &str) -> Option<(Algorithm, bool)> {
        let name = name.trim().to_ascii_lowercase();
        let (stem, session) = match name.strip_suffix("-sess") {
            Some(stem) => (stem, true),
            None => (name.as_str(), false),
        };
        let algorithm = match stem {
            "md5" => Algorithm::Md5,
            "sha-256" => Algorithm::Sha256,
            "sha-512-256" => Algorithm::Sha512T256,
            _ => return None,
        };
        Some((algorithm, session))
    }

    /// Lower-case hex of the digest of `parts` joined with colons.
    fn hash(self, parts: &[&str]) -> String {
        let text = parts.join(":");
        match self {
            Algorithm::Md5 => hex(&md5::Md5::digest(text.as_bytes())),
            Algorithm::Sha256 => {
                hex(ring::digest::digest(&ring::digest::SHA256, text.as_bytes()).as_ref())
            }
            Algorithm::Sha512T256 => {
                hex(ring::digest::digest(&ring::digest::SHA512_256, text.as_bytes()).as_ref())
            }
        }
    }
}

/// A challenge that was taken up, with the count of its nonce.
pub(crate) struct Session {
    pub(crate) algorithm: Algorithm,
    sess: bool,
    /// The name as the challenge spelt it; `None` when it named none.
    spelt: Option<String>,
    realm: String,
    pub(crate) nonce: String,
    opaque: Option<String>,
    qop: bool,
    userhash: bool,
    cnonce: String,
    count: u32,
}

impl Session {
    /// The challenge as something that can be answered: a known algorithm, a nonce, and `auth` (or no `qop` at all).
    pub(crate) fn new(challenge: &Challenge) -> Result<Option<Session>> {
        let spelt = challenge.get("algorithm");
        let algorithm = Algorithm::parse(spelt.unwrap_or("MD5"));
        let (Some((algorithm, sess)), Some(nonce)) = (algorithm, challenge.get("nonce")) else {
            return Ok(None);
        };
        let qop = challenge.get("qop").map(|list| {
            list.split(',')
                .any(|word| word.trim().eq_ignore_ascii_case("auth"))
        });
        if qop == Some(false) || !challenge.is("digest") {
            return Ok(None);
        }
        Ok(Some(Session {
            algorithm,
            sess,
            spelt: spelt.map(str::to_owned),
            realm: challenge.get("realm").unwrap_or("").to_owned(),
            nonce: nonce.to_owned(),
            opaque: challenge.get("opaque").map(str::to_owned),
            qop: qop.is_some(),
            userhash: challenge
                .get("userhash")
                .is_some_and(|v| v.eq_ignore_ascii_case("true")),
            cnonce: rand::hex::<16>()?,
            count: 0,
        }))
    }

    /// A new nonce from `Authentication-Info`.
    pub(crate) fn renew(&mut self, nonce: &str) -> Result<()> {
        nonce.clone_into(&mut self.nonce);
        self.cnonce = rand::hex::<16>()?;
        self.count = 0;
        Ok(())
    }

    /// The value of `Authorization` for one request; `uri` is its target exactly as sent.
    pub(crate) fn authorization(
        &mut self,
        user: &str,
        password: &str,
        method: &str,
        uri: &str,
    ) -> String {
        self.count = self.count.wrapping_add(1);
        let hash = |parts: &[&str]| self.algorithm.hash(parts);
        let mut secret = hash(&[user, &self.realm, password]);
        if self.sess {
            secret = hash(&[&secret, &self.nonce, &self.cnonce]);
        }
        let request = hash(&[method, uri]);
        let count = format!("{:08x}", self.count);
        let response = if self.qop {
            hash(&[&secret, &self.nonce, &count, &self.cnonce, "auth", &request])
        } else {
            hash(&[&secret, &self.nonce, &request])
        };
        let name = if self.userhash {
            hash(&[user, &self.realm])
        } else {
            user.to_owned()
        };
        let mut out = format!(
            "Digest username={}, realm={}, nonce={}, uri={}, response=\"{response}\"",
            quoted(&name),
            quoted(&self.realm),
            quoted(&self.nonce),
            quoted(uri),
        );
        if let Some(spelt) = &self.spelt {
            out.push_str(&format!(", algorithm={}", spelt.trim()));
        }
        if self.qop {
            out.push_str(&format!(
                ", qop=auth, nc={count}, cnonce=\"{}\"",
                self.cnonce
            ));
        } else if self.sess {
            out.push_str(&format!(", cnonce=\"{}\"", self.cnonce));
        }
        if let Some(opaque) = &self.opaque {
            out.push_str(&format!(", opaque={}", quoted(opaque)));
        }
        if self.userhash {
            out.push_str(", userhash=true");
        }
        out
    }
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::challenge::parse;

    fn session(header: &str, cnonce: &str) -> Session {
        let challenges = parse([header]);
        let mut session = Session::new(&challenges[0])
            .expect("random")
            .expect("a challenge that can be answered");
        cnonce.clone_into(&mut session.cnonce);
        session
    }

    const RFC7616: &str = "realm=\"http-auth@example.org\", qop=\"auth, auth-int\", nonce=\"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v\", opaque=\"FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS\"";

    #[test]
    fn published_answers() {
        let old =
            "Digest realm=\"testrealm@host.com\", nonce=\"dcd98b7102dd2f0e8b11d0f600bfb0c093\"";
        let circle = ("Mufasa", "Circle of Life", "/dir/index.html");
        let wide = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ";
        for (header, cnonce, (user, password, uri), response) in [
            (
                format!("{old}, qop=\"auth,auth-int\", opaque=\"5ccc069c403ebaf9f0171e9517f40e41\""),
                "0a4f113b",
                ("Mufasa", "Circle Of Life", "/dir/index.html"),
                "6629fae49393a05397450978507c4ef1",
            ),
            (
                old.to_owned(),
                "",
                ("Mufasa", "Circle Of Life", "/dir/index.html"),
                "670fd8c2df070c60b045671b8b24ff02",
            ),
            (
                format!("Digest {RFC7616}, algorithm=MD5"),
                wide,
                circle,
                "8ca523f5e9506fed4657c9700eebdbec",
            ),
            (
                format!("Digest {RFC7616}, algorithm=SHA-256"),
                wide,
                circle,
                "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1",
            ),
            (
                format!("Digest {RFC7616}, algorithm=MD5-sess"),
                wide,
                circle,
                "e783283f46242139c486a698fec7211d",
            ),
            (
                format!("Digest {RFC7616}, algorithm=SHA-256-sess"),
                wide,
                circle,
                "2fd51b3a77ad75bad6afad6003e818d767133c46d9e2749e7f5232ae1ea3efd7",
            ),
            (
                "Digest realm=\"api@example.org\", qop=\"auth\", algorithm=SHA-512-256, nonce=\"5TsQWLVdgBdmrQ0XsxbDODV+57QdFR34I9HAbC/RVvkK\", charset=UTF-8, userhash=true".to_owned(),
                "NTg6RKcb9boFIAS3KrFK9BGeh+niz/sm",
                ("J\u{e4}s\u{f8}n Doe", "Secret, or not?", "/doe.json"),
                "7a4e1192babbba02e91182d2895bfdbf7adafc6e48d4e517ca301974843d840c",
            ),
        ] {
            let mut session = session(&header, cnonce);
            let line = session.authorization(user, password, "GET", uri);
            assert!(line.contains(&format!("response=\"{response}\"")), "{line}");
            assert_eq!(line.contains("nc=00000001"), header.contains("qop"), "{line}");
            assert_eq!(line.contains("opaque="), header.contains("opaque"));
            if header.contains("userhash") {
                let hashed = "793263caabb707a56211940d90411ea4a575adeccb7e360aeb624ed06ece9b0b";
                assert!(line.contains(hashed) && !line.contains("Doe"), "{line}");
            }
        }
    }

    #[test]
    fn the_nonce_is_counted_and_renewed() {
        let mut s = session("Digest realm=\"a\\\"b\", nonce=n, qop=auth", "c");
        let first = s.authorization("u", "p", "PUT", "/x%20y");
        assert!(first.contains("realm=\"a\\\"b\"") && first.contains("uri=\"/x%20y\""));
        assert!(
            s.authorization("u", "p", "PUT", "/")
                .contains("nc=00000002")
        );
        s.renew("m").expect("random");
        let line = s.authorization("u", "p", "PUT", "/");
        assert!(
            line.contains("nonce=\"m\"") && line.contains("nc=00000001"),
            "{line}"
        );
    }

    #[test]
    fn challenges_that_cannot_be_answered() {
        for header in [
            "Digest realm=x",
            "Digest realm=x, nonce=n, qop=\"auth-int\"",
            "Digest realm=x, nonce=n, algorithm=SHA-1",
            "Basic realm=x, nonce=n",
        ] {
            let challenges = parse([header]);
            let session = Session::new(&challenges[0]).expect("random");
            assert!(session.is_none(), "{header}");
        }
        assert!(Algorithm::Md5 < Algorithm::Sha256 && Algorithm::Sha256 < Algorithm::Sha512T256);
    }
}
