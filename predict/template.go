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
	if b.tokenizerErr != nil {
		return nil, b.tokenizerErr
	}
	parsed, err := template.Parse(info.Template)
	if err != nil {
		return nil, infoError("template", err)
	}
	var verbalizer *template.Verbalizer
	if info.Verbalizer != nil {
		verbalizer = &template.Verbalizer{Labels: info.Labels, Words: info.Verbalizer}
	}
	encoder, err := parsed.Bind(b.tokenizer, verbalizer, template.Language{Vocab: b.Shape().Vocab})
	if err != nil {
		return nil, infoError("verbalizer", err)
	}
	return encoder, nil
}

// Model returns the base with the head that its config.json names.
func (b *Base) Model() (*models.Model, error) { return b.model.Model(models.HeadSpec{}) }

// LanguageModel returns the base with the head that fills in a template's mask.
func (b *Base) LanguageModel() (*models.Model, error) {
	return b.model.Model(models.HeadSpec{Task: models.MaskedLM})
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
	language, err := b.LanguageModel()
	if err != nil {
		return nil, err
	}
	return encoder.Model(language)
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
