//! The store's sizes as metrics: by app and table, over all tenants.

use ebbtide_store::{Statistics, TableStatistics};

use crate::metrics::Gauge;

/// A number of each table.
struct OfTable {
    name: &'static str,
    help: &'static str,
    of: fn(&TableStatistics) -> u64,
}

const OF_TABLES: [OfTable; 6] = [
    OfTable { name: "ebbtide_table_rows", help: "Rows that readers see.", of: |table| table.rows },
    OfTable {
        name: "ebbtide_table_waiting_rows",
        help: "Rows that wait for their parent.",
        of: |table| table.waiting,
    },
    OfTable { name: "ebbtide_table_segments", help: "Segments.", of: |table| table.segments },
    OfTable { name: "ebbtide_table_disk_bytes", help: "Bytes of segments.", of: |table| table.disk_bytes },
    OfTable {
        name: "ebbtide_table_memory_bytes",
        help: "Bytes of rows and keys that are in no segment yet.",
        of: |table| table.memory_bytes,
    },
    OfTable {
        name: "ebbtide_table_keys",
        help: "Keys, those of rows that were replaced or deleted and not yet compacted among them.",
        of: |table| table.keys,
    },
];

/// The numbers of one name come one after the other.
pub(super) fn store_gauges(statistics: &Statistics) -> Vec<Gauge> {
    let single = |name, help, value| gauge(name, help, Vec::new(), value);
    let mut gauges = vec![
        single("ebbtide_arrivals", "The number of the last row or change.", statistics.last_arrival),
        single("ebbtide_log_bytes", "Bytes of the log that are in no segment yet.", statistics.log_bytes),
    ];
    for number in &OF_TABLES {
        for table in &statistics.tables {
            gauges.push(gauge(number.name, number.help, labels(table), (number.of)(table)));
        }
    }
    for table in &statistics.tables {
        let arrived = &table.arrived;
        for (outcome, rows) in [
            ("accepted", arrived.accepted),
            ("duplicate", arrived.duplicates),
            ("waiting", arrived.waiting),
            ("rejected", arrived.rejected),
            ("placed", arrived.placed),
            ("void", arrived.void),
        ] {
            let mut labels = labels(table);
            labels.push(("outcome", outcome.to_owned()));
            gauges.push(gauge("ebbtide_stored_rows_total", "What the store made of rows.", labels, rows));
        }
    }
    gauges
}

fn labels(table: &TableStatistics) -> Vec<(&'static str, String)> {
    vec![("app", table.app.as_str().to_owned()), ("table", table.table.as_str().to_owned())]
}

fn gauge(name: &'static str, help: &'static str, labels: Vec<(&'static str, String)>, value: u64) -> Gauge {
    #[expect(clippy::cast_precision_loss, reason = "a gauge shows magnitudes")]
    let value = value as f64;
    Gauge { name, help, labels, value }
}
