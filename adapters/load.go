package adapters

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/gopeft/gopeft/hfio"
	"github.com/gopeft/gopeft/models"
)

// checkLoaded reports all that is wrong with a file whose sizes are filled in, and
// all in which it does not fit the base.
func checkLoaded(file *hfio.Adapter, cfg hfio.AdapterConfig, base *models.Model, m method) error {
	found := append(fileProblems(file), moreProblems(file, cfg, m)...)
	found = append(found, seq2seqErrors(cfg, base.Backbone.Shape(), m)...)
	differences := misfits(cfg, base, m)
	sameTask := !slices.ContainsFunc(differences, func(d Mismatch) bool { return d.Field == "task_type" })
	if m.delta {
		problems, misfits := loraProblems(file, cfg, base)
		found, differences = append(found, problems...), append(differences, misfits...)
	} else if stored, ok := file.Tensor(promptName); ok && file.Config.NumVirtualTokens > 0 {
		differences = append(differences, promptMisfit(cfg, base.Backbone.Shape(), m, stored.Shape)...)
	}
	if sameTask {
		found = append(found, headProblems(file, cfg, base))
		found = append(found, baseTensors(file, base.Head)...)
		differences = append(differences, headMisfits(file, base.Head)...)
	}
	return errors.Join(append(found, mismatchError(differences))...)
}

// fileProblems reports what keeps a file from being loaded on any base.
func fileProblems(file *hfio.Adapter) []error {
	var found []error
	if isDelta(file.Config.PeftType) {
		return append(loraConfigErrors(file.Config), tensorProblems(headTensors(file))...)
	}
	if file.Config.NumVirtualTokens < 1 {
		found = append(found, fieldError("num_virtual_tokens", "null, want the number of virtual tokens"))
	}
	stored, ok := file.Tensor(promptName)
	if !ok {
		return append(found, &hfio.TensorError{File: hfio.AdapterWeightsFile, Name: promptName, Err: hfio.ErrNotFound})
	}
	return append(found, tensorProblems(slices.Concat([]hfio.Tensor{stored}, headTensors(file)))...)
}

func tensorProblems(tensors []hfio.Tensor) []error {
	var found []error
	for _, t := range tensors {
		if err := checkFloats(t); err != nil {
			found = append(found, err)
		}
	}
	return found
}

// moreProblems checks the tensors that a method has beside its prompt. PEFT would go on
// with random values where one is missing.
func moreProblems(file *hfio.Adapter, cfg hfio.AdapterConfig, m method) []error {
	var found []error
	for _, want := range m.moreTensors(cfg) {
		stored, ok := file.Tensor(want.name)
		if !ok {
			found = append(found, &hfio.TensorError{File: hfio.AdapterWeightsFile, Name: want.name, Err: hfio.ErrNotFound})
			continue
		}
		err := checkFloats(stored)
		if err == nil && !want.fits(stored.Shape) {
			err = &hfio.TensorError{File: hfio.AdapterWeightsFile, Name: want.name, Err: &hfio.Mismatch{
				Found: fmt.Sprintf("shape %v", stored.Shape), Want: fmt.Sprint(want.shape), Kind: hfio.ErrShape,
			}}
		}
		if err != nil {
			found = append(found, err)
		}
	}
	return found
}

// headTensors returns the tensors that PEFT would load into the base's modules.
func headTensors(file *hfio.Adapter) []hfio.Tensor {
	var tensors []hfio.Tensor
	for _, t := range file.Tensors {
		if strings.HasPrefix(t.Name, headPrefix(file)) {
			tensors = append(tensors, t)
		}
	}
	return tensors
}

func checkFloats(t hfio.Tensor) error {
	switch t.DType {
	case hfio.F64, hfio.F32, hfio.F16, hfio.BF16:
		return t.Check()
	}
	return &hfio.TensorError{File: hfio.AdapterWeightsFile, Name: t.Name, Err: &hfio.Mismatch{
		Found: string(t.DType), Want: "F64, F32, F16 or BF16", Kind: hfio.ErrDType,
	}}
}

// baseTensors reports tensors for parts of the base that are no head: PEFT would
// overwrite the base with them, and a base that others share cannot be. A head that
// this base does not have stays in the file and has no effect, as in PEFT.
func baseTensors(file *hfio.Adapter, head models.Head) []error {
	var found []error
	for _, t := range headTensors(file) {
		own := slices.ContainsFunc(headParams(head), func(p models.NamedParam) bool { return headPrefix(file)+p.Name == t.Name })
		if !own && !inModules(t.Name, headModules) && !isLora(t.Name) && !isSavedBias(t.Name, file.Config) {
			found = append(found, &hfio.TensorError{File: hfio.AdapterWeightsFile, Name: t.Name, Err: fmt.Errorf(
				"%w: it replaces a part of the base that is not its head", hfio.ErrUnsupported)})
		}
	}
	return found
}

// original is what an adapter's files held, in memory of its own.
type original struct {
	file   *hfio.Adapter
	info   Info
	prompt [32]byte // digest of the method's parameters as they were read
}

// restore makes the model of a checked file and of the encoder of its prompt, which
// is nil where that is not known.
func restore(file *hfio.Adapter, cfg hfio.AdapterConfig, base *models.Model, m method, encoder *encoderTensors) (_ *PeftModel, err error) {
	p := &PeftModel{Base: base, Config: file.Config, read: &original{file: ownCopy(file)}}
	if p.Adapter, err = m.restore(cfg, base, file, encoder); err != nil {
		return nil, err
	}
	if base.Head != nil {
		p.Head = base.Head.Clone()
		if err := loadHead(file, p.Head); err != nil {
			return nil, err
		}
	}
	if file.Info != nil {
		if p.Info, err = ParseInfo(file.Info); err != nil {
			return nil, err
		}
		if p.read.info, err = ParseInfo(file.Info); err != nil {
			return nil, err
		}
	}
	p.read.prompt = digest(p.Adapter.Trained())
	return p, nil
}

// ownCopy copies what views of mapped files are in it.
func ownCopy(file *hfio.Adapter) *hfio.Adapter {
	kept := hfio.NewAdapter(file.Config, cloneTensors(file.Tensors))
	kept.Metadata, kept.Format = file.Metadata, file.Format
	kept.Readme, kept.Info = slices.Clone(file.Readme), slices.Clone(file.Info)
	if file.State != nil {
		kept.State = &hfio.SafeTensors{Metadata: file.State.Metadata, Tensors: cloneTensors(file.State.Tensors)}
	}
	return kept
}

func cloneTensors(tensors []hfio.Tensor) []hfio.Tensor {
	cloned := make([]hfio.Tensor, len(tensors))
	for i, t := range tensors {
		cloned[i] = t.Clone()
	}
	return cloned
}

// unchangedPrompt tells whether the prompt is still the one that was read.
func (m *PeftModel) unchangedPrompt() bool {
	return m.read != nil && digest(m.Adapter.Trained()) == m.read.prompt
}

// storedAdapter is the adapter that uses the file's prompt as it is.
func (m *PeftModel) storedAdapter() (Adapter, error) {
	method, err := methodOf(m.Config.PeftType)
	if err != nil {
		return nil, err
	}
	return method.restore(m.Adapter.Config(), m.Base, m.read.file, nil)
}

// finite tells whether a tensor holds neither NaN nor infinity.
func finite(t hfio.Tensor) bool {
	values, err := t.Float32s()
	return err == nil && !slices.ContainsFunc(values, func(v float32) bool {
		return math.IsNaN(float64(v)) || math.IsInf(float64(v), 0)
	})
}
