//! Duplicati's options that mean nothing here, or that this version cannot honour. A name ending in `*` stands for all that
//! begin so.

use crate::base::opt::{Kind, Opt, row};

const fn ignored(name: &'static str) -> Opt {
    row(name, Kind::Ignored, "", "Accepted without effect.")
}

const fn missing(name: &'static str) -> Opt {
    row(name, Kind::Refused(NOT_YET), "", "")
}

const fn refused(name: &'static str, reason: &'static str) -> Opt {
    row(name, Kind::Refused(reason), "", "")
}

/// What only a run that writes versions could do: without effect on all others, so that the options of an old command line
/// restore as they are.
const fn for_backup(name: &'static str, reason: &'static str) -> Opt {
    let mut opt = refused(name, reason);
    opt.commands = &["backup"];
    opt
}

const NOT_YET: &str = "it is not available in this version";
const OTHER_SYSTEM: &str = "it belongs to another operating system";

pub(super) static IGNORED: &[Opt] = &[
    ignored("ignore-advisory-locking"),
    ignored("backup-test-percentage"),
    ignored("restore-cache-max"),
    ignored("best-effort"),
    ignored("disable-file-scanner"),
    ignored("disable-filepath-cache"),
    ignored("file-read-buffer-size"),
    ignored("zip-compression-zip64"),
    ignored("zip-compression-library"),
    ignored("compression-extension-file"),
    ignored("disable-synthetic-filelist"),
    ignored("index-file-policy"),
    ignored("allow-passphrase-change"),
    // They speak of writing; what of gpg is there is read all the same.
    ignored("gpg-encryption-*"),
    ignored("aes-v3-iterations"),
    ignored("asynchronous-*"),
    ignored("concurrency-*"),
    ignored("cpu-intensity"),
    // All lines go into the file of the result and into the report.
    ignored("run-script-log-level"),
    ignored("run-script-log-filter"),
    ignored("send-http-log-level"),
    ignored("send-http-log-filter"),
    ignored("log-http-requests"),
    ignored("log-socket-data"),
    ignored("auto-vacuum"),
    ignored("auto-vacuum-interval"),
    ignored("full-block-verification"),
    ignored("dont-replace-faulty-index-files"),
    ignored("auto-cleanup"),
    ignored("reduced-purge-statistics"),
    ignored("disable-partial-dblock-recovery"),
    ignored("no-local-db"),
    ignored("no-local-blocks"),
    ignored("dbpath"),
    ignored("restore-legacy"),
    ignored("restore-file-processors"),
    ignored("restore-volume-*"),
    ignored("restore-channel-buffer-size"),
    ignored("restore-preallocate-size"),
    ignored("repair-*"),
    ignored("store-metadata-content-in-database"),
    ignored("debug-output"),
    ignored("debug-retry-errors"),
    ignored("backup-id"),
    ignored("machine-id"),
    ignored("machine-name"),
    ignored("next-scheduled-run"),
    ignored("secret-provider-cache"),
    ignored("secret-provider-pattern"),
    ignored("log-retention"),
    ignored("profile-*"),
    ignored("internal-profiling"),
    ignored("force-locale"),
    ignored("force-actual-date"),
    ignored("enable-module"),
    ignored("disable-module"),
    ignored("allow-sleep"),
    ignored("auto-update"),
    ignored("portable-mode"),
    ignored("server-datafolder"),
    ignored("allow-paths-in-log-messages"),
    ignored("remote-sync-json-config"),
    ignored("sync-*"),
    ignored("disable-filelist-consistency-checks"),
    ignored("quota-warning-threshold"),
    ignored("quota-disable"),
    ignored("exclude-non-local-files"),
    ignored("disable-ads-restore"),
    ignored("disable-piped-streaming"),
    ignored("ignore-update-if-version-exists"),
    ignored("long-database-query-threshold"),
    ignored("refresh-lock-info-complete"),
    ignored("restore-cache-evict"),
    ignored("unittest-mode"),
    ignored("use-block-cache"),
    ignored("blockhash-lookup-memory"),
    ignored("filehash-lookup-memory"),
    ignored("metadatahash-lookup-memory"),
    ignored("store-metadata"),
    ignored("oauth-url"),
    ignored("photos-*"),
    ignored("vss-*"),
    ignored("backupread-*"),
    // Volumes of gpg are read by the program of --gpg-program-path with its own defaults.
    ignored("gpg-*"),
];

pub(super) static REFUSED: &[Opt] = &[
    missing("skip-file-hash-checks"),
    missing("dont-read-manifests"),
    for_backup("changed-files", NOT_YET),
    for_backup("deleted-files", NOT_YET),
    for_backup("control-files", NOT_YET),
    for_backup("checkpoint", NOT_YET),
    for_backup("upload-verification-file", NOT_YET),
    for_backup("aes-minimal-header", NOT_YET),
    missing("aes-ignore-padding-bytes"),
    missing("soft-delete-prefix"),
    for_backup("prevent-backend-rename", NOT_YET),
    for_backup("quota-size", NOT_YET),
    for_backup("remote-file-lock-*", NOT_YET),
    missing("restore-with-local-blocks"),
    missing("patch-with-local-blocks"),
    missing("restore-all-files"),
    missing("console-log-filter"),
    missing("console-log-ignore"),
    missing("log-file-log-filter"),
    missing("log-file-log-ignore"),
    refused(
        "run-script-pass-secrets",
        "secrets are not handed to scripts",
    ),
    refused(
        "send-http-accept-*",
        "certificates to trust are named by --ssl-ca-file or --accept-specified-ssl-hash",
    ),
    missing("run-script-*"),
    missing("send-http-*"),
    missing("secret-provider"),
    refused("send-mail-*", "duplet sends no mail"),
    refused("send-xmpp-*", "duplet sends no messages"),
    refused("send-telegram-*", "duplet sends no messages"),
    for_backup("snapshot-policy", "duplet makes no snapshots"),
    for_backup("snapshot-provider", "duplet makes no snapshots"),
    for_backup("usn-policy", OTHER_SYSTEM),
    for_backup("enable-ads-backup", OTHER_SYSTEM),
    for_backup("hyperv-*", OTHER_SYSTEM),
    for_backup("mssql-*", OTHER_SYSTEM),
    for_backup("parity-module", "duplet writes no recovery files"),
    for_backup("par2-*", "duplet writes no recovery files"),
];
