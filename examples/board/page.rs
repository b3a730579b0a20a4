//! The page and what it is made of, and the WebSocket beside it.

use axum::Router;
use axum::extract::Request;
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::routing::{any, get};
use wirestream_tokio::{Origins, Server, upgrade};

const HTML: &str = "text/html; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";

/// Path, type and content.
const FILES: [(&str, &str, &str); 6] = [
    ("/", HTML, include_str!("page/index.html")),
    ("/board.css", STYLE, include_str!("page/board.css")),
    ("/main.js", SCRIPT, include_str!("page/main.js")),
    ("/canvas.js", SCRIPT, include_str!("page/canvas.js")),
    ("/drawing.js", SCRIPT, include_str!("page/drawing.js")),
    // `node client-web/build.mjs examples/board/page` makes it; a test holds the two together.
    ("/wirestream.min.js", SCRIPT, include_str!("page/wirestream.min.js")),
];

/// Nothing comes from elsewhere.
const POLICY: &str = "default-src 'self'; img-src 'self' data:; connect-src 'self' ws: wss:";

pub(crate) fn app(server: Server) -> Router {
    let origins = Origins::default().same_host();
    let live = any(async move |request: Request| upgrade(request, &server, &origins, None));
    let headers = |kind| {
        [(CONTENT_TYPE, kind), (CACHE_CONTROL, "no-cache"), (CONTENT_SECURITY_POLICY, POLICY)]
    };
    FILES.iter().fold(Router::new().route("/live", live), |app, &(path, kind, content)| {
        app.route(path, get(async move || (headers(kind), content)))
    })
}
