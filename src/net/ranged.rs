//! What the reply to a download that starts at an offset really holds (`destinations-core.md` 0.8).

use crate::net::http::Reply;

/// The content of a reply to `GET`, with the total length of the file if the server states it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Ranged {
    /// The bytes from the offset asked for.
    Part(Option<u64>),
    /// The whole file from its start.
    Whole(Option<u64>),
    /// There is nothing after the offset: the file ends there.
    Done,
    /// Nothing that fits what is there already: start again.
    Other,
}

/// Judges a reply of status 200, 206, 412 or 416. `from` was asked for (`0` = no range); `known` is the total length seen
/// when the download began.
pub(crate) fn judge(reply: &Reply, from: u64, known: Option<u64>) -> Ranged {
    decide(
        reply.status,
        reply.content_range(),
        reply.range_total(),
        reply.content_length(),
        (from, known),
    )
}

fn decide(
    status: u16,
    range: Option<(u64, Option<u64>)>,
    range_total: Option<u64>,
    length: Option<u64>,
    (from, known): (u64, Option<u64>),
) -> Ranged {
    match (status, range) {
        (416, _) if range_total == Some(from) && from > 0 => Ranged::Done,
        (412 | 416, _) | (206, None) => Ranged::Other,
        (_, Some((start, total))) => {
            let changed = known.is_some() && total.is_some() && known != total;
            if start != from || changed {
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
                Ranged::Other,
            ),
            (206, None, None, Some(95), 5, total, Ranged::Other),
            (412, None, None, None, 5, total, Ranged::Other),
            (416, None, total, None, 100, total, Ranged::Done),
            (416, None, Some(90), None, 100, total, Ranged::Other),
            (416, None, Some(0), None, 0, None, Ranged::Other),
        ] {
            let got = decide(status, range, range_total, length, (from, known));
            assert_eq!(got, want, "{status} {range:?} {from}");
        }
    }
}
