//! What must hold for any bytes that come from outside, one function per format.
//!
//! Each function panics if a promise is broken, and returns otherwise, whatever the bytes are. That makes them fit
//! for any runner; the tests mutate samples.

mod archive;
mod config;
mod formats;
mod frontmatter;
mod wire;

use std::path::PathBuf;

/// Bytes of a mutated sample, at most.
pub const LARGEST: usize = 20_000;

/// A format, and what must hold for it.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// Its name, and that of the folder with its corpus.
    pub name: &'static str,
    /// Checks what must hold for some bytes.
    pub check: fn(&[u8]),
    /// What one check costs, where the quickest one costs 1.
    pub cost: usize,
    /// Pieces of the format, for mutations.
    pub words: &'static [&'static str],
}

/// Every target.
pub const TARGETS: &[Target] = &[
    Target {
        name: "frontmatter",
        check: frontmatter::check,
        cost: 4,
        words: &[
            "---\n",
            "name: ",
            "description: ",
            "tags: [",
            "]",
            "- ",
            "  ",
            "\t",
            ": ",
            "&a ",
            "*a",
            "<<: ",
            "|\n",
            ">-\n",
            "? ",
            "!!binary ",
            "{",
            "}",
            "\"",
            "'",
            "# ",
            "\r\n",
            "\u{feff}",
            "...\n",
            "%YAML 1.2\n",
            "1.10",
            "1e999",
            ".nan",
            "~",
            "null",
            "true",
            "0x7f",
            "allowed-tools: Bash(git:*)",
            "2026-01-01",
        ],
    },
    Target {
        name: "manifest",
        check: formats::manifest,
        cost: 2,
        words: TOML_WORDS,
    },
    Target {
        name: "lock",
        check: formats::lock,
        cost: 2,
        words: TOML_WORDS,
    },
    Target {
        name: "config",
        check: config::check,
        cost: 20,
        words: &[
            "[settings]\n",
            "[cache]\n",
            "cache.ttl = ",
            "\"1h\"",
            "ttl = ",
            "max_size_mb = 5\n",
            "[watch]\n",
            "settle_ms = ",
            "= ",
            "true",
            "-1",
            "9223372036854775807",
            "[",
            "]",
            "{",
            "}",
            "\"",
            "'''",
            "#",
            "\n",
            "default-collection = ",
            "github-token = \"x\"\n",
            "[x.y]\n",
            "collection = { path = \"/x\" }\n",
        ],
    },
    Target {
        name: "query",
        check: formats::query,
        cost: 1,
        words: &[
            "\"",
            "*",
            " ",
            "\n",
            " AND ",
            " OR ",
            " NOT ",
            "NEAR(",
            ")",
            "^",
            ":",
            "-",
            "{",
            "}",
            "\0",
            "é",
            "e\u{301}",
            "İ",
            "ß",
            "ẞ",
            "ﬁ",
            "日本",
            "\u{345}",
            "\u{200d}",
            "Σ",
            "\u{1f9d1}\u{200d}\u{1f680}",
        ],
    },
    Target {
        name: "names",
        check: formats::names,
        cost: 1,
        words: &[
            "skill:",
            "command:",
            "::",
            "/",
            "..",
            ".",
            "\0",
            "Bash(",
            ")",
            ",",
            "2026-11-20T15:52:21",
            ".711987",
            "Z",
            "+02:00",
            "{\"ok\":",
            "\"err\":",
            "}",
            "null",
            "-",
        ],
    },
    Target {
        name: "archive",
        check: archive::check,
        cost: 20,
        words: &[
            "PK\x01\x02",
            "PK\x03\x04",
            "PK\x05\x06",
            "../",
            "/etc/",
            "..\\",
            "aux",
            "C:",
            "\0",
            "\0\0\0\0",
            "\x7f\x7f\x7f\x7f",
            "\x08\0",
            "ustar",
            "ustar  \0",
            "././@LongLink",
            "30 path=../../evil/and/more\n",
            "20 linkpath=/etc/x\n",
            "12 size=99\n",
            "00000000017",
            "77777777777",
            "L",
            "x",
            "1",
            "2",
            "3",
            "5",
        ],
    },
    Target {
        name: "wire",
        check: wire::check,
        cost: 1,
        words: &[
            "\x0a\x01a",
            "\x08\u{1}",
            "\x0a\x00",
            "\x12\x02\x08\x01",
            "\x7f",
            "\x00",
            "\x0a\x7f",
            "\x1a\x03\x0a\x01x",
        ],
    },
];

const TOML_WORDS: &[&str] = &[
    "[collection]\n",
    "[tool.skillmeat]\n",
    "[[artifacts]]\n",
    "name = ",
    "type = ",
    "path = ",
    "origin = ",
    "\"skill\"",
    "\"../x\"",
    "artifacts = []\n",
    "artifacts = [{ name = \"a\", type = \"skill\" }]\n",
    "updated = \"x\"\n",
    "[[groups]]\n",
    "members = [\"a\"]\n",
    "[[tag_definitions]]\n",
    "[[mcp_servers]]\n",
    "[lock]\n",
    "[lock.entries.\"a::skill\"]\n",
    "content_hash = \"x\"\n",
    "[artifacts.metadata]\n",
    "tags = [\"a\", \"b\"]\n",
    "= ",
    "[",
    "]",
    "{",
    "}",
    "\"",
    "'''",
    "\"\"\"",
    "#",
    "\n",
    "\r\n",
    "\\u0000",
    "2026-01-01T00:00:00Z",
    "1.0",
    "-0",
    "inf",
    "nan",
    "true",
    "a.b.c = 1\n",
];

/// The target of this name.
pub fn target(name: &str) -> Option<&'static Target> {
    TARGETS.iter().find(|target| target.name == name)
}

impl Target {
    /// The samples that are kept, in the order of their names.
    ///
    /// # Panics
    /// If there are none.
    pub fn corpus(&self) -> Vec<Vec<u8>> {
        let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
            .join("fuzz/corpus")
            .join(self.name);
        let entries = std::fs::read_dir(&folder).unwrap();
        let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
        files.sort();
        assert!(!files.is_empty(), "no samples in `{}`", folder.display());
        files
            .iter()
            .map(|file| std::fs::read(file).unwrap())
            .collect()
    }
}

/// Lines of a text, counting one that was begun.
fn lines_of(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.split(|byte| *byte == b'\n').count()).unwrap()
}
