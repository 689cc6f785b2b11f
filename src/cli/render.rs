//! Markdown as the manual uses it, set for a terminal: headings, paragraphs, lists, fenced code and tables. What is not in
//! this list (nested lists, quotes, HTML, emphasis with one star) is not understood and stays as it is written.

/// Widest line of a text on a terminal of the smallest usual size, in characters.
pub(super) const WIDTH: usize = 79;
/// Columns between the cells of a table.
const GAP: usize = 2;
/// Where code, list items and cells without columns begin.
const INDENT: usize = 2;

/// The lines of a page without their line ends, none wider than [`WIDTH`] unless code, or a word, is.
pub(super) fn lines(markdown: &str) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    let mut source = markdown.lines().peekable();
    while let Some(line) = source.next() {
        let text = line.trim();
        if text.starts_with("<!--") {
            continue;
        }
        if text.is_empty() {
            gap(&mut out);
        } else if text.starts_with("```") {
            let code = source.by_ref().take_while(|l| !l.starts_with("```"));
            let code: Vec<&str> = code.map(str::trim_end).collect();
            // A line that needs the whole width gets it.
            let widest = code.iter().map(|l| l.chars().count()).max().unwrap_or(0);
            let indent = INDENT.min(WIDTH.saturating_sub(widest));
            let code = code.iter().map(|l| format!("{:indent$}{l}", ""));
            out.extend(code.map(|l| l.trim_end().to_owned()));
        } else if let Some(title) = text.strip_prefix("# ") {
            out.push(title.to_uppercase());
        } else if text.starts_with('#') {
            let title = plain(text.trim_start_matches('#').trim());
            let rule = "-".repeat(title.chars().count());
            out.extend([title, rule]);
        } else if text.starts_with('|') {
            let mut rows = vec![cells(text)];
            while let Some(row) = source.next_if(|l| l.starts_with('|')) {
                rows.push(cells(row));
            }
            table(&mut out, &rows);
        } else {
            let mut whole = text.to_owned();
            while let Some(more) = source.next_if(|l| continues(l)) {
                whole.push(' ');
                whole.push_str(more.trim());
            }
            let mark = mark(&whole);
            let first = whole[..mark].to_owned();
            fill(&mut out, &first, mark, &plain(&whole[mark..]));
        }
    }
    while out.last().is_some_and(String::is_empty) {
        out.pop();
    }
    out
}

/// One empty line, and none at the beginning.
fn gap(out: &mut Vec<String>) {
    if out.last().is_some_and(|l| !l.is_empty()) {
        out.push(String::new());
    }
}

/// The line belongs to the paragraph or list item before it.
fn continues(line: &str) -> bool {
    let text = line.trim();
    !text.is_empty() && !text.starts_with(['#', '|']) && !text.starts_with("```") && mark(text) == 0
}

/// Bytes of `- ` or `12. ` at the beginning, 0 when it is no list item.
fn mark(text: &str) -> usize {
    if text.starts_with("- ") {
        return 2;
    }
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    if (1..3).contains(&digits) && text[digits..].starts_with(". ") {
        digits + 2
    } else {
        0
    }
}

/// Appends text broken at spaces (and at bars of long lists), every line indented.
pub(super) fn wrap(out: &mut Vec<String>, text: &str, indent: usize) {
    fill(out, &" ".repeat(indent), indent, text);
}

/// Appends `first` and the text after it, broken to [`WIDTH`]; further lines are indented.
fn fill(out: &mut Vec<String>, first: &str, indent: usize, text: &str) {
    let broken = broken(text, WIDTH.saturating_sub(indent));
    for (i, line) in broken.into_iter().enumerate() {
        let line = match i {
            0 => format!("{first}{line}"),
            _ => format!("{:indent$}{line}", ""),
        };
        out.push(line.trim_end().to_owned());
    }
}

/// The text in lines of at most `width` characters; a longer word has a line of its own. At least one line.
fn broken(text: &str, width: usize) -> Vec<String> {
    let mut out = Vec::new();
    let mut line = String::new();
    for word in text.split_inclusive([' ', '|']) {
        let fits = line.chars().count() + word.trim_end().chars().count() <= width;
        if !fits && !line.trim_end().is_empty() {
            out.push(line.trim_end().to_owned());
            line.clear();
        }
        line.push_str(word);
    }
    out.push(line.trim_end().to_owned());
    out
}

/// The cells of one row, set as [`plain`] does.
fn cells(row: &str) -> Vec<String> {
    let row = row.trim().trim_start_matches('|');
    let row = row.strip_suffix('|').unwrap_or(row);
    let mut found = vec![String::new()];
    let mut before = ' ';
    for c in row.chars() {
        match found.last_mut() {
            Some(cell) if c != '|' || before == '\\' => cell.push(c),
            _ => found.push(String::new()),
        }
        before = c;
    }
    found.iter().map(|cell| plain(cell.trim())).collect()
}

fn table(out: &mut Vec<String>, rows: &[Vec<String>]) {
    let is_rule = |row: &[String]| {
        row.iter()
            .all(|c| c.contains("--") && c.trim_matches([':', '-']).is_empty())
    };
    let rows: Vec<Vec<String>> = rows.iter().filter(|r| !is_rule(r)).cloned().collect();
    let head = rows.first().filter(|r| r.iter().any(|c| !c.is_empty()));
    let body = rows.iter().skip(1);
    let Some(widths) = widths(&rows) else {
        for row in body {
            record(out, head, row);
        }
        return;
    };
    if let Some(head) = head {
        columns(out, head, &widths);
        let rule: Vec<String> = widths.iter().map(|&w| "-".repeat(w)).collect();
        columns(out, &rule, &widths);
    }
    for row in body {
        columns(out, row, &widths);
    }
}

/// Widths with which the columns fit side by side: the widest give way, none below its longest word. `None`: they do not fit.
fn widths(rows: &[Vec<String>]) -> Option<Vec<usize>> {
    let longest = |i: usize, by: fn(&str) -> usize| {
        let cells = rows.iter().filter_map(|r| r.get(i));
        cells.map(|c| by(c)).max().unwrap_or(0)
    };
    let count = rows.iter().map(Vec::len).max()?;
    let least: Vec<usize> = (0..count)
        .map(|i| {
            longest(i, |c| {
                c.split(' ').map(|w| w.chars().count()).max().unwrap_or(0)
            })
        })
        .collect();
    let mut widths: Vec<usize> = (0..count)
        .map(|i| longest(i, |c| c.chars().count()))
        .collect();
    let room = WIDTH.checked_sub(INDENT + GAP * (count - 1))?;
    while widths.iter().sum::<usize>() > room {
        let wide = (0..count).filter(|&i| widths[i] > least[i]);
        let widest = wide.max_by_key(|&i| widths[i])?;
        widths[widest] -= 1;
    }
    Some(widths)
}

fn columns(out: &mut Vec<String>, row: &[String], widths: &[usize]) {
    let cells: Vec<Vec<String>> = row.iter().zip(widths).map(|(c, &w)| broken(c, w)).collect();
    let height = cells.iter().map(Vec::len).max().unwrap_or(0);
    for i in 0..height {
        let mut line = " ".repeat(INDENT);
        for (cell, &width) in cells.iter().zip(widths) {
            let text = cell.get(i).map_or("", String::as_str);
            line.push_str(&format!("{text:<width$}{:GAP$}", ""));
        }
        out.push(line.trim_end().to_owned());
    }
}

/// A row that does not fit: its cells below each other, those after the second with their headings.
fn record(out: &mut Vec<String>, head: Option<&Vec<String>>, row: &[String]) {
    for (i, cell) in row.iter().enumerate().filter(|(_, c)| !c.is_empty()) {
        let title = head
            .and_then(|h| h.get(i))
            .filter(|t| i > 1 && !t.is_empty());
        let text = title.map_or_else(|| cell.clone(), |t| format!("{t}: {cell}"));
        // A word that needs the whole line gets it.
        let widest = text
            .split(' ')
            .map(|w| w.chars().count())
            .max()
            .unwrap_or(0);
        let indent = INDENT * if i == 0 { 1 } else { 3 };
        wrap(out, &text, indent.min(WIDTH.saturating_sub(widest)));
    }
}

/// Running text without its marks: code and strong text as they are, links with where they lead.
fn plain(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let (said, taken) = span(rest).unwrap_or_else(|| (c.to_string(), c.len_utf8()));
        out.push_str(&said);
        rest = &rest[taken..];
    }
    out
}

/// What stands at the beginning of the text if it is marked, and how many bytes it takes.
fn span(text: &str) -> Option<(String, usize)> {
    if let Some(rest) = text.strip_prefix('`') {
        let end = rest.find('`')?;
        return Some((rest[..end].replace("\\|", "|"), end + 2));
    }
    if let Some(rest) = text.strip_prefix('\\') {
        let c = rest.chars().next().filter(char::is_ascii_punctuation)?;
        return Some((c.to_string(), 2));
    }
    if text.starts_with("**") {
        return Some((String::new(), 2));
    }
    let rest = text.strip_prefix('[')?;
    let (name, rest) = rest.split_once("](")?;
    let (target, _) = rest.split_once(')')?;
    let taken = name.len() + target.len() + 4;
    let name = plain(name);
    let topic = target.split('#').next().unwrap_or_default();
    let said = match topic.strip_suffix(".md") {
        Some(page) if page == name => format!("duplet help {page}"),
        Some(page) if !page.contains('/') && !name.starts_with("duplet help") => {
            format!("{name} (duplet help {page})")
        }
        Some(_) => name,
        None if target == name || target.starts_with('#') => name,
        None => format!("{name} ({target})"),
    };
    Some((said, taken))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_taken_away_and_links_lead_somewhere() {
        for (markdown, text) in [
            ("`--a=*` and **b**", "--a=* and b"),
            ("a *.tmp file", "a *.tmp file"),
            ("[S3](s3.md)", "S3 (duplet help s3)"),
            ("[s3](s3.md)", "duplet help s3"),
            ("[keys](s3.md#keys)", "keys (duplet help s3)"),
            ("[`duplet help s3`](s3.md)", "duplet help s3"),
            ("[duplet](../../README.md)", "duplet"),
            ("[Kubo](https://ipfs.tech)", "Kubo (https://ipfs.tech)"),
            ("`[.*\\.(iso\\|img)]`", "[.*\\.(iso|img)]"),
            ("2 \\| 3 [x] `open", "2 | 3 [x] `open"),
        ] {
            assert_eq!(plain(markdown), text, "{markdown}");
        }
    }

    #[test]
    fn blocks_are_set_one_below_the_other() {
        let page = "# Title\n\nOne\ntwo.\n\n\n## Part\n<!-- not shown -->\n- an item\n  of two lines\n- b\n12. c\n\n```sh\n  code | x\n```\n";
        let want = [
            "TITLE",
            "",
            "One two.",
            "",
            "Part",
            "----",
            "- an item of two lines",
            "- b",
            "12. c",
            "",
            "    code | x",
        ];
        assert_eq!(lines(page), want);
    }

    #[test]
    fn long_text_is_broken_between_words() {
        let page = format!("- {}", "word ".repeat(40));
        let lines = lines(&page);
        assert!(lines.len() > 2);
        assert!(lines.iter().all(|l| l.chars().count() <= WIDTH));
        assert!(lines[1].starts_with("  word"));
    }

    #[test]
    fn a_table_has_columns_where_they_fit() {
        let narrow = "| a | b |\n|---|---|\n| 1 \\| 2 | `x` |\n| 3 |";
        let want = ["  a      b", "  -----  -", "  1 | 2  x", "  3"];
        assert_eq!(lines(narrow), want);

        let long = "long ".repeat(30);
        let wrapped = lines(&format!("| | |\n|---|---|\n| name | {long} |"));
        assert!(wrapped.len() > 1 && wrapped[1].starts_with("        long"));
        assert!(wrapped.iter().all(|l| l.chars().count() <= WIDTH));

        let word = "w".repeat(60);
        let stacked = lines(&format!(
            "| a | b | c |\n|---|---|---|\n| {word} | {word} | x |"
        ));
        let want = [
            format!("  {word}"),
            format!("      {word}"),
            "      c: x".to_owned(),
        ];
        assert_eq!(stacked, want);
    }

    #[test]
    fn no_input_makes_it_fail() {
        for odd in [
            "", "|", "||", "```", "`", "[", "[a](", "\\", "**", "# ", "-", "1.", "|\n|--|", "é|ü",
        ] {
            let _ = lines(odd);
            assert!(lines(&format!("x\n\n{odd}"))[0] == "x");
        }
    }
}
