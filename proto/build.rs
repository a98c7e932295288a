//! Compiles the .proto files without a system protoc.
#![expect(
    clippy::disallowed_methods,
    reason = "a build script writes where Cargo tells it to"
)]

use std::env;
use std::error::Error;
use std::fs;
use std::path::PathBuf;

use prost::Message as _;
use prost_types::FileDescriptorProto;

const FILES: [&str; 18] = [
    "skillmeat/v1/adopt.proto",
    "skillmeat/v1/artifact.proto",
    "skillmeat/v1/cache.proto",
    "skillmeat/v1/change.proto",
    "skillmeat/v1/collection.proto",
    "skillmeat/v1/common.proto",
    "skillmeat/v1/config.proto",
    "skillmeat/v1/curation.proto",
    "skillmeat/v1/daemon.proto",
    "skillmeat/v1/db.proto",
    "skillmeat/v1/event.proto",
    "skillmeat/v1/group.proto",
    "skillmeat/v1/maintenance.proto",
    "skillmeat/v1/operation.proto",
    "skillmeat/v1/rpc_status.proto",
    "skillmeat/v1/search.proto",
    "skillmeat/v1/snapshot.proto",
    "skillmeat/v1/tag.proto",
];

/// Answers that a server encodes part by part.
const ENCODED: [&str; 1] = ["ListArtifactsResponse"];

/// The package of our own messages.
const PACKAGE: &str = "skillmeat.v1";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=skillmeat");
    let descriptors = protox::compile(FILES, ["."])?;
    let out = PathBuf::from(env::var("OUT_DIR")?);
    fs::write(out.join("descriptors.bin"), descriptors.encode_to_vec())?;
    let mut names: Vec<String> = descriptors
        .file
        .iter()
        .filter(|file| file.package() == PACKAGE)
        .flat_map(|file| file.message_type.iter())
        .map(|message| format!("$crate::v1::{}", message.name()))
        .collect();
    names.sort();
    let list = format!(
        "/// Calls a macro with the types of all messages.\n\
         #[macro_export]\n\
         macro_rules! with_messages {{ ($with:ident) => {{ $with!({}); }}; }}\n",
        names.join(", ")
    );
    fs::write(out.join("messages.rs"), list)?;
    fs::write(out.join("calls.rs"), calls(&descriptors.file))?;
    if env::var_os("CARGO_FEATURE_SERVER").is_some() {
        let servers = out.join("servers");
        fs::create_dir_all(&servers)?;
        let mut server = tonic_prost_build::configure()
            .build_transport(false)
            .build_client(false)
            .extern_path(format!(".{PACKAGE}"), "crate::v1")
            .out_dir(servers);
        for answer in ENCODED {
            let encoded = format!("crate::Encoded<crate::v1::{answer}>");
            server = server.extern_path(format!(".{PACKAGE}.{answer}"), encoded);
        }
        server.compile_fds(descriptors.clone())?;
    }
    tonic_prost_build::configure()
        .build_transport(false)
        .build_client(env::var_os("CARGO_FEATURE_CLIENT").is_some())
        .build_server(false)
        .compile_fds(descriptors)?;
    Ok(())
}

/// For each message that is a request: the answer, and where to send it.
fn calls(files: &[FileDescriptorProto]) -> String {
    let named = |name: &str| {
        let name = name.rsplit('.').next().unwrap_or_default();
        format!("crate::v1::{name}")
    };
    let mut text = String::new();
    for file in files.iter().filter(|file| file.package() == PACKAGE) {
        for service in &file.service {
            for method in &service.method {
                let (input, output) = (named(method.input_type()), named(method.output_type()));
                let path = format!("/{PACKAGE}.{}/{}", service.name(), method.name());
                text.push_str("impl Call for ");
                text.push_str(&input);
                text.push_str(" {\n    type Answer = ");
                text.push_str(&output);
                text.push_str(";\n    const PATH: &'static str = \"");
                text.push_str(&path);
                text.push_str("\";\n}\n");
            }
        }
    }
    text
}
