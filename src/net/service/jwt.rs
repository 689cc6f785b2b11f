//! Log-ins of Google's service accounts (`destinations-more.md` 2.5): a claim signed with the account's own key is exchanged
//! for a token that lives an hour (RFC 7523, RS256 of RFC 7518).

use std::fs::File;
use std::io::{self, Read as _};

use ring::rand::SystemRandom;
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair};

use crate::base::bytes::{base64_decode, base64_url};
use crate::base::error::{Error, Result};
use crate::base::fault::{Class, Done, Fault};
use crate::base::secret::{Secret, wipe};
use crate::base::text;
use crate::net::http::{Http, Reply};
use crate::net::json::SMALL_MAX_BYTES;
use crate::net::redirect::split;
use crate::net::service::call::Login;
use crate::net::service::clock::Clock;
use crate::net::service::refusal::word;
use crate::net::service::rows;
use crate::net::service::tokens::{self, Lender, Lent, Tokens};
use crate::net::service::{Dialect, Form, Refusal, rules};
use crate::net::url::{encode, is_near};

/// How long a claim is good for, in seconds; the most that is allowed.
const LIFE: i64 = 3600;
/// A key file is far shorter.
const FILE_MAX_BYTES: u64 = 64 << 10;
/// A clock that is further off makes a claim that is refused.
const SKEW_SECONDS: u64 = 60;

static DIALECT: Dialect = Dialect {
    form: Form::Json("error", "error_description"),
    who: "a token service",
    rules: rules! {
        0 "invalid_grant" "jwt" => Class::Auth, "the key of the service account is not accepted", "is the key still there, and the clock right?";
        0 "invalid_grant invalid_client unauthorized_client" => Class::Auth, "the key of the service account is not accepted", "the key or the account may have been deleted: make a new key";
    },
    words: &[word(
        Class::Auth,
        "access denied",
        "check the service account",
    )],
};

/// A service account with its key.
pub(crate) struct ServiceAccount {
    pub(crate) email: String,
    /// The project that the account belongs to.
    pub(crate) project: String,
    key_id: String,
    token_url: String,
    key: RsaKeyPair,
}

impl ServiceAccount {
    /// From the text of the key file that the service gave.
    pub(crate) fn parse(json: &str) -> Result<ServiceAccount> {
        let bad = |what: &str| {
            Error::usage(format!("the key of the service account {what}"))
                .hint("give the JSON file as the console made it ('Keys', 'Create new key', JSON)")
        };
        let io = |_: &io::Error| Fault::new(Class::Local, "");
        let mut input = json.trim_start_matches('\u{feff}').as_bytes();
        let row = rows::objects(&mut input, &io, SMALL_MAX_BYTES, "", &mut |_| Ok(()));
        let row = row.map_err(|_| bad("is no JSON"))?;
        if row.get("type") != Some("service_account") {
            return Err(bad("is for something else, such as a user's log-in"));
        }
        let pem = row.text("private_key");
        let body = pem.lines().filter(|line| !line.starts_with("-----"));
        let body: String = body.flat_map(str::split_whitespace).collect();
        let mut der = base64_decode(body.as_bytes()).unwrap_or_default();
        let key = RsaKeyPair::from_pkcs8(&der);
        wipe(&mut der);
        let key = key.map_err(|_| bad("holds no private key that can be used"))?;
        let usual = "https://oauth2.googleapis.com/token";
        let token_url = row.get("token_uri").unwrap_or(usual).to_owned();
        let near = token_url.starts_with("http://") && is_near(split(&token_url).0);
        if !(near || token_url.starts_with("https://")) || row.text("client_email").is_empty() {
            return Err(bad("names no account or no address of https"));
        }
        Ok(ServiceAccount {
            email: row.text("client_email"),
            project: row.text("project_id"),
            key_id: row.text("private_key_id"),
            token_url,
            key,
        })
    }

    /// From the key file of this path.
    pub(crate) fn read(path: &str) -> Result<ServiceAccount> {
        let mut text = String::new();
        let read = File::open(path).and_then(|f| f.take(FILE_MAX_BYTES).read_to_string(&mut text));
        let shown = text::safe(path.as_bytes());
        read.map_err(|e| Error::usage(format!("cannot read the key file {shown}: {e}")))?;
        let account = ServiceAccount::parse(&text);
        wipe(&mut text.into_bytes());
        account
    }

    /// The claim of a scope, made at a time in seconds since 1970.
    fn claim(&self, scope: &str, now: i64) -> Done<Secret> {
        let part = |json: serde_json::Value| {
            let text = base64_url(json.to_string().as_bytes());
            text.trim_end_matches('=').to_owned()
        };
        let head = serde_json::json!({ "alg": "RS256", "kid": self.key_id, "typ": "JWT" });
        let body = serde_json::json!({
            "aud": self.token_url, "exp": now + LIFE, "iat": now, "iss": self.email, "scope": scope,
        });
        let text = format!("{}.{}", part(head), part(body));
        let mut signature = vec![0; self.key.public().modulus_len()];
        let random = SystemRandom::new();
        let signed = self
            .key
            .sign(&RSA_PKCS1_SHA256, &random, text.as_bytes(), &mut signature);
        signed.map_err(|_| Fault::new(Class::Local, "the claim cannot be signed"))?;
        let signature = base64_url(&signature);
        Ok(Secret::new(format!(
            "{text}.{}",
            signature.trim_end_matches('=')
        )))
    }
}

/// Tokens for a service account.
struct Grant {
    account: ServiceAccount,
    scope: &'static str,
    clock: Clock,
}

/// The log-in of a service account for a scope.
pub(crate) fn login(account: ServiceAccount, scope: &'static str) -> Box<dyn Login> {
    Box::new(Tokens::of(Grant {
        account,
        scope,
        clock: Clock::default(),
    }))
}

impl Grant {
    /// Asks once.
    fn ask(&self, http: &mut Http) -> Done<std::result::Result<Reply, Refusal>> {
        let claim = self.account.claim(self.scope, self.clock.now())?;
        let grant = encode("urn:ietf:params:oauth:grant-type:jwt-bearer");
        let body = Secret::new(format!("grant_type={grant}&assertion={}", claim.reveal()));
        let to = &self.account.token_url;
        let body = Some(("application/x-www-form-urlencoded", &body));
        tokens::ask(http, &DIALECT, to, &[], body, claim.reveal())
    }
}

impl Lender for Grant {
    fn lend(&mut self, http: &mut Http) -> Done<Lent> {
        let mut asked = self.ask(http)?;
        // A claim by a clock that is wrong is refused: once more by the server's.
        if let Err(told) = &asked
            && told.is("invalid_grant")
            && self.clock.learn(told.date, SKEW_SECONDS)
        {
            asked = self.ask(http)?;
        }
        let mut reply = asked.map_err(|told| tokens::fault(&told, &DIALECT))?;
        Lent::of(&rows::row(&mut reply, DIALECT.who)?, "expires_in")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of no account that there is.
    const KEY: &str = include_str!("../../../tests/data/gcs/key.json");

    /// Made by another implementation (`cryptography` for Python) with this key and these claims.
    #[test]
    fn a_claim_is_signed_as_others_sign_it() {
        let text = [
            "eyJhbGciOiJSUzI1NiIsImtpZCI6IjAxMjM0NTY3ODlhYmNkZWYiLCJ0eXAiOiJKV1QifQ.eyJhdWQiOiJodHRwczovL29hdXRoM",
            "i5nb29nbGVhcGlzLmNvbS90b2tlbiIsImV4cCI6MTcwMDAwMzYwMCwiaWF0IjoxNzAwMDAwMDAwLCJpc3MiOiJkdXBsZXRAcHJva",
            "mVjdC1vZi10ZXN0cy5pYW0uZ3NlcnZpY2VhY2NvdW50LmNvbSIsInNjb3BlIjoiaHR0cHM6Ly93d3cuZ29vZ2xlYXBpcy5jb20vY",
            "XV0aC9kZXZzdG9yYWdlLnJlYWRfd3JpdGUifQ",
        ];
        let signature = [
            "buvJ1-NkGIup6t2tArOlRzv-l_GUYkOqGdTp1MnTDW7a-p4Dg4xE2qLeWCvYBDqGCuGaKcMAlLePN1qV4P9rGgN1SBV7Otnz9ju3",
            "am8qtkxxu3dbeMchaKqMmCstSoM9sMuRuMbrAFbCdhP7EIacj77VREY7y9PvS-xXHpL7HLJAIgytNj0B_g6OqaQqsIuRux_cWq5L",
            "A2csnyYC47RPufZxO3D2cKQKR2bS4ydWZfSedzf5kNPS4WDgVTHe9EGZXbGTDOvl6imKXezBvyg3V6TInW8gFFdJyY2-ZSxZ17x6",
            "ypDe4LCAq45TAOoN4c5ctdMq-v7x9ZXTkSVkUPLHbg",
        ];
        let account = ServiceAccount::parse(KEY).expect("a key");
        assert_eq!(account.project, "project-of-tests");
        let scope = "https://www.googleapis.com/auth/devstorage.read_write";
        let claim = account.claim(scope, 1_700_000_000).expect("signed");
        let want = format!("{}.{}", text.concat(), signature.concat());
        assert_eq!(claim.reveal(), want);
    }

    #[test]
    fn what_is_no_key_is_refused() {
        let usual = "https://oauth2.googleapis.com/token";
        for (from, to, words) in [
            ("{", "[", "is no JSON"),
            ("\n}", "", "is no JSON"),
            ("service_account", "authorized_user", "something else"),
            ("\"type\"", "\"kind\"", "something else"),
            ("MII", "MIX", "no private key"),
            ("private_key\"", "private_kex\"", "no private key"),
            ("client_email", "mail", "names no account"),
            (usual, "http://example.org/token", "no address of https"),
        ] {
            assert!(KEY.contains(from), "{from}");
            let parsed = ServiceAccount::parse(&KEY.replace(from, to));
            let e = parsed.err().expect(to).to_string();
            assert!(e.contains(words) && !e.contains("BEGIN"), "{to}: {e}");
        }
        for good in [
            KEY.to_owned(),
            format!("\u{feff}{KEY}"),
            KEY.replace(usual, "http://127.0.0.1:1/token"),
            KEY.replace("token_uri", "token_url"),
        ] {
            assert!(ServiceAccount::parse(&good).is_ok());
        }
    }
}
