//! A connection of the server, plain or in TLS.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{NoServerSessionStorage, ServerSessionMemoryCache};
use rustls::{HandshakeKind, ServerConfig, ServerConnection, StreamOwned};

use super::Modes;

pub(super) fn tls_config(modes: &Modes) -> Arc<ServerConfig> {
    let pem = include_bytes!("../../data/tls/good.pem");
    let key = include_bytes!("../../data/tls/key.pem");
    let certificate = CertificateDer::from_pem_slice(pem).expect("a certificate");
    let key = PrivateKeyDer::from_pem_slice(key).expect("a key");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let versions: &[_] = match modes.only_tls12 {
        true => &[&rustls::version::TLS12],
        false => &[&rustls::version::TLS12, &rustls::version::TLS13],
    };
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .expect("a certificate with its key");
    // A ticket of TLS 1.3 is good for one connection, a session of 1.2 for any number.
    config.session_storage = ServerSessionMemoryCache::new(64);
    if modes.no_tickets {
        config.send_tls13_tickets = 0;
        if modes.only_tls12 {
            config.session_storage = Arc::new(NoServerSessionStorage {});
        }
    }
    Arc::new(config)
}

pub(super) type Io<T> = std::io::Result<T>;

/// A connection, plain or not.
pub(super) enum Conn {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ServerConnection, TcpStream>>),
}

impl Conn {
    pub(super) fn protected(tcp: TcpStream, config: &Arc<ServerConfig>) -> Io<Conn> {
        let tls = ServerConnection::new(config.clone()).expect("a configuration");
        let mut stream = Box::new(StreamOwned::new(tls, tcp));
        while stream.conn.is_handshaking() {
            stream.conn.complete_io(&mut stream.sock)?;
        }
        Ok(Conn::Tls(stream))
    }

    pub(super) fn tcp(&self) -> &TcpStream {
        match self {
            Conn::Plain(tcp) => tcp,
            Conn::Tls(tls) => &tls.sock,
        }
    }

    /// Sends the alert of one that cannot read what it got.
    pub(super) fn alert(&mut self) -> Io<()> {
        if let Conn::Tls(tls) = self {
            tls.conn.read_tls(&mut &b"no record of TLS"[..])?;
            assert!(tls.conn.process_new_packets().is_err());
            tls.conn.write_tls(&mut tls.sock)?;
        }
        Ok(())
    }

    pub(super) fn resumed(&self) -> bool {
        match self {
            Conn::Plain(_) => true,
            Conn::Tls(tls) => tls.conn.handshake_kind() == Some(HandshakeKind::Resumed),
        }
    }

    /// Says that nothing more comes.
    pub(super) fn finish(&mut self, abrupt: bool) -> Io<()> {
        if let Conn::Tls(tls) = self {
            if !abrupt {
                tls.conn.send_close_notify();
            }
            tls.flush()?;
        }
        self.tcp().shutdown(Shutdown::Write)
    }
}

impl Read for Conn {
    fn read(&mut self, buffer: &mut [u8]) -> Io<usize> {
        match self {
            Conn::Plain(tcp) => tcp.read(buffer),
            Conn::Tls(tls) => tls.read(buffer),
        }
    }
}

impl Write for Conn {
    fn write(&mut self, data: &[u8]) -> Io<usize> {
        match self {
            Conn::Plain(tcp) => tcp.write(data),
            Conn::Tls(tls) => tls.write(data),
        }
    }

    fn flush(&mut self) -> Io<()> {
        match self {
            Conn::Plain(tcp) => tcp.flush(),
            Conn::Tls(tls) => tls.flush(),
        }
    }
}
