//! Diagnostics of source files, as a compiler shows them: place, source line, underline, advice.

use crate::text::{self, NARROWEST, clean, clean_in_place};
use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet, renderer::DecorStyle};
use keybook_api::{Diagnostic, Severity, Span};

/// Renders every diagnostic and a line that counts them; an empty text when there are none.
///
/// `sources` gives a file's text by the name in the span; where it gives none, or the line does not exist, only the
/// place is shown. `width` in columns: messages and advice are wrapped, source lines are cut around the underline.
pub fn render(
    diagnostics: &[Diagnostic],
    sources: &dyn Fn(&str) -> Option<String>,
    color: bool,
    width: usize,
) -> String {
    if diagnostics.is_empty() {
        return String::new();
    }
    let width = width.max(NARROWEST);
    let renderer = if color { Renderer::styled() } else { Renderer::plain() };
    let renderer = renderer.decor_style(DecorStyle::Ascii).term_width(width);
    let mut out = String::new();
    for diagnostic in diagnostics {
        out.push_str(&renderer.render(&[group(diagnostic, sources, width)]));
        out.push_str("\n\n");
    }
    out.push_str(&count_line(diagnostics));
    out.push('\n');
    out
}

fn group<'a>(
    diagnostic: &'a Diagnostic,
    sources: &dyn Fn(&str) -> Option<String>,
    width: usize,
) -> Group<'a> {
    let level = match diagnostic.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    // "warning[code]: " stands before the first line and indents the others.
    let lead = diagnostic.code.len() + "warning[]: ".len();
    let title = level.primary_title(fold(&diagnostic.message, width, lead)).id(diagnostic.code);
    let span = &diagnostic.span;
    let file = clean(&span.file);
    let mut group = match source_line(span, sources) {
        Some(line) => title.element(snippet(line, file, diagnostic)),
        None => {
            let (at_line, at_column) = (to_usize(span.line), to_usize(span.column));
            title.element(Origin::path(file).line(at_line).char_column(at_column))
        }
    };
    if let Some(help) = &diagnostic.help {
        // The gutter and "= help: " stand before it.
        group = group.element(Level::HELP.message(fold(help, width, 16)));
    }
    group
}

fn snippet<'a>(
    line: String,
    file: String,
    diagnostic: &'a Diagnostic,
) -> Snippet<'a, annotate_snippets::Annotation<'a>> {
    let span = &diagnostic.span;
    let start = byte_at(&line, to_usize(span.column).saturating_sub(1));
    let after = to_usize(span.column).saturating_sub(1).saturating_add(to_usize(span.length));
    let end = byte_at(&line, after).max(start);
    let mut underline = AnnotationKind::Primary.span(start..end);
    if !diagnostic.label.is_empty() {
        underline = underline.label(clean(&diagnostic.label));
    }
    Snippet::source(line).line_start(to_usize(span.line)).path(file).annotation(underline)
}

/// The one line that the span is on, safe to show; `None` when it cannot be had.
fn source_line(span: &Span, sources: &dyn Fn(&str) -> Option<String>) -> Option<String> {
    let source = sources(&span.file)?;
    let index = to_usize(span.line).checked_sub(1)?;
    let line = source.split('\n').nth(index)?;
    Some(clean_in_place(line.trim_end_matches('\r')))
}

/// The byte where a character begins; the line's end when it has fewer.
fn byte_at(line: &str, character: usize) -> usize {
    line.char_indices().nth(character).map_or(line.len(), |(at, _)| at)
}

fn to_usize(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

/// Wraps so that the lines fit beside what stands before them.
fn fold(text: &str, width: usize, lead: usize) -> String {
    let room = width.saturating_sub(lead).max(NARROWEST);
    text.split('\n').flat_map(|part| text::wrap(&clean(part), room)).collect::<Vec<_>>().join("\n")
}

fn count_line(diagnostics: &[Diagnostic]) -> String {
    let errors = diagnostics.iter().filter(|one| one.severity == Severity::Error).count();
    let warnings = diagnostics.len() - errors;
    let mut parts = Vec::new();
    if errors > 0 {
        parts.push(text::count(errors, "error", "errors"));
    }
    if warnings > 0 {
        parts.push(text::count(warnings, "warning", "warnings"));
    }
    parts.join(", ")
}
