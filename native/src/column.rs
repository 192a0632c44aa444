//! The values of one field, from raw JSON to signatures.

use ahash::AHashMap;
use std::sync::atomic::{AtomicU32, Ordering};

use pyo3::prelude::*;
use pyo3::types::PyBytes;
use regex::bytes::{Regex, RegexBuilder, RegexSet, RegexSetBuilder};

use crate::json::ascii_text;
use crate::literals::Literals;

const MOST_VALUES: usize = 50_000;
const MOST_BYTES: usize = 8 << 20;
const LONGEST_KEPT: usize = 4_096;
const MOST_COMBINATIONS: usize = 20_000;
// Marks of a text's ends. No ASCII text of JSON holds them but by escapes with a number, which Python reads; nor
// the vertical tab, which is white space to one engine of expressions and not to the other.
const START: u8 = 2;
const END: u8 = 3;
// Numbers of expressions, beyond those of literals.
const FREE: u32 = 1 << 30;
const GUARDED: u32 = 1 << 31;

/// Counts the generations of a field's signatures; `advance` says that those given so far are not to be used again.
#[pyclass(frozen, module = "khien._native")]
#[derive(Default)]
pub struct Generation(AtomicU32);

#[pymethods]
impl Generation {
    #[new]
    fn new() -> Self {
        Generation::default()
    }

    fn advance(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// Remembers the signatures of raw values; asks Python for a value that differs in what matters from all before.
///
/// What matters of an ASCII text are the literals it holds and the expressions it matches: `guarded` ones
/// are tried where their literal was found (None: Python must be asked there), `free` ones on every text,
/// `long` ones on texts of at least so many bytes. Without `usable` every value is asked for. `ask(raw)`
/// gives a value's signature.
#[pyclass(module = "khien._native")]
pub struct Column {
    ask: PyObject,
    pub missing: u32,
    current: Py<Generation>,
    generation: u32,
    usable: bool,
    literals: Option<Py<Literals>>,
    guarded: AHashMap<u32, Vec<Option<(u32, Regex)>>>,
    free: Option<RegexSet>,
    long: Vec<(usize, u32, Regex)>,
    values: AHashMap<Box<[u8]>, u32>,
    bytes: usize,
    kinds: AHashMap<Box<[u32]>, u32>,
    text: Vec<u8>,
    lower: Vec<u8>,
    found: Vec<u32>,
}

impl Column {
    #[inline]
    pub fn signature(&mut self, py: Python<'_>, raw: &[u8]) -> PyResult<u32> {
        let generation = self.current.get().0.load(Ordering::Relaxed);
        if generation != self.generation {
            self.generation = generation;
            self.values.clear();
            self.kinds.clear();
            self.bytes = 0;
        }
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
        if !self.usable || !ascii_text(raw, &mut self.text) || !self.look() {
            return self.asked(py, raw);
        }
        if let Some(&known) = self.kinds.get(self.found.as_slice()) {
            return Ok(known);
        }
        let signature = self.asked(py, raw)?;
        if self.kinds.len() >= MOST_COMBINATIONS {
            self.kinds.clear();
        }
        self.kinds.insert(self.found.as_slice().into(), signature);
        Ok(signature)
    }

    /// Put into `found` what matters of the text; false where that is not all.
    fn look(&mut self) -> bool {
        let text = self.text.as_slice();
        self.found.clear();
        if let Some(literals) = &self.literals {
            self.lower.clear();
            self.lower.push(START);
            self.lower.extend(text.iter().map(u8::to_ascii_lowercase));
            self.lower.push(END);
            literals.get().numbers(&self.lower, &mut self.found);
        }
        for at in 0..self.found.len() {
            for guarded in self.guarded.get(&self.found[at]).into_iter().flatten() {
                match guarded {
                    None => return false,
                    Some((number, expression)) => {
                        if expression.is_match(text) {
                            self.found.push(*number);
                        }
                    }
                }
            }
        }
        if let Some(set) = &self.free {
            self.found.extend(set.matches(text).into_iter().map(|at| FREE + at as u32));
        }
        for (length, number, expression) in &self.long {
            if text.len() >= *length && expression.is_match(text) {
                self.found.push(*number);
            }
        }
        true
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
    #[pyo3(signature = (ask, missing, current, literals, guarded, free, long))]
    fn new(
        ask: PyObject,
        missing: u32,
        current: Py<Generation>,
        literals: Option<Py<Literals>>,
        guarded: Vec<(u32, Vec<Option<String>>)>,
        free: Option<Vec<String>>,
        long: Vec<(usize, String)>,
    ) -> Self {
        let mut usable = free.is_some();
        let patterns = free.unwrap_or_default();
        let mut set = None;
        if !patterns.is_empty() {
            set = RegexSetBuilder::new(patterns).unicode(false).size_limit(16 << 20).build().ok();
            usable &= set.is_some();
        }
        let mut number = GUARDED;
        let guarded = guarded
            .into_iter()
            .map(|(literal, patterns)| {
                let compiled = patterns
                    .iter()
                    .map(|pattern| {
                        number += 1;
                        pattern.as_deref().and_then(expression).map(|compiled| (number, compiled))
                    })
                    .collect();
                (literal, compiled)
            })
            .collect();
        let mut tried = Vec::new();
        for (length, pattern) in &long {
            number += 1;
            match expression(pattern) {
                Some(compiled) => tried.push((*length, number, compiled)),
                None => usable = false,
            }
        }
        Column {
            ask,
            missing,
            generation: current.get().0.load(Ordering::Relaxed),
            current,
            usable,
            literals,
            guarded,
            free: set,
            long: tried,
            values: AHashMap::default(),
            bytes: 0,
            kinds: AHashMap::default(),
            text: Vec::new(),
            lower: Vec::new(),
            found: Vec::new(),
        }
    }

    /// The signature of a raw JSON value, as a scan would give it.
    #[pyo3(name = "signature")]
    fn signature_of(&mut self, py: Python<'_>, raw: &[u8]) -> PyResult<u32> {
        self.signature(py, raw)
    }
}
