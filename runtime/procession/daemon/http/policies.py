"""Who may ask what: each route of the table names one policy, and `Access` alone compares it with who asks."""

from __future__ import annotations

from typing import Literal

Policy = Literal["anyone", "reader", "operator", "admin"]
"""Who may ask: `anyone` needs no token; a reader sees, an operator acts, an admin changes who may."""
POLICIES: tuple[Policy, ...] = ("anyone", "reader", "operator", "admin")
"""Each role may also what stands before it."""


def may(role: Policy, policy: Policy) -> bool:
    """Whether a role is enough for a policy."""
    return POLICIES.index(role) >= POLICIES.index(policy)
