//! Deflates the pages of the manual before the program is compiled: they are a thirtieth of it.

#![allow(clippy::print_stdout, reason = "that is how cargo is told something")]

use std::path::Path;
use std::{env, fs};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let source = Path::new(&env::var("CARGO_MANIFEST_DIR")?).join("src/manual");
    let packed = Path::new(&env::var("OUT_DIR")?).join("manual");
    fs::create_dir_all(&packed)?;
    println!("cargo::rerun-if-changed={}", source.display());
    for entry in fs::read_dir(&source)? {
        let path = entry?.path();
        if path.extension().is_some_and(|e| e == "md") {
            let page = miniz_oxide::deflate::compress_to_vec(&fs::read(&path)?, 9);
            let name = path.file_name().ok_or("a page has a name")?;
            fs::write(packed.join(name), page)?;
        }
    }
    Ok(())
}
