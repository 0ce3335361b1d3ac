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

/// A collector that takes no spans at the end delays it no longer than this.
#[cfg(feature = "otel")]
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(2);

/// How traces are to be sent, where a variable says it.
#[cfg(feature = "otel")]
fn protocol(variables: &Variables) -> Option<&str> {
    let names = ["OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"];
    names.iter().find_map(|name| variables.get(name))
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

    use super::{PATIENCE, are_wanted, protocol};
    use crate::secret::Variables;

    /// What gathers spans, until it is told to end.
    pub struct Traces(Result<Option<SdkTracerProvider>, String>);

    impl Traces {
        /// Begins to gather, where that is wanted; that it cannot be set up stops nothing.
        #[must_use]
        pub fn begin(variables: &Variables) -> Self {
            if !are_wanted(variables) {
                return Self(Ok(None));
            }
            if let Some(other) = protocol(variables).filter(|it| *it != "http/protobuf") {
                return Self(Err(format!("{other}: traces are sent by http/protobuf alone")));
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
            Self(provider.map(Some).map_err(|error| error.to_string()))
        }

        /// What takes spans from the program.
        #[must_use]
        pub fn layer<S>(&self) -> Option<OpenTelemetryLayer<S, Tracer>>
        where
            S: Subscriber + for<'span> LookupSpan<'span>,
        {
            let tracer = self.0.as_ref().ok()?.as_ref()?.tracer("tagalong");
            Some(tracing_opentelemetry::layer().with_tracer(tracer))
        }

        /// Says why nothing is gathered that was to be.
        pub fn tell(&self) {
            if let Err(why) = &self.0 {
                tracing::warn!(why, "no traces are sent");
            }
        }

        /// Sends what is left.
        pub fn end(self) {
            // A collector that is gone is no reason to fail, nor to wait for long.
            if let Ok(Some(provider)) = self.0 {
                provider.shutdown_with_timeout(PATIENCE).ok();
            }
        }
    }
}

#[cfg(not(feature = "otel"))]
mod sent {
    use super::are_wanted;
    use crate::secret::Variables;

    /// Stands for what gathers spans.
    pub struct Traces(bool);

    impl Traces {
        /// Nothing is gathered.
        #[must_use]
        pub fn begin(variables: &Variables) -> Self {
            Self(are_wanted(variables))
        }

        /// Says why nothing is gathered that was to be.
        pub fn tell(&self) {
            if self.0 {
                tracing::warn!("no traces are sent: this program is built without them");
            }
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
