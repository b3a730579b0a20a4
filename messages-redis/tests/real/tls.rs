//! Under TLS.

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use wirestream_redis::{ClientTls, ConfigError, RedisBus, RedisConfig, RedisErrorKind};

use crate::node::{Node, hasty, message, patient, soon};
use crate::server::{RedisServer, free_port};

/// Somebody who issues certificates.
struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "root");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    /// A certificate for a host, and its private key.
    fn issue(&self, host: &str) -> (String, String) {
        let params = CertificateParams::new([host.to_owned()]).unwrap();
        let key = KeyPair::generate().unwrap();
        (params.signed_by(&key, &self.0).unwrap().pem(), key.serialize_pem())
    }

    /// A client that trusts it alone.
    fn trusted(&self) -> ClientTls {
        ClientTls::builder().without_platform_roots().roots(self.0.pem()).build().unwrap()
    }

    /// A server that has its certificate for a host, with the URL under which it speaks TLS. It requires
    /// a certificate of its clients, or none.
    fn server(&self, host: &str, requires: &str) -> (RedisServer, String) {
        let mut server = RedisServer::place(&[]);
        let (chain, key) = self.issue(host);
        let port = free_port();
        server.set("--tls-port", &port.to_string());
        server.set("--tls-auth-clients", requires);
        for (setting, text) in [
            ("--tls-cert-file", chain),
            ("--tls-key-file", key),
            ("--tls-ca-cert-file", self.0.pem()),
        ] {
            let file = server.folder().join(&setting[2..]);
            std::fs::write(&file, text).unwrap();
            server.set(setting, file.to_str().unwrap());
        }
        server.restart();
        (server, format!("rediss://127.0.0.1:{port}"))
    }
}

fn with(tls: ClientTls) -> RedisConfig {
    RedisConfig { tls: Some(tls), ..patient() }
}

async fn why_not(url: &str, config: RedisConfig) -> RedisErrorKind {
    let node = Node::new(url, config);
    soon("an answer", node.bus.ready()).await.unwrap_err().kind
}

/// The node hears what it publishes.
async fn assert_works(mut node: Node) {
    node.subscribe("news").await.unwrap();
    node.publish("news", "hello").await.unwrap();
    assert_eq!(node.next().await, message("news", "hello"));
    // More than a record of TLS, or than either side buffers.
    let large = "x".repeat(500_000);
    node.publish("news", &large).await.unwrap();
    assert_eq!(node.next().await, message("news", &large));
}

#[tokio::test]
async fn messages_travel_under_tls() {
    let authority = Authority::new();
    let (server, url) = authority.server("127.0.0.1", "no");
    assert_works(Node::new(&url, with(authority.trusted()))).await;
    drop(server);
}

#[tokio::test]
async fn a_client_shows_its_certificate_where_one_is_required() {
    let authority = Authority::new();
    let (server, url) = authority.server("127.0.0.1", "yes");
    let (chain, key) = authority.issue("client");
    let tls = ClientTls::builder().without_platform_roots().roots(authority.0.pem());
    assert_works(Node::new(&url, with(tls.certificate(chain, key).build().unwrap()))).await;
    let node = Node::new(&url, with(authority.trusted()));
    assert!(soon("an answer", node.bus.ready()).await.is_err());
    drop(server);
}

#[tokio::test]
async fn who_is_not_trusted_or_speaks_no_tls_is_told_apart() {
    let authority = Authority::new();
    let (server, url) = authority.server("127.0.0.1", "no");
    let other_host = url.replace("127.0.0.1", "localhost");
    for (url, tls) in [(&url, Authority::new().trusted()), (&other_host, authority.trusted())] {
        let kind = why_not(url, with(tls)).await;
        assert!(matches!(kind, RedisErrorKind::Tls(_)), "{url}: {kind:?}");
    }
    // To Redis the beginning of TLS is that of a command, whose end it waits for.
    let plain = format!("rediss://127.0.0.1:{}", server.port());
    let config = RedisConfig { tls: Some(authority.trusted()), ..hasty() };
    assert_eq!(why_not(&plain, config).await, RedisErrorKind::TimedOut);
    // To TLS the beginning of a command is none of its own: it hangs up, with a word or without.
    let kind = why_not(&url.replace("rediss", "redis"), patient()).await;
    let is_told = matches!(kind, RedisErrorKind::NotRedis | RedisErrorKind::Unreachable(_));
    assert!(is_told, "{kind:?}");
}

#[test]
fn without_roots_there_is_nobody_to_trust() {
    let nobody = ClientTls::builder().without_platform_roots().build();
    assert!(nobody.is_err());
    // With the platform's roots it is made, or told why not.
    match RedisBus::new("rediss://127.0.0.1:1") {
        Ok(_) | Err(ConfigError::Tls(_)) => {}
        Err(error) => panic!("{error:?}"),
    }
}
