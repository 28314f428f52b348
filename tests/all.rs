//! Every test that needs a real part: servers, proxies, firewalls, applications. One binary, so that
//! all of them run in parallel and link once. `script/install-test-parts` installs the parts.
//!
//! | module | what it shows |
//! |---|---|
//! | `addresses` | IPv6, names with a dead address, names that come to lead elsewhere |
//! | `applications` | drivers and errors by user, as real servers tell them |
//! | `parts` | the parts themselves, against ground truth that is not ours |
//! | `wait_timeout` | the server's idle timer, on every server and thread mode |
//! | `truth` | the truth table: whoever kills is named, and nobody else ever |
//! | `kill_and_restart` | KILL, restart, a frozen server |
//! | `firewall` | a stateful firewall that forgets idle flows |
//! | `proxies` | HAProxy's idle timer, and MySQL Router |
//! | `many_sessions` | thousands of application sessions, hundreds of users |
//! | `harmless` | nobody else's session or statement is touched |
//! | `budget` | never more sessions than the budget, whatever becomes of them |
//! | `whose` | another server answers at the same address; ids that greetings do not tell |
//! | `server_view` | what the server view cannot see it does not call well; servers that answer too much, or never |
//! | `fleet` | several targets and paths in one process, reloads, a password that is changed |
//! | `service` | under systemd: sockets that it hands over, what it is told |
//! | `shutdown` | SIGTERM: every session says COM_QUIT |
//! | `locate` | the real firewall's timer, located |
//! | `supervision` | every loop broken one by one, a driver that panics, a log nobody reads, stray signals |
//! | `restart` | the exporter restarted, its state file kept or damaged |
//! | `check` | the ladder walked once: its verdicts, its failures, its terminal |
//! | `demo` | the demonstration, and that nothing is left of it |
//! | `scrape` | `/metrics` and its neighbours |
//! | `web_config` | the pages under TLS, with users and client certificates, as curl sees them |
//! | `status` | `/api/v1/status` fits its schema and says what the metrics say |
//! | `logins` | every way to log in, and wrong passwords |
//! | `unreachable` | hosts, ports and servers that do not answer |
//! | `bad_input` | every bad flag with its exact message |
//! | `image` | the image that the Dockerfile makes, run as a container would |
//! | `guest` | how often it logs in, what it asks and lets out, what it blames on its host |
//! | `malice` | servers that send what no server sends |
//! | `incidents` | the applications of four real incidents |
//! | `told` | what the log tells of a path, and when: reach, transactions |
//! | `alerting` | what people are told of them: rules and dashboards on a real Prometheus |

#![expect(clippy::disallowed_methods, reason = "real parts run in real time, which no test can pause")]

mod addresses;
mod alerting;
mod applications;
mod bad_input;
mod budget;
mod check;
mod demo;
mod exporter;
mod firewall;
mod fleet;
mod guest;
mod harmless;
mod image;
mod incidents;
mod kill_and_restart;
mod lab;
mod locate;
mod logins;
mod malice;
mod many_sessions;
mod parts;
mod proxies;
mod restart;
mod schema;
mod scrape;
mod server_view;
mod service;
mod shutdown;
mod status;
mod supervision;
mod told;
mod truth;
mod unreachable;
mod wait_timeout;
mod web_config;
mod whose;
