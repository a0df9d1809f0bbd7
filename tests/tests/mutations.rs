//! Every shipped file, broken in hundreds of ways: each mistake must be reported at its place.
//!
//! The mistakes come from a seed, which is printed; `KEYBOOK_SEED=n` makes the same ones again, and
//! `KEYBOOK_MUTATIONS=all` all that there are. How exact the place must be:
//!
//! | mistake | the report points at |
//! |---|---|
//! | key, action or argument misspelt; key twice | the letters of that key |
//! | required key gone | the first key left in its map (an empty map: the map) |
//! | required argument gone | the name of the action |
//! | value of another type; word, duration, mode, date, truth value damaged | the letters of the value, on its first line |
//! | id twice | the second id |
//! | name misspelt where something is referred to | the letters of the name; `group[0]`: with the range |
//! | unknown variable, name or function; too many arguments | the letters of the word |
//! | unknown key of a result; word that an input never is | the letters of the key; the word with its quotes |
//! | parenthesis too many or too few | a place inside the same expression |
//! | unused input | its name |
//! | a line one column too far; a tab | the line |
//! | a statement in hooks.rhai; a hook with another number of parameters | the first word; the name of the hook |
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stderr)]

use keybook_tests::mutation::{Book, Checker, Dice, Mutation, mutations};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::{SystemTime, UNIX_EPOCH},
};

/// How many kinds of mistakes the shipped files have room for.
const KINDS: usize = 35;

/// How many mistakes of one kind are made in one file.
const EACH: usize = 3;

fn seed() -> u64 {
    match std::env::var("KEYBOOK_SEED") {
        Ok(seed) => seed.parse().unwrap(),
        Err(_) => SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs(),
    }
}

/// Some mistakes of each kind.
fn chosen(mut all: Vec<Mutation>, dice: &mut Dice) -> Vec<Mutation> {
    if std::env::var("KEYBOOK_MUTATIONS").is_ok_and(|wanted| wanted == "all") {
        return all;
    }
    let mut by_kind: BTreeMap<&str, usize> = BTreeMap::new();
    let mut chosen = Vec::new();
    while !all.is_empty() {
        let mutation = all.swap_remove(dice.below(all.len()));
        let made = by_kind.entry(mutation.kind).or_default();
        *made += 1;
        if *made <= EACH {
            chosen.push(mutation);
        }
    }
    chosen
}

/// The mistakes that are made in a book, and those of them that are not reported where they are.
fn missed(book: &Book, seed: u64) -> (Vec<&'static str>, Vec<String>) {
    let mut dice = Dice::new(seed);
    let registry = keybook_stdlib::registry();
    let (checker, known) = (Checker::new(book), book.words());
    let (mut made, mut missed) = (Vec::new(), Vec::new());
    for file in book.files.keys() {
        let now = checker.check(file, &book.files[file]);
        assert!(now.is_empty(), "{}/{file} is not valid as it is: {now:?}", book.name);
        for mutation in chosen(mutations(book, file, &registry, &known, &mut dice), &mut dice) {
            made.push(mutation.kind);
            let found = checker.check(file, &mutation.text);
            if !mutation.is_reported(&found) {
                let said: Vec<String> = found
                    .iter()
                    .map(|one| format!("{} {} +{} {}", one.code, one.span, one.span.length, one.message))
                    .collect();
                missed.push(format!("{}: {mutation}\n    said: {}", book.name, said.join("\n    ")));
            }
        }
    }
    (made, missed)
}

#[test]
fn every_mistake_is_reported_at_its_place() {
    let seed = seed();
    let books = Book::shipped();
    assert!(books.len() >= 3, "the runbooks, the book's examples and the template of `keybook new`");
    let (made, wrong) = std::thread::scope(|scope| {
        let threads: Vec<_> = books.iter().map(|book| scope.spawn(move || missed(book, seed))).collect();
        threads.into_iter().fold((Vec::new(), Vec::new()), |(mut made, mut wrong), thread| {
            let (more, missed) = thread.join().unwrap();
            made.extend(more);
            wrong.extend(missed);
            (made, wrong)
        })
    });
    let (count, kinds) = (made.len(), made.into_iter().collect::<BTreeSet<_>>());
    eprintln!("{count} mistakes of {} kinds, KEYBOOK_SEED={seed}", kinds.len());
    assert!(
        wrong.is_empty(),
        "{} of {count} mistakes, KEYBOOK_SEED={seed}:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    assert!(count >= 300 && kinds.len() >= KINDS, "only {count} mistakes are made, of {kinds:?}");
}
