use std::collections::BTreeSet;
use std::time::Duration;

use ebbtide_engine::sql::{Limits, ProcessSettings};

use super::*;
use crate::http::CorsRules;
use crate::rejects::Bounds;
use crate::sign_in::TokenRules;

const PAGE: &str = include_str!("../../../../docs/configuration.md");

fn file(text: &str) -> ConfigFile {
    ConfigFile { path: PathBuf::from("etc/ebbtide.toml"), bytes: text.as_bytes().to_vec() }
}

fn variables(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn flag(option: &'static str, key: &'static str, values: &[&str]) -> Flag {
    Flag { option, key, values: values.iter().map(|value| (*value).to_owned()).collect() }
}

fn of_file(text: &str) -> Loaded {
    Loaded::read(Some(&file(text)), [], &[]).unwrap_or_else(|faults| panic!("{faults:?}"))
}

fn faults(text: &str, pairs: &[(&str, &str)]) -> Vec<String> {
    let read = Loaded::read(Some(&file(text)), variables(pairs), &[]);
    read.map(|_| Vec::new()).unwrap_or_else(|faults| faults.iter().map(ToString::to_string).collect())
}

#[test]
fn the_page_is_what_the_declaration_makes() {
    assert!(
        reference() == PAGE,
        "docs/configuration.md is not what the declaration makes: write it anew with \
         `ebbtide config reference > docs/configuration.md`"
    );
}

#[test]
fn every_key_has_a_section_of_the_page_and_a_variable_of_its_own() {
    let variables: BTreeSet<String> = KEYS.iter().map(Key::variable).collect();
    assert_eq!(variables.len(), KEYS.len());
    for variable in &variables {
        assert!(PAGE.contains(&format!("`{variable}`")), "{variable}");
        assert!(!OTHER_VARIABLES.contains(&variable.as_str()), "{variable}");
    }
}

#[test]
fn every_field_has_a_key() {
    // A field that is new does not compile here: give it a key, then name it.
    let Config { data: _, apps: _, listen: _, log: _, log_format: _, jwt, settings, sql, store } =
        Config::default();
    let JwtConfig {
        secret: _,
        secret_file: _,
        secret_previous: _,
        secret_previous_file: _,
        public_keys: _,
        jwks_url: _,
        jwks: KeySetSettings { refresh: _, pause: _, wait_max: _ },
    } = jwt;
    let Settings {
        body_bytes_max: _,
        bodies_bytes_max: _,
        rows_max: _,
        question_bytes_max: _,
        sql_limits: Limits { rows_max: _, bytes_max: _, time_max: _ },
        query_time_max: _,
        questions_max: _,
        turn_wait_max: _,
        exports_max: _,
        export_timeout: _,
        temporary_folder: _,
        cache_bytes_max: _,
        requests_max: _,
        listeners_max: _,
        standing_bytes_max: _,
        connections_max: _,
        head_timeout: _,
        body_timeout: _,
        write_timeout: _,
        request_timeout: _,
        drain_timeout: _,
        rejects: Bounds { rows: _, bytes: _ },
        token: TokenRules { leeway_s: _, issuers: _ },
        cors: CorsRules { origins: _, credentials: _, max_age: _ },
    } = settings;
    // `spill` and `launch` are the binary's own matter.
    let SqlSettings {
        threads: _,
        partitions: _,
        concurrent_max: _,
        memory_bytes_max: _,
        spill: _,
        wait_max: _,
        process: _,
        processes: ProcessSettings { concurrent_max: _, memory_bytes_max: _, spare: _ },
        launch: _,
    } = sql;
    let ebbtide_store::Settings {
        flush_bytes: _,
        log_bytes_max: _,
        memory_bytes_max: _,
        decoded_bytes_max: _,
        segment_rows_max: _,
        compaction_fan_in: _,
        queue_requests_max: _,
        group_rows_max: _,
        import_chunk_rows: _,
        waiting_rows_max: _,
        waiting_bytes_max: _,
        properties_max: _,
        properties_per_tenant_max: _,
    } = store;
}

#[test]
fn each_keys_default_may_be_given_and_changes_nothing() {
    let mut config = Config::default();
    for key in KEYS {
        let Some(value) = key.slot(&mut config).shown() else {
            continue;
        };
        let text = match key.section() {
            "" => format!("{} = {value}\n", key.last_name()),
            section => format!("[{section}]\n{} = {value}\n", key.last_name()),
        };
        let mut loaded = of_file(&text).config;
        assert_eq!(key.slot(&mut loaded).shown(), Some(value), "{}", key.name);
    }
}

#[test]
fn over_the_default_counts_the_file_then_the_variable_then_the_flag() {
    let text = "listen = \"127.0.0.1:1\"\n[http]\nrows_max = 10\nrequests_max = 10\n";
    let pairs = [("EBBTIDE_LISTEN", "127.0.0.1:2"), ("EBBTIDE_HTTP_ROWS_MAX", "20")];
    let read = |pairs: &[(&str, &str)], flags: &[Flag]| {
        let loaded = Loaded::read(Some(&file(text)), variables(pairs), flags).unwrap();
        let Config { listen, settings, .. } = loaded.config.clone();
        (listen, settings.rows_max, loaded.origin("listen").to_string())
    };
    let given = flag("--listen", "listen", &["127.0.0.1:3"]);
    assert_eq!(read(&[], &[]), ("127.0.0.1:1".to_owned(), 10, "etc/ebbtide.toml:1".to_owned()));
    assert_eq!(read(&pairs, &[]), ("127.0.0.1:2".to_owned(), 20, "EBBTIDE_LISTEN".to_owned()));
    assert_eq!(read(&pairs, &[given]), ("127.0.0.1:3".to_owned(), 20, "--listen".to_owned()));
    let empty = [("EBBTIDE_LISTEN", ""), ("EBBTIDE_HTTP_ROWS_MAX", "")];
    assert_eq!(read(&empty, &[]), ("127.0.0.1:1".to_owned(), 10, "etc/ebbtide.toml:1".to_owned()));
    let default = Loaded::read(None, [], &[]).unwrap();
    assert_eq!(
        (default.config.listen.as_str(), default.origin("listen")),
        ("127.0.0.1:8080", Origin::Default)
    );
}

#[test]
fn values_come_in_the_forms_of_a_file_and_of_a_variable() {
    let loaded = of_file(
        "apps = [\"loyalty\", \"shop=packs/shop\", \"/opt/desk\"]\ndata = \"../data\"\nlog_format = \"json\"\n\
         [http]\nbody_bytes_max = 4096\nbodies_bytes_max = \"1GiB\"\nrequest_timeout = \"90s\"\n\
         [jwt]\nleeway = \"1m\"\npublic_keys = [\"host.pem\"]\nissuers = []\n[cors]\ncredentials = true\norigins = [\"https://a.example\"]\n",
    );
    let Config { apps, data, log_format, settings, jwt, .. } = loaded.config;
    assert_eq!(apps, ["loyalty", "shop=etc/packs/shop", "/opt/desk"], "folders are the file's");
    assert_eq!(data, Some(PathBuf::from("etc/../data")));
    assert_eq!(log_format, LogFormat::Json);
    assert_eq!((settings.body_bytes_max, settings.bodies_bytes_max), (4096, 1 << 30));
    assert_eq!((settings.request_timeout, settings.token.leeway_s), (Duration::from_secs(90), 60));
    assert_eq!(jwt.public_keys, [PathBuf::from("etc/host.pem")]);
    assert!(settings.cors.credentials);
    let loaded = Loaded::read(
        None,
        variables(&[
            ("EBBTIDE_APPS", "loyalty, shop=packs/shop,"),
            ("EBBTIDE_HTTP_BODY_BYTES_MAX", "2MiB"),
            ("EBBTIDE_HTTP_ROWS_MAX", "7"),
            ("EBBTIDE_CORS_CREDENTIALS", "true"),
            ("EBBTIDE_CORS_ORIGINS", "https://a.example,https://b.example"),
            ("EBBTIDE_JWT_SECRET", "a secret, with a comma, is one text"),
            ("PATH", "/bin"),
            ("EBBTIDE_TOKEN", "not a key"),
        ]),
        &[flag("--app", "apps", &["desk=a,b"])],
    )
    .unwrap();
    let Config { apps, settings, jwt, .. } = &loaded.config;
    assert_eq!(*apps, ["desk=a,b"], "a flag's list replaces the variable's");
    assert_eq!((settings.body_bytes_max, settings.rows_max), (2 << 20, 7));
    assert_eq!(settings.cors.origins, ["https://a.example", "https://b.example"]);
    assert_eq!(jwt.secret.as_ref().unwrap().reveal(), "a secret, with a comma, is one text");
    assert!(loaded.warnings.is_empty(), "{:?}", loaded.warnings);
}

#[test]
fn what_is_wrong_is_told_by_line_with_what_was_given_and_what_is_allowed() {
    let check = |text: &str, want: &[&str]| {
        let told = faults(text, &[]);
        assert_eq!(told.len(), want.len(), "{told:?}");
        for (told, want) in told.iter().zip(want) {
            assert!(told.contains(want), "{want}: {told}");
        }
    };
    check(
        "\nlisen = \"x:1\"\n",
        &["etc/ebbtide.toml:2: there is no key \"lisen\" (did you mean \"listen\"?)"],
    );
    check(
        "[http]\nrow_max = 1\n",
        &["toml:2: there is no key \"http.row_max\" (did you mean \"http.rows_max\"?)"],
    );
    check("[nowhere]\nx = 1\n", &["toml:2: there is no key \"nowhere.x\""]);
    check("http = 1\n", &["toml:1: there is no key \"http\""]);
    check("[a.b]\nc = 1\n", &["there is no key \"a.b\""]);
    check(
        "[http]\n\nrows_max = 0\n",
        &["toml:3: http.rows_max: 0 was given; allowed is a whole number from 1 to 1000000"],
    );
    for bad in ["\"10\"", "-1", "1.5", "true", "[1]", "99999999999999999999", "2026-01-01"] {
        check(
            &format!("[http]\nrows_max = {bad}\n"),
            &["was given; allowed is a whole number from 1 to 1000000"],
        );
    }
    check(
        "[http]\nbody_bytes_max = \"16MB\"\n",
        &[
            "http.body_bytes_max: \"16MB\" was given; allowed is bytes from 1KiB to 1GiB: a number, or text such as \"16MiB\"",
        ],
    );
    check("[http]\nbody_timeout = 30\n", &["30 was given; allowed is a time from 100ms to 1h"]);
    check("[jwt]\nleeway = \"61s\"\n", &["\"61s\" was given; allowed is whole seconds from 0s to 60s"]);
    check("[jwt]\nleeway = \"500ms\"\n", &["\"500ms\" was given; allowed is whole seconds"]);
    check("log_format = \"yaml\"\n", &["\"yaml\" was given; allowed is \"text\" or \"json\""]);
    check("apps = \"loyalty\"\n", &["\"loyalty\" was given; allowed is a list"]);
    check("apps = [\"\"]\n", &["allowed is a list"]);
    check("[cors]\norigins = [\"https://a.example/\"]\n", &["allowed is a list of origins"]);
    check("[jwt]\njwks_url = \"http://a.example/jwks\"\n", &["an https address"]);
    check("listen = \n", &["toml:1: this is no TOML"]);
    check("listen = \"a:1\"\nlisten = \"a:2\"\n", &["this is no TOML"]);
    check(
        "[http]\nrows_max = 0\n[sql]\nthreads = \"x\"\nx = 1\n",
        &["toml:2: http.rows_max", "toml:4: sql.threads", "toml:5: there is"],
    );
    let not_text = ConfigFile { path: PathBuf::from("a.toml"), bytes: b"data = \"\n\xff\"".to_vec() };
    let told = Loaded::read(Some(&not_text), [], &[]).unwrap_err();
    assert_eq!(told[0].to_string(), "a.toml:2: this is no UTF-8 text");
    let large = ConfigFile { path: PathBuf::from("a.toml"), bytes: vec![b'\n'; CONFIG_BYTES_MAX + 1] };
    assert!(
        Loaded::read(Some(&large), [], &[]).unwrap_err()[0].to_string().contains("more than 1048576 bytes")
    );
}

#[test]
fn a_wrong_variable_is_refused_and_a_foreign_one_is_not() {
    assert_eq!(
        faults("", &[("EBBTIDE_HTTP_ROWS_MAX", "many")]),
        [
            "EBBTIDE_HTTP_ROWS_MAX: http.rows_max: \"many\" was given; allowed is a whole number from 1 to 1000000"
        ]
    );
    let pairs = variables(&[("EBBTIDE_LISTN", "x"), ("EBBTIDE_SERVICE_PORT_8080_TCP_ADDR", "10.0.0.1")]);
    let loaded = Loaded::read(None, pairs, &[]).unwrap();
    assert_eq!(loaded.warnings, ["EBBTIDE_LISTN is no setting (did you mean EBBTIDE_LISTEN?)"]);
}

#[test]
fn what_no_key_can_tell_alone_is_told_of_the_one_to_change() {
    let check = |text: &str, want: &str| {
        let told = faults(text, &[]);
        assert!(told.len() == 1 && told[0].contains(want), "{want}: {told:?}");
    };
    check(
        "[http]\nbodies_bytes_max = \"1MiB\"\n",
        "toml:2: http.bodies_bytes_max: 1048576 bytes was given; allowed is http.body_bytes_max",
    );
    check(
        "[store]\nmemory_bytes_max = \"1MiB\"\n",
        "toml:2: store.memory_bytes_max: allowed is store.flush_bytes or more",
    );
    check(
        "[jwt]\nsecret = \"a\"\nsecret_file = \"b\"\n",
        "toml:3: jwt.secret_file: allowed is it or jwt.secret, not both",
    );
    check(
        "[cors]\norigins = [\"*\"]\ncredentials = true\n",
        "toml:2: cors.origins: [\"*\"] was given; allowed is origins by name",
    );
    check("[cors]\norigins = [\"*\", \"https://a.example\"]\n", "\"*\" alone");
}

#[test]
fn no_secret_is_shown() {
    let secret = "this must not be seen anywhere";
    let text = format!("[jwt]\nsecret = \"{secret}\"\nsecret_previous = \"{secret}\"\n");
    let loaded = of_file(&text);
    let shown = format!("{}{:?}", loaded.shown(), loaded);
    assert!(!shown.contains(secret), "{shown}");
    assert!(loaded.shown().contains("secret = \"(not shown)\"  # etc/ebbtide.toml:2"), "{}", loaded.shown());
    let wrong = faults("[jwt]\nsecret = [\"this must not be seen anywhere\"]\n", &[]);
    assert!(wrong.len() == 1 && !wrong[0].contains(secret), "{wrong:?}");
}

#[test]
fn what_is_shown_is_a_file_that_means_the_same() {
    let loaded = of_file(
        "listen = \"127.0.0.1:9\"\n[jwt]\nleeway = \"7s\"\n[cors]\norigins = [\"https://a.example\"]\n",
    );
    let again = Loaded::read(Some(&file(&loaded.shown())), [], &[]).unwrap();
    let Config { listen, settings, .. } = again.config;
    assert_eq!((listen.as_str(), settings.token.leeway_s), ("127.0.0.1:9", 7));
    assert_eq!(settings.cors.origins, ["https://a.example"]);
}
