//! How content is cut and hashed: block sizes, algorithms, old manifests, empty blocks, wrong hashes.

use super::*;

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
    let (entries, want) = basic(&m, &mut volume);
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
        m.dlist(time, std::slice::from_ref(entry));
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
        let (mut entries, want) = basic(&m, &mut volume);
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
        let (entries, want) = basic(&m, &mut volume);
        m.dblock(&mut volume);
        volume.hash = file.b64(b"something else");
        m.dindex(1, &[(&volume.name, m.vol(&volume))], &volume.lists);
        m.dlist(TIME, &entries);
        // Each block is what its own hash says, so that nothing is lost.
        let (ran, to) = case.restore(&[]);
        has(&to, &want, &ran);
        ran.code(&[2]).says(&volume.name);
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
    // Neither passes for the file.
    let want = vec![
        one("long.2024-01-31.incomplete", &long),
        one("short.2024-01-31.incomplete", &short),
        one("good", b"good"),
    ];
    has(&to, &want, &ran);
    let ran = ran.code(&[3]).says("/long").says("/short");
    assert!(!ran.err.contains("/good"), "{}", ran.all());
    assert_eq!(support::names(&to).len(), 3);
}

/// A size that its blocks do not add up to: a restore cannot give such a file back, and a verification says so.
#[test]
fn r24_wrong_sizes() {
    for (is, says) in [
        (300, 301),
        (300, 299),
        (5000, 5001),
        (5000, 4999),
        (5000, 9000),
        (5000, 3000),
        (300, 0),
        (5000, 0),
    ] {
        let (case, m) = Case::new("r24-sizes");
        let mut volume = Volume::new(1);
        let data = random(4, is);
        let entry = m.file(&mut volume, "/d/odd", &data, Some(META));
        let entry = entry.replace(&format!("\"size\":{is}"), &format!("\"size\":{says}"));
        m.both(&mut volume);
        m.dlist(TIME, &[entry, m.file(&mut volume, "/d/good", b"", None)]);
        case.verify().code(&[3]).says("/d/odd");
        let (ran, _) = case.restore(&[]);
        ran.code(&[3]).says("/odd");
    }
}
