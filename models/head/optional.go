package head

import (
	"slices"
	"strings"

	"github.com/nlpodyssey/spago/mat"
	"github.com/nlpodyssey/spago/nn"

	"github.com/gopeft/gopeft/models"
	"github.com/gopeft/gopeft/models/layer"
)

// Optional is a linear layer of a head whose name PEFT does not know: it is trained where
// modules_to_save names its module or the checkpoint lacks it, and else frozen, a layer
// that adapters can add to.
type Optional struct {
	nn.Module
	trained Linear
	frozen  *layer.Linear // nil: trained
}

// Always is a layer that PEFT trains by itself.
func Always(l Linear) Optional { return Optional{trained: l} }

// Part is one layer of an optional module.
type Part struct {
	Name    string // its path
	Out, In int
}

// Optional makes the layers of a module, all trained or all frozen.
func (r *Reader) Optional(module string, parts ...Part) []Optional {
	named := func(name string) bool { return name != "" && strings.HasSuffix(module, name) }
	missing := func(p Part) bool { return !r.weights.HasShape(p.Name+".weight", p.Out, p.In) }
	trained := slices.ContainsFunc(r.spec.ModulesToSave, named) || r.spec.Rand != nil && slices.ContainsFunc(parts, missing)
	layers := make([]Optional, len(parts))
	for i, p := range parts {
		if trained {
			layers[i].trained = r.Linear(p.Name, p.Out, p.In)
		} else {
			layers[i].frozen = r.weights.Outside().Linear(p.Name, p.Out, p.In)
		}
	}
	return layers
}

func (l Optional) forward(x mat.Tensor, deltas *layer.Deltas) mat.Tensor {
	if l.frozen != nil {
		return l.frozen.Forward(x, deltas)
	}
	return l.trained.Forward(x)
}

// params lists what is trained.
func (l Optional) params() []models.NamedParam {
	if l.frozen != nil {
		return nil
	}
	return params(l.trained)
}

func (l Optional) clone() Optional {
	if l.frozen != nil {
		return l
	}
	return Optional{trained: l.trained.clone()}
}
