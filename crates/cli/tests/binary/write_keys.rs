//! Write keys from the command line: on a folder, and through a server that holds it.

use serde_json::json;

use crate::ebbtide::{Folder, Run, Server, post};

/// The ids of the keys that a list shows.
fn ids(run: &Run) -> Vec<String> {
    assert_eq!(run.code, 0, "{run:?}");
    assert!(!run.stdout.contains("ewk_"), "{}", run.stdout);
    let rows = run.stdout.lines().skip(1);
    rows.map(|row| row.split('\t').next().unwrap().to_owned()).collect()
}

fn key(run: &Run) -> String {
    assert_eq!(run.code, 0, "{run:?}");
    let key = run.stdout.trim().to_owned();
    assert!(key.starts_with("ewk_") && key.len() == 47, "{run:?}");
    key
}

#[test]
fn a_key_that_was_made_on_a_folder_captures_until_it_is_revoked_on_its_server() {
    let folder = Folder::new();
    let missing = folder.run(&["key", "list", "--data", "data"]);
    assert!(missing.code == 1 && missing.stderr.contains("there is no data folder"), "{missing:?}");
    let made = |tenant: &str| {
        key(&folder.run(&["key", "create", "--data", "data", "--app", "product", "--tenant", tenant]))
    };
    let (acme, globex) = (made("acme"), made("globex"));
    assert_eq!(ids(&folder.run(&["key", "list", "--data", "data"])).len(), 2);
    assert_eq!(ids(&folder.run(&["key", "list", "--data", "data", "--app", "shop"])).len(), 0);

    let server = Server::start(&folder, &["--app", "product"]);
    let capture = |token: &str| {
        let event = json!([{"event": "view", "actor": "ann", "props": {"n": 1}}]);
        post(&server.url, token, "/v1/capture", &event).unwrap()
    };
    assert_eq!(capture(&acme)["accepted"], json!(1));
    let held = folder.run(&["key", "list", "--data", "data"]);
    assert_eq!(held.code, 1, "{held:?}");
    assert!(held.stderr.contains("--server"), "{held:?}");

    let token = folder.token(&["--app", "product", "--role", "admin"]);
    let through = |arguments: &[&str]| {
        let place = ["--server", &server.url, "--token", &token];
        folder.run(&[&["key"], arguments, &place].concat())
    };
    let more = key(&through(&["create", "--tenant", "acme", "--name", "web"]));
    assert_eq!(capture(&more)["accepted"], json!(1));
    let known = ids(&through(&["list"]));
    assert_eq!(known.len(), 3);
    let revoked = through(&["revoke", &known[1]]);
    assert_eq!(revoked.code, 0, "{revoked:?}");
    assert_eq!(through(&["revoke", &known[1]]).code, 1, "it is gone");
    assert_eq!(capture(&globex)["code"], json!("token_invalid"));
    server.stop();

    // What a server did is there on the folder, and the other way round.
    assert_eq!(ids(&folder.run(&["key", "list", "--data", "data"])), [known[0].as_str(), &known[2]]);
    assert_eq!(folder.run(&["key", "revoke", &known[0], "--data", "data"]).code, 0);
    let server = Server::start(&folder, &["--app", "product"]);
    let event = json!({"event": "view", "actor": "ann"});
    let code = |token: &str| post(&server.url, token, "/v1/capture", &event).unwrap()["code"].clone();
    assert_eq!((code(&acme), code(&more)), (json!("token_invalid"), json!(null)));
    server.stop();
}

#[test]
fn wrong_usage_is_told() {
    let folder = Folder::new();
    let missing = folder.run(&["key", "list", "--data", "data"]);
    assert!(missing.code == 1 && missing.stderr.contains("there is no data folder"), "{missing:?}");
    let check = |arguments: &[&str], code: i32, want: &str| {
        let run = folder.run(&[&["key"], arguments].concat());
        assert!(run.code == code && run.stderr.contains(want), "{run:?}");
    };
    check(&["create", "--tenant", "a"], 2, "--data");
    check(&["create", "--data", "data", "--tenant", "a", "--app", "No App"], 2, "no name of an app");
    check(&["create", "--data", "data", "--tenant", ""], 1, "one tenant");
    check(&["list", "--data", "elsewhere"], 1, "no data folder");
    check(&["revoke", "../x", "--data", "data"], 2, "no key's id");
    check(&["revoke", "0123", "--data", "data"], 1, "no such write key");
    folder.write("data/write-keys.json", b"{}");
    check(&["list", "--data", "data"], 1, "damaged");
    let verified = folder.run(&["verify", "--data", "data"]);
    assert!(verified.code == 1 && verified.stderr.contains("damaged"), "{verified:?}");
}
