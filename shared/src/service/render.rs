//! The files of a service, made of one template each, and read back.
//!
//! The last line of a file that we write holds a hash of all lines before it: so a file that a person has
//! changed is known, without a record kept elsewhere.

use std::path::{Path, PathBuf};

use super::{Manager, Service, ServiceFile};
use crate::paths::short_hash;
use crate::{Code, Error, Result};

/// The templates, in the order of [`Service::units`].
const SYSTEMD: [&str; 2] = [
    include_str!("../../../packaging/systemd/skillmeatd.socket"),
    include_str!("../../../packaging/systemd/skillmeatd.service"),
];
const LAUNCHD: [&str; 1] = [include_str!("../../../packaging/launchd/skillmeatd.plist")];

/// What begins the last line of a file of ours, and what follows the hash.
const SEALS: [(&str, &str); 2] = [("# sm service ", ""), ("<!-- sm service ", " -->")];

/// Digits of the hash.
const DIGITS: usize = 16;

/// Whose a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// We wrote it, and nobody has changed it since.
    Ours,
    /// We wrote it, and somebody has changed it since.
    Edited,
    /// Somebody else wrote it.
    Foreign,
}

impl Standing {
    /// Whose a file with this content is.
    pub fn of(content: &[u8]) -> Self {
        let Ok(text) = std::str::from_utf8(content) else {
            return Self::Foreign;
        };
        let seal = |line: &str| {
            SEALS.into_iter().find_map(|(before, after)| {
                let hash = line.strip_prefix(before)?.strip_suffix(after)?;
                Some(hash.to_owned())
            })
        };
        let body_end = text
            .strip_suffix('\n')
            .and_then(|text| text.rfind('\n'))
            .map_or(0, |end| end + 1);
        let (body, last) = text.split_at_checked(body_end).unwrap_or((text, ""));
        match seal(last.trim_end_matches('\n')) {
            Some(hash) if hash == short_hash(body.as_bytes(), DIGITS) => Self::Ours,
            // The line may have been pushed up by others behind it.
            _ if text.lines().any(|line| seal(line).is_some()) => Self::Edited,
            _ => Self::Foreign,
        }
    }
}

pub(super) fn render(service: &Service, program: &Path) -> Result<Vec<ServiceFile>> {
    let (templates, program, home) = match service.manager {
        Manager::Systemd => (
            &SYSTEMD[..],
            systemd_program(program)?,
            systemd_argument(&service.home)?,
        ),
        Manager::Launchd => (&LAUNCHD[..], xml(program)?, xml(&service.home)?),
    };
    let [of_systemd, of_launchd] = SEALS;
    let (before, after) = match service.manager {
        Manager::Systemd => of_systemd,
        Manager::Launchd => of_launchd,
    };
    let values = [
        ("@NAME@", service.name.as_str()),
        ("@KEY@", &service.key),
        ("@EXE@", &program),
        ("@HOME@", &home),
    ];
    let filled = templates
        .iter()
        .zip(service.files())
        .map(|(template, path)| {
            let body = fill(template, &values);
            let hash = short_hash(body.as_bytes(), DIGITS);
            let content = format!("{body}{before}{hash}{after}\n");
            ServiceFile { path, content }
        });
    Ok(filled.collect())
}

/// The template with its placeholders replaced. What looks like one in a value stays.
fn fill(template: &str, values: &[(&str, &str)]) -> String {
    let mut filled = String::new();
    let mut rest = template;
    while let Some(at) = rest.find('@') {
        let (before, from) = rest.split_at(at);
        filled.push_str(before);
        let known = values
            .iter()
            .find_map(|(name, value)| Some((*value, from.strip_prefix(name)?)));
        let (text, after) = known.unwrap_or_else(|| from.split_at(1));
        filled.push_str(text);
        rest = after;
    }
    filled.push_str(rest);
    filled
}

/// The text of a path, if it can stand in such a file.
fn text(path: &Path) -> Result<&str> {
    path.to_str()
        .filter(|text| path.is_absolute() && !text.contains(char::is_control))
        .ok_or_else(|| unfit(path))
}

fn unfit(path: &Path) -> Error {
    Error::new(
        Code::InvalidArgument,
        format!(
            "`{}` can't be written into the file of a service",
            path.display()
        ),
    )
    .hint("use an absolute path of readable characters, without quotes and backslashes")
}

/// The program of a command of systemd, which takes none with quotes or backslashes, and replaces no
/// variables in it.
fn systemd_program(path: &Path) -> Result<String> {
    let text = text(path)?;
    if text.contains(['"', '\'', '\\']) {
        return Err(unfit(path));
    }
    Ok(format!("\"{}\"", text.replace('%', "%%")))
}

/// A path as an argument of a command of systemd.
fn systemd_argument(path: &Path) -> Result<String> {
    let mut quoted = String::from("\"");
    for character in text(path)?.chars() {
        match character {
            '"' | '\\' => quoted.extend(['\\', character]),
            '%' => quoted.push_str("%%"),
            '$' => quoted.push_str("$$"),
            other => quoted.push(other),
        }
    }
    quoted.push('"');
    Ok(quoted)
}

fn xml(path: &Path) -> Result<String> {
    Ok(text(path)?
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;"))
}

/// The program that a file of a service names: what the manager would start.
pub fn program(content: &str) -> Option<PathBuf> {
    let systemd = || {
        let line = content
            .lines()
            .find_map(|line| line.trim_start().strip_prefix("ExecStart="))?;
        first_word(line.trim_start())
    };
    let launchd = || {
        let (_, arguments) = content.split_once("<key>ProgramArguments</key>")?;
        let (_, first) = arguments.split_once("<string>")?;
        let (first, _) = first.split_once("</string>")?;
        let plain = first.replace("&lt;", "<").replace("&gt;", ">");
        Some(plain.replace("&amp;", "&"))
    };
    systemd().or_else(launchd).map(PathBuf::from)
}

/// The first word of a command of systemd, quoted or not.
fn first_word(line: &str) -> Option<String> {
    let quoted = line.starts_with('"');
    let mut rest = line.chars().skip(usize::from(quoted)).peekable();
    let mut word = String::new();
    while let Some(character) = rest.next() {
        match character {
            '"' if quoted => return Some(word),
            '\\' => word.push(rest.next()?),
            '%' if rest.peek() == Some(&'%') => word.extend(rest.next()),
            space if !quoted && space.is_whitespace() => break,
            other => word.push(other),
        }
    }
    (!quoted && !word.is_empty()).then_some(word)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::paths::Home;

    fn rendered(manager: Manager, home: &str, program: &str) -> Vec<ServiceFile> {
        let env = BTreeMap::from([("HOME".to_owned(), "/home/ada".to_owned())]);
        let service = Service::new(manager, &Home::at(home), &env).unwrap();
        service.render(Path::new(program)).unwrap()
    }

    #[test]
    fn the_templates_are_filled() {
        let files = rendered(
            Manager::Systemd,
            "/home/ada/.skillmeat",
            "/home/ada/.local/bin/skillmeatd",
        );
        let socket = &files[0].content;
        let key = short_hash(b"/home/ada/.skillmeat", 8);
        assert!(socket.contains(&format!("\nListenStream=%t/skillmeat/{key}.sock\n")));
        let service = &files[1].content;
        assert!(service.contains(
            "\nExecStart=\"/home/ada/.local/bin/skillmeatd\" --manager systemd --home \"/home/ada/.skillmeat\"\n"
        ));
        assert!(service.contains("\nRequires=skillmeatd.socket\n"));
        let plist = rendered(Manager::Launchd, "/h", "/opt/a & b/skillmeatd");
        assert!(
            plist[0]
                .content
                .contains("<string>/opt/a &amp; b/skillmeatd</string>")
        );
        assert!(plist[0].content.contains("<string>/h</string>"));
        for file in files.iter().chain(&plist) {
            let is_group = |line: &&str| line.starts_with("SystemCallFilter=");
            let lines = file.content.lines().filter(|line| !is_group(line));
            let left: String = lines.collect();
            assert!(!left.contains('@'), "{left}");
            assert_eq!(Standing::of(file.content.as_bytes()), Standing::Ours);
        }
    }

    /// What a release writes is seen in full when it changes.
    #[test]
    fn the_files_are_those_that_were_looked_at() {
        let program = "/home/ada/.local/bin/skillmeatd";
        let systemd = rendered(Manager::Systemd, "/home/ada/.skillmeat", program);
        let launchd = rendered(Manager::Launchd, "/home/ada/.skillmeat", program);
        let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/service");
        for file in systemd.iter().chain(&launchd) {
            let looked_at = golden.join(file.path.file_name().unwrap());
            let looked_at = std::fs::read_to_string(looked_at).unwrap_or_default();
            assert_eq!(file.content, looked_at, "{}", file.path.display());
        }
    }

    #[test]
    fn odd_paths_survive_the_way_there_and_back() {
        for path in ["/a b/d", "/@HOME@/@/d", "/100%/$HOME/d", "/ä<&>/d", "/%h/d"] {
            for manager in [Manager::Systemd, Manager::Launchd] {
                let files = rendered(manager, "/h", path);
                let last = files.last().unwrap();
                assert_eq!(program(&last.content).as_deref(), Some(Path::new(path)));
            }
        }
        let home = rendered(Manager::Systemd, r#"/$HOME/100%/q"\"#, "/d");
        let argument = r#"--home "/$$HOME/100%%/q\"\\""#;
        assert!(home[1].content.contains(argument), "{}", home[1].content);
        assert_eq!(
            program("ExecStart=/usr/bin/d --x"),
            Some("/usr/bin/d".into())
        );
        assert_eq!(program("ExecStart=\"/open"), None);
        assert_eq!(program("nothing"), None);
    }

    #[test]
    fn paths_that_would_break_the_file_are_refused() {
        let env = BTreeMap::from([("HOME".to_owned(), "/home/ada".to_owned())]);
        let service = Service::new(Manager::Systemd, &Home::at("/h"), &env).unwrap();
        for bad in [
            "/a\nExecStart=/bin/evil",
            "relative",
            "/tab\there",
            "/q\"/d",
            "/b\\/d",
        ] {
            let error = service.render(Path::new(bad)).unwrap_err();
            assert_eq!(error.code, Code::InvalidArgument, "{bad:?}");
        }
    }

    #[test]
    fn what_a_person_changed_is_known() {
        let ours = &rendered(Manager::Systemd, "/h", "/d")[1].content;
        assert_eq!(Standing::of(ours.as_bytes()), Standing::Ours);
        for edited in [
            ours.replace("MemoryMax=3072M", "MemoryMax=1G"),
            format!("{ours}Nice=5\n"),
            format!("{ours}\n"),
            format!("# mine\n{ours}"),
        ] {
            assert_eq!(Standing::of(edited.as_bytes()), Standing::Edited);
        }
        for foreign in [&b""[..], b"\n", b"[Service]\nExecStart=/d\n", b"\xff"] {
            assert_eq!(Standing::of(foreign), Standing::Foreign);
        }
    }

    /// What a start that fails must not become: a storm, a circle, or a wall against the next start.
    #[test]
    fn the_units_keep_the_rules_of_a_long_life() {
        let units = rendered(Manager::Systemd, "/h", "/d");
        let (socket, service) = (&units[0].content, &units[1].content);
        for line in [
            "Type=notify",
            "Restart=on-failure",
            "RestartSec=1",
            "RestartSteps=6",
            "RestartMaxDelaySec=60",
            "RestartPreventExitStatus=75 78",
            "WatchdogSec=180",
            "MemoryHigh=2560M",
            "MemoryMax=3072M",
            "NoNewPrivileges=yes",
            "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6",
            "SystemCallFilter=~@privileged @resources",
        ] {
            assert!(service.lines().any(|found| found == line), "{line}");
        }
        for line in [
            "SocketMode=0600",
            "DirectoryMode=0700",
            "FileDescriptorName=grpc",
        ] {
            assert!(socket.lines().any(|found| found == line), "{line}");
        }
        let keys = |unit: &str| -> Vec<String> {
            unit.lines()
                .filter(|line| !line.starts_with('#'))
                .filter_map(|line| line.split_once('='))
                .map(|(key, _)| key.to_owned())
                .collect()
        };
        for key in keys(socket).into_iter().chain(keys(service)) {
            let fails_early = key.starts_with("Condition") || key.starts_with("Assert");
            // These would keep it from writing into projects, or hide the socket in /tmp.
            let hides = [
                "ProtectHome",
                "ProtectSystem",
                "PrivateTmp",
                "ReadOnlyPaths",
            ];
            assert!(!fails_early && !hides.contains(&key.as_str()), "{key}");
        }
    }

    /// The daemon ends in good order at its own limits; the manager's are for one that can't.
    #[test]
    fn the_daemons_own_limits_of_memory_come_first() {
        let service = &rendered(Manager::Systemd, "/h", "/d")[1].content;
        let limit = |key: &str| -> u64 {
            let value = service
                .lines()
                .find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
            value.unwrap().strip_suffix('M').unwrap().parse().unwrap()
        };
        let config = crate::config::Config::default();
        assert!(config.daemon_memory_soft_mb < config.daemon_memory_hard_mb);
        assert!(config.daemon_memory_hard_mb < limit("MemoryHigh"));
        assert!(limit("MemoryHigh") < limit("MemoryMax"));
    }

    #[test]
    fn the_property_list_keeps_them_too() {
        let plist = &rendered(Manager::Launchd, "/h", "/d")[0].content;
        let squeezed: String = plist.split_whitespace().collect();
        for part in [
            "<key>KeepAlive</key><dict><key>SuccessfulExit</key><false/></dict>",
            "<key>ThrottleInterval</key><integer>10</integer>",
            "<key>NumberOfFiles</key><integer>8192</integer>",
            "<key>RunAtLoad</key><true/>",
        ] {
            assert!(squeezed.contains(part), "{part}");
        }
    }
}
