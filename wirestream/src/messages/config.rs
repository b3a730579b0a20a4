use super::bus::BusError;

/// What messages between sessions may cost, and what is to be done when the bus is down.
///
/// ```
/// use wirestream::{MessageConfig, Outage, Server};
///
/// let config = MessageConfig { unread: 100, outage: Outage::Local, ..MessageConfig::default() };
/// let server = Server::builder().messages(config);
/// # let _ = server;
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageConfig {
    /// The longest name of a channel, in bytes. 255 by default.
    pub channel: usize,
    /// The largest message, encoded, in bytes. 256 KiB by default.
    pub message: usize,
    /// How many messages of a channel a subscriber may leave unread before it misses the oldest.
    /// 1,024 by default.
    pub unread: usize,
    /// How many bytes these may have together, encoded; at least [`message`](Self::message). What
    /// several subscribers have not read is kept once for all of them. 1 MiB by default.
    pub unread_bytes: usize,
    /// What [`Scope::Auto`](crate::Scope::Auto) does when there is a bus and it is down.
    pub outage: Outage,
}

/// What [`Scope::Auto`](crate::Scope::Auto) does when there is a bus and it is down.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Outage {
    /// It fails: whoever posts or subscribes learns of it. The default, as servers that go on by
    /// themselves no longer tell the same.
    #[default]
    Fail,
    /// It does with this server what can be done: what is posted reaches the subscribers of this
    /// server, and a subscription begins with what is posted here; once the bus is back it hears
    /// the others too, behind a [gap](crate::MessageError::Gap). What [may have
    /// arrived](crate::BusError::may_have_arrived) fails all the same, lest it come twice.
    Local,
}

impl Outage {
    /// Whether the server does what it can after such a failure. What is lost to an outage alone
    /// may be made good, and only what has not arrived.
    pub(crate) fn goes_on_without(self, error: &BusError) -> bool {
        self == Self::Local
            && match error {
                BusError::Unavailable { .. }
                | BusError::Refused { .. }
                | BusError::Full
                | BusError::Closed => true,
                BusError::TimedOut(_) | BusError::Lost { .. } | BusError::TooLarge { .. } => false,
            }
    }
}

impl Default for MessageConfig {
    fn default() -> Self {
        Self {
            channel: 255,
            message: 256 * 1024,
            unread: 1_024,
            unread_bytes: 1024 * 1024,
            outage: Outage::default(),
        }
    }
}

impl MessageConfig {
    /// The first setting that is too small.
    pub(crate) fn too_small(&self) -> Option<&'static str> {
        match self {
            Self { channel: 0, .. } => Some("channel"),
            Self { unread: 0, .. } => Some("unread"),
            Self { message, unread_bytes, .. } if unread_bytes < message => Some("unread_bytes"),
            _ => None,
        }
    }
}
