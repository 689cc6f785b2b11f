//! Backups written by Duplicati, whole and harmed.

use std::fs;
use std::path::{Path, PathBuf};

use super::*;
use crate::base::opt::Options;
use crate::base::secret::Secret;
use crate::base::tmp::Tmp;
use crate::base::ui::Volume;
use crate::remote::Remote;
use crate::set::{Cache, Passphrase, Said, SetOptions};

const ALL: VerifyOptions = VerifyOptions {
    amount: Amount::All,
    versions: Vec::new(),
    turn: 0,
    lists: ListsFrom::Dblocks,
    dlists: true,
    dblocks: true,
};

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/fixtures")
}

fn passphrase(name: &str) -> &'static str {
    match name {
        "four-versions-aes" => "correct horse battery staple",
        "compacted-aes" => "päss wörd 語",
        _ => "abc",
    }
}

fn verify(dest: &Path, passphrase: &str, options: &VerifyOptions) -> Result<VerifyReport> {
    let mut ui = Ui::new(Volume::Quiet, false, Some(false));
    let remote = Remote::open(dest.to_str().expect("text"), &Options::default(), &mut ui)?;
    let options_of_set = SetOptions {
        prefix: None,
        writing: false,
        case_insensitive: false,
        gpg_program: "gpg".to_owned(),
        cache: Cache::Off("a test".to_owned()),
        lock: None,
        said: Said::default(),
        begin: Default::default(),
    };
    let secret = passphrase.to_owned();
    let mut set = Set::open(
        remote,
        Tmp::open(None)?,
        options_of_set,
        &mut ui,
        &mut |_, _| {
            Ok(Some(Passphrase {
                secret: Secret::new(secret.clone()),
                whence: "a test".to_owned(),
            }))
        },
    )?;
    let mut report = VerifyReport::default();
    run(&mut set, options, &mut ui, &mut report).map(|()| report)
}

fn said(report: &VerifyReport) -> Vec<String> {
    let line = |f: &Finding| format!("{} {} {}", f.status.word(), f.volume, f.what);
    report.findings.iter().map(line).collect()
}

#[test]
fn what_duplicati_wrote_is_clean() {
    for entry in fs::read_dir(fixtures()).expect("fixtures") {
        let name = entry
            .expect("entry")
            .file_name()
            .into_string()
            .expect("text");
        let dest = fixtures().join(&name).join("dest");
        if name == "gpg" || !dest.is_dir() {
            continue;
        }
        let report = verify(&dest, passphrase(&name), &ALL).expect(&name);
        assert_eq!(said(&report), Vec::<String>::new(), "{name}");
        assert!(report.dlists > 0 && report.dblocks > 0, "{name}");
        assert!(report.blocks_hashed > 0 && report.entries > 0, "{name}");
        assert_eq!(
            (report.lists_unchecked, report.unindexed_unread),
            (0, 0),
            "{name}"
        );
    }
}
