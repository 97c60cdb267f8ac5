//! The layers a configuration is made of, as one source for the `config` crate.

use std::{
    fs, mem,
    path::{Path, PathBuf},
};

use config::{
    ConfigError, Environment, File, FileFormat, Map, Source, Value, ValueKind,
    builder::{ConfigBuilder, DefaultState},
};

/// What separates the parts of a key in the environment: `HOLDFAST__UPLINK__URL`.
const ENVIRONMENT_SEPARATOR: &str = "__";

/// The file and the drop-ins beside it, in the order in which they apply.
pub(super) fn files(main: &Path) -> std::io::Result<Vec<PathBuf>> {
    let folder = main.parent().unwrap_or(Path::new("")).join("conf.d");
    let mut files = vec![main.to_owned()];
    match fs::read_dir(&folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
        Ok(entries) => {
            let mut drop_ins = entries
                .map(|entry| entry.map(|entry| entry.path()))
                .collect::<Result<Vec<_>, _>>()?;
            drop_ins.retain(|path| path.extension().is_some_and(|e| e == "toml"));
            drop_ins.sort();
            files.append(&mut drop_ins);
        }
    }
    Ok(files)
}

/// The layers above the built-in defaults, from `files` up.
pub(super) fn builder(
    files: Vec<PathBuf>,
    sets: &[(String, String)],
) -> Result<ConfigBuilder<DefaultState>, ConfigError> {
    let environment = Environment::with_prefix("HOLDFAST")
        .prefix_separator(ENVIRONMENT_SEPARATOR)
        .separator(ENVIRONMENT_SEPARATOR)
        .try_parsing(true);
    let mut builder = config::Config::builder().add_source(Files(files)).add_source(environment);
    for (key, value) in sets {
        builder = builder.set_override(key, value.as_str())?;
    }
    Ok(builder)
}

/// Several files as one source: tables merged, lists appended.
#[derive(Debug, Clone)]
struct Files(Vec<PathBuf>);

impl Source for Files {
    fn clone_into_box(&self) -> Box<dyn Source + Send + Sync> {
        Box::new(self.clone())
    }

    fn collect(&self) -> Result<Map<String, Value>, ConfigError> {
        let mut all = Map::new();
        for path in &self.0 {
            let file = File::from(path.as_path()).format(FileFormat::Toml);
            merge(&mut all, file.collect()?);
        }
        Ok(all)
    }
}

fn merge(into: &mut Map<String, Value>, from: Map<String, Value>) {
    for (key, later) in from {
        match into.get_mut(&key) {
            None => {
                into.insert(key, later);
            }
            Some(earlier) => merge_value(earlier, later),
        }
    }
}

fn merge_value(earlier: &mut Value, mut later: Value) {
    match (&mut earlier.kind, &mut later.kind) {
        (ValueKind::Table(earlier), ValueKind::Table(later)) => merge(earlier, mem::take(later)),
        (ValueKind::Array(earlier), ValueKind::Array(later)) if of_tables(later) => {
            earlier.append(later);
        }
        _ => *earlier = later,
    }
}

fn of_tables(list: &[Value]) -> bool {
    list.iter().all(|item| matches!(item.kind, ValueKind::Table(_)))
}
