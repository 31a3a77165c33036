#!/usr/bin/env python3
"""Writes the dashboards: python3 deploy/grafana/dashboards.py. Edit this script, not the files it writes.

It needs only Python. The files it writes are checked in, so the dashboards can be used without Python.
"""

import json
import pathlib

# The label matchers of every query.
OWN = 'job=~"$job", instance=~"$instance"'
TARGET = OWN + ', target=~"$target"'
# Only the conferences of the selected targets.
OF_TARGET = "and on (job, instance, conference) meetwatch_conference_info{%s}" % TARGET
# The time since a conference was listed. A conference that was never listed counts from its start.
UNREAD = "time() - (meetwatch_conference_last_read_timestamp_seconds{%s} or meetwatch_conference_start_timestamp_seconds{%s})" % (OWN, OWN)

GREEN = [(None, "green")]


def rate(metric, labels="", by=""):
    """Returns the rate of a counter per second, summed."""
    labels = ", ".join(filter(None, [OWN, labels]))
    return "sum by (%s) (rate(%s{%s}[$__rate_interval]))" % (by, metric, labels)


def quantile(share, metric, by=""):
    """Returns a quantile of a histogram."""
    buckets = ", ".join(filter(None, ["le", by]))
    return "histogram_quantile(%s, sum by (%s) (rate(%s_bucket{%s}[$__rate_interval])))" % (share, buckets, metric, OWN)


def sums(metric, by="", labels=OWN):
    return "sum by (%s) (%s{%s})" % (by, metric, labels)


class Dashboard:
    """A dashboard. Its panels are placed from left to right and from top to bottom."""

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
        "Are all conferences observed, how late are events, how much quota is used, and do deliveries arrive?",
        [DATASOURCE, JOB, INSTANCE],
    )
    bad = [(None, "green"), (1, "red")]
    board.stat("Up", "The share of instances that Prometheus can scrape.", "avg(up{%s})" % OWN, "percentunit", [(None, "red"), (1, "green")])
    board.stat("Live conferences", "Conferences that are live now.", "sum(meetwatch_conferences_live{%s})" % OWN)
    board.stat("Not observed", "Live conferences whose participants were not listed for five minutes.", "count((%s) > 300) or vector(0)" % UNREAD, thresholds=bad)
    board.stat("Refused identities", "Identities that Google refuses.", "count(meetwatch_identity_up{%s} == 0) or vector(0)" % OWN, thresholds=bad)
    board.stat("Pending deliveries", "Deliveries that have not arrived yet.", "sum(meetwatch_webhook_pending{%s})" % OWN, thresholds=[(None, "green"), (100, "orange"), (1000, "red")])
    board.stat("Dead letters", "Deliveries that were given up and can be replayed.", "sum(meetwatch_webhook_dead{%s})" % OWN, thresholds=[(None, "green"), (1, "orange")])

    board.row("Are all conferences observed?")
    board.lines("Age of listings", "The time since the participants of live conferences were listed: the maximum and the average.",
                ("max by (instance) (%s)" % UNREAD, "maximum {{instance}}"), ("avg by (instance) (%s)" % UNREAD, "average {{instance}}"), unit="s")
    board.lines("Time since look-ups of targets", "The time since each target was looked up with success: the ten longest.",
                ("topk(10, max by (target) (time() - meetwatch_target_last_discovery_timestamp_seconds{%s}))" % OWN, "{{target}}"), unit="s")
    board.lines("Identities", "1: the identity can read. 0: it is refused, or has made no read yet.", ("min by (identity) (meetwatch_identity_up{%s})" % OWN, "{{identity}}"))
    board.lines("Reads of conferences", "Reads started, per second.", (rate("meetwatch_polls_total"), "reads"), unit="reqps")
    board.lines("Failed reads of conferences", "Failed reads per second, by reason.", (rate("meetwatch_poll_failures_total", by="reason"), "{{reason}}"), unit="reqps", stack=True)
    board.lines("Gaps", "Unobserved time that was reported within the last hour, by reason.",
                ("sum by (reason) (increase(meetwatch_watch_gap_seconds_total{%s}[1h])) or vector(0)" % OWN, "{{reason}}"), unit="s", stack=True)

    board.row("How late are events?")
    delay = "meetwatch_detection_delay_seconds"
    board.lines("Detection delay", "The time from when an observed event happened to when meetwatch learned of it.",
                (quantile(0.5, delay), "median"), (quantile(0.9, delay), "90th percentile"), (quantile(0.99, delay), "99th percentile"), unit="s")
    board.lines("Events", "Events committed per minute, by provenance.",
                ("60 * " + rate("meetwatch_events_total", by="provenance"), "{{provenance}}"), stack=True)
    board.lines("Duration of reads", "Reads of conferences, including waits for quota and retries.",
                (quantile(0.5, "meetwatch_poll_duration_seconds"), "median"), (quantile(0.99, "meetwatch_poll_duration_seconds"), "99th percentile"), unit="s")
    board.lines("Duration of requests to Google", "90th percentile, by method.", (quantile(0.9, "meetwatch_api_request_duration_seconds", "method"), "{{method}}"), unit="s")
    board.lines("Clock offset", "Google's clock minus this machine's clock. Google's clock is right.", ("meetwatch_google_clock_offset_seconds{%s}" % OWN, "{{instance}}"), unit="s_signed")
    board.lines("Contradictions", "How often Google contradicted what it had reported before, within the last hour.",
                ("sum by (instance) (increase(meetwatch_snapshot_disagreements_total{%s}[1h]))" % OWN, "{{instance}}"))

    board.row("How much quota is used?")
    board.lines("Requests", "Requests to Google per minute, by method.", ("60 * " + rate("meetwatch_api_requests_total", by="method"), "{{method}}"), stack=True)
    # A tenth of a minute's reads can be spent at once.
    board.lines("Quota in use", "The share of the quota available at once that is spent. At 100 % reads wait.",
                ("clamp_min(1 - min by (scope, identity) (meetwatch_quota_available{%s} / (meetwatch_quota_limit{%s} / 10)), 0)" % (OWN, OWN), "{{scope}} {{identity}}"), unit="percentunit")
    board.lines("Stretch", "The factor by which the interval of a kind of read is stretched to stay within the quota; 1 if it is not.",
                ("max by (identity, read) (meetwatch_poll_stretch_ratio{%s})" % OWN, "{{identity}} {{read}}"))
    board.lines("Failed requests", "Failed requests to Google per minute, by identity and reason.",
                ("60 * " + rate("meetwatch_api_request_failures_total", by="identity, reason") + " > 0 or vector(0)", "{{identity}} {{reason}}"), stack=True)
    board.lines("Limits", "How often a built-in limit of the program was reached, per minute.", ("60 * " + rate("meetwatch_limit_reached_total", by="limit"), "{{limit}}"))
    board.lines("Conferences without series", "Conferences without series of their own because of max_conferences, within the last hour.",
                ("sum by (instance) (increase(meetwatch_conferences_dropped_total{%s}[1h]))" % OWN, "{{instance}}"))

    board.row("Do deliveries arrive?")
    board.lines("Pending deliveries", "Deliveries that have not arrived yet, by endpoint.", (sums("meetwatch_webhook_pending", "endpoint"), "{{endpoint}}"))
    board.lines("Oldest pending delivery", "How long it has waited; 0 if none is pending.",
                ("max by (endpoint) ((time() - meetwatch_webhook_oldest_pending_timestamp_seconds{%s}) or meetwatch_webhook_pending{%s} * 0)" % (OWN, OWN), "{{endpoint}}"), unit="s")
    board.lines("Arrived", "Deliveries that arrived per minute, by endpoint.", ("60 * " + rate("meetwatch_webhook_deliveries_total", by="endpoint"), "{{endpoint}}"))
    board.lines("Failed attempts", "Failed attempts per minute, by endpoint and reason.",
                ("60 * " + rate("meetwatch_webhook_attempt_failures_total", by="endpoint, reason") + " > 0 or vector(0)", "{{endpoint}} {{reason}}"), stack=True)
    board.lines("Duration of attempts", "90th percentile, by endpoint.", (quantile(0.9, "meetwatch_webhook_attempt_duration_seconds", "endpoint"), "{{endpoint}}"), unit="s")
    board.lines("Given up", "Deliveries that were given up, by endpoint and reason, within the last hour.",
                ("sum by (endpoint, reason) (increase(meetwatch_webhook_given_up_total{%s}[1h]))" % OWN, "{{endpoint}} {{reason}}"))
    board.lines("State of endpoints", "1: the endpoint is enabled, or in trouble.",
                ("min by (endpoint) (meetwatch_webhook_endpoint_enabled{%s})" % OWN, "{{endpoint}} enabled"),
                ("max by (endpoint) (meetwatch_webhook_endpoint_in_trouble{%s})" % OWN, "{{endpoint}} in trouble"))
    board.lines("Not delivered", "Dead letters can be replayed. Expired deliveries were too old or were skipped.",
                (sums("meetwatch_webhook_dead", "endpoint"), "{{endpoint}} dead"), (sums("meetwatch_webhook_expired", "endpoint"), "{{endpoint}} expired"))
    board.lines("Settled", "Deliveries not sent because a leave and a rejoin cancelled each other, within the last hour.",
                ("sum by (endpoint) (increase(meetwatch_webhook_settled_total{%s}[1h]))" % OWN, "{{endpoint}}"))

    board.row("Store and process")
    board.lines("Commits", "How long groups of commits take, to the disk.",
                (quantile(0.5, "meetwatch_store_commit_duration_seconds"), "median"), (quantile(0.99, "meetwatch_store_commit_duration_seconds"), "99th percentile"), unit="s")
    board.lines("Failed commits", "Failed commits per minute, by reason.", ("60 * " + rate("meetwatch_store_commit_failures_total", by="reason"), "{{reason}}"), stack=True)
    board.lines("Size of the store", "The database and its write-ahead log.", ("meetwatch_store_size_bytes{%s}" % OWN, "{{instance}}"), unit="bytes")
    board.lines("Memory", "Resident memory.", ("process_resident_memory_bytes{%s}" % OWN, "{{instance}}"), unit="bytes")
    board.lines("CPU", "Share of one core.", ("rate(process_cpu_seconds_total{%s}[$__rate_interval])" % OWN, "{{instance}}"), unit="percentunit")
    board.lines("Uptime", "How long each instance has run.", ("time() - process_start_time_seconds{%s}" % OWN, "{{instance}}"), unit="s")
    return board


def meetings():
    board = Dashboard(
        "meetwatch-meetings",
        "meetwatch: meetings",
        "Which meetings are live, how many people are in them, and what kinds of participants. Metrics contain no names; events do.",
        [DATASOURCE, JOB, INSTANCE, TARGETS],
    )
    people = "meetwatch_conference_participants{%s} %s" % (OWN, OF_TARGET)
    board.stat("Meetings now", "Live conferences of the selected targets.", "count(count by (conference) (meetwatch_conference_info{%s})) or vector(0)" % TARGET, wide=6)
    board.stat("People now", "People in the live conferences of the selected targets.", "sum(%s) or vector(0)" % people, wide=6)
    board.stat("Guests now", "Participants without an account, or of an unknown kind.",
               "sum(%s) or vector(0)" % people.replace(OWN + "} ", OWN + ', kind=~"anonymous|unknown"} ', 1), thresholds=[(None, "green"), (1, "orange")], wide=6)
    board.stat("Peak", "The largest number of people at one time in meetings of the selected targets, within the time range shown.",
               "max_over_time(sum(meetwatch_target_participants{%s})[$__range:])" % TARGET, wide=6)

    board.row("Live meetings")
    table = [
        ("max by (conference) (meetwatch_conference_start_timestamp_seconds{%s} %s) * 1000" % (OWN, OF_TARGET), "since"),
        ("sum by (conference) (%s)" % people, "people"),
        ("max by (conference) (meetwatch_conference_open_sessions{%s} %s)" % (OWN, OF_TARGET), "devices"),
        ("max by (conference) ((%s) %s)" % (UNREAD, OF_TARGET), "age"),
    ]
    names = {"Value #A": "Since", "Value #B": "People", "Value #C": "Devices", "Value #D": "Age of listing", "conference": "Conference"}
    override = lambda field, unit: {"matcher": {"id": "byName", "options": field}, "properties": [{"id": "unit", "value": unit}]}
    board.panel(
        "table", "Live meetings", "With the name of a conference you find its people in the events and the API.", table, 24, 9, "short",
        options={"showHeader": True, "sortBy": [{"displayName": "People", "desc": True}]},
        more={
            "transformations": [
                {"id": "merge", "options": {}},
                {"id": "organize", "options": {"excludeByName": {"Time": True}, "renameByName": names, "indexByName": {}}},
            ],
        },
    )
    board.panels[-1]["fieldConfig"]["overrides"] = [override("Since", "dateTimeFromNow"), override("Age of listing", "s")]

    board.row("People and meetings over time")
    board.lines("People by target", "Somebody in meetings of several targets counts in each.", (sums("meetwatch_target_participants", "target", TARGET), "{{target}}"), stack=True, wide=12)
    board.lines("Meetings by target", "Live conferences, by target.", ("count by (target) (meetwatch_conference_info{%s})" % TARGET, "{{target}}"), stack=True, wide=12)
    board.lines("People by meeting", "The twenty largest meetings.", ("topk(20, sum by (conference) (%s))" % people, "{{conference}}"), wide=12)
    board.lines("Duration of meetings", "The twenty longest live meetings.",
                ("topk(20, max by (conference) (time() - meetwatch_conference_start_timestamp_seconds{%s} %s))" % (OWN, OF_TARGET), "{{conference}}"), unit="s", wide=12)
    board.lines("Joins and leaves", "In all targets, per minute.",
                ("60 * " + rate("meetwatch_events_total", 'event="participant.joined"'), "joined"), ("60 * " + rate("meetwatch_events_total", 'event="participant.left"'), "left"), wide=12)
    board.lines("Starts and ends of meetings", "In all targets, within the last hour.",
                ('sum by (event) (increase(meetwatch_events_total{%s, event=~"conference.started|conference.ended"}[1h]))' % OWN, "{{event}}"), wide=12)

    board.row("Kinds of participants")
    kinds = sums("meetwatch_target_participants", "kind", TARGET)
    board.lines("Kinds over time", "People in meetings of the selected targets, by kind.", (kinds, "{{kind}}"), stack=True, wide=16)
    pie = {"pieType": "donut", "legend": {"displayMode": "list", "placement": "right", "showLegend": True, "values": ["value"]}, "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False}}
    board.panel("piechart", "Kinds now", "People in meetings of the selected targets, by kind.", [(kinds, "{{kind}}")], 8, 8, "short", options=pie)
    return board


def main():
    folder = pathlib.Path(__file__).parent / "dashboards"
    for name, board in [("operations", operations()), ("meetings", meetings())]:
        (folder / f"{name}.json").write_text(json.dumps(board.json(), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
