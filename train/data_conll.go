package train

import (
	"fmt"
	"strconv"
	"strings"
)

// readCoNLL reads blocks of lines with a word and its tag among their columns. The
// word is the first column that is not the number of the word in its text, and the
// tag the last column in which every cell is O or begins with B-, I-, E-, S- or
// another letter and a dash; without such a column, the last one.
func readCoNLL(path string, o DataOptions) (*table, error) {
	p := &problems{file: path}
	var blocks [][]conllLine
	open := false
	err := eachLine(path, p, func(text string, number int) {
		if separates(text) {
			open = false
			return
		}
		if !open {
			blocks, open = append(blocks, nil), true
		}
		last := len(blocks) - 1
		blocks[last] = append(blocks[last], conllLine{number, conllColumns(text)})
	})
	if err != nil {
		return nil, err
	}
	word, tag := conllPlaces(blocks, o, p)
	return conllTable(blocks, word, tag, o, p)
}

type conllLine struct {
	number int
	cells  []string
}

// separates tells whether a line stands between two texts.
func separates(line string) bool {
	return strings.TrimSpace(line) == "" || strings.HasPrefix(line, "-DOCSTART-") || strings.HasPrefix(line, "#doc")
}

func conllColumns(line string) []string {
	if strings.Contains(line, "\t") {
		return strings.Split(line, "\t")
	}
	return strings.Fields(line)
}

// conllPlaces returns the columns of words and tags: those given, or guessed.
func conllPlaces(blocks [][]conllLine, o DataOptions, p *problems) (word, tag int) {
	width := 0
	numbered, tagged := true, map[int]bool{}
	for _, block := range blocks {
		for i, line := range block {
			width = max(width, len(line.cells))
			n, err := strconv.Atoi(line.cells[0])
			numbered = numbered && len(line.cells) > 1 && err == nil && (n == i || n == i+1)
			for c, cell := range line.cells {
				was, seen := tagged[c]
				tagged[c] = isTag(cell) && (was || !seen)
			}
		}
	}
	if numbered {
		word = 1
	}
	tag = width - 1
	for c := width - 1; c > word; c-- {
		if tagged[c] {
			tag = c
			break
		}
	}
	return givenPlace(o, RoleWords, word, p), givenPlace(o, RoleTags, tag, p)
}

func givenPlace(o DataOptions, role string, guess int, p *problems) int {
	given, ok := o.Columns[role]
	if !ok {
		return guess
	}
	n, err := strconv.Atoi(given)
	if err != nil || n < 0 {
		p.add(0, "", "column "+quote(given)+" for "+role, "a number from 0")
		return guess
	}
	return n
}

func isTag(s string) bool {
	return s == "O" || len(s) > 2 && s[1] == '-' && strings.ContainsRune("BIESLUM", rune(s[0]))
}

// conllTable makes a row of each block; its columns carry the places they came from.
func conllTable(blocks [][]conllLine, word, tag int, o DataOptions, p *problems) (*table, error) {
	t := &table{guess: map[string]int{RoleWords: word, RoleTags: tag}}
	width := max(word, tag) + 1
	want := fmt.Sprintf("%d or more", width)
	if o.Unlabelled {
		want = fmt.Sprintf("%d or more", word+1)
	}
	for _, block := range blocks {
		words, tags := make([]any, 0, len(block)), make([]any, 0, len(block))
		for _, line := range block {
			if n := len(line.cells); n <= word || !o.Unlabelled && n <= tag {
				p.add(line.number, "", fmt.Sprintf("%d columns", n), want)
				continue
			}
			words = append(words, line.cells[word])
			if !o.Unlabelled {
				tags = append(tags, line.cells[tag])
			}
		}
		cells := make([]any, width)
		cells[tag], cells[word] = tags, words
		t.rows = append(t.rows, row{block[0].number, cells})
	}
	return t, p.err()
}
