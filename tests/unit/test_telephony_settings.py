"""From the settings file to what the telephony server is told."""

from __future__ import annotations

from typing import get_args

import pytest

from copilot import settings as configured
from copilot.assembly.telephony import integration
from copilot.domain.errors import ConfigError
from streaming.handshake import hashed_key
from streaming.telephony.protocol import PROTOCOLS

KEYS = (hashed_key("one"), hashed_key("two"))


def settings(**changes):
    return configured.IntegrationSettings(**{"name": "pbx", "protocol": "audiohook", "keys": KEYS, **changes})


def test_every_protocol_can_be_set_and_every_name_is_one():
    assert set(get_args(configured.IntegrationSettings.model_fields["protocol"].annotation)) == set(PROTOCOLS)


def test_secrets_come_from_the_environment_in_the_order_of_the_keys(monkeypatch):
    monkeypatch.setenv("GENESYS_SECRET", "c2VjcmV0IG9mIHRoZSBjbGllbnQ=")
    config = integration(settings(secret_envs=("", "GENESYS_SECRET"), events=True, public_url="wss://bank.example/hook"), "bank")
    config.check()
    assert (config.secret_of(0), config.secret_of(1)) == (None, b"secret of the client")
    assert (config.org_id, config.events, config.public_url, config.connects_per_minute) == ("bank", True, "wss://bank.example/hook", 600)
    monkeypatch.delenv("GENESYS_SECRET")
    with pytest.raises(ConfigError, match="GENESYS_SECRET"):
        integration(settings(secret_envs=("GENESYS_SECRET",)), "bank")


def test_audiosocket_is_always_announced_and_legs_are_handed_on():
    assert integration(settings(protocol="audiosocket"), "bank").announced
    config = integration(settings(protocol="asterisk", legs=("customer", "agent"), client_certs=("CN=pbx",)), "bank")
    config.check()
    assert (config.announced, config.legs, config.client_certs) == (False, ("customer", "agent"), ("CN=pbx",))
    integration(settings(protocol="asterisk", legs=("customer", "agent", "mixed")), "bank").check()
    with pytest.raises(ConfigError, match="legs"):
        integration(settings(protocol="asterisk", legs=("customer", "customer")), "bank").check()
