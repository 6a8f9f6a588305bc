package adapters

import (
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/nlpodyssey/spago/mat"
	"github.com/nlpodyssey/spago/nn"

	"github.com/gopeft/gopeft/hfio"
	"github.com/gopeft/gopeft/internal/kernel"
	"github.com/gopeft/gopeft/models"
	"github.com/gopeft/gopeft/models/layer"
)

// PTuning is rows before the word embeddings that a small network computes (Liu
// et al. 2021, "GPT Understands, Too"). PEFT keeps the rows and drops the network.
type PTuning struct {
	nn.Module
	Embedding *nn.Param    // [P, d]: the network's input, or the stored rows without it
	LSTM      []*lstmLayer // before the MLP; nil: none
	MLP       []*linear    // with ReLU between them; nil: the file did not keep the network

	config hfio.AdapterConfig
}

var (
	_ Adapter = (*PTuning)(nil)
	_ encoded = (*PTuning)(nil)
)

// The values of encoder_reparameterization_type.
const (
	encoderMLP  = "MLP"
	encoderLSTM = "LSTM"
)

func checkPTuning(cfg hfio.AdapterConfig, _ *models.Model, _ Init) []error {
	var found []error
	switch cfg.EncoderReparameterizationType {
	case encoderMLP, encoderLSTM:
	default:
		found = append(found, fieldError("encoder_reparameterization_type", "%q, want %s or %s",
			cfg.EncoderReparameterizationType, encoderMLP, encoderLSTM))
	}
	if p := cfg.EncoderDropout; !(p >= 0 && p < 1) {
		found = append(found, fieldError("encoder_dropout", "%v, want a probability below 1", p))
	}
	if n := cfg.EncoderNumLayers; n < 1 || n > maxEncoderLayers {
		found = append(found, fieldError("encoder_num_layers", "%d, want 1 to %d", n, maxEncoderLayers))
	}
	return found
}

// maxEncoderLayers bounds what a config can ask memory for.
const maxEncoderLayers = 64

func notePTuning(cfg hfio.AdapterConfig) []Finding {
	var found []Finding
	for _, err := range checkPTuning(cfg, nil, Init{}) {
		found = append(found, note("encoder", "%v; it changes nothing for a stored prompt", err))
	}
	return found
}

// newPTuning starts the embedding from N(0, 1) and the network as torch does.
// Source: peft 0.21.2, tuners/p_tuning/model.py.
func newPTuning(cfg hfio.AdapterConfig, _ *models.Model, init Init) (Adapter, error) {
	rows := cfg.NumVirtualTokens * cfg.NumTransformerSubmodules
	a := &PTuning{
		Embedding: kernel.NewParam(rows, cfg.TokenDim, normal(init.Rand, rows*cfg.TokenDim)),
		config:    cfg,
	}
	if cfg.EncoderReparameterizationType == encoderLSTM {
		for i := range cfg.EncoderNumLayers {
			a.LSTM = append(a.LSTM, newLSTMLayer(init.Rand, lstmInput(cfg, i), cfg.EncoderHiddenSize))
		}
	}
	for _, size := range mlpSizes(cfg) {
		a.MLP = append(a.MLP, newLinear(init.Rand, size.in, size.out))
	}
	return a, nil
}

type linearSize struct{ in, out int }

// mlpSizes lists the Linear layers: three, or two over an LSTM's two directions.
func mlpSizes(cfg hfio.AdapterConfig) []linearSize {
	d, h := cfg.TokenDim, cfg.EncoderHiddenSize
	if cfg.EncoderReparameterizationType == encoderLSTM {
		return []linearSize{{2 * h, 2 * h}, {2 * h, d}}
	}
	return []linearSize{{d, h}, {h, h}, {h, d}}
}

// lstmInput is the width that a layer reads.
func lstmInput(cfg hfio.AdapterConfig, i int) int {
	if i == 0 {
		return cfg.TokenDim
	}
	return 2 * cfg.EncoderHiddenSize
}

func restorePTuning(cfg hfio.AdapterConfig, _ *models.Model, file *hfio.Adapter, encoder *encoderTensors) (Adapter, error) {
	prompt, err := readPrompt(file)
	if err != nil {
		return nil, err
	}
	a := &PTuning{config: cfg}
	rows := len(prompt) / cfg.TokenDim
	if encoder == nil || len(checkPTuning(cfg, nil, Init{})) > 0 {
		a.Embedding = kernel.NewParam(rows, cfg.TokenDim, prompt)
		a.Embedding.SetRequiresGrad(false)
		return a, nil
	}
	a.Embedding = encoder.matrix(embeddingName, rows, cfg.TokenDim)
	if cfg.EncoderReparameterizationType == encoderLSTM {
		for i := range cfg.EncoderNumLayers {
			a.LSTM = append(a.LSTM, readLSTMLayer(encoder, i, lstmInput(cfg, i), cfg.EncoderHiddenSize))
		}
	}
	for i, size := range mlpSizes(cfg) {
		a.MLP = append(a.MLP, readLinear(encoder, mlpName(i), size.in, size.out))
	}
	return a, encoder.err()
}

// mlpName counts the ReLU layers too, as torch.nn.Sequential does.
func mlpName(i int) string { return fmt.Sprintf("mlp_head.%d", 2*i) }

// Prompt computes the rows, [P, d]. Dropout is between the LSTM's layers only.
func (a *PTuning) Prompt(dropout *layer.Dropout, pool *models.Pool) (*models.Prompt, error) {
	return &models.Prompt{Input: inputRows(a.embeddings(dropout, pool), a.config)}, nil
}

func (a *PTuning) embeddings(dropout *layer.Dropout, pool *models.Pool) mat.Tensor {
	x := kernel.WithPool(a.Embedding, pool) // [P, d]
	for i, l := range a.LSTM {
		if i > 0 {
			x = kernel.Replace(x, kernel.Dropout(x, dropout.Mask(float32(a.config.EncoderDropout))))
		}
		x = kernel.Replace(x, l.forward(x)) // [P, 2·h]
	}
	for i, l := range a.MLP {
		if i > 0 {
			x = kernel.Replace(x, kernel.ReLU(x))
		}
		x = kernel.Replace(x, l.forward(x))
	}
	return x
}

// Config returns the config with every size filled in.
func (a *PTuning) Config() hfio.AdapterConfig { return a.config }

// Stored returns the computed rows, [P, d].
func (a *PTuning) Stored() ([]hfio.Tensor, error) {
	return storedPrompt(a.embeddings(nil, nil)), nil
}

// Trained returns the network's parameters, none if the file did not keep it.
func (a *PTuning) Trained() []models.NamedParam {
	if !a.Continuable() {
		return nil
	}
	params := []models.NamedParam{{Name: embeddingName, Param: a.Embedding}}
	for i, l := range a.LSTM {
		params = append(params, l.named(i)...)
	}
	for i, l := range a.MLP {
		params = append(params, l.named(mlpName(i))...)
	}
	return params
}

// Continuable is false where the network is not known.
func (a *PTuning) Continuable() bool { return a.MLP != nil }

func (a *PTuning) encoder() []models.NamedParam { return a.Trained() }

// lstmLayer is one bidirectional layer of a torch.nn.LSTM.
type lstmLayer struct {
	nn.Module
	Forth, Back *lstmDirection
}

// lstmDirection holds the four gates i, f, g, o of one direction under each other.
type lstmDirection struct {
	nn.Module
	InputWeight  *nn.Param // weight_ih [4·h, in]
	HiddenWeight *nn.Param // weight_hh [4·h, h]
	InputBias    *nn.Param // bias_ih [1, 4·h]
	HiddenBias   *nn.Param // bias_hh [1, 4·h]
}

// newLSTMLayer draws everything from U(±1/√h), as torch.nn.LSTM starts.
func newLSTMLayer(random *rand.Rand, in, hidden int) *lstmLayer {
	bound := 1 / math.Sqrt(float64(hidden))
	draw := func(rows, columns int) *nn.Param {
		return kernel.NewParam(rows, columns, uniform(random, rows*columns, bound))
	}
	direction := func() *lstmDirection {
		d := &lstmDirection{InputWeight: draw(4*hidden, in)}
		d.HiddenWeight = draw(4*hidden, hidden)
		d.InputBias = draw(1, 4*hidden)
		d.HiddenBias = draw(1, 4*hidden)
		return d
	}
	l := &lstmLayer{Forth: direction()}
	l.Back = direction()
	return l
}

func readLSTMLayer(tensors *encoderTensors, i, in, hidden int) *lstmLayer {
	direction := func(suffix string) *lstmDirection {
		return &lstmDirection{
			InputWeight:  tensors.matrix(lstmName("weight_ih", i, suffix), 4*hidden, in),
			HiddenWeight: tensors.matrix(lstmName("weight_hh", i, suffix), 4*hidden, hidden),
			InputBias:    tensors.vector(lstmName("bias_ih", i, suffix), 4*hidden),
			HiddenBias:   tensors.vector(lstmName("bias_hh", i, suffix), 4*hidden),
		}
	}
	return &lstmLayer{Forth: direction(""), Back: direction(reverse)}
}

const reverse = "_reverse" // the end of the backward direction's names

func lstmName(kind string, i int, suffix string) string {
	return fmt.Sprintf("lstm_head.%s_l%d%s", kind, i, suffix)
}

// forward reads x [P, in] in both directions: [P, 2·h].
func (l *lstmLayer) forward(x mat.Tensor) mat.Tensor {
	return kernel.LSTM(x, l.Forth.cell(), l.Back.cell())
}

func (d *lstmDirection) cell() kernel.LSTMCell {
	return kernel.LSTMCell{
		InputWeight: d.InputWeight, HiddenWeight: d.HiddenWeight,
		InputBias: d.InputBias, HiddenBias: d.HiddenBias,
	}
}

func (l *lstmLayer) named(i int) []models.NamedParam {
	names := func(d *lstmDirection, suffix string) []models.NamedParam {
		return []models.NamedParam{
			{Name: lstmName("weight_ih", i, suffix), Param: d.InputWeight},
			{Name: lstmName("weight_hh", i, suffix), Param: d.HiddenWeight},
			{Name: lstmName("bias_ih", i, suffix), Param: d.InputBias},
			{Name: lstmName("bias_hh", i, suffix), Param: d.HiddenBias},
		}
	}
	return append(names(l.Forth, ""), names(l.Back, reverse)...)
}
