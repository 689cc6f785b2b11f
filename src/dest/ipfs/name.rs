//! From a published name to the folder it points at (`destinations-core.md` 6.7): signed records, several hops, and domains.

use crate::base::fault::{Class, Done, Fault};
use crate::base::text;
use crate::base::time::Timestamp;
use crate::dest::ipfs::gateway::Gateways;
use crate::format::ipld::cid::{Cid, LIBP2P_KEY};
use crate::format::ipld::ipns::{self, Record, Refused};

/// Names pointing at names.
const HOPS_MAX: u32 = 8;

/// What a destination begins with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Start {
    Content(Cid),
    Key(Cid),
    Domain(String),
}

impl Start {
    /// The host of an `ipns://` URL, or what follows `/ipns/` in a record.
    pub(super) fn of_name(text: &str) -> Start {
        if let Some(cid) = Cid::parse(text).filter(|cid| cid.codec() == LIBP2P_KEY) {
            return Start::Key(cid);
        }
        match Cid::key(text) {
            Some(key) => Start::Key(key),
            None => Start::Domain(text.to_owned()),
        }
    }

    /// A path `/ipfs/…` or `/ipns/…` with what follows its first part.
    fn of_path(path: &str) -> Option<(Start, Vec<String>)> {
        let mut parts = path.split('/').filter(|p| !p.is_empty());
        let space = parts.next()?;
        let first = parts.next()?;
        let start = match space {
            "ipfs" => Start::Content(Cid::parse(first)?),
            "ipns" => Start::of_name(first),
            _ => return None,
        };
        Some((start, parts.map(str::to_owned).collect()))
    }
}

/// Rules for names.
#[derive(Clone, Copy)]
pub(super) struct Rules {
    pub(super) domains: bool,
    pub(super) expired: bool,
}

/// The content a start leads to, and the path below it that names on the way added.
pub(super) fn resolve(
    gateways: &mut Gateways,
    start: &Start,
    rules: Rules,
    notices: &mut Vec<String>,
) -> Done<(Cid, Vec<String>)> {
    let mut start = start.clone();
    let mut path: Vec<String> = Vec::new();
    for _ in 0..=HOPS_MAX {
        let (next, mut below) = match start {
            Start::Content(cid) => return Ok((cid, path)),
            Start::Key(key) => {
                let value = newest(gateways, &key, rules.expired)?.value;
                notices.push(format!(
                    "ipns://{key} points at {}",
                    text::safe_cut(value.as_bytes(), 120)
                ));
                Start::of_path(&value).ok_or_else(|| {
                    let shown = text::safe_cut(value.as_bytes(), 80);
                    Fault::new(Class::Integrity, format!("the name points at {shown}"))
                })?
            }
            Start::Domain(domain) if rules.domains => {
                let cid = gateways.domain(&domain)?;
                notices.push(format!(
                    "a gateway says that {} points at {cid}; this cannot be checked",
                    text::safe_cut(domain.as_bytes(), 80)
                ));
                (Start::Content(cid), Vec::new())
            }
            Start::Domain(domain) => {
                return Err(Fault::new(
                    Class::Usage,
                    format!(
                        "{} is no name that can be checked",
                        text::safe_cut(domain.as_bytes(), 80)
                    ),
                )
                .hint("with --ipfs-dnslink=true a gateway is believed what a domain points at"));
            }
        };
        below.append(&mut path);
        path = below;
        start = next;
    }
    Err(Fault::new(
        Class::Protocol,
        "the name leads to too many other names",
    ))
}

/// The newest good record that any gateway has.
fn newest(gateways: &mut Gateways, key: &Cid, expired: bool) -> Done<Record> {
    let now = Timestamp::now().0;
    let (mut best, mut old): (Option<Record>, Option<Record>) = (None, None);
    let mut unsupported = false;
    gateways.records(key, &mut |bytes| match ipns::verify(bytes, key) {
        Ok(record) => {
            let place = if record.until > now || expired {
                &mut best
            } else {
                &mut old
            };
            if place.as_ref().is_none_or(|b| b.sequence < record.sequence) {
                *place = Some(record);
            }
            Ok(())
        }
        Err(Refused::Key) => {
            unsupported = true;
            Ok(())
        }
        Err(why) => Err(match why {
            Refused::Signature => "its record is not signed by the key of the name",
            Refused::Contradicts => "its record contradicts itself",
            _ => "its record is malformed",
        }
        .to_owned()),
    })?;
    if unsupported && best.is_none() && old.is_none() {
        return Err(Fault::new(
            Class::Unsupported,
            "the name is of a kind of key that is not supported; only Ed25519 is",
        ));
    }
    best.ok_or_else(|| {
        let when = old.map_or_else(String::new, |r| Timestamp(r.until).iso());
        Fault::new(
            Class::Integrity,
            format!("the record of ipns://{key} expired at {when}"),
        )
        .hint("publish it again, or accept it with --ipfs-allow-expired=true")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_names_are() {
        let key = "k51qzi5uqu5dgutdk6i1ynyzgkqngpha5xpgia3a5qqp4jsh0u4csozksxel2r";
        assert!(matches!(Start::of_name(key), Start::Key(k) if k.to_string() == key));
        assert_eq!(
            Start::of_name("en.wikipedia-on-ipfs.org"),
            Start::Domain("en.wikipedia-on-ipfs.org".to_owned())
        );
        assert!(matches!(
            Start::of_name("QmbFMke1KXqnYyBBWxB74N4c5SBnJMVAiMNRcGu6x1AwQH"),
            Start::Key(_)
        ));
        let (start, path) = Start::of_path("/ipfs/bafkqaaa/a//b/").expect("a path");
        assert!(matches!(start, Start::Content(_)));
        assert_eq!(path, ["a", "b"]);
        for bad in ["/ipfs/x", "/ipfs", "", "/ipld/bafkqaaa", "/"] {
            assert_eq!(Start::of_path(bad), None, "{bad}");
        }
    }
}
