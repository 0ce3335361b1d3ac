//! Traces by OpenTelemetry, where the standard variables name a collector
//! (<https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/>); without them nothing is gathered.

use crate::secret::Variables;

/// Variables that say where traces go.
const COLLECTORS: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"];

/// Whether traces are wanted.
fn are_wanted(variables: &Variables) -> bool {
    let is_off =
        variables.get("OTEL_SDK_DISABLED").is_some_and(|off| off.eq_ignore_ascii_case("true"))
            || variables.get("OTEL_TRACES_EXPORTER") == Some("none");
    !is_off && COLLECTORS.iter().any(|name| variables.get(name).is_some())
}

#[cfg(feature = "otel")]
mod sent {
    use opentelemetry::trace::TracerProvider as _;
    use opentelemetry_otlp::SpanExporter;
    use opentelemetry_sdk::Resource;
    use opentelemetry_sdk::trace::{SdkTracerProvider, Tracer};
    use tracing::Subscriber;
    use tracing_opentelemetry::OpenTelemetryLayer;
    use tracing_subscriber::registry::LookupSpan;

    use super::are_wanted;
    use crate::secret::Variables;

    /// What gathers spans, until it is told to end.
    pub struct Traces(Option<SdkTracerProvider>);

    impl Traces {
        /// Begins to gather, where that is wanted; what cannot be set up is said on standard error, and stops nothing.
        #[must_use]
        pub fn begin(variables: &Variables) -> Self {
            if !are_wanted(variables) {
                return Self(None);
            }
            let exporter = SpanExporter::builder().with_http().build();
            let provider = exporter.map(|exporter| {
                let mut resource = Resource::builder();
                if variables.get("OTEL_SERVICE_NAME").is_none() {
                    resource = resource.with_service_name("tagalong");
                }
                SdkTracerProvider::builder()
                    .with_batch_exporter(exporter)
                    .with_resource(resource.build())
                    .build()
            });
            Self(provider.ok())
        }

        /// What takes spans from the program.
        #[must_use]
        pub fn layer<S>(&self) -> Option<OpenTelemetryLayer<S, Tracer>>
        where
            S: Subscriber + for<'span> LookupSpan<'span>,
        {
            let tracer = self.0.as_ref()?.tracer("tagalong");
            Some(tracing_opentelemetry::layer().with_tracer(tracer))
        }

        /// Sends what is left.
        pub fn end(self) {
            // A collector that is gone is no reason to fail.
            self.0.map(|provider| provider.shutdown().ok());
        }
    }
}

#[cfg(not(feature = "otel"))]
mod sent {
    use super::are_wanted;
    use crate::secret::Variables;

    /// Stands for what gathers spans.
    pub struct Traces;

    impl Traces {
        /// Nothing is gathered.
        #[must_use]
        pub fn begin(variables: &Variables) -> Self {
            if are_wanted(variables) {
                tracing::warn!("this program is built without traces");
            }
            Self
        }

        /// Nothing takes spans.
        #[must_use]
        pub fn layer(&self) -> Option<tracing_subscriber::layer::Identity> {
            None
        }

        /// Nothing is left.
        pub fn end(self) {}
    }
}

pub use sent::Traces;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_standard_variables_say_whether() {
        let wanted = |all: &[(&str, &str)]| {
            let all = all.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
            are_wanted(&all.collect())
        };
        let at = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4318");
        assert!(!wanted(&[]) && wanted(&[at]));
        assert!(wanted(&[(
            "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
            "http://127.0.0.1:4318/v1/traces"
        )]));
        assert!(!wanted(&[at, ("OTEL_SDK_DISABLED", "true")]));
        assert!(!wanted(&[at, ("OTEL_TRACES_EXPORTER", "none")]));
    }
}
