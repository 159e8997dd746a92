"""Credentials of a service go before the files of deployment.toml, and are refused when others may read them."""

from __future__ import annotations

import os
import struct
from pathlib import Path

import pytest

from organismctl.committee.node.settings import load_settings
from organismctl.errors import InputError, RefusedError
from organismctl.files.credentials import credential, is_credential, node_key_file, secret_file
from organismctl.files.deployment import cross_check, load_deployment
from organismctl.files.organism import load_organism
from organismctl.files.secret import read_secret
from organismctl.observe.sources import node_addresses, observer_of
from organismctl.runbook.redact import secrets_of
from tests.support.committee import Committee, make_committee

CANARY = "canary-not-a-real-secret"
SEED = "07" * 32


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that a service's manager would have made."""
    made = tmp_path / "credentials"
    made.mkdir(mode=0o700)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(made))
    return made


def give(folder: Path, name: str, value: str, mode: int = 0o400) -> Path:
    path = folder / name
    path.write_text(value)
    path.chmod(mode)
    return path


def move(committee: Committee, folder: Path) -> None:
    """A committee's secrets become one service's credentials; nothing stays where deployment.toml says."""
    named = {"group.secret": "group", "read.token": "read_token", "operate.token": "operate_token"}
    for file in (committee.folder / "secrets").iterdir():
        name = named.get(file.name, f"key.{file.stem}")
        give(folder, f"organismctl.{name}", file.read_text())
        file.unlink()


def test_a_credential_goes_first_and_the_file_stands_in(tmp_path: Path, folder: Path) -> None:
    committee = make_committee(tmp_path / "c", names=("node-a",))
    deployment = load_deployment(committee.deployment)
    assert secret_file(deployment, "group") == committee.folder / "secrets" / "group.secret"
    given = give(folder, "organismctl.group", CANARY)
    assert secret_file(deployment, "group") == given
    assert secret_file(deployment, "read_token") == committee.folder / "secrets" / "read.token"
    assert read_secret(given).reveal() == CANARY
    assert CANARY in secrets_of(deployment)


def test_a_node_starts_with_credentials_alone(tmp_path: Path, folder: Path) -> None:
    committee = make_committee(tmp_path / "c", names=("node-a", "node-b", "node-c"))
    before = load_settings(committee.deployment, "node-a")
    move(committee, folder)
    deployment = load_deployment(committee.deployment)
    settings = load_settings(committee.deployment, "node-a")
    assert settings.peer_id == before.peer_id
    assert settings.group_id == before.group_id
    assert settings.read_token == before.read_token
    assert settings.operate_token == before.operate_token
    assert node_addresses(deployment)[0].token == before.read_token.reveal()
    # A deployment.toml may then say nothing of them at all.
    text = committee.deployment.read_text().replace('key = "secrets/node-a.key"\n', "")
    head, _, rest = text.partition("[secrets]\n")
    committee.deployment.write_text(head + rest[rest.index("[[node]]") :])
    assert load_settings(committee.deployment, "node-a").peer_id == before.peer_id
    (folder / "organismctl.operate_token").unlink()
    with pytest.raises(InputError, match=r"does not name secrets\.operate_token"):
        load_settings(committee.deployment, "node-a")


def test_the_wrong_key_is_refused_from_wherever_it_comes(tmp_path: Path, folder: Path) -> None:
    committee = make_committee(tmp_path / "c", names=("node-a", "node-b", "node-c"))
    given = give(folder, "organismctl.key.node-a", SEED)
    with pytest.raises(InputError, match="does not hold the key") as caught:
        load_settings(committee.deployment, "node-a")
    assert str(given) in caught.value.message
    assert SEED not in caught.value.message


def test_the_observer(tmp_path: Path, folder: Path) -> None:
    committee = make_committee(tmp_path / "c", names=("node-a",))
    deployment = load_deployment(committee.deployment)
    assert observer_of(deployment).seed is None
    give(folder, "organismctl.observer_key", SEED)
    assert observer_of(deployment).seed == bytes.fromhex(SEED)


def test_a_file_that_a_credential_replaces_may_be_absent(tmp_path: Path, folder: Path) -> None:
    committee = make_committee(tmp_path / "c", names=("node-a",))
    move(committee, folder)
    organism, deployment = (
        load_organism(committee.folder / "organism.toml"),
        load_deployment(committee.deployment),
    )
    keys = {one.key for one in cross_check(organism, deployment).warnings}
    assert not {key for key in keys if key.startswith("secrets")}
    (folder / "organismctl.group").unlink()
    assert "secrets.group" in {one.key for one in cross_check(organism, deployment).warnings}


@pytest.mark.parametrize("mode", [0o404, 0o420, 0o440, 0o444, 0o500, 0o640])
def test_a_credential_that_others_may_read_is_refused(folder: Path, mode: int) -> None:
    path = give(folder, "organismctl.group", CANARY, mode)
    with pytest.raises(RefusedError, match=f"mode {mode:04o}, wider than 0400") as caught:
        read_secret(path)
    assert "LoadCredential" in (caught.value.advice or "")
    assert CANARY not in caught.value.message


@pytest.mark.parametrize(
    ("tag", "who", "good"), [(0x02, os.geteuid(), True), (0x02, os.geteuid() + 1, False), (0x08, 7, False)]
)
def test_an_access_list_as_systemd_makes_it(folder: Path, tag: int, who: int, good: bool) -> None:
    """Root's file, which the service's user may read by an access list: its mask shows as the group's right."""
    path = give(folder, "organismctl.group", CANARY)
    unnamed = 0xFFFFFFFF
    entries = [(0x01, 4, unnamed), (tag, 4, who), (0x04, 0, unnamed), (0x10, 4, unnamed), (0x20, 0, unnamed)]
    if tag == 0x08:
        entries[1:3] = [entries[2], entries[1]]
    acl = struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *one) for one in entries)
    os.setxattr(path, "system.posix_acl_access", acl)
    assert path.stat().st_mode & 0o777 == 0o440
    if good:
        assert read_secret(path).reveal() == CANARY
    else:
        with pytest.raises(RefusedError, match="mode 0440"):
            read_secret(path)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give a file away")
def test_another_users_credential_is_refused(folder: Path) -> None:
    path = give(folder, "organismctl.group", CANARY)
    os.chown(path, 65534, -1)
    with pytest.raises(RefusedError, match="belongs to user 65534"):
        read_secret(path)


def test_one_that_cannot_be_read_is_not_passed_over(tmp_path: Path, folder: Path) -> None:
    """Another secret in its place would be worse than none."""
    committee = make_committee(tmp_path / "c", names=("node-a",))
    (folder / "organismctl.group").symlink_to(tmp_path / "gone")
    found = secret_file(load_deployment(committee.deployment), "group")
    assert found == folder / "organismctl.group"
    assert is_credential(found)


def test_without_a_folder_there_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    committee = make_committee(tmp_path / "c", names=("node-a",))
    deployment = load_deployment(committee.deployment)
    for value in ("", str(tmp_path / "nowhere")):
        monkeypatch.setenv("CREDENTIALS_DIRECTORY", value)
        assert credential("organismctl.group") is None
        assert node_key_file(deployment, deployment.nodes[0]) == committee.folder / "secrets" / "node-a.key"
