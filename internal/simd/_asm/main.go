// Command _asm generates the assembly of package simd: the matrix kernels and the
// element-wise functions, for AVX-512 and for AVX2 with FMA.
//
//	go run .          writes ../kernels_amd64.s and ../kernels_amd64.go
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

	c := build.NewContext()
	c.ConstraintExpr("amd64,!purego")
	constants := map[uint32]operand.Mem{}
	for _, v := range []vector{avx512, avx2} {
		a := &assembler{Context: c, vector: v, constants: constants}
		a.matrixKernels()
		a.functions()
		a.rowFunctions()
		a.conversions()
	}
	(&assembler{Context: c, vector: avx2, constants: constants}).transpose()
	file, err := c.Result()
	if err != nil {
		build.LogError(log.Default(), err, 0)
		os.Exit(1)
	}
	if err := pass.Compile.Execute(file); err != nil {
		log.Fatal(err)
	}
	config := printer.Config{Name: "internal/simd/_asm", Pkg: "simd"}
	for name, p := range map[string]printer.Printer{
		"kernels_amd64.s":  printer.NewGoAsm(config),
		"kernels_amd64.go": printer.NewStubs(config),
	} {
		out, err := p.Print(file)
		if err != nil {
			log.Fatal(err)
		}
		path := filepath.Join("..", name)
		if !*check {
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
			fmt.Fprintf(os.Stderr, "%s is not what its generator makes: run go run . in internal/simd/_asm\n", name)
			os.Exit(1)
		}
	}
}
