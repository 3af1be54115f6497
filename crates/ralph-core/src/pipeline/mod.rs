//! pipeline.json.
