"""Coverage-guided fuzzing of one telephony parser: ``python -m tests.fuzz.target twilio --seconds 60`` (``make fuzz`` runs them all).

With atheris (libFuzzer) where it is installed, else, or with ``--plain``, by mutating what was new. Both begin with valid calls and with
``corpus/``. A failure is printed as a case to keep there; the exit status is 1 (77 from libFuzzer).
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import json
import random
import re
import resource
import sys
import time
from pathlib import Path

CORPUS = Path(__file__).parent / "corpus"
FOUND = Path(__file__).parents[2] / "var" / "fuzz"
"""Inputs that reached something new, kept for the next run."""
MAX_BYTES = 65_536
_QUOTED = re.compile(r'"[^"]*"')
"""What a refusal quotes of the input makes no new outcome."""


def names() -> list[str]:
    from streaming.telephony.protocol import PROTOCOLS

    return sorted(PROTOCOLS)


class Target:
    """One parser, fed with packed conversations."""

    def __init__(self, name: str) -> None:
        from streaming.callers import CALLERS
        from streaming.telephony.protocol import Opening
        from tests.fakes.conversations import opening_of, recording_of
        from tests.fuzz import oracle
        from tests.fuzz.mutations import seeds_of

        self.name = name
        self._oracle = oracle
        self._opening = opening_of(name, recording_of(name, ms=20)) if name in CALLERS else Opening()
        self._sources = [name] if name in CALLERS else sorted(CALLERS)
        self._seeds = [list(call) for source in self._sources for call in seeds_of(source)]

    def seeds(self) -> list[bytes]:
        """Valid calls, and the cases that were found once."""
        from tests.fuzz.packed import pack

        found = [json.loads(file.read_text(encoding="utf-8")) for file in sorted(CORPUS.glob("*.json"))]
        kept = [
            [part if isinstance(part, str) else bytes.fromhex(part["hex"]) for part in case["messages"]]
            for case in found
            if case["protocol"] == self.name
        ]
        return [data for data in map(pack, self._seeds + kept) if len(data) <= MAX_BYTES]

    def __call__(self, data: bytes) -> str:
        """What became of it: the refusal, or nothing. Raises what should not come out of a parser."""
        from streaming.telephony.protocol import make_protocol
        from tests.fuzz.packed import unpack

        messages = unpack(data)
        try:
            return self._oracle.feed(make_protocol(self.name, {}, self._opening), messages)
        except Exception:
            print(f"Keep it in {CORPUS}: {self._oracle.saved(self.name, self._opening.subprotocol, messages)}", file=sys.stderr)
            raise

    @staticmethod
    def mutated(data: bytes, seed: int) -> bytes:
        """A change that knows messages and JSON."""
        from tests.fuzz.mutations import MUTATIONS
        from tests.fuzz.packed import pack, unpack

        chance = random.Random(seed)
        messages = unpack(data)
        for _ in range(chance.randint(1, 3)):
            if not messages:
                break
            chance.choice(MUTATIONS)(messages, chance)
        return pack(messages)[:MAX_BYTES]


def with_atheris(name: str, seconds: int) -> None:
    """Does not return: libFuzzer ends the process."""
    import atheris

    with atheris.instrument_imports(include=["streaming", "copilot.domain"]):
        target = Target(name)

    def mutate(data: bytes, max_size: int, seed: int) -> bytes:
        return (Target.mutated(data, seed) if seed % 2 else atheris.Mutate(data, max_size))[:max_size]

    folder = FOUND / name
    folder.mkdir(parents=True, exist_ok=True)
    for number, data in enumerate(target.seeds()):
        (folder / f"seed-{number}").write_bytes(data)
    options = [f"-max_total_time={seconds}", f"-max_len={MAX_BYTES}", "-print_final_stats=1", "-rss_limit_mb=2048", "-timeout=20"]
    artifacts = f"-artifact_prefix={FOUND}/{name}-"
    atheris.Setup([sys.argv[0], str(folder), *options, artifacts], lambda data: target(data) and None, custom_mutator=mutate)
    atheris.Fuzz()


def plain(name: str, seconds: float) -> None:
    """Mutates inputs whose outcome was new, for a while."""
    target, chance = Target(name), random.Random(name)
    pool = target.seeds()
    seen = {target(data) for data in pool}
    inputs, until = len(pool), time.monotonic() + seconds
    while time.monotonic() < until:
        data = target.mutated(chance.choice(pool), chance.getrandbits(32))
        outcome = _QUOTED.sub('""', target(data))
        inputs += 1
        if outcome not in seen:
            seen.add(outcome)
            pool.append(data)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(f"{name}: {inputs} inputs, {len(seen)} outcomes, {memory} MB at most")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.target", description=__doc__)
    parser.add_argument("name", nargs="?", help="the parser; without one: their names")
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--plain", action="store_true", help="without atheris, even if it is installed")
    options = parser.parse_args()
    if options.name is None:
        print("\n".join(names()))
    elif options.plain or importlib.util.find_spec("atheris") is None:
        plain(options.name, options.seconds)
    else:
        with_atheris(options.name, options.seconds)


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        main()
