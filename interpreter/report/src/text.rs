//! Text that is safe on a terminal, and never wider than asked for.
//!
//! Widths are columns of a terminal: a CJK character counts two. Text from hosts, runbooks and inventories goes
//! through [`clean`] before it is shown, so that a hostile host cannot drive the operator's terminal.

/// The narrowest output that is laid out; smaller widths are treated as this one.
pub const NARROWEST: usize = 20;

/// What ends a text that was cut.
const CUT: char = '…';

/// Can this character move the cursor, hide text, or change the order in which text is read?
fn is_risky(letter: char) -> bool {
    letter.is_control()
        || matches!(letter,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{feff}'
            | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{fe00}'..='\u{fe0f}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
}

fn push_escaped(out: &mut String, letter: char) {
    match letter {
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        _ if u32::from(letter) < 0x100 => out.push_str(&format!("\\x{:02x}", u32::from(letter))),
        _ => out.push_str(&format!("\\u{{{:x}}}", u32::from(letter))),
    }
}

/// One line for people: a tab becomes four spaces; control characters, escape sequences and characters that
/// hide or reorder text are written as `\x1b`, `\n` or `\u{202e}`.
pub fn clean(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '\t' => out.push_str("    "),
            _ if is_risky(letter) => push_escaped(&mut out, letter),
            _ => out.push(letter),
        }
    }
    out
}

/// Like [`clean`], but a tab is written as `\t`: for diffs, where it must not look like spaces.
pub fn clean_exact(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        if is_risky(letter) { push_escaped(&mut out, letter) } else { out.push(letter) }
    }
    out
}

/// Like [`clean`], but every replaced character stays one character, so that columns keep their meaning. Tabs stay.
pub fn clean_in_place(text: &str) -> String {
    text.chars()
        .map(|letter| match letter {
            '\t' => '\t',
            '\u{7f}' => '\u{2421}',
            _ if u32::from(letter) < 0x20 => {
                char::from_u32(0x2400 + u32::from(letter)).unwrap_or(char::REPLACEMENT_CHARACTER)
            }
            _ if is_risky(letter) => char::REPLACEMENT_CHARACTER,
            _ => letter,
        })
        .collect()
}

/// Columns of one character.
fn letter_width(letter: char) -> usize {
    if letter.is_ascii() {
        return 1;
    }
    console::measure_text_width(letter.encode_utf8(&mut [0; 4]))
}

/// Columns of a text without escape sequences.
pub fn width(text: &str) -> usize {
    text.chars().map(letter_width).sum()
}

/// The text, or as much of its beginning as fits, ending in `…`.
pub fn cut(text: &str, columns: usize) -> String {
    if width(text) <= columns {
        return text.to_owned();
    }
    let mut out = String::new();
    let mut used = 1;
    for letter in text.chars() {
        used += letter_width(letter);
        if used > columns {
            break;
        }
        out.push(letter);
    }
    if columns > 0 {
        out.push(CUT);
    }
    out
}

/// The text cut to the columns and filled up with spaces.
pub fn pad(text: &str, columns: usize) -> String {
    let mut out = cut(text, columns);
    let missing = columns.saturating_sub(width(&out));
    out.extend(std::iter::repeat_n(' ', missing));
    out
}

/// What does not begin a line where text is written without spaces (GB/T 15834, 5.1), and what does not end one.
const NOT_FIRST: &str = "，。、；：？！）】》」』〉〕％”’…),.;:?!%]";
const NOT_LAST: &str = "（【《「『〈〔“‘([";

/// The pieces of a text that a line's end leaves whole: words with the spaces after them, and each CJK character with the
/// punctuation that belongs to it.
fn pieces(text: &str) -> Vec<&str> {
    let mut pieces = Vec::new();
    let mut start = 0;
    let mut before: Option<char> = None;
    for (at, letter) in text.char_indices() {
        let breaks = before.is_some_and(|before| {
            let wide = letter_width(before) == 2 || letter_width(letter) == 2 && before != ' ';
            before == ' '
                || wide && letter != ' ' && !NOT_FIRST.contains(letter) && !NOT_LAST.contains(before)
        });
        if breaks {
            pieces.extend(text.get(start..at));
            start = at;
        }
        before = Some(letter);
    }
    pieces.extend(text.get(start..).filter(|rest| !rest.is_empty()));
    pieces
}

/// Columns of the longest piece of a text that a line's end leaves whole, of those that have at most `columns`.
pub(crate) fn longest_piece(text: &str, columns: usize) -> usize {
    let widths = pieces(text).into_iter().map(|piece| width(piece.trim_end_matches(' ')));
    widths.filter(|width| *width <= columns).max().unwrap_or(0)
}

/// Splits at spaces and between CJK characters into lines of at most `columns` (at least 2); longer words are broken.
/// Leading spaces stay. Gives at least one line, which may be empty.
pub fn wrap(text: &str, columns: usize) -> Vec<String> {
    let columns = columns.max(2);
    let mut lines = Vec::new();
    let mut line = String::new();
    let mut used = 0;
    for word in pieces(text) {
        let visible = width(word.trim_end_matches(' '));
        if used + visible > columns && !line.trim().is_empty() {
            lines.push(line.trim_end().to_owned());
            line.clear();
            used = 0;
        }
        for letter in word.chars() {
            let wide = letter_width(letter);
            if used + wide > columns {
                // A space at the edge is where the line breaks anyway.
                if letter == ' ' {
                    continue;
                }
                lines.push(std::mem::take(&mut line));
                used = 0;
            }
            line.push(letter);
            used += wide;
        }
    }
    lines.push(line.trim_end().to_owned());
    lines
}

/// Splits into pieces of at most `columns` (at least 2), wherever that is. Gives at least one, which may be empty.
pub fn split(text: &str, columns: usize) -> Vec<String> {
    let columns = columns.max(2);
    let mut pieces = Vec::new();
    let mut piece = String::new();
    let mut used = 0;
    for letter in text.chars() {
        let wide = letter_width(letter);
        if used + wide > columns {
            pieces.push(std::mem::take(&mut piece));
            used = 0;
        }
        piece.push(letter);
        used += wide;
    }
    pieces.push(piece);
    pieces
}

/// `1 host`, `2 hosts`: a number and its noun.
pub fn count(number: usize, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn control_characters_are_written_out() {
        assert_eq!(clean("a\x1b[2Jb\tc\r\n"), "a\\x1b[2Jb    c\\r\\n");
        assert_eq!(clean("\u{9b}31m\u{202e}x\u{200b}"), "\\x9b31m\\u{202e}x\\u{200b}");
        assert_eq!(clean_exact("\ta"), "\\ta");
        assert_eq!(clean_in_place("\x1b\tx\u{202e}"), "\u{241b}\tx\u{fffd}");
        assert_eq!(clean("证书 é …"), "证书 é …");
    }

    #[test]
    fn text_is_cut_and_filled_by_columns() {
        assert_eq!(cut("证书更新", 8), "证书更新");
        assert_eq!(cut("证书更新", 7), "证书更…");
        assert_eq!(cut("证书更新", 6), "证书…");
        assert_eq!(cut("abc", 0), "");
        assert_eq!(pad("证", 4), "证  ");
    }

    #[test]
    fn words_are_wrapped_and_long_ones_broken() {
        assert_eq!(wrap("one two three", 8), ["one two", "three"]);
        assert_eq!(wrap("  indented text", 10), ["  indented", "text"]);
        assert_eq!(wrap("abcdefgh", 3), ["abc", "def", "gh"]);
        assert_eq!(wrap("证书更新", 5), ["证书", "更新"]);
        assert_eq!(wrap("", 5), [""]);
        assert_eq!(wrap("为什么 节点上的 etcd 需要重启", 15), ["为什么 节点上的", "etcd 需要重启"]);
        assert_eq!(wrap("所有节点依次重启。", 16), ["所有节点依次重", "启。"], "a full stop begins no line");
        assert_eq!(wrap("替换证书（新）", 10), ["替换证书", "（新）"], "a bracket ends no line");
        assert_eq!(wrap("替换 etcd-ca.pem 与私钥", 12), ["替换", "etcd-ca.pem", "与私钥"]);
    }

    proptest! {
        #[test]
        fn nothing_is_wider_than_asked(text in any::<String>(), columns in 2usize..60) {
            let safe = clean(&text);
            prop_assert!(!safe.chars().any(is_risky));
            prop_assert!(console::measure_text_width(&cut(&safe, columns)) <= columns);
            for line in wrap(&safe, columns).iter().chain(&split(&safe, columns)) {
                prop_assert!(console::measure_text_width(line) <= columns, "{line:?}");
            }
        }

        #[test]
        fn wrapping_loses_no_letter(text in any::<String>(), columns in 2usize..60) {
            let safe = clean(&text);
            let kept: String = wrap(&safe, columns).concat().chars().filter(|c| !c.is_whitespace()).collect();
            let given: String = safe.chars().filter(|c| !c.is_whitespace()).collect();
            prop_assert_eq!(kept, given);
            prop_assert_eq!(split(&safe, columns).concat(), safe);
        }
    }
}
