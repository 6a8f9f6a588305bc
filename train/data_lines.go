package train

import (
	"bufio"
	"io"
	"os"
	"strings"
)

// maxLine bounds a line of a data file, in bytes.
const maxLine = 64 << 20

// lines reads a text line by line.
type lines struct {
	scanner *bufio.Scanner
	text    string
	number  int // of the current line, from 1
	err     error
}

func newLines(r io.Reader) *lines {
	s := bufio.NewScanner(r)
	s.Buffer(make([]byte, 0, 64<<10), maxLine)
	return &lines{scanner: s}
}

func (l *lines) next() bool {
	if !l.scanner.Scan() {
		l.err = l.scanner.Err()
		return false
	}
	l.number++
	l.text = strings.TrimSuffix(l.scanner.Text(), "\r")
	if l.number == 1 {
		l.text = strings.TrimPrefix(l.text, "\ufeff")
	}
	return true
}

// eachLine calls f with every line of a file.
func eachLine(path string, p *problems, f func(line string, number int)) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	l := newLines(file)
	for l.next() {
		f(l.text, l.number)
	}
	if l.err != nil {
		p.add(l.number+1, "", l.err.Error(), "a line of text")
	}
	return nil
}

// readLabelled reads a label, a space and a text from each line.
func readLabelled(path string, o DataOptions) (*table, error) {
	t, p := &table{columns: []string{RoleLabel, RoleText}}, &problems{file: path}
	err := eachLine(path, p, func(line string, number int) {
		label, text, ok := strings.Cut(strings.TrimSpace(line), " ")
		switch {
		case o.Unlabelled && line != "":
			t.rows = append(t.rows, row{number, []any{"", line}})
		case line == "":
		case !ok:
			p.add(number, "", quote(line), "a label, a space and a text")
		default:
			t.rows = append(t.rows, row{number, []any{label, text}})
		}
	})
	if err != nil {
		return nil, err
	}
	return t, p.err()
}

// readPlainText reads a text from each line that is not empty.
func readPlainText(path string, _ DataOptions) (*table, error) {
	t, p := &table{columns: []string{RoleText}}, &problems{file: path}
	err := eachLine(path, p, func(line string, number int) {
		if line != "" {
			t.rows = append(t.rows, row{number, []any{line}})
		}
	})
	if err != nil {
		return nil, err
	}
	return t, p.err()
}
