//! The group's machine: it keeps no state, and records what it applied when a test asks for that.

use mosaik::Bytes;
use mosaik::groups::{ApplyContext, LogReplaySync, StateMachine};
use mosaik::{Digest, UniqueId};

use crate::Machine;
use crate::network::lock;

impl Machine {
    /// A machine with the given signature and log replay settings, which are all part of the group id.
    #[must_use]
    pub fn new(
        signature: [u8; 32],
        batch: std::num::NonZero<u64>,
        fetch_timeout: std::time::Duration,
    ) -> Self {
        Self { signature: Digest::from_bytes(signature), batch, fetch_timeout, applied: None }
    }
}

impl StateMachine for Machine {
    type Command = Bytes;
    type Query = ();
    type QueryResult = ();
    type StateSync = LogReplaySync<Self>;

    fn signature(&self) -> UniqueId {
        self.signature
    }

    fn apply(&mut self, command: Bytes, _: &dyn ApplyContext) {
        if let Some(applied) = &self.applied {
            lock(applied).push(command);
        }
    }

    fn query(&self, (): ()) {}

    fn state_sync(&self) -> LogReplaySync<Self> {
        LogReplaySync::default().with_batch_size(self.batch).with_fetch_timeout(self.fetch_timeout)
    }
}
