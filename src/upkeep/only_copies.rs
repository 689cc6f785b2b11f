//! Blocklists of which only the index of a lost volume has a copy: files whose blocks are elsewhere live by it, so it is stored as a
//! block again before that index goes.

use crate::base::digest::{BlockKey, Hash};
use crate::base::error::{Doing, Error, Result};
use crate::base::ui::Ui;
use crate::spill::sorter::Sorter;
use crate::writer::Writer;

/// Stores the blocklists in these dindexes that are `useful` and that no volume holds. Costs a download of each dindex; lists are
/// spilled.
pub(super) fn save(
    writer: &mut Writer<'_>,
    ui: &mut Ui,
    dindexes: &[u32],
    useful: &mut dyn FnMut(&Hash) -> Result<bool>,
) -> Result<()> {
    let mut found = Sorter::new(writer.set.tmp(), 1 << 20);
    let mut record = Vec::new();
    writer.set.read_lists(ui, dindexes, &mut |id, data| {
        if useful(id)? {
            record.clear();
            record.push(id.len_octet());
            record.extend_from_slice(id.as_bytes());
            data.read_to_end(&mut record)
                .doing(|| "keep a blocklist".to_owned())?;
            found.add(&record)?;
        }
        Ok(())
    })?;
    let mut found = found.finish()?;
    while let Some(record) = found.next()? {
        let bad = || Error::bug("a spilled blocklist reads back");
        let (len, rest) = record.split_first().ok_or_else(bad)?;
        let (id, list) = rest.split_at_checked(usize::from(*len)).ok_or_else(bad)?;
        let id = Hash::from_bytes(id).ok_or_else(bad)?;
        let key = BlockKey::new(&id, Error::fits(list.len())?);
        if !writer.holds(ui, &key, &[])? {
            writer.add_list_again(ui, &id, list)?;
        }
    }
    Ok(())
}
