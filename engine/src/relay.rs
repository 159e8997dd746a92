//! A plain-HTTP iroh relay, for sites without internet.

use std::net::SocketAddr;
use std::sync::Mutex;

use iroh_relay::server::{AccessConfig, Limits, RelayConfig, Server, ServerConfig};
use tokio::net::TcpListener;

use crate::Error;
use crate::behind::{Behind, listen};
use crate::network::lock;

/// A running relay; closing it, or dropping the last handle, stops it.
pub struct Relay {
    url: String,
    running: Mutex<Option<(Behind, Server)>>,
}

impl Relay {
    /// Starts a relay.
    ///
    /// # Errors
    ///
    /// The host is no address of ours, or the port is taken.
    pub async fn start(host: &str, port: u16) -> Result<Self, Error> {
        let bind = resolve(host, port).await?;
        let not_there = |error| Error::failed(format!("the relay could not listen on {bind}: {error:#}"));
        let listener = TcpListener::bind(bind).await.map_err(not_there)?;
        let address = listener.local_addr().map_err(not_there)?;
        let relay = RelayConfig::<(), ()> {
            http_bind_addr: SocketAddr::from(([127, 0, 0, 1], 0)),
            tls: None,
            limits: Limits::default(),
            key_cache_capacity: Some(1024),
            access: AccessConfig::Everyone,
        };
        let config = ServerConfig::<(), ()> { relay: Some(relay), quic: None, metrics_addr: None };
        let server = Server::spawn(config)
            .await
            .map_err(|error| Error::failed(format!("the relay did not start: {error:#}")))?;
        let inner = server.http_addr().ok_or_else(|| Error::failed("the relay has no HTTP address"))?;
        let running = Mutex::new(Some((listen(listener, inner), server)));
        Ok(Self { url: format!("http://{address}"), running })
    }

    /// Where it listens: `http://127.0.0.1:3340`.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Stops it and waits until its port is free; again is a no-op.
    ///
    /// # Errors
    ///
    /// The server ended badly.
    pub async fn close(&self) -> Result<(), Error> {
        let running = lock(&self.running).take();
        let Some((behind, server)) = running else { return Ok(()) };
        behind.close().await;
        server.shutdown().await.map_err(|error| Error::failed(format!("the relay ended badly: {error:#}")))
    }
}

async fn resolve(host: &str, port: u16) -> Result<SocketAddr, Error> {
    let mut found = tokio::net::lookup_host((host, port))
        .await
        .map_err(|error| Error::failed(format!("{host:?} is no address to listen on: {error}")))?;
    found.next().ok_or_else(|| Error::failed(format!("{host:?} has no address")))
}
