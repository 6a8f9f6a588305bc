// Package hfio holds Hugging Face files as plain values: base checkpoints,
// PEFT adapters, and the safetensors, torch, GGUF and JSON files they are made of.
//
// Start at [OpenAdapter] for an adapter directory and at [OpenModel] for a base
// model; both read from an [io/fs.FS], usually [Dir]. [WriteAdapter] writes an
// adapter directory with the bytes that PEFT would have written.
//
// Files are not trusted: every size is checked before memory is asked for, torch
// pickles are parsed and never executed, and what is wrong in a file is reported
// together, as [FieldError] and [TensorError] values that name the file.
//
// The package computes nothing: it never interprets a weight. Of models it knows only
// the names and the form that llama.cpp's GGUF files give their tensors.
package hfio
