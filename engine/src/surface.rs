//! What stands on a surface; postcard equal to `organismctl/identity/surface_item.py`.

use std::fmt;

use serde::de::{SeqAccess, Visitor};
use serde::ser::SerializeTuple;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{Error, SurfaceItem};

/// The key under which the marker stands on a map surface.
pub const MARKER_KEY: u64 = u64::MAX;

/// Longest fact, bytes.
pub const MAX_ITEM: usize = 1 << 20;
/// Longest text of a marker, bytes.
pub const MAX_TEXT: usize = 4096;
/// Most signatures on one certificate.
pub const MAX_SIGNATURES: usize = 255;

/// What one item says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Item {
    /// A public fact, opaque here.
    Fact(mosaik::Bytes),
    /// The last item of all.
    Retirement(RetirementMarker),
}

/// The last datum on every surface.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RetirementMarker {
    /// RFC 3339 in UTC, or `tick:N` (with `or TIME` to fall back on).
    pub effective_at: String,
    /// The replacement's REF, when there is one.
    pub replacement: Option<String>,
    /// Why, in the operator's words; may be empty.
    pub reason: String,
}

/// Signatures of roster members over one item.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Certificate {
    /// The version of the roster that signed.
    pub roster_version: u64,
    /// Peer id and signature, sorted by peer id, once each.
    pub signatures: Vec<([u8; 32], PeerSignature)>,
}

/// An ed25519 signature: 64 bytes without a length before them.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PeerSignature(pub [u8; 64]);

impl fmt::Debug for PeerSignature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PeerSignature({:02x}{:02x}…)", self.0[0], self.0[1])
    }
}

impl Serialize for PeerSignature {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut tuple = serializer.serialize_tuple(self.0.len())?;
        for byte in &self.0 {
            tuple.serialize_element(byte)?;
        }
        tuple.end()
    }
}

impl<'de> Deserialize<'de> for PeerSignature {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Bytes64;

        impl<'de> Visitor<'de> for Bytes64 {
            type Value = PeerSignature;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("64 bytes")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<PeerSignature, A::Error> {
                let mut bytes = [0; 64];
                for (place, byte) in bytes.iter_mut().enumerate() {
                    *byte =
                        seq.next_element()?.ok_or_else(|| serde::de::Error::invalid_length(place, &self))?;
                }
                Ok(PeerSignature(bytes))
            }
        }

        deserializer.deserialize_tuple(64, Bytes64)
    }
}

impl SurfaceItem {
    /// Reads one item and refuses what `organismctl` would refuse too.
    ///
    /// # Errors
    ///
    /// The bytes are not the postcard of an item, something follows it, a fact, text or certificate is too
    /// long, or the signatures are not sorted by peer, once each.
    pub fn decode_strict(data: &[u8]) -> Result<Self, Error> {
        let (item, rest) = postcard::take_from_bytes::<Self>(data)
            .map_err(|error| Error::invalid(format!("not a surface item: {error}")))?;
        if !rest.is_empty() {
            return Err(Error::invalid("bytes follow the surface item"));
        }
        item.check()?;
        Ok(item)
    }

    /// The item's postcard.
    ///
    /// # Errors
    ///
    /// None in practice: postcard can encode every item.
    pub fn encode_item(&self) -> Result<Vec<u8>, Error> {
        postcard::to_allocvec(self).map_err(|error| Error::failed(error.to_string()))
    }

    fn check(&self) -> Result<(), Error> {
        let long = match &self.item {
            Item::Fact(data) => data.len() > MAX_ITEM,
            Item::Retirement(marker) => {
                [Some(&marker.effective_at), marker.replacement.as_ref(), Some(&marker.reason)]
                    .into_iter()
                    .flatten()
                    .any(|text| text.len() > MAX_TEXT)
            }
        };
        if long {
            return Err(Error::invalid("a surface item that is too long"));
        }
        let signatures = &self.certificate.signatures;
        if signatures.len() > MAX_SIGNATURES {
            return Err(Error::invalid("a certificate with too many signatures"));
        }
        if signatures.windows(2).any(|pair| pair[0].0 >= pair[1].0) {
            return Err(Error::invalid("signatures that are not sorted by peer, once each"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(signers: &[u8]) -> SurfaceItem {
        SurfaceItem {
            seq: 300,
            height: 7,
            item: Item::Fact(mosaik::Bytes::from_static(b"a fact")),
            certificate: Certificate {
                roster_version: 2,
                signatures: signers.iter().map(|signer| ([*signer; 32], PeerSignature([9; 64]))).collect(),
            },
        }
    }

    #[test]
    fn an_item_has_the_documented_bytes() {
        let mut expected = vec![0xac, 0x02, 7, 0, 6];
        expected.extend(b"a fact");
        expected.extend([2, 1]);
        expected.extend([1; 32]);
        expected.extend([9; 64]);
        assert_eq!(item(&[1]).encode_item().unwrap(), expected);
    }

    #[test]
    fn a_marker_has_the_documented_bytes() {
        let marker = SurfaceItem {
            item: Item::Retirement(RetirementMarker {
                effective_at: "tick:9".into(),
                replacement: Some("REF".into()),
                reason: String::new(),
            }),
            ..item(&[])
        };
        let mut expected = vec![0xac, 0x02, 7, 1, 6];
        expected.extend(b"tick:9");
        expected.extend([1, 3]);
        expected.extend(b"REF");
        expected.extend([0, 2, 0]);
        assert_eq!(marker.encode_item().unwrap(), expected);
    }

    #[test]
    fn what_was_encoded_is_read_back() {
        let written = item(&[1, 2, 3]);
        assert_eq!(SurfaceItem::decode_strict(&written.encode_item().unwrap()), Ok(written));
    }

    #[test]
    fn rests_and_disorder_are_refused() {
        let mut rest = item(&[1]).encode_item().unwrap();
        rest.push(0);
        for bad in [rest, item(&[2, 1]).encode_item().unwrap(), item(&[1, 1]).encode_item().unwrap()] {
            assert!(SurfaceItem::decode_strict(&bad).is_err());
        }
    }

    #[test]
    fn no_truncation_is_accepted() {
        let whole = item(&[1, 2]).encode_item().unwrap();
        for length in 0..whole.len() {
            assert!(SurfaceItem::decode_strict(&whole[..length]).is_err(), "{length} bytes");
        }
    }
}
