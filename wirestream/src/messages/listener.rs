use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_util::StreamExt;
use futures_util::future::{AbortHandle, Abortable};
use pin_project_lite::pin_project;

use super::counters::count;
use super::error::MessageError;
use super::subscription::Subscription;
use crate::contract::Message;
use crate::report;
use crate::transport::BoxFuture;

/// How many messages a listener is called for before the session's method has its turn.
const TURN: usize = 32;

/// Names a listener, to remove it. Clones name the same one; dropping them removes nothing.
#[derive(Clone, Debug)]
pub struct Listener(AbortHandle);

impl Listener {
    /// Removes the listener: it is not called any more, but for a call that is under way. It may
    /// be called from within the listener. Again it does nothing.
    pub fn remove(&self) {
        self.0.abort();
    }

    /// Whether it was removed.
    pub fn is_removed(&self) -> bool {
        self.0.is_aborted()
    }

    /// A listener, and what calls it as long as it is polled, which never panics: not as it is
    /// dropped, either.
    pub(super) fn new<T, F>(
        mut subscription: Subscription<T>,
        mut listener: F,
    ) -> (Self, BoxFuture<()>)
    where
        T: Message,
        F: FnMut(Result<T, MessageError>) + Send + 'static,
    {
        let (handle, registration) = AbortHandle::new_pair();
        let this = Self(handle);
        let name = this.clone();
        let calling = async move {
            let mut turn = 0;
            while let Some(message) = subscription.next().await {
                if let Err(panic) = catch_unwind(AssertUnwindSafe(|| listener(message))) {
                    report::listener_panicked(subscription.channel(), panic);
                    count(&subscription.seat().hub().counters.listener_panics);
                }
                if name.is_removed() {
                    return;
                }
                turn += 1;
                if turn % TURN == 0 {
                    give_way().await;
                }
            }
        };
        (this, Box::pin(Quiet { calling: Some(Abortable::new(calling, registration)) }))
    }
}

pin_project! {
    /// What calls a listener. What that panics with as it is dropped ends here: several of a session
    /// run in one task, and none is to harm another.
    struct Quiet<Fut> {
        #[pin]
        calling: Option<Fut>,
    }

    impl<Fut> PinnedDrop for Quiet<Fut> {
        fn drop(this: Pin<&mut Self>) {
            let mut calling = this.project().calling;
            quietly(|| calling.set(None));
        }
    }
}

impl<Fut: Future> Future for Quiet<Fut> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut calling = self.project().calling;
        let polled = quietly(|| calling.as_mut().as_pin_mut().map(|calling| calling.poll(cx)));
        // It is over if it has panicked, which dropped what it held.
        if let Some(polled) = polled.flatten() {
            ready!(polled);
        }
        quietly(|| calling.set(None));
        Poll::Ready(())
    }
}

/// Does what may drop a listener.
fn quietly<T>(action: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(action)).map_err(report::drop_panicked).ok()
}

/// Lets the others of the task have their turn.
async fn give_way() {
    let mut has_waited = false;
    poll_fn(|cx| {
        if std::mem::replace(&mut has_waited, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}
