package compat_test

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/gopeft/gopeft/adapters"
	"github.com/gopeft/gopeft/hfio"
	"github.com/gopeft/gopeft/models"
	"github.com/gopeft/gopeft/train"
)

const virtualTokens = 4

// variant is a method with fields of its config.
type variant struct {
	name   string
	method string         // in the oracle's words
	fields map[string]any // beyond the method's own
	always bool           // run in every task, else in SEQ_CLS only
}

var variants = []variant{
	{name: "prompt", method: "prompt", always: true},
	{name: "prompt-vocab", method: "prompt", fields: map[string]any{"prompt_tuning_init": "SAMPLE_VOCAB"}},
	{name: "ptuning-mlp", method: "ptuning-mlp", fields: map[string]any{"encoder_hidden_size": 24}, always: true},
	{name: "ptuning-mlp-deep", method: "ptuning-mlp", fields: map[string]any{"encoder_num_layers": 3}},
	{name: "ptuning-lstm", method: "ptuning-lstm", fields: map[string]any{"encoder_hidden_size": 12}, always: true},
	{name: "ptuning-lstm-one-layer", method: "ptuning-lstm", fields: map[string]any{"encoder_num_layers": 1, "encoder_hidden_size": 20, "encoder_dropout": 0.1}},
	{name: "prefix", method: "prefix", always: true},
	{name: "prefix-zero", method: "prefix", fields: map[string]any{"init_weights": "zero"}},
	{name: "lora", method: "lora", always: true, fields: map[string]any{
		"r": 4, "lora_alpha": 2, "target_modules": `.*\.(query|value|dense|in_proj|(query|key|pos_key)_proj)`, "exclude_modules": `.*pooler.*`,
	}},
	{name: "lora-layers", method: "lora", fields: map[string]any{
		"lora_alpha": 1.5, "use_rslora": true, "target_modules": []string{"key"}, "layers_to_transform": []int{0, 2}, "init_lora_weights": "gaussian",
	}},
	// In the other tasks PEFT targets the head, too, which it cannot wrap twice.
	{name: "lora-all-linear", method: "lora", fields: map[string]any{"target_modules": "all-linear", "r": 2}},
	// A whole path counts in every layer; of two patterns that match, the first counts.
	{name: "lora-patterns", method: "lora", fields: map[string]any{
		"target_modules":      []string{"bert.encoder.layer.0.attention.self.query", "key", "intermediate.dense"},
		"layers_to_transform": 2, "layers_pattern": "layer",
		"rank_pattern":  json.RawMessage(`{"attention.self.key": 5, "dense": 2, "layer.2.attention.self.key": 3}`),
		"alpha_pattern": json.RawMessage(`{"dense": 1, "encoder.*dense": 5, "key": 9, "self.key": 3}`),
	}},
	{name: "lora-no-layers", method: "lora", fields: map[string]any{"target_modules": []string{"value"}, "layers_to_transform": []int{}, "layers_pattern": ""}},
	{name: "lora-biases", method: "lora", fields: map[string]any{"r": 2, "bias": "lora_only", "target_modules": []string{"query", "dense"}, "layers_to_transform": []int{1, 2}}},
	{name: "lora-shifts", method: "lora", fields: map[string]any{"r": 2, "lora_alpha": 3, "lora_bias": true, "bias": "lora_only", "init_lora_weights": false}},
	{name: "lora-dora-biases", method: "lora", fields: map[string]any{"r": 2, "use_dora": true, "bias": "lora_only", "lora_dropout": 0.25}},
	loraDora,
	loraAllBiases,
	{name: "lora-all-biases-few-targets", method: "lora", fields: map[string]any{"r": 2, "lora_alpha": 1, "bias": "all", "target_modules": []string{"query", "pooler.dense"}}, always: true},
	{name: "prefix-projection", method: "prefix-projection", fields: map[string]any{"encoder_hidden_size": 24}, always: true},
	{name: "multitask", method: "multitask", always: true},
	{name: "multitask-vocab", method: "multitask", fields: map[string]any{"prompt_tuning_init": "SAMPLE_VOCAB", "num_tasks": 3, "num_ranks": 1}},
	{name: "cartridge", method: "cartridge", always: true},
	{name: "cartridge-none-frozen", method: "cartridge", fields: map[string]any{"num_frozen_tokens": 0}},
}

// loraDora runs on BERT and on weights that lie the other way round.
var loraDora = variant{name: "lora-dora", method: "lora", fields: map[string]any{
	"r": 3, "lora_alpha": 2, "use_dora": true, "target_modules": []string{"query", "value", "intermediate.dense", "output.dense", "c_attn"},
}}

// loraAllBiases runs on every architecture.
var loraAllBiases = variant{name: "lora-all-biases", method: "lora", fields: map[string]any{
	"r": 2, "lora_alpha": 1, "bias": "all", "target_modules": `.*\.(query|dense|q_lin|Wqkv|in_proj|query_proj|c_attn|query_key_value|q_proj|fc1)`,
}}

// modulesToSave are those of the variant's fields.
func (v variant) modulesToSave() []string {
	names, _ := v.fields["modules_to_save"].([]string)
	return names
}

// liveBase is a base model on the disk that a case runs on.
type liveBase struct {
	dir          string
	labels       int    // scores of the head that the adapter brings; 0: the base has its own head
	vocab        int    // ids are drawn below it
	hidden       int    // d
	architecture string // of transformers, for the null task
	real         bool   // not a tiny one
	decoder      bool   // it knows no token types
	end          int    // the last token of all texts; 0: any
	decoderIDs   bool   // what the decoder reads is given, not left to the model
	// sizes are those of a prompt of rows, where PEFT does not find the right ones.
	sizes map[string]any
}

// TestLiveTiny compares everything on tiny random models, whose every weight matters.
func TestLiveTiny(t *testing.T) {
	o := needOracle(t)
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			base := liveBase{dir: t.TempDir(), vocab: 90, hidden: 24, architecture: "BertForSequenceClassification"}
			sizes := strings.Fields("--layers 3 --hidden 24 --heads 3 --intermediate 40 --vocab 90 --max-positions 40")
			more := []string{"--task", string(c.task), "--num-labels", strconv.Itoa(max(c.labels, 1))}
			if c.kind == models.MultiLabel {
				more = append(more, "--set", `{"problem_type": "multi_label_classification"}`)
			}
			o.call(t, append(append([]string{"make-base", base.dir}, sizes...), more...)...)
			eachVariant(t, c, func(t *testing.T, v variant) { roundTrip(t, o, c, base, v) })
		})
	}
}

// TestLiveMiniLM compares the same on a real model.
func TestLiveMiniLM(t *testing.T) {
	o := needOracle(t)
	dir := miniLM(t)
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			base := liveBase{dir: dir, labels: c.labels, vocab: 30522, hidden: 384, real: true}
			if c.name == "null" { // the model has no head, and an adapter without a task brings none
				c.task, c.kind, base.labels, base.architecture = models.FeatureExtraction, "", 0, "BertModel"
			}
			eachVariant(t, c, func(t *testing.T, v variant) { roundTrip(t, o, c, base, v) })
		})
	}
}

func eachVariant(t *testing.T, c taskCase, test func(*testing.T, variant)) {
	for _, v := range variants {
		if c.takes(v.method) && (v.always || c.name == string(models.SeqCls)) {
			t.Run(v.name, func(t *testing.T) { test(t, v) })
		}
	}
}

// miniLM returns the directory of all-MiniLM-L6-v2.
func miniLM(t *testing.T) string {
	t.Helper()
	printed, err := exec.Command("oracle/minilm.sh").Output()
	if err != nil {
		t.Fatalf("oracle/minilm.sh: %v", err)
	}
	return strings.TrimSpace(string(printed))
}

// roundTrip is one cell of the table method × variant × task × base.
func roundTrip(t *testing.T, o *oracle, c taskCase, base liveBase, v variant) {
	cell := cell{oracle: o, taskCase: c, base: base, variant: v, folder: t.TempDir()}
	cell.model = openBase(t, base.dir, models.HeadSpec{Task: c.task, ProblemType: c.kind, ModulesToSave: v.modulesToSave()}, base.labels)
	cell.examples = cell.withTasks(drawExamples(c, base, seeded(5), 9, 1, 14))
	made := cell.path("made")
	cell.pythonMakes(t, made)
	t.Run("Python makes, Go loads", func(t *testing.T) { cell.goLoads(t, made) })
	if c.steps {
		t.Run("Go trains, Python loads", func(t *testing.T) { cell.goTrains(t, made) })
	}
}

type cell struct {
	oracle *oracle
	taskCase
	base     liveBase
	variant  variant
	folder   string
	model    *models.Model
	examples []example
}

// learningRate is that of the ten steps. On a real model the gradients of some parameters are as
// small as their own rounding errors, of which AdamW makes whole steps, and the encoders amplify
// them: the difference grows with the rate, in torch against torch as well. README.md has the numbers.
func (c cell) learningRate() float64 {
	switch encoder := strings.HasPrefix(c.variant.method, "ptuning") || slices.Contains([]string{"prefix-projection", "lora"}, c.variant.method); {
	case !c.base.real:
		return 1e-2
	case encoder:
		return 1e-4
	}
	return 1e-3
}

func (c cell) path(name string) string { return filepath.Join(c.folder, name) }

// arguments are those that all commands of the oracle take on a model.
func (c cell) arguments(command string, more ...string) []string {
	task := string(c.task)
	arguments := []string{command, "--base", c.base.dir}
	if c.name == "null" {
		task = "null"
		arguments = append(arguments, "--architecture", c.base.architecture)
	} else if c.base.labels > 0 {
		arguments = append(arguments, "--num-labels", strconv.Itoa(c.base.labels))
	}
	return append(append(arguments, "--task", task), more...)
}

// problem tells the commands that compute a loss which one.
func (c cell) problem() []string {
	if c.kind == models.MultiLabel {
		return []string{"--problem-type", c.kind}
	}
	return nil
}

func (c cell) pythonMakes(t *testing.T, dir string) {
	t.Helper()
	fields, err := json.Marshal(c.variant.fields)
	if err != nil {
		t.Fatal(err)
	}
	if c.variant.fields == nil {
		fields = []byte("{}")
	}
	c.oracle.call(t, c.arguments("make-adapter", "--method", c.variant.method, "--out", dir, "--n", strconv.Itoa(virtualTokens),
		"--config", string(fields), "--base-name", "some/base")...)
}

// pythonAnswers asks PEFT's model of an adapter directory. A real model is asked in
// double precision: in float32 Python's own numbers are up to 1.2e-5 off those.
func (c cell) pythonAnswers(t *testing.T, dir string, examples []example, more ...string) []answer {
	t.Helper()
	input, output := c.path("input.jsonl"), c.path("output.jsonl")
	writeLines(t, input, examples)
	command := append(c.arguments("forward", "--adapter", dir, "--input", input, "--output", output), c.problem()...)
	if c.base.real {
		command = append(command, "--dtype", "float64")
	}
	c.oracle.call(t, append(command, more...)...)
	return readAnswers(t, output)
}

// rounding is how far each answer of a real model is from the exact one when torch computes it in float32.
func (c cell) rounding(t *testing.T, dir string, examples []example, exact []answer) (errors []float64) {
	t.Helper()
	if !c.base.real {
		return nil
	}
	return differences(c.pythonAnswers(t, dir, examples, "--dtype", "float32"), exact)
}

// differences are how far answers are from the exact ones.
func differences(answers, exact []answer) (errors []float64) {
	for i, a := range answers {
		worst := 0.0
		for name, values := range a {
			for j, v := range values {
				worst = max(worst, math.Abs(v-exact[i][name][j]))
			}
		}
		errors = append(errors, worst)
	}
	return errors
}

// goLoads loads what Python made: valid, the same answers, and saved again the same bytes.
func (c cell) goLoads(t *testing.T, made string) {
	m := loadAdapter(t, made, c.model)
	noErrors(t, made, c.model)
	examples := c.padLabels(m, c.examples)
	want := c.pythonAnswers(t, made, examples)
	compareForward(t, c.ask(m.Forward).of(m.Adapter), examples, want, c.rounding(t, made, examples, want)...)
	again := c.path("again")
	if err := adapters.Save(again, m); err != nil {
		t.Fatal(err)
	}
	sameFiles(t, again, made)
	// Weights of 16 bits are rounded again when LoRA is added to them.
	if m.Config.PeftType == hfio.Lora && c.labels > 0 && c.name != "null" && c.task != models.QuestionAns && isFloat32(t, c.base.dir) {
		c.pythonReadsMerged(t, mergeAdapter(t, c.base.dir, made), examples, want)
	}
}

// isFloat32 tells whether a base's weights have 32 bits.
func isFloat32(t *testing.T, dir string) bool {
	t.Helper()
	checkpoint, err := hfio.OpenModel(hfio.Dir(dir), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer checkpoint.Close()
	tensor, err := checkpoint.Tensor(checkpoint.Names()[0])
	if err != nil {
		t.Fatal(err)
	}
	return tensor.DType == hfio.F32
}

// pythonReadsMerged asks transformers of the model that Go merged: PEFT's answers with the adapter.
func (c cell) pythonReadsMerged(t *testing.T, merged string, examples []example, want []answer) {
	input, output := c.path("merged.jsonl"), c.path("merged-output.jsonl")
	writeLines(t, input, examples)
	command := append([]string{"forward", "--base", merged, "--task", string(c.task), "--input", input, "--output", output}, c.problem()...)
	c.oracle.call(t, command...)
	for i, a := range readAnswers(t, output) {
		closeTo(t, "the merged model's logits", a["logits"], want[i]["logits"], 1e-5, 2e-5)
	}
}

// goTrains makes an adapter of the same config in Go, trains it, and wants of Python
// the same start directory, the same end of the same steps, the same answers of the
// trained adapter, and its tensors unchanged when PEFT saves it.
func (c cell) goTrains(t *testing.T, made string) {
	m, err := adapters.New(c.model, c.newConfig(t, made), adapters.Init{Rand: seeded(3)})
	if err != nil {
		t.Fatal(err)
	}
	start, data, result, trained := c.path("start.safetensors"), c.path("data.jsonl"), c.path("steps.safetensors"), c.path("trained")
	writeState(t, start, m)
	batches := c.drawBatches()
	writeLines(t, data, batches)
	run := takeSteps(t, m, c.ask(m.Forward), batches, plan{learningRate: c.learningRate(), weightDecay: 0.01, schedule: train.Constant})
	if err := adapters.Save(trained, m); err != nil {
		t.Fatal(err)
	}
	sameButWeights(t, trained, made)
	c.oracle.call(t, append(c.arguments("steps", "--adapter-config", filepath.Join(trained, hfio.AdapterConfigFile), "--start", start,
		"--data", data, "--out", result, "--keep", "last", "--lr", strconv.FormatFloat(c.learningRate(), 'g', -1, 64)), c.problem()...)...)
	compareSteps(t, m, run, openTensors(t, result))
	examples := c.padLabels(m, c.examples)
	compareForward(t, c.ask(m.Forward).of(m.Adapter), examples, c.pythonAnswers(t, trained, examples))
	c.pythonResaves(t, trained)
}

// pythonResaves lets PEFT load and save a directory of gopeft's: the weights file stays the same.
func (c cell) pythonResaves(t *testing.T, dir string) {
	t.Helper()
	again := c.path("resaved")
	c.oracle.call(t, c.arguments("resave", "--adapter", dir, "--out", again)...)
	own, python := readDir(t, dir), readDir(t, again)
	if own[hfio.AdapterWeightsFile] != python[hfio.AdapterWeightsFile] {
		t.Error("PEFT saved other weights than it loaded")
	}
}

// newConfig is the config that a user of the library gives: method, task and the
// variant's fields, no sizes. Python's file is read for the fields' values only.
func (c cell) newConfig(t *testing.T, made string) hfio.AdapterConfig {
	t.Helper()
	file := openAdapter(t, made)
	python := file.Config
	config := hfio.NewAdapterConfig(python.PeftType)
	config.TaskType = hfio.TaskType(c.task)
	if python.PeftType == hfio.Lora {
		config.R, config.LoraAlpha, config.UseRSLora, config.InitLoraWeights = python.R, python.LoraAlpha, python.UseRSLora, python.InitLoraWeights
		config.TargetModules, config.ExcludeModules, config.LayersToTransform = python.TargetModules, python.ExcludeModules, python.LayersToTransform
		config.LayersPattern, config.RankPattern, config.AlphaPattern = python.LayersPattern, python.RankPattern, python.AlphaPattern
		config.Bias, config.LoraBias, config.UseDora, config.LoraDropout = python.Bias, python.LoraBias, python.UseDora, python.LoraDropout
	}
	config.BaseModelNameOrPath = "some/base"
	config.PromptTuningInit = python.PromptTuningInit
	config.EncoderReparameterizationType = python.EncoderReparameterizationType
	config.PrefixProjection = python.PrefixProjection
	config.InitWeights = python.InitWeights
	config.NumTasks, config.NumRanks = python.NumTasks, python.NumRanks
	config.CPTTokenIDs, config.CPTTokensTypeMask = python.CPTTokenIDs, python.CPTTokensTypeMask
	config.OptWeightedLossType, config.OptLossDecayFactor = python.OptWeightedLossType, python.OptLossDecayFactor
	config.OptProjectionEpsilon, config.OptProjectionFormatEpsilon = python.OptProjectionEpsilon, python.OptProjectionFormatEpsilon
	if python.PeftType != hfio.CPT {
		config.NumVirtualTokens = virtualTokens
	}
	if hidden, ok := c.variant.fields["encoder_hidden_size"].(int); ok {
		config.EncoderHiddenSize = hidden
	}
	if layers, ok := c.variant.fields["encoder_num_layers"].(int); ok {
		config.EncoderNumLayers = layers
	}
	if dropout, ok := c.variant.fields["encoder_dropout"].(float64); ok {
		config.EncoderDropout = dropout
	}
	if tokens, ok := c.variant.fields["num_frozen_tokens"].(int); ok {
		config.NumFrozenTokens = tokens
	}
	return config
}

// padLabels gives the virtual tokens' rows no class: PEFT wants a label for every row.
func (c cell) padLabels(m *adapters.PeftModel, examples []example) []example {
	if c.task != models.TokenCls || m.Config.PeftType == hfio.PrefixTuning || m.Config.PeftType == hfio.Cartridge || m.Config.PeftType == hfio.Lora {
		return examples
	}
	padded := make([]example, len(examples))
	for i, e := range examples {
		padded[i] = e
		none := strings.Repeat("-100,", virtualTokens)
		padded[i].Labels = json.RawMessage("[" + none + strings.TrimPrefix(string(e.Labels), "["))
	}
	return padded
}

func (c cell) drawBatches() []batchLine {
	random := seeded(11)
	lines := make([]batchLine, 10)
	for i := range lines {
		lines[i].Batch = c.withTasks(drawExamples(c.taskCase, c.base, random, 2+random.IntN(9), 2+random.IntN(9), 2+random.IntN(9)))
	}
	return lines
}

// withTasks gives each sequence a task where there are several.
func (c cell) withTasks(examples []example) []example {
	if c.variant.method == "multitask" {
		for i := range examples {
			examples[i].TaskID = i % 2
		}
	}
	return examples
}

// drawExamples draws sequences of the given lengths with labels of the task.
func drawExamples(c taskCase, base liveBase, random *rand.Rand, lengths ...int) []example {
	list := make([]example, len(lengths))
	for i, length := range lengths {
		if c.task == models.CausalLM {
			length = max(length, 2) // of one token there is no loss
		}
		e := example{IDs: make([]int, length), TypeIDs: make([]int, length)}
		for j := range e.IDs {
			e.IDs[j], e.TypeIDs[j] = random.IntN(base.vocab), random.IntN(2)
		}
		if base.end > 0 {
			e.IDs[length-1] = base.end
		}
		if base.decoderIDs {
			e.Decoder = c.shift(e.IDs)
		}
		if base.decoder || c.task == models.Seq2SeqLM {
			e.TypeIDs = nil
		}
		if c.task == models.QuestionAns {
			start := random.IntN(length)
			end := start + random.IntN(length-start)
			e.Start, e.End = &start, &end
		} else {
			e.Labels = drawLabels(c, base, random, length)
		}
		list[i] = e
	}
	return list
}

func drawLabels(c taskCase, base liveBase, random *rand.Rand, length int) json.RawMessage {
	var value any
	switch {
	case c.kind == models.SingleLabel:
		value = random.IntN(c.labels)
	case c.kind == models.MultiLabel:
		value = []float64{float64(random.IntN(2)), float64(random.IntN(2)), 1}
	case c.kind == models.Regression:
		value = float64(random.IntN(200))/100 - 1
	case c.task == models.CausalLM:
		tokens := make([]int, length)
		for i := range tokens {
			tokens[i] = random.IntN(base.vocab)
			if i%4 == 2 {
				tokens[i] = models.Ignored
			}
		}
		value = tokens
	case c.task == models.Seq2SeqLM:
		target := make([]int, 1+random.IntN(6))
		for i := range target {
			target[i] = random.IntN(base.vocab)
		}
		if len(target) > 2 {
			target[1] = models.Ignored
		}
		value = target
	case c.task == models.TokenCls:
		classes := make([]int, length)
		for i := range classes[1:] { // the first has a class, so that there is a loss
			classes[i+1] = []int{models.Ignored, 0, 1, 2}[random.IntN(4)]
		}
		value = classes
	default:
		targets := make([]float64, base.hidden)
		for i := range targets {
			targets[i] = float64(random.IntN(200))/100 - 1
		}
		value = targets
	}
	encoded, err := json.Marshal(value)
	if err != nil {
		panic(err)
	}
	return encoded
}

func writeState(t *testing.T, path string, m *adapters.PeftModel) {
	t.Helper()
	data, err := hfio.EncodeSafeTensors(nil, state(m))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// noErrors wants no error among the findings about a directory of PEFT's.
func noErrors(t *testing.T, dir string, base *models.Model) {
	t.Helper()
	file := openAdapter(t, dir)
	shape := base.Backbone.Shape()
	for _, finding := range adapters.Validate(file, &shape) {
		if finding.Severity == adapters.Error {
			t.Errorf("Validate: %s", finding)
		}
	}
}

// sameButWeights wants PEFT's own files beside the weights, byte for byte. gopeft's side files may be there too.
func sameButWeights(t *testing.T, got, want string) {
	t.Helper()
	files, python := readDir(t, got), readDir(t, want)
	delete(python, hfio.AdapterWeightsFile)
	for name, data := range python {
		if files[name] != data {
			t.Errorf("%s: gopeft wrote\n%s\nand PEFT\n%s", name, files[name], data)
		}
	}
}
