//! Large uploads in parts (`destinations-core.md` 3.8). Each part is repeated alone; what cannot be finished is aborted.

use crate::base::bytes::{base64, hex};
use crate::base::digest::Algo;
use crate::base::fault::{Class, Done, Fault};
use crate::dest::s3::call::{Call, Target};
use crate::dest::s3::client::Client;
use crate::dest::s3::error::Refusal;
use crate::dest::{Body, look_at};
use crate::net::http::{Pace, Reply};
use crate::net::service::Content;
use crate::net::xml::{self, Step};

const RIGHT: &str = "s3:PutObject";
const PART_MIN_BYTES: u64 = 5 << 20;
/// Repeats of one part at once, before the whole upload is given up to the caller.
const PART_REPEATS: u32 = 4;
const ETAG_MAX_BYTES: usize = 128;

/// Length of all parts but the last: at least what was asked for, and so that the number of parts stays below the limit.
pub(super) fn part_size(len: u64, wanted: u64, host_limit: u64) -> u64 {
    let least = len.div_ceil(host_limit * 9 / 10).next_multiple_of(1 << 20);
    wanted.max(PART_MIN_BYTES).max(least)
}

/// Uploads `body` in parts of `size` bytes. `headers` are those of the object.
pub(super) fn put(
    client: &mut Client,
    name: &str,
    body: &mut dyn Body,
    size: u64,
    headers: &[(&str, &str)],
) -> Done<()> {
    let mut restarted = false;
    loop {
        let id = begin(client, name, headers)?;
        let done = parts(client, name, body, size, &id)
            .and_then(|etags| complete(client, name, &id, &etags));
        match done {
            Ok(()) => return Ok(()),
            Err(Gone::Completed) if has_length(client, name, body.len())? => return Ok(()),
            Err(Gone::Completed) if !restarted => restarted = true,
            Err(Gone::Upload) if !restarted => restarted = true,
            Err(gone) => {
                let abort = Call {
                    query: &[("uploadId", &id)],
                    accept: &[404],
                    ..Call::new("DELETE", Target::Object(name), RIGHT)
                };
                let _ = client.call(abort);
                return Err(match gone {
                    Gone::Fault(fault) => fault,
                    Gone::Upload | Gone::Completed => {
                        Fault::new(Class::Transient, "the server lost the parts of the upload")
                    }
                });
            }
        }
    }
}

/// Why an upload in parts ended.
enum Gone {
    /// The server does not know the upload any more.
    Upload,
    /// The same when it was to be completed: perhaps it is, and only the reply was lost.
    Completed,
    Fault(Fault),
}

impl From<Fault> for Gone {
    fn from(fault: Fault) -> Gone {
        Gone::Fault(fault)
    }
}

fn has_length(client: &mut Client, name: &str, len: u64) -> Done<bool> {
    match client.call(Call::new("HEAD", Target::Object(name), RIGHT)) {
        Ok(reply) => Ok(reply.content_length() == Some(len)),
        Err(fault) if fault.class == Class::NotFound => Ok(false),
        Err(fault) => Err(fault),
    }
}

fn begin(client: &mut Client, name: &str, headers: &[(&str, &str)]) -> Done<String> {
    let call = Call {
        query: &[("uploads", "")],
        headers,
        content: Content::Bytes(&[]),
        ..Call::new("POST", Target::Object(name), RIGHT)
    };
    let mut reply = client.call(call)?;
    let mut id = String::new();
    let io = reply.io_fault();
    xml::read(&mut reply, &io, &mut |step| {
        if let Step::Close { path, text } = step
            && path.len() == 2
            && path[1] == "UploadId"
        {
            id = text.unwrap_or("").to_owned();
        }
        Ok(())
    })?;
    if id.is_empty() {
        return Err(Fault::new(
            Class::Protocol,
            "the server began an upload in parts without naming it",
        ));
    }
    Ok(id)
}

fn parts(
    client: &mut Client,
    name: &str,
    body: &mut dyn Body,
    size: u64,
    id: &str,
) -> Result<Vec<String>, Gone> {
    let len = body.len();
    let mut etags = Vec::new();
    let mut from = 0;
    while from < len {
        let n = size.min(len - from);
        etags.push(part(client, name, body, from, n, etags.len() + 1, id)?);
        from += n;
    }
    Ok(etags)
}

fn part(
    client: &mut Client,
    name: &str,
    body: &mut dyn Body,
    from: u64,
    len: u64,
    number: usize,
    id: &str,
) -> Result<String, Gone> {
    let (sha256, md5) = digests(body, from, len)?;
    let number = number.to_string();
    let mut repeats = 0;
    loop {
        let mut call = Call {
            query: &[("partNumber", &number), ("uploadId", id)],
            headers: &[("content-md5", &md5)],
            content: Content::Part {
                body: &mut *body,
                from,
                len,
            },
            sha256: sha256.clone(),
            pace: Pace::Upload,
            ..Call::new("PUT", Target::Object(name), RIGHT)
        };
        let result = match client.try_call(&mut call) {
            Ok(Ok(reply)) => etag(reply),
            Ok(Err(refusal)) if refusal.code == "NoSuchUpload" => return Err(Gone::Upload),
            Ok(Err(refusal)) => Err(client.fault(&refusal, &call)),
            Err(fault) => Err(fault),
        };
        match result {
            Ok(etag) => return Ok(etag),
            Err(fault) if fault.class == Class::Transient && repeats < PART_REPEATS => {
                repeats += 1;
            }
            Err(fault) => return Err(fault.into()),
        }
    }
}

fn etag(mut reply: Reply) -> Done<String> {
    let etag = reply.header("etag").unwrap_or("").to_owned();
    reply.finish()?;
    if etag.is_empty() || etag.len() > ETAG_MAX_BYTES {
        return Err(Fault::new(
            Class::Protocol,
            "the server gives no usable ETag for a part",
        ));
    }
    Ok(etag)
}

/// SHA-256 in hex and MD5 in base64 of a part, by reading it once.
fn digests(body: &mut dyn Body, from: u64, len: u64) -> Done<(String, String)> {
    let (mut sha256, mut md5) = (Algo::Sha256.hasher(), Algo::Md5.hasher());
    let looked = look_at(body, from, len, &mut |part| {
        sha256.update(part);
        md5.update(part);
    });
    looked.map_err(Fault::local)?;
    Ok((
        hex(sha256.finish().as_bytes()),
        base64(md5.finish().as_bytes()),
    ))
}

fn complete(client: &mut Client, name: &str, id: &str, etags: &[String]) -> Result<(), Gone> {
    let xml = completion(etags);
    let mut again = true;
    loop {
        let mut call = Call {
            query: &[("uploadId", id)],
            headers: &[("content-type", "application/xml")],
            content: Content::Bytes(xml.as_bytes()),
            pace: Pace::Upload,
            ..Call::new("POST", Target::Object(name), RIGHT)
        };
        let mut reply = match client.try_call(&mut call)? {
            Ok(reply) => reply,
            Err(refusal) if refusal.code == "NoSuchUpload" => return Err(Gone::Completed),
            Err(refusal) => return Err(client.fault(&refusal, &call).into()),
        };
        // A success may still carry an error, after white space that kept the connection alive.
        let refusal = Refusal::of(&mut reply);
        if refusal.root == "CompleteMultipartUploadResult" {
            return Ok(());
        }
        if refusal.code == "InternalError" && again {
            again = false;
            continue;
        }
        return Err(client.fault(&refusal, &call).into());
    }
}

fn completion(etags: &[String]) -> String {
    let mut out = String::from("<CompleteMultipartUpload>");
    for (at, etag) in etags.iter().enumerate() {
        let etag = etag.replace('&', "&amp;").replace('<', "&lt;");
        out.push_str(&format!(
            "<Part><PartNumber>{}</PartNumber><ETag>{etag}</ETag></Part>",
            at + 1
        ));
    }
    out.push_str("</CompleteMultipartUpload>");
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_few_and_large_enough() {
        let mib = 1 << 20;
        for (len, wanted, limit, want) in [
            (2048 * mib, 64 * mib, 10_000, 64 * mib),
            (2048 * mib, mib, 10_000, 5 * mib),
            (1000 * 1024 * mib, 64 * mib, 10_000, 114 * mib),
            (1000 * 1024 * mib, 64 * mib, 1000, 1138 * mib),
        ] {
            let size = part_size(len, wanted, limit);
            assert_eq!(size, want);
            assert!(len.div_ceil(size) <= limit);
        }
    }

    #[test]
    fn the_list_of_parts_is_xml() {
        assert_eq!(
            completion(&["\"a\"".to_owned(), "b<&".to_owned()]),
            "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>\"a\"</ETag></Part><Part><PartNumber>2</PartNumber><ETag>b&lt;&amp;</ETag></Part></CompleteMultipartUpload>"
        );
    }
}
