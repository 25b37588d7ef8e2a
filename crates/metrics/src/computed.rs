//! Metrics that are looked up when somebody asks for them.

use std::fmt;

use prometheus_client::{
    encoding::{EncodeMetric, MetricEncoder, NoLabelSet},
    metrics::MetricType,
};

use crate::Labels;

type Look<L> = Box<dyn Fn(L) -> Option<f64> + Send + Sync>;

/// A gauge that is looked up; no series where nothing is known.
pub struct Computed(Look<()>);

impl Computed {
    /// The one that `look` finds.
    pub fn new(look: impl Fn() -> Option<f64> + Send + Sync + 'static) -> Self {
        Self(Box::new(move |()| look()))
    }
}

impl EncodeMetric for Computed {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        match (self.0)(()) {
            Some(value) => encoder.encode_gauge(&value),
            None => Ok(()),
        }
    }

    fn metric_type(&self) -> MetricType {
        MetricType::Gauge
    }
}

impl fmt::Debug for Computed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Computed(…)")
    }
}

/// A gauge that is looked up for each value of a label; no series where nothing is known.
pub struct Measured<L>(Look<L>);

impl<L: Labels> Measured<L> {
    /// The one that `look` finds.
    pub fn new(look: impl Fn(L) -> Option<f64> + Send + Sync + 'static) -> Self {
        Self(Box::new(look))
    }
}

impl<L: Labels> EncodeMetric for Measured<L> {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        for label in L::all() {
            if let Some(value) = (self.0)(label) {
                encoder.encode_family(&L::pairs(label.index()))?.encode_gauge(&value)?;
            }
        }
        Ok(())
    }

    fn metric_type(&self) -> MetricType {
        MetricType::Gauge
    }
}

impl<L> fmt::Debug for Measured<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Measured(…)")
    }
}

/// A counter that is looked up.
pub struct Total(Box<dyn Fn() -> f64 + Send + Sync>);

impl Total {
    /// The one that `look` finds, which must never shrink.
    pub fn new(look: impl Fn() -> f64 + Send + Sync + 'static) -> Self {
        Self(Box::new(look))
    }
}

impl EncodeMetric for Total {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        encoder.encode_counter::<NoLabelSet, _, u64>(&(self.0)(), None)
    }

    fn metric_type(&self) -> MetricType {
        MetricType::Counter
    }
}

impl fmt::Debug for Total {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Total(…)")
    }
}

/// A gauge that is looked up for things that have names, of which the operator decides how many there are.
pub struct Each {
    label: &'static str,
    look: Box<dyn Fn() -> Vec<(String, f64)> + Send + Sync>,
}

impl Each {
    /// The ones that `look` finds, with their names.
    pub fn new(label: &'static str, look: impl Fn() -> Vec<(String, f64)> + Send + Sync + 'static) -> Self {
        Self { label, look: Box::new(look) }
    }
}

impl EncodeMetric for Each {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        for (name, value) in (self.look)() {
            encoder.encode_family(&[(self.label, name)])?.encode_gauge(&value)?;
        }
        Ok(())
    }

    fn metric_type(&self) -> MetricType {
        MetricType::Gauge
    }
}

impl fmt::Debug for Each {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Each(…)")
    }
}
