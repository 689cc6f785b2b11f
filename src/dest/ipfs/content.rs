//! Content mode (`destinations-core.md` 6.7): a folder by its identifier or name, read only, through gateways.

use crate::base::error::Result;
use crate::base::fault::{Class, Done, Fault};
use crate::base::opt::Options;
use crate::base::text;
use crate::dest::ipfs::gateway::Gateways;
use crate::dest::ipfs::name::{self, Rules, Start};
use crate::dest::ipfs::options;
use crate::dest::ipfs::table::Table;
use crate::dest::ipfs::walk::{self, Archive};
use crate::dest::{About, Body, Destination, GetFacts, Listed, RemoteFile, Said, Sink, Span};
use crate::format::ipld::cid::{Cid, RAW};
use crate::net::ranged::{self, Answer, Resume};
use crate::net::url::DestUrl;

/// Stands for a name that is not UTF-8: no good name has it.
const BAD_CHAR: char = '\u{7f}';

#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    Blocks,
    Archives,
    Unchecked,
}

/// A folder of the network.
pub(super) struct ContentFolder {
    gateways: Gateways,
    shown: String,
    start: Start,
    path: Vec<String>,
    rules: Rules,
    mode: Mode,
    list_sizes: bool,
    folder: Option<Cid>,
    table: Option<Table>,
    notices: Vec<String>,
    told_unchecked: bool,
}

impl ContentFolder {
    pub(super) fn new(url: &DestUrl, given: &Options, start: Start) -> Result<ContentFolder> {
        Ok(ContentFolder {
            gateways: Gateways::new(given)?,
            shown: url.display(),
            start,
            path: url
                .path
                .split('/')
                .filter(|p| !p.is_empty())
                .map(str::to_owned)
                .collect(),
            rules: Rules {
                domains: given.flag(&options::DNSLINK),
                expired: given.flag(&options::ALLOW_EXPIRED),
            },
            mode: match given.choice(&options::GATEWAY_MODE) {
                Some("car") => Mode::Archives,
                Some("path") => Mode::Unchecked,
                _ => Mode::Blocks,
            },
            list_sizes: given.flag(&options::LIST_SIZES),
            folder: None,
            table: None,
            notices: Vec::new(),
            told_unchecked: false,
        })
    }

    /// The identifier of the folder, found once.
    fn folder(&mut self) -> Done<Cid> {
        if let Some(cid) = &self.folder {
            return Ok(cid.clone());
        }
        let found = name::resolve(
            &mut self.gateways,
            &self.start,
            self.rules,
            &mut self.notices,
        );
        let (mut cid, mut path) = found?;
        path.extend(self.path.iter().cloned());
        for part in path {
            let mut next = None;
            walk::entries(&mut self.gateways, &cid, &mut |_, name, link| {
                if name == part.as_bytes() && next.is_none() {
                    next = Some(link.cid.clone());
                }
                Ok(())
            })?;
            cid = next.ok_or_else(|| {
                Fault::new(
                    Class::FolderMissing,
                    format!(
                        "folder '{}' does not exist in {cid}",
                        text::safe(part.as_bytes())
                    ),
                )
            })?;
        }
        self.folder = Some(cid.clone());
        Ok(cid)
    }

    /// Reads the whole folder, passing on each entry.
    fn read_folder(&mut self, each: &mut dyn FnMut(Listed) -> Done<()>) -> Done<()> {
        let folder = self.folder()?;
        let mut table = Table::default();
        let list_sizes = self.list_sizes;
        walk::entries(&mut self.gateways, &folder, &mut |blocks, name, link| {
            let mut size = match (link.cid.codec(), link.cid.inline()) {
                (RAW, Some(data)) => Some(data.len() as u64),
                (RAW, None) => link.size,
                _ => None,
            };
            table.add(name, &link.cid, size);
            if size.is_none() && list_sizes {
                size = walk::file_size(blocks, &link.cid)?;
                if size.is_none() {
                    return Ok(());
                }
            }
            let name = match std::str::from_utf8(name) {
                Ok(name) => name.to_owned(),
                Err(_) => format!("{}{BAD_CHAR}", String::from_utf8_lossy(name)),
            };
            each(Listed::Entry(file(name, size)))
        })?;
        table.seal();
        self.table = Some(table);
        Ok(())
    }

    /// The root of a file, and its size if known.
    fn find(&mut self, name: &str) -> Done<(Cid, Option<u64>)> {
        if self.table.is_none() {
            let list_sizes = std::mem::replace(&mut self.list_sizes, false);
            let done = self.read_folder(&mut |_| Ok(()));
            self.list_sizes = list_sizes;
            done?;
        }
        let found = self.table.as_ref().and_then(|t| t.find(name.as_bytes()));
        found.ok_or_else(|| Fault::new(Class::NotFound, "not found"))
    }

    /// A file as a gateway gives it.
    fn get_unchecked(&mut self, name: &str, span: Span, into: &mut dyn Sink) -> Done<GetFacts> {
        if !std::mem::replace(&mut self.told_unchecked, true) {
            self.notices.push(
                "files are read as the gateway gives them, not block by block: only their hashes inside the backup protect them"
                    .to_owned(),
            );
        }
        let folder = self.folder()?;
        let gateways = &mut self.gateways;
        let ask: &mut ranged::Ask<'_> = &mut |range, _| {
            Ok(Answer {
                reply: gateways.unchecked(&folder, name, range)?,
                tag: String::new(),
                sha1: None,
            })
        };
        Resume::default().get(name, span, into, ask)
    }
}

fn file(name: String, size: Option<u64>) -> RemoteFile {
    RemoteFile {
        name,
        size,
        modified: None,
        is_folder: false,
        is_archived: false,
    }
}

/// What to do instead of writing here.
const NODE: &str = "write to the folder of a node, such as ipfs://host:5001/folder";

fn read_only() -> Fault {
    Fault::new(Class::Usage, "read-only destination")
        .hint("an IPFS identifier never changes; write to the folder of a node with ipfs://host:5001/folder")
}

impl Destination for ContentFolder {
    fn list(&mut self, _start: &str, each: &mut dyn FnMut(Listed) -> Done<()>) -> Done<()> {
        self.read_folder(each)
    }

    fn stat(&mut self, name: &str) -> Done<RemoteFile> {
        let (cid, size) = self.find(name)?;
        let size = match size {
            Some(size) => size,
            None => walk::file_size(&mut self.gateways, &cid)?
                .ok_or_else(|| Fault::new(Class::NotFound, "it is no file"))?,
        };
        Ok(file(name.to_owned(), Some(size)))
    }

    fn get(&mut self, name: &str, span: Span, into: &mut dyn Sink) -> Done<GetFacts> {
        if self.mode == Mode::Unchecked {
            return self.get_unchecked(name, span, into);
        }
        let (cid, _) = self.find(name)?;
        let size = if self.mode == Mode::Archives && span == Span::WHOLE {
            walk::read_file(
                &mut Archive::new(&mut self.gateways, &cid),
                &cid,
                span,
                into,
            )?
        } else {
            walk::read_file(&mut self.gateways, &cid, span, into)?
        };
        Ok(GetFacts {
            total: Some(size),
            sha1: None,
        })
    }

    /// Only what comes in one reply and is taken as it comes. Where each block is checked, which is as it should be, a file is as
    /// many requests as it has blocks, each to the gateway whose turn it is when the one before has proved good or bad, and nothing
    /// counts before its block is whole: there is no reply to read on when there is time. The same goes for archives, in whose place
    /// single blocks come as soon as one of them is not right.
    fn can_be_asked_ahead(&self) -> bool {
        self.mode == Mode::Unchecked
    }

    fn put(&mut self, _: &str, _: &mut dyn Body) -> Done<()> {
        Err(read_only())
    }

    fn delete(&mut self, _: &str) -> Done<()> {
        Err(read_only())
    }

    fn create_folder(&mut self) -> Done<()> {
        Err(read_only())
    }

    fn about(&self) -> About {
        About {
            read_only: Some(NODE),
            ..About::default()
        }
    }

    fn said(&mut self) -> Said {
        let mut notices = std::mem::take(&mut self.notices);
        notices.append(&mut self.gateways.notices());
        Said {
            notices,
            requests: Some(self.gateways.requests()),
            ..Said::default()
        }
    }

    fn describe(&self) -> String {
        self.shown.clone()
    }
}
