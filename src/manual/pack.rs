//! Deflates the pages of the manual before the program is compiled, all as one, as they have many words in common. The file is
//! `name NUL text NUL` for each page; a destination that is not built in has none.

#![allow(clippy::print_stdout, reason = "that is how cargo is told something")]

use std::path::Path;
use std::{env, fs};

/// Pages that a build for a small machine does without.
const FOR_DEVELOPERS: [&str; 3] = ["benchmarks", "building", "internals"];

/// The page that the program makes from its own tables.
const PRINTED: &str = "options";

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let root = env::var("CARGO_MANIFEST_DIR")?;
    let source = Path::new(&root).join("src/manual");
    println!("cargo::rerun-if-changed={}", source.display());
    println!("cargo::rerun-if-changed={root}/Cargo.toml");
    let features = fs::read_to_string(Path::new(&root).join("Cargo.toml"))?;
    let mut names = Vec::new();
    for entry in fs::read_dir(&source)? {
        let path = entry?.path();
        if path.extension().is_some_and(|e| e == "md") {
            let name = path.file_stem().and_then(|n| n.to_str());
            names.push(name.ok_or("a page has a name")?.to_owned());
        }
    }
    names.sort_unstable();
    let mut all = Vec::new();
    for name in names {
        let choice = features.contains(&format!("\ndest-{name} = "));
        let on = format!("CARGO_FEATURE_DEST_{}", name.to_ascii_uppercase());
        let more = FOR_DEVELOPERS.contains(&name.as_str());
        let more_off = env::var_os("CARGO_FEATURE_DEVELOPER_PAGES").is_none();
        if choice && env::var_os(on).is_none() || more && more_off || name == PRINTED {
            continue;
        }
        all.extend([name.as_bytes(), b"\0"].concat());
        all.extend(fs::read(source.join(name + ".md"))?);
        all.push(0);
    }
    let packed = miniz_oxide::deflate::compress_to_vec(&all, 9);
    fs::write(
        Path::new(&env::var("OUT_DIR")?).join("manual.deflated"),
        packed,
    )?;
    Ok(())
}
