"""Units: silent under `systemd-analyze verify`, little exposed, and nothing slipped into them."""

from __future__ import annotations

from pathlib import Path, PurePath

import pytest

from organismctl.cli.app import run
from organismctl.errors import InputError
from organismctl.export import systemd_check, systemd_node, systemd_resident
from organismctl.export.systemd import local_only, relay_here
from organismctl.export.systemd_node import Nodes, Placed
from organismctl.export.unit import INSTANCE, Site
from organismctl.files.deployment import parse_deployment
from tests.support.committee import make_committee
from tests.support.units import MOST, exposure, needs_systemd, verify, written

TEMPLATE = "organismctl-node-acme.settlement@.service"


def site(folder: str = "/srv/acme", **changes: object) -> Site:
    """A site as its units would be written for; the user is one that every Debian has."""
    given: dict[str, object] = {
        "organism": "acme.settlement",
        "deployment": PurePath(folder) / "deployment.toml",
        "program": PurePath("/usr/bin/env"),
        "user": "daemon",
        "secrets": {
            f"organismctl.{name}": PurePath(folder) / "secrets" / name
            for name in ("group", "read_token", "operate_token", "observer_key")
        },
        **changes,
    }
    return Site(**given)  # type: ignore[arg-type]


def placed(folder: str = "/srv/acme", *names: str, unit: str | None = None) -> tuple[Placed, ...]:
    return tuple(
        Placed(
            name, PurePath(folder) / "nodes" / name, PurePath(folder) / "secrets" / f"{name}.key",
            unit and unit.format(name),
        )
        for name in names or ("node-a", "node-b")
    )  # fmt: skip


def everything(folder: str = "/srv/acme", **changes: object) -> dict[str, str]:
    """Every unit of a site."""
    at = site(folder, **changes)
    tls = PurePath(folder) / f"{INSTANCE}.pem"
    return {
        **systemd_node.units(Nodes(at, placed(folder), tls, tls, ("organismctl-relay.service",))),
        **systemd_resident.relay(at, "10.0.0.1:3340", local=False),
        **systemd_resident.exporter(at, "127.0.0.1:9560", local=True),
        **systemd_check.units(systemd_check.Timed(at, PurePath("/tmp"))),
    }


@needs_systemd
@pytest.mark.parametrize(
    "changes", [{}, {"local": True}, {"encrypted": True}, {"program": PurePath("/root/x")}]
)
def test_each_is_little_exposed(tmp_path: Path, changes: dict[str, object]) -> None:
    services = [path for path in written(everything(**changes), tmp_path) if path.suffix == ".service"]
    assert len(services) == 4
    scores = {path.name: exposure(path) for path in services}
    assert max(scores.values()) <= MOST, scores


@needs_systemd
@pytest.mark.parametrize("folder", ["/srv/acme", '/srv/a b/100% "$HOME" \\ ü', "/srv/%i/$x;y"])
@pytest.mark.parametrize("encrypted", [False, True])
def test_systemd_takes_them_in_silence(tmp_path: Path, folder: str, encrypted: bool) -> None:
    organism = "acme.settlement" if folder == "/srv/acme" else "acme 100% ü"
    assert verify(written(everything(folder, organism=organism, encrypted=encrypted), tmp_path)) == "0"


@pytest.mark.parametrize(
    ("folder", "changes"),
    [
        ("srv", {}),
        ("/srv/a\nUser=root", {}),
        ("/srv/acme", {"user": "acme\nExecStart=/bin/sh"}),
        ("/srv/acme", {"organism": "acme\nExecStart=/bin/sh"}),
        ("/srv/acme", {"program": PurePath("/bin/env\r")}),
    ],
)
def test_nothing_is_slipped_into_a_unit(folder: str, changes: dict[str, object]) -> None:
    at = site(folder, **changes)
    for make in (
        lambda: systemd_node.units(Nodes(at, placed(folder))),
        lambda: systemd_resident.exporter(at, "127.0.0.1:9560", local=True),
        lambda: systemd_check.units(systemd_check.Timed(at, PurePath("/tmp"))),
    ):
        with pytest.raises(InputError):
            make()


def test_nodes_that_follow_their_names_share_one_file() -> None:
    made = systemd_node.units(Nodes(site(), placed()))
    assert list(made) == [TEMPLATE]
    for line in (
        "Type=notify", "WatchdogSec=30s", "Restart=on-failure", "RestartPreventExitStatus=2 4 64",
        "StartLimitBurst=5", 'ReadWritePaths="/srv/acme/nodes/%i"',
        "LoadCredential=organismctl.key.%i:/srv/acme/secrets/%i.key",
        "LoadCredential=organismctl.group:/srv/acme/secrets/group",
        "LogExtraFields=ORGANISM=acme.settlement NODE=%i",
        "ExecStart=/usr/bin/env committee serve --deployment /srv/acme/deployment.toml --node %i",
    ):  # fmt: skip
        assert f"\n{line}\n" in made[TEMPLATE], line
    assert "IPAddress" not in made[TEMPLATE]
    assert "observer" not in made[TEMPLATE], "a node has no use for that key"


def test_a_name_that_is_a_part_of_others_is_no_pattern() -> None:
    (text,) = systemd_node.units(Nodes(site("/srv/a.a/aa"), placed("/srv/a.a/aa", "a"))).values()
    assert (
        'ReadWritePaths="/srv/%i.%i/aa/nodes/%i"' in text
    )  # for its only instance, a, that is the same folder
    made = systemd_node.units(Nodes(site("/srv/a.a/aa"), placed("/srv/a.a/aa", "a", "b")))
    assert 'ReadWritePaths="/srv/a.a/aa/nodes/b"' not in made[TEMPLATE]
    assert 'ReadWritePaths="/srv/a.%i' not in made[TEMPLATE]
    own = made["organismctl-node-acme.settlement@b.service.d/organismctl.conf"]
    assert 'ReadWritePaths="/srv/a.a/aa/nodes/%i"' in own


@needs_systemd
def test_nodes_that_do_not_have_a_drop_in_each(tmp_path: Path) -> None:
    nodes = (Placed("node-a", PurePath("/tmp"), PurePath("/srv/x.key")), *placed("/srv/acme", "node-b"))
    made = systemd_node.units(Nodes(site(), nodes))
    own = made["organismctl-node-acme.settlement@node-a.service.d/organismctl.conf"]
    assert own.endswith('[Service]\nLoadCredential=organismctl.key.%i:/srv/x.key\nReadWritePaths="/tmp"\n')
    assert "ReadWritePaths" not in made[TEMPLATE]
    assert verify(written(made, tmp_path)) == "0"


def test_what_is_below_var_lib_is_made_by_systemd() -> None:
    nodes = tuple(
        Placed(name, PurePath("/var/lib/acme", name), PurePath("/etc/acme", f"{name}.key"))
        for name in ("a1", "b1")
    )
    (text,) = systemd_node.units(Nodes(site(), nodes)).values()
    assert "\nStateDirectory=acme/%i\nStateDirectoryMode=0700\n" in text
    assert "ReadWritePaths" not in text


def test_the_template_is_the_one_that_deployment_toml_names() -> None:
    named = Nodes(site(), placed(unit="organism@{}.service"))
    assert list(systemd_node.units(named)) == ["organism@.service"]
    assert named.unit("node-a") == "organism@node-a.service"
    with pytest.raises(InputError, match="no instances of one template") as caught:
        systemd_node.units(Nodes(site(), placed(unit="{}.service")))
    assert "organismctl-node-acme.settlement@NODE.service" in (caught.value.advice or "")


DEPLOYMENT = """\
schema = 1
carrier = "{carrier}"
{mosaik}
[[node]]
name = "node-a"
peer_id = "cd866a5879bee75294fb9aba313d160f6855263ac60c20d7cf71142aef063a23"
url = "http://127.0.0.1:7101"
address = "10.0.0.1:7111"
key = "a.key"
data = "a"
[[span]]
name = "north"
endpoints = ["{endpoint}"]
period = "1s"
"""


@pytest.mark.parametrize(
    ("carrier", "endpoint", "address", "local"),
    [
        ("loopback", "http://127.0.0.1:1", "[::1]:7111", True),
        ("loopback", "http://localhost:1", "127.0.0.2:7111", True),
        ("loopback", "http://127.0.0.1:1", "10.0.0.1:7111", False),
        ("loopback", "https://north.example", "127.0.0.1:7111", False),
        ("mosaik", "http://127.0.0.1:1", "127.0.0.1:7111", False),
    ],
)
def test_only_what_speaks_with_this_host_alone_is_cut_off(
    carrier: str, endpoint: str, address: str, local: bool
) -> None:
    text = DEPLOYMENT.format(carrier=carrier, endpoint=endpoint, mosaik="").replace("10.0.0.1:7111", address)
    assert local_only(parse_deployment(text, Path("/srv/deployment.toml"))) is local
    assert ("\nIPAddressDeny=any\n" in everything(local=local)[TEMPLATE]) is local


@pytest.mark.parametrize(
    ("relay", "here"),
    [("http://127.0.0.1:3340", "127.0.0.1:3340"), ("http://10.0.0.1:3340", "10.0.0.1:3340"),
     ("http://10.0.0.9:3340", None), ("https://relay.example:443", None)],
)  # fmt: skip
def test_a_relay_of_another_host_is_not_written_unasked(relay: str, here: str | None) -> None:
    text = DEPLOYMENT.format(carrier="mosaik", endpoint="http://x", mosaik=f'[mosaik]\nrelay = "{relay}"')
    assert relay_here(parse_deployment(text, Path("/srv/deployment.toml"))) == here


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    committee = make_committee(tmp_path / "acme", names=("node-a", "node-b"))
    on = ("--organism", str(committee.folder))
    assert run(["export", "systemd", *on, "--user", "daemon"]) == 0
    shown = capsys.readouterr()
    assert [line.rpartition("/")[2] for line in shown.out.splitlines() if line.startswith("# /etc/")] == [
        "organismctl-node-acme.test@.service", "organismctl-exporter-acme.test.service",
        "organismctl-check-acme.test.service", "organismctl-check-acme.test.timer",
    ]  # fmt: skip
    assert 'for node-b: executor = "systemd", unit = "organismctl-node-acme.test@node-b.service"' in shown.err
    assert "systemctl enable --now organismctl-node-acme.test@node-a.service" in shown.err
    (committee.folder / "secrets" / "group.secret").unlink()
    assert (
        run(["export", "systemd", *on, "--only", "exporter", "--listen", "[::1]:9", "-o", str(tmp_path)]) == 0
    )
    shown = capsys.readouterr()
    assert "group.secret is not here, and a unit that names it does not start" in shown.err
    assert "--listen [::1]:9 " in (tmp_path / "organismctl-exporter-acme.test.service").read_text().replace(
        '"', ""
    )
    for wrong, says in (
        (["--only", "nodes"], "one of relay, node, exporter, check"),
        (["--only", "relay"], "--bind HOST:PORT"),
        (["--only", "relay", "--bind", "nowhere"], "--bind nowhere"),
        (["--tls-cert", "x.pem"], "--tls-cert and --tls-key go together"),
    ):
        assert run(["export", "systemd", *on, *wrong]) == 64
        assert says in capsys.readouterr().err
    assert run(["export", "systemd", *on, "--only", "exporter", "--listen", "nowhere"]) == 1
    assert "HOST:PORT" in capsys.readouterr().err
    # A file that names every host's nodes: only those of this one are written.
    (committee.folder / "secrets" / "node-b.key").unlink()
    committee.data("node-b").rename(tmp_path / "elsewhere")
    assert run(["export", "systemd", *on, "--only", "node"]) == 0
    assert "node-b" not in capsys.readouterr().err
    text = committee.deployment.read_text()
    committee.deployment.write_text(text.replace('data = "nodes/', '# data = "nodes/'))
    assert run(["export", "systemd", *on, "--only", "node"]) == 64
    assert "this host runs no node" in capsys.readouterr().err
