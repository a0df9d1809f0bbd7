//! Patterns for command lines and paths: `*` stands for any letters, spaces and slashes included, `?` for one.

/// A pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Glob(Vec<char>);

impl Glob {
    pub fn new(pattern: &str) -> Self {
        Self(pattern.chars().collect())
    }

    /// Does the whole text fit?
    pub fn fits(&self, text: &str) -> bool {
        let text: Vec<char> = text.chars().collect();
        let (mut at, mut from) = (0, 0);
        // Where to go on when what follows the last star does not fit: after the star, one letter further.
        let mut retry: Option<(usize, usize)> = None;
        while from < text.len() {
            match self.0.get(at) {
                Some('*') => {
                    retry = Some((at + 1, from));
                    at += 1;
                }
                Some(letter) if *letter == '?' || Some(letter) == text.get(from) => {
                    at += 1;
                    from += 1;
                }
                _ => match retry {
                    Some((star, eaten)) => {
                        retry = Some((star, eaten + 1));
                        at = star;
                        from = eaten + 1;
                    }
                    None => return false,
                },
            }
        }
        self.0.get(at..).unwrap_or_default().iter().all(|letter| *letter == '*')
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_stand_for_anything() {
        for (pattern, text, fits) in [
            ("etcdctl * endpoint health*", "etcdctl --a=b endpoint health", true),
            ("etcdctl * endpoint health*", "etcdctl endpoint health", false),
            ("docker ps*", "docker ps", true),
            ("docker ps*", "docker psx --y", true),
            ("docker ps", "docker ps -a", false),
            ("*a*b*", "xxaxxbxx", true),
            ("*ab", "aab", true),
            ("*ab", "aba", false),
            ("?x", "üx", true),
            ("", "", true),
            ("", "x", false),
            ("*", "", true),
        ] {
            assert_eq!(Glob::new(pattern).fits(text), fits, "{pattern} {text}");
        }
    }
}
