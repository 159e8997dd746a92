"""Our own committee as its nodes' tickets see it: `[[acl]]` admits them, as an issuer of a spanned member would.

A real mosaik Group asks every member for a ticket that `[[acl]]` accepts. Requests, bundles and judgements are those
of a spanned member, so the committee is dressed as one, under our own stable id.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from organismctl.identity.config import Issuer, SpannedMember
from organismctl.identity.fingerprint import stable_id

if TYPE_CHECKING:
    from organismctl.identity.config import OrganismConfig

COMMITTEE = "committee"


def own_label(config: OrganismConfig) -> str:
    """How papers and rows call our own committee where a spanned member's name stands otherwise."""
    return COMMITTEE if all(member.name != COMMITTEE for member in config.span) else f"our {COMMITTEE}"


def own_committee(config: OrganismConfig) -> SpannedMember:
    """Our committee in the form of a spanned member whose issuers are ``[[acl]]``."""
    issuers = tuple(Issuer("current", validator) for validator in config.acl)
    return SpannedMember(own_label(config), "organism", stable_id(config), None, "tick", issuers=issuers)
