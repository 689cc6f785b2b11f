//! Several tables made one.

use crate::base::error::{Error, Result};
use crate::base::tmp::Tmp;
use crate::spill::table::{Table, TableBuilder, TableReader};

impl Table {
    /// One table of several of the same shape; of equal records one is kept. It has a filter if one of them had. Costs a pass
    /// over all of them; their filters are given up first, so that memory holds little more than the new one.
    pub(crate) fn merge(mut tables: Vec<Table>, tmp: &Tmp) -> Result<Table> {
        let filtered = tables.iter().any(|table| table.misses_left == 0);
        tables.iter_mut().for_each(Table::forget_filter);
        let Some(shape) = tables.first().map(|t| (t.body.record_len, t.key_len)) else {
            return Err(Error::bug("no table to merge"));
        };
        let count = tables.iter().map(Table::len).sum();
        let mut builder = match filtered {
            true => TableBuilder::new(tmp, shape.0, shape.1, count)?,
            false => TableBuilder::without_filter(tmp, shape.0, shape.1)?,
        };
        let mut heads: Vec<(Vec<u8>, TableReader<'_>)> = Vec::with_capacity(tables.len());
        for table in &tables {
            let mut reader = table.reader();
            if let Some(record) = reader.next()?.map(<[u8]>::to_vec) {
                heads.push((record, reader));
            }
        }
        let mut last: Vec<u8> = Vec::new();
        while let Some(least) = (0..heads.len()).min_by(|&a, &b| heads[a].0.cmp(&heads[b].0)) {
            let (record, reader) = &mut heads[least];
            if *record != last {
                builder.push(record)?;
                last.clone_from(record);
            }
            match reader.next()? {
                Some(next) => {
                    record.clear();
                    record.extend_from_slice(next);
                }
                None => drop(heads.swap_remove(least)),
            }
        }
        builder.finish()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failing step fails the test")]

    use std::collections::BTreeSet;

    use super::*;
    use crate::spill::sorter::Sorter;
    use crate::spill::testing::{Rng, tmp};

    #[test]
    fn what_was_in_any_of_them_is_in_the_one_once() {
        let mut rng = Rng(8);
        for count in [1, 2, 7] {
            let mut all = BTreeSet::new();
            let tables = (0..count).map(|_| {
                let mut sorter = Sorter::new(&tmp(), 1000);
                for _ in 0..rng.below(400) {
                    let record = vec![u8::try_from(rng.below(200)).unwrap(), 7, 1];
                    sorter.add(&record).unwrap();
                    all.insert(record);
                }
                Table::build(sorter.finish().unwrap(), 3, 2, &tmp()).unwrap()
            });
            let tables: Vec<Table> = tables.collect();
            let mut merged = Table::merge(tables, &tmp()).unwrap();
            assert_eq!(merged.len(), all.len() as u64);
            let mut reader = merged.reader();
            for want in &all {
                assert_eq!(reader.next().unwrap(), Some(want.as_slice()));
            }
            assert!(reader.next().unwrap().is_none());
            for n in 0..=255 {
                let key = [n, 7];
                let there = all.iter().any(|r| r.starts_with(&key));
                assert_eq!(merged.contains(&key).unwrap(), there);
            }
        }
        assert!(Table::merge(Vec::new(), &tmp()).is_err());
    }
}
