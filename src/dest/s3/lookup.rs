//! What has to be asked for before the first request to S3: which server has this account, or keys in exchange for something
//! else.

use crate::base::fault::{Class, Done, Fault};
use crate::dest::s3::config::{Endpoint, Setup, region_of};
use crate::dest::s3::place::e2_host;
use crate::net::http::{Http, Pace, Payload, Request};
use crate::net::url::encode;

#[cfg(feature = "dest-storj")]
use crate::dest::s3::grant::Grant;
#[cfg(feature = "dest-duplicati")]
use crate::dest::s3::lent::Purse;

/// A question that comes before all others.
pub(super) enum Lookup {
    /// iDrive e2: the server of a key, at this address with the key's id behind it.
    E2(&'static str),
    /// Storj: keys and server for an access grant.
    #[cfg(feature = "dest-storj")]
    Grant(Grant),
    /// Keys that are lent for a time.
    #[cfg(feature = "dest-duplicati")]
    Lent(Box<Purse>),
}

impl Lookup {
    /// Asks, and takes up the answer.
    pub(super) fn find(&self, http: &mut Http, setup: &mut Setup) -> Done<()> {
        match self {
            Lookup::E2(base) => find_e2(base, http, setup),
            #[cfg(feature = "dest-storj")]
            Lookup::Grant(grant) => grant.find(http, setup),
            #[cfg(feature = "dest-duplicati")]
            Lookup::Lent(purse) => purse.find(setup),
        }
    }

    /// True when what was found is not good any more.
    pub(super) fn is_over(&self) -> bool {
        match self {
            #[cfg(feature = "dest-duplicati")]
            Lookup::Lent(purse) => purse.is_over(),
            _ => false,
        }
    }

    /// Requests sent beside those of the client.
    pub(super) fn requests(&self) -> u64 {
        match self {
            #[cfg(feature = "dest-duplicati")]
            Lookup::Lent(purse) => purse.requests(),
            _ => 0,
        }
    }

    /// True when the answer may be another once the keys it gave are not valid any more.
    pub(super) fn renews(&self) -> bool {
        !matches!(self, Lookup::E2(_))
    }
}

fn find_e2(base: &str, http: &mut Http, setup: &mut Setup) -> Done<()> {
    let url = format!("{base}{}", encode(&setup.keys.id));
    let mut reply = http.send(Request {
        method: "GET",
        url: &url,
        headers: &[],
        payload: Payload::None,
        pace: Pace::Short,
        expect: false,
    })?;
    let body = reply.error_body();
    let host = e2_host(&body).filter(|_| reply.status == 200);
    let Some(host) = host else {
        return Err(Fault::new(Class::Auth, "iDrive e2 endpoint lookup failed")
            .hint("check the access key id"));
    };
    setup.region = region_of(&host).unwrap_or("us-east-1").to_owned();
    setup.endpoint = Endpoint { tls: true, host };
    Ok(())
}
