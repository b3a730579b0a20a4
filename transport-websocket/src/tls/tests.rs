use std::io;
use std::sync::Arc;

use rcgen::{CertifiedKey, KeyPair, generate_simple_self_signed};
use rustls::pki_types::ServerName;
use rustls::{
    AlertDescription, CertificateError, ClientConfig, Error, InconsistentKeys, InvalidMessage,
    ServerConfig,
};

use super::{ClientTls, Pem, ServerTls, TlsError, failure};
use crate::{AcceptError, Address, handshake_failure};

const CANARY: &str = "-----BEGIN PRIVATE KEY-----\ncanary!\n-----END PRIVATE KEY-----\n";

/// A certificate and its private key.
fn certificate() -> (String, String) {
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(["host".into()]).unwrap();
    (cert.pem(), signing_key.serialize_pem())
}

fn server(chain: &str, key: &str) -> TlsError {
    ServerTls::builder(chain, key).build().unwrap_err()
}

#[test]
fn settings_that_cannot_be_used_are_told_apart() {
    let (chain, key) = certificate();
    let text = || Box::<str>::from("the PEM text");
    for (error, expected) in [
        (server("", &key), TlsError::NoCertificate(text())),
        (server(&key, &key), TlsError::NoCertificate(text())),
        (server(&chain, ""), TlsError::NoKey(text())),
        (server(&chain, &chain), TlsError::NoKey(text())),
        (server(&chain[..chain.len() / 2], &key), TlsError::Malformed(text())),
        (server(&chain, CANARY), TlsError::Malformed(text())),
        (server(&chain, &KeyPair::generate().unwrap().serialize_pem()), TlsError::KeyMismatch),
        (
            ServerTls::builder(&*chain, &*key).require_clients_of("").build().unwrap_err(),
            TlsError::NoCertificate(text()),
        ),
        (ClientTls::builder().without_platform_roots().build().unwrap_err(), TlsError::NoRoots),
        (ClientTls::builder().roots(&*key).build().unwrap_err(), TlsError::NoCertificate(text())),
        (
            ClientTls::builder()
                .without_platform_roots()
                .roots(&*chain)
                .certificate(&*chain, KeyPair::generate().unwrap().serialize_pem())
                .build()
                .unwrap_err(),
            TlsError::KeyMismatch,
        ),
    ] {
        assert_eq!(error, expected);
    }
    let garbage = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    for error in [
        server(garbage, &key),
        ClientTls::builder().without_platform_roots().roots(garbage).build().unwrap_err(),
        ClientTls::builder().roots(garbage).build().unwrap_err(),
    ] {
        assert!(matches!(error, TlsError::Unusable(_)), "{error:?}");
    }
}

#[test]
fn a_file_is_read_and_one_that_is_not_there_is_named() {
    let (chain, key) = certificate();
    let file = std::env::temp_dir().join(format!("wirestream-{}.key", std::process::id()));
    std::fs::write(&file, &key).unwrap();
    let built = ServerTls::builder(chain.as_bytes(), Pem::file(&file)).build();
    let swapped = ServerTls::builder(Pem::file(&file), key).build();
    std::fs::remove_file(&file).unwrap();
    assert!(built.is_ok());
    let name = file.display().to_string();
    assert_eq!(swapped.unwrap_err(), TlsError::NoCertificate(name.clone().into()));

    let missing = ServerTls::builder(chain, Pem::file(&file)).build().unwrap_err();
    let TlsError::File { path, kind, .. } = &missing else { panic!("{missing:?}") };
    assert_eq!((&**path, *kind), (&*name, io::ErrorKind::NotFound));
    assert!(missing.to_string().starts_with(&format!("cannot read {name}: ")), "{missing}");
}

#[test]
fn a_private_key_is_never_shown() {
    let (chain, key) = certificate();
    let secret = key.lines().nth(1).unwrap();
    let server = ServerTls::builder(&*chain, &*key);
    let client = ClientTls::builder().without_platform_roots().roots(&*chain);
    let client = client.certificate(&*chain, &*key);
    let malformed = self::server(&chain, CANARY);
    let cut = self::server(&chain, &key[..key.len() - 10]);
    let shown = format!("{:?} {server:?} {client:?}", Pem::from(&*key))
        + &format!("{:?} {:?}", server.build().unwrap(), client.build().unwrap())
        + &format!("{malformed} {malformed:?} {cut} {cut:?}");
    assert!(!shown.contains(secret) && !shown.contains("canary"), "{shown}");
}

/// A WebSocket begins with HTTP/1.1, whatever else the rest of the process speaks.
#[test]
fn http_1_1_alone_is_offered_and_selected() {
    let (chain, key) = certificate();
    let client = ClientTls::builder().without_platform_roots().roots(&*chain).build().unwrap();
    assert_eq!(client.config().alpn_protocols, [b"http/1.1"]);
    let server = ServerTls::builder(chain, key).build().unwrap();
    assert_eq!(server.config().alpn_protocols, [b"http/1.1"]);

    let mut theirs = ClientConfig::clone(client.config());
    theirs.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    theirs.enable_sni = false;
    let ours = ClientTls::from(Arc::new(theirs));
    assert_eq!(ours.config().alpn_protocols, [b"http/1.1"]);
    assert!(!ours.config().enable_sni);

    let mut theirs = ServerConfig::clone(server.config());
    theirs.alpn_protocols = vec![b"h2".to_vec()];
    theirs.send_tls13_tickets = 7;
    let ours = ServerTls::from(Arc::new(theirs));
    assert_eq!(ours.config().alpn_protocols, [b"http/1.1"]);
    assert_eq!(ours.config().send_tls13_tickets, 7);
}

#[test]
fn what_failed_is_told_in_words_and_apart_from_a_socket_that_failed() {
    let host = || ServerName::try_from("host").unwrap();
    let many_names = CertificateError::NotValidForNameContext {
        expected: host(),
        presented: vec!["DnsName(\"other\")".into(); 1_000],
    };
    for (error, words) in [
        (CertificateError::UnknownIssuer.into(), "not among the trusted roots"),
        (CertificateError::BadSignature.into(), "not signed by the trusted root"),
        (CertificateError::Expired.into(), "has expired"),
        (CertificateError::NotValidYet.into(), "not valid yet"),
        (many_names.into(), "not valid for name \"host\""),
        (InvalidMessage::InvalidContentType.into(), "does not speak TLS: InvalidContentType"),
        (Error::NoCertificatesPresented, "the client has no certificate"),
        (Error::AlertReceived(AlertDescription::CertificateRequired), "the server requires"),
        (Error::AlertReceived(AlertDescription::UnknownCA), "the other end refused: UnknownCA"),
        (InconsistentKeys::KeyMismatch.into(), "KeyMismatch"),
    ] {
        let error = io::Error::new(io::ErrorKind::InvalidData, error);
        let found = failure(&error).unwrap();
        assert!(found.contains(words) && found.len() <= 300, "{found}");
        assert!(matches!(error.into(), AcceptError::Tls { detail } if *detail == *found));
    }
    assert_eq!(failure(&io::ErrorKind::ConnectionReset.into()), None);
    assert_eq!(failure(&io::Error::other("something else")), None);
}

#[test]
fn an_address_knows_whom_the_certificate_must_be_for() {
    for (url, port, name) in [
        ("wss://example.com/path", 443, Some("example.com")),
        ("wss://example.com:80", 80, Some("example.com")),
        ("wss://10.0.0.1:8443", 8443, Some("10.0.0.1")),
        ("wss://[::1]", 443, Some("::1")),
        ("ws://example.com", 80, None),
    ] {
        let address = Address::parse(url).unwrap();
        assert_eq!(address.port(), port, "{url}");
        let expected = name.map(|name| ServerName::try_from(name).unwrap());
        assert_eq!(address.server_name(), expected.as_ref(), "{url}");
    }
    let error = io::Error::other(Error::from(CertificateError::Expired));
    let address = Address::parse("wss://example.com:8443/path?key=canary").unwrap();
    let error = handshake_failure(&address, &error.into());
    let words = "no secure connection to wss://example.com:8443/path: the certificate has expired";
    assert_eq!(error.to_string(), words);

    let error = Address::parse("wss://-example.com").unwrap_err();
    assert_eq!(&*error.detail, "no certificate can be for such a host");
}
