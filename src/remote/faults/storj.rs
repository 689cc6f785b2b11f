//! Storj in the table of faults: an access grant, exchanged for keys of the server that serves the files.

use super::faulty_s3::Server;
use super::*;

pub(super) fn start() -> Box<dyn Wire> {
    Box::new(s3::S3 {
        server: server(),
        schemes: &["storj"],
        url,
        login: Some(("POST", "/v1/access")),
        list: "list-type",
        ways: &["", "s3-multipart-threshold=6mb&s3-part-size=5mb"],
    })
}

/// A gateway that exchanges grants itself.
pub(super) fn server() -> Server {
    let server = Server::start();
    let own = format!("http://{}", server.address);
    server.with(|s3| s3.gateway = Some(own));
    server
}

pub(super) fn url(at: &str, query: &str) -> String {
    // Only this machine is told a grant in the clear.
    let scheme = if at.starts_with("127.") { "http" } else { "https" };
    format!(
        "storj://x?storj-auth-method=Access%20grant&storj-shared-access={SECRET_IN_URL}&storj-auth-service={scheme}://{at}&storj-bucket=bkt&storj-folder=p&retry-delay=0s&http-proxy=none&{query}"
    )
}
