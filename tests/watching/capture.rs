//! What `tracing` is told, kept by a subscriber of the tests' own.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::{LazyLock, Mutex, Once};

use tokio::sync::MutexGuard;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use wirestream_tests::{Rig, TestClient, until};

/// Fields by name, in words.
#[derive(Clone, Debug, Default)]
pub struct Fields(BTreeMap<&'static str, String>);

impl Fields {
    pub fn get(&self, name: &str) -> &str {
        self.0.get(name).map_or("", String::as_str)
    }
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name(), value.into());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.insert(field.name(), format!("{value:?}"));
    }
}

/// An event, or a span that was closed.
#[derive(Clone, Debug)]
pub struct Told {
    pub level: Level,
    pub target: &'static str,
    /// The event's message, the span's name.
    pub what: String,
    pub fields: Fields,
    /// The spans that it stands in, the innermost first.
    pub spans: Vec<(&'static str, Fields)>,
}

impl Told {
    /// A field of the innermost span of this name.
    pub fn of(&self, span: &str, field: &str) -> &str {
        let span = self.spans.iter().find(|(name, _)| *name == span);
        span.map_or("", |(_, fields)| fields.get(field))
    }
}

#[derive(Default)]
struct Kept {
    events: Vec<Told>,
    closed: Vec<Told>,
    spans: usize,
}

static KEPT: Mutex<Kept> = Mutex::new(Kept { events: Vec::new(), closed: Vec::new(), spans: 0 });
static ALONE: LazyLock<tokio::sync::Mutex<()>> = LazyLock::new(tokio::sync::Mutex::default);

fn kept() -> std::sync::MutexGuard<'static, Kept> {
    KEPT.lock().unwrap()
}

struct Capture;

fn scope<S>(span: Option<&Id>, cx: &Context<'_, S>) -> Vec<(&'static str, Fields)>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    let scope = span.and_then(|id| cx.span_scope(id)).into_iter().flatten();
    scope
        .map(|span| (span.name(), span.extensions().get::<Fields>().cloned().unwrap_or_default()))
        .collect()
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Capture {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, cx: Context<'_, S>) {
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        cx.span(id).unwrap().extensions_mut().insert(fields);
        kept().spans += 1;
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, cx: Context<'_, S>) {
        values.record(cx.span(id).unwrap().extensions_mut().get_mut::<Fields>().unwrap());
    }

    fn on_event(&self, event: &Event<'_>, cx: Context<'_, S>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let spans = scope(cx.event_span(event).map(|span| span.id()).as_ref(), &cx);
        let (level, target) = (*event.metadata().level(), event.metadata().target());
        if target.starts_with("wirestream") || target.starts_with("watching") {
            let what = fields.get("message").to_owned();
            kept().events.push(Told { level, target, what, fields, spans });
        }
    }

    fn on_close(&self, id: Id, cx: Context<'_, S>) {
        let spans = scope(Some(&id), &cx);
        let metadata = cx.metadata(&id).unwrap();
        let what = metadata.name().to_owned();
        let fields = spans[0].1.clone();
        let (level, target) = (*metadata.level(), metadata.target());
        kept().closed.push(Told { level, target, what, fields, spans });
    }
}

/// One test at a time has what is told for itself.
pub struct Watching {
    _alone: MutexGuard<'static, ()>,
}

impl Watching {
    pub async fn begin() -> Self {
        static INSTALL: Once = Once::new();
        INSTALL.call_once(|| {
            let subscriber = tracing_subscriber::registry().with(Capture);
            tracing::subscriber::set_global_default(subscriber).unwrap();
        });
        let _alone = ALONE.lock().await;
        *kept() = Kept::default();
        Self { _alone }
    }

    /// The events with this message.
    pub fn events(&self, what: &str) -> Vec<Told> {
        kept().events.iter().filter(|told| told.what == what).cloned().collect()
    }

    /// The events of this level and above.
    pub fn at(&self, level: Level) -> Vec<Told> {
        kept().events.iter().filter(|told| told.level <= level).cloned().collect()
    }

    /// How many events there were, and how many spans.
    pub fn counts(&self) -> (usize, usize) {
        let kept = kept();
        (kept.events.len(), kept.spans)
    }

    /// The spans of this name that were closed.
    pub fn closed(&self, name: &str) -> Vec<Told> {
        kept().closed.iter().filter(|told| told.what == name).cloned().collect()
    }

    /// Everything that was told, in words.
    pub fn text(&self) -> String {
        let kept = kept();
        format!("{:?}{:?}", kept.events, kept.closed)
    }

    /// The one event with this message.
    pub async fn one(&self, what: &str) -> Told {
        until(what, || !self.events(what).is_empty()).await;
        let [told] = &self.events(what)[..] else { panic!("{what}: {:#?}", self.events(what)) };
        told.clone()
    }

    /// How the calls ended, from the side of the client and from that of the server: one each.
    pub async fn ends(&self) -> [Told; 2] {
        until("the ends", || self.events("the call has ended").len() >= 2).await;
        let events = self.events("the call has ended");
        ["client", "server"].map(|side| {
            let of = events.iter().filter(|told| told.of("connection", "side") == side);
            let [told] = of.collect::<Vec<_>>()[..] else { panic!("{side}: {events:#?}") };
            told.clone()
        })
    }

    /// Ends the test: nobody tells anything of it any more.
    pub async fn end(self, mut rig: Rig, client: TestClient) {
        client.disconnect();
        until("the client's end", || client.metrics().connections_open == 0).await;
        rig.stop().await;
        until("the server's end", || rig.server.metrics().connections_open == 0).await;
    }
}
