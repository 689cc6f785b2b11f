//! Where the bytes of the JSON object go.

use std::io::{self, BufWriter, Stdout, Write};

/// Bytes of the JSON object that are kept for a report.
const KEPT_JSON_BYTES: usize = 256 << 10;

/// Where the JSON object goes: to standard output, to memory for a report, or both.
pub(crate) struct Out {
    /// For what is no JSON.
    pub(super) stdout: BufWriter<Stdout>,
    pub(super) json: bool,
    /// What was written so far, while it is not too much.
    pub(super) copy: Option<Vec<u8>>,
}

impl Out {
    /// `json`: the object is wanted on standard output.
    pub(super) fn new(stdout: Stdout, json: bool) -> Out {
        Out {
            stdout: BufWriter::with_capacity(16 * 1024, stdout),
            json,
            copy: None,
        }
    }
}

impl Write for Out {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        if let Some(copy) = &mut self.copy {
            copy.extend_from_slice(data);
            if copy.len() > KEPT_JSON_BYTES {
                self.copy = None;
            }
        }
        match self.json {
            true => self.stdout.write(data),
            false => Ok(data.len()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stdout.flush()
    }
}

/// The terminal is one that shows colours, and nobody asked for none (no-color.org).
pub(super) fn wants_colours() -> bool {
    let set = |name: &str| std::env::var_os(name).filter(|v| !v.is_empty());
    set("NO_COLOR").is_none() && set("TERM").is_some_and(|term| term != "dumb")
}
