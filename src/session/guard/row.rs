//! A row of a text result set, looked at while it streams by: as many cells as there are columns, and no byte more.

/// How far a row has come.
#[derive(Debug, Default)]
pub(super) struct Row {
    /// How many cells are still to begin.
    cells: u64,
    /// How much of the current cell is still to come, in bytes.
    rest: u64,
    /// How many bytes of the current cell's length are still to come.
    digits: u32,
    /// How many of them have.
    digit: u32,
    broken: bool,
}

impl Row {
    /// A row of so many cells is about to come.
    pub(super) fn of(cells: u64) -> Self {
        Self { cells, ..Self::default() }
    }

    /// Some of its bytes came.
    pub(super) fn take(&mut self, mut bytes: &[u8]) {
        while let Some((&byte, rest)) = bytes.split_first() {
            if self.digits > 0 {
                self.rest |= u64::from(byte) << (8 * self.digit);
                (self.digits, self.digit) = (self.digits - 1, self.digit + 1);
            } else if self.rest > 0 {
                let passed = bytes.len().min(usize::try_from(self.rest).unwrap_or(usize::MAX));
                self.rest -= passed as u64;
                bytes = &bytes[passed..];
                continue;
            } else {
                self.broken |= self.cells == 0 || byte == 0xff;
                self.cells = self.cells.saturating_sub(1);
                self.digit = 0;
                (self.rest, self.digits) = match byte {
                    0..=0xfa => (byte.into(), 0),
                    0xfc => (0, 2),
                    0xfd => (0, 3),
                    0xfe => (0, 8),
                    // NULL.
                    0xfb | 0xff => (0, 0),
                };
            }
            bytes = rest;
        }
    }

    /// Whether it is as it should be, now that its packet has ended.
    pub(super) fn is_whole(&self) -> bool {
        !self.broken && self.cells == 0 && self.rest == 0 && self.digits == 0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn is_whole(cells: u64, pieces: &[&[u8]]) -> bool {
        let mut row = Row::of(cells);
        pieces.iter().for_each(|piece| row.take(piece));
        row.is_whole()
    }

    #[test]
    fn whole_rows_and_others() {
        let long = [&[0xfc, 44, 1][..], &[7; 300]].concat();
        let longer = [&[0xfd, 44, 1, 0][..], &[7; 300], &[0xfb]].concat();
        let longest = [&[0xfe, 44, 1, 0, 0, 0, 0, 0, 0][..], &[7; 300]].concat();
        for (cells, row, whole) in [
            (1, &[0][..], true),
            (1, &[0xfb], true),
            (2, b"\x01a\x02bc", true),
            (1, &long, true),
            (2, &longer, true),
            (1, &longest, true),
            (1, &[0, 0], false),
            (2, b"\x01a", false),
            (1, b"\x02a", false),
            (1, &[0xff], false),
            (1, &[0xfc, 1], false),
            (1, &long[..long.len() - 1], false),
            (1, &[0xfe, 255, 255, 255, 255, 255, 255, 255, 255], false),
        ] {
            assert_eq!(is_whole(cells, &[row]), whole, "{cells} {row:?}");
        }
    }

    proptest! {
        #[test]
        fn the_cut_changes_nothing(
            row in proptest::collection::vec(any::<u8>(), 1..40), cells in 1_u64..5, cut in 0_usize..40,
        ) {
            let (head, tail) = row.split_at(cut.min(row.len()));
            prop_assert_eq!(is_whole(cells, &[&row]), is_whole(cells, &[head, tail]));
        }
    }
}
