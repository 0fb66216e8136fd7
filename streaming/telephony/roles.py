"""Which of the peer's tracks or channels is whom."""

from __future__ import annotations

from collections.abc import Mapping

from copilot.domain.audio import CHANNELS, ChannelName
from copilot.domain.errors import ConfigError


def roles_of(protocol: str, defaults: Mapping[str, ChannelName], given: Mapping[str, ChannelName]) -> dict[str, ChannelName]:
    """The protocol's own roles with those of the integration over them. Raises ConfigError for unknown tracks and for two of one role."""
    roles = dict(defaults) | dict(given)
    if set(roles) != set(defaults) or len(set(roles.values())) != len(roles) or not set(roles.values()) <= set(CHANNELS):
        raise ConfigError(
            f"Channel roles of a {protocol} integration must map {' and '.join(defaults)} to "
            f"{'two different channels' if len(defaults) == 2 else 'different channels'} out of {', '.join(CHANNELS)}."
        )
    return roles
