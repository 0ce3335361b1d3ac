//! Connections: so many at once, and each has to say soon what it wants, so that nobody can hold them all.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

/// More than this wait to be accepted.
const CONNECTIONS: usize = 512;

/// A request that has not begun by then is none of a sender's.
const PATIENCE: Duration = Duration::from_secs(10);

/// The same where half of the places are taken.
const HASTE: Duration = Duration::from_secs(2);

/// No connection lasts longer, whatever goes over it: one that takes no answers would hold its place for ever. A sender
/// that has more to say comes again.
const LONGEST: Duration = Duration::from_secs(30);

/// Answers until it is aborted.
pub(super) async fn answer(listener: TcpListener, router: Router) {
    let room = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let Ok(place) = Arc::clone(&room).acquire_owned().await else { return };
        let Ok((stream, _)) = listener.accept().await else {
            // Descriptors may be short for a moment.
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        let service = TowerToHyperService::new(router.clone());
        let is_crowded = room.available_permits() < CONNECTIONS / 2;
        let patience = if is_crowded { HASTE } else { PATIENCE };
        tokio::spawn(async move {
            let mut server = hyper::server::conn::http1::Builder::new();
            server.timer(TokioTimer::new()).header_read_timeout(patience);
            // How a connection ends is the other side's business. What is under way when its time is over may end, and says
            // that nothing follows.
            let connection = server.serve_connection(TokioIo::new(stream), service);
            let mut connection = std::pin::pin!(connection);
            if tokio::time::timeout(LONGEST, connection.as_mut()).await.is_err() {
                connection.as_mut().graceful_shutdown();
                tokio::time::timeout(PATIENCE, connection).await.ok();
            }
            drop(place);
        });
    }
}
