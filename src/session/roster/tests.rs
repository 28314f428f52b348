use super::*;

const BUDGET: usize = 5;

fn counter() -> IntCounter {
    IntCounter::new("count", "for the test").expect("a good name")
}

fn roster() -> (Roster, IntCounter, BTreeMap<GhostKill, IntCounter>) {
    let (aborted, kills) = (counter(), GhostKill::ALL.map(|outcome| (outcome, counter())));
    let kills = BTreeMap::from(kills);
    (TargetRoster::new(aborted.clone(), &Rosters::default()).share(rules("direct", &kills)), aborted, kills)
}

fn rules(path: &str, kills: &BTreeMap<GhostKill, IntCounter>) -> Rules {
    let (path, kills) = (path.to_owned(), kills.clone());
    Rules { path, budget: BUDGET, reads_the_view: true, kill_ghosts: true, kills }
}

/// How many the server was found to list.
fn settle(roster: &Roster, listed: &[u64]) -> usize {
    roster.settle(&roster.ghosts(), &listed.iter().copied().collect()).values().sum()
}

fn join(roster: &Roster, purpose: Purpose, thread_id: u64) -> Membership {
    roster.claim(purpose).expect("there is room").join(thread_id)
}

fn mark(identity: &str, started: f64) -> ServerMark {
    ServerMark {
        identity: identity.to_owned(),
        hostname: "db".to_owned(),
        port: 3306,
        started,
        read_at: 0.0,
        took: 0.0,
    }
}

#[tokio::test(start_paused = true)]
async fn two_sessions_that_go_by_one_id_for_a_while_are_both_ours() {
    let (roster, ..) = roster();
    let mut canary = join(&roster, Purpose::Canary, 3);
    canary.rename(7, false);
    let mut view = join(&roster, Purpose::ServerView, 7);
    view.rename(9, false);
    assert!(roster.is_ours(7) && roster.is_ours(9) && !roster.is_ours(3));
    canary.leave();
    assert_eq!(roster.lock().living, BTreeMap::from([(9, 1)]));
}

#[tokio::test(start_paused = true)]
async fn a_ghost_is_aborted_once_when_the_server_lists_it_no_more() {
    let (roster, aborted, _) = roster();
    let (mut first, second) = (join(&roster, Purpose::Canary, 7), join(&roster, Purpose::Canary, 8));
    first.rename(7, true);
    drop(first);
    assert!(roster.is_ours(7) && roster.is_ours(8));
    assert_eq!(settle(&roster, &[7, 8]), 1);
    assert_eq!(aborted.get(), 0);
    assert_eq!(settle(&roster, &[8]), 0);
    assert_eq!(aborted.get(), 1);
    second.abort();
    assert_eq!(aborted.get(), 2);
    join(&roster, Purpose::Canary, 9).leave();
    assert!(roster.is_ours(9), "the server may still list it");
    tokio::time::advance(LEAVING).await;
    assert!(!roster.is_ours(9) && roster.ghosts().is_empty());
}

#[tokio::test(start_paused = true)]
async fn every_session_that_the_server_may_hold_takes_a_place() {
    let (roster, ..) = roster();
    assert_eq!(roster.room(), BUDGET - 2, "one place is kept for the witness, one for the server view");
    let view = join(&roster, Purpose::ServerView, 1);
    let mut canaries: Vec<_> = (2..5).map(|id| join(&roster, Purpose::Canary, id)).collect();
    assert_eq!(roster.room(), 0);
    assert!(roster.claim(Purpose::Canary).is_none());
    // A ghost takes its canary's place.
    drop(canaries.pop());
    assert_eq!((roster.room(), roster.haunting()), (0, 1));
    // One that said COM_QUIT frees it, when the server has had time.
    canaries.pop().expect("two are left").leave();
    assert_eq!(roster.room(), 0);
    tokio::time::advance(CLEARING).await;
    assert_eq!(roster.room(), 1);
    // A login that broke off.
    roster.claim(Purpose::Canary).expect("there is room").broke_off();
    assert_eq!(roster.room(), 0);
    tokio::time::advance(HALF_OPEN).await;
    assert_eq!(roster.room(), 1);
    let witness = join(&roster, Purpose::Witness, 9);
    assert_eq!(roster.room(), 1, "its place was kept");
    witness.leave_unheard(false);
    tokio::time::advance(Duration::from_secs(60)).await;
    assert_eq!(roster.room(), 0, "nothing shows that the server has heard it");
    drop(view);
    assert_eq!(roster.haunting(), 3);
    let view = join(&roster, Purpose::ServerView, 10);
    assert!(roster.claim(Purpose::Witness).is_none(), "five sessions: the budget is hard");
    assert_eq!(settle(&roster, &[10]), 0);
    assert!(roster.claim(Purpose::Witness).is_some());
    drop(view);
}

#[tokio::test(start_paused = true)]
async fn a_witness_without_a_place_asks_for_one() {
    let (roster, ..) = roster();
    for id in 0..3 {
        drop(join(&roster, Purpose::Canary, id));
    }
    let view = join(&roster, Purpose::ServerView, 4);
    drop(view);
    let quiet = tokio::time::timeout(Duration::from_secs(1), roster.crowded()).await;
    assert!(quiet.is_err(), "the budget had room for both");
    let _view = join(&roster, Purpose::ServerView, 5);
    let crowded = tokio::time::timeout(Duration::from_secs(1), roster.crowded()).await;
    assert!(crowded.is_ok(), "the witness has no place now");
}

#[tokio::test(start_paused = true)]
async fn a_ghost_is_forgotten_when_its_server_must_have_ended_it() {
    let (roster, aborted, _) = roster();
    let mut canary = join(&roster, Purpose::Canary, 7);
    canary.ends_by_itself_after(Duration::from_secs(60));
    drop(canary);
    tokio::time::advance(Duration::from_secs(60)).await;
    assert_eq!(roster.room(), BUDGET - 3);
    tokio::time::advance(Duration::from_secs(11)).await;
    assert_eq!(roster.room(), BUDGET - 2);
    assert_eq!(aborted.get(), 0, "nobody has seen that");
}

#[tokio::test(start_paused = true)]
async fn another_servers_list_says_nothing_of_a_ghost() {
    let (roster, aborted, _) = roster();
    let mut canary = join(&roster, Purpose::Canary, 7);
    canary.rename(7, true);
    canary.introduce(None, Some(mark("a", -100.0)));
    drop(canary);
    let mut view = join(&roster, Purpose::ServerView, 9);
    view.rename(9, true);
    view.introduce(None, Some(mark("b", -100.0)));
    assert_eq!(settle(&roster, &[9]), 0);
    assert!(!roster.is_ours(7), "the other server's session of that id is not ours");
    roster.forget_ghosts();
    assert_eq!((roster.haunting(), aborted.get()), (1, 0));
    view.introduce(None, Some(mark("a", -100.0)));
    assert!(roster.is_ours(7));
    assert_eq!(settle(&roster, &[7, 9]), 1);
    // The server was restarted: the ghost is gone with it.
    view.introduce(None, Some(mark("a", 5.0)));
    assert_eq!((roster.haunting(), aborted.get()), (0, 0));
}

/// Its `Uptime` is made of the calendar, and may come late: neither is a restart.
#[tokio::test(start_paused = true)]
async fn a_server_clock_that_was_set_frees_no_place_and_hides_no_ghost() {
    for moved in [-3600.0, -15.0, -3.5, 3.5, 20.0, 86_400.0] {
        let (roster, ..) = roster();
        let mut canary = join(&roster, Purpose::Canary, 7);
        canary.rename(7, true);
        canary.introduce(None, Some(mark("a", -90_000.0)));
        drop(canary);
        let mut view = join(&roster, Purpose::ServerView, 9);
        view.rename(9, true);
        view.introduce(None, Some(mark("a", -90_000.0 + moved)));
        assert_eq!(roster.haunting(), 1, "{moved}");
        assert!(roster.is_ours(7), "{moved}: it is no application's");
        roster.forget_ghosts();
        assert_eq!(settle(&roster, &[7, 9]), 1, "{moved}: it is counted");
        assert_eq!(roster.room(), BUDGET - 3, "{moved}: and takes its place");
        assert_eq!(settle(&roster, &[9]), 0, "{moved}");
        assert_eq!(roster.haunting(), 0, "{moved}: it is gone, and its place is free");
    }
}

#[tokio::test(start_paused = true)]
async fn a_ghost_is_judged_and_counted_once() {
    let (roster, _, kills) = roster();
    let mut canary = join(&roster, Purpose::Canary, 7);
    canary.rename(7, true);
    drop(canary);
    let number = *roster.ghosts().keys().next().expect("a ghost");
    let claim = roster.claim_of(number).expect("nothing was tried yet");
    assert!(claim.id_certain && !claim.id_in_use);
    let another = join(&roster, Purpose::Canary, 7);
    assert!(roster.claim_of(number).expect("nothing was tried yet").id_in_use);
    another.leave();
    assert!(roster.claim_of(number).expect("nothing was tried yet").id_in_use, "it may still be listed");
    for outcome in [GhostKill::Refused, GhostKill::Refused, GhostKill::Unproven] {
        roster.judge(number, outcome);
    }
    assert_eq!(roster.claim_of(number), None);
    assert_eq!(kills.values().map(IntCounter::get).sum::<u64>(), 1);
    assert_eq!(kills[&GhostKill::Refused].get(), 1);
    assert_eq!(roster.haunting(), 1, "it still takes its place");
}

#[tokio::test(start_paused = true)]
async fn logins_are_counted_between_two_moments_once() {
    let (roster, ..) = roster();
    let begin = Instant::now();
    let place = roster.claim(Purpose::Canary).expect("there is room");
    tokio::time::advance(Duration::from_secs(1)).await;
    let between = Instant::now();
    place.join(1).leave();
    join(&roster, Purpose::Canary, 2).leave();
    tokio::time::advance(Duration::from_secs(1)).await;
    let now = Instant::now();
    join(&roster, Purpose::Canary, 3).leave();
    assert_eq!(
        roster.logins(between, now),
        2,
        "the first began before: the server may have counted it before"
    );
    assert_eq!(roster.logins(begin, now), 0, "they were counted");
}

#[tokio::test(start_paused = true)]
async fn who_is_missing_from_the_list_may_have_been_aborted() {
    let (roster, aborted, _) = roster();
    let living = join(&roster, Purpose::Canary, 1);
    drop(join(&roster, Purpose::Canary, 2));
    assert_eq!(roster.missing(&BTreeSet::from([1, 2])), 0, "a ghost that is listed was not aborted yet");
    assert_eq!(roster.missing(&BTreeSet::from([1])), 1);
    assert_eq!(roster.missing(&BTreeSet::new()), 2, "a canary whose witness is still heard");
    // It said nothing, and its id is not certain: nobody will know.
    settle(&roster, &[1]);
    assert_eq!((roster.aborted(), aborted.get()), ((0, 1), 0));
    living.abort();
    assert_eq!((roster.aborted(), roster.missing(&BTreeSet::new())), ((1, 1), 0));
}

#[tokio::test(start_paused = true)]
async fn two_paths_have_a_budget_each_and_know_each_others_sessions() {
    let kills = BTreeMap::from(GhostKill::ALL.map(|outcome| (outcome, counter())));
    let target = TargetRoster::new(counter(), &Rosters::default());
    let direct = target.share(rules("direct", &kills));
    let balancer = target.share(Rules { reads_the_view: false, ..rules("balancer", &kills) });
    // The one that reads the server view keeps a place more.
    let of_direct: Vec<_> = (1..=3).map(|id| join(&direct, Purpose::Canary, id)).collect();
    assert!(direct.claim(Purpose::Canary).is_none());
    let of_balancer: Vec<_> = (11..=14).map(|id| join(&balancer, Purpose::Canary, id)).collect();
    assert!(balancer.claim(Purpose::Canary).is_none(), "a place is the witness's");
    assert_eq!((direct.room(), balancer.room()), (0, 0));
    assert!(direct.is_ours(14) && balancer.is_ours(3) && !direct.is_ours(4));
    // Ghosts burden their own path alone, and are counted for it.
    drop(of_balancer);
    assert_eq!((direct.haunting(), balancer.haunting()), (0, 4));
    drop(of_direct);
    let listed = direct.settle(&direct.ghosts(), &BTreeSet::from([1, 11, 12]));
    assert_eq!(listed, BTreeMap::from([("balancer".to_owned(), 2), ("direct".to_owned(), 1)]));
    assert_eq!((direct.haunting(), balancer.haunting()), (1, 2));
    let ghosts = direct.ghosts();
    let of = |path: &str| ghosts.iter().filter(|(_, ghost)| ghost.path() == path).count();
    assert_eq!((of("direct"), of("balancer")), (1, 2));
}

#[tokio::test(start_paused = true)]
async fn a_path_that_comes_back_bears_what_its_predecessor_left() {
    let kills = BTreeMap::from(GhostKill::ALL.map(|outcome| (outcome, counter())));
    let target = TargetRoster::new(counter(), &Rosters::default());
    let before = target.share(rules("direct", &kills));
    drop(join(&before, Purpose::Canary, 7));
    drop(before);
    let after = target.share(rules("direct", &kills));
    assert_eq!(after.haunting(), 1, "the server may still hold it");
    assert!(after.is_ours(7), "nobody else's, all the same");
    assert_eq!(
        after.settle(&after.ghosts(), &BTreeSet::from([7])),
        BTreeMap::from([("direct".to_owned(), 1)])
    );
}

#[tokio::test(start_paused = true)]
async fn what_a_path_left_behind_takes_places_when_it_begins_anew_or_is_gone() {
    let kills = BTreeMap::from(GhostKill::ALL.map(|outcome| (outcome, counter())));
    let target = TargetRoster::new(counter(), &Rosters::default());
    target.set_bound(BUDGET);
    let before = target.share(rules("lb", &kills));
    for id in 0..2 {
        drop(join(&before, Purpose::Canary, id));
    }
    let lingering = join(&before, Purpose::Witness, 2);
    let anew = target.share(rules("lb", &kills));
    assert_eq!(
        anew.room(),
        BUDGET - 3 - 1,
        "two ghosts, the witness that has not ended, a place for the view"
    );
    drop(anew);
    // The path is removed, and another one has all places.
    let other = target.share(rules("direct", &kills));
    assert_eq!(other.room(), 0, "a place is kept for its witness, one for its view");
    assert!(other.claim(Purpose::Witness).is_some());
    lingering.leave();
    tokio::time::advance(CLEARING).await;
    assert_eq!(other.room(), 1);
}

/// A view of a server that has run for so many seconds.
fn view(target: &TargetRoster, identity: &str, uptime: f64, thread_id: u64) -> (Roster, Membership) {
    let roster = target.share(rules("direct", &BTreeMap::new()));
    let mut view = join(&roster, Purpose::ServerView, thread_id);
    let now = roster.seconds(Instant::now());
    let mark = ServerMark { started: now - uptime, read_at: now, ..mark(identity, 0.0) };
    view.introduce(None, Some(mark));
    (roster, view)
}

#[tokio::test(start_paused = true)]
async fn two_names_of_one_server_know_each_others_sessions_and_no_others() {
    let process = Rosters::default();
    let [one, other, later, elsewhere, foreign] = [(); 5].map(|()| TargetRoster::new(counter(), &process));
    let (first, _view) = view(&one, "a", 100.0, 1);
    tokio::time::advance(Duration::from_secs(7)).await;
    let young = TargetRoster::new(counter(), &process);
    let (_, _same) = view(&other, "a", 107.0, 2);
    let (_, _young) = view(&young, "a", 107.0, 3);
    let (_, _restarted) = view(&later, "a", 3.0, 4);
    let (_, _another) = view(&elsewhere, "b", 107.0, 5);
    let _unread = join(&foreign.share(rules("direct", &BTreeMap::new())), Purpose::Canary, 6);
    let known = |id| first.of_the_same_server().iter().any(|roster| roster.holds(id));
    assert_eq!([1, 2, 3, 4, 5, 6].map(known), [false, true, true, false, false, false]);
}
