//! What a file holds, a key even, where its name belongs: it is told at its place, and repeated nowhere.

use crate::folder::{Folder, Said};

/// A line of the key that is planted.
const PLANTED: &str = "MC4CAQAwBQYDK2VwBCIEIPlanted";

/// How people plant it: as a block, in quotation marks, folded, and without its first line.
fn plants() -> Vec<String> {
    let key = format!("-----BEGIN PRIVATE KEY-----\n{PLANTED}\n-----END PRIVATE KEY-----\n");
    let block: String = key.lines().map(|line| format!("\n          {line}")).collect();
    vec![
        format!("|{block}"),
        format!(">-{block}"),
        format!("\"{}\"", key.replace('\n', "\\n")),
        format!("|\n          {PLANTED}"),
        format!("kl/{}", PLANTED.repeat(20)),
    ]
}

#[track_caller]
fn refused(said: &Said, place: &str) {
    assert_eq!(said.code, Some(2), "{place}: {}", said.err);
    assert!(!said.err.contains(PLANTED) && !said.out.contains(PLANTED), "{place}: {}", said.err);
    assert!(!said.err.contains("-----BEGIN"), "{place}: {}", said.err);
    let words = format!("{place}: a file's name is wanted here, not what the file holds\n");
    assert!(said.err.ends_with(&words), "{said:?}\n{words}");
}

#[test]
fn a_key_in_place_of_a_name_is_refused_and_not_repeated() {
    let folder = Folder::new();
    for plant in plants() {
        for key in ["cert_file", "key_file", "client_ca_file"] {
            let mut text = "tls_server_config:\n  client_auth_type: RequireAndVerifyClientCert\n".to_owned();
            for file in ["cert_file", "key_file"].into_iter().filter(|file| *file != key) {
                text.push_str(&format!("  {file}: {}\n", file.replace("_file", ".pem")));
            }
            text.push_str(&format!("  {key}: {plant}\n"));
            folder.write("web.yml", text.as_bytes());
            let line =
                text.lines().position(|line| line.contains(&format!(" {key}:"))).expect("it is there") + 1;
            for more in ["--config.check", "--web.listen-address=127.0.0.1:0"] {
                let args = ["--mysql.username=canary", more, "--web.config.file={dir}/web.yml"];
                let said = folder.run(&args, &[]);
                refused(&said, &format!("tls_server_config.{key}"));
                // A block begins on the next line.
                let lines = [line, line + 1].map(|line| format!("error: {{dir}}/web.yml:{line}:"));
                assert!(lines.iter().any(|begin| said.err.starts_with(begin)), "{}", said.err);
            }
        }
        let of_auth = |key: &str| match key {
            "password_file" => format!("    auth:\n      username: canary\n      {key}: {plant}\n"),
            _ => format!("    auth:\n      {key}: {plant}\n"),
        };
        let good = "    auth: {username: canary, password_file: password}\n";
        let of_tls = |key: &str| {
            let others: String = ["cert_file", "key_file"]
                .into_iter()
                .filter(|other| key != "ca_file" && *other != key)
                .map(|other| format!("      {other}: {}\n", other.replace("_file", ".pem")))
                .collect();
            format!("{good}    tls_config:\n      mode: verify-ca\n{others}      {key}: {plant}\n")
        };
        for (section, key, text) in [
            ("auth", "password_file", of_auth("password_file")),
            ("auth", "defaults_file", of_auth("defaults_file")),
            ("tls_config", "ca_file", of_tls("ca_file")),
            ("tls_config", "cert_file", of_tls("cert_file")),
            ("tls_config", "key_file", of_tls("key_file")),
        ] {
            let text = format!(
                "targets:\n  - name: orders\n    paths: [{{name: direct, address: \"127.0.0.1:3306\"}}]\n{text}"
            );
            folder.write("canary.yml", text.as_bytes());
            for more in ["--config.check", "--web.listen-address=127.0.0.1:0"] {
                let said = folder.run(&["--config.file={dir}/canary.yml", more], &[]);
                refused(&said, &format!("targets[0].{section}.{key}"));
            }
        }
    }
}

#[test]
fn no_flag_that_names_a_file_repeats_what_a_file_holds() {
    let folder = Folder::new();
    let key = format!("{{dir}}/none/-----BEGIN PRIVATE KEY-----\n{PLANTED}\n-----END PRIVATE KEY-----\n");
    for flag in [
        "--mysql.tls-ca",
        "--mysql.password-file",
        "--mysql.defaults-file",
        "--config.file",
        "--web.config.file",
        "--state.file",
    ] {
        let account: &[&str] = if flag == "--config.file" { &[] } else { &["--mysql.username=canary"] };
        let flag = format!("{flag}={key}");
        let args = [&[flag.as_str(), "--web.listen-address=127.0.0.1:0"][..], account].concat();
        let said = folder.run(&args, &[]);
        assert_eq!(said.code, Some(2), "{flag}: {}", said.err);
        assert!(said.err.contains("the file that is named there"), "{flag}: {}", said.err);
        assert!(!said.err.contains(PLANTED) && !said.out.contains(PLANTED), "{flag}: {}", said.err);
    }
}
