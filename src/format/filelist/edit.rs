//! A file list written again with some entries left out or changed; what is not understood stays as it is spelled.

use std::io::{Read, Write};

use crate::base::error::Result;
use crate::format::filelist::{Entry, ListWriter, read_list};
use crate::format::raw_json::{Elements, members};

/// What becomes of an entry.
pub(crate) enum Fate {
    /// It stays, octet for octet.
    Keep,
    Drop,
    /// This one takes its place; properties that no reader here knows stay.
    Replace(Box<Entry>),
}

/// What was done to a list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Edited {
    pub(crate) kept: u64,
    pub(crate) dropped: u64,
    pub(crate) replaced: u64,
}

/// Properties that [`ListWriter`] writes.
const KNOWN: [&[u8]; 12] = [
    b"type",
    b"path",
    b"hash",
    b"size",
    b"time",
    b"metahash",
    b"metasize",
    b"metablockhash",
    b"metablocklists",
    b"blockhash",
    b"blocksize",
    b"blocklists",
];

/// Copies a list entry by entry in its order, as `judge` decides, who is given the list so far. Entries of unknown types, and
/// without a path, stay. A fault in the JSON is `Damaged`, and then what was written is of no use. Memory: one entry.
pub(crate) fn edit_list<W: Write>(
    src: &mut dyn Read,
    mut out: ListWriter<W>,
    judge: &mut dyn FnMut(&mut ListWriter<W>, &Entry) -> Result<Fate>,
) -> Result<(W, Edited)> {
    let mut done = Edited::default();
    let mut elements = Elements::new(src);
    let (mut raw, mut alone) = (Vec::new(), Vec::new());
    while elements.next(&mut raw)? {
        alone.clear();
        alone.push(b'[');
        alone.extend_from_slice(&raw);
        alone.push(b']');
        let mut entry = None;
        read_list(&mut alone.as_slice(), &mut |e| {
            entry = Some(e);
            Ok(())
        })?;
        let fate = match &entry {
            Some(entry) => judge(&mut out, entry)?,
            None => Fate::Keep,
        };
        match fate {
            Fate::Keep => {
                out.add_raw(&raw)?;
                done.kept += 1;
            }
            Fate::Drop => done.dropped += 1,
            Fate::Replace(new) => {
                let mut unknown = Vec::new();
                members(&raw, &mut |name, member| {
                    if !KNOWN.contains(&name) {
                        unknown.push(b',');
                        unknown.extend_from_slice(member);
                    }
                })?;
                out.add_with(&new, &unknown)?;
                done.replaced += 1;
            }
        }
    }
    Ok((out.finish()?, done))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::error::{Error, Kind};

    const FILE: &str = r#"{"type":"File","path":"/a","hash":"qUiQTy8PR5uPgZdpSzAYSw0u0cHNKh7A+4XSmaGSpEc=","size":12,"time":"20240131T123456Z","metahash":"f5A8TdVJnn0US+vURW+1wxC2yd1HwOXLh0I+F9L/gY4=","metasize":197,"future":{"x":[1,"}"]},"acl":"y"}"#;
    const ODD: &str = r#"{ "type":"Socket", "path":"/s" }"#;
    const FOLDER: &str = r#"{"type":"Folder","path":"/d/","metahash":"ODpku4V/M2lGD6B4bVo8DDOGE1z3J5C4NmuCohzexW0=","metasize":200,"metablockhash":"ODpku4V/M2lGD6B4bVo8DDOGE1z3J5C4NmuCohzexW0=","label":1}"#;

    fn edited(
        json: &str,
        judge: &mut dyn FnMut(&Entry) -> Result<Fate>,
    ) -> Result<(String, Edited)> {
        let mut src = json.as_bytes();
        let list = ListWriter::new(Vec::new(), true);
        let (out, done) = edit_list(&mut src, list, &mut |_, entry| judge(entry))?;
        Ok((String::from_utf8(out).expect("text"), done))
    }

    #[test]
    fn what_is_kept_is_kept_as_it_is() {
        let json = format!("\u{feff}[{FILE},{ODD},{FOLDER}]");
        let (got, done) = edited(&json, &mut |_| Ok(Fate::Keep)).expect("edited");
        assert_eq!(got, json);
        assert_eq!(done.kept, 3);
        let (got, done) = edited("[]", &mut |_| Ok(Fate::Keep)).expect("edited");
        assert_eq!((got.as_str(), done), ("\u{feff}[]", Edited::default()));
    }

    #[test]
    fn entries_go_and_change_and_unknown_properties_stay() {
        let json = format!("[{FOLDER},{FILE},{ODD}]");
        let (got, done) = edited(&json, &mut |e| match e.path.as_slice() {
            b"/d/" => Ok(Fate::Drop),
            _ => {
                let mut new = e.clone();
                new.meta = new
                    .meta
                    .map(|m| crate::format::filelist::Content { size: 5, ..m });
                Ok(Fate::Replace(Box::new(new)))
            }
        })
        .expect("edited");
        let want = FILE.replace("197", "5");
        assert_eq!(got, format!("\u{feff}[{want},{ODD}]"));
        let counts = Edited {
            kept: 1,
            dropped: 1,
            replaced: 1,
        };
        assert_eq!(done, counts);
        let (got, _) = edited(&json, &mut |_| Ok(Fate::Drop)).expect("edited");
        assert_eq!(got, format!("\u{feff}[{ODD}]"));
    }

    #[test]
    fn a_cut_list_is_damaged_and_the_judges_error_comes_out() {
        let json = format!("[{FOLDER},{FILE}]");
        for cut in 0..json.len() {
            let e = edited(&json[..cut], &mut |_| Ok(Fate::Keep)).expect_err("cut");
            assert_eq!(e.kind(), Kind::Damaged);
        }
        let stop = |_: &Entry| Err(Error::new(Kind::NoSpace, "full"));
        let e = edited(&json, &mut { stop }).expect_err("stopped");
        assert_eq!(e.to_string(), "full");
    }
}
