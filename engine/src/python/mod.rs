//! The extension module: types at the border, no logic.
//!
//! Every wait gives up the interpreter's lock and looks for signals five times a second; every panic and
//! every failure becomes an `EngineError`.

mod group;
mod network;
mod relay;
mod streams;
mod validator;

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures::FutureExt;
use pyo3::create_exception;
use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use tokio::time::timeout;

use crate::runtime::{panic_text, runtime};
use crate::{Error, MOSAIK_VERSION};

create_exception!(
    organismctl_engine,
    EngineError,
    PyRuntimeError,
    "What the engine, the network or mosaik could not do; its text is a plain sentence."
);

/// How long a wait goes without a look for signals (Ctrl-C).
const SLICE: Duration = Duration::from_millis(200);

impl From<Error> for PyErr {
    fn from(error: Error) -> Self {
        match error {
            Error::Invalid(what) => PyValueError::new_err(what),
            Error::Failed(what) => EngineError::new_err(what),
        }
    }
}

fn panicked(payload: &(dyn std::any::Any + Send)) -> PyErr {
    EngineError::new_err(format!("mosaik panicked: {}", panic_text(payload)))
}

/// Short work inside the runtime, without the interpreter's lock.
fn quick<T: Send>(py: Python<'_>, work: impl FnOnce() -> Result<T, Error> + Send) -> PyResult<T> {
    let runtime = runtime()?;
    let outcome = py.detach(|| {
        let _inside = runtime.enter();
        std::panic::catch_unwind(AssertUnwindSafe(work))
    });
    match outcome {
        Ok(result) => Ok(result?),
        Err(panic) => Err(panicked(&*panic)),
    }
}

/// Work of some microseconds inside the runtime, with the interpreter's lock.
fn at_once<T>(work: impl FnOnce() -> T) -> PyResult<T> {
    let _inside = runtime()?.enter();
    std::panic::catch_unwind(AssertUnwindSafe(work)).map_err(|panic| panicked(&*panic))
}

/// Waits for a future without the interpreter's lock; Ctrl-C ends the wait.
fn wait<T: Send>(py: Python<'_>, work: impl Future<Output = Result<T, Error>> + Send) -> PyResult<T> {
    let runtime = runtime()?;
    let mut work = Box::pin(AssertUnwindSafe(work).catch_unwind());
    loop {
        let slice = py.detach(|| runtime.block_on(async { timeout(SLICE, &mut work).await }));
        match slice {
            Ok(Ok(result)) => return Ok(result?),
            Ok(Err(panic)) => return Err(panicked(&*panic)),
            Err(_) => py.check_signals()?,
        }
    }
}

/// 32 bytes, or a `ValueError` that names the argument.
fn id(bytes: &[u8], name: &str) -> PyResult<[u8; 32]> {
    bytes
        .try_into()
        .map_err(|_| PyValueError::new_err(format!("{name} must be 32 bytes, not {}", bytes.len())))
}

/// Seconds as Python gives them.
fn seconds(value: f64, name: &str) -> PyResult<Duration> {
    Duration::try_from_secs_f64(value)
        .ok()
        .filter(|duration| *duration < Duration::from_secs(u32::MAX.into()))
        .ok_or_else(|| PyValueError::new_err(format!("{name} must be a number of seconds, not {value}")))
}

/// Golden vectors out of mosaik's own types, as JSON.
#[pyfunction]
fn vectors(py: Python<'_>, seed: u64, count: usize) -> PyResult<String> {
    wait(py, crate::vectors(seed, count))
}

/// Closes every network that is still open; runs at the interpreter's exit.
#[pyfunction]
fn _close_all(py: Python<'_>) -> PyResult<()> {
    network::close_all(py)
}

/// `ORGANISMCTL_ENGINE_LOG=debug` (or a filter of tracing's) shows on standard error what mosaik and iroh say.
fn log_where_asked() {
    let Ok(filter) = std::env::var("ORGANISMCTL_ENGINE_LOG") else { return };
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::new(filter))
        .with_writer(std::io::stderr)
        .with_ansi(false);
    // A second import finds one set: that is as good.
    let _ = subscriber.try_init();
}

#[pymodule]
fn organismctl_engine(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let py = module.py();
    log_where_asked();
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add("MOSAIK_VERSION", MOSAIK_VERSION)?;
    module.add("EngineError", py.get_type::<EngineError>())?;
    module.add_class::<relay::PyRelay>()?;
    module.add_class::<validator::PyValidator>()?;
    module.add_class::<network::PyNetwork>()?;
    module.add_class::<group::PyGroup>()?;
    module.add_class::<group::PyGroupStatus>()?;
    module.add_class::<group::PyItemMap>()?;
    module.add_class::<streams::PyProducer>()?;
    module.add_class::<streams::PyInbox>()?;
    module.add_class::<streams::PySubscription>()?;
    module.add_function(wrap_pyfunction!(vectors, module)?)?;
    let close_all = wrap_pyfunction!(_close_all, module)?;
    module.add_function(close_all.clone())?;
    py.import("atexit")?.call_method1("register", (close_all,))?;
    Ok(())
}
