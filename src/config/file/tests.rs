//! Whatever is done to a file: no panic, no secret told, and every known key is read.

use proptest::prelude::*;

use super::*;

const SECRET: &str = "hunter2-in-disguise";

/// Every section with every key. The variable is one that every process has.
fn whole() -> String {
    format!(
        "global:
  auth: {{username: {SECRET}, password_env: PATH}}
  server: {{path: direct, interval: 15s, exclude_users: [backup]}}
  connect_timeout: 5s
  tls_config: {{mode: verify-ca, server_name: db.example.org, get_server_public_key: true}}
  canary: {{max_connections: 12, max_connections_per_target: 20, precision: 1%, probe_timeout: 10s, kill_ghosts: false}}
  devices: [{{name: fw, product: Linux nf_conntrack}}]
  pools: [{{name: all, user: api, framework: go, recycle: never, path: direct}}]
targets:
  - name: orders
    auth:
      username: canary
      password_env: PATH
    paths:
      - {{name: direct, address: \"db:3306\"}}
      - name: balancer
        address: '[::1]:3306'
        devices:
          - {{name: nlb, layer: network, idle_timeout: 350s}}
        canary: {{precision: 2%}}
    canary:
      ages: [30s, 1m]  # rising
    pools:
      - {{name: jobs, framework: hikaricp, max_lifetime: 30m, idle_timeout: 10m, keepalive: 2m, read_timeout: 30s, pre_ping: true}}
"
    )
}

fn try_to_configure(text: &str) -> Result<Configured, Fault> {
    configure(text, Files { folder: PathBuf::from("/nowhere"), warnings: Vec::new() })
}

/// What may be said of a text: no secret, and a place in it.
fn is_fair(text: &str) -> Result<(), TestCaseError> {
    if let Err(fault) = try_to_configure(text) {
        prop_assert!(!fault.what.contains(SECRET), "{} in\n{text}", fault.what);
        prop_assert!(
            fault.place.line <= text.matches(['\n', '\r']).count() + 1,
            "{:?} in\n{text}",
            fault.place
        );
        prop_assert!(!fault.what.is_empty() && !fault.what.contains('\n'), "{:?}", fault.what);
    }
    Ok(())
}

#[test]
fn the_whole_is_good() {
    let configured = try_to_configure(&whole()).unwrap_or_else(|fault| panic!("{fault:?}"));
    assert_eq!(configured.targets.len(), 1);
    assert_eq!(configured.warnings, Vec::<String>::new());
}

#[test]
fn every_known_key_is_read() {
    let account = "auth: {username: canary, password_env: PATH}";
    let path = "{name: direct, address: \"db:3306\"}";
    let target = |more: &str| format!("targets: [{{name: orders, {account}, paths: [{path}], {more}}}]");
    let mut count = 0;
    for section in keys::SECTIONS {
        for &key in section.keys {
            // A list of sections: no key takes that, but as a list of something else.
            let wrong = format!("{key}: [{{colour: [blue]}}]");
            let text = match section.name {
                "the file" if key == "targets" => wrong,
                "the file" => format!("{wrong}\n{}", target("")),
                "global" => format!("global: {{{wrong}}}\n{}", target("")),
                "targets[]" => {
                    let others =
                        [("name", "name: orders"), ("auth", account), ("paths", &format!("paths: [{path}]"))];
                    let kept: Vec<&str> =
                        others.iter().filter(|(other, _)| *other != key).map(|(_, text)| *text).collect();
                    format!("targets: [{{{}, {wrong}}}]", kept.join(", "))
                }
                "paths[]" => {
                    let others = [("name", "name: direct"), ("address", "address: \"db:3306\"")];
                    let kept: Vec<&str> =
                        others.iter().filter(|(other, _)| *other != key).map(|(_, text)| *text).collect();
                    format!(
                        "targets: [{{name: orders, {account}, paths: [{{{}, {wrong}}}]}}]",
                        kept.join(", ")
                    )
                }
                "paths[].canary" => {
                    let path = format!("{{name: direct, address: \"db:3306\", canary: {{{wrong}}}}}");
                    format!("targets: [{{name: orders, {account}, paths: [{path}]}}]")
                }
                "auth" => format!("targets: [{{name: orders, auth: {{{wrong}}}, paths: [{path}]}}]"),
                "devices[]" if key == "name" => target(&format!("devices: [{{{wrong}}}]")),
                "devices[]" if key == "product" => target(&format!("devices: [{{name: fw, {wrong}}}]")),
                "devices[]" => {
                    let others = [("layer", "layer: network"), ("idle_timeout", "idle_timeout: 1s")];
                    let kept: Vec<&str> =
                        others.iter().filter(|(other, _)| *other != key).map(|(_, text)| *text).collect();
                    target(&format!("devices: [{{name: fw, {}, {wrong}}}]", kept.join(", ")))
                }
                "pools[]" if key == "name" => target(&format!("pools: [{{{wrong}}}]")),
                "pools[]" => target(&format!("pools: [{{name: api, {wrong}}}]")),
                name => target(&format!("{name}: {{{wrong}}}")),
            };
            let fault = try_to_configure(&text).map(drop).expect_err(&text);
            assert!(
                fault.path.contains(key),
                "{key} of {}: {} {}\n{text}",
                section.name,
                fault.path,
                fault.what
            );
            count += 1;
        }
    }
    assert!(count > 50, "{count}");
}

#[test]
fn a_key_that_swallowed_a_value_is_not_repeated() {
    for key in ["username hunter2-in-disguise", "\"user\\nname\"", "password_file=hunter2-in-disguise"] {
        let fault = try_to_configure(&format!("global: {{auth: {{{key}: x}}}}")).map(drop).expect_err(key);
        assert!(fault.what.starts_with("unknown key: the keys here are username"), "{}", fault.what);
    }
    let swallowed = "usernamehunter2-in-disguise";
    let fault =
        try_to_configure(&format!("global: {{auth: {{{swallowed}}}}}")).map(drop).expect_err(swallowed);
    assert!(fault.what.starts_with("unknown key: is username meant?"), "{}", fault.what);
}

#[test]
fn cut_off_anywhere() {
    let whole = whole();
    for end in 0..whole.len() {
        is_fair(&whole[..end]).unwrap_or_else(|error| panic!("{error}"));
    }
    let lines: Vec<&str> = whole.lines().collect();
    for left_out in 0..lines.len() {
        let rest: Vec<&str> =
            lines.iter().enumerate().filter(|(index, _)| *index != left_out).map(|(_, line)| *line).collect();
        is_fair(&rest.join("\n")).unwrap_or_else(|error| panic!("{error}"));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, ..ProptestConfig::default() })]

    #[test]
    fn changed_anywhere(
        changes in proptest::collection::vec(
            (0_usize..2000, 0_usize..4, "[-:,\\[\\]{}#&*!|>'\"%@` \t\n\r~?a0é\u{feff}\u{85}]{0,3}"),
            1..6,
        ),
    ) {
        let mut text: Vec<char> = whole().chars().collect();
        for (at, left_out, put_in) in changes {
            let at = at % text.len();
            let end = (at + left_out).min(text.len());
            text.splice(at..end, put_in.chars());
        }
        is_fair(&text.into_iter().collect::<String>())?;
    }

    #[test]
    fn anything_at_all(text in "[-:,\\[\\]{}#&*!|>'\"%@` \t\n~?abc01.é]{0,80}") {
        is_fair(&text)?;
    }
}
