//! Making a table from records in order.

use std::io::Write;

use crate::base::error::{Error, Result, unwrap_io};
use crate::base::tmp::{Spool, Tmp};
use crate::spill::filter::Filter;
use crate::spill::table::Table;
use crate::spill::table::read::{Body, Source};

/// Tables up to this size stay in memory.
const SMALL_BYTES: usize = 64 << 10;

/// Makes a table of records that already come in order. Below 64 KiB it touches no disk.
#[must_use]
pub(crate) struct TableBuilder {
    tmp: Tmp,
    spool: Option<Spool>,
    buffer: Vec<u8>,
    last: Vec<u8>,
    records: u64,
    record_len: usize,
    key_len: usize,
    filter: Option<Filter>,
}

impl TableBuilder {
    /// `expected` records size the filter; more of them only make it weaker.
    pub(crate) fn new(
        tmp: &Tmp,
        record_len: usize,
        key_len: usize,
        expected: u64,
    ) -> Result<TableBuilder> {
        let mut builder = TableBuilder::without_filter(tmp, record_len, key_len)?;
        builder.filter = Some(Filter::new(expected));
        Ok(builder)
    }

    /// The table gets its filter when many keys were not found in it.
    pub(crate) fn without_filter(
        tmp: &Tmp,
        record_len: usize,
        key_len: usize,
    ) -> Result<TableBuilder> {
        check_shape(record_len, key_len)?;
        Ok(TableBuilder {
            tmp: tmp.clone(),
            spool: None,
            buffer: Vec::new(),
            last: Vec::new(),
            records: 0,
            record_len,
            key_len,
            filter: None,
        })
    }

    pub(crate) fn push(&mut self, record: &[u8]) -> Result<()> {
        if record.len() != self.record_len || *record < *self.last {
            return Err(Error::bug(
                "records of a table are not alike or not in order",
            ));
        }
        self.last.clear();
        self.last.extend_from_slice(record);
        if self.buffer.len() + record.len() > SMALL_BYTES {
            self.flush()?;
        }
        self.buffer.extend_from_slice(record);
        if let Some(filter) = &mut self.filter {
            filter.add(&record[..self.key_len]);
        }
        self.records += 1;
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        let spool = match &mut self.spool {
            Some(spool) => spool,
            none => none.insert(Spool::new(&self.tmp)?),
        };
        spool.write_all(&self.buffer).map_err(unwrap_io)?;
        self.buffer.clear();
        Ok(())
    }

    pub(crate) fn finish(mut self) -> Result<Table> {
        if self.spool.is_some() {
            self.flush()?;
        }
        let source = match self.spool {
            Some(spool) => Source::Spool(spool),
            None => Source::Memory(self.buffer),
        };
        let body = Body {
            source,
            records: self.records,
            record_len: self.record_len,
        };
        Ok(Table::new(body, self.key_len, self.filter))
    }
}

/// Fails for lengths that no table has.
pub(crate) fn check_shape(record_len: usize, key_len: usize) -> Result<()> {
    if record_len == 0 || key_len > record_len || record_len > SMALL_BYTES {
        return Err(Error::bug("a table of impossible records"));
    }
    Ok(())
}
