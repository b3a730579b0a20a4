//! Revocations that reach every server of a cluster, by its bus (R-BUS-5).

use std::future::Future;
use std::sync::{Arc, Weak};

use serde::{Deserialize, Serialize};

use super::{Server, Shared};
use crate::authentication::Revocation;
use crate::codec::{DecodeLimits, decode, encode};
use crate::contract::Fingerprint;
use crate::messages::bus::{Arrival, BusError};
use crate::messages::{open_envelope, seal_envelope};

const CHANNEL: &str = "$revocations";

/// A right was taken back on this server, and the others may not know.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{ended} calls ended on this server, the others may not know: {error}")]
#[non_exhaustive]
pub struct RevokeError {
    /// How many calls were ended on this server.
    pub ended: usize,
    /// Why the others may not know.
    pub error: BusError,
}

/// A revocation as it travels: who sends it, and what is taken back.
type Travelling = (u64, TakenBack);

#[derive(Serialize, Deserialize)]
enum TakenBack {
    User(String),
    Token { user: String, token: String },
    Scope { user: String, scope: String },
}

impl Server {
    /// As [`revoke`](Self::revoke), on every server of the cluster: on this one before it returns,
    /// on the others by the bus, whose answer the future awaits. How many calls were ended on this
    /// server. Without a bus this server is the whole cluster.
    ///
    /// A server that the bus does not reach at the time is not told later. Once the bus is back it
    /// asks the authenticator anew about every further call; calls that run there go on.
    ///
    /// Dropping the future takes nothing back.
    ///
    /// # Errors
    /// [`RevokeError`], if the bus fails; on this server it is done then.
    pub fn revoke_everywhere(
        &self,
        revocation: &Revocation,
    ) -> impl Future<Output = Result<usize, RevokeError>> + Send + use<> {
        let ended = self.revoke(revocation);
        let published = self.shared.hub.bus().map(|bus| {
            let travelling: Travelling = (self.shared.origin, TakenBack::from(revocation));
            encode(&travelling)
                .map(|payload| bus.publish(CHANNEL, seal_envelope(Fingerprint::new(0), &payload)))
        });
        async move {
            match published {
                // Strings and numbers always encode.
                None | Some(Err(_)) => Ok(ended),
                Some(Ok(outcome)) => match outcome.await {
                    Ok(()) => Ok(ended),
                    Err(error) => Err(RevokeError { ended, error }),
                },
            }
        }
    }

    /// Begins to hear what the bus brings, revocations included.
    pub(super) fn join_cluster(&self) {
        let shared: Weak<Shared> = Arc::downgrade(&self.shared);
        let hub = &self.shared.hub;
        hub.start(move |arrival| {
            if let Some(shared) = shared.upgrade() {
                Self { shared }.arrived(arrival);
            }
        });
        if let (Some(bus), Some(_)) = (hub.bus(), &self.shared.authenticator) {
            // It stays wanted, whenever it is confirmed.
            drop(bus.subscribe(CHANNEL));
        }
    }

    fn arrived(&self, arrival: Arrival<'_>) {
        match arrival {
            Arrival::Message { channel: CHANNEL, message } => {
                let travelling = open_envelope(&message)
                    .map(|(_, payload)| decode::<Travelling>(payload, DecodeLimits::default()));
                let Some(Ok((origin, taken))) = travelling else {
                    return self.shared.hub.count_malformed();
                };
                if origin != self.shared.origin {
                    self.revoke(&taken.into());
                }
            }
            Arrival::Message { .. } => {}
            Arrival::Gap { channel: None | Some(CHANNEL) } => self.forget_callers(),
            Arrival::Gap { .. } => {}
        }
    }

    /// Rights may have been taken back unheard: who further callers are is asked anew.
    fn forget_callers(&self) {
        self.callers().iter().for_each(|caller| caller.forget_whoever());
    }
}

impl From<&Revocation> for TakenBack {
    fn from(revocation: &Revocation) -> Self {
        match revocation.clone() {
            Revocation::User(user) => Self::User(user),
            Revocation::Token { user, token } => Self::Token { user, token },
            Revocation::Scope { user, scope } => Self::Scope { user, scope },
        }
    }
}

impl From<TakenBack> for Revocation {
    fn from(taken: TakenBack) -> Self {
        match taken {
            TakenBack::User(user) => Self::User(user),
            TakenBack::Token { user, token } => Self::Token { user, token },
            TakenBack::Scope { user, scope } => Self::Scope { user, scope },
        }
    }
}
