//! Which layer kills idle MySQL connections, at which age, and what to change: a Prometheus exporter
//! that keeps idle connections ("canaries") at graded ages and watches how each one ends.
//!
//! # What lives where
//!
//! ```text
//! socket | timer -> tap -> ending -> witness -> culprit -> history -> limit, verdict -> metrics
//! server loop    -> server view -> layers -> mismatches                             -> metrics
//! GET            -> text, from memory
//! ```
//!
//! | module | what it holds |
//! |---|---|
//! | [`demo`] | the exporter on a private MariaDB, three ways to it, and applications that suffer; for the eye |
//! | [`check`] | the ladder walked once on one server, for a person who waits |
//! | [`app`] | the exporter: a fleet and a web side, from the settings to the last COM_QUIT |
//! | [`web`] | the pages, and the clients that ask for them; knows nothing of MySQL |
//! | [`page`] | the status page, drawn from the document alone |
//! | [`status`] | the published state as one document: what the JSON, the page and `check` are drawn from |
//! | [`exposition`] | the published state as series, drawn at a scrape |
//! | [`fleet`] | what runs: targets, their paths, the diagnosis of each, the state file |
//! | [`prober`] | the loop of one path, and one canary's life from login to its one outcome |
//! | [`server`] | the server view, one file per source; the only SQL that is sent to a server |
//! | [`config`] | flags and files, parsed once; what exists is good |
//! | [`session`] | how every connection is made: login by stages, the tap under it, the gate, the roster |
//! | [`metrics`] | what events count: every such metric's name, help, labels and buckets |
//! | [`machine`] | what the machine below says: calendar, kernel, open files, signals, log lines |
//! | [`supervision`] | who owns the permanent loops, whether they move, and the word that ends them |
//! | [`domain`] | the pure core: lives, culprits, idle limit, schedule, layers, mismatches, verdict; the applications' sessions followed |
//!
//! Arrows run down this list only; but sessions know the four words of `config` that settings are made of too: an
//! address, a secret, the file of a password, a file's name. Those know nobody.
//!
//! A first reading: `domain::life::ending`, `domain::culprit`, `prober::life`, `prober::canary`, then `app`.
//!
//! # Invariants
//!
//! - One life, one outcome: a canary is one async function, and its return value is what is counted.
//! - Facts before blame: an ending is what the wire showed; a culprit is a conclusion that names its rule.
//! - No death without a witness: where a fresh connection fails too, or the machine slept, it is void.
//! - The connection budget is hard, for canaries, witness and server view together, and for failures too.
//! - No scrape touches MySQL: pages are drawn from what the loops last published.
//! - Every session that can still be spoken to ends with COM_QUIT; one in a statement is closed.
//! - Nothing is killed that is not proved to be ours and dead (`domain::conduct::proof`); nobody else's is touched.
//! - Each permanent loop has one owner. A round that panics is a failed round; a loop that ends ends the process;
//!   one that does not move is told at `/-/ready`. Never green and blind.
//! - Nobody waits for the log or for the state file.
//! - Labels are closed enums, born at zero, or names that the configuration gives; nothing that a server or a network
//!   says is one.
//! - Secrets cannot be printed: a password is a type without `Display`, and no error repeats what a file holds.
//! - The core has no clock: time is an argument, in seconds. `tests/architecture.rs` keeps these arrows.
//!
//! # Words
//!
//! | word | what is meant |
//! |---|---|
//! | target, path | one server; one way to it, with an address, canaries and a diagnosis of its own |
//! | canary, kind | a session that is opened to see how it ends; whether it is silent, has TCP keepalive, is in a statement, or pings |
//! | ladder, rung | the idle ages that canaries are probed at; one of them |
//! | probe | the ping that a canary sends at the age it was held for |
//! | life, outcome | one canary from its login to the one thing that is counted of it: survived, died, void |
//! | ending | what the wire showed of a death: a goodbye, FIN, RST, silence |
//! | goodbye | the ERR packet that a server sends unasked before it closes |
//! | witness | the fresh session that asks the server just after a death: does it answer, does it still list the dead one |
//! | void | an outcome that says nothing, for the witness failed too, the machine slept, or we ended it ourselves |
//! | culprit, layer | who ended a session, as a rule concludes from ending, witness and twins; where that sits |
//! | suspect | a product whose default fits the limit; nobody saw it |
//! | twin | a canary of another kind, sent just past the limit to tell one culprit from another |
//! | bracket, sharp, confirmed | the idle limit as two ages, survived and died at; narrow enough; borne out twice on each side |
//! | stray | an observation that the others contradict: no bound rests on it alone |
//! | common timeouts | the catalogue's defaults: where a bracket is worth cutting first |
//! | stall | the time from sending on a dead connection to knowing that it is dead |
//! | ghost | a session of ours that the server still lists although its client is dead |
//! | roster | which of a target's sessions are ours, over all its paths, and the budget that they are counted against |
//! | gate, pace | what every login of a path passes, so that nobody is hammered; how fast logins may follow each other |
//! | headroom | how much of `max_connections` is free; with too little of it, launches are suspended |
//! | tap, guard | the relay that owns a session's real socket; its look at what a server answers, before the driver believes it |
//! | server view, collector | what is read of a server, in rounds; one source of it |
//! | pulse, standstill | whether a loop moves; a time in which the whole process did not run |
//!
//! # Absent on purpose
//!
//! A connection pool (the canary *is* the connection), retries that hide a failure, a global registry,
//! free-text labels, statistics on queries, a `Clock` trait (tokio's time can be paused), and any change
//! to the server beyond our own sessions: a canary's own `wait_timeout`, and the end of our own ghosts.
//!
//! # Questions
//!
//! **Why a tap between the driver and the server?** The driver neither lends its socket nor keeps what a
//! server says before it closes. The tap is a relay in this process that owns the real socket and always
//! reads it, so FIN, RST and a goodbye are stamped in the moment they come, and TCP keepalive is set or
//! withheld in one place. TLS ends in the tap as well, so the words of a goodbye are read under it too, and
//! what no server says never reaches the driver. The price is one local connection for each session, until its
//! questions are answered: then the driver is let go, and a canary is its socket and a few fields.
//!
//! **Why is the server not asked when Prometheus scrapes, as exporters should?** Canaries live for hours,
//! so what they found cannot be made by a scrape. Once the state is in memory, reading the rest on the
//! loop's own clock buys two things: two Prometheus replicas see the same numbers, and a server that
//! hangs cannot hang a scrape. What is stale vanishes from the page.
//!
//! **Why are ending and culprit two labels?** Because the last packet does not tell who sent it. A RST while
//! idle is MariaDB's `wait_timeout` as well as a firewall's; a FIN is a KILL, a proxy or a thread pool. The
//! ending stays true when a rule that names culprits is found wrong.
//!
//! **Why does a KILL not move the idle limit?** It strikes one session at any age. Only deaths that another
//! session of that age would share bound the limit.

pub mod app;
pub mod check;
pub mod config;
pub mod demo;
pub mod domain;
pub mod exposition;
pub mod fleet;
pub mod machine;
pub mod metrics;
pub mod page;
pub mod prober;
pub mod server;
pub mod session;
pub mod status;
pub mod supervision;
pub mod web;
