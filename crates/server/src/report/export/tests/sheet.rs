//! A small reader of XLSX: the container's directory, the sheets' names, and their cells.

use std::io::Read;

use flate2::read::DeflateDecoder;

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Cell {
    Empty,
    Number(f64),
    Bool(bool),
    Text(String),
}

#[derive(Debug)]
pub(super) struct Sheet {
    pub(super) name: String,
    /// As wide as the header.
    pub(super) rows: Vec<Vec<Cell>>,
    /// Whether a cell is marked as a text.
    pub(super) marked: Vec<Vec<bool>>,
    pub(super) has_formula: bool,
}

pub(super) fn read(file: &[u8]) -> Vec<Sheet> {
    let workbook = entry(file, "xl/workbook.xml");
    let styles = entry(file, "xl/styles.xml");
    let formats = between(&styles, "<cellXfs", "</cellXfs>");
    let marks: Vec<bool> = elements(formats, "<xf ").map(|xf| xf.contains("quotePrefix=\"1\"")).collect();
    let names = elements(&workbook, "<sheet ").map(|sheet| unescaped(attribute(sheet, "name").unwrap()));
    names
        .enumerate()
        .map(|(index, name)| {
            sheet(name, &entry(file, &format!("xl/worksheets/sheet{}.xml", index + 1)), &marks)
        })
        .collect()
}

fn sheet(name: String, xml: &str, marks: &[bool]) -> Sheet {
    let mut sheet = Sheet { name, rows: Vec::new(), marked: Vec::new(), has_formula: xml.contains("<f>") };
    for row in elements(between(xml, "<sheetData", "</sheetData>"), "<row ") {
        let number: usize = attribute(row, "r").unwrap().parse().unwrap();
        let width = sheet.rows.first().map_or(0, Vec::len);
        sheet.rows.resize(number, vec![Cell::Empty; width]);
        sheet.marked.resize(number, vec![false; width]);
        for cell in elements(row, "<c ") {
            let column = column(attribute(cell, "r").unwrap());
            let (cells, marked) = (&mut sheet.rows[number - 1], &mut sheet.marked[number - 1]);
            cells.resize(cells.len().max(column + 1), Cell::Empty);
            marked.resize(cells.len(), false);
            cells[column] = value(cell);
            let style: usize = attribute(cell, "s").map_or(0, |style| style.parse().unwrap());
            marked[column] = marks[style];
        }
    }
    // A row of nulls at the end is none in the file.
    let dimension = attribute(between(xml, "<dimension", "/>"), "ref").unwrap_or("A1");
    let last = dimension.rsplit(':').next().unwrap().trim_start_matches(|c: char| c.is_alphabetic());
    let (height, width) = (last.parse().unwrap_or(0), sheet.rows.first().map_or(0, Vec::len));
    if height > sheet.rows.len() {
        sheet.rows.resize(height, vec![Cell::Empty; width]);
        sheet.marked.resize(height, vec![false; width]);
    }
    sheet
}

fn value(cell: &str) -> Cell {
    match attribute(cell, "t") {
        Some("inlineStr") => {
            let (_, text) = between(cell, "<is>", "</is>").split_once('>').unwrap();
            Cell::Text(unescaped(text.strip_suffix("</t>").unwrap()))
        }
        Some("b") => Cell::Bool(between(cell, "<v>", "</v>") == "1"),
        None if cell.contains("<v>") => Cell::Number(between(cell, "<v>", "</v>").parse().unwrap()),
        None => Cell::Empty,
        Some(other) => panic!("a cell of type {other}"),
    }
}

/// `C7` is the third column.
fn column(reference: &str) -> usize {
    let letters = reference.bytes().take_while(u8::is_ascii_uppercase);
    letters.fold(0, |column, letter| column * 26 + usize::from(letter - b'A') + 1) - 1
}

/// The text from each beginning up to the next.
fn elements<'x>(xml: &'x str, begin: &'x str) -> impl Iterator<Item = &'x str> {
    xml.split(begin).skip(1)
}

fn between<'x>(xml: &'x str, begin: &str, end: &str) -> &'x str {
    let (_, rest) = xml.split_once(begin).unwrap_or(("", ""));
    rest.split_once(end).map_or(rest, |(found, _)| found)
}

fn attribute<'x>(element: &'x str, name: &str) -> Option<&'x str> {
    let head = element.split('>').next()?;
    let (_, rest) = head
        .split_once(&format!("{name}=\""))
        .filter(|(before, _)| before.is_empty() || before.ends_with(' '))?;
    rest.split('"').next()
}

fn unescaped(text: &str) -> String {
    let plain = text.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&amp;", "&");
    let mut rest = plain.as_str();
    let mut out = String::new();
    // `_x000D_` is the character of that number.
    while let Some(at) = rest.find("_x") {
        let code = rest.get(at + 2..at + 6).filter(|_| rest.as_bytes().get(at + 6) == Some(&b'_'));
        let escaped = code.and_then(|code| char::from_u32(u32::from_str_radix(code, 16).ok()?));
        out.push_str(&rest[..at]);
        match escaped {
            Some(c) => {
                out.push(c);
                rest = &rest[at + 7..];
            }
            None => {
                out.push_str("_x");
                rest = &rest[at + 2..];
            }
        }
    }
    out + rest
}

/// A file of the container, by its directory: it was written as a stream, so the sizes stand there alone.
fn entry(file: &[u8], wanted: &str) -> String {
    let u16_at = |at: usize| usize::from(u16::from_le_bytes(file[at..at + 2].try_into().unwrap()));
    let u32_at = |at: usize| u32::from_le_bytes(file[at..at + 4].try_into().unwrap()) as usize;
    let end = file.windows(4).rposition(|bytes| bytes == b"PK\x05\x06").unwrap();
    let mut at = u32_at(end + 16);
    for _ in 0..u16_at(end + 10) {
        let (name_len, extra_len, comment_len) = (u16_at(at + 28), u16_at(at + 30), u16_at(at + 32));
        let name = std::str::from_utf8(&file[at + 46..at + 46 + name_len]).unwrap();
        if name == wanted {
            let local = u32_at(at + 42);
            let begin = local + 30 + u16_at(local + 26) + u16_at(local + 28);
            let packed = &file[begin..begin + u32_at(at + 20)];
            let mut text = String::new();
            DeflateDecoder::new(packed).read_to_string(&mut text).unwrap();
            return text;
        }
        at += 46 + name_len + extra_len + comment_len;
    }
    panic!("the file has no {wanted}");
}
