//! `Producer`, `Inbox`, `Subscription`.

use std::sync::Arc;

use mosaik::Bytes;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use super::network::{inner, peers};
use super::validator::PyValidator;
use super::{at_once, id, quick, seconds, wait};
use crate::{Inbox, Node, Producer, Sent, Subscription};

/// The sending side of a stream.
#[pyclass(frozen, name = "Producer", module = "organismctl_engine")]
pub(super) struct PyProducer(pub(super) Producer);

/// One queue for many subscriptions.
#[pyclass(frozen, name = "Inbox", module = "organismctl_engine")]
pub(super) struct PyInbox {
    node: Arc<Node>,
    inbox: Arc<Inbox>,
}

/// The receiving side of a stream.
#[pyclass(frozen, name = "Subscription", module = "organismctl_engine")]
pub(super) struct PySubscription(Subscription);

#[pymethods]
impl PyProducer {
    /// Sends a datum; never waits. "sent", "offline", "full" or "closed".
    fn send(&self, data: &[u8]) -> PyResult<&'static str> {
        let data = Bytes::copy_from_slice(data);
        // The interpreter's lock is kept: this never waits, and getting the lock back might.
        let sent = at_once(|| self.0.send(data))?;
        Ok(match sent {
            Sent::Sent => "sent",
            Sent::Offline => "offline",
            Sent::Full => "full",
            Sent::Closed => "closed",
        })
    }

    /// Who is subscribed now.
    fn consumers(&self, py: Python<'_>) -> PyResult<Vec<[u8; 32]>> {
        let consumers = quick(py, || Ok(self.0.consumers()))?;
        Ok(consumers.iter().map(|peer| *peer.as_bytes()).collect())
    }

    /// Turns every subscriber away; again is a no-op.
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        quick(py, || {
            self.0.close();
            Ok(())
        })
    }
}

impl PyInbox {
    pub(super) fn new(node: Arc<Node>, inbox: Arc<Inbox>) -> Self {
        Self { node, inbox }
    }
}

#[pymethods]
impl PyInbox {
    /// Subscribes to a stream.
    #[pyo3(signature = (stream_id, tag, *, validators = vec![], only = None, limit = 100_000))]
    fn subscribe(
        &self,
        py: Python<'_>,
        stream_id: &[u8],
        tag: u64,
        validators: Vec<PyValidator>,
        only: Option<Vec<Vec<u8>>>,
        limit: usize,
    ) -> PyResult<PySubscription> {
        let stream = id(stream_id, "stream_id")?;
        let (only, validators) = (peers(only)?, inner(validators));
        quick(py, || {
            Subscription::open(&self.node, &self.inbox, stream, tag, &validators, only.as_ref(), limit)
        })
        .map(PySubscription)
    }

    /// Items with their tags; empty after the timeout, and at once when closed.
    #[pyo3(signature = (timeout_s, limit = 1000))]
    fn recv<'py>(
        &self,
        py: Python<'py>,
        timeout_s: f64,
        limit: usize,
    ) -> PyResult<Vec<(u64, Bound<'py, PyBytes>)>> {
        let patience = seconds(timeout_s, "timeout_s")?;
        let items = wait(py, async { Ok(self.inbox.recv(patience, limit).await) })?;
        Ok(items.into_iter().map(|(tag, item)| (tag, PyBytes::new(py, &item))).collect())
    }

    /// Ends every wait.
    fn close(&self) {
        self.inbox.close();
    }
}

#[pymethods]
impl PySubscription {
    #[getter]
    fn producers(&self, py: Python<'_>) -> PyResult<Vec<[u8; 32]>> {
        let producers = quick(py, || Ok(self.0.producers()))?;
        Ok(producers.iter().map(|peer| *peer.as_bytes()).collect())
    }

    #[getter]
    fn received(&self) -> u64 {
        self.0.received()
    }

    #[getter]
    fn dropped(&self) -> u64 {
        self.0.dropped()
    }

    /// Ends it; again is a no-op.
    fn close(&self) {
        self.0.close();
    }
}
