package hfio

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// What is released leaves the process's memory and is there when it is read again. Data that is not mapped stays.
func TestRelease(t *testing.T) {
	values := make([]float32, 1<<20)
	for i := range values {
		values[i] = float32(i)
	}
	file, err := EncodeSafeTensors(nil, []Tensor{NewFloat32("small", []int{3}, values[:3]), NewFloat32("large", []int{len(values)}, values)})
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, data := range map[string][]byte{ModelConfigFile: []byte("{}"), ModelWeightsFile: file} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, options := range []*OpenOptions{nil, {NoMap: true}} {
		c, err := OpenModel(Dir(dir), options)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		for _, name := range []string{"large", "small"} {
			tensor, err := c.Tensor(name)
			if err != nil {
				t.Fatal(err)
			}
			want := bytes.Clone(tensor.Data)
			before := residentOf(t, filepath.Join(dir, ModelWeightsFile))
			c.Release(tensor)
			if options == nil && name == "large" && runtime.GOOS == "linux" {
				if after := residentOf(t, filepath.Join(dir, ModelWeightsFile)); before < 4096 || after > 64 {
					t.Errorf("%d kB of the file were resident, and %d after the release", before, after)
				}
			}
			if !bytes.Equal(tensor.Data, want) {
				t.Errorf("%s, %+v: other data after the release", name, options)
			}
		}
		c.Release(NewFloat32("of no file", []int{3}, values[:3]))
	}
}

// residentOf returns how many kB of a mapped file the process has in memory; 0 where Linux does not tell.
func residentOf(t *testing.T, path string) (kilobytes int) {
	t.Helper()
	maps, err := os.ReadFile("/proc/self/smaps")
	if err != nil {
		return 0
	}
	_, mapping, _ := strings.Cut(string(maps), path)
	_, rss, _ := strings.Cut(mapping, "\nRss:")
	_, _ = fmt.Sscan(rss, &kilobytes)
	return kilobytes
}
