//! The [`endpoint`] attribute of [Wirestream](https://docs.rs/wirestream), which exports it.

mod expand;
mod method;
mod options;

use proc_macro::TokenStream;
use quote::ToTokens;
use syn::{Error, Item, ItemTrait, Path, Result, TraitItem, Type, parse_quote};

use expand::Endpoint;
use method::Method;
use options::Options;

/// Makes a typed client and a server's endpoint from a trait.
///
/// ```
/// # use futures_util::{Stream, StreamExt};
/// # use wirestream::{Client, NoError, Receiver, Server, Session, channel};
/// #[wirestream::endpoint]
/// pub trait Example {
///     /// Sends back whatever it receives, `times` times.
///     fn echo(
///         &self,
///         session: &Session,
///         times: u32,
///         messages: Receiver<String>,
///     ) -> impl Stream<Item = Result<String, NoError>>;
///
///     /// Adds up the numbers until the caller finishes its stream.
///     async fn sum(&self, session: &Session, numbers: Receiver<i64>) -> i64;
/// }
///
/// struct Service;
///
/// impl Example for Service {
///     fn echo(
///         &self,
///         _: &Session,
///         times: u32,
///         messages: Receiver<String>,
///     ) -> impl Stream<Item = Result<String, NoError>> {
///         messages.filter_map(async |message| message.ok()).flat_map(move |message| {
///             futures_util::stream::iter((0..times).map(move |_| Ok(message.clone())))
///         })
///     }
///
///     async fn sum(&self, _: &Session, numbers: Receiver<i64>) -> i64 {
///         numbers.fold(0, async |sum, number| sum + number.unwrap_or(0)).await
///     }
/// }
///
/// # fn server() -> Result<Server, wirestream::BuildError> {
/// let server = Server::builder().endpoint(ExampleServer::new(Service)).build()?;
/// # Ok(server)
/// # }
/// # async fn call(client: Client) -> Result<(), Box<dyn std::error::Error>> {
/// let client = ExampleClient::new(client);
/// let (input, messages) = channel();
/// let mut replies = client.echo(2, messages);
/// input.send("hello".into()).await?;
/// assert_eq!(replies.next().await, Some(Ok("hello".into())));
///
/// let sum = client.sum(futures_util::stream::iter([1, 2, 3])).await?;
/// assert_eq!(sum, 6);
/// # Ok(())
/// # }
/// ```
///
/// # Methods
///
/// A method takes `&self`, its session, and then plain arguments and streams in any order:
///
/// | in the trait | in the client |
/// |---|---|
/// | `level: u32`, any type that serde reads and writes | the same |
/// | `messages: Receiver<T>`, `Receiver<T, E>` | a `Parameter` of a `channel`, or any `Stream` of `T` |
/// | `messages: Option<Receiver<T, E>>` | `Option<Parameter<T, E>>` |
///
/// | it returns | the client's returns |
/// |---|---|
/// | `impl Stream<Item = Result<T, E>>` | `Receiver<T, E>` |
/// | `impl Stream<Item = T>` | `Receiver<T>` |
/// | `async`, `Result<T, E>` | `Unary<T, E>` |
/// | `async`, `T` or nothing | `Unary<T>` |
///
/// The error is any type that serde reads and writes; of `Failed`, which any error turns into by
/// `?`, no detail travels. With an alias of your own, `type Result<T> = std::result::Result<T,
/// ChatError>` say, methods need not name it: `#[endpoint(error = ChatError)]` does, for all of them.
/// What is returned may borrow from the service and the session. Types are recognised by their
/// names `Session`, `Receiver`, `Option`, `Result`, `Failed`, `Stream` and `Future`, under any path.
///
/// A method may have a body in the trait, for services that have none of their own. One with
/// `#[optional]` may be left out: the server then has no such method, and refuses its callers as
/// `NotFound`.
///
/// # Who may call
///
/// `#[login]` on a method is for callers whom the server's authenticator knows, `#[scopes("a", "b")]`
/// for those who have all of these scopes, `#[anonymous]` for everybody, without any token, and
/// `#[public]` for everybody. The same words in `#[endpoint(...)]` stand for all methods that do not
/// say otherwise. Without any, a method is public. The session tells who calls.
///
/// ```
/// # use wirestream::{Authentication, Server, Session};
/// #[wirestream::endpoint(login)]
/// pub trait Notes {
///     /// How many notes the caller has.
///     async fn count(&self, session: &Session) -> u32;
///
///     /// Throws away the notes of everybody.
///     #[scopes("admin")]
///     async fn clear(&self, session: &Session);
///
///     #[anonymous]
///     async fn version(&self, session: &Session) -> String;
/// }
/// # struct Service;
/// # impl Notes for Service {
/// #     async fn count(&self, session: &Session) -> u32 {
/// #         u32::from(session.authentication().is_some_and(|caller| caller.user() == "alice"))
/// #     }
/// #     async fn clear(&self, _: &Session) {}
/// #     async fn version(&self, _: &Session) -> String { "1".into() }
/// # }
///
/// # fn server() -> Result<Server, wirestream::BuildError> {
/// let server = Server::builder()
///     .authenticator(async |token| {
///         Ok((token.as_bytes() == b"secret").then(|| Authentication::new("alice")))
///     })
///     .endpoint(NotesServer::new(Service))
///     .build()?;
/// # Ok(server)
/// # }
/// ```
///
/// # What comes out
///
/// For a trait `Example`: the trait, `Send + Sync + 'static`, with replies that are `Send`;
/// `ExampleClient`, made from a client; `ExampleServer`, made from a service, which a server's
/// builder takes; and `ExampleContract`, with the contract of each method.
///
/// The caller sends the contract's fingerprint with each call, and the server refuses another
/// contract as `ContractMismatch`, because a changed type would be misread otherwise. A method that
/// is added changes no other's contract. A change that older callers can live with (a variant
/// appended to an enum, which they are not sent) is declared with the fingerprint that they are
/// refused with: `#[compatible("0123456789abcdef")]`, on the method, as often as it takes.
///
/// # Options
///
/// | | |
/// |---|---|
/// | `#[endpoint(name = "...")]` | the endpoint's name, if not the trait's |
/// | `#[endpoint(error = ...)]` | what `Result<T>` fails with, an alias of your own |
/// | `#[endpoint(crate = path)]` | where Wirestream is, under a name of your own |
/// | `#[endpoint(login)]`, `scopes("...")`, `anonymous`, `public` | whom the methods are for |
///
/// # By hand
///
/// All of that is public, and may be written instead; for `sum` it is this.
///
/// ```
/// # use std::sync::{Arc, LazyLock};
/// # use wirestream::{Client, Contract, Endpoint, FailsWith, IntoParameter, NoError, Receiver};
/// # use wirestream::{Session, Unary};
/// pub trait Example: Send + Sync + 'static {
///     fn sum(
///         &self,
///         session: &Session,
///         numbers: Receiver<i64>,
///     ) -> impl Future<Output = i64> + Send;
/// }
///
/// static SUM: LazyLock<Contract> = LazyLock::new(|| {
///     Contract::new().parameter::<i64, NoError>("numbers").unary::<i64, NoError>()
/// });
///
/// pub struct ExampleClient(Client);
///
/// impl ExampleClient {
///     pub fn sum(
///         &self,
///         numbers: impl IntoParameter<Item = i64> + FailsWith<NoError>,
///     ) -> Unary<i64> {
///         self.0.call("Example.sum").contract(&SUM).parameter(numbers).unary()
///     }
/// }
///
/// pub fn endpoint<S: Example>(service: Arc<S>) -> Endpoint {
///     Endpoint::new("Example")
///         .method("sum", move |call| {
///             let service = Arc::clone(&service);
///             async move {
///                 let Some((accepted, (), (numbers,))) = call.prepare() else { return };
///                 let session = accepted.session().clone();
///                 accepted.reply_item(service.sum(&session, numbers)).await;
///             }
///         })
///         .contract(&SUM)
/// }
/// ```
#[proc_macro_attribute]
pub fn endpoint(options: TokenStream, item: TokenStream) -> TokenStream {
    expand(options, item, parse_quote!(::wirestream))
}

/// Makes a typed client and a server's endpoint from a trait: `wirestream::endpoint`, whose page tells
/// all of it, for a crate that knows Wirestream as `wirestream_tokio` alone.
#[proc_macro_attribute]
pub fn endpoint_of_tokio(options: TokenStream, item: TokenStream) -> TokenStream {
    expand(options, item, parse_quote!(::wirestream_tokio))
}

/// Makes a typed client and a server's endpoint from a trait: `wirestream::endpoint`, whose page tells
/// all of it, for a crate that knows Wirestream as `wirestream_smol` alone.
#[proc_macro_attribute]
pub fn endpoint_of_smol(options: TokenStream, item: TokenStream) -> TokenStream {
    expand(options, item, parse_quote!(::wirestream_smol))
}

fn expand(arguments: TokenStream, item: TokenStream, krate: Path) -> TokenStream {
    let mut options = Options::new(krate);
    let parser = syn::meta::parser(|meta| options.take(&meta));
    let parsed = syn::parse::Parser::parse(parser, arguments);
    let item = match syn::parse::<Item>(item) {
        Ok(Item::Trait(item)) => item,
        Ok(other) => {
            let error = Error::new_spanned(&other, "`endpoint` stands on a trait");
            return with_errors(error, other.into_token_stream());
        }
        Err(error) => return error.into_compile_error().into(),
    };
    let methods = methods(&item, options.error.as_ref());
    match combined(parsed.map(|()| Vec::new()), methods) {
        Ok(methods) => Endpoint::new(&item, &methods, &options).expand().into(),
        Err(error) => with_errors(error, expand::without_marks(&item).into_token_stream()),
    }
}

/// The errors, and the item as it was written, so that what uses it is not in error too.
fn with_errors(error: Error, item: proc_macro2::TokenStream) -> TokenStream {
    let mut tokens = error.into_compile_error();
    tokens.extend(item);
    tokens.into()
}

fn methods(item: &ItemTrait, error: Option<&Type>) -> Result<Vec<Method>> {
    let mut methods: Result<Vec<Method>> = Ok(Vec::new());
    if !item.generics.params.is_empty() {
        let detail = "an endpoint is not generic: caller and server must mean the same types";
        methods = combined(methods, Err(Error::new_spanned(&item.generics, detail)));
    }
    for item in &item.items {
        let method = match item {
            TraitItem::Fn(function) => Method::parse(function, error),
            other => Err(Error::new_spanned(other, "an endpoint has methods, and nothing else")),
        };
        let method = method.and_then(|method| match &methods {
            Ok(before) if before.iter().any(|other| other.ident == method.ident) => {
                let detail = format!("two methods are named `{}`", method.ident);
                Err(Error::new(method.ident.span(), detail))
            }
            _ => Ok(vec![method]),
        });
        methods = combined(methods, method);
    }
    methods
}

/// Everything, or every error.
fn combined(first: Result<Vec<Method>>, second: Result<Vec<Method>>) -> Result<Vec<Method>> {
    match (first, second) {
        (Ok(mut first), Ok(second)) => {
            first.extend(second);
            Ok(first)
        }
        (Err(mut first), Err(second)) => {
            first.combine(second);
            Err(first)
        }
        (Err(error), Ok(_)) | (Ok(_), Err(error)) => Err(error),
    }
}
