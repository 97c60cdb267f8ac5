//! What is shipped is true: every configuration in `config/` passes the gateway's own check, and
//! every command in the documents is one that there is.

use std::{fs, path::PathBuf, process::Command};

use clap::Parser;

use crate::support::{Authority, folder, holdfast};

/// The examples name files and devices that are on an operator's machine. Everything that an
/// example needs is put where it says, in a folder of the test's own.
#[test]
fn every_example_passes_the_check() {
    let shipped = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("config");
    let mut files = vec![shipped.join("holdfast.toml")];
    for entry in fs::read_dir(shipped.join("examples")).unwrap().map(Result::unwrap) {
        files.extend(Some(entry.path()).filter(|p| p.extension().is_some_and(|e| e == "toml")));
    }
    assert!(files.len() > 2, "there are examples: {files:?}");
    for file in files {
        let folder = folder();
        let copy = folder.path().join("holdfast.toml");
        fs::write(&copy, with_files_in_place(&fs::read_to_string(&file).unwrap(), &folder))
            .unwrap();
        let output =
            Command::new(holdfast()).arg("check").arg("--config").arg(&copy).output().unwrap();
        assert!(
            output.status.success(),
            "{}: {}\n{}{}",
            file.display(),
            output.status,
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr),
        );
    }
}

/// The text with every certificate, key and password file replaced by one that exists, and the
/// data folder by one that can be written.
fn with_files_in_place(text: &str, folder: &tempfile::TempDir) -> String {
    let authority = Authority::new(folder.path(), "authority");
    let identity = authority.server("identity");
    let password = folder.path().join("password");
    fs::write(&password, "secret").unwrap();
    let lines = text.lines().map(|line| {
        let key = line.split('=').next().unwrap_or_default().trim();
        let file = match key {
            "ca" | "client_ca" => Some(&authority.cert),
            "cert" => Some(&identity.cert),
            "key" => Some(&identity.key),
            "password_file" => Some(&password),
            "data_dir" => return format!("data_dir = \"{}\"", folder.path().display()),
            _ => None,
        };
        file.map_or_else(|| line.to_owned(), |file| format!("{key} = \"{}\"", file.display()))
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// Every line of the documents' code blocks that calls the binary, with its document.
fn commands_in_documents() -> Vec<(PathBuf, String)> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let mut documents = vec![root.join("README.md")];
    for folder in ["docs", "docs/operating"] {
        let entries = fs::read_dir(root.join(folder)).unwrap();
        let paths = entries.map(|entry| entry.unwrap().path());
        documents.extend(paths.filter(|path| path.extension().is_some_and(|e| e == "md")));
    }
    let mut commands = Vec::new();
    for document in documents {
        let text = fs::read_to_string(&document).unwrap();
        let mut in_block = false;
        for line in text.lines() {
            in_block ^= line.starts_with("```");
            let line = line.trim_start().trim_start_matches("sudo -u holdfast ");
            if in_block && line.starts_with("holdfast ") {
                commands.push((document.clone(), line.to_owned()));
            }
        }
    }
    commands
}

#[test]
fn every_command_in_the_documents_is_understood() {
    let commands = commands_in_documents();
    assert!(commands.len() > 10, "{commands:?}");
    for (document, command) in commands {
        let command = command.split(['#', '>', '|', '&']).next().unwrap_or_default();
        let parsed = holdfast::cli::Cli::try_parse_from(command.split_whitespace());
        assert!(parsed.is_ok(), "{}: `{command}`: {}", document.display(), parsed.unwrap_err());
    }
}
