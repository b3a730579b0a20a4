use std::fmt;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;

use futures_core::Stream;
use futures_util::StreamExt;
use serde::Serialize;
use serde::de::DeserializeOwned;
use wirestream_protocol::{Fault, Rejection};

use super::call::{Accepted, IncomingCall, invalid};
use crate::codec::{decode, encode};
use crate::error::SendError;
use crate::receiver::Receiver;
use crate::sender::Sender;
use crate::session::Session;
use crate::transport::BoxFuture;

pub(super) type Method = Box<dyn Fn(IncomingCall) -> BoxFuture<()> + Send + Sync>;

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
}

impl Endpoint {
    /// An endpoint without methods.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), methods: Vec::new() }
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
        let method = Arc::new(method);
        self.method(name, move |call| {
            let method = Arc::clone(&method);
            async move {
                let Some((mut accepted, arguments, parameters)) = prepare(call) else { return };
                let Some(reply) = accepted.reply::<T, E>() else { return };
                let stream = method(accepted.session().clone(), arguments, parameters);
                drop(accepted);
                reply_stream(reply, stream).await;
            }
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
        let method = Arc::new(method);
        self.method(name, move |call| {
            let method = Arc::clone(&method);
            async move {
                let Some((mut accepted, arguments, parameters)) = prepare(call) else { return };
                let Some(reply) = accepted.reply::<T, E>() else { return };
                let value = method(accepted.session().clone(), arguments, parameters);
                drop(accepted);
                reply_value(reply, value).await;
            }
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
        let boxed: Method = Box::new(move |call| {
            let method = Arc::clone(&method);
            Box::pin(async move { method(call).await })
        });
        self.methods.push((name.into(), boxed));
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

/// Checks the arguments and parameters, then accepts; or refuses.
fn prepare<A: Arguments, P: Parameters>(call: IncomingCall) -> Option<(Accepted, A, P)> {
    let arguments = match check::<A, P>(&call) {
        Ok(arguments) => arguments,
        Err(rejection) => {
            call.reject(rejection);
            return None;
        }
    };
    let mut accepted = call.accept()?;
    let parameters = P::take(&mut accepted)?;
    Some((accepted, arguments, parameters))
}

fn check<A: Arguments, P: Parameters>(call: &IncomingCall) -> Result<A, Rejection> {
    let arguments = A::decode(call.arguments())?;
    let (wanted, sent) = (P::COUNT, call.parameters());
    if wanted.is_some_and(|wanted| wanted != sent) {
        let wanted = wanted.unwrap_or_default();
        return Err(invalid(format!("{sent} parameter streams, where {wanted} are expected")));
    }
    Ok(arguments)
}

/// Sends what a stream yields until it ends, fails, or nobody wants more.
async fn reply_stream<T: Serialize, E: IntoFault>(
    reply: Sender<T, E>,
    stream: impl Stream<Item = Result<T, E>>,
) {
    let mut stream = pin!(stream);
    while let Some(item) = stream.next().await {
        match item {
            Ok(message) => match reply.send(message).await {
                Ok(()) => {}
                Err(SendError::Stopped | SendError::Lost(_)) => return,
                // The message cannot be sent, and must not be missing silently.
                Err(SendError::TooLarge { .. } | SendError::Encode(_)) => {
                    return reply.end_with(Err(Fault::Failed));
                }
            },
            Err(error) => return reply.end_with(Err(error.into_fault())),
        }
    }
    reply.end_with(Ok(()));
}

async fn reply_value<T: Serialize, E: IntoFault>(
    reply: Sender<T, E>,
    value: impl Future<Output = Result<T, E>>,
) {
    match value.await {
        Ok(value) => reply.send_last(value).await,
        Err(error) => reply.end_with(Err(error.into_fault())),
    }
}

/// What a method may fail with: any error that serde knows, which then arrives typed, or
/// [`Failed`], of which no detail is told.
pub trait IntoFault: Send + 'static {
    #[doc(hidden)]
    fn into_fault(self) -> Fault;
}

impl<E: Serialize + Send + 'static> IntoFault for E {
    fn into_fault(self) -> Fault {
        encode(&self).map_or(Fault::Failed, |bytes| Fault::App(bytes.into()))
    }
}

/// A failure of which the caller learns no detail. Made by `?` from any error.
#[derive(Debug)]
pub struct Failed(Box<dyn std::error::Error + Send + Sync>);

impl Failed {
    /// The error behind it, for this side's own log.
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
    fn into_fault(self) -> Fault {
        Fault::Failed
    }
}

/// The plain arguments of a method: a tuple of values, or anything else that serde knows.
pub trait Arguments: Sized + Send + 'static {
    #[doc(hidden)]
    fn decode(bytes: &[u8]) -> Result<Self, Rejection>;
}

impl<A: DeserializeOwned + Send + 'static> Arguments for A {
    fn decode(bytes: &[u8]) -> Result<Self, Rejection> {
        decode(bytes).map_err(|error| invalid(format!("the arguments do not decode: {error}")))
    }
}

/// The parameter streams of a method: a tuple of up to sixteen [`Receiver`]s, or a `Vec` of as many
/// as the caller sends.
pub trait Parameters: Sized + Send + 'static {
    #[doc(hidden)]
    const COUNT: Option<usize>;

    #[doc(hidden)]
    fn take(call: &mut Accepted) -> Option<Self>;
}

impl<T: 'static, E: 'static> Parameters for Vec<Receiver<T, E>> {
    const COUNT: Option<usize> = None;

    fn take(call: &mut Accepted) -> Option<Self> {
        Some(std::iter::from_fn(|| call.parameter()).collect())
    }
}

macro_rules! parameters {
    ($($count:literal: $($t:ident $e:ident),*;)*) => { $(
        impl<$($t: 'static, $e: 'static),*> Parameters for ($(Receiver<$t, $e>,)*) {
            const COUNT: Option<usize> = Some($count);

            #[allow(unused_variables, reason = "of no parameters, none is taken")]
            fn take(call: &mut Accepted) -> Option<Self> {
                Some(($(call.parameter::<$t, $e>()?,)*))
            }
        }
    )* };
}

parameters! {
    0: ;
    1: A AE;
    2: A AE, B BE;
    3: A AE, B BE, C CE;
    4: A AE, B BE, C CE, D DE;
    5: A AE, B BE, C CE, D DE, F FE;
    6: A AE, B BE, C CE, D DE, F FE, G GE;
    7: A AE, B BE, C CE, D DE, F FE, G GE, H HE;
    8: A AE, B BE, C CE, D DE, F FE, G GE, H HE, I IE;
    9: A AE, B BE, C CE, D DE, F FE, G GE, H HE, I IE, J JE;
    10: A AE, B BE, C CE, D DE, F FE, G GE, H HE, I IE, J JE, K KE;
    11: A AE, B BE, C CE, D DE, F FE, G GE, H HE, I IE, J JE, K KE, L LE;
    12: A AE, B BE, C CE, D DE, F FE, G GE, H HE, I IE, J JE, K KE, L LE, M ME;
    13: A AE, B BE, C CE, D DE, F FE, G GE, H HE, I IE, J JE, K KE, L LE, M ME, N NE;
    14: A AE, B BE, C CE, D DE, F FE, G GE, H HE, I IE, J JE, K KE, L LE, M ME, N NE, O OE;
    15: A AE, B BE, C CE, D DE, F FE, G GE, H HE, I IE, J JE, K KE, L LE, M ME, N NE, O OE, P PE;
    16: A AE, B BE, C CE, D DE, F FE, G GE, H HE, I IE, J JE, K KE, L LE, M ME, N NE, O OE, P PE, Q QE;
}
