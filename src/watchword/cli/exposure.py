"""The doctor's checks of what the server shows to strangers."""

from __future__ import annotations

from watchword.cli.advice import Advice
from watchword.cli.facts import Facts
from watchword.protocol.metadata import is_loopback

__all__ = ["framing", "metadata", "metrics"]

_EXPECTED = [405, 200]
_UPGRADED = 101


def metrics(facts: Facts) -> Advice:
    """Who may read the metrics."""
    policy = facts.settings.web.metrics
    if policy.place == "public":
        return Advice(
            "unsafe",
            "everybody may read /metrics: which routes are used, how often sign-ins fail, how busy the server is",
            "METRICS=127.0.0.1:9464 for a listener of their own, or METRICS=token",
        )
    if policy.listener is not None and policy.token is None and not is_loopback(policy.listener[0]):
        return Advice(
            "advice",
            f"whoever reaches {policy.place} may read the metrics",
            "let no proxy or firewall pass it on, or set METRICS_TOKEN",
        )
    return Advice("good", "strangers can't read the metrics")


def framing(facts: Facts) -> Advice | None:
    """Whether a body stays a body on its way through what stands in front, asked with ``--online``."""
    front = facts.front
    if front is None:
        return None
    url, cure = facts.settings.issuer, "let the proxy drop Upgrade: see docs/deployment.md"
    if front.fault is not None:
        return Advice("advice", f"{url} does not answer: {front.fault}", "start the server and its proxy")
    if front.statuses == _EXPECTED:
        return Advice("good", f"{url} answers a request with Upgrade as any other")
    told = ", ".join(map(str, front.statuses)) or "nothing"
    if len(front.statuses) > len(_EXPECTED) or front.statuses[1:] == [404]:
        return Advice(
            "unsafe",
            f"{url} answers the body of a request with Upgrade as a request of its own: {told}",
            cure,
        )
    if _UPGRADED in front.statuses:
        return Advice("unsafe", f"{url} changes the protocol when a client asks for it", cure)
    return Advice("advice", f"{url} answers a request with Upgrade, and one behind it, with {told}", cure)


def metadata(facts: Facts) -> Advice | None:
    """Whether guards and clients find the issuer's metadata, asked with ``--online``."""
    front, issuer = facts.front, facts.settings.issuer
    if front is None or not front.metadata:
        return None
    faults = [fault for fault in front.metadata if fault is not None]
    if not faults:
        return Advice("good", f"{issuer} is found by guards and clients")
    cure = "let the proxy pass this address on to the server: see docs/deployment.md"
    if len(faults) == len(front.metadata):
        return Advice("advice", f"no guard finds {issuer}: {'; '.join(faults)}", cure)
    if front.metadata[0] is None:
        return Advice("advice", f"pages and endpoints of {issuer} may not answer: {faults[0]}", cure)
    return Advice("advice", f"guards find {issuer}, clients that go by RFC 8414 don't: {faults[0]}", cure)
