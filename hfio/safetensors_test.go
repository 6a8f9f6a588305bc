package hfio

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/fstest"
)

// fixture returns a file that compat_test/oracle/hfio_fixtures.py made with the
// official libraries; see testdata/README.md.
func fixture(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", filepath.FromSlash(name)))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// rawSafeTensors puts a header and a number of data bytes into a file.
func rawSafeTensors(header string, size int) []byte {
	file := binary.LittleEndian.AppendUint64(nil, uint64(len(header)))
	return append(append(file, header...), make([]byte, size)...)
}

func TestSafeTensorsRoundTripIsByteForByte(t *testing.T) {
	for _, name := range []string{"mixed", "nothing", "plain", "odd_metadata", "tied"} {
		t.Run(name, func(t *testing.T) {
			want := fixture(t, "safetensors/"+name+".safetensors")
			file, err := ParseSafeTensors(name, want)
			if err != nil {
				t.Fatal(err)
			}
			reversed := make([]Tensor, 0, len(file.Tensors))
			for i := range file.Tensors {
				reversed = append(reversed, file.Tensors[len(file.Tensors)-1-i])
			}
			got, err := EncodeSafeTensors(file.Metadata, reversed)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got, want) {
				t.Errorf("EncodeSafeTensors() differs from Python's file:\n%.900q\n%.900q", got, want)
			}
		})
	}
}

func TestOpenSafeTensorsMappedAndRead(t *testing.T) {
	for _, opts := range []*OpenOptions{nil, {NoMap: true}} {
		file, err := OpenSafeTensors(Dir("testdata/safetensors"), "plain.safetensors", opts)
		if err != nil {
			t.Fatal(err)
		}
		if mapped := file.file.mapped != nil; mapped != (opts == nil) {
			t.Errorf("NoMap %v: mapped = %v", opts != nil, mapped)
		}
		w, ok := file.Tensor("w")
		values, err := w.Float32s()
		// torch.arange(6.0).reshape(2, 3), made by the script.
		if !ok || err != nil || fmt.Sprint(w.Shape, values) != "[2 3] [0 1 2 3 4 5]" {
			t.Errorf("w = %v %v, %v, %v", w.Shape, values, ok, err)
		}
		if _, ok := file.Tensor("v"); ok {
			t.Error("a tensor v that the file does not have")
		}
		if err := errors.Join(file.Close(), file.Close()); err != nil {
			t.Error(err)
		}
	}
}

func TestMalformedSafeTensors(t *testing.T) {
	const two = `"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}`
	huge := "18446744073709551615"
	tests := []struct {
		name, header string
		size         int
		want         string // part of the error
		is           error
	}{
		{"empty header", "", 0, "does not start", ErrFormat},
		{"null", "null", 0, "does not start", ErrFormat},
		{"blank first", " {}", 0, "does not start", ErrFormat},
		{"list", "[]", 0, "does not start", ErrFormat},
		{"open", "{", 0, "EOF", ErrFormat},
		{"text behind", "{}x", 0, "behind", ErrFormat},
		{"second object", "{}{}", 0, "behind", ErrFormat},
		{"trailing data", "{" + two + "}", 3, "1 bytes behind the last tensor", ErrFormat},
		{"data without tensors", "{}", 1, "1 bytes behind", ErrFormat},
		{"short data", "{" + two + "}", 1, "in 1 bytes of data", ErrFormat},
		{"duplicate", "{" + two + "," + two + "}", 2, "duplicate", ErrFormat},
		{"duplicate by escape", "{" + two + "," + strings.Replace(two, "a", `\u0061`, 1) + "}", 2, "duplicate", ErrFormat},
		{"duplicate field", `{"a":{"dtype":"U8","dtype":"U8","shape":[2],"data_offsets":[0,2]}}`, 2, "duplicate", ErrFormat},
		{"duplicate metadata", `{"__metadata__":{},"__metadata__":{}}`, 0, "duplicate", ErrFormat},
		{"duplicate metadata key", `{"__metadata__":{"a":"","a":""}}`, 0, "duplicate", ErrFormat},
		{"metadata number", `{"__metadata__":{"a":1}}`, 0, "want a string", ErrFormat},
		{"metadata list", `{"__metadata__":[]}`, 0, "want an object", ErrFormat},
		{"invalid UTF-8", "{\"\xff\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]}}", 0, "UTF-8", ErrFormat},
		{"half surrogate", `{"\ud800":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}`, 0, "surrogate", ErrFormat},
		{"entry null", `{"a":null}`, 0, "want an object", ErrFormat},
		{"entry list", `{"a":["U8",[2],[0,2]]}`, 2, "want an object", ErrFormat},
		{"no fields", `{"a":{}}`, 0, `no "data_offsets"`, ErrFormat},
		{"dtype unknown", `{"a":{"dtype":"F33","shape":[0],"data_offsets":[0,0]}}`, 0, `dtype "F33"`, ErrDType},
		{"dtype number", `{"a":{"dtype":1,"shape":[0],"data_offsets":[0,0]}}`, 0, "want a string", ErrFormat},
		{"shape null", `{"a":{"dtype":"U8","shape":null,"data_offsets":[0,0]}}`, 0, "want a list", ErrFormat},
		{"shape negative", `{"a":{"dtype":"U8","shape":[-1],"data_offsets":[0,0]}}`, 0, "unsigned", ErrFormat},
		{"shape float", `{"a":{"dtype":"U8","shape":[1.0],"data_offsets":[0,1]}}`, 1, "unsigned", ErrFormat},
		{"shape exponent", `{"a":{"dtype":"U8","shape":[1e0],"data_offsets":[0,1]}}`, 1, "unsigned", ErrFormat},
		{"shape string", `{"a":{"dtype":"U8","shape":["1"],"data_offsets":[0,1]}}`, 1, "unsigned", ErrFormat},
		{"shape 2^63", `{"a":{"dtype":"U8","shape":[9223372036854775808],"data_offsets":[0,0]}}`, 0, "too large", ErrFormat},
		{"shape 2^64", `{"a":{"dtype":"U8","shape":[18446744073709551616],"data_offsets":[0,0]}}`, 0, "unsigned", ErrFormat},
		{"product overflows", `{"a":{"dtype":"U8","shape":[4294967296,4294967296],"data_offsets":[0,0]}}`, 0, "counted", ErrShape},
		{"product overflows to 0 later", `{"a":{"dtype":"U8","shape":[9223372036854775807,3,0],"data_offsets":[0,0]}}`, 0, "counted", ErrShape},
		{"bytes overflow", `{"a":{"dtype":"F64","shape":[2305843009213693952],"data_offsets":[0,0]}}`, 0, "counted", ErrShape},
		{"wrong size", `{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,2]}}`, 2, "4 for shape [1] of F32", ErrShape},
		{"half a byte", `{"a":{"dtype":"F4","shape":[3],"data_offsets":[0,1]}}`, 1, "whole", ErrShape},
		{"offsets backwards", `{"a":{"dtype":"U8","shape":[1],"data_offsets":[1,0]}}`, 1, "backwards", ErrFormat},
		{"offsets huge", `{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,` + huge + `]}}`, 1, "in 1 bytes", ErrFormat},
		{"offsets one", `{"a":{"dtype":"U8","shape":[1],"data_offsets":[0]}}`, 1, "two numbers", ErrFormat},
		{"offsets three", `{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1,1]}}`, 1, "two numbers", ErrFormat},
		{"hole before", `{"a":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}}`, 2, "hole", ErrFormat},
		{"hole between", "{" + two + `,"b":{"dtype":"U8","shape":[1],"data_offsets":[3,4]}}`, 4, "hole", ErrFormat},
		{"overlap", "{" + two + `,"b":{"dtype":"U8","shape":[2],"data_offsets":[1,3]}}`, 3, "overlap", ErrFormat},
		{"same place", "{" + two + `,"b":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}}`, 2, "overlap", ErrFormat},
		{"empty inside of another", "{" + two + `,"b":{"dtype":"U8","shape":[0],"data_offsets":[1,1]}}`, 2, "overlap", ErrFormat},
		{"deep nesting", `{"a":{"x":` + strings.Repeat("[", 100000) + strings.Repeat("]", 100000) + "}}", 0, "too deep", ErrFormat},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := ParseSafeTensors("dir/x.safetensors", rawSafeTensors(tt.header, tt.size))
			if err == nil || !strings.Contains(err.Error(), tt.want) || !errors.Is(err, tt.is) {
				t.Errorf("err = %v, want %v with %q", err, tt.is, tt.want)
			}
			if err != nil && !strings.Contains(err.Error(), "dir/x.safetensors") {
				t.Errorf("err = %v does not name the file", err)
			}
		})
	}
}

func TestSafeTensorsReaderAcceptsWhatTheReferenceDoes(t *testing.T) {
	tests := []struct {
		name, header string
		size         int
	}{
		{"nothing", "{}", 0},
		{"padding", "{}      ", 0},
		{"scalar", `{"a":{"dtype":"F32","shape":[],"data_offsets":[0,4]}}`, 4},
		{"further field", `{"a":{"dtype":"U8","x":{"y":[1,"z"]},"shape":[1],"data_offsets":[0,1]}}`, 1},
		{"metadata null", `{"__metadata__":null}`, 0},
		{"empty tensor with a huge dimension", `{"a":{"dtype":"U8","shape":[0,9223372036854775807,9],"data_offsets":[0,0]}}`, 0},
		{"empty tensors at the end", `{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"b":{"dtype":"U8","shape":[0],"data_offsets":[1,1]}}`, 1},
		{"empty tensor listed behind", `{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"b":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}`, 1},
		{"unaligned", `{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"b":{"dtype":"F32","shape":[1],"data_offsets":[1,5]}}`, 5},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			file, err := ParseSafeTensors("x", rawSafeTensors(tt.header, tt.size))
			if err != nil {
				t.Fatal(err)
			}
			for _, tensor := range file.Tensors {
				if tensor.DType == F32 {
					if _, err := tensor.Float32s(); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
}

func TestTruncatedAtEveryByte(t *testing.T) {
	whole := fixture(t, "safetensors/mixed.safetensors")
	for end := range whole {
		if _, err := ParseSafeTensors("x", whole[:end]); !errors.Is(err, ErrFormat) {
			t.Fatalf("cut to %d of %d bytes: err = %v, want ErrFormat", end, len(whole), err)
		}
	}
}

func TestHeaderLengthsAreNotTrusted(t *testing.T) {
	for _, length := range []uint64{1, 9, maxHeader, maxHeader + 1, 1<<31 - 1, 1 << 32, 1<<63 - 9, 1<<63 - 1, 1 << 63, 1<<64 - 8, 1<<64 - 1} {
		file := append(binary.LittleEndian.AppendUint64(nil, length), "{}      "...)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := ParseSafeTensors("x", file)
		runtime.ReadMemStats(&after)
		if !errors.Is(err, ErrFormat) {
			t.Errorf("length %d: err = %v, want ErrFormat", length, err)
		}
		if grown := after.TotalAlloc - before.TotalAlloc; grown > 1<<20 {
			t.Errorf("length %d: %d bytes allocated", length, grown)
		}
	}
}

func TestAllProblemsAreReportedAtOnce(t *testing.T) {
	header := `{"a":{"dtype":"X","shape":[1],"data_offsets":[0,1]},"b":{"dtype":"U8","data_offsets":[0,1]}}`
	_, err := ParseSafeTensors("x", rawSafeTensors(header, 1))
	want := "x: tensor \"a\": found dtype \"X\", want a dtype of safetensors\nx: tensor \"b\": malformed file: no \"shape\""
	if err == nil || err.Error() != want {
		t.Errorf("err = %v, want %v", err, want)
	}
	var tensorErr *TensorError
	if !errors.As(err, &tensorErr) || tensorErr.Name != "a" || tensorErr.File != "x" {
		t.Errorf("errors.As gives %v", tensorErr)
	}
}

func TestReportsAreBounded(t *testing.T) {
	var header strings.Builder
	header.WriteString("{")
	for i := range 10_000 {
		fmt.Fprintf(&header, `"%d":{},`, i)
	}
	_, err := ParseSafeTensors("x", rawSafeTensors(strings.TrimSuffix(header.String(), ",")+"}", 0))
	if err == nil || strings.Count(err.Error(), "\n") != maxProblems || !strings.Contains(err.Error(), "and 29950 more problems") {
		t.Errorf("err = %.300v", err)
	}
}

func TestOpenReportsTheFileAsTheUserKnowsIt(t *testing.T) {
	_, err := OpenSafeTensors(Dir("testdata/nowhere"), "x.safetensors", nil)
	if !errors.Is(err, os.ErrNotExist) || !strings.HasPrefix(err.Error(), filepath.Join("testdata", "nowhere", "x.safetensors")+":") {
		t.Errorf("err = %v", err)
	}
	_, err = OpenSafeTensors(Dir("."), "testdata", nil)
	if err == nil || !strings.Contains(err.Error(), "no regular file") {
		t.Errorf("opening a directory: err = %v", err)
	}
	for _, empty := range []func() error{
		func() error { _, err := OpenSafeTensors(fstest.MapFS{"e": {}}, "e", nil); return err },
		func() error {
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, "e"), nil, 0o666); err != nil {
				return err
			}
			_, err := OpenSafeTensors(Dir(dir), "e", nil)
			return err
		},
	} {
		if err := empty(); !errors.Is(err, ErrFormat) || !strings.Contains(err.Error(), "too short") {
			t.Errorf("empty file: err = %v", err)
		}
	}
}
