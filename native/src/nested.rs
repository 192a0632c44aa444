//! The fields of a nested Windows event, under the names that its flat record has.

use crate::json::{Cursor, Scan, Unusual};

// Where two parts of an event have a field of one name, the higher rank has it; of equal ranks the last.
const PLAIN: u8 = 1;
const DATA: u8 = 2;
const SYSTEM: u8 = 3;

/// Calls `put` with each field, where its value begins and ends, and its rank.
pub struct Nested<P> {
    pub put: P,
}

impl<P: FnMut(&[u8], usize, usize, u8)> Nested<P> {
    /// The value of `Event`, with `at` at its beginning. Whatever is not plain is unusual.
    pub fn event(&mut self, cursor: &mut Cursor<'_>) -> Scan<()> {
        let mut system = None;
        let mut data = None;
        let mut seen = Seen::default();
        object(cursor, |cursor, key, start| {
            match key {
                b"System" => {
                    seen.add(key)?;
                    system = Some(start);
                }
                b"EventData" | b"UserData" => {
                    seen.add(key)?;
                    if cursor.data[start] != b'n' && data.replace((start, key == b"UserData")).is_some() {
                        return Err(Unusual);
                    }
                }
                _ => {}
            }
            Ok(())
        })?;
        let system = system.ok_or(Unusual)?;
        match data {
            None => {}
            Some((at, false)) => self.data(&mut Cursor { data: cursor.data, at })?,
            Some((at, true)) => self.user(&mut Cursor { data: cursor.data, at })?,
        }
        self.system(&mut Cursor { data: cursor.data, at: system })
    }

    fn data(&mut self, cursor: &mut Cursor<'_>) -> Scan<()> {
        object(cursor, |cursor, key, start| {
            if key == b"#attributes" {
                return Ok(());
            }
            if key == b"Data" || key.first() == Some(&b'@') || key == b"xmlns" || cursor.data[start] == b'{' {
                return Err(Unusual);
            }
            (self.put)(key, start, cursor.at, DATA);
            Ok(())
        })
    }

    fn user(&mut self, cursor: &mut Cursor<'_>) -> Scan<()> {
        let mut inner = 0;
        object(cursor, |cursor, key, start| {
            if key == b"#attributes" {
                return Ok(());
            }
            inner += 1;
            if inner > 1 || key == b"attributes" || key.first() == Some(&b'@') || key.starts_with(b"xmlns") || cursor.data[start] != b'{' {
                return Err(Unusual);
            }
            self.data(&mut Cursor { data: cursor.data, at: start })
        })
    }

    fn system(&mut self, cursor: &mut Cursor<'_>) -> Scan<()> {
        let mut seen = Seen::default();
        object(cursor, |cursor, key, start| {
            seen.add(key)?;
            if key.ends_with(b"_attributes") {
                return Err(Unusual);
            }
            let own = matches!(key, b"EventID" | b"Channel" | b"Computer");
            match cursor.data[start] {
                b'{' => self.element(&mut Cursor { data: cursor.data, at: start }, key),
                b'n' if matches!(key, b"Correlation" | b"Security" | b"Execution") => Ok(()),
                _ => {
                    (self.put)(key, start, cursor.at, if own { SYSTEM } else { PLAIN });
                    Ok(())
                }
            }
        })
    }

    /// A System element with attributes, a text, or both.
    fn element(&mut self, cursor: &mut Cursor<'_>, element: &[u8]) -> Scan<()> {
        let mut text = None;
        let mut attributes = None;
        object(cursor, |cursor, key, start| {
            match key {
                b"#text" => text = Some((start, cursor.at)),
                b"#attributes" if cursor.data[start] == b'{' => attributes = Some(start),
                _ => return Err(Unusual),
            }
            Ok(())
        })?;
        let mut named = 0;
        let mut guid = None;
        if let Some(at) = attributes {
            let mut name = element.to_vec();
            name.push(b'_');
            let stem = name.len();
            object(&mut Cursor { data: cursor.data, at }, |cursor, key, start| {
                match (element, key) {
                    (b"Provider", b"Name") => {
                        named += 1;
                        (self.put)(b"Provider_Name", start, cursor.at, SYSTEM);
                    }
                    (b"Provider", b"Guid") => guid = Some((start, cursor.at)),
                    (b"Provider" | b"EventID", _) => {}
                    (b"TimeCreated", b"SystemTime") => {
                        named += 1;
                        (self.put)(b"TimeCreated", start, cursor.at, SYSTEM);
                    }
                    (b"TimeCreated", _) => {}
                    _ => {
                        name.truncate(stem);
                        name.extend_from_slice(key);
                        (self.put)(&name, start, cursor.at, SYSTEM);
                    }
                }
                Ok(())
            })?;
        }
        if let Some((start, end)) = guid {
            (self.put)(b"Provider_Guid", start, end, SYSTEM);
        }
        match (element, text) {
            (b"Provider" | b"TimeCreated", _) if named == 0 => Err(Unusual),
            (b"EventID", None) => Err(Unusual),
            (b"Provider" | b"TimeCreated", _) | (_, None) => Ok(()),
            (_, Some((start, end))) => {
                if cursor.data[start] != b'n' || element == b"EventID" {
                    (self.put)(element, start, end, SYSTEM);
                }
                Ok(())
            }
        }
    }
}

/// The keys of an object so far: one that comes again is unusual, and so are very many.
#[derive(Default)]
struct Seen<'a> {
    keys: [&'a [u8]; 24],
    count: usize,
}

impl<'a> Seen<'a> {
    fn add(&mut self, key: &'a [u8]) -> Scan<()> {
        if self.count == self.keys.len() || self.keys[..self.count].contains(&key) {
            return Err(Unusual);
        }
        self.keys[self.count] = key;
        self.count += 1;
        Ok(())
    }
}

/// Pass an object; `member` is called with each key and where its value begins, `at` being behind it.
fn object<'a, F>(cursor: &mut Cursor<'a>, mut member: F) -> Scan<()>
where
    F: FnMut(&mut Cursor<'a>, &'a [u8], usize) -> Scan<()>,
{
    if cursor.peek()? != b'{' {
        return Err(Unusual);
    }
    cursor.object(0, |cursor, key, depth| {
        let start = cursor.at;
        cursor.value(depth)?;
        member(cursor, key, start)
    })
}
