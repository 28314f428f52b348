//! One world a case, as its lives are seen one after the other.

use super::*;

/// Explains one silent death by the lives beside it, this one not among them.
fn explain(one: &Life, beside: &Beside) -> Story {
    let mut all = beside.clone();
    all.lives.push(*one);
    Stories::of(&all).of_one(one, &Told::default(), Look::Last, None).story
}

fn lived(born: f64, age: f64) -> Life {
    Life { born, seen: born + age, is_dead: false, sent: Sent::Nothing }
}

fn died(born: f64, age: f64) -> Life {
    Life { is_dead: true, ..lived(born, age) }
}

/// The story of the first death, as it is told after each further life.
fn stories(lives: &[Life]) -> Vec<Story> {
    let first = lives.iter().position(|life| life.is_dead).expect("somebody dies");
    let told = |until: usize| {
        let beside: Vec<Life> = lives[..until]
            .iter()
            .enumerate()
            .filter(|(place, _)| *place != first)
            .map(|(_, life)| *life)
            .collect();
        explain(&lives[first], &Beside::all(beside))
    };
    (first + 1..=lives.len()).map(told).collect()
}

fn last(lives: &[Life]) -> Story {
    *stories(lives).last().expect("somebody dies")
}

#[test]
fn a_timer_is_told_when_one_that_was_born_later_dies_too() {
    let mut lives: Vec<Life> = [25.0, 40.0, 55.0, 150.0].map(|age| lived(0.0, age)).to_vec();
    lives.extend([died(0.0, 420.0), died(1.0, 425.0)]);
    assert_eq!(last(&lives), Story::Open, "they may have been lost at one moment");
    lives.extend([died(430.0, 380.0), lived(432.0, 340.0), died(434.0, 390.0), lived(436.0, 345.0)]);
    assert_eq!(last(&lives), Story::Open, "a narrow gap, and few that tell of it");
    lives.extend([lived(780.0, 345.0), died(785.0, 380.0), lived(790.0, 346.0)]);
    lives.extend([lived(1140.0, 345.0), died(1145.0, 381.0), died(1150.0, 382.0)]);
    lives.extend([lived(1540.0, 345.0), died(1545.0, 381.0), died(1550.0, 382.0), died(1555.0, 390.0)]);
    assert_eq!(last(&lives), Story::Timer);
}

#[test]
fn a_moment_that_few_tell_of_is_told_once_they_have_waited() {
    let before = (0..4).flat_map(|round| [4.0, 8.0, 15.0].map(|age| lived(30.0 * f64::from(round), age)));
    let after = [610.0, 611.0, 613.0].map(|born| lived(born, 15.2));
    let known_by = |look| {
        let story = |count: usize| {
            let dead = [14.0, 9.0, 11.5, 7.0, 13.0, 8.5, 10.0, 12.0, 9.5, 14.5];
            let dead: Vec<Life> = dead[..count].iter().map(|age| died(604.0 - age, *age)).collect();
            let all: Vec<Life> = before.clone().chain(dead.clone()).chain(after).collect();
            Stories::of(&Beside::all(all)).of_one(&dead[0], &Told::default(), look, None).story
        };
        (2..10).find(|count| story(*count) == Story::OneMoment).expect("it is known at last")
    };
    let (sooner, last) = (known_by(Look::Sooner), known_by(Look::Last));
    assert!(last > 2 && sooner > last, "{sooner} and {last}");
}

#[test]
fn a_timer_is_told_when_a_younger_one_lived_through_every_moment() {
    let lives = [
        lived(0.0, 150.0),
        lived(0.0, 255.0),
        died(0.0, 420.0),
        died(10.0, 425.0),
        lived(200.0, 280.0),
        lived(210.0, 300.0),
        lived(215.0, 320.0),
        died(205.0, 400.0),
        lived(500.0, 330.0),
        lived(510.0, 340.0),
        died(520.0, 390.0),
        died(530.0, 395.0),
        lived(910.0, 350.0),
        died(920.0, 390.0),
        lived(1310.0, 350.0),
        lived(1320.0, 345.0),
        died(1330.0, 390.0),
        died(1340.0, 391.0),
    ];
    assert_eq!(last(&lives), Story::Timer);
}

#[test]
fn what_was_lost_at_one_moment_is_told_when_those_born_later_live() {
    // Flushed at 300 s.
    let mut lives = vec![lived(0.0, 25.0), lived(0.0, 150.0), lived(30.0, 200.0)];
    lives.extend([
        died(0.0, 320.0),
        died(26.0, 300.0),
        died(150.0, 180.0),
        died(160.0, 190.0),
        died(200.0, 160.0),
        died(240.0, 120.0),
        died(250.0, 90.0),
    ]);
    assert!(stories(&lives).iter().all(|story| *story != Story::Timer), "{:?}", stories(&lives));
    lives.extend([lived(330.0, 320.0), lived(335.0, 330.0), lived(350.0, 330.0), lived(360.0, 330.0)]);
    assert_eq!(last(&lives), Story::OneMoment);
    assert!(stories(&lives).iter().all(|story| *story != Story::Timer), "{:?}", stories(&lives));
}

#[test]
fn a_moment_of_loss_beside_a_timer_is_told_from_it() {
    let mut lives: Vec<Life> = Vec::new();
    for round in 0..8 {
        let born = 500.0 * f64::from(round);
        lives.extend([lived(born, 345.0), died(born + 5.0, 352.0)]);
    }
    // Flushed at 4300 s: those in flight are found dead at ages that were survived a dozen times.
    let flushed = died(4050.0, 344.0);
    lives.extend([died(4100.0, 260.0), died(4200.0, 150.0), died(4250.0, 70.0), died(4260.0, 60.0)]);
    lives.extend([lived(4310.0, 345.0), lived(4320.0, 345.0)]);
    assert_eq!(explain(&flushed, &Beside::all(lives.clone())), Story::OneMoment);
    lives.push(flushed);
    let timed = died(4700.0, 352.0);
    assert_eq!(explain(&timed, &Beside::all(lives.clone())), Story::Timer);
}

#[test]
fn flows_that_are_forgotten_here_and_there_are_no_timers() {
    let mut lives = Vec::new();
    let ages = [60.0, 120.0, 200.0, 300.0, 350.0, 400.0, 90.0, 260.0];
    for round in 0..90_u32 {
        let (born, age) = (100.0 * f64::from(round), ages[round as usize % ages.len()]);
        // Some five hundred seconds is what a flow lives on average.
        let chance = f64::from((round + 1).wrapping_mul(2_654_435_761) % 10_007) / 10_007.0;
        let is_dead = chance < 1.0 - f64::exp(-age / 500.0);
        lives.push(if is_dead { died(born, age) } else { lived(born, age) });
    }
    let one = died(8900.0, 150.0);
    assert_eq!(explain(&one, &Beside::all(lives.clone())), Story::HereAndThere);
}

#[test]
fn a_timer_that_rules_a_part_of_the_connections_is_one() {
    let mut lives = Vec::new();
    for round in 0..48 {
        let born = 100.0 * f64::from(round);
        lives.push(lived(born, 320.0));
        lives.push(if round % 2 == 0 { died(born + 3.0, 420.0) } else { lived(born + 3.0, 420.0) });
    }
    assert_eq!(explain(&died(4900.0, 420.0), &Beside::all(lives.clone())), Story::Timer);
}

#[test]
fn a_timer_that_was_set_anew_is_one() {
    let mut lives = Vec::new();
    for round in 0..10 {
        lives.extend([lived(500.0 * f64::from(round), 345.0), died(500.0 * f64::from(round), 352.0)]);
    }
    for round in 0..6 {
        lives.push(lived(5000.0 + 100.0 * f64::from(round), 700.0));
    }
    lives.extend([died(6000.0, 900.0), died(7000.0, 910.0), lived(7100.0, 700.0), died(8000.0, 905.0)]);
    assert_eq!(explain(&died(9000.0, 900.0), &Beside::all(lives.clone())), Story::Timer);
}

#[test]
fn a_timer_that_was_set_longer_and_back_again_is_one() {
    // Each is watched for a while from both sides, as the schedule does, and rungs of the ladder below it.
    let lives = |watched: [(f64, usize, &[f64]); 3]| {
        let (mut lives, mut now) = (Vec::new(), 0.0);
        for (limit, looks, rungs) in watched {
            for _ in 0..looks {
                lives.extend(rungs.iter().map(|rung| lived(now, *rung)));
                lives.extend([lived(now + 0.3, limit * 0.98), died(now + 1.5, limit * 1.03)]);
                now += limit * 1.25;
            }
            now += limit;
        }
        lives
    };
    for (why, lives) in [
        ("many lives", lives([(8.0, 9, &[6.0]), (16.0, 7, &[10.0, 14.0]), (8.0, 10, &[6.0])])),
        ("few that tell", lives([(8.0, 7, &[6.0]), (16.0, 8, &[6.0]), (8.0, 3, &[6.0])])),
    ] {
        assert!(bears_out_all(&Beside::all(lives.clone()), 7.84, 8.24), "{why}: it strikes all at 8 s now");
        assert!(timer_of_a_part(&Beside::all(lives.clone())).is_none(), "{why}");
        assert_eq!(explain(&died(600.0, 8.24), &Beside::all(lives)), Story::Timer, "{why}");
    }
}

#[test]
fn what_is_told_takes_less_to_be_said_again_and_more_to_be_contradicted() {
    let mut lives = vec![lived(0.0, 20.0), lived(30.0, 24.0), died(60.0, 40.0), lived(110.0, 24.0)];
    lives.extend([died(140.0, 33.0), lived(180.0, 24.5)]);
    let one = died(230.0, 30.0);
    let told = |told: Told| {
        let all = [&lives[..], &[one]].concat();
        Stories::of(&Beside::all(all)).of_one(&one, &told, Look::Last, None).story
    };
    assert_eq!(told(Told::default()), Story::Open);
    assert_eq!(told(Told { timer: Some(28.0), ..Told::default() }), Story::Timer);
    assert_eq!(told(Told { timer: Some(35.0), ..Told::default() }), Story::Open, "it is younger than that");
    assert_eq!(told(Told { is_here_and_there: true, ..Told::default() }), Story::Open);
    // As they are forgotten every fifty seconds or so: the short lives die too, and some long ones live.
    let mut scattered: Vec<Life> = Vec::new();
    for (number, age) in [40.0, 9.0, 110.0, 25.0, 70.0, 15.0, 20.0, 33.0, 60.0, 12.0].into_iter().enumerate()
    {
        let born = 120.0 * number as f64;
        scattered.push(if number % 2 == 1 { died(born, age) } else { lived(born, age) });
    }
    let told = |told: Told| {
        Stories::of(&Beside::all(scattered.clone())).of_one(&scattered[9], &told, Look::Last, None).story
    };
    assert_ne!(told(Told { timer: Some(9.0), ..Told::default() }), Story::HereAndThere, "a timer is told");
    assert_ne!(told(Told { is_here_and_there: true, ..Told::default() }), Story::Timer);
}

#[test]
fn a_timer_that_is_told_strikes_one_with_keepalive_only_where_it_ignores_that() {
    let timer = Told { timer: Some(28.0), ..Told::default() };
    let kept = |life: Life| Life { sent: Sent::Keepalive, ..life };
    let strikes: Vec<Life> = (0..6)
        .flat_map(|number| {
            let at = 100.0 * f64::from(number);
            [lived(at, 27.0), died(at + 30.0, 29.0)]
        })
        .collect();
    let told_of = |one: Life, more: &[Life]| {
        Stories::of(&Beside::all([&strikes[..], more, &[one]].concat()))
            .of_one(&one, &timer, Look::Last, None)
            .story
    };
    let one = kept(died(700.0, 31.0));
    assert_eq!(told_of(died(700.0, 31.0), &[]), Story::Timer);
    assert_eq!(told_of(one, &[]), Story::Open, "alone");
    assert_eq!(told_of(one, &[kept(lived(640.0, 31.0))]), Story::Open, "another one lived");
    assert_eq!(told_of(one, &[kept(died(640.0, 31.0))]), Story::Timer, "another one died too");
    let both = [kept(died(640.0, 31.0)), kept(lived(600.0, 31.0))];
    assert_eq!(told_of(one, &both), Story::Open, "one of them lived");
    assert_eq!(told_of(Life { sent: Sent::Pings, ..one }, &[]), Story::Open, "no idle timer reaches it");
}

#[test]
fn a_moment_that_is_known_took_the_old_along() {
    // A timer of 23 s on a half of the connections, and a flush at 600 s.
    let mut lives = Vec::new();
    for round in 0..16 {
        let born = 30.0 * f64::from(round);
        let old = if round % 2 == 0 { died(born + 1.0, 24.0) } else { lived(born + 1.0, 24.0) };
        lives.extend([lived(born, 20.0), old]);
    }
    lives.extend([596.0, 597.0, 598.0, 595.0, 594.0, 593.5].map(|born| died(born, 8.0)));
    lives.extend([610.0, 611.0, 612.0, 613.0].map(|born| lived(born, 15.0)));
    let old = died(590.0, 31.0);
    let story = |one: Life| {
        let told = Told { timer: Some(23.2), ..Told::default() };
        Stories::of(&Beside::all([&lives[..], &[one]].concat())).of_one(&one, &told, Look::Last, None).story
    };
    assert_eq!(story(old), Story::OneMoment);
    assert_ne!(story(died(604.5, 31.0)), Story::OneMoment, "born later");
}

#[test]
fn one_that_nobody_was_seen_to_live_beside_may_have_been_lost() {
    // A timer of 5 s on a half of the connections.
    let mut lives = Vec::new();
    for round in 0..16 {
        let born = 30.0 * f64::from(round);
        let old = if round % 2 == 0 { died(born + 1.0, 5.3) } else { lived(born + 1.0, 5.3) };
        lives.extend([lived(born, 4.8), lived(born + 10.0, 5.0), lived(born + 20.0, 4.9), old]);
    }
    let story = |one: Life, beside: &[Life]| {
        let told = Told { timer: Some(5.1), ..Told::default() };
        let all = [&lives[..], beside, &[one]].concat();
        let reading = Stories::of(&Beside::all(all)).of_one(&one, &told, Look::Last, None);
        assert_eq!(reading.may_be_lost, Some(reading.story == Story::Open));
        reading.story
    };
    assert_eq!(story(died(600.0, 240.0), &[]), Story::Open, "anything may have happened meanwhile");
    assert_eq!(story(died(600.0, 5.3), &[]), Story::Timer, "it is as old as those that the timer strikes");
    let beside = [lived(599.0, 100.0), lived(690.0, 160.0)];
    assert_eq!(story(died(600.0, 240.0), &beside), Story::Timer, "others lived through it all");
}

#[test]
fn a_timer_beside_a_moment_that_took_those_that_ping_is_not_told_as_flows_forgotten_here_and_there() {
    // A timer of 41 s on a third of the connections, and a flush at 280 s; few canaries are held at one time.
    let mut lives = Vec::new();
    for round in 0..24 {
        let born = 25.0 * f64::from(round) + if round < 10 { 0.0 } else { 60.0 };
        let old = if round % 3 == 0 { died(born + 3.0, 60.0) } else { lived(born + 3.0, 62.0) };
        let old = if old.spans(280.0) { Life { is_dead: true, ..old } } else { old };
        lives.extend([lived(born, 4.0), lived(born + 2.0, 20.0), old]);
    }
    lives.retain(|life| life.is_dead || !life.spans(280.0));
    let pings = |born: f64| Life { sent: Sent::Pings, ..died(born, 90.0) };
    let at_the_flush = [210.0, 211.0, 212.0, 213.0, 215.0].map(pings);
    let one = died(243.0, 60.0);
    let all = [&lives[..], &at_the_flush, &[one]].concat();
    let beside = Beside::all(all.clone());
    let stories = Stories::of(&beside);
    assert_ne!(stories.of_one(&one, &Told::default(), Look::Last, None).story, Story::HereAndThere);
}

#[test]
fn what_is_left_out_of_the_lives_that_are_compared_is_known() {
    let newest_first = |count: u32| (0..count).map(|place| lived(10_000.0 - f64::from(place), 50.0));
    let one = died(9_700.0, 60.0);
    let few = Beside::of(newest_first(100), vec![one]);
    assert_eq!(few.since, f64::NEG_INFINITY);
    let many = Beside::of(newest_first(400), vec![one]);
    assert_eq!((many.lives.len(), many.since), (COMPARED, 10_050.0 - 158.0));
    let [few, many] = [few, many].map(|beside| Stories::of(&beside).reach_back_to(&one));
    assert!(few && !many);
    // Short lives are summed, and as many of them are looked at.
    let young = Beside::of((0..700).map(|place| lived(10_000.0 - f64::from(place), 5.0)), vec![one]);
    assert_eq!((young.lives.len(), young.since), (1, 10_005.0 - 639.0));
}

#[test]
fn a_timer_beside_flows_that_are_forgotten_here_and_there_is_told_from_them() {
    let mut lives = Vec::new();
    for round in 0..30 {
        let born = 100.0 * f64::from(round);
        lives.extend([
            lived(born, 15.0),
            lived(born + 5.0, 8.0),
            died(born + 20.0, 40.0 + f64::from(round % 4)),
        ]);
        lives.push(if round % 3 == 0 { died(born + 31.0, 12.0) } else { lived(born + 31.0, 25.0) });
    }
    let told = |one: Life| explain(&one, &Beside::all(lives.clone()));
    assert_eq!(told(died(3100.0, 41.0)), Story::Timer);
    assert_eq!(told(died(3130.0, 11.0)), Story::Open, "younger than those that the timer strikes");
}

#[test]
fn where_all_are_closed_at_an_age_one_that_is_found_dead_later_was_lost_before() {
    let found = died(10.0, 70.0);
    assert_eq!(found.closed_at(38.0), Life { seen: 48.0, ..found });
    assert_eq!(found.closed_at(80.0), found);
    assert_eq!(found.closed_at(f64::INFINITY), found);
    assert_eq!(lived(10.0, 70.0).closed_at(38.0), lived(10.0, 70.0));
    let pings = Life { sent: Sent::Pings, ..found };
    assert_eq!(pings.closed_at(38.0), pings);
    // Nobody who is not lost is ever as old as those that are found dead.
    let mut lives = Vec::new();
    for round in 0..12 {
        let born = 100.0 * f64::from(round);
        lives.extend([
            lived(born, 25.0),
            lived(born, 38.0),
            lived(born + 30.0, 38.0),
            lived(born + 40.0, 38.0),
        ]);
        lives.push(died(born + 20.0, 70.0));
    }
    let told = |age: f64| {
        let lives = lives.iter().map(|life| life.closed_at(age)).collect();
        explain(&found.closed_at(age), &Beside::all(lives))
    };
    assert_eq!((told(f64::INFINITY), told(38.0)), (Story::Timer, Story::Open));
}
