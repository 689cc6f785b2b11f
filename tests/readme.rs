//! README and manual say what the program does: every command line in them is run or at least understood, what is shown is what is
//! printed, every link leads somewhere, and nothing that a reader looks for is missing.

#![allow(
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "a test may fail where it stands and says what it wrote"
)]

mod manual;
mod support;

use std::collections::BTreeSet;
use std::fs;

use manual::{Block, Page, World, pages, root};
use support::Scratch;

/// Bytes that README may take.
const README_MAX: usize = 12 * 1024;

fn page(path: &str) -> Page {
    let found = pages().into_iter().find(|p| p.path == path);
    found.unwrap_or_else(|| panic!("{path} is not there"))
}

#[test]
fn readme_is_short() {
    let size = page("README.md").text.len();
    assert!(
        size <= README_MAX,
        "README.md has {size} bytes, {README_MAX} are allowed"
    );
}

#[test]
fn every_link_leads_somewhere() {
    let pages = pages();
    let mut seen = 0;
    for page in &pages {
        let folder = root().join(&page.path);
        let folder = folder.parent().unwrap();
        for link in page.links().iter().filter(|l| !l.contains("://")) {
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            let path = match file {
                "" => root().join(&page.path),
                _ => folder.join(file),
            };
            assert!(path.is_file(), "{}: {link} is not there", page.path);
            let target = fs::canonicalize(&path).unwrap();
            let target = pages.iter().find(|p| target.ends_with(&p.path)).unwrap();
            let good = anchor.is_empty() || target.anchors().iter().any(|a| a == anchor);
            assert!(good, "{}: {link} names no heading", page.path);
            seen += 1;
        }
    }
    assert!(seen > 40, "the links were not found");
}

#[test]
fn readme_links_every_page() {
    let links = page("README.md").links();
    for page in pages().iter().skip(1) {
        assert!(
            links.iter().any(|l| l.starts_with(&page.path)),
            "{}",
            page.path
        );
    }
}

#[test]
fn every_page_opens_and_fits_the_terminal() {
    let scratch = Scratch::new("topics");
    let topics = scratch.run(&["help", "topics"]).code(&[0]).out;
    for page in pages().iter().skip(1) {
        let name = page
            .path
            .trim_start_matches("src/manual/")
            .trim_end_matches(".md");
        let ran = scratch.run(&["help", name]).code(&[0]);
        assert!(ran.out.lines().count() > 5, "{name}");
        for line in ran.out.lines() {
            assert!(line.chars().count() < 80, "{name} is too wide: {line}");
            assert!(
                !line.contains("**") && !line.contains("](") && !line.contains("```"),
                "{name}: {line}"
            );
        }
        let listed = topics
            .lines()
            .any(|l| l.split_whitespace().next() == Some(name));
        assert!(listed, "{name} is not in the list of topics");
    }
}

#[test]
fn the_list_of_options_is_up_to_date() {
    let scratch = Scratch::new("options");
    let all = scratch.run(&["help", "options"]).code(&[0]).out;
    assert!(all.lines().count() > 100);
    let kept = page("src/manual/options.md").text;
    assert!(kept.contains(all.trim_end()), "run make manual");
}

/// The table is that of the registry, with a line for every type there is.
#[test]
fn the_list_of_destination_types_is_up_to_date() {
    let scratch = Scratch::new("destinations");
    let all = scratch.run(&["help", "destinations"]).code(&[0]).out;
    let named = |line: &&str| line.starts_with("  ") && !line.starts_with("   ");
    assert!(all.lines().filter(named).count() > 35, "{all}");
    let kept = page("src/manual/destinations.md").text;
    assert!(kept.contains(all.trim_end()), "run make manual");
}

#[test]
fn every_command_and_exit_code_is_in_the_manual() {
    let scratch = Scratch::new("commands");
    let screen = scratch.run(&["help"]).code(&[0]).out;
    let commands = screen.lines().take_while(|l| !l.starts_with("Most used"));
    let mut names: Vec<&str> = Vec::new();
    let mut also = false;
    for line in commands.filter_map(|l| l.strip_prefix("  ")) {
        let mut words = line.split_whitespace();
        // What is named there may go on in the next line.
        also |= line.starts_with("also ");
        if also && !line.starts_with("also ") {
            names.extend(words);
            continue;
        }
        match words.next() {
            Some("also") => names.extend(words),
            name => names.extend(name),
        }
    }
    assert!(names.contains(&"verify") && names.contains(&"search-entries"));
    assert!(!names.contains(&"vacuum"));
    let spans: Vec<String> = pages().iter().flat_map(Page::spans).collect();
    for name in names {
        let named = spans
            .iter()
            .any(|s| s == name || s.starts_with(&format!("duplet {name}")));
        assert!(named, "{name} is not in the manual");
    }
    let codes = page("src/manual/exit-codes.md").text;
    for code in [0, 1, 2, 3, 50, 100, 200] {
        assert!(codes.contains(&format!("\n| {code} |")), "{code}");
    }
    // Some mistakes are seen after a listing only.
    let mistake = codes.lines().find(|l| l.starts_with("| 200 |")).unwrap();
    assert!(mistake.ends_with("; nothing was changed |"), "{mistake}");
}

#[test]
fn every_crate_stands_in_readme_with_its_reason() {
    let readme = page("README.md").text;
    let manifest = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let section = manifest.split("[dependencies]").nth(1);
    let section = section.and_then(|s| s.split("\n[").next()).unwrap();
    let mut seen = 0;
    for line in section
        .lines()
        .filter(|l| l.contains('=') && !l.starts_with('#') && !l.contains("path ="))
    {
        let name = line.split(['=', '.']).next().unwrap_or_default().trim();
        let row = readme
            .lines()
            .find_map(|l| l.strip_prefix(&format!("| `{name}` | ")));
        let reason = row.map(|r| r.split('|').next().unwrap_or_default().trim());
        assert!(
            reason.is_some_and(|r| r.len() > 5),
            "{name} is not in the table of dependencies"
        );
        seen += 1;
    }
    assert!(seen > 5);
}

/// Fails unless every call since the last time ended well: here, or at the closed door.
fn calls_went_well(world: &World, place: &str, said: &str) -> usize {
    let calls = world.calls();
    for (code, remote, line) in &calls {
        let good = if *remote {
            *code == 100
        } else {
            [0, 1].contains(code)
        };
        assert!(good, "{place}: duplet {line} ended with {code}\n{said}");
    }
    calls.len()
}

fn said(output: &std::process::Output) -> String {
    let both = [&output.stdout[..], &output.stderr[..]].concat();
    String::from_utf8(both).unwrap()
}

#[test]
fn commands_of_all_pages_run() {
    let mut run = 0;
    for page in pages() {
        let blocks = page.blocks();
        if blocks.iter().all(|b| b.kind == "console") {
            continue;
        }
        let world = World::new().backed_up();
        for block in &blocks {
            world.install(block);
            let place = format!("{}:\n{}\n", page.path, block.text);
            match block.kind.as_str() {
                "sh" => {
                    let output = world.shell(&block.text);
                    let calls = calls_went_well(&world, &place, &said(&output));
                    assert!(calls > 0, "{place}nothing was called");
                    assert!(
                        output.status.success() || output.status.code() == Some(1),
                        "{place}"
                    );
                    run += calls;
                }
                "crontab" => {
                    for line in block.text.lines() {
                        let command = line.splitn(6, ' ').nth(5).unwrap();
                        assert!(command.starts_with('/'), "{line}: cron needs the full path");
                        let output = world.cron(command);
                        run += calls_went_well(&world, line, &said(&output));
                    }
                }
                "ini" => {
                    for line in block.text.lines() {
                        if let Some(command) = line.strip_prefix("ExecStart=")
                            && command.contains("/duplet ")
                        {
                            let output = world.cron(command);
                            run += calls_went_well(&world, line, &said(&output));
                        }
                    }
                }
                "text" | "console" => {}
                kind => panic!(
                    "{}: a block of kind {kind}: sh, console, crontab, ini or text",
                    page.path
                ),
            }
        }
    }
    assert!(run > 40, "only {run} calls were found");
}

/// A shell may put names in place of these, or end the command there.
#[test]
fn patterns_and_urls_stand_in_quotes() {
    let mut seen = 0;
    for page in pages() {
        let blocks = page.blocks();
        let blocks = blocks
            .iter()
            .filter(|b| b.kind == "sh" || b.kind == "console");
        for line in blocks.flat_map(|b| b.text.lines()) {
            let line = line.split(" #").next().unwrap_or_default();
            let outside = line.split(['\'', '"']).step_by(2).collect::<String>();
            if outside.contains("duplet ") {
                assert!(
                    !outside.contains(['*', '?', '&']) || outside.contains("$?"),
                    "{line}"
                );
                seen += 1;
            }
        }
    }
    assert!(seen > 30);
}

/// The commands of a block as at a terminal, each with what the block shows below it.
fn session(block: &Block) -> Vec<(String, String)> {
    let mut found: Vec<(String, String)> = Vec::new();
    for line in block.text.lines() {
        match (line.strip_prefix("$ "), found.last_mut()) {
            (Some(command), _) => found.push((command.to_owned(), String::new())),
            (None, Some((_, shown))) => shown.push_str(&format!("{line}\n")),
            (None, None) => panic!("a session begins with a command: {line}"),
        }
    }
    found
}

/// Without what differs from run to run: numbers and how wide they are.
fn without_numbers(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '0'..='9' if out.ends_with('0') => {}
            '0'..='9' => out.push('0'),
            ' ' if out.ends_with(' ') => {}
            _ => out.push(c),
        }
    }
    out
}

/// With `MANUAL_WRITE=1` the sessions are written anew instead (`make manual`).
#[test]
fn sessions_show_what_is_printed() {
    let write = std::env::var_os("MANUAL_WRITE").is_some();
    let mut seen = 0;
    for page in pages() {
        let mut text = page.text.clone();
        for block in page.blocks().iter().filter(|b| b.kind == "console") {
            let world = World::new();
            // Files that changed just before a backup are read once more by the next; Alice's are older.
            std::thread::sleep(std::time::Duration::from_secs(4));
            let session = session(block);
            let mark = "@@@";
            let script: Vec<String> = session
                .iter()
                .map(|(command, _)| format!("{{ {command}\n}} 2>&1; echo {mark}"))
                .collect();
            let output = world.shell(&script.join("\n"));
            calls_went_well(&world, &page.path, &said(&output));
            let out = world.there(std::str::from_utf8(&output.stdout).unwrap());
            let printed: Vec<&str> = out.split(&format!("{mark}\n")).collect();
            assert_eq!(printed.len(), session.len() + 1, "{out}");
            let mut anew = String::new();
            for ((command, shown), printed) in session.iter().zip(printed) {
                let same = without_numbers(shown) == without_numbers(printed);
                let kept = if same { shown.as_str() } else { printed };
                anew.push_str(&format!("$ {command}\n{kept}"));
                if !write {
                    assert_eq!(
                        without_numbers(shown),
                        without_numbers(printed),
                        "{}: $ {command} (make manual writes it anew)",
                        page.path
                    );
                }
            }
            text = text.replace(&block.text, anew.trim_end());
            seen += 1;
        }
        if write && text != page.text {
            eprintln!("writing {}", page.path);
            fs::write(root().join(&page.path), text).unwrap();
        }
    }
    assert!(seen > 0);
}

#[test]
fn commands_in_running_text_are_understood() {
    let world = World::new().backed_up();
    let mut seen = 0;
    for page in pages() {
        let lines = page.blocks().into_iter().filter(|b| b.kind == "text");
        let lines = lines.flat_map(|b| {
            let whole = b.text.replace("\\\n", " ");
            whole.lines().map(str::to_owned).collect::<Vec<_>>()
        });
        let all = page.spans().into_iter().chain(lines);
        for line in all.filter(|l| l.starts_with("duplet ") && !l.contains("...")) {
            // A log-in asks somebody who is not here: that is refused for a script, after its words were understood.
            if line.starts_with("duplet remote login ") {
                let output = world.shell(&format!("{line} --json"));
                let calls = world.calls();
                let told = said(&output).contains("made with a person");
                assert!(calls.len() == 1 && told, "{}: {line}", page.path);
                seen += 1;
                continue;
            }
            let output = world.shell(&line);
            let calls = world.calls();
            assert_eq!(calls.len(), 1, "{}: {line}", page.path);
            assert!(
                [0, 1, 2, 3, 100].contains(&calls[0].0),
                "{}: {line}: {}",
                page.path,
                said(&output)
            );
            seen += 1;
        }
    }
    assert!(seen >= 10, "only {seen} commands were found");
}

#[test]
fn urls_in_running_text_are_understood() {
    let scratch = Scratch::new("urls");
    let schemes = [
        "file", "s3", "e2", "webdav", "webdavs", "b2", "ipfs", "ssh", "sftp", "ftp", "ftps", "aftp",
    ];
    let env = [
        ("ALL_PROXY", "http://127.0.0.1:1"),
        ("NO_PROXY", ""),
        ("AUTH_USERNAME", "KEYID"),
        ("AUTH_PASSWORD", "SECRETKEY"),
    ];
    let mut seen = 0;
    for page in pages() {
        for span in page.spans() {
            let url = span.split(' ').next().unwrap_or_default();
            let scheme = url.split_once("://").map(|(s, rest)| (s, rest.len()));
            let known = scheme.is_some_and(|(s, len)| schemes.contains(&s) && len > 3);
            if !known || url.contains("...") || url.contains("CID") {
                continue;
            }
            scratch
                .run_env(&["remote", "list", url, "--number-of-retries=0"], &env)
                .code(&[100]);
            seen += 1;
        }
    }
    assert!(seen > 25, "only {seen} were found");
}

#[test]
fn options_in_running_text_exist() {
    let scratch = Scratch::new("named");
    let mut names = BTreeSet::new();
    for page in pages() {
        for span in page.spans() {
            let words = span
                .split(' ')
                .filter(|w| w.starts_with("--") && w.len() > 2);
            // Only what is said of duplet: other programs' options stand after their names.
            if span.starts_with("--") || span.starts_with("duplet ") {
                names.extend(words.map(|w| w.split('=').next().unwrap().to_owned()));
            }
        }
    }
    assert!(names.len() > 50, "{names:?}");
    // A word that stands for all, and those of a parameters file alone.
    let others = [
        "--name",
        "--source",
        "--target",
        "--append-filter",
        "--prepend-filter",
        "--replace-filter",
    ];
    for name in names.iter().filter(|n| !others.contains(&n.as_str())) {
        scratch
            .run(&["help", name.trim_start_matches('-')])
            .code(&[0]);
    }
}

#[test]
fn every_call_of_make_has_its_rule() {
    let makefile = fs::read_to_string(root().join("Makefile")).unwrap();
    let mut seen = 0;
    for page in pages() {
        let blocks: Vec<String> = page.blocks().into_iter().map(|b| b.text).collect();
        let lines = blocks.iter().flat_map(|b| b.lines().map(str::to_owned));
        for line in page.spans().into_iter().chain(lines) {
            let begins = line.starts_with("make ") || line.contains("sudo make ");
            for call in line.split("make ").skip(1).filter(|_| begins) {
                let word = call.split(' ').find(|w| !w.contains('='));
                let target = word.filter(|w| w.starts_with(|c: char| c.is_ascii_lowercase()));
                if let Some(target) = target {
                    let rule = makefile.contains(&format!("\n{target}:"));
                    assert!(rule, "{}: {line}: no rule for {target}", page.path);
                    seen += 1;
                }
            }
        }
    }
    assert!(seen > 15);
}

/// `make && sudo make install`: root need not have a compiler.
#[test]
fn what_is_built_is_installed_without_a_compiler() {
    let scratch = Scratch::new("install");
    let program = format!("PROGRAM={}", env!("CARGO_BIN_EXE_duplet"));
    let target = format!("DESTDIR={}", support::text(&scratch.at("root")));
    let folder = support::text(root());
    let args = [
        "-C",
        folder,
        "install",
        "CARGO=/no/cargo/here",
        &program,
        &target,
    ];
    let ran = support::finish(scratch.other(&["make"], &args), &args);
    assert_eq!(ran.code, 0, "{}", ran.all());
    for file in [
        "bin/duplet",
        "share/man/man1/duplet.1",
        "share/bash-completion/completions/duplet",
        "share/zsh/site-functions/_duplet",
        "share/fish/vendor_completions.d/duplet.fish",
        "lib/systemd/system/duplet.service",
        "lib/systemd/system/duplet.timer",
        "lib/systemd/system/duplet-failed.service",
    ] {
        let path = scratch.at("root/usr/local").join(file);
        assert!(fs::metadata(&path).is_ok_and(|m| m.len() > 0), "{file}");
    }
}
