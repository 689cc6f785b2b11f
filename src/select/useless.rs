//! Rules that can fit nothing, and what was probably meant: a rule is compared with whole paths, and a folder's ends in `/`.

use super::filter::{FilterSet, Parsed};
use super::pattern::{Pattern, is_windows};
use crate::base::text::safe_cut;

/// Longest rule shown, in characters.
const SHOWN: usize = 80;

impl FilterSet {
    /// One line for each rule that can fit no whole path. `stored`: the paths come from a backup, perhaps of Windows.
    pub(crate) fn hopeless(&self, stored: bool) -> Vec<String> {
        let rules = self.rules.iter().filter(|r| is_hopeless(r, stored));
        rules
            .map(|r| {
                format!(
                    "{} fits no path, for rules are compared with whole paths: {}",
                    shown(r),
                    instead(r)
                )
            })
            .collect()
    }

    /// One line for each rule that left nothing out, but names a folder that was looked at.
    pub(crate) fn without_slash(&self) -> Vec<String> {
        let rules = self.rules.iter();
        let rules = rules.filter(|r| r.lacks_slash.get() && !r.used.get() && !r.include);
        rules
            .map(|r| {
                format!(
                    "{} names a folder and leaves nothing out, for the path of a folder ends in /: write {}={}",
                    shown(r),
                    option(r),
                    with_slash(r)
                )
            })
            .collect()
    }

    /// The rule that would leave out exactly this folder.
    pub(crate) fn naming(&self, folder: &[u8]) -> Option<String> {
        let bare = folder.strip_suffix(b"/").filter(|b| !b.is_empty());
        let found = self.rules.iter().find(|r| match &r.pattern {
            Pattern::Literal(text) => !r.include && (text == folder || Some(&text[..]) == bare),
            _ => false,
        });
        found.map(shown)
    }

    /// One line for each include that takes a folder, but no file in it.
    pub(crate) fn folders_only(&self) -> Vec<String> {
        let rules = self.rules.iter().filter(|r| {
            r.include
                && match &r.pattern {
                    Pattern::Literal(text) | Pattern::Glob(text) => text.ends_with(b"/"),
                    _ => false,
                }
        });
        rules
            .map(|r| {
                format!(
                    "{} takes the folder alone: write --include={}* for what is in it",
                    shown(r),
                    safe_cut(r.text.as_bytes(), SHOWN)
                )
            })
            .collect()
    }
}

fn is_hopeless(rule: &Parsed, stored: bool) -> bool {
    let windows = |text: &[u8]| {
        stored
            && (is_windows(text)
                || text.first().is_some_and(u8::is_ascii_alphabetic) && text.get(1) == Some(&b':'))
    };
    match &rule.pattern {
        Pattern::Literal(text) => !text.starts_with(b"/") && !windows(text),
        Pattern::Glob(text) => {
            !text.starts_with(b"/")
                && !text.starts_with(b"*")
                && !text.starts_with(b"?")
                && !windows(text)
        }
        Pattern::Regex { .. } => !stored && regex_is_hopeless(&rule.text),
        Pattern::Last(_) | Pattern::Group(_) => false,
    }
}

/// True for a regular expression that begins with a letter, a digit or an escaped sign other than `/`, without alternatives.
fn regex_is_hopeless(text: &str) -> bool {
    let inner = text
        .strip_prefix('[')
        .unwrap_or(text)
        .trim_start_matches('^');
    if inner.contains('|') {
        return false;
    }
    let mut signs = inner.chars();
    let literal = match signs.next() {
        Some('\\') => signs
            .next()
            .is_some_and(|c| matches!(c, '.' | '-' | '_' | '~')),
        Some(c) => c.is_alphanumeric() || matches!(c, '_' | '-' | '~'),
        None => false,
    };
    // `x*` and `x?` may be nothing at all.
    literal && !signs.next().is_some_and(|c| matches!(c, '*' | '?' | '{'))
}

fn option(rule: &Parsed) -> &'static str {
    match (rule.include, rule.any_case) {
        (true, _) => "--include",
        (_, true) => "--iexclude",
        _ => "--exclude",
    }
}

fn shown(rule: &Parsed) -> String {
    format!("{}={}", option(rule), safe_cut(rule.text.as_bytes(), SHOWN))
}

fn with_slash(rule: &Parsed) -> String {
    let shown = safe_cut(rule.text.as_bytes(), SHOWN);
    match shown.strip_suffix(']') {
        Some(inner) if matches!(rule.pattern, Pattern::Regex { .. }) => format!("{inner}/]"),
        _ => format!("{shown}/"),
    }
}

/// The rule as it was probably meant.
fn instead(rule: &Parsed) -> String {
    let name = option(rule);
    let text = safe_cut(rule.text.as_bytes(), SHOWN);
    if let Pattern::Regex { .. } = rule.pattern {
        let inner = text
            .strip_prefix('[')
            .unwrap_or(&text)
            .trim_start_matches('^');
        let body = inner.strip_suffix(']').unwrap_or(inner);
        if body.contains('/') {
            return format!("write {name}=[.*/{inner}");
        }
        let body = body.trim_end_matches('$');
        // `\\.jpg` is the end of names more often than a whole one.
        let files = match body.starts_with("\\.") {
            true => format!("{name}=[.*{body}] for files whose names end so"),
            false => format!("{name}=[.*/{body}] for files of that name"),
        };
        return format!("write {name}=[.*/{body}/.*] for folders, {files}");
    }
    let bare = text.trim_start_matches('@');
    if bare.starts_with('~') {
        return format!("write {name}= with the home folder in full");
    }
    let bare = bare.strip_prefix("./").unwrap_or(bare);
    if bare.ends_with('/') || bare.contains('/') || bare.contains(['*', '?']) {
        return format!("write {name}=*/{bare}");
    }
    format!("write {name}=*/{bare}/ for folders, {name}=*/{bare} for files of that name")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failing step fails the test")]

    use super::*;
    use crate::select::{Case, Rule};

    fn set(rules: &[&str]) -> FilterSet {
        let parse = |text: &&str| Rule::new(text.starts_with('+'), &text[1..]);
        let rules: Vec<Rule> = rules.iter().map(parse).collect();
        FilterSet::parse(&rules, Case::Sensitive).unwrap()
    }

    #[test]
    fn rules_that_fit_no_whole_path_are_told_with_what_was_meant() {
        for (rule, meant) in [
            (
                "-.git",
                "write --exclude=*/.git/ for folders, --exclude=*/.git for files",
            ),
            (
                "-node_modules",
                "write --exclude=*/node_modules/ for folders",
            ),
            ("-cache/", "write --exclude=*/cache/"),
            ("-./cache/", "write --exclude=*/cache/"),
            ("-photos/*.jpg", "write --exclude=*/photos/*.jpg"),
            ("-photos/2019", "write --exclude=*/photos/2019"),
            ("-IMG*.jpg", "write --exclude=*/IMG*.jpg"),
            ("-@name", "write --exclude=*/name/ for folders"),
            ("-~/tmp/", "home folder"),
            ("-~/tmp/*", "home folder"),
            ("+docs/", "write --include=*/docs/"),
            ("+notes.txt", "write --include=*/notes.txt/ for folders"),
            ("-[photos/.*]", "write --exclude=[.*/photos/.*]"),
            ("-[^\\.cache/.*]", "write --exclude=[.*/\\.cache/.*]"),
            ("-data\\tmp", "--exclude="),
            (
                "-[\\.jpg]",
                "--exclude=[.*\\.jpg] for files whose names end so",
            ),
            ("-[\\.jpg$]", "--exclude=[.*\\.jpg] for files"),
            ("-[\\.git]", "write --exclude=[.*/\\.git/.*] for folders"),
            ("-[photos]", "--exclude=[.*/photos] for files of that name"),
            ("+[^IMG_\\d+]", "--include=[.*/IMG_\\d+/.*] for folders"),
        ] {
            let lines = set(&[rule]).hopeless(false);
            assert!(
                lines.len() == 1 && lines[0].contains(meant),
                "{rule}: {lines:?}"
            );
        }
    }

    #[test]
    fn rules_that_may_fit_are_left_alone() {
        for rule in [
            "-*.tmp",
            "-/data/tmp/",
            "-?data",
            "-*/.git/",
            "-{Temp}",
            "-{CacheFiles,Apps}",
            "-@/d/[x]",
            "-[.*x]",
            "-[/d/.*]",
            "-[a|/b]",
            "-[a?/b]",
            "-[(x)]",
            "-[[a-z/]+]",
            "-[\\/x]",
            "-[\\w*]",
            "+*",
            "-*",
        ] {
            assert!(set(&[rule]).hopeless(false).is_empty(), "{rule}");
        }
        for rule in ["-C:\\tmp\\*", "-C:\\x", "-\\\\server\\x", "-c*", "-[c.*]"] {
            let windows = rule != "-c*";
            assert_eq!(set(&[rule]).hopeless(true).is_empty(), windows, "{rule}");
        }
    }

    #[test]
    fn a_folder_without_its_slash_is_told_when_the_rule_did_nothing() {
        for (rule, paths, told) in [
            (
                "-/d/private",
                &["/d/private/", "/d/private/x"][..],
                Some("--exclude=/d/private/"),
            ),
            ("-*/private", &["/d/private/"], Some("--exclude=*/private/")),
            ("-@/d/[x]", &["/d/[x]/"], Some("--exclude=@/d/[x]/")),
            (
                "-[.*/priv.te]",
                &["/d/private/"],
                Some("--exclude=[.*/priv.te/]"),
            ),
            (
                "-/d/p?ivate",
                &["/d/private/"],
                Some("--exclude=/d/p?ivate/"),
            ),
            // A file of that name was left out.
            ("-*/core", &["/d/core/", "/e/core"], None),
            ("-*/private/", &["/d/private/"], None),
            ("-*private*", &["/d/private/"], None),
            ("-/d/other", &["/d/private/"], None),
            ("+/d/private", &["/d/private/"], None),
        ] {
            let set = set(&[rule]);
            for path in paths {
                set.decide(path.as_bytes());
            }
            let lines = set.without_slash();
            match told {
                Some(told) => assert!(
                    lines.len() == 1 && lines[0].ends_with(told),
                    "{rule}: {lines:?}"
                ),
                None => assert!(lines.is_empty(), "{rule}: {lines:?}"),
            }
        }
        let both = set(&["-/d/private/", "-/d/private"]);
        both.decide(b"/d/private/");
        assert!(both.without_slash().is_empty());
    }

    #[test]
    fn sources_and_folders_without_files_are_named() {
        let rules = set(&["-/d/", "-/e", "+/f/", "-*/g/"]);
        assert_eq!(rules.naming(b"/d/").as_deref(), Some("--exclude=/d/"));
        assert_eq!(rules.naming(b"/e/").as_deref(), Some("--exclude=/e"));
        assert_eq!(rules.naming(b"/f/"), None);
        assert_eq!(rules.naming(b"/g/"), None);
        assert_eq!(rules.folders_only().len(), 1);
        assert!(rules.folders_only()[0].contains("--include=/f/* for what is in it"));
    }
}
