use jiff::Timestamp;

use super::*;
use crate::delivery::http::answer;
use crate::delivery::{Outcome, Policy, TransportFailure};
use crate::model::{EventId, EventType};
use crate::store::{AttemptResult, EndpointReply, LaneId, Pick, StoredBreaker};

fn name() -> EndpointName {
    EndpointName::parse("ops").unwrap()
}

fn endpoint(concurrency: u32) -> Endpoint {
    Endpoint {
        name: name(),
        policy: Policy::new(Duration::from_secs(3600)),
        timeout: Duration::from_secs(15),
        concurrency,
        ordered: true,
        batched: false,
        rate: None,
        drain_per_second: 50.0,
    }
}

fn core(concurrency: u32) -> Core {
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

fn reply(deliveries: &[i64], next_due: Option<u64>) -> DispatchInput {
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
    DispatchInput::Exchanged(OutboxReply { endpoints, stale: Vec::new() })
}

fn sent(delivery: i64) -> DispatchInput {
    DispatchInput::Finished(FinishedAttempt {
        endpoint: name(),
        delivery: DeliveryId(delivery),
        began_at: Timestamp::UNIX_EPOCH,
        took: Duration::ZERO,
        reply: answer::reply(200, None),
    })
}

fn forgotten(step: &Step) -> bool {
    step.commands.iter().any(|command| matches!(command, DispatchCommand::Forget(endpoint) if *endpoint == name()))
}

fn exchange(step: Step) -> Option<OutboxRequest> {
    step.commands.into_iter().find_map(|command| match command {
        DispatchCommand::Exchange(request) => Some(request),
        DispatchCommand::Send { .. }
        | DispatchCommand::ReportAttempt(_)
        | DispatchCommand::ReportEndpoint(_)
        | DispatchCommand::Forget(_) => None,
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
        DispatchCommand::Send { claimed, .. } => Some(claimed.delivery.0),
        DispatchCommand::Exchange(_)
        | DispatchCommand::ReportAttempt(_)
        | DispatchCommand::ReportEndpoint(_)
        | DispatchCommand::Forget(_) => None,
    });
    sends.collect()
}

#[test]
fn it_holds_deliveries_ready_and_sends_up_to_its_concurrency() {
    let mut core = core(3);
    assert_eq!(limit(&exchange(core.step(now(0), DispatchInput::Tick)).unwrap()), 384);
    let step = core.step(now(0), reply(&[1, 2, 3, 4, 5], None));
    assert_eq!(sends(&step), [1, 2, 3]);
    assert!(exchange(step).is_none());
    let step = core.step(now(1), sent(2));
    assert_eq!(sends(&step), [4]);
    let request = exchange(step).unwrap();
    assert_eq!((request.records.len(), limit(&request)), (1, 383), "one is held ready");
    assert_eq!(request.in_flight, [1, 3, 4, 5].map(DeliveryId));
}

#[test]
fn it_claims_no_more_while_the_ready_deliveries_exceed_their_size_limit() {
    let mut core = core(1);
    core.step(now(0), DispatchInput::Tick);
    let DispatchInput::Exchanged(mut large) = reply(&[1, 2, 3, 4], Some(0)) else { unreachable!("built above") };
    for claimed in &mut large.endpoints[0].claimed {
        claimed.body = "x".repeat(2 << 20).into();
    }
    let step = core.step(now(0), DispatchInput::Exchanged(large));
    assert!(exchange(step).is_none(), "6 MiB are held ready, although more is due");
    assert_eq!(exchange(core.step(now(1), sent(1))).unwrap().claims.len(), 1, "4 MiB are held ready");
}

#[test]
fn a_run_is_sent_one_by_one_and_its_rest_is_released_when_one_fails() {
    let mut core = core(3);
    core.step(now(0), DispatchInput::Tick);
    let DispatchInput::Exchanged(mut run) = reply(&[1, 2, 3], None) else { unreachable!("built above") };
    for claimed in &mut run.endpoints[0].claimed {
        claimed.lane = LaneId(7);
    }
    assert_eq!(sends(&core.step(now(0), DispatchInput::Exchanged(run))), [1]);
    let step = core.step(now(1), sent(1));
    assert_eq!(sends(&step), [2], "without a round with the outbox in between");
    core.step(now(1), DispatchInput::Exchanged(OutboxReply::default()));
    let DispatchInput::Finished(mut failed) = sent(2) else { unreachable!("built above") };
    failed.reply = answer::reply(500, None);
    let step = core.step(now(2), DispatchInput::Finished(failed));
    assert!(sends(&step).is_empty());
    let records = exchange(step).unwrap().records;
    assert!(matches!(records[0].result, AttemptResult::Retry { failures: 0, .. }), "the endpoint may be in trouble");
    assert_eq!((records[1].delivery, records[1].result.clone()), (DeliveryId(3), AttemptResult::Release));
}

#[test]
fn one_round_is_in_flight_at_a_time_and_the_next_records_what_finished_meanwhile() {
    let mut core = core(3);
    core.step(now(0), DispatchInput::Tick);
    core.step(now(0), reply(&[1, 2, 3], None));
    assert!(exchange(core.step(now(1), sent(1))).is_some());
    assert!(exchange(core.step(now(1), sent(2))).is_none());
    assert!(exchange(core.step(now(1), sent(3))).is_none());
    assert_eq!(exchange(core.step(now(2), reply(&[], None))).unwrap().records.len(), 2);
}

#[test]
fn after_a_failed_round_the_outbox_is_left_alone_for_a_while_and_nothing_is_lost() {
    let mut core = core(3);
    core.step(now(0), DispatchInput::Tick);
    core.step(now(0), reply(&[1, 2], None));
    let first = exchange(core.step(now(1), sent(1))).unwrap();
    core.step(now(1), sent(2));
    let failed = core.step(now(1), DispatchInput::ExchangeFailed);
    let again = failed.wake_at.unwrap();
    assert!(exchange(failed).is_none() && again > now(1).mono);
    assert!(exchange(core.step(now(1), DispatchInput::Woken)).is_none());
    let request = exchange(core.step(now(2), DispatchInput::Tick)).unwrap();
    assert_eq!(request.records[0], first.records[0]);
    assert_eq!(request.records[1].delivery, DeliveryId(2));
}

#[test]
fn it_wakes_when_the_next_delivery_is_due_and_at_least_once_a_minute() {
    let mut core = core(3);
    core.step(now(0), DispatchInput::Tick);
    assert_eq!(core.step(now(0), reply(&[], Some(17))).wake_at, Some(now(17).mono));
    assert!(exchange(core.step(now(16), DispatchInput::Tick)).is_none());
    assert!(exchange(core.step(now(17), DispatchInput::Tick)).is_some());
    assert_eq!(core.step(now(17), reply(&[], Some(5000))).wake_at, Some(now(60).mono));
    assert!(exchange(core.step(now(60), DispatchInput::Tick)).is_some());
}

fn unreachable(delivery: i64) -> DispatchInput {
    let DispatchInput::Finished(mut failed) = sent(delivery) else { unreachable!("built above") };
    failed.reply = Outcome::TransportFailed(TransportFailure::Connect).into();
    DispatchInput::Finished(failed)
}

#[test]
fn a_claim_made_before_the_breaker_opened_is_released_unsent() {
    let mut core = core(3);
    core.step(now(0), DispatchInput::Tick);
    core.step(now(0), reply(&[1, 2, 3], None));
    assert_eq!(exchange(core.step(now(1), unreachable(1))).unwrap().claims.len(), 1);
    core.step(now(1), unreachable(2));
    let opens = core.step(now(1), unreachable(3));
    assert!(
        opens
            .commands
            .iter()
            .any(|command| matches!(command, DispatchCommand::ReportEndpoint(EndpointReport::Breaker { .. })))
    );
    let step = core.step(now(1), reply(&[4, 5], None));
    assert!(sends(&step).is_empty(), "only probes are sent, and the next one is not due");
    let released = exchange(step).unwrap().records.into_iter().filter(|record| record.result == AttemptResult::Release);
    assert_eq!(released.map(|record| record.delivery.0).collect::<Vec<_>>(), [4, 5]);
}

#[test]
fn an_endpoint_that_is_switched_off_releases_everything_that_it_holds_ready() {
    let mut core = core(1);
    core.step(now(0), DispatchInput::Tick);
    let many: Vec<i64> = (1..=128).collect();
    assert_eq!(sends(&core.step(now(0), reply(&many, None))), [1]);
    let request = exchange(core.step(now(1), DispatchInput::Woken)).unwrap();
    assert_eq!(limit(&request), 0, "there is no capacity for more");
    let DispatchInput::Exchanged(mut off) = reply(&[], None) else { unreachable!("built above") };
    off.endpoints[0].enabled = false;
    let request = exchange(core.step(now(1), DispatchInput::Exchanged(off))).unwrap();
    assert_eq!((request.records.len(), request.in_flight), (127, vec![DeliveryId(1)]));
    core.step(now(1), DispatchInput::Exchanged(OutboxReply::default()));
    assert!(sends(&core.step(now(2), sent(1))).is_empty());
}

#[test]
fn a_removed_endpoint_finishes_its_attempts_in_flight_and_releases_the_rest() {
    let mut core = core(1);
    core.step(now(0), DispatchInput::Tick);
    assert_eq!(sends(&core.step(now(0), reply(&[1, 2], None))), [1]);
    let step = core.step(now(1), DispatchInput::Reconfigured(Vec::new()));
    assert!(sends(&step).is_empty() && !forgotten(&step));
    let request = exchange(step).unwrap();
    assert_eq!((request.claims.len(), request.records[0].delivery), (0, DeliveryId(2)));
    assert_eq!(request.records[0].result, AttemptResult::Release);
    core.step(now(1), DispatchInput::Exchanged(OutboxReply::default()));
    let step = core.step(now(2), sent(1));
    let request = exchange(step).unwrap();
    assert_eq!(
        (request.records[0].result.clone(), request.claims.len()),
        (AttemptResult::Done, 0),
        "the attempt succeeded"
    );
    let step = core.step(now(2), DispatchInput::Exchanged(OutboxReply::default()));
    assert!(forgotten(&step));
    assert!(exchange(core.step(now(60), DispatchInput::Tick)).is_none(), "nothing is claimed for it any more");
}

#[test]
fn a_claim_in_flight_for_a_removed_endpoint_is_released() {
    let mut core = core(3);
    assert!(exchange(core.step(now(0), DispatchInput::Tick)).is_some());
    assert!(!forgotten(&core.step(now(0), DispatchInput::Reconfigured(Vec::new()))), "a claim is in flight");
    let step = core.step(now(0), reply(&[1], None));
    assert!(sends(&step).is_empty());
    assert_eq!(exchange(step).unwrap().records[0].result, AttemptResult::Release);
}

#[test]
fn an_endpoint_that_is_added_again_continues_where_it_was() {
    let mut core = core(1);
    core.step(now(0), DispatchInput::Tick);
    core.step(now(0), reply(&[1], None));
    core.step(now(1), DispatchInput::Reconfigured(Vec::new()));
    let step = core.step(now(1), DispatchInput::Reconfigured(vec![endpoint(1)]));
    assert!(exchange(step).is_some_and(|request| request.in_flight == [DeliveryId(1)]));
    let step = core.step(now(1), reply(&[2], None));
    assert!(sends(&step).is_empty(), "one at a time, and the first is still in flight");
    assert_eq!(sends(&core.step(now(2), sent(1))), [2]);
}

#[test]
fn a_new_endpoint_claims_at_once_and_changed_settings_apply_to_the_next_delivery() {
    let mut core = Core::new([], Random::with_seed(1));
    assert!(exchange(core.step(now(0), DispatchInput::Tick)).is_none());
    let request = exchange(core.step(now(0), DispatchInput::Reconfigured(vec![endpoint(1)]))).unwrap();
    assert_eq!(request.claims[0].endpoint, name());
    assert_eq!(sends(&core.step(now(0), reply(&[1, 2, 3], None))), [1]);
    let step = core.step(now(0), DispatchInput::Reconfigured(vec![endpoint(3)]));
    assert_eq!(sends(&step), [2, 3]);
}

#[test]
fn a_change_of_order_releases_what_was_claimed_before() {
    let mut core = core(1);
    core.step(now(0), DispatchInput::Tick);
    core.step(now(0), reply(&[1, 2], None));
    let unordered = Endpoint { ordered: false, ..endpoint(1) };
    let request = exchange(core.step(now(0), DispatchInput::Reconfigured(vec![unordered]))).unwrap();
    assert_eq!((request.records[0].delivery, request.in_flight), (DeliveryId(2), vec![DeliveryId(1)]));
    let ordered = core.step(now(0), DispatchInput::Reconfigured(vec![endpoint(2)]));
    assert!(exchange(ordered).is_none());
    let step = core.step(now(0), reply(&[3], None));
    assert!(sends(&step).is_empty());
    assert_eq!(exchange(step).unwrap().records[0].result, AttemptResult::Release, "claimed without an order");
}

#[test]
fn a_change_of_grouping_releases_what_was_claimed_before() {
    let mut core = core(1);
    core.step(now(0), DispatchInput::Tick);
    core.step(now(0), reply(&[1, 2], None));
    let batched = Endpoint { batched: true, ..endpoint(1) };
    let request = exchange(core.step(now(0), DispatchInput::Reconfigured(vec![batched]))).unwrap();
    assert_eq!(
        (request.records[0].delivery, request.records[0].result.clone()),
        (DeliveryId(2), AttemptResult::Release)
    );
    assert_eq!(limit(&request), 2, "batches are large: few are held ready");
}

#[test]
fn an_endpoint_with_an_open_breaker_is_probed_at_once_when_its_settings_change() {
    let mut core = core(3);
    core.step(now(0), DispatchInput::Tick);
    let DispatchInput::Exchanged(mut open) = reply(&[], None) else { unreachable!("built above") };
    open.endpoints[0].breaker = StoredBreaker::Open { since: now(0).wall, probes: 9, probe_at: now(600).wall };
    let step = core.step(now(0), DispatchInput::Exchanged(open));
    assert!(exchange(step).is_none());
    let request = exchange(core.step(now(1), DispatchInput::Reconfigured(vec![endpoint(3)]))).unwrap();
    assert!(matches!(request.claims[0].pick, Pick::Probe { .. }));
}

#[test]
fn after_a_stop_attempts_in_flight_finish_and_late_claims_are_released() {
    let mut core = core(3);
    core.step(now(0), DispatchInput::Tick);
    core.step(now(0), reply(&[1], None));
    core.step(now(1), DispatchInput::Woken);
    assert!(!core.step(now(1), DispatchInput::Stop).finished);
    let late = exchange(core.step(now(1), reply(&[2], None))).unwrap();
    assert_eq!((late.claims.len(), late.records[0].result.clone()), (0, AttemptResult::Release));
    assert!(!core.step(now(1), DispatchInput::Exchanged(OutboxReply::default())).finished);
    let last = core.step(now(2), sent(1));
    assert!(!last.finished && exchange(last).unwrap().records[0].result == AttemptResult::Done);
    assert!(core.step(now(2), DispatchInput::Exchanged(OutboxReply::default())).finished);
}

#[test]
fn what_waits_is_claimed_anew_after_a_person_was_forgotten() {
    let mut core = core(1);
    assert!(exchange(core.step(now(1), DispatchInput::Woken)).is_some());
    assert_eq!(sends(&core.step(now(1), reply(&[1, 2], None))), [1]);
    let request = exchange(core.step(now(2), DispatchInput::AdminChanged)).unwrap();
    let released: Vec<_> = request.records.iter().map(|record| (record.delivery, record.result.clone())).collect();
    assert_eq!(released, [(DeliveryId(2), AttemptResult::Release)], "it may name who was forgotten");
    assert_eq!(request.claims.len(), 1);
    // What is being sent cannot be taken back.
    assert_eq!(sends(&core.step(now(2), reply(&[], None))), Vec::<i64>::new());
}
