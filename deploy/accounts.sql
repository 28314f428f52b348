-- The exporter's account on the server, with the least that it needs. Choose the password, and one of the three.
-- MAX_USER_CONNECTIONS is a second lock on the budget: --canary.max-connections or more, summed over all paths and exporters
-- that share the account.

-- 1. Canaries, endings, culprits and the idle limit: an account sees its own sessions without any privilege.
CREATE USER 'canary'@'%' IDENTIFIED BY '…' WITH MAX_USER_CONNECTIONS 12;

-- 2. And the applications' sessions: who is idle for how long, and who is at risk.
GRANT PROCESS ON *.* TO 'canary'@'%';

-- 3. And, where performance_schema is on: which sessions met wait_timeout (MySQL 8.0.24 and later), what drivers the
-- applications use, which sessions are another exporter's canaries. Two tables, each read at most once a minute.
GRANT SELECT ON performance_schema.events_errors_summary_by_user_by_error TO 'canary'@'%';
GRANT SELECT ON performance_schema.session_connect_attrs TO 'canary'@'%';

-- Whoever wants it over TLS alone (the exporter then needs --mysql.tls-mode=required or better):
-- ALTER USER 'canary'@'%' REQUIRE SSL;

-- To take it back:
-- DROP USER 'canary'@'%';
