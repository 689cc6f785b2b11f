//! Tencent COS in the table of faults.

use super::faulty_s3::Server;
use super::*;

pub(super) fn start() -> Box<dyn Wire> {
    Box::new(s3::S3 {
        server: Server::start(),
        schemes: &["cos"],
        url,
        login: None,
        list: "delimiter",
        ways: &["", "s3-multipart-threshold=6mb&s3-part-size=5mb"],
    })
}

pub(super) fn url(at: &str, query: &str) -> String {
    format!(
        "cos://p?cos-bucket=bkt&cos-app-id=125&cos-region=ap-guangzhou&cos-secret-id=KEYID&cos-secret-key={SECRET_IN_URL}&s3-server-name={at}&retry-delay=0s&http-proxy=none&{query}"
    )
}
