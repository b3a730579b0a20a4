//! The contract of a method: what both sides must agree on, and its fingerprint.
//!
//! Messages do not describe themselves, so a type that has changed would be misread, not refused.
//! A caller that knows its contract sends the fingerprint with the call, and a server that knows
//! another refuses it.

mod shape;
#[cfg(test)]
mod tests;
mod trace;

use std::any::TypeId;
use std::cell::Cell;
use std::collections::HashMap;
use std::fmt;
use std::sync::{LazyLock, OnceLock, PoisonError, RwLock};

use serde::Serialize;
use serde::de::DeserializeOwned;

use shape::Shape;
use trace::Tracer;

/// What can travel: a value that serde reads and writes, and that owns its content.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not travel",
    label = "needs `#[derive(Serialize, Deserialize)]`",
    note = "arguments, messages, replies and errors are written and read by serde, and own what \
            they say"
)]
pub trait Message: Serialize + DeserializeOwned + Send + 'static {}

#[diagnostic::do_not_recommend]
impl<T: Serialize + DeserializeOwned + Send + 'static> Message for T {}

/// What callers and server of a method must agree on: the names, order and shapes of its
/// arguments and parameter streams, and the shapes of its reply and errors.
///
/// A type's shape is found from its `Deserialize` impl: the names of structs, fields, enums and
/// variants, their order and what they hold, to any depth; recursive types are fine. What cannot be
/// seen from there (a type that takes no value that the search comes up with, and what stands
/// behind it in a struct) counts by its name, or not at all.
///
/// [`Display`](fmt::Display) shows all of it, to find what differs.
///
/// ```
/// use wirestream::{Contract, NoError};
///
/// #[derive(serde::Serialize, serde::Deserialize)]
/// struct Point {
///     x: f64,
///     y: f64,
/// }
///
/// let contract = Contract::new()
///     .argument::<bool>("closed")
///     .parameter::<Point, NoError>("points")
///     .unary::<f64, NoError>();
/// assert_eq!(
///     contract.to_string(),
///     "(closed: bool, points: stream Point#0 or NoError#1) -> f64 or NoError#1; \
///      Point#0 = struct { x: f64, y: f64 }; NoError#1 = enum {}",
/// );
/// ```
#[derive(Clone)]
pub struct Contract {
    tracer: Tracer,
    inputs: Vec<String>,
    reply: String,
    compatible: Vec<Fingerprint>,
    /// Found when it is first asked for.
    fingerprint: OnceLock<Fingerprint>,
}

impl Contract {
    /// The contract of a method that takes and returns nothing.
    pub fn new() -> Self {
        Self {
            tracer: Tracer::default(),
            inputs: Vec::new(),
            reply: "()".into(),
            compatible: Vec::new(),
            fingerprint: OnceLock::new(),
        }
    }

    /// The next plain argument.
    pub fn argument<T: Message>(mut self, name: &str) -> Self {
        let shape = self.shape_of::<T>();
        self.inputs.push(format!("{name}: {shape}"));
        self
    }

    /// The next parameter stream, in order among the arguments.
    pub fn parameter<T: Message, E: Message>(mut self, name: &str) -> Self {
        let stream = self.stream_of::<T, E>();
        self.inputs.push(format!("{name}: {stream}"));
        self
    }

    /// The next parameter stream, which the caller may leave away.
    pub fn optional_parameter<T: Message, E: Message>(mut self, name: &str) -> Self {
        let stream = self.stream_of::<T, E>();
        self.inputs.push(format!("{name}: optional {stream}"));
        self
    }

    /// The method returns a stream.
    pub fn stream<T: Message, E: Message>(mut self) -> Self {
        self.reply = self.stream_of::<T, E>();
        self
    }

    /// The method returns one value.
    pub fn unary<T: Message, E: Message>(mut self) -> Self {
        self.reply = self.either::<T, E>();
        self
    }

    /// Serves callers that were built with this contract too. Whoever says so knows that their
    /// messages are read as they were meant, in both directions: an enum variant that was appended
    /// and is not sent to them, say.
    pub fn compatible_with(mut self, older: Fingerprint) -> Self {
        self.compatible.push(older);
        self
    }

    /// Eight bytes that stand for all of it.
    pub fn fingerprint(&self) -> Fingerprint {
        *self.fingerprint.get_or_init(|| Fingerprint::of(&self.to_string()))
    }

    /// What a server accepts: this contract's fingerprint first, then the compatible ones.
    pub(crate) fn accepted(&self) -> Vec<Fingerprint> {
        std::iter::once(self.fingerprint()).chain(self.compatible.iter().copied()).collect()
    }

    fn stream_of<T: Message, E: Message>(&mut self) -> String {
        format!("stream {}", self.either::<T, E>())
    }

    fn either<T: Message, E: Message>(&mut self) -> String {
        let value = self.shape_of::<T>();
        let error = self.shape_of::<E>();
        format!("{value} or {error}")
    }

    fn shape_of<T: Message>(&mut self) -> Shape {
        self.fingerprint = OnceLock::new();
        self.tracer.shape_of::<T>()
    }
}

impl Default for Contract {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Display for Contract {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "({}) -> {}{}", self.inputs.join(", "), self.reply, self.tracer)
    }
}

impl fmt::Debug for Contract {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Contract({} {self})", self.fingerprint())
    }
}

/// Stands for a [`Contract`]. Shown as sixteen hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Fingerprint(u64);

impl Fingerprint {
    /// The fingerprint that is shown as `number` in hexadecimal.
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// The fingerprint of a type that is posted (R-BUS-3). It is found once for each type.
    pub(crate) fn of_message<T: Message>() -> Self {
        static KNOWN: LazyLock<RwLock<HashMap<TypeId, Fingerprint>>> =
            LazyLock::new(RwLock::default);
        thread_local! {
            static LAST: Cell<Option<(TypeId, Fingerprint)>> = const { Cell::new(None) };
        }
        let this = TypeId::of::<T>();
        if let Some((last, fingerprint)) = LAST.get()
            && last == this
        {
            return fingerprint;
        }
        let known = KNOWN.read().unwrap_or_else(PoisonError::into_inner).get(&this).copied();
        let fingerprint = known.unwrap_or_else(|| {
            // No lock is held while the type's own code runs; two threads find the same.
            let mut tracer = Tracer::default();
            let shape = tracer.shape_of::<T>();
            let found = Self::of(&format!("message {shape}{tracer}"));
            KNOWN.write().unwrap_or_else(PoisonError::into_inner).insert(this, found);
            found
        });
        LAST.set(Some((this, fingerprint)));
        fingerprint
    }

    /// The fingerprint of the contract that is shown so: for a program that has no more of it than
    /// that.
    ///
    /// ```
    /// use wirestream::{Contract, Fingerprint, NoError};
    ///
    /// let contract = Contract::new().argument::<bool>("loud").unary::<u32, NoError>();
    /// assert_eq!(Fingerprint::of(&contract.to_string()), contract.fingerprint());
    /// ```
    pub fn of(contract: &str) -> Self {
        // FNV-1a, then the finalizer of SplitMix64: the same on every platform and in every
        // version, and no adversary gains from a collision, who could as well send what is true.
        let mut hash = 0xcbf2_9ce4_8422_2325_u64;
        for byte in contract.bytes() {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        Self(hash ^ (hash >> 31))
    }

    /// As it travels.
    pub const fn to_bytes(self) -> [u8; 8] {
        self.0.to_be_bytes()
    }

    /// As it travelled.
    pub const fn from_bytes(bytes: [u8; 8]) -> Self {
        Self(u64::from_be_bytes(bytes))
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}
