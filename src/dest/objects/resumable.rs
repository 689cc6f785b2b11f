//! Google's resumable uploads, the same for its services: all that is missing goes at once, and after a break the service says how
//! much it has.

use crate::base::fault::{Class, Done, Fault};
use crate::dest::objects::{Base, File, Part, Sent, sent, sent_json};
use crate::net::redirect::{foreign, same_origin};
use crate::net::service::Verb;

/// Begins an upload by a request with JSON about the file: the address that its content goes to. Who knows it may write.
pub(in crate::dest) fn begin(
    base: &mut Base,
    (method, url): (&'static str, String),
    file: &File<'_>,
    about: &serde_json::Value,
) -> Done<String> {
    let mut request = sent_json(method, url.clone(), about);
    request.2.extend([
        (
            "x-upload-content-type",
            "application/octet-stream".to_owned(),
        ),
        ("x-upload-content-length", file.len.to_string()),
    ]);
    let mut reply = base.call(Verb::Put, &request)?;
    let nowhere = "the server does not say where the file goes";
    let to = reply.location();
    let to = to.ok_or_else(|| Fault::new(Class::Protocol, nowhere))?;
    reply.finish()?;
    match same_origin(&url, &to) {
        true => Ok(to),
        false => Err(foreign(&to)),
    }
}

/// The request with the rest of a file, or without one that asks how much has arrived. Of an empty file nothing can be said but
/// that it comes.
pub(in crate::dest) fn rest(to: &str, file: &File<'_>, part: &Part) -> Sent {
    let range = match part.len {
        _ if file.len == 0 => None,
        0 => Some(format!("bytes */{}", file.len)),
        _ => Some(format!("bytes {}-{}/{}", part.from, file.len - 1, file.len)),
    };
    let headers = range.map(|range| ("content-range", range));
    sent("PUT", to.to_owned(), headers.into_iter().collect())
}

/// Gives up an upload; what stays vanishes after a week.
pub(in crate::dest) fn cancel(base: &mut Base, to: &str) {
    let asked = base.plain(Verb::Delete, "DELETE", to.to_owned());
    let _ = asked.and_then(|mut reply| reply.finish());
}
