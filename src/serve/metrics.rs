//! What is counted, in the words of Prometheus (<https://prometheus.io/docs/practices/naming/>); `docs/operations.md` has the table.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicI64, AtomicU64};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

/// More hosts of registries than this have one series together.
const HOSTS: usize = 200;

/// How long runs take, in seconds.
const BUCKETS: [f64; 9] = [0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0, 300.0];

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct Of {
    pub(super) repository: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct OutcomeLabel {
    pub(super) repository: String,
    pub(super) outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct Rung {
    pub(super) path: String,
    pub(super) outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct HostLabel {
    pub(super) host: String,
}

type Seconds = Gauge<f64, AtomicU64>;
type IntegerGauge = Gauge<i64, AtomicI64>;

/// Everything that is counted.
#[derive(Clone)]
pub(super) struct Metrics {
    registry: Arc<Registry>,
    pub(super) runs: Family<OutcomeLabel, Counter>,
    pub(super) duration: Family<Of, Histogram, fn() -> Histogram>,
    pub(super) last_success: Family<Of, Seconds>,
    pub(super) images: Family<OutcomeLabel, IntegerGauge>,
    pub(super) deliveries: Family<OutcomeLabel, Counter>,
    registry_requests: Family<HostLabel, Counter>,
    pub(super) webhooks: Family<Rung, Counter>,
    pub(super) running: IntegerGauge,
    pub(super) hinted: IntegerGauge,
    pub(super) reload_failures: Counter,
    memory: IntegerGauge,
    /// Hosts of registries that have a series.
    hosts: Arc<Mutex<BTreeSet<String>>>,
}

impl Metrics {
    /// Nothing is counted yet.
    pub(super) fn new(started: f64) -> Self {
        let mut root = Registry::default();
        let process = root.sub_registry_with_prefix("process");
        let start = Seconds::default();
        start.set(started);
        process.register_with_unit("start_time", "When it began, since 1970", Unit::Seconds, start);
        let memory = IntegerGauge::default();
        process.register_with_unit("resident_memory", "Memory in use", Unit::Bytes, memory.clone());
        let all = root.sub_registry_with_prefix("tagalong");
        let histogram: fn() -> Histogram = || Histogram::new(BUCKETS);
        let metrics = Self {
            registry: Arc::default(),
            runs: Family::default(),
            duration: Family::new_with_constructor(histogram),
            last_success: Family::default(),
            images: Family::default(),
            deliveries: Family::default(),
            registry_requests: Family::default(),
            webhooks: Family::default(),
            running: IntegerGauge::default(),
            hinted: IntegerGauge::default(),
            reload_failures: Counter::default(),
            memory,
            hosts: Arc::default(),
        };
        metrics.register(all);
        let build = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
        all.register("build", "The program", build);
        Self { registry: Arc::new(root), ..metrics }
    }

    fn register(&self, all: &mut Registry) {
        all.register("runs", "Runs by how they ended", self.runs.clone());
        all.register_with_unit(
            "run_duration",
            "How long runs took",
            Unit::Seconds,
            self.duration.clone(),
        );
        let help = "When a run last ended otherwise than failed, since 1970; 0 at first";
        all.register_with_unit(
            "last_success_timestamp",
            help,
            Unit::Seconds,
            self.last_success.clone(),
        );
        all.register(
            "images",
            "Images by what the last run of everything decided",
            self.images.clone(),
        );
        all.register("deliveries", "Change sets by what became of them", self.deliveries.clone());
        let help = "Requests to registries";
        all.register("registry_requests", help, self.registry_requests.clone());
        all.register("webhooks", "Webhooks by what became of them", self.webhooks.clone());
        all.register("runs_in_progress", "Runs that are under way", self.running.clone());
        all.register(
            "repositories_hinted",
            "Repositories that wait to be looked at after a webhook",
            self.hinted.clone(),
        );
        all.register(
            "settings_reload_failures",
            "Settings that were not taken",
            self.reload_failures.clone(),
        );
    }

    /// A run ended.
    pub(super) fn ran(&self, repository: &str, outcome: &'static str, took: Duration) {
        let repository = repository.to_owned();
        self.duration
            .get_or_create(&Of { repository: repository.clone() })
            .observe(took.as_secs_f64());
        self.runs.get_or_create(&OutcomeLabel { repository, outcome }).inc();
    }

    /// A repository is not served any more.
    pub(super) fn forget(&self, repository: &str) {
        self.last_success.remove(&Of { repository: repository.to_owned() });
        for outcome in ["update", "keep", "hold", "undecided"] {
            self.images.remove(&OutcomeLabel { repository: repository.to_owned(), outcome });
        }
    }

    /// Requests went to a registry. Policies name hosts, so after the first ones all others are one series.
    pub(super) fn requested(&self, host: String, number: u64) {
        let Ok(mut hosts) = self.hosts.lock() else { return };
        let is_own = hosts.contains(&host) || hosts.len() < HOSTS;
        let host = if is_own { host } else { "other".to_owned() };
        self.registry_requests.get_or_create(&HostLabel { host: host.clone() }).inc_by(number);
        hosts.insert(host);
    }

    /// A webhook came.
    pub(super) fn rung(&self, path: &str, outcome: &'static str) {
        self.webhooks.get_or_create(&Rung { path: path.to_owned(), outcome }).inc();
    }

    /// All of it, in the text form of `OpenMetrics`.
    pub(super) fn text(&self) -> String {
        self.memory.set(resident().unwrap_or_default());
        let mut text = String::new();
        // Writing to a string does not fail.
        encode(&mut text, &self.registry).ok();
        text
    }
}

/// Memory in use, in bytes, where the system says it.
fn resident() -> Option<i64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix(" kB")?.parse::<i64>().ok().map(|kib| kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_units_are_those_of_the_field() {
        let metrics = Metrics::new(1.0);
        metrics.ran("acme/fleet", "done", Duration::from_millis(300));
        metrics.rung("/hooks/github", "accepted");
        for host in 0..1_500 {
            metrics.requested(format!("r{host}.io"), 1);
            metrics.requested(format!("r{host}.io"), 1);
        }
        let text = metrics.text();
        for line in [
            "tagalong_runs_total{repository=\"acme/fleet\",outcome=\"done\"} 1",
            "tagalong_run_duration_seconds_bucket{le=\"0.5\",repository=\"acme/fleet\"} 1",
            "tagalong_webhooks_total{path=\"/hooks/github\",outcome=\"accepted\"} 1",
            "process_start_time_seconds 1.0",
            "tagalong_registry_requests_total{host=\"r7.io\"} 2",
            "tagalong_registry_requests_total{host=\"other\"} 2600",
            "# EOF",
        ] {
            assert!(text.contains(line), "{line} is not in\n{text}");
        }
    }
}
