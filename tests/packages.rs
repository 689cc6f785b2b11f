//! Packages: what `src/packages/` holds and `.ci/deb` and `.ci/dist` make of it, tried as far as this machine can. What it cannot
//! is named and left out. `tests/packages/` has the scripts, which run on a copy of the machine's files that is thrown away.

#![allow(clippy::unwrap_used, reason = "a test may fail where it stands")]

// Each test file uses its own part.
#[allow(dead_code)]
mod manual;
mod support;

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use manual::{Page, pages, root};
use support::{Ran, Scratch, text};

/// Also when the test passes: what is left out is to be seen.
macro_rules! tell {
    ($($word:tt)*) => {
        said(&format!($($word)*))
    };
}

fn said(line: &str) {
    let line = format!("{line}\n");
    std::io::stderr().write_all(line.as_bytes()).unwrap();
}

/// First lines of blocks of the manual, which say where a file belongs, and the file below `src/packages/`.
const SAME: &[(&str, &str)] = &[
    (
        "# /etc/systemd/system/duplet.service",
        "systemd/duplet.service",
    ),
    ("# /etc/systemd/system/duplet.timer", "systemd/duplet.timer"),
    (
        "# /etc/systemd/system/duplet-failed.service",
        "systemd/duplet-failed.service",
    ),
    ("# /etc/config/duplet", "openwrt/files/duplet.config"),
    ("# Containerfile", "container/Containerfile"),
];

/// What the scripts end with where the machine lacks what they need.
const CANNOT: i32 = 77;

fn file(name: &str) -> String {
    fs::read_to_string(root().join("src/packages").join(name)).unwrap()
}

fn schedule() -> Page {
    let found = pages()
        .into_iter()
        .find(|p| p.path.ends_with("schedule.md"));
    found.unwrap()
}

/// The version that Cargo knows.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The program without what debuggers read, so that packing it takes a moment.
fn program(scratch: &Scratch) -> PathBuf {
    let path = scratch.at("duplet");
    fs::copy(env!("CARGO_BIN_EXE_duplet"), &path).unwrap();
    let stripped = Command::new("strip").arg(&path).status();
    if !stripped.is_ok_and(|s| s.success()) {
        tell!("no strip here: the packages are large");
    }
    path
}

/// A rule of the Makefile, with `target/` in the scratch folder.
fn make(scratch: &Scratch, args: &[&str]) -> Ran {
    let folder = ["-s", "-C", text(root())];
    let args = [&folder[..], args].concat();
    let mut command = scratch.other(&["make"], &args);
    command
        .env("CARGO_TARGET_DIR", scratch.at("build"))
        .env("CARGO", "/no/cargo/here")
        .env("DPKG_DEB_COMPRESSOR_TYPE", "gzip")
        .env("DPKG_DEB_COMPRESSOR_LEVEL", "1");
    support::finish(command, &args)
}

fn is_there(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let there = std::env::split_paths(&path).any(|p| p.join(program).exists());
    if !there {
        tell!("SKIPPED: no {program} here");
    }
    there
}

/// Runs a script of `tests/packages/` on a copy of this machine that is thrown away.
fn throw_away(scratch: &Scratch, script: &str, argument: &Path) {
    let folder = root().join("tests/packages");
    let script = folder.join(script);
    let args = [text(root()), text(&script), text(argument)];
    let command = scratch.other(&[text(&folder.join("throwaway"))], &args);
    let ran = support::finish(command, &args);
    for line in ran.all().lines().filter(|l| l.contains("SKIPPED")) {
        tell!("{line}");
    }
    if ran.code == CANNOT {
        tell!("SKIPPED: {}: {}", script.display(), ran.err.trim());
        return;
    }
    assert_eq!(ran.code, 0, "{}", ran.all());
    tell!("{}", ran.out.trim());
}

#[test]
fn the_manual_shows_the_files_as_they_are() {
    let blocks = schedule().blocks();
    for (first, name) in SAME {
        let shown = blocks.iter().find_map(|b| {
            let (line, rest) = b.text.split_once('\n')?;
            (line == *first).then(|| rest.to_owned())
        });
        let shown = shown.unwrap_or_else(|| panic!("{first} is not in the manual"));
        assert_eq!(shown + "\n", file(name), "{name}");
    }
    let cron = file("cron/duplet");
    let lines: Vec<&str> = cron.lines().filter(|l| !l.starts_with('#')).collect();
    let shown = blocks.iter().find(|b| b.kind == "crontab").unwrap();
    assert_eq!(shown.text.lines().collect::<Vec<_>>(), lines);
    // No page shows a unit that is not among them.
    for page in pages() {
        for block in page.blocks().iter().filter(|b| b.kind == "ini") {
            let first = block.text.lines().next().unwrap();
            let known = SAME.iter().any(|(line, _)| *line == first);
            assert!(known, "{}: {first} is no file of src/packages", page.path);
        }
    }
}

#[test]
fn every_path_in_the_pages_is_in_the_tree() {
    let mut seen = 0;
    for page in pages() {
        for span in page.spans() {
            for path in span.split(' ').filter(|w| w.starts_with("src/packages")) {
                assert!(root().join(path).exists(), "{}: {path}", page.path);
                seen += 1;
            }
        }
    }
    assert!(seen >= 4, "{seen}");
}

#[test]
fn entries_of_cron_have_the_full_path() {
    let mut seen = 0;
    for name in ["cron/duplet", "systemd/duplet.service"] {
        for line in file(name).lines().filter(|l| l.contains("duplet backup")) {
            assert!(line.contains("/usr/local/bin/duplet backup - "), "{line}");
            seen += 1;
        }
    }
    assert_eq!(seen, 2);
}

#[test]
fn the_example_of_parameters_is_taken() {
    let scratch = Scratch::new("example");
    let data = scratch.folder("data");
    fs::write(data.join("hello"), "hello").unwrap();
    let mut lines = String::new();
    for line in file("duplet.conf").lines() {
        match line.split_once('=') {
            Some(("--target", _)) => lines += &format!("--target={}\n", text(&scratch.at("to"))),
            Some(("--source", _)) => lines += &format!("--source={}\n", text(&data)),
            _ => lines += &format!("{line}\n"),
        }
    }
    let path = scratch.at("duplet.conf");
    fs::write(&path, lines).unwrap();
    fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let words = format!("--parameters-file={}", text(&path));
    let ran = scratch.run(&["backup", "-", &words]).code(&[0]);
    assert_eq!(ran.err.matches("warning").count(), 0, "{}", ran.err);
}

#[test]
fn tarballs_are_whole_and_equal_each_time() {
    let scratch = Scratch::new("dist");
    let program = format!("PROGRAM={}", text(&program(&scratch)));
    let arch = std::env::consts::ARCH;
    let sums = scratch.at("build/dist/SHA256SUMS");
    let mut made = Vec::new();
    for target in ["TARGET=static", "TARGET=static"] {
        let ran = make(&scratch, &["dist", &program, target]);
        assert_eq!(ran.code, 0, "{}", ran.all());
        made.push(fs::read_to_string(&sums).unwrap());
    }
    assert_eq!(made[0], made[1]);
    let name = format!("duplet-{VERSION}-{arch}-unknown-linux-gnu");
    assert!(made[0].trim_end().ends_with(&format!("{name}.tar.gz")));

    // As README says, in another folder.
    let lines = format!(
        "cd '{}' && sha256sum --status -c SHA256SUMS && tar xzf {name}.tar.gz -C '{}'",
        text(sums.parent().unwrap()),
        text(scratch.path())
    );
    let args = ["-c", &lines];
    let ran = support::finish(scratch.other(&["sh"], &args), &args);
    assert_eq!(ran.code, 0, "{}", ran.all());
    let inside = scratch.at(&name);
    for file in [
        "LICENSE",
        "duplet.1",
        "completions/duplet.bash",
        "completions/_duplet",
        "completions/duplet.fish",
        "packages/openwrt/Makefile",
        "packages/systemd/duplet.timer",
        "packages/container/Containerfile",
    ] {
        let path = inside.join(file);
        assert!(fs::metadata(path).is_ok_and(|m| m.len() > 0), "{file}");
    }
    let readme = Page {
        path: "README.md".to_owned(),
        text: fs::read_to_string(inside.join("README.md")).unwrap(),
    };
    for link in readme.links().iter().filter(|l| !l.contains("://")) {
        let path = inside.join(link.split('#').next().unwrap());
        assert!(path.exists(), "README of the tarball links to {link}");
    }
    for span in readme.spans().iter().filter(|s| s.starts_with("packages/")) {
        assert!(inside.join(span).exists(), "{span}");
    }
    let args = ["--version"];
    let ran = support::finish(scratch.other(&[text(&inside.join("duplet"))], &args), &args);
    assert!(ran.out.starts_with(&format!("duplet {VERSION}")));
}

#[test]
fn a_program_for_another_processor_is_told_apart() {
    let scratch = Scratch::new("processor");
    // Class, byte order, machine.
    let heads: [(u8, u8, u16, &str); 7] = [
        (2, 1, 62, "x86_64"),
        (1, 1, 3, "i686"),
        (2, 1, 183, "aarch64"),
        (1, 1, 40, "armv7"),
        (1, 1, 8, "mipsel"),
        (1, 2, 8, "mips"),
        (2, 1, 243, "riscv64"),
    ];
    let path = scratch.at("elf");
    let script = root().join(".ci/processor");
    for (class, order, machine, name) in heads {
        for (segment, linked) in [(1u32, "static"), (3, "dynamic")] {
            let big = order == 2;
            let short = |n: u16| {
                if big {
                    n.to_be_bytes()
                } else {
                    n.to_le_bytes()
                }
            };
            let long = |n: u32| {
                if big {
                    n.to_be_bytes()
                } else {
                    n.to_le_bytes()
                }
            };
            let mut head = vec![0u8; 128];
            head[..6].copy_from_slice(&[0x7f, b'E', b'L', b'F', class, order]);
            head[18..20].copy_from_slice(&short(machine));
            // Where the segments are, how long the head of one is, how many there are.
            let (at, size, count) = if class == 2 {
                (32, 54, 56)
            } else {
                (28, 42, 44)
            };
            head[at..at + 4].copy_from_slice(&long(64));
            head[size..size + 2].copy_from_slice(&short(32));
            head[count..count + 2].copy_from_slice(&short(2));
            head[96..100].copy_from_slice(&long(segment));
            fs::write(&path, &head).unwrap();
            let args = [text(&path)];
            let ran = support::finish(scratch.other(&[text(&script)], &args), &args);
            assert_eq!(ran.out.trim(), format!("{name} {linked}"), "{}", ran.err);
        }
    }
    let given = format!("PROGRAM={}", text(&path));
    let ran = make(&scratch, &["dist", &given, "TARGET=mips"]);
    assert_ne!(ran.code, 0);
    assert!(
        ran.err.contains("is for riscv64, not for mips"),
        "{}",
        ran.err
    );
    fs::write(&path, "#!/bin/sh\n").unwrap();
    let ran = make(&scratch, &["dist", &given, "TARGET=mips"]);
    assert!(ran.err.contains("no program of Linux"), "{}", ran.err);
    let ran = make(&scratch, &["dist", &given]);
    assert!(ran.err.contains("PROGRAM needs the target"), "{}", ran.err);
}

#[test]
fn debian() {
    if !is_there("dpkg-deb") {
        return;
    }
    let scratch = Scratch::new("deb");
    let program = format!("PROGRAM={}", text(&program(&scratch)));
    let mut made = Vec::new();
    for _ in 0..2 {
        let ran = make(&scratch, &["deb", &program]);
        assert_eq!(ran.code, 0, "{}", ran.all());
        let path = ran.out.split(':').next().unwrap().to_owned();
        made.push(fs::read(&path).unwrap());
    }
    assert!(made[0] == made[1], "two packages of one program differ");
    let folder = scratch.at("build/dist");
    let name = support::names(&folder)
        .into_iter()
        .find(|n| n != "SHA256SUMS");
    let package = folder.join(name.unwrap());
    if is_there("lintian") {
        // The program is that of a debug build.
        let args = [
            "--allow-root",
            "--fail-on=error,warning",
            "--suppress-tags=unstripped-binary-or-object,unused-override",
            text(&package),
        ];
        let ran = support::finish(scratch.other(&["lintian"], &args), &args);
        assert_eq!((ran.code, ran.out.as_str()), (0, ""), "{}", ran.all());
    }
    // A machine with rpm may have dpkg-deb, too.
    if is_there("dpkg") && Path::new("/var/lib/dpkg/status").exists() {
        throw_away(&scratch, "debian", &package);
    }
}

#[test]
fn systemd() {
    let scratch = Scratch::new("systemd");
    throw_away(&scratch, "systemd", &program(&scratch));
}

#[test]
fn container() {
    let scratch = Scratch::new("container");
    let program = program(&scratch);
    throw_away(&scratch, "container", &program);
}

/// README alone brings the files back: the tarball unpacked, the program installed, the passphrase, a look, a restore.
#[test]
fn a_newcomer_restores_by_readme_alone_where_nothing_is_installed() {
    let scratch = Scratch::new("newcomer");
    let folder = scratch.folder("newcomer");
    let machine = scratch.folder("newcomer/machine");
    let program = program(&scratch);
    fs::copy(&program, folder.join("duplet")).unwrap();
    let given = format!("PROGRAM={}", text(&program));
    let ran = make(&scratch, &["dist", &given, "TARGET=static"]);
    assert_eq!(ran.code, 0, "{}", ran.all());
    let arch = std::env::consts::ARCH;
    let tarball = format!("duplet-{VERSION}-{arch}-unknown-linux-gnu.tar.gz");
    let made = scratch.at("build/dist").join(&tarball);
    fs::copy(made, machine.join(&tarball)).unwrap();

    let fixture = support::fixture("four-versions-aes").join("dest");
    let secret = support::opens_with("four-versions-aes").unwrap();
    let passphrase = secret.trim_start_matches("--passphrase=");
    support::copy_folder(&fixture, &machine.join("mnt/duplicati"));
    let want = format!("--restore-path={}", text(&folder.join("want")));
    let args = ["restore", text(&fixture), &want, secret];
    scratch.run(&args).code(&[0]);

    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let section = readme
        .split("\n## I have a Duplicati backup")
        .nth(1)
        .unwrap();
    let block = section.split("```sh\n").nth(1).unwrap();
    let restore = block.split("```").next().unwrap();
    let install = readme
        .lines()
        .filter(|l| l.starts_with("tar xzf") || l.contains("install duplet-"));
    let mut lines: Vec<String> = install.map(|l| l.replace("sudo ", "")).collect();
    assert_eq!(lines.len(), 2, "{lines:?}");
    for line in &mut lines {
        *line = line.replace(
            "armv7-unknown-linux-musleabihf",
            &format!("{arch}-unknown-linux-gnu"),
        );
    }
    let typed = restore.replace("the passphrase of that backup", passphrase);
    lines.extend(typed.lines().map(str::to_owned));
    // To see what is there is a look, not a step.
    let steps = lines.iter().filter(|l| !l.starts_with("duplet list"));
    assert!(steps.count() < 5, "{lines:?}");
    fs::write(machine.join("lines"), lines.join("\n") + "\n").unwrap();
    throw_away(&scratch, "newcomer", &folder);
}

#[test]
fn openwrt() {
    let scratch = Scratch::new("openwrt");
    let arch = std::env::consts::ARCH;
    let given = format!("PROGRAM={}", text(&program(&scratch)));
    let target = format!("TARGET={arch}");
    let recipe = root().join("src/packages/openwrt");
    let sdk = root().join("tests/packages/openwrt");
    let here = |rule: &str, arch: &str| {
        let words = [
            format!("TOPDIR={}", text(&sdk)),
            format!("DL_DIR={}", text(&scratch.at("build/dist"))),
            format!("OUT={}", text(&scratch.at("router"))),
            format!("ARCH={arch}"),
        ];
        let mut args = vec!["-s", "-C", text(&recipe), rule];
        args.extend(words.iter().map(String::as_str));
        let ran = support::finish(scratch.other(&["make"], &args), &args);
        assert_eq!(ran.code, 0, "{}", ran.all());
        ran.out
    };
    // The SDK's words for processors lead to tarballs that `.ci/dist` makes, of this version.
    let cross = root().join(".ci/cross");
    let processors = [
        ("aarch64", "aarch64"),
        ("arm", "armv7"),
        ("i386", "i686"),
        ("mips", "mips"),
        ("mipsel", "mipsel"),
        ("riscv64", "riscv64"),
        ("x86_64", "x86_64"),
    ];
    for (theirs, ours) in processors {
        let args = ["--name", ours];
        let name = support::finish(scratch.other(&[text(&cross)], &args), &args);
        let want = format!("duplet-{VERSION}-{}.tar.gz {VERSION}", name.out.trim());
        assert_eq!(here("names", theirs).trim(), want);
    }
    if !processors.iter().any(|(theirs, _)| *theirs == arch) {
        tell!("SKIPPED: the router: no tarball for {arch}");
        return;
    }
    let ran = make(&scratch, &["dist", &given, &target]);
    assert_eq!(ran.code, 0, "{}", ran.all());
    here("compile", arch);
    let kept = fs::read_to_string(scratch.at("router/conffiles")).unwrap();
    assert_eq!(kept, "/etc/config/duplet\n");
    throw_away(&scratch, "openwrt/run", &scratch.at("router"));
}

/// Scripts of packages run in shells that know less than bash.
#[test]
fn scripts_are_understood_by_small_shells() {
    let scratch = Scratch::new("scripts");
    let scripts = [
        "debian/postinst",
        "debian/prerm",
        "debian/postrm",
        "openwrt/files/duplet.init",
        "openwrt/files/duplet-run",
    ];
    let shells: [&[&str]; 3] = [&["sh", "-n"], &["busybox", "ash", "-n"], &["shellcheck"]];
    for shell in shells.iter().filter(|s| is_there(s[0])) {
        for script in scripts {
            let path = root().join("src/packages").join(script);
            let args = [text(&path)];
            let ran = support::finish(scratch.other(shell, &args), &args);
            assert_eq!(ran.code, 0, "{shell:?}: {}", ran.all());
        }
    }
}
