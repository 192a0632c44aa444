//! The values of one field, from raw JSON to signatures.

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use regex::bytes::{Regex, RegexBuilder, RegexSet, RegexSetBuilder};

use crate::hash::FxMap;
use crate::json::ascii_text;
use crate::literals::Literals;

const MOST_VALUES: usize = 100_000;
const MOST_BYTES: usize = 32 << 20;
const LONGEST_KEPT: usize = 4_096;
const MOST_COMBINATIONS: usize = 100_000;
const START: u8 = 2;
const END: u8 = 3;

/// Remembers the signatures of raw values; asks Python for those it cannot tell by literals.
///
/// `ask(raw)` gives the signature of a value, `by_literals(raw)` the one that its literals alone give it.
/// `guarded`: for a literal, expressions of which one must match for more than that; an empty one always
/// does. `suspects`: the same for any text; None when every text has to be asked for. Texts of `long`
/// bytes or more are always asked for.
#[pyclass(module = "khien._native")]
pub struct Column {
    ask: PyObject,
    by_literals: PyObject,
    pub missing: u32,
    literals: Option<Py<Literals>>,
    guarded: FxMap<u32, Vec<Regex>>,
    suspects: Option<RegexSet>,
    usable: bool,
    long: usize,
    values: FxMap<Box<[u8]>, u32>,
    bytes: usize,
    combinations: FxMap<Box<[u32]>, u32>,
    text: Vec<u8>,
    lower: Vec<u8>,
    found: Vec<u32>,
}

impl Column {
    #[inline]
    pub fn signature(&mut self, py: Python<'_>, raw: &[u8]) -> PyResult<u32> {
        if let Some(&known) = self.values.get(raw) {
            return Ok(known);
        }
        let signature = self.decide(py, raw)?;
        if raw.len() <= LONGEST_KEPT {
            self.bytes += raw.len() + 48;
            if self.values.len() >= MOST_VALUES || self.bytes > MOST_BYTES {
                self.values.clear();
                self.bytes = raw.len() + 48;
            }
            self.values.insert(raw.into(), signature);
        }
        Ok(signature)
    }

    fn decide(&mut self, py: Python<'_>, raw: &[u8]) -> PyResult<u32> {
        if !self.usable || !ascii_text(raw, &mut self.text) || self.text.len() >= self.long {
            return self.asked(py, raw);
        }
        let text = &self.text;
        if text.iter().any(|&byte| byte == START || byte == END)
            || self.suspects.as_ref().map_or(false, |set| set.is_match(text))
        {
            return self.asked(py, raw);
        }
        self.found.clear();
        if let Some(literals) = &self.literals {
            self.lower.clear();
            self.lower.push(START);
            self.lower.extend(text.iter().map(u8::to_ascii_lowercase));
            self.lower.push(END);
            literals.get().numbers(&self.lower, &mut self.found);
        }
        for literal in &self.found {
            if let Some(expressions) = self.guarded.get(literal) {
                if expressions.iter().any(|expression| expression.is_match(text)) {
                    return self.asked(py, raw);
                }
            }
        }
        if let Some(&known) = self.combinations.get(self.found.as_slice()) {
            return Ok(known);
        }
        let signature = self.by_literals.call1(py, (PyBytes::new(py, raw),))?.extract(py)?;
        if self.combinations.len() >= MOST_COMBINATIONS {
            self.combinations.clear();
        }
        self.combinations.insert(self.found.as_slice().into(), signature);
        Ok(signature)
    }

    fn asked(&self, py: Python<'_>, raw: &[u8]) -> PyResult<u32> {
        self.ask.call1(py, (PyBytes::new(py, raw),))?.extract(py)
    }
}

fn expression(pattern: &str) -> Option<Regex> {
    RegexBuilder::new(pattern).unicode(false).size_limit(4 << 20).build().ok()
}

#[pymethods]
impl Column {
    #[new]
    #[pyo3(signature = (ask, by_literals, missing, literals, guarded, suspects, long))]
    fn new(
        ask: PyObject,
        by_literals: PyObject,
        missing: u32,
        literals: Option<Py<Literals>>,
        guarded: Vec<(u32, Vec<String>)>,
        suspects: Option<Vec<String>>,
        long: Option<usize>,
    ) -> PyResult<Self> {
        let always = Regex::new("").map_err(|error| PyValueError::new_err(error.to_string()))?;
        let guarded = guarded
            .into_iter()
            .map(|(literal, patterns)| {
                let compile = |pattern: &String| expression(pattern).unwrap_or_else(|| always.clone());
                (literal, patterns.iter().map(compile).collect())
            })
            .collect();
        let mut usable = suspects.is_some();
        let patterns = suspects.unwrap_or_default();
        let mut set = None;
        if !patterns.is_empty() {
            set = RegexSetBuilder::new(patterns).unicode(false).size_limit(16 << 20).build().ok();
            usable &= set.is_some();
        }
        Ok(Column {
            ask,
            by_literals,
            missing,
            literals,
            guarded,
            suspects: set,
            usable,
            long: long.unwrap_or(usize::MAX),
            values: FxMap::default(),
            bytes: 0,
            combinations: FxMap::default(),
            text: Vec::new(),
            lower: Vec::new(),
            found: Vec::new(),
        })
    }

    /// The signature of a raw JSON value, as a scan would give it.
    #[pyo3(name = "signature")]
    fn signature_of(&mut self, py: Python<'_>, raw: &[u8]) -> PyResult<u32> {
        self.signature(py, raw)
    }
}
