use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::*;

fn template(source: &str) -> Template {
    Template::parse(source, TimeZone::UTC, Some("s3cret".into())).unwrap()
}

fn joined(name: &str) -> Event {
    let mut event = samples().into_iter().find(|event| event.event == EventType::ParticipantJoined).unwrap();
    event.participant.as_mut().unwrap().display_name = Some(name.into());
    event
}

fn rendered(source: &str, event: &Event) -> Result<Json, BadTemplate> {
    template(source).write(event).map(|body| serde_json::from_slice(&body.bytes).unwrap())
}

#[test]
fn a_template_can_print_the_event_a_sentence_the_local_time_and_its_token() {
    let source = r#"{"a": "{{ event.type }} by {{ event.participant.display_name|plain }}", "n": {{ event.present }},
            "whole": {{ event.conference|tojson }}, "t": "{{ token }}", "at": "{{ local_time }}", "none": {{ event.retracts|default(none) }},
            "s": "{{ sentence }}"}"#;
    let event = joined("Ada *A*");
    let written = rendered(source, &event).unwrap();
    assert_eq!(written["a"], "participant.joined by Ada ∗A∗");
    assert_eq!((&written["n"], &written["t"], &written["none"]), (&json!(7), &json!("s3cret"), &Json::Null));
    assert_eq!(written["whole"], serde_json::to_value(&event.conference).unwrap());
    assert_eq!(written["at"], "2026-01-05 10:00:02 UTC");
    assert!(written["s"].as_str().unwrap().starts_with("→ Ada ∗A∗ joined board"), "{written}");
}

#[test]
fn a_bad_template_is_refused_when_it_is_loaded_with_the_line() {
    let parse = |source: &str| Template::parse(source, TimeZone::UTC, None);
    let problem = |source: &str| match parse(source) {
        Ok(template) => template.check(|_| true).unwrap_err().1.to_string(),
        Err(error) => error.to_string(),
    };
    assert!(problem("{\n{% if %}").contains("its line 2"), "{}", problem("{\n{% if %}"));
    assert!(
        problem("{\"a\": \"{{ event.typo }}\"}").contains("undefined"),
        "{}",
        problem("{\"a\": \"{{ event.typo }}\"}")
    );
    assert!(problem("{\"a\": \"{{ sentence|nothing }}\"}").contains("nothing"));
    assert!(problem("{\"a\": {{ sentence }}}").contains("not JSON"));
    assert!(problem("{\"a\": \"{{ sentence|safe }}\"}").contains("filter"));
    assert!(problem(&" ".repeat(MAX_TEMPLATE_BYTES + 1)).contains("64 KiB"));
    assert!(problem("{% include '/etc/passwd' %}").contains("fails"));
    let only_joins = parse("{\"a\": \"{{ event.participant.kind }}\"}").unwrap();
    assert!(only_joins.check(|event| event == EventType::ParticipantJoined).is_ok());
    assert_eq!(only_joins.check(|_| true).unwrap_err().0, EventType::WatchGap);
}

#[test]
fn steps_output_and_depth_are_bounded() {
    let event = joined("Ada");
    let busy = rendered("{% for a in range(1000) %}{% for b in range(1000) %}{% endfor %}{% endfor %}{}", &event);
    assert!(busy.unwrap_err().to_string().contains("fuel"));
    let long = "{\"a\": \"{% for a in range(1000) %}{{ 'x' * 1000 }}{% endfor %}\"}";
    assert_eq!(rendered(long, &event).unwrap_err(), BadTemplate::TooMuch);
    let deep = "{% macro m(n) %}{{ m(n) }}{% endmacro %}{{ m(1) }}";
    assert!(matches!(rendered(deep, &event).unwrap_err(), BadTemplate::Fails { .. }));
}

#[test]
fn no_template_takes_time_or_memory_without_a_bound() {
    let doubled = |begin: &str, step: &str, end: &str| format!("{begin}{}{end}", step.repeat(40));
    let long = "y".repeat(1000);
    let many = "{% set x = range(100000)|list %}";
    let hostile = [
        doubled("{% set x = [1] %}", "{% set x = x + x %}", "{{ x|length }}"),
        doubled("{% set x = (1, 2) %}", "{% set x = x + x %}", "{{ x|length }}"),
        doubled("{% set x = 'ab' %}", "{% set x = x ~ x %}", "{{ x|length }}"),
        doubled("{% set x = [1] %}", "{% set x = [x, x] %}", "{{ x }}"),
        doubled("{% set x = [1] %}", "{% set x = {'a': x, 'b': x} %}", "{{ x == x }}"),
        doubled("{% set x = 'ab' %}", "{% set x %}{{ x }}{{ x }}{% endset %}", "1"),
        "{% set ns = namespace(x='ab') %}{% for i in range(40) %}{% set ns.x = ns.x ~ ns.x %}{% endfor %}1".to_owned(),
        "{% set ns = namespace(x=[]) %}{% for i in range(5000) %}{% set ns.x = [ns.x] %}{% endfor %}1".to_owned(),
        "{% set ns = namespace() %}{% set ns.a = ns %}{{ ns.a }}".to_owned(),
        "{% macro m(s, n) %}{% if n %}{{ m(s ~ s, n - 1) }}{% endif %}{% endmacro %}{{ m('abcd', 40) }}1".to_owned(),
        "{{ '%2000000000d'|format(1) }}".to_owned(),
        "{{ '%*d'|format(2000000000, 1) }}".to_owned(),
        "{{ '%.2000000000f'|format(1.5) }}".to_owned(),
        "{{ '%(a)2000000000d'|format(a=1) }}".to_owned(),
        "{{ 'x' * 2000000000 }}".to_owned(),
        "{{ ((1,) * 100000000)|length }}".to_owned(),
        "{{ ([1] * 100000000)|length }}".to_owned(),
        "{% set x = 'a' * 100000 %}{{ x|replace('a', x) }}".to_owned(),
        format!("{many}{{{{ x|join('x' * 100000) }}}}"),
        "{{ 'a\nb'|indent(2000000000) }}".to_owned(),
        "{{ [1]|tojson(indent=2000000000) }}".to_owned(),
        "{{ [1]|batch(2000000000, 0)|list|length }}".to_owned(),
        "{{ [1]|slice(2000000000)|list|length }}".to_owned(),
        format!("{{% set x %}}{{% for i in range(100000) %}}{long}{{% endfor %}}{{% endset %}}1"),
        format!("{many}{{% for i in range(1000) %}}{{% set y = x|sort %}}{{% endfor %}}1"),
        format!("{many}{{{{ x|select('in', x)|list|length }}}}"),
        format!("{many}{{{{ x|map('replace', '1', 'x' * 100000)|list|length }}}}"),
    ];
    for source in hostile {
        let error = rendered(&source, &joined("Ada")).expect_err(&source).to_string();
        assert!(error.contains("fuel") || error.contains("fails"), "{source}: {error}");
    }
    for other in ["{% include 'template' %}", "{% import 'template' as t %}1", "{% extends 'template' %}"] {
        assert_eq!(Template::parse(other, TimeZone::UTC, None).err(), Some(BadTemplate::Another), "{other}");
    }
}

#[test]
fn what_templates_are_made_of_is_within_the_bounds() {
    let mut event = samples().into_iter().find(|event| event.event == EventType::ConferenceEnded).unwrap();
    let rows = event.attendance.as_mut().unwrap().participants.as_mut().unwrap();
    let row = rows[0].clone();
    rows.resize(200, row);
    let source = r#"{% macro person(row) %}
              {"name": "{{ row.participant.display_name|upper }}", "long": {{ row.seconds_present > 30 }}}
            {% endmacro %}
            {% set ns = namespace(n=0, parts=[]) %}
            {% for row in event.attendance.participants|sort(attribute="seconds_present") %}
              {% set ns.n = ns.n + 2 * 1 %}{% set ns.parts = ns.parts + [person(row)|trim] %}
            {% endfor %}
            {"n": {{ ns.n }}, "half": {{ 3 * 0.5 }}, "line": "{{ '-' * 5 }}", "p": [{{ ns.parts|join(",") }}],
             "i": {{ event.attendance.participants|map(attribute="participant.kind")|unique|list|tojson }},
             "w": "{{ '%05d %s'|format(7, event.type) }}", "all": {{ event|tojson }},
             {% if event.present or 0 > 3 %}"many": true{% else %}"many": false{% endif %},
             "deep": [{% for n in [[1, [2]], [3]] recursive %}{% if n is iterable %}[{{ loop(n) }}]{% else %}{{ n }}{% endif %}{% if not loop.last %},{% endif %}{% endfor %}]}"#;
    let written = rendered(source, &event).unwrap();
    assert_eq!((&written["n"], &written["half"], &written["line"]), (&json!(400), &json!(1.5), &json!("-----")));
    assert_eq!(written["p"].as_array().unwrap().len(), 200);
    assert_eq!(written["p"][0]["long"], true);
    assert!(written["p"][0]["name"].as_str().unwrap().starts_with("O'BRIEN \"<!CHANNEL>\" \\ {{ 7 }}"), "{written}");
    assert_eq!(written["w"], "00007 conference.ended");
    assert_eq!(written["deep"], json!([[1, [2]], [3]]));
    assert_eq!(written["all"], serde_json::to_value(&event).unwrap());
}

#[test]
fn a_name_is_escaped_whatever_the_template_does_with_it() {
    let taken_apart = [
        ("{% set x %}{{ n }}{% endset %}", "{{ x|last }}", None),
        ("{% set x %}{{ n }}{% endset %}", "{{ x|first }}", None),
        ("{% set x %}{{ n }}{% endset %}", "{{ x|upper }}", None),
        ("{% set x %}{{ n }}{% endset %}", "{{ x|reverse }}", None),
        ("{% set x %}{{ n }}{% endset %}", "{{ x|list|last }}", None),
        ("{% set x %}{{ n }}{% endset %}", "{{ x|replace('a', n) }}", None),
        ("{% set x %}{{ n }}{% endset %}", "{{ x|split('d')|last }}", None),
        ("{% set x %}{{ n }}{% endset %}", "{{ x[:-1] }}{{ x[-1] }}", None),
        ("{% set x %}{{ n }}{% endset %}", "{{ x ~ x }}", None),
        ("{% set x %}{{ n }}{% endset %}", "{{ x|trim('A') }}", None),
        ("{% set x %}{{ n }}{% endset %}", "{{ x }}", Some("")),
        ("{% set x %}\n{{ n }}{% endset %}", "{{ x|last }}", None),
        ("{% set x %}\"{{ n }}{% endset %}", "{{ x|last }}", None),
        ("{% set x | last %}{{ n }}{% endset %}", "{{ x }}", None),
        ("{% set x = n|e %}", "{{ x|last }}", None),
        ("{% set x = n|tojson %}", "{{ x|last }}", None),
        ("{% macro m() %}{{ n }}{% endmacro %}", "{{ m()|last }}", None),
        ("", "{% filter last %}{{ n }}{% endfilter %}", None),
        ("", "{% for c in n %}{{ c|last }}{% endfor %}", Some("")),
        ("{% autoescape false %}{% set x %}{{ n }}{% endset %}", "{{ x|last }}{% endautoescape %}", None),
    ];
    for name in ["Ada\\", "Ada\"", "\\", "\"", "A\\\"da\\\\", "d\u{1}a\n", "Ad\u{1f600}a\\"] {
        for (before, printed, same) in taken_apart {
            let name_first = "{% set n = event.participant.display_name %}";
            let source = format!(r#"{name_first}{before}{{"a": "{printed}", "b": 1}}"#);
            let written = rendered(&source, &joined(name));
            assert!(written.is_ok(), "{source} {name:?}: {written:?}");
            let written = written.unwrap();
            assert_eq!((written.as_object().unwrap().len(), &written["b"]), (2, &json!(1)), "{source} {name:?}");
            if same.is_some() {
                assert_eq!(written["a"], name, "{source}");
            }
        }
    }
    let last = r#"{% set x %}{{ event.participant.display_name }}{% endset %}{"a": "{{ x|last }}"}"#;
    assert_eq!(rendered(last, &joined("Ada\\")).unwrap()["a"], "\\");
}

#[test]
fn neither_an_error_nor_the_debug_form_repeats_the_event_or_the_template() {
    let written = rendered("{{ event.participant.display_name|int }}", &joined("Ada")).unwrap_err().to_string();
    assert!(!written.contains("Ada"), "{written}");
    assert!(!format!("{:?}", template("{\"x\": 1}")).contains('x'));
}

proptest! {
    #[test]
    fn no_name_ends_the_string_that_it_stands_in(name in "\\PC{0,40}|[\"\\\\{}%,:a-z \\n\u{0}-\u{1f}]{0,40}") {
        let source = r#"{"name": "{{ event.participant.display_name }}", "json": {{ event.participant.display_name|tojson }}, "last": 1}"#;
        prop_assert_eq!(rendered(source, &joined(&name)).unwrap(), json!({"name": name, "json": name, "last": 1}));
    }
}
