//! What a service of this kind is told and tells: log-in, pages of entries, folders, what is removed. Where a fact is from stands
//! beside it: [docs] is docs.drime.cloud, [rclone] and [Duplicati] are their clients (`backend/drime` of 1.75, `DrimeBackend.cs`,
//! `Filejump.cs`).

use std::collections::HashSet;

use serde_json::{Value, json};

use crate::base::fault::{Class, Done, Fault};
use crate::base::text;
use crate::dest::RemoteFile;
use crate::dest::bedrive::service::{BY_HAND, DRIME, FILEJUMP};
use crate::dest::objects::by_id::{EachFound, Folder, Found, Search, Tree};
use crate::dest::objects::{Base, sent, sent_json};
use crate::dest::{GetFacts, Sink, Span};
use crate::net::http::iso_time;
use crate::net::json::LIST_MAX_BYTES;
use crate::net::redirect::{same_origin, split};
use crate::net::service::pages::incomplete;
use crate::net::service::rows::{self, Row};
use crate::net::service::{Dialect, Verb};
use crate::net::url::encode;

/// Entries of a listing of which it is checked that none comes twice; 40 bytes each.
const SEEN_MAX: usize = 100_000;
/// Entries of one name but for upper and lower case that are put in order.
const SAME_MAX: usize = 100;
/// Longest hash or address of an entry.
const AT_MAX: usize = 300;

/// A folder of an account.
#[derive(Default)]
pub(super) struct Client {
    pub(super) api: String,
    /// The workspace, as it stands in a query; empty where there are none.
    pub(super) workspace: String,
    /// Entries go to the trash.
    pub(super) soft: bool,
    pub(super) folder: Folder,
    /// What the next upload replaces.
    pub(super) old: Option<String>,
}

/// Without it the service answers with pages for people.
pub(super) fn json_wanted() -> (&'static str, String) {
    ("accept", "application/json".to_owned())
}

/// What an entry is: its id with what its content is got by, which is a hash or an address.
pub(super) fn entry(row: &Row, by: &str) -> Option<Found> {
    let number = row.number("id").filter(|id| *id > 0)?;
    let (name, at) = (row.text("name"), row.text(by));
    let odd = |c: char| c.is_whitespace() || c.is_control();
    if name.is_empty() || at.len() > AT_MAX || at.contains(odd) {
        return None;
    }
    Some(Found {
        id: format!("{number} {at}"),
        // Times are to the second.
        created: format!("{} {number:020}", row.text("created_at")),
        file: RemoteFile {
            name,
            size: row.number("file_size"),
            modified: row.get("updated_at").and_then(iso_time),
            // [docs]: folder, image, pdf, file and others.
            is_folder: row.get("type") == Some("folder"),
            is_archived: false,
        },
    })
}

/// Whether another page follows, in all the ways in which versions of the service say it.
fn goes_on(tail: &Row, page: u64, entries: u64, asked: u64) -> bool {
    let full = entries >= tail.number("per_page").unwrap_or(asked);
    match (tail.number("last_page"), tail.number("next_page")) {
        _ if entries == 0 => false,
        (Some(last), _) => last > page,
        (_, Some(next)) => next > page,
        _ if tail.has("next_page") => false,
        _ if tail.has("next_page_url") => tail.get("next_page_url").is_some(),
        _ => full,
    }
}

/// [Duplicati] issue 7285: behind some page of a long folder the last one comes again.
fn too_many(shown: u64) -> Fault {
    let what = format!("the service shows no more than {shown} entries of a folder");
    Fault::new(Class::Unsupported, what)
        .hint("give a larger --page-size; use fewer and larger volumes, or another folder")
}

impl Client {
    fn dialect(&self) -> &'static Dialect {
        match self.workspace.is_empty() {
            true => &FILEJUMP,
            false => &DRIME,
        }
    }

    /// The field by which the content of an entry is got.
    pub(super) fn by(&self) -> &'static str {
        match self.workspace.is_empty() {
            true => "url",
            false => "hash",
        }
    }

    /// A query of these parts and the workspace.
    pub(super) fn url(&self, path: &str, query: &str) -> String {
        let parts = [query, &self.workspace];
        let parts: Vec<_> = parts.iter().filter(|p| !p.is_empty()).copied().collect();
        let mark = if parts.is_empty() { "" } else { "?" };
        format!("{}/{path}{mark}{}", self.api, parts.join("&"))
    }

    /// All entries of a folder that are not in the trash. The order is by names, for one by times is not the same on every page:
    /// many files are made in one second.
    fn entries(
        &self,
        base: &mut Base,
        (verb, parent, is_folder): (Verb, &str, bool),
        each: &mut dyn FnMut(Found) -> Done<bool>,
    ) -> Done<()> {
        // A folder is looked through, whatever it is for.
        let verb = if verb.is_of_file() { Verb::List } else { verb };
        let who = self.dialect().who;
        let mut query = format!("perPage={}&orderBy=name&orderDir=asc", base.page);
        if !parent.is_empty() {
            // [rclone] issue 9420: also of a folder that another account shares. [Duplicati] for FileJump.
            let field = match self.workspace.is_empty() {
                true => "parentIds",
                false => "folderId",
            };
            query += &format!("&{field}={}", encode(parent));
        }
        if is_folder {
            query += "&type=folder";
        }
        let url = self.url("drive/file-entries", &query);
        let mut pages = base.service.pages(base.page);
        let (mut seen, mut sum) = (HashSet::new(), 0);
        for page in 1.. {
            let (mut entries, mut wanted, mut twice) = (0, true, false);
            let ask = sent("GET", format!("{url}&page={page}"), vec![json_wanted()]);
            let mut reply = base.call(verb, &ask)?;
            let tail = rows::rows(&mut reply, who, LIST_MAX_BYTES, "data", &mut |row| {
                entries += 1;
                let found = entry(row, self.by());
                let found = found.ok_or_else(|| incomplete("an entry has no id or no name"))?;
                twice |= seen.len() < SEEN_MAX && !seen.insert(row.number("id"));
                let is_gone = row.get("deleted_at").is_some_and(|at| !at.is_empty());
                let of = row.number("parent_id").filter(|id| *id > 0);
                let of = of.map(|id| id.to_string()).unwrap_or_default();
                let is_here = of == parent || !row.has("parent_id");
                if !is_gone && is_here && wanted {
                    wanted = each(found)?;
                }
                Ok(())
            });
            let tail = tail.map_err(|fault| self.gone(fault))?;
            if !tail.is_nested("data") {
                return Err(self.gone(incomplete("the reply has no entries")));
            }
            if tail.number("current_page").is_some_and(|at| at < page) {
                return Err(too_many(sum));
            }
            if twice {
                return Err(incomplete("an entry comes twice: the folder changes"));
            }
            sum += entries;
            if !wanted {
                return Ok(());
            }
            if !goes_on(&tail, page, entries, base.page) {
                return match tail.number("total").is_none_or(|total| total == sum) {
                    true => Ok(()),
                    false => Err(incomplete(
                        "there are more or fewer entries than the service says: the folder changes",
                    )),
                };
            }
            pages.page(&page.to_string(), entries)?;
        }
        Ok(())
    }

    /// What is no listing may be all that is left of a service.
    fn gone(&self, fault: Fault) -> Fault {
        match self.workspace.is_empty() {
            true => fault.hint(BY_HAND),
            false => fault,
        }
    }

    /// A request with JSON.
    pub(super) fn tell(
        &self,
        base: &mut Base,
        verb: Verb,
        at: (&str, &str),
        about: &Value,
    ) -> Done<Row> {
        let mut request = sent_json("POST", self.url(at.0, at.1), about);
        request.2.push(json_wanted());
        base.row(verb, &request)
    }
}

/// Hands on what has the same name but for upper and lower case, the newest first.
fn flush(same: &mut Vec<Found>, each: &mut EachFound<'_>) -> Done<bool> {
    same.sort_by(|a, b| b.created.cmp(&a.created));
    for one in same.drain(..) {
        if !each(one)? {
            return Ok(false);
        }
    }
    Ok(true)
}

impl Client {
    /// [Duplicati]: by the hash at Drime; by the address that the entry has at FileJump, below the service's own host.
    fn content(&self, id: &str) -> String {
        let (number, at) = id.split_once(' ').unwrap_or((id, ""));
        if !self.workspace.is_empty() && !at.is_empty() {
            return format!("{}/file-entries/download/{}", self.api, encode(at));
        }
        let host = &self.api[..self.api.len() - split(&self.api).1.len()];
        let url = match at.contains("://") {
            true => at.to_owned(),
            false => format!("{host}/{}", at.trim_start_matches('/')),
        };
        match !at.is_empty() && same_origin(&self.api, &url) {
            true => url,
            false => format!("{}/file-entries/{}", self.api, encode(number)),
        }
    }
}

impl Tree for Client {
    fn folder(&mut self) -> &mut Folder {
        &mut self.folder
    }

    /// [docs]: what lies in none has no parent.
    fn root(&self, _: &mut Base) -> Done<String> {
        Ok(String::new())
    }

    /// A folder of the URL is also found when it differs by upper and lower case, as Duplicati finds it.
    fn search(&self, base: &mut Base, search: &Search<'_>, each: &mut EachFound<'_>) -> Done<()> {
        let (mut same, mut goes_on) = (Vec::<Found>::new(), true);
        let parent = search.parent.split(' ').next().unwrap_or_default();
        let at = (search.verb, parent, search.is_folder);
        self.entries(base, at, &mut |found| {
            let lower = found.file.name.to_lowercase();
            let fits = match search.name {
                Some(name) if search.is_folder => {
                    found.file.is_folder && lower == name.to_lowercase()
                }
                Some(name) => !found.file.is_folder && found.file.name == name,
                None => true,
            };
            if !fits {
                return Ok(true);
            }
            let other = same
                .last()
                .is_some_and(|last| last.file.name.to_lowercase() != lower);
            if other || same.len() >= SAME_MAX {
                goes_on = flush(&mut same, each)?;
            }
            same.push(found);
            Ok(goes_on)
        })?;
        if search.is_folder && same.iter().any(|one| Some(&*one.file.name) == search.name) {
            same.retain(|one| Some(&*one.file.name) == search.name);
        }
        if goes_on {
            flush(&mut same, each)?;
        }
        Ok(())
    }

    /// [docs], [rclone] and [Duplicati].
    fn make_folder(&mut self, base: &mut Base, parent: &str, name: &str) -> Done<String> {
        let parent = parent
            .split(' ')
            .next()
            .and_then(|id| id.parse::<u64>().ok());
        let about = json!({ "name": name, "parentId": parent });
        let row = self.tell(base, Verb::MakeFolder, ("folders", ""), &about)?;
        let id = row.number("folder/id").filter(|id| *id > 0);
        let none = || Fault::new(Class::Protocol, "the server does not show the folder");
        id.map(|id| id.to_string()).ok_or_else(none)
    }

    /// [rclone]: as of all else; else who is not logged in is sent to a page for people.
    fn read(
        &mut self,
        base: &mut Base,
        id: &str,
        of: (&str, Span),
        into: &mut dyn Sink,
    ) -> Done<GetFacts> {
        let headers = [("accept", "application/json")];
        let url = self.content(id);
        base.service.download(("GET", &url), &headers, of, into)
    }

    fn relies_on_lists(&self) -> bool {
        true
    }

    /// [docs], [rclone] and [Duplicati]; [rclone]: a success may list what was not removed.
    fn remove(&mut self, base: &mut Base, id: &str) -> Done<()> {
        let number = id.split(' ').next().and_then(|id| id.parse::<u64>().ok());
        let about = json!({ "entryIds": [number], "deleteForever": !self.soft });
        let row = self.tell(base, Verb::Delete, ("file-entries/delete", ""), &about)?;
        match row.below("errors/") {
            Some(why) => {
                let why = text::safe_cut(why.as_bytes(), 100);
                Err(Fault::new(Class::Protocol, format!("not removed: {why}")))
            }
            None => Ok(()),
        }
    }
}
