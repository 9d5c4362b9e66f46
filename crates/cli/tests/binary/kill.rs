//! The real binary, killed at any moment: what it acknowledged is there afterwards, once.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use crate::ebbtide::{Folder, Server, post};
use serde_json::{Value as Json, json};

const WRITERS: u64 = 4;
const CYCLES: u64 = 20;
const ROWS_PER_BATCH: u64 = 7;

/// Posts batches until the server is gone; gives the ids that were acknowledged. `next` is the first
/// id that this writer has not used.
fn write(url: &str, token: &str, writer: u64, next: &mut u64, batches: &AtomicU64) -> Vec<u64> {
    let mut durable = Vec::new();
    loop {
        let ids: Vec<u64> = (0..ROWS_PER_BATCH).map(|offset| (*next + offset) * WRITERS + writer).collect();
        *next += ROWS_PER_BATCH;
        let row = |id: &u64| json!({"id": id, "shop_id": 1 + id % 3, "customer_id": id % 11, "at": "2024-02-29T10:00:00Z"});
        let rows = Json::from(ids.iter().map(row).collect::<Vec<_>>());
        let Some(answer) = post(url, token, "/v1/tables/orders/rows", &rows) else {
            return durable;
        };
        assert_eq!(answer["accepted"], ROWS_PER_BATCH, "{answer}");
        durable.extend(ids);
        batches.fetch_add(1, Ordering::Relaxed);
    }
}

/// The ids that are there, each of which must be there once.
fn stored(url: &str, token: &str) -> HashSet<u64> {
    let count = json!({"sql": "SELECT count(*) AS n, min(id) AS low, max(id) AS high FROM orders"});
    let answer = post(url, token, "/v1/sql", &count).unwrap();
    let rows = answer["rows"][0]["n"].as_u64().unwrap();
    let mut ids = HashSet::new();
    let mut from: i64 = -1;
    while u64::try_from(ids.len()).unwrap() < rows {
        let page = json!({"sql": "SELECT id FROM orders WHERE id > $from ORDER BY id LIMIT 5000", "params": {"from": from}});
        let answer = post(url, token, "/v1/sql", &page).unwrap();
        let page: Vec<u64> =
            answer["rows"].as_array().unwrap().iter().map(|row| row["id"].as_u64().unwrap()).collect();
        assert!(!page.is_empty(), "{rows} rows were counted, and {} ids found", ids.len());
        from = i64::try_from(*page.last().unwrap()).unwrap();
        for id in page {
            assert!(ids.insert(id), "{id} is there twice");
        }
    }
    ids
}

#[test]
fn what_was_acknowledged_survives_twenty_kills_of_a_server_with_four_writers() {
    let folder = Folder::with_shop();
    let token = folder.token(&["--app", "shop", "--role", "admin"]);
    let mut next = [0_u64; 4];
    let mut acknowledged: HashSet<u64> = HashSet::new();
    let mut sent_max = 0;
    for cycle in 0..CYCLES {
        let mut server = Server::start(&folder, &["--app", "shop"]);
        let there = stored(&server.url, &token);
        assert!(acknowledged.is_subset(&there), "cycle {cycle}: rows are lost");
        assert!(there.iter().all(|id| *id < sent_max), "cycle {cycle}: rows are made up");
        let batches = AtomicU64::new(0);
        // After another number of answers each time; the other three writers are anywhere then.
        let enough = 1 + cycle * 17 % 61;
        let durable: Vec<u64> = thread::scope(|scope| {
            let (url, token, batches) = (&server.url, &token, &batches);
            let writers: Vec<_> = (0..WRITERS)
                .zip(&mut next)
                .map(|(writer, next)| scope.spawn(move || write(url, token, writer, next, batches)))
                .collect();
            while batches.load(Ordering::Relaxed) < enough {
                thread::yield_now();
            }
            server.process.kill().unwrap();
            writers.into_iter().flat_map(|writer| writer.join().unwrap()).collect()
        });
        server.process.wait().unwrap();
        acknowledged.extend(durable);
        sent_max = next.iter().max().unwrap() * WRITERS;
    }
    let server = Server::start(&folder, &["--app", "shop"]);
    let there = stored(&server.url, &token);
    assert!(acknowledged.is_subset(&there), "rows are lost");
    assert!(acknowledged.len() >= usize::try_from(CYCLES * ROWS_PER_BATCH).unwrap());
    server.stop();
    let run = folder.run(&["verify", "--data", "data"]);
    assert_eq!(run.code, 0, "{run:?}");
}
