// Package gopeft is the root of a toolkit for Hugging Face PEFT soft prompts:
// prompt tuning, P-tuning and prefix tuning of frozen language models, in Go,
// with no Python at run time and no cgo.
//
// The packages, from the top:
//
//   - predict: the façade that an application imports. [github.com/gopeft/gopeft/predict.Open]
//     loads a base model, [github.com/gopeft/gopeft/predict.Base.Adapter] any number of adapters over it.
//   - generate: texts of decoders and encoder-decoders.
//   - template: texts with trained tokens and a mask, for P-tuning.
//   - train: reads labelled data and trains an adapter, resumable to the byte.
//   - adapters: the methods, PEFT's adapter directories and their fit to a base.
//   - models, models/auto, models/<architecture>, models/layer: the frozen base models.
//   - tokenize: tokenizer.json to ids with offsets.
//   - hfio: Hugging Face files as plain values.
//   - convert: rewriting and comparing adapters.
//   - cli, cmd/gopeft: the command gopeft.
//
// Which package may import which is held by deps_test.go.
package gopeft
