use std::fmt;
use std::future::Future;
use std::sync::Arc;

use futures_core::Stream;
use futures_util::FutureExt;
use futures_util::future::OptionFuture;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tracing::{Instrument, Span};
use wirestream_protocol::Fault;

use super::call::{Accepted, Entrance, IncomingCall, Task};
use crate::authentication::Access;
use crate::codec::fault;
use crate::contract::{Contract, Fingerprint};
use crate::receiver::Receiver;
use crate::session::Session;
use crate::transport::BoxFuture;

/// Makes what a call's task does, all of it in one piece of memory.
type Run = Box<dyn Fn(IncomingCall, Option<Box<Entrance>>, Span) -> BoxFuture<()> + Send + Sync>;

/// What there is under a method's name.
pub(super) struct Method {
    pub(super) run: Run,
    pub(super) access: Arc<Access>,
    /// The contracts that its callers may be built with, if that matters.
    pub(super) accepted: Option<Arc<[Fingerprint]>>,
}

/// A named set of methods.
///
/// A method takes its session, its plain arguments (a tuple of values) and its parameter streams
/// (a tuple of receivers), and returns a stream or a future.
///
/// ```
/// use futures_util::{Stream, StreamExt};
/// use wirestream::{Endpoint, NoError, Receiver, Server, Session, StreamError};
///
/// fn echo(
///     _: Session,
///     (): (),
///     (messages,): (Receiver<String>,),
/// ) -> impl Stream<Item = Result<String, NoError>> {
///     messages.filter_map(async |message| message.ok().map(Ok))
/// }
///
/// async fn add(_: Session, (a, b): (i64, i64), (): ()) -> Result<i64, NoError> {
///     Ok(a + b)
/// }
///
/// let example = Endpoint::new("Example").stream("echo", echo).unary("add", add);
/// let server = Server::builder().endpoint(example).build()?;
/// # Ok::<(), wirestream::BuildError>(())
/// ```
pub struct Endpoint {
    pub(super) name: String,
    pub(super) methods: Vec<(String, Method)>,
    /// A contract was given before there was a method for it.
    pub(super) stray_contract: bool,
}

impl Endpoint {
    /// An endpoint without methods.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), methods: Vec::new(), stray_contract: false }
    }

    /// Adds a method that returns a stream. The call lasts until that stream ends, fails, or the
    /// caller drops its reply; the stream is dropped then, wherever it is.
    pub fn stream<A, P, T, E, S, F>(self, name: impl Into<String>, method: F) -> Self
    where
        A: Arguments,
        P: Parameters,
        T: Serialize + Send + 'static,
        E: IntoFault,
        S: Stream<Item = Result<T, E>> + Send + 'static,
        F: Fn(Session, A, P) -> S + Send + Sync + 'static,
    {
        self.method(name, move |call| {
            let prepared = call.prepare();
            OptionFuture::from(prepared.map(|(accepted, arguments, parameters)| {
                let session = accepted.session().clone();
                accepted.reply_stream(method(session, arguments, parameters))
            }))
            .map(drop)
        })
    }

    /// Adds a method that returns one value. The call lasts until it has.
    pub fn unary<A, P, T, E, Fut, F>(self, name: impl Into<String>, method: F) -> Self
    where
        A: Arguments,
        P: Parameters,
        T: Serialize + Send + 'static,
        E: IntoFault,
        Fut: Future<Output = Result<T, E>> + Send + 'static,
        F: Fn(Session, A, P) -> Fut + Send + Sync + 'static,
    {
        self.method(name, move |call| {
            let prepared = call.prepare();
            OptionFuture::from(prepared.map(|(accepted, arguments, parameters)| {
                let session = accepted.session().clone();
                accepted.reply_value(method(session, arguments, parameters))
            }))
            .map(drop)
        })
    }

    /// Adds a method that looks at the call itself: what the other forms are made of.
    pub fn method<Fut, F>(mut self, name: impl Into<String>, method: F) -> Self
    where
        Fut: Future<Output = ()> + Send + 'static,
        F: Fn(IncomingCall) -> Fut + Send + Sync + 'static,
    {
        // The method's own code runs within the call's task, not where calls come in.
        let method = Arc::new(method);
        let run: Run = Box::new(move |call, entrance, span| {
            Box::pin(Task::new(call, entrance, Arc::clone(&method)).instrument(span))
        });
        let method = Method { run, access: Arc::default(), accepted: None };
        self.methods.push((name.into(), method));
        self
    }

    /// Says what callers of the method that was added last must agree on. A caller who was built
    /// with another contract, and says so, is refused as
    /// [`RejectCode::ContractMismatch`](crate::RejectCode::ContractMismatch); one who does not say
    /// is not asked.
    ///
    /// Before any method was added there is none that it could be of: the server is not built
    /// then, for [`BuildError::StrayContract`](crate::BuildError::StrayContract).
    pub fn contract(mut self, contract: &Contract) -> Self {
        let Some((_, method)) = self.methods.last_mut() else {
            self.stray_contract = true;
            return self;
        };
        method.accepted = Some(contract.accepted().into());
        self
    }

    /// Says whom the method that was added last is for; without it, [`Access::Public`]. The rest
    /// of a call is looked at only for callers who may make it. Before any method was added there
    /// is none that it could be of, as with [`contract`](Self::contract).
    ///
    /// ```
    /// use wirestream::{Access, Endpoint, NoError, Session};
    ///
    /// async fn erase(_: Session, (): (), (): ()) -> Result<(), NoError> {
    ///     Ok(())
    /// }
    ///
    /// let board = Endpoint::new("Board").unary("erase", erase).access(Access::scopes(["admin"]));
    /// ```
    pub fn access(mut self, access: Access) -> Self {
        match self.methods.last_mut() {
            Some((_, method)) => method.access = Arc::new(access),
            None => self.stray_contract = true,
        }
        self
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.methods.iter().map(|(name, _)| name);
        f.debug_struct("Endpoint")
            .field("name", &self.name)
            .field("methods", &names.collect::<Vec<_>>())
            .finish()
    }
}

/// What a method may fail with: any error that serde knows, which then arrives typed, or
/// [`Failed`], of which no detail is told.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an error that a method may fail with",
    label = "needs `#[derive(Serialize, Deserialize)]`",
    note = "or let the method fail with `wirestream::Failed`, which any error turns into by `?`, and \
            of which no detail travels"
)]
pub trait IntoFault: Send + 'static {
    /// What travels, and what is told on this side because it does not travel.
    #[doc(hidden)]
    fn into_fault(self) -> (Fault, Option<Failed>);
}

#[diagnostic::do_not_recommend]
impl<E: Serialize + Send + 'static> IntoFault for E {
    fn into_fault(self) -> (Fault, Option<Failed>) {
        match fault(&self) {
            Ok(fault) => (fault, None),
            Err(error) => (Fault::Failed, Some(error.into())),
        }
    }
}

/// A failure of which the caller learns no detail. Made by `?` from any error.
///
/// The server tells it to `tracing`, as a warning that names the method and the session; see
/// [Watching it run](crate::guide::watching).
#[derive(Debug)]
pub struct Failed(Box<dyn std::error::Error + Send + Sync>);

impl Failed {
    pub(crate) fn as_error(&self) -> &(dyn std::error::Error + 'static) {
        &*self.0
    }

    /// The error behind it.
    pub fn into_inner(self) -> Box<dyn std::error::Error + Send + Sync> {
        self.0
    }
}

impl<E: std::error::Error + Send + Sync + 'static> From<E> for Failed {
    fn from(error: E) -> Self {
        Self(Box::new(error))
    }
}

impl IntoFault for Failed {
    fn into_fault(self) -> (Fault, Option<Failed>) {
        (Fault::Failed, Some(self))
    }
}

/// The plain arguments of a method: a tuple of values, or anything else that serde knows.
pub trait Arguments: DeserializeOwned + Send + 'static {}

impl<A: DeserializeOwned + Send + 'static> Arguments for A {}

/// The parameter streams of a method: a tuple of up to sixteen, each a [`Receiver`] or, where the
/// caller may leave it away, an `Option<Receiver>`; or a `Vec` of as many as the caller sends.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a tuple of streams",
    label = "a method takes its session, a tuple of values and a tuple of streams",
    note = "one stream is a tuple too: `(words,): (Receiver<String>,)`; none is `(): ()`"
)]
pub trait Parameters: Sized + Send + 'static {
    #[doc(hidden)]
    const COUNT: Option<usize>;

    /// Those that may be left away, a bit each.
    #[doc(hidden)]
    const OPTIONAL: u16;

    /// Takes them; of the optional ones, those that are `present`.
    #[doc(hidden)]
    fn take(call: &mut Accepted, present: u16) -> Option<Self>;
}

impl<T: 'static, E: 'static> Parameters for Vec<Receiver<T, E>> {
    const COUNT: Option<usize> = None;
    const OPTIONAL: u16 = 0;

    fn take(call: &mut Accepted, _: u16) -> Option<Self> {
        Some(std::iter::from_fn(|| call.parameter()).collect())
    }
}

/// One of a method's parameter streams.
#[doc(hidden)]
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a stream that a method may take",
    label = "a method takes streams as `Receiver` or `Option<Receiver>`"
)]
pub trait OneParameter: Sized + Send + 'static {
    const OPTIONAL: bool;

    fn take(call: &mut Accepted, present: bool) -> Option<Self>;
}

impl<T: 'static, E: 'static> OneParameter for Receiver<T, E> {
    const OPTIONAL: bool = false;

    fn take(call: &mut Accepted, _: bool) -> Option<Self> {
        call.parameter()
    }
}

impl<T: 'static, E: 'static> OneParameter for Option<Receiver<T, E>> {
    const OPTIONAL: bool = true;

    fn take(call: &mut Accepted, present: bool) -> Option<Self> {
        if present { call.parameter().map(Some) } else { Some(None) }
    }
}

const fn bits(places: &[bool]) -> u16 {
    let (mut bits, mut place) = (0, 0);
    while place < places.len() {
        bits |= (places[place] as u16) << place;
        place += 1;
    }
    bits
}

macro_rules! parameters {
    ($($count:literal: $($t:ident)*;)*) => { $(
        impl<$($t: OneParameter),*> Parameters for ($($t,)*) {
            const COUNT: Option<usize> = Some($count);
            const OPTIONAL: u16 = bits(&[$($t::OPTIONAL),*]);

            #[allow(unused_variables, unused_mut, reason = "of no parameters, none is taken")]
            fn take(call: &mut Accepted, present: u16) -> Option<Self> {
                let mut presence = (0..u16::BITS).map(|place| present >> place & 1 == 1);
                Some(($($t::take(call, presence.next()?)?,)*))
            }
        }
    )* };
}

parameters! {
    0: ;
    1: A;
    2: A B;
    3: A B C;
    4: A B C D;
    5: A B C D E;
    6: A B C D E F;
    7: A B C D E F G;
    8: A B C D E F G H;
    9: A B C D E F G H I;
    10: A B C D E F G H I J;
    11: A B C D E F G H I J K;
    12: A B C D E F G H I J K L;
    13: A B C D E F G H I J K L M;
    14: A B C D E F G H I J K L M N;
    15: A B C D E F G H I J K L M N O;
    16: A B C D E F G H I J K L M N O P;
}
