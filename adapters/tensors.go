package adapters

import (
	"crypto/sha256"
	"encoding/binary"
	"hash"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/nlpodyssey/spago/mat"
	"github.com/nlpodyssey/spago/nn"

	"github.com/gopeft/gopeft/hfio"
	"github.com/gopeft/gopeft/internal/kernel"
	"github.com/gopeft/gopeft/models"
)

const (
	// promptName is the one tensor of every prompt in adapter_model.safetensors.
	promptName = "prompt_embeddings"
	// embeddingName is the parameter that every PEFT prompt module has.
	embeddingName = "embedding.weight"
)

// normal draws n values of N(0, 1), as torch.nn.Embedding starts.
func normal(random *rand.Rand, n int) []float32 {
	values := make([]float32, n)
	for i := range values {
		values[i] = float32(random.NormFloat64())
	}
	return values
}

// uniform draws n values of U(-bound, bound).
func uniform(random *rand.Rand, n int, bound float64) []float32 {
	values := make([]float32, n)
	for i := range values {
		values[i] = float32((2*random.Float64() - 1) * bound)
	}
	return values
}

// frozen returns a copy of x that takes no part in training.
func frozen(x mat.Tensor) mat.Tensor {
	return kernel.New(kernel.Rows(x), kernel.Cols(x), slices.Clone(kernel.Data(x)))
}

// storedPrompt is the tensor that PEFT keeps of a prompt.
func storedPrompt(x mat.Tensor) []hfio.Tensor {
	t := hfio.NewFloat32(promptName, []int{kernel.Rows(x), kernel.Cols(x)}, kernel.Data(x))
	return []hfio.Tensor{t}
}

// readPrompt returns a copy of the stored prompt.
func readPrompt(file *hfio.Adapter) ([]float32, error) { return readTensor(file, promptName) }

// readTensor returns a copy of the values of a tensor that a checked file holds.
func readTensor(file *hfio.Adapter, name string) ([]float32, error) {
	stored, _ := file.Tensor(name)
	values, err := stored.Float32s()
	return slices.Clone(values), err
}

// tensorShape is a tensor that a file should hold; a size of 0 is any.
type tensorShape struct {
	name  string
	shape []int
}

func (t tensorShape) fits(shape []int) bool {
	return slices.EqualFunc(t.shape, shape, func(want, found int) bool { return want == found || want == 0 && found > 0 })
}

func (t tensorShape) size() int {
	n := 1
	for _, d := range t.shape {
		n *= d
	}
	return n
}

func findTensor(tensors []hfio.Tensor, name string) (hfio.Tensor, bool) {
	i := slices.IndexFunc(tensors, func(t hfio.Tensor) bool { return t.Name == name })
	if i < 0 {
		return hfio.Tensor{}, false
	}
	return tensors[i], true
}

// linear is a trained torch.nn.Linear.
type linear struct {
	nn.Module
	Weight *nn.Param // [out, in]
	Bias   *nn.Param // [1, out]
}

// newLinear draws weight and bias from U(±1/√in), as torch.nn.Linear starts.
func newLinear(random *rand.Rand, in, out int) *linear {
	bound := 1 / math.Sqrt(float64(in))
	weight := uniform(random, out*in, bound)
	return &linear{
		Weight: kernel.NewParam(out, in, weight),
		Bias:   kernel.NewParam(1, out, uniform(random, out, bound)),
	}
}

// readLinear takes a linear layer out of a stored encoder.
func readLinear(tensors *encoderTensors, name string, in, out int) *linear {
	return &linear{
		Weight: tensors.matrix(name+".weight", out, in),
		Bias:   tensors.vector(name+".bias", out),
	}
}

func (l *linear) forward(x mat.Tensor) mat.Tensor { return kernel.LinearParam(x, l.Weight, l.Bias) }

func (l *linear) named(name string) []models.NamedParam {
	return []models.NamedParam{{Name: name + ".weight", Param: l.Weight}, {Name: name + ".bias", Param: l.Bias}}
}

// digest identifies the values of parameters to the bit.
func digest(params []models.NamedParam) [sha256.Size]byte {
	sum := sha256.New()
	for _, p := range params {
		sum.Write([]byte(p.Name))
		writeFloats(sum, kernel.Data(p.Param))
	}
	return [sha256.Size]byte(sum.Sum(nil))
}

func writeFloats(to hash.Hash, values []float32) {
	var buffer [4096]byte
	for chunk := range slices.Chunk(values, len(buffer)/4) {
		for i, v := range chunk {
			binary.LittleEndian.PutUint32(buffer[4*i:], math.Float32bits(v))
		}
		to.Write(buffer[:4*len(chunk)])
	}
}

// sameBits tells whether a tensor of a file holds exactly these values.
func sameBits(t hfio.Tensor, values []float32) bool {
	stored, err := t.Float32s()
	return err == nil && slices.EqualFunc(stored, values, func(a, b float32) bool {
		return math.Float32bits(a) == math.Float32bits(b)
	})
}
