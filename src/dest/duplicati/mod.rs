//! Duplicati's own storage (`destinations-more.md` 2.13): `duplicati://?duplicati-backup-id=ID`. The service either lends keys of an
//! S3 server, or carries the files itself; which of both it says when the first file is asked for.

mod gateway;
mod options;

use self::gateway::{DIALECT, Gateway, Head, SHAPE};
use crate::base::error::Result;
use crate::base::fault::{Class, Done, Fault};
use crate::base::opt::Options;
use crate::base::secret::Secret;
use crate::base::text;
use crate::dest::objects::{Api, Base, Store};
use crate::dest::s3::{self, Lender};
use crate::dest::{
    About, Body, Destination, Fact, Flight, GetFacts, Listed, Quota, RemoteFile, Said, Scheme,
    Sink, Span, WantedDigests,
};
use crate::net::checks;
use crate::net::http::Http;
use crate::net::opts;
use crate::net::redirect::split;
use crate::net::url::{DestUrl, encode};

const HOST: &str = "https://storage.duplicati.com";

pub(crate) static SCHEME: Scheme = Scheme {
    names: &["duplicati"],
    help: "Duplicati's own storage: duplicati://?duplicati-backup-id=ID",
    options: options::OPTIONS,
    open: |url, given| Ok(Box::new(Storage::open(url, given)?)),
};

/// Where the files are, once the service has said it.
enum Way {
    Unknown,
    /// By keys that it lends.
    Lent(Box<dyn Destination>),
    /// By the service itself.
    Gateway,
}

/// A backup in the storage.
struct Storage {
    /// Asks the service; where it lends keys, for what only the service tells.
    gateway: Store,
    lender: Option<Lender>,
    way: Way,
    given: Options,
    shown: String,
    account: String,
}

fn host(url: &DestUrl, given: &Options) -> Result<String> {
    let text = match (checks::own_address(given, &options::ENDPOINT)?, url.port) {
        (Some(own), _) => own,
        (None, _) if url.host.is_empty() => HOST.to_owned(),
        (None, Some(port)) => format!("https://{}:{port}", url.host),
        (None, None) => format!("https://{}", url.host),
    };
    // As Duplicati reads it: paths are those of the service.
    let path = split(&text).1.len();
    Ok(text[..text.len() - path].to_owned())
}

fn no_storage(why: &str) -> Fault {
    Fault::new(
        Class::Protocol,
        format!("the service names no storage: {why}"),
    )
}

impl Storage {
    fn open(url: &DestUrl, given: &Options) -> Result<Storage> {
        let host = host(url, given)?;
        let backup = checks::need(given, &options::BACKUP, "id of a backup")?;
        let own = (&options::ID, &options::KEY);
        let (user, key) = opts::login(url, given, Some(own));
        let how = "use --duplicati-auth-apiid and --duplicati-auth-apikey";
        let both = user.zip(key);
        let (user, key) = checks::or_missing(both, "log-in for Duplicati's storage", how)?;
        let machine = given.text(&options::MACHINE).unwrap_or_default().trim();
        let head = || {
            let plain = |text: &str| Secret::new(text.to_owned());
            let mut head = vec![
                ("x-api-key", plain(key.reveal().trim())),
                ("x-organization-id", plain(user.trim())),
                ("x-backup-id", Secret::new(encode(backup))),
            ];
            if !machine.is_empty() {
                head.push(("x-machine-id", Secret::new(encode(machine))));
            }
            head
        };
        let mut patient = given.duplicate();
        let wait = given
            .given_or_default(&options::TIMEOUT)
            .unwrap_or_default();
        patient.set(&opts::SHORT_TIMEOUT, wait)?;
        let lender = Lender {
            http: Http::new(&patient)?,
            dialect: &DIALECT,
            url: format!("{host}/credentials"),
            headers: head(),
            secret: Secret::new(key.reveal().trim().to_owned()),
        };
        let login = Box::new(Head(head()));
        let at = (host, format!("{machine}/{backup}"));
        let mut base = Base::new(&SHAPE, given, login, at, url.display())?;
        base.account = user.trim().to_owned();
        let api: Box<dyn Api> = Box::new(Gateway::default());
        Ok(Storage {
            shown: format!("{}{}", url.display(), text::safe(backup.as_bytes())),
            account: user.trim().to_owned(),
            gateway: Store { base, api },
            lender: Some(lender),
            way: Way::Unknown,
            given: given.duplicate(),
        })
    }

    /// Where the files are.
    fn files(&mut self) -> Done<&mut dyn Destination> {
        if let (Way::Unknown, Some(mut lender)) = (&self.way, self.lender.take()) {
            let told = lender.ask();
            match told {
                Ok(Some(lent)) => {
                    let opened = s3::lent(self.shown.clone(), lender, lent, &self.given);
                    self.way = Way::Lent(opened.map_err(|e| no_storage(&e.to_string()))?);
                }
                told => {
                    self.lender = Some(lender);
                    told?;
                    self.way = Way::Gateway;
                }
            }
        }
        Ok(match &mut self.way {
            Way::Lent(files) => &mut **files,
            Way::Gateway => &mut self.gateway,
            Way::Unknown => return Err(no_storage("as it said before")),
        })
    }
}

impl Destination for Storage {
    fn list(&mut self, start: &str, each: &mut dyn FnMut(Listed) -> Done<()>) -> Done<()> {
        self.files()?.list(start, each)
    }

    fn stat(&mut self, name: &str) -> Done<RemoteFile> {
        self.files()?.stat(name)
    }

    fn get(&mut self, name: &str, span: Span, into: &mut dyn Sink) -> Done<GetFacts> {
        self.files()?.get(name, span, into)
    }

    fn can_be_asked_ahead(&self) -> bool {
        match &self.way {
            Way::Lent(files) => files.can_be_asked_ahead(),
            Way::Gateway => self.gateway.can_be_asked_ahead(),
            Way::Unknown => false,
        }
    }

    fn put(&mut self, name: &str, body: &mut dyn Body) -> Done<()> {
        self.files()?.put(name, body)
    }

    fn launch(&mut self, name: &str, body: &mut dyn Body) -> Option<Box<dyn Flight>> {
        match &mut self.way {
            Way::Lent(files) => files.launch(name, body),
            _ => None,
        }
    }

    fn delete(&mut self, name: &str) -> Done<()> {
        self.files()?.delete(name)
    }

    fn create_folder(&mut self) -> Done<()> {
        self.files()?.create_folder()
    }

    fn describe(&self) -> String {
        self.shown.clone()
    }

    fn place(&self) -> String {
        self.gateway.place()
    }

    fn account(&self) -> String {
        self.account.clone()
    }

    fn about(&self) -> About {
        match &self.way {
            Way::Lent(files) => files.about(),
            Way::Gateway => self.gateway.about(),
            Way::Unknown => About {
                wants: WantedDigests {
                    sha1: false,
                    md5: true,
                },
                ..About::default()
            },
        }
    }

    fn said(&mut self) -> Said {
        let asked = self
            .lender
            .as_ref()
            .map_or(0, |lender| lender.http.requests());
        let gateway = self.gateway.said();
        let asked = asked + gateway.requests.unwrap_or(0);
        let mut said = match &mut self.way {
            Way::Lent(files) => files.said(),
            _ => Said::default(),
        };
        said.notices.extend(gateway.notices);
        said.requests = Some(said.requests.unwrap_or(0) + asked);
        said
    }

    fn finish(&mut self) -> Done<Vec<Fact>> {
        match &mut self.way {
            Way::Lent(files) => files.finish(),
            _ => Ok(Vec::new()),
        }
    }

    fn end_unfinished(&mut self, start: &str, before: i64) -> Done<u64> {
        self.files()?.end_unfinished(start, before)
    }

    fn quota(&mut self) -> Done<Quota> {
        self.gateway.quota()
    }
}
