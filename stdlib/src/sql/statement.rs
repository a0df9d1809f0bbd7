//! One SQL statement, looked at closely enough to know that it is one and of which kind.

/// A single statement.
#[derive(Debug, PartialEq)]
pub struct Statement {
    /// Its text without a semicolon at the end.
    pub text: String,
    /// Its words outside of quotes, in capitals.
    pub words: Vec<String>,
}

impl Statement {
    /// Reads a text that must be one statement. Comments are refused, because a server executes what is in some of
    /// them, and so are backslashes outside of quotes, which are commands to the client.
    pub fn one(text: &str) -> Result<Self, String> {
        let text = text.trim().trim_end_matches(';').trim_end();
        let mut words = vec![String::new()];
        let mut chars = text.chars().peekable();
        while let Some(c) = chars.next() {
            match (c, chars.peek()) {
                ('\'' | '"' | '`', _) => {
                    skip_quoted(&mut chars, c)?;
                    words.push(String::new());
                }
                (';', _) => return Err("it is more than one statement".to_owned()),
                ('#', _) | ('-', Some('-')) | ('/', Some('*')) => {
                    return Err("it holds a comment; say it elsewhere".to_owned());
                }
                ('\\' | '\0', _) => return Err("it holds a backslash or a NUL outside of quotes".to_owned()),
                (c, _) if c.is_alphanumeric() || c == '_' => {
                    if let Some(word) = words.last_mut() {
                        word.extend(c.to_uppercase());
                    }
                }
                _ => words.push(String::new()),
            }
        }
        words.retain(|word| !word.is_empty());
        if words.is_empty() {
            return Err("it is empty".to_owned());
        }
        if words.iter().any(|word| word == "DELIMITER") {
            return Err("`delimiter` is a command to the client; quote a name with backticks".to_owned());
        }
        Ok(Self { text: text.to_owned(), words })
    }

    /// The first word must be one of these.
    pub fn begins(&self, with: &[&str]) -> Result<(), String> {
        match self.words.first() {
            Some(first) if with.contains(&first.as_str()) => Ok(()),
            Some(first) => Err(format!("it begins with {first}; only {} may", with.join(", "))),
            None => Err("it is empty".to_owned()),
        }
    }
}

/// Skips to the end of a quoted text; a doubled quote, and in strings a backslash, does not end it.
fn skip_quoted(chars: &mut std::iter::Peekable<std::str::Chars<'_>>, quote: char) -> Result<(), String> {
    while let Some(c) = chars.next() {
        if c == '\\' && quote != '`' {
            chars.next();
        } else if c == quote && chars.next_if_eq(&quote).is_none() {
            return Ok(());
        }
    }
    Err(format!("a quote ({quote}) is not closed"))
}

/// A table's name in backticks; the error says why it is none.
pub fn identifier(name: &str) -> Result<String, String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '$' || c == '-';
    match !name.is_empty() && name.len() <= 64 && name.chars().all(plain) {
        true => Ok(format!("`{name}`")),
        false => Err(format!("`{}` is no plain name of a table", name.escape_debug())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_statement_is_told_from_several() {
        let one =
            Statement::one(" update `t;` set v = 'it''s; \\' -- no', w = \"#\" where k in (1, 2) ;").unwrap();
        assert_eq!(one.words, ["UPDATE", "SET", "V", "W", "WHERE", "K", "IN", "1", "2"]);
        assert!(one.text.ends_with("(1, 2)"));
        assert!(one.begins(&["INSERT", "UPDATE"]).is_ok());
        assert_eq!(one.begins(&["SELECT"]).unwrap_err(), "it begins with UPDATE; only SELECT may");
    }

    #[test]
    fn what_could_hide_something_is_refused() {
        for (text, why) in [
            ("select 1; drop table t", "more than one"),
            ("select 1 /*! into outfile '/x' */", "comment"),
            ("select 1 -- x", "comment"),
            ("select 1 # x", "comment"),
            ("select 1\n\\! id", "backslash"),
            ("select 'x", "not closed"),
            ("select `x", "not closed"),
            ("delimiter //", "delimiter"),
            (" ;; ", "empty"),
        ] {
            assert!(Statement::one(text).unwrap_err().contains(why), "{text}");
        }
        assert_eq!(identifier("manager_info").unwrap(), "`manager_info`");
        for bad in ["", "a`b", "a.b", "a b", "ü"] {
            assert!(identifier(bad).is_err(), "{bad}");
        }
    }
}
