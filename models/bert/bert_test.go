package bert_test

import (
	"errors"
	"io/fs"
	"os"
	"path"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/nlpodyssey/spago/ag"

	"github.com/gopeft/gopeft/hfio"
	"github.com/gopeft/gopeft/internal/kernel"
	"github.com/gopeft/gopeft/internal/numtest"
	"github.com/gopeft/gopeft/models"
	"github.com/gopeft/gopeft/models/auto"
	"github.com/gopeft/gopeft/models/bert"
	"github.com/gopeft/gopeft/models/layer"
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

// opened is a model below models/auto, with the checkpoint that it was read from.
func opened(t *testing.T, dir fs.FS) (*hfio.Checkpoint, *layer.Weights, *bert.Model) {
	t.Helper()
	checkpoint, err := hfio.OpenModel(dir, &hfio.OpenOptions{NoMap: true})
	if err != nil {
		t.Fatal(err)
	}
	weights := layer.NewWeights(checkpoint, kernel.Float32, bert.Architecture.Prefix)
	model, err := bert.New(checkpoint.Config, weights)
	if err = errors.Join(err, weights.Err()); err != nil {
		t.Fatal(err)
	}
	return checkpoint, weights, model
}

// tensors are those of a checkpoint as it holds them.
func tensors(t *testing.T, checkpoint *hfio.Checkpoint) []hfio.Tensor {
	t.Helper()
	var all []hfio.Tensor
	for _, name := range checkpoint.Names() {
		tensor, err := checkpoint.Tensor(name)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, tensor)
	}
	return all
}

func TestConformance(t *testing.T) {
	dir := golden(t, "SEQ_CLS", replace(`"hidden_dropout_prob": 0.0`, `"hidden_dropout_prob": 0.2`), nil)
	checkpoint, _, model := opened(t, dir)
	modeltest.Run(t, modeltest.Suite{
		Backbone: model, Backward: ag.Backward, Cache: model.Cache, Weights: tensors(t, checkpoint),
	})
}

// Weights of 32 bits are used where they lie: the word embeddings are the file's.
func TestNoCopy(t *testing.T) {
	checkpoint, _, model := opened(t, golden(t, "SEQ_CLS", nil, nil))
	words, err := checkpoint.Tensor("bert.embeddings.word_embeddings.weight")
	if err != nil {
		t.Fatal(err)
	}
	clear(words.Data)
	row, err := model.Embed([]int{7})
	if err != nil {
		t.Fatal(err)
	}
	numtest.SameBits(t, models.Values(row), make([]float32, model.Shape().Hidden))
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
		{`"classifier_dropout": null`, `"classifier_dropout": NaN`, `field "classifier_dropout": found NaN, want a probability`},
		{`"layer_norm_eps": 1e-12`, `"layer_norm_eps": -1e-12`, `field "layer_norm_eps": found -1e-12, want a number of at least 0`},
		{`"initializer_range": 0.02`, `"initializer_range": Infinity`, `field "initializer_range": found Infinity, want a number of at least 0`},
		{`"num_hidden_layers": 2`, `"num_hidden_layers": 1000000000`, `field "num_hidden_layers": found 1000000000, want no more than the 41 tensors of the checkpoint`},
		{`"model_type": "bert"`, `"model_type": "nobert"`, `field "model_type": unknown architecture: found "nobert", want one of: `},
	} {
		_, _, err := auto.Load(golden(t, "SEQ_CLS", replace(c.old, c.new), nil), nil)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("found %v, want %s", err, c.want)
		}
	}
	several := func(s string) string {
		return strings.NewReplacer(`"is_decoder": false`, `"is_decoder": true`, `"hidden_act": "gelu"`, `"hidden_act": 3`).Replace(s)
	}
	_, _, err := auto.Load(golden(t, "SEQ_CLS", several, nil), nil)
	if err == nil || !strings.Contains(err.Error(), `"is_decoder"`) || !strings.Contains(err.Error(), `"hidden_act"`) {
		t.Errorf("found %v, want both fields in it", err)
	}
}

// Sizes that the file does not hold are errors, and nothing is allocated for them.
func TestHugeSizes(t *testing.T) {
	for _, c := range []struct{ old, new string }{
		{`"vocab_size": 40`, `"vocab_size": 4611686018427387904`},
		{`"hidden_size": 12`, `"hidden_size": 4000000000`},
		{`"intermediate_size": 20`, `"intermediate_size": 9000000000000000000`},
		{`"max_position_embeddings": 32`, `"max_position_embeddings": 1000000000000`},
		{`"type_vocab_size": 2`, `"type_vocab_size": 1000000000000`},
	} {
		if _, _, err := auto.Load(golden(t, "SEQ_CLS", replace(c.old, c.new), nil), nil); !errors.Is(err, hfio.ErrShape) {
			t.Errorf("%s: found %v, want hfio.ErrShape", c.new, err)
		}
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
