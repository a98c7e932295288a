//! Shell patterns for single names, as the ancestor's exclusions use them: `*` and `?` only.

/// Whether the whole of `name` matches `pattern`. Bytes are compared as they are: case matters.
pub(crate) fn matches(pattern: &[u8], name: &[u8]) -> bool {
    let (mut at, mut seen) = (0, 0);
    // Where to go back to: the place after the last star, and how much of the name it has swallowed.
    let mut star: Option<(usize, usize)> = None;
    while let Some(byte) = name.get(seen) {
        match pattern.get(at) {
            Some(b'*') => {
                star = Some((at + 1, seen));
                at += 1;
            }
            Some(b'?') => {
                at += 1;
                seen += 1;
            }
            Some(wanted) if wanted == byte => {
                at += 1;
                seen += 1;
            }
            _ => match star {
                Some((after, swallowed)) => {
                    star = Some((after, swallowed + 1));
                    at = after;
                    seen = swallowed + 1;
                }
                None => return false,
            },
        }
    }
    pattern
        .get(at..)
        .unwrap_or_default()
        .iter()
        .all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn patterns_match_whole_names() {
        let yes = [
            ("*.pyc", "a.pyc"),
            ("*.pyc", ".pyc"),
            (".git", ".git"),
            ("*.egg-info", "x.y.egg-info"),
            ("*a*b", "xaayb"),
            ("?x*", "ax"),
            ("*", ""),
        ];
        for (pattern, name) in yes {
            assert!(
                matches(pattern.as_bytes(), name.as_bytes()),
                "{pattern} {name}"
            );
        }
        let no = [
            ("*.pyc", "a.pyc2"),
            (".git", ".github"),
            ("a", "A"),
            ("?", ""),
            ("*a", "ab"),
        ];
        for (pattern, name) in no {
            assert!(
                !matches(pattern.as_bytes(), name.as_bytes()),
                "{pattern} {name}"
            );
        }
    }
}
