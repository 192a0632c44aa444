//! Lines of JSON to the lines worth a closer look.

use ahash::AHashMap;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList, PyTuple};

use crate::column::Column;
use crate::fields::{Fields, ABSENT};
use crate::json::{surely_differ, Unusual};

const MOST_KEYS: usize = 50_000;
const MOST_TUPLES: usize = 20_000;

type Names = Vec<String>;

/// How lines of one kind are looked at.
///
/// `columns`: for each indexed field the names it may have, first choice first, and its column.
/// `references`: pairs of fields that a rule compares. A line's signature has a number for each column,
/// then `extra`, then for each reference 1, or 0 where the two surely differ. `settle(signature)` tells
/// whether a line of that signature is worth a look; None: no line of the kind is.
#[pyclass(frozen, module = "khien._native")]
pub struct Shape {
    columns: Vec<(Names, Py<Column>)>,
    extra: Vec<u32>,
    references: Vec<(Names, Names)>,
    settle: Option<PyObject>,
    wants_text: bool,
}

#[pymethods]
impl Shape {
    #[new]
    #[pyo3(signature = (columns, extra, references, settle, wants_text))]
    fn new(
        columns: Vec<(Names, Py<Column>)>,
        extra: Vec<u32>,
        references: Vec<(Names, Names)>,
        settle: Option<PyObject>,
        wants_text: bool,
    ) -> Self {
        Shape { columns, extra, references, settle, wants_text }
    }
}

/// A shape with its names resolved to slots, and what is known of its signatures.
struct Known {
    shape: Py<Shape>,
    columns: Vec<(Vec<usize>, Py<Column>)>,
    extra: Vec<u32>,
    references: Vec<(Vec<usize>, Vec<usize>)>,
    settle: Option<PyObject>,
    wants_text: bool,
    tuples: AHashMap<Box<[u32]>, bool>,
}

/// Scans blocks of lines. Objects are flat, with their fields at the top, or nested: `Event` with `System` and
/// `EventData` or `UserData`.
///
/// `keys`: the names of the fields that tell kinds apart; `shape_of(line)` gives
/// the shape of a line with unknown values of them, None when it is for the general reader. So are lines
/// that have one of the fields `unusual`.
#[pyclass(module = "khien._native")]
pub struct Scanner {
    shape_of: PyObject,
    fields: Fields,
    keys: Vec<usize>,
    unusual: Vec<usize>,
    by_key: AHashMap<Box<[u8]>, Option<usize>>,
    known: Vec<Known>,
    key: Vec<u8>,
    tuple: Vec<u32>,
}

enum Outcome {
    Nothing,
    General,
    Found(usize),
}

impl Scanner {
    fn make_key(&mut self, line: &[u8], nested: bool) {
        self.key.clear();
        self.key.push(u8::from(nested));
        for &slot in &self.keys {
            let (start, end) = self.fields.spans[slot];
            if start != ABSENT.0 {
                self.key.extend_from_slice(&line[start as usize..end as usize]);
            }
            self.key.push(0);
        }
    }

    fn adopt(&mut self, py: Python<'_>, shape: &Py<Shape>) -> usize {
        if let Some(at) = self.known.iter().position(|known| known.shape.is(shape)) {
            return at;
        }
        let inner = shape.get();
        let columns = inner
            .columns
            .iter()
            .map(|(names, column)| (self.fields.slots(names), column.clone_ref(py)))
            .collect();
        let references =
            inner.references.iter().map(|(one, other)| (self.fields.slots(one), self.fields.slots(other))).collect();
        self.known.push(Known {
            shape: shape.clone_ref(py),
            columns,
            extra: inner.extra.clone(),
            references,
            settle: inner.settle.as_ref().map(|settle| settle.clone_ref(py)),
            wants_text: inner.wants_text,
            tuples: AHashMap::default(),
        });
        self.known.len() - 1
    }

    fn look(&mut self, py: Python<'_>, line: &[u8], flagged: bool) -> PyResult<Outcome> {
        if line.len() >= u32::MAX as usize {
            return Ok(Outcome::General);
        }
        let nested = match self.fields.spread(line) {
            Ok(nested) => nested,
            Err(Unusual) => return Ok(Outcome::General),
        };
        if !nested && self.unusual.iter().any(|&slot| self.fields.spans[slot] != ABSENT) {
            return Ok(Outcome::General);
        }
        self.make_key(line, nested);
        let at = match self.by_key.get(self.key.as_slice()) {
            Some(&at) => at,
            None => {
                let shape: Option<Py<Shape>> =
                    self.shape_of.call1(py, (PyBytes::new(py, line),))?.extract(py)?;
                let at = shape.map(|shape| self.adopt(py, &shape));
                if self.by_key.len() >= MOST_KEYS {
                    self.by_key.clear();
                }
                self.by_key.insert(self.key.as_slice().into(), at);
                // The shape may have brought new names.
                if self.fields.spread(line).is_err() {
                    return Ok(Outcome::General);
                }
                at
            }
        };
        let at = match at {
            None => return Ok(Outcome::General),
            Some(at) => at,
        };
        let known = &mut self.known[at];
        if flagged && known.wants_text {
            return Ok(Outcome::General);
        }
        let settle = match &known.settle {
            None => return Ok(Outcome::Nothing),
            Some(settle) => settle,
        };
        let spans = &self.fields.spans;
        let raw = |slots: &[usize]| {
            slots.iter().map(|&slot| spans[slot]).find(|span| *span != ABSENT).map(|(start, end)| {
                &line[start as usize..end as usize]
            })
        };
        self.tuple.clear();
        for (slots, column) in &known.columns {
            let mut column = column.borrow_mut(py);
            let signature = match raw(slots) {
                None => column.missing,
                Some(value) => column.signature(py, value)?,
            };
            self.tuple.push(signature);
        }
        self.tuple.extend_from_slice(&known.extra);
        for (one, other) in &known.references {
            let maybe = match (raw(one), raw(other)) {
                (Some(one), Some(other)) => !surely_differ(one, other),
                _ => false,
            };
            self.tuple.push(u32::from(maybe));
        }
        let wanted = match known.tuples.get(self.tuple.as_slice()) {
            Some(&wanted) => wanted,
            None => {
                let wanted = settle.call1(py, (PyTuple::new(py, &self.tuple)?,))?.extract(py)?;
                if known.tuples.len() >= MOST_TUPLES {
                    known.tuples.clear();
                }
                known.tuples.insert(self.tuple.as_slice().into(), wanted);
                wanted
            }
        };
        Ok(if wanted { Outcome::Found(at) } else { Outcome::Nothing })
    }
}

#[pymethods]
impl Scanner {
    #[new]
    fn new(keys: Vec<String>, unusual: Vec<String>, shape_of: PyObject) -> Self {
        let mut scanner = Scanner {
            shape_of,
            fields: Fields::default(),
            keys: Vec::new(),
            unusual: Vec::new(),
            by_key: AHashMap::default(),
            known: Vec::new(),
            key: Vec::new(),
            tuple: Vec::new(),
        };
        scanner.keys = scanner.fields.slots(&keys);
        scanner.unusual = scanner.fields.slots(&unusual);
        scanner
    }

    /// Scan the lines in the first `end` bytes of a block (the last may lack its newline).
    ///
    /// A line for which Python raises a ValueError goes to the general reader.
    /// `places`: sorted offsets; a line with one in it goes to the general reader if its shape wants
    /// text. None: every such line does. Gives (number of lines, lines for the general reader as (line
    /// number from 0, start, end), found lines as (shape, line number, start, end, signature)).
    #[pyo3(signature = (data, end, places))]
    #[allow(clippy::type_complexity)]
    fn scan<'py>(
        &mut self,
        py: Python<'py>,
        data: &[u8],
        end: usize,
        places: Option<Vec<usize>>,
    ) -> PyResult<(usize, Bound<'py, PyList>, Bound<'py, PyList>)> {
        let data = data.get(..end).ok_or_else(|| PyValueError::new_err("end is beyond the data"))?;
        let general = PyList::empty(py);
        let found = PyList::empty(py);
        let mut number = 0;
        let mut start = 0;
        let mut place = 0;
        while start < data.len() {
            let end = memchr::memchr(b'\n', &data[start..]).map_or(data.len(), |at| start + at);
            let flagged = match &places {
                None => true,
                Some(places) => {
                    while place < places.len() && places[place] < start {
                        place += 1;
                    }
                    place < places.len() && places[place] < end
                }
            };
            let line = &data[start..end];
            if !line.iter().all(u8::is_ascii_whitespace) {
                let outcome = if std::str::from_utf8(line).is_err() {
                    Outcome::General
                } else {
                    match self.look(py, line, flagged) {
                        Err(error) if error.is_instance_of::<PyValueError>(py) => Outcome::General,
                        outcome => outcome?,
                    }
                };
                match outcome {
                    Outcome::Nothing => {}
                    Outcome::General => general.append((number, start, end))?,
                    Outcome::Found(at) => {
                        let signature = PyTuple::new(py, &self.tuple)?;
                        found.append((&self.known[at].shape, number, start, end, signature))?;
                    }
                }
            }
            number += 1;
            start = end + 1;
        }
        Ok((number, general, found))
    }
}
