//! Tests of `dest::openstack::login`.

use super::*;
use crate::base::opt::Opt;

fn login(query: &str) -> Result<Keystone> {
    let text = format!("openstack://box/p?{query}");
    let (url, _) = DestUrl::parse(&text)?;
    let mut options = Options::default();
    let general: &[&'static Opt] = &[&opts::AUTH_USERNAME, &opts::AUTH_PASSWORD];
    for (name, value) in &url.query {
        let mut all = OPTIONS.iter().chain(general.iter().copied());
        options.set(
            all.find(|o| o.is_named(name)).expect("option"),
            value.reveal(),
        )?;
    }
    Keystone::new(&url, &options).map(|(login, ..)| login)
}

/// What is sent, with all quotes in place; of the address the end.
fn sent(query: &str) -> String {
    let login = login(query).expect(query);
    let headers: Vec<&str> = login.headers.iter().map(|(_, v)| v.reveal()).collect();
    match login.body {
        None => format!("v1 {}", headers.join(" ")),
        Some(body) => {
            let at = login.url.find("/auth/").or(login.url.rfind("/tokens"));
            format!("{} {}", &login.url[at.expect("a path")..], body.reveal())
        }
    }
}

#[test]
fn log_ins_of_all_versions() {
    let user = "auth-username=u%22&auth-password=p%2Fw";
    let project = "openstack-domain-name=D&openstack-tenant-name=T";
    let password = r#""identity":{"methods":["password"],"password":{"user":{"domain":{"name":"D"},"name":"u\"","password":"p/w"}}}"#;
    let v2 = r#"/tokens {"auth":{"passwordCredentials":{"password":"p/w","username":"u\""},"tenantName":"T"}}"#;
    for (query, want) in [
        (format!("openstack-authuri=https://h/auth/v1.0&{user}"), "v1 u\" p/w".to_owned()),
        (format!("openstack-authuri=https://h/v2.0/&{user}&{project}"), v2.to_owned()),
        (format!("openstack-authuri=https://h&{user}&{project}"), v2.to_owned()),
        (
            format!("openstack-authuri=https://h/v3&{user}&{project}"),
            format!(r#"/auth/tokens {{"auth":{{{password},"scope":{{"project":{{"domain":{{"name":"D"}},"name":"T"}}}}}}}}"#),
        ),
        (
            "openstack-authuri=https://h/v2.0&auth-username=u&openstack-apikey=k".to_owned(),
            r#"/tokens {"auth":{"RAX-KSKEY:apiKeyCredentials":{"apiKey":"k","username":"u"}}}"#.to_owned(),
        ),
        (
            "openstack-authuri=https://h/v3&openstack-application-credential-id=i&openstack-application-credential-secret=s".to_owned(),
            r#"/auth/tokens {"auth":{"identity":{"application_credential":{"id":"i","secret":"s"},"methods":["application_credential"]}}}"#.to_owned(),
        ),
    ] {
        assert_eq!(sent(&query), want, "{query}");
    }
    assert!(
        sent(&format!(
            "openstack-authuri=https://h/x&openstack-version=v3&{user}&{project}"
        ))
        .starts_with("/auth/tokens")
    );
}

#[test]
fn what_is_missing_is_named() {
    let user = "auth-username=u&auth-password=hunter2";
    for (query, words) in [
        (user.to_owned(), "--openstack-authuri"),
        (
            format!("openstack-authuri=h/v3&{user}"),
            "--openstack-authuri",
        ),
        (
            format!("openstack-authuri=ftp://h/v3&{user}"),
            "--openstack-authuri",
        ),
        (
            format!("openstack-authuri=https://u:hunter2@h/v3&{user}"),
            "--openstack-authuri",
        ),
        (
            "openstack-authuri=https://h/v3".to_owned(),
            "--auth-username",
        ),
        (
            "openstack-authuri=https://h/v3&auth-username=u".to_owned(),
            "--auth-password",
        ),
        (
            format!("openstack-authuri=https://h/v3&{user}"),
            "--openstack-domain-name",
        ),
        (
            format!("openstack-authuri=https://h/v3&openstack-domain-name=D&{user}"),
            "--openstack-tenant-name",
        ),
        (
            format!("openstack-authuri=https://h/v2.0&{user}"),
            "--openstack-tenant-name",
        ),
        (
            "openstack-authuri=https://h/v3&openstack-application-credential-id=i".to_owned(),
            "credential-secret",
        ),
        (
            "openstack-authuri=https://h/v2.0&openstack-application-credential-id=i".to_owned(),
            "needs Keystone v3",
        ),
    ] {
        let told = login(&query).err().expect(&query).to_string();
        assert!(
            told.contains(words) && !told.contains("hunter2"),
            "{query}: {told}"
        );
    }
}

/// The address that a catalogue leads to, and whether it is in the region.
fn best(region: &str, json: &str) -> Option<(String, bool)> {
    let key = "openstack-application-credential-id=i&openstack-application-credential-secret=s";
    let v3 = json.contains("\"token\"");
    let query = match v3 {
        true => format!("openstack-authuri=https://h/v3&{key}&openstack-region={region}"),
        false => format!(
            "openstack-authuri=https://h/v2.0&auth-username=u&openstack-apikey=k&openstack-region={region}"
        ),
    };
    let login = login(&query).expect("good");
    let io = |_: &std::io::Error| Fault::new(Class::Transient, "io");
    let (mut best, mut regions) = (<(u8, String, String)>::default(), Vec::new());
    let max = REPLY_MAX_BYTES;
    let mut input = json.as_bytes();
    rows::objects(&mut input, &io, max, login.catalogue, &mut |service| {
        login.look(service, &mut best, &mut regions);
        Ok(())
    })
    .expect("JSON");
    let same = region.is_empty() || best.1.eq_ignore_ascii_case(region);
    (best.0 > 0).then_some((best.2, same))
}

#[test]
fn the_endpoint_of_a_catalogue() {
    let one = |interface: &str, region: &str| {
        format!(
            r#"{{"interface":"{interface}","url":"{interface}-{region}","region_id":"{region}","region":"{region}"}}"#
        )
    };
    let all = [
        one("internal", "A"),
        one("public", "A"),
        one("admin", "B"),
        one("public", "B"),
        one("internal", "C"),
    ];
    let v3 = format!(
        r#"{{"token":{{"catalog":[{{"type":"compute","endpoints":[{}]}},{{"endpoints":[{}],"type":"object-store"}},{{"endpoints":[{}],"type":"volume"}}]}}}}"#,
        one("public", "A"),
        all.join(","),
        one("public", "B"),
    );
    let v2 = r#"{"access":{"serviceCatalog":[{"endpoints":[{"region":"A","internalURL":"int-A","publicURL":"public-A"},{"publicURL":"public-B","region":"B"}],"type":"object-store"}]}}"#;
    for (json, region, want, same) in [
        (v3.as_str(), "", "public-A", true),
        (&v3, "A", "public-A", true),
        (&v3, "b", "public-B", true),
        (&v3, "C", "public-A", false),
        (&v3, "nowhere", "public-A", false),
        (v2, "", "public-A", true),
        (v2, "b", "public-B", true),
        (v2, "C", "public-A", false),
    ] {
        assert_eq!(
            best(region, json),
            Some((want.to_owned(), same)),
            "{region}"
        );
    }
    assert_eq!(best("", r#"{"token":{"catalog":[]}}"#), None);
}
