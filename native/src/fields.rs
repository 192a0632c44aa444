//! Where the named fields of one object stand in its bytes.

use ahash::AHashMap;
use crate::json::{Cursor, Scan, Unusual};
use crate::nested::Nested;

/// Begin and end of a raw value in a line.
pub type Span = (u32, u32);
pub const ABSENT: Span = (u32::MAX, 0);

#[derive(Default)]
pub struct Fields {
    names: AHashMap<Box<[u8]>, usize>,
    /// By slot: the span of the field in the line last spread.
    pub spans: Vec<Span>,
    ranks: Vec<u8>,
}

impl Fields {
    fn slot(&mut self, name: &str) -> usize {
        let next = self.names.len();
        let slot = *self.names.entry(name.as_bytes().into()).or_insert(next);
        if slot == next {
            self.spans.push(ABSENT);
        }
        slot
    }

    /// The slots of fields; new ones for names not seen before.
    pub fn slots(&mut self, names: &[String]) -> Vec<usize> {
        names.iter().map(|name| self.slot(name)).collect()
    }

    /// Find the spans of all named fields. When the object is nested, as Windows' own XML is: where its `Event` begins.
    pub fn spread(&mut self, line: &[u8]) -> Scan<Option<usize>> {
        self.spans.fill(ABSENT);
        let names = &self.names;
        let spans = &mut self.spans;
        let mut cursor = Cursor::new(line);
        let mut nested = None;
        let mut envelope = false;
        cursor.space();
        if cursor.peek()? != b'{' {
            return Err(Unusual);
        }
        cursor.object(0, |cursor, key, depth| {
            let start = cursor.at;
            cursor.value(depth)?;
            if key == b"Event" {
                nested = Some(start);
                return Ok(());
            }
            envelope |= matches!(cursor.data[start], b'{' | b'[');
            if let Some(&slot) = names.get(key) {
                spans[slot] = (start as u32, cursor.at as u32);
            }
            Ok(())
        })?;
        cursor.end()?;
        if nested.is_some() && envelope {
            return Err(Unusual); // something else may hold the events
        }
        if let Some(start) = nested {
            self.ranks.clear();
            self.ranks.resize(self.spans.len(), 0);
            self.spans.fill(ABSENT);
            let (names, spans, ranks) = (&self.names, &mut self.spans, &mut self.ranks);
            let mut inner = Nested {
                put: |name: &[u8], start: usize, end: usize, rank: u8| {
                    if let Some(&slot) = names.get(name) {
                        if rank >= ranks[slot] {
                            ranks[slot] = rank;
                            spans[slot] = (start as u32, end as u32);
                        }
                    }
                },
            };
            inner.event(&mut Cursor { data: line, at: start })?;
        }
        Ok(nested)
    }
}
