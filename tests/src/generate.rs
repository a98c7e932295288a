//! A collection of any size, the same for the same seed: skills with references and scripts, commands and
//! agents, in words whose frequencies fall as those of real texts do.
//!
//! Invariants: nothing depends on the clock, the machine or the order of threads; the lock records the hashes
//! that the files really have.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;

use sha2::{Digest as _, Sha256};

/// How much text the artifacts hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weight {
    /// As real ones: three files and 15.6 kB per artifact on average.
    Full,
    /// One file of about 1 kB each, to have many without filling the disk.
    Light,
}

/// What was written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Generated {
    /// Artifacts.
    pub artifacts: usize,
    /// Their files.
    pub files: usize,
    /// Bytes in these files.
    pub bytes: u64,
}

/// Numbers that look random: the same ones for the same seed.
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// Begins a sequence.
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number (splitmix64).
    pub const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number below `end`, which is not 0.
    pub fn below(&mut self, end: usize) -> usize {
        let high = (u128::from(self.next()) * end as u128) >> 64;
        usize::try_from(high).unwrap()
    }
}

/// The words that stand most often in texts about programs, most frequent first.
const COMMON: &str = "the and to of a in for with is use or this on when be that from by an it as are code your file data \
    you test not if can all user should name type error add run using each new value create service api function \
    example set check project config request must agent response client server result key list command version \
    system output input build query default table return class state event model method process review before after \
    first path change pattern design only more then also no one which will into based between through without within \
    best practices performance security database deploy monitoring production pipeline container cluster network \
    message queue cache token session permission policy access audit scan report metric trace log alert dashboard \
    workflow template module package library framework dependency release branch commit merge tag repository issue \
    document section heading reference guide overview step analysis strategy approach implementation integration \
    architecture component interface contract schema migration index transaction lock thread async stream batch \
    schedule retry timeout backoff limit budget cost estimate plan scope feature requirement story acceptance \
    customer team owner role responsibility decision option tradeoff risk assumption constraint quality coverage unit \
    fixture mock stub assertion snapshot regression benchmark profile memory latency throughput scale shard replica";

/// The beginnings, middles and ends of the rarer words.
const STARTS: [&str; 16] = [
    "re", "con", "de", "pro", "in", "trans", "sub", "inter", "over", "pre", "ex", "un", "per",
    "ad", "com", "dis",
];
const MIDDLES: [&str; 32] = [
    "form", "struct", "ject", "port", "scrib", "duc", "vert", "spec", "tract", "mit", "pend",
    "pos", "sist", "ven", "cept", "fer", "gress", "clud", "lat", "mand", "nomin", "plic", "quir",
    "rupt", "sect", "serv", "sign", "solv", "tend", "vis", "volv", "crypt",
];
const ENDS: [&str; 32] = [
    "", "s", "ed", "ing", "er", "or", "ion", "ions", "ive", "able", "ment", "al", "ally", "ance",
    "ent", "ence", "ity", "ize", "izes", "ized", "izing", "ory", "ure", "ures", "ation", "ations",
    "ivity", "ability", "ments", "ers", "ors", "ary",
];

/// Words in the order of their frequency.
#[derive(Debug)]
pub struct Words(Vec<String>);

impl Default for Words {
    fn default() -> Self {
        Self::new()
    }
}

impl Words {
    /// All of them: 16,384.
    pub fn new() -> Self {
        let mut words: Vec<String> = COMMON.split_whitespace().map(str::to_owned).collect();
        // Mixed, so that neighbours in frequency are no neighbours in the alphabet.
        let total = STARTS.len() * MIDDLES.len() * ENDS.len();
        let made = (0..total).map(|at| {
            let at = at * 6_367 % total;
            let (rest, end) = (at / ENDS.len(), ENDS[at % ENDS.len()]);
            format!(
                "{}{}{end}",
                STARTS[rest / MIDDLES.len()],
                MIDDLES[rest % MIDDLES.len()]
            )
        });
        words.extend(made);
        words.truncate(total);
        Self(words)
    }

    /// The word of this rank, 0 being the most frequent.
    pub fn at(&self, rank: usize) -> &str {
        &self.0[rank % self.0.len()]
    }

    /// A word: each octave of ranks comes equally often, which is Zipf's law in steps.
    fn pick(&self, random: &mut Random) -> &str {
        let octave = random.below(14);
        let rank = (1 << octave) + random.below(1 << octave);
        self.at(rank - 1)
    }
}

/// Tags that artifacts carry.
const TAGS: [&str; 24] = [
    "rust", "python", "testing", "security", "docs", "devops", "frontend", "backend", "database",
    "cloud", "review", "design", "api", "data", "mobile", "ops", "git", "ci", "ml", "seo", "legal",
    "finance", "writing", "shell",
];

struct Author<'a> {
    words: &'a Words,
    random: Random,
}

impl Author<'_> {
    fn sentence(&mut self, text: &mut String, length: usize) {
        for at in 0..length {
            let word = self.words.pick(&mut self.random);
            if at == 0 {
                let mut letters = word.chars();
                text.extend(letters.next().map(|first| first.to_ascii_uppercase()));
                text.push_str(letters.as_str());
            } else {
                text.push(' ');
                text.push_str(word);
            }
            if at + 1 < length && self.random.below(12) == 0 {
                text.push(',');
            }
        }
        text.push('.');
    }

    fn frontmatter(&mut self, name: &str, is_skill: bool) -> String {
        let mut text = format!("---\nname: {name}\ndescription: ");
        let length = 10 + self.random.below(14);
        self.sentence(&mut text, length);
        text.push('\n');
        let tags: Vec<&str> = (0..self.random.below(5))
            .map(|_| TAGS[self.random.below(TAGS.len())])
            .collect();
        if !tags.is_empty() {
            writeln!(text, "tags: [{}]", tags.join(", ")).unwrap();
        }
        if self.random.below(2) == 0 {
            text.push_str(if is_skill {
                "allowed-tools: Read, Grep, Bash(git diff:*)\n"
            } else {
                "tools: Read, Write\n"
            });
        }
        if self.random.below(3) == 0 {
            text.push_str("license: MIT\nauthor: Ada Example\nversion: 1.2.0\n");
        }
        text.push_str("---\n");
        text
    }

    /// Markdown of about so many bytes: headings, paragraphs, lists, code.
    fn markdown(&mut self, text: &mut String, bytes: usize) {
        text.push_str("\n# ");
        self.sentence(text, 3);
        text.push('\n');
        while text.len() < bytes {
            match self.random.below(8) {
                0 => {
                    text.push_str("\n## ");
                    self.sentence(text, 3);
                    text.push('\n');
                }
                1 | 2 => {
                    text.push('\n');
                    for _ in 0..3 + self.random.below(4) {
                        text.push_str("- **");
                        text.push_str(self.words.pick(&mut self.random));
                        text.push_str("**: ");
                        let length = 5 + self.random.below(8);
                        self.sentence(text, length);
                        text.push('\n');
                    }
                }
                3 => {
                    text.push_str("\n```python\n");
                    self.python(text, 300);
                    text.push_str("```\n");
                }
                _ => {
                    text.push('\n');
                    for _ in 0..2 + self.random.below(3) {
                        let length = 8 + self.random.below(14);
                        self.sentence(text, length);
                        text.push(' ');
                    }
                    text.push('\n');
                }
            }
        }
    }

    /// A script of about so many bytes more.
    fn python(&mut self, text: &mut String, bytes: usize) {
        let end = text.len() + bytes;
        while text.len() < end {
            let words: [String; 5] =
                std::array::from_fn(|_| self.words.pick(&mut self.random).to_owned());
            let [verb, noun, value, left, right] = words;
            let number = self.random.below(1000);
            writeln!(text, "def {verb}_{noun}({value}, {left}=None):\n    # {right} {noun}\n    {left} = {value}.get(\"{right}\", {number})\n    return {left}\n")
                .unwrap();
        }
    }

    /// The files of an artifact: paths relative to it, in the order of the content hash, and their texts.
    fn files(&mut self, at: usize, shape: &Shape, weight: Weight) -> Vec<(String, String)> {
        let name = &shape.name;
        let is_skill = shape.kind == "skill";
        let mut first = self.frontmatter(name, is_skill);
        let size = match (weight, is_skill) {
            (Weight::Light, _) => 700,
            (Weight::Full, true) => 2_600 + self.random.below(7_800),
            (Weight::Full, false) => 1_500 + self.random.below(3_000),
        };
        self.markdown(&mut first, size);
        if !is_skill {
            return vec![(format!("{name}.md"), first)];
        }
        let mut files = vec![("SKILL.md".to_owned(), first)];
        if weight == Weight::Light {
            return files;
        }
        let references = 1 + usize::from(at % 17 < 6);
        for number in 0..references {
            let mut text = String::new();
            let size = 1_800 + self.random.below(6_000);
            self.markdown(&mut text, size);
            files.push((format!("references/part-{number}.md"), text));
        }
        let mut script = "#!/usr/bin/env python3\n".to_owned();
        let size = 1_800 + self.random.below(5_000);
        self.python(&mut script, size);
        files.push(("scripts/run.py".to_owned(), script));
        files
    }
}

struct Shape {
    kind: &'static str,
    folder: &'static str,
    name: String,
}

/// Of twenty artifacts seventeen are skills, two are commands, one is an agent.
fn shape(at: usize, words: &Words, random: &mut Random) -> Shape {
    let (kind, folder) = match at % 20 {
        17 | 18 => ("command", "commands"),
        19 => ("agent", "agents"),
        _ => ("skill", "skills"),
    };
    let (first, second) = (
        words.at(40 + random.below(400)),
        words.at(40 + random.below(4000)),
    );
    Shape {
        kind,
        folder,
        name: format!("{first}-{second}-{at:05}"),
    }
}

/// What one thread wrote.
#[derive(Default)]
struct Part {
    manifest: String,
    lock: String,
    files: usize,
    bytes: u64,
}

fn write_new(path: &Path, text: &str) {
    File::create_new(path)
        .unwrap()
        .write_all(text.as_bytes())
        .unwrap();
}

fn write_part(
    root: &Path,
    range: std::ops::Range<usize>,
    seed: u64,
    weight: Weight,
    words: &Words,
) -> Part {
    let mut part = Part::default();
    for at in range {
        // Each artifact has numbers of its own, so that it does not matter who writes it.
        let mut author = Author {
            words,
            random: Random::new(Random::new(seed ^ at as u64).next()),
        };
        let shape = shape(at, words, &mut author.random);
        let is_skill = shape.kind == "skill";
        let place = if is_skill {
            root.join(shape.folder).join(&shape.name)
        } else {
            root.join(shape.folder)
        };
        let files = author.files(at, &shape, weight);
        let mut hash = Sha256::new();
        for (path, text) in &files {
            let target = place.join(path);
            if is_skill {
                fs::create_dir_all(target.parent().unwrap()).unwrap();
                hash.update(path.as_bytes());
            }
            hash.update(text.as_bytes());
            write_new(&target, text);
            part.files += 1;
            part.bytes += text.len() as u64;
        }
        if at % 5 != 4 {
            enter(&mut part, &shape, &hash.finalize());
        }
    }
    part
}

/// Writes the artifact's entries in manifest and lock.
fn enter(part: &mut Part, shape: &Shape, hash: &[u8]) {
    let Shape { kind, folder, name } = shape;
    let ending = if *kind == "skill" { "" } else { ".md" };
    write!(
        part.manifest,
        "\n[[artifacts]]\nname = \"{name}\"\ntype = \"{kind}\"\npath = \"{folder}/{name}{ending}\"\norigin = \"local\"\n\
         added = \"2026-01-02T03:04:05.678901\"\n"
    )
    .unwrap();
    write!(
        part.lock,
        "\n[lock.entries.\"{name}::{kind}\"]\ncontent_hash = \""
    )
    .unwrap();
    for byte in hash {
        write!(part.lock, "{byte:02x}").unwrap();
    }
    part.lock
        .push_str("\"\nfetched = \"2026-01-02T03:04:05.678901\"\n");
}

/// Writes a collection of so many artifacts into the folder `root`, which is made. Four of five are managed:
/// manifest and lock know them.
///
/// # Panics
/// If a file can't be written.
pub fn generate(root: &Path, artifacts: usize, seed: u64, weight: Weight) -> Generated {
    let words = Words::new();
    for folder in ["skills", "commands", "agents"] {
        fs::create_dir_all(root.join(folder)).unwrap();
    }
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    let share = artifacts.div_ceil(threads).max(1);
    let parts: Vec<Part> = std::thread::scope(|scope| {
        let writers: Vec<_> = (0..artifacts)
            .step_by(share)
            .map(|from| {
                let words = &words;
                scope.spawn(move || {
                    write_part(
                        root,
                        from..(from + share).min(artifacts),
                        seed,
                        weight,
                        words,
                    )
                })
            })
            .collect();
        writers
            .into_iter()
            .map(|writer| writer.join().unwrap())
            .collect()
    });
    let mut manifest = "[collection]\nname = \"default\"\nversion = \"1.0.0\"\ncreated = \"2026-01-02T03:04:05.678901\"\n\
                        updated = \"2026-01-02T03:04:05.678901\"\n"
        .to_owned();
    let mut lock = "[lock]\nversion = \"1.0.0\"\n".to_owned();
    let mut generated = Generated {
        artifacts,
        ..Generated::default()
    };
    for part in parts {
        manifest.push_str(&part.manifest);
        lock.push_str(&part.lock);
        generated.files += part.files;
        generated.bytes += part.bytes;
    }
    write_new(&root.join("collection.toml"), &manifest);
    write_new(&root.join("collection.lock"), &lock);
    generated
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_the_same_files_again() {
        let folder = tempfile::tempdir().unwrap();
        let (a, b) = (folder.path().join("a"), folder.path().join("b"));
        let first = generate(&a, 40, 7, Weight::Full);
        assert_eq!(generate(&b, 40, 7, Weight::Full), first);
        for file in ["collection.toml", "collection.lock"] {
            let (a, b) = (
                fs::read(a.join(file)).unwrap(),
                fs::read(b.join(file)).unwrap(),
            );
            assert_eq!(a, b, "{file}");
        }
        let other = generate(&folder.path().join("c"), 40, 8, Weight::Full);
        assert_ne!(other.bytes, first.bytes);
    }

    #[test]
    fn the_shape_is_that_of_real_collections() {
        let folder = tempfile::tempdir().unwrap();
        let made = generate(&folder.path().join("a"), 340, 1, Weight::Full);
        let per_artifact = made.bytes / 340;
        assert!(
            (14_000..17_500).contains(&per_artifact),
            "{per_artifact} bytes per artifact"
        );
        assert_eq!(made.files, 1020, "three files per artifact");
        let light = generate(&folder.path().join("b"), 340, 1, Weight::Light);
        assert_eq!(light.files, 340);
    }
}
