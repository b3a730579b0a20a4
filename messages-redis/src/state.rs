use std::fmt;
use std::sync::Arc;

use tokio::sync::watch;

use crate::RedisError;
use crate::subscriber::Listening;

/// How it stands with a connection.
#[derive(Clone, Debug)]
pub(crate) enum State {
    /// It is being made, and nothing speaks against it yet.
    Connecting,
    Up,
    /// The last attempt came to this. The next one follows by itself.
    Down(RedisError),
}

/// How it stands with a [`RedisBus`](crate::RedisBus). It stays when the bus has gone to its server, and
/// does not keep it alive.
#[derive(Clone)]
pub struct RedisStatus {
    /// Of the connection that publishes, and of the one that subscribes.
    pub(crate) states: [watch::Receiver<State>; 2],
    pub(crate) listening: Arc<Listening>,
}

impl RedisStatus {
    /// Resolves once both connections are there, or an attempt to make one has failed: for a server
    /// that had rather not start without. Cancel-safe.
    ///
    /// # Errors
    /// Why there is no connection. The bus goes on trying all the same.
    pub async fn ready(&self) -> Result<(), RedisError> {
        for state in &self.states {
            let mut state = state.clone();
            let is_known = |state: &State| !matches!(state, State::Connecting);
            // It is closed once the bus is gone, and there is nothing more to wait for.
            if let Ok(known) = state.wait_for(is_known).await
                && let State::Down(error) = &*known
            {
                return Err(error.clone());
            }
        }
        Ok(())
    }

    /// Why Redis is not there, if the last attempt to connect has failed.
    pub fn error(&self) -> Option<RedisError> {
        self.states.iter().find_map(|state| match &*state.borrow() {
            State::Down(error) => Some(error.clone()),
            State::Connecting | State::Up => None,
        })
    }

    /// Whether both connections are there, as far as is known.
    pub fn is_up(&self) -> bool {
        self.states.iter().all(|state| matches!(&*state.borrow(), State::Up))
    }

    /// How many messages were passed over because they were larger than
    /// [`RedisConfig::message`](crate::RedisConfig::message). Their subscribers were told of a gap.
    pub fn passed_over(&self) -> u64 {
        self.listening.passed_over()
    }
}

impl fmt::Debug for RedisStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut status = f.debug_struct("RedisStatus");
        status.field("is_up", &self.is_up()).field("error", &self.error());
        status.field("passed_over", &self.passed_over()).finish()
    }
}
