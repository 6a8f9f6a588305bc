package cli

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/gopeft/gopeft/adapters"
	"github.com/gopeft/gopeft/hfio"
)

func inspectCommand() *cli.Command {
	return &cli.Command{
		Name:      "inspect",
		Usage:     "show what is in an adapter or model directory",
		ArgsUsage: "DIR",
		Description: `Of an adapter: its method, sizes and tensors, the base that it wants, and what Python PEFT will do with it.
Of a base model: its architecture, sizes and tensors.`,
		Flags:  []cli.Flag{jsonFlag("print one JSON object")},
		Action: runInspect,
	}
}

func runInspect(c *cli.Context) error {
	args, err := wantArgs(c, "DIR")
	if err != nil {
		return err
	}
	dir, err := baseFiles(args[0])
	if err != nil {
		return err
	}
	var shown inspected
	switch {
	case has(dir, hfio.AdapterConfigFile):
		shown, err = inspectAdapter(dir)
	case has(dir, hfio.ModelConfigFile), holdsGGUF(dir):
		shown, err = inspectModel(dir)
	default:
		return fmt.Errorf("%s: found neither %s nor config.json, want an adapter or a model directory", args[0], hfio.AdapterConfigFile)
	}
	if err != nil {
		return err
	}
	if c.Bool("json") {
		return printJSON(c.App.Writer, shown)
	}
	return shown.print(c.App.Writer)
}

func has(fsys fs.FS, name string) bool {
	_, err := fs.Stat(fsys, name)
	return !errors.Is(err, fs.ErrNotExist)
}

// inspected is what inspect shows of a directory.
type inspected struct {
	Kind       string             `json:"kind"` // adapter or model
	Properties []property         `json:"properties"`
	Tensors    []inspectedTensor  `json:"tensors"`
	Values     int                `json:"values"` // numbers in all tensors
	Findings   []adapters.Finding `json:"findings,omitempty"`
}

type property struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

type inspectedTensor struct {
	Name  string     `json:"name"`
	DType hfio.DType `json:"dtype"`
	Shape []int      `json:"shape"`
}

func (s *inspected) add(name, value string) {
	if value != "" {
		s.Properties = append(s.Properties, property{name, value})
	}
}

func (s *inspected) addSize(name string, value int) {
	if value != 0 {
		s.add(name, strconv.Itoa(value))
	}
}

func (s *inspected) addTensor(t hfio.Tensor) {
	s.Tensors = append(s.Tensors, inspectedTensor{t.Name, t.DType, t.Shape})
	s.Values += t.Size()
}

func inspectAdapter(dir fs.FS) (inspected, error) {
	a, err := hfio.OpenAdapter(dir, nil)
	if err != nil {
		return inspected{}, err
	}
	defer a.Close()
	config := a.Config
	s := inspected{Kind: "adapter", Findings: adapters.Validate(a, nil)}
	s.add("method", string(config.PeftType))
	s.add("task", string(config.TaskType))
	s.add("base", config.BaseModelNameOrPath)
	s.add("written by PEFT", config.PeftVersion)
	s.addSize("virtual tokens", config.NumVirtualTokens)
	s.addSize("token dim", config.TokenDim)
	s.addSize("layers", config.NumLayers)
	s.addSize("attention heads", config.NumAttentionHeads)
	s.add("init", config.PromptTuningInit)
	s.add("init text", config.PromptTuningInitText)
	s.add("encoder", config.EncoderReparameterizationType)
	if config.PrefixProjection {
		s.add("prefix projection", "yes")
	}
	s.add("training", unfinished(dir))
	s.addInfo(a.Info)
	if config.PeftType == hfio.Lora {
		s.add("rank", strconv.Itoa(config.R))
		s.add("alpha", strconv.FormatFloat(config.LoraAlpha, 'g', -1, 64))
		s.add("target modules", string(config.TargetModules))
		if config.Bias != "none" {
			s.add("biases of the base", config.Bias)
		}
		if config.UseDora {
			s.add("DoRA", "yes")
		}
		if config.LoraBias {
			s.add("bias of what is added", "yes")
		}
	}
	s.add("in Python", inPython(config.PeftType, s.Findings))
	for _, t := range a.Tensors {
		s.addTensor(t)
	}
	return s, nil
}

// addInfo shows gopeft's side file; a broken one is among the findings.
func (s *inspected) addInfo(data []byte) {
	if data == nil {
		return
	}
	info, err := adapters.ParseInfo(data)
	if err != nil {
		return
	}
	s.add("problem type", info.ProblemType)
	s.add("labels", strings.Join(info.Labels, ", "))
	s.addSize("longest text", info.MaxLength)
	s.add("template", info.Template)
	for _, label := range info.Labels {
		s.add("words of "+label, strings.Join(info.Verbalizer[label], ", "))
	}
}

// inPython says what PEFT does with an adapter that has these findings.
func inPython(method hfio.PeftType, findings []adapters.Finding) string {
	isError := func(f adapters.Finding) bool { return f.Severity == adapters.Error }
	if slices.ContainsFunc(findings, isError) {
		return "PEFT does not load it, or not as meant: see below"
	}
	switch method {
	case hfio.Lora:
		return "PEFT loads it, to predict or to train it further"
	case hfio.PrefixTuning, hfio.Cartridge:
		return "PEFT loads it to predict, on a base that takes past_key_values (validate --base tells); it trains no saved prompt further"
	}
	return "PEFT loads it to predict; it trains no saved prompt further"
}

// holdsGGUF tells whether a model's weights are in a GGUF file. Too many of them count,
// so that opening reports it.
func holdsGGUF(dir fs.FS) bool {
	name, err := hfio.FindGGUF(dir)
	return name != "" || err != nil
}

func inspectModel(dir fs.FS) (inspected, error) {
	checkpoint, err := hfio.OpenModel(dir, nil)
	if err != nil {
		return inspected{}, err
	}
	defer checkpoint.Close()
	config := checkpoint.Config
	s := inspected{Kind: "model"}
	s.add("model type", config.ModelType)
	for _, name := range config.Architectures {
		s.add("architecture", name)
	}
	r := config.Reader()
	for _, key := range []string{
		"num_hidden_layers", "hidden_size", "num_attention_heads",
		"num_key_value_heads", "intermediate_size", "vocab_size", "max_position_embeddings",
	} {
		s.addSize(key, r.IntOr(key, 0))
	}
	if err := r.Err(); err != nil {
		return inspected{}, err
	}
	s.add("training", unfinished(dir))
	for _, name := range checkpoint.Names() {
		t, err := checkpoint.Tensor(name)
		if err != nil {
			return inspected{}, err
		}
		s.addTensor(t)
	}
	return s, nil
}

func (s *inspected) print(w io.Writer) error {
	properties := newTable(w)
	properties.row("kind", s.Kind)
	for _, p := range s.Properties {
		properties.row(p.Name, p.Value)
	}
	properties.row("values", strconv.Itoa(s.Values))
	if err := properties.flush(); err != nil {
		return err
	}
	fmt.Fprintln(w)
	tensors := newTable(w, "tensor", "dtype", "shape")
	for _, t := range s.Tensors {
		tensors.row(t.Name, string(t.DType), fmt.Sprint(t.Shape))
	}
	if err := tensors.flush(); err != nil {
		return err
	}
	if len(s.Findings) > 0 {
		fmt.Fprintln(w)
		return printFindings(w, s.Findings)
	}
	return nil
}
