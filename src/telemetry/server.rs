//! The HTTP end: `/metrics` and `/health`, one request per connection, everything bounded.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use axum::{
    Json, Router,
    extract::State,
    http::{StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
    routing::get,
};
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use serde::Serialize;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    task::JoinSet,
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use super::{
    page,
    render::render,
    snapshot::{Snapshot, Sources},
};
use crate::queue::Health;

/// Who comes when so many are there waits.
pub(super) const CONNECTIONS_MAX: usize = 8;
/// How long a connection may take, from the first byte to the last.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a request's head may take …
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);
/// … and how long it may be; the least that hyper allows.
pub(super) const HEAD_BYTES_MAX: usize = 8 * 1024;
/// The pause after a failure to bind or to accept.
const PAUSE: Duration = Duration::from_secs(10);

/// Serves until `stop`. Where it cannot, it says so and tries again: nothing depends on it.
pub async fn serve(bind: SocketAddr, sources: Sources, stop: CancellationToken) {
    let work = async {
        let listener = listen(bind).await;
        accept(listener, sources).await;
    };
    tokio::select! {
        () = stop.cancelled() => {}
        () = work => {}
    }
}

/// Binds, however long it takes: an address may come up after the gateway.
async fn listen(bind: SocketAddr) -> TcpListener {
    let mut told = false;
    loop {
        let bound = TcpListener::bind(bind).await;
        match bound.and_then(|listener| Ok((listener.local_addr()?, listener))) {
            Ok((address, listener)) => {
                tracing::info!("metrics are at http://{address}/metrics");
                return listener;
            }
            Err(error) if !told => {
                told = true;
                tracing::warn!(
                    "telemetry.metrics_bind: {bind}: {error}; give it an address of this machine \
                     and a free port. There are no metrics until then; it is tried every {} s",
                    PAUSE.as_secs()
                );
            }
            Err(_) => {}
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Answers for ever.
pub(super) async fn accept(listener: TcpListener, sources: Sources) {
    let router = router(sources);
    let permits = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut connections = JoinSet::new();
    loop {
        // The semaphore is never closed.
        let Ok(permit) = Arc::clone(&permits).acquire_owned().await else { return };
        // At most as many are left in the set as there are permits.
        while connections.try_join_next().is_some() {}
        match listener.accept().await {
            Ok((stream, _)) => {
                let router = router.clone();
                connections.spawn(async move {
                    answer(stream, router).await;
                    drop(permit);
                });
            }
            Err(error) => {
                tracing::warn!("metrics: a connection could not be accepted: {error}");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

async fn answer(stream: TcpStream, router: Router) {
    let connection = http1::Builder::new()
        .keep_alive(false)
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    // Who is too slow, or talks something else, is cut off; the next scrape tells more than a log.
    let _ = timeout(CONNECTION_TIMEOUT, connection).await;
}

fn router(sources: Sources) -> Router {
    Router::new().route("/metrics", get(metrics)).route("/health", get(health)).with_state(sources)
}

async fn metrics(State(sources): State<Sources>) -> Response {
    match sources.snapshot().await {
        Some(snapshot) => ([(CONTENT_TYPE, page::CONTENT_TYPE)], render(&snapshot)).into_response(),
        None => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

#[derive(Debug, Serialize)]
struct HealthAnswer {
    healthy: bool,
    queue: Health,
    uplink: Option<&'static str>,
}

/// 200 while every stream can take in and settle messages, else 503; the uplink is no part of
/// that, since the queue is there for its absence.
async fn health(State(sources): State<Sources>) -> Response {
    let Some(Snapshot { queue, uplink, .. }) = sources.snapshot().await else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    let healthy = queue.is_healthy();
    let status = if healthy { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let uplink = uplink.map(|status| status.state.name());
    (status, Json(HealthAnswer { healthy, queue, uplink })).into_response()
}
