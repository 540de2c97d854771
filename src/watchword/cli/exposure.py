"""The doctor's checks of what the server shows to strangers."""

from __future__ import annotations

from watchword.cli.advice import Advice
from watchword.cli.facts import Facts
from watchword.protocol.metadata import is_loopback

__all__ = ["metrics"]


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
