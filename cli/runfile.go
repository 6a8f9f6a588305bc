package cli

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"
	"go.yaml.in/yaml/v3"
)

// runFileFlag names the run file on the command line.
const runFileFlag = "config"

// applyRunFile sets the flags that a YAML run file names and the command line does
// not. Its keys are the flags' names; "_" stands for "-" as well.
func applyRunFile(c *cli.Context, path string) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var document yaml.Node
	if err := yaml.Unmarshal(data, &document); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if len(document.Content) == 0 {
		return nil // an empty file
	}
	run := document.Content[0]
	if run.Kind != yaml.MappingNode {
		return fmt.Errorf("%s: line %d: want options as keys with values", path, run.Line)
	}
	lines := map[string]int{}
	for i := 0; i < len(run.Content); i += 2 {
		key, node := run.Content[i].Value, run.Content[i+1]
		name := strings.ReplaceAll(key, "_", "-")
		if line := lines[name]; line > 0 {
			return fmt.Errorf("%s: line %d: field %q: given in line %d already", path, node.Line, key, line)
		}
		lines[name] = run.Content[i].Line
		known := slices.ContainsFunc(c.Command.Flags, func(f cli.Flag) bool { return slices.Contains(f.Names(), name) })
		if !known || name == runFileFlag {
			return fmt.Errorf("%s: line %d: field %q: unknown; the keys are the options of gopeft %s", path, node.Line, key, c.Command.Name)
		}
		if c.IsSet(name) {
			continue
		}
		values, err := runFileValues(node)
		if err != nil {
			return fmt.Errorf("%s: line %d: field %q: %w", path, node.Line, key, err)
		}
		for _, value := range values {
			if err := c.Set(name, value); err != nil {
				return fmt.Errorf("%s: line %d: field %q: found %q: %w", path, node.Line, key, value, err)
			}
		}
	}
	return nil
}

// runFileValues returns a scalar, or the scalars of a list.
func runFileValues(node *yaml.Node) ([]string, error) {
	switch node.Kind {
	case yaml.ScalarNode:
		return []string{node.Value}, nil
	case yaml.SequenceNode:
		var values []string
		for _, item := range node.Content {
			if item.Kind != yaml.ScalarNode {
				return nil, fmt.Errorf("found a nested value, want a list of scalars")
			}
			values = append(values, item.Value)
		}
		return values, nil
	}
	return nil, fmt.Errorf("found a mapping, want a value or a list")
}
