//! Words that stand where a folder or file of this machine is expected but mean something else: the address of another
//! program (`s3:bucket/x`, `user@nas:/b`), a home folder that only a shell knows (`~/x`), nothing at all.
//!
//! Such a word may hold a password, so no more of it is shown than what stands before the first colon.

use std::ffi::OsString;
use std::path::{Component, Path, PathBuf};

use crate::base::error::{Error, Result};
use crate::base::text;

/// What to do with an address of no destination type.
pub(crate) const MOUNT: &str = "mount it (sshfs, rclone mount) and name the folder where it is mounted, or serve it with \
                     'rclone serve webdav' and write webdav://host:port/folder";

/// The same for `user@host:path`.
const LOGIN: &str = "for SFTP write ssh://user@host/folder; else mount it (sshfs, rclone mount) and name the folder where it is mounted";

/// What to write instead of `scheme:…`; the scheme in any case, without its colon.
pub(crate) fn right_form(scheme: &str) -> &'static str {
    match scheme.to_ascii_lowercase().as_str() {
        "s3" | "s3s" | "aws" | "minio" => "write s3://bucket/folder",
        "e2" => "write e2://bucket/folder",
        "gs" | "gcs" => "write gcs://bucket/folder",
        "r2" | "wasabi" => "write s3://bucket/folder with s3-server-name= of that service",
        "b2" | "backblaze" => "write b2://bucket/folder",
        "http" | "https" | "dav" | "davs" | "webdav" | "webdavs" => {
            "for WebDAV write webdavs://host/folder, or webdav:// without TLS"
        }
        "ssh" | "sftp" | "scp" => "for SFTP write ssh://user@host/folder",
        "ftp" | "ftps" | "aftp" => "write ftps://user@host/folder, or ftp:// without TLS",
        "file" => "write file:///folder",
        "ipfs" => "write ipfs://host:5001/folder",
        "ipns" => "write ipns://name",
        "tahoe" | "tahoes" | "uri" => {
            "for a directory of Tahoe-LAFS write tahoe://127.0.0.1:3456/uri/ and its capability"
        }
        _ => MOUNT,
    }
}

/// Why `word` is no folder or file of this machine, as cause and hint. A word that begins with `/`, `./` or `../` always is
/// one, whatever follows.
pub(crate) fn elsewhere(word: &str) -> Option<(String, String)> {
    if word.trim().is_empty() {
        let hint = "a variable of the shell that is not set?";
        return Some(("it is empty".to_owned(), hint.to_owned()));
    }
    if let Some(rest) = word.strip_prefix('~') {
        let hint = if rest.is_empty() || rest.starts_with('/') {
            "write the home folder out, or $HOME; for a name that begins with ~ write ./ before it"
        } else {
            "write the folder out; for a name that begins with ~ write ./ before it"
        };
        let cause = "~ at its start is known to shells only, which replace it where a word begins";
        return Some((cause.to_owned(), hint.to_owned()));
    }
    if let Some(found) = unexpanded(word) {
        return Some(found);
    }
    if matches!(word.as_bytes(), [drive, b':', rest @ ..]
        if drive.is_ascii_alphabetic() && matches!(rest.first(), None | Some(b'/' | b'\\')))
    {
        let cause = "it is a path of Windows, which is not supported on this platform";
        let hint = "for a folder of that name here write ./ before it";
        return Some((cause.to_owned(), hint.to_owned()));
    }
    let first = word.split('/').next().unwrap_or_default();
    let (before, after) = first.split_once(':')?;
    let whole = &word[before.len() + 1..];
    let host = before.rsplit('@').next().unwrap_or(before);
    let scheme_like = host.starts_with(|c: char| c.is_ascii_alphabetic())
        && host
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.' | b'_'));
    // `10.0.0.2:/b`, `[::1]:/b`, `user@host:b`, a scheme with a blank or quote before it.
    let address = before.contains('@')
        || after.contains('@')
        || whole.starts_with('/')
        || whole.starts_with("//")
        || first.starts_with('[') && first.contains("]:");
    if !scheme_like && !address {
        return None;
    }
    let host = host.trim_matches(|c: char| c.is_whitespace() || matches!(c, '"' | '\''));
    let shown = text::safe_cut(host.as_bytes(), 30);
    let form = if before.contains('@') {
        LOGIN
    } else {
        right_form(host)
    };
    Some((
        format!("'{shown}:' makes it look like the address of another machine or program"),
        format!("{form}; for a folder of that name here write ./ before it"),
    ))
}

/// A word that a shell would have changed: a variable's name or a quote at its start. A scheme that lost its colon, too.
fn unexpanded(word: &str) -> Option<(String, String)> {
    let is_name = |c: char| c.is_ascii_alphabetic() || c == '_';
    let first = word.split('/').next().unwrap_or_default();
    let dollar = word
        .strip_prefix('$')
        .is_some_and(|rest| rest.starts_with(['{', '(']) || rest.starts_with(is_name));
    let percent = first
        .strip_prefix('%')
        .and_then(|rest| rest.split_once('%'))
        .is_some_and(|(name, rest)| name.starts_with(is_name) && rest.is_empty());
    let (cause, hint) = if dollar || percent {
        let hint = "write the value itself; for a name that begins so write ./ before it";
        (
            "it begins with a variable that nothing has replaced".to_owned(),
            hint.to_owned(),
        )
    } else if word.starts_with(['"', '\'']) && word.contains('/') && !first.contains(':') {
        let hint = "leave the quotes out; for a name that begins so write ./ before it";
        (
            "it begins with a quote that no shell has taken away".to_owned(),
            hint.to_owned(),
        )
    } else if word[first.len()..].starts_with("//") && right_form(first) != MOUNT {
        let hint = format!(
            "{}; for a folder of that name here write ./ before it",
            right_form(first)
        );
        (format!("the colon after {first} is missing"), hint)
    } else {
        return None;
    };
    Some((cause, hint))
}

/// Refuses what [`elsewhere`] finds; `what` is the noun of the message, such as `the value of --tempdir`.
pub(crate) fn check(what: &str, word: &str) -> Result<()> {
    match elsewhere(word) {
        None => Ok(()),
        Some((cause, hint)) => {
            Err(Error::usage(format!("{what} cannot be used: {cause}")).hint(hint))
        }
    }
}

/// Most links that are followed in one path, as the kernel does.
const LINKS_AT_MOST: u32 = 40;

/// Where a path leads once it exists: links are followed as far as there are any, `..` is taken as the folder above what
/// stands before it, and what does not exist yet stays as it is. `path` is absolute; costs one look at each name in it.
pub(crate) fn real(path: &Path) -> PathBuf {
    let mut out = PathBuf::from("/");
    let mut left: Vec<OsString> = parts(path);
    let mut links = 0;
    while let Some(part) = left.pop() {
        if part == ".." {
            out.pop();
            continue;
        }
        let next = out.join(&part);
        match std::fs::read_link(&next) {
            Ok(target) if links < LINKS_AT_MOST => {
                links += 1;
                if target.is_absolute() {
                    out = PathBuf::from("/");
                }
                left.append(&mut parts(&target));
            }
            _ => out = next,
        }
    }
    out
}

/// The names of a path and its `..`, the last one first.
fn parts(path: &Path) -> Vec<OsString> {
    let names = path.components().filter_map(|part| match part {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some("..".into()),
        _ => None,
    });
    let mut names: Vec<OsString> = names.collect();
    names.reverse();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_other_programs_are_no_folders() {
        for (word, hint) in [
            ("s3:bucket/x", "write s3://bucket/folder"),
            ("S3:/bucket", "write s3://"),
            ("s3:https://minio:9000/b", "write s3://"),
            ("b2:bucket:path", "write b2://"),
            ("webdav:/host/x", "write webdavs://"),
            ("https:/host/dav", "write webdavs://"),
            ("dav:host", "write webdavs://"),
            ("file:x", "write file:///"),
            ("file:/x", "write file:///"),
            ("gs:bucket:/x", "gcs://bucket/folder"),
            ("wasabi:bucket:/x", "s3-server-name"),
            ("sftp:user@host:/path", "write ssh://user@host/folder"),
            ("scp:user:secret@host:/path", "write ssh://user@host/folder"),
            ("ftp:/host/x", "write ftps://user@host/folder"),
            ("rclone:remote:x", "rclone"),
            ("rest:http://u:secret@h/", "rclone"),
            ("user@nas:/b", "sshfs"),
            ("user@nas:b", "ssh://user@host/folder"),
            ("nas:/b", "sshfs"),
            ("nas::module/b", "sshfs"),
            ("nas.local:backup", "sshfs"),
            ("10.0.0.2:/b", "sshfs"),
            ("[fe80::1]:/b", "sshfs"),
            ("azure:container:/x", "rclone"),
            (" s3://secret", "write s3://"),
            ("\"s3://secret", "write s3://"),
            ("C:/data", "./"),
            ("~", "$HOME"),
            ("~/x", "$HOME"),
            ("~user/x", "./"),
            ("$HOME/secret", "the value itself"),
            ("${HOME}/x", "the value itself"),
            ("$(hostname)", "the value itself"),
            ("$UNSET", "the value itself"),
            ("%HOME%/x", "the value itself"),
            ("%TARGET%", "the value itself"),
            ("\"/mnt/secret\"", "leave the quotes out"),
            ("'/mnt/x", "leave the quotes out"),
            ("URI:DIR2:secret:secret", "write tahoe://"),
            ("tahoe:URI:DIR2:secret", "write tahoe://"),
            ("s3//bucket/secret", "write s3://"),
            ("webdavs//host/x", "write webdavs://"),
            ("", "not set"),
            ("  ", "not set"),
        ] {
            let (cause, found) = elsewhere(word).unwrap_or_default();
            assert!(found.contains(hint), "{word}: {cause} ({found})");
            assert!(!cause.contains("secret") && !found.contains("secret"));
        }
    }

    #[test]
    fn folders_stay_folders() {
        for word in [
            "x",
            "/s3:bucket",
            "./s3:bucket/x",
            "../user@nas:/b",
            "a/b:c",
            "backup 12:30",
            "2026-03-01T12:00:00",
            "user@nas",
            "$",
            "$5",
            "./$HOME/x",
            "/mnt/$HOME",
            "100%/x%",
            "%C3%A4",
            "'90s",
            "s3/bucket",
            "backup//x",
            "a+b",
            "x~",
            ".",
            "-",
            ":",
            ":x",
        ] {
            assert!(elsewhere(word).is_none(), "{word}: {:?}", elsewhere(word));
        }
    }

    #[test]
    fn a_path_that_does_not_exist_yet_leads_somewhere() {
        let base = std::env::temp_dir().join(format!("duplet-real-{}", std::process::id()));
        std::fs::create_dir_all(base.join("data/deep")).expect("folders");
        let base = std::fs::canonicalize(&base).expect("it was made");
        for (link, target) in [
            ("link", "data"),
            ("whole", base.join("data/deep").to_str().expect("plain")),
            ("data/up", "../link/deep"),
            ("dangling", "data/not/yet"),
            ("round", "round"),
        ] {
            std::os::unix::fs::symlink(target, base.join(link)).expect("a link");
        }
        for (given, want) in [
            ("link/d", "data/d"),
            ("link/deep/../d", "data/d"),
            ("whole/../x", "data/x"),
            ("data/up/x", "data/deep/x"),
            ("dangling/x", "data/not/yet/x"),
            ("none/../data/e", "data/e"),
            ("none/./more/../../data/../link/e", "data/e"),
            ("data/deep", "data/deep"),
            ("elsewhere/d", "elsewhere/d"),
        ] {
            assert_eq!(real(&base.join(given)), base.join(want), "{given}");
        }
        // However it ends, it ends.
        let _ = real(&base.join("round/x"));
        std::fs::remove_dir_all(&base).expect("removed");
    }
}
