"""Whatever stands in a rule file, loading never fails, and every document is used or named with a reason."""

from __future__ import annotations

from typing import Any

import orjson
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from khien.engine.correlation import Correlator
from khien.engine.detector import Detector
from khien.engine.hit import Hit
from khien.events.mapping import Classifier, event_text
from khien.events.records import RecordBlock
from khien.hunt.plans import HuntOptions, HuntPlan
from khien.rules.collection import load_sources
from khien.rules.modifiers import KNOWN
from reference.judging import SOURCE

scalars = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8),
    st.sampled_from(["a", "*", "", "%x%", "\\", "1h", "any", "10.0.0.0/8", "(a+)+$", "[", "s", "1 of them", "not s", "a and not b", "event_count"]),
)  # fmt: skip
keys = st.one_of(
    st.builds(
        lambda field, modifiers: "|".join((field, *modifiers)),
        st.sampled_from(["a", "", "b.c"]),
        st.lists(st.sampled_from(sorted(KNOWN)), max_size=4),
    ),
    st.sampled_from(["condition", "rules", "timeframe", "field", "gte", "s"]),
    st.text(max_size=4),
)
anything = st.recursive(
    scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(keys, inner, max_size=3)),
    max_leaves=12,
)
likely = st.one_of(
    st.dictionaries(keys, st.one_of(scalars, st.lists(scalars, max_size=3)), min_size=1, max_size=3),
    st.lists(scalars, min_size=1, max_size=3),
)
detections = st.one_of(
    anything,
    st.fixed_dictionaries({"s": likely, "condition": st.sampled_from(["s", "not s", "1 of s*", ["s", "not s"]])}),
)
correlations = st.one_of(
    anything,
    st.fixed_dictionaries(
        {},
        optional={
            "type": st.one_of(scalars, st.sampled_from(["event_count", "value_count", "temporal", "temporal_ordered", "value_sum", "value_median"])),
            "rules": st.one_of(anything, st.just(["base"]), st.just(["base", "made"])),
            "group-by": st.one_of(anything, st.just(["a"])),
            "timespan": st.one_of(scalars, st.just("5m")),
            "condition": st.one_of(anything, st.just({"gte": 1, "field": "a"}), st.just({"gte": 1}), st.just("base and not made")),
            "aliases": anything,
            "generate": scalars,
        },
    ),
)  # fmt: skip
META = {
    "title": st.one_of(scalars, st.just("made")),
    "id": st.one_of(scalars, st.just("made")),
    "name": scalars,
    "level": st.one_of(scalars, st.just("high")),
    "logsource": st.one_of(anything, st.just(SOURCE)),
    "tags": anything,
    "fields": anything,
    "falsepositives": anything,
}
documents = st.one_of(
    anything,
    st.fixed_dictionaries({"title": st.just("made"), "logsource": st.just(SOURCE), "detection": detections}, optional={"id": scalars}),
    st.fixed_dictionaries({"title": st.just("made"), "correlation": correlations}),
    st.fixed_dictionaries({"title": st.just("made"), "logsource": st.just(SOURCE), "filter": detections}),
    st.fixed_dictionaries({}, optional={**META, "detection": detections, "correlation": correlations, "filter": detections}),
)  # fmt: skip
BASE = {"title": "base", "id": "base", "logsource": SOURCE, "detection": {"s": {"a": "x"}, "condition": "s"}}
EVENTS: list[dict[str, Any]] = [{"a": "x", "b": {"c": 1}}, {"a": None}, {}, {"a": ["x", 2], "z": "s any"}]


@settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(documents, max_size=4), st.binary(max_size=20))
def test_loading_never_fails_and_what_is_usable_can_be_used(made: list[Any], junk: bytes) -> None:
    data = yaml.safe_dump_all([BASE, *made], allow_unicode=True).encode("utf-8", "surrogatepass")
    loaded = load_sources([("made.yml", data), ("junk.yml", junk)], {})
    assert any(rule.id == "base" for rule in loaded.rules) or "base" in str(made)
    assert all(each.reason and each.path for each in (*loaded.unusable, *loaded.warnings))
    plan = HuntPlan(loaded, HuntOptions(level="informational"))
    detector = Detector(plan.ruleset)
    block = RecordBlock("json", list(range(len(EVENTS))), [{**event, "logsource": SOURCE} for event in EVENTS])
    for batch in Classifier([]).batches(block, "made", detector):
        if batch.texts is not None:
            batch.texts = [event_text(event) for event in EVENTS]
        detector.detect(batch)
    correlator = Correlator(plan.correlations)
    for at, rule_id in enumerate(sorted(correlator.base_rules) * 3):
        correlator.add(Hit(at * 10**6, rule_id, {"a": at}))
    orjson.dumps([match.figures for match in correlator.flush()])


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=60), st.integers(0, 200), st.binary(max_size=3))
def test_damaged_files_are_named_and_never_raise(text: str, at: int, damage: bytes) -> None:
    data = yaml.safe_dump({**BASE, "description": text}, allow_unicode=True).encode("utf-8", "surrogatepass")
    loaded = load_sources([("made.yml", data[:at] + damage + data[at:])], {})
    assert len(loaded.rules) + len(loaded.unusable) >= 1
