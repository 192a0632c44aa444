//! The scanning core: from the bytes of JSON lines to the few lines that any rule may match.
//!
//! It knows no rules. It splits objects into raw values, and remembers for each raw value the number
//! (its *signature*) that Python gave it. What a value or a tuple of signatures means is decided in
//! Python, once; everything unusual is handed back to Python's readers.

mod column;
mod extract;
mod fields;
mod json;
mod keywords;
mod literals;
mod nested;
mod scanner;
mod template;

use pyo3::prelude::*;

#[pymodule]
fn _native(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<literals::Literals>()?;
    module.add_class::<keywords::Keywords>()?;
    module.add_class::<column::Generation>()?;
    module.add_class::<column::Column>()?;
    module.add_class::<extract::Extractor>()?;
    module.add_class::<scanner::Questions>()?;
    module.add_class::<scanner::Shape>()?;
    module.add_class::<scanner::Scanner>()?;
    module.add_class::<template::Frame>()?;
    module.add_class::<template::Template>()?;
    Ok(())
}
