//! Uploads in parts that were begun and never ended: found and aborted (`ListMultipartUploads`).

use crate::base::fault::{Class, Done, Fault};
use crate::dest::s3::call::{Call, Target};
use crate::dest::s3::client::Client;
use crate::net::http::{Pace, iso_time};
use crate::net::xml::{self, Step};

const RIGHT: &str = "s3:ListBucketMultipartUploads";
/// Uploads that one run ends; the next one goes on.
const MAX: usize = 100;
/// Pages of a listing that are read.
const PAGES_MAX: usize = 10;
const ID_MAX_BYTES: usize = 1024;

/// An upload as a listing shows it.
#[derive(Default)]
struct Upload {
    key: String,
    id: String,
    begun: Option<i64>,
}

/// Where the next page begins: key and upload.
type Marker = (String, String);

/// Aborts the uploads of files of the folder whose names begin with `start` that were begun before a time; how many.
pub(super) fn end(client: &mut Client, start: &str, before: i64) -> Done<u64> {
    let mut found: Vec<Upload> = Vec::new();
    let mut marker = Marker::default();
    let folder = client.setup.prefix.clone();
    let wanted = format!("{folder}{start}");
    for _ in 0..PAGES_MAX {
        let next = page(client, &wanted, &marker, &mut |upload| {
            let name = upload.key.strip_prefix(folder.as_str()).unwrap_or("");
            if name.starts_with(start)
                && !name.contains('/')
                && (1..=ID_MAX_BYTES).contains(&upload.id.len())
                && upload.begun.is_some_and(|begun| begun < before)
                && found.len() < MAX
            {
                found.push(upload);
            }
        })?;
        match next {
            Some(next) if next != marker && found.len() < MAX => marker = next,
            _ => break,
        }
    }
    let mut ended = 0;
    for upload in &found {
        let name = upload.key.strip_prefix(folder.as_str()).unwrap_or("");
        let call = Call {
            query: &[("uploadId", &upload.id)],
            accept: &[404],
            ..Call::new("DELETE", Target::Object(name), "s3:AbortMultipartUpload")
        };
        client.call(call)?.finish()?;
        ended += 1;
    }
    Ok(ended)
}

/// Passes on the uploads of one page; where the next one begins.
fn page(
    client: &mut Client,
    prefix: &str,
    marker: &Marker,
    each: &mut dyn FnMut(Upload),
) -> Done<Option<Marker>> {
    let mut query = vec![("uploads", ""), ("prefix", prefix)];
    if !marker.0.is_empty() {
        query.push(("key-marker", &marker.0));
        query.push(("upload-id-marker", &marker.1));
    }
    let mut reply = client.call(Call {
        query: &query,
        pace: Pace::List,
        ..Call::new("GET", Target::Bucket, RIGHT)
    })?;
    let io = reply.io_fault();
    let (mut truncated, mut next, mut upload) = (false, Marker::default(), Upload::default());
    let mut is_list = false;
    xml::read(&mut reply, &io, &mut |step| {
        let (path, text) = match step {
            Step::Open { path } => {
                is_list |= path.len() == 1 && path[0] == "ListMultipartUploadsResult";
                return Ok(());
            }
            Step::Close { path, text } => (path, text),
        };
        let names: Vec<&str> = path.iter().skip(1).map(String::as_str).collect();
        let value = || text.unwrap_or("").to_owned();
        match names[..] {
            ["IsTruncated"] => truncated = value().eq_ignore_ascii_case("true"),
            ["NextKeyMarker"] => next.0 = value(),
            ["NextUploadIdMarker"] => next.1 = value(),
            ["Upload", "Key"] => upload.key = value(),
            ["Upload", "UploadId"] => upload.id = value(),
            ["Upload", "Initiated"] => upload.begun = iso_time(&value()),
            ["Upload"] => each(std::mem::take(&mut upload)),
            _ => {}
        }
        Ok(())
    })?;
    if !is_list {
        return Err(Fault::new(
            Class::Protocol,
            "the server does not list unfinished uploads",
        ));
    }
    Ok(Some(next).filter(|next| truncated && !next.0.is_empty()))
}
