package adapters

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/nlpodyssey/spago/nn"

	"github.com/gopeft/gopeft/hfio"
	"github.com/gopeft/gopeft/internal/kernel"
	"github.com/gopeft/gopeft/models"
	"github.com/gopeft/gopeft/models/layer"
)

// Lora adds a product of two small trained matrices to linear layers of the base (Hu et
// al. 2021, "LoRA: Low-Rank Adaptation of Large Language Models"). The base itself stays as it is.
type Lora struct {
	nn.Module
	Factors []*LoraFactors // in the order of the base's layers

	config hfio.AdapterConfig
}

// LoraFactors are what is added to one layer: scale · x·Aᵀ·Bᵀ.
type LoraFactors struct {
	nn.Module
	A *nn.Param // [r, in]
	B *nn.Param // [out, r]

	target loraTarget
}

var _ Adapter = (*Lora)(nil)

// loraInits are the values of init_lora_weights that leave the base as it is; the
// others, which PEFT runs again when it loads the file, change its weights.
var loraInits = []string{"true", "false", `"gaussian"`}

// loraConfigErrors reports what keeps a config from being computed here. Settings that
// have no field must be as PEFT writes them where they are not used.
func loraConfigErrors(cfg hfio.AdapterConfig) []error {
	var found []error
	add := func(bad bool, field, format string, args ...any) {
		if bad {
			found = append(found, fieldError(field, format, args...))
		}
	}
	add(cfg.Bias != "none" && cfg.Bias != "", "bias", "%q, want none: gopeft shares the base among adapters and trains none of its biases", cfg.Bias)
	add(cfg.UseDora, "use_dora", "true, want false: DoRA is not supported")
	add(!(cfg.LoraDropout >= 0 && cfg.LoraDropout < 1), "lora_dropout", "%v, want 0 to less than 1", cfg.LoraDropout)
	if err := layerConflict(cfg); err != nil {
		found = append(found, err)
	}
	init := string(bytes.TrimSpace(cfg.InitLoraWeights))
	add(init != "" && !slices.Contains(loraInits, init), "init_lora_weights", "%s, want one of %v: others change the base's weights", init, loraInits)
	defaults := hfio.LoraDefaults()
	for _, key := range slices.Sorted(maps.Keys(cfg.Unknown)) {
		standard, known := defaults[key]
		add(known && !sameJSON(standard, cfg.Unknown[key]) && !isEmpty(cfg.Unknown[key]), key, "%s, want %s: not supported", cfg.Unknown[key], standard)
	}
	return found
}

func sameJSON(a, b json.RawMessage) bool {
	var x, y bytes.Buffer
	return json.Compact(&x, a) == nil && json.Compact(&y, b) == nil && x.String() == y.String()
}

// isEmpty tells whether a setting asks for nothing, as older versions wrote it.
func isEmpty(raw json.RawMessage) bool {
	return slices.Contains([]string{"null", "false", "{}", "[]"}, string(bytes.TrimSpace(raw)))
}

func checkLora(cfg hfio.AdapterConfig, base *models.Model, init Init) []error {
	found := loraConfigErrors(cfg)
	if init.Rand == nil {
		found = append(found, fmt.Errorf("%w: Init.Rand is nil", ErrConfig))
	}
	targets, err := namedTargets(cfg, base)
	if err == nil {
		cfg.TargetModules = targets
		_, err = loraTargets(cfg, base)
	}
	if err != nil {
		found = append(found, err)
	}
	return found
}

func noteLora(hfio.AdapterConfig) []Finding { return nil }

// newLora starts A from torch.nn.Linear's U(±1/√in), or with "gaussian" from N(0, 1/r²),
// and B from 0, or with false from U(±1/√r).
// Source: peft 0.21.2, tuners/lora/layer.py, reset_lora_parameters.
func newLora(cfg hfio.AdapterConfig, base *models.Model, init Init) (Adapter, error) {
	var err error
	if cfg.TargetModules, err = namedTargets(cfg, base); err != nil {
		return nil, err
	}
	cfg.RankPattern, cfg.AlphaPattern = byName(cfg.RankPattern), byName(cfg.AlphaPattern)
	targets, err := loraTargets(cfg, base)
	if err != nil {
		return nil, err
	}
	cfg.FanInFanOut = slices.ContainsFunc(targets, func(t loraTarget) bool { return t.Transposed })
	a := &Lora{config: cfg}
	for _, t := range targets {
		a.Factors = append(a.Factors, newFactors(t, string(bytes.TrimSpace(cfg.InitLoraWeights)), init.Rand))
	}
	return a, nil
}

func newFactors(t loraTarget, start string, random *rand.Rand) *LoraFactors {
	a, b := uniform(random, t.rank*t.In, 1/math.Sqrt(float64(t.In))), make([]float32, t.Out*t.rank)
	switch start {
	case `"gaussian"`:
		for i := range a {
			a[i] = float32(random.NormFloat64() / float64(t.rank))
		}
	case "false":
		b = uniform(random, len(b), 1/math.Sqrt(float64(t.rank)))
	}
	return &LoraFactors{A: kernel.NewParam(t.rank, t.In, a), B: kernel.NewParam(t.Out, t.rank, b), target: t}
}

func restoreLora(cfg hfio.AdapterConfig, base *models.Model, file *hfio.Adapter, _ *encoderTensors) (Adapter, error) {
	targets, err := loraTargets(cfg, base)
	if err != nil {
		return nil, err
	}
	a := &Lora{config: cfg}
	for _, t := range targets {
		nameA, nameB := t.factorNames()
		valuesA, err := readTensor(file, nameA)
		if err != nil {
			return nil, err
		}
		valuesB, err := readTensor(file, nameB)
		if err != nil {
			return nil, err
		}
		a.Factors = append(a.Factors, &LoraFactors{A: kernel.NewParam(t.rank, t.In, valuesA), B: kernel.NewParam(t.Out, t.rank, valuesB), target: t})
	}
	return a, nil
}

// Prompt returns the deltas of the layers; there are no virtual tokens.
func (a *Lora) Prompt(*layer.Dropout, *models.Pool) (*models.Prompt, error) {
	deltas := make(map[string]layer.Delta, len(a.Factors))
	for _, f := range a.Factors {
		deltas[f.target.Name] = layer.Delta{A: f.A, B: f.B, Scale: f.target.scale, Dropout: float32(a.config.LoraDropout)}
	}
	return &models.Prompt{Deltas: deltas}, nil
}

// Config returns the config; target_modules are named in it.
func (a *Lora) Config() hfio.AdapterConfig { return a.config }

// Stored returns lora_A.weight [r, in] and lora_B.weight [out, r] of every layer.
func (a *Lora) Stored() ([]hfio.Tensor, error) {
	var tensors []hfio.Tensor
	for _, p := range a.Trained() {
		tensors = append(tensors, hfio.NewFloat32(p.Name, []int{kernel.Rows(p.Param), kernel.Cols(p.Param)}, kernel.Data(p.Param)))
	}
	return tensors, nil
}

// Trained returns the factors under the names of the file.
func (a *Lora) Trained() []models.NamedParam {
	var params []models.NamedParam
	for _, f := range a.Factors {
		nameA, nameB := f.target.factorNames()
		params = append(params, models.NamedParam{Name: nameA, Param: f.A}, models.NamedParam{Name: nameB, Param: f.B})
	}
	return params
}

// Continuable is true: PEFT keeps all of the method.
func (a *Lora) Continuable() bool { return true }
