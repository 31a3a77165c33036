#!/usr/bin/env python3
"""Writes the dashboards: python3 deploy/grafana/dashboards.py. Edit this and not what it writes.

Nothing but Python is needed. What is written is checked in, so that nobody needs Python to use it.
"""

import json
import pathlib

# What every query chooses by.
OWN = 'job=~"$job", instance=~"$instance"'
TARGET = OWN + ', target=~"$target"'
# Only the conferences of the chosen targets.
OF_TARGET = "and on (job, instance, conference) meetwatch_conference_info{%s}" % TARGET
# Either a conference was listed, or it counts from its start.
UNREAD = "time() - (meetwatch_conference_last_read_timestamp_seconds{%s} or meetwatch_conference_start_timestamp_seconds{%s})" % (OWN, OWN)

GREEN = [(None, "green")]


def rate(metric, labels="", by=""):
    """A counter by the second, summed."""
    labels = ", ".join(filter(None, [OWN, labels]))
    return "sum by (%s) (rate(%s{%s}[$__rate_interval]))" % (by, metric, labels)


def quantile(share, metric, by=""):
    """A share of a histogram."""
    buckets = ", ".join(filter(None, ["le", by]))
    return "histogram_quantile(%s, sum by (%s) (rate(%s_bucket{%s}[$__rate_interval])))" % (share, buckets, metric, OWN)


def sums(metric, by="", labels=OWN):
    return "sum by (%s) (%s{%s})" % (by, metric, labels)


class Dashboard:
    """Panels, placed from left to right and from top to bottom."""

    def __init__(self, uid, title, description, variables):
        self.panels, self.x, self.y, self.tall = [], 0, 0, 0
        self.head = {"uid": uid, "title": title, "description": description}
        self.variables = variables

    def place(self, wide, tall):
        if self.x + wide > 24:
            self.x, self.y = 0, self.y + self.tall
        place = {"h": tall, "w": wide, "x": self.x, "y": self.y}
        self.x, self.tall = self.x + wide, tall
        return place

    def row(self, title):
        self.x, self.y = 0, self.y + self.tall
        self.tall = 1
        place = {"h": 1, "w": 24, "x": 0, "y": self.y}
        self.x = 24
        self.panels.append({"type": "row", "title": title, "collapsed": False, "gridPos": place, "panels": []})

    def panel(self, kind, title, description, queries, wide, tall, unit, thresholds=None, custom=None, options=None, more=None):
        steps = [{"value": value, "color": colour} for value, colour in thresholds or GREEN]
        defaults = {"unit": unit, "min": 0, "thresholds": {"mode": "absolute", "steps": steps}}
        if unit == "s_signed":
            defaults = {"unit": "s", "thresholds": defaults["thresholds"]}
        if custom:
            defaults["custom"] = custom
        panel = {
            "type": kind,
            "title": title,
            "description": description,
            "datasource": {"type": "prometheus", "uid": "$datasource"},
            "gridPos": self.place(wide, tall),
            "fieldConfig": {"defaults": defaults, "overrides": []},
            "options": options or {},
            "targets": [
                {
                    "refId": chr(ord("A") + number),
                    "datasource": {"type": "prometheus", "uid": "$datasource"},
                    "expr": expr,
                    "legendFormat": legend,
                    **({"instant": True, "range": False, "format": "table"} if kind == "table" else {}),
                    **({"instant": True, "range": False} if kind in ("stat", "piechart") else {}),
                }
                for number, (expr, legend) in enumerate(queries)
            ],
        }
        panel.update(more or {})
        self.panels.append(panel)

    def stat(self, title, description, expr, unit="short", thresholds=None, wide=4):
        options = {"reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False}, "colorMode": "value", "graphMode": "none"}
        self.panel("stat", title, description, [(expr, "")], wide, 4, unit, thresholds, options=options)

    def lines(self, title, description, *queries, unit="short", stack=False, wide=8):
        custom = {"drawStyle": "line", "lineWidth": 1, "fillOpacity": 30 if stack else 8, "showPoints": "never"}
        if stack:
            custom["stacking"] = {"mode": "normal", "group": "A"}
        options = {"legend": {"displayMode": "list", "placement": "bottom", "showLegend": True}, "tooltip": {"mode": "multi", "sort": "desc"}}
        self.panel("timeseries", title, description, queries, wide, 8, unit, custom=custom, options=options)

    def json(self):
        for number, panel in enumerate(self.panels, start=1):
            panel["id"] = number
        return {
            **self.head,
            "tags": ["meetwatch"],
            "schemaVersion": 39,
            "version": 1,
            "editable": True,
            "graphTooltip": 1,
            "refresh": "30s",
            "time": {"from": "now-3h", "to": "now"},
            "timezone": "browser",
            "annotations": {"list": []},
            "links": [{"type": "dashboards", "title": "meetwatch", "tags": ["meetwatch"], "asDropdown": False, "includeVars": True, "keepTime": True, "icon": "external link", "targetBlank": False, "tooltip": "", "url": ""}],
            "templating": {"list": self.variables},
            "panels": self.panels,
        }


def variable(name, label, query):
    return {
        "type": "query",
        "name": name,
        "label": label,
        "datasource": {"type": "prometheus", "uid": "$datasource"},
        "query": {"query": query, "refId": name},
        "refresh": 2,
        "sort": 1,
        "multi": True,
        "includeAll": True,
        "allValue": ".+",
        "current": {"text": ["All"], "value": ["$__all"]},
        "hide": 0,
        "regex": "",
        "skipUrlSync": False,
        "options": [],
    }


DATASOURCE = {
    "type": "datasource",
    "name": "datasource",
    "label": "Prometheus",
    "query": "prometheus",
    "current": {},
    "hide": 0,
    "refresh": 1,
    "regex": "",
    "multi": False,
    "includeAll": False,
    "skipUrlSync": False,
    "options": [],
}
JOB = variable("job", "Job", "label_values(meetwatch_build_info, job)")
INSTANCE = variable("instance", "Instance", 'label_values(meetwatch_build_info{job=~"$job"}, instance)')
TARGETS = variable("target", "Target", 'label_values(meetwatch_target_participants{job=~"$job", instance=~"$instance"}, target)')


def operations():
    board = Dashboard(
        "meetwatch-operations",
        "meetwatch: operations",
        "Is it seeing, how late, how much quota, are deliveries flowing.",
        [DATASOURCE, JOB, INSTANCE],
    )
    bad = [(None, "green"), (1, "red")]
    board.stat("Up", "Instances that Prometheus can scrape, of all there are: 1 is all.", "avg(up{%s})" % OWN, "percentunit", [(None, "red"), (1, "green")])
    board.stat("Live conferences", "Conferences that are live now.", "sum(meetwatch_conferences_live{%s})" % OWN)
    board.stat("Blind", "Live conferences that nobody has listed for five minutes.", "count((%s) > 300) or vector(0)" % UNREAD, thresholds=bad)
    board.stat("Refused identities", "Identities that Google does not let in.", "count(meetwatch_identity_up{%s} == 0) or vector(0)" % OWN, thresholds=bad)
    board.stat("Owed", "Deliveries that did not arrive yet.", "sum(meetwatch_webhook_pending{%s})" % OWN, thresholds=[(None, "green"), (100, "orange"), (1000, "red")])
    board.stat("Given up", "Deliveries that were given up and can be replayed.", "sum(meetwatch_webhook_dead{%s})" % OWN, thresholds=[(None, "green"), (1, "orange")])

    board.row("Is it seeing?")
    board.lines("Age of the picture", "How long ago the participants of live conferences were listed: the oldest, and on average.",
                ("max by (instance) (%s)" % UNREAD, "oldest {{instance}}"), ("avg by (instance) (%s)" % UNREAD, "average {{instance}}"), unit="s")
    board.lines("Since targets were looked up", "The ten that have waited for the longest.",
                ("topk(10, max by (target) (time() - meetwatch_target_last_discovery_timestamp_seconds{%s}))" % OWN, "{{target}}"), unit="s")
    board.lines("Identities", "1: it can read. 0: refused, or not asked yet.", ("min by (identity) (meetwatch_identity_up{%s})" % OWN, "{{identity}}"))
    board.lines("Reads of conferences", "Begun, by the second.", (rate("meetwatch_polls_total"), "reads"), unit="reqps")
    board.lines("Failed reads of conferences", "By reason, by the second.", (rate("meetwatch_poll_failures_total", by="reason"), "{{reason}}"), unit="reqps", stack=True)
    board.lines("Gaps", "Time that could not be watched, told within the last hour, by reason.",
                ("sum by (reason) (increase(meetwatch_watch_gap_seconds_total{%s}[1h])) or vector(0)" % OWN, "{{reason}}"), unit="s", stack=True)

    board.row("How late?")
    delay = "meetwatch_detection_delay_seconds"
    board.lines("Delay", "How long after it happened an observed event was learnt.",
                (quantile(0.5, delay), "half are quicker"), (quantile(0.9, delay), "nine in ten are quicker"), (quantile(0.99, delay), "99 in 100 are quicker"), unit="s")
    board.lines("Events", "Committed, by the minute, by how they are known.",
                ("60 * " + rate("meetwatch_events_total", by="provenance"), "{{provenance}}"), stack=True)
    board.lines("Duration of reads", "Of conferences, waiting for quota and retries included.",
                (quantile(0.5, "meetwatch_poll_duration_seconds"), "half are quicker"), (quantile(0.99, "meetwatch_poll_duration_seconds"), "99 in 100 are quicker"), unit="s")
    board.lines("Google's answers", "Nine in ten are quicker, by method.", (quantile(0.9, "meetwatch_api_request_duration_seconds", "method"), "{{method}}"), unit="s")
    board.lines("Google's clock minus ours", "Google's is right.", ("meetwatch_google_clock_offset_seconds{%s}" % OWN, "{{instance}}"), unit="s_signed")
    board.lines("Contradictions", "How often Google said something that does not fit what it said before, within the last hour.",
                ("sum by (instance) (increase(meetwatch_snapshot_disagreements_total{%s}[1h]))" % OWN, "{{instance}}"))

    board.row("How much quota?")
    board.lines("Requests", "To Google, by the minute, by method.", ("60 * " + rate("meetwatch_api_requests_total", by="method"), "{{method}}"), stack=True)
    # A tenth of a minute's reads is what can be spent at once.
    board.lines("Spent", "How much of what may be spent at once is spent: at 100 % reads wait.",
                ("clamp_min(1 - min by (scope, identity) (meetwatch_quota_available{%s} / (meetwatch_quota_limit{%s} / 10)), 0)" % (OWN, OWN), "{{scope}} {{identity}}"), unit="percentunit")
    board.lines("Stretch", "By how much a kind of read is spread out to stay within the quota; 1 is not at all.",
                ("max by (identity, read) (meetwatch_poll_stretch_ratio{%s})" % OWN, "{{identity}} {{read}}"))
    board.lines("Failed requests", "To Google, by the minute, by identity and reason.",
                ("60 * " + rate("meetwatch_api_request_failures_total", by="identity, reason") + " > 0 or vector(0)", "{{identity}} {{reason}}"), stack=True)
    board.lines("Limits", "How often a bound of the program was reached, by the minute.", ("60 * " + rate("meetwatch_limit_reached_total", by="limit"), "{{limit}}"))
    board.lines("Conferences without series", "Left out because of max_conferences, within the last hour.",
                ("sum by (instance) (increase(meetwatch_conferences_dropped_total{%s}[1h]))" % OWN, "{{instance}}"))

    board.row("Are deliveries flowing?")
    board.lines("Owed", "Deliveries that did not arrive yet, by endpoint.", (sums("meetwatch_webhook_pending", "endpoint"), "{{endpoint}}"))
    board.lines("The oldest that is owed", "How long it has waited; 0 where none is.",
                ("max by (endpoint) ((time() - meetwatch_webhook_oldest_pending_timestamp_seconds{%s}) or meetwatch_webhook_pending{%s} * 0)" % (OWN, OWN), "{{endpoint}}"), unit="s")
    board.lines("Arrived", "By the minute, by endpoint.", ("60 * " + rate("meetwatch_webhook_deliveries_total", by="endpoint"), "{{endpoint}}"))
    board.lines("Failed attempts", "By the minute, by endpoint and reason.",
                ("60 * " + rate("meetwatch_webhook_attempt_failures_total", by="endpoint, reason") + " > 0 or vector(0)", "{{endpoint}} {{reason}}"), stack=True)
    board.lines("Duration of attempts", "Nine in ten are quicker, by endpoint.", (quantile(0.9, "meetwatch_webhook_attempt_duration_seconds", "endpoint"), "{{endpoint}}"), unit="s")
    board.lines("Given up", "Deliveries that were given up, by endpoint and reason, within the last hour.",
                ("sum by (endpoint, reason) (increase(meetwatch_webhook_given_up_total{%s}[1h]))" % OWN, "{{endpoint}} {{reason}}"))
    board.lines("State of endpoints", "1: on, or in trouble.",
                ("min by (endpoint) (meetwatch_webhook_endpoint_enabled{%s})" % OWN, "{{endpoint}} is on"),
                ("max by (endpoint) (meetwatch_webhook_endpoint_in_trouble{%s})" % OWN, "{{endpoint}} is in trouble"))
    board.lines("Not sent", "Dead ones can be replayed; expired ones were too old.",
                (sums("meetwatch_webhook_dead", "endpoint"), "{{endpoint}} dead"), (sums("meetwatch_webhook_expired", "endpoint"), "{{endpoint}} expired"))
    board.lines("Settled", "Deliveries that undid themselves before they were due, within the last hour.",
                ("sum by (endpoint) (increase(meetwatch_webhook_settled_total{%s}[1h]))" % OWN, "{{endpoint}}"))

    board.row("Store and process")
    board.lines("Commits", "How long groups of commits take to the disk.",
                (quantile(0.5, "meetwatch_store_commit_duration_seconds"), "half are quicker"), (quantile(0.99, "meetwatch_store_commit_duration_seconds"), "99 in 100 are quicker"), unit="s")
    board.lines("Failed commits", "By reason, by the minute.", ("60 * " + rate("meetwatch_store_commit_failures_total", by="reason"), "{{reason}}"), stack=True)
    board.lines("Size of the store", "With its write-ahead log.", ("meetwatch_store_size_bytes{%s}" % OWN, "{{instance}}"), unit="bytes")
    board.lines("Memory", "Resident.", ("process_resident_memory_bytes{%s}" % OWN, "{{instance}}"), unit="bytes")
    board.lines("Processor", "Share of one.", ("rate(process_cpu_seconds_total{%s}[$__rate_interval])" % OWN, "{{instance}}"), unit="percentunit")
    board.lines("Since the start", "How long each instance has run.", ("time() - process_start_time_seconds{%s}" % OWN, "{{instance}}"), unit="s")
    return board


def meetings():
    board = Dashboard(
        "meetwatch-meetings",
        "meetwatch: meetings",
        "Who is meeting, how many, when, and what kinds of participants. There are no names in metrics: those are in the events.",
        [DATASOURCE, JOB, INSTANCE, TARGETS],
    )
    people = "meetwatch_conference_participants{%s} %s" % (OWN, OF_TARGET)
    board.stat("Meetings now", "Live conferences of the chosen targets.", "count(count by (conference) (meetwatch_conference_info{%s})) or vector(0)" % TARGET, wide=6)
    board.stat("People now", "In all of them.", "sum(%s) or vector(0)" % people, wide=6)
    board.stat("Guests now", "Without an account, or of a kind that nobody knows.",
               "sum(%s) or vector(0)" % people.replace(OWN + "} ", OWN + ', kind=~"anonymous|unknown"} ', 1), thresholds=[(None, "green"), (1, "orange")], wide=6)
    board.stat("Most at once", "The most people in meetings of the chosen targets within the time shown.",
               "max_over_time(sum(meetwatch_target_participants{%s})[$__range:])" % TARGET, wide=6)

    board.row("Who is meeting")
    table = [
        ("max by (conference) (meetwatch_conference_start_timestamp_seconds{%s} %s) * 1000" % (OWN, OF_TARGET), "since"),
        ("sum by (conference) (%s)" % people, "people"),
        ("max by (conference) (meetwatch_conference_open_sessions{%s} %s)" % (OWN, OF_TARGET), "devices"),
        ("max by (conference) ((%s) %s)" % (UNREAD, OF_TARGET), "age"),
    ]
    names = {"Value #A": "Since", "Value #B": "People", "Value #C": "Devices", "Value #D": "Age of the picture", "conference": "Conference"}
    override = lambda field, unit: {"matcher": {"id": "byName", "options": field}, "properties": [{"id": "unit", "value": unit}]}
    board.panel(
        "table", "Live meetings", "The conference's name leads to its people in the events and the API.", table, 24, 9, "short",
        options={"showHeader": True, "sortBy": [{"displayName": "People", "desc": True}]},
        more={
            "transformations": [
                {"id": "merge", "options": {}},
                {"id": "organize", "options": {"excludeByName": {"Time": True}, "renameByName": names, "indexByName": {}}},
            ],
        },
    )
    board.panels[-1]["fieldConfig"]["overrides"] = [override("Since", "dateTimeFromNow"), override("Age of the picture", "s")]

    board.row("How many, and when")
    board.lines("People by target", "Who is in meetings of several targets counts in each.", (sums("meetwatch_target_participants", "target", TARGET), "{{target}}"), stack=True, wide=12)
    board.lines("Meetings by target", "Live conferences.", ("count by (target) (meetwatch_conference_info{%s})" % TARGET, "{{target}}"), stack=True, wide=12)
    board.lines("People by meeting", "The twenty largest.", ("topk(20, sum by (conference) (%s))" % people, "{{conference}}"), wide=12)
    board.lines("How long meetings have lasted", "The twenty longest.",
                ("topk(20, max by (conference) (time() - meetwatch_conference_start_timestamp_seconds{%s} %s))" % (OWN, OF_TARGET), "{{conference}}"), unit="s", wide=12)
    board.lines("Coming and going", "Of all targets, by the minute.",
                ("60 * " + rate("meetwatch_events_total", 'event="participant.joined"'), "joined"), ("60 * " + rate("meetwatch_events_total", 'event="participant.left"'), "left"), wide=12)
    board.lines("Beginning and ending", "Meetings of all targets, within the last hour.",
                ('sum by (event) (increase(meetwatch_events_total{%s, event=~"conference.started|conference.ended"}[1h]))' % OWN, "{{event}}"), wide=12)

    board.row("What kinds of participants")
    kinds = sums("meetwatch_target_participants", "kind", TARGET)
    board.lines("Kinds over time", "People in meetings of the chosen targets.", (kinds, "{{kind}}"), stack=True, wide=16)
    pie = {"pieType": "donut", "legend": {"displayMode": "list", "placement": "right", "showLegend": True, "values": ["value"]}, "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False}}
    board.panel("piechart", "Kinds now", "People in meetings of the chosen targets.", [(kinds, "{{kind}}")], 8, 8, "short", options=pie)
    return board


def main():
    folder = pathlib.Path(__file__).parent / "dashboards"
    for name, board in [("operations", operations()), ("meetings", meetings())]:
        (folder / f"{name}.json").write_text(json.dumps(board.json(), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
