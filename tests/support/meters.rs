//! What the servers of one test measure: they are made on the test's thread, and so are
//! their instruments.

use opentelemetry::{
    InstrumentationScope, KeyValue, global,
    metrics::{
        Counter, Histogram, HistogramBuilder, InstrumentBuilder, InstrumentProvider, Meter,
        MeterProvider, SyncInstrument, noop::NoopMeterProvider,
    },
};
use std::{
    cell::RefCell,
    collections::BTreeMap,
    sync::{Arc, Mutex, Once},
};

thread_local! {
    static HERE: RefCell<Option<Meters>> = const { RefCell::new(None) };
}

/// Every measurement, by the instrument's name and attributes: `name{key=value}`.
#[derive(Debug, Clone, Default)]
pub struct Meters(Arc<Mutex<BTreeMap<String, Vec<f64>>>>);

impl Meters {
    /// Listens to every server that this thread makes from now on.
    pub fn of_this_thread() -> Self {
        static PROVIDER: Once = Once::new();
        PROVIDER.call_once(|| global::set_meter_provider(Provider));
        let meters = Self::default();
        HERE.set(Some(meters.clone()));
        meters
    }

    /// The measurements of one instrument with these attributes.
    pub fn of(&self, instrument: &str) -> Vec<f64> {
        self.0
            .lock()
            .unwrap()
            .get(instrument)
            .cloned()
            .unwrap_or_default()
    }

    /// The sums of all whose name begins so, by their names without it.
    pub fn sums(&self, prefix: &str) -> BTreeMap<String, f64> {
        let all = self.0.lock().unwrap();
        all.iter()
            .filter_map(|(name, values)| {
                Some((name.strip_prefix(prefix)?.to_owned(), values.iter().sum()))
            })
            .collect()
    }
}

struct Provider;

impl MeterProvider for Provider {
    fn meter_with_scope(&self, scope: InstrumentationScope) -> Meter {
        match HERE.with_borrow(Clone::clone) {
            Some(meters) => Meter::new(Arc::new(meters)),
            None => NoopMeterProvider::new().meter_with_scope(scope),
        }
    }
}

/// One instrument.
struct Needle {
    name: String,
    meters: Meters,
}

impl Meters {
    fn needle(&self, name: &str) -> Arc<Needle> {
        Arc::new(Needle {
            name: name.to_owned(),
            meters: self.clone(),
        })
    }
}

impl InstrumentProvider for Meters {
    fn u64_counter(&self, builder: InstrumentBuilder<'_, Counter<u64>>) -> Counter<u64> {
        Counter::new(self.needle(&builder.name))
    }

    fn f64_histogram(&self, builder: HistogramBuilder<'_, Histogram<f64>>) -> Histogram<f64> {
        Histogram::new(self.needle(&builder.name))
    }

    fn u64_histogram(&self, builder: HistogramBuilder<'_, Histogram<u64>>) -> Histogram<u64> {
        Histogram::new(self.needle(&builder.name))
    }
}

impl SyncInstrument<u64> for Needle {
    #[expect(clippy::cast_precision_loss, reason = "tests count little")]
    fn measure(&self, measurement: u64, attributes: &[KeyValue]) {
        SyncInstrument::<f64>::measure(self, measurement as f64, attributes);
    }
}

impl SyncInstrument<f64> for Needle {
    fn measure(&self, measurement: f64, attributes: &[KeyValue]) {
        let attributes: Vec<_> = attributes
            .iter()
            .map(|one| format!("{}={}", one.key, one.value))
            .collect();
        let name = format!("{}{{{}}}", self.name, attributes.join(","));
        let mut all = self.meters.0.lock().unwrap();
        all.entry(name).or_default().push(measurement);
    }
}
