//! The tables: every state, every event, every answer. They do not know which side they are on.
//!
//! `spec/tables.md` is printed from here; a test holds them together. The exploration in
//! `tests/explore.rs` runs these very functions.

/// What an event does to a state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Step<S> {
    /// It leads here (perhaps where it was).
    To(S),
    /// It came too late to matter: nothing changes, nobody is to blame.
    Late,
    /// It must not happen: a violation if the peer caused it, misuse if the application did.
    /// Nothing changes.
    Illegal,
}

macro_rules! all {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name { $($(#[$vdoc])* $variant),+ }

        impl $name {
            /// Every one of them, in the order of the table.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];
        }
    };
}

all! {
    /// Where the sender of a half stands.
    SenderState {
        /// It may send.
        Open,
        /// Its end waits behind the messages it sent.
        Finishing,
        /// Its end is on the wire.
        Finished,
        /// The receiver stopped it.
        Stopped,
        /// The call was over first.
        Over,
    }
}

all! {
    /// What may happen to the sender of a half.
    SenderEvent {
        /// The application sends a message.
        Send,
        /// The application ends the half, in order or with a fault.
        Finish,
        /// Everything that was queued is on the wire.
        Drained,
        /// The peer sent `Stop`.
        Stop,
        /// The peer sent `Credit`.
        Credit,
        /// The call is over.
        CallOver,
    }
}

impl SenderState {
    /// R-HALF-2, R-HALF-3.
    pub fn step(self, event: SenderEvent) -> Step<Self> {
        use SenderEvent as E;
        use SenderState as S;
        use Step::{Illegal, Late, To};
        match (self, event) {
            (S::Open, E::Send | E::Drained | E::Credit) => To(S::Open),
            (S::Open, E::Finish) => To(S::Finishing),
            (S::Open | S::Finishing, E::Stop) => To(S::Stopped),
            (S::Open | S::Finishing, E::CallOver) => To(S::Over),
            (S::Finishing, E::Drained) => To(S::Finished),
            (S::Finishing, E::Credit) => To(S::Finishing),
            (S::Finishing | S::Finished, E::Send | E::Finish) => Illegal,
            (S::Stopped | S::Over, E::Send) => Illegal,
            (S::Stopped | S::Over, E::Finish) => Late,
            (
                S::Finished | S::Stopped | S::Over,
                E::Drained | E::Stop | E::Credit | E::CallOver,
            ) => Late,
        }
    }
}

all! {
    /// Where the receiver of a half stands.
    ReceiverState {
        /// More may come.
        Open,
        /// The sender's end has come; messages may still wait for the application.
        Ended,
        /// The application stopped it; what still comes is dropped.
        Stopped,
        /// The application stopped it, and the sender's end has come.
        Done,
        /// The call was over first.
        Over,
    }
}

all! {
    /// What may happen to the receiver of a half.
    ReceiverEvent {
        /// The peer sent a message, or a part of one.
        Message,
        /// The peer sent `Close` or `Error`.
        End,
        /// The application takes a message.
        Take,
        /// The application wants no more.
        Stop,
        /// The call is over.
        CallOver,
    }
}

impl ReceiverState {
    /// R-HALF-2, R-HALF-4.
    pub fn step(self, event: ReceiverEvent) -> Step<Self> {
        use ReceiverEvent as E;
        use ReceiverState as S;
        use Step::{Illegal, Late, To};
        match (self, event) {
            (S::Open, E::Message | E::Take) => To(S::Open),
            (S::Open, E::End) => To(S::Ended),
            (S::Open, E::Stop) => To(S::Stopped),
            (S::Open | S::Stopped, E::CallOver) => To(S::Over),
            (S::Ended | S::Done, E::Message | E::End) => Illegal,
            (S::Ended, E::Take) => To(S::Ended),
            (S::Ended, E::Stop) => To(S::Done),
            (S::Ended | S::Done | S::Over, E::CallOver) => Late,
            (S::Stopped, E::Message | E::Take | E::Stop) => Late,
            (S::Stopped, E::End) => To(S::Done),
            (S::Done, E::Take | E::Stop) => Late,
            (S::Over, E::Take) => To(S::Over),
            (S::Over, E::Message | E::End | E::Stop) => Late,
        }
    }
}

all! {
    /// Where a call stands.
    CallState {
        /// Opened, not yet answered.
        Pending,
        /// Accepted.
        Active,
        /// Over.
        Over,
    }
}

all! {
    /// What may happen to a call.
    CallEvent {
        /// The callee accepts it.
        Accept,
        /// The callee refuses it.
        Reject,
        /// The reply's end is sent, or has come.
        ReplyEnd,
        /// The caller gives it up.
        Cancel,
        /// The connection is lost.
        Lost,
    }
}

impl CallState {
    /// R-CALL-3, R-CALL-4, R-CALL-5, R-CALL-7.
    pub fn step(self, event: CallEvent) -> Step<Self> {
        use CallEvent as E;
        use CallState as S;
        use Step::{Illegal, Late, To};
        match (self, event) {
            (S::Pending, E::Accept) => To(S::Active),
            (S::Pending, E::Reject) => To(S::Over),
            (S::Pending, E::ReplyEnd) => Illegal,
            (S::Active, E::Accept | E::Reject) => Illegal,
            (S::Active, E::ReplyEnd) => To(S::Over),
            (S::Pending | S::Active, E::Cancel | E::Lost) => To(S::Over),
            (S::Over, E::Accept | E::Reject | E::ReplyEnd | E::Cancel | E::Lost) => Late,
        }
    }
}
