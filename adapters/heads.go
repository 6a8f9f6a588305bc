package adapters

import (
	"fmt"
	"slices"
	"strings"

	"github.com/gopeft/gopeft/hfio"
	"github.com/gopeft/gopeft/internal/kernel"
	"github.com/gopeft/gopeft/models"
)

// headPrefix stands before the name of every head tensor in a file: PEFT wraps the base
// once for a prompt, twice for LoRA.
func headPrefix(file *hfio.Adapter) string { return headPrefixOf(file.Config.PeftType) }

func headPrefixOf(peftType hfio.PeftType) string {
	if isDelta(peftType) {
		return "base_model.model."
	}
	return "base_model."
}

// taskModules lists the modules that PEFT trains and saves with a prompt of a task,
// as far as the base has them.
// Source: peft 0.21.2, peft_model.py, PeftModelFor*.__init__.
func taskModules(task hfio.TaskType) []string {
	switch task {
	case hfio.SeqCls, hfio.TokenCls:
		return []string{"classifier", "score"}
	case hfio.QuestionAns:
		return []string{"qa_outputs"}
	}
	return nil
}

// headModules are the modules of all tasks.
var headModules = slices.Concat(taskModules(hfio.SeqCls), taskModules(hfio.QuestionAns))

// newModulesToSave returns modules_to_save as PEFT writes it for a new adapter:
// the task's modules are added to it twice. A list that already is what PEFT makes
// of null stays, so that a config taken from a file does not grow. A head that is trained
// and that PEFT would leave alone is named, too.
func newModulesToSave(cfg hfio.AdapterConfig, head models.Head) []string {
	names := taskModules(cfg.TaskType)
	cfg.ModulesToSave = slices.Concat(ownModules(cfg, head), cfg.ModulesToSave)
	if isDelta(cfg.PeftType) {
		return slices.Concat(cfg.ModulesToSave, names)
	}
	twice := slices.Concat(names, names)
	if slices.Equal(cfg.ModulesToSave, twice) {
		return cfg.ModulesToSave
	}
	return slices.Concat(cfg.ModulesToSave, twice)
}

// ownModules are the modules of what is trained of a head that a config does not name and
// that PEFT would neither train nor save by itself.
func ownModules(cfg hfio.AdapterConfig, head models.Head) []string {
	var own []string
	for _, p := range headParams(head) {
		if module, _, _ := strings.Cut(p.Name, "."); !inModules(p.Name, savedModules(cfg)) && !slices.Contains(own, module) {
			own = append(own, module)
		}
	}
	return own
}

// savedModules is the set of modules that a file must hold if the base has them.
func savedModules(cfg hfio.AdapterConfig) []string {
	names := slices.Concat(taskModules(cfg.TaskType), cfg.ModulesToSave)
	slices.Sort(names)
	return slices.Compact(names)
}

// inModules tells whether a parameter belongs to one of the modules.
func inModules(param string, modules []string) bool { return moduleOf(param, modules) != "" }

// moduleOf returns the path of the module that a parameter belongs to, of those listed; "": of none.
// PEFT takes every module whose path ends with a listed name.
func moduleOf(param string, modules []string) string {
	path := strings.Split(param, ".")
	for i := 1; i < len(path); i++ {
		module := strings.Join(path[:i], ".")
		if slices.ContainsFunc(modules, func(name string) bool { return strings.HasSuffix(module, name) }) {
			return module
		}
	}
	return ""
}

// wrapped returns the names under which PEFT saves a head's bias again, if it saves all biases: it
// finds the one that the base came with and the trained one in the wrapper around a module that it
// saves. "": it does not.
// Source: peft 0.21.2, tuners/tuners_utils.py, _get_learnable_bias_state_dict and
// _remove_adapter_name_from_state_dict_key, which leaves the adapter's name inside of longer paths.
func wrapped(param string, cfg hfio.AdapterConfig) (original, trained string) {
	module := moduleOf(param, savedModules(cfg))
	if module == "" || !isSavedBias(param, cfg) {
		return "", ""
	}
	rest := strings.TrimPrefix(param, module)
	adapter := ""
	if strings.Count(rest, ".") > 1 {
		adapter = ".default"
	}
	return module + ".original_module" + rest, module + ".modules_to_save" + adapter + rest
}

// headParams lists what is trained of a head; none for nil.
func headParams(head models.Head) []models.NamedParam {
	if head == nil {
		return nil
	}
	return head.Params()
}

// headProblems reports the head's tensors that the file lacks, all in one error.
func headProblems(file *hfio.Adapter, cfg hfio.AdapterConfig, base *models.Model) error {
	var missing, unnamed []string
	modules := savedModules(cfg)
	for _, p := range headParams(base.Head) {
		name := headPrefix(file) + p.Name
		if _, ok := file.Tensor(name); ok {
			continue
		}
		if inModules(p.Name, modules) {
			missing = append(missing, name)
		} else if base.NewHead {
			unnamed = append(unnamed, p.Name)
		}
	}
	if len(unnamed) > 0 {
		return fmt.Errorf("%s: %w: neither it nor the base has %s, which PEFT trains and saves only if modules_to_save names it",
			hfio.AdapterWeightsFile, ErrMissingHead, strings.Join(unnamed, ", "))
	}
	return missingHead(missing)
}

func missingHead(names []string) error {
	if len(names) == 0 {
		return nil
	}
	return fmt.Errorf("%s: %w", hfio.AdapterWeightsFile, noHead(strings.Join(names, ", ")))
}

func noHead(names string) error {
	return fmt.Errorf("%w: no tensor %s (PEFT 0.15.2 to 0.16 neither trained nor saved it; 0.17 and later do)", ErrMissingHead, names)
}

// headMisfits compares the stored head with the base's.
func headMisfits(file *hfio.Adapter, head models.Head) []Mismatch {
	var found []Mismatch
	for _, p := range headParams(head) {
		stored, ok := file.Tensor(headPrefix(file) + p.Name)
		if want := paramShape(p, len(stored.Shape)); ok && !slices.Equal(stored.Shape, want) {
			found = append(found, Mismatch{headPrefix(file) + p.Name, fmt.Sprint(stored.Shape), fmt.Sprint(want)})
		}
	}
	return found
}

// paramShape is a parameter's shape as torch has it: a single row may be a vector.
func paramShape(p models.NamedParam, dimensions int) []int {
	rows, columns := kernel.Rows(p.Param), kernel.Cols(p.Param)
	if isVector(p, dimensions) {
		return []int{columns}
	}
	return []int{rows, columns}
}

// isVector: a bias or a magnitude is a vector in torch and a row here. Where the file has the
// tensor its dimensions decide, so that a matrix of one row stays one.
func isVector(p models.NamedParam, dimensions int) bool {
	return kernel.Rows(p.Param) == 1 && dimensions != 2 && (dimensions == 1 || strings.HasPrefix(lastName(p.Name), "bias") || strings.HasSuffix(p.Name, magnitudeEnd))
}

func lastName(path string) string { return path[strings.LastIndex(path, ".")+1:] }

// loadHead copies the stored values into the head's parameters.
func loadHead(file *hfio.Adapter, head models.Head) error {
	for _, p := range headParams(head) {
		stored, ok := file.Tensor(headPrefix(file) + p.Name)
		if !ok {
			continue
		}
		values, err := stored.Float32s()
		if err != nil {
			return err
		}
		copy(kernel.Data(p.Param), values)
	}
	return nil
}

// outputs are the last matrices of PEFT's heads: a row a label.
var outputs = []string{"classifier.weight", "classifier.out_proj.weight", "classification_head.out_proj.weight", "score.weight", "qa_outputs.weight"}

// NumLabels returns how many outputs the stored head has, which is the number of
// labels that the base must be opened with; 0: no head that is known.
func NumLabels(file *hfio.Adapter) int {
	for _, name := range outputs {
		if t, ok := file.Tensor(headPrefix(file) + name); ok && len(t.Shape) == 2 {
			return t.Shape[0]
		}
	}
	return 0
}
