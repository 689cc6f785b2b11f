//! nginx in front of a plain server, with an authority of our own: a good certificate and those that must be refused.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Home, Server, accepts, free_port};

/// What is wrong with a certificate.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Flaw {
    None,
    WrongHost,
    Expired,
    UnknownIssuer,
    /// Made by a plain `openssl req -x509`, as on most network storage: signs itself and says it is an authority.
    SelfSigned,
}

const FLAWS: [Flaw; 5] = [
    Flaw::None,
    Flaw::WrongHost,
    Flaw::Expired,
    Flaw::UnknownIssuer,
    Flaw::SelfSigned,
];

/// TLS terminators in front of one port.
pub struct Tls {
    ports: Vec<u16>,
    _server: Server,
    home: Home,
}

pub(super) fn openssl(folder: &Path, args: &str) {
    let done = Command::new("openssl")
        .args(args.split_whitespace())
        .current_dir(folder)
        .output()
        .expect("this test needs openssl: run .ci/prepare");
    assert!(done.status.success(), "openssl {args}: {done:?}");
}

const NEW_KEY: &str = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes";

pub(super) fn authority(folder: &Path, name: &str) {
    openssl(
        folder,
        &format!(
            "req -x509 {NEW_KEY} -keyout {name}.key -out {name}.pem -days 30 -subj /CN={name} \
             -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign,cRLSign"
        ),
    );
}

pub(super) fn leaf(folder: &Path, name: &str, issuer: &str, names: &str, days: i32) {
    fs::write(
        folder.join(format!("{name}.ext")),
        format!(
            "basicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature\n\
             extendedKeyUsage=serverAuth\nsubjectAltName={names}\n"
        ),
    )
    .unwrap();
    openssl(
        folder,
        &format!("req {NEW_KEY} -keyout {name}.key -out {name}.csr -subj /CN={name}"),
    );
    openssl(
        folder,
        &format!(
            "x509 -req -in {name}.csr -CA {issuer}.pem -CAkey {issuer}.key -CAcreateserial -days {days} \
             -extfile {name}.ext -out {name}.pem"
        ),
    );
}

impl Tls {
    /// `plain` is the port of the server behind.
    pub fn in_front_of(plain: u16) -> Tls {
        Tls::start(plain, "off")
    }

    /// As [`Tls::in_front_of`]; the server gets each body with its length, also of a client that does not say it.
    pub fn gathering(plain: u16) -> Tls {
        Tls::start(plain, "on")
    }

    fn start(plain: u16, gathers: &str) -> Tls {
        let home = Home::new("tls");
        let folder = home.at("");
        authority(&folder, "ca");
        authority(&folder, "other");
        let here = "DNS:localhost,DNS:*.localhost,DNS:app.drime.cloud,IP:127.0.0.1";
        leaf(&folder, "None", "ca", here, 30);
        leaf(&folder, "WrongHost", "ca", "DNS:example.org", 30);
        leaf(&folder, "Expired", "ca", here, -1);
        leaf(&folder, "UnknownIssuer", "other", here, 30);
        openssl(
            &folder,
            &format!(
                "req -x509 {NEW_KEY} -keyout SelfSigned.key -out SelfSigned.pem -days 30 -subj /CN=nas"
            ),
        );
        let ports: Vec<u16> = FLAWS.iter().map(|_| free_port()).collect();
        let mut conf = String::from(
            "daemon off; master_process off; pid nginx.pid; error_log error.log;\n\
             events { worker_connections 64; }\nhttp { access_log off;\n\
             client_body_temp_path t1; proxy_temp_path t2; fastcgi_temp_path t3; uwsgi_temp_path t4; scgi_temp_path t5;\n",
        );
        for (flaw, port) in FLAWS.iter().zip(&ports) {
            conf.push_str(&format!(
                "server {{ listen 127.0.0.1:{port} ssl; ssl_certificate {flaw:?}.pem; ssl_certificate_key {flaw:?}.key;\n\
                 client_max_body_size 0; location / {{ proxy_pass http://127.0.0.1:{plain}; proxy_set_header Host $http_host;\n\
                 proxy_http_version 1.1; proxy_request_buffering {gathers}; proxy_buffering off; }} }}\n"
            ));
        }
        conf.push('}');
        let conf = home.write("nginx.conf", &conf);
        let mut command = Command::new("nginx");
        command.arg("-p").arg(&folder).arg("-c").arg(conf);
        command.args(["-e", "error.log"]).current_dir(&folder);
        let mut server = Server::start("nginx", command, &home.at("log"));
        server.wait(&|| ports.iter().all(|&p| accepts(p)));
        Tls {
            ports,
            _server: server,
            home,
        }
    }

    pub fn port(&self, flaw: Flaw) -> u16 {
        self.ports[FLAWS.iter().position(|f| *f == flaw).unwrap()]
    }

    /// The authority's certificate.
    pub fn ca(&self) -> PathBuf {
        self.home.at("ca.pem")
    }

    /// Digest of a certificate in hexadecimal; `algo` is `sha1` or `sha256`.
    pub fn fingerprint(&self, flaw: Flaw, algo: &str) -> String {
        let out = Command::new("openssl")
            .args(["x509", "-noout", "-fingerprint", &format!("-{algo}"), "-in"])
            .arg(self.home.at(&format!("{flaw:?}.pem")))
            .output()
            .unwrap();
        let text = String::from_utf8(out.stdout).unwrap();
        text.split('=').nth(1).unwrap().trim().to_owned()
    }
}

/// Makes an authority and a certificate of it for these names, `NAME.pem` and `NAME.key` in the folder; the authority's own.
pub fn certificate(folder: &Path, name: &str, names: &str) -> PathBuf {
    authority(folder, "ca");
    leaf(folder, name, "ca", names, 30);
    folder.join("ca.pem")
}
