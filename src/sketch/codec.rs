//! Bytes of stored state: little-endian, variable-length integers, no derived layout.
//!
//! Snapshots and partials are written field by field, so that a renamed or reordered field cannot change what is stored.

/// Stored bytes that cannot be what they should be.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("stored state is damaged: {0}")]
pub struct Damaged(pub &'static str);

/// Appends values to a byte string.
#[derive(Clone, Debug, Default)]
pub struct Writer {
    /// What has been written.
    pub bytes: Vec<u8>,
}

impl Writer {
    /// Unsigned integer, 7 bits a byte.
    pub fn uint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.bytes.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.bytes.push(value as u8);
    }

    /// Signed integer, zigzag.
    pub fn int(&mut self, value: i64) {
        self.uint(((value << 1) ^ (value >> 63)) as u64);
    }

    /// 64 bits as they are; for hashes.
    pub fn fixed(&mut self, value: u64) {
        self.bytes.extend_from_slice(&value.to_le_bytes());
    }

    /// 128 bits as they are; for fixed-point sums.
    pub fn wide(&mut self, value: i128) {
        self.bytes.extend_from_slice(&value.to_le_bytes());
    }

    /// A float by its bits.
    pub fn float(&mut self, value: f64) {
        self.fixed(value.to_bits());
    }

    /// Eight bits as they are.
    pub fn byte(&mut self, value: u8) {
        self.bytes.push(value);
    }

    /// One bit.
    pub fn flag(&mut self, value: bool) {
        self.bytes.push(u8::from(value));
    }

    /// Text with its length.
    pub fn text(&mut self, value: &str) {
        self.uint(value.len() as u64);
        self.bytes.extend_from_slice(value.as_bytes());
    }

    /// Length of a list that follows.
    pub fn length(&mut self, value: usize) {
        self.uint(value as u64);
    }
}

/// Reads back what [`Writer`] wrote.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Reads from the start of `bytes`.
    pub fn new(bytes: &'a [u8]) -> Reader<'a> {
        Reader { rest: bytes }
    }

    fn take(&mut self, n: usize) -> Result<&'a [u8], Damaged> {
        let (head, rest) = self.rest.split_at_checked(n).ok_or(Damaged("ends early"))?;
        self.rest = rest;
        Ok(head)
    }

    /// See [`Writer::uint`].
    pub fn uint(&mut self) -> Result<u64, Damaged> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.take(1)?.first().copied().unwrap_or(0);
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(Damaged("integer too long"))
    }

    /// A [`Writer::uint`] that must fit 32 bits.
    pub fn uint32(&mut self) -> Result<u32, Damaged> {
        u32::try_from(self.uint()?).map_err(|_| Damaged("integer out of range"))
    }

    /// A [`Writer::uint`] that must fit 16 bits.
    pub fn uint16(&mut self) -> Result<u16, Damaged> {
        u16::try_from(self.uint()?).map_err(|_| Damaged("integer out of range"))
    }

    /// See [`Writer::byte`].
    pub fn byte(&mut self) -> Result<u8, Damaged> {
        self.take(1)?.first().copied().ok_or(Damaged("ends early"))
    }

    /// See [`Writer::int`].
    pub fn int(&mut self) -> Result<i64, Damaged> {
        let raw = self.uint()?;
        Ok((raw >> 1) as i64 ^ -((raw & 1) as i64))
    }

    /// See [`Writer::fixed`].
    pub fn fixed(&mut self) -> Result<u64, Damaged> {
        let bytes = self.take(8)?;
        Ok(u64::from_le_bytes(bytes.try_into().map_err(|_| Damaged("ends early"))?))
    }

    /// See [`Writer::wide`].
    pub fn wide(&mut self) -> Result<i128, Damaged> {
        let bytes = self.take(16)?;
        Ok(i128::from_le_bytes(bytes.try_into().map_err(|_| Damaged("ends early"))?))
    }

    /// See [`Writer::float`].
    pub fn float(&mut self) -> Result<f64, Damaged> {
        Ok(f64::from_bits(self.fixed()?))
    }

    /// See [`Writer::flag`].
    pub fn flag(&mut self) -> Result<bool, Damaged> {
        match self.take(1)? {
            [0] => Ok(false),
            [1] => Ok(true),
            _ => Err(Damaged("flag is neither 0 nor 1")),
        }
    }

    /// See [`Writer::text`].
    pub fn text(&mut self) -> Result<String, Damaged> {
        let length = self.length()?;
        let bytes = self.take(length)?;
        String::from_utf8(bytes.to_vec()).map_err(|_| Damaged("text is not UTF-8"))
    }

    /// See [`Writer::length`]; never more than the bytes that are left, so that damage cannot ask for memory.
    pub fn length(&mut self) -> Result<usize, Damaged> {
        let length = self.uint()?;
        if length > self.rest.len() as u64 {
            return Err(Damaged("list longer than the data"));
        }
        Ok(length as usize)
    }

    /// The next `length` bytes.
    pub fn bytes(&mut self, length: usize) -> Result<&'a [u8], Damaged> {
        self.take(length)
    }

    /// Everything must have been read.
    pub fn end(&self) -> Result<(), Damaged> {
        if self.rest.is_empty() { Ok(()) } else { Err(Damaged("bytes left over")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use proptest::test_runner::RngSeed;

    proptest! {
        #![proptest_config(ProptestConfig { rng_seed: RngSeed::Fixed(179), failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn values_round_trip(u in any::<u64>(), i in any::<i64>(), w in any::<i128>(), s in ".*", b in any::<bool>()) {
            let mut writer = Writer::default();
            writer.uint(u);
            writer.int(i);
            writer.fixed(u);
            writer.wide(w);
            writer.text(&s);
            writer.flag(b);
            let mut reader = Reader::new(&writer.bytes);
            prop_assert_eq!(reader.uint().unwrap(), u);
            prop_assert_eq!(reader.int().unwrap(), i);
            prop_assert_eq!(reader.fixed().unwrap(), u);
            prop_assert_eq!(reader.wide().unwrap(), w);
            prop_assert_eq!(reader.text().unwrap(), s);
            prop_assert_eq!(reader.flag().unwrap(), b);
            prop_assert!(reader.end().is_ok());
        }

        #[test]
        fn damage_is_an_error_not_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let mut reader = Reader::new(&bytes);
            let read = (reader.text().is_ok(), reader.wide().is_ok(), reader.length().is_ok(), reader.flag().is_ok());
            prop_assert!(bytes.len() > 15 || !read.1);
        }
    }
}
