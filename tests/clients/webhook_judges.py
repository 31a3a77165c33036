"""Verifies and parses deliveries of meetwatch with third-party libraries: standardwebhooks, svix and cloudevents.

Standard input is JSON: `secret`, and `standard`, `cloudevents` and `batches`, lists of deliveries with `headers` and `body`. It prints
a line for each library that accepts all of them and refuses a changed one.
"""

import json, sys

from cloudevents.core.bindings.http import HTTPMessage, from_http_event
from cloudevents.v1.http import from_http
from standardwebhooks.webhooks import Webhook, WebhookVerificationError
import svix.webhooks

given = json.load(sys.stdin)
everything = given["standard"] + given["cloudevents"] + given["batches"]
assert len(given["standard"]) > 5 and len(given["cloudevents"]) > 5, "too few deliveries"


def refuses(verify, delivery):
    try:
        verify(delivery["body"] + " ", delivery["headers"])
    except Exception as error:
        return "Verification" in type(error).__name__
    return False


for name, judge in [("standardwebhooks", Webhook), ("svix", svix.webhooks.Webhook)]:
    verify = judge(given["secret"]).verify
    for delivery in everything:
        verify(delivery["body"], delivery["headers"])
        assert refuses(verify, delivery), f"{name} accepted a changed body"
    print(f"{name}: agrees")


def check(event: dict, data: dict, extra: str):
    assert event["id"] == data["id"] and event["type"] == f"dev.meetwatch.{data['type']}.v1", event
    assert event["source"] == f"//meet.googleapis.com/{data['conference']['name']}", event
    assert extra == f"{data['sequence']:020}", extra


for delivery in given["cloudevents"]:
    body = delivery["body"].encode()
    old = from_http(delivery["headers"], body)
    check(old.get_attributes(), old.data, old["sequence"])
    new = from_http_event(HTTPMessage(headers=delivery["headers"], body=body))
    data = new.get_data()
    attributes = {"id": new.get_id(), "type": new.get_type(), "source": new.get_source()}
    check(attributes, data, new.get_extension("sequence"))
    assert new.get_specversion() == "1.0" and new.get_datacontenttype() == "application/json"
    assert new.get_time().isoformat()[:19] == data["time"][:19], (new.get_time(), data["time"])
print("cloudevents: agrees")
