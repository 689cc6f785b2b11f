//! A web page where something else was asked for: a captive portal, a login page, a wrong address.

use crate::base::fault::{Class, Fault};
use crate::base::text;
use crate::net::http::Reply;

/// A web page in place of `what` is a fault that says so.
pub(crate) fn not_html(reply: &mut Reply, what: &str, who: &str) -> Result<(), Fault> {
    let kind = reply.header("content-type").unwrap_or("").to_owned();
    if !kind.to_ascii_lowercase().contains("html") {
        return Ok(());
    }
    let body = reply.error_body();
    Err(Fault::new(
        Class::Protocol,
        format!(
            "the reply is {} and not {what}, this is not {who} (captive portal?): {}",
            text::safe_cut(kind.as_bytes(), 40),
            text::safe_cut(&body[..body.len().min(200)], 80)
        ),
    ))
}
