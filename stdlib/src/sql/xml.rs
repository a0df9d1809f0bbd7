//! The client's XML output (`mysql --xml`), the only form of it that tells NULL from the text `NULL`.

use keybook_api::{Map, Value};

/// The rows of all result sets: maps from column to text, or null.
pub fn rows(text: &str) -> Result<Vec<Value>, String> {
    let mut rows = Vec::new();
    let mut row = Map::new();
    let mut rest = text;
    // A `<` in a value or in the statement that is repeated is always escaped, so one begins a tag.
    while let Some((_, after)) = rest.split_once('<') {
        let (tag, after) = after.split_once('>').ok_or("the client's XML is cut off")?;
        rest = after;
        match tag {
            "row" => row = Map::new(),
            "/row" => rows.push(Value::Map(std::mem::take(&mut row))),
            _ if tag.starts_with("field ") => {
                let name = tag.split_once("name=\"").and_then(|(_, name)| name.split_once('"'));
                let (name, _) = name.ok_or("the client's XML has a field without a name")?;
                let value = if tag.contains("xsi:nil=\"true\"") {
                    Value::Null
                } else {
                    let (value, _) = after.split_once("</field>").ok_or("the client's XML is cut off")?;
                    Value::Text(unescape(value))
                };
                row.insert(unescape(name), value);
            }
            _ => {}
        }
    }
    Ok(rows)
}

fn unescape(text: &str) -> String {
    let mut text = text.to_owned();
    // The ampersand last: what it makes is not looked at again.
    for (from, to) in [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&amp;", "&")] {
        text = text.replace(from, to);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn null_text_and_markup_are_told_apart() {
        let text = "<?xml version=\"1.0\"?>\n\n<resultset statement=\"select 1 &lt; 2\n\" xmlns:xsi=\"x\">\n  <row>\n\t\
<field name=\"a&lt;b\">NULL</field>\n\t<field name=\"b\" xsi:nil=\"true\" />\n\t<field name=\"c\">&amp;lt;\n&lt;/row&gt; </field>\n  </row>\n</resultset>\n";
        let rows = rows(text).unwrap();
        assert_eq!(rows.len(), 1);
        assert_eq!(rows[0].to_string(), "{\"a<b\":\"NULL\",\"b\":null,\"c\":\"&lt;\\n</row> \"}");
        assert!(super::rows("<row><field name=\"a\">x").is_err());
        assert!(super::rows("<ro").is_err());
        assert_eq!(super::rows("").unwrap(), []);
    }
}
