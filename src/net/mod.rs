//! Layer 1, the network side: URLs, HTTP, TLS, names, XML, JSON, signatures. Knows nothing of volumes or files.

#[cfg(feature = "http-auth")]
pub(crate) mod challenge;
#[cfg(feature = "http")]
pub(crate) mod checks;
#[cfg(feature = "http-auth")]
pub(crate) mod digest;
#[cfg(feature = "http")]
pub(crate) mod http;
#[cfg(feature = "json")]
pub(crate) mod json;
#[cfg(feature = "oauth")]
pub(crate) mod oauth;
pub(crate) mod opts;
#[cfg(feature = "http")]
pub(crate) mod primitives;
#[cfg(feature = "http")]
pub(crate) mod proxy;
#[cfg(feature = "http")]
pub(crate) mod ranged;
#[cfg(feature = "http")]
pub(crate) mod redirect;
#[cfg(feature = "http")]
pub(crate) mod resolve;
#[cfg(all(feature = "http", any(feature = "json", feature = "xml")))]
pub(crate) mod service;
#[cfg(feature = "http")]
pub(crate) mod sigv4;
#[cfg(feature = "http")]
pub(crate) mod tls;
pub(crate) mod url;
#[cfg(feature = "xml")]
pub(crate) mod xml;
