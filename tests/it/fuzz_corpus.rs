//! The fuzz targets on a stable toolchain: with each file of the corpus, and with thousands of mutations with a fixed seed.

#[path = "../fuzz/bodies.rs"]
#[expect(unreachable_pub, reason = "for the fuzz targets this file is a library")]
mod bodies;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use meetwatch::backoff::Random;

/// The mutations that each fuzz target gets.
const MUTATIONS: usize = 3000;

/// Pieces with a meaning to one of the parsers.
const PIECES: [&str; 37] = [
    "\"",
    "{",
    "}",
    "[",
    "]",
    ":",
    ",",
    "null",
    "=",
    " AND ",
    ">=",
    "\n",
    "\u{0}",
    "\u{202e}",
    "9999999999999999999",
    "-1",
    "1e999",
    "Z",
    ".",
    "conferenceRecords/",
    "\\u0000",
    "é",
    "[[target]]",
    "s",
    "\nsessions end 1000 1",
    "\nconferences end 9223372036854775807",
    "\nconferences end_source inferred",
    "\nevents time -9223372036854775808",
    "\nevents type participant.joined 4",
    "\nevents sequence 3000000000 8",
    "\nparticipants latest_end -1",
    "\nsessions start 9223372036854775807 2",
    "\nconferences phase ended",
    "\nconferences final_read_due 9223372036854775807",
    "\nconferences backfilled_to -9223372036854775808",
    "\ntargets watched_since 9223372036854775807 0",
    "\ntargets discovered_to -9223372036854775808 0",
];

fn corpus(name: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus").join(name);
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files.iter().map(|file| fs::read(file).unwrap()).collect()
}

/// Whether a file of the corpus must be refused.
fn is_broken(path: &Path) -> bool {
    path.file_name().unwrap().to_string_lossy().starts_with("broken")
}

fn mutate(input: &mut Vec<u8>, other: &[u8], random: &mut Random) {
    let place = random.usize(0..input.len() + 1);
    let end = (place + random.usize(0..17)).min(input.len());
    match random.u8(0..6) {
        0 => drop(input.drain(place..end)),
        1 => {
            let piece = PIECES[random.usize(0..PIECES.len())];
            input.splice(place..end, piece.bytes());
        }
        2 => {
            let again = input[place..end].to_vec();
            input.splice(place..place, again);
        }
        3 => input.truncate(place),
        4 => {
            let from = random.usize(0..other.len() + 1);
            input.splice(place..end, other[from..].iter().copied().take(64));
        }
        _ => {
            if let Some(byte) = input.get_mut(place) {
                *byte ^= 1 << random.u8(0..8);
            }
        }
    }
}

#[test]
fn every_file_of_the_corpus_but_the_broken_ones_is_understood() {
    for (name, body) in bodies::ALL {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus").join(name);
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            assert_eq!(body(&fs::read(&path).unwrap()), !is_broken(&path), "{}", path.display());
        }
    }
}

#[test]
fn every_line_of_the_good_rows_changes_a_row() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus/rows");
    let mut tables = BTreeSet::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if is_broken(&path) {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(bodies::idle_lines(&text), Vec::<&str>::new(), "{}", path.display());
        tables.extend(text.lines().filter_map(|line| line.split(' ').next()).map(str::to_owned));
    }
    assert_eq!(tables.len(), 7, "the corpus changes each table that a start reads: {tables:?}");
}

#[test]
fn no_mutation_of_the_corpus_breaks_a_promise() {
    let mut random = Random::with_seed(1);
    for (name, body) in bodies::ALL {
        let corpus = corpus(name);
        let mut understood = 0;
        for _ in 0..MUTATIONS {
            let mut input = corpus[random.usize(0..corpus.len())].clone();
            let other = &corpus[random.usize(0..corpus.len())];
            for _ in 0..random.usize(1..4) {
                mutate(&mut input, other, &mut random);
            }
            understood += usize::from(body(&input));
        }
        assert!((1..MUTATIONS).contains(&understood), "{name}: {understood} of {MUTATIONS} were understood");
    }
}
