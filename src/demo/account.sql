CREATE USER 'canary'@'127.0.0.1' IDENTIFIED BY '{password}' WITH MAX_USER_CONNECTIONS 30;
GRANT PROCESS ON *.* TO 'canary'@'127.0.0.1';
GRANT SELECT ON performance_schema.* TO 'canary'@'127.0.0.1';
CREATE USER 'shop'@'127.0.0.1' IDENTIFIED BY '{password}';
CREATE USER 'report'@'127.0.0.1' IDENTIFIED BY '{password}';
