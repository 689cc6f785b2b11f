//! Chosen entries as a tar stream, with the names that they would get below a folder to restore into. Metadata comes before content
//! in it, so all metadata is read first, volume by volume.

use std::io::{Read, Write};

use crate::base::error::{Error, Result, unwrap_io};
use crate::base::sys::Identity;
use crate::base::text;
use crate::base::time::unix_from_ticks;
use crate::base::tmp::Spool;
use crate::base::ui::Ui;
use crate::format::filelist::{Entry, EntryKind};
use crate::format::meta::Attrs;
use crate::format::tar::{self, TarEntry, TarKind};
use crate::restore::choose::Chosen;
use crate::restore::finish::META_BYTES_AT_MOST;
use crate::restore::stream::blocks::Wanted;
use crate::restore::stream::{DOING, Ended, Output};
use crate::restore::tree::parts;
use crate::spill::sorter::{Sorter, Stream};

/// Files up to this length are complete here before their header is written; of longer ones a part may be written before it turns
/// out that the rest is lost.
const WHOLE_BYTES: u64 = 64 << 20;
/// Bytes copied at a time.
const BUFFER_BYTES: usize = 64 << 10;

/// A stream on its way.
pub(super) struct Archive<'o, 's> {
    output: &'o mut Output<'s>,
    /// Metadata: number of the entry, offset, bytes.
    metas: Stream,
    head: Option<Vec<u8>>,
    prefix: &'o [u8],
    me: Identity,
    /// The content of one file.
    spool: Spool,
    written: u64,
}

impl<'o, 's> Archive<'o, 's> {
    /// Writes all of it. An entry that cannot be had is told and left out, unless part of it was written.
    pub(super) fn write(
        output: &'o mut Output<'s>,
        chosen: &Chosen,
        contents: Wanted,
        prefix: &'o [u8],
        ui: &mut Ui,
    ) -> Result<()> {
        let tmp = output.blocks.set.tmp().clone();
        let mut metas = Sorter::new(&tmp, 2 << 20);
        while let Some(next) = output.blocks.peek()? {
            if let Some(block) = output.blocks.take(ui)? {
                let mut record = next.goal.target.to_be_bytes().to_vec();
                record.extend_from_slice(&next.goal.offset.to_be_bytes());
                record.extend_from_slice(block);
                metas.add(&record)?;
            }
        }
        output.blocks.go_on(contents);
        let mut metas = metas.finish()?;
        let mut archive = Archive {
            head: metas.next()?.map(<[u8]>::to_vec),
            metas,
            output,
            prefix,
            me: Identity::of_process(),
            spool: Spool::new(&tmp)?,
            written: 0,
        };
        let mut number = 0;
        chosen.each(&mut |wanted| {
            archive.entry(number, &wanted.record.entry, wanted.above, ui)?;
            archive.output.leave(number)?;
            number += 1;
            Ok(())
        })?;
        let end = tar::end(archive.written);
        archive.put(ui, &end)
    }

    fn put(&mut self, ui: &mut Ui, data: &[u8]) -> Result<()> {
        self.written += data.len() as u64;
        ui.raw(data)
    }

    fn entry(&mut self, number: u64, entry: &Entry, above: bool, ui: &mut Ui) -> Result<()> {
        let blob = self.blob(number)?;
        let folder = entry.kind == EntryKind::Folder;
        let Some(inside) = parts(&entry.path, self.prefix) else {
            // A folder above all that is chosen has no place in the stream.
            if !above {
                let shown = text::safe(&entry.path);
                ui.error(&format!(
                    "{shown} is left out: its path leads out of the target"
                ));
            }
            return Ok(());
        };
        let mut name = inside.join(&b'/');
        match (name.is_empty(), folder) {
            (true, false) => return Ok(()),
            (true, true) if above => return Ok(()),
            (true, true) => name.extend_from_slice(b"./"),
            (false, true) => name.push(b'/'),
            (false, false) => {}
        }
        let attrs = attributes(entry, blob.as_deref(), above, ui);
        match entry.kind {
            EntryKind::File => self.file(number, entry, &name, &attrs, ui),
            EntryKind::Folder => {
                let header = self.header(entry, &name, TarKind::Folder, &attrs);
                self.put(ui, &header)
            }
            EntryKind::Symlink => {
                let Some(link) = &attrs.symlink else {
                    let shown = text::safe(&entry.path);
                    ui.error(&format!(
                        "the link {shown} is left out: where it leads is lost"
                    ));
                    return Ok(());
                };
                let header = self.header(entry, &name, TarKind::Symlink(link), &attrs);
                self.put(ui, &header)
            }
        }
    }

    /// The metadata of an entry as far as it was found.
    fn blob(&mut self, number: u64) -> Result<Option<Vec<u8>>> {
        let mut blob: Option<Vec<u8>> = None;
        while let Some(record) = &self.head {
            let (target, rest) = record
                .split_first_chunk()
                .and_then(|(target, rest)| Some((u64::from_be_bytes(*target), rest.get(8..)?)))
                .ok_or_else(|| Error::bug("spilled metadata reads back"))?;
            if target > number {
                break;
            }
            let blob = blob.get_or_insert_default();
            if target == number && (blob.len() + rest.len()) as u64 <= META_BYTES_AT_MOST {
                blob.extend_from_slice(rest);
            }
            self.head = self.metas.next()?.map(<[u8]>::to_vec);
        }
        Ok(blob)
    }

    fn header(&self, entry: &Entry, name: &[u8], kind: TarKind<'_>, attrs: &Attrs) -> Vec<u8> {
        let mode = match (attrs.owner, entry.kind) {
            (Some(owner), _) => owner.mode,
            (None, EntryKind::Symlink) => 0o777,
            // Nobody knows who might use it.
            (None, EntryKind::File) if *attrs == Attrs::default() => 0o600,
            (None, EntryKind::Folder) if *attrs == Attrs::default() => 0o700,
            (None, EntryKind::File) => 0o644,
            (None, EntryKind::Folder) => 0o755,
        };
        let seconds = entry.time.map_or(0, |time| time.0);
        TarEntry {
            name,
            kind,
            mode,
            uid: attrs.owner.map_or_else(|| self.me.uid(), |o| o.uid),
            gid: attrs.owner.map_or_else(|| self.me.gid(), |o| o.gid),
            user: attrs.owner_name.as_deref().unwrap_or_default(),
            group: attrs.group_name.as_deref().unwrap_or_default(),
            modified: attrs.modified.map_or((seconds, 0), unix_from_ticks),
            xattrs: &attrs.xattrs,
        }
        .header()
    }

    fn file(
        &mut self,
        number: u64,
        entry: &Entry,
        name: &[u8],
        attrs: &Attrs,
        ui: &mut Ui,
    ) -> Result<()> {
        let shown = text::safe(&entry.path);
        let Some(content) = &entry.content else {
            let why = "the version does not say what it holds";
            ui.error(&format!("{shown} is left out: {why}"));
            return Ok(());
        };
        let header = self.header(entry, name, TarKind::File(content.size), attrs);
        let padding = vec![0; tar::padding(content.size)];
        if content.size > WHOLE_BYTES {
            self.put(ui, &header)?;
            let ended = self
                .output
                .content(number, content, ui, &mut |ui, data| ui.raw(data))?;
            self.written += content.size;
            match ended {
                Ended::Whole => {}
                Ended::Other => {
                    ui.error(&format!("{shown} is not the file that the version lists"))
                }
                Ended::Lost(at, why) => {
                    let cause = format!("the block at byte {at} of {shown} is lost: {why}");
                    return Err(Error::damaged(cause).doing(DOING).hint(
                        "the tar stream ends in the middle of this file; --exclude leaves it out",
                    ));
                }
            }
            return self.put(ui, &padding);
        }
        self.spool.clear()?;
        let spool = &mut self.spool;
        let mut keep = |_: &mut Ui, data: &[u8]| spool.write_all(data).map_err(unwrap_io);
        let why = match self.output.content(number, content, ui, &mut keep)? {
            Ended::Whole => None,
            Ended::Other => Some("it is not the file that the version lists".to_owned()),
            Ended::Lost(at, why) => Some(format!("the block at byte {at} is lost: {why}")),
        };
        if let Some(why) = why {
            ui.error(&format!("{shown} is left out: {why}"));
            return Ok(());
        }
        self.put(ui, &header)?;
        self.spool.rewind()?;
        let mut buffer = vec![0; BUFFER_BYTES];
        loop {
            let n = self.spool.read(&mut buffer).map_err(unwrap_io)?;
            if n == 0 {
                break;
            }
            self.put(ui, &buffer[..n])?;
        }
        self.put(ui, &padding)
    }
}

/// What the metadata says. What is lost is told and takes its usual value; of a link the target cannot be made up.
fn attributes(entry: &Entry, blob: Option<&[u8]>, above: bool, ui: &mut Ui) -> Attrs {
    let wanted = entry.meta.as_ref().map_or(0, |meta| meta.size);
    if wanted == 0 {
        return Attrs::default();
    }
    let whole = blob.filter(|blob| blob.len() as u64 == wanted);
    match whole.map(Attrs::parse) {
        Some(Ok(attrs)) => attrs,
        _ if above => Attrs::default(),
        Some(Err(_)) => {
            let shown = text::safe(&entry.path);
            let line = format!("the metadata of {shown} cannot be understood and is left out");
            ui.warn("bad-metadata", &line);
            Attrs::default()
        }
        None => {
            ui.error(&format!(
                "the metadata of {} is lost",
                text::safe(&entry.path)
            ));
            Attrs::default()
        }
    }
}
