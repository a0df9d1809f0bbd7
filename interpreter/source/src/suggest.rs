//! "Did you mean …?"

/// Advice for a misspelt word, such as ``did you mean `steps`?``; `None` when nothing known is near.
///
/// Near means a third of its letters at most differ (swapped neighbours count once), or that only case, `-` and
/// `_` do.
pub fn suggest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let plain = |text: &str| text.to_lowercase().replace(['-', '_', ' '], "");
    let folded = plain(word);
    known
        .into_iter()
        .filter(|candidate| *candidate != word)
        .map(|candidate| {
            let far = if plain(candidate) == folded { 0 } else { strsim::osa_distance(word, candidate) };
            (far, candidate)
        })
        .filter(|(far, candidate)| {
            let letters = word.chars().count().max(candidate.chars().count());
            *far == 0 || *far <= (letters / 3).max(1) && *far < letters
        })
        .min_by_key(|(far, _)| *far)
        .map(|(_, candidate)| format!("did you mean `{candidate}`?"))
}

/// As [`suggest`]; when nothing is near, what there is, if that is not much.
pub fn advice<'a>(word: &str, known: impl IntoIterator<Item = &'a str> + Clone) -> Option<String> {
    const MOST: usize = 12;
    suggest(word, known.clone()).or_else(|| {
        let all: Vec<String> = known.into_iter().map(|name| format!("`{name}`")).collect();
        (1..=MOST).contains(&all.len()).then(|| format!("known here: {}", all.join(", ")))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_words_are_found_and_far_ones_not() {
        let known = ["steps", "hosts", "max_failures", "id"];
        assert_eq!(suggest("step", known).as_deref(), Some("did you mean `steps`?"));
        assert_eq!(suggest("maxFailures", known).as_deref(), Some("did you mean `max_failures`?"));
        assert_eq!(suggest("di", known).as_deref(), Some("did you mean `id`?"));
        assert_eq!(suggest("zebra", known), None);
        assert_eq!(suggest("steps", known), None);
        assert_eq!(suggest("", known), None);
        assert_eq!(suggest("x", ["y"]), None);
    }
}
