//! JSON that is served or printed, held against its schema in docs/.

use std::fs;
use std::path::Path;

use boon::{Compiler, Schemas};
use serde_json::Value;

/// A schema of docs/, ready to judge.
pub(crate) struct Schema {
    name: &'static str,
    schemas: Schemas,
    index: boon::SchemaIndex,
}

impl Schema {
    /// The schema in this file of docs/, with those of docs/ that it refers to.
    pub(crate) fn of(name: &'static str) -> Self {
        let mut compiler = Compiler::new();
        for file in ["status.schema.json", "check.schema.json"] {
            let schema = text(file);
            let id = schema["$id"].as_str().expect("a schema has an id").to_owned();
            compiler.add_resource(&id, schema).expect("an id is a URL");
        }
        let id = text(name)["$id"].as_str().expect("a schema has an id").to_owned();
        let mut schemas = Schemas::new();
        let index =
            compiler.compile(&id, &mut schemas).unwrap_or_else(|error| panic!("docs/{name}: {error:#}"));
        Self { name, schemas, index }
    }

    /// Holds a document against it.
    #[track_caller]
    pub(crate) fn check(&self, document: &Value) {
        if let Err(error) = self.fits(document) {
            panic!("a document does not fit docs/{}: {error}\n{document:#}", self.name);
        }
    }

    /// Whether a document fits, or what is wrong with it.
    pub(crate) fn fits(&self, document: &Value) -> Result<(), String> {
        self.schemas.validate(document, self.index).map_err(|error| format!("{error:#}"))
    }
}

/// A schema as JSON.
pub(crate) fn text(name: &str) -> Value {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs").join(name);
    let text = fs::read_to_string(&file).unwrap_or_else(|error| panic!("docs/{name}: {error}"));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("docs/{name}: {error}"))
}
