use std::future::pending;
use std::sync::Weak;

use wirestream_protocol::Limits;

use super::*;
use crate::messages::MessageConfig;

fn session() -> Session {
    let hub = Hub::new(MessageConfig::default(), &Limits::default(), None);
    Session::new("Example.echo".into(), None, None, Vec::new(), hub)
}

/// Notes its drop; the session's lock must be free then.
struct Noted {
    name: &'static str,
    session: Session,
    drops: Arc<Mutex<Vec<&'static str>>>,
}

impl Drop for Noted {
    fn drop(&mut self) {
        assert!(self.session.0.state.try_lock().is_ok(), "dropped under the lock");
        self.drops.lock().unwrap().push(self.name);
    }
}

/// Another type of the same.
struct Other(#[allow(dead_code, reason = "it notes its drop")] Noted);

#[derive(Default)]
struct Drops(Arc<Mutex<Vec<&'static str>>>);

impl Drops {
    fn note(&self, name: &'static str, session: &Session) -> Noted {
        Noted { name, session: session.clone(), drops: Arc::clone(&self.0) }
    }

    fn seen(&self) -> Vec<&'static str> {
        take(&mut *self.0.lock().unwrap())
    }
}

#[test]
fn one_object_of_each_type_is_kept_and_the_one_before_is_returned() {
    let session = session();
    assert_eq!((session.get::<u8>(), session.remove::<u8>()), (None, None));
    assert_eq!(session.set(1_u8), None);
    assert_eq!(session.set("one"), None);
    assert_eq!(session.set(2_u8).as_deref(), Some(&1));
    assert_eq!(session.get::<u8>().as_deref(), Some(&2));
    assert_eq!(session.clone().get::<&str>().as_deref(), Some(&"one"));
    assert_eq!(session.get::<u16>(), None);
    assert_eq!(session.remove::<u8>().as_deref(), Some(&2));
    assert_eq!(session.get::<u8>(), None);
    assert_eq!(session.get::<&str>().as_deref(), Some(&"one"));
}

fn close(session: Session) {
    let hooks = Unclosed(session).close();
    hooks.map_or(Some(()), FutureExt::now_or_never).expect("no hook waits");
}

/// F9
#[test]
fn objects_are_dropped_when_the_hooks_have_run_outside_the_lock() {
    let (session, drops) = (session(), Drops::default());
    session.set(drops.note("replaced", &session));
    drop(session.set(drops.note("first", &session)));
    assert_eq!(drops.seen(), ["replaced"]);
    session.set(Other(drops.note("second", &session)));
    let keeper = session.clone();
    let (seen, looks) = (Arc::clone(&drops.0), session.clone());
    let hook = async move || {
        assert!(seen.lock().unwrap().is_empty());
        assert_eq!(looks.get::<Noted>().map(|noted| noted.name), Some("first"));
    };
    session.on_close(hook).unwrap();
    close(session);
    assert_eq!(drops.seen(), ["first", "second"]);
    assert!(keeper.get::<Noted>().is_none());
    keeper.set(drops.note("late", &keeper));
    assert_eq!(drops.seen(), ["late"]);
}

#[test]
fn what_somebody_holds_outlives_the_session() {
    let session = session();
    session.set(7_u8);
    let held = session.get::<u8>();
    close(session);
    assert_eq!(held.as_deref(), Some(&7));
}

/// D14
#[test]
fn an_object_or_a_hook_that_panics_when_it_is_dropped_keeps_no_other() {
    struct Panics;
    impl Drop for Panics {
        fn drop(&mut self) {
            panic!("a drop that panics");
        }
    }
    let (session, drops) = (session(), Drops::default());
    session.set(Panics);
    session.set(drops.note("behind it", &session));
    session.on_close(async || std::panic::panic_any(Panics)).unwrap();
    close(session);
    assert_eq!(drops.seen(), ["behind it"]);
}

/// A session whose task is dropped, with a hook that waits, one behind it, and an object, all of
/// which hold the session.
#[test]
fn a_session_that_is_never_closed_leaves_nothing_behind() {
    let drops = Drops::default();
    let weak: Weak<Inner> = {
        let session = session();
        let (held, noted) = (session.clone(), drops.note("a hook", &session));
        session.on_close(async || pending().await).unwrap();
        let hook = async move || {
            assert!(!held.is_closed(), "it does not run");
            drop(noted);
        };
        session.on_close(hook).unwrap();
        session.set(drops.note("an object", &session));
        let weak = Arc::downgrade(&session.0);
        let hooks = Unclosed(session).close().expect("there is a hook");
        assert!(hooks.now_or_never().is_none());
        weak
    };
    assert_eq!(drops.seen(), ["a hook", "an object"]);
    assert_eq!(weak.strong_count(), 0);
}

/// What a call costs on the heap for its session, but for its method's name.
#[test]
fn a_session_is_small() {
    assert!(size_of::<Session>() == size_of::<usize>());
    let size = size_of::<Inner>();
    assert!(size <= 264, "{size} bytes");
}
