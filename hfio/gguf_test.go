package hfio

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

// float32Hash is the hash of a tensor's values as float32.
func float32Hash(t *testing.T, tensor Tensor) string {
	t.Helper()
	values, err := tensor.Float32s()
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(NewFloat32("", tensor.Shape, values).Data)
	return hex.EncodeToString(sum[:])
}

// TestBlocksMeanWhatGGUFSays decodes blocks of random bits of every type.
func TestBlocksMeanWhatGGUFSays(t *testing.T) {
	var want map[string]string
	if err := json.Unmarshal(fixture(t, "gguf/types.json"), &want); err != nil {
		t.Fatal(err)
	}
	for _, opts := range []*OpenOptions{nil, {NoMap: true}} {
		file, err := OpenGGUF(Dir("testdata/gguf"), "types.gguf", opts)
		if err != nil {
			t.Fatal(err)
		}
		if len(file.Tensors) != len(want) || len(want) != len(ggufTypes) {
			t.Fatalf("%d tensors, %d hashes, %d types", len(file.Tensors), len(want), len(ggufTypes))
		}
		for _, tensor := range file.Tensors {
			if got := float32Hash(t, tensor); got != want[tensor.Name] || string(tensor.DType) != tensor.Name {
				t.Errorf("%s, read as %s: the values differ", tensor.Name, tensor.DType)
			}
		}
		if err := errors.Join(file.Close(), file.Close()); err != nil {
			t.Error(err)
		}
	}
}

// TestBlocksInPart decodes a range of a tensor as it decodes the whole.
func TestBlocksInPart(t *testing.T) {
	file, err := OpenGGUF(Dir("testdata/gguf"), "types.gguf", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	kinds := 0
	for _, tensor := range file.Tensors {
		blocks, ok := tensor.Blocks()
		if !ok {
			continue
		}
		kinds++
		whole, err := tensor.Float32s()
		if err != nil || blocks.Len() != len(whole) {
			t.Fatalf("%s: %d elements, want %d; %v", tensor.Name, blocks.Len(), len(whole), err)
		}
		for _, from := range []int{0, 1, 31, 32, 100, 255, 256, len(whole) - 1} {
			for _, to := range []int{from, from + 1, from + 32, from + 300, len(whole)} {
				if to = min(to, len(whole)); from > to {
					continue
				}
				part := make([]float32, to-from)
				blocks.Widen(part, from)
				if !slices.Equal(bitsOf(part), bitsOf(whole[from:to])) {
					t.Errorf("%s: the elements from %d to %d differ", tensor.Name, from, to)
				}
			}
		}
	}
	if kinds != len(blockTypes) {
		t.Errorf("%d block types were read, want %d", kinds, len(blockTypes))
	}
}

func bitsOf(x []float32) []uint32 {
	words := make([]uint32, len(x))
	for i, v := range x {
		words[i] = math.Float32bits(v)
	}
	return words
}

func TestMetadataOfGGUF(t *testing.T) {
	file, err := ParseGGUF("x", fixture(t, "gguf/types.gguf"))
	if err != nil {
		t.Fatal(err)
	}
	// The values that the script wrote.
	for key, want := range map[string]any{
		"general.architecture": "llama", "general.alignment": int64(64),
		"a.strings": []string{"x", "größe", ""}, "a.floats": []float64{0.5, -2}, "a.integers": []int64{-1, 2}, "a.truths": []bool{true, false},
		"a.uint8": int64(255), "a.int8": int64(-128), "a.uint16": int64(65535), "a.int16": int64(-32768), "a.uint32": int64(1<<32 - 1),
		"a.int32": int64(-1 << 31), "a.uint64": int64(math.MaxInt64), "a.int64": int64(math.MinInt64),
		"a.float32": float64(float32(0.1)), "a.float64": 0.1, "a.bool": true,
	} {
		if got := file.Metadata[key]; fmt.Sprintf("%T %v", got, got) != fmt.Sprintf("%T %v", want, want) {
			t.Errorf("%s = %T %v, want %T %v", key, got, got, want, want)
		}
	}
}

// TestOpenModelReadsGGUF compares with what transformers makes of the files.
func TestOpenModelReadsGGUF(t *testing.T) {
	cases, err := filepath.Glob("testdata/gguf/*/expected.json")
	if err != nil || len(cases) < 17 {
		t.Fatalf("%d cases, %v: run compat_test/oracle/gguf_fixtures.py", len(cases), err)
	}
	for _, path := range cases {
		dir := filepath.Dir(path)
		t.Run(filepath.Base(dir), func(t *testing.T) {
			var want struct {
				Config  map[string]any
				Tensors map[string]struct {
					Shape  []int
					SHA256 string
				}
			}
			text, err := os.ReadFile(path)
			if err := errors.Join(err, json.Unmarshal(text, &want)); err != nil {
				t.Fatal(err)
			}
			c, err := OpenModel(Dir(dir), nil)
			if err != nil {
				t.Fatal(err)
			}
			checkConfig(t, c.Config, want.Config)
			if len(c.Names()) != len(want.Tensors) {
				t.Errorf("tensors %v, want %d", c.Names(), len(want.Tensors))
			}
			for name, w := range want.Tensors {
				got, err := c.Tensor(name)
				if err != nil || got.Name != name || !slices.Equal(got.Shape, w.Shape) || float32Hash(t, got) != w.SHA256 {
					t.Errorf("%s: %s %v differs, %v", name, got.DType, got.Shape, err)
				}
			}
			if err := c.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

// checkConfig sees to it that each key has the value that it has in the config of the
// model which the file was made of. Older names are looked for where transformers moved them.
func checkConfig(t *testing.T, c ModelConfig, want map[string]any) {
	t.Helper()
	rope, _ := want["rope_parameters"].(map[string]any)
	if full, ok := rope["full_attention"].(map[string]any); ok {
		rope = full
	}
	for _, key := range c.Keys() {
		raw, _ := c.Raw(key)
		var got any
		if err := json.Unmarshal(raw, &got); err != nil {
			t.Fatal(err)
		}
		wanted, ok := want[key]
		switch key {
		case "rope_theta", "partial_rotary_factor":
			wanted, ok = rope[key]
		case "rope_scaling":
			wanted, ok = rope, true
			for name, value := range got.(map[string]any) {
				if !sameJSON(value, rope[name]) {
					t.Errorf("rope_scaling.%s = %v, want %v", name, value, rope[name])
				}
			}
			continue
		case "head_dim":
			if !ok {
				wanted, ok = float64(int(want["hidden_size"].(float64)/want["num_attention_heads"].(float64))), true
			}
		}
		if !ok || !sameJSON(got, wanted) {
			t.Errorf("%s = %v, want %v", key, got, wanted)
		}
	}
	if kind, ok := rope["rope_type"]; ok && kind != "default" && !c.Reader().Has("rope_scaling") {
		t.Errorf("no rope_scaling, want %v", rope)
	}
}

// sameJSON compares values; numbers may be as far apart as float32 rounds them.
func sameJSON(a, b any) bool {
	x, ok1 := a.(float64)
	y, ok2 := b.(float64)
	if ok1 && ok2 {
		return math.Abs(x-y) <= 1e-6*math.Abs(y)
	}
	return fmt.Sprint(a) == fmt.Sprint(b)
}

func TestMalformedGGUF(t *testing.T) {
	whole := fixture(t, "gguf/llama/model.gguf")
	replaced := func(old, fresh string) []byte {
		if bytes.Count(whole, []byte(old)) == 0 {
			t.Fatalf("no %q in the file", old)
		}
		return bytes.Replace(whole, []byte(old), []byte(fresh), 1)
	}
	header := func(rest ...byte) []byte { return append([]byte("GGUF\x03\x00\x00\x00"), rest...) }
	counts := func(tensors, pairs byte) []byte {
		return []byte{tensors, 0, 0, 0, 0, 0, 0, 0, pairs, 0, 0, 0, 0, 0, 0, 0}
	}
	pair := func(kind byte, value ...byte) []byte {
		return append(header(counts(0, 1)...), append([]byte{1, 0, 0, 0, 0, 0, 0, 0, 'k', kind, 0, 0, 0}, value...)...)
	}
	huge := []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f}
	for name, tt := range map[string]struct {
		data []byte
		want string
		kind error
	}{
		"empty":             {nil, "goes on for 4 bytes", ErrFormat},
		"magic":             {replaced("GGUF", "GGML"), `want "GGUF"`, ErrFormat},
		"version 1":         {replaced("GGUF\x03", "GGUF\x01"), "GGUF version 1, want 2 or 3", ErrUnsupported},
		"big-endian":        {[]byte("GGUF\x00\x00\x00\x03"), "big-endian", ErrUnsupported},
		"no counts":         {header(), "the file has 0", ErrFormat},
		"many pairs":        {header(append(counts(0, 0)[:8], huge...)...), "the header goes on", ErrFormat},
		"many tensors":      {header(append(huge, counts(0, 0)[8:]...)...), "the header goes on", ErrFormat},
		"long string":       {pair(8, huge...), "goes on for", ErrFormat},
		"not UTF-8":         {pair(8, 1, 0, 0, 0, 0, 0, 0, 0, 0xff), "not UTF-8", ErrFormat},
		"long list":         {pair(9, append([]byte{4, 0, 0, 0}, huge...)...), "a list of", ErrFormat},
		"list of lists":     {pair(9, append([]byte{9, 0, 0, 0}, 1, 0, 0, 0, 0, 0, 0, 0)...), "list of lists", ErrUnsupported},
		"list of unknown":   {pair(9, append([]byte{77, 0, 0, 0}, 1, 0, 0, 0, 0, 0, 0, 0)...), "unknown type 77", ErrFormat},
		"unknown value":     {pair(13, 1), "unknown type 13", ErrFormat},
		"truth of 2":        {pair(7, 2), "a truth value of 2", ErrFormat},
		"a key twice":       {replaced("eos_token_id", "bos_token_id"), "bos_token_id\" is there twice", ErrFormat},
		"five dimensions":   {replaced("token_embd.weight\x02", "token_embd.weight\x05"), "5 dimensions", ErrFormat},
		"tensor twice":      {replaced("blk.0.attn_k.weight", "blk.0.attn_q.weight"), "there twice", ErrFormat},
		"a type not read":   {kindOf(whole, "output_norm.weight", 1, 21), "data of type IQ3_S, want F32, F16, Q4_0", ErrUnsupported},
		"an unknown type":   {kindOf(whole, "output_norm.weight", 1, 99), "unknown type 99", ErrUnsupported},
		"no whole block":    {kindOf(whole, "output_norm.weight", 1, 8), "rows of whole blocks", ErrShape},
		"truncated":         {whole[:len(whole)-32], "bytes of data", ErrFormat},
		"another data type": {kindOf(whole, "output_norm.weight", 1, 1), "behind the tensor before", ErrFormat},
	} {
		_, err := ParseGGUF("x", tt.data)
		if !errors.Is(err, tt.kind) || !strings.Contains(fmt.Sprint(err), tt.want) {
			t.Errorf("%s: err = %v, want %q", name, err, tt.want)
		}
	}
}

// kindOf returns the file with another type of a tensor that has so many dimensions.
func kindOf(file []byte, tensor string, dims int, kind byte) []byte {
	file = bytes.Clone(file)
	at := bytes.Index(file, []byte(tensor)) + len(tensor) + 4 + 8*dims
	file[at] = kind
	return file
}

func TestWrongModelsInGGUF(t *testing.T) {
	whole := fixture(t, "gguf/llama/model.gguf")
	replaced := func(old, fresh string) []byte { return bytes.ReplaceAll(whole, []byte(old), []byte(fresh)) }
	for name, tt := range map[string]struct {
		data []byte
		want []string
	}{
		"architecture": {
			replaced("\x05\x00\x00\x00\x00\x00\x00\x00llama", "\x05\x00\x00\x00\x00\x00\x00\x00mamba"),
			[]string{`m.gguf: field "general.architecture": found mamba, want one of bloom, gemma`},
		},
		"a missing and an unknown key": {
			replaced("llama.block_count", "llama.block_coins"),
			[]string{`field "llama.block_count": missing`, `field "llama.block_coins": not supported`},
		},
		"an unknown tensor": {replaced("blk.1.attn_k.weight", "blk.1.attn_x.weight"), []string{`tensor "blk.1.attn_x.weight": not supported`}},
		"no heads": {
			replaced("llama.attention.head_count\x04\x00\x00\x00\x04", "llama.attention.head_count\x04\x00\x00\x00\x05"),
			[]string{`tensor "blk.0.attn_q.weight": found shape [16 16], want rows for 5 heads`, `field "llama.rope.dimension_count": found 4, want 3`},
		},
	} {
		if bytes.Equal(tt.data, whole) {
			t.Fatalf("%s: nothing was replaced", name)
		}
		_, err := OpenModel(fstest.MapFS{"m.gguf": {Data: tt.data}}, nil)
		for _, want := range tt.want {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: err = %v, want %q", name, err, want)
			}
		}
	}
	two := fstest.MapFS{"a.gguf": {Data: whole}, "b.gguf": {Data: whole}}
	if _, err := OpenModel(two, nil); err == nil || !strings.Contains(err.Error(), "2 models, want one, or the path of one: a.gguf, b.gguf") {
		t.Errorf("two files: err = %v", err)
	}
}

// TestBlocksAreNotWritten: no other format has them.
func TestBlocksAreNotWritten(t *testing.T) {
	tensor := Tensor{Name: "w", DType: Q80, Shape: []int{1, 32}, Data: make([]byte, 34)}
	_, safe := EncodeSafeTensors(nil, []Tensor{tensor})
	_, torch := EncodeTorch([]Tensor{tensor})
	_, round := NewFloat32("w", []int{1, 32}, make([]float32, 32)).Convert(Q80)
	for _, err := range []error{safe, torch, round} {
		if !errors.Is(err, ErrDType) {
			t.Errorf("err = %v, want a dtype error", err)
		}
	}
}
