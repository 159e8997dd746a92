//! Keeps a node's links: mosaik looks for peers only when its catalog changes.
//!
//! About once a second the keeper looks for what is missing: a peer to start from that is not in the
//! catalog, a subscription without its producer, a member of a group without a bond. While something is, it
//! exchanges catalogs with the peers concerned and changes the local catalog, in pauses that grow to 5 s.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use mosaik::discovery::Catalog;
use mosaik::iroh::EndpointAddr;
use mosaik::{Digest, PeerId};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use crate::entry::nudge_entry;
use crate::network::{Shared, lock};

const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(5);
const LONGEST_SYNC: Duration = Duration::from_secs(10);
const PATIENCE: Duration = Duration::from_secs(5);

/// A change of the local catalog that tells nobody anything, and makes every group and consumer look again.
pub(crate) fn nudge(shared: &Shared) {
    let network = *shared.local.network_id();
    if let Ok(entry) = nudge_entry(shared.local.id(), network) {
        let id = *entry.id();
        shared.discovery.insert(entry);
        shared.discovery.remove(id);
    }
}

/// Runs until the node closes.
pub(crate) async fn keep(shared: Arc<Shared>) {
    let closing = shared.closing.subscribe();
    let mut keeper = Keeper::new(shared);
    loop {
        let pause = keeper.round();
        let shared = Arc::clone(&keeper.shared);
        tokio::select! {
            () = until_closing(closing.clone()) => return,
            Some(ended) = keeper.syncs.join_next(), if !keeper.syncs.is_empty() => {
                if let Ok((peer, synced)) = ended {
                    keeper.ended(peer, synced);
                }
            }
            () = sleep(pause) => {}
            () = shared.poke.notified() => keeper.poked(),
        }
    }
}

struct Attempt {
    next: Instant,
    pause: Duration,
    running: bool,
}

struct Keeper {
    shared: Arc<Shared>,
    syncs: JoinSet<(PeerId, bool)>,
    attempts: HashMap<PeerId, Attempt>,
    next_nudge: Instant,
    pause: Duration,
    missing: BTreeSet<PeerId>,
}

impl Keeper {
    fn new(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            syncs: JoinSet::new(),
            attempts: HashMap::new(),
            next_nudge: Instant::now(),
            pause: FIRST,
            missing: BTreeSet::new(),
        }
    }

    /// Something was asked of the node: what was given up on for a while is tried at once.
    fn poked(&mut self) {
        self.pause = FIRST;
        self.next_nudge = Instant::now();
        for attempt in self.attempts.values_mut() {
            attempt.next = Instant::now();
            attempt.pause = FIRST;
        }
    }

    /// Looks once; how long to wait before the next look.
    fn round(&mut self) -> Duration {
        let catalog = self.shared.discovery.catalog();
        let unlinked = self.unlinked(&catalog);
        let unseen = self.unseen(&catalog);
        let missing: BTreeSet<PeerId> = unlinked.union(&unseen).copied().collect();
        if missing.difference(&self.missing).next().is_some() {
            self.pause = FIRST;
        }
        for peer in &missing {
            self.sync(*peer);
        }
        self.attempts.retain(|peer, attempt| attempt.running || missing.contains(peer));
        let now = Instant::now();
        if unlinked.is_empty() {
            self.pause = FIRST;
        } else if now >= self.next_nudge {
            nudge(&self.shared);
            // Two sides that dial each other at the same moment refuse each other: hence the jitter.
            self.next_nudge = now + jittered(self.pause);
            self.pause = (self.pause * 3 / 2).min(LONGEST);
        }
        self.missing = missing;
        jittered(FIRST)
    }

    /// Peers that something of ours is not connected to.
    fn unlinked(&self, catalog: &Catalog) -> BTreeSet<PeerId> {
        let mut found = BTreeSet::new();
        lock(&self.shared.feeds).retain(|feed| {
            let Some(feed) = feed.upgrade() else { return false };
            feed.unstick();
            found.extend(feed.lacks());
            true
        });
        lock(&self.shared.groups).retain(|group| {
            let Some(group) = group.upgrade() else { return false };
            found.extend(group.lacks(catalog));
            true
        });
        found
    }

    /// Peers to start from that the catalog lacks, or has not heard of for a while.
    fn unseen(&self, catalog: &Catalog) -> BTreeSet<PeerId> {
        let stale = (self.shared.announce * 6).max(Duration::from_secs(30));
        lock(&self.shared.bootstrap)
            .iter()
            .map(|peer| peer.id)
            .filter(|id| *id != self.shared.local.id())
            .filter(|id| {
                catalog.get_signed(id).is_none_or(|entry| {
                    let age = chrono::Utc::now() - entry.updated_at();
                    age.to_std().is_ok_and(|age| age > stale)
                })
            })
            .collect()
    }

    fn sync(&mut self, peer: PeerId) {
        let now = Instant::now();
        let attempt =
            self.attempts.entry(peer).or_insert(Attempt { next: now, pause: FIRST, running: false });
        if attempt.running || now < attempt.next {
            return;
        }
        attempt.running = true;
        let shared = Arc::clone(&self.shared);
        self.syncs.spawn(async move {
            let address = shared.ways_to(peer).await;
            if address.is_empty() {
                return (peer, false);
            }
            let synced = shared.sync(address.clone(), PATIENCE).await.is_ok();
            if synced {
                join_gossip(&shared, address).await;
            }
            (peer, synced)
        });
    }

    fn ended(&mut self, peer: PeerId, synced: bool) {
        if let Some(attempt) = self.attempts.get_mut(&peer) {
            attempt.running = false;
            attempt.next = Instant::now() + jittered(attempt.pause);
            attempt.pause = (attempt.pause * 2).min(LONGEST_SYNC);
        }
        if synced {
            nudge(&self.shared);
        }
    }
}

/// Gossip with the peer again; mosaik's future for that may not wander between threads.
async fn join_gossip(shared: &Arc<Shared>, address: EndpointAddr) {
    let discovery = shared.discovery.clone();
    let handle = tokio::runtime::Handle::current();
    let dial = move || handle.block_on(timeout(PATIENCE, discovery.dial(address)));
    let _ = tokio::task::spawn_blocking(dial).await;
}

/// Resolves once the node closes.
pub(crate) async fn until_closing(mut closing: watch::Receiver<bool>) {
    let _ = closing.wait_for(|closing| *closing).await;
}

fn jittered(pause: Duration) -> Duration {
    pause.mul_f32(0.75 + f32::from(Digest::random().as_bytes()[0]) / 512.0)
}
