"""Reads a simulator with both of Google's Python clients and compares what they read with the simulator's data.

    meet_clients.py http://127.0.0.1:PORT < truth.json

Prints "CLIENT: agrees" for each; anything else ends with a traceback and a status that is not 0.
"""

import json
import sys
from datetime import timezone

from google.api_core import exceptions
from google.api_core.client_options import ClientOptions
from google.apps import meet_v2
from google.auth.credentials import AnonymousCredentials
from googleapiclient.discovery import build
from googleapiclient.errors import HttpError
import httplib2


def nanoseconds(text):
    """Parses RFC 3339 exactly, to the nanosecond."""
    if text is None:
        return None
    whole, _, fraction = text.rstrip("Z").partition(".")
    from datetime import datetime

    seconds = int(datetime.fromisoformat(whole).replace(tzinfo=timezone.utc).timestamp())
    return str(seconds * 10**9 + int(fraction.ljust(9, "0") or 0))


def proto_nanoseconds(holder, field):
    """Returns a timestamp of a proto-plus message. datetime would drop the nanoseconds."""
    raw = type(holder).pb(holder)
    if not raw.HasField(field):
        return None
    time = getattr(raw, field)
    return str(time.seconds * 10**9 + time.nanos)


def same(what, read, expected):
    def key(row):
        return json.dumps(row, sort_keys=True)

    read, expected = sorted(read, key=key), sorted(expected, key=key)
    assert read == expected, f"{what} differ:\n{read}\n{expected}"


def kind_of(name):
    return {"signedin_user": "signed_in", "anonymous_user": "anonymous", "phone_user": "phone"}.get(name, "unknown")


def apps_meet(endpoint, truth):
    options = ClientOptions(api_endpoint=endpoint)
    arguments = {"transport": "rest", "credentials": AnonymousCredentials(), "client_options": options}
    records = meet_v2.ConferenceRecordsServiceClient(**arguments)
    spaces = meet_v2.SpacesServiceClient(**arguments)

    conferences = list(records.list_conference_records(request={"page_size": 3}))
    rows = [[c.name, proto_nanoseconds(c, "start_time"), proto_nanoseconds(c, "end_time")] for c in conferences]
    same("conferences", rows, truth["conferences"])
    live = records.list_conference_records(request={"filter": "end_time IS NULL"})
    same("live ones", [c.name for c in live], [row[0] for row in truth["conferences"] if row[2] is None])

    people, sessions = [], []
    for conference in conferences:
        for person in records.list_participants(request={"parent": conference.name, "page_size": 250}):
            user = type(person).pb(person).WhichOneof("user")
            shown = getattr(person, user).display_name if user else ""
            start = proto_nanoseconds(person, "earliest_start_time")
            people.append([person.name, kind_of(user), shown, start, proto_nanoseconds(person, "latest_end_time")])
            for session in records.list_participant_sessions(parent=person.name):
                times = [proto_nanoseconds(session, "start_time"), proto_nanoseconds(session, "end_time")]
                sessions.append([session.name, *times])
    same("participants", people, [row[:5] for row in truth["participants"]])
    same("sessions", sessions, truth["sessions"])

    for name, code, active in truth["spaces"]:
        for alias in (name, f"spaces/{code}"):
            space = spaces.get_space(name=alias)
            found = [space.name, space.meeting_code, space.active_conference.conference_record or None]
            assert found == [name, code, active], found
    try:
        records.get_conference_record(name="conferenceRecords/none")
        raise AssertionError("a record that is not there was found")
    except exceptions.NotFound:
        pass
    try:
        list(records.list_participants(request={"parent": conferences[0].name, "filter": "nonsense"}))
        raise AssertionError("a filter that makes no sense was taken")
    except exceptions.BadRequest:
        pass


def pages(method, method_next, field, **arguments):
    request = method(**arguments)
    while request is not None:
        answer = request.execute()
        yield from answer.get(field, [])
        request = method_next(request, answer)


def api_client(endpoint, truth):
    def service(name, version):
        options = ClientOptions(api_endpoint=endpoint + "/")
        return build(name, version, http=httplib2.Http(), client_options=options, static_discovery=True)

    records = service("meet", "v2").conferenceRecords()
    participants, sessions = records.participants(), records.participants().participantSessions()

    conferences = list(pages(records.list, records.list_next, "conferenceRecords", pageSize=2))
    rows = [[c["name"], nanoseconds(c["startTime"]), nanoseconds(c.get("endTime"))] for c in conferences]
    same("conferences", rows, truth["conferences"])

    people, stays, users = [], [], {}
    for conference in conferences:
        parent = conference["name"]
        for person in pages(participants.list, participants.list_next, "participants", parent=parent):
            user = next((key for key in person if key.endswith("User")), None)
            kind = kind_of(user and user.replace("User", "_user"))
            shown = person[user].get("displayName", "") if user else ""
            start, end = nanoseconds(person["earliestStartTime"]), nanoseconds(person.get("latestEndTime"))
            people.append([person["name"], kind, shown, start, end])
            if user == "signedinUser":
                users[person["name"]] = person[user]["user"]
            for session in pages(sessions.list, sessions.list_next, "participantSessions", parent=person["name"]):
                stays.append([session["name"], nanoseconds(session["startTime"]), nanoseconds(session.get("endTime"))])
        active = pages(
            participants.list, participants.list_next, "participants", parent=parent, filter="latest_end_time IS NULL"
        )
        present = [row[0] for row in truth["participants"] if row[0].startswith(parent + "/") and row[4] is None]
        same("those present", [person["name"] for person in active], present)
    same("participants", people, [row[:5] for row in truth["participants"]])
    same("sessions", stays, truth["sessions"])

    directory = service("people", "v1").people()
    sources = [f"READ_SOURCE_TYPE_{kind}" for kind in ("PROFILE", "CONTACT", "OTHER_CONTACT")]
    emails = {row[0]: row[5] for row in truth["participants"]}
    for name, user in users.items():
        resource = user.replace("users/", "people/")
        try:
            person = directory.get(resourceName=resource, personFields="names,emailAddresses", sources=sources).execute()
        except HttpError as error:
            assert error.status_code == 404, error
            continue
        addresses = [address["value"] for address in person.get("emailAddresses", [])]
        assert addresses == [emails[name]] * (emails[name] is not None), person
    names = sorted({user.replace("users/", "people/") for user in users.values()})
    batch = directory.getBatchGet(resourceNames=names, personFields="names", sources=sources).execute()
    assert [item["requestedResourceName"] for item in batch["responses"]] == names


def main():
    endpoint, truth = sys.argv[1], json.load(sys.stdin)
    apps_meet(endpoint, truth)
    print("google-apps-meet: agrees")
    api_client(endpoint, truth)
    print("google-api-python-client: agrees")


if __name__ == "__main__":
    main()
