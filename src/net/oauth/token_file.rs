//! A log-in in a file that only its owner can read: one JSON object, written anew as a whole so that a break leaves the old or
//! the new one.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use crate::base::error::{Error, Result};
use crate::base::fault::{Class, Fault};
use crate::base::rand;
use crate::base::secret::{Secret, wipe};
use crate::base::text;
use crate::net::json::SMALL_MAX_BYTES;
use crate::net::service::rows::{self, Row};

/// Fields of the file.
pub(crate) const AUTHID: &str = "authid";
pub(crate) const SERVICE_URL: &str = "oauth_url";
pub(crate) const CLIENT_ID: &str = "client_id";
pub(crate) const CLIENT_SECRET: &str = "client_secret";
pub(crate) const REFRESH_TOKEN: &str = "refresh_token";
pub(crate) const TOKEN_URL: &str = "token_url";
/// The host at which an access token is good, for who makes the URL.
pub(crate) const SERVER: &str = "server";
/// The type of destination that the log-in is for, as 'duplet remote login' was told it; files of before do not say.
pub(crate) const SCHEME: &str = "scheme";
const FIELDS: [&str; 8] = [
    AUTHID,
    SERVICE_URL,
    CLIENT_ID,
    CLIENT_SECRET,
    REFRESH_TOKEN,
    TOKEN_URL,
    SERVER,
    SCHEME,
];

/// Far longer than any log-in.
const FILE_MAX_BYTES: u64 = 64 << 10;

/// Such a file, with what it holds.
pub(crate) struct TokenFile {
    path: String,
    /// In the order of [`FIELDS`].
    values: [Secret; FIELDS.len()],
    notices: Vec<String>,
}

impl TokenFile {
    /// Nothing yet, for a file of this path.
    pub(crate) fn new(path: &str) -> TokenFile {
        TokenFile {
            path: path.to_owned(),
            values: FIELDS.map(|_| Secret::new(String::new())),
            notices: Vec::new(),
        }
    }

    /// What the file of this path holds.
    pub(crate) fn read(path: &str) -> Result<TokenFile> {
        let mut out = TokenFile::new(path);
        let (mut content, mut mode) = (String::new(), 0);
        let read = File::open(path).and_then(|file| {
            mode = file.metadata()?.mode();
            file.take(FILE_MAX_BYTES).read_to_string(&mut content)
        });
        let shown = out.shown();
        read.map_err(|e| Error::usage(format!("cannot read the token file {shown}: {e}")))?;
        let row = parse(&content);
        wipe(&mut content.into_bytes());
        let row = row.map_err(|_| {
            Error::usage(format!("{shown} is no token file"))
                .hint("make one with 'duplet remote login SCHEME --oauth-token-file=FILE'")
        })?;
        out.values = FIELDS.map(|field| Secret::new(row.text(field)));
        if mode & 0o077 != 0 {
            out.notices.push(format!(
                "others can read {shown}, which holds a secret (chmod 600 {shown})"
            ));
        }
        Ok(out)
    }

    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    /// The path for messages.
    pub(crate) fn shown(&self) -> String {
        text::safe(self.path.as_bytes())
    }

    /// One of the fields; empty when it is not there.
    pub(crate) fn get(&self, field: &str) -> &str {
        let at = FIELDS.iter().position(|f| *f == field);
        at.map_or("", |at| self.values[at].reveal())
    }

    pub(crate) fn set(&mut self, field: &str, value: &str) {
        if let Some(at) = FIELDS.iter().position(|f| *f == field) {
            self.values[at] = Secret::new(value.to_owned());
        }
    }

    /// Refuses a log-in that is for another type of destination: it is not to be shown to a foreign service.
    pub(super) fn check_is_for(&self, scheme: &str) -> Result<()> {
        let own = text::safe_cut(self.get(SCHEME).as_bytes(), 40);
        if own.is_empty() || own == scheme {
            return Ok(());
        }
        let cause = format!("{} holds a log-in for {own}://", self.shown());
        let hint = format!(
            "'duplet remote login {scheme} --oauth-token-file=FILE' makes one for {scheme}://"
        );
        Err(Error::usage(cause).hint(hint))
    }

    /// The AuthID, where the file holds one.
    pub(super) fn take_authid(&mut self) -> Option<Secret> {
        let id = Secret::new(self.get(AUTHID).to_owned());
        (!id.is_blank()).then_some(id)
    }

    pub(super) fn take_notices(&mut self) -> Vec<String> {
        std::mem::take(&mut self.notices)
    }

    /// For a file of this path that is to be written: one that is there has to be a token file, and its folder has to take files.
    pub(crate) fn to_write(path: &str) -> Result<TokenFile> {
        if fs::symlink_metadata(path).is_ok() {
            TokenFile::read(path)?;
        }
        let out = TokenFile::new(path);
        let (_, temporary) = out.places().map_err(|e| out.cannot(&e))?;
        let tried = out
            .write(&temporary)
            .and_then(|()| fs::remove_file(&temporary));
        tried.map_err(|e| out.cannot(&e))?;
        Ok(out)
    }

    /// The error of a file that cannot be written.
    pub(crate) fn cannot(&self, e: &io::Error) -> Error {
        Error::usage(format!("cannot write the token file {}: {e}", self.shown()))
    }

    /// Where the file is, and another of its folder.
    fn places(&self) -> io::Result<(PathBuf, PathBuf)> {
        let path = fs::canonicalize(&self.path).unwrap_or_else(|_| PathBuf::from(&self.path));
        let name = path.file_name().and_then(|n| n.to_str()).unwrap_or("token");
        let random = rand::hex::<8>().map_err(|e| io::Error::other(e.to_string()))?;
        let temporary = path.with_file_name(format!(".{name}-{random}"));
        Ok((path, temporary))
    }

    /// Writes the file: beside itself, to the disk, and then in place of the old one.
    pub(crate) fn save(&self) -> io::Result<()> {
        let (path, temporary) = self.places()?;
        let done = self.write(&temporary).and_then(|()| {
            fs::rename(&temporary, &path)?;
            let folder = path.parent().filter(|p| !p.as_os_str().is_empty());
            // Some file systems cannot do that for a folder; the file is there all the same.
            let _ = File::open(folder.unwrap_or(Path::new("."))).and_then(|f| f.sync_all());
            Ok(())
        });
        if done.is_err() {
            let _gone = fs::remove_file(&temporary);
        }
        done
    }

    fn write(&self, path: &Path) -> io::Result<()> {
        let mut all = serde_json::Map::new();
        for (field, value) in FIELDS.iter().zip(&self.values) {
            if !value.is_blank() {
                all.insert((*field).to_owned(), value.reveal().into());
            }
        }
        let mut options = OpenOptions::new();
        let mut file = options
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)?;
        let mut content = serde_json::Value::Object(all).to_string().into_bytes();
        content.push(b'\n');
        let written = file.write_all(&content).and_then(|()| file.sync_all());
        wipe(&mut content);
        written
    }
}

fn parse(content: &str) -> std::result::Result<Row, Fault> {
    let io = |_: &io::Error| Fault::new(Class::Local, "");
    let mut input = content.trim_start_matches('\u{feff}').as_bytes();
    rows::objects(&mut input, &io, SMALL_MAX_BYTES, "", &mut |_| Ok(()))
}
