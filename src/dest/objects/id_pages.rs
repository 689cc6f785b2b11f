//! Listings in pages of services that know files by ids ([`by_id`](super::by_id)) and tell them by the names of [`Shape::listing`].
//!
//! [`Shape::listing`]: super::Shape::listing

use crate::base::fault::Done;
use crate::dest::RemoteFile;
use crate::dest::objects::by_id::Found;
use crate::dest::objects::{Base, Listing};
use crate::net::http::iso_time;
use crate::net::json::LIST_MAX_BYTES;
use crate::net::service::Verb;
use crate::net::service::pages::incomplete;
use crate::net::service::rows::{self, Row};
use crate::net::url::encode;

/// What a row of a listing is, by its fields: `id`, and those that the listing names.
pub(in crate::dest) fn found(listing: &Listing, row: &Row) -> Done<Found> {
    let text = |field| row.get(field).filter(|text| !text.is_empty());
    let name = listing.name.iter().find_map(|field| text(field));
    let (id, name) = text("id")
        .zip(name)
        .ok_or_else(|| incomplete("an entry has no id or no name"))?;
    Ok(Found {
        id: id.to_owned(),
        created: row.text(listing.created),
        file: RemoteFile {
            name: name.to_owned(),
            size: row.number(listing.size),
            modified: row.get(listing.modified).and_then(iso_time),
            ..RemoteFile::default()
        },
    })
}

/// The rows of all pages of a listing whose first is at `url`, which has a query; false from `each` ends it. What is beside the
/// rows of a page is given to `check`. Of [`Shape::listing`] this takes where rows and marks are.
pub(in crate::dest) fn all_pages(
    base: &mut Base,
    verb: Verb,
    url: &str,
    check: fn(&Row) -> Done<()>,
    each: &mut dyn FnMut(&Row) -> Done<bool>,
) -> Done<()> {
    let (who, listing) = (base.shape.dialect.who, &base.shape.listing);
    let mut pages = base.service.pages(base.page);
    let (mut mark, mut goes_on) = (String::new(), true);
    while goes_on {
        let at = match mark.is_empty() {
            true => url.to_owned(),
            false => format!("{url}&{}={}", listing.mark, encode(&mark)),
        };
        let (mut reply, mut entries) = (base.plain(verb, "GET", at)?, 0);
        let tail = rows::rows(&mut reply, who, LIST_MAX_BYTES, listing.rows, &mut |row| {
            entries += 1;
            goes_on = goes_on && each(row)?;
            Ok(())
        })?;
        check(&tail)?;
        mark = tail.text(listing.next);
        if mark.is_empty() {
            return Ok(());
        }
        pages.page(&mark, entries)?;
    }
    Ok(())
}
