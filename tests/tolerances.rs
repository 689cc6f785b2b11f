//! Whatever was seen in backups of others is read: each tolerance of the format, on backups crafted to need it.
//!
//! | rule | test |
//! |---|---|
//! | R1 manifest of version 1, no `AppVersion` | `r01_old_manifest` |
//! | R2 byte order mark or none | `r02_byte_order_marks` |
//! | R3 no `fileset` | `r03_no_fileset` |
//! | R4 no `metahash` | `r04_no_metadata` |
//! | R5 odd metadata | `r05_odd_metadata` |
//! | R6 zip variants | `r06_zip_variants`, `r06_entry_count_modulo_65536` |
//! | R7 other zip methods and archives | `r07_zip_methods`, `r07_archives` |
//! | R8 index volumes and dblocks that do not pair | `r08_dblock_without_index`, `r08_index_without_dblock`, `r08_index_names_another_suffix`, `r08_index_of_another_state`, `r08_several_indexes` |
//! | R9 no `list/` | `r09_no_blocklist_copies`, `r09_blocklist_lost` |
//! | R10 a block in several dblocks | `r10_repeated_blocks`, `r10_repeated_blocklists` |
//! | R11 cut and empty volumes | `r11_cut_volumes` |
//! | R12 mixed encryption | `r12_mixed_encryption`; mixed archives: `r07_archives` |
//! | R13 foreign files | `r13_foreign_files`, `r13_names_in_any_case` |
//! | R14 links | `r14_links` |
//! | R15 foreign paths | `r15_windows_paths` |
//! | R16 order and absence of folders | `r16_folders_and_links` |
//! | R17 a path twice | `r17_first_of_a_path_wins` |
//! | R18 empty `blocklists` items | `r18_empty_blocklist_items` |
//! | R19 block sizes and hashes | `r19_sizes_and_hashes`, `r19_parameters_of_the_chosen_version` |
//! | R20 version 1 with two hashes | `r20_old_manifest_with_two_hashes` |
//! | R21 AES Crypt variants | `r21_aes_versions` |
//! | R22 versions a second apart | `r22_a_second_apart` |
//! | R23 empty blocks | `r23_empty_blocks` |
//! | R23a `volumehash` by either algorithm | `r23a_volume_hashes` |
//! | R24 content that is not what its hash says | `r24_wrong_file_hash` |
//! | R25 unknown properties and types | `r25_unknown_json` |
//! | R26 any volume size | `r26_any_volume_size` |

#![allow(clippy::unwrap_used, reason = "a test may fail where it stands")]

mod support;

use std::cell::Cell;
use std::fs;
use std::path::{Path, PathBuf};

use support::craft::{Algo, LIST_TIME, META, META_TIME, Maker, Style, Volume, Zip64};
use support::crypt::PASSPHRASE;
use support::snapshot::{Kind, take};
use support::{Ran, Rand, Scratch, text};

/// Contents by name below the restored folder.
type Want = Vec<(String, Vec<u8>)>;

struct Case {
    scratch: Scratch,
    count: Cell<u32>,
}

impl Case {
    fn new(label: &str) -> (Case, Maker) {
        let scratch = Scratch::new(label);
        let maker = Maker::new(scratch.at("dest"));
        let count = Cell::new(0);
        (Case { scratch, count }, maker)
    }

    fn run(&self, command: &str, more: &[&str]) -> Ran {
        let dest = self.scratch.at("dest");
        let args = [&[command, text(&dest), "--no-cache"], more].concat();
        self.scratch.run_env(&args, &[("PASSPHRASE", PASSPHRASE)])
    }

    /// Into a new folder.
    fn restore(&self, more: &[&str]) -> (Ran, PathBuf) {
        self.count.set(self.count.get() + 1);
        let to = self.scratch.folder(&format!("to {}", self.count.get()));
        let place = format!("--restore-path={}", text(&to));
        let args = [&[place.as_str()], more].concat();
        (self.run("restore", &args), to)
    }

    fn verify(&self) -> Ran {
        self.run("verify", &["all"])
    }

    /// Lists, restores and verifies without a word of complaint.
    #[track_caller]
    fn clean(&self, want: &Want) {
        self.restores(want);
        self.verify().code(&[0]);
    }

    #[track_caller]
    fn restores(&self, want: &Want) {
        let listed = self.run("list", &["0"]).code(&[0]);
        for (name, _) in want {
            assert!(listed.out.contains(name), "{name}: {}", listed.all());
        }
        let (ran, to) = self.restore(&[]);
        has(&to, want, &ran);
        ran.code(&[0]);
    }
}

#[track_caller]
fn has(to: &Path, want: &Want, ran: &Ran) {
    for (name, data) in want {
        let got = fs::read(to.join(name));
        let same = got.as_ref().is_ok_and(|g| g == data);
        assert!(same, "{name}: {:?}, {}", got.map(|g| g.len()), ran.all());
    }
}

fn random(seed: u64, len: usize) -> Vec<u8> {
    Rand(seed).bytes(len)
}

fn one(name: &str, data: &[u8]) -> (String, Vec<u8>) {
    (name.to_owned(), data.to_vec())
}

/// A folder `/d/` with a file of five blocks, one of a block, an empty one and a link; entries and contents.
fn entries(m: &Maker, volume: &mut Volume) -> (Vec<String>, Want) {
    let five = random(1, m.block_size * 9 / 2);
    let single = random(2, 100);
    let want = vec![
        one("five", &five),
        one("single", &single),
        one("empty", b""),
    ];
    let mut out = vec![
        m.folder(volume, "/d/", Some(META)),
        m.symlink(volume, "/d/link", "single"),
    ];
    for (name, data) in &want {
        out.push(m.file(volume, &format!("/d/{name}"), data, Some(META)));
    }
    (out, want)
}

const TIME: &str = "20240131T123500Z";

/// Those entries in one dblock, one dindex and one version.
fn simple(m: &Maker) -> Want {
    let mut volume = Volume::new(1);
    let (entries, want) = entries(m, &mut volume);
    m.both(&mut volume);
    m.dlist(TIME, &entries);
    want
}

/// `/d/` with a file `name N` of three blocks in a dblock N of its own for each number; nothing is written yet.
fn apart(m: &Maker, numbers: &[u32]) -> (Vec<Volume>, Vec<String>, Want) {
    let (mut volumes, mut all, mut want) = (Vec::new(), Vec::new(), Want::new());
    for &n in numbers {
        let mut volume = Volume::new(n);
        let data = random(u64::from(n), m.block_size * 5 / 2);
        let name = format!("name {n}");
        all.push(m.file(&mut volume, &format!("/d/{name}"), &data, None));
        want.push((name, data));
        volumes.push(volume);
    }
    (volumes, all, want)
}

fn mtime(path: &Path) -> i128 {
    take(path.parent().unwrap())[path.file_name().unwrap().as_encoded_bytes()].mtime
}

/// R1: a manifest of version 1, and one without `AppVersion`, is accepted.
#[test]
fn r01_old_manifest() {
    for (manifest, app_version) in [(1, false), (1, true), (2, false)] {
        let (case, mut m) = Case::new("r01");
        (m.manifest, m.app_version) = (manifest, app_version);
        case.clean(&simple(&m));
    }
}

/// R2: a byte order mark in manifest, fileset, filelist, metadata and `vol/` is stripped if it is there.
#[test]
fn r02_byte_order_marks() {
    for (bom, vol_bom) in [(false, false), (true, true), (false, true)] {
        let (case, mut m) = Case::new("r02");
        (m.bom, m.vol_bom) = (bom, vol_bom);
        case.clean(&simple(&m));
        let (ran, to) = case.restore(&[]);
        assert_eq!(mtime(&to.join("single")), META_TIME, "{}", ran.all());
    }
}

/// R3: without `fileset` a version is a full backup.
#[test]
fn r03_no_fileset() {
    for (fileset, partial) in [(None, false), (Some(true), false), (Some(false), true)] {
        let (case, mut m) = Case::new("r03");
        m.fileset = fileset;
        case.clean(&simple(&m));
        let ran = case.run("list", &["--full-result"]).code(&[0]);
        assert_eq!(ran.out.contains("partial"), partial, "{}", ran.all());
    }
}

/// R4: without `metahash` an entry has no metadata; `time` is a file's time, and a link without target is told of.
#[test]
fn r04_no_metadata() {
    let (case, m) = Case::new("r04");
    let mut volume = Volume::new(1);
    let mut all = vec![
        m.folder(&mut volume, "/d/", None),
        m.file(&mut volume, "/d/file", b"content", None),
        m.file(&mut volume, "/d/empty", b"", None),
    ];
    m.both(&mut volume);
    m.dlist(TIME, &all);
    case.clean(&vec![one("file", b"content"), one("empty", b"")]);
    let (_, to) = case.restore(&[]);
    for name in ["file", "empty"] {
        assert_eq!(mtime(&to.join(name)), LIST_TIME * 10_000_000);
    }
    all.push(r#"{"type":"Symlink","path":"/d/link"}"#.to_owned());
    m.dlist("20240131T123501Z", &all);
    let (ran, to) = case.restore(&[]);
    has(&to, &vec![one("file", b"content")], &ran);
    ran.code(&[3]).says("/link");
}

/// R5: metadata of nothing, of `null` values and of unknown keys is accepted; what it does not say is as without metadata.
#[test]
fn r05_odd_metadata() {
    let texts = [
        ("{}", LIST_TIME * 10_000_000),
        (
            r#"{"unix:uid-gid-perm":null,"CoreAttributes":null,"CoreLastWritetime":null,"unix-ext:user.x":null}"#,
            LIST_TIME * 10_000_000,
        ),
        (
            r#"{"gsuite:id":"1\ud83e","x":{"y":[1,2]},"n":7,"CoreLastWritetime":"638423012961234567","CoreAttributes":"Future, Odd"}"#,
            META_TIME,
        ),
    ];
    for (meta, time) in texts {
        let (case, m) = Case::new("r05");
        let mut volume = Volume::new(1);
        let all = [
            m.folder(&mut volume, "/d/", Some(meta)),
            m.file(&mut volume, "/d/file", b"content", Some(meta)),
        ];
        m.both(&mut volume);
        m.dlist(TIME, &all);
        case.clean(&vec![one("file", b"content")]);
        let (ran, to) = case.restore(&["--restore-permissions"]);
        let ran = ran.code(&[0]);
        assert_eq!(mtime(&to.join("file")), time, "{meta}: {}", ran.all());
    }
}

/// R6: zip64 with and without marks, descriptors, every deflate level, empty deflated entries, `\` in names, comments.
#[test]
fn r06_zip_variants() {
    let style = Style::default();
    let deflated = Style {
        method: 8,
        level: 9,
        ..style
    };
    let all = [
        deflated,
        Style {
            level: 0,
            ..deflated
        },
        Style {
            descriptors: true,
            ..style
        },
        Style {
            descriptors: true,
            ..deflated
        },
        Style {
            zip64: Zip64::Marked,
            ..style
        },
        Style {
            zip64: Zip64::Marked,
            descriptors: true,
            ..deflated
        },
        Style {
            zip64: Zip64::Unmarked,
            ..deflated
        },
        Style {
            backslash: true,
            ..style
        },
        Style {
            comment: "a comment with PK\x05\x06 in it, and some more after that",
            ..style
        },
    ];
    for style in all {
        let (case, mut m) = Case::new("r06");
        m.style = style;
        case.clean(&simple(&m));
    }
    let (case, mut m) = Case::new("r06-empty");
    m.style = Style {
        empty_deflated: true,
        ..deflated
    };
    let mut volume = Volume::new(1);
    let (entries, want) = entries(&m, &mut volume);
    volume.block(Algo::Sha256, b"");
    m.both(&mut volume);
    m.dlist(TIME, &entries);
    case.clean(&want);
}

/// R6: the count of entries in the end record is the true one modulo 65536.
#[test]
fn r06_entry_count_modulo_65536() {
    let (case, mut m) = Case::new("r06-count");
    m.style.zip64 = Zip64::Unmarked;
    let mut volume = Volume::new(1);
    for n in 0..65_600u32 {
        let data = n.to_be_bytes();
        // Not through `block`, which looks for the same block.
        volume.blocks.push((Algo::Sha256.b64(&data), data.to_vec()));
    }
    let (entries, want) = entries(&m, &mut volume);
    m.both(&mut volume);
    m.dlist(TIME, &entries);
    case.clean(&want);
}

/// R7: a zip method that cannot be read is named with its volume, and the rest is restored.
#[test]
fn r07_zip_methods() {
    for method in [9, 12, 14, 93, 98] {
        let (case, mut m) = Case::new("r07");
        let (mut volumes, all, want) = apart(&m, &[1, 2]);
        m.both(&mut volumes[0]);
        m.dlist(TIME, &all);
        m.style.method = method;
        m.dblock(&mut volumes[1]);
        m.style.method = 0;
        let vol = m.vol(&volumes[1]);
        m.dindex(2, &[(&volumes[1].name, vol)], &volumes[1].lists);
        let named = format!("zip method {method}");
        let (ran, to) = case.restore(&[]);
        has(&to, &want[..1].to_vec(), &ran);
        let ran = ran.code(&[3]).says(&volumes[1].name).says(&named);
        ran.says("name 2");
        case.verify().code(&[3]).says(&volumes[1].name).says(&named);
    }
    // An index volume of such a method costs only the look into its dblock.
    let (case, mut m) = Case::new("r07-index");
    let (mut volumes, all, want) = apart(&m, &[1]);
    m.dblock(&mut volumes[0]);
    m.dlist(TIME, &all);
    m.style.method = 12;
    let vol = m.vol(&volumes[0]);
    let index = m.dindex(1, &[(&volumes[0].name, vol)], &[]);
    let (ran, to) = case.restore(&[]);
    has(&to, &want, &ran);
    ran.code(&[2]).says(&index).says("zip method 12");
}

/// R7, R12: other archives are named, and the rest is restored; `tgz` too, which a reader need not know.
#[test]
fn r07_archives() {
    for compression in ["7z", "tzstd", "tgz"] {
        let (case, mut m) = Case::new("r07-archive");
        let (mut volumes, all, want) = apart(&m, &[1, 2]);
        m.both(&mut volumes[0]);
        m.dlist(TIME, &all);
        m.compression = compression;
        m.dblock(&mut volumes[1]);
        m.compression = "zip";
        let vol = m.vol(&volumes[1]);
        m.dindex(2, &[(&volumes[1].name, vol)], &volumes[1].lists);
        let (ran, to) = case.restore(&[]);
        has(&to, &want[..1].to_vec(), &ran);
        ran.code(&[3]).says(&volumes[1].name).says("name 2");
        case.verify()
            .code(&[3])
            .says(&volumes[1].name)
            .says(compression);
        // An older version in such an archive is no reason to stop.
        m.compression = compression;
        let odd = m.dlist("20240131T123459Z", &all);
        case.run("list", &[]).code(&[0]).says("2024-01-31");
        case.run("list", &["1"])
            .code(&[100])
            .says(&odd)
            .says(compression);
    }
}

/// R8: a dblock that no index volume describes is opened.
#[test]
fn r08_dblock_without_index() {
    for indexed in [&[][..], &[2]] {
        let (case, m) = Case::new("r08-no-index");
        let (mut volumes, all, want) = apart(&m, &[1, 2]);
        for volume in &mut volumes {
            if indexed.contains(&volume.guid) {
                m.both(volume);
            } else {
                m.dblock(volume);
            }
        }
        m.dlist(TIME, &all);
        case.restores(&want);
        if indexed.is_empty() {
            case.verify().code(&[0]);
        } else {
            case.verify().code(&[3]).says(&volumes[0].name);
        }
    }
}

/// R8: an index volume whose dblock is gone is ignored unless its blocks are needed.
#[test]
fn r08_index_without_dblock() {
    let (case, m) = Case::new("r08-no-dblock");
    let (mut volumes, all, want) = apart(&m, &[1, 2]);
    for volume in &mut volumes {
        m.both(volume);
    }
    fs::remove_file(m.dest.join(&volumes[1].name)).unwrap();
    m.dlist(TIME, &all[..1]);
    case.restores(&want[..1].to_vec());
    case.verify().code(&[3]).says(&volumes[1].name);
    m.dlist("20240131T123501Z", &all);
    let (ran, to) = case.restore(&[]);
    has(&to, &want[..1].to_vec(), &ran);
    ran.code(&[3]).says(&volumes[1].name).says("name 2");
}

/// R8: an index volume made before its dblock was encrypted or packed anew means the dblock with the same number.
#[test]
fn r08_index_names_another_suffix() {
    let (case, m) = Case::new("r08-suffix");
    let (mut volumes, all, want) = apart(&m, &[1]);
    m.dblock(&mut volumes[0]);
    // Its hash and size are those of another file, so that they say nothing.
    let vol = m.vol(&volumes[0]);
    let vol = format!("{}}}", vol.split_once(",\"volumehash\"").unwrap().0);
    m.dindex(
        1,
        &[(&format!("{}.aes", volumes[0].name), vol)],
        &volumes[0].lists,
    );
    m.dlist(TIME, &all);
    case.clean(&want);
}

/// R8: the same when the index volume still states hash and size of the dblock as it was.
#[test]
fn r08_index_of_another_state() {
    let (case, mut m) = Case::new("r08-state");
    let (mut volumes, all, want) = apart(&m, &[1, 2]);
    m.both(&mut volumes[1]);
    m.aes = Some(2);
    m.dblock(&mut volumes[0]);
    let (name, vol) = (volumes[0].name.clone(), m.vol(&volumes[0]));
    fs::remove_file(m.dest.join(&name)).unwrap();
    m.aes = None;
    m.dblock(&mut volumes[0]);
    m.dindex(1, &[(&name, vol)], &volumes[0].lists);
    m.dlist(TIME, &all);
    let (ran, to) = case.restore(&[]);
    has(&to, &want, &ran);
    ran.code(&[0, 2]);
    case.verify().code(&[3]).says(&name);
}

/// R8: several index volumes for one dblock are merged, and one index volume may describe several dblocks.
#[test]
fn r08_several_indexes() {
    let (case, m) = Case::new("r08-several");
    let (mut volumes, all, want) = apart(&m, &[1, 2]);
    for volume in &mut volumes {
        m.dblock(volume);
    }
    m.dlist(TIME, &all);
    let mut halves = [volumes[0].clone(), volumes[0].clone()];
    halves[0].blocks.truncate(2);
    halves[1].blocks.drain(..2);
    m.dindex(
        1,
        &[
            (&volumes[0].name, m.vol(&halves[0])),
            (&volumes[1].name, m.vol(&volumes[1])),
        ],
        &[],
    );
    m.dindex(
        3,
        &[(&volumes[0].name, m.vol(&halves[1]))],
        &volumes[0].lists,
    );
    m.dindex(
        4,
        &[(&volumes[1].name, m.vol(&volumes[1]))],
        &volumes[1].lists,
    );
    case.clean(&want);
}

/// R9: a blocklist without a copy in an index volume is taken from its dblock.
#[test]
fn r09_no_blocklist_copies() {
    let (case, m) = Case::new("r09");
    let (mut volumes, all, want) = apart(&m, &[1, 2]);
    for volume in &mut volumes {
        m.dblock(volume);
        m.dindex(volume.guid, &[(&volume.name, m.vol(volume))], &[]);
    }
    m.dlist(TIME, &all);
    case.clean(&want);
}

/// R9, R11: when that dblock cannot be read either, the volume and the file are named.
#[test]
fn r09_blocklist_lost() {
    let (case, m) = Case::new("r09-lost");
    let (mut volumes, all, want) = apart(&m, &[1, 2]);
    // The blocklist of the second file alone in a third dblock.
    let mut third = Volume::new(3);
    let list = volumes[1].lists[0].clone();
    volumes[1].blocks.retain(|b| b.0 != list.0);
    third.blocks.push(list);
    volumes.push(third);
    for volume in &mut volumes {
        m.dblock(volume);
        m.dindex(volume.guid, &[(&volume.name, m.vol(volume))], &[]);
    }
    m.dlist(TIME, &all);
    case.clean(&want);
    let path = m.dest.join(&volumes[2].name);
    let good = fs::read(&path).unwrap();
    let mut bad = good.clone();
    for b in &mut bad[40..] {
        *b ^= 0x55;
    }
    fs::write(&path, bad).unwrap();
    let (ran, to) = case.restore(&[]);
    has(&to, &want[..1].to_vec(), &ran);
    ran.code(&[3]).says("name 2").says(&volumes[2].name);
    case.verify()
        .code(&[3])
        .says("name 2")
        .says(&volumes[2].name);
}

/// Damages the content of a stored block in a volume, and nothing else; the sizes stay.
fn spoil(path: &Path, block: &[u8]) {
    let mut bytes = fs::read(path).unwrap();
    let at = bytes.windows(block.len()).position(|w| w == block).unwrap();
    bytes[at + block.len() / 2] ^= 1;
    fs::write(path, bytes).unwrap();
}

/// R10: of a block in several dblocks any will do, and when one is damaged, another.
#[test]
fn r10_repeated_blocks() {
    for victim in [0, 1] {
        let (case, m) = Case::new("r10");
        let (mut volumes, all, want) = apart(&m, &[1]);
        volumes.push(Volume {
            guid: 2,
            ..volumes[0].clone()
        });
        for volume in &mut volumes {
            m.both(volume);
        }
        m.dlist(TIME, &all);
        case.clean(&want);
        let path = m.dest.join(&volumes[victim].name);
        spoil(&path, &volumes[victim].blocks[1].1);
        let (ran, to) = case.restore(&[]);
        has(&to, &want, &ran);
        // Nothing of the file is lost; what is damaged may have been met on the way.
        ran.code(&[0, 2, 3]);
        case.verify().code(&[3]).says(&volumes[victim].name);
        fs::write(&path, b"").unwrap();
        let (ran, to) = case.restore(&[]);
        has(&to, &want, &ran);
        ran.code(&[0, 2, 3]);
    }
}

/// R10: the same for blocklists without copies.
#[test]
fn r10_repeated_blocklists() {
    for victim in [0, 1] {
        let (case, m) = Case::new("r10-lists");
        let (mut volumes, all, want) = apart(&m, &[1]);
        volumes.push(Volume {
            guid: 2,
            ..volumes[0].clone()
        });
        for volume in &mut volumes {
            m.dblock(volume);
            m.dindex(volume.guid, &[(&volume.name, m.vol(volume))], &[]);
        }
        m.dlist(TIME, &all);
        spoil(
            &m.dest.join(&volumes[victim].name),
            &volumes[victim].lists[0].1,
        );
        let (ran, to) = case.restore(&[]);
        has(&to, &want, &ran);
        ran.code(&[0, 2, 3]);
        case.verify().code(&[3]).says(&volumes[victim].name);
    }
}

/// R11: cut and empty volumes are reported; only those that are needed cost anything.
#[test]
fn r11_cut_volumes() {
    let (case, m) = Case::new("r11");
    let want = simple(&m);
    let mut whole = Volume::new(9);
    whole.block(Algo::Sha256, &random(9, 900));
    m.dblock(&mut whole);
    let path = m.dest.join(&whole.name);
    let good = fs::read(&path).unwrap();
    for data in [&good[..good.len() / 2], &good[..10], b""] {
        // A dblock of an interrupted run, which nothing needs.
        fs::write(&path, data).unwrap();
        case.restores(&want);
        // An index volume: all dblocks it may have meant are looked into.
        let index = m.dest.join(m.name("dindex", 8));
        fs::write(&index, data).unwrap();
        let (ran, to) = case.restore(&[]);
        has(&to, &want, &ran);
        let ran = ran.code(&[0, 2]);
        if data.len() < 20 {
            ran.says(&m.name("dindex", 8));
        }
        case.verify().code(&[3]).says(&m.name("dindex", 8));
        fs::remove_file(index).unwrap();
        // The newest version: the one before is restored unless it is asked for.
        let newest = m.dest.join("duplicati-20240201T000000Z.dlist.zip");
        fs::write(&newest, data).unwrap();
        case.run("list", &[]).code(&[0]).says("2024-01-31");
        let (ran, to) = case.restore(&[]);
        has(&to, &want, &ran);
        ran.code(&[2, 3]).says("20240201T000000Z");
        let (ran, to) = case.restore(&["--version=1"]);
        has(&to, &want, &ran);
        ran.code(&[0]);
        let (ran, _) = case.restore(&["--version=0"]);
        ran.code(&[100]).says("20240201T000000Z");
        case.verify().code(&[3]).says("20240201T000000Z");
        fs::remove_file(newest).unwrap();
    }
}

/// R12: what is encrypted is told by each name; a passphrase is asked for when one of them says so.
#[test]
fn r12_mixed_encryption() {
    for (dblock, dindex, dlist) in [
        (true, false, false),
        (false, true, false),
        (false, false, true),
    ] {
        let (case, mut m) = Case::new("r12");
        let (mut volumes, all, want) = apart(&m, &[1, 2]);
        m.both(&mut volumes[1]);
        let set = |m: &mut Maker, on: bool| m.aes = on.then_some(2);
        set(&mut m, dblock);
        m.dblock(&mut volumes[0]);
        let vol = m.vol(&volumes[0]);
        set(&mut m, dindex);
        m.dindex(1, &[(&volumes[0].name, vol)], &volumes[0].lists);
        set(&mut m, dlist);
        m.dlist(TIME, &all);
        case.clean(&want);
        // The volumes that need no passphrase say nothing about it.
        let dest = case.scratch.at("dest");
        let place = format!("--restore-path={}", text(&case.scratch.folder("to wrong")));
        let args = ["restore", text(&dest), "--no-cache", &place];
        let ran = case.scratch.run_env(&args, &[("PASSPHRASE", "wrong")]);
        assert!(!ran.err.contains("accept the passphrase"), "{}", ran.all());
        ran.code(&[2, 3, 100]).says("passphrase");
    }
}

/// R13: other prefixes, parity companions, the verification file and strays are ignored.
#[test]
fn r13_foreign_files() {
    let (case, m) = Case::new("r13");
    let want = simple(&m);
    let names: Vec<_> = support::names(&m.dest);
    for name in names {
        let name = name.to_str().unwrap();
        fs::write(m.dest.join(format!("{name}.par2")), b"parity").unwrap();
        fs::write(m.dest.join(format!("{name}.PAR2")), b"parity").unwrap();
        fs::write(
            m.dest
                .join(name.replace("duplicati", "DUPLICATI").to_uppercase()),
            b"",
        )
        .unwrap();
    }
    for name in [
        "duplicati-verification.json",
        "duplicati-access-privileges-test.tmp",
        "holiday.jpg",
        "duplicati-20249931T123500Z.dlist.zip",
        "duplicati-b12.dblock",
        "duplicati.dblock.zip",
    ] {
        fs::write(m.dest.join(name), b"not a volume").unwrap();
    }
    fs::create_dir(m.dest.join("duplicati-20240201T123500Z.dlist.zip")).unwrap();
    case.clean(&want);
    // A second backup in the folder: which one has to be said.
    let mut other = m.clone();
    other.prefix = "other";
    let mut volume = Volume::new(1);
    let entry = other.file(&mut volume, "/o/file", b"other content", None);
    other.both(&mut volume);
    other.dlist(TIME, &[entry]);
    case.run("list", &["0"])
        .code(&[100])
        .says("duplicati, other")
        .says("--prefix");
    let (ran, to) = case.restore(&["--prefix=duplicati"]);
    has(&to, &want, &ran);
    ran.code(&[0]);
    let (ran, to) = case.restore(&["--prefix=other"]);
    has(&to, &vec![one("file", b"other content")], &ran);
    ran.code(&[0]);
}

/// R13: names are matched without case on request, and read under the name they have.
#[test]
fn r13_names_in_any_case() {
    for upper in [
        &["dblock"][..],
        &["dindex"],
        &["dlist"],
        &["dblock", "dindex", "dlist"],
    ] {
        let (case, m) = Case::new("r13-case");
        let want = simple(&m);
        for name in support::names(&m.dest) {
            let name = name.to_str().unwrap();
            if upper.iter().any(|u| name.contains(u)) {
                fs::rename(m.dest.join(name), m.dest.join(name.to_uppercase())).unwrap();
            }
        }
        let (ran, to) = case.restore(&["--case-insensitive-remote"]);
        has(&to, &want, &ran);
        ran.code(&[0]);
        case.run("verify", &["all", "--case-insensitive-remote"])
            .code(&[0]);
        if upper.len() == 3 {
            case.run("list", &["0"]).code(&[100]);
        }
        // A run on top continues it.
        let source = case.scratch.folder("source");
        fs::write(source.join("new"), b"new content").unwrap();
        case.run(
            "backup",
            &[
                text(&source),
                "--case-insensitive-remote",
                "--no-encryption",
            ],
        )
        .code(&[0]);
        for (version, want) in [("0", vec![one("new", b"new content")]), ("1", want)] {
            let version = format!("--version={version}");
            let (ran, to) = case.restore(&["--case-insensitive-remote", &version]);
            has(&to, &want, &ran);
            ran.code(&[0]);
        }
    }
}

/// R14: a separator after a link's path is stripped; links are made as they are and never followed.
#[test]
fn r14_links() {
    let (case, m) = Case::new("r14");
    let outside = case.scratch.folder("outside");
    let mut volume = Volume::new(1);
    let links = [
        ("to-folder/", "folder"),
        ("outside", text(&outside)),
        ("up/", "../../outside"),
        ("plain", "no/such\nthing"),
    ];
    let mut all = vec![m.folder(&mut volume, "/d/", None)];
    for (name, target) in links {
        all.push(m.symlink(&mut volume, &format!("/d/{name}"), target));
    }
    all.push(m.file(&mut volume, "/d/folder/file", b"content", None));
    m.both(&mut volume);
    m.dlist(TIME, &all);
    case.clean(&vec![one("folder/file", b"content")]);
    let (ran, to) = case.restore(&[]);
    for (name, target) in links {
        let at = to.join(name.trim_end_matches('/'));
        assert_eq!(
            fs::read_link(&at).unwrap(),
            Path::new(target),
            "{}",
            ran.all()
        );
    }
    assert!(support::names(&outside).is_empty());
}

/// R15: drive letters and servers become folders; alternate streams become files beside theirs.
#[test]
fn r15_windows_paths() {
    let (case, m) = Case::new("r15");
    let mut volume = Volume::new(1);
    let files = [
        (r"C:\Users\a\x.txt", "C/Users/a/x.txt"),
        (r"C:\Users\a\x.txt:stream", "C/Users/a/x.txt:stream"),
        (r"D:\y", "D/y"),
        (r"\\server\share\z", "server/share/z"),
    ];
    let mut all = vec![
        m.folder(&mut volume, r"C:\Users\", Some(META)),
        m.symlink(&mut volume, r"C:\Users\link\", r"a\x.txt"),
    ];
    let mut want = Want::new();
    for (path, to) in files {
        all.push(m.file(&mut volume, path, path.as_bytes(), Some(META)));
        want.push(one(to, path.as_bytes()));
    }
    all.push(m.file(&mut volume, r"C:\Users\..\..\evil", b"evil", None));
    m.both(&mut volume);
    m.dlist(TIME, &all);
    case.run("list", &["0"]).code(&[0]).says(r"x.txt:stream");
    case.verify().code(&[0]);
    let (ran, to) = case.restore(&[]);
    has(&to, &want, &ran);
    // One path leads out of the target: it is named, the rest is there.
    ran.code(&[3]).says("evil");
    assert!(
        fs::symlink_metadata(to.join("C/Users/link"))
            .unwrap()
            .is_symlink()
    );
    assert!(!to.join("evil").exists() && !to.join("C/evil").exists());
    // Below one folder its path is left out.
    let (ran, to) = case.restore(&[r"C:\Users\a\*"]);
    has(&to, &vec![one("x.txt", files[0].0.as_bytes())], &ran);
    ran.code(&[0]);
    // Such paths do not exist here.
    case.run("restore", &[]).code(&[200]).says("--restore-path");
}

/// R16: folders are made when no entry speaks of them or only a later one does; links come last and are not written through.
#[test]
fn r16_folders_and_links() {
    let (case, m) = Case::new("r16");
    let outside = case.scratch.folder("outside");
    let mut volume = Volume::new(1);
    let all = [
        m.file(&mut volume, "/d/none/deep/file", b"no folder entry", None),
        m.file(&mut volume, "/d/later/file", b"folder entry later", None),
        m.symlink(&mut volume, "/d/both", text(&outside)),
        m.file(&mut volume, "/d/both/file", b"below a link", None),
        m.folder(&mut volume, "/d/later/", Some(META)),
        m.folder(&mut volume, "/d/", Some(META)),
    ];
    m.both(&mut volume);
    m.dlist(TIME, &all);
    let (ran, to) = case.restore(&[]);
    let want = vec![
        one("none/deep/file", b"no folder entry"),
        one("later/file", b"folder entry later"),
        one("both/file", b"below a link"),
    ];
    has(&to, &want, &ran);
    ran.code(&[0, 2, 3]);
    assert!(support::names(&outside).is_empty());
    let got = take(&to);
    // The folder's own time, although a file was made in it afterwards.
    assert_eq!(got[&b"later"[..]].mtime, META_TIME);
    assert_eq!(got[&b"both"[..]].kind, Kind::Folder);
    // A second restore over the first changes nothing outside either.
    let place = format!("--restore-path={}", text(&to));
    case.run("restore", &[&place, "--overwrite"]).sane();
    assert!(support::names(&outside).is_empty());
    case.verify().code(&[0]);
}

/// R17: of entries with one path the first in the list wins, and the path is warned about.
#[test]
fn r17_first_of_a_path_wins() {
    let contents: Vec<Vec<u8>> = (0..6u64).map(|n| random(n, 20)).collect();
    for first in 0..contents.len() {
        let (case, m) = Case::new("r17");
        let mut volume = Volume::new(1);
        let mut all = vec![m.folder(&mut volume, "/d/", None)];
        for i in 0..contents.len() {
            let data = &contents[(first + i) % contents.len()];
            all.push(m.file(&mut volume, "/d/twice", data, None));
        }
        all.push(m.symlink(&mut volume, "/d/twice/", "elsewhere"));
        all.push(m.file(&mut volume, "/d/once", b"once", None));
        m.both(&mut volume);
        m.dlist(TIME, &all);
        let (ran, to) = case.restore(&[]);
        has(
            &to,
            &vec![one("twice", &contents[first]), one("once", b"once")],
            &ran,
        );
        ran.code(&[2]).says("/d/twice");
    }
    // A link first, then a file.
    let (case, m) = Case::new("r17-link");
    let mut volume = Volume::new(1);
    let all = [
        m.symlink(&mut volume, "/d/twice", "elsewhere"),
        m.file(&mut volume, "/d/twice", b"file", None),
        m.file(&mut volume, "/d/once", b"once", None),
    ];
    m.both(&mut volume);
    m.dlist(TIME, &all);
    let (ran, to) = case.restore(&[]);
    assert!(fs::read_link(to.join("twice")).is_ok(), "{}", ran.all());
    ran.code(&[2]).says("/d/twice");
}

/// R18: `null` and empty strings among `blocklists` are passed over.
#[test]
fn r18_empty_blocklist_items() {
    let (case, m) = Case::new("r18");
    let mut volume = Volume::new(1);
    let data = random(3, 40_000);
    let entry = m.file(&mut volume, "/d/file", &data, Some(META));
    let (head, lists) = entry.split_once("\"blocklists\":[").unwrap();
    let lists = lists.replace("\",\"", "\",null,\"\",\"");
    let lists = lists.replace(']', ",null,\"\"]");
    let entry = format!("{head}\"blocklists\":[null,\"\",{lists}");
    assert_eq!(entry.matches("null").count(), 3, "{entry}");
    let small = m.file(&mut volume, "/d/small", b"small", None);
    let small = small.replace("\"size\":5", "\"size\":5,\"blocklists\":[null,\"\"]");
    m.both(&mut volume);
    m.dlist(TIME, &[entry, small]);
    case.clean(&vec![one("file", &data), one("small", b"small")]);
}

/// R19: block size and hash algorithms are those of the manifest.
#[test]
fn r19_sizes_and_hashes() {
    use Algo::{Md5, Sha1, Sha256, Sha384, Sha512};
    for (size, block, file) in [
        (1024, Sha256, Sha256),
        (1025, Md5, Md5),
        (1500, Sha1, Sha1),
        (4097, Sha384, Sha384),
        (102_400, Sha512, Sha512),
        (2048, Sha256, Sha512),
        (2048, Sha512, Sha256),
        (2048, Md5, Sha1),
    ] {
        let (case, mut m) = Case::new("r19");
        (m.block_size, m.block_hash, m.file_hash) = (size, block, file);
        case.clean(&simple(&m));
        // Several blocklists, and metadata of more than a block.
        let (case, mut m) = Case::new("r19-lists");
        (m.block_size, m.block_hash, m.file_hash) = (size, block, file);
        let mut volume = Volume::new(1);
        let per_list = size / block.raw(b"").len();
        let data = random(7, (size * per_list * 2 + size / 2).min(3 << 20));
        let meta = format!(
            r#"{{"unix:uid-gid-perm":"1000-1000-420","x":"{}","CoreLastWritetime":"638423012961234567"}}"#,
            "y".repeat(size * 2)
        );
        let entry = m.file(&mut volume, "/d/file", &data, Some(&meta));
        m.both(&mut volume);
        m.dlist(TIME, &[entry]);
        case.clean(&vec![one("file", &data)]);
        let (_, to) = case.restore(&[]);
        assert_eq!(mtime(&to.join("file")), META_TIME);
    }
}

/// R19: of two backups with other parameters in one folder the chosen version's are used.
#[test]
fn r19_parameters_of_the_chosen_version() {
    let (case, mut m) = Case::new("r19-two");
    let mut want = Want::new();
    for (guid, size, time) in [(1, 1024, "20240131T123500Z"), (2, 2048, "20240131T123600Z")] {
        m.block_size = size;
        let mut volume = Volume::new(guid);
        let data = random(u64::from(guid), 5000);
        let entry = m.file(&mut volume, "/d/file", &data, Some(META));
        m.both(&mut volume);
        m.dlist(time, &[entry]);
        want.push(one("file", &data));
    }
    for (version, want) in [("--version=0", &want[1]), ("--version=1", &want[0])] {
        let (ran, to) = case.restore(&[version]);
        has(&to, &vec![want.clone()], &ran);
        // The other's index volumes are not understood, which is worth a warning.
        ran.code(&[2]).says("its manifest says");
    }
}

/// R20: manifest 1 with two algorithms: metadata goes by the block's, files of one block cannot be found and are reported.
#[test]
fn r20_old_manifest_with_two_hashes() {
    let (case, mut m) = Case::new("r20");
    (m.manifest, m.block_hash, m.file_hash) = (1, Algo::Sha256, Algo::Sha512);
    let mut volume = Volume::new(1);
    let (entries, want) = entries(&m, &mut volume);
    m.both(&mut volume);
    m.dlist(TIME, &entries);
    let (ran, to) = case.restore(&[]);
    let whole: Want = want.into_iter().filter(|w| w.0 != "single").collect();
    has(&to, &whole, &ran);
    let ran = ran.code(&[3]).says("single");
    assert!(!to.join("single").exists(), "{}", ran.all());
    assert!(!ran.err.contains("metadata"), "{}", ran.all());
    for name in ["five", "empty"] {
        assert_eq!(mtime(&to.join(name)), META_TIME);
    }
    // What cannot be restored is not called whole.
    case.verify().code(&[3]).says("/d/single");
}

/// R21: AES Crypt 0 to 3, any extension, garbage for padding, high bits beside the length.
#[test]
fn r21_aes_versions() {
    for version in 0..=3 {
        // Archives of every length modulo 16.
        for comment in ["", "1", "four", "1234567", "123456789012345"] {
            let (case, mut m) = Case::new("r21");
            (m.aes, m.style.comment) = (Some(version), comment);
            case.clean(&simple(&m));
            let dest = case.scratch.at("dest");
            let args = ["list", text(&dest), "0", "--no-cache"];
            let ran = case.scratch.run_env(&args, &[("PASSPHRASE", "wrong")]);
            ran.code(&[100]);
        }
    }
}

/// R22: versions a second apart, with gaps, are versions like any other.
#[test]
fn r22_a_second_apart() {
    let (case, m) = Case::new("r22");
    let (mut volumes, all, want) = apart(&m, &[1, 2, 3]);
    for volume in &mut volumes {
        m.both(volume);
    }
    let times = ["20240131T123459Z", "20240131T123500Z", "20240229T000000Z"];
    for (time, entry) in times.iter().zip(&all) {
        m.dlist(time, &[entry.clone()]);
    }
    let listed = case.run("list", &[]).code(&[0]);
    for time in ["12:34:59", "12:35:00", "00:00:00"] {
        assert!(listed.out.contains(time), "{}", listed.all());
    }
    for (i, one) in want.iter().rev().enumerate() {
        let (ran, to) = case.restore(&[&format!("--version={i}")]);
        has(&to, &vec![one.clone()], &ran);
        assert_eq!(support::names(&to).len(), 1);
        ran.code(&[0]);
    }
    let (ran, to) = case.restore(&["--time=2024-01-31T12:34:59Z"]);
    has(&to, &want[..1].to_vec(), &ran);
    ran.code(&[0]);
    case.run("verify", &["all"]).code(&[0]);
}

/// R23: a block of no bytes in a dblock and its index is ignored.
#[test]
fn r23_empty_blocks() {
    for indexed in [true, false] {
        let (case, m) = Case::new("r23");
        let mut volume = Volume::new(1);
        volume.block(Algo::Sha256, b"");
        let (mut entries, want) = entries(&m, &mut volume);
        // An empty file that refers to it.
        let id = Algo::Sha256.b64(b"");
        entries.push(m.file(&mut volume, "/d/also", b"", None).replace(
            "\"size\":0",
            &format!("\"size\":0,\"blockhash\":\"{id}\",\"blocksize\":0"),
        ));
        if indexed {
            m.both(&mut volume);
        } else {
            m.dblock(&mut volume);
        }
        m.dlist(TIME, &entries);
        case.clean(&[want, vec![one("also", b"")]].concat());
    }
}

/// R23a: `volumehash` is SHA256 or by the file hash algorithm; any other value is damage.
#[test]
fn r23a_volume_hashes() {
    for file in [Algo::Sha512, Algo::Sha1, Algo::Sha256] {
        for hash in [Algo::Sha256, file] {
            let (case, mut m) = Case::new("r23a");
            (m.file_hash, m.volume_hash) = (file, hash);
            case.clean(&simple(&m));
        }
        let (case, mut m) = Case::new("r23a-wrong");
        (m.file_hash, m.volume_hash) = (file, file);
        let mut volume = Volume::new(1);
        let (entries, _) = entries(&m, &mut volume);
        m.dblock(&mut volume);
        volume.hash = file.b64(b"something else");
        m.dindex(1, &[(&volume.name, m.vol(&volume))], &volume.lists);
        m.dlist(TIME, &entries);
        let (ran, _) = case.restore(&[]);
        ran.code(&[3]).says(&volume.name);
        case.verify().code(&[3]).says(&volume.name);
    }
}

/// R24: a file that is not what its hash says although all blocks are good is restored and reported.
#[test]
fn r24_wrong_file_hash() {
    let (case, m) = Case::new("r24");
    let mut volume = Volume::new(1);
    let (long, short) = (random(4, 5000), random(5, 300));
    let right = Algo::Sha256.b64(&long);
    let wrong = Algo::Sha256.b64(b"what it was when reading began");
    let long_entry = m.file(&mut volume, "/d/long", &long, Some(META));
    let long_entry = long_entry.replace(&right, &wrong);
    let id = Algo::Sha256.b64(&short);
    let short_entry = m.file(&mut volume, "/d/short", &short, Some(META));
    let short_entry = short_entry.replace(
        &format!("\"hash\":\"{id}\",\"size\":300"),
        &format!("\"hash\":\"{wrong}\",\"size\":300,\"blockhash\":\"{id}\",\"blocksize\":300"),
    );
    let good = m.file(&mut volume, "/d/good", b"good", None);
    m.both(&mut volume);
    m.dlist(TIME, &[long_entry, short_entry, good]);
    let (ran, to) = case.restore(&[]);
    let want = vec![
        one("long", &long),
        one("short", &short),
        one("good", b"good"),
    ];
    has(&to, &want, &ran);
    let ran = ran.code(&[3]).says("/long").says("/short");
    assert!(!ran.err.contains("/good"), "{}", ran.all());
    assert_eq!(support::names(&to).len(), 3);
}

/// R25: unknown properties anywhere, any order of them, and unknown types of entries are ignored.
#[test]
fn r25_unknown_json() {
    let (case, mut m) = Case::new("r25");
    m.unknown = true;
    let mut volume = Volume::new(1);
    let (mut all, mut want) = entries(&m, &mut volume);
    let data = random(6, 3000);
    let entry = m.file(&mut volume, "/d/mixed", &data, Some(META));
    // Backwards: the properties of these entries hold no comma.
    let mut parts: Vec<&str> = entry.trim_matches(['{', '}']).split(',').collect();
    parts.reverse();
    parts.insert(
        2,
        r#""future":{"type":"Folder","path":["/x",null,{"size":-1.5e300}]}"#,
    );
    all.push(format!("{{ {} }}", parts.join(" ,\n")));
    want.push(one("mixed", &data));
    all.push(r#"{"type":"Fifo","path":"/d/fifo","major":3}"#.to_owned());
    all.insert(0, r#"{"path":"/elsewhere/x","type":"Door"}"#.to_owned());
    m.both(&mut volume);
    m.dlist(TIME, &all);
    case.clean(&want);
    let (_, to) = case.restore(&[]);
    assert!(!to.join("fifo").exists());
}

/// R26: volumes of any size side by side: nothing states a limit.
#[test]
fn r26_any_volume_size() {
    let (case, mut m) = Case::new("r26");
    m.block_size = 102_400;
    let mut want = Want::new();
    let mut all = Vec::new();
    for (guid, blocks) in [(1, 1), (2, 40), (3, 600), (4, 2)] {
        let mut volume = Volume::new(guid);
        let data = random(u64::from(guid), m.block_size * blocks);
        let name = format!("file {guid}");
        all.push(m.file(&mut volume, &format!("/d/{name}"), &data, Some(META)));
        want.push((name, data));
        m.both(&mut volume);
        if guid > 2 {
            assert_eq!(volume.size > 52_428_800, guid == 3);
        }
    }
    m.dlist(TIME, &all);
    case.clean(&want);
}
