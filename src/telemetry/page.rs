//! Prometheus' text format, version 0.0.4: a family's help and type once, then its series.

use std::fmt::{self, Write as _};

use super::metrics::{Kind, Metric};

/// What a page of this format is.
pub(super) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// A value as the format writes it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Value {
    /// Counts stay exact.
    Count(u64),
    Measure(f64),
}

impl From<u64> for Value {
    fn from(count: u64) -> Self {
        Self::Count(count)
    }
}

impl From<f64> for Value {
    fn from(measure: f64) -> Self {
        Self::Measure(measure)
    }
}

impl From<bool> for Value {
    fn from(is: bool) -> Self {
        Self::Count(is.into())
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count(count) => write!(f, "{count}"),
            Self::Measure(measure) if measure.is_nan() => f.write_str("NaN"),
            Self::Measure(measure) if measure.is_infinite() => {
                f.write_str(if *measure > 0.0 { "+Inf" } else { "-Inf" })
            }
            Self::Measure(measure) => write!(f, "{measure}"),
        }
    }
}

/// Names and values of labels.
pub(super) type Labels<'a> = &'a [(&'a str, &'a str)];

/// A page under construction.
#[derive(Debug, Default)]
pub(super) struct Page(String);

impl Page {
    /// Begins a family; all its series have to follow.
    pub(super) fn family(&mut self, metric: &Metric) -> Family<'_> {
        let Metric { name, kind, help } = *metric;
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
        };
        let help = help.replace('\\', "\\\\").replace('\n', "\\n");
        self.line(format_args!("# HELP {name} {help}"));
        self.line(format_args!("# TYPE {name} {kind}"));
        Family { page: self, name }
    }

    fn line(&mut self, line: fmt::Arguments<'_>) {
        writeln!(self.0, "{line}").expect("a String takes everything");
    }

    pub(super) fn finish(self) -> String {
        self.0
    }
}

/// The series of one metric.
#[derive(Debug)]
pub(super) struct Family<'a> {
    page: &'a mut Page,
    name: &'static str,
}

impl Family<'_> {
    pub(super) fn series(&mut self, labels: Labels<'_>, value: impl Into<Value>) {
        let value: Value = value.into();
        let pairs: Vec<_> =
            labels.iter().map(|(name, value)| format!("{name}=\"{}\"", escaped(value))).collect();
        let name = self.name;
        if pairs.is_empty() {
            self.page.line(format_args!("{name} {value}"));
        } else {
            self.page.line(format_args!("{name}{{{}}} {value}", pairs.join(",")));
        }
    }

    /// One series per name, 1 for the one that `is` and 0 for the others.
    pub(super) fn one_of(&mut self, common: Labels<'_>, label: &str, names: &[&str], is: &str) {
        for name in names {
            let labels = [common, &[(label, *name)]].concat();
            self.series(&labels, *name == is);
        }
    }
}

fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    const METRIC: Metric =
        Metric { name: "holdfast_test_bytes", kind: Kind::Gauge, help: "A \\ and\na line." };

    #[test]
    fn what_would_end_a_line_or_a_label_is_escaped() {
        let mut page = Page::default();
        page.family(&METRIC).series(&[("a", "x\"y\\z\n")], 1);
        assert_eq!(
            page.finish(),
            "# HELP holdfast_test_bytes A \\\\ and\\na line.\n\
             # TYPE holdfast_test_bytes gauge\n\
             holdfast_test_bytes{a=\"x\\\"y\\\\z\\n\"} 1\n"
        );
    }

    #[test]
    fn values_are_written_as_the_format_wants_them() {
        let written = |value: Value| value.to_string();
        assert_eq!(written(u64::MAX.into()), "18446744073709551615");
        assert_eq!(written(f64::INFINITY.into()), "+Inf");
        assert_eq!(written(f64::NEG_INFINITY.into()), "-Inf");
        assert_eq!(written(f64::NAN.into()), "NaN");
        assert_eq!(written((-0.5).into()), "-0.5");
        assert_eq!(written(true.into()), "1");
    }

    #[test]
    fn one_of_many_names_is_1() {
        let mut page = Page::default();
        page.family(&METRIC).one_of(&[("s", "t")], "state", &["on", "off"], "off");
        let page = page.finish();
        assert!(page.contains("{s=\"t\",state=\"on\"} 0\n"), "{page}");
        assert!(page.ends_with("{s=\"t\",state=\"off\"} 1\n"), "{page}");
    }
}
