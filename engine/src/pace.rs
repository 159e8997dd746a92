//! Where mosaik's producers run: one thread of their own that rests while nothing moves.
//!
//! A producer's task never sleeps in mosaik 0.3.18: its `ChannelConditions` wait on a watch that counts as
//! changed for ever, so each poll goes round until tokio's budget for it is spent, and asks for the next one
//! at once. One stream costs a core, and every other task of the process waits its turn. Here such tasks go
//! round a few times when something is sent, and then once every [`REST`].

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, Waker};
use std::thread::{self, Thread};
use std::time::Duration;

use mosaik::Bytes;
use tokio::runtime::{Builder, EnterGuard, Handle};
use tokio::task::{coop, yield_now};

use crate::Error;

/// How long the thread rests when nothing moves: a new subscriber, or an answer of the network, waits for
/// its end.
const REST: Duration = Duration::from_millis(4);
/// A datum is taken in about 2 of 7 rounds, by the order in which mosaik's task happens to look: after this
/// many without a change, what waits waits for the network.
const STALLED: usize = 32;
/// Rounds after the last datum left.
const AFTER: usize = 2;

static PACE: OnceLock<Result<Pace, String>> = OnceLock::new();

/// The runtime that producers are made in.
pub(crate) struct Pace {
    handle: Handle,
    bell: Arc<Bell>,
    thread: Thread,
}

/// What is on its way to a subscriber's connection.
#[derive(Default)]
struct Bell {
    pending: AtomicUsize,
}

/// A datum that tells when its last copy is gone.
struct Held {
    data: Bytes,
    bell: Arc<Bell>,
}

/// The one thread of the process; started at its first use.
pub(crate) fn pace() -> Result<&'static Pace, Error> {
    PACE.get_or_init(|| Pace::start().map_err(|error| error.to_string()))
        .as_ref()
        .map_err(|error| Error::failed(format!("the thread for streams could not be started: {error}")))
}

/// For `online_when(|c| c.with_predicate(…))`: true, and spends at once what the task would go round for.
pub(crate) fn spend() -> bool {
    let mut context = Context::from_waker(Waker::noop());
    while let Poll::Ready(turn) = coop::poll_proceed(&mut context) {
        turn.made_progress();
    }
    true
}

impl Pace {
    fn start() -> std::io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let (handle, bell) = (runtime.handle().clone(), Arc::new(Bell::default()));
        let rung = Arc::clone(&bell);
        let thread = thread::Builder::new()
            .name("organismctl-streams".to_owned())
            .spawn(move || runtime.block_on(rounds(&rung)))?;
        Ok(Self { handle, bell, thread: thread.thread().clone() })
    }

    /// What is spawned while the guard lives runs here.
    pub(crate) fn enter(&self) -> EnterGuard<'_> {
        self.handle.enter()
    }

    /// The datum, held so that the thread goes on until it has left.
    pub(crate) fn hold(&self, data: Bytes) -> Bytes {
        self.bell.pending.fetch_add(1, Ordering::AcqRel);
        Bytes::from_owner(Held { data, bell: Arc::clone(&self.bell) })
    }

    /// Ends the thread's rest.
    pub(crate) fn ring(&self) {
        self.thread.unpark();
    }
}

/// Between two rounds of all tasks: rests, or not.
async fn rounds(bell: &Bell) {
    let (mut before, mut still) = (0, 0);
    loop {
        let pending = bell.pending.load(Ordering::Acquire);
        still = if pending == before { still + 1 } else { 0 };
        before = pending;
        if still > if pending == 0 { AFTER } else { STALLED } {
            // Blocks the thread on purpose: nothing but these tasks runs on it.
            thread::park_timeout(REST);
        }
        yield_now().await;
    }
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.data
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.bell.pending.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_datum_is_pending_until_its_last_copy_is_gone() {
        let bell = Arc::new(Bell::default());
        let one = Bytes::from_owner(Held { data: Bytes::from_static(b"x"), bell: Arc::clone(&bell) });
        bell.pending.fetch_add(1, Ordering::AcqRel);
        let other = one.clone();
        drop(one);
        assert_eq!(bell.pending.load(Ordering::Acquire), 1);
        drop(other);
        assert_eq!(bell.pending.load(Ordering::Acquire), 0);
    }

    #[tokio::test]
    async fn spending_leaves_nothing_to_go_round_for() {
        tokio::spawn(async {
            assert!(coop::has_budget_remaining());
            assert!(spend());
            assert!(!coop::has_budget_remaining());
        })
        .await
        .unwrap();
    }
}
