//! `origin_source`: the name of a platform, where older programs wrote a whole URL.

/// The values that are right.
const PLATFORMS: [&str; 5] = ["github", "gitlab", "bitbucket", "local", "marketplace"];

/// Whose hosts are known.
const HOSTS: [(&str, &str); 3] = [
    ("github.com", "github"),
    ("gitlab.com", "gitlab"),
    ("bitbucket.org", "bitbucket"),
];

/// What a value should be: `Ok(None)` if it is right, `Ok(Some)` with the platform of a URL, `Err` if nobody can
/// tell.
#[expect(
    clippy::result_unit_err,
    reason = "there is nothing more to say of what nobody can tell"
)]
pub fn platform_of(value: &str) -> Result<Option<&'static str>, ()> {
    let lower = value.trim().to_lowercase();
    if PLATFORMS.contains(&lower.as_str()) {
        return Ok(None);
    }
    let rest = lower
        .strip_prefix("https://")
        .or_else(|| lower.strip_prefix("http://"))
        .ok_or(())?;
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = host.strip_prefix("www.").unwrap_or(host);
    let found = HOSTS.iter().find(|(known, _)| *known == host);
    found.map(|(_, platform)| Some(*platform)).ok_or(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_become_platforms() {
        for (value, wanted) in [
            ("github", Ok(None)),
            ("GitLab", Ok(None)),
            ("marketplace", Ok(None)),
            ("https://github.com/anthropics/skills", Ok(Some("github"))),
            ("http://GitHub.com", Ok(Some("github"))),
            ("https://www.gitlab.com/a?b", Ok(Some("gitlab"))),
            ("https://bitbucket.org/x#y", Ok(Some("bitbucket"))),
            ("https://github.com.evil.org/x", Err(())),
            ("https://example.org", Err(())),
            ("whatever", Err(())),
        ] {
            assert_eq!(platform_of(value), wanted, "{value}");
        }
    }
}
