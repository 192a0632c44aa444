//! A validating scanner of one JSON object: it finds values without making them.

/// Why a line is not for the fast path: it is no valid JSON, or unusual; Python's reader decides.
#[derive(Debug)]
pub struct Unusual;

pub type Scan<T> = Result<T, Unusual>;

const MAX_DEPTH: usize = 64;
const MOST_DIGITS: usize = 19;
/// Of a number with a fraction, its point included.
const MOST_EXACT: usize = 16;
const LOW: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = 0x8080_8080_8080_8080;

#[inline]
fn zero_bytes(word: u64) -> u64 {
    word.wrapping_sub(LOW) & !word & HIGH
}

/// A position in the bytes of one object.
pub struct Cursor<'a> {
    pub data: &'a [u8],
    pub at: usize,
}

impl<'a> Cursor<'a> {
    pub fn new(data: &'a [u8]) -> Self {
        Cursor { data, at: 0 }
    }

    #[inline]
    pub fn peek(&self) -> Scan<u8> {
        self.data.get(self.at).copied().ok_or(Unusual)
    }

    #[inline]
    pub fn space(&mut self) {
        while let Some(byte) = self.data.get(self.at) {
            match byte {
                b' ' | b'\t' | b'\r' | b'\n' => self.at += 1,
                _ => break,
            }
        }
    }

    #[inline]
    pub fn expect(&mut self, byte: u8) -> Scan<()> {
        if self.peek()? == byte {
            self.at += 1;
            Ok(())
        } else {
            Err(Unusual)
        }
    }

    /// Pass a string; `at` is at its opening quote. True when it holds an escape.
    #[inline]
    pub fn string(&mut self) -> Scan<bool> {
        self.at += 1;
        let mut escaped = false;
        loop {
            self.plain();
            match self.peek()? {
                b'"' => {
                    self.at += 1;
                    return Ok(escaped);
                }
                b'\\' => {
                    escaped = true;
                    let next = *self.data.get(self.at + 1).ok_or(Unusual)?;
                    match next {
                        b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => self.at += 2,
                        b'u' => {
                            let digits = self.data.get(self.at + 2..self.at + 6).ok_or(Unusual)?;
                            if !digits.iter().all(u8::is_ascii_hexdigit) {
                                return Err(Unusual);
                            }
                            self.at += 6;
                        }
                        _ => return Err(Unusual),
                    }
                }
                _ => return Err(Unusual), // a control character
            }
        }
    }

    /// Go to the next quote, backslash or control character.
    #[inline]
    fn plain(&mut self) {
        while let Some(chunk) = self.data.get(self.at..self.at + 8) {
            let word = u64::from_le_bytes([
                chunk[0], chunk[1], chunk[2], chunk[3], chunk[4], chunk[5], chunk[6], chunk[7],
            ]);
            let quote = zero_bytes(word ^ (LOW * b'"' as u64));
            let slash = zero_bytes(word ^ (LOW * b'\\' as u64));
            let control = word.wrapping_sub(LOW * 0x20) & !word & HIGH;
            let stop = quote | slash | control;
            if stop != 0 {
                self.at += (stop.trailing_zeros() >> 3) as usize;
                return;
            }
            self.at += 8;
        }
        while let Some(&byte) = self.data.get(self.at) {
            if byte == b'"' || byte == b'\\' || byte < 0x20 {
                return;
            }
            self.at += 1;
        }
    }

    fn digits(&mut self) -> Scan<()> {
        let start = self.at;
        while self.data.get(self.at).map_or(false, u8::is_ascii_digit) {
            self.at += 1;
        }
        if self.at > start {
            Ok(())
        } else {
            Err(Unusual)
        }
    }

    /// Pass a number. One is unusual whose text may differ from this when it is read and written again: with an
    /// exponent, very many digits, or a fraction that is very small.
    fn number(&mut self) -> Scan<()> {
        if self.peek()? == b'-' {
            self.at += 1;
        }
        let start = self.at;
        if self.peek()? == b'0' {
            self.at += 1;
        } else {
            self.digits()?;
        }
        let mut most = MOST_DIGITS;
        if self.data.get(self.at) == Some(&b'.') {
            self.at += 1;
            self.digits()?;
            most = MOST_EXACT;
        }
        let written = &self.data[start..self.at];
        let next = self.data.get(self.at);
        if written.len() > most || written.starts_with(b"0.000") || matches!(next, Some(b'e' | b'E')) {
            return Err(Unusual);
        }
        Ok(())
    }

    fn word(&mut self, word: &[u8]) -> Scan<()> {
        if self.data[self.at..].starts_with(word) {
            self.at += word.len();
            Ok(())
        } else {
            Err(Unusual)
        }
    }

    /// Pass any value; `at` is at its first byte.
    #[inline]
    pub fn value(&mut self, depth: usize) -> Scan<()> {
        match self.peek()? {
            b'"' => self.string().map(|_| ()),
            b'{' => self.object(depth, |cursor, _, inner| cursor.value(inner)),
            b'[' => self.array(depth),
            b't' => self.word(b"true"),
            b'f' => self.word(b"false"),
            b'n' => self.word(b"null"),
            _ => self.number(),
        }
    }

    fn array(&mut self, depth: usize) -> Scan<()> {
        if depth >= MAX_DEPTH {
            return Err(Unusual);
        }
        self.at += 1;
        self.space();
        if self.peek()? == b']' {
            self.at += 1;
            return Ok(());
        }
        loop {
            self.value(depth + 1)?;
            self.space();
            match self.peek()? {
                b',' => {
                    self.at += 1;
                    self.space();
                }
                b']' => {
                    self.at += 1;
                    return Ok(());
                }
                _ => return Err(Unusual),
            }
        }
    }

    /// Pass an object; `member` is called with each key, `at` being at its value, and must pass that.
    /// Keys with escapes are unusual.
    #[inline]
    pub fn object<F>(&mut self, depth: usize, mut member: F) -> Scan<()>
    where
        F: FnMut(&mut Cursor<'a>, &'a [u8], usize) -> Scan<()>,
    {
        if depth >= MAX_DEPTH {
            return Err(Unusual);
        }
        self.at += 1;
        self.space();
        if self.peek()? == b'}' {
            self.at += 1;
            return Ok(());
        }
        loop {
            if self.peek()? != b'"' {
                return Err(Unusual);
            }
            let start = self.at + 1;
            if self.string()? {
                return Err(Unusual);
            }
            let data: &'a [u8] = self.data;
            let key = &data[start..self.at - 1];
            self.space();
            self.expect(b':')?;
            self.space();
            member(self, key, depth + 1)?;
            self.space();
            match self.peek()? {
                b',' => {
                    self.at += 1;
                    self.space();
                }
                b'}' => {
                    self.at += 1;
                    return Ok(());
                }
                _ => return Err(Unusual),
            }
        }
    }

    /// Nothing but white space is left.
    pub fn end(&mut self) -> Scan<()> {
        self.space();
        if self.at == self.data.len() {
            Ok(())
        } else {
            Err(Unusual)
        }
    }
}

/// The text of a raw JSON string in ASCII, put into `text`. False where it is no ASCII string, or
/// holds an escape by number: Python reads those.
pub fn ascii_text(raw: &[u8], text: &mut Vec<u8>) -> bool {
    text.clear();
    if raw.len() < 2 || raw[0] != b'"' || !raw.is_ascii() {
        return false;
    }
    let mut rest = &raw[1..raw.len() - 1];
    while let Some(at) = memchr::memchr(b'\\', rest) {
        text.extend_from_slice(&rest[..at]);
        text.push(match rest[at + 1] {
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'b' => 8,
            b'f' => 12,
            b'u' => return false,
            other => other,
        });
        rest = &rest[at + 2..];
    }
    text.extend_from_slice(rest);
    true
}

/// Whether two raw values surely denote different texts without regard to case.
pub fn surely_differ(one: &[u8], other: &[u8]) -> bool {
    !one.eq_ignore_ascii_case(other) && has_one_spelling(one) && has_one_spelling(other)
}

/// Whether a raw value is an ASCII string whose text could not have been written in another way.
fn has_one_spelling(raw: &[u8]) -> bool {
    if raw.first() != Some(&b'"') || !raw.is_ascii() {
        return false;
    }
    let mut rest = raw;
    while let Some(at) = memchr::memchr(b'\\', rest) {
        match rest.get(at + 1) {
            None | Some(b'u' | b'/') => return false,
            Some(_) => rest = &rest[at + 2..],
        }
    }
    true
}

/// The text that a raw value stands for, added to `out`: a string's own, the raw JSON of anything else. Lone surrogates
/// become U+FFFD. False for null.
pub fn push_text(raw: &[u8], out: &mut Vec<u8>) -> bool {
    match raw.first() {
        Some(b'n') => return false,
        Some(b'"') => {}
        _ => {
            out.extend_from_slice(raw);
            return true;
        }
    }
    let mut rest = &raw[1..raw.len() - 1];
    while let Some(at) = memchr::memchr(b'\\', rest) {
        out.extend_from_slice(&rest[..at]);
        let (byte, length) = match rest[at + 1] {
            b'n' => (b'\n', 2),
            b'r' => (b'\r', 2),
            b't' => (b'\t', 2),
            b'b' => (8, 2),
            b'f' => (12, 2),
            b'u' => {
                let (symbol, length) = numbered(&rest[at..]);
                let mut buffer = [0; 4];
                out.extend_from_slice(symbol.encode_utf8(&mut buffer).as_bytes());
                rest = &rest[at + length..];
                continue;
            }
            other => (other, 2),
        };
        out.push(byte);
        rest = &rest[at + length..];
    }
    out.extend_from_slice(rest);
    true
}

/// The character of an escape by number, and how long it is written.
fn numbered(escape: &[u8]) -> (char, usize) {
    let unit = |at: usize| {
        escape
            .get(at..at + 6)
            .filter(|text| text.starts_with(b"\\u"))
            .and_then(|text| std::str::from_utf8(&text[2..]).ok())
            .and_then(|digits| u32::from_str_radix(digits, 16).ok())
    };
    let first = unit(0).unwrap_or(0xfffd);
    if (0xd800..0xdc00).contains(&first) {
        if let Some(second) = unit(6).filter(|unit| (0xdc00..0xe000).contains(unit)) {
            let code = 0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00);
            return (char::from_u32(code).unwrap_or('\u{fffd}'), 12);
        }
    }
    (char::from_u32(first).unwrap_or('\u{fffd}'), 6)
}
