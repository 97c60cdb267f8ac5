//! Loading: layers → values → schema, with every problem found on the way.

use std::path::{Path, PathBuf};

use config::{
    ConfigError, Map, Value, ValueKind,
    builder::{ConfigBuilder, DefaultState},
};
use serde::de::DeserializeOwned;

use super::{
    Config, Problem, Problems, layers,
    misfit::Misfit,
    schema::{SECTIONS, instead_of},
    value::Node,
};

/// A configuration with the files it came from.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The configuration. Relative paths in it are already resolved against the main file's folder.
    pub config: Config,
    /// The main file and the drop-ins, in order.
    pub files: Vec<PathBuf>,
}

/// Loads the configuration from `main` and the layers above it. It is then well formed;
/// [`super::check()`] says whether it also makes sense.
pub fn load(main: &Path, sets: &[(String, String)]) -> Result<Loaded, Problems> {
    let files = layers::files(main).map_err(|error| {
        Problems(vec![at(&main.display().to_string(), "conf.d", &error.to_string())])
    })?;
    let root = layers::builder(files.clone(), sets)
        .and_then(ConfigBuilder::<DefaultState>::build)
        .map(|built| built.cache)
        .and_then(Value::into_table)
        .map_err(|error| Problems(vec![unreadable(main, &error)]))?;
    let mut sections = Sections { root, problems: Vec::new() };
    sections.unknown_sections();
    let config = sections.config();
    match config {
        Some(mut config) if sections.problems.is_empty() => {
            config.resolve(main.parent().unwrap_or(Path::new("")));
            Ok(Loaded { config, files })
        }
        _ => Err(Problems(sections.problems)),
    }
}

fn at(file: &str, key: &str, message: &str) -> Problem {
    Problem {
        file: Some(file.to_owned()),
        ..Problem::new(key, message, "mend this and run `holdfast check` again")
    }
}

fn unreadable(main: &Path, error: &ConfigError) -> Problem {
    let main = main.display().to_string();
    match error {
        ConfigError::FileParse { uri, cause } => {
            at(uri.as_deref().unwrap_or(&main), "", &format!("no valid TOML: {cause}"))
        }
        other => at(&main, "", &other.to_string()),
    }
}

/// The tables of the configuration, taken out one by one so that each shows its own problems.
struct Sections {
    root: Map<String, Value>,
    problems: Vec<Problem>,
}

impl Sections {
    fn unknown_sections(&mut self) {
        let mut unknown: Vec<_> =
            self.root.keys().filter(|key| !SECTIONS.contains(&key.as_str())).cloned().collect();
        unknown.sort();
        for key in unknown {
            let origin = first_origin(&self.root[&key]);
            self.problems.push(unknown_key(origin, &key));
        }
    }

    fn config(&mut self) -> Option<Config> {
        let gateway = self.required("gateway");
        let log = self.section("log");
        let telemetry = self.section("telemetry");
        let listener = self.list("listener");
        let user = self.list("user");
        let limits = self.section("limits");
        let uplink = self.optional("uplink");
        let queue = self.section("queue");
        let stream = self.list("stream");
        let route = self.list("route");
        let commands = self.section("commands");
        let modbus = self.list("modbus");
        let serial = self.list("serial");
        Some(Config {
            gateway: gateway?,
            log,
            telemetry,
            listener,
            user,
            limits,
            uplink,
            queue,
            stream,
            route,
            commands,
            modbus,
            serial,
        })
    }

    fn required<T: DeserializeOwned>(&mut self, key: &str) -> Option<T> {
        if !self.root.contains_key(key) {
            self.problems.push(Problem::new(
                key,
                "this section is missing",
                "add it; [gateway] needs `id` and `data_dir`",
            ));
        }
        self.optional(key)
    }

    fn section<T: DeserializeOwned + Default>(&mut self, key: &str) -> T {
        self.optional(key).unwrap_or_default()
    }

    fn optional<T: DeserializeOwned>(&mut self, key: &str) -> Option<T> {
        let value = self.root.remove(key)?;
        self.table(key, value)
    }

    fn list<T: DeserializeOwned>(&mut self, key: &str) -> Vec<T> {
        let Some(value) = self.root.remove(key) else { return Vec::new() };
        let origin = first_origin(&value);
        let ValueKind::Array(items) = value.kind else {
            self.problems.push(Problem {
                file: origin,
                ..Problem::new(
                    key,
                    "this is a list of tables",
                    format!("write [[{key}]] instead of [{key}]"),
                )
            });
            return Vec::new();
        };
        let table = |(i, item)| self.table(&format!("{key}[{i}]"), item);
        items.into_iter().enumerate().filter_map(table).collect()
    }

    /// One table by its schema: unknown keys and the first value that does not fit.
    fn table<T: DeserializeOwned>(&mut self, path: &str, value: Value) -> Option<T> {
        let whole = value.clone();
        let mut unknown = Vec::new();
        let mut track = serde_path_to_error::Track::new();
        let tracked = serde_path_to_error::Deserializer::new(Node(value), &mut track);
        let result = T::deserialize(serde_ignored::Deserializer::new(tracked, &mut |ignored| {
            unknown.push(in_brackets(&ignored.to_string()));
        }));
        for inner in unknown {
            let origin = origin_of(&whole, &inner);
            self.problems.push(unknown_key(origin, &format!("{path}.{inner}")));
        }
        match result {
            Ok(table) => Some(table),
            Err(Misfit { message, remedy }) => {
                let inner = in_brackets(&track.path().to_string());
                let file = origin_of(&whole, &inner);
                let key = if inner == "." { path.to_owned() } else { format!("{path}.{inner}") };
                self.problems.push(Problem { file, ..Problem::new(key, message, remedy) });
                None
            }
        }
    }
}

fn unknown_key(file: Option<String>, path: &str) -> Problem {
    let (table, key) = path.rsplit_once('.').unwrap_or(("", path));
    Problem { file, ..Problem::new(path, "unknown key", instead_of(&without_indices(table), key)) }
}

/// `device.0.point.2.adress` → `device[0].point[2].adress`
fn in_brackets(path: &str) -> String {
    let mut out = String::with_capacity(path.len() + 4);
    for part in path.split('.').filter(|part| *part != "?") {
        if part.parse::<usize>().is_ok() {
            out.extend(["[", part, "]"]);
        } else {
            if !out.is_empty() {
                out.push('.');
            }
            out.push_str(part);
        }
    }
    if out.is_empty() { ".".to_owned() } else { out }
}

fn without_indices(path: &str) -> String {
    path.split('.').map(|part| part.split('[').next().unwrap_or(part)).collect::<Vec<_>>().join(".")
}

/// Where the value at `path`, as [`in_brackets`] writes it, was set.
fn origin_of(value: &Value, path: &str) -> Option<String> {
    let mut here = value;
    for part in path.split(['.', '[', ']']).filter(|part| !part.is_empty()) {
        let inner = match &here.kind {
            ValueKind::Table(table) => table.get(part),
            ValueKind::Array(items) => part.parse().ok().and_then(|i: usize| items.get(i)),
            _ => None,
        };
        let Some(inner) = inner else { break };
        here = inner;
    }
    first_origin(here).or_else(|| first_origin(value))
}

/// Where a value, or the first of what it holds, was set: tables themselves carry no origin.
fn first_origin(value: &Value) -> Option<String> {
    value.origin().map(str::to_owned).or_else(|| match &value.kind {
        ValueKind::Table(table) => table.values().find_map(first_origin),
        ValueKind::Array(items) => items.iter().find_map(first_origin),
        _ => None,
    })
}

#[cfg(test)]
mod tests;
