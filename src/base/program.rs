//! Programs of this machine that a destination starts: where they are, their command lines, and what of the environment they
//! do not get.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::base::error::{Error, Result};

/// Where programs are when the environment does not say.
const PATHS: &str = "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin:/opt/bin";

/// A program by its name, in the folders of `PATH`.
pub(crate) fn find(name: &str) -> Option<PathBuf> {
    let paths = std::env::var("PATH").unwrap_or_default();
    look(if paths.is_empty() { PATHS } else { &paths }, name)
}

fn look(paths: &str, name: &str) -> Option<PathBuf> {
    let is_program = |path: &PathBuf| {
        std::fs::metadata(path).is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o111 != 0)
    };
    let folders = paths.split(':').filter(|f| !f.is_empty());
    folders.map(|f| Path::new(f).join(name)).find(is_program)
}

/// True for variables of the environment that hold what no other program is to know.
pub(crate) fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_uppercase();
    let words = [
        "PASSPHRASE",
        "PASSWORD",
        "SECRET",
        "TOKEN",
        "APPLICATION_KEY",
        "STORAGE_KEY",
    ];
    name == "DUPLET_URL" || words.iter().any(|word| name.contains(word))
}

/// The command line in the option `name` taken apart at its spaces; quotes of either kind hold together what stands in them.
/// `escapes`: a backslash makes the character after it one like any other, but not between single quotes.
pub(crate) fn words(name: &str, text: &str, escapes: bool) -> Result<Vec<String>> {
    let (mut found, mut word, mut quote) = (Vec::new(), None::<String>, None);
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        match (c, quote) {
            ('\0', _) => {
                return Err(Error::usage(format!("--{name} has a NUL character")));
            }
            (c, Some(q)) if c == q => quote = None,
            ('"' | '\'', None) => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            ('\\', q) if escapes && q != Some('\'') => {
                word.get_or_insert_default().extend(rest.next());
            }
            (c, None) if c.is_whitespace() => found.extend(word.take()),
            (c, _) => word.get_or_insert_default().push(c),
        }
    }
    if quote.is_some() {
        return Err(Error::usage(format!(
            "--{name} has a quote without its end"
        )));
    }
    found.extend(word);
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_found_in_the_folders_of_the_path() {
        assert!(look("/nonexistent::/bin:/usr/bin", "sh").is_some());
        assert!(look("/nonexistent:/proc/self", "sh").is_none());
        // A folder is none.
        assert!(look("/", "usr").is_none());
    }

    #[test]
    fn command_lines_are_taken_apart() {
        let of = |text: &str| words("x", text, false).expect("good");
        assert_eq!(of("  a  b\tc "), ["a", "b", "c"]);
        assert_eq!(
            of("a 'b c' \"d 'e\" f\"g h\"i ''"),
            ["a", "b c", "d 'e", "fg hi", ""]
        );
        assert_eq!(of(" "), Vec::<String>::new());
        assert_eq!(of(r"a\ b"), [r"a\", "b"]);
        let escaped = words("x", r#"a\ b "c\"d" 'e\f' \\"#, true).expect("good");
        assert_eq!(escaped, ["a b", "c\"d", r"e\f", r"\"]);
        assert!(words("x", "a 'b", true).is_err() && words("x", "a\0b", true).is_err());
    }
}
