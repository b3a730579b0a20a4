//! One certificate for the loopback address, whom the servers of all rigs are, and all clients
//! trust.

use std::sync::LazyLock;

use rcgen::{CertifiedKey, generate_simple_self_signed};
use wirestream_tokio::{ClientTls, ServerTls};

pub(crate) struct Tls {
    pub(crate) server: ServerTls,
    pub(crate) client: ClientTls,
}

pub(crate) static TLS: LazyLock<Tls> = LazyLock::new(|| {
    let names = ["127.0.0.1".into()];
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(names).expect("a name");
    let server = ServerTls::builder(cert.pem(), signing_key.serialize_pem()).build();
    let client = ClientTls::builder().without_platform_roots().roots(cert.pem()).build();
    Tls { server: server.expect("a certificate"), client: client.expect("a root") }
});
