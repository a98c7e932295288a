//! Settings: hooks, servers, plugins, marketplaces.

use super::*;

/// The rules that a file of settings breaks, with their lines.
fn held(kind: &Kind, file: &str, text: &str) -> Vec<(&'static str, Option<u32>)> {
    let files = [file, "hooks/run.sh", "agents/one.md", "plugins/a/README.md"].map(PathBuf::from);
    let settings = [(PathBuf::from(file), text.as_bytes().to_vec())];
    let subject = Subject {
        kind,
        name: "x",
        is_file: false,
        manifest: Some((Path::new(file), text.as_bytes())),
        files: &files,
        settings: &settings,
    };
    let findings = validate(&subject, false);
    let of = |one: Finding| {
        assert_eq!(one.file, file);
        (one.rule.id, one.line)
    };
    findings.into_iter().map(of).collect()
}

fn hook(handler: &str) -> Vec<(&'static str, Option<u32>)> {
    let text = format!("{{\"hooks\": {{\"Stop\": [{{\"hooks\": [\n{handler}\n]}}]}}}}");
    held(&Kind::Composite, "hooks/hooks.json", &text)
}

#[test]
fn good_hooks_break_no_rule() {
    for handler in [
        "",
        r#"{"type": "command", "command": "${CLAUDE_PLUGIN_ROOT}/hooks/run.sh --x", "timeout": 5}"#,
        r#"{"type": "command", "command": "bash \"${CLAUDE_PLUGIN_ROOT}/hooks/run.sh\"", "async": true}"#,
        r#"{"type": "command", "command": "x", "args": ["a"], "shell": "bash"}"#,
        r#"{"type": "http", "url": "http://127.0.0.1:1/x", "headers": {"A": "b"}}"#,
        r#"{"type": "mcp_tool", "server": "s", "tool": "t", "input": {}}"#,
        r#"{"type": "prompt", "prompt": "Is it done?", "model": "haiku"}"#,
        r#"{"type": "agent", "prompt": "Look", "statusMessage": "Looking", "if": "Bash(git *)"}"#,
    ] {
        assert_eq!(hook(handler), [], "{handler}");
    }
    let events = "{\"description\": \"x\", \"hooks\": {\"PreToolUse\": [{\"matcher\": \"Edit|Write\", \
                  \"hooks\": []}], \"WorktreeRemove\": []}}";
    assert_eq!(held(&Kind::Hook, "hooks.json", events), []);
}

#[test]
fn each_rule_of_hooks_is_found_at_its_line() {
    for (handler, rule) in [
        ("1", "hook.shape"),
        ("{\"command\": \"x\"}", "hook.type"),
        ("{\"type\": \"shell\", \"command\": \"x\"}", "hook.type"),
        ("{\"type\": \"command\"}", "hook.incomplete"),
        (
            "{\"type\": \"command\", \"command\": \" \"}",
            "hook.incomplete",
        ),
        (
            "{\"type\": \"mcp_tool\", \"server\": \"x\"}",
            "hook.incomplete",
        ),
        (
            "{\"type\": \"prompt\", \"prompt\": \"x\", \"timeout\": \"5\"}",
            "field.type",
        ),
        (
            "{\"type\": \"prompt\", \"prompt\": \"x\", \"timeout\": 0}",
            "field.type",
        ),
        (
            "{\"type\": \"command\", \"command\": \"x\", \"args\": \"y\"}",
            "field.type",
        ),
        (
            "{\"type\": \"http\", \"url\": \"x\", \"headers\": {\"a\": 1}}",
            "field.type",
        ),
        (
            "{\"type\": \"prompt\", \"prompt\": \"x\", \"once\": true}",
            "field.ignored",
        ),
        (
            "{\"type\": \"command\", \"command\": \"${CLAUDE_PLUGIN_ROOT}/hooks/none.sh\"}",
            "hook.script",
        ),
    ] {
        assert_eq!(hook(handler), [(rule, Some(2))], "{handler}");
    }
    for (text, rule, line) in [
        ("{", "settings.invalid", Some(1)),
        ("{\n\"x\": 1}", "hook.shape", Some(1)),
        ("{\n\"hooks\": []}", "hook.shape", Some(2)),
        ("{\"hooks\": {\n\"Stop\": {}}}", "hook.shape", Some(2)),
        ("{\"hooks\": {\"Stop\": [\n\"x\"]}}", "hook.shape", Some(2)),
        (
            "{\"hooks\": {\"Stop\": [\n{\"matcher\": \"x\"}]}}",
            "hook.shape",
            Some(2),
        ),
        (
            "{\"hooks\": {\n\n\"preToolUse\": []}}",
            "hook.event",
            Some(3),
        ),
        (
            "{\"hooks\": {\n\"Stop\": [],\n\"Stop\": []}}",
            "settings.duplicate",
            Some(3),
        ),
        (
            "{\"hooks\": {\"Stop\": [{\n\"matcher\": [\"x\"], \"hooks\": []}]}}",
            "field.type",
            Some(2),
        ),
    ] {
        assert_eq!(
            held(&Kind::Hook, "settings.json", text),
            [(rule, line)],
            "{text}"
        );
    }
    // The same in the fields of a skill, where `once` has an effect.
    let skill = "---\nname: pdf\ndescription: x\nhooks:\n  Stopp:\n    - hooks:\n      - type: prompt\n        \
                 prompt: x\n        once: true\n---\nDo it.\n";
    let all = found(&Kind::Skill, "SKILL.md", skill, false);
    assert_eq!(all, [("hook.event", Some(4)), ("field.foreign", Some(4))]);
}

#[test]
fn settings_that_must_be_there_are_missed() {
    let readme = b"# About\n";
    for (kind, wanted) in [(Kind::Hook, "hooks.json"), (Kind::Mcp, ".mcp.json")] {
        let subject = Subject {
            kind: &kind,
            name: "x",
            is_file: false,
            manifest: Some((Path::new("README.md"), readme)),
            files: &[],
            settings: &[],
        };
        let all = validate(&subject, false);
        assert_eq!(all[0].rule.id, "file.missing");
        assert!(all[0].message.contains(wanted), "{all:?}");
    }
}

#[test]
fn servers_are_held_to_their_rules() {
    let server = |text: &str| {
        let text = format!("{{\"mcpServers\": {{\n\"one\": {text}}}}}");
        held(&Kind::Mcp, ".mcp.json", &text)
    };
    for good in [
        r#"{"command": "npx", "args": ["-y", "x"], "env": {"A": "${A:-b}"}}"#,
        r#"{"type": "stdio", "command": "x", "timeout": 1000, "alwaysLoad": true}"#,
        r#"{"type": "http", "url": "https://x.org", "headers": {"A": "b"}, "oauth": {}}"#,
        r#"{"type": "sse", "url": "${URL}"}"#,
        r#"{"type": "ws", "url": "wss://x.org"}"#,
    ] {
        assert_eq!(server(good), [], "{good}");
    }
    for (bad, rule) in [
        ("[]", "mcp.shape"),
        ("{}", "mcp.incomplete"),
        ("{\"type\": \"stdio\", \"url\": \"x\"}", "mcp.incomplete"),
        ("{\"type\": \"http\"}", "mcp.incomplete"),
        ("{\"url\": \"https://x.org\"}", "mcp.type"),
        ("{\"type\": \"grpc\", \"url\": \"x\"}", "mcp.type"),
        ("{\"command\": \"x\", \"args\": \"y\"}", "field.type"),
        ("{\"command\": \"x\", \"env\": {\"A\": 1}}", "field.type"),
        ("{\"command\": \"x\", \"timeout\": 30}", "field.type"),
        (
            "{\"type\": \"http\", \"url\": \"x\", \"headersHelper\": \"id\"}",
            "mcp.helper",
        ),
    ] {
        assert_eq!(server(bad), [(rule, Some(2))], "{bad}");
    }
    let bare = "{\"one\": {\"command\": \"x\"}}";
    assert_eq!(held(&Kind::Mcp, ".mcp.json", bare), [("mcp.bare", Some(1))]);
    assert_eq!(held(&Kind::Composite, ".mcp.json", bare), []);
    assert_eq!(held(&Kind::Mcp, "mcp.json", "{}"), [("mcp.shape", Some(1))]);
    assert_eq!(
        held(&Kind::Mcp, "mcp.json", "\u{feff}{\"mcpServers\": []}"),
        [("mcp.shape", Some(1))]
    );
}

#[test]
fn plugins_are_held_to_their_rules() {
    let plugin = |text: &str| {
        let text = format!("{{\"name\": \"my-plugin\",\n{text}}}");
        held(&Kind::Composite, ".claude-plugin/plugin.json", &text)
    };
    for good in [
        r#""version": "1.0", "author": {"name": "Ada"}, "keywords": ["x"]"#,
        r#""agents": "./agents/one.md", "skills": ".", "commands": ["./hooks/run.sh"]"#,
        r#""repository": {"url": "x"}, "metadata": 1, "experimental": {"themes": []}"#,
        r#""hooks": {"Stop": []}, "mcpServers": {"x": {"command": "y"}}, "dependencies": ["a"]"#,
        r#""hooks": "./hooks/run.sh", "userConfig": {}, "defaultEnabled": false"#,
    ] {
        assert_eq!(plugin(good), [], "{good}");
    }
    for (bad, rule) in [
        (r#""keywords": "x""#, "plugin.type"),
        (r#""author": "Ada""#, "plugin.type"),
        (r#""version": 1"#, "plugin.type"),
        (r#""agents": {}"#, "plugin.type"),
        (r#""colour": "red""#, "field.unknown"),
        (r#""agents": "agents/one.md""#, "plugin.path"),
        (r#""agents": "./../one.md""#, "plugin.path"),
        (r#""agents": "./agents/two.md""#, "link.broken"),
        (r#""hooks": {"Stopp": []}"#, "hook.event"),
        (r#""mcpServers": {"x": {}}"#, "mcp.incomplete"),
    ] {
        assert_eq!(plugin(bad), [(rule, Some(2))], "{bad}");
    }
    for (text, rule) in [
        ("{}", "plugin.name"),
        ("{\"name\": \"My Plugin\"}", "plugin.name"),
        ("[]", "plugin.type"),
    ] {
        let all = held(&Kind::Composite, ".claude-plugin/plugin.json", text);
        assert_eq!(all, [(rule, Some(1))], "{text}");
    }
}

#[test]
fn marketplaces_are_held_to_their_rules() {
    let market = |plugins: &str| {
        let text = format!(
            "{{\"name\": \"m\", \"owner\": {{\"name\": \"o\"}}, \"plugins\": [\n{plugins}]}}"
        );
        held(&Kind::Composite, ".claude-plugin/marketplace.json", &text)
    };
    let sourced = |source: &str| market(&format!("{{\"name\": \"a\", \"source\": {source}}}"));
    let sha = "0123456789".repeat(4);
    for good in [
        "\"./plugins/a\"".to_owned(),
        "\"./\"".to_owned(),
        format!("{{\"source\": \"github\", \"repo\": \"o/r\", \"sha\": \"{sha}\"}}"),
        "{\"source\": \"url\", \"url\": \"https://x.org\", \"path\": \"p\"}".to_owned(),
        "{\"source\": \"git-subdir\", \"url\": \"o/r\", \"path\": \"p\", \"ref\": \"v1\"}"
            .to_owned(),
        "{\"source\": \"npm\", \"package\": \"@o/p\"}".to_owned(),
    ] {
        assert_eq!(sourced(&good), [], "{good}");
    }
    for (bad, rule) in [
        ("\"plugins/a\"", "market.source"),
        ("\"./../a\"", "market.source"),
        ("\"./plugins/b\"", "link.broken"),
        ("1", "market.source"),
        ("{\"source\": \"ftp\"}", "market.source"),
        ("{\"source\": \"github\"}", "market.source"),
        (
            "{\"source\": \"github\", \"repo\": \"o/r\", \"sha\": \"abc\"}",
            "market.source",
        ),
        (
            "{\"source\": \"archive\", \"url\": \"http://x.org/a.zip\"}",
            "market.source",
        ),
        (
            "{\"source\": \"command\", \"command\": \"id\"}",
            "market.command",
        ),
    ] {
        assert_eq!(sourced(bad), [(rule, Some(2))], "{bad}");
    }
    for (bad, rule) in [
        ("{\"name\": \"a\"}", "market.source"),
        ("\"a\"", "market.shape"),
        ("{\"source\": \"./plugins/a\"}", "plugin.name"),
        (
            "{\"name\": \"a\", \"source\": \"./\"}, {\"name\": \"a\", \"source\": \"./\"}",
            "market.twice",
        ),
        (
            "{\"name\": \"a\", \"source\": \"./\", \"strict\": 1}",
            "field.type",
        ),
    ] {
        assert_eq!(market(bad), [(rule, Some(2))], "{bad}");
    }
    let whole = |text: &str| held(&Kind::Composite, ".claude-plugin/marketplace.json", text);
    assert_eq!(
        whole("{\"name\": \"m\"}"),
        [("market.shape", Some(1)), ("market.shape", Some(1))]
    );
    let below = "{\"name\": \"m\", \"owner\": {\"name\": \"o\"}, \"metadata\": {\"pluginRoot\": \"./plugins\"}, \
                 \"plugins\": [{\"name\": \"a\", \"source\": \"a\"}]}";
    assert_eq!(whole(below), []);
}
