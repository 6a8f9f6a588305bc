package bert_test

import (
	"bytes"
	"errors"
	"math"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"github.com/nlpodyssey/spago/ag"

	"github.com/gopeft/gopeft/hfio"
	"github.com/gopeft/gopeft/internal/numtest"
	"github.com/gopeft/gopeft/models"
	"github.com/gopeft/gopeft/models/auto"
)

func TestHeads(t *testing.T) {
	headless := golden(t, "SEQ_CLS", nil, without("classifier"))
	if _, _, err := auto.Load(headless, nil); !errors.Is(err, hfio.ErrNotFound) {
		t.Errorf("a head that is absent: found %v, want hfio.ErrNotFound", err)
	}
	spec := &auto.Options{Task: models.TokenCls, Labels: make([]string, 500), Rand: rand.New(rand.NewPCG(1, 1))}
	model, _, err := auto.Load(headless, spec)
	if err != nil || !model.NewHead {
		t.Fatalf("a new head: %v, NewHead %v", err, model.NewHead)
	}
	params := model.Head.Params()
	var sum, squares float64
	weights := models.Values(params[0].Param)
	for _, w := range weights {
		sum += float64(w)
		squares += float64(w) * float64(w)
	}
	n := float64(len(weights)) // 6000 draws of N(0, 0.02²): six standard errors
	if mean, deviation := sum/n, math.Sqrt(squares/n); math.Abs(mean) > 6*0.02/math.Sqrt(n) || math.Abs(deviation-0.02) > 6*0.02/math.Sqrt(2*n) {
		t.Errorf("a new head has mean %v and deviation %v, want 0 and initializer_range 0.02", mean, deviation)
	}
	for _, b := range models.Values(params[1].Param) {
		if b != 0 {
			t.Fatalf("a new bias is %v, want 0", b)
		}
	}

	poolerless := golden(t, "SEQ_CLS", nil, without("pooler"))
	if _, _, err := auto.Load(poolerless, nil); err == nil || !strings.Contains(err.Error(), "pooler.dense.weight") {
		t.Errorf("SEQ_CLS without a pooler: found %v", err)
	}
	if _, _, err := auto.Load(poolerless, &auto.Options{Task: models.FeatureExtraction}); err != nil {
		t.Errorf("features without a pooler: %v", err)
	}
	if _, _, err := auto.Load(poolerless, &auto.Options{Task: "CAUSAL_LM"}); !errors.Is(err, models.ErrUnsupportedTask) {
		t.Errorf("CAUSAL_LM: found %v, want ErrUnsupportedTask", err)
	}
	none := &auto.Options{Task: models.SeqCls, Labels: []string{}, Rand: rand.New(rand.NewPCG(1, 1))}
	if _, _, err := auto.Load(headless, none); !errors.Is(err, models.ErrLabels) {
		t.Errorf("a classifier of no label: found %v, want ErrLabels", err)
	}
}

// A clone of a head is trained by itself, and shares nothing with the file either.
func TestClone(t *testing.T) {
	for _, task := range []string{"SEQ_CLS", "TOKEN_CLS", "QUESTION_ANS"} {
		model, _, err := auto.Load(golden(t, task, nil, nil), nil)
		if err != nil {
			t.Fatal(err)
		}
		clone := model.Head.Clone()
		for i, p := range clone.Params() {
			own := model.Head.Params()[i]
			if own.Name != p.Name {
				t.Errorf("%s: parameter %d of the clone is %s, want %s", task, i, p.Name, own.Name)
			}
			numtest.SameBits(t, models.Values(p.Param), models.Values(own.Param))
			models.Values(p.Param)[0]++
			if models.Values(own.Param)[0] == models.Values(p.Param)[0] {
				t.Errorf("%s: the clone shares %s", task, p.Name)
			}
		}
	}
}

// Training a head changes neither the backbone and the pooler nor the checkpoint that
// the head was read from.
func TestTrainedHead(t *testing.T) {
	checkpoint, weights, backbone := opened(t, golden(t, "SEQ_CLS", nil, nil))
	head, _, err := backbone.NewHead(weights, models.HeadSpec{Task: models.SeqCls, Labels: make([]string, 3)})
	if err = errors.Join(err, weights.Err()); err != nil {
		t.Fatal(err)
	}
	held := tensors(t, checkpoint)
	var before [][]byte
	for _, tensor := range held {
		before = append(before, bytes.Clone(tensor.Data))
	}
	model := &models.Model{Task: models.SeqCls, Backbone: backbone, Head: head}
	logits, out, err := model.Forward(models.Batch{Sequences: sequences})
	if err != nil {
		t.Fatal(err)
	}
	loss, err := models.Loss(model.Task, "", logits, out, models.Labels{Classes: []int{0, 2}})
	if err != nil {
		t.Fatal(err)
	}
	if err := ag.Backward(loss); err != nil {
		t.Fatal(err)
	}
	for _, p := range head.Params() {
		for i, g := range models.Values(p.Param.Grad()) {
			models.Values(p.Param)[i] -= g
		}
	}
	for i, tensor := range held {
		if !bytes.Equal(tensor.Data, before[i]) {
			t.Errorf("%s changed", tensor.Name)
		}
	}
}

// The decoder of a masked LM comes from wherever transformers takes it.
// testdata/decoder.safetensors was made by compat_test/oracle/bert_fixtures.py.
func TestDecoder(t *testing.T) {
	file, err := hfio.OpenSafeTensors(os.DirFS("testdata"), "decoder.safetensors", nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = file.Close() })
	const head = "cls.predictions."
	fixture := func(name string) hfio.Tensor {
		for _, tensor := range file.Tensors {
			if tensor.Name == name {
				return tensor
			}
		}
		t.Fatalf("the fixture has no %s", name)
		return hfio.Tensor{}
	}
	added := func(names ...string) func([]hfio.Tensor) []hfio.Tensor {
		return func(list []hfio.Tensor) []hfio.Tensor {
			for _, name := range names {
				tensor := fixture(name)
				tensor.Name = head + name
				list = append(list, tensor)
			}
			return list
		}
	}
	untied := replace(`"tie_word_embeddings": true`, `"tie_word_embeddings": false`)
	for _, c := range []struct {
		name    string
		config  func(string) string
		tensors func([]hfio.Tensor) []hfio.Tensor
	}{
		{"tied", nil, nil},
		{"own weight", nil, added("decoder.weight")},
		{"own bias", nil, added("decoder.bias")},
		{"only the decoder's bias", nil, func(list []hfio.Tensor) []hfio.Tensor {
			return added("decoder.bias")(without(head + "bias")(list))
		}},
		{"untied", untied, added("decoder.weight", "decoder.bias")},
	} {
		t.Run(c.name, func(t *testing.T) {
			want, err := fixture("logits." + c.name).Float32s()
			if err != nil {
				t.Fatal(err)
			}
			numtest.Close(t, logitsOf(t, golden(t, "MASKED_LM", c.config, c.tensors)), want, 1e-5, 1e-5)
		})
	}
	_, _, err = auto.Load(golden(t, "MASKED_LM", untied, nil), nil)
	for _, name := range []string{"decoder.weight", "decoder.bias"} {
		if err == nil || !strings.Contains(err.Error(), head+name) {
			t.Errorf("untied, without a decoder: %v does not name %s", err, name)
		}
	}
}
