//! Tests of `dest::s3::config`.

use super::*;

/// A URL and its options, with those of the command line; its query is stronger.
pub(in crate::dest::s3) fn given(
    text: &str,
    rows: &'static [Opt],
    line: &[(&str, &str)],
) -> Result<(DestUrl, Options)> {
    let (url, _) = DestUrl::parse(text)?;
    let mut options = Options::default();
    let general: &[&Opt] = &[&opts::AUTH_USERNAME, &opts::AUTH_PASSWORD];
    let mut set = |name: &str, value: &str| {
        let mut all = rows.iter().chain(general.iter().copied());
        let row = all.find(|o| o.is_named(name)).expect("option");
        options.set(row, value)
    };
    for (name, value) in line {
        set(name, value)?;
    }
    for (name, value) in &url.query {
        set(name, value.reveal())?;
    }
    Ok((url, options))
}

fn setup(text: &str, line: &[(&str, &str)]) -> Result<Setup> {
    let (url, options) = given(text, OPTIONS, line)?;
    Setup::new(&url, &options, None)
}

#[test]
fn endpoints_regions_and_styles() {
    for (query, host, tls, region, virtual_host) in [
        ("", "s3.amazonaws.com", true, "us-east-1", true),
        (
            "s3-location-constraint=EU",
            "s3.eu-west-1.amazonaws.com",
            true,
            "eu-west-1",
            true,
        ),
        (
            "s3-location-constraint=cn-north-1",
            "s3.cn-north-1.amazonaws.com.cn",
            true,
            "cn-north-1",
            true,
        ),
        (
            "s3-dualstack&s3-location-constraint=eu-west-1",
            "s3.dualstack.eu-west-1.amazonaws.com",
            true,
            "eu-west-1",
            true,
        ),
        (
            "s3-server-name=127.0.0.1:9000",
            "127.0.0.1:9000",
            false,
            "us-east-1",
            false,
        ),
        (
            "s3-servername=https://NAS:443/",
            "nas",
            true,
            "us-east-1",
            false,
        ),
        (
            "s3-server-name=http://nas:80",
            "nas",
            false,
            "us-east-1",
            false,
        ),
        (
            "s3-server-name=https://nas:9000&use-ssl=false",
            "nas:9000",
            false,
            "us-east-1",
            false,
        ),
        (
            "s3-server-name=s3.us-west-004.backblazeb2.com",
            "s3.us-west-004.backblazeb2.com",
            true,
            "us-west-004",
            false,
        ),
        (
            "s3-server-name=x.r2.cloudflarestorage.com&use-ssl=off",
            "x.r2.cloudflarestorage.com",
            false,
            "auto",
            false,
        ),
        (
            "s3-server-name=fra1.digitaloceanspaces.com",
            "fra1.digitaloceanspaces.com",
            true,
            "fra1",
            false,
        ),
        (
            "s3-server-name=oss-cn-hangzhou.aliyuncs.com",
            "oss-cn-hangzhou.aliyuncs.com",
            true,
            "cn-hangzhou",
            true,
        ),
        (
            "s3-server-name=cos.ap-paris.myqcloud.com",
            "cos.ap-paris.myqcloud.com",
            true,
            "ap-paris",
            true,
        ),
        (
            "s3-server-name=s3.nas.lan&s3-authentication-region=garage",
            "s3.nas.lan",
            false,
            "garage",
            false,
        ),
        (
            "s3-server-name=[::1]:9000&s3-ext-forcepathstyle=false",
            "[::1]:9000",
            false,
            "us-east-1",
            true,
        ),
        (
            "s3-ext-forcepathstyle=true",
            "s3.amazonaws.com",
            true,
            "us-east-1",
            false,
        ),
        (
            "s3-server-name=bkt.s3.eu-west-1.amazonaws.com",
            "bkt.s3.eu-west-1.amazonaws.com",
            true,
            "eu-west-1",
            true,
        ),
    ] {
        let s = setup(&format!("s3://id:secret@bkt/pre?{query}"), &[]).expect(query);
        assert_eq!(
            (
                s.endpoint.host.as_str(),
                s.endpoint.tls,
                s.region.as_str(),
                s.virtual_host
            ),
            (host, tls, region, virtual_host),
            "{query}"
        );
    }
    assert_eq!(region_of("s3-eu-west-2.amazonaws.com"), Some("eu-west-2"));
    assert_eq!(region_of("s3.wasabisys.com"), Some("us-east-1"));
    assert_eq!(region_of("minio"), None);
}

#[test]
fn buckets_and_prefixes() {
    for (text, bucket, prefix, virtual_host) in [
        ("s3://i:secret@Bkt/a/b", "Bkt", "a/b/", false),
        ("s3://i:secret@bkt/ a ", "bkt", "a/", true),
        ("s3://i:secret@my.bkt", "my.bkt", "", false),
        ("s3://i:secret@bkt//x/", "bkt", "/x/", true),
    ] {
        let s = setup(text, &[]).expect(text);
        assert_eq!(
            (s.bucket.as_str(), s.prefix.as_str(), s.virtual_host),
            (bucket, prefix, virtual_host)
        );
    }
}

#[test]
fn what_is_missing_or_wrong_is_named() {
    for (text, part) in [
        ("s3:///x", "missing bucket name"),
        ("s3://b", "AWS_ACCESS_KEY_ID"),
        ("s3://id@b", "AWS_SECRET_ACCESS_KEY"),
        ("s3://id: @b", "AWS_SECRET_ACCESS_KEY"),
        (
            "s3://i:secret@b?s3-server-name=h/x",
            "no path allowed in endpoint",
        ),
        ("s3://i:secret@b?s3-server-name=ftp://h", "http://"),
        ("s3://i:secret@b?s3-client=x", "aws, minio"),
        ("s3://i:secret@b?s3-list-api-version=v3", "v1, v2"),
    ] {
        let e = setup(text, &[]).err().expect(text);
        assert_eq!(e.kind().exit_code(), 200);
        assert!(e.to_string().contains(part), "{text}: {e}");
    }
}

#[test]
fn credentials_by_rank() {
    let line = [
        ("auth-username", "low"),
        ("auth-password", "lowsecret"),
        ("aws-access-key-id", "top"),
    ];
    assert_eq!(setup("s3://mid:x@b", &line).expect("good").keys.id, "top");
    assert_eq!(
        setup("s3://mid:x@b", &line[..2]).expect("good").keys.id,
        "mid"
    );
    assert_eq!(setup("s3://b", &line[..2]).expect("good").keys.id, "low");
    assert_eq!(
        setup("s3://mid@b", &line[..2]).expect("good").keys.id,
        "mid"
    );
}
