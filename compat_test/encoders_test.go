package compat_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/gopeft/gopeft/adapters"
	"github.com/gopeft/gopeft/hfio"
	"github.com/gopeft/gopeft/internal/numtest"
	"github.com/gopeft/gopeft/models"
	"github.com/gopeft/gopeft/models/auto"
	"github.com/gopeft/gopeft/models/layer"
)

// encoders holds a tiny model of every encoder architecture but BERT, with transformers' numbers.
const encoders = "testdata/encoders"

var encoderTasks = []models.Task{models.SeqCls, models.TokenCls, models.QuestionAns, models.FeatureExtraction, models.MaskedLM}

func eachEncoder(t *testing.T, test func(t *testing.T, folder string)) {
	folders, err := filepath.Glob(filepath.Join(encoders, "*"))
	if err != nil || len(folders) == 0 {
		t.Fatalf("%s: %d folders, %v", encoders, len(folders), err)
	}
	for _, folder := range folders {
		t.Run(filepath.Base(folder), func(t *testing.T) { test(t, folder) })
	}
}

// TestEncoderBase compares the bases alone, in every task.
func TestEncoderBase(t *testing.T) {
	eachEncoder(t, func(t *testing.T, folder string) {
		examples := readLines[example](t, filepath.Join(folder, "input.jsonl"))
		for _, task := range encoderTasks {
			t.Run(string(task), func(t *testing.T) {
				base := openBase(t, filepath.Join(folder, "base"), models.HeadSpec{Task: task}, 0)
				want := readAnswers(t, filepath.Join(folder, string(task)+".jsonl"))
				compareForward(t, tuned{forward: base.Forward, task: task}, examples[:len(want)], want)
			})
		}
	})
}

// TestEncoderLora compares LoRA's answers with PEFT's, alone and merged into the base; saved again its directory is the same.
func TestEncoderLora(t *testing.T) {
	eachEncoder(t, func(t *testing.T, folder string) {
		dir, ask := filepath.Join(folder, "lora"), tuned{task: models.SeqCls}
		base := openBase(t, filepath.Join(folder, "base"), models.HeadSpec{}, 0)
		m := loadAdapter(t, dir, base)
		examples, want := readLines[example](t, filepath.Join(folder, "input.jsonl")), readAnswers(t, filepath.Join(folder, "lora.jsonl"))
		ask.forward = m.Forward
		compareForward(t, ask, examples, want)
		ask.forward = openBase(t, mergeAdapter(t, filepath.Join(folder, "base"), dir), models.HeadSpec{}, 0).Forward
		compareForward(t, ask, examples, want)
		again := t.TempDir()
		if err := adapters.Save(again, m); err != nil {
			t.Fatal(err)
		}
		if err := os.Remove(filepath.Join(again, hfio.ReadmeFile)); err != nil {
			t.Fatal(err)
		}
		sameFiles(t, again, dir)
	})
}

// TestBiasesOutOfReach wants bias all refused where gopeft does not replace all biases of a base, with their names.
func TestBiasesOutOfReach(t *testing.T) {
	for folder, want := range map[string]string{
		"deberta-v2": "deberta.encoder.conv.conv.bias", // of a convolution
		"deberta-v3": "deberta.encoder.LayerNorm.bias", // of what all texts share
	} {
		base := openBase(t, filepath.Join(encoders, folder, "base"), models.HeadSpec{Task: models.SeqCls}, 0)
		config := hfio.NewAdapterConfig(hfio.Lora)
		config.TaskType, config.Bias = hfio.SeqCls, "all"
		_, err := adapters.New(base, config, adapters.Init{Rand: seeded(1)})
		var field *hfio.FieldError
		if !errors.As(err, &field) || field.Field != "bias" || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want an error of bias that names %s", folder, err, want)
		}
	}
}

// dropoutLine is what transformers answers in training, while one dropout drops (all but surely) everything.
type dropoutLine struct {
	Task  models.Task `json:"task"`
	Field string      `json:"field"`
}

// TestEncoderDropout wants dropouts in transformers' places.
func TestEncoderDropout(t *testing.T) {
	eachEncoder(t, func(t *testing.T, folder string) {
		file := filepath.Join(folder, "dropout.jsonl")
		first := readLines[example](t, filepath.Join(folder, "input.jsonl"))[0]
		want := readAnswers(t, file)
		for i, line := range readLines[dropoutLine](t, file) {
			t.Run(string(line.Task)+" "+line.Field, func(t *testing.T) {
				model, base, err := auto.Load(withField(t, filepath.Join(folder, "base"), line.Field, 0.99999994), &auto.Options{Task: line.Task})
				if err != nil {
					t.Fatal(err)
				}
				defer base.Close()
				logits, out, err := model.Forward(models.Batch{Sequences: tuned{}.sequences(first), Dropout: layer.NewDropout(1)})
				if err != nil {
					t.Fatal(err)
				}
				compareAnswer(t, 0, answers(line.Task, logits, out)[0], want[i], outputATol)
			})
		}
	})
}

// TestPoolerOfAdapters wants DeBERTa's pooler in the adapters of a base that lacks it, and an error where neither has it.
func TestPoolerOfAdapters(t *testing.T) {
	folder := filepath.Join(encoders, "deberta-v3")
	files := without(t, filepath.Join(folder, "base"), "pooler.")
	options := &auto.Options{Task: models.SeqCls}
	if _, _, err := auto.Load(files, options); !errors.Is(err, hfio.ErrNotFound) || !strings.Contains(err.Error(), "pooler.dense.weight") {
		t.Errorf("without a pooler: %v, want an error that names it", err)
	}
	load := func(seed uint64) *models.Model {
		options.Rand = seeded(seed)
		model, base, err := auto.Load(files, options)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = base.Close() })
		return model
	}
	_, err := adapters.Load(hfio.Dir(filepath.Join(folder, "lora")), load(1))
	if !errors.Is(err, adapters.ErrMissingHead) || !strings.Contains(err.Error(), "neither it nor the base has pooler.dense.weight") {
		t.Errorf("PEFT's adapter without a pooler: %v, want ErrMissingHead", err)
	}
	config := hfio.NewAdapterConfig(hfio.PromptTuning)
	config.TaskType, config.NumVirtualTokens = hfio.SeqCls, virtualTokens
	m, err := adapters.New(load(2), config, adapters.Init{Rand: seeded(2)})
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := adapters.Save(dir, m); err != nil {
		t.Fatal(err)
	}
	again := loadAdapter(t, dir, load(3))
	batch := models.Batch{Sequences: []models.Sequence{{IDs: []int{3, 4}}}}
	want, _, err := m.Forward(batch)
	if err != nil {
		t.Fatal(err)
	}
	got, _, err := again.Forward(batch)
	if err != nil {
		t.Fatal(err)
	}
	numtest.SameBits(t, models.Values(got), models.Values(want))
}

// without is a model directory without the tensors whose names begin so.
func without(t *testing.T, dir, prefix string) fs.FS {
	t.Helper()
	files := fstest.MapFS{}
	for name, data := range readDir(t, dir) {
		files[name] = &fstest.MapFile{Data: []byte(data)}
	}
	file, err := hfio.OpenSafeTensors(files, hfio.ModelWeightsFile, &hfio.OpenOptions{NoMap: true})
	if err != nil {
		t.Fatal(err)
	}
	kept := slices.DeleteFunc(slices.Clone(file.Tensors), func(t hfio.Tensor) bool { return strings.HasPrefix(t.Name, prefix) })
	data, err := hfio.EncodeSafeTensors(nil, kept)
	if err != nil {
		t.Fatal(err)
	}
	files[hfio.ModelWeightsFile] = &fstest.MapFile{Data: data}
	return files
}

// withField is a model directory with another value of a field of its config.
func withField(t *testing.T, dir, field string, value any) fs.FS {
	t.Helper()
	files := fstest.MapFS{}
	for name, data := range readDir(t, dir) {
		files[name] = &fstest.MapFile{Data: []byte(data)}
	}
	config := decode[map[string]any](t, files["config.json"].Data)
	if _, ok := config[field]; !ok {
		t.Fatalf("the config has no %s", field)
	}
	config[field] = value
	data, err := json.Marshal(config)
	if err != nil {
		t.Fatal(err)
	}
	files["config.json"].Data = data
	return files
}

// liveEncoder is an architecture with what PEFT does on it.
type liveEncoder struct {
	arch   string
	fields string         // of config.json, beyond the sizes
	sizes  map[string]any // of a prompt of rows, where PEFT does not find the right ones
	cells  map[models.Task][]string
	// refused is what PEFT says to a method in SEQ_CLS, and the field that Validate names
	// then, without sizes given by hand.
	refused map[string][2]string
}

const noPast = "Model does not support past key values which are required for prefix tuning."

// headVariants add to layers of a head that PEFT does not train by itself, or train it.
var headVariants = []variant{
	{name: "lora-head", method: "lora", fields: map[string]any{"target_modules": []string{"dense", "classifier", "Wqkv"}}},
	{name: "lora-head-saved", method: "lora", fields: map[string]any{"target_modules": []string{"dense", "Wo"}, "modules_to_save": []string{"classifier"}}},
}

var liveEncoders = []liveEncoder{
	{arch: "roberta", fields: `{"pad_token_id": 1, "layer_norm_eps": 1e-5}`, cells: map[models.Task][]string{
		models.SeqCls:            {"prompt", "ptuning-lstm", "prefix", "lora", "lora-all-biases"},
		models.TokenCls:          {"ptuning-mlp", "prefix-projection"},
		models.QuestionAns:       {"prompt", "cartridge"},
		models.FeatureExtraction: {"prompt", "prefix"},
	}},
	{
		arch: "albert", fields: `{"embedding_size": 16, "num_hidden_groups": 3, "classifier_dropout_prob": 0}`, sizes: map[string]any{"token_dim": 16},
		cells: map[models.Task][]string{
			models.SeqCls: {"prompt", "lora", "lora-all-biases"}, models.TokenCls: {"ptuning-mlp"}, models.QuestionAns: {"prompt"}, models.FeatureExtraction: {"ptuning-lstm"},
		},
		refused: map[string][2]string{"prefix": {noPast, "peft_type"}, "prompt": {"Sizes of tensors must match", "token_dim"}},
	},
	{arch: "albert", fields: `{"embedding_size": 24}`, cells: map[models.Task][]string{models.SeqCls: {"prompt"}}},
	{
		arch: "distilbert", fields: `{"hidden_dim": 40, "dropout": 0, "attention_dropout": 0, "qa_dropout": 0, "seq_classif_dropout": 0}`,
		sizes: map[string]any{"token_dim": 24, "num_attention_heads": 3},
		cells: map[models.Task][]string{
			models.SeqCls: {"prompt", "lora-all-biases"}, models.TokenCls: {"ptuning-mlp"}, models.QuestionAns: {"prompt"}, models.FeatureExtraction: {"prompt"},
		},
		refused: map[string][2]string{"prefix": {"Please specify `token_dim`", "peft_type"}, "prompt": {"Please specify `token_dim`", "token_dim"}},
	},
	{
		arch: "electra", fields: `{"embedding_size": 16}`, sizes: map[string]any{"token_dim": 16},
		cells: map[models.Task][]string{
			models.SeqCls: {"prompt", "prefix", "lora", "lora-all-biases"}, models.TokenCls: {"ptuning-mlp"}, models.QuestionAns: {"prefix"}, models.FeatureExtraction: {"cartridge"},
		},
		refused: map[string][2]string{"prompt": {"Sizes of tensors must match", "token_dim"}},
	},
	{
		arch: "modernbert", fields: `{"local_attention": 8, "classifier_pooling": "cls", "norm_bias": false, "pad_token_id": 0, "mlp_dropout": 0}`,
		cells: map[models.Task][]string{
			models.SeqCls: {"prompt", "lora"}, models.TokenCls: {"ptuning-mlp"}, models.QuestionAns: {"prompt", "lora-head", "lora-head-saved"}, models.FeatureExtraction: {"ptuning-lstm"},
		},
		refused: map[string][2]string{"prefix": {noPast, "peft_type"}},
	},
	{arch: "modernbert", fields: `{"local_attention": 8, "norm_bias": true, "attention_bias": true, "mlp_bias": true, "classifier_bias": true, "pad_token_id": 0}`, cells: map[models.Task][]string{
		models.SeqCls: {"lora-all-biases"},
	}},
	{arch: "deberta-v2", fields: `{"relative_attention": true, "pos_att_type": ["c2p", "p2c"]}`, cells: map[models.Task][]string{models.SeqCls: {"lora-all-biases"}}},
	{
		arch: "deberta-v2", fields: `{"relative_attention": true, "position_buckets": 8, "norm_rel_ebd": "layer_norm", "share_att_key": true, "pos_att_type": "p2c|c2p",
			"position_biased_input": false, "legacy": false}`,
		cells: map[models.Task][]string{
			models.SeqCls: {"prompt", "ptuning-lstm", "lora"}, models.TokenCls: {"ptuning-mlp", "lora"}, models.QuestionAns: {"prompt"}, models.FeatureExtraction: {"prompt"},
		},
		refused: map[string][2]string{"prefix": {noPast, "peft_type"}},
	},
	{
		arch: "deberta-v2", fields: `{"relative_attention": true, "pos_att_type": ["c2p"], "embedding_size": 16, "type_vocab_size": 2, "conv_kernel_size": 5}`, sizes: map[string]any{"token_dim": 16},
		cells:   map[models.Task][]string{models.SeqCls: {"prompt", "lora"}, models.QuestionAns: {"ptuning-mlp"}},
		refused: map[string][2]string{"prompt": {"Sizes of tensors must match", "token_dim"}},
	},
	{
		arch: "deberta", fields: `{"relative_attention": true, "max_relative_positions": 6, "pos_att_type": "c2p|p2c", "position_biased_input": false}`,
		cells: map[models.Task][]string{
			models.SeqCls: {"prompt", "lora", "lora-all-biases"}, models.TokenCls: {"ptuning-mlp"}, models.FeatureExtraction: {"ptuning-lstm"},
		},
		refused: map[string][2]string{"prefix": {noPast, "peft_type"}},
	},
	{arch: "xlm-roberta", cells: map[models.Task][]string{models.SeqCls: {"prefix"}, models.TokenCls: {"lora"}}},
	{arch: "camembert", cells: map[models.Task][]string{models.SeqCls: {"prompt"}, models.QuestionAns: {"prefix"}}},
}

// TestLiveEncoders compares adapters on tiny random encoders, and masked words without one.
func TestLiveEncoders(t *testing.T) {
	o := needOracle(t)
	for _, e := range liveEncoders {
		t.Run(e.arch, func(t *testing.T) {
			t.Run(string(models.MaskedLM), func(t *testing.T) { e.maskedWords(t, o) })
			t.Run("LoRA's targets", func(t *testing.T) { e.defaultTargets(t, o) })
			for method := range e.refused {
				t.Run("refused "+method, func(t *testing.T) { e.refuses(t, o, method) })
			}
			for _, c := range cases {
				methods := e.cells[c.task]
				if c.name != string(c.task) || methods == nil {
					continue
				}
				t.Run(c.name, func(t *testing.T) {
					base := e.base(t, o, c)
					for _, v := range slices.Concat(variants, headVariants) {
						for _, method := range methods {
							if v.name == method {
								t.Run(v.name, func(t *testing.T) { roundTrip(t, o, c, base, v.sized(e.sizes)) })
							}
						}
					}
				})
			}
		})
	}
}

// TestLivePooler wants adapters on a checkpoint without DeBERTa's pooler, as the published ones are, to bring one: in Python
// modules_to_save has to name it, here it is named without asking.
func TestLivePooler(t *testing.T) {
	o := needOracle(t)
	c := cases[slices.IndexFunc(cases, func(c taskCase) bool { return c.name == string(models.SeqCls) })]
	e := liveEncoder{arch: "deberta-v2", fields: `{"relative_attention": true, "position_buckets": 8, "pos_att_type": "p2c|c2p", "pooler_hidden_act": "tanh"}`}
	base := e.base(t, o, taskCase{task: models.MaskedLM})
	base.labels = c.labels
	for _, v := range variants {
		if v.name == "prompt" || v.name == "lora" {
			t.Run(v.name, func(t *testing.T) {
				roundTrip(t, o, c, base, v.with(map[string]any{"modules_to_save": []string{"pooler"}}))
			})
		}
	}
}

func (e liveEncoder) base(t *testing.T, o *oracle, c taskCase) liveBase {
	t.Helper()
	base := liveBase{dir: t.TempDir(), vocab: 90, hidden: 24}
	command := []string{"make-base", base.dir, "--arch", e.arch, "--task", string(c.task), "--num-labels", fmt.Sprint(max(c.labels, 1))}
	if e.fields != "" {
		command = append(command, "--set", e.fields)
	}
	sizes := strings.Fields("--layers 3 --hidden 24 --heads 3 --intermediate 40 --vocab 90 --max-positions 40")
	o.call(t, append(command, sizes...)...)
	return base
}

// sized is the variant with the sizes that a prompt of rows needs.
func (v variant) sized(sizes map[string]any) variant {
	if v.method == "prompt" || strings.HasPrefix(v.method, "ptuning") {
		return v.with(sizes)
	}
	return v
}

// with is the variant with more fields.
func (v variant) with(fields map[string]any) variant {
	all := map[string]any{}
	maps.Copy(all, v.fields)
	maps.Copy(all, fields)
	v.fields = all
	return v
}

// refuses wants PEFT to refuse a method, and Validate to say so of an adapter that gopeft
// makes: it works here.
func (e liveEncoder) refuses(t *testing.T, o *oracle, method string) {
	c := taskCase{task: models.SeqCls, labels: 3}
	base, dir := e.base(t, o, c), t.TempDir()
	model := []string{"--base", base.dir, "--task", string(c.task)}
	made, input := filepath.Join(dir, "made"), filepath.Join(dir, "input.jsonl")
	writeLines(t, input, []example{{IDs: []int{3, 4}}})
	refused := o.ask(t, append([]string{"make-adapter", "--method", method, "--out", made}, model...)...)
	if refused == "" {
		refused = o.ask(t, append([]string{"forward", "--adapter", made, "--input", input, "--output", filepath.Join(dir, "output.jsonl")}, model...)...)
	}
	if want := e.refused[method][0]; !strings.Contains(refused, want) {
		t.Errorf("PEFT says %q, want %q", refused, want)
	}
	config := hfio.NewAdapterConfig(map[string]hfio.PeftType{"prompt": hfio.PromptTuning, "prefix": hfio.PrefixTuning}[method])
	config.TaskType, config.NumVirtualTokens = hfio.SeqCls, virtualTokens
	own := openBase(t, base.dir, models.HeadSpec{Task: c.task}, 0)
	m, err := adapters.New(own, config, adapters.Init{Rand: seeded(1)})
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := m.Forward(models.Batch{Sequences: []models.Sequence{{IDs: []int{3, 4}}}}); err != nil {
		t.Errorf("gopeft: %v", err)
	}
	saved := filepath.Join(dir, "saved")
	if err := adapters.Save(saved, m); err != nil {
		t.Fatal(err)
	}
	file, shape := openAdapter(t, saved), own.Backbone.Shape()
	file.Config.TokenDim = 0 // as PEFT would have to fill it
	found := adapters.Validate(file, &shape)
	isSaid := func(f adapters.Finding) bool {
		return f.Severity == adapters.Error && f.Field == e.refused[method][1] && strings.Contains(f.Message, "Python PEFT")
	}
	if !slices.ContainsFunc(found, isSaid) {
		t.Errorf("Validate() = %v, want an error of %s", found, e.refused[method][1])
	}
}

func (e liveEncoder) maskedWords(t *testing.T, o *oracle) {
	c := taskCase{task: models.MaskedLM}
	base := e.base(t, o, c)
	model := openBase(t, base.dir, models.HeadSpec{Task: c.task}, 0)
	input, output := filepath.Join(t.TempDir(), "input.jsonl"), filepath.Join(t.TempDir(), "output.jsonl")
	examples := []example{{IDs: []int{5, 1, 7, 88, 1}}, {IDs: []int{0}}}
	writeLines(t, input, examples)
	o.call(t, "forward", "--base", base.dir, "--task", string(c.task), "--input", input, "--output", output)
	compareForward(t, tuned{forward: model.Forward, task: c.task}, examples, readAnswers(t, output))
}

// defaultTargets compares what target_modules null stands for: names, or an error in both.
func (e liveEncoder) defaultTargets(t *testing.T, o *oracle) {
	c := taskCase{task: models.FeatureExtraction}
	base := e.base(t, o, c)
	config := hfio.NewAdapterConfig(hfio.Lora)
	config.TaskType = hfio.FeatureExtraction
	m, err := adapters.New(openBase(t, base.dir, models.HeadSpec{Task: c.task}, 0), config, adapters.Init{Rand: seeded(1)})
	made := filepath.Join(t.TempDir(), "made")
	refused := o.ask(t, "make-adapter", "--base", base.dir, "--task", string(c.task), "--method", "lora", "--out", made)
	if refused != "" || err != nil {
		if err == nil || !strings.Contains(refused, "Please specify `target_modules`") {
			t.Errorf("gopeft says %v, PEFT %q", err, refused)
		}
		return
	}
	python := openAdapter(t, made).Config
	got, want := decode[[]string](t, m.Config.TargetModules), decode[[]string](t, python.TargetModules)
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("found %q, want %q", got, want)
	}
}
