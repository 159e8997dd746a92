//! Stream data whose encoding is the identity.

use std::convert::Infallible;

use mosaik::{Bytes, Datum};

/// Bytes that go over a stream as they are, so that the other side may decode them as any datum.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Raw(pub Bytes);

impl Datum for Raw {
    type EncodeError = Infallible;
    type DecodeError = Infallible;

    fn encode(&self) -> Result<Bytes, Infallible> {
        Ok(self.0.clone())
    }

    fn decode(bytes: &[u8]) -> Result<Self, Infallible> {
        Ok(Self(Bytes::copy_from_slice(bytes)))
    }
}
