"""JSON, however its objects are put together, and what cloud products write with it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from formats.reading import blocks, read, read_one
from khien.events.batch import MISSING
from khien.formats.json_records import loads

A, B, C = {"n": 1, "s": '}{"]['}, {"n": 2, "s": "\\"}, {"n": 3, "deep": {"list": [1, {"x": "y"}]}}


def numbers(data: bytes | str) -> list[Any]:
    found, problems = blocks("json", data)
    assert problems == []
    return [record["n"] for block in found for record in block.records]


@pytest.mark.parametrize(
    "data",
    [
        "\n".join(json.dumps(each) for each in (A, B, C)),
        "\r\n\r\n".join(json.dumps(each) for each in (A, B, C)) + "\r\n",
        json.dumps([A, B, C]),
        json.dumps([A, B, C], indent=4),
        "\n".join(json.dumps(each, indent=4) for each in (A, B, C)),
        "".join(json.dumps(each) for each in (A, B, C)),
        ",\n".join(json.dumps(each) for each in (A, B, C)),
        json.dumps({"Records": [A, B, C]}),
        json.dumps({"Records": [A, B, C]}, indent=1),
        json.dumps([A]) + "\n" + json.dumps([B, C]),
        "\ufeff" + json.dumps([A, B, C]),
        "\x1e" + "\n\x1e".join(json.dumps(each) for each in (A, B, C)),
    ],
)
def test_objects_are_found_however_they_are_put_together(data: str) -> None:
    assert numbers(data) == [1, 2, 3]


def test_objects_are_numbered_from_one_as_they_stand_outermost() -> None:
    found, _ = blocks("json", '{"n": 1}\n{"Records": [{"n": 2}, {"n": 3}]}\n{"n": 4}')
    assert [number for block in found for number in block.numbers] == [1, 2, 2, 3]


def test_an_array_of_any_size_is_read_in_blocks() -> None:
    found, _ = blocks("json", json.dumps([{"n": at, "pad": "x" * 500} for at in range(9_000)]))
    assert sum(len(block.records) for block in found) == 9_000
    assert max(len(block.records) for block in found) <= 2048


def test_a_damaged_object_is_reported_and_the_rest_is_read() -> None:
    found, problems = blocks("json", '{"n": 1}\n{"n": oops}\n{"n": 3}\n{"n": nope}\n')
    assert [record["n"] for block in found for record in block.records] == [1, 3]
    (problem,) = problems
    assert (problem.place, problem.count) == ("object 2", 2)
    assert "not valid JSON" in problem.what


def test_an_input_that_ends_inside_an_object_is_reported() -> None:
    found, problems = blocks("json", '{"n": 1}\n{"n": 2, "s": "cut')
    assert [record["n"] for block in found for record in block.records] == [1]
    assert "ends inside an object" in str(problems[0])


@pytest.mark.parametrize(
    ("data", "value"),
    [
        (b'{"a": "x\x00y"}', {"a": "xy"}),
        (b'{"a": "tab\there"}', {"a": "tab\there"}),
        (b'{"a": NaN, "b": Infinity}', {"a": "NaN", "b": "Infinity"}),
        (b'{"a": "S\xe9curit\xe9"}', {"a": "S\ufffdcurit\ufffd"}),
    ],
)
def test_what_shippers_get_wrong_is_forgiven(data: bytes, value: Any) -> None:
    assert loads(data) == value


def test_nesting_too_deep_to_be_a_log_is_a_value_error() -> None:
    with pytest.raises(ValueError, match=r"deep|recursion"):
        loads(b'{"a":' * 50_000 + b"1" + b"}" * 50_000)


def test_blocks_have_one_family_each_in_input_order() -> None:
    windows = {"EventID": 1, "Channel": "System"}
    found, _ = blocks("json", "\n".join(map(json.dumps, [windows, {"n": 1}, windows, windows])))
    assert [(block.family, list(block.numbers)) for block in found] == [
        ("windows", [1]),
        ("json", [2]),
        ("windows", [3, 4]),
    ]


@pytest.mark.parametrize("head", ['{"a": 1}', "[{", "[]", "{}", '  {\n  "a"', "[\n  {"])
def test_json_is_told_by_its_beginning(head: str) -> None:
    assert read(head + "\n") is not None


CLOUD: list[tuple[str, dict[str, Any], set[str], dict[str, Any], str]] = [
    (
        "CloudTrail",
        {"eventVersion": "1.08", "eventSource": "iam.amazonaws.com", "eventName": "CreateUser",
         "eventTime": "2026-03-02T01:02:03Z", "sourceIPAddress": "192.0.2.7", "requestParameters": {"userName": "x"},
         "userIdentity": {"type": "Root", "arn": "arn:aws:iam::1:root"}},
        {"aws/*/cloudtrail"},
        {"eventName": "CreateUser", "userIdentity.type": "Root", "src_ip": "192.0.2.7"},
        "2026-03-02T01:02:03.000000Z",
    ),
    (
        "Azure activity, diagnostic settings",
        {"time": "2026-03-02T01:02:03Z", "resourceId": "/SUBSCRIPTIONS/1", "category": "Administrative",
         "operationName": "MICROSOFT.COMPUTE/VIRTUALMACHINES/WRITE", "resultType": "Start"},
        {"azure/*/activitylogs"},
        {"operationName": "MICROSOFT.COMPUTE/VIRTUALMACHINES/WRITE",
         "OperationNameValue": "MICROSOFT.COMPUTE/VIRTUALMACHINES/WRITE", "CategoryValue": "Administrative"},
        "2026-03-02T01:02:03.000000Z",
    ),
    (
        "Azure activity, command line",
        {"eventTimestamp": "2026-03-02T01:02:03.5Z", "caller": "lan@tinh.example",
         "operationName": {"value": "Microsoft.Network/dnsZones/delete", "localizedValue": "Delete DNS zone"},
         "category": {"value": "Administrative"}, "resourceId": "/subscriptions/1"},
        {"azure/*/activitylogs"},
        {"operationName": "Microsoft.Network/dnsZones/delete", "Category": "Administrative"},
        "2026-03-02T01:02:03.500000Z",
    ),
    (
        "Azure activity, Sentinel",
        {"TimeGenerated": "2026-03-02T01:02:03Z", "OperationNameValue": "MICROSOFT.ADHYBRIDHEALTHSERVICE/SERVICES/DELETE",
         "CategoryValue": "Administrative", "ResourceProviderValue": "MICROSOFT.ADHYBRIDHEALTHSERVICE", "Type": "AzureActivity",
         "_ResourceId": "/x/AdFederationService_1"},
        {"azure/*/activitylogs"},
        {"ResourceId": "/x/AdFederationService_1", "operationName": "MICROSOFT.ADHYBRIDHEALTHSERVICE/SERVICES/DELETE"},
        "2026-03-02T01:02:03.000000Z",
    ),
    (
        "Entra audit, diagnostic settings",
        {"time": "2026-03-02T01:02:03Z", "resourceId": "/tenants/1", "operationName": "Add member to role",
         "category": "AuditLogs", "properties": {"category": "RoleManagement", "result": "success",
         "loggedByService": "Core Directory", "targetResources": [{"displayName": "Admins", "modifiedProperties": [
             {"displayName": "Role.DisplayName", "newValue": "\"Global Administrator\""}]}]}},
        {"azure/*/auditlogs"},
        {"operationName": "Add member to role", "properties.message": "Add member to role", "Category": "RoleManagement",
         "LoggedByService": "Core Directory", "Status": "success",
         "TargetResources.ModifiedProperties.NewValue": [["\"Global Administrator\""]]},
        "2026-03-02T01:02:03.000000Z",
    ),
    (
        "Entra audit, Graph",
        {"activityDateTime": "2026-03-02T01:02:03Z", "activityDisplayName": "Add service principal", "category": "Policy",
         "result": "success", "loggedByService": "Core Directory", "initiatedBy": {"user": {"userPrincipalName": "l@t.example"}}},
        {"azure/*/auditlogs"},
        {"OperationName": "Add service principal", "ActivityDisplayName": "Add service principal", "Category": "Policy",
         "properties.message": "Add service principal", "properties.result": "success"},
        "2026-03-02T01:02:03.000000Z",
    ),
    (
        "Entra sign-in, Graph",
        {"createdDateTime": "2026-03-02T01:02:03Z", "userPrincipalName": "l@t.example", "appDisplayName": "Portal",
         "clientAppUsed": "IMAP", "status": {"errorCode": 50053, "failureReason": "locked"}, "ipAddress": "192.0.2.7",
         "authenticationRequirement": "singleFactorAuthentication", "conditionalAccessStatus": "success"},
        {"azure/*/signinlogs"},
        {"ResultType": 50053, "resultType": 50053, "ResultDescription": "locked", "ClientApp": "IMAP",
         "AuthenticationRequirement": "singleFactorAuthentication", "callerIpAddress": "192.0.2.7"},
        "2026-03-02T01:02:03.000000Z",
    ),
    (
        "Entra sign-in, diagnostic settings",
        {"time": "2026-03-02T01:02:03Z", "resourceId": "/tenants/1", "operationName": "Sign-in activity",
         "category": "SignInLogs", "resultType": "50126", "identity": "Lan",
         "properties": {"userAgent": "axios/1", "appId": "a", "authenticationRequirement": "multiFactorAuthentication"}},
        {"azure/*/signinlogs"},
        {"ResultType": "50126", "userAgent": "axios/1", "properties.appId": "a",
         "AuthenticationRequirement": "multiFactorAuthentication"},
        "2026-03-02T01:02:03.000000Z",
    ),
    (
        "Entra risk detection",
        {"riskEventType": "anonymizedIPAddress", "detectedDateTime": "2026-03-02T01:02:03Z", "userPrincipalName": "l@t.example"},
        {"azure/*/riskdetection", "azure/*/pim"},
        {"riskEventType": "anonymizedIPAddress"},
        "2026-03-02T01:02:03.000000Z",
    ),
    (
        "Microsoft 365 unified audit log",
        {"CreationTime": "2026-03-02T01:02:03", "RecordType": 1, "Operation": "New-InboxRule", "Workload": "Exchange",
         "UserId": "l@t.example", "Parameters": [{"Name": "ForwardTo", "Value": "x@y.example"}], "ResultStatus": "True"},
        {"m365/*/audit", "m365/*/exchange", "m365/*/threat_management"},
        {"Operation": "New-InboxRule", "eventSource": "Exchange", "eventName": "New-InboxRule"},
        "2026-03-02T01:02:03.000000Z",
    ),
    (
        "Microsoft 365 audit search result",
        {"CreationDate": "2026-03-02T01:02:03Z", "UserIds": "l@t.example", "Operations": "Set-Mailbox",
         "AuditData": '{"Operation":"Set-Mailbox","Workload":"Exchange","CreationTime":"2026-03-02T01:02:03"}'},
        {"m365/*/audit"},
        {"Operation": "Set-Mailbox"},
        "2026-03-02T01:02:03.000000Z",
    ),
    (
        "Okta system log",
        {"eventType": "user.session.start", "published": "2026-03-02T01:02:03.500Z", "displayMessage": "User login",
         "actor": {"alternateId": "l@t.example"}, "securityContext": {"isProxy": True}, "version": "0",
         "target": [{"displayName": "Okta Admin Console"}]},
        {"okta/*/okta"},
        {"eventtype": "user.session.start", "displaymessage": "User login", "securityContext.isProxy": True,
         "target.displayName": ["Okta Admin Console"]},
        "2026-03-02T01:02:03.500000Z",
    ),
    (
        "Kubernetes audit",
        {"kind": "Event", "apiVersion": "audit.k8s.io/v1", "verb": "create", "user": {"username": "system:serviceaccount:x"},
         "objectRef": {"resource": "pods", "namespace": "kube-system", "apiGroup": "apps"},
         "requestObject": {"spec": {"volumes": [{"hostPath": {"path": "/"}}],
                                    "containers": [{"securityContext": {"capabilities": {"add": ["SYS_ADMIN"]}}}]}},
         "requestReceivedTimestamp": "2026-03-02T01:02:03.500000Z"},
        {"kubernetes/*/audit", "kubernetes/application/audit"},
        {"verb": "create", "objectRef.resource": "pods", "apiGroup": "apps", "hostPath": ["/"],
         "capabilities": [["SYS_ADMIN"]]},
        "2026-03-02T01:02:03.500000Z",
    ),
    (
        "Google Cloud audit",
        {"insertId": "x", "timestamp": "2026-03-02T01:02:03.5Z", "logName": "projects/p/logs/cloudaudit.googleapis.com%2Factivity",
         "protoPayload": {"methodName": "storage.buckets.delete", "serviceName": "storage.googleapis.com",
                          "authorizationInfo": [{"permission": "p", "granted": True}]}, "resource": {"type": "gcs_bucket"}},
        {"gcp/*/gcp.audit"},
        {"gcp.audit.method_name": "storage.buckets.delete", "data.protoPayload.serviceName": "storage.googleapis.com",
         "data.protoPayload.authorizationInfo.granted": [True], "data.protoPayload.resource.type": "gcs_bucket"},
        "2026-03-02T01:02:03.500000Z",
    ),
    (
        "Google Cloud audit by the Elastic module",
        {"gcp": {"audit": {"method_name": "compute.vpnTunnels.delete"}}, "@timestamp": "2026-03-02T01:02:03Z"},
        {"gcp/*/gcp.audit"},
        {"gcp.audit.method_name": "compute.vpnTunnels.delete"},
        "2026-03-02T01:02:03.000000Z",
    ),
    (
        "Google Workspace login through Cloud Logging",
        {"timestamp": "2026-03-02T01:02:03Z", "protoPayload": {"methodName": "google.login.LoginService.govAttackWarning",
         "serviceName": "login.googleapis.com", "metadata": {"event": [{"eventName": "gov_attack_warning"}]}}},
        {"gcp/*/google_workspace.login"},
        {"protoPayload.metadata.event.eventName": ["gov_attack_warning"], "protoPayload.serviceName": "login.googleapis.com"},
        "2026-03-02T01:02:03.000000Z",
    ),
    (
        "GitHub",
        {"action": "org.add_member", "actor": "lan", "org": "tinh", "created_at": 1772413323500},
        {"github/*/audit"},
        {"action": "org.add_member"},
        "2026-03-02T01:02:03.500000Z",
    ),
    (
        "OpenCanary",
        {"logtype": 4002, "node_id": "canary-1", "utc_time": "2026-03-02 01:02:03.500000", "src_host": "192.0.2.7"},
        {"opencanary/application/*"},
        {"logtype": 4002},
        "2026-03-02T01:02:03.500000Z",
    ),
    (
        "Duo",
        {"event_type": "authentication", "factor": "bypass_code", "reason": "bypass_user", "txid": "x",
         "isotimestamp": "2026-03-02T01:02:03.5+00:00", "access_device": {"ip": "192.0.2.7"}},
        {"cisco/*/duo"},
        {"event_type": "authentication", "reason": "bypass_user"},
        "2026-03-02T01:02:03.500000Z",
    ),
    (
        "Suricata DNS",
        {"timestamp": "2026-03-02T08:02:03.500000+0700", "flow_id": 1, "event_type": "dns", "src_ip": "192.0.2.7",
         "dest_ip": "192.0.2.8", "dest_port": 53, "dns": {"rrname": "bad.example", "rrtype": "A"}},
        {"suricata/*/dns", "*/dns/*"},
        {"query": "bad.example", "record_type": "A", "dst_ip": "192.0.2.8"},
        "2026-03-02T01:02:03.500000Z",
    ),
    (
        "Suricata HTTP",
        {"timestamp": "2026-03-02T08:02:03.500000+0700", "flow_id": 1, "event_type": "http", "src_ip": "192.0.2.7",
         "http": {"hostname": "h.example", "url": "/a?b=c", "http_user_agent": "x", "http_method": "GET", "status": 200}},
        {"suricata/*/http", "*/proxy/*", "*/webserver/*"},
        {"c-uri": "/a?b=c", "cs-host": "h.example", "c-useragent": "x", "cs-method": "GET", "sc-status": 200},
        "2026-03-02T01:02:03.500000Z",
    ),
    (
        "Suricata alert",
        {"timestamp": "2026-03-02T08:02:03.500000+0700", "event_type": "alert", "flow_id": 1, "alert": {"signature": "x"}},
        {"suricata/*/alert", "*/ids/*"},
        {"alert.signature": "x"},
        "2026-03-02T01:02:03.500000Z",
    ),
    (
        "Zeek with the name of its log",
        {"_path": "dns", "ts": 1772413323.5, "uid": "C1", "id.orig_h": "192.0.2.7", "id.resp_p": 53, "query": "bad.example"},
        {"zeek/*/dns", "*/dns/*"},
        {"query": "bad.example", "src_ip": "192.0.2.7"},
        "2026-03-02T01:02:03.500000Z",
    ),
    (
        "Zeek without the name of its log",
        {"ts": 1772413323.5, "uid": "C1", "id.orig_h": "192.0.2.7", "method": "GET", "uri": "/x", "host": "h.example"},
        {"zeek/*/http", "*/proxy/*"},
        {"c-uri": "/x", "cs-host": "h.example", "uri": "/x"},
        "2026-03-02T01:02:03.500000Z",
    ),
    (
        "Zeek with streams and underlines",
        {"@stream": "smb_files", "ts": 1772413323.5, "id_orig_h": "192.0.2.7", "path": "\\\\h\\IPC$", "name": "atsvc"},
        {"zeek/*/smb_files"},
        {"name": "atsvc", "id.orig_h": "192.0.2.7"},
        "2026-03-02T01:02:03.500000Z",
    ),
    (
        "Elastic endpoint, Linux",
        {"@timestamp": "2026-03-02T01:02:03.5Z", "host": {"os": {"type": "linux"}, "name": "h"},
         "event": {"category": ["process"], "type": ["start"]},
         "process": {"executable": "/usr/bin/nc", "command_line": "nc -e", "parent": {"executable": "/bin/sh"}}},
        {"linux/process_creation/*"},
        {"Image": "/usr/bin/nc", "CommandLine": "nc -e", "ParentImage": "/bin/sh"},
        "2026-03-02T01:02:03.500000Z",
    ),
    (
        "Elastic endpoint, Windows registry",
        {"@timestamp": "2026-03-02T01:02:03.5Z", "host": {"os": {"type": "windows"}},
         "event": {"category": ["registry"], "type": ["change"]}, "process": {"executable": "C:\\a.exe"},
         "registry": {"path": "HKLM\\SOFTWARE\\x", "data": {"strings": ["1"]}}},
        {"windows/registry_set/*", "windows/registry_event/*"},
        {"TargetObject": "HKLM\\SOFTWARE\\x", "Details": ["1"], "Image": "C:\\a.exe"},
        "2026-03-02T01:02:03.500000Z",
    ),
    (
        "Microsoft Defender for Endpoint",
        {"Timestamp": "2026-03-02T01:02:03.5Z", "DeviceName": "h", "ActionType": "ProcessCreated", "FileName": "a.exe",
         "FolderPath": "C:\\a.exe", "ProcessCommandLine": "a -x", "InitiatingProcessFolderPath": "c:\\p.exe"},
        {"windows/process_creation/*"},
        {"Image": "C:\\a.exe", "CommandLine": "a -x", "ParentImage": "c:\\p.exe"},
        "2026-03-02T01:02:03.500000Z",
    ),
    (
        "Microsoft Defender for Endpoint, streamed",
        {"time": "2026-03-02T01:02:04Z", "tenantId": "t", "category": "AdvancedHunting-DeviceFileEvents", "operationName": "Publish",
         "properties": {"Timestamp": "2026-03-02T01:02:03.5Z", "DeviceName": "h", "ActionType": "FileCreated",
                        "FolderPath": "C:\\x.ps1", "InitiatingProcessFolderPath": "c:\\p.exe"}},
        {"windows/file_event/*"},
        {"TargetFilename": "C:\\x.ps1", "Image": "c:\\p.exe"},
        "2026-03-02T01:02:03.500000Z",
    ),
    (
        "Qualys",
        {"host": {"scan": {"vuln": 10693, "vuln_name": "x"}}, "@timestamp": "2026-03-02T01:02:03Z"},
        {"qualys/application/*"},
        {"host.scan.vuln": 10693},
        "2026-03-02T01:02:03.000000Z",
    ),
    (
        "GlobalProtect service log",
        {"level": "error", "task": "1-2", "time": "2026-03-02T01:02:03.5Z", "message": "failed to unmarshal session(../x)"},
        {"paloalto/appliance/globalprotect"},
        {},
        "2026-03-02T01:02:03.500000Z",
    ),
    (
        "macOS with Sigma's names",
        {"product": "macos", "Image": "/bin/sh", "CommandLine": "sh -c id", "timestamp": "2026-03-02T01:02:03Z"},
        {"macos/process_creation/*"},
        {"Image": "/bin/sh"},
        "2026-03-02T01:02:03.000000Z",
    ),
]  # fmt: skip


@pytest.mark.parametrize(
    ("record", "sources", "fields", "time"), [each[1:] for each in CLOUD], ids=[each[0] for each in CLOUD]
)
def test_a_products_events_have_the_log_sources_fields_and_times_that_rules_expect(
    record: dict[str, Any], sources: set[str], fields: dict[str, Any], time: str
) -> None:
    seen = read_one(json.dumps(record))
    assert sources <= seen.sources
    assert {name: seen[name] for name in fields} == fields
    assert seen.time == time


def test_a_field_that_the_product_does_not_have_is_missing() -> None:
    assert read_one(json.dumps(CLOUD[0][1]))["CommandLine"] is MISSING


@settings(deadline=None)
@given(st.binary(max_size=300))
def test_no_bytes_make_it_raise(data: bytes) -> None:
    blocks("json", data)
    blocks("json", b'{"a": ' + data)
    blocks("json", b'[{"a": 1}, ' + data)


@settings(deadline=None)
@given(st.integers(0, len(CLOUD) - 1), st.data())
def test_a_damaged_event_never_raises(which: int, data: st.DataObject) -> None:
    text = bytearray(json.dumps(CLOUD[which][1]).encode())
    for _ in range(data.draw(st.integers(1, 6))):
        text[data.draw(st.integers(0, len(text) - 1))] = data.draw(st.integers(0, 255))
    read(b'{"a": 1}\n' + bytes(text), "json")
