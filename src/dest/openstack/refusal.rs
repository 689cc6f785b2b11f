//! What refusals of Swift and Keystone mean (`destinations-more.md` 2.6): Keystone writes JSON, Swift a small page.

use crate::base::fault::Class;
use crate::net::service::refusal::word;
use crate::net::service::{Dialect, Form, rules};

pub(super) static DIALECT: Dialect = Dialect {
    form: Form::Paged("title", "message"),
    who: "an OpenStack server",
    rules: rules! {
        300 "" [Login] => Class::Unsupported, "the address names no version of the log-in", "end --openstack-authuri in /v3, /v2.0 or /auth/v1.0";
        401 "" [Login] => Class::Auth, "the log-in was refused",
            "check --auth-username, --auth-password, --openstack-tenant-name and --openstack-domain-name";
        403 "" [Login] => Class::Auth, "the log-in was refused", "is the user enabled, and a member of the project?";
        404 "" [Login] => Class::Unsupported, "there is no log-in at this address", "check --openstack-authuri and --openstack-version";
        401 "" => Class::Auth, "the token was refused twice", "check --openstack-region; is the user a member of the project?";
        412 "" [Put] => Class::Exists;
        413 "" "quota" => Class::Full;
        422 "" [Put] => Class::Integrity, "the server received another content than was sent";
        498 "" => Class::Throttled(None);
        400 "" [MakeFolder] => Class::Unsupported, "the server finds the container name '{container}' invalid", "correct the name in the URL";
        404 "" [MakeFolder] => Class::Unsupported;
    },
    words: &[
        word(
            Class::FolderMissing,
            "=container '{container}' does not exist",
            "check the name in openstack://{container} and --openstack-region",
        ),
        word(
            Class::Auth,
            "access denied",
            "the user needs a role, or an access list of the container, that allows it",
        ),
        word(Class::Exists, "=the name is taken", ""),
        word(Class::Unsupported, "", ""),
    ],
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::service::Refusal;

    #[test]
    fn a_page_of_swift_is_a_sentence_and_others_are_pages() {
        let told = |body: &str| {
            let told = Refusal::parse(body.as_bytes(), DIALECT.form);
            (told.message, told.html)
        };
        let page = "<html><h1>Forbidden</h1><p>Access was denied to this resource.</p></html>";
        let sentence = "Forbidden: Access was denied to this resource.";
        assert_eq!(told(page), (sentence.to_owned(), false));
        assert!(told("<html><title>Log in</title>").1);
        let json = r#"{"error":{"code":401,"message":"no","title":"Unauthorized"}}"#;
        assert_eq!(told(json), ("no".to_owned(), false));
    }
}
