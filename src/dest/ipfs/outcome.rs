//! What one question to a gateway came to: a reply to read, or why there is none (`destinations-core.md` 6.7).

use std::io::Read;

use crate::base::fault::{Class, Fault};
use crate::base::text;
use crate::net::http::Reply;
use crate::net::redirect;
use crate::net::service::{Verb, class_of_status};

/// What one gateway came to.
pub(super) enum Outcome {
    /// It has not got it.
    Absent,
    /// It lies or cannot do what is needed: never again.
    Bad(String),
    /// It may work later.
    Later(Fault),
}

/// A success, or the outcome of any other status. `base`: the gateway, for messages.
pub(super) fn judge(mut reply: Reply, base: &str) -> std::result::Result<Reply, Outcome> {
    let status = reply.status;
    let later = |class| {
        Outcome::Later(Fault::new(
            class,
            format!("gateway {} answers with status {status}", shown(base)),
        ))
    };
    match status {
        200 | 206 | 416 => return Ok(reply),
        404 | 410 | 451 => {}
        400 | 406 => {
            return Err(Outcome::Bad(format!(
                "it cannot give blocks (status {status})"
            )));
        }
        412 => return Err(later(Class::Transient)),
        _ => {
            return Err(match class_of_status(status, Verb::Get) {
                Class::Protocol | Class::Unsupported | Class::TooBig => {
                    Outcome::Bad(format!("it answers with status {status}"))
                }
                Class::Throttled(_) => later(Class::Throttled(reply.retry_after())),
                class => later(class),
            });
        }
    }
    drop(reply.error_body());
    Err(Outcome::Absent)
}

/// Which of several faults is told: the one that another try may cure, then the one that says how long to wait.
pub(super) fn urgency(class: Class) -> u8 {
    match class {
        Class::Transient | Class::Refused | Class::NoHost => 2,
        Class::Throttled(_) => 1,
        _ => 0,
    }
}

/// The host of a gateway, safe to print.
pub(super) fn shown(base: &str) -> String {
    text::safe_cut(redirect::split(base).0.as_bytes(), 80)
}

/// True for a web page.
pub(super) fn is_html(reply: &Reply) -> bool {
    let kind = reply.header("content-type").unwrap_or("");
    kind.trim().to_ascii_lowercase().starts_with("text/html")
}

/// The whole body into `out`, which never grows beyond `most` bytes.
pub(super) fn fill(
    reply: &mut Reply,
    out: &mut Vec<u8>,
    most: usize,
) -> std::result::Result<(), Outcome> {
    out.clear();
    let long = || {
        Outcome::Bad(format!(
            "it returned more than the {most} bytes there can be"
        ))
    };
    if let Some(len) = reply.content_length() {
        match usize::try_from(len) {
            Ok(len) if len <= most => out.reserve_exact(len),
            _ => return Err(long()),
        }
    }
    let mut buffer = [0; 16 * 1024];
    loop {
        match reply.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(n) if out.len() + n > most => {
                out.clear();
                return Err(long());
            }
            Ok(n) => {
                if out.capacity() < out.len() + n {
                    let step = out.len().max(buffer.len()).min(most - out.len());
                    out.reserve_exact(step);
                }
                out.extend_from_slice(&buffer[..n]);
            }
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
            Err(e) => return Err(Outcome::Later(reply.fault(&e))),
        }
    }
}
