use super::*;
use crate::domain::conduct::health::Loop;
use crate::domain::life::kind::Kind;
use crate::domain::life::observation::{Fate, Observation};

/// A private directory, gone at the end.
struct Dir(PathBuf);

impl Dir {
    fn new() -> Self {
        let path = std::env::temp_dir().join(format!("mysql-canary-state-{:x}", fastrand::u64(..)));
        fs::create_dir(&path).expect("a fresh directory");
        Self(path)
    }

    fn file(&self) -> PathBuf {
        self.0.join("state.json")
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn address(text: &str) -> Address {
    text.parse().expect("a good address")
}

fn seen(ages: &[f64]) -> Observed {
    let mut history = History::default();
    for &age in ages {
        history.push(Observation { at: 1.8e9, kind: Kind::Idle, age, fate: Fate::Lived, server: None });
    }
    Observed { history, shift: -3600.0 }
}

fn ages(history: &History) -> Vec<f64> {
    history.iter().map(|seen| seen.age).collect()
}

async fn end(keeper: Keeper, ended: oneshot::Receiver<()>) {
    keeper.finish(async { drop(ended.await) }, Duration::from_secs(20)).await;
}

#[tokio::test]
async fn all_paths_are_in_one_file_and_what_leaves_comes_back() {
    let dir = Dir::new();
    let (db, lb) = (address("db:3306"), address("lb:3306"));
    let state = StateFile::open(&dir.file()).expect("it opens");
    assert!(state.history("shop", "direct", &db).is_empty() && state.history("shop", "lb", &lb).is_empty());
    let (keeper, ended) = state.write_apart(Pulse::unwatched(Loop::State)).expect("a thread");
    keeper.retain(&[("shop", "direct"), ("shop", "lb")]);
    for age in [25.0, 40.0] {
        keeper.keep("shop", "direct", &db, seen(&[age]));
        keeper.keep("shop", "lb", &lb, seen(&[age + 1.0]));
    }
    // A reload: `lb` leaves, and says its last words; another reload brings it back.
    keeper.retain(&[("shop", "direct")]);
    keeper.keep("shop", "lb", &lb, seen(&[42.0]));
    let back = keeper.history("shop", "lb", &lb);
    assert_eq!((ages(&back), back.iter().next().map(|seen| seen.at)), (vec![42.0], Some(1.8e9 - 3600.0)));
    keeper.retain(&[("shop", "direct"), ("shop", "lb")]);
    // One that was never asked for has no place.
    keeper.keep("shop", "third", &db, seen(&[1.0]));
    keeper.retain(&[("shop", "direct")]);
    end(keeper, ended).await;

    let state = StateFile::open(&dir.file()).expect("it opens");
    assert_eq!(ages(&state.history("shop", "direct", &db)), [40.0]);
    assert_eq!(
        ages(&state.history("shop", "lb", &lb)),
        [42.0],
        "that it left survived the restart, and so did it"
    );
    assert_eq!(ages(&state.history("shop", "direct", &lb)), [0.0; 0], "another address");
    let (keeper, ended) = state.write_apart(Pulse::unwatched(Loop::State)).expect("a thread");
    keeper.keep("shop", "direct", &db, seen(&[99.0]));
    assert!(
        keeper.history("shop", "direct", &lb).is_empty(),
        "the last word of who led elsewhere is not kept"
    );
    end(keeper, ended).await;
}

#[tokio::test]
async fn what_left_a_day_ago_is_not_in_the_file() {
    let dir = Dir::new();
    let left = |hours: f64| unix_now() - hours * 3600.0;
    let path = |name: &str, at: f64| {
        format!(
            "{{\"target\":\"shop\",\"path\":\"{name}\",\"against\":\"db:3306\",\"left_at\":{at},\"seen\":[]}}"
        )
    };
    let text =
        format!("{{\"version\":2,\"paths\":[{},{}]}}", path("old", left(24.1)), path("young", left(23.0)));
    fs::write(dir.file(), text).expect("writable");
    let state = StateFile::open(&dir.file()).expect("it opens");
    let (keeper, ended) = state.write_apart(Pulse::unwatched(Loop::State)).expect("a thread");
    keeper.retain(&[]);
    end(keeper, ended).await;
    let text = fs::read_to_string(dir.file()).expect("written");
    assert!(text.contains("\"young\"") && !text.contains("\"old\""), "{text}");
}

#[test]
fn the_second_is_told_who_holds_the_file() {
    let dir = Dir::new();
    let refused = || StateFile::open(&dir.file()).expect_err("the first holds it").to_string();
    let lock = dir.0.join("state.json.lock");
    fs::write(&lock, "an older one, with a long text of its own that must not stay behind")
        .expect("writable");
    let first = StateFile::open(&dir.file()).expect("it opens");
    let words = refused();
    let who = format!("another exporter keeps {} (process {} on ", dir.file().display(), std::process::id());
    assert!(words.contains(&who) && words.contains(", since 20"), "{words}");
    assert!(words.ends_with("Z): give each exporter a file of its own, or end that one first"), "{words}");
    // What the lock file says is not trusted further than that.
    for text in ["", "garbage", "{\"pid\":1,\"host\":\"a\\u001b[31m\",\"since\":1}"] {
        fs::write(&lock, text).expect("writable");
        assert!(refused().contains("state.json: give each"), "{text}");
    }
    fs::write(&lock, format!("{{\"pid\":1,\"host\":\"\",\"since\":{}}}", u64::MAX)).expect("writable");
    assert!(refused().contains("(process 1, since "), "{}", refused());
    drop(first);
    StateFile::open(&dir.file()).expect("it is free again");
}
