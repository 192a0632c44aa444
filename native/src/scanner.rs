//! Lines of JSON to the lines worth a closer look.

use ahash::AHashMap;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList, PyTuple};

use crate::column::Column;
use crate::fields::{Fields, Span, ABSENT};
use crate::keywords::Keywords;
use crate::json::{surely_differ, Unusual};
use crate::template::{may_hold_surrogates, Frame, Names, Placed, Ready, Teller, Template};

const MOST_KEYS: usize = 50_000;
const LONGEST_KEY: usize = 1_024;
const MOST_ANSWERS: usize = 50_000;

/// Questions about a line, all of which its raw values answer.
///
/// `columns`: for each indexed field the names it may have, first choice first, and its column.
/// `references`: pairs of fields that a rule compares. A line's signature has a number for each column,
/// then `extra`, then for each reference 1, or 0 where the two surely differ. `settle(signature)` tells
/// whether a line of that signature is worth a look, or gives the templates of all that there is to say of
/// it, or further questions.
#[pyclass(frozen, module = "khien._native")]
pub struct Questions {
    columns: Vec<(Names, Py<Column>)>,
    extra: Vec<u32>,
    references: Vec<(Names, Names)>,
    settle: PyObject,
}

#[pymethods]
impl Questions {
    #[new]
    fn new(
        columns: Vec<(Names, Py<Column>)>,
        extra: Vec<u32>,
        references: Vec<(Names, Names)>,
        settle: PyObject,
    ) -> Self {
        Questions { columns, extra, references, settle }
    }
}

/// How lines of one kind are looked at. No `questions`: no line of the kind is worth a look. Without a `frame`
/// templates make a line worth one. Where text is wanted, lines in which one of the `keywords` may stand (without
/// any: every line) go to the general reader.
#[pyclass(frozen, module = "khien._native")]
pub struct Shape {
    questions: Option<Py<Questions>>,
    wants_text: bool,
    keywords: Option<Py<Keywords>>,
    frame: Option<Py<Frame>>,
}

#[pymethods]
impl Shape {
    #[new]
    #[pyo3(signature = (questions, wants_text, keywords, frame))]
    fn new(
        questions: Option<Py<Questions>>,
        wants_text: bool,
        keywords: Option<Py<Keywords>>,
        frame: Option<Py<Frame>>,
    ) -> Self {
        Shape { questions, wants_text, keywords, frame }
    }
}

#[derive(Clone, Copy)]
enum Outcome {
    Nothing,
    General,
    Found,
    /// The number of a list of templates.
    Told(usize),
    /// The number of further questions.
    Further(usize),
}

/// Questions with their names resolved to slots, and what is known of their signatures.
struct Asking {
    columns: Vec<(Vec<usize>, Py<Column>)>,
    extra: Vec<u32>,
    references: Vec<(Vec<usize>, Vec<usize>)>,
    settle: PyObject,
    outcomes: AHashMap<Box<[u32]>, Outcome>,
}

impl Asking {
    fn new(py: Python<'_>, questions: &Questions, fields: &mut Fields) -> Self {
        let columns =
            questions.columns.iter().map(|(names, column)| (fields.slots(names), column.clone_ref(py))).collect();
        let references =
            questions.references.iter().map(|(one, other)| (fields.slots(one), fields.slots(other))).collect();
        Asking {
            columns,
            extra: questions.extra.clone(),
            references,
            settle: questions.settle.clone_ref(py),
            outcomes: AHashMap::default(),
        }
    }

    /// Put the signature of a line into `signature`.
    fn sign(&self, py: Python<'_>, line: &[u8], spans: &[Span], signature: &mut Vec<u32>) -> PyResult<()> {
        let raw = |slots: &[usize]| {
            slots.iter().map(|&slot| spans[slot]).find(|span| *span != ABSENT).map(|(start, end)| {
                &line[start as usize..end as usize]
            })
        };
        signature.clear();
        for (slots, column) in &self.columns {
            let mut column = column.borrow_mut(py);
            signature.push(match raw(slots) {
                None => column.missing,
                Some(value) => column.signature(py, value)?,
            });
        }
        signature.extend_from_slice(&self.extra);
        for (one, other) in &self.references {
            let maybe = match (raw(one), raw(other)) {
                (Some(one), Some(other)) => !surely_differ(one, other),
                _ => false,
            };
            signature.push(u32::from(maybe));
        }
        Ok(())
    }
}

/// A shape at work.
struct Known {
    shape: Py<Shape>,
    frame: Option<Placed>,
    first: Option<Asking>,
    further: Vec<Asking>,
    lists: Vec<Vec<usize>>,
    templates: Vec<Ready>,
    by_template: AHashMap<usize, usize>,
}

impl Known {
    /// The number of a template.
    fn ready(&mut self, py: Python<'_>, template: &Py<Template>, fields: &mut Fields) -> usize {
        let next = self.templates.len();
        let number = *self.by_template.entry(template.as_ptr() as usize).or_insert(next);
        if number == next {
            self.templates.push(Ready::new(py, template, fields));
        }
        number
    }

    fn forget(&mut self) {
        if let Some(first) = &mut self.first {
            first.outcomes.clear();
        }
        self.further.clear();
        self.lists.clear();
        self.templates.clear();
        self.by_template.clear();
    }
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
    signature: Vec<u32>,
    further: Vec<u32>,
    /// Where the `Event` of the line at hand begins, if it is nested.
    nested: Option<usize>,
    /// How much is remembered: signatures settled, and templates for them.
    answers: usize,
    teller: Teller,
}

impl Scanner {
    fn make_key(&mut self, line: &[u8]) {
        self.key.clear();
        self.key.push(u8::from(self.nested.is_some()));
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
        let fields = &mut self.fields;
        self.known.push(Known {
            shape: shape.clone_ref(py),
            frame: inner.frame.as_ref().map(|frame| Placed::new(py, frame.get(), fields)),
            first: inner.questions.as_ref().map(|questions| Asking::new(py, questions.get(), fields)),
            further: Vec::new(),
            lists: Vec::new(),
            templates: Vec::new(),
            by_template: AHashMap::default(),
        });
        self.known.len() - 1
    }

    /// What a line is worth, and the number of its shape.
    fn look(&mut self, py: Python<'_>, line: &[u8]) -> PyResult<(Outcome, usize)> {
        const GENERAL: (Outcome, usize) = (Outcome::General, 0);
        if line.len() >= u32::MAX as usize {
            return Ok(GENERAL);
        }
        let nested = match self.fields.spread(line) {
            Ok(nested) => nested,
            Err(Unusual) => return Ok(GENERAL),
        };
        self.nested = nested;
        if nested.is_none() && self.unusual.iter().any(|&slot| self.fields.spans[slot] != ABSENT) {
            return Ok(GENERAL);
        }
        self.make_key(line);
        if self.key.len() > LONGEST_KEY {
            return Ok(GENERAL);
        }
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
                    return Ok(GENERAL);
                }
                at
            }
        };
        let at = match at {
            None => return Ok(GENERAL),
            Some(at) => at,
        };
        let shape = self.known[at].shape.get();
        if shape.wants_text && shape.keywords.as_ref().map_or(true, |keywords| keywords.get().occur(line)) {
            return Ok(GENERAL);
        }
        Ok((self.ask(py, line, at)?, at))
    }

    /// Ask a shape's questions about a line whose fields have been found.
    fn ask(&mut self, py: Python<'_>, line: &[u8], at: usize) -> PyResult<Outcome> {
        if self.answers >= MOST_ANSWERS {
            self.known.iter_mut().for_each(Known::forget);
            self.answers = 0;
        }
        let known = &mut self.known[at];
        let first = match &known.first {
            None => return Ok(Outcome::Nothing),
            Some(first) => first,
        };
        first.sign(py, line, &self.fields.spans, &mut self.signature)?;
        let mut outcome = match first.outcomes.get(self.signature.as_slice()) {
            Some(&outcome) => outcome,
            None => self.settle(py, line, at, None)?,
        };
        while let Outcome::Further(nth) = outcome {
            let asking = &self.known[at].further[nth];
            asking.sign(py, line, &self.fields.spans, &mut self.further)?;
            outcome = match asking.outcomes.get(self.further.as_slice()) {
                Some(&outcome) => outcome,
                None => self.settle(py, line, at, Some(nth))?,
            };
        }
        Ok(outcome)
    }

    /// Have Python settle what lines of the signature at hand are worth, by the shape's first questions or by further
    /// ones.
    fn settle(&mut self, py: Python<'_>, line: &[u8], at: usize, nth: Option<usize>) -> PyResult<Outcome> {
        let known = &mut self.known[at];
        let (asking, signature) = match nth {
            None => (known.first.as_ref(), &self.signature),
            Some(nth) => (known.further.get(nth), &self.further),
        };
        let asking = asking.ok_or_else(|| PyValueError::new_err("there are no such questions"))?;
        let answer = asking.settle.call1(py, (PyTuple::new(py, signature)?,))?;
        let answer = answer.bind(py);
        let fields = &mut self.fields;
        let outcome = if let Ok(wanted) = answer.extract::<bool>() {
            if wanted {
                Outcome::Found
            } else {
                Outcome::Nothing
            }
        } else if let Ok(questions) = answer.downcast::<Questions>() {
            known.further.push(Asking::new(py, questions.get(), fields));
            Outcome::Further(known.further.len() - 1)
        } else {
            let templates: Vec<Py<Template>> = answer.extract()?;
            let list: Vec<usize> = templates.iter().map(|each| known.ready(py, each, fields)).collect();
            self.answers += list.len();
            known.lists.push(list);
            Outcome::Told(known.lists.len() - 1)
        };
        self.answers += 1;
        let asking = match nth {
            None => known.first.as_mut(),
            Some(nth) => known.further.get_mut(nth),
        };
        if let Some(asking) = asking {
            asking.outcomes.insert(signature.as_slice().into(), outcome);
        }
        // The answer may have brought new names.
        Ok(if fields.spread(line).is_err() { Outcome::General } else { outcome })
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
            signature: Vec::new(),
            further: Vec::new(),
            nested: None,
            answers: 0,
            teller: Teller::default(),
        };
        scanner.keys = scanner.fields.slots(&keys);
        scanner.unusual = scanner.fields.slots(&unusual);
        scanner
    }

    /// Scan the lines in the first `end` bytes of a block (the last may lack its newline).
    ///
    /// A line for which Python raises a ValueError goes to the general reader. `path`: what templates say for it.
    /// Gives (number of lines, lines for the general reader as (line number from 0, start, end), found lines as
    /// (shape, line number, start, end, signature), texts as (line number, key, before the record number, after it)).
    #[allow(clippy::type_complexity)]
    fn scan<'py>(
        &mut self,
        py: Python<'py>,
        data: &[u8],
        end: usize,
        path: &[u8],
    ) -> PyResult<(usize, Bound<'py, PyList>, Bound<'py, PyList>, Bound<'py, PyList>)> {
        let data = data.get(..end).ok_or_else(|| PyValueError::new_err("end is beyond the data"))?;
        let general = PyList::empty(py);
        let found = PyList::empty(py);
        let told = PyList::empty(py);
        let mut number = 0;
        let mut start = 0;
        while start < data.len() {
            let end = memchr::memchr(b'\n', &data[start..]).map_or(data.len(), |at| start + at);
            let line = &data[start..end];
            if !line.iter().all(u8::is_ascii_whitespace) {
                let (outcome, at) = if std::str::from_utf8(line).is_err() {
                    (Outcome::General, 0)
                } else {
                    match self.look(py, line) {
                        Err(error) if error.is_instance_of::<PyValueError>(py) => (Outcome::General, 0),
                        outcome => outcome?,
                    }
                };
                let outcome = match outcome {
                    Outcome::Told(list) => {
                        let known = &self.known[at];
                        let templates = known.lists[list].iter().map(|&number| &known.templates[number]);
                        let texts = match &known.frame {
                            None => None,
                            Some(frame) => {
                                let place = (line, self.nested);
                                self.teller.tell(py, place, &self.fields.spans, path, frame, templates)?
                            }
                        };
                        match texts {
                            None => Outcome::Found,
                            Some(texts) => {
                                for (key, head, tail) in texts {
                                    told.append((number, key, head, tail))?;
                                }
                                Outcome::Nothing
                            }
                        }
                    }
                    outcome => outcome,
                };
                match outcome {
                    Outcome::Nothing => {}
                    Outcome::Found if !may_hold_surrogates(line) => {
                        let signature = PyTuple::new(py, &self.signature)?;
                        found.append((&self.known[at].shape, number, start, end, signature))?;
                    }
                    _ => general.append((number, start, end))?,
                }
            }
            number += 1;
            start = end + 1;
        }
        Ok((number, general, found, told))
    }
}
