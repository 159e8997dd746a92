//! One bounded queue for many subscriptions.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use mosaik::Bytes;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

use crate::network::lock;

/// Most bytes that wait for the reader, per subscription; beyond, the oldest go, as beyond its item limit.
pub const MAX_WAITING: usize = 64 << 20;

/// What waits for the reader, of one subscription.
pub(crate) struct Lane {
    pub(crate) tag: u64,
    limit: usize,
    waiting: Mutex<Waiting>,
    received: AtomicU64,
    dropped: AtomicU64,
}

#[derive(Default)]
struct Waiting {
    items: VecDeque<Bytes>,
    bytes: usize,
    closed: bool,
}

impl Lane {
    pub(crate) fn new(tag: u64, limit: usize) -> Self {
        Self {
            tag,
            limit,
            waiting: Mutex::default(),
            received: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
        }
    }

    pub(crate) fn received(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }

    pub(crate) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Forgets what waits, and takes nothing any more.
    pub(crate) fn close(&self) {
        let mut waiting = lock(&self.waiting);
        *waiting = Waiting { closed: true, ..Waiting::default() };
    }

    /// Takes one item in; by how many items the lane grew, which is at most 1.
    fn push(&self, item: Bytes) -> usize {
        let mut waiting = lock(&self.waiting);
        if waiting.closed {
            return 0;
        }
        self.received.fetch_add(1, Ordering::Relaxed);
        let before = waiting.items.len();
        waiting.bytes += item.len();
        waiting.items.push_back(item);
        while waiting.items.len() > 1 && (waiting.items.len() > self.limit || waiting.bytes > MAX_WAITING) {
            if let Some(oldest) = waiting.items.pop_front() {
                waiting.bytes -= oldest.len();
                self.dropped.fetch_add(1, Ordering::Relaxed);
            }
        }
        waiting.items.len().saturating_sub(before)
    }

    fn pop(&self) -> Option<Bytes> {
        let mut waiting = lock(&self.waiting);
        let item = waiting.items.pop_front()?;
        waiting.bytes -= item.len();
        Some(item)
    }
}

/// The queue that several subscriptions fill and one reader empties.
#[derive(Default)]
pub struct Inbox {
    // One mark an item, in the order of arrival; a mark whose item was dropped finds a later one, or none.
    order: Mutex<VecDeque<Arc<Lane>>>,
    arrived: Notify,
    closed: AtomicBool,
}

impl Inbox {
    /// An empty inbox.
    #[must_use]
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    pub(crate) fn put(&self, lane: &Arc<Lane>, item: Bytes) {
        if self.is_closed() {
            return;
        }
        if lane.push(item) > 0 {
            lock(&self.order).push_back(Arc::clone(lane));
            self.arrived.notify_one();
        }
    }

    /// Up to `limit` items with the tags of their subscriptions, oldest first; waits for the first one
    /// only. Empty after `patience`, and at once when the inbox is closed and empty.
    pub async fn recv(&self, patience: Duration, limit: usize) -> Vec<(u64, Bytes)> {
        let deadline = Instant::now() + patience;
        loop {
            let items = self.take(limit);
            if !items.is_empty() || self.is_closed() || limit == 0 {
                return items;
            }
            if timeout_at(deadline, self.arrived.notified()).await.is_err() {
                return self.take(limit);
            }
        }
    }

    /// Ends every wait, now and from now on.
    pub fn close(&self) {
        self.closed.store(true, Ordering::Release);
        lock(&self.order).clear();
        self.arrived.notify_waiters();
        self.arrived.notify_one();
    }

    /// Whether it was closed.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    fn take(&self, limit: usize) -> Vec<(u64, Bytes)> {
        let mut order = lock(&self.order);
        let mut items = Vec::new();
        while items.len() < limit {
            let Some(lane) = order.pop_front() else { break };
            if let Some(item) = lane.pop() {
                items.push((lane.tag, item));
            }
        }
        items
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(item: &'static str) -> Bytes {
        Bytes::from_static(item.as_bytes())
    }

    #[tokio::test]
    async fn items_come_in_the_order_of_arrival() {
        let inbox = Inbox::new();
        let (one, two) = (Arc::new(Lane::new(1, 10)), Arc::new(Lane::new(2, 10)));
        inbox.put(&one, text("a"));
        inbox.put(&two, text("b"));
        inbox.put(&one, text("c"));
        assert_eq!(inbox.recv(Duration::ZERO, 2).await, [(1, text("a")), (2, text("b"))]);
        assert_eq!(inbox.recv(Duration::ZERO, 2).await, [(1, text("c"))]);
        assert!(inbox.recv(Duration::ZERO, 2).await.is_empty());
    }

    #[tokio::test]
    async fn a_flood_drops_the_oldest_of_its_own_lane() {
        let inbox = Inbox::new();
        let (flood, calm) = (Arc::new(Lane::new(1, 3)), Arc::new(Lane::new(2, 3)));
        inbox.put(&calm, text("calm"));
        for item in ["1", "2", "3", "4", "5"] {
            inbox.put(&flood, text(item));
        }
        let items: Vec<Bytes> =
            inbox.recv(Duration::ZERO, 100).await.into_iter().map(|(_, item)| item).collect();
        assert_eq!(items, ["calm", "3", "4", "5"].map(text));
        assert_eq!((flood.received(), flood.dropped()), (5, 2));
        assert_eq!((calm.received(), calm.dropped()), (1, 0));
    }

    #[tokio::test]
    async fn many_bytes_are_bounded_too() {
        let inbox = Inbox::new();
        let lane = Arc::new(Lane::new(1, 1000));
        let big = Bytes::from(vec![0; MAX_WAITING / 2]);
        for _ in 0..5 {
            inbox.put(&lane, big.clone());
        }
        assert_eq!(inbox.recv(Duration::ZERO, 100).await.len(), 2);
        assert_eq!(lane.dropped(), 3);
    }

    #[tokio::test]
    async fn closing_ends_a_wait() {
        let inbox = Inbox::new();
        let waiting = tokio::spawn({
            let inbox = Arc::clone(&inbox);
            async move { inbox.recv(Duration::from_mins(1), 1).await }
        });
        tokio::task::yield_now().await;
        inbox.close();
        assert!(waiting.await.unwrap().is_empty());
    }
}
