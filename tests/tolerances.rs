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
//! | R11 cut and empty volumes | `r11_cut_volumes`, `r11_one_damaged_block` |
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

#[path = "tolerances/archives.rs"]
mod archives;
#[path = "tolerances/blocks.rs"]
mod blocks;
#[path = "tolerances/entries.rs"]
mod entries;
#[path = "tolerances/volumes.rs"]
mod volumes;

use std::cell::Cell;
use std::fs;
use std::path::{Path, PathBuf};

use support::craft::{Algo, LIST_TIME, META, META_TIME, Maker, Volume};
use support::crypt::PASSPHRASE;
use support::snapshot::{Kind, take};
use support::zip::{Style, Zip64};
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
        // A passphrase for volumes that are all plain is refused.
        let sealed = support::names(&dest)
            .iter()
            .any(|n| n.to_string_lossy().ends_with(".aes"));
        let env: &[(&str, &str)] = if sealed {
            &[("PASSPHRASE", PASSPHRASE)]
        } else {
            &[]
        };
        self.scratch.run_env(&args, env)
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
fn basic(m: &Maker, volume: &mut Volume) -> (Vec<String>, Want) {
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
    let (entries, want) = basic(m, &mut volume);
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
