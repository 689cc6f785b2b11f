//! What a command line that is wrong says about reports all the same: nobody else would tell that no backup is made.

use std::ffi::OsString;

use crate::base::opt::Options;
use crate::cli::options as o;
use crate::cli::unattended::Run;
use crate::cli::{parameters_file, parse};

/// Options that a report goes by, and the file that may hold them.
fn is_of_reports(name: &str) -> bool {
    name.starts_with("send-http-")
        || [
            o::BACKUP_NAME.name,
            o::DRY_RUN.name,
            "ssl-ca-file",
            "accept-specified-ssl-hash",
            "accept-any-ssl-certificate",
            "http-proxy",
            "short-timeout",
        ]
        .contains(&name)
}

/// The run that a wrong command line asks for, as far as reports need to know.
pub(crate) fn rescue(args: &[OsString]) -> Run {
    let words: Vec<&str> = args.iter().filter_map(|a| a.to_str()).collect();
    let mut options = Options::default();
    let mut file = None;
    let mut take = |arg: &str, next: Option<&str>, file: &mut Option<String>| {
        let next = next.filter(|n| !n.starts_with('-'));
        let Ok(Some((opt, value))) = parse::option(arg, next, &mut Vec::new()) else {
            return;
        };
        if opt.name == o::PARAMETERS_FILE.name {
            *file = Some(value);
        } else if is_of_reports(opt.name) {
            // A value that is wrong is as good as none.
            let _ = options.set(opt, &value);
        }
    };
    for (at, word) in words.iter().enumerate() {
        if word.starts_with("--") {
            take(word, words.get(at + 1).copied(), &mut file);
        }
    }
    if let Some(path) = file.take() {
        for line in parameters_file::lines(&path) {
            take(&line, None, &mut file);
        }
    }
    let first = words.iter().find(|w| !w.starts_with('-'));
    let command = first.and_then(|w| crate::cli::lookup(&w.to_lowercase()));
    Run::that_failed(command, options)
}
