//! How the gate lets through, and how long it rests.

use super::*;

/// The rests that stand after one thing after the other, each once the rest before it is over.
async fn rests(gate: &Gate, count: usize, happens: impl Fn(Ticket<'_>)) -> Vec<u64> {
    let mut rests = Vec::new();
    for _ in 0..count {
        happens(gate.admit().expect("the rest is over"));
        let Closed { rest, .. } = gate.admit().expect_err("rests");
        rests.push(rest.as_secs());
        tokio::time::advance(rest).await;
    }
    rests
}

#[tokio::test(start_paused = true)]
async fn refused_logins_are_tried_ever_more_rarely() {
    for stage in [Stage::Auth, Stage::Limit, Stage::Tls, Stage::Nonsense] {
        let gate = Gate::default();
        let refused = rests(&gate, 7, |ticket| ticket.failed(stage)).await;
        assert_eq!(refused, [15, 30, 60, 120, 240, 300, 300]);
        gate.admit().expect("the rest is over").succeeded();
        let again = rests(&gate, 2, |ticket| ticket.failed(stage)).await;
        assert_eq!(again, [15, 30], "a success ends the growth");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_mended_needs_no_rest() {
    let gate = Gate::default();
    rests(&gate, 5, |ticket| ticket.failed(Stage::Auth)).await;
    gate.admit().expect("the rest is over").failed(Stage::Auth);
    gate.forgive();
    let again = rests(&gate, 2, |ticket| ticket.failed(Stage::Auth)).await;
    assert_eq!(again, [15, 30], "if it was not mended");
}

#[tokio::test(start_paused = true)]
async fn a_day_of_a_wrong_password_is_about_three_hundred_logins() {
    let (gate, begun, mut attempts) = (Gate::default(), Instant::now(), 0);
    while begun.elapsed() < Duration::from_secs(86_400) {
        match gate.admit() {
            Ok(ticket) => {
                attempts += 1;
                ticket.failed(Stage::Auth);
            }
            Err(Closed { rest, .. }) => tokio::time::advance(rest).await,
        }
    }
    assert!(attempts < 300, "{attempts}");
}

#[tokio::test(start_paused = true)]
async fn sessions_that_break_after_their_login_are_tried_ever_more_rarely() {
    let gate = Gate::default();
    let broke = rests(&gate, 8, |ticket| {
        ticket.succeeded();
        gate.distrust(Useless::Broken, Instant::now());
    })
    .await;
    assert_eq!(broke, [4, 8, 16, 32, 64, 128, 256, 300]);
    gate.admit().expect("the rest is over").succeeded();
    gate.trust();
    gate.distrust(Useless::Refused, Instant::now());
    assert_eq!(gate.admit().expect_err("rests").rest, REST_AFTER_REFUSAL, "a good one ends the growth");
}

#[tokio::test(start_paused = true)]
async fn sessions_that_prove_useless_together_make_one_step() {
    let gate = Gate::default();
    let since = Instant::now();
    tokio::time::advance(Duration::from_secs(1)).await;
    (0..4).for_each(|_| gate.distrust(Useless::Silent, since));
    assert_eq!(gate.admit().expect_err("rests").rest, REST_AFTER_BREAK);
    gate.distrust(Useless::Silent, Instant::now());
    assert_eq!(gate.admit().expect_err("rests").rest, 2 * REST_AFTER_BREAK);
}

#[tokio::test(start_paused = true)]
async fn attempts_that_fail_together_make_one_step() {
    let gate = Gate::default();
    gate.admit().expect("the first may").succeeded();
    let tickets = [0, 1, 2, 3].map(|_| gate.admit().expect("an open gate lets all through"));
    tickets.into_iter().for_each(|ticket| ticket.failed(Stage::Limit));
    assert_eq!(gate.admit().expect_err("rests").rest, REST_AFTER_REFUSAL);
}

#[tokio::test(start_paused = true)]
async fn no_fate_of_logins_makes_more_than_a_burst_and_five_a_second() {
    for fail in [false, true] {
        let (gate, begun, mut attempts) = (Gate::default(), Instant::now(), 0_u32);
        while begun.elapsed() < Duration::from_secs(60) {
            while let Ok(ticket) = gate.admit() {
                attempts += 1;
                ticket.succeeded();
                if fail {
                    gate.distrust(Useless::Broken, Instant::now());
                }
            }
            tokio::time::advance(Duration::from_millis(10)).await;
        }
        assert!(attempts <= 361, "{attempts} in a minute");
        assert!(fail || attempts >= 350, "{attempts}: the pace is not slower than it says");
    }
}

#[tokio::test(start_paused = true)]
async fn too_many_logins_are_no_failure() {
    let gate = Gate::default();
    for _ in 0..60 {
        gate.admit().expect("a burst may").succeeded();
    }
    let closed = gate.admit().expect_err("the burst is over");
    assert_eq!(closed, Closed { rest: Duration::from_millis(200), failed_at: None });
    tokio::time::advance(closed.rest).await;
    assert!(gate.admit().is_ok());
}

#[tokio::test(start_paused = true)]
async fn one_at_a_time_until_one_succeeds() {
    let gate = Gate::default();
    let first = gate.admit().expect("the first may");
    let waiting = gate.admit().expect_err("the second waits");
    assert_eq!(waiting.failed_at, None, "nothing has failed");
    first.succeeded();
    let (second, third) = (gate.admit(), gate.admit());
    assert!(second.is_ok() && third.is_ok(), "an open gate lets all through");
}

#[tokio::test(start_paused = true)]
async fn a_success_that_began_before_a_failure_does_not_end_its_rest() {
    let gate = Gate::default();
    gate.admit().expect("the first may").succeeded();
    let (slow, refused) = (gate.admit().expect("may"), gate.admit().expect("may"));
    refused.failed(Stage::Limit);
    slow.succeeded();
    let closed = Closed { rest: REST_AFTER_REFUSAL, failed_at: Some(Stage::Limit) };
    assert_eq!(gate.admit().err(), Some(closed));
    tokio::time::advance(REST_AFTER_REFUSAL).await;
    gate.admit().expect("the rest is over").succeeded();
    let (one, two) = (gate.admit(), gate.admit());
    assert!(one.is_ok() && two.is_ok(), "open again");
}

#[tokio::test(start_paused = true)]
async fn distrust_during_an_attempt_that_succeeds_does_not_lock_the_gate() {
    let gate = Gate::default();
    gate.admit().expect("the first may").failed(Stage::Tcp);
    tokio::time::advance(FIRST_REST).await;
    let ticket = gate.admit().expect("the rest is over");
    gate.distrust(Useless::Broken, Instant::now());
    ticket.succeeded();
    tokio::time::advance(REST_AFTER_BREAK).await;
    gate.admit().expect("the rest is over").succeeded();
    let (one, two) = (gate.admit(), gate.admit());
    assert!(one.is_ok() && two.is_ok(), "open again");
}

#[tokio::test(start_paused = true)]
async fn only_the_attempt_that_is_alone_frees_its_place() {
    let gate = Gate::default();
    gate.admit().expect("the first may").succeeded();
    let tickets = [0, 1, 2].map(|_| gate.admit().expect("an open gate lets all through"));
    gate.distrust(Useless::Broken, Instant::now());
    tokio::time::advance(REST_AFTER_BREAK).await;
    let alone = gate.admit().expect("the rest is over");
    let busy = Closed { rest: Duration::from_millis(100), failed_at: Some(Stage::Auth) };
    let [given_up, late, refused] = tickets;
    drop(given_up);
    assert_eq!(gate.admit().err(), Some(busy), "the one attempt is under way");
    late.succeeded();
    assert_eq!(gate.admit().err(), Some(busy), "a success from before the failure says nothing");
    refused.failed(Stage::Auth);
    tokio::time::advance(REST_AFTER_REFUSAL).await;
    assert_eq!(gate.admit().err(), Some(busy), "it still is under way");
    drop(alone);
    assert!(gate.admit().is_ok());
}

#[tokio::test(start_paused = true)]
async fn an_unreachable_server_is_tried_ever_more_rarely() {
    let gate = Gate::default();
    let mut rests = Vec::new();
    for _ in 0..6 {
        let ticket = gate.admit().expect("rest is over");
        ticket.failed(Stage::Tcp);
        let Closed { rest, failed_at } = gate.admit().expect_err("rests");
        assert_eq!(failed_at, Some(Stage::Tcp));
        rests.push(rest.as_secs());
        tokio::time::advance(rest).await;
    }
    assert_eq!(rests, [1, 2, 4, 8, 15, 15]);
    drop(gate.admit().expect("may"));
    assert!(gate.admit().is_ok(), "a given-up attempt frees its place");
}
