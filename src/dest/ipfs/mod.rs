//! IPFS (`destinations-core.md` 6): a folder of a Kubo node, read and written (`ipfs://host:5001/folder`), and any folder by its
//! identifier or published name, read only through gateways that need no trust (`ipfs://CID`, `ipns://NAME`).
//!
//! Every block from a gateway is checked against its identifier before a byte of it is passed on.

mod options;

mod add;
mod rpc;

mod keep;
mod node;

use crate::base::error::{Error, Kind, Result};
use crate::base::opt::Options;
use crate::base::text;
use crate::dest::{Destination, Scheme};
use crate::net::ipld::cid::Cid;
use crate::net::url::DestUrl;

/// Hosts without a dot of at least this length are taken for mistyped identifiers.
const CID_LEAST_CHARS: usize = 44;

pub(crate) static IPFS: Scheme = Scheme {
    names: &["ipfs"],
    help: "IPFS: ipfs://host:5001/folder in a Kubo node, or ipfs://CID?ipfs-gateway=URL read only",
    options: options::OPTIONS,
    open: open_ipfs,
};

fn open_ipfs(url: &DestUrl, given: &Options) -> Result<Box<dyn Destination>> {
    let host = url.host.trim();
    if host.is_empty() {
        return Err(Error::usage("missing host name in the destination URL")
            .hint("write it as ipfs://host:5001/folder or ipfs://CID"));
    }
    if url.port.is_none() {
        if Cid::parse(host).is_some() {
            return Err(Error::new(
                Kind::Unsupported,
                "gateways are not supported yet",
            ));
        }
        if host.len() >= CID_LEAST_CHARS && !host.contains(['.', ':', '[']) {
            return Err(Error::usage(format!(
                "{} looks like an IPFS identifier, but it is none",
                text::safe_cut(host.as_bytes(), 70)
            ))
            .hint("check it letter by letter; a host of this name must be written with its port"));
        }
    }
    Ok(Box::new(node::NodeFolder::new(url, given)?))
}
