//! Good files, as `--config.check` tells them.

use crate::folder::{Folder, SECRET};

/// The examples of the documentation: each block of YAML that names targets.
fn examples(text: &str) -> Vec<String> {
    let blocks = text.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next());
    blocks.filter(|block| block.contains("targets:")).map(str::to_owned).collect()
}

/// Their absolute names lead elsewhere; nothing else is changed.
fn at_home(example: &str, folder: &Folder) -> String {
    let home = folder.path().to_str().expect("the temporary directory is UTF-8");
    ["/etc/mysql-canary-exporter", "/run/credentials/mysql-canary-exporter.service", "/etc/ssl/certs"]
        .iter()
        .fold(example.to_owned(), |text, place| text.replace(place, home))
}

/// A folder with what the examples name.
fn folder() -> Folder {
    let folder = Folder::new();
    for (from, to) in [
        ("ca.pem", "rds.pem"),
        ("ca.pem", "internal-ca.pem"),
        ("ca.pem", "ca-certificates.crt"),
        ("cert.pem", "canary.pem"),
        ("key.pem", "canary.key"),
        ("password", "billing"),
    ] {
        std::fs::copy(folder.path().join(from), folder.path().join(to)).expect("the folder is ours");
    }
    folder
}

#[test]
fn the_examples_of_the_documentation_are_taken_as_they_stand() {
    let folder = folder();
    for (document, count) in
        [(include_str!("../../README.md"), 1), (include_str!("../../docs/configuration.md"), 1)]
    {
        let mut examples = examples(document);
        // Prometheus has a file of its own.
        examples.retain(|example| !example.starts_with("scrape_configs:"));
        assert_eq!(examples.len(), count);
        for example in examples {
            folder.write("example.yml", at_home(&example, &folder).as_bytes());
            let said = folder.check("example.yml", &[]);
            assert_eq!((said.err.as_str(), said.code), ("", Some(0)), "{example}");
        }
    }
}

/// What Kubernetes mounts is as good, but for names of folders.
#[test]
fn the_configuration_for_kubernetes_is_taken() {
    let folder = folder();
    let home = folder.path().to_str().expect("the temporary directory is UTF-8");
    let text = include_str!("../../deploy/kubernetes/base/config.yml");
    folder.write("config.yml", text.replace("/run/secrets/mysql-canary-exporter", home).as_bytes());
    let said = folder.check("config.yml", &[]);
    assert_eq!(said.code, Some(0), "{}", said.err);
    assert!(
        said.err.starts_with("warning: target orders, path service: with the TLS mode preferred"),
        "{}",
        said.err
    );
}

/// The example of docs/web.md, with a hash in place of the one that is left out.
#[test]
fn the_web_example_is_taken() {
    let folder = folder();
    let text =
        include_str!("../../docs/web.md").split("```yaml\n").nth(1).and_then(|rest| rest.split("```").next());
    let hash = folder.run_with_input(&["hash-password", "--cost=4"], b"x\n").out;
    let text = at_home(text.expect("an example"), &folder).replace("$2y$12$…", hash.trim_end());
    let text = ["web.pem", "web-key.pem", "clients-ca.pem"]
        .iter()
        .zip(["cert.pem", "key.pem", "ca.pem"])
        .fold(text, |text, (name, ours)| text.replace(&format!("/{name}"), &format!("/{ours}")));
    folder.write("web.yml", text.as_bytes());
    let args = ["--mysql.username=canary", "--config.check", "--web.config.file={dir}/web.yml"];
    let said = folder.run(&args, &[]);
    assert_eq!((said.err.as_str(), said.code), ("", Some(0)));
}

#[test]
fn what_would_run_is_told() {
    let folder = folder();
    let example = examples(include_str!("../../docs/configuration.md")).remove(0);
    folder.write("canary.yml", at_home(&example, &folder).as_bytes());
    let said = folder.check("canary.yml", &[]);
    assert_eq!((said.err.as_str(), said.code), ("", Some(0)));
    assert_eq!(said.out, include_str!("example.txt"));
}

#[test]
fn nearest_wins() {
    let folder = folder();
    folder.write(
        "canary.yml",
        b"global:
  auth: {username: everywhere, password_env: CANARY_PASSWORD}
  connect_timeout: 3s
  server: {interval: 1m, exclude_users: backup}
  canary: {precision: 2%, ages: '10s,20s', max_connections: 9, kill_ghosts: false}
  devices: [{name: fw, product: 'linux nf_conntrack'}]
  tls_config: {mode: VERIFY_CA, ca_file: ca.pem}
  pools: [{name: all}]
targets:
  - name: one
    connect_timeout: ~
    canary: {precision: 3%, max_connections_per_target: 9}
    paths:
      - {name: a, address: 'localhost'}
      - {name: b, address: 'localhost', connect_timeout: 4s, canary: {precision: 4%, max_connections: 3}, devices: []}
      - {name: c, address: 'localhost', tls_config: {server_name: db.example.org, mode: verify-identity}}
  - name: two
    auth: {defaults_file: orders.cnf, defaults_group: client.orders}
    server: {path: y, exclude_users: [root, admin]}
    canary: {ages: [1m], probe_timeout: 2s, kill_ghosts: true}
    pools: [{name: api, user: api, framework: go, recycle: never, path: x, pre_ping: true}]
    paths:
      - {name: x, address: '[::1]:3307', tls_config: {mode: disabled}, canary:}
      - {name: y, address: '127.0.0.1', tls_config: {cert_file: cert.pem, key_file: key.pem}}
",
    );
    let said = folder.check("canary.yml", &[("CANARY_PASSWORD", SECRET)]);
    assert_eq!(
        (said.err.as_str(), said.code),
        ("", Some(0)),
        "ca_file stands beside a mode that verifies: no warning"
    );
    assert_eq!(said.out, include_str!("nearest.txt"));
}

#[test]
fn what_should_be_mended_is_warned_about() {
    let folder = folder();
    folder.write(
        "canary.yml",
        b"targets:
  - name: orders
    auth: {username: canary, password_file: password}
    paths:
      - {name: direct, address: 'db:3306'}
      - {name: lb, address: 'lb:3306', tls_config: {mode: disabled}}
      - {name: local, address: '127.0.0.1', tls_config: {mode: disabled}}
      - {name: tls, address: 'db', tls_config: {mode: required, ca_file: ca.pem, cert_file: cert.pem, key_file: key.pem}}
  - name: billing
    auth: {defaults_file: orders.cnf, defaults_group: client.orders}
    paths: [{name: direct, address: 'db', tls_config: {mode: verify-ca, ca_file: ca.pem}}]
",
    );
    for name in ["password", "orders.cnf", "key.pem"] {
        folder.set_mode(name, 0o644);
    }
    let said = folder.check("canary.yml", &[("MYSQL_CANARY_PASSWORD", SECRET)]);
    assert_eq!(said.err, include_str!("warnings.txt"));
    assert_eq!(said.code, Some(0));
    assert!(!said.out.contains(SECRET));
    for name in ["password", "orders.cnf", "key.pem"] {
        folder.set_mode(name, 0o640);
    }
    let said = folder.check("canary.yml", &[]);
    assert!(!said.err.contains("everybody"), "{}", said.err);
}

#[test]
fn flags_alone_are_told_too_and_the_address_is_the_name() {
    let folder = folder();
    let flags = ["--config.check", "--mysql.address=[::1]", "--mysql.username=canary", "--canary.ages=5s,1m"];
    let said = folder.run(&flags, &[("MYSQL_CANARY_PASSWORD", SECRET)]);
    assert_eq!((said.err.as_str(), said.code), ("", Some(0)));
    assert_eq!(
        said.out,
        "flags: 1 target, 1 path, 12 connections at most\n\n\
         target [::1]:3306: 1 path, 12 connections at most\n  \
         server view over path default, every 15s\n  \
         idle ages: 5s 1m\n  \
         path default: [::1]:3306 as canary, TLS preferred, 12 connections at most\n    \
         connect within 10s, answer within 10s, precision 1%, proved ghosts are killed\n"
    );
    let named = [&flags[..], &["--target.name=orders"]].concat();
    assert!(folder.run(&named, &[]).out.contains("\ntarget orders: 1 path"));
    let bad = folder.run(&["--target.name=or ders"], &[]);
    assert_eq!(
        bad.err,
        "error: invalid value 'or ders' for '--target.name <NAME>': name \"or ders\" cannot be a label: write 1 to 64 \
         letters, digits, '.', '_' or '-'\n\nFor more information, try '--help'.\n"
    );
}
