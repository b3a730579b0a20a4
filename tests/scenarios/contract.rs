//! Two programs that were built at different times: what has changed is refused when it is called,
//! and never misread.

use futures_util::{StreamExt, stream};
use wirestream::{
    CallBuilder, Contract, Endpoint, IncomingCall, NoError, RejectCode, Server, StreamError,
};
use wirestream_tests::{Net, Rig, scenarios};

scenarios! {
    a_changed_contract_is_refused_alone,
    a_method_that_was_added_changes_no_other,
    a_variant_that_was_appended_works_where_it_is_declared,
    a_side_that_does_not_tell_is_not_asked,
    the_refusal_names_the_method_and_the_fingerprints,
    arguments_and_what_is_present_lie_in_the_request_as_specified,
}

/// What is the same in every version.
macro_rules! version {
    ($name:ident, { $($types:item)* }, { $($methods:tt)* }, { $($bodies:tt)* }) => {
        mod $name {
            #![allow(unused_imports, dead_code, reason = "not every version needs all of it")]

            use futures_util::{Stream, StreamExt, stream};
            use serde::{Deserialize, Serialize};
            use wirestream::{Receiver, Server, Session};

            $($types)*

            #[wirestream::endpoint]
            pub(super) trait Example {
                async fn same(&self, session: &Session, number: u8) -> u8;
                $($methods)*
            }

            #[derive(Debug)]
            pub(super) struct Service;

            impl Example for Service {
                async fn same(&self, _: &Session, number: u8) -> u8 {
                    number
                }
                $($bodies)*
            }

            pub(super) fn server() -> Server {
                Server::builder().endpoint(ExampleServer::new(Service)).build().expect("a server")
            }
        }
    };
}

version!(
    old,
    {
        #[derive(Debug, PartialEq, Serialize, Deserialize)]
        pub(super) struct Line {
            pub(super) from: Point,
            pub(super) to: Point,
        }
        #[derive(Debug, PartialEq, Serialize, Deserialize)]
        pub(super) struct Point {
            pub(super) x: i32,
            pub(super) y: i32,
        }
        #[derive(Debug, PartialEq, Serialize, Deserialize)]
        pub(super) enum Problem {
            Missing,
            Locked(String),
        }
        #[derive(Debug, PartialEq, Serialize, Deserialize)]
        pub(super) enum Event {
            Opened,
            Closed(u32),
        }
    },
    {
        async fn length(&self, session: &Session, line: Line) -> u32;
        async fn scale(&self, session: &Session, by: u32) -> u32;
        async fn mix(&self, session: &Session, left: Receiver<u8>, right: Receiver<u8>) -> u8;
        async fn swap(&self, session: &Session, first: u8, second: u8) -> u8;
        async fn open(&self, session: &Session) -> Result<u8, Problem>;
        fn events(&self, session: &Session) -> impl Stream<Item = Event>;
        async fn tell(&self, session: &Session, event: Event) -> Event;
    },
    {
        async fn length(&self, _: &Session, _: Line) -> u32 {
            1
        }
        async fn scale(&self, _: &Session, by: u32) -> u32 {
            by
        }
        async fn mix(&self, _: &Session, _: Receiver<u8>, _: Receiver<u8>) -> u8 {
            1
        }
        async fn swap(&self, _: &Session, first: u8, _: u8) -> u8 {
            first
        }
        async fn open(&self, _: &Session) -> Result<u8, Problem> {
            Err(Problem::Missing)
        }
        fn events(&self, _: &Session) -> impl Stream<Item = Event> {
            stream::iter([Event::Closed(1)])
        }
        async fn tell(&self, _: &Session, event: Event) -> Event {
            event
        }
    }
);

version!(
    new,
    {
        #[derive(Debug, PartialEq, Serialize, Deserialize)]
        pub(super) struct Line {
            pub(super) from: Point,
            pub(super) to: Point,
        }
        // A field of a nested struct has another type, of as many bytes.
        #[derive(Debug, PartialEq, Serialize, Deserialize)]
        pub(super) struct Point {
            pub(super) x: i32,
            pub(super) y: u32,
        }
        // Variants have changed places.
        #[derive(Debug, PartialEq, Serialize, Deserialize)]
        pub(super) enum Problem {
            Locked(String),
            Missing,
        }
        // A variant was appended.
        #[derive(Debug, PartialEq, Serialize, Deserialize)]
        pub(super) enum Event {
            Opened,
            Closed(u32),
            Moved,
        }
    },
    {
        async fn length(&self, session: &Session, line: Line) -> u32;
        async fn scale(&self, session: &Session, by: i32) -> u32;
        async fn mix(&self, session: &Session, right: Receiver<u8>, left: Receiver<u8>) -> u8;
        async fn swap(&self, session: &Session, second: u8, first: u8) -> u8;
        async fn open(&self, session: &Session) -> Result<u8, Problem>;
        fn events(&self, session: &Session) -> impl Stream<Item = Event>;
        #[compatible("ee6aafbf3dbb8d37")]
        async fn tell(&self, session: &Session, event: Event) -> Event;
        async fn added(&self, session: &Session) -> u8;
    },
    {
        async fn length(&self, _: &Session, _: Line) -> u32 {
            panic!("misread")
        }
        async fn scale(&self, _: &Session, _: i32) -> u32 {
            panic!("misread")
        }
        async fn mix(&self, _: &Session, _: Receiver<u8>, _: Receiver<u8>) -> u8 {
            panic!("misread")
        }
        async fn swap(&self, _: &Session, _: u8, _: u8) -> u8 {
            panic!("misread")
        }
        async fn open(&self, _: &Session) -> Result<u8, Problem> {
            panic!("misread")
        }
        fn events(&self, _: &Session) -> impl Stream<Item = Event> {
            stream::iter([Event::Opened])
        }
        async fn tell(&self, _: &Session, event: Event) -> Event {
            event
        }
        async fn added(&self, _: &Session) -> u8 {
            5
        }
    }
);

fn code<T, E>(reply: Result<T, StreamError<E>>) -> RejectCode {
    match reply {
        Err(StreamError::Rejected(rejection)) => rejection.code,
        Err(_) => panic!("not rejected"),
        Ok(_) => panic!("not refused"),
    }
}

/// R-OPEN-10
async fn a_changed_contract_is_refused_alone(net: Net) {
    let rig = Rig::start(net, new::server()).await;
    let client = old::ExampleClient::new(rig.client().client);
    let point = || old::Point { x: 1, y: 2 };
    let line = old::Line { from: point(), to: point() };
    let one = || stream::iter([1_u8]);
    assert_eq!(code(client.length(line).await), RejectCode::ContractMismatch);
    assert_eq!(code(client.scale(3).await), RejectCode::ContractMismatch);
    assert_eq!(code(client.mix(one(), one()).await), RejectCode::ContractMismatch);
    assert_eq!(code(client.swap(1, 2).await), RejectCode::ContractMismatch);
    assert_eq!(code(client.open().await), RejectCode::ContractMismatch);
    let event = client.events().next().await.expect("an error");
    assert_eq!(code(event), RejectCode::ContractMismatch);
    // What has not changed goes on.
    assert_eq!(client.same(7).await, Ok(7));
}

async fn a_method_that_was_added_changes_no_other(net: Net) {
    let rig = Rig::start(net, old::server()).await;
    let client = new::ExampleClient::new(rig.client().client);
    assert_eq!(client.same(7).await, Ok(7));
    assert_eq!(code(client.added().await), RejectCode::NotFound);
    let mut rig = rig;
    rig.stop().await;
    rig.restart(new::server()).await;
    let old = old::ExampleClient::new(rig.client().client);
    assert_eq!(old.same(8).await, Ok(8));
    let new = new::ExampleClient::new(rig.client().client);
    assert_eq!(new.added().await, Ok(5));
}

async fn a_variant_that_was_appended_works_where_it_is_declared(net: Net) {
    let rig = Rig::start(net, new::server()).await;
    let client = old::ExampleClient::new(rig.client().client);
    assert_eq!(client.tell(old::Event::Closed(3)).await, Ok(old::Event::Closed(3)));
    // The declaration is of one direction: an old server does not know what is to come.
    let rig = Rig::start(net, old::server()).await;
    let client = new::ExampleClient::new(rig.client().client);
    assert_eq!(code(client.tell(new::Event::Moved).await), RejectCode::ContractMismatch);
}

async fn a_side_that_does_not_tell_is_not_asked(net: Net) {
    let rig = Rig::start(net, new::server()).await;
    let untold = rig.client().call("Example.same").arguments(&(7_u8,)).unary::<u8>();
    assert_eq!(untold.await, Ok(7));

    let unchecked = Endpoint::new("Example")
        .unary("same", async |_, (number,): (u8,), (): ()| Ok::<u8, NoError>(number));
    let server = Server::builder().endpoint(unchecked).build().expect("a server");
    let rig = Rig::start(net, server).await;
    let client = old::ExampleClient::new(rig.client().client);
    assert_eq!(client.same(7).await, Ok(7));
}

async fn the_refusal_names_the_method_and_the_fingerprints(net: Net) {
    let rig = Rig::start(net, new::server()).await;
    let client = rig.client();
    let mine = Contract::new().unary::<(), NoError>();
    let call: CallBuilder<'_> = client.call("Example.same").arguments(&(7_u8,)).contract(&mine);
    let Err(StreamError::Rejected(rejection)) = call.unary::<()>().await else {
        panic!("not rejected")
    };
    assert_eq!(rejection.code, RejectCode::ContractMismatch);
    assert_eq!(
        &*rejection.detail,
        format!(
            "the caller was built with contract {} of method `Example.same`, the server with {}",
            mine.fingerprint(),
            new::ExampleContract::same().fingerprint(),
        )
    );
}

/// R-OPEN-11, R-OPEN-12: the example of the specification, and what it says beside it.
async fn arguments_and_what_is_present_lie_in_the_request_as_specified(net: Net) {
    let tell = |call: IncomingCall| async move {
        let seen = (call.parameters(), call.arguments().to_vec());
        let Some(accepted) = call.accept() else { return };
        accepted.reply_item(std::future::ready(seen)).await;
    };
    let endpoint = Endpoint::new("E").method("mix", tell);
    let rig = Rig::start(net, Server::builder().endpoint(endpoint).build().unwrap()).await;
    let client = rig.client();
    let mix = || client.call("E.mix");
    let (some, none) = (|| Some(stream::pending::<u8>()), None::<stream::Pending<u8>>);
    let left = stream::pending::<u8>;
    for (call, parameters, arguments) in [
        (mix(), 0, &[][..]),
        (mix().arguments(&()), 0, &[]),
        (mix().arguments(&(7_u8,)), 0, &[7]),
        (mix().arguments(&(7_u8, true)).parameter(left()), 1, &[7, 1]),
        (
            mix()
                .arguments(&(7_u8,))
                .parameter(left())
                .optional_parameter(none)
                .optional_parameter(some()),
            2,
            &[7, 4],
        ),
        (mix().optional_parameter(some()).optional_parameter(some()), 2, &[3]),
        (mix().optional_parameter(None::<stream::Pending<u8>>), 0, &[0]),
        ((0..16).fold(mix(), |call, _| call.optional_parameter(some())), 16, &[0xff, 0xff, 3]),
    ] {
        let seen = call.unary::<(usize, Vec<u8>)>().await;
        assert_eq!(seen, Ok((parameters, arguments.to_vec())));
    }
}
