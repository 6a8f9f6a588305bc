package adapters

import (
	"fmt"
	"slices"

	"github.com/nlpodyssey/spago/nn"

	"github.com/gopeft/gopeft/hfio"
	"github.com/gopeft/gopeft/internal/kernel"
	"github.com/gopeft/gopeft/models"
	"github.com/gopeft/gopeft/models/layer"
)

// PromptTuning is P trained rows before the word embeddings (Lester et al. 2021,
// "The Power of Scale for Parameter-Efficient Prompt Tuning").
type PromptTuning struct {
	nn.Module
	Embedding *nn.Param // [P, d]

	config hfio.AdapterConfig
}

var _ Adapter = (*PromptTuning)(nil)

// The values of prompt_tuning_init.
const (
	initRandom      = "RANDOM"
	initText        = "TEXT"
	initSampleVocab = "SAMPLE_VOCAB"
)

// checkPromptTuning knows what PEFT refuses, and refuses an init that PEFT would
// silently take for RANDOM.
// Source: peft 0.21.2, tuners/prompt_tuning/config.py.
func checkPromptTuning(cfg hfio.AdapterConfig, _ *models.Model, init Init) []error {
	var found []error
	switch cfg.PromptTuningInit {
	case initRandom, initText, initSampleVocab:
	default:
		found = append(found, fieldError("prompt_tuning_init", "%q, want %s, %s or %s",
			cfg.PromptTuningInit, initRandom, initText, initSampleVocab))
	}
	if cfg.PromptTuningInit == initText && len(init.TextIDs) == 0 {
		found = append(found, fmt.Errorf("%w: no token ids of prompt_tuning_init_text were given", ErrConfig))
	}
	return append(found, promptTextErrors(cfg)...)
}

// promptTextErrors is what PEFT refuses at creation and at loading.
func promptTextErrors(cfg hfio.AdapterConfig) []error {
	var found []error
	byText := cfg.PromptTuningInit == initText
	if byText && cfg.PromptTuningInitText == "" {
		found = append(found, fieldError("prompt_tuning_init_text", "null, want the text that init %s starts from", initText))
	}
	if byText && cfg.TokenizerNameOrPath == "" {
		found = append(found, fieldError("tokenizer_name_or_path", "null, want a tokenizer: init %s needs one", initText))
	}
	if !byText && len(cfg.TokenizerKwargs) > 0 {
		found = append(found, fieldError("tokenizer_kwargs", "given with init %q, want null: only init %s takes them",
			cfg.PromptTuningInit, initText))
	}
	return found
}

func notePromptTuning(cfg hfio.AdapterConfig) []Finding {
	var found []Finding
	for _, err := range promptTextErrors(cfg) {
		found = append(found, problem("prompt_tuning_init", "%v; Python PEFT refuses to load it", err))
	}
	switch cfg.PromptTuningInit {
	case initRandom, initText, initSampleVocab:
	default:
		found = append(found, note("prompt_tuning_init", "%q is unknown; PEFT takes it for %s, which changes nothing for a stored prompt",
			cfg.PromptTuningInit, initRandom))
	}
	return found
}

// newPromptTuning starts from N(0, 1), from word embeddings of the text, tiled or
// cut to the prompt's length, or from those of ids drawn with replacement from the
// whole vocabulary. Source: peft 0.21.2, tuners/prompt_tuning/model.py.
func newPromptTuning(cfg hfio.AdapterConfig, base *models.Model, init Init) (Adapter, error) {
	rows := cfg.NumVirtualTokens * cfg.NumTransformerSubmodules
	ids := make([]int, rows)
	switch cfg.PromptTuningInit {
	case initText:
		for i := range ids {
			ids[i] = init.TextIDs[i%len(init.TextIDs)]
		}
	case initSampleVocab:
		for i := range ids {
			ids[i] = init.Rand.IntN(base.Backbone.Shape().Vocab)
		}
	default:
		return promptTuning(cfg, normal(init.Rand, rows*cfg.TokenDim)), nil
	}
	embedded, err := base.Backbone.Embed(ids)
	if err != nil {
		return nil, fmt.Errorf("word embeddings for the prompt: %w", err)
	}
	return promptTuning(cfg, slices.Clone(kernel.Data(embedded))), nil
}

func restorePromptTuning(cfg hfio.AdapterConfig, _ *models.Model, file *hfio.Adapter, _ *encoderTensors) (Adapter, error) {
	prompt, err := readPrompt(file)
	if err != nil {
		return nil, err
	}
	return promptTuning(cfg, prompt), nil
}

func promptTuning(cfg hfio.AdapterConfig, values []float32) *PromptTuning {
	return &PromptTuning{Embedding: kernel.NewParam(len(values)/cfg.TokenDim, cfg.TokenDim, values), config: cfg}
}

// Prompt returns the rows as they are, [P, d]; those of a decoder have no effect.
func (a *PromptTuning) Prompt(*layer.Dropout, *models.Pool) (*models.Prompt, error) {
	return &models.Prompt{Input: inputRows(a.Embedding, a.config)}, nil
}

// Config returns the config with every size filled in.
func (a *PromptTuning) Config() hfio.AdapterConfig { return a.config }

// Stored returns the rows, [P, d].
func (a *PromptTuning) Stored() ([]hfio.Tensor, error) { return storedPrompt(a.Embedding), nil }

// Trained returns the rows, embedding.weight.
func (a *PromptTuning) Trained() []models.NamedParam {
	return []models.NamedParam{{Name: embeddingName, Param: a.Embedding}}
}

// Continuable is true: PEFT keeps all of the method.
func (a *PromptTuning) Continuable() bool { return true }
