//! The body of `add`: a file wrapped as a form, its identifier computed while it goes by.

use std::io::{self, Read};

use crate::base::error::Result;
use crate::base::rand;
use crate::dest::{Body, look_at};
use crate::format::ipld::cid::Cid;
use crate::format::ipld::file_cid::FileCid;
use crate::net::url::encode;

/// A form with one file.
pub(super) struct Form<'a> {
    head: Vec<u8>,
    tail: Vec<u8>,
    body: &'a mut dyn Body,
    at: u64,
    cid: FileCid,
    pub(super) content_type: String,
}

impl<'a> Form<'a> {
    /// `body` stands at its start.
    pub(super) fn new(name: &str, body: &'a mut dyn Body, chunk: u64) -> Result<Form<'a>> {
        let boundary = rand::hex::<16>()?;
        Ok(Form {
            head: format!(
                "--{boundary}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{}\"\r\nContent-Type: application/octet-stream\r\n\r\n",
                encode(name)
            )
            .into_bytes(),
            tail: format!("\r\n--{boundary}--\r\n").into_bytes(),
            content_type: format!("multipart/form-data; boundary={boundary}"),
            body,
            at: 0,
            cid: FileCid::new(chunk),
        })
    }

    pub(super) fn len(&self) -> u64 {
        self.head.len() as u64 + self.body.len() + self.tail.len() as u64
    }

    /// The identifiers the node may give; `None` when not everything went by.
    pub(super) fn expected(self) -> Option<Vec<Cid>> {
        (self.cid.len() == self.body.len()).then(|| self.cid.finish())
    }
}

impl Read for Form<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let start = self.head.len() as u64;
        let end = start + self.body.len();
        let n = if self.at < start {
            copy(&self.head, self.at, buf)
        } else if self.at < end {
            let most = usize::try_from(end - self.at).map_or(buf.len(), |n| n.min(buf.len()));
            let n = self.body.read(&mut buf[..most])?;
            if n == 0 && most > 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            self.cid.update(&buf[..n]);
            n
        } else {
            copy(&self.tail, self.at - end, buf)
        };
        self.at += n as u64;
        Ok(n)
    }
}

fn copy(from: &[u8], at: u64, buf: &mut [u8]) -> usize {
    let rest = usize::try_from(at).ok().and_then(|at| from.get(at..));
    let rest = rest.unwrap_or_default();
    let n = rest.len().min(buf.len());
    buf[..n].copy_from_slice(&rest[..n]);
    n
}

/// The identifiers of a whole body.
pub(super) fn identify(body: &mut dyn Body, chunk: u64) -> io::Result<Vec<Cid>> {
    let mut cid = FileCid::new(chunk);
    let len = body.len();
    look_at(body, 0, len, &mut |part| cid.update(part))?;
    Ok(cid.finish())
}
