//! Certificates for a test, and the two sides of TLS that they make.

use std::io::{Read, Write};
use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd,
};

use crate::here::rustls::pki_types::ServerName;
use crate::here::rustls::{ClientConnection, StreamOwned};
use crate::here::{ClientTls, ServerTls};

/// Somebody who issues certificates.
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    /// Its own certificate, as PEM.
    pub(crate) fn root(&self) -> String {
        self.0.pem()
    }

    /// A certificate for a host's name or address.
    pub(crate) fn issue(&self, host: &str) -> Certificate {
        self.issue_between(host, 2000, 3000)
    }

    /// A certificate that is valid from the beginning of one year to that of another.
    pub(crate) fn issue_between(&self, host: &str, from: i32, to: i32) -> Certificate {
        let mut params = CertificateParams::new([host.to_owned()]).unwrap();
        params.not_before = date_time_ymd(from, 1, 1);
        params.not_after = date_time_ymd(to, 1, 1);
        let key = KeyPair::generate().unwrap();
        let chain = params.signed_by(&key, &self.0).unwrap().pem();
        Certificate { chain, key: key.serialize_pem() }
    }

    /// A client that trusts this authority alone.
    pub(crate) fn trusted(&self) -> ClientTls {
        ClientTls::builder().without_platform_roots().roots(self.root()).build().unwrap()
    }

    /// Such a client with a certificate of its own.
    pub(crate) fn trusted_by(&self, client: &Certificate) -> ClientTls {
        let tls = ClientTls::builder().without_platform_roots().roots(self.root());
        tls.certificate(&*client.chain, &*client.key).build().unwrap()
    }
}

/// A certificate and its private key, as PEM.
pub(crate) struct Certificate {
    pub(crate) chain: String,
    pub(crate) key: String,
}

impl Certificate {
    pub(crate) fn server(&self) -> ServerTls {
        ServerTls::builder(&*self.chain, &*self.key).build().unwrap()
    }

    /// A server that requires a certificate of its clients.
    pub(crate) fn server_for_clients_of(&self, authority: &Authority) -> ServerTls {
        let tls = ServerTls::builder(&*self.chain, &*self.key);
        tls.require_clients_of(authority.root()).build().unwrap()
    }
}

/// An authority, and a server on the loopback address that has its certificate.
pub(crate) fn local() -> (Authority, ServerTls) {
    let authority = Authority::new("root");
    let tls = authority.issue("127.0.0.1").server();
    (authority, tls)
}

/// A raw client's TLS. The handshake takes place with the first byte that is read or written.
pub(crate) fn under_tls<S: Read + Write>(
    raw: S,
    tls: &ClientTls,
) -> StreamOwned<ClientConnection, S> {
    let server = ServerName::try_from("127.0.0.1").unwrap();
    StreamOwned::new(ClientConnection::new(Arc::clone(tls.config()), server).unwrap(), raw)
}
