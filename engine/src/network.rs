//! One mosaik node: start, catalog, tickets, graceful close.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use mosaik::discovery::{Config as DiscoveryConfig, Discovery, SignedPeerEntry};
use mosaik::iroh::address_lookup::MemoryLookup;
use mosaik::iroh::{Endpoint, EndpointAddr, RelayMode, RelayUrl, SecretKey};
use mosaik::tickets::Ticket;
use mosaik::{Digest, Network, PeerId};
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::task::{JoinError, JoinHandle};
use tokio::time::{sleep, timeout};

use crate::address::{Peer, answers, binds, merge, relay_map, relay_url};
use crate::group::GroupCell;
use crate::item_map::MapCell;
use crate::producer::Outlets;
use crate::runtime::Threads;
use crate::subscription::FeedState;
use crate::{Error, keeper};

/// How a node is started.
#[derive(Clone, Debug)]
pub struct NodeConfig {
    /// The network's id.
    pub network: [u8; 32],
    /// The seed of the node's ed25519 key.
    pub secret_key: [u8; 32],
    /// A relay's URL; none: mosaik's own relays, on the internet.
    pub relay: Option<String>,
    /// Local `address:port` texts; none: any port on every interface.
    pub bind: Vec<String>,
    /// Peers to start from: id, `host:port` texts.
    pub bootstrap: Vec<([u8; 32], Vec<String>)>,
    /// Own tickets: class, data.
    pub tickets: Vec<([u8; 32], Vec<u8>)>,
    /// How often the own entry is announced, give or take half.
    pub announce: Duration,
    /// How long the start may take.
    pub timeout: Duration,
}

/// What the parts of one node share.
pub(crate) struct Shared {
    pub(crate) id: Digest,
    pub(crate) peer_id: PeerId,
    // Nothing else may keep a handle of mosaik's or iroh's for long: the port is free again only once the
    // last of them is gone.
    network: Mutex<Option<Network>>,
    /// What `network` was built on; it goes after it.
    threads: Mutex<Option<Threads>>,
    /// Where the node's own tasks run: nothing of it outlives its threads.
    pub(crate) on: Handle,
    pub(crate) relay: Option<RelayUrl>,
    /// What iroh is told of where peers are, for whoever dials them by their id alone: gossip does.
    addresses: MemoryLookup,
    pub(crate) announce: Duration,
    pub(crate) bootstrap: Mutex<Vec<Peer>>,
    pub(crate) groups: Mutex<Vec<Weak<GroupCell>>>,
    pub(crate) maps: Mutex<Vec<Weak<MapCell>>>,
    pub(crate) feeds: Mutex<Vec<Weak<FeedState>>>,
    pub(crate) outlets: Mutex<Outlets>,
    /// Wakes the keeper before its time.
    pub(crate) poke: Notify,
    /// Set once the node closes; ends every task of ours.
    pub(crate) closing: tokio::sync::watch::Sender<bool>,
}

/// A running node; dropping the last handle closes it in the background.
pub struct Node {
    pub(crate) shared: Arc<Shared>,
}

/// A lock that goes on after a panic elsewhere: what it guards is replaced whole, never half.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Node {
    /// Starts a node and waits until it is reachable.
    ///
    /// # Errors
    ///
    /// An argument that cannot be used, a port that is taken, a relay that does not answer in time.
    pub async fn start(config: NodeConfig) -> Result<Self, Error> {
        let limit = config.timeout;
        let threads = Threads::start()?;
        let building = threads.spawn(build(config));
        // In a task of its own: mosaik cannot be stopped half-way without leaving its endpoint open, so a
        // start that takes too long is finished, and closed, by itself.
        let task = tokio::spawn(async move {
            let node = ended(building.await)?;
            *lock(&node.shared.threads) = Some(threads);
            Ok(node)
        });
        Abandoned(Some(task)).within(limit).await
    }

    /// The node's peer id.
    #[must_use]
    pub fn peer_id(&self) -> PeerId {
        self.shared.peer_id
    }

    /// Where the node is reached directly, `address:port`.
    ///
    /// # Errors
    ///
    /// The network is closed.
    pub fn addresses(&self) -> Result<Vec<String>, Error> {
        self.shared.with(|network| network.local().addr().ip_addrs().map(ToString::to_string).collect())
    }

    /// Exchanges catalogs with a peer, and keeps it as one to start from.
    ///
    /// # Errors
    ///
    /// The peer is not reached in time, or is of another network.
    pub async fn sync_with(&self, peer: &[u8; 32], hosts: &[String], limit: Duration) -> Result<(), Error> {
        self.shared.open()?;
        let peer = Peer::new(peer, hosts)?;
        self.shared.remember(&peer);
        let address = peer.resolve(self.shared.relay.as_ref()).await;
        self.shared.sync(address, limit).await
    }

    /// Publishes these tickets and no others: new ones are added before old ones go, so that a renewal
    /// never leaves a moment without one.
    ///
    /// # Errors
    ///
    /// The network is closed.
    pub fn set_tickets(&self, tickets: &[([u8; 32], Vec<u8>)]) -> Result<(), Error> {
        self.shared.set_tickets(tickets)
    }

    /// Postcard of every signed entry in the catalog, the own one included.
    ///
    /// # Errors
    ///
    /// The network is closed.
    pub fn catalog(&self) -> Result<Vec<u8>, Error> {
        let catalog = self.shared.discovery()?.catalog();
        let entries: Vec<&SignedPeerEntry> = catalog.iter_signed().collect();
        postcard::to_allocvec(&entries).map_err(|error| Error::failed(error.to_string()))
    }

    /// The peers in the catalog.
    ///
    /// # Errors
    ///
    /// The network is closed.
    pub fn peers(&self) -> Result<Vec<PeerId>, Error> {
        let catalog = self.shared.discovery()?.catalog();
        Ok(catalog.signed_peers().map(|entry| *entry.id()).collect())
    }

    /// Leaves everything and closes the node; again is a no-op.
    pub async fn close(&self, grace: Duration) {
        self.shared.close(grace).await;
    }

    /// mosaik's own network, for what this crate does not wrap.
    ///
    /// # Errors
    ///
    /// The network is closed.
    pub fn with_network<T>(&self, work: impl FnOnce(&Network) -> T) -> Result<T, Error> {
        self.shared.with(work)
    }

    /// Whether it was closed.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        *self.shared.closing.borrow()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if self.is_closed() {
            return;
        }
        let shared = Arc::clone(&self.shared);
        if let Ok(runtime) = crate::runtime() {
            runtime.spawn(async move { shared.close(Duration::from_millis(1500)).await });
        }
    }
}

impl Shared {
    pub(crate) fn open(&self) -> Result<(), Error> {
        if *self.closing.borrow() {
            return Err(Error::closed("network"));
        }
        Ok(())
    }

    /// Does something with the network, unless it is closed.
    pub(crate) fn with<T>(&self, work: impl FnOnce(&Network) -> T) -> Result<T, Error> {
        self.open()?;
        lock(&self.network).as_ref().map(work).ok_or_else(|| Error::closed("network"))
    }

    pub(crate) fn discovery(&self) -> Result<Discovery, Error> {
        self.with(|network| network.discovery().clone())
    }

    fn remember(&self, peer: &Peer) {
        let mut known = lock(&self.bootstrap);
        match known.iter_mut().find(|one| one.id == peer.id) {
            Some(one) => one.hosts.clone_from(&peer.hosts),
            None => known.push(peer.clone()),
        }
        drop(known);
        self.poke.notify_one();
    }

    /// One catalog exchange, bounded.
    pub(crate) async fn sync(&self, address: EndpointAddr, limit: Duration) -> Result<(), Error> {
        let peer = address.id.fmt_short().to_string();
        match timeout(limit, self.discovery()?.sync_with(address)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(Error::failed(format!("catalogs were not exchanged with {peer}: {error}"))),
            Err(_) => Err(Error::timeout(&format!("the exchange of catalogs with {peer}"), limit)),
        }
    }

    /// All ways to a peer: its entry's, and those that an operator named.
    pub(crate) async fn ways_to(&self, id: PeerId) -> EndpointAddr {
        let catalog = self.discovery().ok().map(|discovery| discovery.catalog());
        let listed = catalog.and_then(|catalog| catalog.get_signed(&id).map(|entry| entry.address().clone()));
        let named = lock(&self.bootstrap).iter().find(|peer| peer.id == id).cloned();
        let base = match named {
            Some(peer) => peer.resolve(self.relay.as_ref()).await,
            None => EndpointAddr::new(id),
        };
        let ways = listed.map_or(base.clone(), |address| merge(&base, &address));
        if !ways.is_empty() {
            self.addresses.add_endpoint_info(ways.clone());
        }
        ways
    }

    fn set_tickets(&self, tickets: &[([u8; 32], Vec<u8>)]) -> Result<(), Error> {
        let discovery = self.discovery()?;
        let wanted: Vec<Ticket> = tickets
            .iter()
            .map(|(class, data)| Ticket::new(Digest::from_bytes(*class), data.clone().into()))
            .collect();
        let ids: BTreeSet<Digest> = wanted.iter().map(Ticket::id).collect();
        let present: BTreeSet<Digest> = discovery.me().tickets().keys().copied().collect();
        for ticket in wanted {
            if !present.contains(&ticket.id()) {
                discovery.add_ticket(ticket);
            }
        }
        for gone in present.difference(&ids) {
            discovery.remove_ticket(*gone);
        }
        Ok(())
    }

    /// Order matters: groups first, time for their farewell, then the network, time for its own, then the
    /// endpoint, which iroh wants closed before it is dropped.
    async fn close(&self, grace: Duration) {
        if self.closing.send_replace(true) {
            return;
        }
        for group in lock(&self.groups).drain(..).filter_map(|weak| weak.upgrade()) {
            group.leave();
        }
        for map in lock(&self.maps).drain(..).filter_map(|weak| weak.upgrade()) {
            map.close();
        }
        lock(&self.outlets).close();
        sleep(grace.mul_f32(0.6)).await;
        let Some(network) = lock(&self.network).take() else { return };
        let endpoint = network.local().endpoint().clone();
        drop(network);
        // mosaik gives its goodbye 500 ms; less would cut it off.
        sleep(grace.mul_f32(0.4).max(Duration::from_millis(550))).await;
        let threads = lock(&self.threads).take();
        shut(endpoint, threads).await;
    }
}

/// Closes the endpoint, and waits until its ports are free.
///
/// iroh waits for every connection for three times the longest answer that was seen on it, three seconds where none was:
/// after a peer that stood still that is a minute, and nothing that iroh offers ends it. Its threads do.
async fn shut(endpoint: Endpoint, threads: Option<Threads>) {
    let ports = endpoint.bound_sockets();
    let mut closing = tokio::spawn(async move { endpoint.close().await });
    if timeout(Duration::from_secs(8), &mut closing).await.is_err() {
        closing.abort();
    }
    drop(threads);
    for _ in 0..40 {
        if ports.iter().all(|port| std::net::UdpSocket::bind(port).is_ok()) {
            return;
        }
        sleep(Duration::from_millis(50)).await;
    }
}

/// A start that nobody waits for any more closes what it made.
struct Abandoned(Option<JoinHandle<Result<Node, Error>>>);

impl Abandoned {
    async fn within(mut self, limit: Duration) -> Result<Node, Error> {
        let Some(task) = self.0.as_mut() else {
            return Err(Error::closed("network"));
        };
        let Ok(outcome) = timeout(limit, task).await else {
            return Err(Error::timeout("the start of the network (is the relay reachable?)", limit));
        };
        self.0 = None;
        ended(outcome)
    }
}

/// What a task came to; a panic is a failure.
fn ended<T>(task: Result<Result<T, Error>, JoinError>) -> Result<T, Error> {
    task.map_err(|error| match error.try_into_panic() {
        Ok(panic) => Error::failed(format!("mosaik panicked: {}", crate::runtime::panic_text(&*panic))),
        Err(error) => Error::failed(error.to_string()),
    })?
}

impl Drop for Abandoned {
    fn drop(&mut self) {
        if let (Some(task), Ok(runtime)) = (self.0.take(), crate::runtime()) {
            // The node is dropped, and so closed, as soon as it is there.
            runtime.spawn(async move { drop(task.await) });
        }
    }
}

async fn build(config: NodeConfig) -> Result<Node, Error> {
    let relay = config.relay.as_deref().map(relay_url).transpose()?;
    if let Some(url) = &relay {
        answers(url, config.timeout).await?;
    }
    let peers =
        config.bootstrap.iter().map(|(id, hosts)| Peer::new(id, hosts)).collect::<Result<Vec<_>, _>>()?;
    let network = mosaik_network(&config, relay.as_ref()).await?;
    let addresses = MemoryLookup::new();
    if let Ok(lookup) = network.local().endpoint().address_lookup() {
        // With a relay of its own the site needs no internet: asking iroh's name service there would hold up
        // every first dial for seconds, and tell a stranger where this node is.
        if relay.is_some() {
            lookup.clear();
        }
        lookup.add(addresses.clone());
    }
    let shared = Arc::new(Shared {
        id: *network.network_id(),
        peer_id: network.local().id(),
        network: Mutex::new(Some(network)),
        threads: Mutex::default(),
        on: Handle::current(),
        relay,
        addresses,
        announce: config.announce,
        bootstrap: Mutex::new(peers),
        groups: Mutex::default(),
        maps: Mutex::default(),
        feeds: Mutex::default(),
        outlets: Mutex::default(),
        poke: Notify::new(),
        closing: tokio::sync::watch::Sender::new(false),
    });
    shared.set_tickets(&config.tickets)?;
    tokio::spawn(keeper::keep(Arc::clone(&shared)));
    Ok(Node { shared })
}

/// Peers to start from are left to the keeper: mosaik would dial them by their ids before iroh is told where
/// they are.
async fn mosaik_network(config: &NodeConfig, relay: Option<&RelayUrl>) -> Result<Network, Error> {
    let mut discovery = DiscoveryConfig::builder().with_announce_interval(config.announce);
    if relay.is_some() {
        discovery = discovery.no_dht_bootstrap();
    }
    let mode = relay.map_or(RelayMode::Default, |url| RelayMode::Custom(relay_map(url)));
    Network::builder(Digest::from_bytes(config.network))
        .with_secret_key(SecretKey::from_bytes(&config.secret_key))
        .with_relay_mode(mode)
        .with_addresses(binds(&config.bind)?)
        .with_discovery(discovery)
        .build()
        .await
        .map_err(|error| Error::failed(format!("the network could not be started: {error}")))
}
