//! The crates depend on each other in one direction, and each heavy library stays in its layer.

#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::too_many_lines,
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    dead_code,
    unreachable_pub,
    reason = "a test says what it expects, and panics where it is not so; a helper may serve another program"
)]

use std::collections::BTreeMap;
use std::process::Command;

use serde_json::Value as Json;

/// Crate, the crates of ours it may use, the libraries it must not.
const LAYERS: [(&str, &[&str], &[&str]); 6] = [
    ("ebbtide-model", &[], &["arrow", "parquet", "datafusion", "tokio", "axum", "memmap2"]),
    ("ebbtide-store", &["ebbtide-model"], &["datafusion", "tokio", "axum"]),
    ("ebbtide-engine", &["ebbtide-model", "ebbtide-store"], &["parquet", "axum"]),
    ("ebbtide-web", &[], &["arrow", "parquet", "datafusion", "tokio", "axum"]),
    ("ebbtide-server", &["ebbtide-model", "ebbtide-store", "ebbtide-engine", "ebbtide-web"], &["datafusion"]),
    (
        "ebbtide-cli",
        &["ebbtide-model", "ebbtide-store", "ebbtide-engine", "ebbtide-server"],
        &["datafusion", "axum"],
    ),
];

/// Each package of the workspace with the names of what it is built from (tests' own aside).
fn dependencies() -> BTreeMap<String, Vec<String>> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--offline", "--format-version", "1"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Json = serde_json::from_slice(&output.stdout).unwrap();
    let text = |json: &Json| json.as_str().unwrap().to_owned();
    let packages = metadata["packages"].as_array().unwrap().iter();
    let built_from = |package: &Json| {
        let all = package["dependencies"].as_array().unwrap().iter();
        all.filter(|dependency| dependency["kind"] != "dev")
            .map(|dependency| text(&dependency["name"]))
            .collect()
    };
    packages.map(|package| (text(&package["name"]), built_from(package))).collect()
}

#[test]
fn crates_depend_in_one_direction() {
    let packages = dependencies();
    assert_eq!(packages.len(), LAYERS.len(), "a crate without a layer: {:?}", packages.keys());
    for (name, below, _) in LAYERS {
        for dependency in packages[name].iter().filter(|dependency| dependency.starts_with("ebbtide")) {
            assert!(below.contains(&dependency.as_str()), "{name} must not use {dependency}");
        }
    }
}

#[test]
fn heavy_libraries_stay_in_their_layer() {
    let packages = dependencies();
    for (name, _, forbidden) in LAYERS {
        for dependency in &packages[name] {
            assert!(!forbidden.contains(&dependency.as_str()), "{name} must not use {dependency}");
        }
    }
}
