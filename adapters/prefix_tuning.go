package adapters

import (
	"github.com/nlpodyssey/spago/mat"
	"github.com/nlpodyssey/spago/nn"

	"github.com/gopeft/gopeft/hfio"
	"github.com/gopeft/gopeft/internal/kernel"
	"github.com/gopeft/gopeft/models"
	"github.com/gopeft/gopeft/models/layer"
)

// PrefixTuning is trained keys and values before those of every layer (Li and
// Liang 2021, "Prefix-Tuning"; on encoders: Liu et al. 2022, "P-Tuning v2").
// With a projection, the prefix is a small network's output, which PEFT keeps
// instead of the network.
type PrefixTuning struct {
	nn.Module
	Embedding *nn.Param   // [P, 2·L·d], or [P, d] under a projection
	Transform *projection // nil: none, or the file did not keep it

	config hfio.AdapterConfig
	pairs  []int // see prefixPairs
}

// projection is Linear(d, h), tanh, Linear(h, 2·L·d).
type projection struct {
	nn.Module
	In, Out *linear
}

var (
	_ Adapter = (*PrefixTuning)(nil)
	_ encoded = (*PrefixTuning)(nil)
)

const initZero = "zero" // of init_weights

func checkPrefixTuning(cfg hfio.AdapterConfig, _ *models.Model, _ Init) []error {
	switch cfg.InitWeights {
	case "", initZero:
		return nil
	}
	return []error{fieldError("init_weights", "%q, want null or %q", cfg.InitWeights, initZero)}
}

func notePrefixTuning(cfg hfio.AdapterConfig) []Finding {
	switch cfg.InitWeights {
	case "", initZero:
		return nil
	}
	return []Finding{note("init_weights", "%q is unknown; it changes nothing for a stored prompt", cfg.InitWeights)}
}

// newPrefixTuning starts from N(0, 1), under a projection from torch's Linear. The
// init "zero" sets the embedding, or the projection's last layer, to 0.
// Source: peft 0.21.2, tuners/prefix_tuning/model.py.
func newPrefixTuning(cfg hfio.AdapterConfig, base *models.Model, init Init) (Adapter, error) {
	a := &PrefixTuning{config: cfg, pairs: prefixPairs(cfg, base.Backbone.Shape())}
	width := 2 * cfg.NumLayers * cfg.TokenDim
	if !cfg.PrefixProjection {
		a.Embedding = kernel.NewParam(cfg.NumVirtualTokens, width, normal(init.Rand, cfg.NumVirtualTokens*width))
		a.zero(a.Embedding)
		return a, nil
	}
	a.Embedding = kernel.NewParam(cfg.NumVirtualTokens, cfg.TokenDim, normal(init.Rand, cfg.NumVirtualTokens*cfg.TokenDim))
	a.Transform = &projection{
		In:  newLinear(init.Rand, cfg.TokenDim, cfg.EncoderHiddenSize),
		Out: newLinear(init.Rand, cfg.EncoderHiddenSize, width),
	}
	a.zero(a.Transform.Out.Weight)
	a.zero(a.Transform.Out.Bias)
	return a, nil
}

// zero clears a parameter where the config asks for it.
func (a *PrefixTuning) zero(p *nn.Param) {
	if a.config.InitWeights == initZero {
		clear(kernel.Data(p))
	}
}

func restorePrefixTuning(cfg hfio.AdapterConfig, base *models.Model, file *hfio.Adapter, encoder *encoderTensors) (Adapter, error) {
	prompt, err := readPrompt(file)
	if err != nil {
		return nil, err
	}
	a := &PrefixTuning{config: cfg, pairs: prefixPairs(cfg, base.Backbone.Shape())}
	if !cfg.PrefixProjection || encoder == nil {
		a.Embedding = kernel.NewParam(cfg.NumVirtualTokens, len(prompt)/cfg.NumVirtualTokens, prompt)
		a.Embedding.SetRequiresGrad(!cfg.PrefixProjection)
		return a, nil
	}
	hidden := cfg.EncoderHiddenSize
	a.Embedding = encoder.matrix(embeddingName, cfg.NumVirtualTokens, cfg.TokenDim)
	a.Transform = &projection{
		In:  readLinear(encoder, "transform.0", cfg.TokenDim, hidden),
		Out: readLinear(encoder, "transform.2", hidden, 2*cfg.NumLayers*cfg.TokenDim),
	}
	return a, encoder.err()
}

// Prompt cuts the flat prefix into the layers' keys and values, [P, d] each.
func (a *PrefixTuning) Prompt(_ *layer.Dropout, pool *models.Pool) (*models.Prompt, error) {
	return cachedPrompt(a.embeddings(pool), a.config.NumLayers, a.pairs), nil
}

// embeddings returns the flat prefix [P, 2·L·d]: the keys of layer 0, its values,
// the keys of layer 1, … PEFT knows no dropout on a prefix.
func (a *PrefixTuning) embeddings(pool *models.Pool) mat.Tensor {
	flat := kernel.WithPool(a.Embedding, pool)
	if a.Transform == nil {
		return flat
	}
	hidden := a.Transform.In.forward(flat) // [P, h]
	hidden = kernel.Replace(hidden, kernel.Tanh(hidden))
	return kernel.Replace(hidden, a.Transform.Out.forward(hidden))
}

// cachedPrompt cuts a flat prefix [P, 2·L·d] into the pairs of keys and values that the
// layers get.
// Source: peft 0.21.2, peft_model.py, get_prompt: a row is [layer][key, value][head][head size].
func cachedPrompt(flat mat.Tensor, layers int, pairs []int) *models.Prompt {
	width := kernel.Cols(flat) / (2 * layers)
	cut, past := make([]models.KV, layers), make([]models.KV, len(pairs))
	for i, pair := range pairs {
		if at := 2 * pair * width; cut[pair].Keys == nil {
			cut[pair] = models.KV{
				Keys:   kernel.Columns(flat, at, at+width),
				Values: kernel.Columns(flat, at+width, at+2*width),
			}
		}
		past[i] = cut[pair]
	}
	return &models.Prompt{Past: past}
}

// Config returns the config with every size filled in.
func (a *PrefixTuning) Config() hfio.AdapterConfig { return a.config }

// Stored returns the flat prefix, [P, 2·L·d].
func (a *PrefixTuning) Stored() ([]hfio.Tensor, error) {
	return storedPrompt(a.embeddings(nil)), nil
}

// Trained returns embedding.weight, and transform.0 and transform.2 of a projection.
func (a *PrefixTuning) Trained() []models.NamedParam {
	if !a.Continuable() {
		return nil
	}
	params := []models.NamedParam{{Name: embeddingName, Param: a.Embedding}}
	if a.Transform != nil {
		params = append(params, a.Transform.In.named("transform.0")...)
		params = append(params, a.Transform.Out.named("transform.2")...)
	}
	return params
}

// Continuable is false for a projection that the file did not keep.
func (a *PrefixTuning) Continuable() bool { return a.Transform != nil || !a.config.PrefixProjection }

func (a *PrefixTuning) encoder() []models.NamedParam {
	if a.Transform == nil {
		return nil
	}
	return a.Trained()
}
