//! A client by the options of the command line.

use std::ffi::OsString;
use std::time::Duration;

use futures_util::StreamExt;
use wirestream_tokio::{
    Client, ClientConfig, ClientTls, Dialer, Limits, Pem, Status, StatusChanges, Token,
};

use crate::args::Connect;
use crate::failure::Failure;

/// Where a token is looked for that no option names.
const VARIABLE: &str = "WIRESTREAM_TOKEN";

/// How long what is left to do may take, once all is over.
pub(crate) const FAREWELL: Duration = Duration::from_secs(1);

/// A client that closes its connection after `linger` without calls.
pub(crate) fn client(url: &str, options: &Connect, linger: Duration) -> Result<Client, Failure> {
    let usage = |error: &dyn std::fmt::Display| Failure::Usage(error.to_string());
    let mut dialer = Dialer::new(url).within(options.connect_timeout);
    for (name, value) in &options.header {
        dialer = dialer.header(name, value).map_err(|error| usage(&error))?;
    }
    if let Some(file) = &options.ca {
        let tls = ClientTls::builder().roots(Pem::file(file)).without_platform_roots().build();
        dialer = dialer.tls(tls.map_err(|error| usage(&error))?);
    }
    let limits = Limits { linger, ..Limits::default() };
    let config = ClientConfig { limits, token: token(options)?, ..ClientConfig::default() };
    dialer.client(config).map_err(|error| usage(&error))
}

fn token(options: &Connect) -> Result<Option<Token>, Failure> {
    let bytes = match (&options.token, &options.token_file) {
        (Some(token), _) => Some(token.clone().into_bytes()),
        (None, Some(file)) => {
            let unreadable = |error| format!("cannot read {}: {error}", file.display());
            let bytes = std::fs::read(file);
            Some(bytes.map_err(|error| Failure::Local(unreadable(error)))?.trim_ascii().to_vec())
        }
        (None, None) => std::env::var_os(VARIABLE).map(OsString::into_encoded_bytes),
    };
    Ok(bytes.filter(|bytes| !bytes.is_empty()).map(Token::new))
}

/// Lets a connection whose calls are over end in order, if it is quick.
pub(crate) async fn leave(client: &Client, mut changes: StatusChanges) {
    if matches!(client.status(), Status::Disconnected(None) | Status::Connecting) {
        return;
    }
    let gone = async {
        while let Some(status) = changes.next().await {
            if matches!(status, Status::Disconnected(Some(_))) {
                return;
            }
        }
    };
    // One that is not quick is cut with the process.
    let _ = tokio::time::timeout(FAREWELL, gone).await;
}
