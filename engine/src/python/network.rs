//! `Network`.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use mosaik::PeerId;
use pyo3::prelude::*;

use super::group::{PyGroup, PyItemMap};
use super::streams::{PyInbox, PyProducer};
use super::validator::PyValidator;
use super::{id, quick, seconds, wait};
use crate::address::peer_id;
use crate::network::lock;
use crate::{Group, GroupConfig, Inbox, ItemMap, Node, NodeConfig, Producer, Validator};

/// Networks that are open, for the interpreter's exit.
static OPEN: Mutex<Vec<Weak<Node>>> = Mutex::new(Vec::new());

/// One mosaik node.
#[pyclass(frozen, name = "Network", module = "organismctl_engine")]
pub(super) struct PyNetwork(Arc<Node>);

pub(super) fn close_all(py: Python<'_>) -> PyResult<()> {
    let nodes: Vec<Arc<Node>> = lock(&OPEN).drain(..).filter_map(|node| node.upgrade()).collect();
    if nodes.iter().all(|node| node.is_closed()) {
        return Ok(());
    }
    wait(py, async {
        let closes = nodes.iter().map(|node| node.close(Duration::from_millis(1500)));
        futures::future::join_all(closes).await;
        Ok(())
    })
}

type Tickets = Vec<(Vec<u8>, Vec<u8>)>;

#[pymethods]
impl PyNetwork {
    /// Starts a node and waits until it is reachable.
    #[staticmethod]
    #[pyo3(signature = (network, secret_key, *, relay = None, bind = vec![], bootstrap = vec![], tickets = vec![],
                        announce_s = 5.0, timeout_s = 30.0))]
    #[expect(clippy::too_many_arguments, reason = "keyword arguments of Python")]
    fn start(
        py: Python<'_>,
        network: &[u8],
        secret_key: &[u8],
        relay: Option<String>,
        bind: Vec<String>,
        bootstrap: Vec<(Vec<u8>, Vec<String>)>,
        tickets: Tickets,
        announce_s: f64,
        timeout_s: f64,
    ) -> PyResult<Self> {
        let config = NodeConfig {
            network: id(network, "network")?,
            secret_key: id(secret_key, "secret_key")?,
            relay,
            bind,
            bootstrap: bootstrap
                .into_iter()
                .map(|(peer, hosts)| Ok((id(&peer, "a bootstrap peer's id")?, hosts)))
                .collect::<PyResult<_>>()?,
            tickets: classes(tickets)?,
            announce: seconds(announce_s, "announce_s")?.max(Duration::from_millis(100)),
            timeout: seconds(timeout_s, "timeout_s")?,
        };
        let node = Arc::new(wait(py, Node::start(config))?);
        let mut open = lock(&OPEN);
        open.retain(|node| node.strong_count() > 0);
        open.push(Arc::downgrade(&node));
        drop(open);
        Ok(Self(node))
    }

    #[getter]
    fn peer_id(&self) -> [u8; 32] {
        *self.0.peer_id().as_bytes()
    }

    #[getter]
    fn addresses(&self, py: Python<'_>) -> PyResult<Vec<String>> {
        quick(py, || self.0.addresses())
    }

    /// Exchanges catalogs with a peer.
    #[pyo3(signature = (peer_id, addresses, timeout_s = 5.0))]
    #[expect(clippy::needless_pass_by_value, reason = "a list of Python's is made into one of ours")]
    fn sync_with(
        &self,
        py: Python<'_>,
        peer_id: &[u8],
        addresses: Vec<String>,
        timeout_s: f64,
    ) -> PyResult<()> {
        let peer = id(peer_id, "peer_id")?;
        let limit = seconds(timeout_s, "timeout_s")?;
        wait(py, self.0.sync_with(&peer, &addresses, limit))
    }

    /// Publishes these tickets and no others.
    fn set_tickets(&self, py: Python<'_>, tickets: Tickets) -> PyResult<()> {
        let tickets = classes(tickets)?;
        quick(py, || self.0.set_tickets(&tickets))
    }

    /// Postcard of every signed entry in the catalog.
    fn catalog(&self, py: Python<'_>) -> PyResult<Vec<u8>> {
        quick(py, || self.0.catalog())
    }

    /// The peers in the catalog.
    fn peers(&self, py: Python<'_>) -> PyResult<Vec<[u8; 32]>> {
        let peers = quick(py, || self.0.peers())?;
        Ok(peers.iter().map(|peer| *peer.as_bytes()).collect())
    }

    /// Joins a group.
    #[pyo3(signature = (secret, signature, *, validators = vec![], batch = 2000, fetch_timeout_s = 25,
                        heartbeat_ms = 500, heartbeat_jitter_ms = 150, max_missed_heartbeats = 10, record = false))]
    #[expect(clippy::too_many_arguments, reason = "keyword arguments of Python")]
    fn group(
        &self,
        py: Python<'_>,
        secret: &[u8],
        signature: &[u8],
        validators: Vec<PyValidator>,
        batch: u64,
        fetch_timeout_s: u64,
        heartbeat_ms: u64,
        heartbeat_jitter_ms: u64,
        max_missed_heartbeats: u32,
        record: bool,
    ) -> PyResult<PyGroup> {
        let config = GroupConfig {
            secret: id(secret, "secret")?,
            signature: id(signature, "signature")?,
            validators: inner(validators),
            batch,
            fetch_timeout: Duration::from_secs(fetch_timeout_s),
            heartbeat: Duration::from_millis(heartbeat_ms),
            heartbeat_jitter: Duration::from_millis(heartbeat_jitter_ms),
            max_missed_heartbeats,
            record,
        };
        quick(py, || Group::join(&self.0, &config)).map(PyGroup)
    }

    /// Begins to produce a stream.
    #[pyo3(signature = (stream_id, *, validators = vec![], only = None, buffer = 1024))]
    fn producer(
        &self,
        py: Python<'_>,
        stream_id: &[u8],
        validators: Vec<PyValidator>,
        only: Option<Vec<Vec<u8>>>,
        buffer: usize,
    ) -> PyResult<PyProducer> {
        let stream = id(stream_id, "stream_id")?;
        let (only, validators) = (peers(only)?, inner(validators));
        quick(py, || Producer::open(&self.0, stream, &validators, only, buffer)).map(PyProducer)
    }

    /// A queue for subscriptions.
    fn inbox(&self) -> PyInbox {
        PyInbox::new(Arc::clone(&self.0), Inbox::new())
    }

    /// Joins a map's writers.
    #[pyo3(signature = (store_id, *, validators = vec![]))]
    fn map_writer(
        &self,
        py: Python<'_>,
        store_id: &[u8],
        validators: Vec<PyValidator>,
    ) -> PyResult<PyItemMap> {
        let (store, validators) = (id(store_id, "store_id")?, inner(validators));
        quick(py, || ItemMap::writer(&self.0, store, &validators)).map(PyItemMap)
    }

    /// Joins a map as a reader.
    #[pyo3(signature = (store_id, *, validators = vec![]))]
    fn map_reader(
        &self,
        py: Python<'_>,
        store_id: &[u8],
        validators: Vec<PyValidator>,
    ) -> PyResult<PyItemMap> {
        let (store, validators) = (id(store_id, "store_id")?, inner(validators));
        quick(py, || ItemMap::reader(&self.0, store, &validators)).map(PyItemMap)
    }

    /// Leaves everything and closes the node; again is a no-op.
    #[pyo3(signature = (grace_s = 1.5))]
    fn close(&self, py: Python<'_>, grace_s: f64) -> PyResult<()> {
        let grace = seconds(grace_s, "grace_s")?;
        wait(py, async {
            self.0.close(grace).await;
            Ok(())
        })
    }
}

fn classes(tickets: Tickets) -> PyResult<Vec<([u8; 32], Vec<u8>)>> {
    tickets.into_iter().map(|(class, data)| Ok((id(&class, "a ticket's class")?, data))).collect()
}

pub(super) fn inner(validators: Vec<PyValidator>) -> Vec<Validator> {
    validators.into_iter().map(|one| one.0).collect()
}

pub(super) fn peers(only: Option<Vec<Vec<u8>>>) -> PyResult<Option<BTreeSet<PeerId>>> {
    only.map(|peers| peers.iter().map(|peer| Ok(peer_id(&id(peer, "a peer id")?)?)).collect()).transpose()
}
