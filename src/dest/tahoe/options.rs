//! The option of Tahoe-LAFS, and the directory that a URL means.

use crate::base::bytes::hex;
use crate::base::digest::Algo;
use crate::base::error::{Error, Result};
use crate::base::opt::options;
use crate::net::opts;
use crate::net::url::{CAPABLE_HINT, DestUrl};

options! {
    USE_SSL: opts::USE_SSL;
}

/// What begins a directory that can be changed and read, and those that can be read only.
const WRITABLE: [&str; 2] = ["DIR2", "DIR2-MDMF"];
const READABLE: [&str; 4] = ["DIR2-RO", "DIR2-MDMF-RO", "DIR2-CHK", "DIR2-LIT"];
/// Characters of a key and of a fingerprint.
const KEY: usize = 26;
const FINGERPRINT: usize = 52;

/// A directory of the grid.
pub(super) struct Directory {
    /// `URI:DIR2:...`.
    pub(super) capability: String,
    /// Folder below it: empty, or with `/` at its end.
    pub(super) folder: String,
    pub(super) is_writable: bool,
}

impl Directory {
    /// The one in the path of a URL. No error shows any of it.
    pub(super) fn of(url: &DestUrl) -> Result<Directory> {
        let wrong = |cause: &str| Err(Error::usage(cause).hint(CAPABLE_HINT));
        let Some(path) = url.path.strip_prefix("uri/") else {
            return wrong("the destination URL has no capability of a directory");
        };
        let (capability, folder) = path.split_once('/').unwrap_or((path, ""));
        let fields: Vec<&str> = capability.trim().split(':').collect();
        let (kind, keys) = match fields[..] {
            ["URI", kind, ref keys @ ..] => (kind, keys),
            _ => return wrong("the destination URL has no capability of a directory"),
        };
        let is_writable = WRITABLE.contains(&kind);
        if kind.ends_with("Verifier") {
            return wrong("the capability in the destination URL lets nobody read");
        }
        if !kind.starts_with("DIR2") {
            return wrong("the capability in the destination URL is that of a file");
        }
        if !is_writable && !READABLE.contains(&kind) {
            return wrong("the capability in the destination URL is of a kind that is not known");
        }
        let is_key = |text: &str, len: usize| {
            let good = |b: u8| b.is_ascii_lowercase() || (b'2'..=b'7').contains(&b);
            text.len() == len && text.bytes().all(good)
        };
        let whole = match keys {
            [key, fingerprint, ..] => is_key(key, KEY) && is_key(fingerprint, FINGERPRINT),
            _ => false,
        };
        if !whole && kind != "DIR2-LIT" {
            return Err(
                Error::usage("the capability in the destination URL is not whole").hint(format!(
                    "after URI:{kind}: come {KEY} letters and digits, a colon, and {FINGERPRINT} more"
                )),
            );
        }
        let levels = folder.split('/').filter(|level| !level.is_empty());
        let folder: String = levels.map(|level| format!("{level}/")).collect();
        if folder.split('/').any(|level| matches!(level, "." | "..")) {
            return wrong("the folder in the destination URL has a . or .. in it");
        }
        Ok(Directory {
            capability: capability.trim().to_owned(),
            folder,
            is_writable,
        })
    }

    /// Which directory of the world it is, whatever lets one read or change it, and through whichever gateway. No secret.
    pub(super) fn identity(&self) -> String {
        let fields: Vec<&str> = self.capability.split(':').collect();
        let is_mutable = !matches!(fields[1], "DIR2-CHK" | "DIR2-LIT");
        // Of one that can change, the fingerprint is the same in all its capabilities.
        let own = match is_mutable {
            true => fields[3].to_owned(),
            false => self.capability.clone(),
        };
        let whole = format!("tahoe {own}/{}", self.folder);
        hex(&Algo::Sha256.hash(whole.as_bytes()).as_bytes()[..16])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(kind: &str, rest: &str) -> std::result::Result<(String, bool, String), String> {
        let (key, print) = ("k".repeat(KEY), "p2".repeat(FINGERPRINT / 2));
        let text = format!("tahoe://h:3456/uri/URI:{kind}:{key}:{print}{rest}");
        let (url, _) = DestUrl::parse(&text).map_err(|e| e.to_string())?;
        let of = Directory::of(&url).map_err(|e| e.to_string())?;
        Ok((of.folder.clone(), of.is_writable, of.identity()))
    }

    #[test]
    fn directories_and_what_is_none() {
        let whole = of("DIR2", "").expect("one");
        assert_eq!((whole.0.as_str(), whole.1), ("", true));
        assert_eq!(of("DIR2-RO", "/").expect("the same").2, whole.2);
        assert!(!of("DIR2-RO", "").expect("one").1);
        let below = of("DIR2-MDMF", ":3:131073/a%20b//c+d/").expect("one");
        assert_eq!((below.0.as_str(), below.1), ("a b/c+d/", true));
        assert_ne!(below.2, whole.2);
        let fixed = of("DIR2-CHK", ":1:1:500").expect("one");
        assert!(!fixed.1 && fixed.2 != of("DIR2-CHK", ":1:1:501").expect("one").2);
        for (kind, rest, words) in [
            ("DIR2", "x", "not whole"),
            ("DIR2", "/a/../b", "a . or .."),
            ("DIR2-Verifier", "", "lets nobody read"),
            ("DIR2-CHK-Verifier", "", "lets nobody read"),
            ("CHK", ":1:1:500", "that of a file"),
            ("DIR3", "", "that of a file"),
            ("DIR2-NEW", "", "not known"),
        ] {
            let told = of(kind, rest).expect_err(words);
            assert!(told.contains(words) && !told.contains("kkk"), "{told}");
        }
        for text in [
            "tahoe://h/uri/",
            "tahoe://h",
            "tahoe://h/cap/URI:DIR2:a:b",
            "tahoe://h/uri/URI:DIR2",
            "tahoe://h/uri/alias:folder",
            "tahoe://h/uri/URI:DIR2:aaa:bbb",
        ] {
            let (url, _) = DestUrl::parse(text).expect("a URL");
            assert!(Directory::of(&url).is_err(), "{text}");
        }
        for text in ["tahoe://URI:DIR2:kkk:ppp", "tahoes://URI%3ADIR2%3Akkk/x"] {
            let told = DestUrl::parse(text).err().expect("no host").to_string();
            assert!(told.contains("no host") && !told.contains("kkk"), "{told}");
        }
    }

    #[test]
    fn an_encoded_capability_is_the_same() {
        let (key, print) = ("a2".repeat(KEY / 2), "b7".repeat(FINGERPRINT / 2));
        let of = |colon: &str| {
            let path = ["URI", "DIR2", &key, &print].join(colon);
            let (url, _) = DestUrl::parse(&format!("tahoe://h/uri/{path}")).expect("a URL");
            Directory::of(&url).expect("one").capability
        };
        assert_eq!(of(":"), of("%3A"));
    }
}
