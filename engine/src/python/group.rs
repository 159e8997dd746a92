//! `Group`, `GroupStatus`, `ItemMap`.

use mosaik::Bytes;
use pyo3::prelude::*;

use super::{quick, seconds, wait};
use crate::{Group, GroupStatus, ItemMap};

/// A joined group.
#[pyclass(frozen, name = "Group", module = "organismctl_engine")]
pub(super) struct PyGroup(pub(super) Group);

/// A group as one node sees it.
#[pyclass(frozen, name = "GroupStatus", module = "organismctl_engine")]
pub(super) struct PyGroupStatus(GroupStatus);

/// A surface as a replicated map.
#[pyclass(frozen, name = "ItemMap", module = "organismctl_engine")]
pub(super) struct PyItemMap(pub(super) ItemMap);

#[pymethods]
impl PyGroup {
    #[getter]
    fn id(&self) -> [u8; 32] {
        *self.0.id().as_bytes()
    }

    /// What this node knows of the group now.
    fn status(&self, py: Python<'_>) -> PyResult<PyGroupStatus> {
        quick(py, || self.0.status()).map(PyGroupStatus)
    }

    /// Bare mosaik's answer: the index of the last command.
    fn execute(&self, py: Python<'_>, commands: Vec<Vec<u8>>, timeout_s: f64) -> PyResult<u64> {
        let limit = seconds(timeout_s, "timeout_s")?;
        let commands = commands.into_iter().map(Bytes::from).collect();
        wait(py, self.0.execute(commands, limit))
    }

    /// Every command that this node's machine applied.
    fn applied(&self, py: Python<'_>) -> PyResult<Vec<Vec<u8>>> {
        let commands = quick(py, || self.0.applied())?;
        Ok(commands.iter().map(|command| command.to_vec()).collect())
    }

    /// Leaves; again is a no-op.
    fn leave(&self, py: Python<'_>) -> PyResult<()> {
        quick(py, || {
            self.0.leave();
            Ok(())
        })
    }
}

#[pymethods]
impl PyGroupStatus {
    #[getter]
    fn leader(&self) -> Option<[u8; 32]> {
        self.0.leader.map(|peer| *peer.as_bytes())
    }

    #[getter]
    fn bonds(&self) -> Vec<[u8; 32]> {
        self.0.bonds.iter().map(|peer| *peer.as_bytes()).collect()
    }

    #[getter]
    fn committed(&self) -> u64 {
        self.0.committed
    }

    #[getter]
    fn term(&self) -> u64 {
        self.0.term
    }

    #[getter]
    fn index(&self) -> u64 {
        self.0.index
    }

    #[getter]
    fn online(&self) -> bool {
        self.0.online
    }

    fn __repr__(&self) -> String {
        format!(
            "GroupStatus(leader={}, bonds={}, committed={}, term={}, index={}, online={})",
            self.0.leader.map_or("None".to_owned(), |peer| peer.fmt_short().to_string()),
            self.0.bonds.len(),
            self.0.committed,
            self.0.term,
            self.0.index,
            if self.0.online { "True" } else { "False" },
        )
    }
}

#[pymethods]
impl PyItemMap {
    #[getter]
    fn group_id(&self) -> [u8; 32] {
        *self.0.group_id().as_bytes()
    }

    /// Writes an item, and waits until the map has it.
    fn insert(&self, py: Python<'_>, key: u64, item: &[u8], timeout_s: f64) -> PyResult<()> {
        let limit = seconds(timeout_s, "timeout_s")?;
        wait(py, self.0.insert(key, item, limit))
    }

    /// The item under a key, as postcard.
    fn get(&self, py: Python<'_>, key: u64) -> PyResult<Option<Vec<u8>>> {
        quick(py, || self.0.get(key))
    }

    /// Every key, in ascending order.
    fn keys(&self, py: Python<'_>) -> PyResult<Vec<u64>> {
        quick(py, || self.0.keys())
    }

    /// Whether the map can be written to, or is caught up.
    fn online(&self, py: Python<'_>) -> PyResult<bool> {
        quick(py, || Ok(self.0.online()))
    }

    /// Leaves; again is a no-op.
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        quick(py, || {
            self.0.close();
            Ok(())
        })
    }
}
