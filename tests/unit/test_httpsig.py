"""Signed handshakes: the vendor's own example verifies, and nothing that differs from it in any way does."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from copilot.domain.errors import ConfigError, Overloaded
from streaming.handshake import NONCE_KEEP_S, IntegrationConfig, Refusal, hashed_key, identify, integration_of_key
from streaming.telephony.admission import NonceCache, RateLimit, TrustedProxies
from streaming.telephony.httpsig import REQUIRED, SignatureRefused, SignedRequest, parse_signature, sign, verify

KEY = "SGVsbG8sIEkgYW0gdGhlIEFQSSBrZXkh"
SECRET_TEXT = "TXlTdXBlclNlY3JldEtleVRlbGxOby0xITJAMyM0JDU="
SECRET = base64.b64decode(SECRET_TEXT)
CREATED = 1641013200
HEADERS = {
    "audiohook-organization-id": "d7934305-0972-4844-938e-9060eef73d05",
    "audiohook-session-id": "30b0e395-84d3-4570-ac13-9a62d8f514c0",
    "audiohook-correlation-id": "e160e428-53e2-487c-977d-96989bf5c99d",
    "x-api-key": KEY,
}
SIGNED = HEADERS | {
    "signature": "sig1=:NZBwyBHRRyRoeLqy1IzOa9VYBuI8TgMFt2GRDkDuJh4=:",
    "signature-input": (
        'sig1=("@request-target" "@authority" "audiohook-organization-id" "audiohook-session-id" "audiohook-correlation-id" "x-api-key");'
        f'keyid="{KEY}";nonce="VGhpc0lzQVVuaXF1ZU5vbmNl";alg="hmac-sha256";created=1641013200;expires=3282026430'
    ),
}


def request(headers=SIGNED, target="/api/v1/voicebiometrics/ws", authority="audiohook.example.com"):
    return SignedRequest(target=target, authority=authority, headers=headers)


def refused(headers=SIGNED, now=CREATED, key_id=KEY, secret=SECRET, **where):
    with pytest.raises(SignatureRefused) as caught:
        verify(request(headers, **where), secret, key_id=key_id, now=now)
    assert str(caught.value).endswith(".")
    return str(caught.value)


def test_the_published_example_verifies():
    assert verify(request(), SECRET, key_id=KEY, now=CREATED + 5).nonce == "VGhpc0lzQVVuaXF1ZU5vbmNl"
    assert verify(request(authority="AudioHook.Example.com:443"), SECRET, key_id=KEY, now=CREATED)


def test_our_own_signature_is_the_published_one():
    made = sign(request(HEADERS), SECRET, key_id=KEY, nonce="VGhpc0lzQVVuaXF1ZU5vbmNl", created=CREATED, expires=3282026430)
    assert made == {name: SIGNED[name] for name in ("signature", "signature-input")}


@pytest.mark.parametrize(("now", "good"), [(CREATED - 4, False), (CREATED - 3, True), (CREATED + 13, True), (CREATED + 14, False)])
def test_a_signature_is_young_and_not_of_the_future(now, good):
    if good:
        verify(request(), SECRET, key_id=KEY, now=now)
    else:
        assert ("future" if now < CREATED else "expired") in refused(now=now)


def test_an_expiry_of_its_own_counts():
    headers = HEADERS | sign(request(HEADERS), SECRET, key_id=KEY, nonce="n" * 22, created=CREATED, expires=CREATED + 2)
    verify(request(headers), SECRET, key_id=KEY, now=CREATED + 5)
    assert "expired" in refused(headers, now=CREATED + 6)


@pytest.mark.parametrize("name", [*HEADERS, "signature"])
def test_every_tampered_header_is_noticed(name):
    changed = SIGNED[name].replace("d", "e") if name != "signature" else "sig1=:" + base64.b64encode(bytes(32)).decode() + ":"
    if name == "x-api-key":
        changed = "another"
    assert changed != SIGNED[name]
    assert "does not fit" in refused(SIGNED | {name: changed})


def test_another_host_path_key_or_secret_is_noticed():
    assert "does not fit" in refused(target="/api/v1/voicebiometrics/ws?x=1")
    assert "does not fit" in refused(authority="audiohook.example.org")
    assert "does not fit" in refused(secret=b"another")
    assert "keyid" in refused(key_id="another")


@pytest.mark.parametrize("name", REQUIRED)
def test_every_component_must_be_covered(name):
    assert name in refused(SIGNED | {"signature-input": SIGNED["signature-input"].replace(f'"{name}"', '"host"')})


def test_a_covered_header_must_be_there():
    assert "has not" in refused({k: v for k, v in SIGNED.items() if k != "audiohook-correlation-id"})


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('nonce="VGhpc0lzQVVuaXF1ZU5vbmNl"', 'nonce="short"', "nonce"),
        (';nonce="VGhpc0lzQVVuaXF1ZU5vbmNl"', "", "nonce"),
        ("hmac-sha256", "none", "alg"),
        (";created=1641013200", "", "created"),
        (";expires=3282026430", "", "expires"),
        ("created=1641013200", 'created="soon"', "created"),
        (";alg", ";tag", "parameters"),
        ("created=1641013200", "created=1641013200;created=1", "parameters"),
        ("sig1=", "sig2=", "same label"),
        ("sig1=", "", "one signature"),
        ('"@authority"', '"@authority" "@authority"', "twice"),
    ],
)
def test_malformed_descriptions(old, new, says):
    assert says in refused(SIGNED | {"signature-input": SIGNED["signature-input"].replace(old, new, 1)})


@given(st.text(max_size=200), st.text(max_size=200))
def test_any_header_text_is_read_or_refused(given_signature, described):
    try:
        parse_signature({"signature": given_signature, "signature-input": described})
    except SignatureRefused as why:
        assert str(why).endswith(".")  # noqa: PT017 - being read is as good


def test_hostile_descriptions_are_read_in_no_time():
    for text in ("sig1=(" + '"a" ' * 1000, "sig1=(" + " " * 4000, 'sig1=("a")' + ';a="' * 1000, "sig1=(" + '"' * 4000):
        with pytest.raises(SignatureRefused):
            parse_signature({"signature": "sig1=::", "signature-input": text})


# ---------------------------------------------------------------------- at the door

GENESYS = IntegrationConfig(
    name="genesys", protocol="audiohook", org_id="org", keys=(hashed_key("plain"), hashed_key(KEY)), secrets=("", SECRET_TEXT)
)


def asked(headers, nonces=None, now=CREATED, config=GENESYS, path="/v1/audiohook"):
    return identify(
        path, {"host": "audiohook.example.com"} | headers, [config], allow_anonymous=False, nonces=nonces or NonceCache(keep_s=20), now=now
    )


def signed(nonce="n" * 22, path="/v1/audiohook", authority="audiohook.example.com", created=CREATED):
    asks = SignedRequest(target=path, authority=authority, headers=HEADERS)
    return HEADERS | sign(asks, SECRET, key_id=KEY, nonce=nonce, created=created, expires=created + 10)


def test_a_signed_handshake_opens_the_door_once():
    nonces = NonceCache(keep_s=NONCE_KEEP_S)
    assert asked(signed(), nonces) is GENESYS
    again = asked(signed(), nonces)
    assert isinstance(again, Refusal)
    assert again.status == 401
    assert "nonce" in again.sentence
    assert asked(signed("m" * 22), nonces) is GENESYS


def test_a_key_with_a_secret_must_sign_and_one_without_need_not():
    assert asked(HEADERS).status == 401
    assert asked({"x-api-key": "plain"}) is GENESYS
    assert asked({"x-api-key": "other"}).status == 403
    assert "has no secret here" in asked(signed() | {"x-api-key": "plain"}).sentence
    assert asked({}).status == 401


@pytest.mark.parametrize("user", ["", "genesys"])
def test_a_key_with_a_secret_opens_nothing_as_a_password(user):
    def comes(key):
        basic = base64.b64encode(f"{user}:{key}".encode()).decode()
        return asked({"authorization": f"Basic {basic}" if user else f"Bearer {key}"})

    assert comes(KEY).status == 401
    assert "signed" in comes(KEY).sentence
    assert comes("plain") is GENESYS
    # Beside the websockets, where nothing is signed, the key is all there is.
    assert integration_of_key(f"Bearer {KEY}", [GENESYS]) is GENESYS


def test_behind_a_proxy_the_public_url_is_what_was_signed():
    public = IntegrationConfig(
        name="g", protocol="audiohook", org_id="org", keys=(hashed_key(KEY),), secrets=(SECRET_TEXT,), public_url="wss://bank.example/hook"
    )
    assert asked(signed(path="/hook", authority="bank.example"), config=public) is public
    assert asked(signed(), config=public).status == 401


def test_secrets_that_cannot_work_are_refused_at_start():
    for changes in ({"secrets": ("!",)}, {"secrets": ("", "", SECRET_TEXT)}, {"protocol": "raw"}):
        with pytest.raises(ConfigError):
            IntegrationConfig(
                **{"name": "g", "protocol": "audiohook", "org_id": "o", "keys": GENESYS.keys, "secrets": GENESYS.secrets} | changes
            ).check()
    assert SECRET_TEXT not in repr(GENESYS)


# ---------------------------------------------------------------------- bounds


def test_the_nonce_cache_forgets_in_time_and_never_for_want_of_room():
    nonces = NonceCache(keep_s=20, size=2)
    assert nonces.first_use("k", "a", 0)
    assert nonces.first_use("k", "b", 1)
    assert not nonces.first_use("k", "a", 20)
    with pytest.raises(Overloaded):
        nonces.first_use("k", "c", 20)
    assert not nonces.first_use("k", "a", 20), "a replay is refused however full it is"
    assert nonces.first_use("k", "c", 20.5)
    assert not nonces.first_use("k", "b", 20.9)


def test_new_connections_are_counted_by_the_minute_and_name():
    rate = RateLimit()
    assert [rate.allow("a", 2, now) for now in (0, 1, 2, 59.9, 60, 60.5, 61)] == [True, True, False, False, True, False, True]
    assert rate.allow("b", 2, 2)
    assert all(rate.allow("c", 0, 0) for _ in range(100))


def test_only_trusted_proxies_are_believed():
    proxies = TrustedProxies.of(("10.0.0.0/8", "::1"), "X-Client-Cert")
    config = IntegrationConfig(name="pbx", protocol="raw", org_id="org", client_certs=("CN=pbx-1,O=Bank",))

    def comes(remote, subject="CN=pbx-1,O=Bank"):
        return identify("/v1/raw", {"x-client-cert": subject}, [config], allow_anonymous=False, remote=remote, proxies=proxies)

    assert comes("10.1.2.3") is config
    assert comes("::1") is config
    assert comes("192.0.2.1").status == 401
    assert comes("unknown").status == 401
    assert comes("10.1.2.3", "CN=evil").status == 403
    assert proxies.client("10.1.2.3", {"x-forwarded-for": "203.0.113.9, 198.51.100.7"}) == "198.51.100.7"
    assert proxies.client("192.0.2.1", {"x-forwarded-for": "198.51.100.7"}) == "192.0.2.1"
    assert proxies.client("10.1.2.3", {"x-forwarded-for": "garbage"}) == "10.1.2.3"
    with pytest.raises(ConfigError):
        TrustedProxies.of(("10.0.0.0/99",))
    with pytest.raises(ConfigError):
        TrustedProxies.of((), "X-Client-Cert")


def test_basic_authentication_wants_the_integrations_name():
    config = IntegrationConfig(name="pbx", protocol="asterisk", org_id="org", keys=(hashed_key("old"), hashed_key("k:ey")))

    def comes(text):
        header = "Basic " + base64.b64encode(text.encode()).decode()
        return identify("/v1/asterisk", {"authorization": header}, [config], allow_anonymous=True)

    assert comes("pbx:k:ey") is config
    assert comes("pbx:old") is config
    assert comes("other:k:ey").status == 403
    assert comes("pbx:wrong").status == 403
    assert comes("pbx").status == 401
    assert comes("pbx:").status == 401
    assert identify("/v1/asterisk", {"authorization": "Basic ***"}, [config], allow_anonymous=True).status == 401
    assert identify("/v1/audiosocket", {"authorization": "Bearer old"}, [config], allow_anonymous=True).status == 404
