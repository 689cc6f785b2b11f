//! Layer 1, the network side: URLs, HTTP, TLS, names, XML, signatures. Knows nothing of volumes or files.

pub(crate) mod opts;
pub(crate) mod url;
