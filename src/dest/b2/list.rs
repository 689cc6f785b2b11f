//! Listings, page by page as streams: files by name (what a download by name returns), and all versions of one file.

use crate::base::fault::{Class, Done, Fault};
use crate::dest::b2::account::ID_MAX_BYTES;
use crate::dest::b2::client::Client;
use crate::dest::b2::error::DIALECT;
use crate::dest::b2::ops::{LIST_NAMES, LIST_VERSIONS, Op};
use crate::dest::{Listed, RemoteFile};
use crate::net::json;
use crate::net::service::pages::{incomplete, stuck};
use crate::net::service::rows::{self, EachRow, Row};

/// Versions asked for at once.
const VERSIONS_PAGE: u64 = 100;
/// Versions of one file that are held at once.
pub(super) const VERSIONS_MAX: usize = 1000;

/// Asks for a page; entries are handed on as they come. What it says beside them: above all where the next one begins.
fn page(
    client: &mut Client,
    op: &Op,
    body: &serde_json::Value,
    max: u64,
    each: &mut EachRow<'_>,
) -> Done<Row> {
    let mut reply = client.post(op, &body.to_string())?;
    complete(rows::rows(&mut reply, DIALECT.who, max, "files", each)?)
}

/// A page must have its parts.
fn complete(tail: Row) -> Done<Row> {
    if tail.is_nested("files") && tail.has("nextFileName") {
        return Ok(tail);
    }
    Err(incomplete("the reply has no files or no end"))
}

/// Every file directly in the folder whose name begins with `from`, or a fault.
pub(super) fn names(
    client: &mut Client,
    from: &str,
    each: &mut dyn FnMut(Listed) -> Done<()>,
) -> Done<()> {
    client.need(LIST_NAMES.right)?;
    let bucket = client.bucket()?.id;
    let prefix = client.setup.prefix.clone();
    let mut start: Option<String> = None;
    let mut pages = client.pages();
    loop {
        let mut body = serde_json::json!({
            "bucketId": bucket,
            "prefix": format!("{prefix}{from}"),
            "delimiter": "/",
            "maxFileCount": client.setup.page_size,
        });
        if let Some(start) = &start {
            body["startFileName"] = start.as_str().into();
        }
        let (mut last, mut entries) = (String::new(), 0);
        let max = json::LIST_MAX_BYTES;
        let tail = page(client, &LIST_NAMES, &body, max, &mut |row| {
            entries += 1;
            last = row.text("fileName");
            match file(row, &prefix) {
                Some(file) => each(Listed::Entry(file)),
                None => Ok(()),
            }
        })?;
        let Some(next) = tail.get("nextFileName") else {
            return Ok(());
        };
        if next < last.as_str() || start.as_deref().is_some_and(|old| next <= old) {
            return Err(stuck());
        }
        pages.page(next, entries)?;
        start = Some(next.to_owned());
    }
}

/// The file an entry is; folders, hide markers and unfinished uploads are none.
fn file(row: &Row, prefix: &str) -> Option<RemoteFile> {
    if row.get("action") != Some("upload") {
        return None;
    }
    let name = row.get("fileName")?.strip_prefix(prefix)?;
    let uploaded = row.number("uploadTimestamp");
    (!name.is_empty()).then(|| RemoteFile {
        name: name.to_owned(),
        size: row.number("contentLength").or(row.number("size")),
        modified: uploaded.and_then(|ms| i64::try_from(ms / 1000).ok()),
        is_folder: false,
        is_archived: false,
    })
}

/// The file of exactly this full name, as a download by name would find it.
pub(super) fn stat(client: &mut Client, full: &str, name: &str) -> Done<RemoteFile> {
    client.need(LIST_NAMES.right)?;
    let body = serde_json::json!({
        "bucketId": client.bucket()?.id,
        "prefix": full,
        "startFileName": full,
        "maxFileCount": 1,
    });
    let mut found = None;
    let max = json::SMALL_MAX_BYTES;
    page(client, &LIST_NAMES, &body, max, &mut |row| {
        if found.is_none() && row.get("fileName") == Some(full) {
            found = file(row, "");
        }
        Ok(())
    })?;
    match found {
        Some(file) => Ok(RemoteFile {
            name: name.to_owned(),
            ..file
        }),
        None => Err(Fault::new(Class::NotFound, "not found")),
    }
}

/// Ids of the versions of a full name, newest first, hide markers and unfinished uploads too; at most a thousand.
pub(super) fn versions(client: &mut Client, full: &str) -> Done<Vec<String>> {
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
        let mut fresh = false;
        let max = json::SMALL_MAX_BYTES;
        let tail = page(client, &LIST_VERSIONS, &body, max, &mut |row| {
            if row.get("fileName") != Some(full) || row.get("action") == Some("folder") {
                return Ok(());
            }
            let id = row.text("fileId");
            if id.is_empty() || id.len() > ID_MAX_BYTES {
                return Err(incomplete("a version has no usable id"));
            }
            if ids.len() < VERSIONS_MAX && !ids.contains(&id) {
                fresh = true;
                ids.push(id);
            }
            Ok(())
        })?;
        let more = tail.get("nextFileName") == Some(full);
        if !more || ids.len() >= VERSIONS_MAX {
            return Ok(ids);
        }
        match tail.get("nextFileId") {
            Some(id) if fresh && start_id.as_deref() != Some(id) => start_id = Some(id.to_owned()),
            _ => return Err(stuck()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(json: &str) -> Done<(Row, Vec<String>)> {
        let io = |_: &std::io::Error| Fault::new(Class::Transient, "io");
        let mut names = Vec::new();
        let input = &mut json.as_bytes();
        let page = rows::page(input, &io, 1 << 20, "files", &mut |row| {
            if let Some(f) = file(row, "p/") {
                names.push(format!("{} {:?} {:?}", f.name, f.size, f.modified));
            }
            Ok(())
        })?;
        Ok((complete(page)?, names))
    }

    const PAGE: &str = r#"{"files":[{"fileName":"p/a","action":"upload","contentLength":12,"fileId":"4_z","uploadTimestamp":1400000001000,"fileInfo":{"contentLength":"no"}},{"fileName":"p/b","action":"upload","size":"7"},{"fileName":"p/sub/","action":"folder","contentLength":0},{"fileName":"p/h","action":"hide"},{"fileName":"other","action":"upload"},{"fileName":"p/","action":"upload"},{"fileName":null,"action":7}],"nextFileName":"p/c "}"#;

    #[test]
    fn a_page() {
        let (page, names) = parsed(PAGE).expect("good");
        assert_eq!(names, ["a Some(12) Some(1400000001)", "b Some(7) None"]);
        assert_eq!(page.get("nextFileName"), Some("p/c "));
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
        assert_eq!(page.get("nextFileName"), None);
    }
}
