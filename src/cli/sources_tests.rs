#![allow(clippy::unwrap_used, reason = "a failing step fails the test")]

use super::*;
use crate::cli::Section;
use std::ffi::OsString;
use std::io::Write;
use std::os::fd::AsRawFd;

use crate::base::tmp::Tmp;
use crate::cli::options::{BLOCKSIZE, DBLOCK_SIZE, JSON, PASSPHRASE};

static BACKUP: Command = Command {
    name: "backup",
    ..ROW
};
static LIST: Command = Command {
    name: "list",
    ..ROW
};
const ROW: Command = Command {
    name: "",
    aliases: &[],
    section: Section::Everyday,
    summary: "",
    usage: "",
    details: "",
    needs_url: true,
    words: (0, 9),
    writes: false,
    run: |_, _| Ok(crate::cli::Outcome::Done),
};

/// Merges a line; `file` is the content of a parameters file.
fn merged(
    command: &'static Command,
    words: &[&str],
    file: Option<&str>,
) -> Result<(Call, Vec<(Level, String)>)> {
    let mut args: Vec<OsString> = words.iter().map(OsString::from).collect();
    let held = Tmp::open(None)?.file()?;
    if let Some(text) = file {
        (&held).write_all(text.as_bytes()).unwrap();
        let path = format!("/proc/{}/fd/{}", std::process::id(), held.as_raw_fd());
        args.push(format!("--parameters-file={path}").into());
    }
    let mut line = parse::read(&args)?;
    line.command = command.name.to_owned();
    merge(command, line)
}

fn rules_of(call: &Call) -> String {
    let sign = |r: &Rule| if r.include { '+' } else { '-' };
    let all: Vec<String> = call
        .rules
        .iter()
        .map(|r| format!("{}{}", sign(r), r.text))
        .collect();
    all.join(" ")
}

#[test]
fn the_url_beats_the_file_and_the_file_the_line() {
    let line = [
        "s3://b/p?dblock-size=20mb&use-ssl=true",
        "--dblock-size=10mb",
        "--blocksize=1",
    ];
    let (call, _) = merged(&BACKUP, &line, Some("--dblock-size=15mb\n--blocksize=2\n")).unwrap();
    assert_eq!(call.options.size(&DBLOCK_SIZE), Some(20 << 20));
    assert_eq!(call.options.size(&BLOCKSIZE), Some(2048));
    assert_eq!(call.url, "s3://b/p?use-ssl=true");
    let (call, notes) = merged(&BACKUP, &["s3://b/p?passphrase=a%20b"], None).unwrap();
    assert_eq!(call.options.given(PASSPHRASE.name), Some("a b"));
    assert_eq!((call.url.as_str(), notes.len()), ("s3://b/p", 1));
    let (call, _) = merged(&BACKUP, &["/local?dblock-size=x"], None).unwrap();
    assert_eq!(call.url, "/local?dblock-size=x");
}

#[test]
fn a_parameters_file_holds_options_sources_target_and_filters() {
    let text = "\u{feff}# note\r\n! note\r\nREM note\r\n\r\n  --JSON  \r\n--target=/new\n--source=/a\n--source=\"/b c\"\n\
                --append-filter=-*.z:+@/y\n--prepend-filter=+/first\n";
    let (call, _) = merged(&BACKUP, &["/old", "/src", "--exclude=*.tmp"], Some(text)).unwrap();
    assert_eq!(
        (call.url.as_str(), call.words.join(" ")),
        ("/new", "/src /a /b c".to_owned())
    );
    assert!(call.options.flag(&JSON));
    assert_eq!(rules_of(&call), "+/first -*.tmp -*.z +@/y");
    let (call, _) = merged(&LIST, &[], Some(text)).unwrap();
    assert_eq!((call.url.as_str(), call.words.len()), ("/new", 0));
    let (call, _) = merged(
        &BACKUP,
        &["/u", "--exclude=a"],
        Some("--replace-filter=-b\n"),
    )
    .unwrap();
    assert_eq!(rules_of(&call), "-b");
    let (call, _) = merged(
        &BACKUP,
        &["/u"],
        Some("--exclude=a\n--include=b\n--append-filter=-c\n"),
    )
    .unwrap();
    assert_eq!(rules_of(&call), "-a +b -c");
}

#[test]
fn mistakes_in_a_parameters_file_are_named_without_its_text() {
    for (text, want) in [
        ("secret words\n", "line 1 is not of the form --name=value"),
        (
            "--exclude=a\n",
            "filters are given on the command line and in the parameters file",
        ),
        ("--parameters-file=x\n", "it names another parameters file"),
        ("--nonsense=hunter2\n", "unknown option --nonsense"),
        (
            "--blocksize=1kb\n--passphrase=%DUPLET_NOT_SET%\n",
            "line 2: %DUPLET_NOT_SET% is a variable of the environment that is not set",
        ),
        ("--target=%DUPLET_NOT_SET%/hunter2\n", "that is not set"),
        ("--source=\"%DUPLET_NOT_SET%\"\n", "that is not set"),
        ("--cache-dir %DUPLET_NOT_SET%\n", "that is not set"),
        ("--auth-password=%DUPLET_NOT_SET%\n", "that is not set"),
        ("--append-filter=x\n", "begins with neither + nor -"),
        ("--dblock-size=x\n", "--dblock-size=x is not valid"),
    ] {
        let e = merged(&BACKUP, &["/u", "--include=i"], Some(text))
            .err()
            .unwrap();
        assert!(e.to_string().contains(want), "{e}");
        assert!(!e.to_string().contains("hunter2") && e.kind().exit_code() == 200);
    }
    let e = merged(&BACKUP, &["/u", "--parameters-file=/nonexistent/x"], None)
        .err()
        .unwrap();
    assert_eq!(e.kind().exit_code(), 100);
}

#[test]
fn all_that_is_refused_is_named_at_once() {
    let line = [
        "/u",
        "--changed-files=/a",
        "--send-mail-to=hunter2",
        "--Quota-Size=5gb",
        "--send-mail-password=hunter2",
        "--changed-files=/b",
        "--run-script-before=",
    ];
    let e = merged(
        &BACKUP,
        &line,
        Some("--checkpoint=5m\n--snapshot-policy=On\n"),
    )
    .err()
    .unwrap();
    assert_eq!(
        (e.to_string(), e.kind().exit_code()),
        (
            "--changed-files, --quota-size, --checkpoint are not supported: it is not available in this version; \
             --send-mail-to, --send-mail-password are not supported: duplet sends no mail; \
             --snapshot-policy is not supported: duplet makes no snapshots (leave them out)"
                .to_owned(),
            200
        )
    );
    let e = merged(&LIST, &line, None)
        .err()
        .map(|e| e.to_string())
        .unwrap();
    assert_eq!(
        e,
        "--send-mail-to, --send-mail-password are not supported: duplet sends no mail (leave them out)"
    );
}

#[test]
fn what_only_a_backup_could_do_stops_no_other_command() {
    let line = [
        "s3://b/p?keep-versions=3",
        "--retention-policy=1W:1D",
        "--upload-verification-file=true",
        "--quota-size=5gb",
        "--usn-policy=On",
        "--remote-file-lock-duration=3D",
    ];
    let (call, notes) = merged(&LIST, &line, Some("--keep-time=1Y\n")).unwrap();
    assert_eq!((call.url.as_str(), call.words.len()), ("s3://b/p", 0));
    assert_eq!(notes.len(), 7, "{notes:?}");
    let e = merged(&BACKUP, &line[..3], None).err().unwrap();
    let said = "--upload-verification-file is not supported";
    assert!(e.to_string().starts_with(said), "{e}");
    let (call, _) = merged(&BACKUP, &[line[0], line[1], "/a"], None).unwrap();
    assert_eq!(call.options.given("keep-versions"), Some("3"));
}

#[test]
fn signs_with_blanks_in_a_parameters_file_are_mistakes() {
    for text in [
        "--passphrase = hunter2\n",
        "--source = /a\n",
        "--target\t=/a\n",
        "--exclude =*.tmp\n",
        "--append-filter = -x\n",
    ] {
        let e = merged(&BACKUP, &["/u"], Some(text)).err().unwrap();
        let shown = e.to_string();
        assert!(shown.contains("without blanks: --"), "{text}: {shown}");
        assert!(!shown.contains("hunter2") && e.kind().exit_code() == 200);
    }
}

#[test]
fn options_of_other_commands_are_noted_and_dropped() {
    let (call, notes) = merged(&LIST, &["/u", "--dblock-size=1gb", "--file-sync"], None).unwrap();
    assert_eq!(notes.len(), 1);
    assert_eq!(notes[0].1, "--dblock-size has no effect on list");
    assert_eq!(call.options.given("dblock-size"), None);
    assert_eq!(call.options.given("file-sync"), Some(""));
    let e = merged(&LIST, &["/u", "--dblock-size=x"], None)
        .err()
        .unwrap();
    assert_eq!(e.kind().exit_code(), 200);
    let e = merged(&LIST, &[], None).err().unwrap();
    assert_eq!(e.to_string(), "list needs a destination URL");
    for name in ["exclude", "include", "parameters-file"] {
        let url = format!("file:///u?{name}=x");
        let e = merged(&LIST, &[&url], None).err().unwrap();
        let want = format!("--{name} cannot stand in the destination URL");
        assert!(e.to_string().starts_with(&want), "{e}");
    }
}

#[test]
fn what_is_asked_of_one_run_is_an_error_where_it_means_nothing() {
    let row = |name: &str| crate::cli::lookup(name).unwrap();
    for (command, option, hint) in [
        (
            "compact",
            "--version=1",
            "an option of restore, cat, mount, list,",
        ),
        ("backup", "--version=0", "delete, purge"),
        ("repair", "--version=2", "delete, purge"),
        ("list-broken-files", "--version=2", "delete, purge"),
        ("purge-broken-files", "--time=3D", "verify, copy, purge"),
        ("delete", "--time=2026-01-01", "verify, copy, purge"),
        ("affected", "--time=3D", "verify, copy, purge"),
        ("diff", "--version=1", "duplet compare URL 1 0"),
        ("compare", "--time=3D", "duplet compare URL 1 0"),
        ("remote", "--version=1", "restore"),
        ("list", "--rebuild-missing-dblock-files", "repair"),
        ("purge", "--rebuild-missing-dblock-files", "repair"),
        ("verify", "--existing=skip", "restore"),
        ("restore", "--list-sets-only", "list, find"),
        ("delete", "--all-versions", "list, find"),
        ("restore", "--exit-code", "compare"),
        ("repair", "--new-backup", "backup"),
        ("backup", "--number-of-files=2", "remote"),
        ("backup", "--self-test", "system-info"),
        ("restore", "--force", "did you mean --overwrite?"),
        ("compact", "--force", "purge, repair"),
        ("purge-broken-files", "--exclude=*.tmp", "purge"),
        ("list-broken-files", "--include=/a", "purge"),
    ] {
        let row = row(command);
        let name = &option[2..option.find('=').unwrap_or(option.len())];
        let e = merged(row, &["s3://b/p", "/w", option], None)
            .err()
            .unwrap();
        let said = format!("--{name} means nothing to {}", row.name);
        assert!(e.to_string().starts_with(&said), "{e}");
        assert!(e.to_string().contains(hint), "{e}");
        assert_eq!(e.kind().exit_code(), 200);
        // Settings kept for all commands stop none of them.
        if !["force", "exclude", "include"].contains(&name) {
            let file = format!("{option}\n");
            let (call, _) = merged(row, &["s3://b/p", "/w"], Some(&file)).unwrap();
            assert_eq!(call.options.given(name), None);
            let url = format!("s3://b/p?{}", &option[2..]);
            merged(row, &[&url, "/w"], None).unwrap();
        }
    }
    // What the command does anyway, and what asks for nothing where nothing is changed.
    for (command, option) in [
        ("list-filesets", "--list-sets-only"),
        ("list-file-versions", "--all-versions"),
        ("purge", "--all-versions"),
        ("list-folder-content", "--list-folder-contents"),
        ("list", "--dry-run"),
        ("verify", "--dry-run"),
        ("vacuum", "--dry-run"),
    ] {
        merged(row(command), &["/u", "/w", option], None).unwrap();
    }
}

/// Duplicati exports all settings of a backup, whatever command they are then used with.
#[test]
fn settings_of_a_backup_go_with_every_command() {
    let settings = [
        "--dblock-size=10mb",
        "--keep-versions=3",
        "--exclude=*.tmp",
        "--retention-policy=1W:1D",
        "--skip-files-larger-than=1gb",
        "--overwrite",
        "--no-backend-verification",
        "--allow-full-removal",
        "--threshold=20",
        "--compression-module=zip",
        "--backup-test-samples=2",
        "--disable-replace-missing-metadata",
        "--restore-permissions",
        "--one-file-system",
        "--lock-wait=1m",
    ];
    let line = [&["/u", "/w"], &settings[..]].concat();
    for command in crate::cli::COMMANDS.iter().filter(|c| c.needs_url) {
        let name = command.name;
        let without_rules = ["list-broken-files", "purge-broken-files"].contains(&name);
        let line: Vec<&str> = line
            .iter()
            .copied()
            .filter(|a| !without_rules || !a.starts_with("--exclude"))
            .collect();
        let (_, notes) = merged(command, &line, None).unwrap();
        let mut loud = notes.iter().filter(|n| n.0 == Level::Information);
        let expected = command.writes && !["backup", "delete"].contains(&name);
        let kept = loud.any(|n| n.1 == format!("--keep-versions has no effect on {name}"));
        assert_eq!(kept, expected, "{name}: {notes:?}");
    }
}

#[test]
fn percent_signs_that_name_no_variable_stay() {
    for (text, want) in [
        ("--passphrase=100%sure%\n", "100%sure%"),
        ("--passphrase=%a b%\n", "%a b%"),
        ("--passphrase=%%\n", "%%"),
        (
            "--passphrase=%DUPLET_NOT_SET%/more\n",
            "%DUPLET_NOT_SET%/more",
        ),
    ] {
        let (call, _) = merged(&BACKUP, &["/u"], Some(text)).unwrap();
        assert_eq!(call.options.text(&PASSPHRASE), Some(want));
    }
    // A rule of another machine does no harm.
    let (call, _) = merged(&BACKUP, &["/u"], Some("--exclude=%DUPLET_NOT_SET%/\n")).unwrap();
    assert_eq!(rules_of(&call), "-%DUPLET_NOT_SET%/");
}
