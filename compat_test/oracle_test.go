package compat_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// pythonVariable names the environment variable with the Python of the oracle:
// what oracle/setup.sh prints.
const pythonVariable = "GOPEFT_ORACLE_PYTHON"

// oracle is a running `oracle.py batch`: one process for all tests, since starting
// Python and its libraries takes seconds.
type oracle struct {
	process *exec.Cmd
	in      io.WriteCloser
	out     *bufio.Reader
	log     bytes.Buffer // what it wrote to its standard error
}

var running *oracle // started by the first test that asks

func TestMain(m *testing.M) {
	code := m.Run()
	if running != nil {
		if err := running.stop(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

// needOracle skips the test where there is no Python to compare with.
func needOracle(t testing.TB) *oracle {
	t.Helper()
	python := os.Getenv(pythonVariable)
	if python == "" {
		t.Skipf("%s is not set: `make compat` sets it to the Python that compat_test/oracle/setup.sh installs", pythonVariable)
	}
	if running != nil {
		return running
	}
	o := &oracle{process: exec.Command(python, "oracle/oracle.py", "batch")}
	var err error
	if o.in, err = o.process.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := o.process.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	o.out = bufio.NewReader(out)
	o.process.Stderr = &o.log
	if err := o.process.Start(); err != nil {
		t.Fatalf("%s: %v", pythonVariable, err)
	}
	running = o
	return o
}

// call runs one command of the oracle; an error of it ends the test.
func (o *oracle) call(t testing.TB, arguments ...string) {
	t.Helper()
	if refused := o.ask(t, arguments...); refused != "" {
		t.Fatalf("oracle %s: %s", strings.Join(arguments, " "), refused)
	}
}

// ask runs one command of the oracle and returns its error, "" for none.
func (o *oracle) ask(t testing.TB, arguments ...string) (refused string) {
	t.Helper()
	line, err := json.Marshal(arguments)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := o.in.Write(append(line, '\n')); err != nil {
		t.Fatalf("oracle: %v", err)
	}
	reply, err := o.out.ReadBytes('\n')
	if err != nil {
		t.Fatalf("oracle %s: %v", strings.Join(arguments, " "), err)
	}
	var result struct {
		OK    bool
		Error string
	}
	if err := json.Unmarshal(reply, &result); err != nil || result.OK == (result.Error != "") {
		t.Fatalf("oracle %s: %s", strings.Join(arguments, " "), reply)
	}
	return result.Error
}

// stop ends the process by closing its input.
func (o *oracle) stop() error {
	if err := o.in.Close(); err != nil {
		return err
	}
	if err := o.process.Wait(); err != nil {
		return fmt.Errorf("oracle: %w\n%s", err, o.log.String())
	}
	return nil
}
