//! The kinds of warnings, by which they are counted and `--suppress-warnings` names them.

/// All of them.
pub(crate) const KINDS: [&str; 59] = [
    "attributes",
    "bad-metadata",
    "bad-path",
    "changed",
    "damaged-dblock",
    "damaged-version",
    "damaged-volumes",
    "dangling",
    "destination",
    "empty-input",
    "exposed-secret",
    "FilterExcludesAll",
    "folder-in-the-way",
    "hostile-names",
    "kept-aside",
    "log-file",
    "long-name",
    "loop",
    "lost-files",
    "lost-volumes",
    "metadata-too-large",
    "misdated-version",
    "missing-data",
    "missing-dblock",
    "missing-source",
    "NearlyAllGone",
    "new-passphrase",
    "no-match",
    "no-right-to-delete",
    "no-version",
    "NoFilesInBackup",
    "not-deleted",
    "not-reclaimed",
    "not-utf8",
    "nothing-restored",
    "nothing-saved",
    "own-destination",
    "owner",
    "plain-volumes",
    "purge-did-not-end",
    "read-only",
    "repeated-names",
    "repeated-path",
    "rule-fits-nothing",
    "script",
    "source-excluded",
    "SourceEmptied",
    "still-listed",
    "test-file-stays",
    "too-deep",
    "too-large",
    "too-long",
    "unreadable",
    "unreadable-dblock",
    "unreadable-index",
    "unreadable-version",
    "vanished",
    "version-stays",
    "xattr",
];

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failing step fails the test")]

    use super::*;
    use std::fs;
    use std::path::Path;

    /// Kinds of the warnings in the sources of a folder, and all its text but of this file.
    fn each(folder: &Path, told: &mut Vec<String>, all: &mut String) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                each(&path, told, all);
            } else if path.extension().is_some_and(|e| e == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                if !path.ends_with("base/kinds.rs") {
                    all.push_str(&text);
                }
                for call in text.split(concat!(".warn", "(")).skip(1) {
                    let kind = call.trim_start().strip_prefix('"');
                    let kind = kind.and_then(|rest| rest.split('"').next());
                    told.extend(kind.map(str::to_owned));
                }
            }
        }
    }

    #[test]
    fn every_kind_is_listed_here_and_on_its_page() {
        let (mut told, mut all) = (Vec::new(), String::new());
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        each(&root.join("src"), &mut told, &mut all);
        assert!(told.len() > 50);
        for kind in told {
            assert!(KINDS.contains(&kind.as_str()), "{kind}");
        }
        let page = fs::read_to_string(root.join("src/manual/exit-codes.md")).unwrap();
        for kind in KINDS {
            assert!(page.contains(&format!("`{kind}`")), "{kind}");
            assert!(
                all.contains(&format!("\"{kind}\"")),
                "nothing is warned of as {kind}"
            );
        }
    }
}
