//! What `--config.check` says: what would run.

use std::fmt::Write as _;
use std::net::IpAddr;
use std::time::Duration;

use crate::config::file::web::WebConfig;
use crate::config::settings::{PathSettings, Settings, TargetSettings};
use crate::domain::layers::pool::{Pool, Recycle};
use crate::domain::life::duration::format_seconds;
use crate::session::TlsMode;

/// What these settings would run, in lines. The file's own name stands in `source`.
pub fn summary(settings: &Settings, source: &str) -> String {
    let paths = settings.targets.iter().map(|target| target.paths.len()).sum();
    let connections = settings.targets.iter().map(TargetSettings::most_connections).sum();
    let mut text = format!(
        "{source}: {}, {}, {} at most\n",
        counted(settings.targets.len(), "target"),
        counted(paths, "path"),
        counted(connections, "connection")
    );
    for target in &settings.targets {
        // Writing to a string does not fail.
        let _ = tell_target(&mut text, target);
    }
    text
}

/// What the web configuration would do, in lines.
pub fn web_summary(web: &WebConfig) -> String {
    let mut text = match &web.tls {
        Some(tls) => format!("\npages: under TLS, client certificates {}", tls.clients.label()),
        None => "\npages: in plain HTTP".to_owned(),
    };
    let _ = match web.users.len() {
        0 => write!(text, ", for everybody"),
        users => write!(text, ", for {}", counted(users, "user")),
    };
    if let Some(rate) = web.rate {
        let _ = write!(
            text,
            ", {} at once and one more each {}",
            counted(usize::try_from(rate.burst).unwrap_or(usize::MAX), "request"),
            seconds(rate.interval)
        );
    }
    text.push('\n');
    text
}

/// What is no error and should be mended all the same: what was found while reading, and what the settings themselves
/// leave open.
pub fn warnings(settings: &Settings) -> Vec<String> {
    let mut warnings = settings.warnings.clone();
    for target in &settings.targets {
        for path in &target.paths {
            let mode = path.account.tls_mode;
            let open = matches!(mode, TlsMode::Disabled | TlsMode::Preferred);
            if open && !is_loopback(&path.address.host) {
                let may = if mode == TlsMode::Disabled { "is not" } else { "may not be" };
                warnings.push(format!(
                    "target {}, path {}: with the TLS mode {} the way to {} {may} encrypted, and nobody checks who answers: \
                     the mode verify-identity does both",
                    target.name,
                    path.name,
                    mode.label(),
                    path.address
                ));
            }
        }
    }
    warnings
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn tell_target(text: &mut String, target: &TargetSettings) -> std::fmt::Result {
    let most = counted(target.most_connections(), "connection");
    writeln!(text, "\ntarget {}: {}, {most} at most", target.name, counted(target.paths.len(), "path"))?;
    let every = seconds(target.server_interval);
    writeln!(text, "  server view over path {}, every {every}", target.view_path)?;
    if !target.excluded_users.is_empty() {
        let users: Vec<&str> = target.excluded_users.iter().map(String::as_str).collect();
        writeln!(text, "  users that are no application: {}", users.join(" "))?;
    }
    let ages: Vec<String> = target.ladder.ages().iter().map(|&age| format_seconds(age)).collect();
    writeln!(text, "  idle ages: {}", ages.join(" "))?;
    for path in &target.paths {
        tell_path(text, path)?;
    }
    for pool in &target.pools {
        tell_pool(text, pool)?;
    }
    Ok(())
}

fn tell_path(text: &mut String, path: &PathSettings) -> std::fmt::Result {
    let account = &path.account;
    let mut tls = account.tls_mode.label().to_owned();
    if let Some(name) = &account.tls_server_name {
        tls = format!("{tls} as {name}");
    }
    if account.tls_identity.is_some() {
        tls.push_str(" with a client certificate");
    }
    writeln!(
        text,
        "  path {}: {} as {}, TLS {tls}, {} at most",
        path.name,
        path.address,
        account.username,
        counted(path.max_connections, "connection")
    )?;
    let ghosts = if path.kill_ghosts { "killed" } else { "left alone" };
    writeln!(
        text,
        "    connect within {}, answer within {}, precision {}%, proved ghosts are {ghosts}",
        seconds(path.connect_timeout),
        seconds(path.probe_timeout),
        (path.precision * 100_000.0).round() / 1000.0
    )?;
    for device in &path.devices {
        let timeout = format_seconds(device.idle_timeout);
        writeln!(text, "    device {} ({}): idle timeout {timeout}", device.name, device.layer.label())?;
    }
    Ok(())
}

fn tell_pool(text: &mut String, pool: &Pool) -> std::fmt::Result {
    write!(text, "  pool {}: {}", pool.name, pool.framework.label())?;
    if let Some(user) = &pool.user {
        write!(text, ", user {user}")?;
    }
    match pool.recycle {
        Recycle::After(age) => write!(text, ", recycle {}", format_seconds(age))?,
        Recycle::Never => write!(text, ", recycle never")?,
        Recycle::Unknown => {}
    }
    let times = [
        ("idle_timeout", pool.idle_timeout),
        ("keepalive", pool.keepalive),
        ("read_timeout", pool.read_timeout),
    ];
    for (key, time) in times {
        if let Some(time) = time {
            write!(text, ", {key} {}", format_seconds(time))?;
        }
    }
    if pool.pre_ping {
        write!(text, ", pre_ping")?;
    }
    if let Some(path) = &pool.path {
        write!(text, ", path {path}")?;
    }
    writeln!(text)
}

fn counted(count: usize, word: &str) -> String {
    format!("{count} {word}{}", if count == 1 { "" } else { "s" })
}

fn seconds(time: Duration) -> String {
    format_seconds(time.as_secs_f64())
}
