//! Random bytes from the operating system.

use ring::rand::{SecureRandom, SystemRandom};

use crate::base::bytes;
use crate::base::error::{Error, Kind, Result};

/// Fills `out` with random bytes; fails only where the system has no random source.
pub(crate) fn fill(out: &mut [u8]) -> Result<()> {
    SystemRandom::new()
        .fill(out)
        .map_err(|_| Error::new(Kind::Local, "the system gives no random bytes"))
}

/// `N` random bytes as lower-case hex (two characters each).
pub(crate) fn hex<const N: usize>() -> Result<String> {
    let mut raw = [0; N];
    fill(&mut raw)?;
    Ok(bytes::hex(&raw))
}
