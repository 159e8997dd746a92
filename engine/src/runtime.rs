//! The one tokio runtime of the process.

use std::sync::OnceLock;

use tokio::runtime::{Builder, Runtime};

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
            .worker_threads(2)
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
