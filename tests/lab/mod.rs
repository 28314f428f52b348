//! Real servers, proxies and firewalls for the tests, each started by the test that needs it and gone when
//! the test ends.
//!
//! `script/install-test-parts` installs them. A part that cannot start panics and says what to do: no test is
//! ever skipped.
//!
//! | module | what it starts |
//! |---|---|
//! | [`mariadb`], [`mysql97`] | a real server, as a [`Server`] |
//! | [`haproxy`], [`mysql_router`] | a real proxy in front of one |
//! | [`lifetime`] | a relay that ends every connection at one age |
//! | [`firewall`] | client, stateful router and server, each in a network namespace of its own |
//! | [`prometheus`], [`alertmanager`] | what watches an exporter and tells people; [`webhook`] is who is told |
//! | [`peer`] | a scripted server that misbehaves on cue; [`wire`] speaks the protocol for it |
//! | [`listing`] | a look at which sessions a server lists, and until when |
//! | [`resolver`] | a name server that knows no name, or never answers |
//! | [`authority`] | certificates of every sort, by openssl; [`curl`] shows them, and asks as people do |
//! | [`dead_disk`] | a file system that does not answer |
//! | [`python`] | programs written with PyMySQL and SQLAlchemy: ground truth that is not ours |
//!
//! [`process`] and [`place`] are what they share: daemons that die with the test process, private
//! directories, free ports. [`http`] and [`wait`] are what the tests ask with; in [`turns`]
//! those that load the whole machine wait for each other.

pub(crate) mod account;
pub(crate) mod alertmanager;
pub(crate) mod authority;
pub(crate) mod curl;
pub(crate) mod dead_disk;
pub(crate) mod firewall;
pub(crate) mod haproxy;
pub(crate) mod http;
pub(crate) mod lifetime;
pub(crate) mod listing;
pub(crate) mod mariadb;
pub(crate) mod mysql97;
pub(crate) mod mysql_router;
pub(crate) mod namespace;
pub(crate) mod peer;
pub(crate) mod place;
pub(crate) mod process;
pub(crate) mod prometheus;
pub(crate) mod python;
pub(crate) mod resolver;
pub(crate) mod server;
pub(crate) mod turns;
pub(crate) mod wait;
pub(crate) mod webhook;
pub(crate) mod wire;

pub(crate) use account::{Account, Plugin};
pub(crate) use alertmanager::Alertmanager;
pub(crate) use authority::Authority;
pub(crate) use curl::Curl;
pub(crate) use firewall::{Firewall, FirewallOptions, LongWire, OnInvalid};
pub(crate) use haproxy::HaProxy;
pub(crate) use lifetime::LimitOnAge;
pub(crate) use listing::Listing;
pub(crate) use mariadb::{MariaDb, MariaDbOptions, ThreadHandling};
pub(crate) use mysql_router::MySqlRouter;
pub(crate) use mysql97::{MySql97, MySql97Options};
pub(crate) use namespace::Namespace;
pub(crate) use peer::{Answers, Peer, Scene, Served, TlsEnd, UPTIME};
pub(crate) use prometheus::{Prometheus, PrometheusOptions};
pub(crate) use python::Python;
pub(crate) use resolver::Resolver;
pub(crate) use server::Server;
pub(crate) use wait::wait_for;
pub(crate) use webhook::Webhook;
