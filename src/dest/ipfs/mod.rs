//! IPFS (`destinations-core.md` 6): a folder of a Kubo node, read and written (`ipfs://host:5001/folder`), and any folder by its
//! identifier or published name, read only through gateways that need no trust (`ipfs://CID`, `ipns://NAME`).
//!
//! Every block from a gateway is checked against its identifier before a byte of it is passed on.

mod options;

mod add;
mod rpc;

mod keep;
mod node;

mod outcome;
mod table;

mod gateway;

mod name;
mod walk;

mod content;

use crate::base::error::{Error, Kind, Result};
use crate::base::opt::Options;
use crate::base::text;
use crate::dest::{Destination, Scheme};
use crate::format::ipld::cid::Cid;
use crate::net::url::DestUrl;
use content::ContentFolder;
use name::Start;
use node::NodeFolder;

/// Hosts without a dot of at least this length are taken for mistyped identifiers.
const CID_LEAST_CHARS: usize = 44;

pub(crate) static IPFS: Scheme = Scheme {
    names: &["ipfs"],
    help: "IPFS: ipfs://host:5001/folder in a Kubo node, or ipfs://CID?ipfs-gateway=URL read only",
    options: options::OPTIONS,
    open: open_ipfs,
};

pub(crate) static IPNS: Scheme = Scheme {
    names: &["ipns"],
    help: "IPFS by a published name, read only: ipns://NAME?ipfs-gateway=URL",
    options: options::OPTIONS,
    open: open_ipns,
};

fn host(url: &DestUrl) -> Result<&str> {
    let host = url.host.trim();
    if host.is_empty() {
        return Err(Error::usage("missing host name in the destination URL")
            .hint("write it as ipfs://host:5001/folder, ipfs://CID or ipns://NAME"));
    }
    Ok(host)
}

fn open_ipfs(url: &DestUrl, given: &Options) -> Result<Box<dyn Destination>> {
    let host = host(url)?;
    if url.port.is_none() {
        if let Some(cid) = Cid::parse(host) {
            if let Some(what) = cid.unsupported() {
                let e = Error::new(Kind::Unsupported, format!("{cid} uses {what}"));
                return Err(e.doing("read it"));
            }
            let folder = ContentFolder::new(url, given, Start::Content(cid))?;
            return Ok(Box::new(folder));
        }
        if host.len() >= CID_LEAST_CHARS && !host.contains(['.', ':', '[']) {
            return Err(Error::usage(format!(
                "{} looks like an IPFS identifier, but it is none",
                text::safe_cut(host.as_bytes(), 70)
            ))
            .hint("check it letter by letter; a host of this name must be written with its port"));
        }
    }
    Ok(Box::new(NodeFolder::new(url, given)?))
}

fn open_ipns(url: &DestUrl, given: &Options) -> Result<Box<dyn Destination>> {
    let start = Start::of_name(host(url)?);
    Ok(Box::new(ContentFolder::new(url, given, start)?))
}
