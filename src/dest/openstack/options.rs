//! The options of `openstack` (`destinations-more.md` 2.6).

use crate::base::opt::{Kind, Part, options, row, secret, text};

options! {
    AUTH_URI: row("openstack-authuri", Kind::Word, "", "Address to log in at; it ends in /v3, /v2.0 or /auth/v1.0.");
    VERSION: row("openstack-version", Kind::Choice(&["v1", "v2", "v3"]), "", "Version of the log-in; by the end of the address without it.");
    DOMAIN: text("openstack-domain-name", "Domain of user and project, for v3.");
    TENANT: text("openstack-tenant-name", "Project (tenant) of the container.");
    API_KEY: secret("openstack-apikey", "API key in place of the password, for v2 (Rackspace).");
    REGION: text("openstack-region", "Region of the container; the first of the catalogue without it.");
    CREDENTIAL: text("openstack-application-credential-id",
        "Application credential in place of user and project, for v3; also OS_APPLICATION_CREDENTIAL_ID.")
        .of_login(Part::User, "OS_APPLICATION_CREDENTIAL_ID");
    CREDENTIAL_SECRET: secret("openstack-application-credential-secret", "Its secret; also OS_APPLICATION_CREDENTIAL_SECRET.")
        .of_login(Part::Password, "OS_APPLICATION_CREDENTIAL_SECRET");
    PAGE_SIZE: row("openstack-page-size", Kind::Int(1), "1000", "Files asked for at once in a listing.");
}
