package train

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
)

// readDelimited reads CSV and TSV.
func readDelimited(path string, o DataOptions) (*table, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	next := csvRecords(file)
	if o.Format == TSV {
		next = tsvRecords(file)
	}
	t, p := &table{}, &problems{file: path}
	for first := true; ; first = false {
		cells, line, err := next()
		if errors.Is(err, io.EOF) {
			return t, p.err()
		}
		if err != nil {
			p.add(line, "", err.Error(), "a line of "+string(o.Format))
			return nil, p.err()
		}
		if first {
			cells[0] = strings.TrimPrefix(cells[0], "\ufeff")
			if isHeader(cells, o) {
				t.columns = cells
				continue
			}
		}
		t.addRecord(cells, line, p)
	}
}

func (t *table) addRecord(cells []string, line int, p *problems) {
	if want := t.width(); want > 0 && len(cells) != want {
		p.add(line, "", fmt.Sprintf("%d columns", len(cells)), fmt.Sprint(want))
		return
	}
	r := row{line: line, cells: make([]any, len(cells))}
	for i, cell := range cells {
		r.cells[i] = cell
	}
	t.rows = append(t.rows, r)
}

// isHeader tells whether the first line holds names. A mapping to a column's number says
// nothing of them, even where a cell is that number.
func isHeader(cells []string, o DataOptions) bool {
	if o.Header != GuessHeader {
		return o.Header == WithHeader
	}
	for _, cell := range cells {
		if slices.Contains(o.Fields, cell) {
			return true
		}
		for _, name := range o.Columns {
			if _, err := strconv.Atoi(name); err != nil && cell == name {
				return true
			}
		}
		for _, names := range guessesOf(o.Task) {
			if slices.ContainsFunc(names, func(n string) bool { return strings.EqualFold(n, cell) }) {
				return true
			}
		}
	}
	return false
}

// csvRecords returns the records of RFC 4180 with their lines. Quotes inside an unquoted
// field are taken as they are.
func csvRecords(r io.Reader) func() ([]string, int, error) {
	reader := csv.NewReader(r)
	reader.FieldsPerRecord, reader.LazyQuotes = -1, true
	return func() ([]string, int, error) {
		cells, err := reader.Read()
		if err != nil {
			var parse *csv.ParseError
			if errors.As(err, &parse) {
				return nil, parse.Line, parse.Err
			}
			return nil, 0, err
		}
		line, _ := reader.FieldPos(0)
		return cells, line, nil
	}
}

// tsvRecords cuts lines at tabs. GLUE's files have quotes that open and never close,
// so that a field is quoted only if it begins and ends with a quote.
func tsvRecords(r io.Reader) func() ([]string, int, error) {
	lines := newLines(r)
	return func() ([]string, int, error) {
		for lines.next() {
			if lines.text == "" {
				continue
			}
			cells := strings.Split(lines.text, "\t")
			for i, cell := range cells {
				cells[i] = unquote(cell)
			}
			return cells, lines.number, nil
		}
		if lines.err != nil {
			return nil, lines.number + 1, lines.err
		}
		return nil, lines.number, io.EOF
	}
}

func unquote(cell string) string {
	if len(cell) < 2 || cell[0] != '"' || cell[len(cell)-1] != '"' {
		return cell
	}
	inner := strings.ReplaceAll(cell[1:len(cell)-1], `""`, "\x00")
	if strings.Contains(inner, `"`) {
		return cell
	}
	return strings.ReplaceAll(inner, "\x00", `"`)
}
