//! Shell patterns for single names: `*`, `?` and sets such as `[a-z]` or `[!ab]`.

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
            Some(_) if one(pattern.get(at..).unwrap_or_default(), *byte).is_some() => {
                at += one(pattern.get(at..).unwrap_or_default(), *byte).unwrap_or(1);
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

/// Bytes of the pattern that a byte of the name uses up, if it fits its beginning. A `[` that nothing closes
/// stands for itself.
fn one(pattern: &[u8], byte: u8) -> Option<usize> {
    let (first, rest) = pattern.split_first()?;
    match first {
        b'?' => Some(1),
        b'[' => match set(rest) {
            Some((fits, length)) => fits(byte).then_some(length + 1),
            None => (byte == b'[').then_some(1),
        },
        _ => (*first == byte).then_some(1),
    }
}

/// What a set holds, and how long it is. A `]` right at its beginning belongs to it.
fn set(rest: &[u8]) -> Option<(impl Fn(u8) -> bool, usize)> {
    let is_not = matches!(rest.first(), Some(b'!' | b'^'));
    let start = usize::from(is_not);
    let end = rest
        .iter()
        .enumerate()
        .skip(start + 1)
        .find(|(_, byte)| **byte == b']')
        .map(|(at, _)| at)?;
    let members = rest.get(start..end)?;
    let fits = move |byte: u8| {
        let mut left = members;
        while let Some((first, after)) = left.split_first() {
            left = after;
            if let [b'-', last, beyond @ ..] = after {
                left = beyond;
                if (*first..=*last).contains(&byte) {
                    return !is_not;
                }
            } else if *first == byte {
                return !is_not;
            }
        }
        is_not
    };
    Some((fits, end + 1))
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
            ("[ab]x", "bx"),
            ("[!a-c]*", "dog"),
            ("[]-]", "]"),
            ("[]-]", "-"),
            ("[a-]", "-"),
            ("[ab", "[ab"),
            ("*[0-9].md", "a1.md"),
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
            ("[ab]", "c"),
            ("[!ab]", "a"),
            ("[a-c]", "d"),
            ("[ab]", ""),
        ];
        for (pattern, name) in no {
            assert!(
                !matches(pattern.as_bytes(), name.as_bytes()),
                "{pattern} {name}"
            );
        }
    }
}
