//! Peers and relays, and where they are reached.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use mosaik::PeerId;
use mosaik::iroh::{EndpointAddr, RelayConfig, RelayMap, RelayUrl};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout_at};

use crate::Error;

const RELAY_PAUSE: Duration = Duration::from_millis(250);

/// The peer id of 32 bytes.
///
/// # Errors
///
/// They are no ed25519 public key.
pub(crate) fn peer_id(bytes: &[u8; 32]) -> Result<PeerId, Error> {
    PeerId::from_bytes(bytes).map_err(|_| Error::invalid("a peer id that is no ed25519 public key"))
}

/// The relay's URL.
///
/// # Errors
///
/// The text is no URL.
pub(crate) fn relay_url(text: &str) -> Result<RelayUrl, Error> {
    text.parse().map_err(|_| Error::invalid(format!("a relay URL that cannot be read: {text:?}")))
}

/// A peer as an operator names it: its id, and `host:port` texts that are looked up anew at each use.
#[derive(Clone, Debug)]
pub(crate) struct Peer {
    pub(crate) id: PeerId,
    pub(crate) hosts: Vec<String>,
}

impl Peer {
    pub(crate) fn new(id: &[u8; 32], hosts: &[String]) -> Result<Self, Error> {
        for host in hosts {
            let port = host.rsplit_once(':').filter(|(name, _)| !name.is_empty()).map(|(_, port)| port);
            if port.and_then(|port| port.parse::<u16>().ok()).is_none_or(|port| port == 0) {
                return Err(Error::invalid(format!("an address that is not HOST:PORT: {host:?}")));
            }
        }
        Ok(Self { id: peer_id(id)?, hosts: hosts.to_vec() })
    }

    /// Where the peer is reached now; names that cannot be resolved are left out.
    pub(crate) async fn resolve(&self, relay: Option<&RelayUrl>) -> EndpointAddr {
        let mut found: Vec<SocketAddr> = Vec::new();
        for host in &self.hosts {
            if let Ok(addresses) = tokio::net::lookup_host(host.as_str()).await {
                found.extend(addresses);
            }
        }
        let address = found.into_iter().fold(EndpointAddr::new(self.id), EndpointAddr::with_ip_addr);
        match relay {
            Some(url) => address.with_relay_url(url.clone()),
            None => address,
        }
    }
}

/// Every way to reach a peer that either side knows of.
pub(crate) fn merge(one: &EndpointAddr, other: &EndpointAddr) -> EndpointAddr {
    EndpointAddr::from_parts(one.id, one.addrs.iter().chain(&other.addrs).cloned())
}

/// A relay without TLS speaks no QUIC: asking it for our address over QUIC would hold up each start for 3 s.
pub(crate) fn relay_map(url: &RelayUrl) -> RelayMap {
    let mut relay = RelayConfig::from(url.clone());
    if url.scheme() == "http" {
        relay.quic = None;
    }
    RelayMap::from(relay)
}

pub(crate) fn binds(texts: &[String]) -> Result<BTreeSet<SocketAddr>, Error> {
    texts
        .iter()
        .map(|text| {
            text.parse()
                .map_err(|_| Error::invalid(format!("an address to bind that is not ADDRESS:PORT: {text:?}")))
        })
        .collect()
}

/// Without a relay that answers, mosaik waits for ever, and says nothing. It may come up a little later.
pub(crate) async fn answers(url: &RelayUrl, limit: Duration) -> Result<(), Error> {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned();
    let port = url.port_or_known_default().unwrap_or(443);
    // Less than the whole time: the error should say what is wrong, not that the time is over.
    let deadline = Instant::now() + limit.mul_f32(0.8);
    loop {
        let error = match timeout_at(deadline, TcpStream::connect((host.as_str(), port))).await {
            Ok(Ok(_)) => return Ok(()),
            Ok(Err(error)) => error.to_string(),
            Err(_) => "no connection in time".to_owned(),
        };
        if Instant::now() + RELAY_PAUSE >= deadline {
            return Err(Error::failed(format!("the relay {url} does not answer: {error}")));
        }
        sleep(RELAY_PAUSE).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mosaik::iroh::SecretKey;

    fn id() -> [u8; 32] {
        *SecretKey::from_bytes(&[1; 32]).public().as_bytes()
    }

    #[test]
    fn what_is_no_address_is_named() {
        for bad in ["", "host", "host:", ":1", "host:0", "host:65536", "host:x"] {
            let error = Peer::new(&id(), &[bad.to_owned()]).unwrap_err();
            assert!(error.to_string().contains("HOST:PORT"), "{bad:?}: {error}");
        }
    }

    #[tokio::test]
    async fn both_ways_to_a_peer_are_kept() {
        let url = relay_url("http://127.0.0.1:3340").unwrap();
        let peer = Peer::new(&id(), &["127.0.0.1:7301".to_owned()]).unwrap();
        let address = peer.resolve(Some(&url)).await;
        assert_eq!(address.ip_addrs().count(), 1);
        assert_eq!(address.relay_urls().count(), 1);
        let other = EndpointAddr::new(peer.id).with_ip_addr("127.0.0.1:7302".parse().unwrap());
        assert_eq!(merge(&address, &other).addrs.len(), 3);
    }
}
