//! Two applications that do what brings people here: a pool that keeps connections for longer than its path does, and a
//! job that holds a session while it computes.

use std::net::SocketAddr;
use std::time::Duration;

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, OptsBuilder};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::config::secret::Secret;

/// How long a statement may take before an application gives it up.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long one rests whose connect failed.
const REST: Duration = Duration::from_secs(1);

/// What MySQL's client library calls a connection that turns out to be gone.
const LOST: &str = "error 2013, Lost connection to MySQL server";
/// What a client meets that gives up by itself.
const NO_ANSWER: &str = "no answer at all";

/// What an application does with its one connection.
#[derive(Debug, Clone, Copy)]
pub(super) struct Application {
    /// Its name, and its MySQL user.
    pub(super) name: &'static str,
    /// The way it takes.
    pub(super) path: &'static str,
    /// How long it says nothing between two statements.
    pub(super) silence: Duration,
    /// What it does in this time, as a person would say it.
    pub(super) meanwhile: &'static str,
}

/// Those that run. Dropped, they end.
#[derive(Debug, Default)]
pub(super) struct Applications(JoinSet<()>);

impl Applications {
    /// Starts one.
    pub(super) fn start(&mut self, application: Application, address: SocketAddr, password: Secret) {
        self.0.spawn(work(application, address, password));
    }

    /// Returns when one of them ended, which none does by itself.
    pub(super) async fn ended(&mut self) {
        if self.0.join_next().await.is_none() {
            std::future::pending::<()>().await;
        }
    }
}

/// One connection after another, each until it is lost.
async fn work(application: Application, address: SocketAddr, password: Secret) {
    let Application { name, path, silence, meanwhile } = application;
    loop {
        let options = OptsBuilder::default()
            .ip_or_hostname(address.ip().to_string())
            .tcp_port(address.port())
            .user(Some(name))
            .pass(Some(password.reveal()));
        let Ok(Ok(mut session)) = timeout(PATIENCE, Conn::new(options)).await else {
            sleep(REST).await;
            continue;
        };
        loop {
            let answered = timeout(PATIENCE, session.query_drop("SELECT 1")).await;
            let lost = match answered {
                Ok(Ok(())) => {
                    sleep(silence).await;
                    continue;
                }
                Ok(Err(_)) => LOST,
                Err(_) => NO_ANSWER,
            };
            tracing::info!(
                event = "application",
                path,
                "{name:<9} FAILS  {meanwhile} for {} s, and its next statement met {lost}",
                silence.as_secs()
            );
            break;
        }
    }
}
