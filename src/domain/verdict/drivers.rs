//! The drivers that are really there: whose settings are proposed, and for whom.

use std::collections::BTreeSet;

use crate::domain::applications::Driver;
use crate::domain::layers::pool::Framework;
use crate::domain::mismatch::Facts;

use super::Setting;

/// The pool that a driver mostly stands under: the settings that are proposed for it. `None` for what says nothing.
const fn framework(driver: Driver) -> Option<Framework> {
    match driver {
        Driver::Pymysql | Driver::Aiomysql | Driver::Asyncmy | Driver::ConnectorPython => {
            Some(Framework::Sqlalchemy)
        }
        Driver::ConnectorJ | Driver::MariadbConnectorJ => Some(Framework::Hikaricp),
        Driver::GoMysqlDriver | Driver::GoMysql => Some(Framework::Go),
        Driver::NodeMysql2
        | Driver::MariadbConnectorNode
        | Driver::Mysqlnd
        | Driver::Libmysql
        | Driver::Libmariadb
        | Driver::Mysqlconnector
        | Driver::ConnectorNet => Some(Framework::Other),
        Driver::Canary | Driver::Other => None,
    }
}

/// The place that a framework's settings name.
const fn place(framework: Framework) -> &'static str {
    match framework {
        Framework::Sqlalchemy => "SQLAlchemy",
        Framework::Hikaricp => "HikariCP",
        Framework::Go => "Go",
        Framework::Other => "other pools",
    }
}

/// Every driver of users that no pool is declared for.
fn undeclared(facts: &Facts) -> impl Iterator<Item = (&str, Driver)> {
    let users = facts.applications.iter().flat_map(|evidence| &evidence.users);
    let undeclared =
        users.filter(|(user, _)| facts.pools.iter().all(|pool| pool.user.as_deref() != Some(user.as_str())));
    undeclared.flat_map(|(user, of)| of.drivers.iter().map(|driver| (user.as_str(), *driver)))
}

/// The frameworks whose settings are proposed: of the declared pools and of the drivers that are there, or the three
/// known ones where neither is known.
pub(super) fn frameworks(facts: &Facts) -> Vec<Framework> {
    let declared = facts.pools.iter().map(|pool| pool.framework);
    let there = undeclared(facts).filter_map(|(_, driver)| framework(driver));
    let known: BTreeSet<Framework> = declared.chain(there).collect();
    if known.is_empty() {
        return vec![Framework::Sqlalchemy, Framework::Hikaricp, Framework::Go];
    }
    Framework::ALL.into_iter().filter(|framework| known.contains(framework)).collect()
}

/// Says with the first setting of each place which drivers it is for.
pub(super) fn named(facts: &Facts, mut settings: Vec<Setting>) -> Vec<Setting> {
    /// So many are named.
    const MOST: usize = 5;
    for known in Framework::ALL {
        let of_it = undeclared(facts).filter(|(_, driver)| framework(*driver) == Some(known));
        let named: Vec<String> =
            of_it.take(MOST).map(|(user, driver)| format!("{} (user {user})", driver.label())).collect();
        let first = settings.iter_mut().find(|setting| setting.place == place(known));
        if let Some(setting) = first.filter(|_| !named.is_empty()) {
            setting.why = format!("{}; seen here: {}", setting.why, named.join(", "));
        }
    }
    settings
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::domain::applications::{Evidence, Witness};
    use crate::domain::layers::pool::Pool;

    fn facts(users: &[(&str, &[Driver])], pools: &[&str]) -> Facts {
        let of =
            |drivers: &[Driver]| Witness { drivers: drivers.iter().copied().collect(), ..Witness::default() };
        let users: BTreeMap<String, Witness> =
            users.iter().map(|(user, drivers)| ((*user).to_owned(), of(drivers))).collect();
        Facts {
            applications: Some(Evidence { users, ..Evidence::default() }),
            pools: pools.iter().map(|text| Pool::parse(text).expect(text)).collect(),
            ..Facts::default()
        }
    }

    #[test]
    fn settings_are_those_of_who_is_there() {
        use Framework::{Go, Hikaricp, Other, Sqlalchemy};
        let all = [Sqlalchemy, Hikaricp, Go];
        for (users, pools, expected) in [
            (&[][..], &[][..], &all[..]),
            (&[("app", &[Driver::Other][..])], &[], &all),
            (&[("app", &[Driver::Pymysql])], &[], &[Sqlalchemy]),
            (&[("app", &[Driver::GoMysqlDriver, Driver::Mysqlnd])], &[], &[Go, Other]),
            (&[("app", &[Driver::GoMysqlDriver])], &["name=a,user=app,framework=hikaricp"], &[Hikaricp]),
            (&[("web", &[Driver::GoMysqlDriver])], &["name=a,user=app,framework=hikaricp"], &[Hikaricp, Go]),
        ] {
            assert_eq!(frameworks(&facts(users, pools)), expected, "{users:?} {pools:?}");
        }
    }

    #[test]
    fn the_first_setting_of_a_place_says_for_whom_it_is() {
        let setting = |place| Setting { place, line: String::new(), why: "why".to_owned() };
        let facts = facts(&[("app", &[Driver::Pymysql]), ("web", &[Driver::Other])], &[]);
        let settings = named(&facts, vec![setting("kernel"), setting("SQLAlchemy"), setting("SQLAlchemy")]);
        let why: Vec<&str> = settings.iter().map(|setting| setting.why.as_str()).collect();
        assert_eq!(why, ["why", "why; seen here: pymysql (user app)", "why"]);
    }
}
