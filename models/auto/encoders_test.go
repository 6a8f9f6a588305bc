package auto

import (
	"encoding/json"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/gopeft/gopeft/hfio"
	"github.com/gopeft/gopeft/internal/kernel"
	"github.com/gopeft/gopeft/internal/numtest"
	"github.com/gopeft/gopeft/models"
	"github.com/gopeft/gopeft/models/layer"
)

// encoders holds tiny models that transformers made; compat_test compares their numbers.
const encoders = "../../compat_test/testdata/encoders"

var encoderTasks = []models.Task{models.SeqCls, models.TokenCls, models.QuestionAns, models.MaskedLM}

// eachHead runs a test on every head of the tiny encoders of compat_test.
func eachHead(t *testing.T, test func(t *testing.T, base *Base, model *models.Model)) {
	folders, err := filepath.Glob(encoders + "/*")
	if err != nil || len(folders) == 0 {
		t.Fatalf("%s: %d folders, %v", encoders, len(folders), err)
	}
	for _, folder := range folders {
		base, err := Open(os.DirFS(filepath.Join(folder, "base")), &OpenOptions{Files: &hfio.OpenOptions{NoMap: true}})
		if err != nil {
			t.Fatal(err)
		}
		defer base.Close()
		for _, task := range encoderTasks {
			t.Run(filepath.Base(folder)+" "+string(task), func(t *testing.T) {
				model, err := base.Model(models.HeadSpec{Task: task})
				if err != nil {
					t.Fatal(err)
				}
				test(t, base, model)
			})
		}
	}
}

// What a model was read from has the names that transformers gave it, those of heads
// and poolers too: a merged or trained model is written under them.
func TestTensorsOfHeads(t *testing.T) {
	eachHead(t, func(t *testing.T, base *Base, model *models.Model) {
		names := base.checkpoint.Names()
		for _, tensor := range model.Tensors {
			if !slices.Contains(names, tensor.Name) {
				t.Errorf("found %s, which transformers has not", tensor.Name)
			}
		}
		for _, p := range model.Head.Params() {
			if !slices.Contains(names, p.Name) {
				t.Errorf("found the parameter %s, which transformers has not", p.Name)
			}
		}
	})
}

// A clone of a head is trained by itself.
func TestClones(t *testing.T) {
	eachHead(t, func(t *testing.T, _ *Base, model *models.Model) {
		for i, p := range model.Head.Clone().Params() {
			own := model.Head.Params()[i]
			if own.Name != p.Name {
				t.Errorf("parameter %d of the clone is %s, want %s", i, p.Name, own.Name)
			}
			numtest.SameBits(t, models.Values(p.Param), models.Values(own.Param))
			models.Values(p.Param)[0]++
			if models.Values(own.Param)[0] == models.Values(p.Param)[0] {
				t.Errorf("the clone shares %s", p.Name)
			}
		}
	})
}

// What several adapters add to their sequences in one batch, they add to them alone.
func TestMixedDeltas(t *testing.T) {
	eachHead(t, func(t *testing.T, base *Base, model *models.Model) {
		if model.Task != models.SeqCls {
			t.Skip("another head on the same layers")
		}
		var prompts []*models.Prompt
		for seed := range 2 {
			deltas := map[string]layer.Delta{}
			for i, l := range base.read.Linears() {
				values := func(n int) []float32 { return numtest.Normal(uint64(100*seed+i), 2*n, 0.5) }
				deltas[l.Name] = layer.Delta{A: kernel.New(2, l.In, values(l.In)), B: kernel.New(l.Out, 2, values(l.Out)), Scale: 0.7}
			}
			prompts = append(prompts, &models.Prompt{Deltas: deltas})
		}
		var batch models.Batch
		for i, prompt := range []*models.Prompt{prompts[1], nil, prompts[0], prompts[1], {}} {
			batch.Sequences = append(batch.Sequences, models.Sequence{IDs: []int{3, 5 + i, 7, 1 + i, 2}[:1+i], Prompt: prompt})
		}
		together, err := base.backbone.Forward(batch)
		if err != nil {
			t.Fatal(err)
		}
		width := base.Shape().Hidden
		for i, sequence := range batch.Sequences {
			alone, err := base.backbone.Forward(models.Batch{Sequences: []models.Sequence{sequence}})
			if err != nil {
				t.Fatal(err)
			}
			span := together.Spans[i]
			numtest.SameBits(t, models.Values(together.Hidden)[span.Start*width:span.End*width], models.Values(alone.Hidden))
		}
	})
}

// A head of another number of labels is drawn anew, if it may be.
func TestNewHeads(t *testing.T) {
	eachHead(t, func(t *testing.T, base *Base, model *models.Model) {
		if model.Task != models.SeqCls && model.Task != models.TokenCls {
			t.Skip("its scores are not labels")
		}
		spec := models.HeadSpec{Task: model.Task, Labels: make([]string, 7)}
		if _, err := base.Model(spec); err == nil {
			t.Error("a head of 7 labels was read")
		}
		spec.Rand = rand.New(rand.NewPCG(1, 1))
		drawn, err := base.Model(spec)
		if err != nil || !drawn.NewHead {
			t.Fatalf("a new head: %v, NewHead %v", err, drawn != nil && drawn.NewHead)
		}
		logits, _, err := drawn.Forward(models.Batch{Sequences: []models.Sequence{{IDs: []int{3}}}})
		if err != nil || !slices.Equal(logits.Shape(), []int{1, 7}) {
			t.Errorf("scores are %v, %v, want [1 7]", logits, err)
		}
	})
}

// Values that cannot be computed are named.
func TestConfigProblems(t *testing.T) {
	for _, c := range []struct {
		arch, field string
		value       any
		want        string
	}{
		{"albert", "inner_group_num", 2, "want 1"},
		{"albert", "num_hidden_groups", 4, "want no more than num_hidden_layers"},
		{"albert", "num_hidden_layers", 1 << 40, "want no more than 1024"},
		{"albert", "classifier_dropout_prob", 1, "want a probability"},
		{"deberta", "pos_att_type", "c2p|p2p", "want c2p, p2c or both"},
		{"deberta", "pos_att_type", []string{"c2p", "c2p"}, "want c2p, p2c or both"},
		{"deberta", "talking_head", true, "want false"},
		{"deberta", "type_vocab_size", -1, "want an integer of at least 0"},
		{"deberta-v2", "attention_head_size", 5, "want hidden_size / num_attention_heads, 6"},
		{"deberta-v2", "conv_groups", 2, "want 1"},
		{"deberta-v2", "conv_kernel_size", 4, "want an odd number up to 256, or 0"},
		{"deberta-v2", "norm_rel_ebd", "rms", "want none or layer_norm"},
		{"deberta-v2", "pooler_hidden_size", 8, "want hidden_size, 12"},
		{"deberta-v2", "position_buckets", 1, "want at least 2"},
		{"deberta-v2", "position_buckets", 18, "half is below max_relative_positions - 1, 9"},
		{"distilbert", "n_heads", 5, "want a divisor of dim"},
		{"distilbert", "activation", "quick_gelu", "want one of: "},
		{"distilbert", "n_layers", 1 << 40, "want no more than the"},
		{"electra", "is_decoder", true, "want false"},
		{"electra", "embedding_size", 0, "want an integer of at least 1"},
		{"modernbert", "classifier_pooling", "max", "want cls or mean"},
		{"modernbert", "layer_types", []string{"full_attention"}, "want 3 of them"},
		{"modernbert", "layer_types", []string{"full_attention", "x", "full_attention"}, "want full_attention or sliding_attention"},
		{"modernbert", "rope_scaling", map[string]any{"type": "linear"}, "want null"},
		{"roberta", "pad_token_id", nil, "want a number below"},
		{"roberta", "pad_token_id", 23, "want a number below"},
	} {
		t.Run(c.arch+" "+c.field, func(t *testing.T) {
			_, err := Open(changed(t, filepath.Join(encoders, c.arch, "base"), c.field, c.value), nil)
			if err == nil || !strings.Contains(err.Error(), `"`+c.field+`"`) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("found %v, want field %q: …%s…", err, c.field, c.want)
			}
		})
	}
}

// So are those of other models, and fields of none that transformers would heed.
func TestOtherConfigProblems(t *testing.T) {
	for _, c := range []struct {
		folder, field string
		value         any
		want          string
	}{
		{"goldens/decoder-llama", "is_causal", false, "want true"},
		{"seq2seq/bart", "is_causal", false, "want true"},
		{"goldens/decoder-llama", "sliding_window", 3, "want null: transformers cuts the cache"},
		{"goldens/decoder-olmo2", "attention_chunk_size", 3, "want null: transformers cuts the cache"},
		{"seq2seq/bart", "sliding_window", 3, "want null: transformers cuts the cache"},
		{"goldens/decoder-gpt2", "per_layer_config", map[string]any{"0": map[string]any{"n_head": 1}}, "want null"},
		{"encoders/roberta", "quantization_config", map[string]any{"quant_method": "fp8"}, "want null"},
		{"goldens/decoder-gpt2", "num_attention_heads", 4, "want 2, as n_head has it"},
		{"goldens/decoder-bloom", "num_attention_heads", 4, "want 2, as n_head has it"},
		{"encoders/distilbert", "num_attention_heads", 4, "want 2, as n_heads has it"},
		{"seq2seq/bart", "num_hidden_layers", 1, "as encoder_layers has it"},
		{"seq2seq/t5", "num_hidden_layers", 1, "as num_layers has it"},
		{"goldens/decoder-gpt_neox", "head_dim", 4, "want hidden_size / num_attention_heads, 6"},
		{"goldens/decoder-bloom", "slow_but_exact", true, "want false, or pretraining_tp 1"},
	} {
		t.Run(c.folder+" "+c.field, func(t *testing.T) {
			fields := map[string]any{c.field: c.value}
			if c.field == "slow_but_exact" {
				fields["pretraining_tp"] = 2
			}
			_, err := Open(with(t, filepath.Join("../../compat_test/testdata", c.folder, "base"), fields), nil)
			if err == nil || !strings.Contains(err.Error(), `"`+c.field+`"`) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("found %v, want field %q: …%s…", err, c.field, c.want)
			}
		})
	}
}

// changed is a model directory with another value in its config.
func changed(t *testing.T, dir, field string, value any) fs.FS {
	t.Helper()
	return with(t, dir, map[string]any{field: value})
}

// with is a model directory with other values in its config.
func with(t *testing.T, dir string, fields map[string]any) fs.FS {
	t.Helper()
	files := fstest.MapFS{}
	for _, name := range []string{"config.json", "model.safetensors"} {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		files[name] = &fstest.MapFile{Data: data}
	}
	var config map[string]any
	if err := json.Unmarshal(files["config.json"].Data, &config); err != nil {
		t.Fatal(err)
	}
	maps.Copy(config, fields)
	data, err := json.Marshal(config)
	if err != nil {
		t.Fatal(err)
	}
	files["config.json"].Data = data
	return files
}
