//! What the READMEs of the examples tell people to type is taken as it stands there, over tables without a row.

use std::fs;
use std::process::Command;

use crate::ebbtide::Folder;

/// The examples, each with one of its tables.
const EXAMPLES: [(&str, &str); 5] = [
    ("cdnow", "purchases"),
    ("clickstream", "events"),
    ("completejourney", "purchases"),
    ("incidents", "incidents"),
    ("oulad", "students"),
];
const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

/// The commands of a text's blocks of shell that need no file of data.
fn commands(readme: &str) -> Vec<String> {
    let blocks = readme.split("```sh\n").skip(1).filter_map(|rest| rest.split("```").next());
    let whole = blocks.map(|block| block.replace("\\\n", " ")).collect::<String>();
    let asks = ["ebbtide check ", "ebbtide report ", "ebbtide query "];
    let lines = whole.lines().filter(|line| asks.iter().any(|ask| line.starts_with(ask)));
    lines.map(str::to_owned).collect()
}

/// With another data folder.
fn over(command: &str, data: &str) -> String {
    let Some((before, rest)) = command.split_once("--data ") else { return command.to_owned() };
    let (_, after) = rest.split_once(' ').unwrap();
    format!("{before}--data '{data}' {after}")
}

#[test]
fn the_commands_of_every_example_are_taken() {
    for (example, table) in EXAMPLES {
        let folder = Folder::new();
        let pack = format!("{ROOT}/examples/{example}");
        folder.write("none.ndjson", b"");
        let none = folder.run(&["import", "--data", "data", "--app", &pack, "--table", table, "none.ndjson"]);
        assert_eq!(none.code, 0, "{none:?}");
        let commands = commands(&fs::read_to_string(format!("{pack}/README.md")).unwrap());
        assert!(!commands.is_empty(), "{example}");
        for command in commands {
            let data = folder.path("data");
            let line = over(&command, data.to_str().unwrap());
            let script = format!("ebbtide() {{ \"$BINARY\" \"$@\"; }}\n{line}");
            let output = Command::new("sh")
                .args(["-c", &script])
                .env("BINARY", env!("CARGO_BIN_EXE_ebbtide"))
                .current_dir(ROOT)
                .output()
                .unwrap();
            assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
        }
    }
}
