//! Keeps a node's links: mosaik looks for peers only when its catalog changes.
//!
//! About once a second the keeper looks for what is missing: a peer to start from that is not in the
//! catalog, a subscription without its producer, a member of a group without a bond. While something is, it
//! exchanges catalogs with the peers concerned and changes the local catalog, in pauses that grow to 5 s.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Weak};
use std::time::Duration;

use mosaik::discovery::Catalog;
use mosaik::iroh::EndpointAddr;
use mosaik::{Digest, PeerId};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use crate::entry::nudge_entry;
use crate::network::{Shared, lock};
use crate::subscription::FeedState;

const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(5);
const LONGEST_SYNC: Duration = Duration::from_secs(10);
const PATIENCE: Duration = Duration::from_secs(5);
/// After how much silence a producer that no bond watches is looked for.
const SILENCE: Duration = Duration::from_secs(10);
/// mosaik's protocol that answers with the peer's own entry; its handshake is all that is used here.
const PING: &[u8] = b"/mosaik/discovery/ping/1.0";

/// A change of the local catalog that tells nobody anything, and makes every group and consumer look again.
pub(crate) fn nudge(shared: &Shared) {
    if let (Ok(entry), Ok(discovery)) = (nudge_entry(shared.peer_id, shared.id), shared.discovery()) {
        let id = *entry.id();
        discovery.insert(entry);
        discovery.remove(id);
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
            Some(ended) = keeper.probes.join_next(), if !keeper.probes.is_empty() => {
                if let Ok((peer, reached)) = ended {
                    keeper.probed(peer, reached);
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

/// What is known of the link to a peer, apart from subscriptions.
struct Link {
    bonds: BTreeSet<Digest>,
    /// Whether there ever was one.
    bonded: bool,
    started_ms: Option<i64>,
    reached: Option<bool>,
    /// When it was last lost, or came back after that.
    changed: Option<Instant>,
    next_probe: Instant,
}

struct Keeper {
    shared: Arc<Shared>,
    syncs: JoinSet<(PeerId, bool)>,
    probes: JoinSet<(PeerId, bool)>,
    attempts: HashMap<PeerId, Attempt>,
    links: HashMap<PeerId, Link>,
    next_nudge: Instant,
    pause: Duration,
    missing: BTreeSet<PeerId>,
}

impl Keeper {
    fn new(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            syncs: JoinSet::new(),
            probes: JoinSet::new(),
            links: HashMap::new(),
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
        let Ok(catalog) = self.shared.discovery().map(|discovery| discovery.catalog()) else { return FIRST };
        self.watch(&catalog);
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

    /// Has connections begun anew that cannot have outlived what happened to the link since.
    fn watch(&mut self, catalog: &Catalog) {
        let feeds: Vec<(PeerId, Arc<FeedState>)> = lock(&self.shared.feeds)
            .iter()
            .filter_map(Weak::upgrade)
            .filter_map(|feed| feed.only.map(|peer| (peer, feed)))
            .collect();
        let bonds: Vec<(PeerId, Digest)> = lock(&self.shared.groups)
            .iter()
            .filter_map(Weak::upgrade)
            .flat_map(|group| group.bonds())
            .collect();
        let peers: BTreeSet<PeerId> = feeds.iter().map(|(peer, _)| *peer).collect();
        self.links.retain(|peer, _| peers.contains(peer));
        for peer in peers {
            let held = bonds.iter().filter(|(other, _)| *other == peer).map(|(_, bond)| *bond).collect();
            let started = catalog.get_signed(&peer).map(|entry| entry.started_at().timestamp_millis());
            self.link(peer).see(held, started);
        }
        for (peer, feed) in feeds {
            let link = self.link(peer);
            let silent = link.bonds.is_empty() && feed.silence() > SILENCE;
            if matches!((link.started_ms, feed.started_ms()), (Some(now), Some(then)) if now != then) {
                feed.restart();
            } else if let Some(changed) = link.changed {
                feed.renew(changed.into_std());
            }
            if silent {
                self.probe(peer);
            }
        }
    }

    fn link(&mut self, peer: PeerId) -> &mut Link {
        self.links.entry(peer).or_insert_with(|| Link {
            bonds: BTreeSet::new(),
            bonded: false,
            started_ms: None,
            reached: None,
            changed: None,
            next_probe: Instant::now(),
        })
    }

    /// Whether a silent peer is still there, when no bond with it tells: one QUIC handshake.
    fn probe(&mut self, peer: PeerId) {
        let link = self.link(peer);
        if Instant::now() < link.next_probe {
            return;
        }
        link.next_probe = Instant::now() + SILENCE;
        let shared = Arc::clone(&self.shared);
        self.probes.spawn(async move {
            let address = shared.ways_to(peer).await;
            let Ok(endpoint) = shared.with(|network| network.local().endpoint().clone()) else {
                return (peer, false);
            };
            let reached = timeout(PATIENCE, endpoint.connect(address, PING)).await;
            (peer, matches!(reached, Ok(Ok(_))))
        });
    }

    fn probed(&mut self, peer: PeerId, reached: bool) {
        if let Some(link) = self.links.get_mut(&peer) {
            if link.reached.replace(reached).is_some_and(|before| before != reached) {
                link.changed = Some(Instant::now());
            }
            if !reached {
                link.next_probe = Instant::now() + FIRST;
            }
        }
    }

    /// Peers that something of ours is not connected to.
    fn unlinked(&self, catalog: &Catalog) -> BTreeSet<PeerId> {
        let mut found = BTreeSet::new();
        lock(&self.shared.feeds).retain(|feed| {
            let Some(feed) = feed.upgrade() else { return false };
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
            .filter(|id| *id != self.shared.peer_id)
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
    let Ok(discovery) = shared.discovery() else { return };
    let handle = tokio::runtime::Handle::current();
    let dial = move || handle.block_on(timeout(PATIENCE, discovery.dial(address)));
    let _ = tokio::task::spawn_blocking(dial).await;
}

/// Resolves once the node closes.
pub(crate) async fn until_closing(mut closing: watch::Receiver<bool>) {
    let _ = closing.wait_for(|closing| *closing).await;
}

impl Link {
    fn see(&mut self, bonds: BTreeSet<Digest>, started_ms: Option<i64>) {
        if self.bonds != bonds {
            // The first bond changes nothing about a connection that is there already.
            if self.bonded {
                self.changed = Some(Instant::now());
            }
            self.bonded |= !bonds.is_empty();
            self.bonds = bonds;
        }
        self.started_ms = started_ms;
    }
}

pub(crate) fn jittered(pause: Duration) -> Duration {
    pause.mul_f32(0.75 + f32::from(Digest::random().as_bytes()[0]) / 512.0)
}
