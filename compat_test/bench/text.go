package main

import (
	"fmt"
	"slices"
	"strings"
)

// document is the whole of docs/benchmarks.md.
func (b *bench) document() string {
	load := "not known"
	if len(b.loads) > 0 {
		load = fmt.Sprintf("median %.1f, at most %.1f, the benchmark itself included", median(b.loads), slices.Max(b.loads))
	}
	peaks := fmt.Sprintf("%s GFLOPS in float32", thousands(b.peak.Float32/1e9))
	if b.peak.BFloat16 > 0 {
		peaks += fmt.Sprintf(", %s in bfloat16", thousands(b.peak.BFloat16/1e9))
	}
	reading := fmt.Sprintf("%.1f GB/s", b.peak.Read/1e9)
	replacer := strings.NewReplacer(
		"{written}", fmt.Sprint(decoding.written), "{prompt}", fmt.Sprint(decoding.tokens), "{bytes}", b.bytesOfToken(),
		"{rounds}", fmt.Sprint(b.rounds), "{threads}", fmt.Sprint(threads()), "{virtual}", fmt.Sprint(virtualTokens),
		"{machine}", describeMachine(), "{peaks}", peaks, "{reading}", reading, "{versions}", b.versionList(), "{load}", load,
		"{speed}", b.speedTable().String(), "{memory}", b.memoryTable().String(),
		"{operators}", b.operatorTable().String(), "{check}", b.checkTable().String(),
	)
	return replacer.Replace(text)
}

const text = `# Benchmarks

Made by ` + "`make bench-peft`" + `, which writes this file. gopeft and Python PEFT run in turns, {rounds} rounds, every measurement in a process of its own (Python's is forked from one that has imported its libraries), on the
same bases, starting adapters, batches and number of steps. Medians of the rounds; the ratio is of the medians, above 1 gopeft is faster. Ratios
carry over to other machines of the kind better than figures do.

{speed}
tok/s counts the tokens of the texts: neither pads nor the {virtual} virtual tokens of each sequence. Training is a whole step: forward, backward, clipping,
AdamW. Rows that name no model are of all-MiniLM-L6-v2 (22.7 million parameters), they and the BERT-base shape with a sequence classifier of two labels; SmolLM2 is
SmolLM2-135M-Instruct, a Llama; shapes have random weights. 16×128: sixteen sequences of 128 tokens. 16 sentences: real film review sentences in their natural lengths, where Python pads each batch to its
longest sentence, as its users do, and gopeft does not pad. Such sentences are tokenized by gopeft and by the tokenizers library on one thread each.
A request is measured by itself, over and over; start to first answer is a process that imports, loads base and adapter and answers one sentence.

Language models learn all tokens of their sequences, the encoder-decoder targets. Decoding is greedy: {written} tokens behind a prompt of {prompt}, the prompt's reading included, with a
key-value cache and no end token; tok/s counts the tokens that were written. With 4 adapters Python answers 4 batches of 4 sequences, since PEFT has one prompt adapter active at a
time, and gopeft one batch of 16. A first token is the one behind a prompt of 512 tokens.

## Memory

{memory}
The most memory that the process had resident at once (Linux's VmHWM), mapped weights included.

## Where a step goes

{operators}
From a CPU profile of gopeft's timed steps on one processor, where each operator's work is on its own goroutine: samples under the operator's forward or
backward, without the packing of operands and the copies (memmove) among them, which have lines of their own.

## Machine and settings

- {machine}
- peak: {peaks}, by loops of multiply-adds in registers on all cores, the best of all rounds
- memory: {reading} read by all cores
- {versions}
- load average: {load}
- Python: all {threads} cores, scaled dot product attention (sdpa), bfloat16 by autocast, of language models by a base in bfloat16, which is faster;
  OMP_WAIT_POLICY left alone and PASSIVE, both in the first round, then the better one of the row
- gopeft: as it comes; bfloat16 is ` + "`--dtype bf16`" + `
- training: AdamW, weight decay 0.01, gradients clipped to norm 1, constant learning rate; no dropout where the row does not say so

## Same numbers

Before anything is timed, and again in every round, the results are compared: the losses of the first and the last step of training, all scores
of a forward pass, the probabilities of a first answer, the ids of a text, and of decoding all tokens that were written and their scores. In bfloat16 answers may part where two tokens have scores
as near to each other as is allowed below; what is written behind is not compared. Differences are relative to the value, of decoding to the greatest magnitude of the token's scores, or absolute below 1.

{check}
The tolerance follows from the arithmetic. A layer rounds the residual stream or what is added to it about 8 times, independently, so the errors of L layers add as
squares: u·√(8·L). In float32 u = 2⁻²⁴, and each sum of up to K terms (the intermediate size) rounds as well: another √K. In bfloat16 operands are rounded with
u = 2⁻⁹ and sums are not; Python's language models, which are in bfloat16 as a whole, round about 16 times. Every step of training before the last may add as much again.

## The share of the peak

Floating-point operations that a row needs, over its time and the peak. Needed are the matrix products; a multiplication and an addition count as two. For a
sequence of T tokens with P virtual ones, hidden size d, keys of width g (d, unless queries share them), intermediate size f and L layers, let R be its rows (T, or T+P where the prompt
is put before the input), A the keys that all its rows attend to (T+P each; in a decoder only those up to the row's own), and W = 2·d²+2·d·g+2·d·f the weights of a layer's matrices (3·d·f where the
feed-forward layer is gated):

- forward: L·(2·R·W + 4·d·A)
- backward: L·(2·R·W + 8·d·A) − (R−P′)·2·d·(d+2·g)
- head of a language model with V tokens: 2·V·d for each row that predicts a token, and as much backward

The base is frozen, so no weight has a gradient. The last term is the lowest layer's product with the weights of queries, keys and values, where only the
P′ virtual rows (P before the input, none with a prefix) need an input's gradient. Not counted: element-wise work, a classifier's head and the prompt's encoder (under
0.1 %), pads, what is computed twice, and encoder-decoders.

Decoding is bound by memory, so its share is of what can be read: a step needs all weights, L·W + V·d numbers of 4 bytes, in bfloat16 of 2, and of every sequence the keys and values before it, 2·g·L numbers a token.
Of SmolLM2 that is {bytes} a token of one sequence.

Of a forward pass and of training all rows are counted, as Python computes them. gopeft leaves out the rows of the last layer that a sequence classifier does not read: three quarters of that layer,
12 % of MiniLM's work and 6 % of the BERT-base shape's. Of what it does compute it reaches that much less of the peak than the column says.
`
