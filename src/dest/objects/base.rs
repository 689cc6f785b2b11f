//! What is the same for every provider: the service, addresses, listings, and what is known of a file.

use crate::base::error::Result;
use crate::base::fault::{Class, Done};
use crate::base::opt::Options;
use crate::dest::objects::shape::{Sent, Shape, Upload, sent};
use crate::dest::{Body, Flight, Listed, RemoteFile};
use crate::net::http::{Http, Pace, Reply, parse_date};
use crate::net::service::call::{Call, Login, Service};
use crate::net::service::pages::incomplete;
use crate::net::service::rows::{self, Row};
use crate::net::service::{Content, Refusal, Verb};
use crate::net::url::{encode, encode_path};

/// Where entries of a listing go.
pub(in crate::dest) type Each<'a> = dyn FnMut(Listed) -> Done<()> + 'a;
/// What a page of a listing says beside its files.
#[derive(Default)]
pub(in crate::dest) struct Page {
    /// What the next page is asked for with; empty: this was the last.
    pub(in crate::dest) next: String,
    /// Files and folders.
    pub(in crate::dest) entries: u64,
}

/// What is the same for every provider.
pub(in crate::dest) struct Base {
    pub(in crate::dest) service: Service,
    pub(super) shape: &'static Shape,
    /// Address of the objects, without `/` at its end.
    pub(in crate::dest) address: String,
    /// What stands before the names of files: empty, or with `/` at its end.
    pub(in crate::dest) folder: String,
    /// Files asked for at once.
    pub(in crate::dest) page: u64,
    /// See [`Shape::pieces_from`] and [`Shape::pieces`].
    pub(in crate::dest) pieces_from: u64,
    pub(in crate::dest) pieces: Option<(u64, u64)>,
    /// Storage classes whose files cannot be read at once, in lower case.
    pub(in crate::dest) archive: Vec<String>,
    /// See [`About::read_only`].
    pub(in crate::dest) read_only: Option<&'static str>,
    pub(in crate::dest) notices: Vec<String>,
    /// See [`Destination::account`], and [`Destination::place`] without the folder.
    pub(in crate::dest) account: String,
    pub(in crate::dest) place: String,
    pub(super) shown: String,
    /// An upload that was begun and has not come to its end.
    pub(super) upload: Option<Upload>,
}

impl Base {
    /// `address` and `folder` as the fields; `shown` as [`Destination::describe`] has it.
    pub(in crate::dest) fn new(
        shape: &'static Shape,
        options: &Options,
        login: Box<dyn Login>,
        (address, folder): (String, String),
        shown: String,
    ) -> Result<Base> {
        Ok(Base {
            service: Service::new(Http::new(options)?, shape.dialect, login),
            shape,
            place: format!("{address}/"),
            address,
            folder,
            page: 1000,
            pieces_from: shape.pieces_from,
            pieces: shape.pieces,
            archive: Vec::new(),
            read_only: None,
            notices: Vec::new(),
            account: String::new(),
            shown,
            upload: None,
        })
    }

    /// Address of a file, or of the container for an empty name, with a query that may be empty.
    pub(in crate::dest) fn url(&self, name: &str, query: &str) -> String {
        let mut out = self.address.clone();
        if !name.is_empty() {
            out.push('/');
            out.push_str(&self.key(name));
        }
        if !query.is_empty() {
            out.push('?');
            out.push_str(query);
        }
        out
    }

    /// The name of a file with its folder, percent-encoded.
    pub(in crate::dest) fn key(&self, name: &str) -> String {
        let full = format!("{}{name}", self.folder);
        match self.shape.encodes_slash {
            true => encode(&full),
            false => encode_path(&full),
        }
    }

    /// A request and the reply of its success.
    pub(in crate::dest) fn call(&mut self, verb: Verb, request: &Sent) -> Done<Reply> {
        let content = match request.3.is_empty() {
            true => Content::None,
            false => Content::Bytes(&request.3),
        };
        self.send(verb, request, content)
    }

    /// As [`Base::call`], with this body.
    pub(super) fn send(&mut self, verb: Verb, request: &Sent, content: Content<'_>) -> Done<Reply> {
        let asked = self.ask(verb, request, content)?;
        asked.map_err(|refusal| self.service.fault(&refusal, verb))
    }

    /// As [`Base::send`]; a refusal as it was told.
    pub(in crate::dest) fn ask(
        &mut self,
        verb: Verb,
        request: &Sent,
        content: Content<'_>,
    ) -> Done<std::result::Result<Reply, Refusal>> {
        let headers = headers(request);
        let pace = match (verb, &content) {
            (Verb::List, _) => Pace::List,
            (_, Content::Part { .. }) => Pace::Upload,
            #[cfg(feature = "dest-filen")]
            (_, Content::Once(_)) => Pace::Upload,
            #[cfg(feature = "form")]
            (_, Content::Form { .. }) => Pace::Upload,
            _ => Pace::Short,
        };
        self.service.ask(Call {
            verb,
            method: request.0,
            url: request.1.clone(),
            headers: &headers,
            content,
            pace,
        })
    }

    /// Sends an upload on its way: see [`Service::launch`].
    pub(super) fn launch(
        &mut self,
        request: &Sent,
        body: &mut dyn Body,
    ) -> Option<Box<dyn Flight>> {
        self.service.launch(Call {
            verb: Verb::Put,
            method: request.0,
            url: request.1.clone(),
            headers: &headers(request),
            content: Content::whole(body),
            pace: Pace::Upload,
        })
    }

    /// A request of which one small object is the reply: its fields.
    pub(in crate::dest) fn row(&mut self, verb: Verb, request: &Sent) -> Done<Row> {
        rows::row(&mut self.call(verb, request)?, self.shape.dialect.who)
    }

    /// A request without headers and body.
    pub(in crate::dest) fn plain(
        &mut self,
        verb: Verb,
        method: &'static str,
        url: String,
    ) -> Done<Reply> {
        self.call(verb, &sent(method, url, Vec::new()))
    }

    /// See [`Destination::stat`].
    pub(in crate::dest) fn look(&mut self, name: &str) -> Done<RemoteFile> {
        let Shape { look, listing, .. } = self.shape;
        let url = self.url(name, look);
        if !look.is_empty() {
            let row = self.service.row(Call {
                verb: Verb::Look,
                method: "GET",
                url,
                headers: &[],
                content: Content::None,
                pace: Pace::Short,
            })?;
            return Ok(listing.file(&row, name, &self.archive).unwrap_or_default());
        }
        let reply = self.plain(Verb::Look, "HEAD", url)?;
        let class = reply.header(self.shape.class).unwrap_or_default();
        Ok(RemoteFile {
            name: name.to_owned(),
            size: reply.content_length(),
            modified: reply.header("last-modified").and_then(parse_date),
            is_folder: false,
            is_archived: self.archive.contains(&class.to_ascii_lowercase()),
        })
    }

    /// The page with this mark, empty for the first, of at most `most` files whose names begin with `start`.
    pub(in crate::dest) fn page(
        &mut self,
        (start, most): (&str, u64),
        mark: &str,
        each: &mut Each<'_>,
    ) -> Done<Page> {
        let listing = &self.shape.listing;
        let mut query = format!("{}{most}", listing.query);
        for (name, value) in [(listing.prefix, start), (listing.mark, mark)] {
            if !value.is_empty() {
                query.push_str(&format!("&{name}={}", encode(value)));
            }
        }
        let call = Call {
            verb: Verb::List,
            method: "GET",
            url: self.url("", &query),
            headers: &[],
            content: Content::None,
            pace: Pace::List,
        };
        let (folder, archive) = (&self.folder, &self.archive);
        let (mut page, mut empty) = (Page::default(), Vec::new());
        let tail = self.service.rows(call, listing.rows, &mut |row| {
            page.entries += 1;
            let name = listing.name.iter().find_map(|field| row.get(field));
            let name = name.ok_or_else(|| incomplete("an entry has no name"))?;
            if listing.next.is_empty() {
                name.clone_into(&mut page.next);
            }
            let name = name.strip_prefix(folder).unwrap_or_default();
            let Some(mut file) = listing.file(row, name, archive) else {
                return Ok(());
            };
            if listing.empty > 0 && file.size == Some(0) {
                if empty.len() < listing.empty {
                    empty.push(file.name);
                    return Ok(());
                }
                file.size = None;
            }
            each(Listed::Entry(file))
        })?;
        let (field, value, end) = listing.proof;
        if !value.is_empty() && (tail.get(field) != Some(value) || !tail.has(end)) {
            return Err(incomplete("the reply has no files or no end"));
        }
        if !listing.next.is_empty() {
            page.next = tail.text(listing.next);
        }
        for name in empty {
            match self.look(&name) {
                Ok(file) => each(Listed::Entry(file))?,
                Err(fault) if fault.class == Class::NotFound => {}
                Err(fault) => return Err(fault),
            }
        }
        Ok(page)
    }
}

/// The headers of a request.
fn headers((_, _, headers, _): &Sent) -> Vec<(&str, &str)> {
    headers.iter().map(|(n, v)| (*n, v.as_str())).collect()
}
