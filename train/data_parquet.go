package train

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/parquet-go/parquet-go"
)

// readParquet reads a Parquet file. Label names that the datasets library has put
// into the file's metadata are used in place of numbers.
func readParquet(path string, _ DataOptions) (t *table, err error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	// The library panics on some damaged files.
	defer func() {
		if r := recover(); r != nil {
			t, err = nil, &DataError{File: path, Found: fmt.Sprint(r), Want: "a Parquet file"}
		}
	}()
	stat, err := file.Stat()
	if err != nil {
		return nil, err
	}
	f, err := parquet.OpenFile(file, stat.Size())
	if err != nil {
		return nil, &DataError{File: path, Found: err.Error(), Want: "a Parquet file"}
	}
	objects, err := parquetRows(f)
	if err != nil {
		return nil, &DataError{File: path, Line: len(objects) + 1, Found: err.Error(), Want: "a row"}
	}
	t = &table{columns: []string{}}
	for _, field := range f.Schema().Fields() {
		t.columns = append(t.columns, field.Name())
	}
	numbers := make([]int, len(objects))
	for i := range numbers {
		numbers[i] = i + 1
	}
	t.addObjects(objects, numbers)
	if meta, ok := f.Lookup("huggingface"); ok {
		t.labelNames = parquetLabels(meta)
	}
	return t, nil
}

func parquetRows(f *parquet.File) ([]map[string]any, error) {
	reader := parquet.NewGenericReader[map[string]any](f, f.Schema())
	defer reader.Close()
	var objects []map[string]any
	for {
		batch := make([]map[string]any, 256)
		for i := range batch {
			batch[i] = map[string]any{}
		}
		n, err := reader.Read(batch)
		for _, object := range batch[:n] {
			for _, key := range slices.Collect(maps.Keys(object)) {
				object[key] = plain(object[key])
			}
			objects = append(objects, object)
		}
		if errors.Is(err, io.EOF) || err == nil && n == 0 {
			return objects, nil
		}
		if err != nil {
			return objects, err
		}
	}
}

// plain copies a value out of the reader's buffers and undoes the layers of a
// Parquet list: {"list": [{"element": x}]}.
func plain(v any) any {
	switch v := v.(type) {
	case string:
		return strings.Clone(v)
	case []byte:
		return string(v)
	case []any:
		list := make([]any, len(v))
		for i, item := range v {
			list[i] = plain(item)
		}
		return list
	case []map[string]any:
		list := make([]any, len(v))
		for i, item := range v {
			list[i] = plain(item)
		}
		return list
	case map[string]any:
		return plainObject(v)
	}
	return v
}

func plainObject(v map[string]any) any {
	if len(v) == 1 {
		for key, item := range v {
			switch key {
			case "list":
				return plain(item)
			case "element", "item":
				return plain(item)
			}
		}
	}
	object := make(map[string]any, len(v))
	for key, item := range v {
		object[key] = plain(item)
	}
	return object
}

// parquetLabels reads the class names of the datasets library's features.
func parquetLabels(meta string) map[string][]string {
	var m struct {
		Info struct {
			Features map[string]json.RawMessage `json:"features"`
		} `json:"info"`
	}
	if json.Unmarshal([]byte(meta), &m) != nil {
		return nil
	}
	names := map[string][]string{}
	for column, raw := range m.Info.Features {
		var feature struct {
			Names   []string `json:"names"`
			Feature struct {
				Names []string `json:"names"`
			} `json:"feature"`
		}
		if json.Unmarshal(raw, &feature) != nil {
			continue
		}
		if feature.Names == nil {
			feature.Names = feature.Feature.Names
		}
		if feature.Names != nil {
			names[column] = feature.Names
		}
	}
	return names
}
