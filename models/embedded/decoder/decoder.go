// Package decoder holds a small Llama that goes on from a text, compiled into whatever
// imports this package. [Files] are opened like a directory by models/auto and predict. It
// never reads the disk, and nothing in this module but the command imports it.
//
// README.md is the model card: data, licences, training, perplexity, limits.
package decoder

import (
	"embed"
	"fmt"
	"io/fs"
)

// Name is how adapters name the model, in base_model_name_or_path.
const Name = "gopeft/gloss-llama"

//go:embed model
var model embed.FS

// Files returns the model as transformers saves one: config.json, model.safetensors in
// float16 and tokenizer.json, for CAUSAL_LM.
func Files() fs.FS {
	files, err := fs.Sub(model, "model")
	if err != nil {
		panic(fmt.Sprintf("embedded decoder: %v", err)) // the name is a constant and valid
	}
	return files
}
