//! Who a caller is, what a method requires of it, and what may be taken back.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Who a caller is, as the server's authenticator found from a token. Clones are cheap. See
/// [Authentication](crate::guide::authentication).
///
/// ```
/// use wirestream::Authentication;
///
/// let alice = Authentication::new("alice").token_id("session-7").scope("chat").scope("admin");
/// assert_eq!(alice.user(), "alice");
/// assert!(alice.has_scope("chat"));
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Authentication(Arc<Identity>);

#[derive(Clone, PartialEq, Eq)]
struct Identity {
    user: String,
    token_id: Option<String>,
    scopes: BTreeSet<String>,
    valid_for: Option<Duration>,
}

impl Authentication {
    /// A user of this id, without scopes.
    pub fn new(user: impl Into<String>) -> Self {
        let user = user.into();
        Self(Arc::new(Identity { user, token_id: None, scopes: BTreeSet::new(), valid_for: None }))
    }

    /// With an id of the token, by which it can be revoked alone. Not the token itself: ids are
    /// shown in `Debug`.
    pub fn token_id(mut self, id: impl Into<String>) -> Self {
        Arc::make_mut(&mut self.0).token_id = Some(id.into());
        self
    }

    /// With a scope more.
    pub fn scope(mut self, scope: impl Into<String>) -> Self {
        Arc::make_mut(&mut self.0).scopes.insert(scope.into());
        self
    }

    /// How long it holds for further calls of the connection; then the authenticator is asked
    /// again. For as long as the connection lives, if it is not said. Running calls go on: to end
    /// them, [revoke](crate::Server::revoke).
    pub fn valid_for(mut self, time: Duration) -> Self {
        Arc::make_mut(&mut self.0).valid_for = Some(time);
        self
    }

    /// The user's id.
    pub fn user(&self) -> &str {
        &self.0.user
    }

    /// The id of the token, if the authenticator gave one.
    pub fn token(&self) -> Option<&str> {
        self.0.token_id.as_deref()
    }

    /// What the user may do, in alphabetical order.
    pub fn scopes(&self) -> impl Iterator<Item = &str> {
        self.0.scopes.iter().map(String::as_str)
    }

    /// Whether the user may do this.
    pub fn has_scope(&self, scope: &str) -> bool {
        self.0.scopes.contains(scope)
    }

    pub(crate) fn validity(&self) -> Option<Duration> {
        self.0.valid_for
    }
}

impl fmt::Debug for Authentication {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authentication")
            .field("user", &self.0.user)
            .field("token_id", &self.0.token_id)
            .field("scopes", &self.0.scopes)
            .finish()
    }
}

/// Whom a method is for. See [`Endpoint::access`](crate::Endpoint::access).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Access {
    /// Everybody; who has a token that holds is known to the session.
    #[default]
    Public,
    /// Everybody, and nobody is known: tokens are not looked at, and callers send none.
    Anonymous,
    /// Callers whom the authenticator knows.
    Login,
    /// Callers whom the authenticator knows, and who have all of these scopes.
    Scopes(Vec<String>),
}

impl Access {
    /// For callers with all of these scopes.
    pub fn scopes<S: Into<String>>(scopes: impl IntoIterator<Item = S>) -> Self {
        Self::Scopes(scopes.into_iter().map(Into::into).collect())
    }

    /// Whether the caller must be known.
    pub(crate) fn is_protected(&self) -> bool {
        match self {
            Self::Public | Self::Anonymous => false,
            Self::Login | Self::Scopes(_) => true,
        }
    }

    /// The first scope that is required and not there.
    pub(crate) fn missing(&self, caller: &Authentication) -> Option<&str> {
        match self {
            Self::Public | Self::Anonymous | Self::Login => None,
            Self::Scopes(scopes) => {
                scopes.iter().map(String::as_str).find(|scope| !caller.has_scope(scope))
            }
        }
    }
}

/// What is taken back. See [`Server::revoke`](crate::Server::revoke).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Revocation {
    /// All that a user may do.
    User(String),
    /// What one token of a user opened.
    Token {
        /// The user's id.
        user: String,
        /// The token's id.
        token: String,
    },
    /// One scope of a user.
    Scope {
        /// The user's id.
        user: String,
        /// The scope.
        scope: String,
    },
}

impl Revocation {
    /// Whether it concerns this caller.
    pub(crate) fn concerns(&self, caller: &Authentication) -> bool {
        match self {
            Self::User(user) => caller.user() == user,
            Self::Token { user, token } => {
                caller.user() == user && caller.token() == Some(token.as_str())
            }
            Self::Scope { user, scope } => caller.user() == user && caller.has_scope(scope),
        }
    }

    /// Whether it closes a call of this caller to a method with that access.
    pub(crate) fn closes(&self, caller: &Authentication, access: &Access) -> bool {
        self.concerns(caller)
            && match (self, access) {
                (_, Access::Public | Access::Anonymous) => false,
                (Self::User(_) | Self::Token { .. }, Access::Login | Access::Scopes(_)) => true,
                (Self::Scope { .. }, Access::Login) => false,
                (Self::Scope { scope, .. }, Access::Scopes(required)) => required.contains(scope),
            }
    }
}
