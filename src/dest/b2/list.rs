//! Listings, page by page as streams: files by name (what a download by name returns), and all versions of one file.

#[cfg(test)]
use std::io::{self, Read};

use crate::base::fault::{Class, Fault};
use crate::dest::b2::account::ID_MAX_BYTES;
use crate::dest::b2::client::{Client, read_json};
use crate::dest::b2::ops::{LIST_NAMES, LIST_VERSIONS};
use crate::dest::{Listed, RemoteFile};
use crate::net::json::{self, Step};

/// Pages that may hold few entries each.
const SPARE_PAGES: u64 = if cfg!(test) { 100 } else { 1000 };
/// Fewest entries that further pages hold on average, where so many are asked for.
const PAGE_LEAST: u64 = 10;
/// Versions asked for at once.
const VERSIONS_PAGE: u64 = 100;
/// Versions of one file that are held at once.
pub(super) const VERSIONS_MAX: usize = 1000;

/// One entry of a page while it is read.
#[derive(Default)]
struct Entry {
    name: String,
    action: String,
    size: Option<u64>,
    /// Milliseconds since 1970.
    uploaded: Option<u64>,
    id: String,
}

/// What a page says about the next one.
#[derive(Default)]
struct Page {
    files: bool,
    /// Name to go on with; `None` inside = the end.
    next: Option<Option<String>>,
    next_id: Option<String>,
}

/// What takes the steps of a reply.
type Steps<'a> = dyn FnMut(Step<'_>) -> Result<(), Fault> + 'a;

/// Reads a page; entries are handed on as they come. A page that is cut or lacks its parts ends with a fault.
fn parse(
    reply: &mut dyn FnMut(&mut Steps<'_>) -> Result<(), Fault>,
    each: &mut dyn FnMut(&Entry) -> Result<(), Fault>,
) -> Result<Page, Fault> {
    let mut page = Page::default();
    let mut entry = Entry::default();
    let mut theirs = false;
    let done = reply(&mut |step| {
        match step {
            Step::Open { path } => match path {
                [files] if files == "files" => page.files = true,
                [files, _] if files == "files" => entry = Entry::default(),
                _ => {}
            },
            Step::Close { path } => {
                if let [files, item] = path
                    && files == "files"
                    && item == "[]"
                {
                    each(&entry).inspect_err(|_| theirs = true)?;
                }
            }
            Step::Value { path, value } => match path {
                [key] if key == "nextFileName" => {
                    page.next = Some(value.text().map(str::to_owned));
                }
                [key] if key == "nextFileId" => page.next_id = value.text().map(str::to_owned),
                [files, _, key] if files == "files" => match key.as_str() {
                    "fileName" => entry.name = value.text().unwrap_or("").to_owned(),
                    "action" => entry.action = value.text().unwrap_or("").to_owned(),
                    "contentLength" => entry.size = value.number(),
                    "size" => entry.size = entry.size.or(value.number()),
                    "uploadTimestamp" => entry.uploaded = value.number(),
                    "fileId" => entry.id = value.text().unwrap_or("").to_owned(),
                    _ => {}
                },
                _ => {}
            },
        }
        Ok(())
    });
    done.map_err(|fault| match fault.class {
        Class::Protocol if !theirs => incomplete(&fault.text),
        _ => fault,
    })?;
    if !page.files || page.next.is_none() {
        return Err(incomplete("the reply has no files or no end"));
    }
    Ok(page)
}

fn incomplete(why: &str) -> Fault {
    Fault::new(Class::Protocol, format!("listing incomplete: {why}"))
}

fn stuck() -> Fault {
    Fault::new(Class::Protocol, "listing does not advance")
}

/// Every file directly in the folder, or a fault.
pub(super) fn names(
    client: &mut Client,
    each: &mut dyn FnMut(Listed) -> Result<(), Fault>,
) -> Result<(), Fault> {
    client.need(LIST_NAMES.right)?;
    let bucket = client.bucket()?.id;
    let prefix = client.setup.prefix.clone();
    let mut start: Option<String> = None;
    let least = PAGE_LEAST.min(client.setup.page_size.max(1));
    let (mut pages, mut entries) = (0, 0);
    while pages <= SPARE_PAGES + entries / least {
        pages += 1;
        let mut body = serde_json::json!({
            "bucketId": bucket,
            "prefix": prefix,
            "delimiter": "/",
            "maxFileCount": client.setup.page_size,
        });
        if let Some(start) = &start {
            body["startFileName"] = start.as_str().into();
        }
        let mut reply = client.post(&LIST_NAMES, &body.to_string())?;
        let mut last = String::new();
        let page = parse(
            &mut |step| read_json(&mut reply, json::LIST_MAX_BYTES, step),
            &mut |entry| {
                entries += 1;
                last.clone_from(&entry.name);
                match file(entry, &prefix) {
                    Some(file) => each(Listed::Entry(file)),
                    None => Ok(()),
                }
            },
        )?;
        let Some(next) = page.next.flatten() else {
            return Ok(());
        };
        if next < last || start.as_ref().is_some_and(|old| next <= *old) {
            return Err(stuck());
        }
        start = Some(next);
    }
    Err(stuck())
}

/// The file an entry is; folders, hide markers and unfinished uploads are none.
fn file(entry: &Entry, prefix: &str) -> Option<RemoteFile> {
    if entry.action != "upload" {
        return None;
    }
    let name = entry.name.strip_prefix(prefix).filter(|n| !n.is_empty())?;
    Some(RemoteFile {
        name: name.to_owned(),
        size: entry.size,
        modified: entry.uploaded.and_then(|ms| i64::try_from(ms / 1000).ok()),
        is_folder: false,
        is_archived: false,
    })
}

/// The file of exactly this full name, as a download by name would find it.
pub(super) fn stat(client: &mut Client, full: &str, name: &str) -> Result<RemoteFile, Fault> {
    client.need(LIST_NAMES.right)?;
    let body = serde_json::json!({
        "bucketId": client.bucket()?.id,
        "prefix": full,
        "startFileName": full,
        "maxFileCount": 1,
    });
    let mut reply = client.post(&LIST_NAMES, &body.to_string())?;
    let mut found = None;
    parse(
        &mut |step| read_json(&mut reply, json::SMALL_MAX_BYTES, step),
        &mut |entry| {
            if entry.name == full && found.is_none() {
                found = file(entry, "");
            }
            Ok(())
        },
    )?;
    match found {
        Some(file) => Ok(RemoteFile {
            name: name.to_owned(),
            ..file
        }),
        None => Err(Fault::new(Class::NotFound, "not found")),
    }
}

/// Ids of the versions of a full name, newest first, hide markers and unfinished uploads too; at most a thousand.
pub(super) fn versions(client: &mut Client, full: &str) -> Result<Vec<String>, Fault> {
    client.need(LIST_VERSIONS.right)?;
    let bucket = client.bucket()?.id;
    let mut ids: Vec<String> = Vec::new();
    let mut start_id: Option<String> = None;
    loop {
        let mut body = serde_json::json!({
            "bucketId": bucket,
            "prefix": full,
            "startFileName": full,
            "maxFileCount": VERSIONS_PAGE,
        });
        if let Some(id) = &start_id {
            body["startFileId"] = id.as_str().into();
        }
        let mut reply = client.post(&LIST_VERSIONS, &body.to_string())?;
        let mut fresh = false;
        let page = parse(
            &mut |step| read_json(&mut reply, json::SMALL_MAX_BYTES, step),
            &mut |entry| {
                if entry.name == full && entry.action != "folder" {
                    if entry.id.is_empty() || entry.id.len() > ID_MAX_BYTES {
                        return Err(incomplete("a version has no usable id"));
                    }
                    if ids.len() < VERSIONS_MAX && !ids.contains(&entry.id) {
                        fresh = true;
                        ids.push(entry.id.clone());
                    }
                }
                Ok(())
            },
        )?;
        let more = page.next.flatten().is_some_and(|next| next == full);
        if !more || ids.len() >= VERSIONS_MAX {
            return Ok(ids);
        }
        match page.next_id {
            Some(id) if fresh && start_id.as_ref() != Some(&id) => start_id = Some(id),
            _ => return Err(stuck()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(json: &str) -> Result<(Page, Vec<String>), Fault> {
        let io = |_: &io::Error| Fault::new(Class::Transient, "io");
        let mut input: &[u8] = json.as_bytes();
        let mut names = Vec::new();
        let input: &mut dyn Read = &mut input;
        let page = parse(
            &mut |step| json::read(&mut *input, 1 << 20, &io, step),
            &mut |entry| {
                if let Some(f) = file(entry, "p/") {
                    names.push(format!("{} {:?} {:?}", f.name, f.size, f.modified));
                }
                Ok(())
            },
        )?;
        Ok((page, names))
    }

    const PAGE: &str = r#"{"files":[{"fileName":"p/a","action":"upload","contentLength":12,"fileId":"4_z","uploadTimestamp":1400000001000,"fileInfo":{"contentLength":"no"}},{"fileName":"p/b","action":"upload","size":"7"},{"fileName":"p/sub/","action":"folder","contentLength":0},{"fileName":"p/h","action":"hide"},{"fileName":"other","action":"upload"},{"fileName":"p/","action":"upload"},{"fileName":null,"action":7}],"nextFileName":"p/c "}"#;

    #[test]
    fn a_page() {
        let (page, names) = parsed(PAGE).expect("good");
        assert_eq!(names, ["a Some(12) Some(1400000001)", "b Some(7) None"]);
        assert_eq!(page.next, Some(Some("p/c ".to_owned())));
    }

    #[test]
    fn a_page_that_is_cut_or_lacks_parts_is_a_fault() {
        for cut in 0..PAGE.len() {
            let e = parsed(&PAGE[..cut]).err().expect("cut");
            assert_eq!(e.class, Class::Protocol);
            assert!(e.text.contains("listing incomplete"), "{}", e.text);
        }
        for bad in [
            "{}",
            "[]",
            "null",
            r#"{"files":null,"nextFileName":null}"#,
            r#"{"files":[]}"#,
            r#"{"files":"x","nextFileName":null}"#,
        ] {
            let e = parsed(bad).err().expect(bad);
            assert!(e.text.contains("listing incomplete"), "{}", e.text);
        }
        let (page, names) = parsed(r#"{"files":[],"nextFileName":null}"#).expect("empty");
        assert!(names.is_empty());
        assert_eq!(page.next, Some(None));
    }
}
