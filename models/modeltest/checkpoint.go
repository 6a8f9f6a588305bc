package modeltest

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing/fstest"

	"github.com/gopeft/gopeft/hfio"
)

// Checkpoint opens a model directory with a text of its config.json replaced, which must be
// there, and returns its tensors too.
func Checkpoint(dir, old, changed string) (*hfio.Checkpoint, []hfio.Tensor, error) {
	files := fstest.MapFS{}
	for _, name := range []string{hfio.ModelConfigFile, hfio.ModelWeightsFile} {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			return nil, nil, err
		}
		files[name] = &fstest.MapFile{Data: data}
	}
	config := files[hfio.ModelConfigFile]
	if !strings.Contains(string(config.Data), old) {
		return nil, nil, errors.New("the config has no " + old)
	}
	config.Data = []byte(strings.Replace(string(config.Data), old, changed, 1))
	checkpoint, err := hfio.OpenModel(files, &hfio.OpenOptions{NoMap: true})
	if err != nil {
		return nil, nil, err
	}
	var tensors []hfio.Tensor
	for _, name := range checkpoint.Names() {
		t, err := checkpoint.Tensor(name)
		if err != nil {
			return nil, nil, err
		}
		tensors = append(tensors, t)
	}
	return checkpoint, tensors, nil
}
