//! Downloading the whole of a file or a span of it, whatever the server makes of a `Range` (`destinations-core.md` 0.8): what
//! a reply really holds, what may be gone on with, and what has to begin again. Once for all services over HTTP.

use crate::base::fault::{Class, Fault};
use crate::base::transfer::{FLIES, GetFacts, Sink, Span};
use crate::net::http::Reply;

/// The content of a reply to `GET`, with the total length of the file if the server states it.
#[derive(Debug, PartialEq, Eq)]
enum Ranged {
    /// The bytes from the offset asked for.
    Part(Option<u64>),
    /// The whole file from its start.
    Whole(Option<u64>),
    /// There is nothing after the offset: the file ends there.
    Done,
    /// It is another file than the one seen before.
    Changed,
    /// Nothing that fits what was asked for.
    Other,
}

/// What an earlier reply said of a file.
struct Known {
    name: String,
    /// See [`Answer::tag`].
    tag: String,
    total: Option<u64>,
    sha1: Option<[u8; 20]>,
}

/// One reply to a download, of status 200, 206, 412 or 416.
pub(crate) struct Answer {
    pub(crate) reply: Reply,
    /// What tells this content of the file from another, such as a strong ETag; may be empty.
    pub(crate) tag: String,
    /// Of the whole file.
    pub(crate) sha1: Option<[u8; 20]>,
}

/// Asks for a file: with this `Range`, if any, on condition that it still has this tag, unless that is empty.
pub(crate) type Ask<'a> = dyn FnMut(Option<&str>, &str) -> Result<Answer, Fault> + 'a;

/// Downloads that may be gone on with at a time: one while another is on its way.
const KNOWN_MAX: usize = 2;

/// The files whose downloads may be gone on with, the last one at the end.
#[derive(Default)]
pub(crate) struct Resume(Vec<Known>);

impl Resume {
    /// See `Destination::get`. A bounded span of a file that has been replaced since it was last asked for is
    /// [`Class::Integrity`]: what was read before does not belong to it.
    pub(crate) fn get(
        &mut self,
        name: &str,
        span: Span,
        into: &mut dyn Sink,
        ask: &mut Ask<'_>,
    ) -> Result<GetFacts, Fault> {
        let known = self.0.iter().position(|k| k.name == name);
        let known = known.map(|at| self.0.remove(at));
        let known = known.filter(|_| span.from > 0);
        if let Some(facts) = self.once(name, span, known, into, ask)? {
            return Ok(facts);
        }
        if span.from > 0 {
            into.restart().map_err(Fault::local)?;
        }
        let start = Span {
            from: 0,
            len: span.len.map(|_| span.end()),
        };
        match self.once(name, start, None, into, ask)? {
            Some(facts) => Ok(facts),
            None => Err(Fault::new(
                Class::Protocol,
                "the server sends another part of the file than it was asked for",
            )),
        }
    }

    /// One request. `None`: nothing usable came, ask from the start.
    fn once(
        &mut self,
        name: &str,
        span: Span,
        known: Option<Known>,
        into: &mut dyn Sink,
        ask: &mut Ask<'_>,
    ) -> Result<Option<GetFacts>, Fault> {
        let from = span.from;
        let old = known.as_ref().map_or("", |k| k.tag.as_str());
        let answer = ask(span.header().as_deref(), old)?;
        let (mut reply, tag) = (answer.reply, answer.tag);
        let stated = reply.range_total();
        let content = decide(
            reply.status,
            reply.content_range(),
            stated,
            reply.content_length(),
            (from, known.as_ref().and_then(|k| k.total)),
        );
        let another = !old.is_empty() && !tag.is_empty() && tag != old;
        let mut sha1 = answer.sha1;
        let (first, total) = match content {
            Ranged::Part(total) if !another => (from, total),
            Ranged::Whole(total) if span.is_open() || !another => {
                if from > 0 {
                    into.restart().map_err(Fault::local)?;
                }
                (0, total)
            }
            Ranged::Done => {
                sha1 = known.and_then(|k| k.sha1);
                let total = Some(from);
                return Ok(Some(GetFacts { total, sha1 }));
            }
            Ranged::Other if reply.status == 416 && stated.is_some() && !span.is_open() => {
                return Ok(Some(GetFacts {
                    total: stated,
                    sha1: None,
                }));
            }
            Ranged::Other => return Ok(None),
            _ if span.is_open() => return Ok(None),
            _ => {
                return Err(Fault::new(
                    Class::Integrity,
                    "the file has been replaced since it was last read",
                ));
            }
        };
        if self.0.len() >= KNOWN_MAX {
            self.0.remove(0);
        }
        self.0.push(Known {
            name: name.to_owned(),
            tag,
            total,
            sha1,
        });
        match FLIES && span == Span::WHOLE {
            true => later(reply, into)?,
            false => drop(reply.copy(span.end() - first, into)?),
        }
        Ok(Some(GetFacts { total, sha1 }))
    }
}

/// The whole content into a sink that may have no time for it now.
pub(crate) fn later(reply: Reply, into: &mut dyn Sink) -> Result<(), Fault> {
    match into.later(reply.into_rest()) {
        Some(mut rest) => rest.copy(into),
        None => Ok(()),
    }
}

/// Judges a reply of status 200, 206, 412 or 416. `from` was asked for (`0` = no range); `known` is the total length seen
/// when the download began.
fn decide(
    status: u16,
    range: Option<(u64, Option<u64>)>,
    range_total: Option<u64>,
    length: Option<u64>,
    (from, known): (u64, Option<u64>),
) -> Ranged {
    match (status, range) {
        (416, _) if range_total == Some(from) && from > 0 => Ranged::Done,
        (412, _) => Ranged::Changed,
        (416, _) | (206, None) => Ranged::Other,
        (_, Some((start, total))) => {
            if known.is_some() && total.is_some() && known != total {
                Ranged::Changed
            } else if start != from {
                Ranged::Other
            } else {
                Ranged::Part(total)
            }
        }
        (_, None) => Ranged::Whole(length),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replies_to_ranges() {
        let total = Some(100);
        for (status, range, range_total, length, from, known, want) in [
            (200, None, None, total, 0, None, Ranged::Whole(total)),
            (200, None, None, None, 5, total, Ranged::Whole(None)),
            (
                206,
                Some((5, total)),
                total,
                Some(95),
                5,
                total,
                Ranged::Part(total),
            ),
            (
                200,
                Some((5, total)),
                total,
                Some(95),
                5,
                None,
                Ranged::Part(total),
            ),
            (
                206,
                Some((5, None)),
                None,
                Some(95),
                5,
                total,
                Ranged::Part(None),
            ),
            (
                206,
                Some((6, total)),
                total,
                Some(94),
                5,
                total,
                Ranged::Other,
            ),
            (
                206,
                Some((5, Some(90))),
                Some(90),
                None,
                5,
                total,
                Ranged::Changed,
            ),
            (206, None, None, Some(95), 5, total, Ranged::Other),
            (412, None, None, None, 5, total, Ranged::Changed),
            (416, None, total, None, 100, total, Ranged::Done),
            (416, None, Some(90), None, 100, total, Ranged::Other),
            (416, None, Some(0), None, 0, None, Ranged::Other),
        ] {
            let got = decide(status, range, range_total, length, (from, known));
            assert_eq!(got, want, "{status} {range:?} {from}");
        }
    }
}
