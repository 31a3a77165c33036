use super::*;
use crate::delivery::{Policy, Reason};
use crate::model::{EventId, EventType};
use crate::store::{AttemptResult, EndpointReply, LaneId, Pick, StoredBreaker};

fn name() -> EndpointName {
    EndpointName::parse("ops").unwrap()
}

fn endpoint(concurrency: usize) -> Endpoint {
    Endpoint {
        name: name(),
        policy: Policy::new(Duration::from_secs(3600)),
        timeout: Duration::from_secs(15),
        concurrency,
        ordered: true,
        batched: false,
        drain_per_second: 50.0,
    }
}

fn core(concurrency: usize) -> Core {
    Core::new([endpoint(concurrency)], Random::with_seed(1))
}

fn now(seconds: u64) -> Now {
    Now { mono: Duration::ZERO, wall: Timestamp::UNIX_EPOCH }.after(Duration::from_secs(seconds))
}

fn claimed(delivery: i64) -> Claimed {
    Claimed {
        delivery: DeliveryId(delivery),
        lane: LaneId(delivery),
        claim: 1,
        event: EventId::parse("evt_a").unwrap(),
        event_type: EventType::WebhookTest,
        conference: None,
        time: Timestamp::UNIX_EPOCH,
        body: "{}".into(),
        previous: None,
        attempts: 0,
        failures: 0,
        rejections: 0,
        owed_at: Timestamp::UNIX_EPOCH,
        tried_since: None,
        others_wait: false,
        batch: None,
    }
}

fn reply(deliveries: &[i64], next_due: Option<u64>) -> Input {
    let claimed = deliveries.iter().map(|delivery| claimed(*delivery)).collect();
    let next_due = next_due.map(|due| now(due).wall);
    let endpoints = vec![EndpointReply {
        endpoint: name(),
        enabled: true,
        breaker: StoredBreaker::Closed,
        claimed,
        expired: 0,
        buried: 0,
        next_due,
    }];
    Input::Exchanged(OutboxReply { endpoints, stale: Vec::new() })
}

fn sent(delivery: i64) -> Input {
    Input::Sent(Sent {
        endpoint: name(),
        delivery: DeliveryId(delivery),
        began_at: Timestamp::UNIX_EPOCH,
        took: Duration::ZERO,
        reply: Outcome::Answered { status: 200, retry_after: None }.into(),
    })
}

fn left(step: &Step) -> bool {
    step.commands.iter().any(|command| matches!(command, Command::Left(left) if *left == name()))
}

fn exchange(step: Step) -> Option<OutboxRequest> {
    step.commands.into_iter().find_map(|command| match command {
        Command::Exchange(request) => Some(request),
        Command::Send { .. } | Command::Note(_) | Command::Turned(_) | Command::Left(_) => None,
    })
}

fn limit(request: &OutboxRequest) -> usize {
    match request.claims[0].pick {
        Pick::Due { limit, .. } => limit,
        Pick::Probe { .. } => 1,
    }
}

/// The deliveries that are to be sent.
fn sends(step: &Step) -> Vec<i64> {
    let sends = step.commands.iter().filter_map(|command| match command {
        Command::Send { claimed, .. } => Some(claimed.delivery.0),
        Command::Exchange(_) | Command::Note(_) | Command::Turned(_) | Command::Left(_) => None,
    });
    sends.collect()
}

#[test]
fn it_holds_some_ready_and_sends_as_many_at_once_as_it_may() {
    let mut core = core(3);
    assert_eq!(limit(&exchange(core.step(now(0), Input::Tick)).unwrap()), 384);
    let step = core.step(now(0), reply(&[1, 2, 3, 4, 5], None));
    assert_eq!(sends(&step), [1, 2, 3]);
    assert!(exchange(step).is_none());
    let step = core.step(now(1), sent(2));
    assert_eq!(sends(&step), [4]);
    let request = exchange(step).unwrap();
    assert_eq!((request.records.len(), limit(&request)), (1, 383), "one is waiting");
    assert_eq!(request.in_flight, [1, 3, 4, 5].map(DeliveryId));
}

#[test]
fn it_claims_no_more_while_what_it_holds_ready_is_large() {
    let mut core = core(1);
    core.step(now(0), Input::Tick);
    let Input::Exchanged(mut large) = reply(&[1, 2, 3, 4], Some(0)) else { unreachable!("made so") };
    for claimed in &mut large.endpoints[0].claimed {
        claimed.body = "x".repeat(2 << 20).into();
    }
    let step = core.step(now(0), Input::Exchanged(large));
    assert!(exchange(step).is_none(), "6 MiB are waiting, and more is due");
    assert_eq!(exchange(core.step(now(1), sent(1))).unwrap().claims.len(), 1, "4 MiB are");
}

#[test]
fn a_run_of_one_conference_goes_out_one_after_another_and_back_when_one_fails() {
    let mut core = core(3);
    core.step(now(0), Input::Tick);
    let Input::Exchanged(mut run) = reply(&[1, 2, 3], None) else { unreachable!("made so") };
    for claimed in &mut run.endpoints[0].claimed {
        claimed.lane = LaneId(7);
    }
    assert_eq!(sends(&core.step(now(0), Input::Exchanged(run))), [1]);
    let step = core.step(now(1), sent(1));
    assert_eq!(sends(&step), [2], "no round with the outbox lies between");
    core.step(now(1), Input::Exchanged(OutboxReply::default()));
    let Input::Sent(mut failed) = sent(2) else { unreachable!("made so") };
    failed.reply = Outcome::Answered { status: 500, retry_after: None }.into();
    let step = core.step(now(2), Input::Sent(failed));
    assert!(sends(&step).is_empty());
    let records = exchange(step).unwrap().records;
    assert!(matches!(records[0].result, AttemptResult::Retry { failures: 1, .. }));
    assert_eq!((records[1].delivery, records[1].result.clone()), (DeliveryId(3), AttemptResult::Release));
}

#[test]
fn one_round_is_under_way_at_a_time_and_the_next_takes_along_what_came_meanwhile() {
    let mut core = core(3);
    core.step(now(0), Input::Tick);
    core.step(now(0), reply(&[1, 2, 3], None));
    assert!(exchange(core.step(now(1), sent(1))).is_some());
    assert!(exchange(core.step(now(1), sent(2))).is_none());
    assert!(exchange(core.step(now(1), sent(3))).is_none());
    assert_eq!(exchange(core.step(now(2), reply(&[], None))).unwrap().records.len(), 2);
}

#[test]
fn what_could_not_be_recorded_is_recorded_later_and_nothing_is_asked_meanwhile() {
    let mut core = core(3);
    core.step(now(0), Input::Tick);
    core.step(now(0), reply(&[1, 2], None));
    let first = exchange(core.step(now(1), sent(1))).unwrap();
    core.step(now(1), sent(2));
    let failed = core.step(now(1), Input::ExchangeFailed);
    let again = failed.wake_at.unwrap();
    assert!(exchange(failed).is_none() && again > now(1).mono);
    assert!(exchange(core.step(now(1), Input::Woken)).is_none());
    let request = exchange(core.step(now(2), Input::Tick)).unwrap();
    assert_eq!(request.records[0], first.records[0]);
    assert_eq!(request.records[1].delivery, DeliveryId(2));
}

#[test]
fn it_wakes_when_the_next_is_due_and_once_a_minute_anyway() {
    let mut core = core(3);
    core.step(now(0), Input::Tick);
    assert_eq!(core.step(now(0), reply(&[], Some(17))).wake_at, Some(now(17).mono));
    assert!(exchange(core.step(now(16), Input::Tick)).is_none());
    assert!(exchange(core.step(now(17), Input::Tick)).is_some());
    assert_eq!(core.step(now(17), reply(&[], Some(5000))).wake_at, Some(now(60).mono));
    assert!(exchange(core.step(now(60), Input::Tick)).is_some());
}

fn unreachable(delivery: i64) -> Input {
    let Input::Sent(mut failed) = sent(delivery) else { unreachable!("made so") };
    failed.reply = Outcome::Failed { reason: Reason::Connect, status: None }.into();
    Input::Sent(failed)
}

#[test]
fn what_was_asked_for_before_the_trouble_began_goes_back_unsent() {
    let mut core = core(3);
    core.step(now(0), Input::Tick);
    core.step(now(0), reply(&[1, 2, 3], None));
    assert_eq!(exchange(core.step(now(1), unreachable(1))).unwrap().claims.len(), 1);
    core.step(now(1), unreachable(2));
    let opens = core.step(now(1), unreachable(3));
    assert!(opens.commands.iter().any(|command| matches!(command, Command::Turned(Turned::Breaker { .. }))));
    let step = core.step(now(1), reply(&[4, 5], None));
    assert!(sends(&step).is_empty(), "one probe at a time, and its time has not come");
    let given_back =
        exchange(step).unwrap().records.into_iter().filter(|record| record.result == AttemptResult::Release);
    assert_eq!(given_back.map(|record| record.delivery.0).collect::<Vec<_>>(), [4, 5]);
}

#[test]
fn an_endpoint_that_is_switched_off_gives_back_what_it_holds_ready_however_much() {
    let mut core = core(1);
    core.step(now(0), Input::Tick);
    let many: Vec<i64> = (1..=128).collect();
    assert_eq!(sends(&core.step(now(0), reply(&many, None))), [1]);
    let request = exchange(core.step(now(1), Input::Woken)).unwrap();
    assert_eq!(limit(&request), 0, "there is no room for more");
    let Input::Exchanged(mut off) = reply(&[], None) else { unreachable!("made so") };
    off.endpoints[0].enabled = false;
    let request = exchange(core.step(now(1), Input::Exchanged(off))).unwrap();
    assert_eq!((request.records.len(), request.in_flight), (127, vec![DeliveryId(1)]));
    core.step(now(1), Input::Exchanged(OutboxReply::default()));
    assert!(sends(&core.step(now(2), sent(1))).is_empty());
}

#[test]
fn an_endpoint_that_is_gone_gets_what_is_on_its_way_and_gives_the_rest_back() {
    let mut core = core(1);
    core.step(now(0), Input::Tick);
    assert_eq!(sends(&core.step(now(0), reply(&[1, 2], None))), [1]);
    let step = core.step(now(1), Input::Reconfigured(Vec::new()));
    assert!(sends(&step).is_empty() && !left(&step));
    let request = exchange(step).unwrap();
    assert_eq!((request.claims.len(), request.records[0].delivery), (0, DeliveryId(2)));
    assert_eq!(request.records[0].result, AttemptResult::Release);
    core.step(now(1), Input::Exchanged(OutboxReply::default()));
    let step = core.step(now(2), sent(1));
    let request = exchange(step).unwrap();
    assert_eq!(
        (request.records[0].result.clone(), request.claims.len()),
        (AttemptResult::Done, 0),
        "it arrived all the same"
    );
    let step = core.step(now(2), Input::Exchanged(OutboxReply::default()));
    assert!(left(&step));
    assert!(exchange(core.step(now(60), Input::Tick)).is_none(), "nobody asks for it any more");
}

#[test]
fn what_was_claimed_for_an_endpoint_that_is_gone_meanwhile_goes_back() {
    let mut core = core(3);
    assert!(exchange(core.step(now(0), Input::Tick)).is_some());
    assert!(!left(&core.step(now(0), Input::Reconfigured(Vec::new()))), "the outbox may be handing it something");
    let step = core.step(now(0), reply(&[1], None));
    assert!(sends(&step).is_empty());
    assert_eq!(exchange(step).unwrap().records[0].result, AttemptResult::Release);
}

#[test]
fn an_endpoint_that_comes_back_goes_on_where_it_was() {
    let mut core = core(1);
    core.step(now(0), Input::Tick);
    core.step(now(0), reply(&[1], None));
    core.step(now(1), Input::Reconfigured(Vec::new()));
    let step = core.step(now(1), Input::Reconfigured(vec![endpoint(1)]));
    assert!(exchange(step).is_some_and(|request| request.in_flight == [DeliveryId(1)]));
    let step = core.step(now(1), reply(&[2], None));
    assert!(sends(&step).is_empty(), "one at a time, and the first is still on its way");
    assert_eq!(sends(&core.step(now(2), sent(1))), [2]);
}

#[test]
fn a_new_endpoint_is_asked_for_at_once_and_other_settings_hold_from_the_next_delivery_on() {
    let mut core = Core::new([], Random::with_seed(1));
    assert!(exchange(core.step(now(0), Input::Tick)).is_none());
    let request = exchange(core.step(now(0), Input::Reconfigured(vec![endpoint(1)]))).unwrap();
    assert_eq!(request.claims[0].endpoint, name());
    assert_eq!(sends(&core.step(now(0), reply(&[1, 2, 3], None))), [1]);
    let step = core.step(now(0), Input::Reconfigured(vec![endpoint(3)]));
    assert_eq!(sends(&step), [2, 3]);
}

#[test]
fn where_the_order_changes_what_was_claimed_under_the_old_one_goes_back() {
    let mut core = core(1);
    core.step(now(0), Input::Tick);
    core.step(now(0), reply(&[1, 2], None));
    let unordered = Endpoint { ordered: false, ..endpoint(1) };
    let request = exchange(core.step(now(0), Input::Reconfigured(vec![unordered]))).unwrap();
    assert_eq!((request.records[0].delivery, request.in_flight), (DeliveryId(2), vec![DeliveryId(1)]));
    let ordered = core.step(now(0), Input::Reconfigured(vec![endpoint(2)]));
    assert!(exchange(ordered).is_none());
    let step = core.step(now(0), reply(&[3], None));
    assert!(sends(&step).is_empty());
    assert_eq!(exchange(step).unwrap().records[0].result, AttemptResult::Release, "asked for without an order");
}

#[test]
fn where_batches_begin_or_end_what_was_claimed_in_the_old_way_goes_back() {
    let mut core = core(1);
    core.step(now(0), Input::Tick);
    core.step(now(0), reply(&[1, 2], None));
    let batched = Endpoint { batched: true, ..endpoint(1) };
    let request = exchange(core.step(now(0), Input::Reconfigured(vec![batched]))).unwrap();
    assert_eq!(
        (request.records[0].delivery, request.records[0].result.clone()),
        (DeliveryId(2), AttemptResult::Release)
    );
    assert_eq!(limit(&request), 2, "batches are large: few are held ready");
}

#[test]
fn an_endpoint_in_trouble_is_tried_at_once_when_it_is_configured_anew() {
    let mut core = core(3);
    core.step(now(0), Input::Tick);
    let Input::Exchanged(mut open) = reply(&[], None) else { unreachable!("made so") };
    open.endpoints[0].breaker = StoredBreaker::Open { since: now(0).wall, probes: 9, probe_at: now(600).wall };
    let step = core.step(now(0), Input::Exchanged(open));
    assert!(exchange(step).is_none());
    let request = exchange(core.step(now(1), Input::Reconfigured(vec![endpoint(3)]))).unwrap();
    assert!(matches!(request.claims[0].pick, Pick::Probe { .. }));
}

#[test]
fn a_stop_lets_what_is_being_sent_finish_and_gives_back_what_was_claimed_too_late() {
    let mut core = core(3);
    core.step(now(0), Input::Tick);
    core.step(now(0), reply(&[1], None));
    core.step(now(1), Input::Woken);
    assert!(!core.step(now(1), Input::Stop).finished);
    let late = exchange(core.step(now(1), reply(&[2], None))).unwrap();
    assert_eq!((late.claims.len(), late.records[0].result.clone()), (0, AttemptResult::Release));
    assert!(!core.step(now(1), Input::Exchanged(OutboxReply::default())).finished);
    let last = core.step(now(2), sent(1));
    assert!(!last.finished && exchange(last).unwrap().records[0].result == AttemptResult::Done);
    assert!(core.step(now(2), Input::Exchanged(OutboxReply::default())).finished);
}
