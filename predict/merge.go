package predict

import (
	"fmt"

	"github.com/gopeft/gopeft/adapters"
	"github.com/gopeft/gopeft/hfio"
)

// Merge returns the model that the base and a LORA adapter are together, for
// [hfio.WriteModel]: its config, with the adapter's task and labels, and its tensors.
func (b *Base) Merge(file *hfio.Adapter) (hfio.ModelConfig, []hfio.Tensor, error) {
	if method := file.Config.PeftType; method != hfio.Lora {
		return hfio.ModelConfig{}, nil, fmt.Errorf("%w: found %s, want %s: what is put before a text cannot be merged into weights",
			hfio.ErrUnsupported, method, hfio.Lora)
	}
	model, err := b.ModelFor(file)
	if err != nil {
		return hfio.ModelConfig{}, nil, err
	}
	tuned, err := adapters.FromFile(file, model)
	if err != nil {
		return hfio.ModelConfig{}, nil, err
	}
	describe(tuned.Info, &model.Labels, &model.ProblemType)
	prompt, err := tuned.Adapter.Prompt(nil, nil)
	if err != nil {
		return hfio.ModelConfig{}, nil, err
	}
	return b.model.Merge(model, tuned.HeadTensors(), prompt.Deltas)
}
