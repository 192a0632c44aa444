//! Texts about a line, written from its raw values: what surrounds them is known for every line of a signature.

use std::ops::Range;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyString};

use crate::fields::{Fields, Span, ABSENT};
use crate::json::{Cursor, Scan, Unusual};
use crate::nested::Nested;

pub type Names = Vec<String>;

/// Events with more fields are Python's: each is looked for among those before it.
const MOST_MEMBERS: usize = 200;
const LONGEST_TIME: usize = 64;

/// A piece of a template. `F`: how a field is known, by its names (first choice first) or their slots.
enum Piece<F> {
    Text(Vec<u8>),
    Field(F),
    Record,
    Time,
    Host,
    User,
    Path,
    Event,
}

/// What to write of each line. Pieces are bytes, a list of a field's names (its raw value, null where it is absent), or
/// the name of what only the line or its place can tell: "time", "host", "user", "path", "event", and once "record",
/// where the text is cut. `key` is handed back with each text.
#[pyclass(frozen, module = "khien._native")]
pub struct Template {
    key: PyObject,
    pieces: Vec<Piece<Names>>,
}

#[pymethods]
impl Template {
    #[new]
    fn new(key: PyObject, pieces: Vec<Bound<'_, PyAny>>) -> PyResult<Self> {
        let pieces = pieces.iter().map(piece).collect::<PyResult<Vec<_>>>()?;
        Ok(Template { key, pieces })
    }
}

fn piece(given: &Bound<'_, PyAny>) -> PyResult<Piece<Names>> {
    if let Ok(text) = given.downcast::<PyBytes>() {
        return Ok(Piece::Text(text.as_bytes().to_vec()));
    }
    if given.is_instance_of::<PyString>() {
        return match given.extract::<String>()?.as_str() {
            "record" => Ok(Piece::Record),
            "time" => Ok(Piece::Time),
            "host" => Ok(Piece::Host),
            "user" => Ok(Piece::User),
            "path" => Ok(Piece::Path),
            "event" => Ok(Piece::Event),
            other => Err(PyValueError::new_err(format!("no piece is called '{other}'"))),
        };
    }
    Ok(Piece::Field(given.extract()?))
}

/// Where the lines of a kind have what templates ask for.
///
/// `time`, `host`, `user`: fields by their names, tried in order. `renamed`: a field's name, and those it
/// goes by too: an event has it under the first as well. `number`: a field that must be no string. `plain`: fields
/// that must hold no others. `moment(raw)` gives the text of a raw time that is not in the plain form, None where it
/// is none.
#[pyclass(frozen, module = "khien._native")]
pub struct Frame {
    time: Vec<Names>,
    host: Vec<Names>,
    user: Vec<Names>,
    renamed: Vec<(String, Names)>,
    number: String,
    plain: Names,
    moment: PyObject,
}

#[pymethods]
impl Frame {
    #[new]
    fn new(
        time: Vec<Names>,
        host: Vec<Names>,
        user: Vec<Names>,
        renamed: Vec<(String, Names)>,
        number: String,
        plain: Names,
        moment: PyObject,
    ) -> Self {
        Frame { time, host, user, renamed, number, plain, moment }
    }
}

type Slots = Vec<usize>;

/// A frame with its names resolved to slots.
pub struct Placed {
    time: Vec<Slots>,
    host: Vec<Slots>,
    user: Vec<Slots>,
    renamed: Vec<(Vec<u8>, usize, Slots)>,
    number: usize,
    plain: Slots,
    moment: PyObject,
}

impl Placed {
    pub fn new(py: Python<'_>, frame: &Frame, fields: &mut Fields) -> Self {
        let mut all = |names: &[Names]| names.iter().map(|names| fields.slots(names)).collect::<Vec<_>>();
        let (time, host, user) = (all(&frame.time), all(&frame.host), all(&frame.user));
        let renamed = frame
            .renamed
            .iter()
            .map(|(name, others)| {
                let own = fields.slots(std::slice::from_ref(name))[0];
                (format!(",\"{name}\":").into_bytes(), own, fields.slots(others))
            })
            .collect();
        let number = fields.slots(std::slice::from_ref(&frame.number))[0];
        let plain = fields.slots(&frame.plain);
        Placed { time, host, user, renamed, number, plain, moment: frame.moment.clone_ref(py) }
    }
}

/// A template with its names resolved to slots.
pub struct Ready {
    template: Py<Template>,
    pieces: Vec<Piece<Slots>>,
}

impl Ready {
    pub fn new(py: Python<'_>, template: &Py<Template>, fields: &mut Fields) -> Self {
        let pieces = template
            .get()
            .pieces
            .iter()
            .map(|piece| match piece {
                Piece::Text(text) => Piece::Text(text.clone()),
                Piece::Field(names) => Piece::Field(fields.slots(names)),
                Piece::Record => Piece::Record,
                Piece::Time => Piece::Time,
                Piece::Host => Piece::Host,
                Piece::User => Piece::User,
                Piece::Path => Piece::Path,
                Piece::Event => Piece::Event,
            })
            .collect();
        Ready { template: template.clone_ref(py), pieces }
    }
}

/// What a template made of a line: its key, and the text before and after the record number.
pub type Told<'py> = (PyObject, Bound<'py, PyBytes>, Bound<'py, PyBytes>);

/// Fills templates in. The buffers are kept from line to line.
#[derive(Default)]
pub struct Teller {
    time: Vec<u8>,
    host: Vec<u8>,
    user: Vec<u8>,
    event: Vec<u8>,
    text: Vec<u8>,
    members: Vec<Member>,
    names: Vec<u8>,
}

/// A field of a nested event: where its name stands in a buffer, and its value in the line.
struct Member {
    name: Range<usize>,
    value: Range<usize>,
    rank: u8,
}

impl Teller {
    /// The texts of a line (with the place of its `Event` if it is nested) with its fields at `spans`. None where the line is not plain enough: Python writes them then.
    pub fn tell<'py, 'r>(
        &mut self,
        py: Python<'py>,
        (line, nested): (&[u8], Option<usize>),
        spans: &[Span],
        path: &[u8],
        frame: &Placed,
        templates: impl Iterator<Item = &'r Ready>,
    ) -> PyResult<Option<Vec<Told<'py>>>> {
        let line = trimmed(line);
        let raw = |slots: &[usize]| {
            slots.iter().map(|&slot| spans[slot]).find(|span| *span != ABSENT).map(|(start, end)| {
                &line[start as usize..end as usize]
            })
        };
        let begins = |slot: usize, with: &[u8]| raw(&[slot]).map_or(false, |value| with.contains(&value[0]));
        if begins(frame.number, b"\"")
            || frame.plain.iter().any(|&slot| begins(slot, b"{["))
            || memchr::memchr(b'\r', line).is_some()
            || may_hold_surrogates(line)
        {
            return Ok(None);
        }
        self.time.clear();
        for slots in &frame.time {
            if let Some(value) = raw(slots) {
                if write_moment(py, value, &frame.moment, &mut self.time)? {
                    break;
                }
            }
        }
        if self.time.is_empty() {
            self.time.extend_from_slice(b"\"\"");
        }
        for (fields, text) in [(&frame.host, &mut self.host), (&frame.user, &mut self.user)] {
            text.clear();
            for slots in fields {
                match raw(slots) {
                    None | Some(b"null" | b"\"\"" | b"\"-\"") => {}
                    Some(value) if value[0] == b'"' && memchr::memmem::find(value, b"\\u").is_none() => {
                        text.extend_from_slice(value);
                        break;
                    }
                    Some(_) => return Ok(None),
                }
            }
            if text.is_empty() {
                text.extend_from_slice(b"\"\"");
            }
        }
        self.event.clear();
        match nested {
            None => {
                self.event.extend_from_slice(&line[..line.len() - 1]);
                for (name, own, others) in &frame.renamed {
                    if spans[*own] == ABSENT {
                        if let Some(value) = raw(others) {
                            self.event.extend_from_slice(name);
                            self.event.extend_from_slice(value);
                        }
                    }
                }
            }
            Some(at) if self.collect(line, at).is_err() => return Ok(None),
            Some(_) => {
                for member in &self.members {
                    self.event.extend_from_slice(if self.event.is_empty() { b"{\"" } else { b",\"" });
                    self.event.extend_from_slice(&self.names[member.name.clone()]);
                    self.event.extend_from_slice(b"\":");
                    self.event.extend_from_slice(&line[member.value.clone()]);
                }
                if self.event.is_empty() {
                    self.event.push(b'{');
                }
            }
        }
        self.event.push(b'}');
        let mut told = Vec::new();
        for template in templates {
            let mut head = None;
            self.text.clear();
            for piece in &template.pieces {
                match piece {
                    Piece::Text(text) => self.text.extend_from_slice(text),
                    Piece::Field(slots) => self.text.extend_from_slice(raw(slots).unwrap_or(b"null")),
                    Piece::Record => {
                        head = Some(PyBytes::new(py, &self.text));
                        self.text.clear();
                    }
                    Piece::Time => self.text.extend_from_slice(&self.time),
                    Piece::Host => self.text.extend_from_slice(&self.host),
                    Piece::User => self.text.extend_from_slice(&self.user),
                    Piece::Path => self.text.extend_from_slice(path),
                    Piece::Event => self.text.extend_from_slice(&self.event),
                }
            }
            let head = head.ok_or_else(|| PyValueError::new_err("a template without its record"))?;
            told.push((template.template.get().key.clone_ref(py), head, PyBytes::new(py, &self.text)));
        }
        Ok(Some(told))
    }

    /// Put the fields of a nested event into `members`, in the order of its flat record.
    fn collect(&mut self, line: &[u8], at: usize) -> Scan<()> {
        self.members.clear();
        self.names.clear();
        let (members, names) = (&mut self.members, &mut self.names);
        let mut many = false;
        let put = |name: &[u8], start: usize, end: usize, rank: u8| {
            let known = members.iter().position(|member| &names[member.name.clone()] == name);
            match known {
                Some(at) if rank >= members[at].rank => {
                    members[at].value = start..end;
                    members[at].rank = rank;
                }
                Some(_) => {}
                None if members.len() >= MOST_MEMBERS => many = true,
                None => {
                    let begin = names.len();
                    names.extend_from_slice(name);
                    members.push(Member { name: begin..names.len(), value: start..end, rank });
                }
            }
        };
        Nested { put }.event(&mut Cursor { data: line, at })?;
        if many {
            return Err(Unusual);
        }
        Ok(())
    }
}

fn trimmed(line: &[u8]) -> &[u8] {
    let end = line.iter().rposition(|byte| !byte.is_ascii_whitespace()).map_or(0, |at| at + 1);
    &line[..end]
}

/// Whether halves of surrogate pairs may be written in a line: Python looks whether they make pairs.
pub fn may_hold_surrogates(line: &[u8]) -> bool {
    memchr::memmem::find_iter(line, b"\\u").any(|at| matches!(line.get(at + 2), Some(b'd' | b'D')))
}

fn write_moment(py: Python<'_>, raw: &[u8], moment: &PyObject, out: &mut Vec<u8>) -> PyResult<bool> {
    if write_plain(raw, out) {
        return Ok(true);
    }
    out.clear();
    let text: Option<Vec<u8>> = moment.call1(py, (PyBytes::new(py, raw),))?.extract(py)?;
    match text {
        None => Ok(false),
        Some(text) => {
            out.extend_from_slice(&text);
            Ok(true)
        }
    }
}

/// Write a time such as "2026-11-24T01:02:03.004Z" (the T may be a space; no zone is UTC) with microseconds. False,
/// with anything written, where it is in another form.
fn write_plain(raw: &[u8], out: &mut Vec<u8>) -> bool {
    const FORM: &[u8; 19] = b"0000-00-00T00:00:00";
    let text = match raw {
        [b'"', text @ .., b'"'] if text.len() >= FORM.len() && text.len() <= LONGEST_TIME => text,
        _ => return false,
    };
    let (whole, rest) = text.split_at(FORM.len());
    let fits = whole.iter().zip(FORM).all(|(&byte, &form)| match form {
        b'0' => byte.is_ascii_digit(),
        b'T' => byte == b'T' || byte == b' ',
        _ => byte == form,
    });
    let two = |at: usize| u32::from(whole[at] - b'0') * 10 + u32::from(whole[at + 1] - b'0');
    if !fits {
        return false;
    }
    let (year, month, day) = (two(0) * 100 + two(2), two(5), two(8));
    if year == 0 || day == 0 || day > days(year, month) || two(11) > 23 || two(14) > 59 || two(17) > 59 {
        return false;
    }
    let rest = rest.strip_suffix(b"Z").unwrap_or(rest);
    let fraction = match rest {
        [] => rest,
        [b'.', digits @ ..] if !digits.is_empty() && digits.iter().all(u8::is_ascii_digit) => digits,
        _ => return false,
    };
    out.push(b'"');
    out.extend_from_slice(&whole[..10]);
    out.push(b'T');
    out.extend_from_slice(&whole[11..]);
    out.push(b'.');
    out.extend((0..6).map(|at| fraction.get(at).copied().unwrap_or(b'0')));
    out.extend_from_slice(b"Z\"");
    true
}

fn days(year: u32, month: u32) -> u32 {
    match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        _ => 0,
    }
}
