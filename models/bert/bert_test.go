package bert_test

import (
	"bytes"
	"errors"
	"io/fs"
	"math"
	"math/rand/v2"
	"os"
	"path"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/nlpodyssey/spago/ag"

	"github.com/gopeft/gopeft/hfio"
	"github.com/gopeft/gopeft/internal/numtest"
	"github.com/gopeft/gopeft/models"
	"github.com/gopeft/gopeft/models/auto"
	"github.com/gopeft/gopeft/models/modeltest"
)

// goldens are tiny models that transformers made; compat_test compares their numbers.
const goldens = "../../compat_test/testdata/goldens"

// golden is a copy of the base of a task, with its config and tensors changed.
func golden(t *testing.T, task string, config func(string) string, tensors func([]hfio.Tensor) []hfio.Tensor) fs.FS {
	t.Helper()
	dir := os.DirFS(path.Join(goldens, task, "base"))
	text, err := fs.ReadFile(dir, "config.json")
	if err != nil {
		t.Fatal(err)
	}
	if config != nil {
		changed := config(string(text))
		if changed == string(text) {
			t.Fatal("the config was not changed")
		}
		text = []byte(changed)
	}
	file, err := hfio.OpenSafeTensors(dir, "model.safetensors", nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = file.Close() })
	list := file.Tensors
	if tensors != nil {
		list = tensors(list)
	}
	data, err := hfio.EncodeSafeTensors(file.Metadata, list)
	if err != nil {
		t.Fatal(err)
	}
	return fstest.MapFS{"config.json": {Data: text}, "model.safetensors": {Data: data}}
}

func replace(old, new string) func(string) string {
	return func(s string) string { return strings.Replace(s, old, new, 1) }
}

// without leaves out the tensors whose name holds a text.
func without(part string) func([]hfio.Tensor) []hfio.Tensor {
	return func(list []hfio.Tensor) []hfio.Tensor {
		var kept []hfio.Tensor
		for _, t := range list {
			if !strings.Contains(t.Name, part) {
				kept = append(kept, t)
			}
		}
		return kept
	}
}

func renamed(change func(string) string) func([]hfio.Tensor) []hfio.Tensor {
	return func(list []hfio.Tensor) []hfio.Tensor {
		var all []hfio.Tensor
		for _, t := range list {
			t.Name = change(t.Name)
			all = append(all, t)
		}
		return all
	}
}

func TestConformance(t *testing.T) {
	base, err := auto.Open(golden(t, "SEQ_CLS", replace(`"hidden_dropout_prob": 0.0`, `"hidden_dropout_prob": 0.2`), nil), nil)
	if err != nil {
		t.Fatal(err)
	}
	model, err := base.Model(models.HeadSpec{Task: models.FeatureExtraction})
	if err != nil {
		t.Fatal(err)
	}
	modeltest.Run(t, modeltest.Suite{Backbone: model.Backbone, Backward: ag.Backward})
}

var sequences = []models.Sequence{{IDs: []int{1, 2, 3, 4}, TypeIDs: []int{0, 0, 1, 1}}, {IDs: []int{5}}}

func logitsOf(t *testing.T, dir fs.FS) []float32 {
	t.Helper()
	model, _, err := auto.Load(dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	logits, _, err := model.Forward(models.Batch{Sequences: sequences})
	if err != nil {
		t.Fatal(err)
	}
	return models.Values(logits)
}

// A checkpoint reads the same whether its backbone is under "bert." or not, and with
// the names of old TensorFlow checkpoints.
func TestTensorNames(t *testing.T) {
	want := logitsOf(t, golden(t, "SEQ_CLS", nil, nil))
	for name, change := range map[string]func(string) string{
		"no prefix": func(s string) string { return strings.TrimPrefix(s, "bert.") },
		"gamma and beta": func(s string) string {
			return strings.NewReplacer("LayerNorm.weight", "LayerNorm.gamma", "LayerNorm.bias", "LayerNorm.beta").Replace(s)
		},
	} {
		t.Run(name, func(t *testing.T) {
			numtest.SameBits(t, logitsOf(t, golden(t, "SEQ_CLS", nil, renamed(change))), want)
		})
	}
}

// Everything that is missing or of another shape is in one error.
func TestTensorProblems(t *testing.T) {
	_, _, err := auto.Load(golden(t, "SEQ_CLS", replace(`"intermediate_size": 20`, `"intermediate_size": 21`), without("layer.1.attention.output")), nil)
	for _, want := range []string{
		`"encoder.layer.0.intermediate.dense.weight": found [20 12], want [21 12]`,
		`"encoder.layer.1.attention.output.dense.weight": not found, want [12 12]`,
		`"encoder.layer.1.attention.output.LayerNorm.bias": not found, want [12]`,
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not say %s", err, want)
		}
	}
	if !errors.Is(err, hfio.ErrShape) || !errors.Is(err, hfio.ErrNotFound) {
		t.Errorf("%v wraps not both of hfio.ErrShape and hfio.ErrNotFound", err)
	}
}

func TestConfigProblems(t *testing.T) {
	for _, c := range []struct{ old, new, want string }{
		{`"hidden_act": "gelu"`, `"hidden_act": "quick_gelu"`, `field "hidden_act": found "quick_gelu", want`},
		{`"is_decoder": false`, `"is_decoder": true`, `field "is_decoder": found true, want false`},
		{`"add_cross_attention": false`, `"add_cross_attention": true`, `field "add_cross_attention": found true, want false`},
		{`"num_attention_heads": 2`, `"num_attention_heads": 5`, `field "num_attention_heads": found 5, want a divisor of hidden_size`},
		{`"hidden_act"`, `"position_embedding_type": "relative_key", "hidden_act"`, `field "position_embedding_type": found "relative_key", want absolute`},
		{`"hidden_dropout_prob": 0.0`, `"hidden_dropout_prob": 1.5`, `field "hidden_dropout_prob": found 1.5, want a probability`},
		{`"model_type": "bert"`, `"model_type": "nobert"`, `field "model_type": unknown architecture: found "nobert", want one of: bert`},
	} {
		_, _, err := auto.Load(golden(t, "SEQ_CLS", replace(c.old, c.new), nil), nil)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("found %v, want %s", err, c.want)
		}
	}
}

func TestHeads(t *testing.T) {
	headless := golden(t, "SEQ_CLS", nil, without("classifier"))
	if _, _, err := auto.Load(headless, nil); !errors.Is(err, hfio.ErrNotFound) {
		t.Errorf("a head that is absent: found %v, want hfio.ErrNotFound", err)
	}
	spec := &auto.Options{Task: models.TokenCls, Labels: make([]string, 500), Rand: rand.New(rand.NewPCG(1, 1))}
	model, _, err := auto.Load(headless, spec)
	if err != nil || !model.NewHead {
		t.Fatalf("a new head: %v, NewHead %v", err, model.NewHead)
	}
	params := model.Head.Params()
	var sum, squares float64
	weights := models.Values(params[0].Param)
	for _, w := range weights {
		sum += float64(w)
		squares += float64(w) * float64(w)
	}
	n := float64(len(weights)) // 6000 draws of N(0, 0.02²): six standard errors
	if mean, deviation := sum/n, math.Sqrt(squares/n); math.Abs(mean) > 6*0.02/math.Sqrt(n) || math.Abs(deviation-0.02) > 6*0.02/math.Sqrt(2*n) {
		t.Errorf("a new head has mean %v and deviation %v, want 0 and initializer_range 0.02", mean, deviation)
	}
	for _, b := range models.Values(params[1].Param) {
		if b != 0 {
			t.Fatalf("a new bias is %v, want 0", b)
		}
	}

	poolerless := golden(t, "SEQ_CLS", nil, without("pooler"))
	if _, _, err := auto.Load(poolerless, nil); err == nil || !strings.Contains(err.Error(), "pooler.dense.weight") {
		t.Errorf("SEQ_CLS without a pooler: found %v", err)
	}
	if _, _, err := auto.Load(poolerless, &auto.Options{Task: models.FeatureExtraction}); err != nil {
		t.Errorf("features without a pooler: %v", err)
	}
	if _, _, err := auto.Load(poolerless, &auto.Options{Task: "CAUSAL_LM"}); !errors.Is(err, models.ErrUnsupportedTask) {
		t.Errorf("CAUSAL_LM: found %v, want ErrUnsupportedTask", err)
	}
}

// A clone of a head is trained by itself, and the base stays as it was.
func TestClone(t *testing.T) {
	model, _, err := auto.Load(golden(t, "QUESTION_ANS", nil, nil), nil)
	if err != nil {
		t.Fatal(err)
	}
	clone := model.Head.Clone()
	models.Values(clone.Params()[0].Param)[0] += 1
	if models.Values(model.Head.Params()[0].Param)[0] == models.Values(clone.Params()[0].Param)[0] {
		t.Error("the clone shares its weight")
	}
}

// Weights of 16 bits give what the same values in 32 bits give.
func TestHalfPrecision(t *testing.T) {
	for _, dtype := range []hfio.DType{hfio.F16, hfio.BF16} {
		rounded := func(back bool) func([]hfio.Tensor) []hfio.Tensor {
			return func(list []hfio.Tensor) []hfio.Tensor {
				var all []hfio.Tensor
				for _, x := range list {
					half, err := x.Convert(dtype)
					if err != nil {
						t.Fatal(err)
					}
					if back {
						if half, err = half.Convert(hfio.F32); err != nil {
							t.Fatal(err)
						}
					}
					all = append(all, half)
				}
				return all
			}
		}
		numtest.SameBits(t, logitsOf(t, golden(t, "SEQ_CLS", nil, rounded(false))), logitsOf(t, golden(t, "SEQ_CLS", nil, rounded(true))))
	}
}

// The weights that lie in a mapped file are never written.
func TestFrozen(t *testing.T) {
	dir := golden(t, "SEQ_CLS", nil, nil)
	before, _ := fs.ReadFile(dir, "model.safetensors")
	before = bytes.Clone(before)
	model, _, err := auto.Load(dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	logits, out, err := model.Forward(models.Batch{Sequences: sequences})
	if err != nil {
		t.Fatal(err)
	}
	loss, err := models.Loss(models.SeqCls, "", logits, out, models.Labels{Classes: []int{0, 2}})
	if err != nil {
		t.Fatal(err)
	}
	if err := ag.Backward(loss); err != nil {
		t.Fatal(err)
	}
	after, _ := fs.ReadFile(dir, "model.safetensors")
	if !bytes.Equal(before, after) {
		t.Error("the file's bytes changed")
	}
}
