//! What a script learns by its environment: Duplicati's variables, and no secret.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use crate::base::error::{Doing, Result};
use crate::base::opt::{Kind, Opt, Options};
use crate::base::tmp::Tmp;
use crate::base::{program, rand};
use crate::cli::Call;
use crate::cli::options as o;
use crate::cli::unattended::document;
use crate::net::url::{DestUrl, display_raw};

/// What stands before the name of each variable.
const PREFIX: &str = "DUPLICATI__";

/// The variables of one event.
pub(super) struct Environment(Vec<(String, String)>);

impl Environment {
    /// For the start of a program.
    pub(super) fn set(&self) -> Vec<(&str, String)> {
        let all = self.0.iter();
        all.map(|(name, value)| (name.as_str(), value.clone()))
            .collect()
    }

    /// True for variables of this program that a script does not inherit.
    pub(super) fn hides(&self, name: &str) -> bool {
        let upper = name.to_ascii_uppercase();
        let of_option = |opt: &'static Opt| opt.env == name && opt.kind == Kind::Secret;
        // The address of a proxy may hold a log-in.
        let with_login =
            || upper.ends_with("_PROXY") && std::env::var(name).is_ok_and(|v| v.contains('@'));
        program::is_secret(name)
            || upper.starts_with(PREFIX)
            || upper.contains("_PASS")
            || upper.ends_with("_KEY")
            || o::real().any(of_option)
            || with_login()
    }
}

/// The variables of an event of `call`; `more` are those that only some events have, without the prefix.
pub(super) fn of(call: &Call, event: &str, more: &[(&str, String)]) -> Environment {
    let operation = document::operation(call.command.name);
    // A word may be the address of a second destination.
    let words: Vec<String> = call
        .words
        .iter()
        .map(|word| match word.contains("://") {
            true => public_url(word),
            false => word.clone(),
        })
        .collect();
    let mut all = vec![
        ("EVENTNAME".to_owned(), event.to_owned()),
        ("OPERATIONNAME".to_owned(), operation.to_owned()),
        ("REMOTEURL".to_owned(), public_url(&call.url)),
        ("LOCALPATH".to_owned(), words.join(":")),
        ("main_action".to_owned(), operation.to_owned()),
    ];
    if !call.rules.is_empty() {
        let rules = call.rules.iter();
        let signed: Vec<String> = rules
            .map(|r| format!("{}{}", if r.include { '+' } else { '-' }, r.text))
            .collect();
        all.push(("FILTER".to_owned(), signed.join(":")));
    }
    if let Some(name) = call.options.text(&o::BACKUP_NAME) {
        all.push(("BACKUP_NAME".to_owned(), name.to_owned()));
    }
    for (opt, value) in call.options.all() {
        let private = opt.kind == Kind::Secret
            || ["pass", "secret", "token", "key"]
                .iter()
                .any(|word| opt.name.contains(word));
        if !private {
            // A flag that stands alone is on.
            let value = match (opt.kind, value) {
                (Kind::Flag, "") => "true",
                (_, value) => value,
            };
            all.push((opt.name.replace('-', "_"), value.to_owned()));
        }
    }
    all.extend(more.iter().map(|(n, v)| ((*n).to_owned(), v.clone())));
    all.retain(|(_, value)| !value.contains('\0'));
    Environment(
        all.into_iter()
            .map(|(name, value)| (format!("{PREFIX}{name}"), value))
            .collect(),
    )
}

/// A destination's address without user, password and query; a local path as it is.
fn public_url(url: &str) -> String {
    match DestUrl::parse(url) {
        Ok(_) if !url.contains("://") => url.to_owned(),
        Ok((parsed, _)) => parsed.display(),
        Err(_) => display_raw(url),
    }
}

/// The file that a script after the command finds the result in; gone when dropped.
pub(super) struct ResultFile {
    path: PathBuf,
}

impl ResultFile {
    /// Makes it in the folder for temporary files, its owner's alone.
    pub(super) fn new(options: &Options, content: &str) -> Result<ResultFile> {
        let tmp = Tmp::open(options.text(&o::TEMPDIR))?;
        let name = format!("duplet-result-{}.txt", rand::hex::<8>()?);
        let folder = fs::canonicalize(tmp.folder()).unwrap_or(tmp.folder().to_owned());
        let file = ResultFile {
            path: folder.join(name),
        };
        OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&file.path)
            .and_then(|mut f| f.write_all(content.as_bytes()))
            .doing(|| format!("write the result for a script into {}", tmp.shown()))?;
        Ok(file)
    }

    pub(super) fn path(&self) -> &str {
        self.path.to_str().unwrap_or_default()
    }
}

impl Drop for ResultFile {
    fn drop(&mut self) {
        // The script may have taken it away.
        let _gone = fs::remove_file(&self.path);
    }
}
