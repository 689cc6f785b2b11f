//! What a destination wants to know of a volume is made while that is written.

use std::cell::RefCell;
use std::rc::Rc;

use super::*;
use crate::base::digest::WantedDigests;
use crate::base::fault::{Done, Fault};
use crate::base::opt::Options;
use crate::base::time::Timestamp;
use crate::base::transfer::LOOKED_AT;
use crate::base::ui::Ui;
use crate::dest::{About, Body, Destination, GetFacts, Listed, RemoteFile, Sink, Span};
use crate::remote::Remote;
use crate::spill::run::RunWriter;
use crate::writer::publish::tests::{Folder, WRITE, add, block, open};
use crate::writer::{WriteOptions, Writer};

/// A folder that wants digests, and compares them.
struct Careful {
    inner: Box<dyn Destination>,
    wants: WantedDigests,
    names: Rc<RefCell<Vec<String>>>,
}

impl Destination for Careful {
    fn list(&mut self, start: &str, each: &mut dyn FnMut(Listed) -> Done<()>) -> Done<()> {
        self.inner.list(start, each)
    }

    fn stat(&mut self, name: &str) -> Done<RemoteFile> {
        self.inner.stat(name)
    }

    fn get(&mut self, name: &str, span: Span, into: &mut dyn Sink) -> Done<GetFacts> {
        self.inner.get(name, span, into)
    }

    fn put(&mut self, name: &str, body: &mut dyn Body) -> Done<()> {
        let mut data = Vec::new();
        body.read_to_end(&mut data).map_err(Fault::local)?;
        body.seek_to(0).map_err(Fault::local)?;
        let WantedDigests { sha1, md5 } = self.wants;
        assert_eq!(Algo::Sha256.hash(&data).as_bytes(), body.sha256());
        assert_eq!(
            sha1.then(|| Algo::Sha1.hash(&data).array()),
            body.sha1().map(Some)
        );
        assert_eq!(
            md5.then(|| Algo::Md5.hash(&data).array()),
            body.md5().map(Some)
        );
        self.names.borrow_mut().push(name.to_owned());
        self.inner.put(name, body)
    }

    fn delete(&mut self, name: &str) -> Done<()> {
        self.inner.delete(name)
    }

    fn create_folder(&mut self) -> Done<()> {
        self.inner.create_folder()
    }

    fn about(&self) -> About {
        About {
            wants: self.wants,
            ..self.inner.about()
        }
    }

    fn describe(&self) -> String {
        self.inner.describe()
    }
}

#[test]
fn volumes_indexes_and_lists_are_read_once_whatever_their_destination_wants() {
    for (sha1, md5) in [(false, false), (true, false), (false, true)] {
        let folder = Folder::new();
        let mut ui = Ui::silent();
        let place = folder.0.to_str().expect("text");
        let remote = Remote::open(place, &Options::default(), &mut ui).expect("opens");
        let names = Rc::new(RefCell::new(Vec::new()));
        let remote = remote.inside(|inner| {
            Box::new(Careful {
                inner,
                wants: WantedDigests { sha1, md5 },
                names: names.clone(),
            })
        });
        let tmp = Tmp::open(None).expect("a folder");
        let mut set = open(remote, &tmp, &mut ui).expect("opens");
        let permit = set.permit(false).expect("may write");
        let write = WriteOptions {
            dblock_size: 100_000,
            ..WRITE
        };
        let mut writer = Writer::begin(&mut set, permit, write).expect("begins");
        let looked = LOOKED_AT.get();
        for n in 0..250 {
            let data = block(n, 1024);
            let hash = Algo::Sha256.hash(&data);
            writer.add_block(&mut ui, &hash, &data).expect("stored");
        }
        let run = RunWriter::new(&tmp).finish().expect("a run");
        add(&mut writer, &mut ui, &run, Timestamp(1_700_000_000)).expect("a version");
        let names = names.take();
        for (kind, least) in [(".dblock.", 3), (".dindex.", 3), (".dlist.", 1)] {
            let found = names.iter().filter(|name| name.contains(kind)).count();
            assert!(found >= least, "{kind}: {found}");
        }
        assert_eq!(LOOKED_AT.get(), looked, "no volume is read again");
    }
}
