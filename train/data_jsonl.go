package train

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// readJSONL reads a JSON object from each line. Its columns are all keys that occur,
// sorted.
func readJSONL(path string, _ DataOptions) (*table, error) {
	p := &problems{file: path}
	var objects []map[string]any
	var numbers []int
	t := &table{columns: []string{}}
	index := map[string]int{}
	err := eachLine(path, p, func(line string, number int) {
		if strings.TrimSpace(line) == "" {
			return
		}
		object, err := parseObject(line)
		if err != nil {
			p.add(number, "", err.Error(), "a JSON object")
			return
		}
		objects, numbers = append(objects, object), append(numbers, number)
		for key := range object {
			if _, ok := index[key]; !ok {
				index[key] = 0
				t.columns = append(t.columns, key)
			}
		}
	})
	if err != nil {
		return nil, err
	}
	t.addObjects(objects, numbers)
	return t, p.err()
}

// addObjects adds a row for each object and sorts the columns.
func (t *table) addObjects(objects []map[string]any, numbers []int) {
	slices.Sort(t.columns)
	for i, object := range objects {
		cells := make([]any, len(t.columns))
		for c, key := range t.columns {
			cells[c] = object[key]
		}
		t.rows = append(t.rows, row{numbers[i], cells})
	}
}

func parseObject(line string) (map[string]any, error) {
	d := json.NewDecoder(strings.NewReader(line))
	d.UseNumber()
	var object map[string]any
	if err := d.Decode(&object); err != nil {
		var wrong *json.UnmarshalTypeError
		switch {
		case errors.As(err, &wrong):
			err = fmt.Errorf("a JSON %s", wrong.Value)
		case err == io.ErrUnexpectedEOF:
			err = errCutShort
		}
		return nil, err
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, errAfterObject
	}
	if object == nil {
		return nil, errNull
	}
	return object, nil
}
