//! How a target is filled in.

use super::document::{IdleAtLeast, Pool, Server, TargetDocument, UserSessions};
use super::path::{self, Moment};
use super::{known, rounded};
use crate::domain::conduct::sight::Sight;
use crate::domain::layers::pool;
use crate::domain::life::words::{MOST_NAMED_USERS, OTHER_USERS, account_label};
use crate::domain::verdict::Standing;
use crate::fleet::published::TargetState;
use crate::server::{ProcessList, ServerView};

/// One target as it was last published, at a moment when the calendar says `unix_now`, in seconds since the Unix epoch.
pub(super) fn draw(state: &TargetState, unix_now: f64) -> TargetDocument {
    let view = state.server.borrow().view.clone();
    let view = view.filter(|view| view.taken_at.elapsed() <= state.stale_after);
    let ladder_end = state.thresholds.last().copied().unwrap_or_default();
    let moment =
        Moment { unix_now, behind: state.epoch.behind(unix_now), viewed: view.is_some(), ladder_end };
    let paths = state.paths.iter().map(|path| path::draw(path, &moment));
    let (standings, paths): (Vec<Standing>, Vec<_>) = paths.unzip();
    TargetDocument {
        target: state.target.clone(),
        standing: standings.into_iter().min().unwrap_or(Standing::Measuring).label(),
        sessions: view
            .as_deref()
            .and_then(ServerView::applications)
            .map(|list| sessions(list, &state.thresholds)),
        server: view.as_deref().map(server),
        pools: state.pools.iter().map(declared).collect(),
        rungs_seconds: state.thresholds.clone(),
        paths,
    }
}

fn server(view: &ServerView) -> Server {
    Server {
        flavor: view.flavor.label(),
        version: view.version.clone(),
        started_at: view.started_at.and_then(|at| known(at.round())),
        view_age_seconds: rounded(view.taken_at.elapsed().as_secs_f64()),
        threads_connected: view.status.as_ref().and_then(|status| status.threads_connected).and_then(known),
        max_connections: view.variables.as_ref().and_then(|of| of.max_connections).and_then(known),
        sight: view.sight.map(Sight::label),
    }
}

fn declared(pool: &pool::Pool) -> Pool {
    Pool {
        pool: pool.name.clone(),
        user: pool.user.clone(),
        framework: pool.framework.label(),
        words: pool.words(),
    }
}

/// The users with the most sessions by name, ties by name, and the rest together.
fn sessions(list: &ProcessList, thresholds: &[f64]) -> Vec<UserSessions> {
    let mut ranked: Vec<_> = list.users.iter().map(|(user, of)| (user, of, of.count())).collect();
    ranked.sort_by(|a, b| b.2.cmp(&a.2).then(a.0.cmp(b.0)));
    let (named, others) = ranked.split_at(ranked.len().min(MOST_NAMED_USERS));
    let mut told: Vec<UserSessions> = named
        .iter()
        .map(|(user, of, count)| {
            let idle = (of.ageless == 0).then(|| of.idle.clone());
            of_user(account_label(user).into_owned(), *count, idle, thresholds)
        })
        .collect();
    if !others.is_empty() {
        // A count of some would seem that of all.
        let all_known = others.iter().all(|(_, of, _)| of.ageless == 0);
        let idle = all_known.then(|| others.iter().flat_map(|(_, of, _)| of.idle.iter().copied()).collect());
        let count = others.iter().map(|(_, _, count)| count).sum();
        told.push(of_user(OTHER_USERS.to_owned(), count, idle, thresholds));
    }
    told
}

fn of_user(user: String, sessions: usize, idle: Option<Vec<f64>>, thresholds: &[f64]) -> UserSessions {
    let Some(mut ages) = idle else {
        return UserSessions { user, sessions, asleep: None, longest_idle_seconds: None, idle: Vec::new() };
    };
    ages.retain(|age| age.is_finite());
    ages.sort_by(f64::total_cmp);
    let at_least = |&threshold: &f64| IdleAtLeast {
        at_least_seconds: threshold,
        sessions: ages.len() - ages.partition_point(|age| *age < threshold),
    };
    let idle = thresholds.iter().map(at_least).filter(|of| of.sessions > 0).collect();
    UserSessions {
        user,
        sessions,
        asleep: Some(ages.len()),
        longest_idle_seconds: ages.last().copied().and_then(known),
        idle,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_are_told_by_how_long_they_have_slept_and_not_where_one_is_not_known() {
        let told = of_user("api".to_owned(), 5, Some(vec![400.0, 3.0, 30.0]), &[25.0, 300.0, 900.0]);
        assert_eq!((told.sessions, told.asleep, told.longest_idle_seconds), (5, Some(3), Some(400.0)));
        let steps: Vec<(f64, usize)> =
            told.idle.iter().map(|of| (of.at_least_seconds, of.sessions)).collect();
        assert_eq!(steps, [(25.0, 2), (300.0, 1)]);
        let told = of_user("api".to_owned(), 5, None, &[25.0]);
        assert_eq!((told.asleep, told.longest_idle_seconds, told.idle.len()), (None, None, 0));
    }
}
