//! Index volumes against the listing, and what is said of them.

use crate::base::error::{Error, Result};
use crate::base::text;
use crate::base::ui::Ui;
use crate::format::deflate::Inflater;
use crate::format::index::{self, IndexEntry};
use crate::format::names::VolumeName;
use crate::set::{BlockIndex, Expected, RESCUED, Set};
use crate::upkeep::verify::lists::Lists;
use crate::upkeep::verify::{FINDINGS_AT_MOST, Status, VerifyReport, disagreement, status_of};

pub(super) fn unreadable_index(e: &Error) -> (Status, String) {
    let what = format!(
        "{}; the dblock it describes has to be opened to restore from it",
        e.cause()
    );
    (status_of(e), what)
}

pub(super) fn absent(dblock: &str) -> String {
    let dblock = text::safe(dblock.as_bytes());
    format!("it describes {dblock}, which is missing; blocks that no other volume holds are lost")
}

pub(super) fn resized(dblock: &str, stated: u64, listed: u64) -> String {
    let dblock = text::safe(dblock.as_bytes());
    format!(
        "it describes {dblock} as {stated} bytes, which has {listed}; only blocks that are still whole there count"
    )
}

/// One index volume, which the cache let the run skip: whole, its dblock as it says, each of its blocks in the table, its
/// blocklists intact; with `all` its archive in agreement with itself.
pub(super) fn dindex(
    set: &mut Set,
    ui: &mut Ui,
    number: usize,
    all: bool,
    places: &BlockIndex,
    lists: &mut Lists,
    report: &mut VerifyReport,
) -> Result<()> {
    let Some((name, size)) = set.volumes().dindex(number) else {
        return Ok(());
    };
    let mut found: Vec<(Status, String)> = Vec::new();
    let opened = set.fetch(ui, &name, size, Expected::default());
    let done = set.passphrase_or_damage(opened).and_then(|opened| {
        let zip = opened.zip();
        if zip.rescued() {
            found.push((Status::Modified, RESCUED.to_owned()));
        }
        let mut inflater = Inflater::new();
        zip.entries(
            &mut |entry_name, entry| match index::parse_index_entry(entry_name) {
                Some(IndexEntry::Vol(dblock)) => {
                    let vol = index::read_vol(
                        &mut zip.reader(entry, &mut inflater)?,
                        &mut |_, _| Ok(()),
                    )?;
                    let no = VolumeName::parse(dblock).and_then(|n| set.volumes().find_dblock(&n));
                    let listed = no.and_then(|no| set.volumes().dblock(no));
                    match (no, listed, vol.size) {
                        _ if found.len() >= FINDINGS_AT_MOST => {}
                        (Some(_), Some((_, Some(listed))), Some(stated)) if listed != stated => {
                            found.push((Status::Modified, resized(dblock, stated, listed)));
                        }
                        (Some(no), Some(_), _) => {
                            let known = places.expected(no)?;
                            let both = known.hash.zip(vol.hash);
                            if both.is_some_and(|(a, b)| {
                                a != b && a.as_bytes().len() == b.as_bytes().len()
                            }) {
                                let what =
                                    "it states another hash of its dblock than it did before";
                                found.push((Status::Modified, what.to_owned()));
                            }
                        }
                        _ => found.push((Status::Affected, absent(dblock))),
                    }
                    Ok(())
                }
                Some(IndexEntry::List(id)) if entry.size > 0 => {
                    if let Some(what) = lists.add(&id, &mut zip.reader(entry, &mut inflater)?)?
                        && found.len() < FINDINGS_AT_MOST
                    {
                        found.push((Status::Modified, what));
                    }
                    Ok(())
                }
                _ => Ok(()),
            },
        )?;
        if all && found.is_empty() {
            found.extend(disagreement(zip, true)?);
        }
        Ok(())
    });
    for (status, what) in found {
        report.find(&name, status, what);
    }
    match done {
        Ok(()) => report.dindexes += 1,
        Err(e) if e.kind().is_of_one_volume() => {
            let (status, what) = unreadable_index(&e);
            report.find(&name, status, what);
        }
        Err(e) => return Err(e),
    }
    Ok(())
}
