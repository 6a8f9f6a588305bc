package auto

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/nlpodyssey/spago/ag"

	"github.com/gopeft/gopeft/hfio"
	"github.com/gopeft/gopeft/models"
	"github.com/gopeft/gopeft/models/modeltest"
)

// cached is a backbone that tells its keys and values.
type cached interface {
	Cache(models.Sequence) ([]models.KV, error)
}

// TestConformance runs the suite of backbones on the tiny encoders of compat_test.
func TestConformance(t *testing.T) {
	eachTiny(t, "encoders", func(t *testing.T, s modeltest.Suite) {
		if filepath.Base(t.Name()) != "deberta-v2" { // which has a convolution
			s.Cache = s.Backbone.(cached).Cache
		}
		if strings.HasPrefix(s.Backbone.Shape().ModelType, "deberta") {
			s.Step = 1.0 / 32 // scores are quadratic in the rows in three ways: they bend more
		}
		modeltest.Run(t, s)
	})
}

// TestSeq2SeqConformance runs it on the tiny encoder-decoders.
func TestSeq2SeqConformance(t *testing.T) {
	eachTiny(t, "seq2seq", func(t *testing.T, s modeltest.Suite) {
		s.Step = 1.0 / 64
		if _, err := s.Backbone.Forward(models.Batch{}); errors.Is(err, models.ErrUnsupportedTask) { // its checkpoint holds no decoder
			modeltest.RunEncoder(t, s)
			return
		}
		modeltest.RunEncoderDecoder(t, s)
	})
}

func eachTiny(t *testing.T, kind string, run func(*testing.T, modeltest.Suite)) {
	folder := filepath.Join("../../compat_test/testdata", kind)
	entries, err := os.ReadDir(folder)
	if err != nil || len(entries) == 0 {
		t.Fatalf("%s: %d entries, %v", folder, len(entries), err)
	}
	for _, entry := range entries {
		t.Run(entry.Name(), func(t *testing.T) {
			base, err := Open(dropping(t, filepath.Join(folder, entry.Name(), "base")), &OpenOptions{Files: &hfio.OpenOptions{NoMap: true}})
			if err != nil {
				t.Fatal(err)
			}
			defer base.Close()
			run(t, modeltest.Suite{Backbone: base.backbone, Backward: ag.Backward, Weights: tensorsOf(t, base.checkpoint)})
		})
	}
}

var dropouts = regexp.MustCompile(`("\w*dropout\w*": )[\d.]+`)

// dropping is a model directory with every dropout of its config above 0, and without what
// the suite cannot look at.
func dropping(t *testing.T, dir string) fs.FS {
	t.Helper()
	files := fstest.MapFS{}
	for _, name := range []string{"config.json", "model.safetensors"} {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		files[name] = &fstest.MapFile{Data: data}
	}
	config := dropouts.ReplaceAll(files["config.json"].Data, []byte("${1}0.2"))
	for _, change := range [][2]string{
		{`"relu"`, `"gelu"`}, // finite differences want no kinks
		{`"scale_embedding": true`, `"scale_embedding": false`}, // which PEGASUS, as PEFT runs it, does not do with a prompt
	} {
		config = bytes.ReplaceAll(config, []byte(change[0]), []byte(change[1]))
	}
	files["config.json"].Data = config
	return files
}

// tensorsOf returns all tensors of a checkpoint.
func tensorsOf(t *testing.T, checkpoint *hfio.Checkpoint) []hfio.Tensor {
	t.Helper()
	var all []hfio.Tensor
	for _, name := range checkpoint.Names() {
		tensor, err := checkpoint.Tensor(name)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, tensor)
	}
	return all
}
