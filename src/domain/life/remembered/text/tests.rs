use super::*;
use crate::domain::culprit::Culprit;
use crate::domain::life::ending::Ending;
use crate::domain::life::kind::Kind;
use crate::domain::life::observation::Fate;
use proptest::prelude::*;

fn sample(ages: &[f64]) -> Remembered {
    let mut history = History::default();
    for (number, &age) in ages.iter().enumerate() {
        let died = Fate::Died {
            ending: Ending::Silence,
            exact: false,
            culprit: Culprit::NetworkIdleTimeout,
            recurs: false,
            killed: None,
        };
        let fate = if number % 2 == 0 { Fate::Lived } else { died };
        history.push(Observation { at: 1.7e9 + number as f64, kind: Kind::Idle, age, fate, server: None });
    }
    let known = RememberedPath { history: Arc::new(history), ..RememberedPath::default() };
    Remembered { paths: BTreeMap::from([(direct(), known)]) }
}

fn direct() -> PathName {
    PathName::new("shop", "direct")
}

fn read(text: &str) -> Remembered {
    Remembered::from_text(text.as_bytes()).expect("can be read")
}

fn message(text: &str) -> String {
    Remembered::from_text(text.as_bytes()).expect_err("must be refused").to_string()
}

#[test]
fn the_text_is_this() {
    let text = sample(&[25.0, 40.5]).to_text().expect("can be written");
    assert_eq!(
        text,
        "{\"version\":2,\"paths\":[\n\
         {\"target\":\"shop\",\"path\":\"direct\",\"seen\":[\
         {\"at\":1700000000.0,\"kind\":\"idle\",\"age\":25.0,\"fate\":\"lived\"},\
         {\"at\":1700000001.0,\"kind\":\"idle\",\"age\":40.5,\"fate\":{\"died\":\
         {\"ending\":\"silence\",\"exact\":false,\"culprit\":\"network_idle_timeout\",\"recurs\":false}}}]}\n]}"
    );
}

#[test]
fn a_culprit_is_read_by_the_name_it_had_before() {
    let remembered = sample(&[25.0, 40.5]);
    let text = remembered.to_text().expect("can be written");
    let old = text.replace("network_idle_timeout", "path_idle_timeout");
    assert!(old != text);
    assert_eq!(Remembered::from_text(old.as_bytes()).expect("can be read"), remembered);
}

#[test]
fn all_that_is_known_of_a_path_is_read_again() {
    let mut remembered = sample(&[25.0]);
    let known = remembered.paths.get_mut(&direct()).expect("it is there");
    known.against = Some("db.example.org:3306".to_owned());
    known.left_at = Some(1.8e9);
    let history = Arc::make_mut(&mut known.history);
    let server = history.number_of(Some("uuid-a"));
    history.push(Observation { at: 1.8e9, kind: Kind::Idle, age: 40.0, fate: Fate::Lived, server });
    remembered.paths.insert(PathName::new("a/b", "c/d"), RememberedPath::default());
    remembered.paths.insert(PathName::new("a", "b/c/d"), RememberedPath::default());
    let text = remembered.to_text().expect("can be written");
    let path = "{\"target\":\"shop\",\"path\":\"direct\",\"against\":\"db.example.org:3306\",\
        \"left_at\":1800000000.0,\"servers\":[\"uuid-a\"],\"seen\":[";
    assert!(text.lines().any(|line| line.starts_with(path)), "{text}");
    assert!(text.contains("\"age\":40.0,\"fate\":\"lived\",\"server\":0}"), "{text}");
    assert_eq!(text.lines().count(), 5, "a path a line\n{text}");
    assert_eq!(read(&text), remembered);
}

#[test]
fn the_version_before_is_read() {
    let life = "{\"at\":1.8e9,\"kind\":\"idle\",\"age\":40.0,\"fate\":\"lived\",\"server\":0}";
    let text = format!(
        "{{\"version\":1,\"paths\":{{\"shop/direct\":[{life}],\"a/b/c\":[]}},\
         \"against\":{{\"shop/direct\":\"db:3306\"}},\"servers\":{{\"shop/direct\":[\"uuid-a\"]}}}}"
    );
    let mut history = History::default();
    let server = history.number_of(Some("uuid-a"));
    history.push(Observation { at: 1.8e9, kind: Kind::Idle, age: 40.0, fate: Fate::Lived, server });
    let against = Some("db:3306".to_owned());
    let known = RememberedPath { history: Arc::new(history), against, left_at: None };
    let other = (PathName::new("a", "b/c"), RememberedPath::default());
    assert_eq!(read(&text), Remembered { paths: BTreeMap::from([(direct(), known), other]) });
    let oldest = format!("{{\"version\":1,\"paths\":{{\"shop/direct\":[{life}]}}}}");
    assert_eq!(read(&oldest).paths[&direct()].against, None);
}

#[test]
fn what_would_not_be_read_is_not_written() {
    let mut remembered = sample(&[]);
    for number in 0..MOST_PATHS {
        remembered.paths.insert(PathName::new("shop", &number.to_string()), RememberedPath::default());
    }
    let error = remembered.to_text().expect_err("too many").to_string();
    assert_eq!(error, "it holds 1025 paths, and at most 1024 are remembered");
    let mut remembered = sample(&[]);
    let known = remembered.paths.get_mut(&direct()).expect("it is there");
    known.left_at = Some(f64::NAN);
    let error = remembered.to_text().expect_err("no time").to_string();
    assert_eq!(error, "path \"shop/direct\" left at time NaNs, which no calendar says");
}

#[test]
fn errors_say_what_is_wrong() {
    assert_eq!(message(""), "it is damaged: EOF while parsing a value at line 1 column 0");
    assert_eq!(
        message("{\"version\":7,\"anything\":[]}"),
        "it has version 7, and this program reads versions 1 and 2"
    );
    assert!(message("{\"paths\":{}}").starts_with("it is damaged: missing field `version`"));
    for text in ["{\"version\":1,\"paths\":{},\"more\":1}", "{\"version\":2,\"paths\":[],\"more\":1}"] {
        assert!(message(text).contains("unknown field `more`"));
    }
    let text = "{\"version\":1,\"paths\":{\"a/b\":[{\"at\":1.0,\"kind\":\"idle\",\"age\":-3.0,\"fate\":\"lived\"}]}}";
    assert_eq!(
        message(text),
        "path \"a/b\" has an observation at age -3s and time 1s, which no canary can have made"
    );
    let one = "{\"at\":1.0,\"kind\":\"idle\",\"age\":3.0,\"fate\":\"lived\"}";
    let many = vec![one; HISTORY_CAPACITY + 1].join(",");
    assert_eq!(
        message(&format!(
            "{{\"version\":2,\"paths\":[{{\"target\":\"a\",\"path\":\"b\",\"seen\":[{many}]}}]}}"
        )),
        "path \"a/b\" has 4097 observations, and at most 4096 are kept"
    );
}

#[test]
fn an_age_that_no_canary_can_have_is_neither_written_nor_read() {
    for age in [f64::INFINITY, f64::NAN, -1.0, LONGEST_AGE_SECONDS + 1.0, 1e300] {
        assert!(sample(&[age]).to_text().is_err(), "{age}");
    }
    let text = sample(&[LONGEST_AGE_SECONDS]).to_text().expect("late, and possible");
    Remembered::from_text(text.as_bytes()).expect("it is read again");
    let text = text.replace("\"age\":31622400.0", "\"age\":31622401.0");
    let words = message(&text);
    assert!(
        words.contains("at age 31622401s") && words.ends_with("which no canary can have made"),
        "{words}"
    );
}

proptest! {
    #[test]
    fn what_is_written_is_read(ages in prop::collection::vec(0.0..LONGEST_AGE_SECONDS, 0..40)) {
        let remembered = sample(&ages);
        let text = remembered.to_text().expect("can be written");
        let read = read(&text);
        let [read, remembered] = [&read, &remembered].map(|all| &all.paths[&direct()].history);
        let pairs = read.iter().zip(remembered.iter());
        // The last digit of a number may change on the way.
        for (was, is) in pairs {
            prop_assert!((was.age - is.age).abs() <= 1e-6 && was.at == is.at && was.fate == is.fate);
        }
        prop_assert_eq!(read.len(), ages.len());
    }

    #[test]
    fn a_cut_text_is_an_error(cut in 0.0..1.0_f64) {
        let text = sample(&[25.0, 40.5, 55.0]).to_text().expect("can be written");
        let kept = (text.len() as f64 * cut) as usize;
        prop_assert!(Remembered::from_text(&text.as_bytes()[..kept]).is_err());
    }

    #[test]
    fn garbage_never_panics(at in any::<prop::sample::Index>(), byte in any::<u8>(), noise in prop::collection::vec(any::<u8>(), 0..64)) {
        let mut text = sample(&[25.0, 40.5]).to_text().expect("can be written").into_bytes();
        let place = at.index(text.len());
        text[place] = byte;
        let _either_is_fine = Remembered::from_text(&text);
        prop_assert!(Remembered::from_text(&noise).is_err());
    }
}
