//! A server that is told what to do by a file and by variables.

use crate::ebbtide::{Folder, Server};

const SECRET: &str = "a secret for tests, longer than 32 bytes";

#[test]
fn a_file_says_what_is_served_and_paths_in_it_are_its_own() {
    let folder = Folder::with_shop();
    let text = "data = \"data\"\napps = [\"../shop\"]\nlisten = \"127.0.0.1:0\"\n[jwt]\nsecret_file = \"secret\"\n[http]\nrows_max = 1\n";
    folder.write("etc/ebbtide.toml", text.as_bytes());
    folder.write("etc/secret", format!("{SECRET}\n").as_bytes());
    let server = Server::start_by(folder.command(&["serve", "--config", "etc/ebbtide.toml"]));
    assert!(folder.path("etc/data").is_dir());
    let token = folder.run(&["token", "--config", "etc/ebbtide.toml", "--app", "shop", "--role", "admin"]);
    let two = serde_json::json!([{"id": 1, "name": "A"}, {"id": 2, "name": "B"}]);
    let answer =
        crate::ebbtide::post(&server.url, token.stdout.trim(), "/v1/tables/shops/rows", &two).unwrap();
    assert_eq!((&answer["status"], &answer["code"]), (&413.into(), &"body_too_large".into()), "{answer}");
    server.stop();
}

#[test]
fn a_file_here_is_found_and_a_variable_names_another() {
    let folder = Folder::with_shop();
    folder.write("ebbtide.toml", b"listen = \"127.0.0.1:1\"\n");
    folder.write("other.toml", b"listen = \"127.0.0.1:2\"\n");
    let check = |file: Option<&str>, arguments: &[&str], want: &str| {
        let mut command = folder.command(&["config", "check"]);
        command.args(arguments);
        if let Some(file) = file {
            command.env("EBBTIDE_CONFIG", file);
        }
        let output = command.output().unwrap();
        let shown = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success() && shown.contains(want), "{want}: {shown}");
    };
    check(None, &[], "listen = \"127.0.0.1:1\"  # ebbtide.toml:1");
    check(Some(""), &[], "listen = \"127.0.0.1:1\"  # ebbtide.toml:1");
    check(Some("other.toml"), &[], "listen = \"127.0.0.1:2\"  # other.toml:1");
    check(Some("other.toml"), &["--config", "ebbtide.toml"], "listen = \"127.0.0.1:1\"  # ebbtide.toml:1");
}

#[test]
fn what_is_wrong_with_a_configuration_is_told_before_anything_is_opened() {
    let folder = Folder::with_shop();
    folder.write("bad.toml", b"apps = [\"shop\"]\nlisen = \"x\"\n[http]\nrows_max = 0\n");
    for arguments in [&["config", "check"][..], &["serve", "--data", "data", "--app", "shop"]] {
        let run = folder.run(&[arguments, &["--config", "bad.toml"]].concat());
        assert_eq!((run.code, run.stdout.as_str()), (2, ""), "{run:?}");
        for told in [
            "the configuration has 2 faults",
            "bad.toml:2: there is no key \"lisen\" (did you mean \"listen\"?)",
            "bad.toml:4: http.rows_max: 0 was given; allowed is a whole number from 1 to 1000000",
            "hint: ",
        ] {
            assert!(run.stderr.contains(told), "{told}: {run:?}");
        }
        assert!(!folder.path("data").exists());
    }
    let check = |arguments: &[&str], told: &str| {
        let run = folder.run(arguments);
        assert_eq!((run.code, run.stdout.as_str()), (2, ""), "{run:?}");
        assert!(run.stderr.contains(told), "{told}: {run:?}");
    };
    check(&["config", "check", "--config", "nowhere.toml"], "nowhere.toml cannot be read");
    check(&["serve", "--app", "shop"], "no data folder was given");
    check(&["serve", "--data", "data"], "no app was given");
    check(&["serve", "--data", "data", "--app", "shop", "--log", "ebbtide=loud"], "--log");
    folder.write("log.toml", b"log = \"ebbtide=loud\"\n");
    check(&["config", "check", "--config", "log.toml"], "log.toml:1: log: \"ebbtide=loud\" was given");
    folder.write("key.toml", b"[jwt]\npublic_keys = [\"key.toml\"]\n");
    check(
        &["config", "check", "--config", "key.toml"],
        "key.toml:2: jwt.public_keys: key.toml: it is no JSON Web Key",
    );
}

#[test]
fn the_reference_is_the_page_of_the_docs() {
    let run = Folder::new().run(&["config", "reference"]);
    assert_eq!(run.stdout, include_str!("../../../../docs/configuration.md"));
}
