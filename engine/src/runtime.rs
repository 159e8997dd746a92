//! The tokio runtimes: one of the process, and one for what each node holds open.

use std::sync::OnceLock;

use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinHandle;

use crate::Error;

static RUNTIME: OnceLock<(u32, Result<Runtime, String>)> = OnceLock::new();

/// The runtime, started at its first use.
///
/// # Errors
///
/// The system refused threads, or this process was forked off one that had started it already (threads do
/// not survive a fork).
pub fn runtime() -> Result<&'static Runtime, Error> {
    let pid = std::process::id();
    let (owner, runtime) = RUNTIME.get_or_init(|| {
        let built = Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("organismctl-engine")
            .enable_all()
            .build();
        (pid, built.map_err(|error| error.to_string()))
    });
    if *owner != pid {
        return Err(Error::failed(
            "the engine does not survive a fork; start this process with the spawn method",
        ));
    }
    runtime
        .as_ref()
        .map_err(|error| Error::failed(format!("the engine's threads could not be started: {error}")))
}

/// The threads on which a node was built: its sockets are driven by them, and end with them at the latest.
pub(crate) struct Threads(Option<Runtime>);

impl Threads {
    pub(crate) fn start() -> Result<Self, Error> {
        let built = Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("organismctl-network")
            .enable_all()
            .build();
        built
            .map(|runtime| Self(Some(runtime)))
            .map_err(|error| Error::failed(format!("the network's threads could not be started: {error}")))
    }

    pub(crate) fn spawn<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> JoinHandle<T> {
        self.0.as_ref().expect("there until dropped").spawn(work)
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        // Waits for nothing: the last handle may go on one of these threads.
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

/// Runs what may panic inside mosaik; a panic is `None`, and says nothing on standard error.
pub(crate) fn quietly<T>(work: impl FnOnce() -> T + std::panic::UnwindSafe) -> Option<T> {
    QUIET.with(|quiet| quiet.set(true));
    install_hook();
    let outcome = std::panic::catch_unwind(work);
    QUIET.with(|quiet| quiet.set(false));
    outcome.ok()
}

thread_local! {
    static QUIET: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
}

fn install_hook() {
    static HOOK: std::sync::Once = std::sync::Once::new();
    HOOK.call_once(|| {
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if !QUIET.with(std::cell::Cell::get) {
                usual(info);
            }
        }));
    });
}

/// What a caught panic said.
pub(crate) fn panic_text(payload: &(dyn std::any::Any + Send)) -> String {
    payload
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "without a word".to_owned())
}
