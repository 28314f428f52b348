//! `information_schema.INNODB_TRX`: the sessions that sleep inside a transaction. Asked only where the server
//! ends such sessions by a timer of its own, for building the table takes a lock inside InnoDB.

use mysql_async::Conn;
use mysql_async::prelude::Queryable;

use super::{Flavor, GlobalVariables, value};
use crate::domain::mismatch::OpenTransaction;

/// The most sessions read: whether there are any is what matters.
const MOST: usize = 200;

/// The settings that end a session inside a transaction.
const TIMEOUTS: [&str; 4] = [
    "idle_transaction_timeout",
    "idle_readonly_transaction_timeout",
    "idle_write_transaction_timeout",
    "tidb_idle_transaction_timeout",
];

/// Whether one of these timers is set, so that asking is worth its price.
pub fn is_worth_asking(variables: Option<&GlobalVariables>) -> bool {
    variables.is_some_and(|variables| TIMEOUTS.iter().any(|name| variables.timeouts.contains_key(name)))
}

/// Reads the sleepers that are inside a transaction, the longest first. Needs PROCESS. Our own sessions hold no
/// transaction and so are not among them.
///
/// # Errors
/// What the driver says, such as that the privilege is missing.
pub async fn read(conn: &mut Conn, flavor: Flavor) -> mysql_async::Result<Vec<OpenTransaction>> {
    let time = if flavor == Flavor::Mariadb { "p.TIME_MS / 1000" } else { "p.TIME" };
    let rows: Vec<mysql_async::Row> = conn
        .query(format!(
            "SELECT p.USER, {time}, t.trx_rows_modified FROM information_schema.INNODB_TRX t \
             JOIN information_schema.PROCESSLIST p ON p.ID = t.trx_mysql_thread_id \
             WHERE p.COMMAND = 'Sleep' ORDER BY 2 DESC LIMIT {MOST}"
        ))
        .await?;
    Ok(rows.iter().filter_map(|row| parse(value::at(row, 0), value::at(row, 1), value::at(row, 2))).collect())
}

/// One row; nothing where the server gives no sense.
fn parse(
    user: &mysql_async::Value,
    time: &mysql_async::Value,
    modified: &mysql_async::Value,
) -> Option<OpenTransaction> {
    let idle = value::number(time).filter(|time| (0.0..=31_536_000.0).contains(time))?;
    let wrote = value::number(modified).is_some_and(|rows| rows > 0.0);
    Some(OpenTransaction { user: value::text(user)?, idle, wrote })
}

#[cfg(test)]
mod tests {
    use super::*;
    use mysql_async::Value;

    fn bytes(text: &str) -> Value {
        Value::Bytes(text.as_bytes().to_vec())
    }

    #[test]
    fn sensible_rows_are_read_and_others_passed_over() {
        let open = |idle, wrote| Some(OpenTransaction { user: "app".to_owned(), idle, wrote });
        for (time, modified, expected) in [
            (bytes("2.5000"), bytes("0"), open(2.5, false)),
            (bytes("2"), bytes("3"), open(2.0, true)),
            (bytes("2"), Value::NULL, open(2.0, false)),
            (Value::NULL, bytes("0"), None),
            (bytes("-1"), bytes("0"), None),
            (bytes("4294967295"), bytes("0"), None),
            (bytes("soon"), bytes("0"), None),
        ] {
            assert_eq!(parse(&bytes("app"), &time, &modified), expected, "{time:?}");
        }
        assert_eq!(parse(&Value::NULL, &bytes("2"), &bytes("0")), None);
    }

    #[test]
    fn it_is_asked_only_where_a_timer_is_set() {
        let variables = |rows: &[(&str, &str)]| {
            let mut variables = GlobalVariables::default();
            rows.iter().for_each(|&(name, text)| variables.take(name, text));
            variables
        };
        assert!(!is_worth_asking(None));
        assert!(!is_worth_asking(Some(&variables(&[("wait_timeout", "28800")]))));
        assert!(!is_worth_asking(Some(&variables(&[("idle_transaction_timeout", "0")]))));
        for name in TIMEOUTS {
            assert!(is_worth_asking(Some(&variables(&[(name, "5")]))), "{name}");
        }
    }
}
