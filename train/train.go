// Package train trains adapters on text: it reads data files, turns examples into
// features, runs the optimiser, keeps the best adapter, and measures it.
//
// Start at [ReadFile] for the data, then [Encode], then [Run]. [Evaluate] measures an
// adapter without training it, and [Defaults] says which settings suit a method.
//
// A run is a function of its features, its settings and its seed: the same three
// give the same bytes, on any number of processors, interrupted or not.
//
// The package prints nothing; what happens is told through [Config.OnEvent]. It never
// changes a base model, and opens neither models nor tokenizers.
package train
