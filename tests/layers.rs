//! The architecture holds: a module uses only layers below its own, `unsafe` and printing live in one place each.

mod support;

use std::fs;
use std::path::{Path, PathBuf};

/// Modules side by side are in one row; each row may use the rows above it.
const LAYERS: [&[&str]; 8] = [
    &["base"],
    &["format", "net", "select", "spill"],
    &["dest"],
    &["remote"],
    &["set"],
    &["writer"],
    &["backup", "restore", "upkeep", "query", "mount"],
    // The fuzz door (feature `fuzz`) reaches every reader.
    &["cli", "fuzz"],
];

fn layer(module: &str) -> Option<usize> {
    LAYERS.iter().position(|row| row.contains(&module))
}

struct Source {
    /// Relative to `src`.
    path: String,
    /// First folder or file below `src`, without extension.
    module: String,
    /// With comments and the insides of texts blanked out.
    code: String,
    /// As it is.
    text: String,
}

impl Source {
    /// It is the module of this name, or in its folder.
    fn is_of(&self, name: &str) -> bool {
        let folder = name.replace(".rs", "/");
        self.path.ends_with(name) || self.path.contains(&folder)
    }
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut open = vec![root.clone()];
    let mut found = Vec::new();
    while let Some(path) = open.pop() {
        if path == root.join("manual") {
            // Pages, and what packs them before the program is compiled.
        } else if path.is_dir() {
            open.extend(support::names(&path).into_iter().map(|n| path.join(n)));
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(source(&root, &path));
        }
    }
    assert!(found.len() > 30, "the sources were not found");
    found
}

fn source(root: &Path, path: &Path) -> Source {
    let rel: PathBuf = path.strip_prefix(root).expect("below the root").into();
    let first = rel.components().next().expect("a file name");
    let first = first.as_os_str().to_string_lossy();
    let text = fs::read_to_string(path).expect("a readable source");
    Source {
        module: first.trim_end_matches(".rs").to_owned(),
        path: rel.to_string_lossy().into_owned(),
        code: blank(&text),
        text,
    }
}

/// Blanks out comments and the insides of string and character literals.
fn blank(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let skip = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("r\"") || rest.starts_with("r#") || rest.starts_with("br") {
            raw_text(rest)
        } else if c == '"' {
            literal(rest, '"')
        } else if rest.starts_with("'\"'") || rest.starts_with("'\\") {
            literal(rest, '\'')
        } else {
            0
        };
        if skip == 0 {
            out.push(c);
            rest = &rest[c.len_utf8()..];
        } else {
            out.push(' ');
            rest = &rest[skip..];
        }
    }
    out
}

fn raw_text(rest: &str) -> usize {
    let body = rest.trim_start_matches('b');
    let Some(after) = body.strip_prefix('r') else {
        return 0;
    };
    let marks = after.len() - after.trim_start_matches('#').len();
    if !after[marks..].starts_with('"') {
        return 0;
    }
    let end = format!("\"{}", "#".repeat(marks));
    let head = rest.len() - after.len() + marks + 1;
    rest[head..]
        .find(&end)
        .map_or(rest.len(), |at| head + at + end.len())
}

fn literal(rest: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if c == quote => return at + 1,
            _ => {}
        }
    }
    rest.len()
}

/// Names right after every `crate::`, also inside `crate::{a, b::{c}}`.
fn used(code: &str) -> Vec<String> {
    let mut out = Vec::new();
    for (at, word) in code.match_indices("crate::") {
        let before = code[..at].chars().next_back();
        if before.is_some_and(|c| c.is_alphanumeric() || c == '_') {
            continue;
        }
        let rest = &code[at + word.len()..];
        match rest.trim_start().strip_prefix('{') {
            None => out.push(first_name(rest)),
            Some(group) => {
                let mut depth = 0;
                let mut start = true;
                for (i, c) in group.char_indices() {
                    match c {
                        '{' => depth += 1,
                        '}' if depth == 0 => break,
                        '}' => depth -= 1,
                        ',' if depth == 0 => start = true,
                        c if start && !c.is_whitespace() => {
                            out.push(first_name(&group[i..]));
                            start = false;
                        }
                        _ => {}
                    }
                }
            }
        }
    }
    out
}

fn first_name(text: &str) -> String {
    text.chars()
        .take_while(|c| c.is_alphanumeric() || *c == '_')
        .collect()
}

#[test]
fn modules_use_only_layers_below() {
    let mut faults = Vec::new();
    for file in sources() {
        let top = file.module == "lib" || file.module == "main";
        let Some(own) = layer(&file.module).or(top.then_some(LAYERS.len())) else {
            faults.push(format!("src/{}: no layer named for this module", file.path));
            continue;
        };
        for other in used(&file.code) {
            let Some(theirs) = layer(&other) else {
                if !top {
                    faults.push(format!(
                        "src/{}: uses crate::{other}, which has no layer",
                        file.path
                    ));
                }
                continue;
            };
            if other != file.module && theirs >= own {
                faults.push(format!(
                    "src/{}: uses crate::{other}, which is not below it",
                    file.path
                ));
            }
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
}

/// Ends of the paths of files that are compiled into the unit tests only: `#[cfg(test)] mod name;`, also with a feature.
fn test_files(sources: &[Source]) -> Vec<String> {
    let mut names = vec!["tests.rs".to_owned()];
    for file in sources {
        let of_tests = |part: &&str| part.starts_with("test)]") || part.starts_with("all(");
        for part in file.code.split("#[cfg(").skip(1).filter(of_tests) {
            let (cfg, part) = part.split_once(")]").unwrap_or_default();
            if cfg.starts_with("all(") && !cfg.split(['(', ',']).any(|w| w.trim() == "test") {
                continue;
            }
            let mut words = part
                .split_whitespace()
                .skip_while(|w| w.starts_with('#') || *w == "=" || w.ends_with(']'));
            let mut word = words.next().unwrap_or_default();
            if word.starts_with("pub") {
                word = words.next().unwrap_or_default();
            }
            let name = words.next().and_then(|w| w.strip_suffix(';'));
            if let ("mod", Some(name)) = (word, name) {
                names.push(format!("/{name}.rs"));
            }
        }
    }
    names
}

/// Files without the insides of their unit tests, and without those that are unit tests.
fn without_tests() -> Vec<Source> {
    let mut sources = sources();
    let test_files = test_files(&sources);
    sources.retain(|file| {
        let ends = file.path.ends_with("_tests.rs") || file.path.starts_with("remote/faults/");
        !ends && !test_files.iter().any(|name| file.is_of(name))
    });
    for file in &mut sources {
        for text in [&mut file.code, &mut file.text] {
            let end = text.find("\nmod tests {");
            text.truncate(end.unwrap_or(text.len()));
        }
    }
    sources
}

/// Every word of `words` is found only in files whose path starts with `allowed`; unit tests count if `tests` says so.
fn only_in(allowed: &str, words: &[&str], tests: bool) {
    let mut faults = Vec::new();
    let mut home = 0;
    let sources = sources();
    let test_files = test_files(&sources);
    for mut file in sources {
        if !tests {
            if test_files.iter().any(|name| file.is_of(name)) {
                continue;
            }
            let end = file
                .code
                .find("#[cfg(test)]\nmod ")
                .or(file.code.find("\nmod tests {"));
            file.code.truncate(end.unwrap_or(file.code.len()));
        }
        for word in words {
            let hits = file
                .code
                .match_indices(word)
                .filter(|(at, _)| whole(&file.code, *at, word))
                .count();
            if file.path.starts_with(allowed) {
                home += hits;
            } else if hits > 0 {
                faults.push(format!("src/{}: {word}", file.path));
            }
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
    assert!(
        home > 0,
        "nothing found in src/{allowed}: the search is broken"
    );
}

fn whole(code: &str, at: usize, word: &str) -> bool {
    let part = |c: char| c.is_alphanumeric() || c == '_';
    let before = code[..at].chars().next_back().is_some_and(part);
    let after = code[at + word.len()..].chars().next().is_some_and(part);
    !before && !after
}

#[test]
fn unsafe_code_is_in_one_place() {
    only_in("base/sys", &["unsafe"], true);
}

#[test]
fn printing_is_in_one_place() {
    let words = [
        "stdout()",
        "stderr()",
        "io::stdout",
        "io::stderr",
        "println",
        "eprintln",
        "print",
        "eprint",
        "dbg",
    ];
    only_in("base/ui.rs", &words, false);
}

/// What changes a destination is asked for in `remote` and used in `writer` only.
#[test]
fn only_the_writer_changes_a_destination() {
    let mut faults = Vec::new();
    let sources = sources();
    let test_files = test_files(&sources);
    for file in &sources {
        let home = file.path.starts_with("remote/") || file.path.starts_with("writer/");
        if !home
            && !test_files.iter().any(|name| file.is_of(name))
            && file.code.contains("RemoteMut")
        {
            faults.push(&file.path);
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
    assert!(
        sources
            .iter()
            .any(|f| f.path.starts_with("writer/") && f.code.contains("RemoteMut"))
    );
}

#[test]
fn permits_are_made_in_one_place() {
    only_in("set/permit.rs", &["Permit::to_write"], false);
}

/// The paths that begin with `crate`, `super` or `self`, each name by itself; groups in braces are taken apart.
fn paths(code: &str) -> Vec<Vec<String>> {
    let mut out = Vec::new();
    for word in ["crate", "super", "self"] {
        for (mut at, _) in code.match_indices(word) {
            let before = code[..at].chars().next_back();
            let inside = before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':');
            if !inside && code[at + word.len()..].starts_with("::") {
                tree(code, &mut at, Vec::new(), &mut out);
            }
        }
    }
    out
}

/// Reads what `code` has at `at` as a path below `path`, up to the end of it.
fn tree(code: &str, at: &mut usize, mut path: Vec<String>, out: &mut Vec<Vec<String>>) {
    let blanks = |at: &mut usize| *at += code[*at..].len() - code[*at..].trim_start().len();
    loop {
        blanks(at);
        if code[*at..].starts_with('{') {
            while *at < code.len() && !code[*at..].starts_with('}') {
                *at += 1;
                blanks(at);
                if !code[*at..].starts_with('}') {
                    tree(code, at, path.clone(), out);
                    // `as name`, or a star.
                    let rest = &code[*at..];
                    *at += rest.find([',', '}']).unwrap_or(rest.len());
                }
            }
            *at = (*at + 1).min(code.len());
            return;
        }
        let name = first_name(&code[*at..]);
        *at += name.len();
        if !name.is_empty() {
            path.push(name);
        }
        if !code[*at..].starts_with("::") {
            out.push(path);
            return;
        }
        *at += 2;
        if !code[*at..].starts_with(|c: char| c.is_alphanumeric() || c == '_' || c == '{') {
            out.push(path);
            return;
        }
    }
}

/// The names of a file's module, from the root.
fn module_of(path: &str) -> Vec<String> {
    let path = path.trim_end_matches(".rs").trim_end_matches("/mod");
    path.split('/').map(str::to_owned).collect()
}

/// Circles that are natural: from, to, why.
const CIRCLES: [(&str, &str, &str); 1] = [(
    "dest/b2/upload.rs",
    "dest/b2/large.rs",
    "a file too large for one request is uploaded in parts, which are uploads again",
)];

/// Which files of one room use which, by position; a `mod.rs` and what is below it count as one.
fn uses(files: &[Source]) -> Vec<Vec<usize>> {
    let modules: Vec<Vec<String>> = files.iter().map(|f| module_of(&f.path)).collect();
    let mut out = Vec::new();
    for (i, file) in files.iter().enumerate() {
        let mut to = Vec::new();
        for path in paths(&file.code) {
            let mut full = match path[0].as_str() {
                "crate" => Vec::new(),
                _ => modules[i].clone(),
            };
            for name in &path {
                match name.as_str() {
                    "super" => drop(full.pop()),
                    "crate" | "self" => {}
                    name => full.push(name.to_owned()),
                }
            }
            let best = modules
                .iter()
                .enumerate()
                .filter(|(_, m)| full.starts_with(m))
                .max_by_key(|(_, m)| m.len());
            let Some((j, _)) = best else { continue };
            let family = modules[i].starts_with(&modules[j]) || modules[j].starts_with(&modules[i]);
            let allowed = CIRCLES
                .iter()
                .any(|(from, to, _)| *from == file.path && *to == files[j].path);
            if modules[i][0] == modules[j][0] && !family && !allowed {
                to.push(j);
            }
        }
        out.push(to);
    }
    out
}

/// True when `from` leads to `to` over any number of files.
fn leads(uses: &[Vec<usize>], from: usize, to: usize) -> bool {
    let mut seen = vec![false; uses.len()];
    let mut open = vec![from];
    while let Some(at) = open.pop() {
        if at == to {
            return true;
        }
        if !std::mem::replace(&mut seen[at], true) {
            open.extend(&uses[at]);
        }
    }
    false
}

#[test]
fn files_of_a_room_use_each_other_in_one_direction() {
    let files = without_tests();
    let uses = uses(&files);
    assert!(
        uses.iter().map(Vec::len).sum::<usize>() > 300,
        "the search is broken"
    );
    let mut faults = Vec::new();
    for (i, to) in uses.iter().enumerate() {
        for &j in to {
            if leads(&uses, j, i) {
                let (from, to) = (&files[i].path, &files[j].path);
                faults.push(format!("src/{from} uses {to}, which leads back to it"));
            }
        }
    }
    faults.dedup();
    assert!(faults.is_empty(), "{faults:#?}");
}

/// Lines of a source file at most, unit tests in files of their own left out.
const FILE_LINES: usize = 450;
/// Lines of a function at most.
const FUNCTION_LINES: usize = 120;

#[test]
fn files_and_functions_are_short() {
    let mut faults = Vec::new();
    let mut functions = 0;
    for file in without_tests() {
        let path = &file.path;
        let lines: Vec<&str> = file.text.lines().collect();
        if lines.len() > FILE_LINES {
            faults.push(format!("src/{path} has {} lines", lines.len()));
        }
        for (at, line) in lines.iter().enumerate() {
            let bare = line.trim_start();
            let indent = line.len() - bare.len();
            let head = bare.split('(').next().unwrap_or_default();
            if !head.split(' ').any(|word| word == "fn") || bare.starts_with("//") {
                continue;
            }
            functions += 1;
            let end = format!("{}}}", " ".repeat(indent));
            let long = lines[at..].iter().position(|line| **line == end);
            if long.is_some_and(|long| long >= FUNCTION_LINES) && !bare.ends_with(['}', ';']) {
                faults.push(format!("src/{path}: {head} is too long"));
            }
        }
    }
    assert!(functions > 1000, "the search is broken: {functions}");
    assert!(faults.is_empty(), "{faults:#?}");
}

/// Providers of object storage, and the most lines of code that one may have: what several need is in `net/service`,
/// `net/checks.rs` and `dest/objects`.
const PROVIDERS: [(&str, &[&str]); 25] = [
    ("azure", &["dest/azure/"]),
    ("openstack", &["dest/openstack/"]),
    ("gcs", &["dest/gcs/"]),
    ("cos", &["dest/s3/cos.rs"]),
    // One client of one service for three kinds of drives, and how they are addressed.
    (
        "onedrive",
        &["dest/onedrive/mod.rs", "dest/onedrive/digest.rs"],
    ),
    (
        "sharepoint and msgroup",
        &["dest/onedrive/place.rs", "dest/onedrive/options.rs"],
    ),
    (
        "graph",
        &["dest/onedrive/client.rs", "dest/onedrive/upload.rs"],
    ),
    ("aliyunoss", &["dest/s3/oss.rs"]),
    (
        "storj",
        &["dest/s3/storj.rs", "dest/s3/grant.rs", "dest/storj.rs"],
    ),
    ("dropbox", &["dest/dropbox/"]),
    ("jottacloud", &["dest/jottacloud/"]),
    ("pcloud", &["dest/pcloud/"]),
    // What finds files by their ids, and the destination.
    ("boxes", &["dest/boxcom/client.rs"]),
    ("box", &["dest/boxcom/mod.rs", "dest/boxcom/options.rs"]),
    ("googledrive", &["dest/googledrive/"]),
    ("tahoe", &["dest/tahoe/"]),
    // What is encrypted and by which keys, the account, its files and folders, and the destination.
    ("filen's keys", &["dest/filen/keys.rs"]),
    ("filen's accounts", &["dest/filen/account.rs"]),
    ("filen's files", &["dest/filen/client.rs"]),
    ("filen", &["dest/filen/mod.rs", "dest/filen/options.rs"]),
    // What both services of one kind are told and tell, and the destinations.
    ("bedrive", &["dest/bedrive/client.rs"]),
    (
        "drimecloud and filejump",
        &[
            "dest/bedrive/mod.rs",
            "dest/bedrive/options.rs",
            "dest/bedrive/service.rs",
        ],
    ),
    // The destination, its two ways: the service's own, and keys of an S3 server.
    (
        "duplicati",
        &["dest/duplicati/mod.rs", "dest/duplicati/options.rs"],
    ),
    ("duplicati's gateway", &["dest/duplicati/gateway.rs"]),
    ("keys that are lent", &["dest/s3/lent.rs"]),
];
const PROVIDER_LINES: usize = 300;

/// Lines of code: none that is blank, a comment, or of unit tests. One that is wider than 100 columns without the insides of its
/// texts counts for each hundred begun, so that nothing is gained by putting more into a line.
fn lines_of_code(file: &Source) -> usize {
    let end = file.code.find("#[cfg(test)]\n");
    let code = &file.code[..end.unwrap_or(file.code.len())];
    let wide = |line: &str| line.trim_end().chars().count().div_ceil(100);
    code.lines().map(wide).sum()
}

#[test]
fn a_provider_is_short() {
    let files = without_tests();
    for (name, paths) in PROVIDERS {
        let own = |file: &&Source| paths.iter().any(|path| file.path.starts_with(path));
        let lines: usize = files.iter().filter(own).map(lines_of_code).sum();
        assert!(lines > 80, "{name} was not found");
        assert!(lines <= PROVIDER_LINES, "{name} has {lines} lines of code");
    }
}

#[test]
fn the_search_itself_finds_what_it_should() {
    let wide = format!(
        "fn f() {{\n\n    // no\n    a(\"{0}\");\n    {0}\n}}\n#[cfg(test)]\nmod x;\n",
        "b".repeat(190)
    );
    let file = Source {
        path: String::new(),
        module: String::new(),
        code: blank(&wide),
        text: wide,
    };
    assert_eq!(lines_of_code(&file), 5);
    let code = blank(
        "// crate::no\nuse crate::a::b; let x = \"crate::no\"; use crate::{c::{d, e}, f};\nr#\"crate::no\"#; '\"'; crate::g()",
    );
    assert_eq!(used(&code), ["a", "c", "f", "g"]);
    let found: Vec<String> =
        paths("use crate::{a::{self, b as c}, d}; use super::e::*; x(self::f::<u8>(1)); self.g")
            .iter()
            .map(|path| path.join("/"))
            .collect();
    assert_eq!(
        found,
        ["crate/a/self", "crate/a/b", "crate/d", "super/e", "self/f"]
    );
    assert_eq!(module_of("a/b/mod.rs"), module_of("a/b.rs"));
    let circle = [vec![1], vec![2], vec![0], vec![0]];
    assert!(leads(&circle, 1, 0) && !leads(&circle, 1, 3));
    assert!(whole("x unsafe {", 2, "unsafe"));
    assert!(!whole("unsafe_code", 0, "unsafe"));
}
