"""What correlations find in a stream of hits. Times are in seconds; the window is ten of them."""

from __future__ import annotations

import itertools
import random
import time
from typing import Any, ClassVar

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from khien.engine import correlation as module
from khien.engine.correlation import Correlator
from khien.engine.hit import CorrelationMatch, Hit
from khien.rules.collection import load_sources
from khien.rules.model import Correlation

SECOND = 1_000_000


def rules(*bodies: dict[str, Any]) -> tuple[Correlation, ...]:
    """Correlations c0, c1, ... over base rules a, b, c with a window of ten seconds."""
    documents: list[dict[str, Any]] = [
        {
            "title": name,
            "id": name,
            "logsource": {"product": "test"},
            "detection": {"s": {"x": name}, "condition": "s"},
        }
        for name in "abc"
    ]
    documents += [
        {"title": f"c{n}", "id": f"c{n}", "correlation": {"timespan": "10s", "rules": ["a"], **body}}
        for n, body in enumerate(bodies)
    ]
    for document in documents:
        body = document.get("correlation", {})
        if isinstance(body.get("condition"), str):
            body.pop("rules")
    loaded = load_sources([("made.yml", yaml.safe_dump_all(documents).encode())], {})
    assert not loaded.unusable, loaded.unusable
    return loaded.correlations


def run(correlations: tuple[Correlation, ...], hits: list[tuple[float, str, dict[str, Any]]]) -> list[CorrelationMatch]:
    correlator = Correlator(correlations)
    found = [
        match
        for number, (at, rule, values) in enumerate(hits, 1)
        for match in correlator.add(Hit(int(at * SECOND), rule, values, "log", number))
    ]
    return found + correlator.flush()


def times(body: dict[str, Any], *hits: Any) -> list[float]:
    """When one correlation fires for hits given as `time`, `(time, rule)` or `(time, rule, values)`."""
    full = [hit if isinstance(hit, tuple) else (hit, "a") for hit in hits]
    return [match.time / SECOND for match in run(rules(body), [(*hit, {})[:3] for hit in full])]


COUNT = {"type": "event_count", "condition": {"gte": 3}}


class TestEventCount:
    def test_it_fires_when_the_count_is_reached_within_the_timespan(self) -> None:
        assert times(COUNT, 0, 5, 10) == [10]
        assert times(COUNT, 0, 5, 10.1) == []

    def test_a_lasting_attack_is_one_finding_a_timespan(self) -> None:
        assert times(COUNT, *range(25)) == [2, 13, 24]

    def test_it_fires_again_after_the_condition_was_false(self) -> None:
        assert times(COUNT, 0, 1, 2, 20, 21, 22) == [2, 22]

    @pytest.mark.parametrize(
        ("condition", "fires"),
        [({"eq": 2}, [1]), ({"gt": 2}, [2]), ({"gte": 2, "lt": 4}, [1]), ({"lte": 1}, [0]), ({"neq": 1}, [1])],
    )
    def test_each_operator_bounds_the_count(self, condition: dict[str, int], fires: list[float]) -> None:
        assert times({**COUNT, "condition": condition}, 0, 1, 2, 3) == fires

    def test_hits_of_several_rules_are_counted_together(self) -> None:
        assert times({**COUNT, "rules": ["a", "b"]}, 0, (1, "b"), 2) == [2]

    def test_the_finding_has_the_group_the_figures_and_the_hits(self) -> None:
        (match,) = run(
            rules({**COUNT, "group-by": ["user"]}), [(n, "a", {"user": "An" if n % 2 else "Bo"}) for n in range(5)]
        )
        assert (match.correlation_id, match.group, match.figures) == ("c0", {"user": "Bo"}, {"count": 3})
        assert [hit.record for hit in match.hits] == [1, 3, 5]

    def test_at_most_the_last_hundred_hits_are_shown(self) -> None:
        (match,) = run(rules({**COUNT, "condition": {"gte": 150}}), [(n / 100, "a", {}) for n in range(150)])
        assert len(match.hits) == 100
        assert match.hits[-1].record == 150


class TestGroups:
    def test_groups_are_counted_apart_and_by_the_text_of_all_fields(self) -> None:
        body = {**COUNT, "group-by": ["u", "h"]}
        assert times(body, *((n, "a", {"u": "x", "h": n % 2}) for n in range(5))) == [4]
        assert times(body, *((n, "a", {"u": "x", "h": h}) for n, h in enumerate((1, "1", 1.0)))) == [2]

    def test_a_hit_without_a_group_field_takes_no_part(self) -> None:
        body = {**COUNT, "group-by": ["u"]}
        assert times(body, *((n, "a", v) for n, v in enumerate(({"u": "x"}, {}, {"u": None}, {"u": "x"})))) == []

    def test_an_alias_names_other_fields_in_other_rules(self) -> None:
        body = {
            "type": "temporal",
            "rules": ["a", "b"],
            "group-by": ["ip"],
            "aliases": {"ip": {"a": "src", "b": "dst"}},
        }
        assert times(body, (0, "a", {"src": "1"}), (1, "b", {"dst": "1"})) == [1]
        assert times(body, (0, "a", {"src": "1"}), (1, "b", {"dst": "2", "src": "1"})) == []
        correlator = Correlator(rules(body))
        assert correlator.fields("a") == {"src"}
        assert correlator.fields("b") == {"dst"}

    def test_too_many_groups_are_given_up_and_counted(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(module, "MOST_GROUPS", 10)
        correlator = Correlator(rules({**COUNT, "group-by": ["u"]}))
        for n in range(25):
            correlator.add(Hit(n, "a", {"u": n}))
        assert correlator.overflowed == 15


class TestValueCount:
    body: ClassVar[dict[str, Any]] = {"type": "value_count", "condition": {"field": "u", "gte": 3}}

    def test_it_counts_distinct_values(self) -> None:
        assert times(self.body, *((n, "a", {"u": u}) for n, u in enumerate("xyxz"))) == [3]
        assert times(self.body, *((n, "a", {"u": u}) for n, u in enumerate("xyxyx"))) == []

    def test_a_value_leaves_with_the_last_hit_that_has_it(self) -> None:
        assert times(self.body, (0, "a", {"u": 1}), (5, "a", {"u": 2}), (11, "a", {"u": 3})) == []
        assert times(self.body, (0, "a", {"u": 1}), (4, "a", {"u": 1}), (5, "a", {"u": 2}), (11, "a", {"u": 3})) == [11]

    def test_of_several_fields_it_counts_combinations(self) -> None:
        body: ClassVar[dict[str, Any]] = {"type": "value_count", "condition": {"field": ["u", "h"], "gte": 3}}
        assert times(body, *((n, "a", {"u": u, "h": h}) for n, (u, h) in enumerate(("xy", "xy", "xz", "yz")))) == [3]

    def test_each_element_of_a_list_counts(self) -> None:
        assert times(self.body, (0, "a", {"u": ["x", "y"]}), (1, "a", {"u": ["y", "z"]})) == [1]

    def test_a_hit_without_the_field_changes_nothing(self) -> None:
        hits = [(n, "a", {"u": n}) for n in range(3)]
        assert times(self.body, *hits, (4, "a", {}), (4.5, "a", {"u": None}), (5, "a", {"u": 1})) == [2]


class TestFigures:
    @pytest.mark.parametrize(
        ("kind", "condition", "values", "figure"),
        [
            ("value_sum", {"gte": 0.3}, [0.1, 0.2], 0.1 + 0.2),
            ("value_sum", {"gte": 60}, ["10", 20, 30.0], 60),
            ("value_avg", {"gt": 15}, [10, 30], 20),
            ("value_median", {"gte": 5}, [1, 3, 5, 7, 9], 5),
            ("value_median", {"gt": 3}, [1, 3, 5, 7], 4),
            ("value_percentile", {"gte": 90, "percentile": 90}, list(range(0, 101, 10)), 90),
            ("value_percentile", {"gt": 2.5, "percentile": 25}, [1, 4, 7, 10], 3.25),
            ("value_percentile", {"gte": 3, "percentile": 100}, [1, 2, 3], 3),
        ],
    )
    def test_the_figure_is_exact(self, kind: str, condition: dict[str, Any], values: list[Any], figure: float) -> None:
        found = run(
            rules({"type": kind, "condition": {"field": "n", **condition}}),
            [(at / 10, "a", {"n": value}) for at, value in enumerate(values)],
        )
        name = {"value_sum": "sum", "value_avg": "avg", "value_median": "median", "value_percentile": "percentile"}[
            kind
        ]
        assert found[0].figures[name] == pytest.approx(figure)
        assert found[0].figures["count"] == len(values)

    def test_what_leaves_the_window_leaves_no_trace(self) -> None:
        body = {"type": "value_sum", "condition": {"field": "n", "eq": 0.3}}
        hits = [(0, "a", {"n": 1e20}), (1, "a", {"n": 0.1}), (20, "a", {"n": 0.3})]
        assert times(body, *hits) == [20]

    def test_what_is_no_number_takes_no_part(self) -> None:
        body = {"type": "value_avg", "condition": {"field": "n", "gte": 5}}
        values = [5, "many", None, True, [], float("inf"), "nan", 5]
        assert times(body, *((n, "a", {"n": v}) for n, v in enumerate(values)), (8, "a", {})) == [0]


class TestTemporal:
    body: ClassVar[dict[str, Any]] = {"type": "temporal", "rules": ["a", "b", "c"]}

    @pytest.mark.parametrize("order", list(itertools.permutations("abc")))
    def test_all_rules_in_any_order(self, order: tuple[str, ...]) -> None:
        assert times(self.body, *enumerate(order)) == [2]

    def test_only_within_the_timespan(self) -> None:
        assert times(self.body, (0, "a"), (5, "b"), (10, "c")) == [10]
        assert times(self.body, (0, "a"), (5, "b"), (10.1, "c")) == []
        assert times(self.body, (0, "a"), (5, "b"), (10.1, "c"), (11, "a")) == [11]

    def test_a_number_of_rules_is_enough_where_the_condition_says_so(self) -> None:
        body = {**self.body, "condition": {"gte": 2}}
        assert times(body, (0, "a"), (1, "a"), (2, "c")) == [2]
        assert times(body, (0, "a"), (1, "a"), (20, "c")) == []

    def test_a_boolean_condition(self) -> None:
        body = {"type": "temporal", "condition": "a and (b or c)"}
        assert times(body, (0, "b"), (1, "c")) == []
        assert times(body, (0, "c"), (1, "a")) == [1]

    def test_a_and_not_b_is_decided_when_b_can_no_longer_come(self) -> None:
        body = {"type": "temporal", "condition": "a and not b"}
        assert times(body, (20, "a")) == [20]
        assert times(body, (20, "a"), (29, "b")) == []
        assert times(body, (11, "b"), (20, "a")) == []
        assert times(body, (0, "b"), (20, "a"), (40, "b")) == [20]
        assert times(body, (0, "b"), (10.5, "a"), (20.6, "b")) == [10.5]
        assert times(body, (0, "a"), (5, "a"), (9, "a")) == [0]

    def test_a_and_c_and_not_b(self) -> None:
        body = {"type": "temporal", "condition": "a and c and not b"}
        assert times(body, (0, "a"), (5, "c")) == [0]
        assert times(body, (0, "a"), (5, "c"), (8, "b")) == []
        (match,) = run(rules(body), [(0, "a", {}), (5, "c", {})])
        assert [hit.rule_id for hit in match.hits] == ["a", "c"]


class TestTemporalOrdered:
    body: ClassVar[dict[str, Any]] = {"type": "temporal_ordered", "rules": ["a", "b", "c"]}

    @pytest.mark.parametrize("order", list(itertools.permutations("abc")))
    def test_only_in_the_order_listed(self, order: tuple[str, ...]) -> None:
        assert times(self.body, *enumerate(order)) == ([2] if order == ("a", "b", "c") else [])

    def test_what_comes_between_does_not_matter_and_the_latest_beginning_counts(self) -> None:
        assert times(self.body, (0, "a"), (8, "a"), (9, "b"), (10, "a"), (12, "c")) == [12]
        assert times(self.body, (0, "a"), (1, "b"), (8, "a"), (12, "c")) == []

    def test_hits_of_the_same_time_count_in_order_of_arrival(self) -> None:
        assert times(self.body, (1, "a"), (1, "b"), (1, "c")) == [1]
        assert times(self.body, (1, "b"), (1, "a"), (1, "c")) == []

    def test_a_rule_may_come_twice(self) -> None:
        body = {**self.body, "rules": ["a", "b", "a"]}
        assert times(body, (0, "a"), (1, "b")) == []
        assert times(body, (0, "a"), (1, "b"), (2, "a")) == [2]
        assert times({**self.body, "rules": ["a", "a"]}, (0, "a")) == []

    def test_repeats_within_a_timespan_are_one_finding(self) -> None:
        body = {**self.body, "rules": ["a", "b"]}
        assert times(body, (0, "a"), (1, "b"), (2, "a"), (3, "b"), (4, "b")) == [1]
        assert times(body, (0, "a"), (1, "b"), (20, "a"), (21, "b")) == [1, 21]

    def test_a_number_of_rules_in_order_is_enough_where_the_condition_says_so(self) -> None:
        body = {**self.body, "condition": {"gte": 2}}
        assert times(body, (0, "a"), (1, "c")) == [1]
        assert times(body, (0, "c"), (1, "a")) == []
        assert times(body, (0, "c"), (1, "b"), (2, "a"), (3, "c")) == [3]

    def test_a_boolean_condition_is_met_in_the_order_written(self) -> None:
        body = {"type": "temporal_ordered", "condition": "a and (b or c)"}
        assert times(body, (0, "b"), (1, "a")) == []
        assert times(body, (0, "b"), (1, "a"), (2, "c")) == [2]
        both = {"type": "temporal_ordered", "condition": "(a and b) or (b and c)"}
        assert times(both, (0, "b"), (1, "a"), (2, "c")) == [2]

    def test_not_rules_out_in_an_order_too(self) -> None:
        body = {"type": "temporal_ordered", "condition": "a and c and not b"}
        assert times(body, (0, "a"), (1, "c")) == [0]
        assert times(body, (0, "c"), (1, "a")) == []
        assert times(body, (0, "a"), (1, "b"), (2, "c")) == []


class TestChains:
    def test_a_correlation_of_a_correlation(self) -> None:
        burst = {**COUNT, "group-by": ["user", "host"]}
        then = {"type": "temporal_ordered", "rules": ["c0", "b"], "group-by": ["user"]}
        hits = [(n, "a", {"user": "An", "host": "h"}) for n in range(3)]
        found = run(rules(burst, then), [*hits, (5, "b", {"user": "An"})])
        assert [(match.correlation_id, match.time // SECOND) for match in found] == [("c0", 2), ("c1", 5)]
        assert [hit.rule_id for hit in found[1].hits] == ["c0", "b"]
        assert len(run(rules(burst, then), [*hits, (5, "b", {"user": "Bo"})])) == 1

    def test_figures_of_a_correlation_can_be_read_by_the_next(self) -> None:
        sums = {"type": "value_sum", "condition": {"field": "count", "gte": 6}, "rules": ["c0"]}
        found = run(rules({**COUNT, "group-by": ["u"]}, sums), [(n, "a", {"u": n % 2}) for n in range(6)])
        assert [match.correlation_id for match in found] == ["c0", "c0", "c1"]

    def test_an_absence_is_handed_on_when_it_is_decided(self) -> None:
        gone = {"type": "temporal", "condition": "a and not b"}
        then = {"type": "temporal_ordered", "rules": ["c0", "c"], "timespan": "1m"}
        found = run(rules(gone, then), [(0, "a", {}), (5, "c", {}), (30, "c", {})])
        assert [(match.correlation_id, match.time // SECOND) for match in found] == [("c0", 0), ("c1", 30)]

    def test_base_rules_are_silent_unless_generate_says_otherwise(self) -> None:
        assert Correlator(rules(COUNT, {**COUNT, "rules": ["c0"]})).suppressed == {"a", "c0"}
        assert Correlator(rules({**COUNT, "generate": True})).suppressed == frozenset()
        assert Correlator(rules(COUNT, {**COUNT, "generate": True})).suppressed == frozenset()
        assert Correlator(rules(COUNT)).base_rules == {"a"}


KINDS: list[dict[str, Any]] = [
    COUNT,
    {"type": "value_count", "condition": {"field": "n", "gte": 3}},
    {"type": "value_sum", "condition": {"field": "n", "gte": 12}},
    {"type": "value_avg", "condition": {"field": "n", "gte": 4}},
    {"type": "value_median", "condition": {"field": "n", "gte": 4}},
    {"type": "temporal", "rules": ["a", "b", "c"]},
    {"type": "temporal", "condition": "a and (b or c)"},
    {"type": "temporal", "rules": ["a", "b", "c"], "condition": {"gte": 2}},
]


def brute_force(body: dict[str, Any], window: list[tuple[int, str, int]]) -> bool:
    """Whether a condition holds of a window, by counting anew."""
    kind, values, names = body["type"], [n for _, rule, n in window if rule == "a"], {rule for _, rule, _ in window}
    if kind == "temporal":
        if isinstance(body.get("condition"), str):
            return "a" in names and bool({"b", "c"} & names)
        return len(names) >= (2 if "condition" in body else 3)
    if not values:
        return False
    ranked = sorted(values)
    half = len(ranked) // 2
    figure = {
        "event_count": len(values),
        "value_count": len(set(values)),
        "value_sum": sum(values),
        "value_avg": sum(values) / len(values),
        "value_median": ranked[half] if len(ranked) % 2 else (ranked[half - 1] + ranked[half]) / 2,
    }[kind]
    return bool(figure >= body["condition"]["gte"])


@given(
    st.sampled_from(KINDS),
    st.lists(st.tuples(st.integers(0, 8), st.sampled_from("aabc"), st.integers(0, 9)), max_size=40),
)
def test_a_running_window_says_what_counting_anew_says(body: dict[str, Any], steps: list[tuple[int, str, int]]) -> None:
    at, seen, expected, armed, fired = 0, [], [], True, -1_000
    takes = set("abc") if body["type"] == "temporal" else {"a"}
    for gap, rule, value in steps:
        at += gap
        seen.append((at, rule, value))
        if rule not in takes:
            continue
        true = brute_force(body, [hit for hit in seen if at - 10 <= hit[0]])
        if true and (armed or at - fired > 10):
            expected.append(at)
            fired = at
        armed = not true
    hits, at = [], 0
    for gap, rule, value in steps:
        at += gap
        hits.append((at, rule, {"n": value}))
    assert [match.time // SECOND for match in run(rules(body), hits)] == expected


LARGE: list[dict[str, Any]] = [
    {"type": "event_count", "condition": {"gte": 10**9}},
    {"type": "value_count", "condition": {"field": "n", "gte": 10**9}},
    {"type": "value_sum", "condition": {"field": "n", "gte": 10**12}},
    {"type": "value_median", "condition": {"field": "n", "gte": 10**9}},
    {"type": "temporal_ordered", "rules": ["a", "b", "a", "b", "c"]},
    {"type": "temporal_ordered", "condition": "a and b and c"},
    {"type": "temporal", "condition": "a and b and not c"},
]


@pytest.mark.slow
@pytest.mark.parametrize("body", LARGE, ids=lambda body: f"{body['type']} {str(body.get('condition'))[:20]}")
def test_the_cost_of_a_hit_does_not_grow_with_the_window(body: dict[str, Any]) -> None:
    def cost(within: int) -> float:
        """Seconds a hit when the window holds `within` hits with as many distinct values."""
        made = rules({**body, "timespan": "1h"})
        step = 3_600 * SECOND // within
        values = list(range(40_000))
        random.Random(7).shuffle(values)
        best = float("inf")
        for _ in range(3):
            correlator = Correlator(made)
            hits = [
                Hit(n * step, "ab"[n % 2] if "rules" in body or "and" in str(body) else "a", {"n": v})
                for n, v in enumerate(values)
            ]
            for hit in hits[:25_000]:
                correlator.add(hit)
            started = time.perf_counter()
            for hit in hits[25_000:]:
                correlator.add(hit)
            best = min(best, (time.perf_counter() - started) / 15_000)
        return best

    few, many = cost(200), cost(20_000)
    assert many < 3 * few, f"{few * 1e6:.1f} µs a hit with 200 in the window, {many * 1e6:.1f} µs with 20,000"
