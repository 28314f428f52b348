//! Which metrics and labels an expression names.
//!
//! Every expression read here was accepted by a real Prometheus before, so a reader that knows words, strings
//! and brackets is enough. The crate that parses all of it brings a parser generator: a minute of building.

use std::collections::{BTreeMap, BTreeSet};

/// What an expression names.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Named {
    /// The metrics, each with the labels its own selectors name.
    pub(super) metrics: BTreeMap<String, BTreeSet<String>>,
    /// The labels that aggregations, joins and label functions read.
    pub(super) labels: BTreeSet<String>,
    /// The labels that label functions make.
    pub(super) made: BTreeSet<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Word(String),
    Text(String),
    Sign(char),
}

const LISTS: [&str; 6] = ["by", "without", "on", "ignoring", "group_left", "group_right"];
const KEYWORDS: [&str; 8] = ["and", "or", "unless", "bool", "offset", "atan2", "inf", "nan"];

/// Reads an expression.
pub(super) fn names(expression: &str) -> Named {
    let tokens = tokens(expression);
    let mut named = Named::default();
    let mut at = 0;
    while at < tokens.len() {
        let rest = &tokens[at..];
        at += match rest {
            [Token::Sign('{'), ..] => panic!("the reader knows no selector without a name: {expression}"),
            [Token::Word(word), Token::Sign('('), ..] if is_one_of(word, &LISTS) => {
                let list = rest.iter().take_while(|&token| *token != Token::Sign(')'));
                let words = list.clone().skip(1).filter_map(|token| match token {
                    Token::Word(label) => Some(label.clone()),
                    _ => None,
                });
                named.labels.extend(words);
                list.count()
            }
            [Token::Word(word), ..] if is_one_of(word, &LISTS) || is_one_of(word, &KEYWORDS) => 1,
            // An aggregation may name its labels before its argument.
            [Token::Word(_), Token::Word(by), Token::Sign('('), ..] if is_one_of(by, &LISTS[..2]) => 1,
            [Token::Word(function), Token::Sign('('), ..] => {
                label_function(function, &rest[2..], &mut named);
                2
            }
            [Token::Word(metric), after @ ..] => {
                let (labels, length) = selector(after);
                named.metrics.entry(metric.clone()).or_default().extend(labels);
                1 + length
            }
            _ => 1,
        };
    }
    named
}

fn is_one_of(word: &str, words: &[&str]) -> bool {
    words.iter().any(|known| word.eq_ignore_ascii_case(known))
}

/// The labels of a selector, and how many tokens it has; none where the tokens begin with no selector.
fn selector(tokens: &[Token]) -> (BTreeSet<String>, usize) {
    if tokens.first() != Some(&Token::Sign('{')) {
        return (BTreeSet::new(), 0);
    }
    let inside = tokens.iter().take_while(|&token| *token != Token::Sign('}'));
    let labels = inside.clone().filter_map(|token| match token {
        Token::Word(label) => Some(label.clone()),
        _ => None,
    });
    (labels.collect(), inside.count() + 1)
}

/// What `label_replace` and `label_join` make and read: the strings among their arguments, in order.
fn label_function(function: &str, arguments: &[Token], named: &mut Named) {
    let (mut depth, mut texts) = (0, Vec::new());
    for token in arguments {
        match token {
            Token::Sign('(' | '{') => depth += 1,
            Token::Sign(')' | '}') if depth == 0 => break,
            Token::Sign(')' | '}') => depth -= 1,
            Token::Text(text) if depth == 0 => texts.push(text.clone()),
            _ => {}
        }
    }
    match (function, texts.as_slice()) {
        ("label_replace", [made, _, read, _]) => {
            named.made.insert(made.clone());
            named.labels.insert(read.clone());
        }
        ("count_values", [made, ..]) => {
            named.made.insert(made.clone());
        }
        ("label_join", [made, _, read @ ..]) => {
            named.made.insert(made.clone());
            named.labels.extend(read.iter().cloned());
        }
        _ => {}
    }
}

fn tokens(expression: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut letters = expression.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '#' => while letters.next_if(|&next| next != '\n').is_some() {},
            '"' | '\'' | '`' => {
                let mut text = String::new();
                while let Some(inside) = letters.next().filter(|&next| next != letter) {
                    let escaped = if inside == '\\' && letter != '`' { letters.next() } else { None };
                    text.push(escaped.unwrap_or(inside));
                }
                tokens.push(Token::Text(text));
            }
            // Numbers and durations name nothing.
            '0'..='9' => while letters.next_if(|next| next.is_alphanumeric() || *next == '.').is_some() {},
            'a'..='z' | 'A'..='Z' | '_' => {
                let mut word = String::from(letter);
                while let Some(next) = letters.next_if(|next| next.is_alphanumeric() || "_:".contains(*next))
                {
                    word.push(next);
                }
                tokens.push(Token::Word(word));
            }
            _ if letter.is_whitespace() => {}
            _ => tokens.push(Token::Sign(letter)),
        }
    }
    tokens
}

#[cfg(test)]
mod tests {
    use super::{BTreeSet, names};

    fn set(words: &str) -> BTreeSet<String> {
        words.split_whitespace().map(str::to_owned).collect()
    }

    /// An expression, its metrics as `name labels`, the labels it reads and those it makes.
    type Case = (&'static str, &'static [(&'static str, &'static str)], &'static str, &'static str);

    const CASES: [Case; 8] = [
        (r#"count_values("number", max(a{b="c"}))"#, &[("a", "b")], "", "number"),
        ("up", &[("up", "")], "", ""),
        ("1e9 + .5 - Inf == bool NaN # a comment", &[], "", ""),
        (
            r#"sum by (job, le) (rate(a_bucket{kind="i}d(le", x!~'y'}[5m] offset 1h))"#,
            &[("a_bucket", "kind x")],
            "job le",
            "",
        ),
        (
            "a:b:c * on (target) group_left (layer) (d == 1) unless ignoring(x) e{f=\"\"}",
            &[("a:b:c", ""), ("d", ""), ("e", "f")],
            "layer target x",
            "",
        ),
        (
            r#"label_replace(sum(a{b="c"}) without (d), "new", "$1", "old", "(.*)") > 3"#,
            &[("a", "b")],
            "d old",
            "new",
        ),
        (r#"label_join(label_join(a, "x", "-", "y"), "z", "-", "x", "w")"#, &[("a", "")], "w x y", "x z"),
        ("max_over_time(a{b=`c`}[1h:1m]) or vector(0) or a{d=\"e\"}", &[("a", "b d")], "", ""),
    ];

    #[test]
    fn an_expressions_names_are_found() {
        for (expression, metrics, labels, made) in CASES {
            let named = names(expression);
            let expected = metrics.iter().map(|&(name, labels)| (name.to_owned(), set(labels))).collect();
            assert_eq!(
                (named.metrics, named.labels, named.made),
                (expected, set(labels), set(made)),
                "{expression}"
            );
        }
    }
}
