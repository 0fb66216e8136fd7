"""Addresses of the Elasticsearch engine, and what is said when nothing answers. No server is needed."""

import pytest

from copilot.domain.errors import ConfigError, EngineError
from kb.analysis import analyse
from kb.elastic import open_elastic_engine
from tests.fakes.gram_embedder import GramEmbedder


@pytest.mark.parametrize("url", ["http://localhost:9200/a", "elasticsearch:///a", "elasticsearch://localhost:seven/a"])
def test_addresses_that_cannot_be_used(url: str) -> None:
    with pytest.raises(ConfigError, match=r"kb\.url must be elasticsearch://"):
        open_elastic_engine(url, "default", GramEmbedder())


def test_a_cluster_that_is_away_is_a_retryable_error_without_the_query() -> None:
    embedder = GramEmbedder()
    engine = open_elastic_engine("elasticsearch://user:secret@127.0.0.1:9/kb", "default", embedder)
    with pytest.raises(EngineError, match="cannot be reached") as caught:
        engine.candidates("zh", analyse("挂失", "zh"), embedder.embed(["挂失"], "query")[0], 5)
    assert caught.value.retryable
    assert "挂失" not in str(caught.value)
    assert "secret" not in str(caught.value)
    with pytest.raises(EngineError, match="cannot be reached"):
        engine.state()
    engine.close()
