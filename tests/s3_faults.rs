//! Whole commands against an S3 server and a line that fail: a backup completes or stops with the right class, the
//! destination never holds a version with missing volumes, the next run puts everything right, and no secret is said.

#![allow(clippy::unwrap_used, reason = "a test may fail where it stands")]

mod support;

#[path = "support/faulty.rs"]
mod faulty;
#[path = "support/faulty_s3.rs"]
mod faulty_s3;

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use faulty::Trouble;
use faulty_s3::{Server, error};
use support::proxy::Flip;
use support::servers::s3;
use support::snapshot::{But, Snapshot, same, take};
use support::{Ran, Rand, Scratch, peak_kib, text, tree};

const KEY: &str = "AKIDEXAMPLE";
const SECRET: &str = "s3cr/t+K3y=longer";
const SECRET_ENCODED: &str = "s3cr%2Ft%2BK3y%3Dlonger";
const WORDS: &str = "correct horse battery";

/// A source, and a server with faults to come.
struct World {
    scratch: Scratch,
    server: Server,
    source: PathBuf,
    before: Snapshot,
}

impl World {
    fn new() -> World {
        let scratch = Scratch::new("s3-faults");
        let source = scratch.folder("source");
        fs::create_dir(source.join("sub")).unwrap();
        tree::write(&source.join("some"), &Rand(1).bytes(1_400_000));
        tree::write(&source.join("sub/other"), &Rand(2).bytes(900_000));
        tree::write(&source.join("sub/small"), b"small");
        let server = Server::start();
        World {
            before: take(&source),
            scratch,
            server,
            source,
        }
    }

    fn url(&self) -> String {
        let at = self.server.address;
        format!(
            "s3://bucket/pre/fix?s3-server-name={at}&use-ssl=false&auth-username={KEY}&auth-password={SECRET_ENCODED}"
        )
    }

    fn run(&self, args: &[&str], more: &[&str]) -> Ran {
        let log = format!("--log-file={}", text(&self.scratch.at("log")));
        let mut all = args.to_vec();
        let has = |name: &str| more.iter().any(|o| o.starts_with(name));
        for given in [
            "--retry-delay=0s",
            "--number-of-retries=5",
            "--read-write-timeout=1s",
            "--verbose",
            "--log-file-log-level=Verbose",
        ] {
            if !has(given.split('=').next().unwrap()) {
                all.push(given);
            }
        }
        all.push(&log);
        all.extend(more);
        let env = [
            ("PASSPHRASE", WORDS),
            ("AUTH_PASSWORD", SECRET),
            ("AUTH_USERNAME", KEY),
        ];
        let ran = self.scratch.run_env(&all, &env);
        silent(&format!("{}{}", ran.out, ran.err));
        silent(&fs::read_to_string(self.scratch.at("log")).unwrap_or_default());
        ran.sane();
        ran
    }

    fn backup(&self, more: &[&str]) -> Ran {
        let url = self.url();
        let args = [
            "backup",
            &url,
            text(&self.source),
            "--blocksize=64kb",
            "--dblock-size=1mb",
        ];
        self.run(&args, more)
    }

    /// Restores without a cache; the tree must be what it was.
    fn restores(&self, more: &[&str]) -> Ran {
        let to = self.scratch.at("back");
        let to_option = format!("--restore-path={}", text(&to));
        let ran = self.run(
            &[
                "restore",
                &self.url(),
                &to_option,
                "--restore-permissions",
                "--no-cache",
            ],
            more,
        );
        if ran.code == 0 {
            same(&self.before, &take(&to), But::default(), &ran.all());
        }
        let _ = fs::remove_dir_all(&to);
        ran
    }

    /// Nothing goes wrong any more at the server.
    fn calm(&self) {
        self.server.state.lock().unwrap().script.clear();
    }

    fn list(&self, more: &[&str]) -> Ran {
        self.run(&["list", &self.url()], more)
    }

    fn verify(&self) -> Ran {
        self.run(&["verify", &self.url(), "all"], &[])
    }

    fn stored(&self, word: &str) -> Vec<String> {
        let state = self.server.state.lock().unwrap();
        let keys = state.service.files.keys().filter(|k| k.contains(word));
        keys.cloned().collect()
    }

    /// What is there after a failure is no version, or one that restores whole; then the next run makes it right.
    fn heals(&self, what: &str, failed: bool) {
        self.calm();
        if failed && !self.stored(".dlist.").is_empty() {
            let ran = self.restores(&[]);
            assert_eq!(ran.code, 0, "{what}: a version is broken: {}", ran.all());
        }
        let ran = self.backup(&[]);
        assert!([0, 1].contains(&ran.code), "{what}: {}", ran.all());
        let ran = self.restores(&[]);
        assert_eq!(ran.code, 0, "{what}: {}", ran.all());
        let ran = self.run(&["test", &self.url(), "all"], &["--no-cache"]);
        // Volumes that no version needs may stay behind until the next compact.
        let lost = ran.code == 3 && !ran.err.contains("no file is known to lose data");
        assert!([0, 3].contains(&ran.code) && !lost, "{what}: {}", ran.all());
        assert!(self.scratch.left_in_tmp().is_empty(), "{what}");
    }
}

/// What no output may hold: the secrets in the forms of URLs and forms, and in Base64, the key's also after `AKIDEXAMPLE:`.
const FORBIDDEN: [&str; 9] = [
    SECRET,
    SECRET_ENCODED,
    "s3cr%2ft%2bk3y%3dlonger",
    "czNjci90K0szeT1sb25nZXI",
    "QUtJREVYQU1QTEU6czNjci90K0szeT1sb25nZXI",
    WORDS,
    "correct%20horse%20battery",
    "correct+horse+battery",
    "Y29ycmVjdCBob3JzZSBiYXR0ZXJ5",
];

#[track_caller]
fn silent(text: &str) {
    let said = FORBIDDEN.iter().find(|form| text.contains(**form));
    assert_eq!(said, None, "a secret was said: {text}");
}

fn answer(status: u16, code: &str) -> Trouble {
    Trouble::Answer(status, Vec::new(), error(code, ""))
}

fn later(status: u16, seconds: &str) -> Trouble {
    let header = vec![("retry-after", seconds.to_owned())];
    Trouble::Answer(status, header, error("SlowDown", ""))
}

/// What it is, which request goes wrong, how often and how, the exit code and what must be said. What a destination makes of every
/// fault is in the table of the program's own tests; here is what becomes of the backup.
type Row = (
    &'static str,
    &'static str,
    usize,
    Trouble,
    i32,
    &'static str,
);

/// How often a file was fetched.
fn fetched(world: &World, key: &str) -> usize {
    let seen = world.server.seen("GET");
    let of = |s: &&faulty::Seen| s.target.contains(key);
    seen.iter().filter(of).count()
}

#[test]
fn a_leftover_of_an_upload_is_named_once_and_fetched_once() {
    let world = World::new();
    world.backup(&[]).code(&[0]);
    let whole = world.stored(".dblock.").remove(0);
    let data = world.server.file(&whole).unwrap();
    let left = "pre/fix/duplicati-b00000000000000000000000000000000.dblock.zip.aes";
    for len in [0, 300, data.len() / 2] {
        world.server.put(left, &data[..len]);
        let before = fetched(&world, left);
        let ran = world.verify();
        let ran = ran.code(&[0]).says("nothing needs it");
        assert!(ran.err.contains("duplet remote delete"), "{}", ran.all());
        assert_eq!(fetched(&world, left) - before, 1, "{len}");
    }
    // A backup and a restore go on beside it.
    fs::write(world.source.join("more"), "more").unwrap();
    world.backup(&[]).code(&[0]);
    let name = left.trim_start_matches("pre/fix/");
    let delete = ["remote", "delete", &world.url(), name];
    world.run(&delete, &[]).code(&[0]);
    let ran = world.verify();
    let ran = ran.code(&[0]);
    assert!(!ran.err.contains("nothing needs it"), "{}", ran.all());
}

#[test]
fn the_next_run_that_writes_ends_old_uploads_in_parts() {
    let world = World::new();
    let old = |key: &str| {
        let begun = "2020-01-01T00:00:00Z".to_owned();
        (key.to_owned(), format!("id-{key}"), begun)
    };
    let all = [
        old("pre/fix/duplicati-b1.dblock.zip.aes"),
        old("pre/fix/box2-b1.dblock.zip.aes"),
        old("pre/other"),
    ];
    world.server.with(|s3| s3.unfinished = all.to_vec());
    let left = || world.server.with(|s3| s3.unfinished.len());
    world.backup(&["--dry-run"]).code(&[0, 2]);
    assert_eq!(left(), 3, "a dry run ends nothing");
    world
        .backup(&[])
        .code(&[0])
        .says("ended 1 unfinished upload");
    assert_eq!(left(), 2);
    world.backup(&["--prefix=box2"]).code(&[0]);
    assert_eq!(left(), 1);
    world.server.with(|s3| s3.unfinished = all.to_vec());
    world.restores(&["--prefix=box2"]).code(&[0]);
    world.list(&["--prefix=box2"]).code(&[0]);
    assert_eq!(left(), 3, "what reads ends nothing");
}

#[test]
fn a_region_that_was_learnt_is_kept_in_the_cache() {
    let world = World::new();
    world.server.with(|s3| s3.region = Some("eu-test-9"));
    world.backup(&[]).code(&[0]);
    let refused = || {
        let seen = world.server.seen("GET");
        let right = |s: &&faulty::Seen| s.holds("authorization", "/eu-test-9/");
        seen.len() - seen.iter().filter(right).count()
    };
    let before = refused();
    assert!(before > 0);
    world.list(&[]).code(&[0]);
    world.backup(&[]).code(&[0, 1]);
    assert_eq!(refused(), before, "it is not asked for again");
    world.list(&["--no-cache"]).code(&[0]);
    assert_eq!(refused(), before + 1);
    // The server is another one now.
    world.server.with(|s3| s3.region = Some("eu-other-1"));
    world.list(&[]).code(&[0]);
    world.list(&[]).code(&[0]);
    assert_eq!(world.server.with(|s3| s3.region), Some("eu-other-1"));
}

#[test]
fn the_last_of_two_options_of_a_url_counts() {
    let world = World::new();
    let url = |more: &str| format!("{}&{more}", world.url());
    world.backup(&[]).code(&[0]);
    for more in [
        "auth-username=a&auth-username=AKIDEXAMPLE",
        "s3-server-name=nowhere.invalid&s3-server-name=127.0.0.1:0&use-ssl=true&use-ssl=false",
        "list-timeout=nonsense&list-timeout=10m",
        "s3-list-api-version=v1&list-api-version=v2",
        "retry-delay=7s&RETRY-DELAY=0s",
    ] {
        let more = more.replace("127.0.0.1:0", &world.server.address.to_string());
        world.run(&["list", &url(&more)], &[]).code(&[0]);
    }
    let bad = url("s3-list-api-version=v2&s3-list-api-version=v9");
    world.run(&["list", &bad], &[]).code(&[200]).says("v9");
}

#[test]
fn servers_that_fail_while_a_backup_is_written() {
    let half = Trouble::Reset(500_000);
    let denied = answer(403, "AccessDenied");
    let full = answer(507, "StorageFull");
    let cut = Trouble::Cut(70);
    let rows: [Row; 6] = [
        ("reset", "PUT dblock", 1, half.clone(), 0, "trying again"),
        ("resets", "PUT dblock", 20, half, 100, "6 attempts"),
        ("lost reply", "PUT dlist", 1, Trouble::Swallow, 0, ""),
        ("no right", "PUT dindex", 9, denied, 100, "s3:PutObject"),
        ("full", "PUT dlist", 9, full, 100, "free space"),
        ("cut", "GET list-type", 20, cut, 100, "list"),
    ];
    for (what, wanted, times, trouble, code, part) in rows {
        let (method, target) = wanted.split_once(' ').unwrap();
        let world = World::new();
        for _ in 0..times {
            world.server.script(method, target, trouble.clone());
        }
        let ran = world.backup(&[]);
        assert_eq!(ran.code, code, "{what}: {}", ran.all());
        assert!(ran.err.contains(part), "{what}: {part}: {}", ran.all());
        let lists = world.stored(".dlist.").len();
        assert_eq!(lists, usize::from(code == 0), "{what}: {}", ran.all());
        if code != 0 {
            let complaints = ran.err.lines().filter(|l| l.starts_with("duplet: cannot"));
            assert_eq!(complaints.count(), 1, "{what}: {}", ran.all());
        } else {
            let indexes = world.stored(".dindex.").len();
            assert_eq!(world.stored(".dblock.").len(), indexes, "{what}");
        }
        world.heals(what, code != 0);
    }
}

#[test]
fn a_byte_flipped_on_the_way_up_is_refused_by_a_real_server_and_sent_again() {
    let world = World::new();
    let real = s3::juicefs();
    let line = Flip::in_front_of(real.port);
    line.plan(&[None, Some(500_000)], Some(700_000));
    let url = real
        .url("flip/x", "&no-connection-reuse=true")
        .replace(&real.port.to_string(), &line.port.to_string());
    let run = |args: &[&str]| world.scratch.run_env(args, &[("PASSPHRASE", WORDS)]);
    let sizes = ["--dblock-size=1mb", "--blocksize=64kb"];
    let args = ["backup", &url, text(&world.source), sizes[0], sizes[1]];
    // The second volume is damaged whenever it is sent.
    run(&args).code(&[100]);
    line.plan(&[None, None, Some(700_000)], None);
    run(&[&args[..], &["--retry-delay=0s"]].concat()).code(&[0]);
    run(&["test", &url, "all", "--no-cache"]).code(&[0]);
}

#[test]
fn hostile_and_many_names_beside_a_backup() {
    let world = World::new();
    let put = |name: &str| world.server.put(&format!("pre/fix/{name}"), b"x");
    for at in 0..20_000 {
        put(&format!("other-{at:05}.txt"));
    }
    let odd = ["../up", "..", ".", "a/b", "a\u{1b}[31mred", "line\nfeed"];
    for name in odd.iter().chain(&["back\\slash", "-dash"]) {
        put(name);
    }
    put(&"n".repeat(300));
    let ran = world.backup(&["--new-backup"]).code(&[2]);
    ran.says("no file of a backup can have");
    let pages = world.server.seen("GET");
    let pages = pages.iter().filter(|s| s.target.contains("list-type"));
    assert!(pages.count() >= 21);
    let ran = world.run(&["remote", "list", &world.url(), "--json"], &[]);
    assert!(ran.json()["FileCount"].as_u64().unwrap() > 20_000);
    let ran = world.restores(&[]);
    assert!([0, 2].contains(&ran.code), "{}", ran.all());
    assert!(!world.scratch.at("up").exists() && !world.scratch.at("tmp/up").exists());
}

#[test]
fn a_listing_of_200_000_objects_stays_within_the_memory_budget() {
    let world = World::new();
    {
        let mut state = world.server.state.lock().unwrap();
        for n in 0..200_000u64 {
            let id = n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
            let key = format!("pre/fix/duplicati-b{id:016x}{n:016x}.dblock.zip.aes");
            state.service.files.insert(key, Vec::new());
        }
    }
    let url = world.url();
    let source = text(&world.source);
    let list = ["remote", "list", &url];
    let dry = ["backup", &url, source, "--dry-run", "--no-cache"];
    for args in [&list[..], &dry] {
        let (peak, status) = peak_kib(quiet(&world, args));
        assert_eq!(status.code(), Some(0), "{args:?}");
        assert!(peak > 1000 && peak <= 32 * 1024, "{args:?}: {peak} KiB");
    }
}

fn quiet(world: &World, args: &[&str]) -> Child {
    let mut command = world.scratch.command(args);
    command.env("PASSPHRASE", WORDS);
    command.stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().unwrap()
}

/// Runs in the background until `ready`, then hands over the process.
fn begin(world: &World, args: &[&str], ready: &dyn Fn() -> bool) -> Child {
    let child = quiet(world, args);
    let begun = Instant::now();
    while !ready() {
        assert!(begun.elapsed() < Duration::from_secs(300), "{args:?}");
        std::thread::sleep(Duration::from_millis(10));
    }
    child
}

fn stop(mut child: Child) -> ExitStatus {
    let pid = child.id().to_string();
    Command::new("kill").args(["-TERM", &pid]).status().unwrap();
    let begun = Instant::now();
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        // One second is promised; the rest is for a machine with much else to do. The wait itself is of minutes.
        if begun.elapsed() > Duration::from_secs(60) {
            let _ = child.kill();
            panic!("it waited on");
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_stop_during_a_wait_ends_the_run_and_harms_nothing() {
    let world = World::new();
    world.backup(&[]).code(&[0]);
    tree::write(&world.source.join("new"), &Rand(5).bytes(300_000));
    for _ in 0..9 {
        world.server.script("PUT", "dblock", later(503, "300"));
    }
    let had = world.stored("");
    let puts = world.server.seen("PUT").len();
    let url = world.url();
    let args = ["backup", &url, text(&world.source), "--retry-delay=300s"];
    let child = begin(&world, &args, &|| world.server.seen("PUT").len() > puts);
    // The refusal has been sent; the wait begins as soon as it is read.
    std::thread::sleep(Duration::from_millis(200));
    assert_eq!(stop(child).code(), Some(50));
    assert_eq!(world.stored(""), had);
    world.calm();
    fs::remove_file(world.source.join("new")).unwrap();
    assert_eq!(world.restores(&[]).code, 0);
}

#[test]
fn no_thread_is_started_during_any_transfer() {
    let world = World::new();
    world.backup(&[]).code(&[0]);
    tree::write(&world.source.join("more"), &Rand(5).bytes(300_000));
    let url = world.url();
    let to = format!("--restore-path={}", text(&world.scratch.at("never")));
    let backup = ["backup", &url, text(&world.source), "--no-cache"];
    let restore = ["restore", &url, &to, "--no-cache"];
    let list = ["remote", "list", &url];
    let silent = |after| Trouble::Stall(after);
    for (args, method, part, trouble) in [
        (&backup[..], "PUT", "dblock", silent(None)),
        (&restore, "GET", "dblock", silent(Some(100_000))),
        (&list, "GET", "list-type", silent(None)),
    ] {
        let asked = || {
            let seen = world.server.seen(method);
            seen.iter().filter(|s| s.target.contains(part)).count()
        };
        let before = asked();
        world.server.script(method, part, trouble);
        let mut child = begin(&world, args, &|| asked() > before);
        let tasks = fs::read_dir(format!("/proc/{}/task", child.id())).unwrap();
        assert_eq!(tasks.count(), 1, "{args:?}");
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
