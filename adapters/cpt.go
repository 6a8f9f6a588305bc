package adapters

import (
	"fmt"
	"math"
	"slices"

	"github.com/nlpodyssey/spago/mat"
	"github.com/nlpodyssey/spago/nn"

	"github.com/gopeft/gopeft/hfio"
	"github.com/gopeft/gopeft/internal/kernel"
	"github.com/gopeft/gopeft/models"
	"github.com/gopeft/gopeft/models/layer"
)

// CPT is P rows before the word embeddings (Tsachor et al. 2024, "Context-aware Prompt
// Tuning"): the words of a context of examples, and what training adds to them, which is
// kept small. The model learns to say the labels of the context, too. PEFT has it for causal
// language models only.
type CPT struct {
	nn.Module
	Delta *nn.Param // [P, d], whose rows count as no longer than bounds

	words  mat.Tensor // [P, d], frozen
	bounds []float32  // of the norms of Delta's rows
	config hfio.AdapterConfig
}

var (
	_ Adapter    = (*CPT)(nil)
	_ Projected  = (*CPT)(nil)
	_ Contextual = (*CPT)(nil)
	_ encoded    = (*CPT)(nil)
)

// The parameters of PEFT's CPTEmbedding.
const deltaName = "delta_embedding.weight"

// Projected is an adapter whose parameters are drawn back into bounds after each step.
type Projected interface{ Project() }

// Contextual is an adapter whose virtual tokens the model learns to say.
type Contextual interface{ Context() Context }

// Context is what a model learns of virtual tokens that stand before a sequence.
type Context struct {
	Labels  []int     // one a virtual token; models.Ignored where it is none
	Weights []float32 // of their terms in the loss
}

// The kinds of cpt_tokens_type_mask, but for a multiple of 4: that counts the examples.
const (
	cptLabel          = 0
	cptInputTemplate  = 1
	cptInput          = 2
	cptOutputTemplate = 3
)

// The values of opt_weighted_loss_type.
const (
	cptNone  = "none"
	cptDecay = "decay"
)

// cptErrors is what PEFT refuses at loading. Source: peft 0.21.2, tuners/cpt/config.py.
func cptErrors(cfg hfio.AdapterConfig) []error {
	var found []error
	if cfg.TaskType != hfio.CausalLM {
		found = append(found, fieldError("task_type", "%q, want %s: PEFT knows the method for no other", cfg.TaskType, hfio.CausalLM))
	}
	ids := max(1, len(cfg.CPTTokenIDs)) // of null PEFT makes one token
	if cfg.NumVirtualTokens != ids {
		found = append(found, fieldError("num_virtual_tokens", "%d, want %d, which is what PEFT takes: as many as cpt_token_ids", cfg.NumVirtualTokens, ids))
	}
	if n := len(cfg.CPTMask); cfg.CPTMask != nil && n != ids {
		found = append(found, fieldError("cpt_mask", "%d values, want %d, as many as cpt_token_ids", n, ids))
	}
	if n := len(cfg.CPTTokensTypeMask); cfg.CPTTokensTypeMask != nil && n != ids {
		found = append(found, fieldError("cpt_tokens_type_mask", "%d values, want %d, as many as cpt_token_ids", n, ids))
	}
	return found
}

func noteCPT(cfg hfio.AdapterConfig) []Finding {
	var found []Finding
	for _, err := range cptErrors(cfg) {
		found = append(found, errorFinding(err))
	}
	switch cfg.OptWeightedLossType {
	case cptNone, cptDecay:
	default:
		found = append(found, note("opt_weighted_loss_type", "%q is unknown; PEFT takes it for none when it trains", cfg.OptWeightedLossType))
	}
	return found
}

// checkCPT knows what PEFT refuses, and what it would make no number of: the labels of a
// sequence are those whose kind is a multiple of 4 when the highest of the context is added.
// Source: peft 0.21.2, peft_model.py, _cpt_forward.
func checkCPT(cfg hfio.AdapterConfig, base *models.Model, _ Init) []error {
	found := cptErrors(cfg)
	if len(cfg.CPTTokenIDs) == 0 {
		found = append(found, fieldError("cpt_token_ids", "null, want the tokens of the context"))
	} else if err := base.Backbone.Shape().CheckIDs(cfg.CPTTokenIDs); err != nil {
		found = append(found, fieldError("cpt_token_ids", "%v", err))
	}
	if kinds := cfg.CPTTokensTypeMask; len(kinds) == 0 {
		found = append(found, fieldError("cpt_tokens_type_mask", "null, want the kinds of the context's tokens"))
	} else if least, most := slices.Min(kinds), slices.Max(kinds); least < 0 || most%4 != 0 {
		found = append(found, fieldError("cpt_tokens_type_mask",
			"from %d to %d, want no negative one, and the highest a multiple of 4: else PEFT learns no token of a sequence", least, most))
	}
	if cfg.OptWeightedLossType != cptNone && cfg.OptWeightedLossType != cptDecay {
		found = append(found, fieldError("opt_weighted_loss_type", "%q, want %s or %s", cfg.OptWeightedLossType, cptNone, cptDecay))
	}
	for _, number := range []struct {
		field string
		value float64
	}{
		{"opt_loss_decay_factor", cfg.OptLossDecayFactor},
		{"opt_projection_epsilon", cfg.OptProjectionEpsilon},
		{"opt_projection_format_epsilon", cfg.OptProjectionFormatEpsilon},
	} {
		if !(number.value >= 0) || math.IsInf(number.value, 1) {
			found = append(found, fieldError(number.field, "%v, want a number of 0 or more", number.value))
		}
	}
	return found
}

// newCPT starts from the words of the context.
// Source: peft 0.21.2, tuners/cpt/model.py.
func newCPT(cfg hfio.AdapterConfig, base *models.Model, _ Init) (Adapter, error) {
	if cfg.CPTMask == nil {
		cfg.CPTMask = slices.Repeat([]int{1}, len(cfg.CPTTokenIDs))
	}
	words, err := base.Backbone.Embed(cfg.CPTTokenIDs)
	if err != nil {
		return nil, fmt.Errorf("word embeddings of the context: %w", err)
	}
	return newDelta(cfg, slices.Clone(kernel.Data(words)), nil), nil
}

// restoreCPT takes the rows for words where it is not known what training added to them, as
// PEFT does.
func restoreCPT(cfg hfio.AdapterConfig, _ *models.Model, file *hfio.Adapter, encoder *encoderTensors) (Adapter, error) {
	rows, err := readPrompt(file)
	if err != nil {
		return nil, err
	}
	if encoder == nil {
		return newDelta(cfg, rows, nil), nil
	}
	delta := encoder.matrix(deltaName, cfg.NumVirtualTokens, cfg.TokenDim)
	if _, ok := encoder.state.Tensor(encoderPrefix + embeddingName); !ok && file.State != nil {
		encoder.state = file.State // of a run, whose own parameters are the delta alone: the words do not change
	}
	words := encoder.matrix(embeddingName, cfg.NumVirtualTokens, cfg.TokenDim)
	if err := encoder.err(); err != nil {
		return nil, err
	}
	return newDelta(cfg, kernel.Data(words), kernel.Data(delta)), nil
}

// newDelta makes the adapter of words and of what is added to them, nil for nothing.
func newDelta(cfg hfio.AdapterConfig, words, delta []float32) *CPT {
	if delta == nil {
		delta = make([]float32, len(words))
	}
	n := len(words) / cfg.TokenDim
	a := &CPT{
		Delta: kernel.NewParam(n, cfg.TokenDim, delta), words: kernel.New(n, cfg.TokenDim, words),
		bounds: make([]float32, n), config: cfg,
	}
	for i := range a.bounds {
		a.bounds[i] = 1e-10
		root := float32(math.Sqrt(float64(float32(cfg.TokenDim) / 2048)))
		switch a.kind(i) % 4 {
		case cptInputTemplate, cptOutputTemplate:
			a.bounds[i] = float32(cfg.OptProjectionFormatEpsilon) * root
		case cptInput:
			a.bounds[i] = float32(cfg.OptProjectionEpsilon) * root
		}
	}
	return a
}

// kind is the value of cpt_tokens_type_mask, which null fills with 1.
func (a *CPT) kind(token int) int {
	if token >= len(a.config.CPTTokensTypeMask) {
		return 1
	}
	return a.config.CPTTokensTypeMask[token]
}

// Project shortens the rows that are longer than their bounds. PEFT does so whenever it reads
// them, with no part in the gradient.
func (a *CPT) Project() {
	values, d := kernel.Data(a.Delta), a.config.TokenDim
	for i, factor := range a.factors() {
		for j := range d {
			values[i*d+j] *= factor
		}
	}
}

// factors shorten the rows to their bounds.
// Source: peft 0.21.2, tuners/cpt/model.py, get_projection.
func (a *CPT) factors() []float32 {
	values, d, factors := kernel.Data(a.Delta), a.config.TokenDim, make([]float32, len(a.bounds))
	for i, bound := range a.bounds {
		sum := 0.0
		for _, v := range values[i*d:][:d] {
			sum += float64(v) * float64(v)
		}
		factors[i] = 1
		if norm := float32(math.Sqrt(sum)); norm > bound {
			factors[i] = bound / norm
		}
	}
	return factors
}

// Context returns the labels of the context: those of a later example count more where the
// loss decays.
// Source: peft 0.21.2, tuners/cpt/model.py, calculate_loss.
func (a *CPT) Context() Context {
	n := len(a.bounds)
	c := Context{Labels: slices.Repeat([]int{models.Ignored}, n), Weights: slices.Repeat([]float32{1}, n)}
	var examples []int // by the kinds of their labels; nothing predicts the first token
	for i := 1; i < n; i++ {
		if kind := a.kind(i); kind > 0 && kind%4 == cptLabel {
			c.Labels[i] = a.config.CPTTokenIDs[i]
			examples = append(examples, kind)
		}
	}
	if a.config.OptWeightedLossType != cptDecay {
		return c
	}
	slices.Sort(examples)
	examples = slices.Compact(examples)
	for i, label := range c.Labels {
		if label != models.Ignored {
			later := len(examples) - slices.Index(examples, a.kind(i)) // the sequence's own labels are the last
			c.Weights[i] = float32(math.Pow(a.config.OptLossDecayFactor, float64(later)))
		}
	}
	return c
}

// Prompt returns the words with what is added to them, [P, d]. Labels get no gradient.
func (a *CPT) Prompt(_ *layer.Dropout, pool *models.Pool) (*models.Prompt, error) {
	return &models.Prompt{Input: a.embeddings(pool)}, nil
}

func (a *CPT) embeddings(pool *models.Pool) mat.Tensor {
	rows, factors := make([]kernel.Span, len(a.bounds)), a.factors()
	for i := range rows {
		rows[i] = kernel.Span{Start: i, End: i + 1}
		if a.kind(i)%4 == cptLabel {
			factors[i] = 0
		}
	}
	delta := kernel.ScaleSpans(kernel.WithPool(a.Delta, pool), rows, factors)
	return kernel.Replace(delta, kernel.Add(a.words, delta))
}

// Config returns the config with every size filled in.
func (a *CPT) Config() hfio.AdapterConfig { return a.config }

// Stored returns the rows, [P, d].
func (a *CPT) Stored() ([]hfio.Tensor, error) { return storedPrompt(a.embeddings(nil)), nil }

// Trained returns what is added to the words, delta_embedding.weight.
func (a *CPT) Trained() []models.NamedParam {
	return []models.NamedParam{{Name: deltaName, Param: a.Delta}}
}

// Continuable is true: without the side file training goes on from the rows, as in PEFT.
func (a *CPT) Continuable() bool { return true }

func (a *CPT) encoder() []models.NamedParam {
	words := kernel.NewParam(kernel.Rows(a.words), kernel.Cols(a.words), kernel.Data(a.words))
	return append(a.Trained(), models.NamedParam{Name: embeddingName, Param: words})
}
