//! The sending side of a stream.

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use mosaik::discovery::PeerInfo;
use mosaik::streams::producer::Error as SendError;
use mosaik::streams::status::ChannelInfo;
use mosaik::{Bytes, Digest, PeerId, UniqueId};

use crate::network::{Node, Shared, lock};
use crate::pace::{pace, spend};
use crate::validator::{Validator, signatures};
use crate::{Error, Raw, keeper};

/// What became of one datum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// It was handed to every consumer's connection.
    Sent,
    /// Nobody is subscribed.
    Offline,
    /// The buffer is full.
    Full,
    /// The producer is closed.
    Closed,
}

/// Who may subscribe, as of now: mosaik keeps a stream for as long as the node runs, so what closes and
/// reopens is the door to it.
struct Door {
    open: AtomicBool,
    only: Mutex<Option<BTreeSet<PeerId>>>,
}

struct Outlet {
    producer: mosaik::streams::Producer<Raw>,
    door: Arc<Door>,
    validators: Vec<UniqueId>,
    buffer: usize,
}

/// Every stream that a node has ever produced.
#[derive(Default)]
pub(crate) struct Outlets(HashMap<Digest, Outlet>);

/// The sending side of a stream; dropping it closes it.
pub struct Producer {
    node: Arc<Node>,
    sink: mosaik::streams::Producer<Raw>,
    door: Arc<Door>,
    closed: AtomicBool,
}

impl Producer {
    /// Begins to produce a stream; must run inside the runtime.
    ///
    /// # Errors
    ///
    /// The stream is produced here already, or was, with other validators or another buffer.
    pub fn open(
        node: &Arc<Node>,
        stream_id: [u8; 32],
        validators: &[Validator],
        only: Option<BTreeSet<PeerId>>,
        buffer: usize,
    ) -> Result<Self, Error> {
        if buffer == 0 {
            return Err(Error::invalid("a buffer for 0 items"));
        }
        let shared = &node.shared;
        let id = Digest::from_bytes(stream_id);
        let mut outlets = lock(&shared.outlets);
        if let Some(outlet) = outlets.0.get(&id) {
            let again = outlet.reopen(validators, only, buffer)?;
            drop(outlets);
            keeper::nudge(shared);
            return Ok(Self::of(node, again));
        }
        let outlet = Outlet::create(shared, id, validators, only, buffer)?;
        let parts = (outlet.producer.clone(), Arc::clone(&outlet.door));
        outlets.0.insert(id, outlet);
        drop(outlets);
        Ok(Self::of(node, parts))
    }

    fn of(node: &Arc<Node>, (producer, door): (mosaik::streams::Producer<Raw>, Arc<Door>)) -> Self {
        Self { node: Arc::clone(node), sink: producer, door, closed: AtomicBool::new(false) }
    }

    /// Sends a datum to every subscriber; never waits.
    #[must_use]
    pub fn send(&self, data: Bytes) -> Sent {
        if self.closed.load(Ordering::Acquire) || self.node.is_closed() {
            return Sent::Closed;
        }
        if !self.sink.consumers().any(|info| info.is_connected()) {
            return Sent::Offline;
        }
        let Ok(pace) = pace() else { return Sent::Closed };
        // Not `Sink::send`: once begun while offline it never wakes again.
        match self.sink.try_send(Raw(pace.hold(data))) {
            Ok(()) => {
                pace.ring();
                Sent::Sent
            }
            Err(SendError::Offline(_)) => Sent::Offline,
            Err(SendError::Full(_)) => Sent::Full,
            Err(SendError::Closed(_) | SendError::Encoding(..)) => Sent::Closed,
        }
    }

    /// Who is subscribed now, once each.
    #[must_use]
    pub fn consumers(&self) -> Vec<PeerId> {
        let connected: BTreeSet<PeerId> =
            self.sink.consumers().filter(ChannelInfo::is_connected).map(|info| *info.consumer_id()).collect();
        connected.into_iter().collect()
    }

    /// Turns every subscriber away; again is a no-op.
    pub fn close(&self) {
        if self.closed.swap(true, Ordering::AcqRel) {
            return;
        }
        self.door.open.store(false, Ordering::Release);
        keeper::nudge(&self.node.shared);
    }
}

impl Drop for Producer {
    fn drop(&mut self) {
        self.close();
    }
}

impl Outlet {
    fn create(
        shared: &Shared,
        id: Digest,
        validators: &[Validator],
        only: Option<BTreeSet<PeerId>>,
        buffer: usize,
    ) -> Result<Self, Error> {
        let door = Arc::new(Door { open: AtomicBool::new(true), only: Mutex::new(only) });
        let guard = Arc::clone(&door);
        let paced = pace()?.enter();
        let producer = shared.with(|network| {
            let builder = network
                .streams()
                .producer::<Raw>()
                .with_stream_id(id)
                .with_buffer_size(buffer)
                // Online with nobody, too: a subscriber that goes and comes again between two looks of
                // mosaik's task would leave the producer offline for good.
                .online_when(|conditions| conditions.minimum_of(0).with_predicate(|_| spend()))
                .require(move |peer: &PeerInfo| guard.admits(peer.id()));
            validators.iter().fold(builder, |builder, one| builder.require_ticket(one.shared())).build()
        })?;
        drop(paced);
        let producer = producer.map_err(|_| Error::failed("the stream is produced here already"))?;
        Ok(Self { producer, door, validators: signatures(validators), buffer })
    }

    fn reopen(
        &self,
        validators: &[Validator],
        only: Option<BTreeSet<PeerId>>,
        buffer: usize,
    ) -> Result<(mosaik::streams::Producer<Raw>, Arc<Door>), Error> {
        if self.validators != signatures(validators) || self.buffer != buffer {
            return Err(Error::failed(
                "the stream was produced before with other validators or another buffer, \
                 which mosaik keeps until the network is closed",
            ));
        }
        if self.door.open.swap(true, Ordering::AcqRel) {
            return Err(Error::failed("the stream is produced here already"));
        }
        *lock(&self.door.only) = only;
        Ok((self.producer.clone(), Arc::clone(&self.door)))
    }
}

impl Outlets {
    pub(crate) fn close(&mut self) {
        for outlet in self.0.values() {
            outlet.door.open.store(false, Ordering::Release);
        }
    }
}

impl Door {
    fn admits(&self, peer: &PeerId) -> bool {
        self.open.load(Ordering::Acquire) && lock(&self.only).as_ref().is_none_or(|only| only.contains(peer))
    }
}
