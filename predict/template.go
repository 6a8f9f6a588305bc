package predict

import (
	"fmt"

	"github.com/gopeft/gopeft/adapters"
	"github.com/gopeft/gopeft/hfio"
	"github.com/gopeft/gopeft/models"
	"github.com/gopeft/gopeft/template"
)

// TemplateOf returns the template of an adapter for the base's tokenizer, nil if it has none.
func (b *Base) TemplateOf(info adapters.Info) (*template.Encoder, error) {
	if info.Template == "" {
		return nil, nil
	}
	parsed, err := template.Parse(info.Template)
	if err != nil {
		return nil, infoError("template", err)
	}
	var verbalizer *template.Verbalizer
	if info.Verbalizer != nil {
		verbalizer = &template.Verbalizer{Labels: info.Labels, Words: info.Verbalizer}
	}
	encoder, err := b.Bind(parsed, verbalizer)
	if err != nil {
		return nil, infoError("verbalizer", err)
	}
	return encoder, nil
}

// Model returns the base with the head that its config.json names.
func (b *Base) Model() (*models.Model, error) { return b.model.Model(models.HeadSpec{}) }

// Bind makes the encoder of a template for the base and its tokenizer.
func (b *Base) Bind(t *template.Template, v *template.Verbalizer) (*template.Encoder, error) {
	task, err := b.model.LanguageTask()
	if err == nil {
		err = b.tokenizerErr
	}
	if err != nil {
		return nil, err
	}
	return t.Bind(b.tokenizer, v, template.Language{Task: task, Vocab: b.Shape().Vocab})
}

// Classifier returns the base with the head that fills in a template's mask.
func (b *Base) Classifier(e *template.Encoder) (*models.Model, error) {
	language, err := b.model.Model(models.HeadSpec{Task: e.Task()})
	if err != nil {
		return nil, err
	}
	return e.Model(language)
}

// templateModel returns the model of an adapter with a template, nil if it has none.
func (b *Base) templateModel(file *hfio.Adapter) (*models.Model, error) {
	if file.Info == nil {
		return nil, nil
	}
	info, err := adapters.ParseInfo(file.Info)
	if err != nil {
		return nil, err
	}
	encoder, err := b.TemplateOf(info)
	if encoder == nil || err != nil {
		return nil, err
	}
	if n := encoder.Template().VirtualTokens(); n != file.Config.NumVirtualTokens {
		return nil, infoError("template", fmt.Errorf("%w: found %d trained tokens, the adapter has %d", template.ErrTemplate, n, file.Config.NumVirtualTokens))
	}
	return b.Classifier(encoder)
}

func infoError(field string, err error) error {
	return &hfio.FieldError{File: hfio.InfoFile, Field: field, Err: err}
}

// Fields are the names that a template of the adapter shows; nil: there is none.
func (p *Predictor) Fields() []string {
	if p.template == nil {
		return nil
	}
	return p.template.Template().Fields()
}

// HasVocabulary tells whether the labels are all the tokens of the vocabulary.
func (p *Predictor) HasVocabulary() bool { return p.template != nil && !p.template.HasWords() }

// field returns what a template shows of a text.
func (t Text) field(name string) (string, error) {
	switch value, ok := t.Fields[name]; {
	case name == "text":
		return t.Text, nil
	case name == "pair":
		return t.Pair, nil
	case ok:
		return value, nil
	}
	return "", fmt.Errorf("field %q: missing: the adapter's template shows it", name)
}
