//! The receiving side of a stream.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use mosaik::discovery::Catalog;
use mosaik::{Digest, PeerId};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use crate::Error;
use crate::inbox::{Inbox, Lane};
use crate::keeper::until_closing;
use crate::network::{Node, Shared, lock};
use crate::reading::Reading;
use crate::validator::Validator;

/// How often producers are looked for when the catalog does not change: tickets end by themselves.
const LOOK: Duration = Duration::from_secs(1);

/// How long after a change of the link its own connections are given to recover.
const SETTLING: Duration = Duration::from_secs(2);

/// One producer that is read, or tried.
struct Channel {
    connected: bool,
    /// When its process says that it was started.
    started_ms: i64,
}

/// One search for producers; a subscription with `only` has one a peer, so that one of them can be begun
/// anew without losing what the others send.
pub(crate) struct FeedState {
    pub(crate) only: Option<PeerId>,
    channels: Mutex<BTreeMap<PeerId, Channel>>,
    // The last moment at which the connection was known to work: an item, or the connecting itself.
    sign: Mutex<Instant>,
    again: Notify,
    stop: Notify,
}

impl FeedState {
    fn new(only: Option<PeerId>) -> Self {
        Self {
            only,
            channels: Mutex::default(),
            sign: Mutex::new(Instant::now()),
            again: Notify::new(),
            stop: Notify::new(),
        }
    }

    fn producers(&self) -> Vec<PeerId> {
        let channels = lock(&self.channels);
        channels.iter().filter(|(_, channel)| channel.connected).map(|(peer, _)| *peer).collect()
    }

    /// The producer that the feed is for and that it is not connected to.
    pub(crate) fn lacks(&self) -> Option<PeerId> {
        self.only.filter(|peer| !self.producers().contains(peer))
    }

    /// How long nothing has shown that the connection works.
    pub(crate) fn silence(&self) -> Duration {
        lock(&self.sign).elapsed()
    }

    /// Begins anew when the link to the producer changed after the last sign of life: a cut leaves
    /// connections that look alive on one side only, for as long as QUIC's own patience lasts.
    pub(crate) fn renew(&self, changed: Instant) {
        let mut sign = lock(&self.sign);
        if *sign < changed && changed.elapsed() > SETTLING && !self.producers().is_empty() {
            *sign = Instant::now();
            self.again.notify_one();
        }
    }

    /// Begins anew.
    pub(crate) fn restart(&self) {
        self.alive();
        self.again.notify_one();
    }

    /// When the process that it is connected to says that it was started.
    pub(crate) fn started_ms(&self) -> Option<i64> {
        lock(&self.channels).values().next().map(|channel| channel.started_ms)
    }

    pub(crate) fn alive(&self) {
        *lock(&self.sign) = Instant::now();
    }

    pub(crate) fn connected(&self, peer: PeerId) {
        if let Some(channel) = lock(&self.channels).get_mut(&peer) {
            channel.connected = true;
        }
        self.alive();
    }

    pub(crate) fn disconnected(&self, peer: PeerId) {
        if let Some(channel) = lock(&self.channels).get_mut(&peer) {
            channel.connected = false;
        }
    }
}

/// A subscription; dropping it ends it.
pub struct Subscription {
    // Keeps the node open as long as somebody holds the subscription.
    _node: Arc<Node>,
    feeds: Vec<Arc<FeedState>>,
    lane: Arc<Lane>,
}

impl Subscription {
    /// Subscribes to a stream; what arrives goes to `inbox` under `tag`. Must run inside the runtime.
    ///
    /// # Errors
    ///
    /// The network is closed, or the limit is 0.
    pub fn open(
        node: &Arc<Node>,
        inbox: &Arc<Inbox>,
        stream_id: [u8; 32],
        tag: u64,
        validators: &[Validator],
        only: Option<&BTreeSet<PeerId>>,
        limit: usize,
    ) -> Result<Self, Error> {
        if limit == 0 {
            return Err(Error::invalid("a limit of 0 items"));
        }
        node.shared.open()?;
        let lane = Arc::new(Lane::new(tag, limit));
        let peers = only.map_or_else(|| vec![None], |only| only.iter().copied().map(Some).collect());
        let feeds = peers
            .into_iter()
            .map(|only| {
                let feed = Feed {
                    shared: Arc::clone(&node.shared),
                    inbox: Arc::clone(inbox),
                    lane: Arc::clone(&lane),
                    stream_id: Digest::from_bytes(stream_id),
                    validators: validators.to_vec(),
                    state: Arc::new(FeedState::new(only)),
                };
                let state = Arc::clone(&feed.state);
                lock(&node.shared.feeds).push(Arc::downgrade(&state));
                node.shared.on.spawn(feed.run());
                state
            })
            .collect();
        node.shared.poke.notify_one();
        Ok(Self { _node: Arc::clone(node), feeds, lane })
    }

    /// Whom it is connected to now.
    #[must_use]
    pub fn producers(&self) -> Vec<PeerId> {
        self.feeds.iter().flat_map(|feed| feed.producers()).collect()
    }

    /// How many items arrived.
    #[must_use]
    pub fn received(&self) -> u64 {
        self.lane.received()
    }

    /// How many of them were dropped because the reader was too slow.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.lane.dropped()
    }

    /// Ends it; what waits in the inbox is forgotten. Again is a no-op.
    pub fn close(&self) {
        for feed in &self.feeds {
            feed.stop.notify_one();
        }
        self.lane.close();
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.close();
    }
}

struct Feed {
    shared: Arc<Shared>,
    inbox: Arc<Inbox>,
    lane: Arc<Lane>,
    stream_id: Digest,
    validators: Vec<Validator>,
    state: Arc<FeedState>,
}

/// A reader of one producer; dropping it ends it.
struct Reader(JoinHandle<()>);

impl Feed {
    async fn run(self) {
        let closing = self.shared.closing.subscribe();
        let Ok(mut catalog) = self.shared.discovery().map(|discovery| discovery.catalog_watch()) else {
            return;
        };
        let mut readers = BTreeMap::new();
        loop {
            let known = catalog.borrow_and_update().clone();
            self.tend(&known, &mut readers);
            drop(known);
            tokio::select! {
                changed = catalog.changed() => if changed.is_err() { break },
                () = tokio::time::sleep(LOOK) => {}
                () = self.state.again.notified() => self.forget(&mut readers),
                () = self.state.stop.notified() => break,
                () = until_closing(closing.clone()) => break,
            }
        }
        self.forget(&mut readers);
    }

    /// Reads whom the catalog names as a producer with tickets that admit, and nobody else.
    fn tend(&self, catalog: &Catalog, readers: &mut BTreeMap<PeerId, Reader>) {
        let validators: Vec<_> = self.validators.iter().map(Validator::shared).collect();
        let fit: BTreeMap<PeerId, i64> = catalog
            .peers()
            .filter(|peer| self.state.only.is_none_or(|only| *peer.id() == only))
            .filter(|peer| peer.streams().contains(&self.stream_id))
            .filter(|peer| peer.validate_tickets(&validators).is_ok())
            .map(|peer| (*peer.id(), peer.started_at().timestamp_millis()))
            .collect();
        readers.retain(|peer, reader| fit.contains_key(peer) && !reader.0.is_finished());
        let mut channels = lock(&self.state.channels);
        channels.retain(|peer, _| readers.contains_key(peer));
        for (peer, started_ms) in fit {
            readers.entry(peer).or_insert_with(|| {
                channels.insert(peer, Channel { connected: false, started_ms });
                self.read(peer)
            });
        }
    }

    fn read(&self, peer: PeerId) -> Reader {
        let reading = Reading {
            shared: Arc::clone(&self.shared),
            inbox: Arc::clone(&self.inbox),
            lane: Arc::clone(&self.lane),
            state: Arc::clone(&self.state),
            stream: self.stream_id,
            peer,
        };
        Reader(tokio::spawn(reading.run()))
    }

    fn forget(&self, readers: &mut BTreeMap<PeerId, Reader>) {
        readers.clear();
        lock(&self.state.channels).clear();
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.0.abort();
    }
}
