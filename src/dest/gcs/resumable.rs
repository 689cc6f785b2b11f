//! Uploads that are gone on with after a break: the server says how much it has.

use crate::base::bytes::base64;
use crate::base::fault::{Class, Done, Fault};
use crate::dest::Body;
use crate::dest::gcs::Bucket;
use crate::net::http::{Pace, Reply};
use crate::net::redirect::{foreign, same_origin};
use crate::net::service::call::Call;
use crate::net::service::rows::{self, Row};
use crate::net::service::{Content, Verb};

use super::DIALECT;

/// An upload that has begun.
pub(super) struct Pending {
    name: String,
    sha256: [u8; 32],
    /// Where the rest goes: who knows it may write.
    url: String,
}

impl Pending {
    pub(super) fn is_of(&self, name: &str, body: &dyn Body) -> bool {
        self.name == name && self.sha256 == body.sha256()
    }
}

/// What the server has of an upload.
enum State {
    /// All of it: what it stored.
    Done(Row),
    /// So many bytes.
    Has(u64),
    /// It does not know the upload.
    Gone,
}

impl Bucket {
    /// Sends a file from where the server has it. A fault of the line leaves the rest for the next call.
    pub(super) fn put_resumable(&mut self, name: &str, body: &mut dyn Body) -> Done<Row> {
        let len = body.len();
        let mut at = 0;
        if let Some(pending) = self.pending.take() {
            if pending.is_of(name, body) {
                let url = pending.url.clone();
                self.pending = Some(pending);
                match self.rest(&url, body, None)? {
                    State::Done(row) => return self.ended(row),
                    State::Has(n) => at = n.min(len),
                    State::Gone => self.pending = None,
                }
            } else {
                self.give_up(pending.url);
            }
        }
        if self.pending.is_none() {
            self.begin(name, body)?;
        }
        // Two beginnings, and parts that get on.
        let mut begun = 0;
        loop {
            let url = self.pending.as_ref().map_or("", |p| &p.url).to_owned();
            match self.rest(&url, body, Some(at))? {
                State::Done(row) => return self.ended(row),
                State::Has(n) if n > at && n <= len => at = n,
                State::Has(_) => {
                    let what = "the server takes no more of the file";
                    return Err(Fault::new(Class::Transient, what));
                }
                State::Gone if begun == 0 => {
                    (begun, at) = (1, 0);
                    self.begin(name, body)?;
                }
                State::Gone => {
                    self.pending = None;
                    let what = "the server forgets the upload each time";
                    return Err(Fault::new(Class::Transient, what));
                }
            }
        }
    }

    fn ended(&mut self, row: Row) -> Done<Row> {
        self.pending = None;
        Ok(row)
    }

    /// Begins an upload: its address is kept.
    fn begin(&mut self, name: &str, body: &dyn Body) -> Done<()> {
        self.pending = None;
        let query = format!("uploadType=resumable{}", super::condition(body));
        let url = self.upload_url(name, &query);
        let len = body.len().to_string();
        // The server compares it with what has arrived in the end.
        let mut about = serde_json::json!({});
        if let Some(md5) = body.md5() {
            about["md5Hash"] = base64(&md5).into();
        }
        let about = about.to_string();
        let headers = [
            ("content-type", "application/json; charset=UTF-8"),
            ("x-upload-content-type", "application/octet-stream"),
            ("x-upload-content-length", len.as_str()),
        ];
        let mut reply = self.service.call(Call {
            verb: Verb::Put,
            method: "POST",
            url: url.clone(),
            headers: &headers,
            content: Content::Bytes(about.as_bytes()),
            pace: Pace::Short,
        })?;
        let nowhere = || {
            Fault::new(
                Class::Protocol,
                "the server does not say where the file goes",
            )
        };
        let to = reply.location().ok_or_else(nowhere)?;
        reply.finish()?;
        if !same_origin(&url, &to) {
            return Err(foreign(&to));
        }
        self.pending = Some(Pending {
            name: name.to_owned(),
            sha256: body.sha256(),
            url: to,
        });
        Ok(())
    }

    /// Sends all from a position on, or, with none, asks how far the upload is.
    fn rest(&mut self, url: &str, body: &mut dyn Body, from: Option<u64>) -> Done<State> {
        let len = body.len();
        let (range, content, pace) = match from {
            Some(from) if from < len => {
                let range = format!("bytes {from}-{}/{len}", len - 1);
                let len = len - from;
                (range, Content::Part { body, from, len }, Pace::Upload)
            }
            _ => (format!("bytes */{len}"), Content::Bytes(b""), Pace::Short),
        };
        let asked = self.service.ask(Call {
            verb: Verb::Resume,
            method: "PUT",
            url: url.to_owned(),
            headers: &[("content-range", &range)],
            content,
            pace,
        })?;
        match asked {
            Ok(mut reply) if reply.status == 308 => {
                reply.finish()?;
                Ok(State::Has(received(&reply)))
            }
            Ok(mut reply) => rows::row(&mut reply, DIALECT.who).map(State::Done),
            Err(refusal) if matches!(refusal.status, 404 | 410) => Ok(State::Gone),
            Err(refusal) => {
                let fault = refusal.fault(&DIALECT, Verb::Resume, &[]);
                if !matches!(fault.class, Class::Transient | Class::Throttled(_)) {
                    self.pending = None;
                }
                Err(fault)
            }
        }
    }

    /// Best effort: what stays vanishes after a week.
    fn give_up(&mut self, url: String) {
        let asked = self.service.ask(Call {
            verb: Verb::Delete,
            method: "DELETE",
            url,
            headers: &[],
            content: Content::None,
            pace: Pace::Short,
        });
        if let Ok(Ok(mut reply)) = asked {
            let _ = reply.finish();
        }
    }
}

/// Bytes that the server has by its `Range: bytes=0-LAST`; none when it says nothing.
fn received(reply: &Reply) -> u64 {
    let last = reply.header("range").and_then(|r| r.rsplit_once('-'));
    let last = last.and_then(|(_, last)| last.trim().parse::<u64>().ok());
    last.map_or(0, |last| last.saturating_add(1))
}
