//! What a group, stream or map requires of the other side: mosaik's own validators.

use std::sync::Arc;
use std::time::Duration;

use mosaik::tdx::{Measurement, MeasurementsCriteria, Tdx};
use mosaik::tickets::{EdDsa, Es256, Es384, Es512, Hs256, Hs384, Hs512, Jwt, TicketValidator, VerifyingKey};
use mosaik::{Digest, UniqueId};
use serde_json::{Map, Value};

use crate::Error;
use crate::address::peer_id;
use crate::entry::bare_entry;

/// A JWT policy, in mosaik's terms.
#[derive(Clone, Debug, Default)]
pub struct JwtPolicy {
    /// mosaik's name of the algorithm, and the key's bytes; in order, at least one.
    pub keys: Vec<(String, Vec<u8>)>,
    /// Admitted issuers; none: any.
    pub issuers: Vec<String>,
    /// Admitted audiences; none: any.
    pub audiences: Vec<String>,
    /// The required subject; none: the peer's id.
    pub subject: Option<String>,
    /// Longest remaining life.
    pub max_lifetime: Option<Duration>,
    /// Oldest admitted issue.
    pub max_age: Option<Duration>,
    /// Whether a ticket without an end is admitted.
    pub allow_non_expiring: bool,
    /// Claims that must be equal.
    pub claims: Map<String, Value>,
}

/// Registers of a TDX measurement; an unset one matches anything.
#[derive(Clone, Copy, Debug, Default)]
pub struct Variant {
    /// MRTD.
    pub mrtd: Option<[u8; 48]>,
    /// RTMR0 to RTMR3.
    pub rtmr: [Option<[u8; 48]>; 4],
}

/// A TDX policy, in mosaik's terms.
#[derive(Clone, Debug, Default)]
pub struct TdxPolicy {
    /// What every quote must show.
    pub baseline: Variant,
    /// Of which it must show one, when there are any.
    pub variants: Vec<Variant>,
    /// Oldest admitted quote.
    pub max_age: Option<Duration>,
    /// Quotes made before this Unix time are refused.
    pub not_before_s: Option<i64>,
    /// Longest admitted life.
    pub max_lifetime: Option<Duration>,
}

/// One of mosaik's validators.
#[derive(Clone)]
pub struct Validator(Arc<dyn TicketValidator>);

impl Validator {
    /// A JWT validator.
    ///
    /// # Errors
    ///
    /// No key, an unknown algorithm, or bytes that are no key of theirs.
    pub fn jwt(policy: &JwtPolicy) -> Result<Self, Error> {
        let mut keys = policy.keys.iter().map(|(name, key)| verifying_key(name, key));
        let first = keys.next().ok_or_else(|| Error::invalid("a JWT validator needs at least one key"))??;
        let mut jwt = Jwt::with_key(first);
        for key in keys {
            jwt = jwt.add_key(key?);
        }
        jwt = policy.issuers.iter().fold(jwt, Jwt::allow_issuer);
        jwt = policy.audiences.iter().fold(jwt, Jwt::allow_audience);
        if let Some(subject) = &policy.subject {
            jwt = jwt.require_subject(subject);
        }
        if let Some(limit) = policy.max_lifetime {
            jwt = jwt.max_lifetime(limit);
        }
        if let Some(limit) = policy.max_age {
            jwt = jwt.max_age(limit);
        }
        if policy.allow_non_expiring {
            jwt = jwt.allow_non_expiring();
        }
        for (name, value) in &policy.claims {
            jwt = jwt.require_claim(name, value.clone());
        }
        Ok(Self(Arc::new(jwt)))
    }

    /// A TDX validator.
    ///
    /// # Errors
    ///
    /// `not_before_s` is no time that mosaik can hold.
    pub fn tdx(policy: &TdxPolicy) -> Result<Self, Error> {
        let mut tdx = Tdx::baseline(criteria(&policy.baseline));
        for variant in &policy.variants {
            tdx = tdx.allow_variant(criteria(variant));
        }
        if let Some(limit) = policy.max_age {
            tdx = tdx.max_age(limit);
        }
        if let Some(seconds) = policy.not_before_s {
            let moment = chrono::DateTime::from_timestamp(seconds, 0)
                .ok_or_else(|| Error::invalid("a not_before beyond the calendar"))?;
            tdx = tdx.not_before(moment);
        }
        if let Some(limit) = policy.max_lifetime {
            tdx = tdx.max_lifetime(limit);
        }
        Ok(Self(Arc::new(tdx)))
    }

    /// mosaik's signature of the policy.
    #[must_use]
    pub fn signature(&self) -> UniqueId {
        self.0.signature()
    }

    /// The class of the tickets that it reads.
    #[must_use]
    pub fn class(&self) -> UniqueId {
        self.0.class()
    }

    /// mosaik's own verdict on a ticket of `peer` in `network`, as of now.
    ///
    /// # Errors
    ///
    /// The peer id is none.
    pub fn admits(&self, peer: &[u8; 32], network: &[u8; 32], data: &[u8]) -> Result<bool, Error> {
        let entry = bare_entry(peer_id(peer)?, Digest::from_bytes(*network))?;
        Ok(self.0.validate(data, &entry).is_ok())
    }

    pub(crate) fn shared(&self) -> Arc<dyn TicketValidator> {
        Arc::clone(&self.0)
    }
}

/// One signature for a list of validators, to compare two lists by.
pub(crate) fn signatures(validators: &[Validator]) -> Vec<UniqueId> {
    validators.iter().map(Validator::signature).collect()
}

fn verifying_key(name: &str, key: &[u8]) -> Result<VerifyingKey, Error> {
    fn sized<const N: usize>(name: &str, key: &[u8]) -> Result<[u8; N], Error> {
        key.try_into()
            .map_err(|_| Error::invalid(format!("a key of {name} has {N} bytes, not {}", key.len())))
    }
    let made = match name {
        "HS256" => Hs256::new(sized(name, key)?).into(),
        "HS384" => Hs384::new(sized(name, key)?).into(),
        "HS512" => Hs512::new(sized(name, key)?).into(),
        "ES256" => on_curve(Es256::new(sized(name, key)?))?,
        "ES384" => on_curve(Es384::new(sized(name, key)?))?,
        "ES512" => on_curve(Es512::new(sized(name, key)?))?,
        "EdDSA" => on_curve(EdDsa::new(sized(name, key)?))?,
        _ => return Err(Error::invalid(format!("mosaik knows no JWT algorithm {name:?}"))),
    };
    Ok(made)
}

/// mosaik panics on bytes that are no point of the curve; here they are an error like any other.
fn on_curve<K: Into<VerifyingKey> + std::panic::UnwindSafe>(key: K) -> Result<VerifyingKey, Error> {
    crate::runtime::quietly(|| key.into())
        .ok_or_else(|| Error::invalid("a key that is no point of its curve"))
}

fn criteria(variant: &Variant) -> MeasurementsCriteria {
    MeasurementsCriteria {
        mrtd: variant.mrtd.map(Measurement::new),
        rtmr: variant.rtmr.map(|register| register.map(Measurement::new)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(name: &str, key: &[u8]) -> JwtPolicy {
        JwtPolicy { keys: vec![(name.to_owned(), key.to_vec())], ..JwtPolicy::default() }
    }

    #[test]
    fn what_is_no_key_is_an_error() {
        for (name, key) in [
            ("HS256", vec![0; 31]),
            ("ES256", vec![0; 33]),
            ("ES384", vec![7; 49]),
            ("ES512", vec![0; 67]),
            ("EdDSA", [[2u8; 31].as_slice(), &[0xff]].concat()),
            ("ES256K", vec![2; 33]),
        ] {
            assert!(Validator::jwt(&policy(name, &key)).is_err(), "{name}");
        }
        assert!(Validator::jwt(&JwtPolicy::default()).is_err());
    }

    #[test]
    fn the_order_of_keys_is_part_of_the_signature() {
        let mut both = policy("HS256", &[1; 32]);
        both.keys.push(("HS256".into(), vec![2; 32]));
        let one = Validator::jwt(&both).unwrap().signature();
        both.keys.reverse();
        assert_ne!(one, Validator::jwt(&both).unwrap().signature());
    }

    #[test]
    fn rubbish_is_not_admitted() {
        let peer = mosaik::iroh::SecretKey::from_bytes(&[1; 32]).public();
        for validator in [
            Validator::jwt(&policy("HS256", &[1; 32])).unwrap(),
            Validator::tdx(&TdxPolicy::default()).unwrap(),
        ] {
            for data in [&b""[..], b"a.b.c", &[0xff; 4000]] {
                assert_eq!(validator.admits(peer.as_bytes(), &[0; 32], data), Ok(false));
            }
        }
    }
}
