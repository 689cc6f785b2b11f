//! Large files in parts (`destinations-core.md` 5.6). Each part is repeated alone; what cannot be finished is cancelled.

use crate::base::bytes::hex;
use crate::base::fault::{Class, Done, Fault};
use crate::dest::Body;
use crate::dest::b2::account::ID_MAX_BYTES;
use crate::dest::b2::client::{Client, Place};
use crate::dest::b2::config::PUT_MAX_BYTES;
use crate::dest::b2::error::is_definite;
use crate::dest::b2::list;
use crate::dest::b2::ops::{CANCEL_LARGE, FINISH_LARGE, PART_URL, START_LARGE, UPLOAD_PART};
use crate::dest::b2::upload::{
    Piece, Slot, Stored, URLS_MAX, Uploads, check, send, sha1_of, whole,
};

/// A large file has at most 10000 parts.
const PARTS: u64 = 9000;

/// Length of all parts but the last: what is wanted, at least the minimum, not too many, and at least two.
fn part_size(len: u64, wanted: u64, least: u64) -> u64 {
    let least = least.max(len.div_ceil(PARTS)).max(1);
    let size = wanted.max(least).min(PUT_MAX_BYTES);
    if size < len {
        size
    } else {
        len.div_ceil(2).max(least)
    }
}

pub(super) fn put(
    client: &mut Client,
    uploads: &mut Uploads,
    full: &str,
    body: &mut dyn Body,
) -> Done<String> {
    let len = body.len();
    let account = client.account()?;
    let (recommended, least) = (account.part_size, account.part_min);
    let wanted = client.setup.part_size.unwrap_or(recommended);
    let size = part_size(len, wanted, least);
    if size >= len {
        return whole(client, uploads, full, body);
    }
    if let Some((name, id)) = uploads.open.take()
        && name == full
    {
        cancel(client, &id);
    }
    let sha1 = match body.sha1() {
        Some(sha1) => hex(&sha1),
        None => sha1_of(body, 0, len)?,
    };
    let id = start(client, full, &sha1)?;
    let sha1s = match parts(client, body, size, &id) {
        Ok(sha1s) => sha1s,
        Err(fault) => {
            cancel(client, &id);
            return Err(fault);
        }
    };
    let request = serde_json::json!({ "fileId": id, "partSha1Array": sha1s }).to_string();
    let stored = match client.call("POST", Place::Api, &FINISH_LARGE, &[], &request) {
        Ok(Ok(mut reply)) => Stored::read(&mut reply).map_err(|fault| Fault {
            class: Class::Transient,
            ..fault
        }),
        Ok(Err(refusal)) if is_definite(&refusal) => {
            // A call that was repeated on a fresh connection finds the file finished.
            if refusal.status == 400
                && list::stat(client, full, full).is_ok_and(|f| f.size == Some(len))
            {
                return Ok(id);
            }
            cancel(client, &id);
            return Err(client.fault(&refusal, &FINISH_LARGE));
        }
        Ok(Err(refusal)) => Err(client.fault(&refusal, &FINISH_LARGE)),
        Err(fault) => Err(fault),
    };
    let stored = stored.inspect_err(|_| {
        uploads.remember(full);
        uploads.open = Some((full.to_owned(), id.clone()));
    })?;
    check(client, full, len, &stored, true)?;
    Ok(stored.id)
}

fn start(client: &mut Client, full: &str, sha1: &str) -> Done<String> {
    let body = serde_json::json!({
        "bucketId": client.bucket()?.id,
        "fileName": full,
        "contentType": "application/octet-stream",
        "fileInfo": { "large_file_sha1": sha1 },
    });
    let mut reply = client.post(&START_LARGE, &body.to_string())?;
    let id = Stored::read(&mut reply)?.id;
    if id.is_empty() || id.len() > ID_MAX_BYTES {
        return Err(Fault::new(
            Class::Protocol,
            "the server began an upload in parts without naming it",
        ));
    }
    Ok(id)
}

/// Best effort: what stays is removed by the bucket's rules, or with the file.
fn cancel(client: &mut Client, id: &str) {
    let body = serde_json::json!({ "fileId": id }).to_string();
    if let Ok(mut reply) = client.post(&CANCEL_LARGE, &body) {
        let _ = reply.finish();
    }
}

fn parts(client: &mut Client, body: &mut dyn Body, size: u64, id: &str) -> Done<Vec<String>> {
    let len = body.len();
    let ask = serde_json::json!({ "fileId": id }).to_string();
    let mut kept = None;
    let mut sha1s: Vec<String> = Vec::new();
    let mut from = 0;
    while from < len {
        let n = size.min(len - from);
        let sha1 = sha1_of(body, from, n)?;
        let number = (sha1s.len() + 1).to_string();
        let piece = Piece {
            ask: &PART_URL,
            ask_body: &ask,
            op: &UPLOAD_PART,
            headers: &[("x-bz-part-number", &number), ("x-bz-content-sha1", &sha1)],
            from,
            len: n,
        };
        part(client, &mut kept, body, &piece, &sha1)?;
        sha1s.push(sha1);
        from += n;
    }
    Ok(sha1s)
}

/// Sends one part. A doubtful one is sent again: the later one counts.
fn part(
    client: &mut Client,
    kept: &mut Option<Slot>,
    body: &mut dyn Body,
    piece: &Piece<'_>,
    sha1: &str,
) -> Done<()> {
    let mut doubts = 0;
    loop {
        match send(client, kept, body, piece) {
            Ok(stored) if stored.sha1 == sha1 && stored.size.is_none_or(|s| s == piece.len) => {
                return Ok(());
            }
            Ok(_) if doubts < URLS_MAX => doubts += 1,
            Ok(_) => {
                return Err(Fault::new(
                    Class::Integrity,
                    "the server stored a part that is not the one sent",
                ));
            }
            Err(failed) if failed.doubtful && doubts < URLS_MAX => doubts += 1,
            Err(failed) => return Err(failed.fault),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_few_and_large_enough() {
        let mb = 1_000_000;
        for (len, wanted, least, want) in [
            (1100 * mb, 100 * mb, 5 * mb, 100 * mb),
            (11 * mb, mb, 5 * mb, 5 * mb),
            (12 * mb, 100 * mb, 5 * mb, 6 * mb),
            (7 * mb, 100 * mb, 5 * mb, 5 * mb),
            (4 * mb, 100 * mb, 5 * mb, 5 * mb),
            (9_000_000 * mb, 100 * mb, 5 * mb, 1000 * mb),
        ] {
            let size = part_size(len, wanted, least);
            assert_eq!(size, want, "{len} {wanted}");
            assert!(len.div_ceil(size) <= 10_000);
        }
    }
}
