use super::*;
use crate::domain::applications::{Counters, Listing, Row, Whose};

const LIMIT: Limit = Limit { reached: 8.0, takes_the_row: false };

/// One session of each of these, on these hosts, asleep for so long, on one list.
fn follower(rows: &[(&str, &str, f64)]) -> Follower {
    let mut follower = Follower::new();
    follower.begin(Listing { asked: 1000.0, own_host: Some("10.0.0.9:1"), ..Listing::default() });
    for (id, &(user, host, time)) in (1..).zip(rows) {
        let row = Row { id, user, host, command: "Sleep", time: Some(time) };
        follower.see(row, Whose::Application, 1000.0);
    }
    follower.end(1000.0, true, Counters::default());
    follower
}

fn gather(follower: &Follower, covered: Option<u64>, limit: Option<Limit>) -> Evidence {
    let facts = PathFacts { limit, survived: 7.0, now: 1000.0 };
    Evidence::gather(follower, covered, &BTreeSet::new(), &BTreeMap::new(), &facts)
}

#[test]
fn who_is_not_known_yet_is_not_judged() {
    let follower = follower(&[("app", "10.0.0.7:5000", 9.5), ("app", "10.0.0.7:5001", 9.5)]);
    let at_risk = |covered| gather(&follower, covered, Some(LIMIT)).users["app"].risk.at_risk;
    assert_eq!(at_risk(None), 2, "nobody can be told from a canary, so nobody waits");
    assert_eq!(at_risk(Some(1)), 1, "the second began after the attributes were read");
    assert_eq!(at_risk(Some(0)), 0);
    let facts = PathFacts { limit: Some(LIMIT), survived: 7.0, now: 1000.0 };
    let known = BTreeSet::from(["app".to_owned()]);
    let evidence = Evidence::gather(&follower, Some(0), &known, &BTreeMap::new(), &facts);
    assert_eq!(evidence.users["app"].risk.at_risk, 2, "others of this user were read");
}

#[test]
fn nobody_is_near_only_below_what_was_survived() {
    let near = |time, limit| !gather(&follower(&[("app", "10.0.0.7:5000", time)]), None, limit).nobody_near;
    assert!(!near(6.5, None) && near(7.5, None));
    assert!(!near(6.5, Some(LIMIT)) && near(7.5, Some(LIMIT)));
    assert!(!near(7.5, Some(Limit { takes_the_row: true, ..LIMIT })));
}

#[test]
fn sessions_without_a_path_are_no_pools_and_grow_no_older() {
    let follower = follower(&[("app", "localhost", 900.0), ("web", "10.0.0.7:5000", 900.0)]);
    let evidence = gather(&follower, None, Some(LIMIT));
    assert_eq!((evidence.users["app"].oldest, evidence.users["app"].risk.at_risk), (0.0, 0));
    assert!(evidence.users["web"].oldest >= 899.0);
}

#[test]
fn a_pool_that_is_declared_is_not_observed() {
    let mut evidence = Evidence::default();
    let observed = Observed { replaces_at: Some((5.5, 7.5)), ends: 3, ..Observed::default() };
    evidence.users.insert("app".to_owned(), Witness { observed, ..Witness::default() });
    let pools = evidence.pools(&[]);
    assert_eq!((pools[0].name.as_str(), pools[0].recycle), ("observed:app", Recycle::After(5.5)));
    let settings = evidence.settings("default", &[]);
    assert_eq!((settings[0].setting.as_str(), settings[0].seconds), ("observed:app.recycle", 6.5));
    assert_eq!(settings[0].source.label(), "observed");
    let declared = [Pool::parse("name=api,user=app").expect("a pool")];
    assert!(evidence.pools(&declared).is_empty() && evidence.settings("default", &declared).is_empty());
}
