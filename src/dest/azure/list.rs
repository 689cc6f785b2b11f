//! Listings of a container, page by page as streams.

use crate::base::fault::Done;
use crate::dest::{Listed, RemoteFile};
use crate::net::http::{Reply, parse_date};
use crate::net::service::pages::incomplete;
use crate::net::service::refusal::not_html;
use crate::net::xml::{self, Step};

/// What a page says beside its files.
#[derive(Default)]
pub(super) struct Page {
    /// Where the next one begins; `None`: this was the last.
    pub(super) next: Option<String>,
    /// Files and folders.
    pub(super) entries: u64,
}

/// Reads a page; files below `folder` are handed on without it. A page that is cut or none is a fault that says so.
/// `archive`: tiers in lower case.
pub(super) fn page(
    reply: &mut Reply,
    who: &str,
    folder: &str,
    archive: &[String],
    each: &mut dyn FnMut(Listed) -> Done<()>,
) -> Done<Page> {
    not_html(reply, "a listing", who)?;
    let io = reply.io_fault();
    let (mut page, mut ended, mut is_list) = (Page::default(), false, false);
    let mut file: Option<RemoteFile> = None;
    let mut theirs = false;
    let read = xml::read(reply, &io, &mut |step| {
        let path = match &step {
            Step::Open { path } | Step::Close { path, .. } => *path,
        };
        let path: Vec<&str> = path.iter().map(String::as_str).collect();
        match (step, &path[..]) {
            (Step::Open { .. }, ["EnumerationResults"]) => is_list = true,
            (Step::Open { .. }, [_, "Blobs", "Blob"]) => {
                page.entries += 1;
                file = Some(RemoteFile {
                    name: String::new(),
                    size: None,
                    modified: None,
                    is_folder: false,
                    is_archived: false,
                });
            }
            (Step::Close { .. }, [_, "Blobs", "BlobPrefix"]) => page.entries += 1,
            (Step::Close { .. }, [_, "Blobs", "Blob"]) => {
                let file = file.take().filter(|f| !f.name.is_empty());
                if let Some(file) = file {
                    each(Listed::Entry(file)).inspect_err(|_| theirs = true)?;
                }
            }
            (Step::Close { text, .. }, [_, "NextMarker"]) => {
                ended = true;
                let next = text.ok_or_else(|| incomplete("the next page has no usable name"))?;
                page.next = (!next.is_empty()).then(|| next.to_owned());
            }
            (Step::Close { text, .. }, [_, "Blobs", "Blob", inner @ ..]) => {
                if let Some(file) = &mut file {
                    take(file, inner, text.unwrap_or(""), folder, archive);
                }
            }
            _ => {}
        }
        Ok(())
    });
    read.map_err(|fault| match fault.class {
        crate::base::fault::Class::Protocol if !theirs => incomplete(&fault.text),
        _ => fault,
    })?;
    match is_list && ended {
        true => Ok(page),
        false => Err(incomplete("the reply has no files or no end")),
    }
}

/// Takes up one field of a file.
fn take(file: &mut RemoteFile, field: &[&str], text: &str, folder: &str, archive: &[String]) {
    match field {
        ["Name"] => text
            .strip_prefix(folder)
            .unwrap_or("")
            .clone_into(&mut file.name),
        [_, "Content-Length"] => file.size = text.parse().ok(),
        [_, "Last-Modified"] => file.modified = parse_date(text),
        [_, "AccessTier"] => file.is_archived = archive.contains(&text.to_ascii_lowercase()),
        _ => {}
    }
}
