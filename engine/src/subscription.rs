//! The receiving side of a stream.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use mosaik::discovery::PeerInfo;
use mosaik::streams::Consumer;
use mosaik::streams::status::{ChannelInfo, State};
use mosaik::{Digest, PeerId};
use tokio::sync::Notify;

use crate::inbox::{Inbox, Lane};
use crate::keeper::until_closing;
use crate::network::{Node, Shared, lock};
use crate::validator::Validator;
use crate::{Error, Raw};

/// How often what a consumer is connected to is looked at.
const LOOK: Duration = Duration::from_millis(200);
/// How long one attempt to connect may take before it is begun anew: iroh's own patience is 30 s, most of
/// it spent in retransmission pauses that outlast a cut.
const STUCK: Duration = Duration::from_secs(4);

/// How long after a change of the link its own connections are given to recover.
const SETTLING: Duration = Duration::from_secs(2);

/// One mosaik consumer; a subscription with `only` has one a peer, so that one of them can be begun anew
/// without losing what the others send.
pub(crate) struct FeedState {
    pub(crate) only: Option<PeerId>,
    channels: Mutex<Vec<ChannelInfo>>,
    connecting_since: Mutex<Option<Instant>>,
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
            connecting_since: Mutex::default(),
            sign: Mutex::new(Instant::now()),
            again: Notify::new(),
            stop: Notify::new(),
        }
    }

    fn producers(&self) -> Vec<PeerId> {
        let channels = lock(&self.channels);
        let connected = channels.iter().filter(|channel| channel.is_connected());
        connected.map(|channel| *channel.producer_id()).collect()
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
        let channels = lock(&self.channels);
        channels.first().map(|channel| channel.peer().started_at().timestamp_millis())
    }

    fn look(&self, consumer: &Consumer<Raw>) {
        let before = self.producers();
        *lock(&self.channels) = consumer.producers().collect();
        if self.producers().iter().any(|peer| !before.contains(peer)) {
            self.alive();
        }
    }

    fn alive(&self) {
        *lock(&self.sign) = Instant::now();
    }

    /// Begins anew when an attempt to connect takes too long and nothing else is connected.
    pub(crate) fn unstick(&self) {
        let connecting = {
            let channels = lock(&self.channels);
            let states: Vec<State> = channels.iter().map(ChannelInfo::state).collect();
            states.contains(&State::Connecting) && !states.contains(&State::Connected)
        };
        let mut since = lock(&self.connecting_since);
        match (connecting, *since) {
            (false, _) => *since = None,
            (true, None) => *since = Some(Instant::now()),
            (true, Some(begun)) if begun.elapsed() > STUCK => {
                *since = None;
                self.again.notify_one();
            }
            (true, Some(_)) => {}
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
                tokio::spawn(feed.run());
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

impl Feed {
    async fn run(self) {
        let closing = self.shared.closing.subscribe();
        while let Ok(mut consumer) = self.consumer() {
            let mut look = tokio::time::interval(LOOK);
            loop {
                tokio::select! {
                    item = consumer.recv() => match item {
                        Some(Raw(item)) => {
                            if self.state.producers().is_empty() {
                                self.state.look(&consumer); // an item shows the connection before its time
                            }
                            self.state.alive();
                            self.inbox.put(&self.lane, item);
                        }
                        None => return self.ended(),
                    },
                    _ = look.tick() => self.state.look(&consumer),
                    () = self.state.again.notified() => break,
                    () = self.state.stop.notified() => return self.ended(),
                    () = until_closing(closing.clone()) => return self.ended(),
                }
            }
            while let Ok(Raw(item)) = consumer.try_recv() {
                self.inbox.put(&self.lane, item);
            }
            lock(&self.state.channels).clear();
        }
        self.ended();
    }

    fn ended(&self) {
        lock(&self.state.channels).clear();
    }

    fn consumer(&self) -> Result<Consumer<Raw>, Error> {
        let only = self.state.only;
        self.shared.with(|network| {
            let builder = network
                .streams()
                .consumer::<Raw>()
                .with_stream_id(self.stream_id)
                .with_backoff(backoff())
                .require(move |peer: &PeerInfo| only.is_none_or(|only| *peer.id() == only));
            self.validators.iter().fold(builder, |builder, one| builder.require_ticket(one.shared())).build()
        })
    }
}

/// Short pauses and no end: a link that was cut works again soon after it is healed.
fn backoff() -> impl mosaik::streams::backoff::backoff::Backoff + Clone + Send + Sync + 'static {
    mosaik::streams::backoff::ExponentialBackoffBuilder::default()
        .with_initial_interval(Duration::from_millis(200))
        .with_max_interval(Duration::from_secs(2))
        .with_max_elapsed_time(None)
        .build()
}
