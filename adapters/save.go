package adapters

import (
	"bytes"
	"errors"
	"reflect"
	"slices"
	"strings"

	"github.com/gopeft/gopeft/hfio"
	"github.com/gopeft/gopeft/internal/kernel"
	"github.com/gopeft/gopeft/models"
)

// File returns the adapter as it would be written, side files included, in memory
// of its own. A tensor that is as it was read keeps its dtype and its bits; changed
// and new ones are F32. Tensors, JSON keys and a model card that are not
// understood are kept. If no weight changed, the side file of the training state is
// kept whole; else it holds only the encoder, where the method has one.
func (m *PeftModel) File() (_ *hfio.Adapter, err error) {
	defer models.Guard(&err)
	file := hfio.NewAdapter(m.Config, nil)
	if m.read != nil {
		old := ownCopy(m.read.file)
		file.Metadata, file.Format, file.Readme = old.Metadata, old.Format, old.Readme
		file.Tensors = old.Tensors
	}
	if strings.HasPrefix(m.Base.Prefix, "model.") { // as PEFT tells a model of transformers
		file.CardTags = []string{"transformers"}
	}
	promptErr := m.writeStored(file)
	m.writeHead(file)
	stateErr := m.writeState(file)
	var infoErr error
	file.Info, infoErr = m.encodeInfo()
	return file, errors.Join(promptErr, stateErr, infoErr)
}

func (m *PeftModel) writeStored(file *hfio.Adapter) error {
	if m.unchangedPrompt() {
		return nil
	}
	tensors, err := m.Adapter.Stored()
	for _, t := range tensors {
		putTensor(file, t)
	}
	return err
}

// HeadTensors returns the head's parameters under their names in the base, F32; none
// where there is no head.
func (m *PeftModel) HeadTensors() []hfio.Tensor {
	var tensors []hfio.Tensor
	for _, p := range headParams(m.Head) {
		tensors = append(tensors, hfio.NewFloat32(p.Name, paramShape(p, 0), kernel.Data(p.Param)))
	}
	return tensors
}

func (m *PeftModel) writeHead(file *hfio.Adapter) {
	for _, p := range headParams(m.Head) {
		if _, stored := file.Tensor(headPrefix(file) + p.Name); !stored && m.baseHead(p) {
			continue
		}
		m.putHead(file, p.Name, p)
		if _, inWrapper := wrapped(p.Name, m.Config); inWrapper != "" {
			m.putHead(file, inWrapper, p)
		}
	}
	for _, p := range headParams(m.Base.Head) {
		if original, _ := wrapped(p.Name, m.Config); original != "" {
			if _, stored := file.Tensor(headPrefix(file) + original); !stored {
				m.putHead(file, original, p)
			}
		}
	}
}

// putHead writes a parameter of a head under a name, unless the file has its values there.
func (m *PeftModel) putHead(file *hfio.Adapter, name string, p models.NamedParam) {
	name = headPrefix(file) + name
	old, stored := file.Tensor(name)
	if !stored || !sameBits(old, kernel.Data(p.Param)) {
		putTensor(file, hfio.NewFloat32(name, paramShape(p, len(old.Shape)), kernel.Data(p.Param)))
	}
}

// baseHead tells whether a head's parameter is only borrowed from the base: PEFT
// saves a head that is in none of the modules to save no more than it trains it.
func (m *PeftModel) baseHead(p models.NamedParam) bool {
	return !inModules(p.Name, savedModules(m.Config))
}

func (m *PeftModel) writeState(file *hfio.Adapter) (err error) {
	if m.unchangedPrompt() && sameTensors(file.Tensors, m.read.file.Tensors) {
		file.State = ownCopy(m.read.file).State
		return nil
	}
	file.State, err = newState(m.Adapter, file)
	return err
}

func sameTensors(a, b []hfio.Tensor) bool {
	return slices.EqualFunc(a, b, func(x, y hfio.Tensor) bool {
		return x.Name == y.Name && x.DType == y.DType && slices.Equal(x.Shape, y.Shape) && bytes.Equal(x.Data, y.Data)
	})
}

// encodeInfo keeps the bytes of a gopeft.json whose content is unchanged.
func (m *PeftModel) encodeInfo() ([]byte, error) {
	if m.read != nil && reflect.DeepEqual(m.Info, m.read.info) {
		return slices.Clone(m.read.file.Info), nil
	}
	return m.Info.Encode()
}

// putTensor replaces the tensor of that name, or adds it.
func putTensor(file *hfio.Adapter, t hfio.Tensor) {
	i := slices.IndexFunc(file.Tensors, func(old hfio.Tensor) bool { return old.Name == t.Name })
	if i < 0 {
		file.Tensors = append(file.Tensors, t)
		return
	}
	file.Tensors[i] = t
}
