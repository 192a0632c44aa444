//! Lines of JSON to columns of text, in the layout of Arrow's string arrays.

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList};

use crate::fields::{Fields, ABSENT};
use crate::json::push_text;

/// One column under construction: offsets (32 bits), text, and a bit for each row that has a value.
#[derive(Default)]
struct Builder {
    offsets: Vec<u8>,
    text: Vec<u8>,
    valid: Vec<u8>,
    rows: usize,
}

impl Builder {
    fn end_row(&mut self, valid: bool) {
        if self.rows % 8 == 0 {
            self.valid.push(0);
        }
        if valid {
            self.valid[self.rows / 8] |= 1 << (self.rows % 8);
        }
        self.rows += 1;
        self.offsets.extend_from_slice(&(self.text.len() as i32).to_le_bytes());
    }
}

/// Takes columns out of blocks of JSON lines. `columns`: for each the fields it may be in, first choice
/// first; one that is missing, null, empty or "-" gives way to the next. `unusual`: fields of lines that are left
/// to the general reader.
#[pyclass(module = "khien._native")]
pub struct Extractor {
    fields: Fields,
    columns: Vec<Vec<usize>>,
    unusual: Vec<usize>,
}

type Buffers<'py> = (Bound<'py, PyBytes>, Bound<'py, PyBytes>, Bound<'py, PyBytes>);

#[pymethods]
impl Extractor {
    #[new]
    fn new(columns: Vec<Vec<String>>, unusual: Vec<String>) -> Self {
        let mut fields = Fields::default();
        let columns = columns.iter().map(|names| fields.slots(names)).collect();
        let unusual = fields.slots(&unusual);
        Extractor { fields, columns, unusual }
    }

    /// Take the columns of the lines in `data` (less than 2 GB). Gives (rows; their line numbers from 0, 32 bits
    /// each; lines for the general reader as (line number, start, end); for each column, and then for the whole
    /// lines, the buffers (offsets, text, validity)).
    #[allow(clippy::type_complexity)]
    fn extract<'py>(
        &mut self,
        py: Python<'py>,
        data: &[u8],
    ) -> PyResult<(usize, Bound<'py, PyBytes>, Bound<'py, PyList>, Vec<Buffers<'py>>)> {
        if data.len() > i32::MAX as usize {
            return Err(PyValueError::new_err("a block has less than 2 GB"));
        }
        let general = PyList::empty(py);
        let mut builders: Vec<Builder> = (0..=self.columns.len()).map(|_| Builder::default()).collect();
        for builder in &mut builders {
            builder.offsets.extend_from_slice(&0i32.to_le_bytes());
        }
        let mut numbers = Vec::new();
        let mut number = 0u32;
        let mut start = 0;
        while start < data.len() {
            let end = memchr::memchr(b'\n', &data[start..]).map_or(data.len(), |at| start + at);
            let line = &data[start..end];
            if !line.iter().all(u8::is_ascii_whitespace) {
                if self.take(line, &mut builders) {
                    numbers.extend_from_slice(&number.to_le_bytes());
                } else {
                    general.append((number, start, end))?;
                }
            }
            number += 1;
            start = end + 1;
        }
        let rows = builders[0].rows;
        let buffers = builders
            .iter()
            .map(|builder| {
                (
                    PyBytes::new(py, &builder.offsets),
                    PyBytes::new(py, &builder.text),
                    PyBytes::new(py, &builder.valid),
                )
            })
            .collect();
        Ok((rows, PyBytes::new(py, &numbers), general, buffers))
    }
}

impl Extractor {
    fn take(&mut self, line: &[u8], builders: &mut [Builder]) -> bool {
        if std::str::from_utf8(line).is_err() || self.fields.spread(line).is_err() {
            return false;
        }
        let spans = &self.fields.spans;
        if self.unusual.iter().any(|&slot| spans[slot] != ABSENT) {
            return false;
        }
        for (slots, builder) in self.columns.iter().zip(builders.iter_mut()) {
            let from = builder.text.len();
            let mut valid = false;
            for &slot in slots {
                let (start, end) = spans[slot];
                if (start, end) == ABSENT {
                    continue;
                }
                valid = push_text(&line[start as usize..end as usize], &mut builder.text);
                if valid && !matches!(&builder.text[from..], b"" | b"-") {
                    break;
                }
                builder.text.truncate(from);
                valid = false;
            }
            builder.end_row(valid);
        }
        let whole = &mut builders[self.columns.len()];
        let trimmed = line.strip_suffix(b"\r").unwrap_or(line);
        whole.text.extend_from_slice(trimmed);
        whole.end_row(true);
        true
    }
}
