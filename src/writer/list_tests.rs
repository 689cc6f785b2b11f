//! A dlist written again: what is not understood stays.

use super::*;
use std::io::Write;

const FOLDER: &str = r#"{"type":"Folder","path":"/d/","metahash":"ODpku4V/M2lGD6B4bVo8DDOGE1z3J5C4NmuCohzexW0=","metasize":200,"metablockhash":"ODpku4V/M2lGD6B4bVo8DDOGE1z3J5C4NmuCohzexW0=","label":{"a":[1]}}"#;

/// An archive of these entries.
fn archive(tmp: &Tmp, entries: &[(&str, &str)]) -> Spool {
    let mut zip = ZipWriter::new(Spool::new(tmp).expect("a file"), tmp).expect("a zip");
    for (name, data) in entries {
        zip.add_stored(name.as_bytes(), data.as_bytes())
            .expect("added");
    }
    zip.finish().expect("finished")
}

fn entries(spool: &Spool) -> Vec<(String, String)> {
    let zip = ZipReader::open(spool).expect("an archive");
    let mut inflater = Inflater::new();
    let mut all = Vec::new();
    zip.entries(&mut |name, entry| {
        let mut text = String::new();
        let mut reader = zip.reader(entry, &mut inflater)?;
        reader.read_to_string(&mut text).expect("text");
        all.push((String::from_utf8_lossy(name).into_owned(), text));
        Ok(())
    })
    .expect("entries");
    all
}

/// The archive copied, with the folder dropped or kept.
fn copied(old: &[(&str, &str)], keep: bool) -> Result<(Vec<(String, String)>, Edited)> {
    let tmp = Tmp::open(None)?;
    let spool = archive(&tmp, old);
    let zip = ZipReader::open(&spool)?;
    let mut new = begin(Sealing::default(), &tmp)?;
    let mut deflater = Deflater::new(1);
    let kit = Kit {
        deflater: &mut deflater,
        tmp: &tmp,
        same: true,
        time: Timestamp(1_700_000_001),
        old: Timestamp(1_700_000_000),
    };
    let mut judge = |e: &Entry| {
        Ok(match e.path == b"/d/" && !keep {
            true => Fate::Drop,
            false => Fate::Keep,
        })
    };
    let done = copy(&zip, &mut new, kit, &mut |_| None, &mut judge)?;
    let (mut stored, _, size) = new.finish()?.finish()?;
    stored.flush().expect("written");
    assert_eq!(stored.len()?, size);
    Ok((entries(&stored), done))
}

#[test]
fn flags_control_files_and_unknown_properties_stay() {
    let list = format!("\u{feff}[{FOLDER}]");
    let manifest = "\u{feff}{\"Version\":2,\"Created\":\"20200101T000000Z\",\"Future\":[\"x\"]}";
    for full in ["true", "false"] {
        for stamp in ["", ",\"Timestamp\":\"20231114T221320Z\""] {
            let fileset = format!("\u{feff}{{\"IsFullBackup\":{full}{stamp},\"New\":1}}");
            let old = [
                ("manifest", manifest),
                ("fileset", &fileset),
                ("filelist.json", &list),
                ("extra/notes.txt", "opaque"),
                ("labels.json", "{\"a\":1}"),
            ];
            for keep in [true, false] {
                let (got, done) = copied(&old, keep).expect("copied");
                let names: Vec<&str> = got.iter().map(|(n, _)| n.as_str()).collect();
                assert_eq!(names[..5], old.map(|o| o.0));
                // One more says in the place of which list this one was written.
                assert_eq!(names[5..], ["extra/duplet-replaces"]);
                assert_eq!(got[5].1, "20231114T221320Z\n");
                let created = manifest.split("20200101T000000Z");
                assert!(created.clone().all(|part| got[0].1.contains(part)));
                assert!(!got[0].1.contains("20200101T000000Z"));
                let want = fileset.replace("221320Z", "221321Z");
                assert_eq!(got[1].1, want);
                let want = if keep { list.as_str() } else { "\u{feff}[]" };
                assert_eq!(got[2].1, want);
                assert_eq!(
                    (got[3].1.as_str(), got[4].1.as_str()),
                    ("opaque", "{\"a\":1}")
                );
                assert_eq!(
                    (done.kept, done.dropped),
                    (u64::from(keep), u64::from(!keep))
                );
            }
        }
    }
}

#[test]
fn what_is_no_dlist_is_not_written_again() {
    let manifest = ("manifest", "{\"Version\":2}");
    for bad in [
        &[manifest][..],
        &[manifest, ("filelist.json", "[")],
        &[manifest, ("filelist.json", "{}")],
        &[manifest, ("filelist.json", "[]"), ("filelist.json", "[]")],
        &[("manifest", "[]"), ("filelist.json", "[]")],
        &[manifest, ("fileset", "true"), ("filelist.json", "[]")],
    ] {
        assert!(copied(bad, true).is_err(), "{bad:?}");
    }
}
