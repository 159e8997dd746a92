//! A committee's group: joining, looking at it, leaving it.

use std::num::NonZero;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use mosaik::groups::{ConsensusConfig, GroupKey};
use mosaik::{Bytes, Digest, PeerId};
use tokio::time::timeout;

use crate::network::{Node, Shared, lock};
use crate::validator::Validator;
use crate::{Error, Machine};

/// What a group's id is made of, and whether the machine records what it applies.
#[derive(Clone)]
pub struct GroupConfig {
    /// The shared secret.
    pub secret: [u8; 32],
    /// The machine's signature.
    pub signature: [u8; 32],
    /// What members must present, in order.
    pub validators: Vec<Validator>,
    /// Entries fetched at a time when catching up.
    pub batch: u64,
    /// How long one fetch may take; whole seconds are signed.
    pub fetch_timeout: Duration,
    /// Bond heartbeats.
    pub heartbeat: Duration,
    /// By how much at most one comes early.
    pub heartbeat_jitter: Duration,
    /// Silent intervals that end a bond.
    pub max_missed_heartbeats: u32,
    /// Whether to keep every applied command in memory.
    pub record: bool,
}

/// A group as one node sees it.
#[derive(Clone, Debug)]
pub struct GroupStatus {
    /// mosaik's leader, when one is known.
    pub leader: Option<PeerId>,
    /// The members bonded with us.
    pub bonds: Vec<PeerId>,
    /// mosaik's commit index.
    pub committed: u64,
    /// The term of the log's end.
    pub term: u64,
    /// The index of the log's end.
    pub index: u64,
    /// Whether mosaik takes commands here.
    pub online: bool,
}

pub(crate) struct GroupCell {
    pub(crate) id: Digest,
    // Every handle of one group: mosaik leaves the group as soon as any of them is dropped, so they are
    // kept together, and dropped together.
    handles: Mutex<Vec<mosaik::Group<Machine>>>,
}

/// A joined group; dropping it leaves.
pub struct Group {
    // Keeps the node open as long as somebody holds the group.
    node: Arc<Node>,
    cell: Arc<GroupCell>,
    applied: Option<Arc<Mutex<Vec<Bytes>>>>,
}

impl Group {
    /// Joins a group.
    ///
    /// # Errors
    ///
    /// Values that mosaik cannot run with, or a group that this node is in already.
    pub fn join(node: &Arc<Node>, config: &GroupConfig) -> Result<Self, Error> {
        let consensus = consensus(config)?;
        let batch = NonZero::new(config.batch).ok_or_else(|| Error::invalid("a batch of 0 entries"))?;
        let applied = config.record.then(Arc::default);
        let mut machine = Machine::new(config.signature, batch, config.fetch_timeout);
        machine.applied.clone_from(&applied);
        let shared = &node.shared;
        let _inside = shared.on.enter();
        let handle = shared.with(|network| {
            let builder = network
                .groups()
                .with_key(GroupKey::new(Digest::from_bytes(config.secret)))
                .with_state_machine(machine)
                .with_consensus_config(consensus);
            config.validators.iter().fold(builder, |builder, one| builder.require_ticket(one.shared())).join()
        })?;
        let cell = enter(shared, handle)?;
        Ok(Self { node: Arc::clone(node), cell, applied })
    }

    /// The group's id.
    #[must_use]
    pub fn id(&self) -> Digest {
        self.cell.id
    }

    /// What this node knows of the group now.
    ///
    /// # Errors
    ///
    /// The group was left.
    pub fn status(&self) -> Result<GroupStatus, Error> {
        self.cell.with(|group| {
            let position = group.log_position();
            GroupStatus {
                leader: group.leader(),
                bonds: group.bonds().iter().map(|bond| *bond.peer().id()).collect(),
                committed: group.committed().0,
                term: position.term().0,
                index: position.index().0,
                online: group.when().online().now_or_never().is_some(),
            }
        })
    }

    /// Hands commands to mosaik and waits for what it calls committed; the index of the last one.
    ///
    /// # Errors
    ///
    /// mosaik refused them, or did not answer in time (they may still land).
    pub async fn execute(&self, commands: Vec<Bytes>, limit: Duration) -> Result<u64, Error> {
        if commands.is_empty() {
            return Err(Error::invalid("no commands"));
        }
        // mosaik's future owns all it needs, but its type says that it borrows the group.
        let answer: BoxFuture<'static, _> = self.cell.with(|group| group.execute_many(commands).boxed())?;
        match timeout(limit, answer).await {
            Ok(Ok(range)) => Ok(range.end().0),
            Ok(Err(error)) => Err(Error::failed(format!("mosaik did not take the command: {error}"))),
            Err(_) => Err(Error::timeout("the command", limit)),
        }
    }

    /// Every command that this node's machine applied, in order.
    ///
    /// # Errors
    ///
    /// The group was joined without recording.
    pub fn applied(&self) -> Result<Vec<Bytes>, Error> {
        let applied =
            self.applied.as_ref().ok_or_else(|| Error::failed("the group was joined without record=True"))?;
        Ok(lock(applied).clone())
    }

    /// Leaves; again is a no-op. Peers hear of it as long as the node runs for another second.
    pub fn leave(&self) {
        self.cell.leave();
        self.node.shared.poke.notify_one();
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.leave();
    }
}

impl GroupCell {
    pub(crate) fn with<T>(&self, look: impl FnOnce(&mosaik::Group<Machine>) -> T) -> Result<T, Error> {
        lock(&self.handles).first().map(look).ok_or_else(|| Error::closed("group"))
    }

    pub(crate) fn leave(&self) {
        let handles = std::mem::take(&mut *lock(&self.handles));
        drop(handles);
    }

    /// Peer and bond of every bond.
    pub(crate) fn bonds(&self) -> Vec<(PeerId, Digest)> {
        self.with(|group| group.bonds().iter().map(|bond| (*bond.peer().id(), bond.id())).collect())
            .unwrap_or_default()
    }

    /// Whether a peer in the catalog says that it is in the group, may be, and is not bonded.
    pub(crate) fn lacks(&self, catalog: &mosaik::discovery::Catalog) -> Vec<PeerId> {
        self.with(|group| {
            let bonds = group.bonds();
            catalog
                .signed_peers()
                .filter(|entry| entry.groups().contains(&self.id) && !bonds.contains_peer(entry.id()))
                .filter(|entry| group.config().authorize_peer(entry).is_ok())
                .map(|entry| *entry.id())
                .collect()
        })
        .unwrap_or_default()
    }
}

fn enter(shared: &Shared, handle: mosaik::Group<Machine>) -> Result<Arc<GroupCell>, Error> {
    let id = *handle.id();
    let mut groups = lock(&shared.groups);
    groups.retain(|one| one.strong_count() > 0);
    for cell in groups.iter().filter_map(std::sync::Weak::upgrade) {
        let mut handles = lock(&cell.handles);
        if cell.id == id && !handles.is_empty() {
            handles.push(handle);
            return Err(Error::failed("this node is in the group already"));
        }
    }
    let cell = Arc::new(GroupCell { id, handles: Mutex::new(vec![handle]) });
    groups.push(Arc::downgrade(&cell));
    drop(groups);
    shared.poke.notify_one();
    Ok(cell)
}

/// mosaik panics on some of these; here they are errors.
fn consensus(config: &GroupConfig) -> Result<ConsensusConfig, Error> {
    if config.heartbeat.is_zero() || config.heartbeat_jitter.is_zero() || config.max_missed_heartbeats == 0 {
        return Err(Error::invalid("heartbeat, heartbeat jitter and missed heartbeats must be more than 0"));
    }
    if config.heartbeat_jitter > config.heartbeat {
        return Err(Error::invalid("a heartbeat jitter longer than the heartbeat"));
    }
    ConsensusConfig::builder()
        .with_heartbeat_interval(config.heartbeat)
        .with_heartbeat_jitter(config.heartbeat_jitter)
        .with_max_missed_heartbeats(config.max_missed_heartbeats)
        .build()
        .map_err(|error| Error::invalid(error.to_string()))
}
