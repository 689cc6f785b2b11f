//! Uploads: short files in one request, longer ones in a session, in fragments, of which those that arrived are not sent again
//! after a break. Drives of organisations have one open session for a name: one that is not gone on with is cancelled.

use crate::base::fault::{Class, Done, Fault};
use crate::base::secret::Secret;
use crate::dest::Body;
use crate::dest::onedrive::client::Client;
use crate::net::http::Pace;
use crate::net::service::call::Call;
use crate::net::service::rows::{self, Row};
use crate::net::service::{Content, Verb};

/// What a session is begun with.
const REPLACE: &[u8] = br#"{"item":{"@microsoft.graph.conflictBehavior":"replace"}}"#;
/// Longer files go in a session.
const WHOLE_MAX: u64 = 4 << 20;
/// As long may a file be in one request at all.
const CONTENT_MAX: u64 = 250_000_000;
/// So often one call begins an upload that the service forgets, and asks again where it stands.
const BEGINS_MAX: u8 = 2;
const ASKS_MAX: u8 = 3;
const WHO: &str = "Microsoft Graph";

/// An upload that was begun and has not come to its end.
pub(super) struct Session {
    name: String,
    sha256: [u8; 32],
    url: Secret,
}

/// How an attempt to go on ended.
enum End {
    /// What the service says of the file.
    Stored(Row),
    /// The service does not know the session.
    Gone,
}

/// Sends a file to `at`, the address of its name without what comes behind; what the service says of it. A fault of the line
/// leaves the rest of a session for the next call with that file.
pub(super) fn send(
    client: &mut Client,
    pending: &mut Option<Session>,
    fragment: u64,
    (at, name): (&str, &str),
    body: &mut dyn Body,
) -> Done<Row> {
    let is_of = |s: &Session| s.name == name && s.sha256 == body.sha256();
    let (mut session, mut asks) = (None, false);
    match pending.take() {
        Some(known) if is_of(&known) => (session, asks) = (Some(known), true),
        Some(other) => cancel(client, &other),
        None => {}
    }
    if body.len() <= WHOLE_MAX {
        return whole(client, at, body);
    }
    for _ in 0..BEGINS_MAX {
        let open = match session.take() {
            Some(open) => open,
            None => match begin(client, at, name, body)? {
                Some(open) => open,
                // A session of an earlier attempt is open that cannot be reached any more.
                None if body.len() <= CONTENT_MAX => return whole(client, at, body),
                None => {
                    return Err(passing(
                        "an upload of this name was begun before and is open",
                    ));
                }
            },
        };
        match advance(client, &open, fragment, asks, body) {
            Ok(End::Stored(row)) => return Ok(row),
            Ok(End::Gone) => asks = false,
            Err(fault) => {
                match fault.class {
                    Class::Transient | Class::Throttled(_) => *pending = Some(open),
                    _ => cancel(client, &open),
                }
                return Err(fault);
            }
        }
    }
    Err(passing("the server forgets the upload each time"))
}

/// The fault of what may go well the next time.
fn passing(what: &str) -> Fault {
    Fault::new(Class::Transient, what)
}

/// One request with all of it.
fn whole(client: &mut Client, at: &str, body: &mut dyn Body) -> Done<Row> {
    let url = client.url(&format!("{at}:/content"));
    client.service().row(Call {
        verb: Verb::Put,
        method: "PUT",
        url,
        headers: &[("content-type", "application/octet-stream")],
        content: Content::whole(body),
        pace: Pace::Upload,
    })
}

/// `None`: there is a session for this name already.
fn begin(client: &mut Client, at: &str, name: &str, body: &dyn Body) -> Done<Option<Session>> {
    let url = client.url(&format!("{at}:/createUploadSession"));
    let asked = client.service().ask(Call {
        verb: Verb::Put,
        method: "POST",
        url,
        headers: &[("content-type", "application/json")],
        content: Content::Bytes(REPLACE),
        pace: Pace::Short,
    })?;
    let mut reply = match asked {
        Ok(reply) => reply,
        Err(refusal) if refusal.status == 409 => return Ok(None),
        Err(refusal) => return Err(client.service().fault(&refusal, Verb::Put)),
    };
    let url = rows::row(&mut reply, WHO)?.text("uploadUrl");
    let safe = url.starts_with("https://") || client.url("").starts_with("http://");
    if !safe || !url.contains("://") {
        let what = "the server does not say where the file goes";
        return Err(Fault::new(Class::Protocol, what));
    }
    Ok(Some(Session {
        name: name.to_owned(),
        sha256: body.sha256(),
        url: Secret::new(url),
    }))
}

/// Sends what has not arrived. `asks`: it is not known how much has.
fn advance(
    client: &mut Client,
    session: &Session,
    fragment: u64,
    mut asks: bool,
    body: &mut dyn Body,
) -> Done<End> {
    let (len, url) = (body.len(), session.url.reveal());
    let (mut at, mut asked) = (0, 0);
    loop {
        let (reply, least) = if std::mem::take(&mut asks) {
            asked += 1;
            (client.given("GET", url, "", Content::None)?, 0)
        } else {
            let n = fragment.min(len - at);
            let range = format!("bytes {at}-{}/{len}", at + n - 1);
            let part = Content::Part {
                body: &mut *body,
                from: at,
                len: n,
            };
            (client.given("PUT", url, &range, part)?, at + 1)
        };
        let mut reply = match reply {
            Ok(reply) => reply,
            Err(refusal) => match refusal.status {
                404 | 410 => return Ok(End::Gone),
                // Said of a session that has run out, too.
                401 | 403 if at > 0 || asked > 0 => return Ok(End::Gone),
                416 if asked < ASKS_MAX => {
                    asks = true;
                    continue;
                }
                _ => return Err(client.service().fault(&refusal, Verb::Resume)),
            },
        };
        let row = rows::row(&mut reply, WHO)?;
        if least > 0 && matches!(reply.status, 200 | 201) {
            return Ok(End::Stored(row));
        }
        // "0-327679" or "327680-".
        let first = row.texts("nextExpectedRanges/[]").next();
        let first = first.and_then(|r| r.split('-').next()?.parse::<u64>().ok());
        match first {
            Some(first) if (least..len).contains(&first) => at = first,
            // All has arrived, but the file was not made of it.
            None if row.is_nested("nextExpectedRanges") => {
                cancel(client, session);
                return Ok(End::Gone);
            }
            _ => return Err(passing("the server takes no more of the file")),
        }
    }
}

/// Gives up a session, as well as that can be done.
pub(super) fn cancel(client: &mut Client, session: &Session) {
    if let Ok(Ok(mut reply)) = client.given("DELETE", session.url.reveal(), "", Content::None) {
        let _ = reply.finish();
    }
}
