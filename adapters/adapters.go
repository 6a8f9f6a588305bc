// Package adapters turns PEFT adapter directories into prompts for base models,
// and back.
//
// Start at [Load], which puts an adapter on a base model, or at [New], which makes
// one to train; [Save] writes the directory that Python PEFT reads. [Validate] says
// what is wrong with an adapter without loading it. A [PeftModel] is trained and
// changes; [PeftModel.Freeze] makes of it what answers requests.
//
// The package never changes a base model, knows no architecture (a base is its
// [models.Shape] and what models.Backbone can do), and opens no tokenizer.
//
// Letters in the comments: P virtual tokens, d the width of a prompt row (token_dim),
// L layers, h the encoder's hidden size, R packed rows of a batch.
package adapters

import (
	"errors"
	"io/fs"
	"math/rand/v2"

	"github.com/nlpodyssey/spago/nn"

	"github.com/gopeft/gopeft/hfio"
	"github.com/gopeft/gopeft/models"
	"github.com/gopeft/gopeft/models/layer"
)

var (
	// ErrUnknownMethod: the adapter's peft_type is not one that this package reads.
	ErrUnknownMethod = errors.New("unknown method")
	// ErrConfig: a config that no adapter can be made of.
	ErrConfig = errors.New("wrong adapter config")
	// ErrMissingHead: the task needs a head that the file does not hold.
	ErrMissingHead = errors.New("the head is missing")
)

// Adapter is one PEFT method's prompt: what is trained, and how a prompt is made
// of it. Its parameters are only read while prompts are made, so Prompt may be
// called from several goroutines as long as nobody trains.
type Adapter interface {
	nn.Model
	// Prompt makes the prompt of one batch: rows before the word embeddings [P, d],
	// keys and values of every layer, [P, d] each, or deltas of layers. A nil dropout is evaluation. What
	// is computed has memory of the pool, which may be nil. Of several tasks it is the first's.
	Prompt(dropout *layer.Dropout, pool *models.Pool) (*models.Prompt, error)
	// Config is the adapter's config with every size filled in.
	Config() hfio.AdapterConfig
	// Stored returns the tensors that PEFT keeps, F32: prompt_embeddings, which is the
	// encoder's output without dropout, or the factors of deltas.
	Stored() ([]hfio.Tensor, error)
	// Trained lists what training changes, under the names of PEFT's module, always
	// in the same order. It is empty when the adapter is not Continuable.
	Trained() []models.NamedParam
	// Continuable tells whether training can go on. PEFT drops the encoder that made
	// a prompt: without gopeft's side file such an adapter can only be used.
	Continuable() bool
}

// Init is what a new adapter starts from.
type Init struct {
	// Rand gives every random start value; the same seed gives the same bytes.
	Rand *rand.Rand
	// TextIDs are the token ids of prompt_tuning_init_text, special tokens included,
	// as PEFT takes them. They are needed where the init is by text.
	TextIDs []int
	// Source are the tensors of the file that prompt_tuning_init_state_dict_path names.
	// They are needed where the init is by the tasks of another adapter.
	Source []hfio.Tensor
}

// New makes an adapter to train, as PEFT's get_peft_model does: sizes that cfg
// leaves open are filled in from the base, the head is a copy of the base's.
// Start cfg at hfio.NewAdapterConfig. What is wrong with cfg is reported together;
// a given size that does not fit the base is a [MismatchError].
func New(base *models.Model, cfg hfio.AdapterConfig, init Init) (_ *PeftModel, err error) {
	defer models.Guard(&err)
	m, err := methodFor(cfg.PeftType, base)
	if err != nil {
		return nil, err
	}
	cfg = newConfig(cfg, base.Head)
	full := fillSizes(cfg, base.Backbone.Shape(), m)
	if err := checkNew(full, base, init, m); err != nil {
		return nil, err
	}
	if err := mismatchError(misfits(full, base, m)); err != nil {
		return nil, err
	}
	info, err := newInfo(base)
	if err != nil {
		return nil, err
	}
	adapter, err := m.create(full, base, init)
	if err != nil {
		return nil, err
	}
	p := &PeftModel{Base: base, Adapter: adapter, Config: adapter.Config(), Info: info}
	if base.Head != nil {
		p.Head = base.Head.Clone()
	}
	return p, nil
}

// Load reads an adapter directory and puts it on a base model. Everything that is
// wrong with the files is reported together, and everything in which the adapter
// does not fit the base in one [MismatchError]. Saved again unchanged, the
// directory holds the same bytes.
func Load(fsys fs.FS, base *models.Model) (*PeftModel, error) {
	file, err := hfio.OpenAdapter(fsys, nil)
	if err != nil {
		return nil, err
	}
	p, err := FromFile(file, base)
	return p, errors.Join(err, file.Close())
}

// FromFile puts an opened adapter on a base model, as [Load] does. It copies what
// it needs: the file may be closed afterwards.
func FromFile(file *hfio.Adapter, base *models.Model) (_ *PeftModel, err error) {
	defer models.Guard(&err)
	m, err := methodFor(file.Config.PeftType, base)
	if err != nil {
		return nil, err
	}
	cfg := fillSizes(file.Config, base.Backbone.Shape(), m)
	if err := checkLoaded(file, cfg, base, m); err != nil {
		return nil, err
	}
	encoder, err := storedEncoder(file)
	if err != nil {
		return nil, err
	}
	return restore(file, cfg, base, m, encoder)
}

// Save writes the adapter's directory: what PEFT's save_pretrained writes, and
// gopeft's side files. Each file is replaced in one step.
func Save(dir string, m *PeftModel) error {
	file, err := m.File()
	if err != nil {
		return err
	}
	return hfio.WriteAdapter(dir, file)
}
