//! Options of a backup as its engine wants them: what belongs to it, from which sources, and how it is written.

use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

use crate::backup::{
    self, BackupOptions, Choice, HardlinkPolicy, Rule as ChangeRule, Source, Streamed,
    SymlinkPolicy, fs_path,
};
use crate::base::digest::Algo;
use crate::base::error::{Doing, Error, Kind, Result};
use crate::base::place;
use crate::base::size::show_size;
use crate::base::text;
use crate::base::ui::Ui;
use crate::cli::{Call, options as o, session, stdin};
use crate::format::manifest::Params;
use crate::net::url::display_raw;
use crate::select::FilterSet;
use crate::writer::WriteOptions;

const BLOCKSIZE_LEAST: u64 = 1024;
const BLOCKSIZE_MOST: u64 = backup::BLOCK_SIZE_MOST as u64;

/// What belongs to the backup, by the options.
pub(super) fn choice(call: &Call) -> Result<Choice> {
    let options = &call.options;
    let words = |opt, separator: char| -> Vec<String> {
        let text = options.given_or_default(opt).unwrap_or_default();
        text.split(separator)
            .map(str::trim)
            .filter(|w| !w.is_empty())
            .map(str::to_owned)
            .collect()
    };
    let attributes: Vec<String> = words(&o::EXCLUDE_ATTRIBUTES, ',')
        .iter()
        .map(|w| w.to_ascii_lowercase())
        .collect();
    for word in &attributes {
        const KNOWN: [&str; 16] = [
            "readonly",
            "hidden",
            "system",
            "directory",
            "archive",
            "device",
            "normal",
            "temporary",
            "sparsefile",
            "reparsepoint",
            "compressed",
            "offline",
            "notcontentindexed",
            "encrypted",
            "integritystream",
            "noscrubdata",
        ];
        if !KNOWN.contains(&word.as_str()) {
            return Err(Error::usage(format!(
                "--exclude-files-attributes={} is not valid: Hidden, ReadOnly, Directory, ReparsePoint or Normal is expected",
                text::safe_cut(word.as_bytes(), 40)
            )));
        }
    }
    Ok(Choice {
        own: None,
        filters: FilterSet::parse(&call.rules, session::case())?,
        symlinks: match options.choice(&o::SYMLINK_POLICY) {
            Some("Follow") => SymlinkPolicy::Follow,
            Some("Ignore") => SymlinkPolicy::Ignore,
            _ => SymlinkPolicy::Store,
        },
        hardlinks: match options.choice(&o::HARDLINK_POLICY) {
            Some("First") => HardlinkPolicy::First,
            Some("None") => HardlinkPolicy::None,
            _ => HardlinkPolicy::All,
        },
        exclude_attributes: attributes,
        larger_than: options.size(&o::SKIP_LARGER).filter(|&n| n > 0),
        ignore_names: words(&o::IGNORE_FILENAMES, ':'),
        exclude_empty_folders: options.flag(&o::EXCLUDE_EMPTY),
        exclusion_attributes: !options.flag(&o::NO_EXCLUSION_XATTR),
        one_file_system: options.flag(&o::ONE_FILE_SYSTEM),
        named: Vec::new(),
        absent: Vec::new(),
    })
}

/// The sources named after the URL. A missing one is a warning, none left is an error. Rules leave out none that lies inside
/// another. `stream`: the source `-` stands for that and is none of them.
pub(super) fn sources(
    call: &Call,
    stream: Option<&Streamed>,
    choice: &mut Choice,
    ui: &mut Ui,
) -> Result<Vec<Source>> {
    let is_stream = |word: &&String| stream.is_some() && *word == stdin::WORD;
    let words: Vec<String> = call
        .words
        .iter()
        .filter(|w| !is_stream(w))
        .cloned()
        .collect();
    if let Some(word) = words.iter().find(|w| w.starts_with('@')) {
        return Err(Error::usage(format!(
            "{} is a remote source; only folders and files of this machine are supported",
            text::safe(word.as_bytes())
        )));
    }
    not_elsewhere(&words)?;
    // Only what begins in it needs the current folder, which may be gone.
    let cwd = match words.iter().all(|word| word.starts_with('/')) {
        true => PathBuf::from("/"),
        false => std::env::current_dir().doing(|| "find the current folder".to_owned())?,
    };
    for word in &words {
        storable(word, &cwd)?;
    }
    let sorted = backup::sources(&words, &cwd);
    let found = sorted.roots;
    for (word, path) in sorted.missing {
        choice.absent.push(path);
        let line = format!("source {} does not exist", text::safe(word.as_bytes()));
        if call.options.flag(&o::ABORT_MISSING) {
            return Err(Error::new(Kind::Missing, line)
                .doing("back up")
                .hint("--abort-if-source-missing is set"));
        }
        if !call.options.flag(&o::ALLOW_MISSING) {
            ui.warn("missing-source", &line);
        }
    }
    if found.is_empty() && stream.is_none() {
        return Err(Error::new(Kind::Missing, "no source exists")
            .doing("back up")
            .hint("name a folder or file after the URL"));
    }
    if let Some(source) = found.iter().find(|s| std::str::from_utf8(&s.path).is_err()) {
        let shown = text::safe(&source.path);
        return Err(Error::usage(format!(
            "the source {shown} is not valid UTF-8, which the format cannot store"
        )));
    }
    if call.options.flag(&o::PREVENT_EMPTY) {
        for source in &found {
            let path = fs_path(&source.path);
            if source.path.ends_with(b"/")
                && std::fs::read_dir(path).is_ok_and(|mut d| d.next().is_none())
            {
                return Err(Error::new(
                    Kind::Missing,
                    format!("source {} is empty", text::safe(&source.path)),
                )
                .doing("back up")
                .hint("--prevent-empty-source is set"));
            }
        }
    }
    choice.named = sorted.nested.iter().map(|s| s.path.clone()).collect();
    if choice.filters.is_empty() {
        return Ok(found);
    }
    for source in &sorted.nested {
        choice.filters.include_first(&source.path);
    }
    for source in &sorted.nested {
        if let Some(way) = source.way(&found).find(|way| choice.filters.closes(way)) {
            let line = format!(
                "source {} is left out: a rule excludes {}, which it lies in",
                text::safe(&source.path),
                text::safe(way)
            );
            ui.warn("source-excluded", &line);
        }
    }
    Ok(found)
}

/// Refuses a word that cannot mean a folder or file: nothing at all (a variable of the shell that is not set), standard input
/// under any of its names, a pipe, a socket, a device. What is not there is no mistake of this kind.
fn storable(word: &str, cwd: &Path) -> Result<()> {
    if word.trim().is_empty() {
        return Err(Error::usage("a source is empty").hint("is a variable of the shell not set?"));
    }
    let path = backup::normalized(&cwd.join(word));
    let stream = word == "-" && std::fs::symlink_metadata(&path).is_err()
        || path == Path::new("/dev/stdin")
        || path.parent().is_some_and(|folder| {
            let real = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
            real.starts_with("/proc") && real.ends_with("fd")
        });
    let what = match std::fs::metadata(&path).map(|m| m.file_type()) {
        _ if stream => "an open file of a process, such as standard input",
        Ok(t) if t.is_fifo() => "a pipe",
        Ok(t) if t.is_socket() => "a socket",
        Ok(t) if t.is_block_device() || t.is_char_device() => "a device",
        _ => return Ok(()),
    };
    let hint = match what {
        "a device" => "name the folder that it is mounted at, or a file that holds its image",
        "a socket" => "name a folder or a file",
        _ => "the source - with --stdin-filename=NAME stores standard input as a file of that name",
    };
    let shown = text::safe(word.as_bytes());
    Err(Error::usage(format!(
        "the source {shown} is {what}, only folders and files can be backed up"
    ))
    .hint(hint))
}

/// Refuses sources that are no file or folder here but look like an address, such as the URL in the wrong place. They may
/// hold a password and are not shown.
fn not_elsewhere(words: &[String]) -> Result<()> {
    for word in words {
        if std::fs::symlink_metadata(word).is_ok() {
            continue;
        }
        if word.contains("://") {
            return Err(Error::usage(format!(
                "the source {} is a URL; only folders and files of this machine can be backed up",
                display_raw(word)
            ))
            .hint("the destination comes first, then the sources"));
        }
        place::check("a source", word)?;
    }
    Ok(())
}

/// What one run reads and by which rule; bounds of sizes are checked here.
pub(super) fn engine_options(
    call: &Call,
    sources: Vec<Source>,
    stream: Option<Streamed>,
    choice: Choice,
) -> Result<BackupOptions> {
    let options = &call.options;
    let block_size = options.size(&o::BLOCKSIZE).unwrap_or(1 << 20);
    let algo = |opt| {
        options
            .choice(opt)
            .and_then(Algo::parse)
            .unwrap_or(Algo::Sha256)
    };
    let (block_hash, file_hash) = (algo(&o::BLOCK_HASH), algo(&o::FILE_HASH));
    // No multiple of the hash length is needed: a blocklist leaves the rest of its block unused.
    if !(BLOCKSIZE_LEAST..=BLOCKSIZE_MOST).contains(&block_size) {
        return Err(Error::usage(format!(
            "--blocksize must be between {} and {}",
            show_size(BLOCKSIZE_LEAST),
            show_size(BLOCKSIZE_MOST),
        )));
    }
    if options.flag(&o::CHECK_FILETIME_ONLY) && options.flag(&o::NO_FILETIME_CHECK) {
        return Err(Error::usage(
            "--check-filetime-only and --disable-filetime-check exclude each other",
        ));
    }
    Ok(BackupOptions {
        sources,
        stream,
        choice,
        rule: if options.flag(&o::NO_FILETIME_CHECK) {
            ChangeRule::Always
        } else if options.flag(&o::CHECK_FILETIME_ONLY) {
            ChangeRule::TimeOnly
        } else {
            ChangeRule::Metadata
        },
        skip_metadata: options.flag(&o::SKIP_METADATA),
        upload_unchanged: options.flag(&o::UPLOAD_UNCHANGED),
        params: Params {
            block_size: u32::try_from(block_size).unwrap_or(1 << 20),
            block_hash,
            file_hash,
            version: 2,
        },
        explicit: [&o::BLOCKSIZE, &o::BLOCK_HASH, &o::FILE_HASH]
            .map(|opt| options.given(opt.name).is_some()),
    })
}

/// How volumes are packed. `block_size` 0 = that of the backup that is there.
pub(super) fn write_options(call: &Call, params: Params, block_size: u64) -> Result<WriteOptions> {
    let (dblock_size, level) = volume_size_and_level(call, block_size)?;
    Ok(WriteOptions {
        params,
        dblock_size,
        level,
        verify_listing: !call.options.flag(&o::NO_BACKEND_VERIFICATION),
        overlapped: false,
    })
}

/// Size of a volume in bytes, and how hard to compress.
pub(super) fn volume_size_and_level(call: &Call, block_size: u64) -> Result<(u64, u8)> {
    let options = &call.options;
    let dblock_size = options.size(&o::DBLOCK_SIZE).unwrap_or(50 << 20);
    let least = WriteOptions::least_dblock(block_size);
    if dblock_size < least {
        let wrong = Error::usage(format!(
            "--dblock-size must be at least {}",
            show_size(least)
        ));
        let two = "a volume holds two blocks";
        return Err(match least > 1 << 20 {
            true => wrong.hint(format!(
                "{two}: it may be smaller with a smaller --blocksize"
            )),
            false => wrong.hint(format!("{two} of --blocksize, too: of 1mb unless given")),
        });
    }
    let level = match options.choice(&o::ZIP_METHOD) {
        Some("None") => 0,
        _ => options.int(&o::ZIP_LEVEL).unwrap_or(3),
    };
    let Some(level) = u8::try_from(level).ok().filter(|l| *l <= 9) else {
        return Err(Error::usage("--zip-compression-level must be 0 to 9"));
    };
    Ok((dblock_size, level))
}
