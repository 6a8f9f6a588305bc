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
// al. 2021, "LoRA: Low-Rank Adaptation of Large Language Models"), and may have biases of its own
// in place of the base's, and lengths of the rows of weights (Liu et al. 2024, "DoRA: Weight-Decomposed
// Low-Rank Adaptation"). The base itself stays as it is.
type Lora struct {
	nn.Module
	Factors []*LoraFactors // in the order of the base's layers
	Biases  []*LoraBias    // in the order of the base's layers

	config hfio.AdapterConfig
}

// LoraFactors are what is added to one layer: scale · (x·Aᵀ·Bᵀ + shift).
type LoraFactors struct {
	nn.Module
	A     *nn.Param // [r, in]
	B     *nn.Param // [out, r]
	Shift *nn.Param // [1, out], lora_B's bias; nil: none
	// Magnitude is the length of each row of the weight, [1, out]; nil: it is what comes out.
	Magnitude *nn.Param

	target loraTarget
}

// LoraBias is what an adapter has in place of a layer's bias.
type LoraBias struct {
	nn.Module
	Values *nn.Param // [1, out]

	loraBias
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
	add(!slices.Contains([]string{"", "none", "all", "lora_only"}, cfg.Bias), "bias", "%q, want none, all or lora_only", cfg.Bias)
	add(cfg.UseDora && cfg.LoraBias, "lora_bias", "true, want false beside use_dora, as in PEFT")
	add(math.IsNaN(cfg.LoraAlpha) || math.IsInf(cfg.LoraAlpha, 0), "lora_alpha", "%v, want a finite number", cfg.LoraAlpha)
	add(!(cfg.LoraDropout >= 0 && cfg.LoraDropout < 1), "lora_dropout", "%v, want 0 to less than 1", cfg.LoraDropout)
	if err := layerConflict(cfg); err != nil {
		found = append(found, err)
	}
	init := string(bytes.TrimSpace(cfg.InitLoraWeights))
	add(init != "" && !slices.Contains(loraInits, init), "init_lora_weights", "%s, want one of %v: others change the base's weights", init, loraInits)
	add(cfg.LoraBias && init != "" && init != "true" && init != "false", "lora_bias", "true, want false beside init_lora_weights %s, as in PEFT", init)
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
	if _, _, _, err := newLoraPlan(cfg, base); err != nil {
		found = append(found, err)
	}
	return found
}

// newLoraPlan is [loraPlan] for a new adapter, with the config as PEFT writes it.
func newLoraPlan(cfg hfio.AdapterConfig, base *models.Model) (_ hfio.AdapterConfig, targets []loraTarget, biases []loraBias, err error) {
	if cfg.TargetModules, err = namedTargets(cfg, base); err != nil {
		return cfg, nil, nil, err
	}
	cfg.RankPattern, cfg.AlphaPattern = byName(cfg.RankPattern), byName(cfg.AlphaPattern)
	if targets, biases, err = loraPlan(cfg, base); err != nil {
		return cfg, nil, nil, err
	}
	for _, t := range targets {
		if most := max(t.In, t.Out); t.rank > most {
			return cfg, nil, nil, fieldError("r", "%d for %s, want at most %d: more than it has rows and columns takes memory for nothing", t.rank, t.path, most)
		}
	}
	return cfg, targets, biases, nil
}

func noteLora(hfio.AdapterConfig) []Finding { return nil }

// newLora starts A from torch.nn.Linear's U(±1/√in), or with "gaussian" from N(0, 1/r²),
// B and its bias from 0, or with false from U(±1/√r), the magnitudes from the lengths of the weight's
// rows with all that, and the base's biases as they are.
// Source: peft 0.21.2, tuners/lora/layer.py, reset_lora_parameters.
func newLora(cfg hfio.AdapterConfig, base *models.Model, init Init) (Adapter, error) {
	cfg, targets, biases, err := newLoraPlan(cfg, base)
	if err != nil {
		return nil, err
	}
	cfg.FanInFanOut = slices.ContainsFunc(targets, func(t loraTarget) bool { return t.Transposed })
	a := &Lora{config: cfg}
	for _, t := range targets {
		f := newFactors(t, cfg, init.Rand)
		if cfg.UseDora {
			lengths, err := f.lengths(base)
			if err != nil {
				return nil, err
			}
			f.Magnitude = kernel.NewParam(1, t.Out, lengths)
		}
		a.Factors = append(a.Factors, f)
	}
	for _, b := range biases {
		values, err := b.own(base)
		if err != nil {
			return nil, err
		}
		a.Biases = append(a.Biases, &LoraBias{Values: kernel.NewParam(1, b.Out, values), loraBias: b})
	}
	return a, nil
}

func newFactors(t loraTarget, cfg hfio.AdapterConfig, random *rand.Rand) *LoraFactors {
	start := string(bytes.TrimSpace(cfg.InitLoraWeights))
	a, b, shift := uniform(random, t.rank*t.In, 1/math.Sqrt(float64(t.In))), make([]float32, t.Out*t.rank), make([]float32, t.Out)
	switch start {
	case `"gaussian"`:
		for i := range a {
			a[i] = float32(random.NormFloat64() / float64(t.rank))
		}
	case "false":
		b = uniform(random, len(b), 1/math.Sqrt(float64(t.rank)))
		if cfg.LoraBias {
			shift = uniform(random, len(shift), 1/math.Sqrt(float64(t.rank)))
		}
	}
	f := &LoraFactors{A: kernel.NewParam(t.rank, t.In, a), B: kernel.NewParam(t.Out, t.rank, b), target: t}
	if cfg.LoraBias {
		f.Shift = kernel.NewParam(1, t.Out, shift)
	}
	return f
}

// lengths are those of the rows of the base's weight with the factors.
func (f *LoraFactors) lengths(base *models.Model) ([]float32, error) {
	t, err := ownTensor(base, f.target.path+".weight")
	if err != nil {
		return nil, err
	}
	values, err := t.Float32s()
	if err != nil {
		return nil, err
	}
	weight := kernel.Values{Float32: values}
	if f.target.Transposed {
		weight = layer.Transposed(weight, f.target.Out)
	}
	delta := kernel.LowRank{A: f.A, B: f.B, Scale: f.target.scale}
	return kernel.NewWeight(f.target.In, kernel.Float32, weight).Norms(delta), nil
}

func restoreLora(cfg hfio.AdapterConfig, base *models.Model, file *hfio.Adapter, _ *encoderTensors) (Adapter, error) {
	targets, biases, err := loraPlan(cfg, base)
	if err != nil {
		return nil, err
	}
	a := &Lora{config: cfg}
	for _, t := range targets {
		f := &LoraFactors{A: kernel.NewParam(t.rank, t.In, nil), B: kernel.NewParam(t.Out, t.rank, nil), target: t}
		if cfg.LoraBias {
			f.Shift = kernel.NewParam(1, t.Out, nil)
		}
		if cfg.UseDora {
			f.Magnitude = kernel.NewParam(1, t.Out, nil)
		}
		a.Factors = append(a.Factors, f)
	}
	for _, b := range biases {
		a.Biases = append(a.Biases, &LoraBias{Values: kernel.NewParam(1, b.Out, nil), loraBias: b})
	}
	for _, p := range a.Trained() {
		values, err := readTensor(file, p.Name)
		if err != nil {
			return nil, err
		}
		copy(kernel.Data(p.Param), values)
	}
	return a, nil
}

// Prompt returns the deltas of the layers; there are no virtual tokens.
func (a *Lora) Prompt(*layer.Dropout, *models.Pool) (*models.Prompt, error) {
	deltas := make(map[string]layer.Delta, len(a.Factors)+len(a.Biases))
	for _, f := range a.Factors {
		delta := layer.Delta{A: f.A, B: f.B, Scale: f.target.scale, Dropout: float32(a.config.LoraDropout)}
		if f.Shift != nil {
			delta.Shift = f.Shift
		}
		if f.Magnitude != nil {
			delta.Magnitude = &layer.Magnitude{Values: f.Magnitude}
		}
		deltas[f.target.Name] = delta
	}
	for _, b := range a.Biases {
		delta := deltas[b.Name]
		delta.Bias = b.Values
		deltas[b.Name] = delta
	}
	return &models.Prompt{Deltas: deltas}, nil
}

// Config returns the config; target_modules are named in it.
func (a *Lora) Config() hfio.AdapterConfig { return a.config }

// Stored returns lora_A.weight [r, in], lora_B.weight [out, r], the magnitudes and the biases [out] of every layer.
func (a *Lora) Stored() ([]hfio.Tensor, error) {
	var tensors []hfio.Tensor
	for _, p := range a.Trained() {
		tensors = append(tensors, hfio.NewFloat32(p.Name, paramShape(p, 0), kernel.Data(p.Param)))
	}
	return tensors, nil
}

// Trained returns the factors and the biases under the names of the file.
func (a *Lora) Trained() []models.NamedParam {
	var params []models.NamedParam
	add := func(name string, p *nn.Param) {
		if p != nil {
			params = append(params, models.NamedParam{Name: name, Param: p})
		}
	}
	for _, f := range a.Factors {
		name := headPrefixOf(hfio.Lora) + f.target.path
		add(name+factorA, f.A)
		add(name+factorB, f.B)
		add(name+shiftEnd, f.Shift)
		add(name+magnitudeEnd, f.Magnitude)
	}
	for _, b := range a.Biases {
		add(b.name, b.Values)
	}
	return params
}

// Continuable is true: PEFT keeps all of the method.
func (a *Lora) Continuable() bool { return true }
