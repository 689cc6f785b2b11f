//! Makes backups in the remote format by hand, with every oddity that was ever met; the program's own code has no part in it.
//!
//! A [`Maker`] holds what all volumes of a backup share, a [`Volume`] collects blocks. Entries, `vol/` texts and names are plain
//! text, so that a test can bend any of them.

use std::fs;
use std::path::PathBuf;

use super::crypt;
use super::zip::{Style, zip};

/// Hash algorithms a manifest may name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algo {
    Md5,
    Sha1,
    Sha256,
    Sha384,
    Sha512,
}

impl Algo {
    pub fn word(self) -> &'static str {
        match self {
            Algo::Md5 => "MD5",
            Algo::Sha1 => "SHA1",
            Algo::Sha256 => "SHA256",
            Algo::Sha384 => "SHA384",
            Algo::Sha512 => "SHA512",
        }
    }

    pub fn raw(self, data: &[u8]) -> Vec<u8> {
        use ring::digest as d;
        let algo = match self {
            Algo::Md5 => {
                use md5::Digest;
                return md5::Md5::digest(data).to_vec();
            }
            Algo::Sha1 => &d::SHA1_FOR_LEGACY_USE_ONLY,
            Algo::Sha256 => &d::SHA256,
            Algo::Sha384 => &d::SHA384,
            Algo::Sha512 => &d::SHA512,
        };
        d::digest(algo, data).as_ref().to_vec()
    }

    /// As JSON spells it.
    pub fn b64(self, data: &[u8]) -> String {
        base64(&self.raw(data))
    }
}

pub fn base64(data: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for part in data.chunks(3) {
        let n = (0..3).fold(0, |n, i| {
            n << 8 | usize::from(part.get(i).copied().unwrap_or(0))
        });
        for i in 0..4 {
            out.push(if i > part.len() {
                '='
            } else {
                char::from(DIGITS[n >> (18 - 6 * i) & 63])
            });
        }
    }
    out
}

/// As entry names spell it.
pub fn in_name(b64: &str) -> String {
    b64.replace('+', "-").replace('/', "_")
}

/// Metadata of a file of mode 0644 written at 2024-01-31T12:34:56.1234567Z.
pub const META: &str = r#"{"unix:uid-gid-perm":"1000-1000-420","CoreAttributes":"Normal","CoreLastWritetime":"638423012961234567"}"#;
/// That time in steps of 100 ns since 1970.
pub const META_TIME: i128 = 17_067_044_961_234_567;
/// What `time` of all files says, in seconds since 1970: an hour after the metadata.
pub const LIST_TIME: i128 = 1_706_708_096;

/// A dblock.
#[derive(Clone, Debug, Default)]
pub struct Volume {
    pub guid: u32,
    /// Id and bytes.
    pub blocks: Vec<(String, Vec<u8>)>,
    /// Those of the blocks that are blocklists.
    pub lists: Vec<(String, Vec<u8>)>,
    /// Once written: name, size and hash as stored.
    pub name: String,
    pub size: u64,
    pub hash: String,
}

impl Volume {
    pub fn new(guid: u32) -> Volume {
        Volume {
            guid,
            ..Volume::default()
        }
    }

    /// Adds a block unless it is there; its id.
    pub fn block(&mut self, algo: Algo, data: &[u8]) -> String {
        let id = algo.b64(data);
        if !self.blocks.iter().any(|b| b.0 == id) {
            self.blocks.push((id.clone(), data.to_vec()));
        }
        id
    }
}

/// What the volumes of a backup share. Change any of it between two volumes to make them disagree.
#[derive(Clone, Debug)]
pub struct Maker {
    pub dest: PathBuf,
    pub prefix: &'static str,
    pub block_size: usize,
    pub block_hash: Algo,
    pub file_hash: Algo,
    pub volume_hash: Algo,
    /// Version of the manifest. 1 knows no `blockhash` and `metablockhash`.
    pub manifest: u8,
    pub app_version: bool,
    /// Byte order marks everywhere, or nowhere.
    pub bom: bool,
    /// Also where there never is one.
    pub vol_bom: bool,
    pub fileset: Option<bool>,
    /// Properties nobody knows in every JSON text.
    pub unknown: bool,
    pub style: Style,
    /// `aes` with [`crypt::PASSPHRASE`], this version of the format.
    pub aes: Option<u8>,
    /// By the gpg program with the same passphrase: a folder for what it keeps.
    pub gpg: Option<PathBuf>,
    /// Extension of the archive.
    pub compression: &'static str,
}

impl Maker {
    pub fn new(dest: PathBuf) -> Maker {
        fs::create_dir_all(&dest).expect("a writable scratch folder");
        Maker {
            dest,
            prefix: "duplicati",
            block_size: 1024,
            block_hash: Algo::Sha256,
            file_hash: Algo::Sha256,
            volume_hash: Algo::Sha256,
            manifest: 2,
            app_version: true,
            bom: true,
            vol_bom: false,
            fileset: Some(true),
            unknown: false,
            style: Style::default(),
            aes: None,
            gpg: None,
            compression: "zip",
        }
    }

    fn text(&self, json: &str, bom: bool) -> Vec<u8> {
        let mark: &[u8] = if bom { b"\xef\xbb\xbf" } else { b"" };
        [mark, json.as_bytes()].concat()
    }

    fn odd(&self) -> &'static str {
        if self.unknown {
            r#""Future":{"a":[null,1.5e3,"\ud83e\udd80"]},"#
        } else {
            ""
        }
    }

    pub fn manifest(&self) -> Vec<u8> {
        let app = if self.app_version {
            r#","AppVersion":"2.1.0.5""#
        } else {
            ""
        };
        let json = format!(
            r#"{{{}"Version":{},"Created":"20240131T123500Z","Encoding":"utf8","Blocksize":{},"BlockHash":"{}","FileHash":"{}"{app}}}"#,
            self.odd(),
            self.manifest,
            self.block_size,
            self.block_hash.word(),
            self.file_hash.word(),
        );
        self.text(&json, self.bom)
    }

    /// Cuts and stores `data`; the properties that say where it is, with these names for the single block.
    fn store(&self, to: &mut Volume, data: &[u8], meta: bool) -> String {
        if data.len() <= self.block_size {
            if data.is_empty() {
                return String::new();
            }
            let id = to.block(self.block_hash, data);
            return match (self.manifest, self.block_hash == self.file_hash, meta) {
                (1, _, _) | (_, true, _) => String::new(),
                (_, _, true) => format!(r#","metablockhash":"{id}""#),
                (_, _, false) => {
                    format!(r#","blockhash":"{id}","blocksize":{}"#, data.len())
                }
            };
        }
        let per_list = self.block_size / self.block_hash.raw(b"").len();
        let mut lists = Vec::new();
        for part in data.chunks(self.block_size * per_list) {
            let mut list = Vec::new();
            for block in part.chunks(self.block_size) {
                to.block(self.block_hash, block);
                list.extend(self.block_hash.raw(block));
            }
            let id = to.block(self.block_hash, &list);
            lists.push(format!("\"{id}\""));
            to.lists.push((id, list));
        }
        let word = if meta { "metablocklists" } else { "blocklists" };
        format!(r#","{word}":[{}]"#, lists.join(","))
    }

    /// `,"metahash":...` of a metadata text; nothing for none.
    pub fn meta(&self, to: &mut Volume, meta: Option<&str>) -> String {
        let Some(meta) = meta else {
            return String::new();
        };
        let blob = self.text(meta, self.bom);
        let tail = self.store(to, &blob, true);
        // Version 1 hashed metadata by the block's algorithm.
        let algo = if self.manifest == 1 {
            self.block_hash
        } else {
            self.file_hash
        };
        format!(
            r#","metahash":"{}","metasize":{}{tail}"#,
            algo.b64(&blob),
            blob.len()
        )
    }

    /// The entry of a file.
    pub fn file(&self, to: &mut Volume, path: &str, data: &[u8], meta: Option<&str>) -> String {
        let meta = self.meta(to, meta);
        let tail = self.store(to, data, false);
        format!(
            r#"{{"type":"File","path":{},"hash":"{}","size":{},"time":"20240131T133456Z"{meta}{tail}}}"#,
            quoted(path),
            self.file_hash.b64(data),
            data.len(),
        )
    }

    pub fn folder(&self, to: &mut Volume, path: &str, meta: Option<&str>) -> String {
        let meta = self.meta(to, meta);
        format!(r#"{{"type":"Folder","path":{}{meta}}}"#, quoted(path))
    }

    pub fn symlink(&self, to: &mut Volume, path: &str, target: &str) -> String {
        let meta = format!(
            r#"{{"CoreAttributes":"ReparsePoint","CoreSymlinkTarget":{}}}"#,
            quoted(target)
        );
        let meta = self.meta(to, Some(&meta));
        format!(r#"{{"type":"Symlink","path":{}{meta}}}"#, quoted(path))
    }

    fn tail(&self) -> &'static str {
        match (self.aes, &self.gpg) {
            (Some(_), _) => ".aes",
            (None, Some(_)) => ".gpg",
            (None, None) => "",
        }
    }

    /// Encrypts if this maker does that.
    pub fn seal(&self, bytes: Vec<u8>) -> Vec<u8> {
        match (self.aes, &self.gpg) {
            (Some(version), _) => crypt::encrypt(&bytes, version),
            (None, Some(home)) => crypt::gpg(&bytes, home),
            (None, None) => bytes,
        }
    }

    /// Name of a dblock or dindex.
    pub fn name(&self, kind: &str, guid: u32) -> String {
        let letter = &kind[1..2];
        let tail = self.tail();
        format!(
            "{}-{letter}{guid:032x}.{kind}.{}{tail}",
            self.prefix, self.compression
        )
    }

    /// Writes a volume, encrypted if this maker does that; its bytes as stored.
    pub fn put(&self, name: &str, entries: &[(String, Vec<u8>)]) -> Vec<u8> {
        let mut all = vec![("manifest".to_owned(), self.manifest())];
        all.extend_from_slice(entries);
        let bytes = self.seal(zip(&all, self.style));
        fs::write(self.dest.join(name), &bytes).expect("a writable scratch folder");
        bytes
    }

    /// Writes the dblock.
    pub fn dblock(&self, volume: &mut Volume) {
        volume.name = self.name("dblock", volume.guid);
        let blocks = volume.blocks.iter();
        let entries: Vec<_> = blocks.map(|(id, b)| (in_name(id), b.clone())).collect();
        let bytes = self.put(&volume.name, &entries);
        volume.size = bytes.len() as u64;
        volume.hash = self.volume_hash.b64(&bytes);
    }

    /// What a dindex says of a dblock.
    pub fn vol(&self, volume: &Volume) -> String {
        let blocks: Vec<String> = volume
            .blocks
            .iter()
            .map(|(id, b)| format!(r#"{{"hash":"{id}",{}"size":{}}}"#, self.odd(), b.len()))
            .collect();
        format!(
            r#"{{{}"blocks":[{}],"volumehash":"{}","volumesize":{}}}"#,
            self.odd(),
            blocks.join(","),
            volume.hash,
            volume.size
        )
    }

    /// Writes a dindex of these descriptions and copies of blocklists.
    pub fn dindex(
        &self,
        guid: u32,
        vols: &[(&str, String)],
        lists: &[(String, Vec<u8>)],
    ) -> String {
        let mut entries: Vec<_> = vols
            .iter()
            .map(|(name, vol)| (format!("vol/{name}"), self.text(vol, self.vol_bom)))
            .collect();
        let copies = lists.iter();
        entries.extend(copies.map(|(id, b)| (format!("list/{}", in_name(id)), b.clone())));
        let name = self.name("dindex", guid);
        self.put(&name, &entries);
        name
    }

    /// Writes a dblock and a dindex that describes it wholly.
    pub fn both(&self, volume: &mut Volume) {
        self.dblock(volume);
        self.dindex(
            volume.guid,
            &[(&volume.name, self.vol(volume))],
            &volume.lists,
        );
    }

    /// Writes a version; its name.
    pub fn dlist(&self, time: &str, entries: &[String]) -> String {
        let tail = self.tail();
        let name = format!("{}-{time}.dlist.{}{tail}", self.prefix, self.compression);
        let mut all = Vec::new();
        if let Some(full) = self.fileset {
            let json = format!(r#"{{{}"IsFullBackup":{full}}}"#, self.odd());
            all.push(("fileset".to_owned(), self.text(&json, self.bom)));
        }
        let json = format!("[{}]", entries.join(","));
        all.push(("filelist.json".to_owned(), self.text(&json, self.bom)));
        self.put(&name, &all);
        name
    }
}

/// A JSON string.
pub fn quoted(text: &str) -> String {
    let text = text.replace('\\', "\\\\").replace('"', "\\\"");
    format!("\"{}\"", text.replace('\n', "\\n"))
}
