import pytest

from streaming.asr.window import BUCKETS_MS, longer_window_ms, max_length, max_new_tokens, window_ms


@pytest.mark.parametrize(
    ("audio_ms", "lane", "expected"),
    [
        (700, "partial", 3_000),
        (2_000, "partial", 4_000),
        (2_001, "partial", 5_000),
        (8_000, "partial", 10_000),
        (500, "final", 10_000),
        (9_000, "final", 10_000),
        (9_001, "final", 12_000),
        (14_001, "final", 17_000),
        (22_000, "final", 25_000),
        (30_000, "final", 30_000),
    ],
)
def test_windows(audio_ms, lane, expected):
    assert window_ms(audio_ms, lane) == expected


def test_audio_longer_than_the_model_hears_is_refused():
    with pytest.raises(ValueError, match="30000"):
        window_ms(30_001, "final")


def test_every_partial_of_at_most_eight_seconds_avoids_the_long_windows():
    assert all(window_ms(ms, "partial") <= 10_000 for ms in range(100, 8_001, 100))


def test_loops_are_retried_in_a_longer_window():
    assert {longer_window_ms(window) for window in BUCKETS_MS if window < 15_000} == {15_000}
    assert {longer_window_ms(window) for window in BUCKETS_MS if window >= 15_000} == {30_000}


@pytest.mark.parametrize(
    ("audio_ms", "economy", "expected"),
    [(2_000, 1, 8_000), (7_500, 1, 9_000), (2_000, 2, 6_000), (4_500, 2, 7_000), (7_500, 2, 9_000)],
)
def test_a_saving_final_has_a_shorter_window(audio_ms, economy, expected):
    assert window_ms(audio_ms, "final", economy) == expected


def test_token_bound():
    assert max_new_tokens(2_000) == 32
    assert max_length(2_000) == 64
    assert max_length(30_000) == 448


def test_a_long_prompt_does_not_eat_the_tokens_of_short_audio():
    for audio_ms in (300, 1_000, 2_000):
        for prompt in (0, 16, 64, 128):
            length = max_length(audio_ms, prompt)
            assert min(length // 2, length - prompt) >= max_new_tokens(audio_ms)
