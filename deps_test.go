package gopeft_test

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/gopeft/gopeft"

// lattice says which packages of this module each package may import. It is
// policy: change it in a commit of its own that says why. compat_test, which
// holds tests only, may import anything and is imported by nothing; compat_test/bench
// measures the packages that users call.
var lattice = map[string][]string{
	".":                       {},
	"hfio":                    {},
	"tokenize":                {},
	"tokenize/chat":           {},
	"template":                {"models", "tokenize"},
	"internal/simd":           {},
	"internal/simd/peak":      {"internal/simd"},
	"internal/numtest":        {},
	"internal/joined":         {},
	"internal/kernel":         {"internal/simd"},
	"models/layer":            {"hfio", "internal/kernel"},
	"models":                  {"hfio", "internal/kernel", "models/layer"},
	"models/head":             {"internal/kernel", "models", "models/layer"},
	"models/stack":            {"internal/kernel", "models", "models/layer"},
	"models/encoder":          {"hfio", "internal/kernel", "models", "models/head", "models/layer", "models/stack"},
	"models/albert":           {"hfio", "internal/kernel", "models", "models/encoder", "models/head", "models/layer"},
	"models/bert":             {"hfio", "internal/kernel", "models", "models/encoder", "models/head", "models/layer"},
	"models/deberta":          {"hfio", "internal/kernel", "models", "models/encoder", "models/head", "models/layer", "models/stack"},
	"models/distilbert":       {"hfio", "internal/kernel", "models", "models/encoder", "models/head", "models/layer"},
	"models/electra":          {"hfio", "internal/kernel", "models", "models/encoder", "models/head", "models/layer"},
	"models/modernbert":       {"hfio", "internal/kernel", "models", "models/encoder", "models/head", "models/layer", "models/stack"},
	"models/roberta":          {"hfio", "internal/kernel", "models", "models/encoder", "models/head", "models/layer", "models/stack"},
	"models/llama":            {"hfio", "internal/kernel", "models", "models/head", "models/layer", "models/stack"},
	"models/decoder":          {"hfio", "internal/kernel", "models", "models/head", "models/layer", "models/stack"},
	"models/bloom":            {"hfio", "internal/kernel", "models", "models/decoder", "models/layer", "models/stack"},
	"models/gpt2":             {"hfio", "models", "models/decoder", "models/layer"},
	"models/gptneox":          {"hfio", "models", "models/decoder", "models/layer", "models/stack"},
	"models/opt":              {"hfio", "internal/kernel", "models", "models/decoder", "models/layer", "models/stack"},
	"models/auto":             {"hfio", "internal/kernel", "models", "models/albert", "models/bart", "models/bert", "models/bloom", "models/deberta", "models/distilbert", "models/electra", "models/gpt2", "models/gptneox", "models/layer", "models/llama", "models/modernbert", "models/opt", "models/roberta", "models/t5"},
	"models/bart":             {"hfio", "internal/kernel", "models", "models/head", "models/layer", "models/stack"},
	"models/t5":               {"hfio", "internal/kernel", "models", "models/head", "models/layer", "models/stack"},
	"models/modeltest":        {"hfio", "internal/kernel", "internal/numtest", "models", "models/layer"},
	"models/embedded":         {},
	"models/embedded/decoder": {},
	"adapters":                {"hfio", "internal/joined", "internal/kernel", "models", "models/layer"},
	"adapters/adaptertest":    {"adapters", "hfio", "internal/kernel", "internal/numtest", "models", "models/layer"},
	"generate":                {"adapters", "hfio", "models"},
	"convert":                 {"hfio"},
	"train":                   {"adapters", "hfio", "internal/kernel", "internal/simd", "models", "models/layer", "template", "tokenize"},
	"train/report":            {"hfio", "train"},
	"predict":                 {"adapters", "generate", "hfio", "models", "models/auto", "template", "tokenize"},
	"cli":                     {"adapters", "convert", "generate", "hfio", "internal/joined", "models", "models/auto", "models/embedded", "models/embedded/decoder", "predict", "template", "tokenize", "tokenize/chat", "train", "train/report"},
	"cmd/gopeft":              {"cli"},
	"examples/classify":       {"hfio", "predict"},
	"compat_test/bench":       {"adapters", "generate", "hfio", "internal/simd/peak", "models", "models/auto", "models/layer", "tokenize", "train"},
}

// onlyIn lists foreign modules that stay behind one package of ours.
var onlyIn = map[string][]string{
	"github.com/sugarme/tokenizer":   {"tokenize"},
	"github.com/nlpodyssey/spago/ag": {"internal/kernel", "train"},
	"github.com/urfave/cli":          {"cli"},
	"gonum.org/v1/plot":              {"train/report"},
	"github.com/parquet-go":          {"train"},
	"github.com/ardanlabs/jinja":     {"tokenize/chat"},
	"github.com/edsrzf/mmap-go":      {"hfio"},
	"github.com/rivo/uniseg":         {"tokenize"},
}

type goPackage struct {
	ImportPath   string
	Imports      []string
	TestGoFiles  []string
	XTestGoFiles []string
	GoFiles      []string
}

func TestImportLattice(t *testing.T) {
	for _, p := range listPackages(t) {
		name := relative(p.ImportPath)
		if name == "compat_test" {
			if len(p.GoFiles) > 0 {
				t.Errorf("compat_test holds tests only, found %v", p.GoFiles)
			}
			continue
		}
		allowed, known := lattice[name]
		if !known {
			t.Errorf("%s is not in the import lattice: add it, with what it may import", name)
			continue
		}
		for _, imported := range p.Imports {
			checkImport(t, name, imported, allowed)
		}
	}
}

func checkImport(t *testing.T, name, imported string, allowed []string) {
	t.Helper()
	if imported == module || strings.HasPrefix(imported, module+"/") {
		if !slices.Contains(allowed, relative(imported)) {
			t.Errorf("%s imports %s, which the lattice does not allow", name, relative(imported))
		}
		return
	}
	for foreign, homes := range onlyIn {
		if strings.HasPrefix(imported, foreign) && !slices.Contains(homes, name) {
			t.Errorf("%s imports %s, which belongs in %s only", name, imported, strings.Join(homes, ", "))
		}
	}
}

func relative(importPath string) string {
	if importPath == module {
		return "."
	}
	return strings.TrimPrefix(importPath, module+"/")
}

func listPackages(t *testing.T) []goPackage {
	t.Helper()
	out, err := exec.Command("go", "list", "-json=ImportPath,Imports,GoFiles,TestGoFiles,XTestGoFiles", "./...").Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			t.Fatalf("go list: %v\n%s", err, exit.Stderr)
		}
		t.Fatalf("go list: %v", err)
	}
	var packages []goPackage
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p goPackage
		err := d.Decode(&p)
		if errors.Is(err, io.EOF) {
			return packages
		}
		if err != nil {
			t.Fatalf("go list output: %v", err)
		}
		packages = append(packages, p)
	}
}
