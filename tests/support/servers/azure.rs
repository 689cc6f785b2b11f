//! Microsoft's emulator of Azure's storage, and Microsoft's client for Python on it.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Home, Server, accepts, free_port, installed};

pub const ACCOUNT: &str = "devstoreaccount1";
/// Of the emulator; everybody knows it.
pub const KEY: &str =
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

/// A running server, which keeps everything in memory.
pub struct Azure {
    pub port: u16,
    // Stopped in this order.
    _server: Server,
    _home: Home,
}

fn target() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("")
}

/// `None` where the emulator or the client is not installed.
pub fn start() -> Option<Azure> {
    let program = target().join("tools/azurite/node_modules/azurite/dist/src/blob/main.js");
    if !program.exists() || !target().join("venv-azure/ready-1").exists() {
        return None;
    }
    let home = Home::new("azurite");
    let port = free_port();
    let mut command = Command::new("node");
    command.arg(program).current_dir(home.at(""));
    command.args(["--blobHost", "127.0.0.1", "--blobPort", &port.to_string()]);
    command.args(["--inMemoryPersistence", "--silent", "--disableTelemetry"]);
    command.arg("--skipApiVersionCheck");
    let mut server = Server::start("azurite", command, &home.at("log"));
    server.wait(&|| accepts(port));
    Some(Azure {
        port,
        _server: server,
        _home: home,
    })
}

impl Azure {
    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}/{ACCOUNT}", self.port)
    }

    /// A destination URL with this log-in.
    pub fn url(&self, place: &str, login: &str) -> String {
        let endpoint = self.endpoint();
        format!("azure://{place}?azure-endpoint={endpoint}&http-proxy=none&retry-delay=0s&{login}")
    }

    /// With the account's key.
    pub fn with_key(&self, place: &str) -> String {
        let key = KEY.replace('+', "%2B");
        self.url(
            place,
            &format!("auth-username={ACCOUNT}&auth-password={key}"),
        )
    }

    /// With a SAS token that gives these rights to the container of the place.
    pub fn with_sas(&self, place: &str, rights: &str, more: &str) -> String {
        let container = place.split('/').next().unwrap_or(place);
        let token = self.client("sas", container, rights, more);
        let token = token.trim().replace('%', "%25").replace('&', "%26");
        self.url(place, &format!("azure-access-sas-token={token}"))
    }

    /// What the other client prints: see `tests/outside/azure_client.py`.
    pub fn client(&self, action: &str, container: &str, prefix: &str, folder: &str) -> String {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/outside/azure_client.py");
        let done = Command::new(target().join("venv-azure/bin/python"))
            .arg(script)
            .args([action, &self.endpoint(), container, prefix, folder])
            .env("AZURE_KEY", KEY)
            .env("NO_PROXY", "127.0.0.1")
            .output()
            .expect("python starts");
        let said = String::from_utf8_lossy(&done.stderr);
        assert!(done.status.success(), "{action}: {said}");
        String::from_utf8_lossy(&done.stdout).into_owned()
    }

    pub fn rclone(&self, args: &[&str]) {
        let done = Command::new(installed("rclone"))
            .args(["--config", "/dev/null", "--azureblob-account", ACCOUNT])
            .args(["--azureblob-key", KEY])
            .args(["--azureblob-endpoint", &self.endpoint()])
            .args(args)
            .env("NO_PROXY", "127.0.0.1")
            .output()
            .expect("rclone starts");
        let said = String::from_utf8_lossy(&done.stderr);
        assert!(done.status.success(), "rclone: {said}");
    }
}
