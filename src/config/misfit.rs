//! Why a value does not fit its key, and what would.

use std::fmt;

use config::ConfigError;
use serde::de::{self, Expected, Unexpected};

/// What the visitors call a time, and how an operator writes one.
const DURATION: &str = "a duration";
const DURATION_REMEDY: &str = "write a number with its unit, such as 500ms, 30s, 10m, 12h or 3d";
const REMEDY: &str = "see config/holdfast.toml for what each key takes";

/// Why a value does not fit, and what to do about it.
#[derive(Debug)]
pub(super) struct Misfit {
    pub(super) message: String,
    pub(super) remedy: String,
}

impl Misfit {
    pub(super) fn new(found: impl fmt::Display, wanted: impl fmt::Display) -> Self {
        let message = format!("this is {found}, but it has to be {wanted}");
        Self { message, remedy: REMEDY.to_owned() }
    }
}

impl std::error::Error for Misfit {}

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; {}", self.message, self.remedy)
    }
}

impl From<ConfigError> for Misfit {
    fn from(error: ConfigError) -> Self {
        match error {
            ConfigError::Type { unexpected, expected, .. } => Self::new(unexpected, expected),
            other => de::Error::custom(other),
        }
    }
}

impl de::Error for Misfit {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self { message: message.to_string(), remedy: REMEDY.to_owned() }
    }

    fn invalid_type(found: Unexpected<'_>, wanted: &dyn Expected) -> Self {
        let wanted = wanted.to_string();
        let misfit = Self::new(found, &wanted);
        if wanted == DURATION {
            return Self { remedy: DURATION_REMEDY.to_owned(), ..misfit };
        }
        misfit
    }

    fn invalid_value(found: Unexpected<'_>, wanted: &dyn Expected) -> Self {
        Self::invalid_type(found, wanted)
    }

    fn unknown_variant(found: &str, known: &'static [&'static str]) -> Self {
        let message = format!("`{found}` is none of the choices");
        Self { message, remedy: format!("use {}", or(known)) }
    }

    fn missing_field(field: &'static str) -> Self {
        let message = format!("the key `{field}` is missing");
        Self { message, remedy: format!("add it; {REMEDY}") }
    }
}

/// `a, b or c`
fn or(names: &[&str]) -> String {
    match names {
        [] => String::new(),
        [one] => (*one).to_owned(),
        [most @ .., last] => format!("{} or {last}", most.join(", ")),
    }
}
