//! Destination URLs (`destinations-core.md` 1).

use crate::base::secret::Secret;

/// A destination URL taken apart and decoded.
pub(crate) struct DestUrl {
    /// Lower case; `file` for a local path.
    pub(crate) scheme: String,
    pub(crate) user: Option<String>,
    pub(crate) password: Option<Secret>,
    /// Case kept, IPv6 brackets kept; empty for `file:///…` and local paths.
    pub(crate) host: String,
    pub(crate) port: Option<u16>,
    /// Decoded; without the one leading `/` after a host.
    pub(crate) path: String,
    /// Decoded query, keys in lower case, repeats joined with `,`, in order of first appearance.
    pub(crate) query: Vec<(String, Secret)>,
}
