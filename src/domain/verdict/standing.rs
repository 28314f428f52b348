//! How a path stands, in a word: for lists, and for who reads one word alone.

/// How a path stands. The worse, the less.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    /// No session is to be had, and no canary lives.
    Unreachable,
    /// Something is wrong: a limit, a KILL, a rule that holds.
    Ill,
    /// Nothing is wrong so far, and not every age was reached yet.
    Measuring,
    /// Nothing is wrong up to the end of the ladder.
    Sound,
}

impl Standing {
    /// Every one, the worst first.
    pub const ALL: [Self; 4] = [Self::Unreachable, Self::Ill, Self::Measuring, Self::Sound];

    /// Its name in the status document.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Unreachable => "unreachable",
            Self::Ill => "ill",
            Self::Measuring => "measuring",
            Self::Sound => "sound",
        }
    }

    /// How a path stands where no session is to be had (`unreachable`), by whether its verdict is `sound` as far as was
    /// measured, and whether the end of the ladder was `survived`.
    pub const fn of(unreachable: bool, sound: bool, survived: bool) -> Self {
        match (unreachable, sound, survived) {
            (true, _, _) => Self::Unreachable,
            (false, false, _) => Self::Ill,
            (false, true, false) => Self::Measuring,
            (false, true, true) => Self::Sound,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_comes_first() {
        for (unreachable, sound, survived, standing) in [
            (true, true, true, Standing::Unreachable),
            (true, false, false, Standing::Unreachable),
            (false, false, true, Standing::Ill),
            (false, true, false, Standing::Measuring),
            (false, true, true, Standing::Sound),
        ] {
            assert_eq!(Standing::of(unreachable, sound, survived), standing);
        }
        assert!(Standing::ALL.is_sorted());
    }
}
