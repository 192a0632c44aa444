"""ATT&CK in Sigma tags."""

from __future__ import annotations

from khien.findings.attack import TACTICS, _known, placed, tactics, technique_name, techniques


def test_techniques_are_read_in_any_case_once_and_nothing_else_is_one() -> None:
    tags = [
        "attack.T1059.001",
        "attack.t1059.001",
        "attack.t1003",
        "attack.g0016",
        "cve.2021-44228",
        "t1001",
        "attack.t10",
    ]
    assert techniques(tags) == ["T1059.001", "T1003"]


def test_tactics_are_read_with_dashes_or_underscores() -> None:
    assert tactics(["attack.credential_access", "attack.Command-and-Control", "attack.t1003", "tlp.red"]) == [
        "credential-access",
        "command-and-control",
    ]


def test_the_former_defense_evasion_becomes_the_successor_that_its_techniques_serve() -> None:
    assert tactics(["attack.defense-evasion", "attack.t1562.001"]) == ["defense-impairment"]
    assert tactics(["attack.defense_evasion", "attack.t1027"]) == ["stealth"]
    assert tactics(["attack.defense-evasion", "attack.t1112"]) == ["defense-impairment"]
    assert tactics(["attack.defense-evasion", "attack.t1484.001", "attack.t1027"]) == ["stealth", "defense-impairment"]
    assert tactics(["attack.defense-evasion"]) == ["stealth"]


def test_what_left_defense_evasion_serves_neither_successor() -> None:
    assert placed(["attack.defense-evasion", "attack.lateral-movement", "attack.t1550.002"]) == [
        ("T1550.002", ["lateral-movement"])
    ]
    assert placed(["attack.t1548.002"]) == [("T1548.002", ["privilege-escalation"])]


def test_a_technique_is_placed_under_the_tactics_of_the_rule_that_it_serves() -> None:
    tags = ["attack.execution", "attack.persistence", "attack.t1059.001", "attack.t1505.003"]
    assert placed(tags) == [("T1059.001", ["execution"]), ("T1505.003", ["persistence"])]


def test_a_technique_is_placed_by_the_matrix_where_the_rule_names_no_tactic_of_it() -> None:
    assert placed(["attack.execution", "attack.t1003.001"]) == [("T1003.001", ["credential-access"])]
    assert placed(["attack.t1490"]) == [("T1490", ["impact"])]


def test_a_technique_that_the_matrix_does_not_know_gets_the_tactics_of_its_rule() -> None:
    assert placed(["attack.impact", "attack.t9999"]) == [("T9999", ["impact"])]
    assert technique_name("T9999") == ""


def test_every_technique_has_a_name_and_tactics_of_the_matrix() -> None:
    assert technique_name("T1003.001") == "LSASS Memory"
    assert technique_name("T1685.005") == "Clear Windows Event Logs"
    assert technique_name("T1211") == "Exploitation for Stealth"
    assert technique_name("T1683.002") == "Audio-Visual Content"
    for technique, (name, served) in _known().items():
        assert techniques([f"attack.{technique}"]) == [technique]
        assert name.strip()
        assert served
        assert set(served) <= set(TACTICS), technique
