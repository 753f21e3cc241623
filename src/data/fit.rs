//! What a data set has learned from its training rows, kept with a run so that a later one prepares values the same way.

use super::form::Form;
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

/// Everything learned, by field.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Fitted {
    pub fields: IndexMap<String, FittedField>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FittedField {
    /// The columns that were selected: `all` means the same in a later file that has more of them.
    pub columns: Vec<String>,
    /// The form of these columns, for a later file that lacks the labels.
    pub form: Form,
    /// The names of the classes, from the spec or the data.
    pub classes: Option<Vec<String>>,
    /// The state of each step, null for those that learn nothing.
    pub steps: Vec<Json>,
}
