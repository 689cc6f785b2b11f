//! Options of Jottacloud.

use crate::base::error::{Error, Result};
use crate::base::opt::{Options, ignored, options, text};
use crate::net::oauth;

options! {
    AUTHID: oauth::AUTHID;
    OAUTH_URL: oauth::OAUTH_URL;
    CLIENT_ID: oauth::CLIENT_ID;
    CLIENT_SECRET: oauth::CLIENT_SECRET;
    REFRESH_TOKEN: oauth::REFRESH_TOKEN;
    TOKEN_URL: oauth::TOKEN_URL;
    TOKEN_FILE: oauth::TOKEN_FILE;
    DEVICE: text("jottacloud-device", "Device in which the folder of the URL is; Jotta without it, which every account has.");
    MOUNT: text("jottacloud-mountpoint", "Its mount point; without it Archive on Jotta and Duplicati on other devices.");
    ENDPOINT: text("jottacloud-endpoint", "Address that stands for all of the service's own, for tests.");
    THREADS: ignored("jottacloud-threads", "No effect.");
    CHUNK: ignored("jottacloud-chunksize", "No effect.");
}

/// The device that every account has.
pub(super) const JOTTA: &str = "Jotta";

/// Device and mount point.
pub(super) fn place(given: &Options) -> Result<(String, String)> {
    let one = |opt, usual: &str| {
        let text = given.text(opt).unwrap_or_default().trim();
        let text = if text.is_empty() { usual } else { text };
        match text.contains('/') || matches!(text, "." | "..") {
            true => Err(Error::usage(format!("--{} is no name", opt.name))),
            false => Ok(text.to_owned()),
        }
    };
    let device = one(&DEVICE, JOTTA)?;
    let is_jotta = device.eq_ignore_ascii_case(JOTTA);
    let mount = one(&MOUNT, if is_jotta { "Archive" } else { "Duplicati" })?;
    let made = ["Trash", "Links", "Latest", "Shared"];
    if made.iter().any(|name| mount.eq_ignore_ascii_case(name)) {
        let cause = format!("the mount point {mount} takes no backup");
        return Err(Error::usage(cause).hint("leave --jottacloud-mountpoint out"));
    }
    Ok((device, mount))
}
