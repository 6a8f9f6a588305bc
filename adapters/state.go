package adapters

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/nlpodyssey/spago/nn"

	"github.com/gopeft/gopeft/hfio"
	"github.com/gopeft/gopeft/internal/kernel"
	"github.com/gopeft/gopeft/models"
)

// The side file gopeft_state.safetensors keeps the encoder that made a prompt, as
// encoder.<PEFT's parameter name>. The metadata key StateKey holds a JSON object; its
// field weights_sha256 names the weights file that the encoder belongs to. Others
// may keep more in both.
const (
	StateKey      = "gopeft"
	encoderPrefix = "encoder."
)

// encoded is an adapter whose prompt is computed by a network that PEFT drops.
type encoded interface {
	// encoder returns the network's parameters; none if the adapter has no network.
	encoder() []models.NamedParam
}

func encoderOf(a Adapter) []models.NamedParam {
	if e, ok := a.(encoded); ok {
		return e.encoder()
	}
	return nil
}

// newState makes the side file of an adapter that goes with a weights file; nil
// where there is nothing to keep.
func newState(a Adapter, file *hfio.Adapter) (*hfio.SafeTensors, error) {
	params := encoderOf(a)
	if len(params) == 0 {
		return nil, nil
	}
	sum, err := weightsSum(file)
	if err != nil {
		return nil, err
	}
	belongs, err := json.Marshal(map[string]string{"weights_sha256": sum})
	if err != nil {
		return nil, err
	}
	state := &hfio.SafeTensors{Metadata: map[string]string{"format": "pt", StateKey: string(belongs)}}
	for _, p := range params {
		shape := paramShape(p, 0)
		state.Tensors = append(state.Tensors, hfio.NewFloat32(encoderPrefix+p.Name, shape, kernel.Data(p.Param)))
	}
	return state, nil
}

// weightsSum is the SHA-256 of the weights file as it is written.
func weightsSum(file *hfio.Adapter) (string, error) {
	var data []byte
	var err error
	if file.Format == hfio.FormatTorch {
		data, err = hfio.EncodeTorch(file.Tensors)
	} else {
		data, err = hfio.EncodeSafeTensors(file.Metadata, file.Tensors)
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:]), err
}

// stateBelongs tells whether the side file's encoder made the prompt of the weights
// file. Someone else may have written the weights since.
func stateBelongs(file *hfio.Adapter) (bool, error) {
	if file.State == nil || file.State.Metadata[StateKey] == "" {
		return false, nil
	}
	var state struct {
		Weights string `json:"weights_sha256"`
	}
	if err := json.Unmarshal([]byte(file.State.Metadata[StateKey]), &state); err != nil {
		return false, fmt.Errorf("%s: metadata %q: %w: %w", hfio.StateFile, StateKey, hfio.ErrFormat, err)
	}
	sum, err := weightsSum(file)
	return err == nil && state.Weights == sum, err
}

// encoderTensors hands out a stored encoder's parameters and notes which are
// missing or have another shape.
type encoderTensors struct {
	state    *hfio.SafeTensors
	problems []error
}

// storedEncoder returns the encoder that belongs to the weights file, or nil.
func storedEncoder(file *hfio.Adapter) (*encoderTensors, error) {
	belongs, err := stateBelongs(file)
	if err != nil || !belongs || !slices.ContainsFunc(file.State.Tensors, isEncoder) {
		return nil, err
	}
	return &encoderTensors{state: file.State}, nil
}

func isEncoder(t hfio.Tensor) bool { return strings.HasPrefix(t.Name, encoderPrefix) }

func (e *encoderTensors) matrix(name string, rows, columns int) *nn.Param {
	return e.param(name, rows, columns, []int{rows, columns})
}

func (e *encoderTensors) vector(name string, n int) *nn.Param {
	return e.param(name, 1, n, []int{n})
}

func (e *encoderTensors) param(name string, rows, columns int, shape []int) *nn.Param {
	stored, ok := e.state.Tensor(encoderPrefix + name)
	var err error
	switch {
	case !ok:
		err = fmt.Errorf("%w", hfio.ErrNotFound)
	case !slices.Equal(stored.Shape, shape):
		err = &hfio.Mismatch{Found: fmt.Sprintf("shape %v", stored.Shape), Want: fmt.Sprint(shape), Kind: hfio.ErrShape}
	default:
		var values []float32
		if values, err = stored.Float32s(); err == nil {
			return kernel.NewParam(rows, columns, slices.Clone(values))
		}
	}
	e.problems = append(e.problems, &hfio.TensorError{File: hfio.StateFile, Name: encoderPrefix + name, Err: err})
	return kernel.NewParam(0, 0, nil)
}

func (e *encoderTensors) err() error { return errors.Join(e.problems...) }
