"""Nodes that speak TLS: to clients and to each other."""

from __future__ import annotations

import ipaddress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from organismctl.committee.client import NodeClient
from organismctl.errors import InputError, UnreachableError
from tests.support.committee import make_committee


def certificate(folder: Path) -> tuple[Path, Path]:
    """A self-signed certificate for 127.0.0.1, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "acme test")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    cert, secret = folder / "node.pem", folder / "node.key"
    cert.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    secret.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return cert, secret


def test_nodes_bond_and_answer_over_tls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cert, key = certificate(tmp_path)
    committee = make_committee(tmp_path / "acme", names=["node-a", "node-b"])
    text = committee.deployment.read_text().replace("http://", "https://")
    committee.deployment.write_text(
        text.replace('executor = "command"', f'executor = "command"\nca = "{cert}"')
    )
    committee.scheme, committee.ca = "https", cert
    committee.serve = ("--tls-cert", str(cert), "--tls-key", str(key))
    given = tmp_path / "credentials" / "organismctl.tls_key"
    given.parent.mkdir()
    try:
        committee.start("node-a", wait=False)
        # The other one's key is a credential of its service.
        given.write_bytes(key.read_bytes())
        given.chmod(0o400)
        monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(given.parent))
        committee.serve = ("--tls-cert", str(cert))
        committee.start("node-b")
        committee.wait_up("node-a")
        committee.agree(at_least=5)
        assert {bond["connected"] for bond in committee.status("node-a")["bonds"]} == {True}
        with (
            NodeClient(committee.url("node-a")) as stranger,
            pytest.raises(UnreachableError, match="certificate"),
        ):
            stranger.health()
        with NodeClient(committee.url("node-a"), ca=tmp_path / "no.pem") as wrong, pytest.raises(InputError):
            wrong.health()
    finally:
        committee.close()
