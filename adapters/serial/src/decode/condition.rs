//! A point that counts only where another field says so.

use super::{
    fields::Fields,
    source::{Found, Source},
};

/// A condition on a field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    /// The field.
    pub source: Source,
    /// One of these must stand there, if there are any.
    pub one_of: Vec<String>,
    /// None of these may stand there.
    pub none_of: Vec<String>,
}

impl Condition {
    /// Whether the condition holds; a field that is missing or empty is the empty text.
    pub(super) fn holds(&self, fields: &Fields<'_>) -> bool {
        let text = match fields.find(&self.source) {
            Found::Text(text) => text.into_owned(),
            Found::Json(value) => value.to_string(),
            Found::Elsewhere | Found::Missing | Found::Empty | Found::Bytes(_) => String::new(),
        };
        (self.one_of.is_empty() || self.one_of.contains(&text)) && !self.none_of.contains(&text)
    }
}
