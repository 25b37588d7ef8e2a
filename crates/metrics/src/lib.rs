//! Metrics for Prometheus.
//!
//! Each crate declares those of what it does, and registers them with [`Registry`]. Labels are closed sets
//! ([`label!`]): every series is there from the start, none is made by what a client sends, and counting is an
//! addition without a look-up.

mod computed;
mod label;
mod process;

use std::{fmt, ops::Index, sync::Arc};

use prometheus_client::{
    encoding::{EncodeMetric, MetricEncoder},
    metrics::{MetricType, TypedMetric},
};

pub use computed::{Computed, Each, Measured, Total};
pub use label::{Label, Labels};
pub use process::register_process;
pub use prometheus_client::{
    encoding::text::encode,
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram, info::Info},
    registry::{Registry, Unit},
};

/// What every metric of Gatepost's own begins with.
pub const PREFIX: &str = "gatepost";

/// A metric for each value of a label, or of a pair of them. Cloning is cheap and shares what is counted.
pub struct By<L, M> {
    metrics: Arc<[M]>,
    labels: std::marker::PhantomData<fn(L)>,
}

impl<L: Labels, M> By<L, M> {
    /// One that `make` gives for each value.
    pub fn new(make: impl Fn() -> M) -> Self {
        Self { metrics: (0..L::COUNT).map(|_| make()).collect(), labels: std::marker::PhantomData }
    }
}

impl<L: Labels, M: Default> Default for By<L, M> {
    fn default() -> Self {
        Self::new(M::default)
    }
}

impl<L, M> Clone for By<L, M> {
    fn clone(&self) -> Self {
        Self { metrics: self.metrics.clone(), labels: std::marker::PhantomData }
    }
}

impl<L: Labels, M> Index<L> for By<L, M> {
    type Output = M;

    fn index(&self, labels: L) -> &M {
        &self.metrics[labels.index()]
    }
}

impl<L, M> fmt::Debug for By<L, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "By({} series)", self.metrics.len())
    }
}

impl<L: Labels, M: EncodeMetric + TypedMetric> EncodeMetric for By<L, M> {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        for (index, metric) in self.metrics.iter().enumerate() {
            metric.encode(encoder.encode_family(&L::pairs(index))?)?;
        }
        Ok(())
    }

    fn metric_type(&self) -> MetricType {
        M::TYPE
    }
}

/// A histogram of durations in seconds, from half a millisecond to ten seconds.
pub fn durations() -> Histogram {
    Histogram::new([0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0])
}

/// A histogram of how many went together, from one to 256.
pub fn sizes() -> Histogram {
    Histogram::new([1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0])
}

#[cfg(test)]
mod tests {
    use super::*;

    label! {
        /// What became of it.
        enum Outcome("outcome") {
            Fine = "fine",
            Bad = "bad",
        }
    }

    label! {
        /// By which way.
        enum Way("way") {
            Long = "long",
            Short = "short",
        }
    }

    #[test]
    fn every_series_is_there_from_the_start() {
        let mut registry = Registry::with_prefix(PREFIX);
        let by: By<(Way, Outcome), Counter> = By::default();
        registry.register("things", "What came", by.clone());
        registry.register("age", "How old it is", Computed::new(|| Some(1.5)));
        registry.register(
            "room",
            "How much is left",
            Measured::new(|outcome: Outcome| match outcome {
                Outcome::Fine => Some(2.0),
                Outcome::Bad => None,
            }),
        );
        registry.register("asked", "How often it was asked", Total::new(|| 7.0));
        by[(Way::Short, Outcome::Bad)].inc();
        by.clone()[(Way::Short, Outcome::Bad)].inc();
        let mut text = String::new();
        encode(&mut text, &registry).expect("text");
        let samples: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
        assert_eq!(
            samples,
            [
                r#"gatepost_things_total{way="long",outcome="fine"} 0"#,
                r#"gatepost_things_total{way="long",outcome="bad"} 0"#,
                r#"gatepost_things_total{way="short",outcome="fine"} 0"#,
                r#"gatepost_things_total{way="short",outcome="bad"} 2"#,
                "gatepost_age 1.5",
                r#"gatepost_room{outcome="fine"} 2.0"#,
                "gatepost_asked_total 7.0",
            ]
        );
    }
}
