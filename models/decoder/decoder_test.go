package decoder_test

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nlpodyssey/spago/ag"

	"github.com/gopeft/gopeft/hfio"
	"github.com/gopeft/gopeft/internal/kernel"
	"github.com/gopeft/gopeft/models"
	"github.com/gopeft/gopeft/models/bloom"
	"github.com/gopeft/gopeft/models/gpt2"
	"github.com/gopeft/gopeft/models/gptneox"
	"github.com/gopeft/gopeft/models/layer"
	"github.com/gopeft/gopeft/models/modeltest"
	"github.com/gopeft/gopeft/models/opt"
)

// architectures are those that are made of this package.
var architectures = map[string]models.Architecture{
	"bloom":    bloom.Architecture,
	"gpt2":     gpt2.Architecture,
	"gpt_neox": gptneox.Architecture,
	"opt":      opt.Architecture,
}

// goldens are tiny models that transformers made; compat_test compares their numbers.
const goldens = "../../compat_test/testdata/goldens"

func open(modelType, old, changed string) (models.Backbone, []hfio.Tensor, error) {
	checkpoint, tensors, err := modeltest.Checkpoint(filepath.Join(goldens, "decoder-"+modelType, "base"), old, changed)
	if err != nil {
		return nil, nil, err
	}
	a := architectures[modelType]
	weights := layer.NewWeights(checkpoint, kernel.Float32, a.Prefix, a.Renamed...)
	model, err := a.New(checkpoint.Config, weights)
	return model, tensors, errors.Join(err, weights.Err())
}

func TestConformance(t *testing.T) {
	for _, c := range []struct{ modelType, old, changed string }{
		{"gpt2", `"attn_pdrop": 0.1`, `"attn_pdrop": 0.2`},
		{"bloom", `"hidden_dropout": 0.1`, `"hidden_dropout": 0.2`},
		{"bloom", `"apply_residual_connection_post_layernorm": false`, `"apply_residual_connection_post_layernorm": true`},
		{"gpt_neox", `"hidden_dropout": 0.1`, `"hidden_dropout": 0.2`},
		{"gpt_neox", `"use_parallel_residual": true`, `"use_parallel_residual": false`},
		{"opt", `"dropout": 0.1`, `"dropout": 0.2`},
		{"opt", `"do_layer_norm_before": true`, `"do_layer_norm_before": false`},
		{"opt", `"_remove_final_layer_norm": false`, `"_remove_final_layer_norm": true`},
	} {
		t.Run(c.modelType+" "+c.changed, func(t *testing.T) {
			model, weights, err := open(c.modelType, c.old, c.changed)
			if err != nil {
				t.Fatal(err)
			}
			suite := modeltest.Suite{Backbone: model, Backward: ag.Backward, Weights: weights}
			if c.modelType == "opt" {
				suite.Width = model.Shape().Embedding // it projects them back
			}
			modeltest.Run(t, suite)
		})
	}
}

func TestConfigProblems(t *testing.T) {
	for _, c := range []struct{ modelType, old, changed, want string }{
		{"gpt2", `"activation_function": "gelu_new"`, `"activation_function": "quick_gelu"`, `field "activation_function": found "quick_gelu", want one of: gelu,`},
		{"gpt2", `"add_cross_attention": false`, `"add_cross_attention": true`, `field "add_cross_attention": found true, want false`},
		{"gpt2", `"n_head": 2`, `"n_head": 5`, `field "n_head": found 5, want a divisor of n_embd`},
		{"gpt2", `"n_layer": 2`, `"n_layer": 1000`, `field "n_layer": found 1000, want no more than the 28 tensors of the checkpoint`},
		{"gpt2", `"n_embd"`, `"n_embed"`, `field "n_embd": missing`},
		{"bloom", `"n_head": 2`, `"n_head": 5`, `field "n_head": found 5, want a divisor of hidden_size`},
		{"bloom", `"layer_norm_epsilon": 1e-05`, `"layer_norm_epsilon": "small"`, `field "layer_norm_epsilon": found "small"`},
		{"gpt_neox", `"hidden_act": "gelu"`, `"hidden_act": "quick_gelu"`, `field "hidden_act": found "quick_gelu"`},
		{"gpt_neox", `"rope_type": "default"`, `"rope_type": "axial"`, `field "rope_parameters.rope_type": found "axial"`},
		{"gpt_neox", `"hidden_size": 12`, `"hidden_size": 14`, `query_key_value.weight": found [36 12], want [42 14]`},
		{"opt", `"activation_function": "gelu"`, `"activation_function": "quick_gelu"`, `field "activation_function": found "quick_gelu"`},
		{"opt", `"layer_norm_elementwise_affine": true`, `"layer_norm_elementwise_affine": false`, `field "layer_norm_elementwise_affine": found false, want true`},
		{"opt", `"layerdrop": 0.0`, `"layerdrop": 0.1`, `field "layerdrop": found 0.1, want 0`},
		{"opt", `"pad_token_id": 1`, `"pad_token_id": 40`, `field "pad_token_id": found 40, want a token of the vocabulary`},
		{"opt", `"num_attention_heads": 2`, `"num_attention_heads": 5`, `field "num_attention_heads": found 5, want a divisor of hidden_size`},
		{"opt", `"word_embed_proj_dim": 10`, `"word_embed_proj_dim": 8`, `project_in.weight": found [12 10], want [12 8]`},
	} {
		_, _, err := open(c.modelType, c.old, c.changed)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: found %v, want %s", c.changed, err, c.want)
		}
	}
}
