package adapters

import (
	"fmt"
	"slices"
	"strings"

	"github.com/gopeft/gopeft/hfio"
	"github.com/gopeft/gopeft/models"
)

// method is what the package knows about one PEFT method. Everything else about
// a method is in the file of its name.
type method struct {
	peftType hfio.PeftType
	// cached: the prompt is keys and values of every layer; otherwise it is rows
	// before the word embeddings.
	cached bool
	// delta: what is trained is added to layers; there are no virtual tokens.
	delta bool
	// check returns what keeps a config from being a new adapter's.
	check func(cfg hfio.AdapterConfig, base *models.Model, init Init) []error
	// notes returns what is remarkable about the method's fields of a file.
	notes func(cfg hfio.AdapterConfig) []Finding
	// create makes a new adapter of a checked config with all sizes filled in.
	create func(cfg hfio.AdapterConfig, base *models.Model, init Init) (Adapter, error)
	// restore makes an adapter of a checked file and of the encoder that its prompt came
	// from, nil where that is not known.
	restore func(cfg hfio.AdapterConfig, base *models.Model, file *hfio.Adapter, encoder *encoderTensors) (Adapter, error)
	// more lists the tensors of a config with all sizes that the file holds beside
	// prompt_embeddings; nil: none.
	more func(cfg hfio.AdapterConfig) []tensorShape
}

// methods returns the table of methods: one line each.
func methods() []method {
	return []method{
		{hfio.PromptTuning, false, false, checkPromptTuning, notePromptTuning, newPromptTuning, restorePromptTuning, nil},
		{hfio.PTuning, false, false, checkPTuning, notePTuning, newPTuning, restorePTuning, nil},
		{hfio.PrefixTuning, true, false, checkPrefixTuning, notePrefixTuning, newPrefixTuning, restorePrefixTuning, nil},
		{hfio.MultitaskPromptTuning, false, false, checkMultitask, noteMultitask, newMultitask, restoreMultitask, tensorsOfMultitask},
		{hfio.Cartridge, true, false, checkCartridge, noteCartridge, newCartridge, restoreCartridge, nil},
		{hfio.CPT, false, false, checkCPT, noteCPT, newCPT, restoreCPT, nil},
		{hfio.Lora, false, true, checkLora, noteLora, newLora, restoreLora, nil},
	}
}

func methodOf(peftType hfio.PeftType) (method, error) {
	var known []string
	for _, m := range methods() {
		if m.peftType == peftType {
			return m, nil
		}
		known = append(known, string(m.peftType))
	}
	return method{}, fmt.Errorf("%w: peft_type is %q, want one of %s", ErrUnknownMethod, peftType, strings.Join(known, ", "))
}

// methodFor returns the method of an adapter on a base, which must be frozen.
func methodFor(peftType hfio.PeftType, base *models.Model) (method, error) {
	if base.Params != nil {
		return method{}, fmt.Errorf("%w: the base was opened to be trained itself, want a frozen one", ErrConfig)
	}
	return methodOf(peftType)
}

// isDelta tells whether what a method trains is added to layers.
func isDelta(peftType hfio.PeftType) bool {
	m, err := methodOf(peftType)
	return err == nil && m.delta
}

// Methods lists the PEFT methods that can be loaded, made and trained.
func Methods() []hfio.PeftType {
	var types []hfio.PeftType
	for _, m := range methods() {
		types = append(types, m.peftType)
	}
	return types
}

// promptShape returns the shape of prompt_embeddings for a config whose sizes are
// all known. Source: peft 0.21.2, get_prompt_embedding_to_save.
func (m method) promptShape(cfg hfio.AdapterConfig) (rows, columns int) {
	if m.cached {
		return cfg.NumVirtualTokens, 2 * cfg.NumLayers * cfg.TokenDim
	}
	return cfg.NumVirtualTokens * cfg.NumTransformerSubmodules, cfg.TokenDim
}

// moreTensors lists the tensors beside prompt_embeddings.
func (m method) moreTensors(cfg hfio.AdapterConfig) []tensorShape {
	if m.more == nil {
		return nil
	}
	return m.more(cfg)
}

// owns tells whether a tensor of a file is the method's.
func (m method) owns(name string) bool {
	return name == promptName || slices.ContainsFunc(m.moreTensors(hfio.AdapterConfig{}), func(t tensorShape) bool { return t.name == name })
}
