//! What destinations share that are a container of objects behind a service over HTTP: one [`Destination`] for all of them.
//! A provider is a [`Shape`], the table of its addresses and fields, and an [`Api`], what it does otherwise than most.
//!
//! Every upload is compared with what the service says it has stored, and removed when it differs.

mod base;
#[cfg(any(
    feature = "dest-box",
    feature = "dest-drimecloud",
    feature = "dest-filen",
    feature = "dest-googledrive",
    feature = "dest-pcloud"
))]
pub(super) mod by_id;
#[cfg(feature = "form")]
pub(super) mod form;
#[cfg(any(feature = "dest-box", feature = "dest-googledrive"))]
pub(super) mod id_pages;
#[cfg(any(
    feature = "dest-box",
    feature = "dest-drimecloud",
    feature = "dest-duplicati",
    feature = "dest-filen",
    feature = "dest-googledrive",
    feature = "dest-pcloud"
))]
pub(super) mod ids;
#[cfg(any(feature = "dest-gcs", feature = "dest-googledrive"))]
pub(super) mod resumable;
mod shape;
mod upload;

use crate::base::digest::Algo;
use crate::base::fault::{Class, Done, Fault};
use crate::dest::{
    About, Body, Destination, FLIES, Fact, Flight, GetFacts, Quota, RemoteFile, Said, Sink, Span,
    WantedDigests, look_at,
};
use crate::net::http::Reply;
use crate::net::service::{Refusal, Verb};

pub(super) use self::base::{Base, Each, Page};
#[cfg(any(
    feature = "dest-filen",
    feature = "dest-drimecloud",
    feature = "dest-gcs",
    feature = "dest-googledrive"
))]
pub(super) use self::shape::sent_json;
pub(super) use self::shape::{File, Headers, Listing, Part, Sent, Shape, sent};

/// A provider. Its methods are given what is the same for all.
pub(super) trait Api {
    /// See [`Destination::list`].
    fn list(&mut self, base: &mut Base, from: &str, each: &mut Each<'_>) -> Done<()> {
        self.pages(base, from, each)
    }

    /// All pages of the listing of files whose names begin with `from`.
    fn pages(&mut self, base: &mut Base, from: &str, each: &mut Each<'_>) -> Done<()> {
        let (mut pages, mut mark) = (base.service.pages(base.page), String::new());
        loop {
            let page = self.page(base, from, &mark, each)?;
            if page.next.is_empty() {
                return Ok(());
            }
            pages.page(&page.next, page.entries)?;
            mark = page.next;
        }
    }

    /// The page of that listing with this mark, empty for the first.
    fn page(&mut self, base: &mut Base, from: &str, mark: &str, each: &mut Each<'_>) -> Done<Page> {
        let (start, most) = (format!("{}{from}", base.folder), base.page);
        base.page((&start, most), mark, each)
    }

    /// See [`Destination::stat`].
    fn look(&mut self, base: &mut Base, name: &str) -> Done<RemoteFile> {
        base.look(name)
    }

    /// See [`Destination::get`].
    fn fetch(
        &mut self,
        base: &mut Base,
        (name, span): (&str, Span),
        into: &mut dyn Sink,
    ) -> Done<GetFacts> {
        let url = base.url(name, base.shape.content);
        let service = &mut base.service;
        service.download(("GET", &url), &[], (name, span), into)
    }

    /// Before an upload: a folder that is missing is [`Class::FolderMissing`], where the service would not say so.
    fn prepare(&mut self, _: &mut Base, _name: &str) -> Done<()> {
        Ok(())
    }

    /// The request that uploads a file as a whole. What it has for a body is the beginning of a form whose last field the file
    /// is.
    fn whole(&self, base: &Base, file: &File<'_>) -> Sent {
        let headers = file.headers(base.shape.digest);
        sent("PUT", base.url(file.name, ""), headers)
    }

    /// True when the reply to a finished upload tells of the file that was sent: by [`Shape::digest`], and where it tells
    /// none the file is looked at.
    fn is_stored(&mut self, base: &mut Base, file: &File<'_>, reply: &mut Reply) -> Done<bool> {
        let (header, write) = base.shape.digest;
        let told = reply.header(header).map(|t| t.trim_matches('"'));
        let told = told.filter(|told| !told.is_empty()).map(|told| {
            let ours = write(&file.digest);
            told == ours || told.to_ascii_lowercase() == ours
        });
        reply.finish()?;
        match told {
            Some(same) => Ok(same),
            None => match self.look(base, file.name) {
                Err(fault) if fault.class == Class::NotFound => Ok(false),
                looked => Ok(looked?.size.is_none_or(|size| size == file.len)),
            },
        }
    }

    /// What the service knows so many bytes of a body from a position by.
    fn digest(&self, body: &mut dyn Body, from: u64, len: u64) -> Done<Vec<u8>> {
        if let Some(md5) = body.md5().filter(|_| len == body.len()) {
            return Ok(md5.to_vec());
        }
        let mut md5 = Algo::Md5.hasher();
        look_at(body, from, len, &mut |bytes| md5.update(bytes)).map_err(Fault::local)?;
        Ok(md5.finish().as_bytes().to_vec())
    }

    /// Begins an upload in pieces: what the service calls it.
    fn begin(&mut self, _: &mut Base, _: &File<'_>) -> Done<String> {
        Ok(String::new())
    }

    /// How many bytes the service had of the upload that was begun last; all of them: it is asked for a proof, by a piece
    /// without content.
    fn had(&self) -> u64 {
        0
    }

    /// How many bytes the service has of an upload, where it refuses a piece because those are others than we thought.
    fn offset(&self, _: &Refusal) -> Option<u64> {
        None
    }

    /// The request that sends a piece of an upload that was begun, or without one its end. See [`Shape::pieces`]. An upload that
    /// the service does not know is [`Class::NotFound`] by its table.
    fn piece(&self, base: &Base, _id: &str, file: &File<'_>, _: &Part) -> Sent {
        self.whole(base, file)
    }

    /// What is sent of a piece in place of its bytes, or as the end of an upload, where that is not they themselves.
    #[cfg(feature = "dest-filen")]
    fn sealed(&mut self, _: &mut dyn Body, _: &Part) -> Done<Option<Vec<u8>>> {
        Ok(None)
    }

    /// The reply to a piece that is not the last; an upload that the service does not know is [`Class::NotFound`].
    fn taken(&mut self, _: &mut Base, reply: &mut Reply) -> Done<()> {
        reply.finish()
    }

    /// Before the end of an upload in pieces of a length of their own: what that end has to tell.
    fn before_end(&mut self, _: &mut Base, _id: &str, _: &File<'_>) -> Done<()> {
        Ok(())
    }

    /// Gives up an upload, as well as that can be done.
    fn cancel(&self, _: &mut Base, _id: &str) {}

    /// See [`Destination::delete`]; a missing file may be a fault.
    fn delete(&mut self, base: &mut Base, name: &str) -> Done<()> {
        let url = base.url(name, "");
        base.plain(Verb::Delete, "DELETE", url)?.finish()
    }

    /// See [`Destination::create_folder`]; one that is there may be [`Class::Exists`].
    fn make(&mut self, base: &mut Base) -> Done<()> {
        let url = base.url("", base.shape.make);
        base.plain(Verb::MakeFolder, "PUT", url)?.finish()
    }

    /// See [`Destination::finish`].
    fn finish(&mut self, _: &mut Base) -> Done<()> {
        Ok(())
    }

    /// See [`Destination::quota`].
    fn quota(&mut self, _: &mut Base) -> Done<Quota> {
        let what = "the destination does not tell its free space";
        Err(Fault::new(Class::Unsupported, what))
    }
}

/// What is known of a file that is to be uploaded.
fn file<'a>(api: &dyn Api, name: &'a str, body: &mut dyn Body) -> Done<File<'a>> {
    let len = body.len();
    Ok(File {
        name,
        len,
        digest: api.digest(body, 0, len)?,
        sha256: body.sha256(),
        is_new: body.is_new(),
    })
}

/// The SHA-1 of so many bytes of a body from a position.
#[cfg(any(feature = "dest-box", feature = "dest-pcloud"))]
pub(super) fn sha1_of(body: &mut dyn Body, from: u64, len: u64) -> Done<Vec<u8>> {
    if let Some(sha1) = body.sha1().filter(|_| len == body.len()) {
        return Ok(sha1.to_vec());
    }
    let mut sha1 = Algo::Sha1.hasher();
    look_at(body, from, len, &mut |bytes| sha1.update(bytes)).map_err(Fault::local)?;
    Ok(sha1.finish().as_bytes().to_vec())
}

/// A container of a provider, or the files in it below a folder.
pub(super) struct Store {
    pub(super) base: Base,
    pub(super) api: Box<dyn Api>,
}

impl Destination for Store {
    fn list(&mut self, start: &str, each: &mut Each<'_>) -> Done<()> {
        self.api.list(&mut self.base, start, each)
    }

    fn stat(&mut self, name: &str) -> Done<RemoteFile> {
        self.api.look(&mut self.base, name)
    }

    fn get(&mut self, name: &str, span: Span, into: &mut dyn Sink) -> Done<GetFacts> {
        self.api.fetch(&mut self.base, (name, span), into)
    }

    fn can_be_asked_ahead(&self) -> bool {
        true
    }

    fn put(&mut self, name: &str, body: &mut dyn Body) -> Done<()> {
        let Store { base, api } = self;
        if let Some(why) = base.read_only {
            return Err(Fault::new(Class::Unsupported, why));
        }
        if body.len() > base.shape.most {
            let (who, most) = (base.shape.dialect.who, base.shape.most >> 20);
            let (most, unit) = match most % 1024 {
                0 => (most >> 10, "GiB"),
                _ => (most, "MiB"),
            };
            let what = format!("{who} takes no file of more than {most} {unit} in one piece");
            return Err(Fault::new(Class::TooBig, what).hint("use a smaller --dblock-size"));
        }
        api.prepare(base, name)?;
        let file = file(&**api, name, body)?;
        let mut reply = upload::send(&mut **api, base, &file, body)?;
        if api.is_stored(base, &file, &mut reply)? {
            return Ok(());
        }
        let _ = api.delete(base, name);
        let what = "the stored file is not the one sent";
        Err(Fault::new(Class::Integrity, what))
    }

    fn launch(&mut self, name: &str, body: &mut dyn Body) -> Option<Box<dyn Flight>> {
        let Store { base, api } = self;
        let takes = base.read_only.is_none() && body.len() <= base.shape.most;
        if !FLIES || !base.shape.flies || !takes {
            return None;
        }
        let file = file(&**api, name, body).ok()?;
        upload::launch(&mut **api, base, &file, body)
    }

    fn delete(&mut self, name: &str) -> Done<()> {
        match self.api.delete(&mut self.base, name) {
            Err(fault) if fault.class != Class::NotFound => Err(fault),
            _ => Ok(()),
        }
    }

    fn create_folder(&mut self) -> Done<()> {
        match self.api.make(&mut self.base) {
            Err(fault) if fault.class != Class::Exists => Err(fault),
            _ => Ok(()),
        }
    }

    fn about(&self) -> About {
        About {
            wants: WantedDigests {
                md5: self.base.shape.md5,
                sha1: self.base.shape.sha1,
            },
            refuses_to_replace: self.base.shape.refuses_to_replace,
            put_is_proof: true,
            read_only: self.base.read_only,
            limits_lists: self.base.shape.limits_lists,
            ..About::default()
        }
    }

    fn said(&mut self) -> Said {
        let base = &mut self.base;
        base.notices.extend(base.service.notices());
        Said {
            notices: std::mem::take(&mut base.notices),
            requests: Some(base.service.requests()),
            ..Said::default()
        }
    }

    fn finish(&mut self) -> Done<Vec<Fact>> {
        self.api.finish(&mut self.base).map(|()| Vec::new())
    }

    fn describe(&self) -> String {
        self.base.shown.clone()
    }

    fn place(&self) -> String {
        format!("{}{}", self.base.place, self.base.folder)
    }

    fn account(&self) -> String {
        self.base.account.clone()
    }

    fn quota(&mut self) -> Done<Quota> {
        self.api.quota(&mut self.base)
    }
}
