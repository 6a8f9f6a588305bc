// Command _asm generates the assembly of package simd: the matrix kernels and the
// element-wise functions, for AVX-512, for AVX2 with FMA, and for NEON on arm64.
//
//	go run .          writes ../kernels_*.s, ../quantised_kernels_*.s and their .go, and the loops of ../peak
//	go run . -check   fails if those files are not what it would write
//
// It is a module of its own, so that users of gopeft do not get its dependencies.
package main

import (
	"bytes"
	"flag"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/pass"
	"github.com/mmcloughlin/avo/printer"
)

func main() {
	check := flag.Bool("check", false, "compare with the committed files")
	flag.Parse()

	kernels, constants := context("amd64"), map[uint32]operand.Mem{}
	table := dropoutTable(kernels)
	for _, v := range []vector{avx512, avx2} {
		a := &assembler{Context: kernels, vector: v, constants: constants}
		a.matrixKernels()
		a.functions()
		a.dropout(table)
		a.rowFunctions()
		a.conversions()
	}
	(&assembler{Context: kernels, vector: avx2, constants: constants}).transpose()
	tiles := &assembler{Context: kernels, vector: amx, constants: constants}
	tiles.tiles()
	tiles.splits()
	write("..", "simd", "kernels_amd64", kernels, pass.Compile, *check)

	blocks, constants := context("amd64"), map[uint32]operand.Mem{}
	for _, v := range []vector{avx512, avx2} {
		(&assembler{Context: blocks, vector: v, constants: constants}).quantisedKernels()
	}
	write("..", "simd", "quantised_kernels_amd64", blocks, pass.Compile, *check)

	loops := context("amd64")
	for _, v := range []vector{avx512, avx2} {
		(&assembler{Context: loops, vector: v}).peak()
	}
	(&assembler{Context: loops, vector: amx}).tilePeak()
	write("../peak", "peak", "loops_amd64", loops, pass.Compile, *check)

	arm := context("arm64")
	a := newNEON(arm)
	a.matrixKernels()
	a.functions()
	a.rowFunctions()
	a.conversions()
	a.transpose()
	// Of the passes this one alone is not about the registers and branches of amd64.
	write("..", "simd", "kernels_arm64", arm, pass.Func(pass.IncludeTextFlagHeader), *check)
}

func context(architecture string) *build.Context {
	c := build.NewContext()
	c.ConstraintExpr(architecture + ",!purego")
	return c
}

// write writes the assembly of a package and the Go declarations of its functions, or compares them.
func write(dir, pkg, name string, c *build.Context, passes pass.Interface, check bool) {
	file, err := c.Result()
	if err != nil {
		build.LogError(log.Default(), err, 0)
		os.Exit(1)
	}
	if err := passes.Execute(file); err != nil {
		log.Fatal(err)
	}
	config := printer.Config{Name: "internal/simd/_asm", Pkg: pkg}
	for ending, p := range map[string]printer.Printer{
		".s":  printer.NewGoAsm(config),
		".go": printer.NewStubs(config),
	} {
		out, err := p.Print(file)
		if err != nil {
			log.Fatal(err)
		}
		path := filepath.Join(dir, name+ending)
		if !check {
			if err := os.WriteFile(path, out, 0o644); err != nil {
				log.Fatal(err)
			}
			continue
		}
		committed, err := os.ReadFile(path)
		if err != nil {
			log.Fatal(err)
		}
		if !bytes.Equal(committed, out) {
			fmt.Fprintf(os.Stderr, "%s is not what its generator makes: run go run . in internal/simd/_asm\n", path)
			os.Exit(1)
		}
	}
}
