//! Keeps the relay behind the direct way between two peers.
//!
//! iroh 0.97 begins a connection on every address that it knows of a peer, the relay's among them. Where the relay is
//! as near as the peer, the two sides may settle on different ways: the one who dials believes that it is connected,
//! and nothing arrives (noq-proto: "discarding packet with unexpected remote during handshake"). Such a connection
//! stands for 5 s to 30 s, and while two of them do, iroh tries twice as many paths every 333 ms: a core and hundreds
//! of megabytes for most of a minute. What comes through the relay is let through [`LATER`] than it came, so the
//! direct way is the first wherever there is one; where there is none, the relay serves as before.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, sleep, sleep_until};

/// How much later a peer's bytes reach the relay.
const LATER: Duration = Duration::from_millis(25);
/// Most bytes taken at a time, and how many times as many may wait; then the peer waits.
const CHUNK: usize = 16 << 10;
const WAITING: usize = 64;
/// After a failed accept (no file descriptor is left, say).
const PAUSE: Duration = Duration::from_millis(100);

/// What listens in front of a relay; dropping it ends every connection.
pub(crate) struct Behind(JoinHandle<()>);

impl Behind {
    /// Ends every connection; the port is free when this returns.
    pub(crate) async fn close(mut self) {
        self.0.abort();
        let _ = (&mut self.0).await;
    }
}

impl Drop for Behind {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Takes connections in front of `relay`.
pub(crate) fn listen(listener: TcpListener, relay: SocketAddr) -> Behind {
    Behind(tokio::spawn(async move {
        let mut open = JoinSet::new();
        loop {
            match listener.accept().await {
                Ok((peer, _)) => drop(open.spawn(pass(peer, relay))),
                Err(_) => sleep(PAUSE).await,
            }
            while open.try_join_next().is_some() {}
        }
    }))
}

/// One connection, until both directions have ended or one has failed.
async fn pass(mut peer: TcpStream, relay: SocketAddr) -> std::io::Result<()> {
    let mut inner = TcpStream::connect(relay).await?;
    peer.set_nodelay(true)?;
    inner.set_nodelay(true)?;
    let (from_peer, mut to_peer) = peer.split();
    let (mut from_relay, to_relay) = inner.split();
    let down = async {
        tokio::io::copy(&mut from_relay, &mut to_peer).await?;
        to_peer.shutdown().await
    };
    tokio::try_join!(later(from_peer, to_relay), down).map(drop)
}

/// Passes bytes on in their order, each [`LATER`] than it came.
async fn later(from: impl AsyncRead + Unpin, to: impl AsyncWrite + Unpin) -> std::io::Result<()> {
    let (sender, receiver) = mpsc::channel(WAITING);
    tokio::try_join!(take(from, sender), give(receiver, to)).map(drop)
}

async fn take(
    mut from: impl AsyncRead + Unpin,
    queue: mpsc::Sender<(Instant, Vec<u8>)>,
) -> std::io::Result<()> {
    loop {
        let mut chunk = Vec::with_capacity(CHUNK);
        if from.read_buf(&mut chunk).await? == 0 || queue.send((Instant::now() + LATER, chunk)).await.is_err()
        {
            return Ok(());
        }
    }
}

async fn give(
    mut queue: mpsc::Receiver<(Instant, Vec<u8>)>,
    mut to: impl AsyncWrite + Unpin,
) -> std::io::Result<()> {
    while let Some((when, chunk)) = queue.recv().await {
        sleep_until(when).await;
        to.write_all(&chunk).await?;
    }
    to.shutdown().await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn bytes_come_later_in_their_order_and_the_end_after_them() {
        let (mut peer, from) = tokio::io::duplex(64);
        let (to, mut relay) = tokio::io::duplex(1 << 20);
        tokio::spawn(later(from, to));
        let began = Instant::now();
        let sent: Vec<u8> = (0..1000_u32).flat_map(u32::to_be_bytes).collect();
        let sending = sent.clone();
        tokio::spawn(async move {
            for part in sending.chunks(7) {
                peer.write_all(part).await.unwrap();
            }
        });
        let mut came = Vec::new();
        relay.read_to_end(&mut came).await.unwrap();
        assert_eq!(came, sent);
        assert!(began.elapsed() >= LATER);
    }

    #[tokio::test]
    async fn an_answer_comes_back_and_closing_frees_the_port() {
        let inner = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let outer = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (relay, place) = (inner.local_addr().unwrap(), outer.local_addr().unwrap());
        let behind = listen(outer, relay);
        tokio::spawn(async move {
            let (mut one, _) = inner.accept().await.unwrap();
            let mut asked = [0; 4];
            one.read_exact(&mut asked).await.unwrap();
            one.write_all(b"pong").await.unwrap();
        });
        let mut peer = TcpStream::connect(place).await.unwrap();
        peer.write_all(b"ping").await.unwrap();
        let mut answer = Vec::new();
        peer.read_to_end(&mut answer).await.unwrap();
        assert_eq!(answer, b"pong");
        behind.close().await;
        assert!(TcpListener::bind(place).await.is_ok());
    }
}
