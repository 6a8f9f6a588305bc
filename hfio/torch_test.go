package hfio

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func openTorch(t *testing.T, name string) []Tensor {
	t.Helper()
	tensors, err := parseTorch(name, fixture(t, name))
	if err != nil {
		t.Fatal(err)
	}
	return tensors
}

// TestTorchFilesEqualSafeTensors compares files of torch.save with the same values
// as safetensors saved them.
func TestTorchFilesEqualSafeTensors(t *testing.T) {
	for file, same := range map[string]string{
		"zip.bin": "values", "legacy.bin": "values", "protocol4.bin": "values",
		"untyped.bin": "untyped", "state_dict.bin": "state_dict",
	} {
		t.Run(file, func(t *testing.T) {
			want, err := ParseSafeTensors(same, fixture(t, "torch/"+same+".safetensors"))
			if err != nil {
				t.Fatal(err)
			}
			got := openTorch(t, "torch/"+file)
			if len(got) != len(want.Tensors) {
				t.Errorf("%d tensors, want %d", len(got), len(want.Tensors))
			}
			for _, g := range got {
				w, ok := want.Tensor(g.Name)
				if !ok {
					t.Errorf("%s is not wanted", g.Name)
				}
				if diff := cmp.Diff(w, g); diff != "" {
					t.Errorf("%s: safetensors - torch:\n%s", g.Name, diff)
				}
			}
		})
	}
}

func TestOpenTorchMaps(t *testing.T) {
	file, err := OpenTorch(Dir("testdata/torch"), "zip.bin", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if base, ok := file.Tensor("base"); !ok || fmt.Sprint(base.Shape) != "[4 6]" {
		t.Errorf("base = %v", base)
	}
	if _, ok := file.Tensor("epoch"); ok {
		t.Error("an integer was taken for a tensor")
	}
}

// TestEncodeTorchIsByteForByte reads files of torch.save and writes them again.
func TestEncodeTorchIsByteForByte(t *testing.T) {
	for _, name := range []string{
		"torch/written/one", "torch/written/dtypes", "torch/written/nothing", "torch/written/digits", "torch/written/wide", "adapters/prompt_bert_bin",
	} {
		t.Run(name, func(t *testing.T) {
			want := fixture(t, name+"/adapter_model.bin")
			got, err := EncodeTorch(openTorch(t, name+"/adapter_model.bin"))
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got, want) {
				i := 0
				for i < min(len(got), len(want)) && got[i] == want[i] {
					i++
				}
				t.Errorf("differs from torch's file at byte %d of %d:\n%q\n%q", i, len(want), got[i:min(i+80, len(got))], want[i:min(i+80, len(want))])
			}
		})
	}
}

// TestEncodeTorchManyTensors compares with the hash of a file of 1003 tensors,
// which has two batches, a large memo and a grown set of names.
func TestEncodeTorchManyTensors(t *testing.T) {
	var tensors []Tensor
	for i := range 1003 {
		tensors = append(tensors, NewFloat32(fmt.Sprintf("layer.%d.weight", i), []int{1}, []float32{float32(i)}))
	}
	tensors = append(tensors, Tensor{Name: "large", DType: U8, Shape: []int{70000}, Data: make([]byte, 70000)})
	got, err := EncodeTorch(tensors)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(got)
	if want := string(fixture(t, "torch/written/many/sha256")); hex.EncodeToString(sum[:]) != want {
		t.Errorf("sha256 %x, want %s", sum, want)
	}
}

func TestEncodeTorchRefuses(t *testing.T) {
	ok := NewFloat32("a", []int{1}, []float32{1})
	for name, tt := range map[string]struct {
		tensors []Tensor
		is      error
	}{
		"duplicate":     {[]Tensor{ok, ok}, ErrValue},
		"name":          {[]Tensor{NewFloat32("\xff", []int{1}, []float32{1})}, ErrValue},
		"dtype":         {[]Tensor{{Name: "a", DType: F8E4M3, Shape: []int{1}, Data: []byte{1}}}, ErrDType},
		"unknown dtype": {[]Tensor{{Name: "a", DType: "F33"}}, ErrDType},
		"shape":         {[]Tensor{NewFloat32("a", []int{2}, []float32{1})}, ErrShape},
	} {
		if _, err := EncodeTorch(tt.tensors); !errors.Is(err, tt.is) {
			t.Errorf("%s: err = %v, want %v", name, err, tt.is)
		}
	}
}

// A pickle that a Python would run: os.system("true").
const evilPickle = "\x80\x02cos\nsystem\nX\x04\x00\x00\x00true\x85R."

func TestPicklesAreNotExecuted(t *testing.T) {
	tensorOf := func(args string) string {
		return "\x80\x02}X\x01\x00\x00\x00wctorch._utils\n_rebuild_tensor_v2\n((X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpu" +
			args + "\x89ccollections\nOrderedDict\n)RtRs."
	}
	tests := []struct {
		name, pickle, want string
		is                 error
	}{
		{"system", evilPickle, "os.system is not among", ErrUnsupported},
		{"eval by STACK_GLOBAL", "\x80\x04\x8c\x08builtins\x8c\x04eval\x93X\x01\x00\x00\x001\x85R.", "builtins.eval", ErrUnsupported},
		{"NEWOBJ", "\x80\x02cposix\nexecv\n)\x81.", "posix.execv", ErrUnsupported},
		{"INST", "\x80\x02(ios\nsystem\n.", "INST", ErrUnsupported},
		{"OBJ", "\x80\x02(cos\nsystem\no.", "OBJ", ErrUnsupported},
		{"EXT1", "\x80\x02\x82\x01.", "EXT1", ErrUnsupported},
		{"BUILD of a string", "\x80\x02X\x01\x00\x00\x00a}b.", "BUILD", ErrUnsupported},
		{"opcode 255", "\x80\x02\xff.", "0xff", ErrUnsupported},
		{"protocol", "\x80\x09N.", "protocol 9", ErrUnsupported},
		{"empty", "", "ends in the middle", ErrFormat},
		{"stop only", ".", "stack is empty", ErrFormat},
		{"mark as the result", "(.", "a mark", ErrFormat},
		{"unicode too long", "\x80\x02X\xff\xff\xff\xff.", "ends in the middle", ErrFormat},
		{"bytes of 2^63", "\x80\x02\x8e\x00\x00\x00\x00\x00\x00\x00\x80.", "length", ErrFormat},
		{"bytes of 2^45", "\x80\x02\x8e\x00\x00\x00\x00\x00\x20\x00\x00.", "ends in the middle", ErrFormat},
		{"long of 2^31", "\x80\x02\x8b\x00\x00\x00\x80.", "integer of", ErrUnsupported},
		{"memo", "\x80\x02h\x05.", "memo 5", ErrFormat},
		{"no mark", "\x80\x02t.", "no mark", ErrFormat},
		{"odd dict", "\x80\x02}(NNNu.", "key without a value", ErrFormat},
		{"append to a dict", "\x80\x02}Na.", "a dict", ErrFormat},
		{"name without end", "\x80\x02c" + strings.Repeat("x", 1000), "name without end", ErrFormat},
		{"a list", "\x80\x02].", "holds a list", ErrUnsupported},
		{"no storage", "\x80\x02}X\x01\x00\x00\x00wctorch._utils\n_rebuild_tensor_v2\n(NK\x00))t\x52s.", "arguments", ErrFormat},
		{"storage missing", strings.Replace(tensorOf("K\x04tQK\x00K\x04\x85K\x01\x85"), "X\x01\x00\x00\x000", "X\x01\x00\x00\x009", 1), "no zip entry", ErrFormat},
		{"storage of 2^62", tensorOf("\x8a\x08\x00\x00\x00\x00\x00\x00\x00\x40tQK\x00K\x04\x85K\x01\x85"), "16 bytes in storage", ErrShape},
		{"storage negative", tensorOf("J\xff\xff\xff\xfftQK\x00K\x04\x85K\x01\x85"), "a size", ErrFormat},
		{"offset outside", tensorOf("K\x04tQK\x01K\x04\x85K\x01\x85"), "4 elements of storage", ErrShape},
		{"stride outside", tensorOf("K\x04tQK\x00K\x02\x85K\x04\x85"), "4 elements of storage", ErrShape},
		{"stride 2^62", tensorOf("K\x04tQK\x00K\x03\x85\x8a\x08\x00\x00\x00\x00\x00\x00\x00\x40\x85"), "storage", ErrShape},
		{"stride negative", tensorOf("K\x04tQK\x03K\x02\x85J\xff\xff\xff\xff\x85"), "no storage, offset", ErrFormat},
		{"shape overflows", tensorOf("K\x04tQK\x00\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7f\x85K\x00\x85"), "counted", ErrShape},
		{"shape repeated 2^40 times", tensorOf("K\x04tQK\x00\x8a\x06\x00\x00\x00\x00\x00\x01\x85K\x00\x85"), "too often", ErrUnsupported},
		{"ranks differ", tensorOf("K\x04tQK\x00K\x02\x85)"), "no storage, offset", ErrFormat},
		{"storage class", strings.Replace(tensorOf("K\x04tQK\x00K\x04\x85K\x01\x85"), "FloatStorage", "QInt8Storage", 1), "QInt8Storage", ErrUnsupported},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := parseTorch("dir/x.bin", torchZipOf(tt.pickle))
			if err == nil || !strings.Contains(err.Error(), tt.want) || !errors.Is(err, tt.is) || !strings.HasPrefix(err.Error(), "dir/x.bin: ") {
				t.Errorf("err = %v, want %v with %q", err, tt.is, tt.want)
			}
		})
	}
	if _, err := parseTorch("x", torchZipOf(tensorOf("K\x04tQK\x00K\x04\x85K\x01\x85"))); err != nil {
		t.Errorf("the well-formed pickle of the table: %v", err)
	}
}

// torchZipOf makes a torch zip around a pickle, with a storage 0 of 16 bytes.
func torchZipOf(pickle string) []byte {
	z := torchZip{prefix: "x/"}
	z.add("data.pkl", []byte(pickle))
	z.add("data/0", make([]byte, 16))
	return z.finish()
}

func TestModulesAreRefusedByName(t *testing.T) {
	_, err := parseTorch("x", fixture(t, "torch/module.bin"))
	if !errors.Is(err, ErrUnsupported) || !strings.Contains(err.Error(), "torch.nn.modules.container.Sequential") {
		t.Errorf("err = %v", err)
	}
}

func TestTruncatedTorchFiles(t *testing.T) {
	for _, name := range []string{"torch/state_dict.bin", "torch/legacy.bin"} {
		whole := fixture(t, name)
		for end := range whole {
			if _, err := parseTorch("x", whole[:end]); err == nil {
				t.Fatalf("%s cut to %d of %d bytes is read", name, end, len(whole))
			}
		}
	}
}

func TestTorchZipDirectoryIsNotTrusted(t *testing.T) {
	compressed := bytes.Replace(torchZipOf("\x80\x02}."), []byte{8, 8, 0, 0}, []byte{8, 8, 8, 0}, 10)
	twice := torchZip{prefix: "x/"}
	twice.add("data.pkl", []byte("\x80\x02}."))
	twice.add("data.pkl", []byte("\x80\x02}."))
	script := torchZip{prefix: "x/"}
	script.add("data.pkl", []byte("\x80\x02}."))
	script.add("constants.pkl", nil)
	big := torchZip{prefix: "x/"}
	big.add("data.pkl", []byte("\x80\x02}."))
	big.add("byteorder", []byte("big"))
	none := torchZip{}
	none.add("data.pkl", nil)
	for name, tt := range map[string]struct {
		file []byte
		want string
	}{
		"compressed": {compressed, "compressed"}, "twice": {twice.finish(), "two entries"}, "script": {script.finish(), "TorchScript"},
		"big endian": {big.finish(), "big"}, "no prefix": {none.finish(), "without data.pkl"},
		"zeros": {make([]byte, 1024), "neither"}, "empty": {nil, "neither"}, "zip start only": {[]byte("PK\x03\x04"), "zip"},
	} {
		if _, err := parseTorch("x", tt.file); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: err = %v, want %q", name, err, tt.want)
		}
	}
}

func TestSharedDictsDoNotExplode(t *testing.T) {
	// Thirty dicts, each holding the one before twice: 2^30 paths.
	pickle := "\x80\x02}"
	for i := range 30 {
		pickle += fmt.Sprintf("q%c}X\x01\x00\x00\x00ah%cs X\x01\x00\x00\x00bh%cs", byte(i), byte(i), byte(i))
		pickle = strings.ReplaceAll(pickle, " ", "")
	}
	_, err := parseTorch("x", torchZipOf(pickle+"."))
	if err == nil || !strings.Contains(err.Error(), "values") {
		t.Errorf("err = %v", err)
	}
	// A dict that holds itself.
	_, err = parseTorch("x", torchZipOf("\x80\x02}q\x00X\x01\x00\x00\x00ah\x00s."))
	if err == nil || !strings.Contains(err.Error(), "nested deeper") {
		t.Errorf("err = %v", err)
	}
}
