//! README says what the program says: the options are there word for word, and every command and exit code by name.

use std::process::Command;

fn help(topic: &str) -> String {
    let out = Command::new(env!("CARGO_BIN_EXE_duplet"))
        .args(["help", topic])
        .output()
        .expect("the program runs");
    String::from_utf8(out.stdout).expect("help is text")
}

fn readme() -> String {
    std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).expect("README.md")
}

#[test]
fn every_option_stands_in_readme_as_in_the_help() {
    let readme = readme();
    for topic in ["options", "url"] {
        let text = help(topic);
        assert!(text.lines().count() > 20);
        assert!(
            readme.contains(text.trim_end()),
            "README is not up to date: run make readme"
        );
    }
}

#[test]
fn every_crate_stands_in_readme_with_its_reason() {
    let readme = readme();
    let manifest = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"))
        .expect("Cargo.toml");
    let section = manifest
        .split("[dependencies]")
        .nth(1)
        .and_then(|s| s.split("\n[").next())
        .expect("a section");
    let mut seen = 0;
    for line in section
        .lines()
        .filter(|l| l.contains('=') && !l.starts_with('#'))
    {
        let name = line.split('=').next().unwrap_or_default().trim();
        assert!(
            readme.contains(&format!("| `{name}` |")),
            "{name} is not in the table of dependencies"
        );
        seen += 1;
    }
    assert!(seen > 5);
}
