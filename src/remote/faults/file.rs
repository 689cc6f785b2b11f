//! A folder of this machine in the table of faults.

use std::path::PathBuf;

use super::*;
use crate::base::rand;

pub(super) fn start() -> Box<dyn Wire> {
    let name = format!("duplet-faults-{}", rand::hex::<8>().expect("random"));
    let root = std::env::temp_dir().join(name);
    std::fs::create_dir_all(root.join("d")).expect("a folder");
    Box::new(Folder(root))
}

struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

impl Wire for Folder {
    fn schemes(&self) -> &'static [&'static str] {
        &["file"]
    }

    fn url(&self, _: &str, query: &str) -> String {
        let root = self.0.to_str().expect("plain");
        format!("file://{root}/d?retry-delay=0s&{query}")
    }

    fn store(&self, name: &str, data: &[u8]) {
        std::fs::write(self.0.join("d").join(name), data).expect("stored");
    }

    fn file(&self, name: &str) -> Option<Vec<u8>> {
        std::fs::read(self.0.join("d").join(name)).ok()
    }

    fn unmake(&self) {
        std::fs::remove_dir_all(self.0.join("d")).expect("gone");
    }
}
