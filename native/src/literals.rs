//! All literals of a field at once.

use aho_corasick::{AhoCorasick, AhoCorasickKind};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyTuple;

/// Finds which of many literals occur in a text, overlapping ones included.
#[pyclass(frozen, module = "khien._native")]
pub struct Literals {
    automaton: AhoCorasick,
}

impl Literals {
    /// The numbers of the literals that occur, sorted, each once.
    pub fn numbers(&self, text: &[u8], found: &mut Vec<u32>) {
        found.clear();
        for hit in self.automaton.find_overlapping_iter(text) {
            found.push(hit.pattern().as_u32());
        }
        found.sort_unstable();
        found.dedup();
    }
}

#[pymethods]
impl Literals {
    #[new]
    fn new(literals: Vec<String>) -> PyResult<Self> {
        let automaton = AhoCorasick::builder()
            .kind(Some(AhoCorasickKind::ContiguousNFA))
            .build(literals)
            .map_err(|error| PyValueError::new_err(error.to_string()))?;
        Ok(Literals { automaton })
    }

    fn find<'py>(&self, py: Python<'py>, text: &str) -> PyResult<Bound<'py, PyTuple>> {
        let mut found = Vec::new();
        self.numbers(text.as_bytes(), &mut found);
        PyTuple::new(py, found)
    }
}
