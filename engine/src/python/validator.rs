//! `Validator`.

use std::collections::HashMap;
use std::time::Duration;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use super::{id, quick};
use crate::{JwtPolicy, TdxPolicy, Validator, Variant};

/// What a group, stream or map requires of the other side.
#[pyclass(frozen, from_py_object, name = "Validator", module = "organismctl_engine")]
#[derive(Clone)]
pub(super) struct PyValidator(pub(super) Validator);

#[pymethods]
impl PyValidator {
    /// mosaik's JWT validator; `claims` is the text of a JSON object.
    #[staticmethod]
    #[pyo3(signature = (keys, *, issuers = vec![], audiences = vec![], subject = None, max_lifetime_s = None,
                        max_age_s = None, allow_non_expiring = false, claims = "{}"))]
    #[expect(clippy::too_many_arguments, reason = "keyword arguments of Python")]
    fn jwt(
        py: Python<'_>,
        keys: Vec<(String, Vec<u8>)>,
        issuers: Vec<String>,
        audiences: Vec<String>,
        subject: Option<String>,
        max_lifetime_s: Option<u64>,
        max_age_s: Option<u64>,
        allow_non_expiring: bool,
        claims: &str,
    ) -> PyResult<Self> {
        let claims = serde_json::from_str(claims)
            .map_err(|error| PyValueError::new_err(format!("claims must be a JSON object: {error}")))?;
        let policy = JwtPolicy {
            keys,
            issuers,
            audiences,
            subject,
            max_lifetime: max_lifetime_s.map(Duration::from_secs),
            max_age: max_age_s.map(Duration::from_secs),
            allow_non_expiring,
            claims,
        };
        quick(py, || Validator::jwt(&policy)).map(Self)
    }

    /// mosaik's TDX validator; a variant names some of mrtd, rtmr0 .. rtmr3.
    #[staticmethod]
    #[pyo3(signature = (*, mrtd = None, rtmr0 = None, rtmr1 = None, rtmr2 = None, rtmr3 = None, variants = vec![],
                        max_age_s = None, not_before_unix_s = None, max_lifetime_s = None))]
    #[expect(clippy::too_many_arguments, reason = "keyword arguments of Python")]
    #[expect(clippy::needless_pass_by_value, reason = "a list of Python's is made into one of ours")]
    fn tdx(
        py: Python<'_>,
        mrtd: Option<&[u8]>,
        rtmr0: Option<&[u8]>,
        rtmr1: Option<&[u8]>,
        rtmr2: Option<&[u8]>,
        rtmr3: Option<&[u8]>,
        variants: Vec<HashMap<String, Vec<u8>>>,
        max_age_s: Option<u64>,
        not_before_unix_s: Option<i64>,
        max_lifetime_s: Option<u64>,
    ) -> PyResult<Self> {
        let mut baseline =
            Variant { mrtd: mrtd.map(|value| register("mrtd", value)).transpose()?, rtmr: [None; 4] };
        for (place, value) in [rtmr0, rtmr1, rtmr2, rtmr3].into_iter().enumerate() {
            baseline.rtmr[place] = value.map(|value| register("rtmr", value)).transpose()?;
        }
        let policy = TdxPolicy {
            baseline,
            variants: variants.iter().map(variant).collect::<PyResult<_>>()?,
            max_age: max_age_s.map(Duration::from_secs),
            not_before_s: not_before_unix_s,
            max_lifetime: max_lifetime_s.map(Duration::from_secs),
        };
        quick(py, || Validator::tdx(&policy)).map(Self)
    }

    #[getter]
    fn signature(&self) -> [u8; 32] {
        *self.0.signature().as_bytes()
    }

    #[getter]
    fn ticket_class(&self) -> [u8; 32] {
        *self.0.class().as_bytes()
    }

    /// mosaik's own verdict on a ticket, now.
    fn admits(&self, py: Python<'_>, peer_id: &[u8], network: &[u8], data: &[u8]) -> PyResult<bool> {
        let (peer, network) = (id(peer_id, "peer_id")?, id(network, "network")?);
        quick(py, || self.0.admits(&peer, &network, data))
    }
}

fn variant(named: &HashMap<String, Vec<u8>>) -> PyResult<Variant> {
    let mut variant = Variant::default();
    for (name, value) in named {
        let value = Some(register(name, value)?);
        match name.as_str() {
            "mrtd" => variant.mrtd = value,
            "rtmr0" => variant.rtmr[0] = value,
            "rtmr1" => variant.rtmr[1] = value,
            "rtmr2" => variant.rtmr[2] = value,
            "rtmr3" => variant.rtmr[3] = value,
            _ => return Err(PyValueError::new_err(format!("a variant has no register {name:?}"))),
        }
    }
    Ok(variant)
}

fn register(name: &str, value: &[u8]) -> PyResult<[u8; 48]> {
    value
        .try_into()
        .map_err(|_| PyValueError::new_err(format!("{name} must be 48 bytes, not {}", value.len())))
}
