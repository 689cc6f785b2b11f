//! The options of `openstack` (`destinations-more.md` 2.6).

use crate::base::opt::{Kind, Opt, Part, row};

pub(super) const AUTH_URI: Opt = row(
    "openstack-authuri",
    Kind::Word,
    "",
    "Address to log in at; it ends in /v3, /v2.0 or /auth/v1.0.",
);
pub(super) const VERSION: Opt = row(
    "openstack-version",
    Kind::Choice(&["v1", "v2", "v3"]),
    "",
    "Version of the log-in; by the end of the address without it.",
);
pub(super) const DOMAIN: Opt = row(
    "openstack-domain-name",
    Kind::Text,
    "",
    "Domain of user and project, for v3.",
);
pub(super) const TENANT: Opt = row(
    "openstack-tenant-name",
    Kind::Text,
    "",
    "Project (tenant) of the container.",
);
pub(super) const API_KEY: Opt = row(
    "openstack-apikey",
    Kind::Secret,
    "",
    "API key in place of the password, for v2 (Rackspace).",
);
pub(super) const REGION: Opt = row(
    "openstack-region",
    Kind::Text,
    "",
    "Region of the container; the first of the catalogue without it.",
);
pub(super) const CREDENTIAL: Opt = row(
    "openstack-application-credential-id",
    Kind::Text,
    "",
    "Application credential in place of user and project, for v3; also OS_APPLICATION_CREDENTIAL_ID.",
)
.of_login(Part::User, "OS_APPLICATION_CREDENTIAL_ID");
pub(super) const CREDENTIAL_SECRET: Opt = row(
    "openstack-application-credential-secret",
    Kind::Secret,
    "",
    "Its secret; also OS_APPLICATION_CREDENTIAL_SECRET.",
)
.of_login(Part::Password, "OS_APPLICATION_CREDENTIAL_SECRET");
pub(super) const PAGE_SIZE: Opt = row(
    "openstack-page-size",
    Kind::Int(1),
    "1000",
    "Files asked for at once in a listing.",
);

pub(super) static OPTIONS: &[Opt] = &[
    AUTH_URI,
    VERSION,
    DOMAIN,
    TENANT,
    API_KEY,
    REGION,
    CREDENTIAL,
    CREDENTIAL_SECRET,
    PAGE_SIZE,
];
