package adapters

import (
	"slices"

	"github.com/nlpodyssey/spago/mat"
	"github.com/nlpodyssey/spago/nn"

	"github.com/gopeft/gopeft/hfio"
	"github.com/gopeft/gopeft/internal/kernel"
	"github.com/gopeft/gopeft/models"
	"github.com/gopeft/gopeft/models/layer"
)

// Cartridge is trained keys and values before those of every layer, of which the
// first few tokens stay as they began (Eyuboglu et al. 2025, "Cartridges"). Its files
// and its answers are those of a [PrefixTuning] without a projection.
type Cartridge struct {
	nn.Module
	Embedding *nn.Param // [P-F, 2·L·d]: the tokens that are trained

	frozen mat.Tensor // [F, 2·L·d]: the tokens before them
	config hfio.AdapterConfig
	pairs  []int // see prefixPairs
}

var _ Adapter = (*Cartridge)(nil)

// trainableName is the parameter of PEFT's CartridgeEncoder.
const trainableName = "trainable_embedding"

// checkCartridge knows what PEFT refuses, at loading too. It takes F = P as well; here
// a method has something to train.
// Source: peft 0.21.2, tuners/cartridge/config.py.
func checkCartridge(cfg hfio.AdapterConfig, _ *models.Model, _ Init) []error {
	if f := cfg.NumFrozenTokens; f < 0 || f >= cfg.NumVirtualTokens {
		return []error{fieldError("num_frozen_tokens", "%d, want 0 to %d, fewer than the virtual tokens", f, max(0, cfg.NumVirtualTokens-1))}
	}
	return nil
}

func noteCartridge(cfg hfio.AdapterConfig) []Finding {
	switch f, p := cfg.NumFrozenTokens, cfg.NumVirtualTokens; {
	case f < 0 || f > p:
		return []Finding{problem("num_frozen_tokens", "%d, want 0 to num_virtual_tokens, %d; Python PEFT refuses to load it", f, p)}
	case f == p:
		return []Finding{note("num_frozen_tokens", "%d, as many as virtual tokens: training changes none", f)}
	}
	return nil
}

// newCartridge starts from N(0, 1). Source: peft 0.21.2, tuners/cartridge/model.py.
func newCartridge(cfg hfio.AdapterConfig, base *models.Model, init Init) (Adapter, error) {
	return cartridge(cfg, base, normal(init.Rand, cfg.NumVirtualTokens*2*cfg.NumLayers*cfg.TokenDim)), nil
}

func restoreCartridge(cfg hfio.AdapterConfig, base *models.Model, file *hfio.Adapter, _ *encoderTensors) (Adapter, error) {
	if found := noteCartridge(cfg); len(found) > 0 && found[0].Severity == Error {
		return nil, fieldError(found[0].Field, "%s", found[0].Message)
	}
	prompt, err := readPrompt(file)
	if err != nil {
		return nil, err
	}
	return cartridge(cfg, base, prompt), nil
}

func cartridge(cfg hfio.AdapterConfig, base *models.Model, values []float32) *Cartridge {
	width := len(values) / cfg.NumVirtualTokens
	at := cfg.NumFrozenTokens * width
	return &Cartridge{
		Embedding: kernel.NewParam(cfg.NumVirtualTokens-cfg.NumFrozenTokens, width, slices.Clone(values[at:])),
		frozen:    kernel.New(cfg.NumFrozenTokens, width, slices.Clone(values[:at])),
		config:    cfg,
		pairs:     prefixPairs(cfg, base.Backbone.Shape()),
	}
}

// Prompt cuts the tokens into the layers' keys and values, [P, d] each.
func (a *Cartridge) Prompt(_ *layer.Dropout, pool *models.Pool) (*models.Prompt, error) {
	return cachedPrompt(a.embeddings(pool), a.config.NumLayers, a.pairs), nil
}

// embeddings returns all tokens, [P, 2·L·d], in the layout of a prefix.
func (a *Cartridge) embeddings(pool *models.Pool) mat.Tensor {
	trained := kernel.WithPool(a.Embedding, pool)
	all := kernel.Span{End: kernel.Rows(trained)}
	return kernel.InsertRows(trained, []kernel.Span{all}, []kernel.Insertion{{Prompt: a.frozen}})
}

// Config returns the config with every size filled in.
func (a *Cartridge) Config() hfio.AdapterConfig { return a.config }

// Stored returns all tokens, [P, 2·L·d].
func (a *Cartridge) Stored() ([]hfio.Tensor, error) {
	return storedPrompt(a.embeddings(nil)), nil
}

// Trained returns the tokens that are trained, trainable_embedding.
func (a *Cartridge) Trained() []models.NamedParam {
	return []models.NamedParam{{Name: trainableName, Param: a.Embedding}}
}

// Continuable is true: PEFT keeps all of the method.
func (a *Cartridge) Continuable() bool { return true }
