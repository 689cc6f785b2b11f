#![allow(clippy::unwrap_used, reason = "a failing step fails the test")]

use super::super::words::Selection;
use super::*;
use crate::base::error::Kind;

fn try_set(text: &str, case: Case) -> Result<FilterSet> {
    let rules: Vec<Rule> = text
        .split_whitespace()
        .map(|w| Rule::new(w.starts_with('+'), &w[1..]))
        .collect();
    FilterSet::parse(&rules, case)
}

fn set(text: &str) -> FilterSet {
    try_set(text, Case::Sensitive).unwrap()
}

#[test]
fn published_vectors() {
    for (rules, path, included, rule) in [
        ("-*.tmp", "/d/a.tmp", false, Some(0)),
        ("-*.tmp", "/d/a.txt", true, None),
        ("+*.txt", "/d/a.txt", true, Some(0)),
        ("+*.txt", "/d/b.doc", false, None),
        ("+*.txt", "/d/sub/", false, None),
        ("-/d/sub", "/d/sub/", true, None),
        ("-/d/sub", "/d/sub", false, Some(0)),
        ("-/d/sub/", "/d/sub/", false, Some(0)),
        ("-/d/sub/", "/d/sub/x", true, None),
        ("+*/cache/keep -*/cache/*", "/d/cache/", false, Some(1)),
        ("+*/cache/keep -*/cache/*", "/d/cache/keep", true, Some(0)),
        (
            "+*/cache/ +*/cache/keep -*/cache/*",
            "/d/cache/",
            true,
            Some(0),
        ),
        (
            "+*/cache/ +*/cache/keep -*/cache/*",
            "/d/cache/keep",
            true,
            Some(1),
        ),
        (
            "+*/cache/ +*/cache/keep -*/cache/*",
            "/d/cache/x",
            false,
            Some(2),
        ),
        ("-/d?x", "/d/x", false, Some(0)),
        ("-[.*\\.(iso|img)]", "/d/a.ISO", true, None),
        ("-[.*\\.(iso|img)]", "/d/a.iso", false, Some(0)),
        ("-[.*\\.(iso|img)]", "/d/a.iso.x", true, None),
        ("-[a|/d/b]", "/d/bc", true, None),
        ("-[/d.*]", "/d/a\nb", false, Some(0)),
        ("-{Temp}", "/home/u/file~", false, Some(0)),
        ("-{temp;CACHE}", "/home/u/.cache/", false, Some(0)),
        ("-@/d/[x]", "/d/[x]", false, Some(0)),
        ("-@/d/*", "/d/x", true, None),
        ("-/d/a +*", "/d/a", false, Some(0)),
        ("", "/d/a", true, None),
    ] {
        let got = set(rules).decide(path.as_bytes());
        assert_eq!(got, Decision { included, rule }, "{rules} {path:?}");
    }
    let folded = try_set("-[.*\\.iso] -*.TMP", Case::Insensitive).unwrap();
    assert!(!folded.decide(b"/d/a.ISO").included);
    assert!(!folded.decide(b"/d/a.tmp").included);
    assert!(set("-[.*]").decide(b"/d/\xff").included);
    assert!(!set("-*").decide(b"/d/\xff").included);
}

#[test]
fn stored_windows_paths() {
    let rules = set("-c:/Temp/* -[.*/b\\.ISO] -*.bak");
    for (path, included) in [
        ("C:\\temp\\x", false),
        ("C:\\Users\\x", true),
        ("\\\\srv\\share\\B.iso", false),
        ("D:\\x.BAK", false),
        ("/d/x.BAK", true),
    ] {
        assert_eq!(
            rules.decide_stored(path.as_bytes()).included,
            included,
            "{path}"
        );
    }
    assert!(rules.decide(b"D:\\x.BAK").included);
}

/// As in .NET, letters and digits are those of all scripts.
#[test]
fn classes_of_characters_know_other_scripts() {
    for (rule, path, fits) in [
        ("/d/\\w+", "/d/Fotos", true),
        ("/d/\\w+", "/d/Präsentation_2024", true),
        ("/d/\\w+", "/d/Pra\u{308}sentation", true),
        ("/d/\\w+", "/d/фото写真", true),
        ("/d/\\w+", "/d/a–b", false),
        ("/d/\\w+", "/d/a\u{1f600}", false),
        ("/d/\\W", "/d/é", false),
        ("/d/\\W", "/d/–", true),
        ("/d/\\W", "/d/\u{1f600}", true),
        ("/d/[\\w.]+", "/d/é.ö", true),
        ("/d/[^\\w]", "/d/é", false),
        ("/d/[\\W_]", "/d/é", false),
        ("/d/[\\W_]", "/d/–", true),
        ("/d/[\\W_]", "/d/_", true),
        ("/d/[\\W_]", "/d/a", false),
        ("/d/[^\\W]", "/d/é", true),
        ("/d/[\\s\\S]+", "/d/é – \u{1f600}", true),
        ("/d/\\d+", "/d/٣٤5", true),
        ("/d/\\D", "/d/٣", false),
        ("/d/[\\D]", "/d/٣", false),
        ("/d/[\\D]", "/d/x", true),
        ("/d/a\\sb", "/d/a\u{a0}b", true),
        ("/d/a\\Sb", "/d/a\u{3000}b", false),
        ("/d/[\\S]", "/d/\u{3000}", false),
        ("/d/é\\w", "/d/éö", true),
        ("/d/[]é]+", "/d/]é", true),
        ("/d/[^]]", "/d/]", false),
    ] {
        let rules = [Rule::new(false, format!("[{rule}]"))];
        for case in [Case::Sensitive, Case::Insensitive] {
            let set = FilterSet::parse(&rules, case).unwrap();
            assert_eq!(!set.decide(path.as_bytes()).included, fits, "{rule} {path}");
        }
    }
}

#[test]
fn case_is_that_of_all_scripts() {
    for (rule, path, fits) in [
        ("-[.*\\.MÜLL]", "/d/x.müll", true),
        ("-[.*/[äö]+]", "/d/ÄÖ", true),
        ("-[.*/[а-я]+]", "/d/ФОТО", true),
        ("-[.*/[^é]]", "/d/É", false),
        ("-[.*/[é-]+]", "/d/É-", true),
        ("-[.*/straße]", "/d/STRAßE", true),
        ("-[.*/фото]", "/d/Фота", false),
    ] {
        let folded = try_set(rule, Case::Insensitive).unwrap();
        assert_eq!(
            !folded.decide(path.as_bytes()).included,
            fits,
            "{rule} {path}"
        );
        assert!(
            set(rule).decide(path.as_bytes()).included || rule.contains('^'),
            "{rule} {path}"
        );
    }
}

#[test]
fn mistakes_are_named() {
    for rule in [
        "-{Nope}",
        "-{}",
        "-",
        "-@",
        "-[(?=a)]",
        "-[(?<!a)b]",
        "-[(a)\\1]",
        "-[(?>a)]",
        "-[\\p{L}]",
        "-[a(]",
        "-[a)|(b]",
        "-[[a-z-[b]]]",
        "-[\\k<a>]",
        "-[[[:alpha:]]]",
        "-[\\<a\\>]",
        "-[.*\\bcache\\b.*]",
        "-[(?i)é]",
        "-[[]]",
    ] {
        let e = try_set(rule, Case::Sensitive).err().unwrap();
        assert_eq!(e.kind(), Kind::Usage, "{rule}");
        assert!(e.to_string().contains(&rule[1..]), "{e}");
    }
}

#[test]
fn facts_about_a_set() {
    for (rules, only, all) in [
        ("", false, false),
        ("+a", true, false),
        ("+a -b", false, false),
        ("-*", false, true),
        ("-a -[.*] +b", false, true),
        ("+b -*", false, false),
        ("-**", false, true),
    ] {
        let s = set(rules);
        assert_eq!(
            (s.only_includes(), s.excludes_all()),
            (only, all),
            "{rules}"
        );
        assert_eq!(s.is_empty(), rules.is_empty());
    }
    assert_eq!(set("+a -b").rule_text(1), "-b");
    assert_eq!(set("+a").rule_text(9), "");
}

#[test]
fn environment() {
    let env = |name: &str| (name == "HOME").then(|| "/h".to_owned());
    for (text, want) in [
        ("%HOME%/x", "/h/x"),
        ("%NO%/%HOME%", "%NO%//h"),
        ("100%", "100%"),
        ("%%HOME%", "%/h"),
        ("", ""),
    ] {
        assert_eq!(expand_environment(text, &env), want);
    }
}

#[test]
fn selections() {
    for (words, path, want) in [
        ("", "/any", true),
        ("x.txt", "/d/x.txt", true),
        ("x.txt", "/d/ax.txt", false),
        ("@x[1]", "/d/x[1]", true),
        ("@x", "/d/x/", true),
        ("@x", "/x/d", false),
        ("@/d/*", "/d/*", true),
        ("@/d/*", "/d/x", false),
        ("/d/", "/d/a/b", true),
        ("/d/", "/d/", true),
        ("/d/", "/e/a", false),
        ("/d/a", "/d/a", true),
        ("*.txt", "/d/a.txt", true),
        ("[.*\\.t]", "/d/a.t", true),
        ("a b", "/d/b", true),
        ("X.TXT", "C:\\d\\x.txt", true),
        ("c:/d/", "C:\\d\\x.txt", true),
        ("C:\\d\\", "C:\\d\\x.txt", true),
        ("@X.txt", "C:\\d\\x.txt", true),
        ("X.TXT", "/d/x.txt", false),
    ] {
        let list: Vec<String> = words.split_whitespace().map(str::to_owned).collect();
        let got = Selection::parse(&list).unwrap();
        assert_eq!(
            got.matches(path.as_bytes(), Case::Sensitive),
            want,
            "{words} {path}"
        );
    }
    assert!(Selection::parse(&[String::new()]).is_err());
}

#[test]
fn a_rule_may_take_upper_and_lower_case_as_the_same() {
    for (text, path, fits) in [
        ("*.tmp", "/a/B.TMP", true),
        ("*.tmp", "/a/B.tmpx", false),
        ("/A/*", "/a/b", true),
        ("@/A/B", "/a/b", true),
        ("[.*\\.TMP]", "/a/b.tmp", true),
        ("*/CACHE/", "/x/cache/", true),
    ] {
        let rules = |any_case| {
            [Rule {
                any_case,
                ..Rule::new(false, text)
            }]
        };
        let any = FilterSet::parse(&rules(true), Case::Sensitive).unwrap();
        assert_eq!(!any.decide(path.as_bytes()).included, fits, "{text} {path}");
        assert_eq!(
            !any.decide_stored(path.as_bytes()).included,
            fits,
            "{text} {path}"
        );
        let exact = FilterSet::parse(&rules(false), Case::Sensitive).unwrap();
        assert!(exact.decide(path.as_bytes()).included, "{text} {path}");
    }
}
