//! Which known word was meant.

/// The most words that are suggested.
const MOST: usize = 3;

/// The known words that a misspelt one may stand for, the nearest first; none where none is near.
pub(super) fn nearest<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let plain = |word: &str| -> Vec<char> {
        word.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).take(100).collect()
    };
    let wanted = plain(word);
    if wanted.len() < 2 {
        return Vec::new();
    }
    let mut found: Vec<(usize, &str)> = known
        .filter_map(|candidate| {
            let letters = plain(candidate);
            let apart = distance(&wanted, &letters);
            let part = wanted.len() >= 3 && letters.windows(wanted.len()).any(|window| window == wanted);
            let whole = letters.len() >= 3 && wanted.windows(letters.len()).any(|window| window == letters);
            (part || whole || apart <= wanted.len().max(letters.len()) / 3).then_some((apart, candidate))
        })
        .collect();
    found.sort_by_key(|&(apart, _)| apart);
    found.into_iter().take(MOST).map(|(_, candidate)| candidate).collect()
}

/// How many letters must be put in, left out or changed.
fn distance(a: &[char], b: &[char]) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, to) in b.iter().enumerate() {
            let changed = diagonal + usize::from(from != to);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_word_finds_what_was_meant() {
        let known = ["max_connections", "max_connections_per_target", "precision", "ages", "name"];
        for (word, meant) in [
            ("max-connections", Some("max_connections")),
            ("precison", Some("precision")),
            ("age", Some("ages")),
            ("nmae", None),
            ("PRECISION", Some("precision")),
            ("hunter2", None),
            ("x", None),
            ("", None),
        ] {
            assert_eq!(nearest(word, known.into_iter()).first().copied(), meant, "{word}");
        }
        assert_eq!(distance(&['a', 'b', 'c'], &['b', 'c', 'd']), 2);
    }
}
