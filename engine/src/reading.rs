//! Reads one stream of one peer: the consumer's side of mosaik's stream protocol.
//!
//! mosaik 0.3.18's own consumer never sleeps (see [`crate::pace`]), and its items would wait for a thread
//! that must rest. What goes over the wire is the same, so a producer cannot tell the two apart.

use std::sync::Arc;
use std::time::Duration;

use mosaik::futures::{SinkExt, StreamExt};
use mosaik::iroh::endpoint::{Connection, ConnectionError, RecvStream, SendStream};
use mosaik::streams::Criteria;
use mosaik::{Bytes, Digest, PeerId};
use serde::{Deserialize, Serialize};
use tokio::time::{sleep, timeout};
use tokio_util::codec::{FramedRead, FramedWrite, LengthDelimitedCodec};

use crate::inbox::{Inbox, Lane};
use crate::keeper::jittered;
use crate::network::Shared;
use crate::subscription::FeedState;

/// How long one attempt to connect may take before it is begun anew: iroh's own patience is 30 s, most of
/// it spent in retransmission pauses that outlast a cut.
const STUCK: Duration = Duration::from_secs(4);
const FIRST: Duration = Duration::from_millis(200);
const LONGEST: Duration = Duration::from_secs(2);
/// Longest datum that is taken in.
const MAX_DATUM: usize = 64 << 20;
/// mosaik's protocol.
const STREAMS: &[u8] = b"/mosaik/streams/1.0";
/// mosaik's close code of a producer that does not know the consumer yet.
const UNKNOWN_PEER: u64 = 401;
/// mosaik's close code of a consumer that ends its subscription.
const CANCELLED: u32 = 102;

/// What a consumer says first.
#[derive(Serialize)]
struct Handshake {
    network: Digest,
    stream: Digest,
    criteria: Criteria,
}

/// What a producer answers.
#[derive(Deserialize)]
struct Start(Digest, Digest);

type Frames = FramedRead<RecvStream, LengthDelimitedCodec>;

/// Connects, reads, and connects again, until it is dropped.
pub(crate) struct Reading {
    pub(crate) shared: Arc<Shared>,
    pub(crate) inbox: Arc<Inbox>,
    pub(crate) lane: Arc<Lane>,
    pub(crate) state: Arc<FeedState>,
    pub(crate) stream: Digest,
    pub(crate) peer: PeerId,
}

/// Closes a connection in mosaik's own words when its reader is dropped.
struct Closing(Connection);

impl Reading {
    pub(crate) async fn run(self) {
        let mut pause = FIRST;
        loop {
            if self.read().await {
                pause = FIRST;
            }
            self.state.disconnected(self.peer);
            sleep(jittered(pause)).await;
            pause = (pause * 2).min(LONGEST);
        }
    }

    /// One connection, to its end; whether anything came over it.
    async fn read(&self) -> bool {
        let Ok(Some((closing, mut frames, _sender))) = timeout(STUCK, self.connect()).await else {
            return false;
        };
        self.state.connected(self.peer);
        let mut heard = false;
        while let Some(Ok(datum)) = frames.next().await {
            heard = true;
            self.state.alive();
            self.inbox.put(&self.lane, datum.freeze());
        }
        drop(closing);
        heard
    }

    /// Connects and shakes hands; what is refused says so by its close code.
    async fn connect(&self) -> Option<(Closing, Frames, SendStream)> {
        let address = self.shared.ways_to(self.peer).await;
        if address.is_empty() {
            return None;
        }
        let endpoint = self.shared.with(|network| network.local().endpoint().clone()).ok()?;
        let connection = endpoint.connect(address.clone(), STREAMS).await.ok()?;
        drop(endpoint);
        let closing = Closing(connection.clone());
        let begun = self.shake_hands(&connection).await;
        if begun.is_none() && refused(&connection) == Some(UNKNOWN_PEER) {
            // Its catalog lacks us: once it has our entry, the next attempt stands.
            let _ = self.shared.sync(address, STUCK).await;
        }
        begun.map(|(frames, sender)| (closing, frames, sender))
    }

    async fn shake_hands(&self, connection: &Connection) -> Option<(Frames, SendStream)> {
        let (sender, receiver) = connection.open_bi().await.ok()?;
        let mut codec = LengthDelimitedCodec::new();
        codec.set_max_frame_length(MAX_DATUM);
        let (mut writer, mut frames) =
            (FramedWrite::new(sender, codec.clone()), FramedRead::new(receiver, codec));
        let handshake =
            Handshake { network: self.shared.id, stream: self.stream, criteria: Criteria::default() };
        writer.send(Bytes::from(postcard::to_allocvec(&handshake).ok()?)).await.ok()?;
        let answer = frames.next().await?.ok()?;
        let Start(network, stream) = postcard::from_bytes(&answer).ok()?;
        ((network, stream) == (self.shared.id, self.stream)).then(|| (frames, writer.into_inner()))
    }
}

/// The close code by which the other side ended a connection.
fn refused(connection: &Connection) -> Option<u64> {
    match connection.close_reason()? {
        ConnectionError::ApplicationClosed(close) => Some(close.error_code.into_inner()),
        _ => None,
    }
}

impl Drop for Closing {
    fn drop(&mut self) {
        self.0.close(CANCELLED.into(), b"Cancelled");
    }
}
