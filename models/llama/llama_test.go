package llama_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/nlpodyssey/spago/ag"

	"github.com/gopeft/gopeft/hfio"
	"github.com/gopeft/gopeft/internal/kernel"
	"github.com/gopeft/gopeft/models/layer"
	"github.com/gopeft/gopeft/models/llama"
	"github.com/gopeft/gopeft/models/modeltest"
)

// goldens are tiny models that transformers made; compat_test compares their numbers.
const goldens = "../../compat_test/testdata/goldens"

var modelTypes = []string{"gemma", "gemma2", "gemma3_text", "llama", "mistral", "olmo2", "phi3", "qwen2", "qwen3", "smollm3"}

// open reads the model of a family with its config changed: pairs of old and new.
func open(modelType string, changes ...string) (*hfio.Checkpoint, *llama.Model, error) {
	dir := filepath.Join(goldens, "decoder-"+modelType, "base")
	files := fstest.MapFS{}
	for _, name := range []string{"config.json", "model.safetensors"} {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			return nil, nil, err
		}
		files[name] = &fstest.MapFile{Data: data}
	}
	text := string(files["config.json"].Data)
	for i := 0; i < len(changes); i += 2 {
		if !strings.Contains(text, changes[i]) {
			return nil, nil, errors.New("the config has no " + changes[i])
		}
	}
	files["config.json"].Data = []byte(strings.NewReplacer(changes...).Replace(text))
	checkpoint, err := hfio.OpenModel(files, &hfio.OpenOptions{NoMap: true})
	if err != nil {
		return nil, nil, err
	}
	weights := layer.NewWeights(checkpoint, kernel.Float32, "model.")
	model, err := llama.New(checkpoint.Config, weights)
	return checkpoint, model, errors.Join(err, weights.Err())
}

func TestConformance(t *testing.T) {
	for _, modelType := range modelTypes {
		t.Run(modelType, func(t *testing.T) {
			changes := []string{`"attention_dropout": 0.0`, `"attention_dropout": 0.2`}
			if modelType == "phi3" { // tokens turn otherwise once a sequence is longer than that
				changes = append(changes, `"original_max_position_embeddings": 8`, `"original_max_position_embeddings": 30`)
			}
			checkpoint, model, err := open(modelType, changes...)
			if err != nil {
				t.Fatal(err)
			}
			var weights []hfio.Tensor
			for _, name := range checkpoint.Names() {
				tensor, err := checkpoint.Tensor(name)
				if err != nil {
					t.Fatal(err)
				}
				weights = append(weights, tensor)
			}
			modeltest.Run(t, modeltest.Suite{Backbone: model, Backward: ag.Backward, Step: 1.0 / 64, Weights: weights})
		})
	}
}

func TestConfigProblems(t *testing.T) {
	for _, c := range []struct{ modelType, old, changed, want string }{
		{"llama", `"hidden_act": "silu"`, `"hidden_act": "quick_gelu"`, `field "hidden_act": found "quick_gelu", want gelu`},
		{"llama", `"num_key_value_heads": 1`, `"num_key_value_heads": 3`, `field "num_key_value_heads": found 3, want a divisor of num_attention_heads`},
		{"llama", `"rope_type": "default"`, `"rope_type": "axial"`, `field "rope_parameters.rope_type": found "axial", want default, linear`},
		{"llama", `"rope_type": "default"`, `"rope_type": "linear"`, `field "rope_parameters.factor": found nothing, want a number above 0`},
		{"llama", `"rope_theta": 10000.0`, `"rope_theta": -1`, `field "rope_parameters.rope_theta": found -1, want a number above 0`},
		{"llama", `"num_hidden_layers": 2`, `"num_hidden_layers": 1000`, `field "num_hidden_layers": found 1000, want no more than the 21 tensors of the checkpoint`},
		{"llama", `"hidden_size": 12`, `"hidden_sizes": 12`, `field "hidden_size": missing`},
		{"qwen2", `"use_sliding_window": true`, `"use_sliding_window": false`, `field "sliding_window": found 3, want a width`},
		{"gemma2", `"sliding_attention"`, `"chunked_attention"`, `field "layer_types": found a list of 2, want sliding_attention and full_attention only`},
		{"gemma", `"use_bidirectional_attention": null`, `"use_bidirectional_attention": true`, `field "use_bidirectional_attention": found true, want false`},
		{"llama", `"rms_norm_eps"`, `"partial_rotary_factor": 0.5, "rms_norm_eps"`, `field "partial_rotary_factor": found 0.5, want 1: in transformers this model turns whole heads`},
		{"gemma3_text", `"rms_norm_eps"`, `"rope_scaling": {"rope_type": "linear", "factor": 2}, "rms_norm_eps"`, `field "rope_scaling": found an object of 2, want null where rope_parameters are given`},
		{"phi3", `"rope_type": "longrope"`, `"rope_type": "yarn"`, `rope_type": found "yarn", want default or longrope`},
		{"phi3", `"long_factor"`, `"longer_factor"`, `long_factor": missing: want a list of numbers`},
		{"llama", `"head_dim": 6`, `"head_dim": 5`, `field "rope_parameters.partial_rotary_factor": found nothing, want one that turns an even number of the 5 elements`},
	} {
		_, _, err := open(c.modelType, c.old, c.changed)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: found %v, want %s", c.changed, err, c.want)
		}
	}
}
