package adapters

import (
	"errors"
	"fmt"
	"strings"

	"github.com/gopeft/gopeft/hfio"
	"github.com/gopeft/gopeft/internal/kernel"
	"github.com/gopeft/gopeft/models"
)

// modulePrefix stands before the name of a method's parameter in PEFT's model.
const modulePrefix = "prompt_encoder."

// Resume makes the model of a training run that goes on: the adapter of the file with
// the given values in place of its own. params holds a tensor for everything that is
// trained, under the names of [PeftModel.Trained]; the file's encoder is not read, so
// it may be of another moment, or absent.
func Resume(file *hfio.Adapter, base *models.Model, params []hfio.Tensor) (_ *PeftModel, err error) {
	defer models.Guard(&err)
	m, err := methodFor(file.Config.PeftType, base)
	if err != nil {
		return nil, err
	}
	cfg := fillSizes(file.Config, base.Backbone.Shape(), m)
	if err := checkLoaded(file, cfg, base, m); err != nil {
		return nil, err
	}
	given := &encoderTensors{state: &hfio.SafeTensors{}}
	for _, t := range params {
		if name, ok := strings.CutPrefix(t.Name, modulePrefix); ok {
			t.Name = encoderPrefix + name
			given.state.Tensors = append(given.state.Tensors, t)
		}
	}
	p, err := restore(file, cfg, base, m, given)
	if err != nil {
		return nil, err
	}
	if !p.Adapter.Continuable() {
		return nil, fmt.Errorf("%w: training cannot go on with the encoder that it describes", ErrConfig)
	}
	p.read.prompt = [32]byte{} // the values are not the file's
	return p, setParams(p.Trained(), params)
}

// setParams copies values into parameters and reports every one that is missing or
// of another size.
func setParams(params []models.NamedParam, values []hfio.Tensor) error {
	var found []error
	for _, p := range params {
		t, ok := findTensor(values, p.Name)
		if !ok {
			found = append(found, &hfio.TensorError{Name: p.Name, Err: hfio.ErrNotFound})
			continue
		}
		floats, err := t.Float32s()
		if err == nil && len(floats) != len(kernel.Data(p.Param)) {
			err = &hfio.TensorError{Name: p.Name, Err: hfio.ErrShape}
		}
		found = append(found, err)
		if err == nil {
			copy(kernel.Data(p.Param), floats)
		}
	}
	return errors.Join(found...)
}
