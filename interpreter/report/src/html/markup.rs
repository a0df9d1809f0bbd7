//! Markup that cannot be written unescaped: data has one way in, and that one escapes.

use crate::text;

/// Attributes with their values.
pub(super) type Attributes<'a> = &'a [(&'static str, &'a str)];

/// HTML under construction.
#[derive(Default)]
pub(super) struct Html(String);

impl Html {
    /// Markup of this program itself.
    pub(super) fn raw(&mut self, markup: &'static str) {
        self.0.push_str(markup);
    }

    /// One line of data; control characters are written out as on a terminal.
    pub(super) fn text(&mut self, data: &str) {
        self.escape(&text::clean(data));
    }

    /// Data whose line feeds count (shown with `white-space: pre-wrap`).
    pub(super) fn lines(&mut self, data: &str) {
        for (index, line) in data.split('\n').enumerate() {
            if index > 0 {
                self.0.push('\n');
            }
            self.text(line.trim_end_matches('\r'));
        }
    }

    /// One line of a difference: tabs are shown.
    pub(super) fn exact(&mut self, data: &str) {
        self.escape(&text::clean_exact(data));
    }

    fn escape(&mut self, data: &str) {
        for letter in data.chars() {
            match letter {
                '&' => self.0.push_str("&amp;"),
                '<' => self.0.push_str("&lt;"),
                '>' => self.0.push_str("&gt;"),
                '"' => self.0.push_str("&quot;"),
                '\'' => self.0.push_str("&#39;"),
                _ => self.0.push(letter),
            }
        }
    }

    fn open(&mut self, name: &'static str, attributes: Attributes<'_>, end: &str) {
        self.0.push('<');
        self.0.push_str(name);
        for (key, value) in attributes {
            self.0.push(' ');
            self.0.push_str(key);
            self.0.push_str("=\"");
            self.text(value);
            self.0.push('"');
        }
        self.0.push_str(end);
    }

    /// An element and what is in it.
    pub(super) fn element(
        &mut self,
        name: &'static str,
        attributes: Attributes<'_>,
        inner: impl FnOnce(&mut Self),
    ) {
        self.open(name, attributes, ">");
        inner(self);
        self.0.push_str("</");
        self.0.push_str(name);
        self.0.push('>');
    }

    /// An element with one line of data.
    pub(super) fn leaf(&mut self, name: &'static str, attributes: Attributes<'_>, data: &str) {
        self.element(name, attributes, |html| html.text(data));
    }

    /// An SVG element without content.
    pub(super) fn shape(&mut self, name: &'static str, attributes: Attributes<'_>) {
        self.open(name, attributes, "/>");
    }

    /// A section with its heading; `id` for links to it.
    pub(super) fn section(&mut self, id: &'static str, heading: &str, inner: impl FnOnce(&mut Self)) {
        let heading_id = format!("{id}-heading");
        self.0.push('\n');
        self.element("section", &[("id", id), ("aria-labelledby", &heading_id)], |html| {
            html.leaf("h2", &[("id", &heading_id)], heading);
            inner(html);
        });
    }

    /// A table: its caption (for readers that cannot see), column headings, and rows.
    pub(super) fn table(&mut self, caption: &str, columns: &[&str], rows: impl FnOnce(&mut Self)) {
        self.element("div", &[("class", "wide")], |html| {
            html.element("table", &[], |html| {
                html.leaf("caption", &[], caption);
                html.element("thead", &[], |html| {
                    html.element("tr", &[], |html| {
                        columns.iter().for_each(|name| html.leaf("th", &[("scope", "col")], name));
                    });
                });
                html.element("tbody", &[], rows);
            });
        });
    }

    /// The first cell of a row.
    pub(super) fn row_head(&mut self, data: &str) {
        self.leaf("th", &[("scope", "row")], data);
    }

    /// A plain cell.
    pub(super) fn cell(&mut self, data: &str) {
        self.leaf("td", &[], data);
    }

    /// A cell with a moment.
    pub(super) fn when(&mut self, time: &str) {
        self.leaf("td", &[("class", "when")], &crate::time::stamp(time));
    }

    /// A state's word, with a colour that repeats it.
    pub(super) fn badge(&mut self, tone: crate::page::Tone, words: &str) {
        use crate::page::Tone;
        let class = match tone {
            Tone::Good => "badge good",
            Tone::Bad => "badge bad",
            Tone::Warn => "badge warn",
            Tone::Plain | Tone::Dim | Tone::Strong => "badge",
        };
        self.leaf("span", &[("class", class)], words);
    }

    pub(super) fn finish(self) -> String {
        self.0
    }
}
