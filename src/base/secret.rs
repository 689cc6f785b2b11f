//! Secrets: text that cannot be printed and is wiped when dropped.

/// A passphrase, password, key or token. No `Debug`, no `Display`, no `Clone`; the bytes are overwritten on drop.
pub(crate) struct Secret(Vec<u8>);

impl Secret {
    pub(crate) fn new(text: String) -> Secret {
        Secret(text.into_bytes())
    }

    /// The text. The caller must not copy it into anything that is printed or stored.
    pub(crate) fn reveal(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// True for empty and all-white-space text: AES Crypt refuses both (`format.md` 3.2).
    pub(crate) fn is_blank(&self) -> bool {
        self.reveal().trim().is_empty()
    }

    /// A second copy, for an owner that outlives this one.
    pub(crate) fn duplicate(&self) -> Secret {
        Secret(self.0.clone())
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        wipe(&mut self.0);
    }
}

/// Overwrites the bytes in a way that the compiler keeps.
pub(crate) fn wipe(bytes: &mut [u8]) {
    bytes.fill(0);
    std::hint::black_box(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blank_is_blank() {
        assert!(Secret::new(" \t".to_owned()).is_blank());
        assert!(!Secret::new(" x ".to_owned()).is_blank());
        assert_eq!(Secret::new(" x ".to_owned()).duplicate().reveal(), " x ");
    }
}
