// Package embedded holds a small BERT and a task to try it on, compiled into whatever
// imports this package. Start at [Files], which models/auto and predict open like a
// directory, and [Domains]. It never reads the disk, and nothing in this module but the
// command imports it: programs with a base of their own stay small.
//
// README.md is the model card: data, licences, training, accuracy, limits.
package embedded

import (
	"embed"
	"fmt"
	"io/fs"
)

// Name is how adapters name the model, in base_model_name_or_path.
const Name = "gopeft/gloss-bert"

//go:embed model
var model embed.FS

//go:embed domains
var domains embed.FS

// Files returns the model as transformers saves one: config.json, model.safetensors in
// float16 and tokenizer.json. Its head is that of masked-language modelling.
func Files() fs.FS { return sub(model, "model") }

// Domains returns a task of ten classes, train.tsv, dev.tsv and test.tsv: definitions
// of WordNet and what they define, such as an animal or an act, and WordNet's LICENSE. The
// model never saw them.
func Domains() fs.FS { return sub(domains, "domains") }

func sub(files embed.FS, dir string) fs.FS {
	s, err := fs.Sub(files, dir)
	if err != nil {
		panic(fmt.Sprintf("embedded: %v", err)) // dir is a constant and valid
	}
	return s
}
