//! `filelist.json` of a dlist (`format.md` 10): entries streamed in and out.
//!
//! Reading takes any order of properties and of entries; writing gives exactly Duplicati's, whose reader is positional. Memory
//! is one entry. Paths are neither checked nor changed here.

mod edit;
mod entry;
mod read;
mod write;

pub(crate) use edit::{Edited, Fate, edit_list};
pub(crate) use entry::{Content, Entry, EntryKind};
pub(crate) use read::{LISTS_AT_MOST, read_list};
pub(crate) use write::ListWriter;

/// Longest path in bytes.
pub(crate) const PATH_BYTES: usize = 64 << 10;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::digest::{Algo, Hash};
    use crate::base::error::{Error, Kind, Result};
    use crate::base::time::Timestamp;

    fn h(text: &str) -> Hash {
        Hash::from_base64(text.as_bytes()).expect("hash")
    }

    fn read(json: &[u8]) -> (Result<u64>, Vec<Entry>) {
        let mut entries = Vec::new();
        let mut src = json;
        let done = read_list(&mut src, &mut |e| {
            entries.push(e);
            Ok(())
        });
        (done, entries)
    }

    fn write(entries: &[Entry], same: bool) -> Result<String> {
        let mut w = ListWriter::new(Vec::new(), same);
        for e in entries {
            w.add(e)?;
        }
        let out = w.finish()?;
        Ok(String::from_utf8(out).expect("text"))
    }

    fn meta(hash: &str, size: u64) -> Option<Content> {
        Some(Content {
            hash: Some(h(hash)),
            size,
            ..Content::default()
        })
    }

    /// `format.md` 22.
    fn published() -> Vec<Entry> {
        let file_meta = || meta("f5A8TdVJnn0US+vURW+1wxC2yd1HwOXLh0I+F9L/gY4=", 197);
        let file = |path: &str, hash: &str, size, lists: &[&str]| Entry {
            kind: EntryKind::File,
            path: path.into(),
            time: Some(Timestamp(1_706_704_496)),
            content: Some(Content {
                hash: Some(h(hash)),
                size,
                block: None,
                lists: lists.iter().map(|l| h(l)).collect(),
            }),
            meta: file_meta(),
        };
        let other = |kind, path: &str, meta| Entry {
            kind,
            path: path.into(),
            time: None,
            content: None,
            meta,
        };
        vec![
            other(
                EntryKind::Folder,
                "/home/alice/d/",
                meta("ODpku4V/M2lGD6B4bVo8DDOGE1z3J5C4NmuCohzexW0=", 200),
            ),
            other(
                EntryKind::Symlink,
                "/home/alice/d/link",
                meta("Et2VKLqmX6w1N5FRf5Bt1EQoyA6wDFiFilh40lvtMa0=", 235),
            ),
            file(
                "/home/alice/d/abc.bin",
                "jlZaYJuzBhGAhRZVI5I+MUP0S/IoFBd5xqw6XHJJ+1s=",
                2560,
                &["KH4CLxHrSGsEWwN+ackRxuIXGoig9yVDhCCfEydhtAs="],
            ),
            file(
                "/home/alice/d/empty",
                "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
                0,
                &[],
            ),
            file(
                "/home/alice/d/hello.txt",
                "qUiQTy8PR5uPgZdpSzAYSw0u0cHNKh7A+4XSmaGSpEc=",
                12,
                &[],
            ),
        ]
    }

    /// As [`published`], but as a reader sees it: the redundant ids of folders and links are there.
    fn as_read() -> Vec<Entry> {
        let mut all = published();
        for e in all.iter_mut().filter(|e| e.kind != EntryKind::File) {
            if let Some(m) = &mut e.meta {
                m.block = m.hash;
            }
        }
        all
    }

    #[test]
    fn published_list() {
        let json = write(&published(), true).expect("write");
        assert_eq!(json.len(), 1058);
        let id = Algo::Sha256.hash(json.as_bytes());
        assert_eq!(id.base64(), "3to4tG8U1wAxbh85CULcPCY2i6G7sWfOaxHMWsN0BQE=");
        assert_eq!(write(&as_read(), true).expect("write"), json);
        for input in [json.as_bytes(), &json.as_bytes()[3..]] {
            let (count, entries) = read(input);
            assert_eq!(count.expect("read"), 5);
            assert_eq!(entries, as_read());
        }
    }

    #[test]
    fn a_cut_list_is_damaged_and_gives_what_came_before() {
        let json = write(&published(), true).expect("write");
        let all = as_read();
        for cut in 0..json.len() {
            let (done, entries) = read(&json.as_bytes()[..cut]);
            assert_eq!(done.expect_err("cut").kind(), Kind::Damaged);
            assert!(all.starts_with(&entries));
        }
        let (_, entries) = read(&json.as_bytes()[..json.len() - 3]);
        assert_eq!(entries, all[..4]);
    }

    #[test]
    fn no_flip_panics() {
        let mut json = write(&published()[1..4], true).expect("write").into_bytes();
        for at in 0..json.len() {
            for bit in 0..8 {
                json[at] ^= 1 << bit;
                if let (Err(e), _) = read(&json) {
                    assert_eq!(e.kind(), Kind::Damaged);
                }
                json[at] ^= 1 << bit;
            }
        }
    }

    /// `format.md` 22, last lines, and the table of 10.1.
    #[test]
    fn different_algorithms_and_large_metadata() {
        let block = h("qUiQTy8PR5uPgZdpSzAYSw0u0cHNKh7A+4XSmaGSpEc=");
        let blob = h("f5A8TdVJnn0US+vURW+1wxC2yd1HwOXLh0I+F9L/gY4=");
        let list = h("u5DB29Nmsq4FFWsNWCkYs2oZ23QutDZNrzSdqCj41go=");
        let whole = Algo::Md5.hash(b"");
        let content = |size, block, lists| {
            Some(Content {
                hash: Some(whole),
                size,
                block,
                lists,
            })
        };
        let entry = |kind, content, meta| Entry {
            kind,
            path: b"/x".to_vec(),
            time: Some(Timestamp(0)),
            content,
            meta,
        };
        let t = r#""time":"19700101T000000Z","#;
        let m = r#""metahash":"1B2M2Y8AsgTpgAmY7PhCfg==","metasize"#;
        let b = format!(r#"metablockhash":"{}""#, blob.base64());
        for (e, want) in [
            (
                entry(
                    EntryKind::File,
                    content(12, Some(block), vec![]),
                    content(197, Some(blob), vec![]),
                ),
                format!(
                    r#"{{"type":"File","path":"/x","hash":"1B2M2Y8AsgTpgAmY7PhCfg==","size":12,{t}{m}":197,"{b},"blockhash":"{}","blocksize":12}}"#,
                    block.base64()
                ),
            ),
            (
                entry(
                    EntryKind::File,
                    content(4000, None, vec![list, block]),
                    content(9000, None, vec![list]),
                ),
                format!(
                    r#"{{"type":"File","path":"/x","hash":"1B2M2Y8AsgTpgAmY7PhCfg==","size":4000,{t}{m}":9000,"metablocklists":["{l}"],"blocklists":["{l}","{}"]}}"#,
                    block.base64(),
                    l = list.base64()
                ),
            ),
            (
                entry(EntryKind::Folder, None, content(197, Some(blob), vec![])),
                format!(r#"{{"type":"Folder","path":"/x",{m}":197,"{b}}}"#),
            ),
            (
                entry(EntryKind::Symlink, None, content(9000, None, vec![list])),
                format!(
                    r#"{{"type":"Symlink","path":"/x",{m}":9000,"metablocklists":["{}"]}}"#,
                    list.base64()
                ),
            ),
        ] {
            let json = write(std::slice::from_ref(&e), false).expect("write");
            assert_eq!(json, format!("\u{feff}[{want}]"));
            let (_, mut back) = read(json.as_bytes());
            back[0].time = e.time;
            assert_eq!(back, [e]);
        }
    }

    #[test]
    fn entries_that_would_break_the_version_are_not_written() {
        let good = &published()[4];
        let spoil = |f: &dyn Fn(&mut Entry)| {
            let mut e = good.clone();
            f(&mut e);
            write(&[e], true).expect_err("refused").kind()
        };
        assert_eq!(spoil(&|e| e.meta = None), Kind::Bug);
        assert_eq!(spoil(&|e| e.content = None), Kind::Bug);
        assert_eq!(spoil(&|e| e.time = None), Kind::Bug);
        let meta = |f: &dyn Fn(&mut Content)| spoil(&|e| f(e.meta.as_mut().expect("meta")));
        assert_eq!(meta(&|m| m.size = 0), Kind::Bug);
        assert_eq!(meta(&|m| m.hash = None), Kind::Bug);
        assert_eq!(meta(&|m| m.lists = vec![Algo::Md5.hash(b""); 2]), Kind::Bug);
        assert_eq!(spoil(&|e| e.path = vec![b'/', 0xff]), Kind::Unsupported);
        let no_id = write(std::slice::from_ref(good), false).expect_err("no block id");
        assert_eq!(no_id.kind(), Kind::Bug);
    }

    #[test]
    fn any_order_unknown_properties_and_types_nulls_and_escapes() {
        let id = "qUiQTy8PR5uPgZdpSzAYSw0u0cHNKh7A+4XSmaGSpEc=";
        let json = format!(
            r#" [ {{"size":5000,"blocklists":[null,"","{id}"],"hash":"{id}","extra":{{"a":[1,"x"]}},
                "metablockhash":null,"path":"\/a\u00e9\ud83d\udd11\ud800\\x","type":"AlternateStream","time":"soon"}},
               {{"type":"Device","path":"/dev"}}, {{"type":"File"}}, {{"path":"/p"}}, {{}},
               {{"type":"File","path":"","size":1}},
               {{"type":"Symlink","path":"/l/","metahash":"{id}","metasize":4,"size":9,"hash":"{id}"}},
               {{"type":"File","path":"/old","hash":"{id}","size":-1,"metahash":"","metasize":3,"time":null}} ] "#
        );
        let (count, entries) = read(json.as_bytes());
        assert_eq!(count.expect("read"), 3);
        let stream = &entries[0];
        assert_eq!(
            stream.path,
            "/aé🔑"
                .bytes()
                .chain(*b"\xed\xa0\x80\\x")
                .collect::<Vec<_>>()
        );
        assert_eq!((stream.kind, stream.time), (EntryKind::File, None));
        assert_eq!(stream.meta, None);
        let content = stream.content.as_ref().expect("content");
        assert_eq!((content.size, &*content.lists), (5000, &[h(id)][..]));
        assert_eq!(entries[1].content, None);
        assert_eq!(entries[1].meta, meta(id, 4));
        assert_eq!((&entries[2].content, &entries[2].meta), (&None, &None));
        for bad in [
            "",
            "{}",
            "null",
            "[null]",
            "[]]",
            "[1]",
            r#"[{"path":1}]"#,
            r#"[{"hash":"AAAA"}]"#,
            r#"[{"blocklists":["?"]}]"#,
            r#"[{"type":"File","path":"/x"}"#,
        ] {
            assert_eq!(read(bad.as_bytes()).0.expect_err(bad).kind(), Kind::Damaged);
        }
    }

    #[test]
    fn the_callers_error_comes_out_as_it_was() {
        let json = write(&published(), true).expect("write");
        let mut seen = 0;
        let e = read_list(&mut json.as_bytes(), &mut |_| {
            seen += 1;
            Err(Error::new(Kind::NoSpace, "full"))
        });
        assert_eq!(e.expect_err("stopped").to_string(), "full");
        assert_eq!(seen, 1);
    }
}
