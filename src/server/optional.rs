//! Tables that a server may not have, or an account may not read: less is known then, and nothing breaks.

/// What came of a source that may be missing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Optional<T> {
    /// It was read.
    Read(T),
    /// It cannot be read here, which is no error.
    Missing(Missing),
}

/// Why a source cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missing {
    /// The account may not: a GRANT would tell more.
    Privilege,
    /// The server has no such table, or does not fill it.
    Table,
    /// There is more in it than is read.
    TooMuch,
}

/// ER_DBACCESS_DENIED_ERROR, ER_TABLEACCESS_DENIED_ERROR, ER_COLUMNACCESS_DENIED_ERROR and
/// ER_SPECIFIC_ACCESS_DENIED_ERROR.
const DENIED: [u16; 4] = [1044, 1142, 1143, 1227];
/// ER_BAD_DB_ERROR, ER_BAD_FIELD_ERROR, ER_NO_SUCH_TABLE, ER_UNKNOWN_TABLE and ER_WRONG_PERFSCHEMA_USAGE.
const ABSENT: [u16; 5] = [1049, 1054, 1146, 1109, 1683];

/// Tells a source that is missing from a connection that broke and from other errors.
pub(super) fn unless_missing<T>(answer: mysql_async::Result<T>) -> mysql_async::Result<Optional<T>> {
    match answer {
        Ok(answer) => Ok(Optional::Read(answer)),
        Err(mysql_async::Error::Server(error)) if DENIED.contains(&error.code) => {
            Ok(Optional::Missing(Missing::Privilege))
        }
        Err(mysql_async::Error::Server(error)) if ABSENT.contains(&error.code) => {
            Ok(Optional::Missing(Missing::Table))
        }
        Err(error) => Err(error),
    }
}
