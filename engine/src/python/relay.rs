//! `Relay`.

use pyo3::prelude::*;

use super::wait;
use crate::Relay;

/// A plain-HTTP iroh relay for sites without internet.
#[pyclass(frozen, name = "Relay", module = "organismctl_engine")]
pub(super) struct PyRelay(Relay);

#[pymethods]
impl PyRelay {
    /// Listens on host and port (0: any).
    #[staticmethod]
    fn start(py: Python<'_>, host: &str, port: u16) -> PyResult<Self> {
        wait(py, Relay::start(host, port)).map(Self)
    }

    #[getter]
    fn url(&self) -> &str {
        self.0.url()
    }

    /// Stops it; again is a no-op.
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        wait(py, self.0.close())
    }
}
