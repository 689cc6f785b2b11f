//! A file as a field of a form (RFC 7578), for services that take uploads so: its fields stand before it.

use crate::base::bytes::hex;
use crate::dest::objects::{File, Headers, Sent};

/// The request with a file of this name and fields before it; what it has for a body is the form up to the file. No file has the
/// line that ends it, for its own digest is in that. `headers` are further ones.
pub(in crate::dest) fn of(
    url: String,
    (name, file): (&str, &File<'_>),
    fields: &[(&str, &str)],
    mut headers: Headers,
) -> Sent {
    let boundary = format!("duplet-{}", hex(&file.sha256[..20]));
    let quoted = name.replace('\\', "\\\\").replace('"', "\\\"");
    let name = quoted.replace(['\r', '\n'], "_");
    let mut head = String::new();
    for (field, value) in fields {
        head += &format!(
            "--{boundary}\r\ncontent-disposition: form-data; name=\"{field}\"\r\n\r\n{value}\r\n"
        );
    }
    head += &format!(
        "--{boundary}\r\ncontent-disposition: form-data; name=\"file\"; filename=\"{name}\"\r\n\
         content-type: application/octet-stream\r\n\r\n"
    );
    let kind = format!("multipart/form-data; boundary={boundary}");
    headers.push(("content-type", kind));
    ("POST", url, headers, head.into_bytes())
}

/// What comes behind the file of a form that begins so.
pub(super) fn tail(head: &[u8]) -> Vec<u8> {
    let line = head.split(|b| *b == b'\r').next().unwrap_or_default();
    [b"\r\n", line, b"--\r\n"].concat()
}
