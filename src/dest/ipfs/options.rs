//! The options of the `ipfs` and `ipns` schemes (`destinations-core.md` 6.1).

use crate::base::opt::{Kind, Opt, row};
use crate::net::opts;

pub(super) const TOKEN: Opt = row(
    "ipfs-api-token",
    Kind::Secret,
    "",
    "Bearer token for the RPC of an IPFS node.",
);
pub(super) const TIMEOUT: Opt = row(
    "ipfs-timeout",
    Kind::Span,
    "10m",
    "Longest time an IPFS node may spend on one request, such as on blocks that it lacks.",
);
pub(super) const CHUNK: Opt = row(
    "ipfs-chunk",
    Kind::Size(1 << 10),
    "1mb",
    "Size of the blocks that files are cut into in an IPFS node, 256kb to 1mb.",
);
pub(super) const PIN: Opt = row(
    "ipfs-pin",
    Kind::Choice(&["none", "root"]),
    "none",
    "Pin the folder in the node after a run that changed it, beside the protection that its MFS gives.",
);
pub(super) const PUBLISH: Opt = row(
    "ipfs-publish",
    Kind::Word,
    "",
    "Name of a key of the node under which to publish the folder (IPNS) after a run that changed it.",
);
pub(super) const LIFETIME: Opt = row(
    "ipfs-publish-lifetime",
    Kind::Text,
    "4320h",
    "How long the published name is valid.",
);
pub(super) const TTL: Opt = row(
    "ipfs-publish-ttl",
    Kind::Text,
    "1h",
    "How long others may keep the published name without asking again.",
);
pub(super) const PIN_SERVICE: Opt = row(
    "ipfs-pin-service",
    Kind::Word,
    "",
    "URL of a pinning service that is to keep a copy of the folder.",
);
pub(super) const PIN_TOKEN: Opt = row(
    "ipfs-pin-token",
    Kind::Secret,
    "",
    "Access token of the pinning service.",
);
pub(super) const PIN_WAIT: Opt = row(
    "ipfs-pin-wait",
    Kind::Span,
    "0s",
    "How long to wait for the pinning service to have its copy.",
);
pub(super) const GATEWAY: Opt = row(
    "ipfs-gateway",
    Kind::Word,
    "",
    "Gateways to read ipfs://CID and ipns://NAME through, in turn, separated by commas; {cid} stands for the identifier in a host name.",
);
pub(super) const GATEWAY_MODE: Opt = row(
    "ipfs-gateway-mode",
    Kind::Choice(&["raw", "car", "path"]),
    "raw",
    "How to fetch files from gateways: block by block, as archives of blocks, or whole and unchecked.",
);
pub(super) const GATEWAY_TOKEN: Opt = row(
    "ipfs-gateway-token",
    Kind::Secret,
    "",
    "Bearer token for the first gateway.",
);
pub(super) const DNSLINK: Opt = row(
    "ipfs-dnslink",
    Kind::Flag,
    "",
    "Allow ipns://DOMAIN, whose answer cannot be checked.",
);
pub(super) const LIST_SIZES: Opt = row(
    "ipfs-list-sizes",
    Kind::Flag,
    "",
    "Ask for the size of every file while listing through a gateway: one request more for each large file.",
);
pub(super) const ALLOW_EXPIRED: Opt = row(
    "ipfs-allow-expired",
    Kind::Flag,
    "",
    "Accept a published name whose time is over.",
);

/// Every option of both schemes.
pub(super) static OPTIONS: &[Opt] = &[
    opts::USE_SSL,
    TOKEN,
    TIMEOUT,
    CHUNK,
    PIN,
    PUBLISH,
    LIFETIME,
    TTL,
    PIN_SERVICE,
    PIN_TOKEN,
    PIN_WAIT,
    GATEWAY,
    GATEWAY_MODE,
    GATEWAY_TOKEN,
    DNSLINK,
    LIST_SIZES,
    ALLOW_EXPIRED,
];
