//! What servers say passes, however it is cut, and what none says does not.

use proptest::prelude::*;

use super::*;

const QUERY: &[u8] = b"\x09\0\0\0\x03SELECT 1";
/// With `CLIENT_DEPRECATE_EOF`, and without.
const LOGIN: &[u8] = b"\x05\0\0\x01\0\0\0\x01n";
const OLD_LOGIN: &[u8] = b"\x05\0\0\x01\0\0\0\0n";
const SCRAMBLE: &[u8] = b"\x05\0\0\x03abcde";
const PING: &[u8] = b"\x01\0\0\0\x0e";
const ASK_FOR_KEY: &[u8] = b"\x01\0\0\x03\x02";
const OK: &[u8] = &[0, 0, 0, 2, 0, 0, 0];
const ERR: &[u8] = b"\xff\x10\x04#08004Too many connections";
const EOF: &[u8] = &[0xfe, 0, 0, 2, 0];
/// The end of rows where EOF is deprecated.
const ROWS_END: &[u8] = &[0xfe, 0, 0, 2, 0, 0, 0];
const DEFINITION: &[u8] = b"\x03def\0\0\0\x02id\0\x0c\x3f\0\x14\0\0\0\x08\x81\0\0\0\0";

fn packet(payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("short").to_le_bytes();
    [&[length[0], length[1], length[2], 1], payload].concat()
}

fn packets(payloads: &[&[u8]]) -> Vec<u8> {
    payloads.iter().flat_map(|payload| packet(payload)).collect()
}

fn after(said: &[u8], heard: &[u8]) -> Result<(), Nonsense> {
    let mut guard = Guard::new();
    guard.said(LOGIN);
    guard.said(said);
    guard.heard(heard)
}

#[test]
fn what_servers_say_passes() {
    for said in [QUERY, LOGIN, SCRAMBLE, PING, ASK_FOR_KEY] {
        assert_eq!(after(said, &packet(ERR)), Ok(()));
    }
    for said in [QUERY, LOGIN, SCRAMBLE, PING] {
        assert_eq!(after(said, &packet(OK)), Ok(()));
    }
    let rows = packets(&[&[2], DEFINITION, DEFINITION, &[0xfb, 0xfb], b"\x01a\x02bc", ROWS_END]);
    assert_eq!(after(QUERY, &rows), Ok(()));
    assert_eq!(after(QUERY, &packets(&[&[1], DEFINITION, ERR])), Ok(()));
    for words in [
        &b"\xfecaching_sha2_password\x0012345678901234567890\0"[..],
        &[1, 4],
        // As servers before 4.1 ask for another way.
        &[0xfe],
    ] {
        assert_eq!(after(LOGIN, &packet(words)), Ok(()));
    }
    assert_eq!(after(SCRAMBLE, &packets(&[&[1, 3], OK])), Ok(()));
    let mut old = Guard::new();
    old.said(OLD_LOGIN);
    old.said(QUERY);
    assert_eq!(old.heard(&packets(&[&[1], DEFINITION, EOF, b"\x01a", EOF])), Ok(()));
    old.said(QUERY);
    assert_eq!(old.heard(&packets(&[&[1], DEFINITION, b"\x01a"])), Err(Nonsense::NoEnd));
}

#[test]
fn what_no_server_says_is_refused() {
    for said in [QUERY, LOGIN, SCRAMBLE, PING, ASK_FOR_KEY] {
        assert_eq!(after(said, &packet(&[])), Err(Nonsense::EmptyPacket));
        assert_eq!(after(said, &[0, 0, 0x20, 1]), Err(Nonsense::LongPacket(2 << 20)));
    }
    for count in [0, 257, 1 << 24, 1 << 40, u64::MAX] {
        let head = [&[0xfe], &count.to_le_bytes()[..]].concat();
        assert_eq!(after(QUERY, &packet(&head)), Err(Nonsense::Columns(count)));
    }
    let more = |at: usize, ok: &[u8]| {
        let mut ok = ok.to_vec();
        ok[at] |= MORE_RESULTS;
        ok
    };
    let empty = &b"\xfecaching_sha2_password\0"[..];
    let (more_ok, more_rows) = (more(3, OK), more(3, ROWS_END));
    for (said, heard, nonsense) in [
        (QUERY, &[&[0xfc, 0, 0][..]][..], Nonsense::Columns(0)),
        (QUERY, &[&[0xfe]], Nonsense::Columns(0)),
        (QUERY, &[b"\xfb/etc/passwd"], Nonsense::LocalFile),
        (QUERY, &[&more_ok], Nonsense::MoreResults),
        (QUERY, &[&[1], DEFINITION, &more_rows], Nonsense::MoreResults),
        (QUERY, &[&[2], DEFINITION, DEFINITION, b"\x01a"], Nonsense::Row),
        (QUERY, &[&[1], DEFINITION, b"\x01a\x01b"], Nonsense::Row),
        (QUERY, &[&[1], DEFINITION, b"\x05a"], Nonsense::Row),
        (PING, &[&[7]], Nonsense::NoPong),
        (LOGIN, &[empty], Nonsense::EmptyChallenge),
        (LOGIN, &[&empty[..22]], Nonsense::EmptyChallenge),
        (LOGIN, &[b"\xfecaching_sha2_password\0\0"], Nonsense::EmptyChallenge),
        (SCRAMBLE, &[&[1, 3], &[1, 4]], Nonsense::NoVerdict),
        (ASK_FOR_KEY, &[&[0xff]], Nonsense::ShortError),
        (ASK_FOR_KEY, &[&ERR[..2]], Nonsense::ShortError),
        (QUERY, &[&ERR[..8]], Nonsense::ShortError),
        (QUERY, &[b"\xff\x10\x04Too many connections"], Nonsense::StatelessError),
        (PING, &[b"\xff\x10\x04Too many connections"], Nonsense::StatelessError),
        // Sent ahead of the next question.
        (LOGIN, &[OK, OK], Nonsense::Unasked),
        (LOGIN, &[&[1, 4], OK], Nonsense::Unasked),
        (PING, &[OK, OK], Nonsense::Unasked),
        (QUERY, &[OK, &[1]], Nonsense::Unasked),
        (QUERY, &[&[1], DEFINITION, ROWS_END, OK], Nonsense::Unasked),
        (LOGIN, &[ERR, ERR], Nonsense::Unasked),
    ] {
        assert_eq!(after(said, &packets(heard)), Err(nonsense), "{said:?} {heard:?}");
    }
    assert_eq!(Guard::new().heard(&packet(OK)), Err(Nonsense::Unasked), "before the driver's first word");
}

#[test]
fn a_goodbye_between_two_questions_is_the_last_word() {
    let mut guard = Guard::new();
    guard.said(LOGIN);
    assert_eq!(guard.heard(&packet(OK)), Ok(()));
    assert_eq!(guard.heard(&packet(ERR)), Ok(()));
    assert_eq!(guard.heard(&packet(ERR)), Err(Nonsense::Unasked));
}

#[test]
fn an_error_without_a_state_is_one_where_no_driver_reads_it() {
    let stateless = b"\xff\x10\x04Too many connections";
    for said in [LOGIN, SCRAMBLE, ASK_FOR_KEY] {
        assert_eq!(after(said, &packet(stateless)), Ok(()), "it gets one on its way");
    }
    let mut held = Guard::take_up(Manner::default());
    held.said(PING);
    assert_eq!(held.heard(&packet(stateless)), Ok(()));
    let refusal = held.answer().expect("it is answered").expect_err("by an error");
    assert_eq!((refusal.code, &*refusal.message), (1040, "Too many connections"));
}

#[test]
fn last_words_are_told_from_the_answer_they_come_with() {
    let joined = packets(&[OK, ERR]);
    for cut in 0..joined.len() {
        let mut held = Guard::take_up(Manner::default());
        held.said(PING);
        let (first, second) = joined.split_at(cut);
        let mut unasked = Vec::new();
        for part in [first, second] {
            assert_eq!(held.heard(part), Ok(()));
            unasked.extend_from_slice(&part[part.len() - held.unasked()..]);
        }
        assert_eq!(unasked, packet(ERR));
        assert_eq!(held.answer(), Some(Ok(())), "the ERR answers nothing");
    }
}

#[test]
fn after_the_farewell_nobody_reads() {
    let mut guard = Guard::new();
    guard.said(LOGIN);
    guard.said(QUERY);
    assert_eq!(guard.heard(&packets(&[&[1], DEFINITION])), Ok(()));
    guard.said(b"\x01\0\0\0\x01");
    assert_eq!(guard.heard(&packets(&[b"\x01a", ROWS_END, OK])), Ok(()));
}

#[test]
fn answers_without_end() {
    let begun = || {
        let mut guard = Guard::new();
        guard.said(LOGIN);
        guard.said(QUERY);
        assert_eq!(guard.heard(&packets(&[&[1], DEFINITION])), Ok(()));
        guard
    };
    let wide = packet(&[&[0xfd, 0, 0, 8][..], &[b'x'; LONGEST_PACKET / 2]].concat());
    let mut guard = begun();
    let rows = (0..LONGEST_ANSWER / wide.len()).try_for_each(|_| guard.heard(&wide));
    assert_eq!((rows, guard.heard(&wide)), (Ok(()), Err(Nonsense::LongAnswer)));
    let narrow = packet(&[0]);
    let mut guard = begun();
    let rows = (0..MOST_ROWS).try_for_each(|_| guard.heard(&narrow));
    assert_eq!((rows, guard.heard(&narrow)), (Ok(()), Err(Nonsense::ManyRows)));
    // The next answer counts afresh.
    guard.said(QUERY);
    assert_eq!(guard.answer, 0);
}

proptest! {
    #[test]
    fn the_split_into_reads_changes_nothing(
        payloads in proptest::collection::vec(
            prop_oneof![
                proptest::collection::vec(any::<u8>(), 0..40),
                proptest::sample::select(vec![OK, ERR, EOF, ROWS_END, DEFINITION, &[1], &[2], b"\x01a"])
                    .prop_map(<[u8]>::to_vec),
            ],
            1..7,
        ),
        cut in 0_usize..200,
        said in proptest::sample::select(vec![QUERY, LOGIN, SCRAMBLE, PING, ASK_FOR_KEY]),
    ) {
        let bytes: Vec<u8> = payloads.iter().flat_map(|payload| packet(payload)).collect();
        let whole = after(said, &bytes);
        let (first, second) = bytes.split_at(cut.min(bytes.len()));
        let mut guard = Guard::new();
        guard.said(LOGIN);
        guard.said(said);
        let halves = guard.heard(first).and_then(|()| guard.heard(second));
        prop_assert_eq!(whole, halves);
    }
}
