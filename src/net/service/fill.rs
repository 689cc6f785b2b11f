//! What of a server's words goes into texts of ours.

use crate::base::text;

/// A text with what stands in braces replaced by what it names.
pub(super) fn fill(text: &str, names: &[(&str, &str)]) -> String {
    let mut out = text.to_owned();
    for (name, value) in names {
        let mark = format!("{{{name}}}");
        if out.contains(&mark) {
            out = out.replace(&mark, &text::safe_cut(value.as_bytes(), 120));
        }
    }
    out
}

/// A code that may go into a message, a header or a host name.
pub(crate) fn plain_word(text: &str) -> String {
    let good = |&c: &char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_' | ':');
    text.trim().chars().filter(good).take(120).collect()
}
