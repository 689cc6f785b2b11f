//! README and manual as their reader uses them: their pages, blocks and links, and a small world in which their commands run.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Output;

use crate::support::{self, Scratch, fixture, text};

/// What the texts use wherever they do not say another.
pub const PASSPHRASE: &str = "a long sentence that you will not forget";
/// That of the backup by Duplicati.
const DUPLICATI_PASSPHRASE: &str = "correct horse battery staple";

/// One Markdown file.
pub struct Page {
    /// Relative to the project, such as `src/manual/s3.md`.
    pub path: String,
    pub text: String,
}

/// A fenced block.
pub struct Block {
    /// The word after the fence: what is done with it.
    pub kind: String,
    pub text: String,
}

pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// README first, then the manual by name.
pub fn pages() -> Vec<Page> {
    let mut paths = vec!["README.md".to_owned()];
    for name in support::names(&root().join("src/manual")) {
        let name = name.into_string().expect("plain names");
        // It packs them before the program is compiled.
        if name == "pack.rs" {
            continue;
        }
        assert!(name.ends_with(".md"), "{name} is no page");
        paths.push(format!("src/manual/{name}"));
    }
    assert!(paths.len() > 15);
    let read = |path: String| Page {
        text: fs::read_to_string(root().join(&path)).expect("a readable page"),
        path,
    };
    paths.into_iter().map(read).collect()
}

impl Page {
    pub fn blocks(&self) -> Vec<Block> {
        let mut found = Vec::new();
        let mut lines = self.text.lines();
        while let Some(line) = lines.next() {
            if let Some(kind) = line.strip_prefix("```") {
                assert!(!kind.is_empty(), "{}: a block without a kind", self.path);
                let inside = lines.by_ref().take_while(|l| *l != "```");
                let text: Vec<&str> = inside.collect();
                found.push(Block {
                    kind: kind.to_owned(),
                    text: text.join("\n"),
                });
            }
        }
        found
    }

    /// All but what stands between fences.
    pub fn prose(&self) -> String {
        let parts = self.text.split("```").step_by(2);
        parts.collect::<Vec<_>>().join("\n")
    }

    /// The code in running text, as it is written there.
    pub fn spans(&self) -> Vec<String> {
        let prose = self.prose();
        let spans = prose.split('`').skip(1).step_by(2);
        spans
            .map(|s| s.replace("\\|", "|").replace('\n', " "))
            .collect()
    }

    /// Targets of links.
    pub fn links(&self) -> Vec<String> {
        let prose = self.prose();
        let links = prose.split("](").skip(1);
        links
            .map(|l| l.split(')').next().unwrap_or_default().to_owned())
            .collect()
    }

    /// What a link to a heading of this page says after `#`.
    pub fn anchors(&self) -> Vec<String> {
        let heads = self.text.lines().filter(|l| l.starts_with('#'));
        heads
            .map(|l| {
                let title = l.trim_start_matches('#').trim().to_lowercase();
                let kept = title
                    .chars()
                    .filter(|c| c.is_alphanumeric() || " -_".contains(*c));
                kept.collect::<String>().replace(' ', "-")
            })
            .collect()
    }
}

/// The machine of the texts below a scratch folder: its paths are there, and `duplet` is a script that writes down how each
/// call ended. What would go over the network meets a closed door.
pub struct World {
    pub scratch: Scratch,
}

impl World {
    /// With Alice's files, a disk, and a backup by Duplicati.
    pub fn new() -> World {
        let scratch = Scratch::new("manual");
        for folder in [
            "bin",
            "etc",
            "mnt/usb",
            "mnt/disk",
            "var/log",
            "home/alice/data/photos",
        ] {
            scratch.folder(folder);
        }
        let write = |name: &str, text: &[u8]| fs::write(scratch.at(name), text).expect("written");
        write(
            "home/alice/data/letter.odt",
            b"See you on Friday. Yours, Alice\n",
        );
        write(
            "home/alice/data/notes.txt",
            "milk, bread\n".repeat(300).as_bytes(),
        );
        let mut random = support::Rand(7);
        write("home/alice/data/photos/beach.jpg", &random.bytes(30_000));
        write("home/alice/data/photos/party.jpg", &random.bytes(2_000_000));
        support::copy_folder(
            &fixture("four-versions-aes").join("dest"),
            &scratch.at("mnt/duplicati"),
        );
        let world = World { scratch };
        let script = SCRIPT
            .replace("REAL", env!("CARGO_BIN_EXE_duplet"))
            .replace("CALLS", text(&world.scratch.at("calls")));
        world.executable("bin/duplet", &script);
        world
    }

    fn executable(&self, name: &str, script: &str) {
        let path = self.scratch.at(name);
        fs::write(&path, script).expect("written");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("permissions");
    }

    /// Makes the backup that the pages talk about.
    pub fn backed_up(self) -> World {
        let data = self.here("/home/alice/data");
        let dest = self.here("/mnt/usb/backup");
        let env = [("PASSPHRASE", PASSPHRASE)];
        self.scratch
            .run_env(&["backup", &dest, &data], &env)
            .code(&[0]);
        self
    }

    /// The text with the paths of this world.
    pub fn here(&self, text: &str) -> String {
        let base = support::text(self.scratch.path());
        let duplet = format!("{base}/bin/duplet");
        let text = text
            .replace("/usr/local/bin/duplet", &duplet)
            .replace("/usr/bin/duplet", &duplet)
            .replace("the passphrase of that backup", DUPLICATI_PASSPHRASE);
        let mut out = String::new();
        for (at, c) in text.char_indices() {
            let rest = &text[at..];
            let known = [
                "/mnt/",
                "/home/",
                "/etc/",
                "/tmp/",
                "/var/log/",
                "/var/cache/",
            ];
            let before = &text[..at];
            let begins = before.ends_with("file://")
                || !before.ends_with(|c: char| c.is_alphanumeric() || "./-_}".contains(c));
            if begins && known.iter().any(|k| rest.starts_with(k)) {
                out.push_str(base);
            }
            out.push(c);
        }
        // A scratch folder may lie below one of them itself.
        out.replace(&format!("{base}{base}"), base)
    }

    /// The text without this world's paths.
    pub fn there(&self, text: &str) -> String {
        text.replace(support::text(self.scratch.path()), "")
    }

    /// Runs a script in the shell with the paths of this world.
    pub fn shell(&self, script: &str) -> Output {
        let script = self.here(script);
        let path = format!(
            "{}:{}",
            text(&self.scratch.at("bin")),
            std::env::var("PATH").unwrap_or_default()
        );
        let args = ["-c", &script];
        let mut command = self.scratch.other(&["sh"], &args);
        command.env("PATH", path).env("PASSPHRASE", PASSPHRASE);
        command.output().expect("sh runs")
    }

    /// As cron runs it: nothing in the environment but a short path.
    pub fn cron(&self, line: &str) -> Output {
        let line = self.here(line);
        let mut command = std::process::Command::new("/bin/sh");
        command
            .args(["-c", &line])
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("HOME", self.scratch.at("home"))
            .current_dir(self.scratch.path());
        command.output().expect("sh runs")
    }

    /// The calls of duplet since the last time: exit code, `local` or `remote`, arguments.
    pub fn calls(&self) -> Vec<(i32, bool, String)> {
        let path = self.scratch.at("calls");
        let all = fs::read_to_string(&path).unwrap_or_default();
        let _ = fs::remove_file(&path);
        let call = |line: &str| {
            let mut words = line.splitn(3, ' ');
            let code = words.next().and_then(|w| w.parse().ok()).expect("a code");
            let remote = words.next() == Some("remote");
            (code, remote, words.next().unwrap_or_default().to_owned())
        };
        all.lines().map(call).collect()
    }

    /// Puts a file of the texts (first line `# /its/path`) where it belongs, if it is one.
    pub fn install(&self, block: &Block) -> Option<PathBuf> {
        let first = block.text.lines().next()?.strip_prefix("# /")?;
        let path = self.here(&format!("/{}", first.split(' ').next()?));
        let path = PathBuf::from(path);
        fs::create_dir_all(path.parent()?).expect("a folder");
        fs::write(&path, self.here(&block.text) + "\n").expect("written");
        if path.extension().is_some_and(|e| e == "conf") {
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("its own");
        }
        Some(path)
    }
}

const SCRIPT: &str = r#"#!/bin/sh
where=local
file=
for word in "$@"; do
    case $word in
        --parameters-file=*) file=${word#*=} ;;
        --*) ;;
        file://*) ;;
        *://*) where=remote ;;
        -) case $DUPLET_URL in file://*) ;; *://*) where=remote ;; esac ;;
    esac
done
if [ -n "$file" ] && grep -q '^--target=[a-z0-9]*://' "$file"; then
    where=remote
fi
if [ $where = local ]; then
    'REAL' "$@"
    code=$?
    echo "$code local $*" >>'CALLS'
    exit $code
fi
ALL_PROXY=http://127.0.0.1:1 NO_PROXY= 'REAL' "$@" --number-of-retries=0 >/dev/null 2>&1
echo "$? remote $*" >>'CALLS'
"#;
