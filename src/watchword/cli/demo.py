"""``watchword demo``: the whole story, played on this machine."""

from __future__ import annotations

import click

from watchword.cli.output import json_option

__all__ = ["demo"]


@click.command()
@json_option
def demo(as_json: bool) -> None:
    """Play the whole story on real HTTP, in seconds.

    A server and two payroll API processes on free loopback ports, in a temporary folder: log-in,
    roles, a forged token, refresh, replay, log-out, a demotion, a ban, a key rotation, a server that is killed
    and comes back. Exit 1 when a step misbehaves.
    """
    from watchword.demo.story import play

    if not play(as_json=as_json):
        click.get_current_context().exit(1)
