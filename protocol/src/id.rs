use core::fmt;

/// A call of one connection. Never reused.
///
/// `Display` shows the number that the wire carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallId {
    pub(crate) wire: u32,
    pub(crate) slot: u32,
}

impl CallId {
    /// A small number, unique among the calls that the connection holds at this time: an index
    /// into a table of the driver's own. Reused once the call is released.
    pub fn slot(self) -> usize {
        self.slot as usize
    }
}

impl fmt::Display for CallId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.wire)
    }
}

/// A half that this endpoint sends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Outbound {
    pub(crate) call: CallId,
    pub(crate) half: u8,
}

/// A half that this endpoint receives on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Inbound {
    pub(crate) call: CallId,
    pub(crate) half: u8,
}

macro_rules! half {
    ($name:ident) => {
        impl $name {
            /// The call that this half belongs to.
            pub fn call(self) -> CallId {
                self.call
            }

            /// The half's number in its call: 0 is the reply, 1 the first parameter.
            pub fn index(self) -> usize {
                usize::from(self.half)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}.{}", self.call, self.half)
            }
        }
    };
}
half!(Outbound);
half!(Inbound);
