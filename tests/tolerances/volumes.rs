//! Which volumes there are: without partners, repeated, damaged, foreign, oddly named.

use super::*;

/// Damages the content of a stored block in a volume, and nothing else; the sizes stay.
fn spoil(path: &Path, block: &[u8]) {
    let mut bytes = fs::read(path).unwrap();
    let at = bytes.windows(block.len()).position(|w| w == block).unwrap();
    bytes[at + block.len() / 2] ^= 1;
    fs::write(path, bytes).unwrap();
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

/// R8: an index that lacks what its volume holds, or states other sizes, costs time and no data: nothing passes for lost.
#[test]
fn r08_index_lacks_blocks() {
    for how in ["one", "list", "all", "sizes"] {
        let (case, m) = Case::new("r08-lacks");
        let (mut volumes, all, want) = apart(&m, &[1, 2]);
        for volume in &mut volumes {
            m.dblock(volume);
        }
        m.dlist(TIME, &all);
        let mut told = volumes[0].clone();
        match how {
            "one" => drop(told.blocks.remove(0)),
            "list" => told
                .blocks
                .retain(|b| told.lists.iter().all(|l| l.0 != b.0)),
            "all" => told.blocks.clear(),
            _ => told.blocks.iter_mut().for_each(|b| b.1.push(0)),
        }
        let lists: &[_] = if how == "one" { &told.lists } else { &[] };
        m.dindex(1, &[(&told.name, m.vol(&told))], lists);
        let second = &volumes[1];
        m.dindex(2, &[(&second.name, m.vol(second))], &second.lists);
        case.restores(&want);
        let (ran, _) = case.restore(&["--no-scan"]);
        ran.code(&[3]);
        case.verify().code(&[3]);
        case.run("list-broken-files", &[]).code(&[0]);
        case.run("purge-broken-files", &[]).code(&[0]);
        case.run("repair", &[]).code(&[0]);
        match how {
            "sizes" => case.restores(&want),
            _ => case.clean(&want),
        }
    }
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

/// R9: the index of a lost volume has the only copy of a blocklist: it does not go before the list is stored elsewhere.
#[test]
fn r09_only_copy_of_a_list() {
    for command in ["repair", "purge-broken-files"] {
        let (case, m) = Case::new("r09-only-copy");
        let (mut volumes, mut all, want) = apart(&m, &[1, 2]);
        let mut third = Volume::new(3);
        third.lists = volumes[1].lists.drain(..).collect();
        volumes[1].blocks.retain(|b| b.0 != third.lists[0].0);
        third.blocks.push(third.lists[0].clone());
        if command != "repair" {
            all.push(m.file(&mut third, "/d/lost", &random(9, 700), None));
        }
        volumes.push(third);
        for volume in &mut volumes {
            m.both(volume);
        }
        m.dlist(TIME, &all);
        fs::remove_file(m.dest.join(&volumes[2].name)).unwrap();
        let index = m.dest.join(m.name("dindex", 3));
        case.run(command, &[]).code(&[0]);
        assert!(!index.exists(), "{command}");
        case.clean(&want);
    }
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

/// R12: what is encrypted is told by each name; a passphrase is asked for when one of them says so. What is not encrypted is
/// only believed on request.
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
        let (ran, to) = case.restore(&["--allow-plain-volumes"]);
        has(&to, &want, &ran);
        ran.code(&[0]);
        case.run("verify", &["all", "--allow-plain-volumes"])
            .code(&[0]);
        case.verify().code(&[3]).says("is not encrypted");
        let (ran, _) = case.restore(&[]);
        ran.code(&[2, 3, 100]).says("not encrypted");
        // The volumes that need no passphrase say nothing about it.
        let dest = case.scratch.at("dest");
        let place = format!("--restore-path={}", text(&case.scratch.folder("to wrong")));
        let args = [
            "restore",
            text(&dest),
            "--no-cache",
            "--allow-plain-volumes",
            &place,
        ];
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
    // A second backup in the folder: the default prefix is meant unless another is named.
    let mut other = m.clone();
    other.prefix = "other";
    let mut volume = Volume::new(1);
    let entry = other.file(&mut volume, "/o/file", b"other content", None);
    other.both(&mut volume);
    other.dlist(TIME, &[entry]);
    case.clean(&want);
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
        // A run on top continues it, and says that its source is another.
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
        .code(&[2])
        .says("gone: 5 of 5 entries");
        for (version, want) in [("0", vec![one("new", b"new content")]), ("1", want)] {
            let version = format!("--version={version}");
            let (ran, to) = case.restore(&["--case-insensitive-remote", &version]);
            has(&to, &want, &ran);
            ran.code(&[0]);
        }
    }
}

/// R11: one damaged block costs the files that need it, not the volume.
#[test]
fn r11_one_damaged_block() {
    let (case, m) = Case::new("r11-block");
    let mut volume = Volume::new(1);
    let (entries, want) = basic(&m, &mut volume);
    m.both(&mut volume);
    m.dlist(TIME, &entries);
    spoil(&m.dest.join(&volume.name), &want[0].1[1024..2048]);
    let (ran, to) = case.restore(&[]);
    has(&to, &want[1..].to_vec(), &ran);
    assert!(!to.join("five").exists(), "{}", ran.all());
    ran.code(&[3]).says(&volume.name).says("five");
    case.verify().code(&[3]).says(&volume.name).says("/d/five");
}
